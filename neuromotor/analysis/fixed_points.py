"""Fixed points of a network under constant input, and its linear dynamics around them.

Notation: v are the activations, F is one step, r = (F(v) - v) / dt the speed, J = dF/dv, and mu are
the eigenvalues of J.

    minimise |r|^2 / 2 by Levenberg-Marquardt (as Sussillo & Barak 2013, to second order)
    mode: time constant -dt / ln|mu|, frequency arg(mu) / (2 pi dt); stable if every |mu| < 1

Searches start from states that the network visits. The result says how many starts led to each
point, and `speed` tells fixed points from points that are only slow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor.analysis._arrays import by_sample
from neuromotor.analysis.jacobians import network_step, spectrum, with_jacobian
from neuromotor.analysis.layout import RecordingError, sample_at, told
from neuromotor.analysis.section import Findings, Material, SectionSpec
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.controllers import Controller

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "FixedPoints",
    "draw_eigenvalues",
    "find_fixed_points",
    "network_fixed_points",
    "plot_fixed_points",
]


@dataclass(frozen=True)
class FixedPoints:
    """Points where the network's speed has a minimum; F of them, N units, sorted by speed.

    Attributes:
        points: Activations v, (F, N).
        speed: |r| (1/s) at each, (F,).
        converged: Whether the speed is below the tolerance: a fixed point, not a slow one, (F,).
        eigenvalues: Eigenvalues of J at each, largest modulus first, (F, N).
        time_constants_s: Time constant of each mode, (F, N), infinite where |mu| = 1 and negative
            where the mode grows.
        frequencies_hz: Frequency of each mode, (F, N).
        stable: Whether every mode decays, (F,).
        found_from: Starts that led to each, (F,).
    """

    points: NDArray[np.float64]
    speed: NDArray[np.float64]
    converged: NDArray[np.bool_]
    eigenvalues: NDArray[np.complex128]
    time_constants_s: NDArray[np.float64]
    frequencies_hz: NDArray[np.float64]
    stable: NDArray[np.bool_]
    found_from: NDArray[np.int64]


@torch_threads()
def network_fixed_points(
    controller: Controller,
    parameters: Tensor,
    recording: xr.Dataset,
    *,
    at_s: float | None = None,
    trial: int = 0,
    starts: int = 16,
    tolerance: float = 1e-8,
    iterations: int = 100,
) -> FixedPoints:
    """Return the fixed points of a controller whose input is held as in one trial at one time.

    Args:
        controller: A network; its private noise is left out.
        parameters: Its parameters, (P,).
        recording: What it did: gives input and starting points (activations of all trials).
        at_s: When the input is taken (s); the last time by default.
        trial: Whose input.
        starts: States along the recording's trials to start from.
        tolerance: Speed (1/s) below which a point counts as fixed.
        iterations: Most Levenberg-Marquardt steps.

    Raises:
        RecordingError: The recording lacks activations, observations or targets, or is of another
            network.
    """
    step = network_step(controller, parameters, recording)
    time = recording["time"].values
    when = len(time) - 1 if at_s is None else sample_at(time, at_s)
    if when is None:
        raise RecordingError(
            f"`at_s` must lie in the recording ({time[0]:g} to {time[-1]:g} s), got {at_s:g} s."
        )
    observation = torch.from_numpy(recording["observation"].values[trial, when])
    target = torch.from_numpy(told(recording, [trial])[0, when])

    visited = by_sample(recording["activation"].values)
    chosen = visited[np.linspace(0, len(visited) - 1, starts).round().astype(int)]
    return find_fixed_points(
        lambda v: step(v, observation.expand(len(v), -1), target.expand(len(v), -1), when),
        torch.from_numpy(chosen),
        controller.dt_s,
        tolerance=tolerance,
        iterations=iterations,
    )


def find_fixed_points(
    step: Callable[[Tensor], Tensor],
    starts: Tensor,
    dt_s: float,
    *,
    tolerance: float = 1e-8,
    iterations: int = 100,
) -> FixedPoints:
    """Return the fixed points of any map, from starting points (S, N) that are searched at once.

    Args:
        step: One step of the dynamics, (S, N) to (S, N), each row by itself; differentiable.
        starts: Float64.
        dt_s: Its length (s).
        tolerance: Speed (1/s) below which a point counts as fixed.
        iterations: Most Levenberg-Marquardt steps.
    """
    v = starts.detach().double().clone()
    damping = torch.full((len(v),), 1e-3, dtype=torch.float64)
    identity = torch.eye(v.shape[1], dtype=torch.float64)
    for _ in range(iterations):
        after, jacobian = with_jacobian(step, v)
        residual = after - v
        square = residual.square().sum(-1)
        if bool((square.sqrt() / dt_s < 1e-2 * tolerance).all()):
            break
        slope = jacobian - identity
        gram = slope.mT @ slope
        gradient = (slope.mT @ residual.unsqueeze(-1)).squeeze(-1)
        move = torch.linalg.solve(gram + damping[:, None, None] * identity, -gradient)
        trial = v + move
        with torch.no_grad():
            better = (step(trial) - trial).square().sum(-1) < square
        v = torch.where(better[:, None], trial, v)
        damping = torch.where(better, 0.1 * damping, 10 * damping).clamp(1e-14, 1e10)
    after, jacobian = with_jacobian(step, v)
    speed = (after - v).norm(dim=-1) / dt_s
    kept, counts = _distinct(v, speed)
    mu = spectrum(jacobian[kept])
    with np.errstate(divide="ignore"):
        constants = -dt_s / np.log(np.abs(mu))
    return FixedPoints(
        points=v[kept].numpy(),
        speed=speed[kept].numpy(),
        converged=speed[kept].numpy() < tolerance,
        eigenvalues=mu,
        time_constants_s=constants,
        frequencies_hz=np.abs(np.angle(mu)) / (2 * np.pi * dt_s),
        stable=np.abs(mu).max(1) < 1,
        found_from=np.array(counts),
    )


def _distinct(v: Tensor, speed: Tensor) -> tuple[list[int], list[int]]:
    """Return one point of each cluster, slowest first, and how many points each cluster has."""
    kept: list[int] = []
    counts: list[int] = []
    for i in torch.argsort(speed).tolist():
        for place, j in enumerate(kept):
            if float((v[i] - v[j]).norm()) < 1e-4 * (1 + float(v[j].norm())):
                counts[place] += 1
                break
        else:
            kept.append(i)
            counts.append(1)
    return kept, counts


def plot_fixed_points(found: FixedPoints, dt_s: float) -> Figure:
    """Draw the eigenvalues of the slowest point on the unit circle, and each mode's time scale."""
    from neuromotor.analysis.drawing import NULL_COLOR, panels
    from neuromotor.plotting import COLORS

    with panels(1, 2, figsize=(6.0, 2.8)) as (figure, (left, right)):
        mu = found.eigenvalues[0]
        draw_eigenvalues(left, mu)
        left.set_title("eigenvalues of one step")
        decays = np.abs(mu) < 1
        constants, frequencies = found.time_constants_s[0], found.frequencies_hz[0]
        right.plot(frequencies[decays], 1e3 * constants[decays], ".", color=COLORS[0])
        right.axhline(1e3 * dt_s, color=NULL_COLOR, linestyle="--")
        right.set_yscale("log")
        right.set(xlabel="frequency (Hz)", ylabel="time constant (ms)", title="decaying modes")
    return figure


def draw_eigenvalues(ax: Axes, mu: NDArray[np.complex128]) -> None:
    """Draw eigenvalues of one step in the plane, with the unit circle."""
    from neuromotor.analysis.drawing import draw_unit_circle
    from neuromotor.plotting import COLORS

    draw_unit_circle(ax)
    ax.plot(mu.real, mu.imag, ".", color=COLORS[0], markersize=3)


def _section(given: Material) -> Findings:
    """Fixed points and the spectrum around the slowest."""
    network = given.network
    found = network_fixed_points(network.controller, network.parameters, given.recording)
    constants = found.time_constants_s[0][np.abs(found.eigenvalues[0]) < 1]
    numbers = {
        "fixed_points": found.converged.sum(),
        "slow_points": (~found.converged).sum(),
        "speed_1_s": found.speed[0],
        "stable": bool(found.stable[0]),
        "largest_eigenvalue": np.abs(found.eigenvalues[0, 0]),
        "longest_time_constant_s": constants.max() if constants.size else np.nan,
        "frequency_of_first_mode_hz": found.frequencies_hz[0, 0],
    }
    text = (
        "The input is held as it was at the end of the first trial. Numbers and figure describe "
        "the slowest point."
    )
    draw = partial(plot_fixed_points, found, network.controller.dt_s)
    return Findings(text, numbers, {"fixed-points": draw})


SECTION = SectionSpec(
    "fixed-points",
    "Fixed points",
    140,
    _section,
    ("controller",),
    lambda _: 0.7,
    reading="Eigenvalues inside the circle are modes that decay, and the further out, the slower; "
    "starts are visited states, and there is no null.",
)
