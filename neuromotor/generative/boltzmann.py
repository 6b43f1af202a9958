"""One frame's restricted Boltzmann machine, with a bias of its own for each of N rows.

Notation: v visible, h hidden, W (H, V), b the visible bias (V,), c the hidden biases (N, H)::

    P(v, h) = exp(v.b + h.W v + h.c) / Z(c)
    log sum_h exp(...) = v.b + sum_j log(1 + exp((W v + c)_j)) = -F(v)    F the free energy

Sums over all states are exact where one side has few units; annealed importance sampling estimates
Z elsewhere.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from neuromotor._checks import check_integer

__all__ = [
    "MOST_UNITS",
    "Annealed",
    "Moments",
    "annealed_log_partition",
    "bernoulli",
    "enumerated_moments",
    "gibbs",
    "log_partition",
    "negative_free_energy",
    "few_units",
    "softplus",
    "states",
]

MOST_UNITS = 14  # of the smaller side, whose 2^14 states are still summed over
_ROWS = 1 << 24  # numbers that are held at a time


class Moments(NamedTuple):
    """Means under a model: of h in each row (N, H), and sums over rows of v (V,), h v' (H, V)."""

    hidden: Tensor
    visible: Tensor
    products: Tensor


class Annealed(NamedTuple):
    """Estimates of log Z, (N,), and their standard errors, (N,)."""

    log_partition: Tensor
    standard_error: Tensor


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + exp(x)) to full precision; torch's own is exact to 2e-9 alone."""
    return functional.softplus(x, threshold=40)


def bernoulli(probability: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return zeros and ones drawn with these probabilities."""
    draws = torch.rand(probability.shape, generator=generator, dtype=probability.dtype)
    return (draws < probability).to(probability.dtype)


def gibbs(
    weights: Tensor,
    visible_bias: Tensor,
    hidden_bias: Tensor,
    visible: Tensor,
    steps: int,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Return v, (N, V), and P(h = 1 | v), (N, H), after steps of Gibbs sampling from `visible`."""
    hidden = torch.sigmoid(torch.addmm(hidden_bias, visible, weights.T))
    for _ in range(steps):
        mean = torch.addmm(visible_bias, bernoulli(hidden, generator), weights)
        visible = bernoulli(mean.sigmoid_(), generator)
        hidden = torch.addmm(hidden_bias, visible, weights.T).sigmoid_()
    return visible, hidden


def negative_free_energy(
    weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, visible: Tensor
) -> Tensor:
    """Return log of the sum over h of exp(...), (N,), for v (N, V) and c (N, H)."""
    return visible @ visible_bias + softplus(visible @ weights.T + hidden_bias).sum(-1)


def states(units: int, like: Tensor) -> Tensor:
    """Return all 2^n states of n binary units, (2^n, n)."""
    numbers = torch.arange(2**units)
    return ((numbers[:, None] >> torch.arange(units)) & 1).to(like)


def few_units(weights: Tensor) -> bool:
    """Return whether all states of one side can be summed over."""
    return min(weights.shape) <= MOST_UNITS


def log_partition(weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> Tensor:
    """Return log Z of each row's biases, (N,), summed over all states of the smaller side.

    Raises:
        ValueError: Both sides have more than `MOST_UNITS` units.
    """
    hidden, visible = weights.shape
    _check_few(weights)
    if hidden <= visible:
        every = states(hidden, weights)
        alone = softplus(every @ weights + visible_bias).sum(-1)  # (2^H,)
        parts = [
            torch.logsumexp(alone + rows @ every.T, dim=-1)
            for rows in torch.split(hidden_bias, max(1, _ROWS // len(every)))
        ]
        return torch.cat(parts)
    every = states(visible, weights)
    drive, alone = every @ weights.T, every @ visible_bias
    parts = [
        torch.logsumexp(alone + softplus(drive + rows[:, None]).sum(-1), dim=-1)
        for rows in torch.split(hidden_bias, max(1, _ROWS // drive.numel()))
    ]
    return torch.cat(parts)


def enumerated_moments(weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> Moments:
    """Return the exact means under the model, summed over all states of the smaller side.

    Raises:
        ValueError: Both sides have more than `MOST_UNITS` units.
    """
    hidden, visible = weights.shape
    _check_few(weights)
    if hidden <= visible:
        every = states(hidden, weights)
        logits = every @ weights + visible_bias
        chance = torch.softmax(softplus(logits).sum(-1) + hidden_bias @ every.T, dim=-1)
        total, means = chance.sum(0), torch.sigmoid(logits)
        return Moments(chance @ every, total @ means, (every * total[:, None]).T @ means)
    every = states(visible, weights)
    means, seen = torch.zeros_like(hidden_bias), torch.zeros_like(visible_bias)
    products, alone = torch.zeros_like(weights), every @ visible_bias
    for row, bias in enumerate(hidden_bias):
        drive = every @ weights.T + bias
        chance = torch.softmax(alone + softplus(drive).sum(-1), dim=-1)
        likely = torch.sigmoid(drive) * chance[:, None]
        means[row] = likely.sum(0)
        seen += chance @ every
        products += likely.T @ every
    return Moments(means, seen, products)


def annealed_log_partition(
    weights: Tensor,
    visible_bias: Tensor,
    hidden_bias: Tensor,
    base_bias: Tensor,
    generator: torch.Generator,
    *,
    temperatures: int = 1000,
    chains: int = 50,
) -> Annealed:
    """Return estimates of log Z of each row's biases by annealed importance sampling.

    Chains go from independent units with the biases `base_bias` to the model, over distributions
    proportional to ``exp((1 - s) v.base + s v.b) prod_j (1 + exp(s (W v + c)_j))``, s from 0 to 1.
    The mean of their weights estimates Z without bias, so that log Z is too low on average, the
    less the more chains and temperatures there are.

    Source: Neal (2001); Salakhutdinov & Murray (2008), section 4.1, for Boltzmann machines.

    Args:
        weights: W, (H, V).
        visible_bias: b, (V,).
        hidden_bias: c, (N, H).
        base_bias: Log odds of the units at the beginning, (V,).
        generator: Of all draws.
        temperatures: Number of distributions after the first.
        chains: Number of chains a row.
    """
    check_integer("temperatures", temperatures, minimum=1)
    check_integer("chains", chains, minimum=2)
    (hidden, _), rows = weights.shape, len(hidden_bias)
    bias = hidden_bias.repeat_interleave(chains, dim=0)
    visible = bernoulli(torch.sigmoid(base_bias).expand(len(bias), -1), generator)
    weight = visible.new_zeros(len(bias))
    levels = torch.linspace(0, 1, temperatures + 1, dtype=torch.float64).tolist()
    drive = visible @ weights.T + bias
    tilt = visible_bias - base_bias
    for before, level in pairwise(levels):
        weight += (level - before) * (visible @ tilt)
        weight += (softplus(level * drive) - softplus(before * drive)).sum(-1)
        on = bernoulli(torch.sigmoid(level * drive), generator)
        logits = torch.addmm(base_bias + level * tilt, on, weights, alpha=level)
        visible = bernoulli(torch.sigmoid(logits), generator)
        drive = torch.addmm(bias, visible, weights.T)
    start = hidden * torch.log(weight.new_tensor(2.0)) + softplus(base_bias).sum()
    weight = weight.view(rows, chains)
    mean = torch.logsumexp(weight, dim=-1) - torch.log(weight.new_tensor(chains))
    relative = torch.exp(weight - mean[:, None])
    return Annealed(start + mean, relative.std(dim=-1) / chains**0.5)


def _check_few(weights: Tensor) -> None:
    """Raise unless all states of one side can be summed over."""
    if not few_units(weights):
        hidden, visible = weights.shape
        raise ValueError(
            f"a sum over all states needs at most {MOST_UNITS} hidden or visible units, got "
            f"{hidden} and {visible}; take contrastive divergence for gradients, and annealed "
            "importance sampling for likelihoods."
        )
