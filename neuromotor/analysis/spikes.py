"""Spikes drawn from rates, with a chosen mean rate and Fano factor.

Notation: L(t) is the integral of the rate, F the Fano factor, k = 1 / F, n the mean count.

Spikes are a renewal process in L: intervals between them are gamma distributed with mean 1 and
shape k, and the inverse of L takes them to time (time rescaling). With F = 1 they are Poisson. Each
trial begins in equilibrium: the first interval is a part, drawn evenly, of an interval that is met
in proportion to its length. Counts then have the mean of the rates. Their Fano factor depends on
the window (Rajdl & Lansky 2014, of equilibrium renewal processes): with gamma intervals

    variance / mean = F + (1 - F^2) / (6 n)   for counts of some spikes or more,

and it tends to 1 in windows of less than a spike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_number, check_positive, check_seed
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.parts import in_file

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["check_fano", "draw_spikes", "expected_fano", "firing_rates", "spike_times_of"]

_LOWEST_FANO, _HIGHEST_FANO = 0.02, 50.0
_MOST_SPIKES = 2e9  # of a recording: beyond it the options are surely not what was meant
_LONE_SAMPLE_S = 0.01


def draw_spikes(
    recording: xr.Dataset,
    *,
    rate_hz: float | None = None,
    mean_rate_hz: float | None = None,
    fano: float = 1.0,
    seed: int = 0,
) -> xr.Dataset:
    """Return a recording whose rates are counts of drawn spikes over the step, in spikes/s.

    A sample at time t counts the spikes from half a step before it to half a step after it.

    Args:
        recording: Trials with rates.
        rate_hz: Spikes/s that a range of 1 in the rates is; a unit's lowest rate is 0 spikes/s.
        mean_rate_hz: Mean rate of every unit (spikes/s), whose rates are scaled to it. A constant
            unit fires evenly, unless it is silent in spikes/s. Without both, rates must be in
            spikes/s and are taken as they are.
        fano: Fano factor F of counts of many spikes; 1 for Poisson, less for more regular ones.
        seed: Random seed.

    Raises:
        RecordingError: There are no rates, or they are not in spikes/s where nothing else is said.
        ValueError: A number is out of range, or both rates are given.

    Example:
        >>> from neuromotor.analysis import make_recording
        >>> made = make_recording([0.0, 0.01, 0.02], ["a"], {"rate": np.full((1, 3, 1), 5.0)})
        >>> drawn = draw_spikes(made, mean_rate_hz=100.0, fano=0.5)
        >>> drawn["rate"].attrs["units"]
        'spikes/s'
    """
    rates = firing_rates(recording, rate_hz=rate_hz, mean_rate_hz=mean_rate_hz)
    check_fano(fano)
    check_seed("seed", seed)
    generator = np.random.default_rng(seed)
    step = _step(recording)
    edges = step * np.arange(rates.shape[1] + 1)
    counts = np.zeros(rates.shape, np.float32)
    rows = np.arange(rates.shape[0])
    for unit in range(rates.shape[2]):
        trial, moment = spike_times_of(rates[:, :, unit], step, fano, generator)
        place = np.clip(np.searchsorted(edges, moment, side="right") - 1, 0, rates.shape[1] - 1)
        flat = np.bincount(trial * rates.shape[1] + place, minlength=len(rows) * rates.shape[1])
        counts[:, :, unit] = flat.reshape(rates.shape[:2])
    drawn = recording.drop_vars("activation", errors="ignore")
    attributes = {"units": "spikes/s", "long_name": f"drawn spikes, Fano factor {fano:g}"}
    drawn = drawn.assign(rate=(recording["rate"].dims, counts / np.float32(step), attributes))
    return drawn.assign_attrs({**recording.attrs, "spikes": f"drawn, Fano factor {fano:g}"})


def firing_rates(
    recording: xr.Dataset, *, rate_hz: float | None = None, mean_rate_hz: float | None = None
) -> NDArray[np.float64]:
    """Return the rates of a recording in spikes/s, (B, T, N), as `draw_spikes` takes them.

    Raises:
        RecordingError: There are no rates, or they are not in spikes/s where nothing else is said.
        ValueError: A number is out of range, or both are given.
    """
    check_recording(recording, ["rate"])
    if in_file(recording):
        raise RecordingError("spikes are drawn from rates in memory; load the recording.")
    if rate_hz is not None and mean_rate_hz is not None:
        raise ValueError("`rate_hz` and `mean_rate_hz` exclude each other; give one.")
    rate = recording["rate"].values.astype(np.float64)
    unit = str(recording["rate"].attrs.get("units", "1"))
    if rate_hz is not None:
        check_positive("rate_hz", rate_hz, "spikes/s")
        found = rate_hz * (rate - rate.min((0, 1)))
    elif mean_rate_hz is not None:
        check_positive("mean_rate_hz", mean_rate_hz, "spikes/s")
        spiking = unit == "spikes/s" and rate.min() >= 0
        above = rate if spiking else rate - rate.min((0, 1))
        mean = above.mean((0, 1))
        flat = mean <= 1e-12 * np.maximum(np.abs(rate).max((0, 1)), 1e-300)
        found = above * (mean_rate_hz / np.where(flat, 1.0, mean))
        if not spiking:  # a constant unit of a network fires evenly; a silent neuron stays silent
            found[:, :, flat] = mean_rate_hz
    else:
        if unit != "spikes/s":
            raise RecordingError(
                f"the rates are in {unit!r}, not in spikes/s; say how fast units fire, by "
                "`mean_rate_hz` or `rate_hz`."
            )
        if rate.min() < 0:
            raise RecordingError(f"rates in spikes/s must not be negative, got {rate.min():g}.")
        found = rate
    if found.sum() * _step(recording) > _MOST_SPIKES:
        raise RecordingError(
            f"that would be {found.sum() * _step(recording):.2g} spikes; choose a lower rate."
        )
    return np.asarray(found, np.float64)


def spike_times_of(
    rate_hz: NDArray[np.float64], step_s: float, fano: float, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the trial of each spike of a unit, and its time from the trial's start (s), in order.

    Args:
        rate_hz: Rates (spikes/s), constant over each step, (B, T).
        step_s: Step (s).
        fano: Fano factor.
        generator: Where random numbers come from.
    """
    trials, times = rate_hz.shape
    total = np.concatenate([np.zeros((trials, 1)), np.cumsum(step_s * rate_hz, axis=1)], axis=1)
    longest = float(total[:, -1].max(initial=0.0))
    if longest == 0:
        return np.zeros(0, np.int64), np.zeros(0)
    shape = 1 / fano
    reached = generator.gamma(shape + 1, fano, (trials, 1)) * generator.random((trials, 1))
    parts = [reached]
    more = int(np.ceil(longest + 6 * np.sqrt(fano * longest) + 6 * fano + 4))
    while float(reached.min()) <= longest:
        own = reached + np.cumsum(generator.gamma(shape, fano, (trials, more)), axis=1)
        parts.append(own)
        reached = own[:, -1:]
    places = np.concatenate(parts, axis=1)
    trial, column = np.nonzero(places < total[:, -1:])
    # One row after another, so that one search finds the step of every spike.
    shift = (longest + 1) * np.arange(trials)
    place = places[trial, column]
    right = np.searchsorted((total + shift[:, None]).ravel(), place + shift[trial], side="right")
    left = np.clip(right - trial * (times + 1) - 1, 0, times - 1)
    rise = step_s * rate_hz[trial, left]
    inside = (place - total[trial, left]) / np.where(rise > 0, rise, 1.0)
    return trial, step_s * (left + np.clip(inside, 0.0, 1.0))


def expected_fano(fano: float, count: float) -> float:
    """Return variance over mean of counts with a mean of some spikes, which F alone is for many."""
    return fano + (1 - fano**2) / (6 * count)


def check_fano(fano: float) -> None:
    """Raise unless spikes can have a Fano factor."""
    check_number("fano", fano, minimum=_LOWEST_FANO)
    if fano > _HIGHEST_FANO:
        raise ValueError(f"`fano` must be at most {_HIGHEST_FANO:g}, got {fano!r}.")


def _step(recording: xr.Dataset) -> float:
    time = recording["time"].values
    return float(time[1] - time[0]) if len(time) > 1 else _LONE_SAMPLE_S
