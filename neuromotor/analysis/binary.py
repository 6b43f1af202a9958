"""A recording as sequences of zeros and ones, as models of binary sequences take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_number, check_positive
from neuromotor.analysis._arrays import counts_spikes
from neuromotor.analysis.layout import RecordingError, check_recording

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["BinaryActivity", "binarized"]

_WHOLE = 1e-6  # of a sample, by which a bin may differ from a whole number of samples


@dataclass(frozen=True)
class BinaryActivity:
    """Binary activity of B trials, T bins and N units.

    Attributes:
        frames: Ones where a unit's mean rate in the bin is above its threshold, (B, T, N).
        time_s: Where each bin begins (s), (T,).
        bin_s: Length of a bin (s).
        thresholds: Of each unit, in the unit of its rate, (N,).
        constant: Units that are the same in every bin.
    """

    frames: NDArray[np.float64]
    time_s: NDArray[np.float64]
    bin_s: float
    thresholds: NDArray[np.float64]
    constant: int


def binarized(
    recording: xr.Dataset,
    *,
    bin_s: float | None = None,
    threshold: float | Sequence[float] | None = None,
) -> BinaryActivity:
    """Return the rates of a recording as zeros and ones.

    A bin holds a one where the unit's mean rate in it is above the threshold. For rates in spikes/s
    that is 0 by default, so that a one means a spike or more; for rates of another unit it is each
    unit's median over all bins. Samples at the end that fill no bin are left out.

    Args:
        recording: With `rate`.
        bin_s: Length of a bin (s), a whole number of samples; one sample by default.
        threshold: One for all units, or one for each.

    Raises:
        RecordingError: `rate` is missing or holds gaps, no bin fits, or most units never change.
        ValueError: `bin_s` or `threshold` is wrong.
    """
    check_recording(recording, ["rate"])
    rate = recording["rate"].values.astype(np.float64)
    time = recording["time"].values
    if not np.isfinite(rate).all():
        raise RecordingError("`rate` lacks samples; leave those trials out by `complete_trials`.")
    if len(time) < 2:
        raise RecordingError("binary sequences need two times or more.")
    dt_s = float(np.mean(np.diff(time)))
    width = 1
    if bin_s is not None:
        check_positive("bin_s", bin_s, "seconds")
        width = round(bin_s / dt_s)
        if width < 1 or abs(bin_s / dt_s - width) > _WHOLE * max(1, width):
            raise ValueError(
                f"`bin_s` must be a whole number of samples of {dt_s:g} s, got {bin_s:g} s."
            )
    bins = rate.shape[1] // width
    if bins < 2:
        raise RecordingError(
            f"trials of {rate.shape[1]} samples hold {bins} bins of {width}; two or more are "
            "needed, so choose shorter ones."
        )
    means = rate[:, : bins * width].reshape(len(rate), bins, width, -1).mean(2)
    level = _levels(recording, means, threshold)
    frames = (means > level).astype(np.float64)
    constant = int((np.ptp(frames, axis=(0, 1)) == 0).sum())
    if 2 * constant > frames.shape[-1]:
        raise RecordingError(
            f"{constant} of {frames.shape[-1]} units are the same in every bin, as smoothed rates "
            "are above 0 everywhere; choose another threshold or other bins."
        )
    return BinaryActivity(frames, time[: bins * width : width], width * dt_s, level, constant)


def _levels(
    recording: xr.Dataset, means: NDArray[np.float64], threshold: float | Sequence[float] | None
) -> NDArray[np.float64]:
    """Return each unit's threshold, (N,)."""
    units = means.shape[-1]
    if threshold is None:
        if counts_spikes(recording, "rate"):
            return np.zeros(units)
        return np.asarray(np.median(means, axis=(0, 1)), np.float64)
    each = [threshold] * units if isinstance(threshold, int | float) else list(threshold)
    if len(each) != units:
        raise ValueError(f"`threshold` must be one number or {units}, got {len(each)}.")
    for one in each:
        check_number("threshold", one)
    return np.asarray(each, np.float64)
