"""Gradient of a sequence's log-likelihood: exact through the filtered units, by CD within a frame.

Notation: as in `neuromotor.generative.model`; E is the mean under a frame's model P(v, h | r_{t-1})
or contrastive divergence's stand-in for it, d_t the derivative of log P(v_t | r_{t-1}) with respect
to the bias c_t, and g_t that of the whole log-likelihood L with respect to r_t::

    d_t     = r_t - E[h]
    q_t     = r_t (1 - r_t) g_t      of the RTRBM;  q_t = 0 of the TRBM, which takes r_t as given
    g_{t-1} = W'^T (d_t + q_t),      g_T = 0
    dL/dW'  = sum_t (d_t + q_t) r_{t-1}^T        dL/db_h = sum_t (d_t + q_t)
    dL/dW   = sum_t r_t v_t^T - E[h v^T] + q_t v_t^T
    dL/db_v = sum_t v_t - E[v]                   dL/dh_0 = g_0

Source: Sutskever (2013), section 3.10. Its equation 3.23 has the derivative of log P(v_t | r_{t-1})
where that of log P(v_{t+1} | r_t) belongs; 3.24 leaves d_t out; the first sum of 3.25 has a factor
W'^T too many and ends before T, where q_T is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.generative.boltzmann import Moments, enumerated_moments, gibbs
from neuromotor.generative.model import TemporalRBM

__all__ = ["ContrastiveDivergence", "Enumeration", "Gradient", "NegativePhase", "gradient"]


class Gradient(NamedTuple):
    """Derivatives of a log-likelihood with respect to W, W', b_v, b_h and h_0."""

    visible_hidden: Tensor
    hidden_hidden: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    initial: Tensor


class NegativePhase(Protocol):
    """What stands for the means under the model."""

    def moments(self, model: TemporalRBM, biases: Tensor, visible: Tensor) -> Moments:
        """Return means in N rows, of biases c (N, H) and data v (N, V)."""
        ...


@dataclass(frozen=True)
class ContrastiveDivergence:
    """Means after k steps of Gibbs sampling from the data.

    Source: Hinton (2002); Sutskever (2013), section 2.7. The last hidden units are their
    probabilities, not draws.

    Attributes:
        steps: k.
        generator: Of all draws; torch's own if None.
    """

    steps: int = 1
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        check_integer("steps", self.steps, minimum=1)

    def moments(self, model: TemporalRBM, biases: Tensor, visible: Tensor) -> Moments:
        """Return means over one chain a row."""
        seen, hidden = gibbs(
            model.visible_hidden, model.visible_bias, biases, visible, self.steps, self.generator
        )
        return Moments(hidden, seen.sum(0), hidden.T @ seen)


@dataclass(frozen=True)
class Enumeration:
    """Exact means, summed over all states of the side with fewer units."""

    def moments(self, model: TemporalRBM, biases: Tensor, visible: Tensor) -> Moments:
        """Return exact means; raise where both sides have too many units."""
        del visible
        return enumerated_moments(model.visible_hidden, model.visible_bias, biases)


def gradient(model: TemporalRBM, frames: Tensor, negative: NegativePhase) -> Gradient:
    """Return the gradient of the mean log-likelihood of sequences.

    With `Enumeration` that of an RTRBM is exact.

    Args:
        model: An RTRBM or a TRBM.
        frames: Numbers from 0 to 1, (B, T, V).
        negative: `ContrastiveDivergence` or `Enumeration`.
    """
    count, _, _ = frames.shape
    rates = model.filtered(frames)
    before, after = rates[:, :-1], rates[:, 1:]
    biases = model.biases(before)
    rows = frames.flatten(0, 1)
    found = negative.moments(model, biases.flatten(0, 1), rows)
    own = after - found.hidden.view_as(after)  # d
    whole = own.clone()  # d + q
    if model.kind == "rtrbm":
        slopes = after * (1 - after)
        for t in range(own.shape[1] - 2, -1, -1):
            whole[:, t] += slopes[:, t] * (whole[:, t + 1] @ model.hidden_hidden)
    flat = whole.flatten(0, 1)
    positive = after + (whole - own)  # r + q, which both multiply v
    return Gradient(
        (positive.flatten(0, 1).T @ rows - found.products) / count,
        flat.T @ before.flatten(0, 1) / count,
        (rows.sum(0) - found.visible) / count,
        flat.sum(0) / count,
        (whole[:, 0] @ model.hidden_hidden).sum(0) / count,
    )
