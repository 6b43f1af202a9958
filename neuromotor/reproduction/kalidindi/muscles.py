"""Which loads and which reaches the muscles answer, in networks and in the monkeys' EMG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from neuromotor.analysis.tuning import Tuning
from neuromotor.plants.muscles import MUSCLES
from neuromotor.reproduction.kalidindi.measure import Measured
from neuromotor.reproduction.kalidindi.monkeys import MUSCLE_GROUPS, Monkeys
from neuromotor.reproduction.kalidindi.networks import CONDITIONS

__all__ = ["MUSCLES_NOTE", "mean_angle", "muscle_rows"]

MUSCLES_NOTE = (
    "Loads are in the plane of shoulder (0 degrees) and elbow torque (90 degrees): the angle of a "
    "cosine through the mean activity from 70 to 370 ms after each. Networks: circular mean, and "
    "how far the farthest is. Monkeys: each recorded muscle of that kind, with its name in the "
    "files. Reaches: cosines over directions, of the six muscles here and of 13 arm muscles of "
    "another monkey (Liang et al. 2023)."
)
Row = dict[str, str | float | int | None]
_REACHES: tuple[tuple[str, Callable[[Tuning], float]], ...] = (
    ("R² of cosines over directions, median of muscles", lambda own: float(np.median(own.r2))),
    ("share of muscles that are tuned (p < .05)", lambda own: float(own.tuned.mean())),
    (
        "strength of the axis of tuned muscles, 0 to 1",
        lambda own: own.population.axis_resultant,
    ),
)


def muscle_rows(
    found: Mapping[str, Sequence[Measured]], recorded: Monkeys, text: Callable[..., str]
) -> tuple[Row, ...]:
    """Return a row for each muscle and what loads it answers, then those of reaches.

    Args:
        found: Networks by condition.
        recorded: What the monkeys' recordings show.
        text: Turns values into the words of the table.
    """
    rows = []
    for name, networks in found.items():
        answers = [one.behaviour for one in networks if one.behaviour is not None]
        loads = [one.muscle_loads_deg for one in answers if one.muscle_loads_deg]
        for place, muscle in enumerate(MUSCLES if loads else ()):
            ours = mean_angle([own[place] for own in loads])
            title = f"load that the {muscle} answers most (deg)"
            rows.append(_row(name, title, len(loads), ours, _recorded(muscle, recorded.muscles)))
    for name, networks in found.items():
        tunings = [one.reach_muscles for one in networks if one.reach_muscles is not None]
        for title, of in _REACHES if tunings else ():
            ours = text([of(one) for one in tunings])
            emg = recorded.reach_muscles
            rows.append(
                _row(name, title, len(tunings), ours, "-" if emg is None else text([of(emg)]))
            )
    return tuple(rows)


def mean_angle(degrees: Sequence[float]) -> str:
    """Return the circular mean of angles, and the largest distance from it, as words."""
    turn = np.exp(1j * np.radians(degrees))
    mean = turn.mean()
    away = float(np.degrees(np.abs(np.angle(turn / mean))).max())
    middle = round(float(np.degrees(np.angle(mean)))) % 360
    return f"{middle}" + (f" (within {away:.0f})" if len(degrees) > 1 else "")


def _recorded(muscle: str, recorded: Mapping[str, Mapping[str, float]]) -> str:
    """The loads that the monkeys' muscles of one kind answer most, with their names."""
    words = []
    for monkey, own in recorded.items():
        same = [
            f"{name} {round(load) % 360}"
            for name, load in own.items()
            if MUSCLE_GROUPS.get(name) == muscle
        ]
        if same:
            words.append(f"{monkey}: {', '.join(same)}")
    return "; ".join(words) or "-"


def _row(name: str, title: str, count: int, ours: str, monkeys: str) -> Row:
    """One line of the table."""
    return {
        "condition": CONDITIONS[name].title,
        "quantity": title,
        "networks": count,
        "ours": ours,
        "monkeys": monkeys,
    }
