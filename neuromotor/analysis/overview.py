"""A first look at a recording: hand paths, the hand's speed and the commands of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor._showing import plot_trials
from neuromotor.analysis.layout import check_recording

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["plot_recording"]


def plot_recording(recording: xr.Dataset, axes: Sequence[Axes] | None = None) -> NDArray[Any]:
    """Draw hand paths, the hand's speed and the commands of a recording; return the three axes.

    What a recording lacks is left out, but for the commands. It is a function and no method, since
    a recording is an xarray dataset, whose own `plot` draws one variable against another.

    Args:
        recording: Any recording with commands.
        axes: Three axes to draw on, or None for a new figure.

    Raises:
        RecordingError: The recording lacks commands.
        ValueError: `axes` are not three.
    """
    check_recording(recording, ["command"])
    time = recording["time"].values
    place, speed = recording.get("hand_position"), recording.get("hand_velocity")
    unit = recording["command"].attrs.get("units", "1")
    names = recording["actuator"].values if "actuator" in recording.coords else range(99)
    count = recording["command"].shape[-1]
    return plot_trials(
        None if place is None or place.shape[-1] != 2 else place.values,
        None if speed is None else np.linalg.norm(speed.values, axis=-1),
        recording["command"].values,
        [f"{name} ({unit})" for name in list(names)[:count]],
        float(time[1] - time[0]) if len(time) > 1 else 0.0,
        axes,
    )
