"""What perturbed trials are held against, and whether a controller is the one that was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.recording import record, recorded_run
from neuromotor.closed_loop import ClosedLoop
from neuromotor.zoo.saved_controller import SavedController

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["check_controller", "perturbed_trials", "run_without_loads", "trials_like"]

_CLOSE = 1e-3  # of the largest command: by how much a controller in float32 may differ
_NEAR_M = 0.01  # within which starts are the same
_SAME = (  # of trials that have one course where neither is perturbed
    *("target", "target_position", "shown_target", "cue", "target_time", "go_time"),
    *("trials_field", "trials_wanted"),
)


def perturbed_trials(
    recording: xr.Dataset, variable: str, unperturbed: xr.Dataset | None
) -> NDArray[np.bool_]:
    """Return which trials are perturbed, (B,).

    Args:
        recording: Trials with `perturbation_time`.
        variable: What is compared with the unperturbed trials.
        unperturbed: The same trials, one for one, without their perturbations, if these are known.

    Raises:
        RecordingError: A variable is missing, no trial is perturbed, or `unperturbed` holds other
            trials.
    """
    check_recording(recording, ["perturbation_time", variable])
    perturbed = np.isfinite(recording["perturbation_time"].values)
    if not perturbed.any():
        raise RecordingError("no trial of the recording is perturbed.")
    if unperturbed is not None:
        check_recording(unperturbed, [variable])
        shape, wanted = unperturbed[variable].shape, recording[variable].shape
        if shape != wanted:
            raise RecordingError(
                f"`unperturbed` must hold the same trials, times and units, got `{variable}` of "
                f"shape {shape} for {wanted}."
            )
    return np.asarray(perturbed)


def trials_like(recording: xr.Dataset, trial: int) -> NDArray[np.bool_]:
    """Return which unperturbed trials have the start, targets, cues and force field of a trial.

    There are none where the recording does not hold targets and hand positions.
    """
    alike = np.isnan(recording["perturbation_time"].values)
    if "target_position" not in recording or "hand_position" not in recording:
        return np.zeros_like(alike)
    start = recording["hand_position"].values[:, 0]
    alike &= np.linalg.norm(start - start[trial], axis=-1) <= _NEAR_M
    for name in _SAME:
        if name == "trials_field" and "trials_field_on" in recording:
            continue  # it is a perturbation: trials without one are in no field
        if name in recording:
            part = recording[name].values.reshape(len(start), -1)
            alike &= np.isclose(part, part[trial], rtol=1e-6, atol=1e-9, equal_nan=True).all(-1)
    return np.asarray(alike)


def run_without_loads(recording: xr.Dataset, saved: SavedController) -> xr.Dataset | None:
    """Return the recorded trials again, without their loads.

    None where the recording does not know its trials, where no trial has a load, or where the times
    are no longer those of the trials.
    """
    if "perturbation_time" not in recording or "aligned_to" in recording.attrs:
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


def check_controller(recording: xr.Dataset, saved: SavedController) -> None:
    """Raise unless a controller gives the first commands of a recording.

    A recording that does not know its trials, or no longer holds their start, passes: there is
    nothing to compare the controller with.

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
    if away > _CLOSE * np.abs(first).max():
        raise RecordingError(
            f"the controller is not the one that was recorded: its first commands differ by up to "
            f"{away:.3g} {recording['command'].attrs.get('units', '')}; give that controller's "
            "file, or none."
        )
