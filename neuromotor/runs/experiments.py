"""Experiments by name: their settings, who is put through them, rows of results, and figures."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuromotor._checks import lookup
from neuromotor.experiments import (
    EXPERIMENTS,
    VERDICTS,
    Experiment,
    Findings,
    Judgement,
    Session,
    judge,
    overall,
    subject_of,
    what_is_found,
)
from neuromotor.runs.drawing import draw_without_screen
from neuromotor.runs.kept_findings import KeptFindings, file_label
from neuromotor.runs.settings import gather
from neuromotor.storage.components import SettingsError, UnknownSettingError, decode, encode
from neuromotor.tasks import TASKS, CursorReach, Senses

__all__ = ["FITTED", "Outcome", "Plan", "conduct", "draw_outcomes", "draw_page", "fit", "plan"]

Say = Callable[[str], None]

# Settings of the conditions that `fit` varies, each by a factor between 1/4 and 4 (our choice).
# The noise of all senses is varied by a factor too.
FITTED = (
    "error_weight",
    "velocity_weight",
    "torque_weight",
    "energy_weight",
    "noise",
    "believed_load_nm",
)
_FACTOR = 4.0


@dataclass(frozen=True)
class Outcome:
    """One controller in one experiment.

    Attributes:
        name: Of the experiment.
        experiment: With its settings.
        controller: Its name in tables.
        found: What it did; None where it cannot be asked.
        judgements: Held against nature, measure by measure.
        seconds: Wall-clock time.
    """

    name: str
    experiment: Experiment
    controller: str
    found: Findings | None
    judgements: tuple[Judgement, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the arrays of the figure, for JSON."""
        return {
            "experiment": self.name,
            "controller": self.controller,
            "verdict": overall(self.judgements),
            "measures": [one.as_dict() for one in self.judgements],
            "remarks": [] if self.found is None else list(self.found.remarks),
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        experiments: By name, with their settings.
        world: The conditions that all of them share.
    """

    experiments: Mapping[str, Experiment]
    world: CursorReach

    def as_dict(self) -> dict[str, Any]:
        """Return all settings, for JSON."""
        return {
            "world": encode(self.world, TASKS),
            "experiments": {
                name: encode(one, EXPERIMENTS) for name, one in self.experiments.items()
            },
        }


def plan(
    names: Iterable[str],
    config: Path | None = None,
    assignments: Iterable[str] = (),
    *,
    quick: bool = False,
) -> Plan:
    """Return experiments with their settings.

    Args:
        names: Of `EXPERIMENTS`.
        config: TOML file with the tables `experiment` and `world`.
        assignments: `experiment.repeats=40`, `world.noise=0.2` and the like.
        quick: Whether experiments have fewer repeats.

    Raises:
        SettingsError: A name or setting is unknown, or a value is wrong.
    """
    raw = gather(config, {}, list(assignments), smoke=False)
    unknown = [key for key in raw if key not in ("experiment", "world")]
    if unknown:
        raise UnknownSettingError(unknown[0], {"experiment", "world"})
    base: Any = TASKS["cursor-reach"]
    world = decode(raw.get("world", {}), TASKS, "world", base)
    if not isinstance(world, CursorReach):
        raise SettingsError(
            f"`world` must be a CursorReach, which experiments are made of, got a "
            f"{type(world).__name__}; leave `world.type` out."
        )
    found = {}
    for name in names:
        one = lookup("experiment", name, EXPERIMENTS)
        one = one.quick() if quick else one
        found[name] = decode(raw.get("experiment", {}), EXPERIMENTS, "experiment", one)
    return Plan(found, world)


def conduct(
    todo: Plan,
    controllers: Iterable[str],
    seed: int = 0,
    say: Say = lambda line: None,
    kept: KeptFindings | None = None,
) -> list[Outcome]:
    """Put each controller through each experiment.

    Args:
        todo: Experiments and conditions.
        controllers: Names of subjects, controller files, names of the zoo.
        seed: Of all draws.
        say: Called with a line before each.
        kept: Where findings are kept, and looked for first; None keeps none.
    """
    subjects = {str(name): subject_of(name) for name in controllers}
    outcomes = []
    for name, experiment in todo.experiments.items():
        for subject in subjects.values():
            session = Session(subject, todo.world, seed=seed, say=say)
            began = time.monotonic()
            found = None if kept is None else kept.load(name, experiment, session)
            if found is None:
                say(f"{name}: {subject.name}")
                found = what_is_found(experiment, session)
                if kept is not None:
                    kept.save(name, experiment, session, found)
            outcomes.append(
                Outcome(
                    name,
                    experiment,
                    subject.name,
                    found if isinstance(found, Findings) else None,
                    judge(experiment.nature, found),
                    time.monotonic() - began,
                )
            )
    return outcomes


def fit(
    todo: Plan, controller: str, tries: int, seed: int = 0, say: Say = lambda line: None
) -> tuple[Plan, list[Outcome]]:
    """Return conditions under which a controller moves most like nature, and what it does there.

    A random search: the settings of `FITTED` are multiplied by factors that are drawn
    log-uniformly. The conditions of `todo` are among those that are tried.

    Args:
        todo: Experiments, and conditions to start from.
        controller: Whom to fit; a controller that is designed for the conditions.
        tries: Conditions beside those of `todo`.
        seed: Of all draws.
        say: Called with a line for each.
    """
    chance = random.Random(seed)
    best: tuple[tuple[int, int], Plan, list[Outcome]] | None = None
    for number in range(tries + 1):
        factors = {name: _FACTOR ** chance.uniform(-1, 1) for name in FITTED}
        changes = {name: factors[name] * getattr(todo.world, name) for name in FITTED}
        senses = _with_noise(todo.world.senses, _FACTOR ** chance.uniform(-1, 1))
        tried = todo
        if number > 0:
            tried = replace(todo, world=replace(todo.world, senses=senses, **changes))
        outcomes = conduct(tried, [controller], seed)
        verdicts = [overall(one.judgements) for one in outcomes]
        inside, there = (verdicts.count(one) for one in VERDICTS[:2])
        score = (inside + there, inside)
        say(f"conditions {number} of {tries}: {inside} inside, {there} same direction")
        if best is None or score > best[0]:
            best = score, tried, outcomes
    if best is None:
        raise ValueError(f"`tries` must be zero or more, got {tries}.")
    return best[1], best[2]


def _with_noise(senses: Senses | None, factor: float) -> Senses | None:
    """Return senses whose noise is so many times as large."""
    if senses is None:
        return None
    louder = (
        replace(one, noise=factor * one.noise, signal_noise=factor * one.signal_noise)
        for one in senses.channels
    )
    return replace(senses, channels=tuple(louder))


def draw_outcomes(outcomes: Iterable[Outcome], folder: Path) -> list[Path]:
    """Write a figure of each outcome that has findings, and return the files."""
    draw_without_screen()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from neuromotor.plotting import STYLE, save_figure

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for one in outcomes:
        if one.found is None:
            continue
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(4.2, 3.2), layout="constrained")
            one.experiment.draw(one.found, figure)
        figure.suptitle(f"{one.experiment.title}: {one.controller}", fontsize=9)
        path = folder / f"{one.name}_{file_label(one.controller)}.png"
        save_figure(figure, path)
        written.append(path)
    return written


def draw_page(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write one picture with the figures of all outcomes that have findings, three in a row."""
    draw_without_screen()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from neuromotor.plotting import STYLE, save_figure

    shown = [one for one in outcomes if one.found is not None]
    if not shown:
        return
    rows = -(-len(shown) // 3)
    with mpl.rc_context(STYLE):
        page = Figure(figsize=(12.6, 3.3 * rows), layout="constrained")
        parts = page.subfigures(rows, 3, squeeze=False).ravel()
        for one, part in zip(shown, parts, strict=False):
            if one.found is not None:
                one.experiment.draw(one.found, part)
            part.suptitle(f"{one.experiment.title}: {one.controller}", fontsize=9)
        save_figure(page, path)
