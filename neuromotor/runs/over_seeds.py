"""One comparison from several seeds: medians, ranges, and when each level was reached.

Notation: the excess is a loss divided by iLQR's, minus one.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.runs.records import MethodRecord
from neuromotor.storage.files import finite_or_none

__all__ = ["LEVELS", "best_ratio_at", "seed_rows"]

LEVELS = (1.1, 1.01, 1.001, 1.0001)


def seed_rows(seeds: Sequence[Sequence[MethodRecord]]) -> list[dict[str, Any]]:
    """Return one row a method: ratio to iLQR over the seeds, and calls and seconds to each level.

    Args:
        seeds: What each method came to, seed by seed.

    Returns:
        Rows with `ratio` (median), `ratio_min`, `ratio_max`, all None where iLQR's loss is zero,
        and `calls_to` and `seconds_to`, by level of `LEVELS`: the median over the seeds, None where
        half of them or more never got there; `seeds_reaching` counts those that did. `evaluated`
        is the mean loss of each seed's evaluation, None where there is none. `loss` and
        `penalties`, by kind, are medians; the latter empty where the task has no penalties.
    """
    rows = []
    for runs in _by_method(seeds).values():
        ratios = [run.ratio for run in runs]
        spread = None if any(math.isnan(ratio) for ratio in ratios) else ratios
        calls, seconds, reaching = {}, {}, {}
        for level in LEVELS:
            hits = [_first_below(run, level * run.floor) for run in runs]
            key = f"{level:g}"
            calls[key] = _median([hit[0] for hit in hits])
            seconds[key] = _median([hit[1] for hit in hits])
            reaching[key] = sum(math.isfinite(hit[0]) for hit in hits)
        rows.append(
            {
                "method": runs[0].method,
                "seeds": len(runs),
                "ratio": spread and statistics.median(spread),
                "ratio_min": spread and min(spread),
                "ratio_max": spread and max(spread),
                "calls": statistics.median(run.calls for run in runs),
                "seconds": statistics.median(run.seconds for run in runs),
                "calls_to": calls,
                "seconds_to": seconds,
                "seeds_reaching": reaching,
                "evaluated": [run.evaluated for run in runs],
                "loss": statistics.median(run.loss for run in runs),
                "penalties": {
                    kind: statistics.median(run.penalties[kind] for run in runs)
                    for kind in runs[0].penalties
                    if all(kind in run.penalties for run in runs)
                },
            }
        )
    return rows


def best_ratio_at(
    seeds: Sequence[Sequence[MethodRecord]], axis: str
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return, by method, positions along an axis (K,) and the best ratio so far there (seeds, K).

    Args:
        seeds: What each method came to, seed by seed.
        axis: `calls` or `seconds`. Positions end where the first seed's run does.
    """
    curves = {}
    for method, runs in _by_method(seeds).items():
        ends = [getattr(run.history[-1], axis) for run in runs]
        positions = np.geomspace(max(1e-3 * min(ends), 1e-9), min(ends), 200)
        ratios = []
        for run in runs:
            at = np.array([getattr(point, axis) for point in run.history])
            best = np.minimum.accumulate([point.value for point in run.history])
            best = best / (run.floor or math.nan)
            ratios.append(best[np.maximum(np.searchsorted(at, positions, side="right") - 1, 0)])
        curves[method] = positions, np.stack(ratios)
    return curves


def _by_method(seeds: Sequence[Sequence[MethodRecord]]) -> dict[str, list[MethodRecord]]:
    """Return every method's runs."""
    runs: dict[str, list[MethodRecord]] = {}
    for records in seeds:
        for record in records:
            runs.setdefault(record.method, []).append(record)
    return runs


def _first_below(run: MethodRecord, loss: float) -> tuple[float, float]:
    """Return the calls and seconds at which a run first had a loss; infinity where it never had."""
    for point in run.history:
        if point.value <= loss:
            return float(point.calls), point.seconds
    return math.inf, math.inf


def _median(numbers: Sequence[float]) -> float | None:
    """Return the median, None where it is not finite."""
    return finite_or_none(statistics.median(numbers))
