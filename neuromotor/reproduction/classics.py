"""Every classic reaching experiment for several controllers: one table, and a figure for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neuromotor.experiments import VERDICTS, overall
from neuromotor.reproduction.tables import Table, write_tables
from neuromotor.runs.experiments import FITTED, Outcome, Plan, draw_outcomes, draw_page
from neuromotor.runs.kept_findings import file_label
from neuromotor.storage.components import encode
from neuromotor.tasks import SENSES, TASKS

__all__ = ["classics_tables", "fitted_table", "write_classics"]


def classics_tables(todo: Plan, outcomes: Sequence[Outcome]) -> list[Table]:
    """Return the score, every measure, and the shared conditions.

    Args:
        todo: Experiments and conditions.
        outcomes: Every controller in every experiment.
    """
    controllers = list(dict.fromkeys(one.controller for one in outcomes))
    by = {(one.name, one.controller): one for one in outcomes}
    score = []
    for name, experiment in todo.experiments.items():
        row: dict[str, Any] = {"experiment": experiment.title}
        for controller in controllers:
            row[controller] = overall(by[name, controller].judgements)
        score.append(row)
    counted: dict[str, Any] = {"experiment": "inside or same direction"}
    for controller in controllers:
        verdicts = Counter(overall(by[name, controller].judgements) for name in todo.experiments)
        good = sum(verdicts[one] for one in VERDICTS[:2])
        counted[controller] = f"{good} of {len(todo.experiments)}"
    score.append(counted)
    return [
        Table("score", "Score", tuple(score), _WORDS),
        Table("measures", "Every measure", tuple(_measures(outcomes))),
        Table("conditions", "The conditions of all experiments", tuple(_conditions(todo))),
    ]


_WORDS = (
    "An experiment is as good as its weakest measure. inside: within nature's range. same "
    "direction: outside of it, but the whole 95 % interval lies on nature's side of no effect. "
    "absent: neither. cannot be asked: the controller cannot take part; the table of every measure "
    "says why."
)


def fitted_table(todo: Plan, fitted: Plan, outcomes: Sequence[Outcome], tries: int) -> Table:
    """Return the score of one controller under conditions that were fitted to it.

    Args:
        todo: The conditions that the fit began with.
        fitted: Those that it found.
        outcomes: The controller in every experiment there.
        tries: How many conditions were tried.
    """
    rows: list[dict[str, Any]] = [
        {"experiment": one.experiment.title, one.controller: overall(one.judgements)}
        for one in outcomes
    ]
    good = sum(overall(one.judgements) in VERDICTS[:2] for one in outcomes)
    name = outcomes[0].controller
    rows.append({"experiment": "inside or same direction", name: f"{good} of {len(outcomes)}"})
    changes = [
        f"{name} {getattr(fitted.world, name):.3g} for {getattr(todo.world, name):g}"
        for name in FITTED
        if getattr(fitted.world, name) != getattr(todo.world, name)
    ]
    before, after = (one.world.senses for one in (todo, fitted))
    if before is not None and after is not None and before != after:
        factors = [
            a.noise / b.noise
            for a, b in zip(after.channels, before.channels, strict=True)
            if b.noise
        ]
        changes.append(f"noise of the senses {factors[0]:.3g} times")
    changed = ", ".join(changes)
    note = f"The best of {tries} random conditions and the common ones: {changed or 'the latter'}."
    return Table("fitted", "Score with fitted conditions", tuple(rows), note)


def _measures(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """A row for each measure of each controller."""
    rows = []
    for one in outcomes:
        for judged in one.judgements:
            nature = judged.nature
            found = judged.found
            rows.append(
                {
                    "experiment": one.experiment.title,
                    "measure": nature.what,
                    "controller": one.controller,
                    "value (95 %)": _value(found),
                    "nature": nature.range_words,
                    "of": nature.of,
                    "source": nature.source,
                    "verdict": f"{judged.verdict}: {judged.reason}"
                    if judged.reason
                    else judged.verdict,
                }
            )
    return rows


def _value(found: Any) -> str:
    """A value with its interval."""
    if found is None or found.value is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value:.3g}"
    return f"{found.value:.3g} ({found.low:.3g} to {found.high:.3g})"


def _conditions(todo: Plan) -> list[dict[str, Any]]:
    """A row for each setting that all experiments share."""
    settings = encode(todo.world, TASKS)
    senses = encode(todo.world.senses, SENSES) if todo.world.senses is not None else {}
    training = {
        *("pairs", "distance_m", "arrival_s", "free", "bars", "passes", "jumps", "jump_m"),
        *("pushes", "push_nm", "fields", "curl_ns_m", "curl_spread_ns_m", "divergent_n_m"),
        *("paths", "path_half_axis_m", "path_lap_s"),
        *("steps", "type", "plant", "senses", "penalties", "delay_steps"),
    }
    rows = [
        {"setting": name, "value": str(value)}
        for name, value in settings.items()
        if name not in training
    ]
    plant = settings["plant"]
    rows += [
        {"setting": f"plant.{name}", "value": str(plant[name])}
        for name in ("lag_s", "rotation_deg", "gain")
    ]
    for channel in senses.get("channels", []):
        words = f"{1000 * channel['delay_s']:g} ms late, noise {channel['noise']:g}"
        rows.append({"setting": f"sense {channel['signal']}", "value": words})
    return rows


def write_classics(
    todo: Plan,
    outcomes: Sequence[Outcome],
    out: Path,
    about: Mapping[str, Any],
    more: Sequence[Table] = (),
) -> list[Table]:
    """Write tables.md, tables.json, a figure of each outcome, and a page for each controller.

    Args:
        todo: Experiments and conditions.
        outcomes: Every controller in every experiment.
        out: The folder.
        about: Command, machine and versions.
        more: Further tables.
    """
    tables = [*classics_tables(todo, outcomes), *more]
    details = {**about, **todo.as_dict(), "outcomes": [one.as_dict() for one in outcomes]}
    write_tables(tables, out, details)
    draw_outcomes(outcomes, out / "figures")
    for controller in dict.fromkeys(one.controller for one in outcomes):
        own = [one for one in outcomes if one.controller == controller]
        draw_page(own, out / f"{file_label(controller)}.png")
    return tables
