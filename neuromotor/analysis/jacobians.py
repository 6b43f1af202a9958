"""Jacobian of a network's step along a trajectory, and its spectrum.

Notation: v are the activations, F is one step with its input, J = dF/dv, and mu are the eigenvalues
of J.

Products of J carry gradients back through time: moduli that stay below 1 let them vanish, above 1
explode (Bengio et al. 1994). The gradient of the loss itself, limb included, is `sensitivity`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.analysis.layout import RecordingError, check_recording, told
from neuromotor.analysis.section import Findings, Material, SectionSpec
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.controllers import Controller

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = [
    "JacobianSpectrum",
    "jacobian_spectrum",
    "network_step",
    "plot_jacobian_spectrum",
    "spectrum",
    "with_jacobian",
]

_SHOWN_TRIALS = 4  # whose Jacobians the report has, spread over the recording


@dataclass(frozen=True)
class JacobianSpectrum:
    """Spectrum of each step's Jacobian; B trials, T times, N units.

    Attributes:
        time_s: When each step starts (s): all samples but the first, (T - 1,).
        eigenvalues: Eigenvalues of J, largest modulus first, (B, T - 1, N).
        norm: Largest singular value of J: the most one step amplifies, (B, T - 1).
    """

    time_s: NDArray[np.float64]
    eigenvalues: NDArray[np.complex128]
    norm: NDArray[np.float64]


@torch_threads()
def jacobian_spectrum(
    controller: Controller,
    parameters: Tensor,
    recording: xr.Dataset,
    trials: Sequence[int] = (0,),
) -> JacobianSpectrum:
    """Return the spectrum of a controller's step along recorded trials.

    Args:
        controller: A network; its private noise is left out.
        parameters: Its parameters, (P,).
        recording: What it did.
        trials: Which trials.

    Raises:
        RecordingError: The recording lacks activations, observations or targets, is of another
            network, or holds one time only.
        ValueError: A trial does not exist.
    """
    step = network_step(controller, parameters, recording)
    if recording.sizes["time"] < 2:
        raise RecordingError("Jacobians over time need two times or more.")
    for trial in trials:
        check_integer("trials", trial, minimum=0)
        if trial >= recording.sizes["trial"]:
            raise ValueError(f"`trials` must be below {recording.sizes['trial']}, got {trial}.")
    rows = list(trials)
    activation = torch.from_numpy(recording["activation"].values[rows])
    observation = torch.from_numpy(recording["observation"].values[rows])
    target = torch.from_numpy(told(recording, rows))
    eigenvalues, norms = [], []
    for t in range(1, recording.sizes["time"]):  # all trials at once: no more Jacobians than those
        _, jacobian = with_jacobian(
            lambda v, t=t: step(v, observation[:, t], target[:, t], t),  # type: ignore[misc]
            activation[:, t - 1],
        )
        eigenvalues.append(spectrum(jacobian))
        norms.append(torch.linalg.matrix_norm(jacobian, 2).numpy())
    return JacobianSpectrum(
        recording["time"].values[1:], np.stack(eigenvalues, 1), np.stack(norms, 1)
    )


def network_step(
    controller: Controller, parameters: Tensor, recording: xr.Dataset
) -> Callable[[Tensor, Tensor, Tensor, int], Tensor]:
    """Return the map (v, observation, target, t) to v after the step, all rows by themselves.

    Raises:
        RecordingError: The recording lacks what it needs, or is of another network, or the network
            remembers more than its units.
    """
    if getattr(controller, "efference_copies", 0):
        raise RecordingError(
            "the controller is given copies of its last commands (`efference_copies`), so that its "
            "units are not all that its next step depends on; use the modes of the whole loop "
            "(`analyze --loop`)."
        )
    check_recording(recording, ["activation", "observation", "target"])
    weights = controller.unpack(parameters.detach().double())
    sizes = [part.shape[-1] for part in controller.initial_memory(weights, 1)]
    if sum(sizes) != recording.sizes["unit"]:
        raise RecordingError(
            f"the recording has {recording.sizes['unit']} units, the controller {sum(sizes)}; "
            "record this controller."
        )

    def step(v: Tensor, observation: Tensor, target: Tensor, t: int) -> Tensor:
        noise = v.new_zeros(len(v), controller.noise_size) if controller.noise_size else None
        memory, _ = controller.step(
            weights, torch.split(v, sizes, dim=-1), observation, target, t, noise
        )
        return torch.cat(memory, dim=-1)

    return step


def with_jacobian(step: Callable[[Tensor], Tensor], v: Tensor) -> tuple[Tensor, Tensor]:
    """Return F(v), (S, N), and its Jacobian, (S, N, N); rows must not depend on each other."""
    with torch.enable_grad():
        at = v.detach().requires_grad_(True)
        after = step(at)
        rows = [
            torch.autograd.grad(after[:, i].sum(), at, retain_graph=True)[0]
            for i in range(v.shape[1])
        ]
    return after.detach(), torch.stack(rows, dim=1)


def spectrum(jacobian: Tensor) -> NDArray[np.complex128]:
    """Return eigenvalues of matrices (..., N, N), largest modulus first."""
    mu = np.linalg.eigvals(jacobian.numpy())
    order = np.argsort(-np.abs(mu), axis=-1)
    return np.asarray(np.take_along_axis(mu, order, axis=-1), np.complex128)


def plot_jacobian_spectrum(found: JacobianSpectrum) -> Figure:
    """Draw the moduli of the largest eigenvalues over time, and every eigenvalue in the plane."""
    from neuromotor.analysis.drawing import NULL_COLOR, draw_unit_circle, panels
    from neuromotor.plotting import COLORS

    moduli = np.abs(found.eigenvalues)
    with panels(1, 2, figsize=(6.0, 2.8)) as (figure, (left, right)):
        times = 1e3 * found.time_s
        for place in range(min(5, moduli.shape[2])):
            label = {0: "five largest moduli"}.get(place)
            level = np.median(moduli[:, :, place], axis=0)
            left.plot(times, level, color=COLORS[0], alpha=1 - 0.18 * place, label=label)
        norm = np.median(found.norm, axis=0)
        left.plot(times, norm, color=COLORS[1], label="largest singular value")
        left.axhline(1, color=NULL_COLOR, linestyle="--")
        left.set(xlabel="time (ms)", ylabel="of one step (median over trials)")
        left.legend(fontsize=6)
        draw_unit_circle(right)
        mu = found.eigenvalues[0]
        shade = np.repeat(times, mu.shape[1])
        points = right.scatter(mu.real.ravel(), mu.imag.ravel(), c=shade, s=2, rasterized=True)
        figure.colorbar(points, ax=right, label="time (ms)")
        right.set(title="first trial")
    return figure


def _section(given: Material) -> Findings:
    """Spectrum of the network's step along some trials."""
    network, recording = given.network, given.recording
    last = recording.sizes["trial"] - 1
    trials = np.unique(np.linspace(0, last, _SHOWN_TRIALS).round().astype(int))
    found = jacobian_spectrum(network.controller, network.parameters, recording, trials.tolist())
    radius = np.abs(found.eigenvalues[..., 0])
    numbers = {
        "trials": len(trials),
        "median_spectral_radius": np.median(radius),
        "largest_spectral_radius": radius.max(),
        "share_of_steps_above_1": (radius > 1).mean(),
        "median_norm": np.median(found.norm),
        "largest_norm": found.norm.max(),
    }
    text = (
        "The Jacobian takes the activations before a step to those after it, with the recorded "
        "input. A mode whose eigenvalue has modulus 1 neither fades nor grows."
    )
    return Findings(text, numbers, {"jacobian": partial(plot_jacobian_spectrum, found)})


def _seconds(given: Material) -> float:
    sizes = given.recording.sizes
    return float(0.2 + 0.012 * sizes.get("time", 0) * sizes.get("unit", 0) ** 3 / 1e6)


SECTION = SectionSpec(
    "jacobian",
    "Jacobian over time",
    150,
    _section,
    ("controller",),
    _seconds,
    reading="Where moduli exceed 1, small differences grow from step to step; 1 is the reference, "
    "and there is no null.",
)
