"""Networks held against monkeys, with what monkeys and seeds reach among themselves.

Every pair of a recording from one group and one from the other is compared: by the Procrustes
distance, the mean canonical correlation, and the distance between dynamics (`dsa-metric`, where it
is installed). What pairs within a group reach is the noise ceiling: from monkey to monkey, or from
seed to seed, no model can be expected to be more alike than that.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.cutting import window
from neuromotor.analysis.dynamical_similarity import dynamical_similarity
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.section import (
    Findings,
    Material,
    SectionSpec,
    layers_of,
    median,
    with_reasons,
)
from neuromotor.analysis.similarity import compare_populations

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["GroupSimilarity", "compare_groups", "plot_groups"]

_LIKE = {"procrustes_rad": False, "correlation": True, "dynamics": False}  # larger is more alike
_WORDS = {
    "procrustes_rad": "Procrustes distance (rad)",
    "correlation": "mean canonical correlation",
    "dynamics": "distance between dynamics",
}


@dataclass(frozen=True)
class GroupSimilarity:
    """Comparison of two groups of recordings.

    Attributes:
        pairs: By measure, the value of each pair across groups, by both names.
        within_one: The same of pairs within the first group.
        within_two: The same of pairs within the second.
        left_out: Why pairs could not be compared, and why a measure is missing.
    """

    pairs: dict[str, dict[tuple[str, str], float]]
    within_one: dict[str, dict[tuple[str, str], float]]
    within_two: dict[str, dict[tuple[str, str], float]]
    left_out: tuple[str, ...] = field(default=())

    def summary(self) -> dict[str, dict[str, float]]:
        """Return medians and ranges by measure: across groups, and within each."""
        found = {}
        for name in self.pairs:
            row = {}
            for where, table in (
                ("across", self.pairs),
                ("within_one", self.within_one),
                ("within_two", self.within_two),
            ):
                values = list(table.get(name, {}).values())
                row[f"{where}_median"] = median(values) if values else float("nan")
                row[f"{where}_least"] = min(values, default=float("nan"))
                row[f"{where}_most"] = max(values, default=float("nan"))
            found[name] = row
        return found


def compare_groups(
    one: Mapping[str, xr.Dataset],
    two: Mapping[str, xr.Dataset],
    variable: str = "rate",
    *,
    components: int = 6,
    dynamics: bool | None = None,
) -> GroupSimilarity:
    """Compare every recording of one group with every one of another, and those within a group.

    Args:
        one: Recordings by name, for instance networks of several seeds; cut to the times that
            count, with the same condition labels and as many times as the others.
        two: Others, for instance monkeys.
        variable: Variable that is compared.
        components: Principal components kept of each.
        dynamics: Whether dynamics are compared too (extra `dsa`); None where that is installed.

    Raises:
        RecordingError: A group is empty, or no pair can be compared.
        RuntimeError: `dynamics` is True and `dsa-metric` is not installed.
    """
    if not one or not two:
        raise RecordingError("both groups need a recording or more.")
    shared = set(one) & set(two)
    if shared:
        raise RecordingError(f"both groups have a recording called {min(shared)!r}; rename one.")
    reasons: list[str] = []
    across = _shapes(itertools.product(one, two), {**one, **two}, variable, components, reasons)
    if not across["procrustes_rad"]:
        raise RecordingError(" ".join(dict.fromkeys(reasons)))
    tables = [across]
    for group in (one, two):
        own = itertools.combinations(group, 2)
        tables.append(_shapes(own, group, variable, components, reasons))
    if dynamics is not False:
        try:
            found = dynamical_similarity({**one, **two}, variable, components=components)
        except RuntimeError as error:
            if dynamics:
                raise
            reasons.append(f"dynamics: {error}")
        except RecordingError as error:
            reasons.append(f"dynamics: {error}")
        else:
            place = {name: i for i, name in enumerate(found.names)}
            wanted: tuple[list[tuple[str, str]], ...] = (
                list(itertools.product(one, two)),
                list(itertools.combinations(one, 2)),
                list(itertools.combinations(two, 2)),
            )
            for table, pairs in zip(tables, wanted, strict=True):
                table["dynamics"] = {
                    (a, b): float(found.distance[place[a], place[b]]) for a, b in pairs
                }
    return GroupSimilarity(tables[0], tables[1], tables[2], tuple(dict.fromkeys(reasons)))


def _shapes(
    pairs: Iterable[tuple[str, str]],
    recordings: Mapping[str, xr.Dataset],
    variable: str,
    components: int,
    reasons: list[str],
) -> dict[str, dict[tuple[str, str], float]]:
    """Return Procrustes distance and mean canonical correlation of pairs."""
    found: dict[str, dict[tuple[str, str], float]] = {"procrustes_rad": {}, "correlation": {}}
    for a, b in pairs:
        try:
            own = compare_populations(
                recordings[a], recordings[b], variable, components=components, shuffles=0
            )
        except RecordingError as error:
            reasons.append(f"{a} and {b}: {error}")
            continue
        found["procrustes_rad"][a, b] = own.distance_rad
        found["correlation"][a, b] = float(own.correlations.mean())
    return found


def plot_groups(found: GroupSimilarity, one: str = "networks", two: str = "monkeys") -> Figure:
    """Draw every pair across groups beside those within each, for each measure."""
    from neuromotor.analysis.drawing import panels
    from neuromotor.plotting import COLORS

    names = list(found.pairs)
    with panels(1, len(names), figsize=(2.4 * len(names), 2.6), squeeze=False) as (figure, axes):
        for ax, name in zip(axes[0], names, strict=True):
            groups = (
                (f"{one} and\n{two}", found.pairs),
                (f"among\n{one}", found.within_one),
                (f"among\n{two}", found.within_two),
            )
            for place, (_, table) in enumerate(groups):
                values: NDArray[np.float64] = np.array(list(table.get(name, {}).values()))
                ax.plot(np.full(len(values), place), values, "o", color=COLORS[place], markersize=4)
            ax.set_xticks(range(3), [label for label, _ in groups], fontsize=6)
            ax.set_xlim(-0.5, 2.5)
            better = "up" if _LIKE[name] else "down"
            ax.set(ylabel=_WORDS[name], title=f"more alike: {better}")
    return figure


def _section(given: Material) -> Findings:
    """Each layer, and that of its siblings, against a group of recordings."""
    other = {name: window(own, given.window_s) for name, own in given.group.items()}
    family = {"this recording": given.activity}
    family |= {name: window(own, given.window_s) for name, own in given.siblings.items()}
    parts = {name: layers_of(own) for name, own in family.items()}
    numbers, figures = {}, {}
    reasons: list[str] = []
    for layer in layers_of(given.activity):
        one = {name: own[layer] for name, own in parts.items() if layer in own}
        try:
            found = compare_groups(one, other)
        except RecordingError as error:
            reasons.append(f"{layer}: {error}")
            continue
        reasons += found.left_out
        for measure, row in found.summary().items():
            numbers[f"{layer}: {measure}"] = dict(row)
        figures[f"groups-{layer}"] = partial(plot_groups, found, "own", "others")
    if not numbers:
        raise RecordingError(" ".join(reasons))
    text = (
        f"Each layer of this recording and of {len(given.siblings)} of its kind is compared with "
        f"{len(other)} others ({', '.join(other)}): Procrustes distance, mean canonical "
        "correlation, and the distance between dynamics where dsa-metric is installed. `within "
        "one` is what recordings of this kind reach among themselves, `within two` what the others "
        "do: the noise ceiling."
    )
    return Findings(with_reasons(text, list(dict.fromkeys(reasons))), numbers, figures)


SECTION = SectionSpec(
    "groups",
    "Comparison with several recordings",
    132,
    _section,
    ("changing rates", "group"),
    lambda given: 1.0 + 0.2 * (len(given.group) + len(given.siblings)),
    gaps="averages",
    reading="Marks near those within a group are as alike as the group is to itself, which is the "
    "reference.",
)
