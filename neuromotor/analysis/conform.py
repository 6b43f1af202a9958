"""Datasets from elsewhere get the units, axes and times of a recording, or are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.quantities import ABSOLUTE, Given, conversion, given

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["conformed", "even_grid", "own_axes", "snapped", "units_of"]

_FREE = ("rate", "activation", "cue")  # any unit may stand there; per-second rates have one name
_RATE = "spikes/s"
_ELSE = {  # of plants that are no arm of joints and torques
    "joint_position": ("m",),
    "joint_velocity": ("m/s",),
    "command": ("N", "1"),
    "load": ("N", "1"),
    "push_load": ("N", "1"),
}
_ROUNDED_S = 1.5e-6  # the largest error of times that were printed in whole microseconds
_UNEVEN = 0.05  # of a step: a larger difference is no rounding, however short the step


def units_of(name: str, unit: str) -> tuple[str, ...]:
    """Return the units that a variable may have in a recording, that of the layout first."""
    return (unit, *_ELSE.get(name, ()))


def own_axes(name: str, dims: tuple[str, ...]) -> tuple[str, ...]:
    """Return a variable's axes; loads had those of the commands in earlier recordings."""
    if name not in ("load", "push_load"):
        return dims
    return tuple("load_axis" if dim == "actuator" else dim for dim in dims)


def even_grid(time: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return the even grid that times (s), (T,), lie on but for their rounding; None without one.

    Rounded are times in whole microseconds, times of single precision, and seconds since 1970.
    """
    values = np.asarray(time, dtype=np.float64)
    if len(values) < 2:
        return values
    grid = np.linspace(values[0], values[-1], len(values))
    step = (values[-1] - values[0]) / (len(values) - 1)
    if not (np.isfinite(step) and step > 0):
        return None
    digits = np.finfo(time.dtype).eps if time.dtype.kind == "f" else 0.0
    rounding = max(_ROUNDED_S, 2 * digits * float(np.abs(values).max()))
    allowed = min(rounding, _UNEVEN * step) + 1e-6 * step
    return grid if float(np.abs(values - grid).max()) <= allowed else None


def snapped(time: NDArray[Any]) -> NDArray[np.float64]:
    """Return times (s) on their even grid; as they are where they are even, or have no grid."""
    values = np.asarray(time, dtype=np.float64)
    steps = np.diff(values)
    grid = even_grid(time)
    if grid is None or not steps.size or np.ptp(steps) <= 1e-9 * np.abs(steps.mean()):
        return values
    return grid


def conformed(dataset: xr.Dataset, layout: Mapping[str, Any], events: Sequence[str]) -> xr.Dataset:
    """Return a dataset in the units of the layout, on its axes, with times (s) on an even grid.

    Times as moments (dates) count from the first sample. What is no variable of the layout stays.

    Args:
        dataset: Dataset with `time` and variables of the layout.
        layout: Axes and unit of each variable.
        events: Those variables that are moments of trials.

    Raises:
        ValueError: A unit is unknown or does not suit its variable; the message names it.
    """
    here = [name for name in ("time", "condition", "layer") if name in dataset.data_vars]
    dataset = dataset.set_coords(here)
    found = {name: given(name, dataset[name].variable) for name in layout if name in dataset}
    changed: dict[str, Any] = {}
    if "time" in dataset.variables:
        own = given("time", dataset["time"].variable)
        present = {name: found.pop(name) for name in events if name in found}
        time, moments = _times(own, present)
        for name, values in moments.items():
            attrs = {**dataset[name].attrs, "units": "s"}
            changed[name] = (present[name].dims, values, attrs)
        attrs = {**dataset["time"].attrs, "units": "s"}
        dataset = dataset.assign_coords(time=(own.dims, snapped(time), attrs))
    for name, part in found.items():
        values, unit = _converted(name, part, layout[name].unit)
        dims = own_axes(name, part.dims or ())
        wanted = layout[name].dims
        if dims != wanted and sorted(dims) == sorted(wanted):
            values, dims = values.transpose([dims.index(dim) for dim in wanted]), wanted
        changed[name] = (dims, values, {**dataset[name].attrs, "units": unit})
    if "actuator" in dataset.coords and any(
        name in changed and "actuator" in dataset[name].dims for name in ("load", "push_load")
    ):
        dataset = dataset.assign_coords(load_axis=dataset["actuator"].values)
    return dataset.assign(changed)


def _converted(name: str, part: Given, unit: str) -> tuple[NDArray[Any], str]:
    """Return values in a unit of the layout, and that unit."""
    values = part.values if part.values.dtype.kind in "fM" else part.values.astype(np.float64)
    known = units_of(name, unit)
    if part.unit is None or part.unit in known:
        return values, part.unit or unit
    if name in _FREE:
        return _free(values, part.unit)
    for wanted in known if unit != "mixed" else ():
        try:
            factor = conversion(part.unit, wanted)
        except ValueError as error:
            raise ValueError(
                f"`{name}` has the {error}; give it in {' or '.join(known)}, and say so."
            ) from error
        if factor is not None:
            return values * factor, wanted
    raise ValueError(f"`{name}` must be in {' or '.join(known)}, got {part.unit!r}.")


def _free(values: NDArray[Any], unit: str) -> tuple[NDArray[Any], str]:
    """Return per-second rates in spikes/s, and any other unit as it is."""
    try:
        factor, none = conversion(unit, _RATE), conversion(unit, "1")
    except ValueError:
        return values, unit
    if factor is not None:
        return values if factor == 1 else values * factor, _RATE
    return values, "1" if none == 1 and "spike" not in unit.lower() else unit


def _times(
    own: Given, events: Mapping[str, Given]
) -> tuple[NDArray[Any], dict[str, NDArray[np.float64]]]:
    """Return times and events in seconds, counted from the first sample where they are dates."""
    numbers, factor, since = _clock("time", own)
    start: Any = 0
    if since is not None and numbers.size:
        start = numbers[0]
    time = numbers - start if since is not None else numbers
    time = time if factor == 1 else time * factor
    moments = {}
    for name, part in events.items():
        values, scale, other = _clock(name, part)
        if other != since or (part.unit is None and factor != 1 and since is None):
            kind = "moments" if since is not None else f"`{own.unit}`" if own.unit else "seconds"
            got = "moments" if other is not None else f"`{part.unit}`" if part.unit else "no unit"
            raise ValueError(
                f"`{name}` must be timed as `time` is, which is in {kind}; got {got}: say its "
                "unit, and count both from the same moment."
            )
        missing = np.isnat(part.values) if part.values.dtype.kind == "M" else None
        seconds = np.asarray((values - start) * 1.0 if scale == factor else values * 1.0)
        seconds = seconds * scale - (0.0 if scale == factor else start * factor)
        moments[name] = seconds if missing is None else np.where(missing, np.nan, seconds)
    return time, moments


def _clock(name: str, part: Given) -> tuple[NDArray[Any], float, str | None]:
    """Return numbers, their factor to seconds, and the moment from which they count, if any."""
    if part.values.dtype.kind == "M":
        return part.values.astype("datetime64[ns]").astype(np.int64), 1e-9, "1970"
    unit, _, since = (part.unit or "s").partition(ABSOLUTE)
    try:
        factor = conversion(unit, "s")
    except ValueError as error:
        raise ValueError(f"`{name}` has the {error}; give it in seconds.") from error
    if factor is None:
        raise ValueError(f"`{name}` must be in s, got {part.unit!r}.")
    return part.values, factor, since.strip() or None
