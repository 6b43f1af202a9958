"""Recordings made from arrays, for instance of measured neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromotor.analysis.conform import conformed, own_axes
from neuromotor.analysis.layout import (
    EVENTS,
    FORMAT,
    GAPS,
    LAYOUT,
    RecordingError,
    check_recording,
)
from neuromotor.analysis.quantities import agree, given, labels_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["make_recording", "movement_onset", "with_velocity"]


def make_recording(
    time_s: ArrayLike,
    condition: ArrayLike,
    variables: Mapping[str, ArrayLike],
    *,
    layer: Sequence[str] | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
    units: Mapping[str, str] | None = None,
    attributes: Mapping[str, str] | None = None,
    gaps: bool = False,
) -> xr.Dataset:
    """Return a recording made from arrays, for instance of recorded neurons.

    Where positions are there and velocities or movement onsets are not, they are computed from them
    (central differences; `movement_onset`). Other units than those of `LAYOUT` are converted,
    whether they are named in `units` or come with the arrays (quantities of pint, quantities and
    astropy, the attribute `units` of xarray, durations). Axes with names are brought into order,
    masked values count as missing, and times as dates count from the first sample.

    Args:
        time_s: Even grid of times (s), (T,); rounding to whole microseconds does no harm.
        condition: Label of each trial, numbers or text, (B,).
        variables: Arrays by name, with the axes of `LAYOUT`: of numpy, torch, pandas or xarray.
        layer: Label of each unit, such as a cortical area, (N,).
        labels: Names along `joint`, `actuator`, `load_axis`, `state`; and along `told`, where the
            target was told in other numbers than those that were observed.
        units: Units of `time` and of variables where they are not those of `LAYOUT`, as in
            ``{"time": "ms", "hand_position": "cm", "rate": "spikes/s"}``.
        attributes: Anything else worth keeping, as text.
        gaps: Whether samples may be missing (NaN), as in trials of unequal lengths. Averages count
            the trials behind each of their samples; `complete_trials` leaves incomplete ones out.

    Raises:
        RecordingError: Something is missing or does not fit; the message names it.
    """
    unknown = sorted(set(variables) - set(LAYOUT))
    if unknown:
        raise RecordingError(f"unknown variables {unknown}; a recording holds {list(LAYOUT)}.")
    unknown = sorted(set(units or {}) - set(variables) - {"time"})
    if unknown:
        raise RecordingError(f"`units` names {unknown}, which are not among the variables.")
    if not variables:
        raise RecordingError("`variables` must hold at least one variable, such as `rate`.")
    data: dict[str, Any] = {}
    index: dict[str, NDArray[Any]] = {}
    try:
        for name, values in variables.items():
            dims = LAYOUT[name].dims
            if "told" in (labels or {}):
                dims = LAYOUT[name].told or dims
            data[name] = _variable(name, values, dims, units, index)
            data[name][2]["long_name"] = LAYOUT[name].meaning
        time = _variable("time", time_s, ("time",), units, index)
        coordinates: dict[str, Any] = {
            "time": time,
            "condition": ("trial", labels_of("condition", condition)),
        }
        sizes: dict[str, int] = {}
        for dims, array, _ in data.values():
            sizes |= dict(zip(dims, array.shape, strict=True))
        coordinates["trial"] = np.arange(sizes.get("trial", len(time[1])))
        if "unit" in sizes:
            coordinates["unit"] = np.arange(sizes["unit"])
            own = ["all"] * sizes["unit"] if layer is None else layer
            coordinates["layer"] = ("unit", labels_of("layer", own))
        if "axis" in sizes:
            coordinates["axis"] = ["x", "y", "z"][: sizes["axis"]]
        coordinates |= {dim: list(names) for dim, names in (labels or {}).items() if dim in sizes}
        recording = conformed(_joined(data, coordinates), LAYOUT, EVENTS)
    except ValueError as error:
        raise RecordingError(str(error)) from error
    recording.attrs = {**FORMAT, **(attributes or {})}
    if gaps:
        recording.attrs[GAPS] = "missing samples are NaN"
    check_recording(recording, gaps=gaps)
    return with_velocity(recording)


def movement_onset(
    time_s: NDArray[np.float64],
    speed: NDArray[np.float64],
    *,
    fraction: float = 0.1,
    minimum_peak: float = 0.01,
) -> NDArray[np.float64]:
    """Return when each movement begins: the last time before its peak at which it is still slow.

    Slow means below a fraction of the trial's own peak speed, as usual (5 to 10 % in most work on
    reaching). The onset is NaN where nothing moves or where the movement had begun already.

    Args:
        time_s: (T,).
        speed: Speed of the hand (m/s), (B, T).
        fraction: Fraction of the peak speed.
        minimum_peak: Trials that never get so fast (m/s) do not count as movements.
    """
    onset = np.full(len(speed), np.nan)
    for trial, trace in enumerate(np.where(np.isnan(speed), -np.inf, speed)):
        peak = int(trace.argmax())
        slow = np.flatnonzero(trace[: peak + 1] < fraction * trace[peak])
        slow = slow[np.isfinite(trace[slow])]  # a missing sample is not a slow one
        if trace[peak] >= minimum_peak and slow.size:
            onset[trial] = time_s[slow[-1]]
    return onset


def with_velocity(recording: xr.Dataset) -> xr.Dataset:
    """Return the recording with hand velocities and onsets, computed where they are missing."""
    several = recording.sizes["time"] > 1
    if several and "hand_position" in recording and "hand_velocity" not in recording:
        velocity = recording["hand_position"].differentiate("time")
        if GAPS in recording.attrs:  # beside a missing sample, the other side alone
            position = recording["hand_position"]
            step = float(recording["time"][1] - recording["time"][0])
            for shift in (1, -1):
                moved = shift * (position - position.shift(time=shift))
                velocity = velocity.fillna(moved / step)
        velocity.attrs = {"units": "m/s", "long_name": LAYOUT["hand_velocity"].meaning}
        recording["hand_velocity"] = velocity
    if "hand_velocity" in recording and "movement_onset" not in recording:
        speed = np.linalg.norm(recording["hand_velocity"].values, axis=-1)
        onset = movement_onset(recording["time"].values, speed)
        description = {"units": "s", "long_name": LAYOUT["movement_onset"].meaning}
        recording["movement_onset"] = ("trial", onset, description)
    return recording


def _joined(data: Mapping[str, Any], coordinates: Mapping[str, Any]) -> xr.Dataset:
    """Return arrays as one dataset."""
    import xarray as xr

    try:
        return xr.Dataset(data, coordinates)
    except ValueError as error:
        what = " ".join(str(error).split())
        raise RecordingError(f"the arrays do not fit together: {what}.") from error


def _variable(
    name: str,
    values: Any,
    dims: tuple[str, ...],
    units: Mapping[str, str] | None,
    index: dict[str, NDArray[Any]],
) -> tuple[tuple[str, ...], NDArray[Any], dict[str, str]]:
    """Return axes, plain numbers and attributes of a variable that somebody gave."""
    part = given(name, values)
    agree(name, {dim: own for dim, own in part.labels.items() if dim in dims}, index)
    if part.values.ndim != len(dims):
        raise RecordingError(f"`{name}` must have the axes {dims}, got shape {part.values.shape}.")
    array = part.values
    if part.dims is not None and not all(dim.startswith("dim_") for dim in part.dims):
        axes = own_axes(name, part.dims)
        if sorted(axes) != sorted(dims):
            raise RecordingError(
                f"`{name}` must have the axes {dims}, got {axes}; use `.rename(...)`, or give "
                "a plain array."
            )
        array = array.transpose([axes.index(dim) for dim in dims])
    said = (units or {}).get(name)
    if said is not None and part.unit is not None and said != part.unit:
        raise RecordingError(f"`{name}` comes in {part.unit!r}, and `units` says {said!r}.")
    unit = said if said is not None else part.unit
    return dims, array, {} if unit is None else {"units": unit}
