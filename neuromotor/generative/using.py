"""What a learned model is for: to predict the next frame, to denoise, and to make new sequences."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.generative.boltzmann import bernoulli, enumerated_moments, few_units, gibbs, states
from neuromotor.generative.boltzmann import softplus as _softplus
from neuromotor.generative.model import TemporalRBM, check_frames

__all__ = ["Film", "denoise", "flipped", "predict", "sample"]


@dataclass(frozen=True)
class Film:
    """Sequences that a model made.

    Attributes:
        frames: Zeros and ones, (B, T, V).
        probabilities: Of a one, given the hidden units that were drawn last, (B, T, V).
    """

    frames: Tensor
    probabilities: Tensor


@torch_threads()
def predict(
    model: TemporalRBM,
    frames: Tensor,
    *,
    gibbs_steps: int = 50,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the mean of each frame given the earlier ones, E[v_t | r_{t-1}], (B, T - 1, V).

    The first is that of the second frame. Where one side has at most `MOST_UNITS` units the mean is
    exact. Elsewhere a Gibbs chain starts from the frame before, and the chances of a one are
    averaged over the second half of its steps; the source does not say how it predicts.

    Args:
        model: An RTRBM, or a TRBM, which filters by its mean-field approximation.
        frames: Numbers from 0 to 1, (B, T, V).
        gibbs_steps: Steps of the chain, two or more; none where means are exact.
        generator: Of the chain's draws; torch's own if None.
    """
    frames = check_frames(frames, model.visible).to(model.visible_bias.dtype)
    check_integer("gibbs_steps", gibbs_steps, minimum=2)
    biases = model.biases(model.filtered(frames)[:, 1:-1])
    rows = biases.flatten(0, 1)
    shape = (*biases.shape[:2], model.visible)
    if few_units(model.visible_hidden):
        return _exact_means(model, rows).view(shape)
    weights, own = model.visible_hidden, model.visible_bias
    visible, hidden = gibbs(
        weights, own, rows, frames[:, :-1].flatten(0, 1), gibbs_steps // 2, generator
    )
    total = torch.zeros_like(visible)
    kept = gibbs_steps - gibbs_steps // 2
    for _ in range(kept):
        chance = torch.sigmoid(torch.addmm(own, bernoulli(hidden, generator), weights))
        total += chance
        hidden = torch.sigmoid(torch.addmm(rows, bernoulli(chance, generator), weights.T))
    return (total / kept).view(shape)


def _exact_means(model: TemporalRBM, biases: Tensor) -> Tensor:
    """Return E[v], (N, V), of each row's hidden biases (N, H)."""
    weights, own = model.visible_hidden, model.visible_bias
    if model.hidden <= model.visible:
        every = states(model.hidden, weights)
        logits = every @ weights + own
        chance = torch.softmax(_softplus(logits).sum(-1) + biases @ every.T, dim=-1)
        return chance @ torch.sigmoid(logits)
    return torch.stack([enumerated_moments(weights, own, row[None]).visible for row in biases])


@torch_threads()
def denoise(model: TemporalRBM, frames: Tensor) -> Tensor:
    """Return the chance of a one of each visible unit, (B, T, V), given the frames so far.

    The frames are filtered, and each is rebuilt from its filtered hidden units; no later frame is
    used. Source: Sutskever (2013), section 3.3.

    Args:
        model: Learned on clean sequences.
        frames: Noisy ones, (B, T, V), numbers from 0 to 1.
    """
    frames = check_frames(frames, model.visible).to(model.visible_bias.dtype)
    return model.reconstructed(model.filtered(frames)[:, 1:])


def flipped(frames: Tensor, share: float, generator: torch.Generator | None = None) -> Tensor:
    """Return frames of which a random share of all numbers x became 1 - x."""
    check_fraction("share", share)
    flips = bernoulli(torch.full_like(frames, share), generator)
    return frames + flips - 2 * frames * flips


@torch_threads()
def sample(
    model: TemporalRBM,
    steps: int,
    *,
    count: int = 1,
    start: Tensor | None = None,
    gibbs_steps: int = 50,
    generator: torch.Generator | None = None,
) -> Film:
    """Return new sequences, or go on with given ones.

    Each frame comes from a Gibbs chain that starts at the frame before, the very first one at
    independent fair draws. A TRBM then draws its hidden units; an RTRBM takes their chances of a
    one.

    Source: Sutskever (2013), algorithms 2 and 3.

    Args:
        model: An RTRBM or a TRBM.
        steps: Frames T to make.
        count: Sequences B to make; as many as `start` has where that is given.
        start: What came before, (B, T0, V); it is filtered, and is no part of the result.
        gibbs_steps: Steps of each chain.
        generator: Of all draws; torch's own if None.
    """
    check_integer("steps", steps, minimum=1)
    check_integer("count", count, minimum=1)
    check_integer("gibbs_steps", gibbs_steps, minimum=1)
    weights, own = model.visible_hidden, model.visible_bias
    if start is None:
        rate = model.initial.expand(count, -1)
        visible = bernoulli(own.new_full((count, model.visible), 0.5), generator)
    else:
        before = check_frames(start, model.visible).to(own.dtype)
        rate, visible = model.filtered(before)[:, -1], before[:, -1]
    frames, chances = [], []
    for _ in range(steps):
        bias = model.biases(rate)
        visible, hidden = gibbs(weights, own, bias, visible, gibbs_steps, generator)
        on = bernoulli(hidden, generator)
        frames.append(visible)
        chances.append(model.reconstructed(on))
        rate = hidden if model.kind == "rtrbm" else on
    return Film(torch.stack(frames, dim=1), torch.stack(chances, dim=1))
