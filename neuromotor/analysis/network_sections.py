"""The sections of a report that need the controller, not only what was recorded of it.

This module imports matplotlib; nothing imports it early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuromotor._declared import declares
from neuromotor.analysis.fixed_points import network_fixed_points
from neuromotor.analysis.jacobians import jacobian_spectrum
from neuromotor.analysis.lesions import LesionEffect, lesion_effect, sensitivity
from neuromotor.analysis.network_figures import (
    plot_fixed_points,
    plot_jacobian_spectrum,
    plot_lesions,
    plot_sensitivity,
)
from neuromotor.analysis.recording import RecordingError
from neuromotor.analysis.section import Section
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.zoo.saved_controller import SavedController

if TYPE_CHECKING:
    import xarray as xr

_TRIALS = 4  # whose Jacobians are taken, spread over the recording


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
    figures = {"fixed-points": plot_fixed_points(found, saved.controller.dt_s)}
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
    figures = {"jacobian": plot_jacobian_spectrum(found)}
    return Section("jacobian", "Jacobian over time", text, numbers, figures)


def sensitivity_section(saved: SavedController) -> Section:
    """How far the loss feels each moment."""
    if saved.task is None:
        raise RecordingError("the controller's file names no task.")
    values = sensitivity(saved.task, saved.controller, saved.parameters)
    profile = np.median(values, axis=0)
    numbers = {
        "first_step": profile[0],
        "last_step": profile[-1],
        "first_over_last": profile[0] / profile[-1] if profile[-1] > 0 else np.nan,
        "largest_over_smallest": profile.max() / profile.min() if profile.min() > 0 else np.nan,
    }
    text = "How far the loss feels the activations that each step starts from."
    times = np.asarray(saved.task.plant.dt_s * np.arange(len(profile)), np.float64)
    figures = {"sensitivity": plot_sensitivity(times, values)}
    return Section("sensitivity", "Gradient over time", text, numbers, figures)


def lesions_section(recording: xr.Dataset, saved: SavedController, seed: int) -> Section:
    """What the most active units are needed for."""
    network = saved.controller
    if saved.task is None or not isinstance(network, ContinuousTimeRNN):
        raise RecordingError("lesions need a recurrent network and its task.")
    if not declares(network, "follows_equations"):
        raise RecordingError(
            f"lesions need a ContinuousTimeRNN itself, not a {type(network).__name__}, which may "
            "read its rates in another way."
        )
    numbers: dict[str, Any] = {}
    effects: dict[str, LesionEffect] = {}
    deviation = recording["rate"].values.std((0, 1))
    start = 0
    for layer, size in enumerate(network.layers):
        own = deviation[start : start + size]
        start += size
        units = np.argsort(-own)[: max(1, size // 20)].tolist()
        effect = lesion_effect(
            saved.task, network, saved.parameters, units, layer, surrogates=10, seed=seed
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
    text = "The most active twentieth of each layer silenced; null: as many random units of it."
    figures = {"lesions": plot_lesions(effects)}
    return Section("lesions", "Lesions", text, numbers, figures)
