"""The sections of a report that need the controller, not only what was recorded of it.

This module imports matplotlib; nothing imports it early.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neuromotor._declared import declares
from neuromotor.analysis.fixed_points import network_fixed_points
from neuromotor.analysis.jacobians import jacobian_spectrum
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.lesions import LesionEffect, lesion_effect, sensitivity
from neuromotor.analysis.network_figures import (
    plot_fixed_points,
    plot_jacobian_spectrum,
    plot_lesions,
    plot_sensitivity,
)
from neuromotor.analysis.recording import record, recorded_run
from neuromotor.analysis.section import Section, span
from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.zoo.saved_controller import SavedController

if TYPE_CHECKING:
    import xarray as xr

_TRIALS = 4  # whose Jacobians are taken, spread over the recording
_SAME = 1e-3  # of the largest command: by how much a controller in float32 may differ


def check_controller(recording: xr.Dataset, saved: SavedController) -> None:
    """Raise unless a controller gives the first commands of a recording.

    A recording that does not know its trials, or was cut from its start, cannot be held against it.

    Raises:
        RecordingError: It is another controller.
    """
    try:
        task, trials = recorded_run(recording)
    except RecordingError:
        return
    late = abs(float(recording["time"].values[0])) > 0.5 * task.plant.dt_s
    if "command" not in recording or "aligned_to" in recording.attrs or late:
        return
    try:
        with torch.no_grad():
            run = ClosedLoop(task, saved.controller).simulate(
                saved.parameters.to(trials.initial_state), trials
            )
    except ValueError as error:
        raise RecordingError(f"the controller is not the one that was recorded: {error}") from error
    first = run.commands[:, 0].numpy()
    away = np.abs(first - recording["command"].values[:, 0]).max()
    if away > _SAME * np.abs(first).max():
        raise RecordingError(
            f"the controller is not the one that was recorded: its first commands differ by up to "
            f"{away:.3g} {recording['command'].attrs.get('units', '')}; give that controller's "
            "file, or none."
        )


def unperturbed(recording: xr.Dataset, saved: SavedController | None) -> xr.Dataset | None:
    """The recorded trials again, without loads; None where these or the controller are not known.

    None too where no trial has a load, or the times are no longer those of the trials.
    """
    if saved is None or "perturbation_time" not in recording or "aligned_to" in recording.attrs:
        return None
    if np.isnan(recording["perturbation_time"].values).all():
        return None
    try:
        task, trials = recorded_run(recording)
    except RecordingError:
        return None
    parameters = saved.parameters.to(trials.initial_state)
    again = record(task, saved.controller, parameters, trials.without_loads())
    try:
        again = again.sel(unit=recording["unit"])
        return again.sel(time=recording["time"], method="nearest", tolerance=0.01 * task.plant.dt_s)
    except KeyError:
        return None


def fixed_points_section(recording: xr.Dataset, saved: SavedController) -> Section:
    """Fixed points and the spectrum around the slowest."""
    found = network_fixed_points(saved.controller, saved.parameters, recording)
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
    text = "Input held as at the end of the first trial; numbers and figure of the slowest point."
    figures = {"fixed-points": partial(plot_fixed_points, found, saved.controller.dt_s)}
    return Section("fixed-points", "Fixed points", text, numbers, figures)


def jacobian_section(recording: xr.Dataset, saved: SavedController) -> Section:
    """Spectrum of the network's step along some trials."""
    trials = np.unique(np.linspace(0, recording.sizes["trial"] - 1, _TRIALS).round().astype(int))
    found = jacobian_spectrum(saved.controller, saved.parameters, recording, trials.tolist())
    radius = np.abs(found.eigenvalues[..., 0])
    numbers = {
        "trials": len(trials),
        "median_spectral_radius": np.median(radius),
        "largest_spectral_radius": radius.max(),
        "share_of_steps_above_1": (radius > 1).mean(),
        "median_norm": np.median(found.norm),
        "largest_norm": found.norm.max(),
    }
    text = "Activations after a step by those before, input as recorded; 1 neither fades nor grows."
    figures = {"jacobian": partial(plot_jacobian_spectrum, found)}
    return Section("jacobian", "Jacobian over time", text, numbers, figures)


def sensitivity_section(recording: xr.Dataset, saved: SavedController) -> Section:
    """How far the loss feels each moment."""
    task, trials = recorded_run(recording)
    parameters = saved.parameters.to(trials.initial_state)
    values = sensitivity(task, saved.controller, parameters, trials)
    profile = np.median(values, axis=0)
    numbers = {
        "first_step": profile[0],
        "last_step": profile[-1],
        "first_over_last": profile[0] / profile[-1] if profile[-1] > 0 else np.nan,
        "largest_over_smallest": profile.max() / profile.min() if profile.min() > 0 else np.nan,
    }
    text = "How far the loss feels the activations that each step starts from, in recorded trials."
    times = np.asarray(task.plant.dt_s * np.arange(len(profile)), np.float64)
    figures = {"sensitivity": partial(plot_sensitivity, times, values)}
    return Section("sensitivity", "Gradient over time", text, numbers, figures)


def lesions_section(recording: xr.Dataset, saved: SavedController, seed: int) -> Section:
    """What the most active units are needed for."""
    network = saved.controller
    if not isinstance(network, ContinuousTimeRNN):
        raise RecordingError("lesions need a recurrent network.")
    if not declares(network, "follows_equations"):
        raise RecordingError(
            f"lesions need a ContinuousTimeRNN itself, not a {type(network).__name__}, which may "
            "read its rates in another way."
        )
    task, trials = recorded_run(recording)
    parameters = saved.parameters.to(trials.initial_state)
    check_recording(recording, ["rate"])
    if recording.sizes["unit"] != sum(network.layers):
        raise RecordingError("lesions need all units of the network.")
    numbers: dict[str, Any] = {}
    effects: dict[str, LesionEffect] = {}
    deviation = recording["rate"].values.std((0, 1))
    start = 0
    for layer, size in enumerate(network.layers):
        own = deviation[start : start + size]
        start += size
        units = np.argsort(-own)[: max(1, size // 20)].tolist()
        effect = lesion_effect(
            task,
            network,
            parameters,
            units,
            layer,
            trials=trials,
            surrogates=10,
            seed=seed,
        )
        effects[f"layer {layer + 1}"] = effect
        numbers[f"layer {layer + 1}"] = {
            "units_silenced": len(units),
            "intact_error_cm": effect.intact["target_error_cm"],
            "lesioned_error_cm": effect.lesioned["target_error_cm"],
            "null_median_error_cm": np.median([row["target_error_cm"] for row in effect.null]),
            "intact_loss": effect.intact["loss"],
            "lesioned_loss": effect.lesioned["loss"],
            "null_median_loss": np.median([row["loss"] for row in effect.null]),
        }
    text = (
        f"The most active twentieth of each layer ({span(recording)}) silenced, in the task and "
        f"the {len(trials)} trials that were recorded; null: as many random units of it."
    )
    figures = {"lesions": partial(plot_lesions, effects)}
    return Section("lesions", "Lesions", text, numbers, figures)
