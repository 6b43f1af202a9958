"""Where the trials of a recording lie when they are laid one after another on one clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.layout import EVENTS

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["OneClock"]

_GAP_S = 0.5  # between trials
_LONE_SAMPLE_S = 0.01  # how long a trial of one sample lasts


@dataclass(frozen=True)
class OneClock:
    """Where trials lie on one clock.

    Attributes:
        zero: Each trial's own time 0 (s), (B,); nothing of the first lies before 0.
        stamps: Every sample's time (s), (B, T).
        stops: When each trial ends (s), (B,).
        step: Between samples (s).
    """

    zero: NDArray[np.float64]
    stamps: NDArray[np.float64]
    stops: NDArray[np.float64]
    step: float

    @classmethod
    def of(cls, recording: xr.Dataset) -> OneClock:
        """Return the clock of a recording's trials, with a gap between them."""
        time = recording["time"].values
        step = float(time[1] - time[0]) if len(time) > 1 else _LONE_SAMPLE_S
        zero = (len(time) * step + _GAP_S) * np.arange(recording.sizes["trial"]) - time[0]
        moments = [recording[name].values + zero for name in EVENTS if name in recording]
        earliest = min((float(np.nanmin(m)) for m in moments if np.isfinite(m).any()), default=0.0)
        zero = zero - min(earliest, 0.0)
        stamps = zero[:, None] + time
        return cls(zero, stamps, stamps[:, -1] + step, step)
