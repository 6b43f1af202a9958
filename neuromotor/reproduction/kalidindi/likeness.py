"""Networks held against each monkey's motor cortex, with what seeds and monkeys reach themselves.

All are cut to 70 to 370 ms after the same eight loads. `ceilings` has the measures.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis import GroupSimilarity, RecordingError, compare_groups, make_recording
from neuromotor.analysis.similarity import compare_populations
from neuromotor.reproduction.kalidindi.measure import Measured
from neuromotor.reproduction.kalidindi.networks import CONDITIONS

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["likeness_rows"]

LAYERS = ("output layer", "input layer")
_MEASURES = ("procrustes_rad", "correlation", "dynamics")
_EXCHANGES = 20  # of conditions, in each pair
Row = dict[str, str | float | int | None]
Text = Callable[..., str]


def likeness_rows(
    found: Mapping[str, Sequence[Measured]], cortex: Mapping[str, xr.Dataset], text: Text
) -> tuple[Row, ...]:
    """Return a row for each layer and monkey, and those of the references.

    Args:
        found: Networks by condition; those of reaches are left out.
        cortex: Recordings of the monkeys by name.
        text: Turns values, and a number of digits, into the words of the table.
    """
    rows: list[Row] = []
    among: dict[str, list[float]] = {}
    for condition, networks in found.items():
        if CONDITIONS[condition].reaches or not cortex:
            continue
        for layer in LAYERS:
            one = {
                f"seed {number}": _recording(own.courses[layer], next(iter(cortex.values())))
                for number, own in enumerate(networks)
            }
            try:
                alike = compare_groups(one, cortex)
            except RecordingError:
                continue
            title = CONDITIONS[condition].title
            for monkey in cortex:
                pairs = [pair for pair in itertools.product(one, cortex) if pair[1] == monkey]
                rows.append(_row(title, layer, monkey, alike, pairs, text))
            rows.append(_exchanged(title, layer, one, cortex, text))
            if len(one) > 1:
                seeds = {key: list(table.values()) for key, table in alike.within_one.items()}
                rows.append(_line(title, layer, "seed to seed", seeds, text))
            among = {key: list(table.values()) for key, table in alike.within_two.items()}
    if any(among.values()):
        rows.append(_line("monkeys", "motor cortex", "monkey to monkey", among, text))
    return tuple(rows)


def _recording(course: NDArray[np.float64], like: xr.Dataset) -> xr.Dataset:
    """A layer's course (8, 30, units) with the labels of a monkey's recording."""
    return make_recording(like["time"].values, like["condition"].values, {"rate": course})


def _row(
    title: str,
    layer: str,
    monkey: str,
    alike: GroupSimilarity,
    pairs: Iterable[tuple[str, str]],
    text: Text,
) -> Row:
    """One line of a layer beside one monkey."""
    own = list(pairs)
    values = {
        key: [table[pair] for pair in own if pair in table] for key, table in alike.pairs.items()
    }
    return _line(title, layer, monkey, values, text)


def _exchanged(
    title: str,
    layer: str,
    one: Mapping[str, xr.Dataset],
    two: Mapping[str, xr.Dataset],
    text: Text,
) -> Row:
    """The line of exchanged conditions: medians of each pair."""
    values: dict[str, list[float]] = {"procrustes_rad": [], "correlation": []}
    for a, b in itertools.product(one, two):
        null = compare_populations(one[a], two[b], shuffles=_EXCHANGES)
        values["procrustes_rad"].append(float(np.median(null.null_distance_rad)))
        values["correlation"].append(float(np.median(null.null_correlations.mean(1))))
    return _line(title, layer, "null: loads exchanged", values, text)


def _line(
    title: str, layer: str, beside: str, values: Mapping[str, Sequence[float]], text: Text
) -> Row:
    """One line of the table."""
    own = {key: values.get(key) or [math.nan] for key in _MEASURES}
    return {
        "condition": title,
        "layer": layer,
        "beside": beside,
        "pairs": len(own["procrustes_rad"]),
        "Procrustes (rad)": text(own["procrustes_rad"]),
        "canonical correlation": text(own["correlation"]),
        "dynamics x 1000": text([1e3 * value for value in own["dynamics"]], 1),
    }
