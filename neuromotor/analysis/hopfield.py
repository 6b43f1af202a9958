"""Networks with symmetric weights as memories: energy, Hebbian storage, recall and basins.

Notation: s are n units of -1 or 1, W symmetric weights, theta thresholds, and xi patterns; r are
the rates f(v) of units in continuous time with the time constant tau and the input b::

    E(s) = -s.W s / 2 + theta.s           one unit at a time: s_i <- sign((W s - theta)_i)
    W    = sum over patterns xi xi^T / n, with a diagonal of zeros
    E(r) = -r.W r / 2 - b.r + sum_i of the integral of f^-1 from 0 to r_i
    tau dv/dt = -v + W r + b              dE/dt = -tau sum_i f'(v_i) (dv_i/dt)^2 <= 0

The energy E(s) never rises when units change one at a time and no unit inhibits itself. It may
rise when all change at once, as it may with weights that are not symmetric; both are refused here.

Source: Hopfield (1982) for binary units and Hopfield (1984) for units in continuous time; Amit,
Gutfreund & Sompolinsky (1985): random patterns are recalled up to a load of 0.138 patterns a unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer, check_number, check_positive
from neuromotor.controllers import Controller, RecurrentNetwork, TanhCell

__all__ = [
    "Attractors",
    "RecallTest",
    "attractors",
    "check_symmetric",
    "continuous_attractors",
    "continuous_energy",
    "energy",
    "hebbian_weights",
    "random_patterns",
    "recall",
    "recall_test",
    "recurrent_part",
    "relax",
]

_SYMMETRIC = 1e-9  # of the largest weight, by which W and its transpose may differ
_RECALLED = 0.95  # overlap with a pattern from which it counts as recalled (our choice)


@dataclass(frozen=True)
class RecallTest:
    """How well patterns are recalled from some of their units turned round.

    Attributes:
        flips: Shares of units that were turned round, (F,).
        overlap: Mean overlap xi.s / n of a pattern with what came of it, (F,).
        recalled: Share of starts that ended with an overlap of 0.95 or more, (F,).
        energy_before: Mean energy of a unit at the start, (F,).
        energy_after: And at the end, (F,).
    """

    flips: NDArray[np.float64]
    overlap: NDArray[np.float64]
    recalled: NDArray[np.float64]
    energy_before: NDArray[np.float64]
    energy_after: NDArray[np.float64]


@dataclass(frozen=True)
class Attractors:
    """Where random starts end, the most frequent first.

    Attributes:
        states: Units of -1 and 1, or rates of units in continuous time, (A, n).
        share: Of the starts that ended there: an estimate of the size of its basin, (A,).
        energy: Of each, (A,).
    """

    states: NDArray[np.float64]
    share: NDArray[np.float64]
    energy: NDArray[np.float64]


def check_symmetric(weights: ArrayLike) -> NDArray[np.float64]:
    """Return weights (n, n) for which the energy holds.

    Raises:
        ValueError: They are no finite square matrix, or not symmetric.
    """
    found = np.asarray(weights, np.float64)
    if found.ndim != 2 or found.shape[0] != found.shape[1] or not found.size:
        raise ValueError(f"`weights` must be a square matrix, got shape {found.shape}.")
    if not np.isfinite(found).all():
        raise ValueError("`weights` must be finite, got infinite or NaN entries.")
    largest = np.abs(found).max()
    off = np.abs(found - found.T).max()
    if off > _SYMMETRIC * largest:
        raise ValueError(
            f"`weights` must be symmetric, got entries that differ from the transposed ones by up "
            f"to {off / largest:.3g} of the largest: no energy holds for them. For attractors take "
            "fixed points (`find_fixed_points`); `(weights + weights.T) / 2` is another network, "
            "which has an energy."
        )
    return found


def hebbian_weights(patterns: ArrayLike) -> NDArray[np.float64]:
    """Return the weights that store patterns of -1 and 1, (P, n), by Hebb's rule.

    Raises:
        ValueError: The patterns hold other numbers, or have another shape.
    """
    xi = _binary("patterns", patterns)
    weights = xi.T @ xi / xi.shape[1]
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights, np.float64)


def random_patterns(count: int, units: int, seed: int = 0) -> NDArray[np.float64]:
    """Return patterns whose units are -1 or 1 with equal chances, (P, n)."""
    check_integer("count", count, minimum=1)
    check_integer("units", units, minimum=2)
    return np.random.default_rng(seed).choice([-1.0, 1.0], (count, units))


def energy(
    weights: ArrayLike, states: ArrayLike, thresholds: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """Return E(s) of states (..., n).

    Raises:
        ValueError: The weights are not symmetric, or a shape does not fit.
    """
    found = check_symmetric(weights)
    s = _fitting("states", states, found)
    theta = _vector("thresholds", thresholds, len(found))
    return np.asarray(-0.5 * np.einsum("...i,...i", s @ found, s) + s @ theta, np.float64)


def recall(
    weights: ArrayLike,
    states: ArrayLike,
    thresholds: ArrayLike = 0.0,
    *,
    sweeps: int = 100,
    seed: int = 0,
    energies: list[NDArray[np.float64]] | None = None,
) -> NDArray[np.float64]:
    """Return where states (B, n) end when one unit changes after the other.

    In each sweep every unit takes the sign of its input once, in a random order; at zero it stays.
    It ends with a sweep that changes nothing.

    Args:
        weights: Symmetric, (n, n), without negative entries on the diagonal.
        states: Starts, of -1 and 1.
        thresholds: theta, (n,) or one for all.
        sweeps: Most of them.
        seed: Of the orders.
        energies: Gets the energies (B,) before the first and after each sweep.

    Raises:
        ValueError: The weights are not symmetric, a unit inhibits itself, a state is not binary.
        RuntimeError: States still change after the last sweep.
    """
    found = check_symmetric(weights)
    lowest = float(np.diag(found).min())
    if lowest < 0:
        raise ValueError(
            f"`weights` must not be negative on the diagonal, got {lowest:g}: a unit that inhibits "
            "itself can raise the energy. Set the diagonal to zero, which is another network."
        )
    check_integer("sweeps", sweeps, minimum=1)
    s = _fitting("states", _binary("states", states), found).copy()
    theta = _vector("thresholds", thresholds, len(found))
    generator = np.random.default_rng(seed)
    drive = s @ found - theta
    for _ in range(sweeps + 1):
        if energies is not None:
            energies.append(energy(found, s, theta))
        moved = False
        for i in generator.permutation(len(found)):
            change = np.where(drive[:, i] == 0, 0.0, np.sign(drive[:, i]) - s[:, i])
            if change.any():
                moved = True
                s[:, i] += change
                drive += change[:, None] * found[i]
        if not moved:
            return s
    raise RuntimeError(f"states still change after {sweeps} sweeps; allow more by `sweeps`.")


def recall_test(
    weights: ArrayLike,
    patterns: ArrayLike,
    flips: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4),
    *,
    starts: int = 10,
    seed: int = 0,
) -> RecallTest:
    """Return how well patterns are recalled, which tells how wide their basins are.

    Args:
        weights: Symmetric, (n, n).
        patterns: What should be recalled, (P, n), of -1 and 1.
        flips: Shares of units that are turned round, each rounded to whole units.
        starts: How many starts there are for each share, spread over the patterns.
        seed: Of everything random.

    Raises:
        ValueError: As for `recall`, or a share is out of range.
    """
    found = check_symmetric(weights)
    xi = _fitting("patterns", _binary("patterns", patterns), found)
    check_integer("starts", starts, minimum=1)
    if not len(flips):
        raise ValueError("`flips` must hold a share at least, got none.")
    generator = np.random.default_rng(seed)
    rows = []
    for share in flips:
        check_fraction("flips", share)
        which = xi[np.arange(starts) % len(xi)]
        begin = which.copy()
        for row in begin:
            chosen = generator.choice(len(found), round(share * len(found)), replace=False)
            row[chosen] *= -1
        end = recall(found, begin, seed=seed)
        overlap = (end * which).mean(1)
        before, after = (energy(found, s).mean() / len(found) for s in (begin, end))
        rows.append((share, overlap.mean(), (overlap >= _RECALLED).mean(), before, after))
    return RecallTest(*np.asarray(rows, np.float64).T)


def attractors(
    weights: ArrayLike, thresholds: ArrayLike = 0.0, *, starts: int = 200, seed: int = 0
) -> Attractors:
    """Return the attractors in which random starts end, and the shares of their basins.

    Raises:
        ValueError: As for `recall`.
    """
    found = check_symmetric(weights)
    check_integer("starts", starts, minimum=1)
    ends = recall(found, random_patterns(starts, len(found), seed), thresholds, seed=seed)
    states, counts = np.unique(ends, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    theta = _vector("thresholds", thresholds, len(found))
    return Attractors(states[order], counts[order] / starts, energy(found, states[order], theta))


def continuous_energy(
    weights: ArrayLike, rates: ArrayLike, inputs: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """Return E(r) of rates r = tanh(v), (..., n), under constant inputs b, (n,) or one for all.

    It never rises in continuous time. Euler steps, as those of a `ContinuousTimeRNN`, follow it
    only if they are short beside the time constant.

    Raises:
        ValueError: The weights are not symmetric, or a rate is beyond -1 to 1.
    """
    found = check_symmetric(weights)
    r = _fitting("rates", rates, found)
    if (np.abs(r) > 1).any():
        raise ValueError(f"`rates` must lie between -1 and 1, got {np.abs(r).max():g}.")
    b = _vector("inputs", inputs, len(found))
    # integral of artanh: r artanh(r) + log(1 - r^2) / 2, in a form that holds at -1 and 1 too
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = 0.5 * ((1 + r) * np.log1p(r) + (1 - r) * np.log1p(-r))
    inner = np.where(np.abs(r) == 1, np.log(2.0), inner)
    value = -0.5 * np.einsum("...i,...i", r @ found, r) - r @ b + inner.sum(-1)
    return np.asarray(value, np.float64)


def relax(
    weights: ArrayLike,
    starts: ArrayLike,
    inputs: ArrayLike = 0.0,
    *,
    time_constant_s: float = 0.05,
    seconds: float = 5.0,
    samples: int = 101,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times (s), (T,), and activations (B, T, n) of tanh units in continuous time.

    Solved by scipy's LSODA to a relative error of 1e-9.

    Args:
        weights: Symmetric, (n, n).
        starts: Activations at the start, (B, n).
        inputs: b, (n,) or one for all.
        time_constant_s: tau (s).
        seconds: How long.
        samples: How many times T are returned.

    Raises:
        ValueError: The weights are not symmetric, or a number is out of range.
        RuntimeError: The solver failed.
    """
    from scipy.integrate import solve_ivp

    found = check_symmetric(weights)
    begin = _fitting("starts", starts, found)
    b = _vector("inputs", inputs, len(found))
    check_positive("time_constant_s", time_constant_s, "seconds")
    check_positive("seconds", seconds, "seconds")
    check_integer("samples", samples, minimum=2)
    times = np.linspace(0, seconds, samples)
    paths = []
    for start in np.atleast_2d(begin):
        solved = solve_ivp(
            lambda _, v: (-v + found @ np.tanh(v) + b) / time_constant_s,
            (0, seconds),
            start,
            method="LSODA",
            t_eval=times,
            rtol=1e-9,
            atol=1e-10,
        )
        if not solved.success:
            raise RuntimeError(f"the activations could not be followed: {solved.message}")
        paths.append(solved.y.T)
    return times, np.stack(paths)


def continuous_attractors(
    weights: ArrayLike, inputs: ArrayLike = 0.0, *, starts: int = 50, seed: int = 0
) -> Attractors:
    """Return the rates at which tanh units in continuous time come to rest from random starts.

    A start is a vector of independent rates between -1 and 1. It is followed for 200 time
    constants; ends that differ by less than 1e-3 in every rate are one.

    Raises:
        ValueError: As for `relax`.
        RuntimeError: A start has not come to rest by then.
    """
    found = check_symmetric(weights)
    check_integer("starts", starts, minimum=1)
    begin = np.arctanh(np.random.default_rng(seed).uniform(-0.999, 0.999, (starts, len(found))))
    _, paths = relax(found, begin, inputs, time_constant_s=1.0, seconds=200.0, samples=2)
    end = paths[:, -1]
    rates = np.tanh(end)
    speed = np.abs(-end + rates @ found + _vector("inputs", inputs, len(found))).max()
    if speed > 1e-3:
        raise RuntimeError(
            f"a start still moves at {speed:.2g} a time constant after 200 of them, as it does "
            "where attractors lie on a line; follow it further by `relax`."
        )
    kept: list[int] = []
    counts: list[int] = []
    for row in range(starts):
        near = [i for i, one in enumerate(kept) if np.abs(rates[row] - rates[one]).max() < 1e-3]
        if near:
            counts[near[0]] += 1
        else:
            kept.append(row)
            counts.append(1)
    order = np.argsort(-np.array(counts), kind="stable")
    states = rates[np.array(kept)[order]]
    share = np.array(counts, np.float64)[order] / starts
    return Attractors(states, share, continuous_energy(found, states, inputs))


def recurrent_part(
    controller: Controller, parameters: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the recurrent weights, (n, n), and the biases, (n,), of a network of one tanh layer.

    Its Euler steps have the same points of rest as units in continuous time.

    Raises:
        ValueError: The controller is another network, or its weights are not symmetric.
    """
    plain = isinstance(controller, RecurrentNetwork) and isinstance(controller.cell, TanhCell)
    if not plain or len(controller.layers) != 1:  # type: ignore[attr-defined]
        raise ValueError(
            f"`controller` must be a network of one layer of tanh units to have this energy, got a "
            f"{type(controller).__name__}; search fixed points (`find_fixed_points`) of others."
        )
    layer = controller.unpack(parameters.detach().double()).layers[0]
    return check_symmetric(layer.recurrent.numpy()), layer.bias.numpy().copy()


def _binary(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return rows of -1 and 1, (B, n)."""
    found = np.atleast_2d(np.asarray(values, np.float64))
    if found.ndim != 2 or not found.size or not np.isin(found, (-1.0, 1.0)).all():
        raise ValueError(
            f"`{name}` must be rows of -1 and 1, got shape {found.shape} and other numbers; turn "
            "zeros and ones into these by `2 * x - 1`."
        )
    return found


def _fitting(name: str, values: ArrayLike, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers (..., n) of as many units as there are weights."""
    found = np.asarray(values, np.float64)
    if not found.ndim or found.shape[-1] != len(weights):
        raise ValueError(
            f"`{name}` must have {len(weights)} units along the last axis, got shape {found.shape}."
        )
    return found


def _vector(name: str, values: ArrayLike, units: int) -> NDArray[np.float64]:
    """Return one number a unit, (n,)."""
    found = np.asarray(values, np.float64)
    if found.ndim == 0:
        check_number(name, float(found))
        return np.full(units, float(found))
    if found.shape != (units,) or not np.isfinite(found).all():
        raise ValueError(f"`{name}` must be one number or {units} finite ones, got {found.shape}.")
    return found
