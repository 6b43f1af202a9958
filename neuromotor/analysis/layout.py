"""The layout of a recording: its variables with their axes and units, and the check of a dataset.

A recording is one labelled dataset of what network, limb and world did, trial by trial. Its arrays
lie over ``trial x time x unit`` (or axis, joint, actuator, load_axis, state). `time` holds seconds
on an even grid, `condition` labels each trial and `layer` labels each unit. Only `time`,
`condition` and one variable are needed; each analysis names what it uses. A sample at time t holds
the state at t, and the rates and the command that were computed from what was seen at t. The
command acts until the next sample. The state after the last step has no rates: it is in
`final_hand_position`, `final_hand_velocity` and `final_time`. `state` counts the numbers of a state
that the controller is given. Variables named `actuator_...` hold the parts of a plant's state that
are no mechanics, such as activations of muscles, and muscles' lengths and velocities. Those named
`trials_...` hold the batch that was run, loads and noise draws included, from which `recorded_run`
makes the recorded task and trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.conform import even_grid, units_of
from neuromotor.analysis.parts import pieces, unread
from neuromotor.analysis.quantities import missing_labels, unlabelled

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "ACTUATOR",
    "EVENTS",
    "FORMAT",
    "GAPS",
    "LAYOUT",
    "TRIALS",
    "RecordingError",
    "VariableLayout",
    "check_in_plane",
    "check_recording",
    "sample_at",
    "told",
]

FORMAT = {"format": "neuromotor.recording", "format_version": "1"}  # attributes of a recording


class RecordingError(ValueError):
    """Raised where a dataset or file is not a recording, or lacks what an analysis needs."""


class VariableLayout(NamedTuple):
    """Axes, unit and meaning of one variable of a recording.

    `told` are its axes where the target is told in other numbers than those that are sensed.
    """

    dims: tuple[str, ...]
    unit: str
    meaning: str
    told: tuple[str, ...] | None = None


_SERIES = ("trial", "time")
LAYOUT: dict[str, VariableLayout] = {
    "rate": VariableLayout((*_SERIES, "unit"), "1", "rates h = tanh(v), or anybody's unit rates"),
    "activation": VariableLayout((*_SERIES, "unit"), "1", "activations v"),
    "hand_position": VariableLayout((*_SERIES, "axis"), "m", "position of the hand"),
    "hand_velocity": VariableLayout((*_SERIES, "axis"), "m/s", "velocity of the hand"),
    "joint_position": VariableLayout((*_SERIES, "joint"), "rad", "joint angles"),
    "joint_velocity": VariableLayout((*_SERIES, "joint"), "rad/s", "joint velocities"),
    "command": VariableLayout((*_SERIES, "actuator"), "N m", "torques commanded, without noise"),
    "load": VariableLayout((*_SERIES, "load_axis"), "N m", "torques applied by the world"),
    "hand_force": VariableLayout((*_SERIES, "axis"), "N", "forces applied to the hand"),
    "observation": VariableLayout((*_SERIES, "state"), "mixed", "what the controller saw"),
    "shown_target": VariableLayout(
        (*_SERIES, "state"), "mixed", "target that was shown", (*_SERIES, "told")
    ),
    "shown_target_position": VariableLayout((*_SERIES, "axis"), "m", "hand's place in that target"),
    "cue": VariableLayout((*_SERIES, "signal"), "1", "cues that the controller got"),
    "clock": VariableLayout((*_SERIES, "tick"), "1", "the time that is left, as it was told"),
    "target": VariableLayout(("trial", "state"), "mixed", "state to be reached", ("trial", "told")),
    "target_position": VariableLayout(("trial", "axis"), "m", "hand position to be reached"),
    "final_hand_position": VariableLayout(("trial", "axis"), "m", "after the last step"),
    "final_hand_velocity": VariableLayout(("trial", "axis"), "m/s", "after the last step"),
    "final_time": VariableLayout(("trial",), "s", "when the last step ends"),
    "target_angle": VariableLayout(
        ("trial",), "deg", "direction from the first hand position to the target; NaN if none"
    ),
    "push_force": VariableLayout(("trial", "axis"), "N", "hand force when it is largest"),
    "push_load": VariableLayout(("trial", "load_axis"), "N m", "load when it is largest"),
    "target_time": VariableLayout(("trial",), "s", "target shown first changes; 0 if never"),
    "go_time": VariableLayout(("trial",), "s", "go signal; NaN where none"),
    "perturbation_time": VariableLayout(("trial",), "s", "first load or force; NaN where none"),
    "movement_onset": VariableLayout(("trial",), "s", "by speed criterion; NaN where none"),
}
EVENTS = ("target_time", "go_time", "perturbation_time", "movement_onset")
GAPS = "gaps"  # attribute of a recording in which samples may be missing
ACTUATOR = "actuator_"  # before the names of the parts of a state that are no mechanics
TRIALS = "trials_"  # before the names of the parts of the trials that were run
_MAY_LACK = (*EVENTS, "target_angle")  # NaN where a trial has none


def check_recording(
    recording: xr.Dataset, needs: Sequence[str] = (), *, gaps: bool = False
) -> None:
    """Raise unless a dataset has the layout of a recording, and holds what an analysis needs.

    Args:
        recording: Dataset to check; it may hold more than the layout.
        needs: Names of further variables that must be there.
        gaps: Whether samples may be missing in a recording that says so by its attribute `gaps`.

    Raises:
        RecordingError: The message names what is missing or wrong, and what to do.
    """
    import xarray as xr

    if not isinstance(recording, xr.Dataset):
        raise RecordingError(
            f"a recording must be an xarray.Dataset, got {type(recording).__name__}; make one with "
            "`make_recording`."
        )
    for name in needs:
        if name not in recording.variables:
            layout = LAYOUT.get(name)
            about = f" {layout.dims}: {layout.meaning}" if layout else ""
            raise RecordingError(f"the recording lacks `{name}`{about}; add it to the dataset.")
    if not any(name in recording.data_vars for name in LAYOUT):
        raise RecordingError(
            f"the recording lacks `rate`, and any other variable of {', '.join(LAYOUT)}."
        )
    for name, dim in (("time", "time"), ("condition", "trial")):
        if name not in recording.coords or recording[name].dims != (dim,):
            raise RecordingError(f"the recording lacks the coordinate `{name}` along `{dim}`.")
    _check_labels(recording)
    if str(recording["time"].attrs.get("units", "s")) != "s":
        raise RecordingError(_other_unit("time", "s", recording["time"].attrs["units"]))
    for name, layout in LAYOUT.items():
        if name not in recording:
            continue
        values = recording[name]
        if values.dims not in (layout.dims, layout.told):
            raise RecordingError(
                f"`{name}` must have the axes {layout.dims}, got {values.dims}; use "
                f"`.transpose(...)`."
            )
        if values.dtype.kind not in "fiu":
            raise RecordingError(f"`{name}` must hold numbers, got dtype {values.dtype}.")
        unit, known = values.attrs.get("units"), units_of(name, layout.unit)
        if unit is not None and layout.unit != "1" and unit not in known:
            raise RecordingError(_other_unit(name, " or ".join(known), unit))
        if not unread(values):  # what is in a file was checked when that was opened
            _check_finite(name, values, gaps=gaps and GAPS in recording.attrs)
    for dim in ("trial", "time", "unit"):
        if recording.sizes.get(dim, 1) == 0:
            raise RecordingError(f"the recording has no entries along `{dim}`.")
    if recording.sizes.get("axis", 2) not in (2, 3):
        raise RecordingError(
            f"`axis` must be x and y, or x, y and z, got {recording.sizes['axis']} entries."
        )
    time = recording["time"].values
    if time.dtype.kind not in "fiu":
        raise RecordingError(f"`time` must hold seconds, got dtype {time.dtype}.")
    if even_grid(time) is None:
        raise RecordingError(
            "`time` must be an even, increasing grid in seconds; resample the data at even times "
            "first, as `numpy.interp` does, or xarray's `.interp(time=...)`."
        )


def _check_finite(name: str, values: xr.DataArray, *, gaps: bool) -> None:
    """Raise where a variable holds values that it must not hold."""
    if gaps and values.dims[:2] == _SERIES:
        infinite = sum(int(np.isinf(part.values).sum()) for _, part in pieces(values, "trial"))
        if infinite:
            raise RecordingError(f"`{name}` holds {infinite} infinite values; correct them.")
        return
    if name in _MAY_LACK:
        return
    bad = sum(int((~np.isfinite(part.values)).sum()) for _, part in pieces(values, "trial"))
    if bad and (ends := _padded(values.values, values.dims)):
        first, count = ends
        raise RecordingError(
            f"`{name}` holds {bad} NaN values: {count} of {values.shape[0]} trials end in "
            f"them. Cut all trials to the shortest (`recording.isel(time=slice({first}))`) or "
            f'leave the short ones out (`recording.dropna("trial", subset=["{name}"])`, or '
            "`complete_trials(recording)`)."
        )
    if bad:
        raise RecordingError(
            f"`{name}` holds {bad} NaN or infinite values; leave those trials or units out "
            '(as with `recording.dropna("trial", subset=[...])` or `complete_trials`) or fill '
            "them in."
        )


def check_in_plane(recording: xr.Dataset) -> None:
    """Raise unless the hand moves in a plane, for analyses that are about one."""
    if recording.sizes.get("axis", 2) != 2:
        raise RecordingError(
            f"`axis` must be x and y for an analysis in the plane, got {recording.sizes['axis']} "
            "entries; leave one out, as with `recording.isel(axis=[0, 1])`."
        )


def _check_labels(recording: xr.Dataset) -> None:
    """Raise unless every trial has its condition and every unit its layer."""
    for name in ("condition", "layer"):
        if name not in recording.coords:
            continue
        missing = unlabelled(recording[name].values)
        if missing.any():
            raise RecordingError(missing_labels(name, missing))


def _other_unit(name: str, wanted: str, unit: object) -> str:
    return (
        f"`{name}` must be in {wanted}, got {unit!r}; `make_recording` and `load_recording` "
        "convert it."
    )


def _padded(values: NDArray[Any], dims: Sequence[Any]) -> tuple[int, int] | None:
    """Return the length of the shortest trial and how many are cut, if NaN only pad their ends."""
    if tuple(dims[:2]) != _SERIES or values.shape[1] == 0:
        return None
    known = np.isfinite(values).reshape(*values.shape[:2], -1)
    whole = known.all(-1)
    lengths = np.where(whole.all(1), values.shape[1], whole.argmin(1))
    after = np.arange(values.shape[1]) >= lengths[:, None]
    if lengths.min() == 0 or known[after].any():
        return None
    return int(lengths.min()), int((lengths < values.shape[1]).sum())


def sample_at(time_s: NDArray[np.float64], moment_s: float) -> int | None:
    """Return the sample nearest to a moment, None where it lies outside the recording.

    Args:
        time_s: Even grid, (T,).
        moment_s: Moment (s), at most half a step before the first or after the last sample.
    """
    reach = 0.5 * float(time_s[1] - time_s[0]) if len(time_s) > 1 else 0.0
    reach += 1e-9 * max(1.0, float(np.abs(time_s).max()))
    if not time_s[0] - reach <= moment_s <= time_s[-1] + reach:
        return None
    return int(np.abs(time_s - moment_s).argmin())


def told(recording: xr.Dataset, trials: Sequence[int]) -> NDArray[np.float64]:
    """Return what a controller was told of target, cues and time in trials, (S, T, n + c + k)."""
    rows, steps = list(trials), recording.sizes["time"]
    if "shown_target" in recording:
        shown = recording["shown_target"].values[rows]
    else:
        shown = np.repeat(recording["target"].values[rows][:, None], steps, axis=1)
    beside = [recording[name].values[rows] for name in ("cue", "clock") if name in recording]
    return np.concatenate([shown, *beside], axis=-1)
