"""Recordings that do not fit in memory: their values are read part by part.

A variable of a recording that was opened by `open_recording` stays in its file. What is computed
unit by unit is computed for some units at a time, and what is summed over trials is summed over
some trials at a time, so that memory holds one part and the result. Recordings in memory go the
same way, which spares copies of them in double precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CHUNK_UNITS", "in_file", "joined", "pieces", "unread"]

CHUNK_UNITS = 8  # units that lie together in a file
_PART_BYTES = 1 << 26  # of a part in double precision
_DOUBLE = 8


def unread(values: xr.DataArray) -> bool:
    """Return whether the values of a variable are still in their file."""
    # xarray has no public word for it. Without this one, values count as read.
    return not getattr(values.variable, "_in_memory", True)


def in_file(recording: xr.Dataset) -> bool:
    """Return whether any variable of a recording is still in its file."""
    return any(unread(recording[name]) for name in recording.data_vars)


def pieces(values: xr.DataArray, dim: str | None = None) -> Iterator[tuple[slice, xr.DataArray]]:
    """Yield a variable in parts along one axis, each with its place there.

    Args:
        values: The variable; what of it is in a file is read as each part's values are asked for.
        dim: The axis, the last one by default.
    """
    axis = str(values.dims[-1]) if dim is None else dim
    size = values.sizes[axis]
    each = int(np.prod(values.shape, dtype=np.float64) / max(size, 1)) * _DOUBLE
    count = max(1, _PART_BYTES // max(each, 1))
    if axis == "unit" and count > CHUNK_UNITS:
        count -= count % CHUNK_UNITS
    for first in range(0, size, count):
        place = slice(first, min(first + count, size))
        part = values if place == slice(0, size) else values.isel({axis: place})
        yield place, part


def joined(parts: list[Any]) -> Any:
    """Return arrays put together along their last axis."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
