"""The study's numbers beside ours and the monkeys': tables of rotations, behaviour and likeness."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuromotor.analysis import Rotations
from neuromotor.analysis.rotation_nulls import CovarianceMatched
from neuromotor.reproduction.kalidindi.figure import draw_rotations, panels_of
from neuromotor.reproduction.kalidindi.likeness import likeness_rows
from neuromotor.reproduction.kalidindi.measure import Measured, measured
from neuromotor.reproduction.kalidindi.monkeys import Monkeys, monkeys_of
from neuromotor.reproduction.kalidindi.muscles import MUSCLES_NOTE, muscle_rows
from neuromotor.reproduction.kalidindi.networks import CONDITIONS, Effort, network, task_of
from neuromotor.reproduction.tables import Table, write_tables

__all__ = ["MAIN", "PAPER", "QUICK", "reproduce", "row_of"]

# Kalidindi et al. (2021): R^2 of the skew-symmetric and the unconstrained fit, frequencies (Hz) of
# the first two planes, and their share of the variance. None is what the paper does not say.
_Row = tuple[float, float, tuple[float, ...], float | None]
PAPER: dict[tuple[str, str], _Row] = {
    ("posture", "output layer"): (0.55, 0.83, (2.0, 0.7), 0.60),
    ("posture", "input layer"): (0.51, 0.88, (1.8, 0.95), 0.74),
    ("posture", "muscles"): (0.02, 0.31, (), None),
    ("posture", "kinematics"): (0.39, 0.48, (1.1,), None),
    ("posture-no-rec", "output layer"): (0.43, 0.54, (1.0, 0.74), 0.92),
    ("reach", "output layer"): (0.70, 0.83, (2.1, 1.1), 0.83),
    ("reach", "input layer"): (0.54, 0.72, (2.1, 0.9), None),
    ("reach", "muscles"): (0.03, 0.35, (), None),
    ("reach", "kinematics"): (0.35, 0.80, (0.94,), None),
    ("reach-no-rec", "output layer"): (0.46, 0.56, (1.4, 0.85), 0.82),
    ("posture-0ms", "output layer"): (0.38, 0.67, (1.60,), None),
    ("posture-100ms", "output layer"): (0.44, 0.83, (1.42,), None),
    ("reach-0ms", "output layer"): (0.72, 0.82, (1.90,), None),
    ("reach-100ms", "output layer"): (0.58, 0.79, (1.47,), None),
    ("posture-hand", "output layer"): (0.20, 0.62, (), None),
    ("reach-hand", "output layer"): (0.40, 0.77, (), None),
}
MONKEYS: dict[str, _Row] = {
    "motor cortex, all": (0.41, 0.50, (1.3, 1.1), 0.63),
    "motor cortex P": (0.403, math.nan, (), None),
    "motor cortex Pu": (0.428, math.nan, (), None),
    "motor cortex X": (0.480, math.nan, (), None),
}
_NOT_PUBLISHED: _Row = (math.nan, math.nan, (), None)
QUICK = ("posture", "reach", "posture-no-rec")
MAIN = (*QUICK, "reach-no-rec")
CONTROL = "point-mass"
_ALONE = ("output layer",)  # of the conditions beyond the main ones


def reproduce(
    networks: Path,
    out: Path,
    about: Mapping[str, Any],
    *,
    conditions: Sequence[str] = MAIN,
    effort: Effort | None = None,
    monkeys: Path | None = None,
    progress: Callable[[str], None] = lambda words: None,
) -> list[Table]:
    """Train what is missing, measure it, write tables and figures; return the tables.

    Args:
        networks: Folder of the trained networks; what it lacks is trained into it.
        out: Folder of tables.md, tables.json and rotations.png.
        about: Command, machine and versions, kept in tables.json.
        conditions: Names among `CONDITIONS`.
        effort: How much is trained and drawn.
        monkeys: Folder of the study's recordings, or None.
        progress: Told what is done.
    """
    effort = effort or Effort()
    found: dict[str, list[Measured]] = {}
    for name in conditions:
        condition = CONDITIONS[name]
        seeds = effort.seeds_of(condition, networks)
        if not seeds:
            progress(f"{name}: no network lies in {networks} or comes with the package; left out")
            continue
        found[name] = []
        for seed in seeds:
            saved = network(condition, seed, effort, networks, progress)
            progress(f"{name}, seed {seed}: rotations")
            task = saved.task or task_of(condition)
            found[name].append(measured(saved, task, surrogates=effort.surrogates, seed=seed))
    recorded = Monkeys()
    if monkeys is not None:
        progress("monkeys: rotations")
        recorded = monkeys_of(monkeys, effort.surrogates)
    compared = {name: own for name, own in found.items() if name in (*MAIN, CONTROL)}
    tables = [
        _rotations_table(found, recorded),
        _behaviour_table(found, recorded),
        Table(
            "muscles",
            "Which loads and reaches the muscles answer",
            muscle_rows(compared, recorded, _text),
            MUSCLES_NOTE,
        ),
        _likeness_table(compared, recorded),
    ]
    write_tables(tables, out, about)
    panels = panels_of(found, recorded)
    if panels:
        from neuromotor.plotting import save_figure  # matplotlib

        save_figure(draw_rotations(panels), out / "rotations.png")
    return tables


def _rotations_table(found: Mapping[str, Sequence[Measured]], recorded: Monkeys) -> Table:
    """Paper, ours and nulls, a row for each signal of each condition; then the monkeys."""
    rows = []
    for name, networks in found.items():
        signals = list(networks[0].rotations) if name in MAIN else _ALONE
        for signal in signals:
            own = [one.rotations[signal] for one in networks if signal in one.rotations]
            matched = [one.matched[signal] for one in networks if signal in one.matched]
            paper = PAPER.get((name, signal))
            sizes = {one.layers for one in networks}
            rows.append(row_of(CONDITIONS[name].title, signal, paper, own, matched, sizes))
    for name, rotation in recorded.rotations.items():
        rows.append(
            row_of("monkeys", name, MONKEYS.get(name), [rotation], [recorded.matched[name]])
        )
    note = (
        "Medians over networks, with their range where there are several. skew and free: R² of the "
        "skew-symmetric and the unconstrained fit. null: median of the skew R² of maximum-entropy "
        "surrogates, and p, the share of surrogates that reach the data's (the largest of the "
        "networks). matched: the same of covariance-matched permutations (Michaels et al. 2016); p "
        "ratio is that of skew R² over free R², which is their statistic. A dash is what was not "
        "published, or not measured."
    )
    return Table("rotations", "Rotations in networks and monkeys", tuple(rows), note)


def row_of(
    title: str,
    signal: str,
    paper: _Row | None,
    own: Sequence[Rotations],
    matched: Sequence[CovarianceMatched] = (),
    sizes: Collection[tuple[int, ...]] = (),
) -> dict[str, str | float | int | None]:
    """Return one line of the table: published numbers and ours.

    Args:
        title: Of the condition.
        signal: What turns.
        paper: The published numbers, or None.
        own: Of each network, or of one recording.
        matched: The same against covariance-matched permutations.
        sizes: Units in each layer, of each kind of network there is.
    """
    skew, free, hz, planes = paper or _NOT_PUBLISHED
    planes_shown = min((min(2, len(one.frequencies_hz)) for one in own), default=0)
    nulls = [one.nulls["maximum entropy"] for one in own if "maximum entropy" in one.nulls]
    return {
        "condition": title,
        "signal": signal,
        "networks": len(own),
        "units": ", ".join(" + ".join(str(units) for units in one) for one in sorted(sizes)) or "-",
        "skew, paper": _text([skew]),
        "skew": _text([one.r2_skew for one in own]),
        "null": _text([float(np.median(one.skew)) for one in nulls]),
        "p": _text([max((one.p_skew for one in own), default=math.nan)], 3),
        "matched": _text([float(np.median(one.null.skew)) for one in matched]),
        "p matched": _text([max((one.p_skew for one in matched), default=math.nan)], 3),
        "p ratio": _text([max((one.p_ratio for one in matched), default=math.nan)], 3),
        "free, paper": _text([free]),
        "free": _text([one.r2_unconstrained for one in own]),
        "Hz, paper": ", ".join(f"{one:g}" for one in hz) or "-",
        "Hz": ", ".join(
            _text([float(one.frequencies_hz[plane]) for one in own])
            for plane in range(planes_shown)
        ),
        "planes 1 + 2, paper": "-" if planes is None else f"{100 * planes:.0f} %",
        "planes 1 + 2": _text([100 * float(one.plane_variance[:2].sum()) for one in own], 0) + " %",
    }


_BEHAVIOUR = (
    ("displacement_cm", "displacement (cm)", "about 3", 2),
    ("reversal_ms", "reversal (ms)", "300 to 400", 0),
    ("muscles_ms", "muscles begin (ms)", "50", 0),
    ("end_error_cm", "hand from its posture, at the end (cm)", "-", 2),
    ("axis_deg", "axis of preferred loads, output layer (deg)", "-", 0),
    ("axis_strength", "strength of that axis, 0 to 1", "-", 2),
)


def _behaviour_table(found: Mapping[str, Sequence[Measured]], recorded: Monkeys) -> Table:
    """How the hand answers loads, and how near reaches end."""
    rows = []
    for name, networks in found.items():
        answers = [one.behaviour for one in networks if one.behaviour is not None]
        for key, title, paper, digits in _BEHAVIOUR if answers else ():
            values = [float(getattr(one, key)) for one in answers]
            known = paper if CONDITIONS[name].muscles else "-"  # the point mass is ours
            rows.append(_quantity(CONDITIONS[name].title, title, known, values, digits))
        if not answers:
            errors = [one.error_cm for one in networks]
            title = "hand from its target, at the end (cm)"
            rows.append(_quantity(CONDITIONS[name].title, title, "-", errors, 2))
    pushed = list(recorded.hands.values())
    for place, (_, title, _, digits) in enumerate(_BEHAVIOUR[:2] if pushed else ()):
        rows.append(_quantity("monkeys", title, "-", [one[place] for one in pushed], digits))
    note = (
        "Trials without noise, means or medians over loads; medians over networks, and over "
        "monkeys, with their range. The monkeys' hands are where the model's arm has its hand at "
        "their joint angles."
    )
    return Table("behaviour", "What hand and muscles do", tuple(rows), note)


def _likeness_table(found: Mapping[str, Sequence[Measured]], recorded: Monkeys) -> Table:
    """Each layer beside each monkey's motor cortex, with the ceilings."""
    note = (
        "Six components, 70 to 370 ms after the same loads; medians over networks with range. "
        "Procrustes: angle that is left after the best rotation, less is more alike. Canonical "
        "correlation: mean of six. dynamics: a thousand times the distance between the eigenvalues "
        "of linear dynamics, which needs `dsa-metric` (the extra `dsa`). Loads "
        "exchanged: the same of unrelated loads. Seeds and monkeys among themselves are the "
        "ceiling."
    )
    rows = likeness_rows(found, recorded.cortex, _text)
    return Table("likeness", "Networks beside each monkey", rows, note)


def _quantity(
    condition: str, title: str, paper: str, values: Sequence[float], digits: int
) -> dict[str, str | float | int | None]:
    """One line of the table of behaviour."""
    return {
        "condition": condition,
        "quantity": title,
        "networks": len(values),
        "paper": paper,
        "ours": _text(values, digits),
    }


def _text(values: Sequence[float], digits: int = 2) -> str:
    """Median and range of what is finite; a dash where nothing is."""
    kept = [value for value in values if math.isfinite(value)]
    if not kept:
        return "-"
    middle = f"{statistics.median(kept):.{digits}f}"
    if len(kept) == 1:
        return middle
    return f"{middle} ({min(kept):.{digits}f} to {max(kept):.{digits}f})"
