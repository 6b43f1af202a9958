"""How likely a model finds sequences of zeros and ones.

Of an RTRBM, ``log P(v_1..v_T) = sum_t log P(v_t | r_{t-1})`` needs one normalising constant a frame
(Sutskever 2013, equation 3.22). A TRBM's sum over hidden sequences is done by the forward algorithm
over all 2^H states of its hidden units.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.generative.boltzmann import (
    annealed_log_partition,
    few_units,
    log_partition,
    negative_free_energy,
    softplus,
    states,
)
from neuromotor.generative.model import TemporalRBM, check_frames

__all__ = ["MOST_STATES", "Likelihood", "independent_log_likelihood", "log_likelihood"]

MOST_STATES = 10  # hidden units of a TRBM, between whose 2^10 states the forward algorithm goes


@dataclass(frozen=True)
class Likelihood:
    """Log-likelihoods of sequences (nats).

    Attributes:
        values: Of each whole sequence, (B,).
        standard_error: Of each, from the estimate of its normalising constants alone, (B,); zeros
            where these are exact.
        estimator: "enumeration", "forward algorithm" or "annealed importance sampling". The last
            is too high on average, since log Z is then estimated too low.
    """

    values: Tensor
    standard_error: Tensor
    estimator: str


@torch_threads()
def log_likelihood(
    model: TemporalRBM,
    frames: Tensor,
    *,
    temperatures: int = 1000,
    chains: int = 20,
    seed: int = 0,
) -> Likelihood:
    """Return how likely a model finds sequences.

    Of an RTRBM it is exact where one side has at most `MOST_UNITS` units, and an estimate by
    annealed importance sampling elsewhere. Of a TRBM it is exact up to `MOST_STATES` hidden units,
    and refused beyond.

    Args:
        model: In the precision in which it is computed; float64 is best.
        frames: Zeros and ones, (B, T, V).
        temperatures: See `annealed_log_partition`.
        chains: Likewise.
        seed: Of the chains.

    Raises:
        ValueError: A number is neither 0 nor 1, or a TRBM has too many hidden units.
    """
    frames = check_frames(frames, model.visible, binary=True).to(model.visible_bias.dtype)
    if model.kind == "trbm":
        return _forward(model, frames)
    weights, own = model.visible_hidden, model.visible_bias
    biases = model.biases(model.filtered(frames)[:, :-1]).flatten(0, 1)
    shape = frames.shape[:2]
    joint = negative_free_energy(weights, own, biases, frames.flatten(0, 1))
    if few_units(weights):
        values = (joint - log_partition(weights, own, biases)).view(shape).sum(-1)
        return Likelihood(values, torch.zeros_like(values), "enumeration")
    generator = torch.Generator().manual_seed(seed)
    base = _log_odds(frames)
    pieces = [
        annealed_log_partition(
            weights, own, rows, base, generator, temperatures=temperatures, chains=chains
        )
        for rows in torch.split(biases, 256)
    ]
    found = torch.cat([piece.log_partition for piece in pieces])
    error = torch.cat([piece.standard_error for piece in pieces]).view(shape)
    values = (joint - found).view(shape).sum(-1)
    return Likelihood(values, error.square().sum(-1).sqrt(), "annealed importance sampling")


def _forward(model: TemporalRBM, frames: Tensor) -> Likelihood:
    """Sum over all sequences of binary hidden units."""
    if model.hidden > MOST_STATES:
        raise ValueError(
            f"the likelihood of a TRBM is a sum over all sequences of its hidden units, which "
            f"needs at most {MOST_STATES} of them, got {model.hidden}; take an RTRBM, or compute "
            "that of the RTRBM with the same parameters, `model.as_kind('rtrbm')`."
        )
    weights, own = model.visible_hidden, model.visible_bias
    every = states(model.hidden, weights)
    alone = softplus(every @ weights + own).sum(-1)  # summed over v, without the hidden biases
    # log P(h' | h) without the part of v, to which each frame adds its own
    between = every @ model.hidden_hidden.T @ every.T + every @ model.hidden_bias  # h, h'
    between = between - torch.logsumexp(between + alone, dim=-1, keepdim=True)
    first = every @ model.biases(model.initial)
    first = first - torch.logsumexp(first + alone, dim=-1)
    emission = frames @ weights.T @ every.T + (frames @ own)[..., None]  # (B, T, 2^H)
    belief = first + emission[:, 0]
    chances = between.exp()
    for t in range(1, frames.shape[1]):
        level = belief.amax(-1, keepdim=True)
        belief = torch.log((belief - level).exp() @ chances) + level + emission[:, t]
    values = torch.logsumexp(belief, dim=-1)
    return Likelihood(values, torch.zeros_like(values), "forward algorithm")


def independent_log_likelihood(frames: Tensor, known: Tensor) -> Tensor:
    """Return log-likelihoods (B,) under units that are independent, at all times alike.

    Args:
        frames: Zeros and ones, (B, T, V).
        known: Sequences (B', T', V) whose means the units have; a unit that never changes there
            counts as if it had been seen once more in each state.
    """
    frames = check_frames(frames, known.shape[-1], binary=True)
    odds = _log_odds(known.to(frames.dtype))
    return (frames @ odds).sum(-1) - frames.shape[1] * softplus(odds).sum()


def _log_odds(frames: Tensor) -> Tensor:
    """Return the log odds of a one of each unit, with one more count of each state, (V,)."""
    count = frames.shape[0] * frames.shape[1]
    check_integer("frames", count, minimum=1)
    mean = (frames.sum((0, 1)) + 1) / (count + 2)
    return torch.log(mean) - torch.log1p(-mean)
