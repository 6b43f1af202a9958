"""What an experiment finds, what nature shows in it, and how the two compare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuromotor.evaluation.bootstrap import Interval
from neuromotor.storage.files import finite_or_none

__all__ = [
    "VERDICTS",
    "CannotBeAskedError",
    "Findings",
    "Judgement",
    "Nature",
    "judge",
    "overall",
]

Verdict = Literal["inside", "same direction", "absent", "cannot be asked"]
VERDICTS: tuple[Verdict, ...] = ("inside", "same direction", "absent", "cannot be asked")


class CannotBeAskedError(ValueError):
    """A controller cannot take part in an experiment; the message says why."""


@dataclass(frozen=True)
class Nature:
    """What people or monkeys show in one measure of an experiment.

    Attributes:
        measure: Its name among the findings.
        what: The measure in words, for tables.
        unit: Its unit; empty for none.
        low: Lowest value of nature's range.
        high: Highest value of it.
        absent: Value where the phenomenon is not there. A controller shows the same direction
            where the whole interval of its value lies on nature's side of it.
        of: `people` or `monkeys`.
        source: Author and year.
        about: Whether the range is only approximately known.

    Raises:
        ValueError: The range is empty, or holds `absent`.
    """

    measure: str
    what: str
    unit: str
    low: float
    high: float
    absent: float
    of: Literal["people", "monkeys"]
    source: str
    about: bool = False

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"`high` must be {self.low:g} (`low`) or more, got {self.high!r}.")
        if self.low <= self.absent <= self.high:
            raise ValueError(
                f"`absent` must lie outside of nature's range, {self.low:g} to {self.high:g}, or "
                f"there would be nothing to find; got {self.absent!r}."
            )

    def verdict(self, found: Interval) -> Verdict:
        """Return how a value with its interval compares."""
        if found.value is None or not math.isfinite(found.value):
            return "absent"
        if self.low <= found.value <= self.high:
            return "inside"
        low = found.value if found.low is None else found.low
        high = found.value if found.high is None else found.high
        above = self.low > self.absent
        there = low > self.absent if above else high < self.absent
        return "same direction" if there else "absent"

    @property
    def range_words(self) -> str:
        """The range for a table."""
        both = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        if math.isinf(self.high):
            both = f"above {self.low:g}"
        if math.isinf(self.low):
            both = f"below {self.high:g}"
        return f"{'about ' if self.about else ''}{both}{' ' if self.unit else ''}{self.unit}"


@dataclass(frozen=True)
class Findings:
    """What one controller did in an experiment.

    Attributes:
        measures: Values with 95 % intervals, by the names that nature's have.
        data: Arrays that the experiment's figure is drawn from, by name.
        remarks: What a reader should know of this controller's result.
        cannot: Measures that this controller cannot be asked for, and why not.
    """

    measures: Mapping[str, Interval]
    data: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    cannot: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """One measure of a controller, held against nature.

    Attributes:
        nature: What nature shows.
        found: The value with its interval; None where it cannot be asked.
        verdict: How they compare.
        reason: Why it cannot be asked; empty where it can.
    """

    nature: Nature
    found: Interval | None
    verdict: Verdict
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return everything by name, for JSON."""
        nature = self.nature
        return {
            "measure": nature.measure,
            "what": nature.what,
            "unit": nature.unit,
            "found": None if self.found is None else self.found.as_dict(),
            "nature": [finite_or_none(nature.low), finite_or_none(nature.high)],
            "absent": nature.absent,
            "of": nature.of,
            "source": nature.source,
            "about": nature.about,
            "verdict": self.verdict,
            **({"reason": self.reason} if self.reason else {}),
        }


def judge(natures: Sequence[Nature], found: Findings | str) -> tuple[Judgement, ...]:
    """Hold findings against nature, measure by measure.

    Args:
        natures: What nature shows.
        found: The findings, or why the controller cannot be asked.

    Raises:
        ValueError: A measure of nature's is not among the findings.
    """
    if isinstance(found, str):
        return tuple(Judgement(one, None, "cannot be asked", found) for one in natures)
    known = {*found.measures, *found.cannot}
    missing = [one.measure for one in natures if one.measure not in known]
    if missing:
        raise ValueError(f"`found` must hold every measure of nature's, got none of {missing}.")
    return tuple(_judged(one, found) for one in natures)


def _judged(nature: Nature, found: Findings) -> Judgement:
    """One measure held against nature."""
    if nature.measure in found.cannot:
        return Judgement(nature, None, "cannot be asked", found.cannot[nature.measure])
    value = found.measures[nature.measure]
    return Judgement(nature, value, nature.verdict(value))


def overall(judgements: Sequence[Judgement]) -> Verdict:
    """Return the least of the verdicts: an experiment is as good as its weakest measure.

    Measures that cannot be asked for count only where there is no other one.
    """
    asked = [one.verdict for one in judgements if one.verdict != "cannot be asked"]
    return max(asked, key=VERDICTS.index) if asked else "cannot be asked"
