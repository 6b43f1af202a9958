"""Recordings of saved controllers and of references, as settings say, and their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import xarray as xr

from neuromotor.analysis import record, save_recording
from neuromotor.controllers import FeedbackChange, NetworkPerturbation
from neuromotor.runs.settings import RunSettings
from neuromotor.training.single import make_trials
from neuromotor.zoo.saved_controller import SavedController

__all__ = ["record_run", "write_recording"]


def record_run(
    actor: SavedController | str,
    settings: RunSettings,
    feedback: FeedbackChange | None = None,
    perturbations: Sequence[NetworkPerturbation] = (),
) -> xr.Dataset:
    """Return what units and limb do while a controller or a reference does the settings' task.

    Args:
        actor: A saved controller, or the name of a reference.
        settings: The task, and the seed and dtype of its trials.
        feedback: A change of what is seen.
        perturbations: What is done to a network's units or connections.
    """
    task, dtype = settings.task, settings.dtype
    if isinstance(actor, str):
        trials = task.trials(torch.Generator().manual_seed(settings.seed), dtype=dtype)
        return record(task, actor, None, trials, feedback=feedback, perturbations=perturbations)
    trials = make_trials(task, actor.controller, settings.seed, dtype=dtype)
    parameters = actor.parameters.to(trials.initial_state)
    return record(
        task, actor.controller, parameters, trials, feedback=feedback, perturbations=perturbations
    )


def write_recording(
    path: Path,
    recording: xr.Dataset,
    *,
    spike_rate_hz: float | None,
    fano: float = 1.0,
    seed: int,
    overwrite: bool,
) -> None:
    """Write a recording as NWB where the path ends in .nwb, else as netCDF (.nc or .nc4).

    Args:
        path: The file.
        recording: What is written.
        spike_rate_hz: For .nwb: spikes/s for a rate that is 1 above the unit's lowest one, None for
            no spikes.
        fano: For .nwb: Fano factor of the spikes.
        seed: For .nwb: seed of the spikes.
        overwrite: Whether an existing file is replaced.
    """
    if path.suffix.lower() == ".nwb":
        from neuromotor.analysis.nwb import save_nwb

        save_nwb(
            path,
            recording,
            spike_rate_hz=spike_rate_hz,
            fano=fano,
            seed=seed,
            overwrite=overwrite,
        )
    else:
        save_recording(path, recording, overwrite=overwrite)
