"""netCDF 4 files of recordings: compressed chunks, written some trials at a time.

Time courses are written first, part by part along trials; everything else is small, is kept until
all parts have come, and is written by xarray. A chunk holds some trials, some units and all times
of an ordinary trial, so that neither a few units of all trials nor a few trials of all units need
the whole file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.parts import CHUNK_UNITS, pieces

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["with_plain_text", "write_chunked"]

_COURSE = ("trial", "time")
_CHUNK = (64, 256, CHUNK_UNITS)  # trials, times, units
_FILTERS = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}


def write_chunked(path: Path, parts: Iterable[xr.Dataset]) -> None:
    """Write a recording that comes in parts of its trials into a new file.

    Raises:
        RecordingError: There is no part, or parts differ in more than their trials.
    """
    import h5netcdf
    import xarray as xr

    small: list[xr.Dataset] = []
    trials = 0
    with h5netcdf.File(path, "w") as file:
        for part in parts:
            courses = [n for n, v in part.data_vars.items() if v.dims[:2] == _COURSE]
            rest = part.drop_vars(courses).load()
            count = int(part.sizes["trial"])
            if not small:
                _create(file, part, courses)
            else:
                _check_alike(len(small), rest, small[0], courses, file)
            file.resize_dimension("trial", trials + count)
            for name in courses:
                for place, values in pieces(part[name], "trial"):
                    rows = slice(trials + place.start, trials + place.stop)
                    file.variables[str(name)][rows] = values.values
            small.append(rest)
            trials += count
    if not small:
        raise RecordingError("`parts` must hold one recording or more, got none.")
    rest = small[0]
    if len(small) > 1:
        own = {
            "data_vars": "minimal",
            "coords": "minimal",
            "compat": "override",
            "join": "override",
            "combine_attrs": "override",
        }
        rest = xr.concat(small, "trial", **own)  # type: ignore[call-overload]
        rest = rest.assign_coords(trial=np.arange(trials))
    encoding = {
        name: {"zlib": True, "complevel": 1, "fletcher32": True}
        for name, values in rest.variables.items()
        if values.ndim and values.dtype.kind in "fiu" and values.size
    }
    rest.to_netcdf(path, mode="a", engine="h5netcdf", encoding=encoding, unlimited_dims=["trial"])


def _create(file: Any, part: xr.Dataset, courses: list[Any]) -> None:
    """Make the time courses of a file, without trials as yet."""
    dims = dict.fromkeys(str(dim) for name in courses for dim in part[name].dims)
    for dim in dict.fromkeys([*dims, "trial"]):
        file.dimensions[dim] = None if dim == "trial" else part.sizes[dim]
    for name in courses:
        values = part[name]
        chunks = tuple(
            max(1, min(size if place else _CHUNK[0], most))
            for place, (size, most) in enumerate(zip(values.shape, _CHUNK, strict=True))
        )
        own = file.create_variable(str(name), values.dims, values.dtype, chunks=chunks, **_FILTERS)
        for key, value in values.attrs.items():
            own.attrs[key] = value


def _check_alike(
    place: int, rest: xr.Dataset, first: xr.Dataset, courses: list[Any], file: Any
) -> None:
    """Raise unless a part differs from the first in its trials alone."""
    names = sorted(str(name) for name in courses)
    if names != sorted(file.variables):
        raise RecordingError(
            f"part {place + 1} has the time courses {', '.join(names)}, and part 1 has "
            f"{', '.join(sorted(file.variables))}; give every part the same ones."
        )
    if set(rest.variables) != set(first.variables):
        odd = sorted(map(str, set(rest.variables) ^ set(first.variables)))
        raise RecordingError(f"part {place + 1} and part 1 differ in what they hold: {odd}.")
    for name, values in first.variables.items():
        if "trial" in values.dims:
            continue
        own, other = (x[name].reset_coords(drop=True) for x in (first, rest))
        if not own.equals(other):
            raise RecordingError(
                f"part {place + 1} has other values of `{name}` than part 1; parts may differ in "
                "their trials alone."
            )


def with_plain_text(recording: xr.Dataset) -> xr.Dataset:
    """Return a dataset whose text labels, which HDF5 gives as objects, are plain text."""
    changed = {
        name: (values.dims, np.array([str(x) for x in values.values.ravel()]), values.attrs)
        for name, values in recording.variables.items()
        if values.dtype.kind == "O"
        and values.ndim == 1
        and all(isinstance(x, str) for x in values.values.ravel())
    }
    coords = {name: own for name, own in changed.items() if name in recording.coords}
    rest = {name: own for name, own in changed.items() if name not in coords}
    return recording.assign_coords(coords).assign(rest) if changed else recording
