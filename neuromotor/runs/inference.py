"""Settings of a task that are inferred from the movements in a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from neuromotor.analysis import recorded_run
from neuromotor.analysis.layout import ACTUATOR, RecordingError
from neuromotor.control import Inference, infer
from neuromotor.plants import Plant

__all__ = ["infer_recorded", "recorded_settings"]

_RECORDED = ("joint_position", "joint_velocity", "hand_position", "hand_velocity")


def infer_recorded(
    recording: xr.Dataset,
    names: Sequence[str],
    *,
    start: Mapping[str, float] | None = None,
    signals: Sequence[str] = ("state",),
    progress: Callable[[str], None] = lambda words: None,
    **options: Any,
) -> Inference:
    """Return the settings of a recording's task under which its movements are the likeliest.

    A recording holds the state before each step; that after the last is not used.

    Args:
        recording: Of any controller, made by `record`, over whole trials.
        names: Settings of the task that was recorded.
        start: Where the search begins; the recorded settings by default.
        signals: Of what the movement is taken: `state`, or `joint_position`, `joint_velocity`,
            `hand_position` and `hand_velocity`.
        progress: Called with what is going on, in words.
        **options: Further arguments of `control.infer`.

    Raises:
        RecordingError: The recording does not say what was run, is cut, or lacks a signal.
        ValueError: See `control.infer`.
    """
    task, trials = recorded_run(recording)
    if recording.sizes["time"] != task.steps:
        raise RecordingError(
            f"the recording has {recording.sizes['time']} of the task's {task.steps} steps; give "
            "the whole recording, as `record` made it."
        )
    measured = torch.cat([_signal(recording, task.plant, name) for name in signals], dim=-1)
    return infer(
        task, trials, measured, names, start=start, signals=signals, progress=progress, **options
    )


def recorded_settings(recording: xr.Dataset, names: Sequence[str]) -> dict[str, float]:
    """Return the values that settings of a recording's task had."""
    task, _ = recorded_run(recording)
    found = {}
    for name in names:
        value: Any = task
        for word in name.split("."):
            value = getattr(value, word)
        found[name] = float(value)
    return found


def _signal(recording: xr.Dataset, plant: Plant, name: str) -> Tensor:
    """Return a signal over time, (B, T, k)."""
    if name in _RECORDED:
        return _values(recording, name)
    if name != "state":
        raise RecordingError(
            f"`signals` must be state, {', '.join(_RECORDED)} for a recording, got {name!r}."
        )
    names = {"position": "joint_position", "velocity": "joint_velocity"}
    shape = (recording.sizes["trial"], recording.sizes["time"], plant.state_size)
    state = torch.empty(shape, dtype=torch.float64)
    for part, where in plant.state_parts.items():
        state[..., where] = _values(recording, names.get(part, f"{ACTUATOR}{part}"))
    return state[..., list(plant.feedback)]


def _values(recording: xr.Dataset, name: str) -> Tensor:
    """Return a variable over time."""
    if name not in recording:
        raise RecordingError(f"the recording holds no `{name}`; choose other `signals`.")
    values = recording[name].transpose("trial", "time", ...).values
    return torch.from_numpy(values.astype(np.float64))
