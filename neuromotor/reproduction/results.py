"""The tables of chapter 6, with the thesis's numbers beside those of trained networks.

Source: Sutskever (2013), table 6.2b and sections 6.7.1 to 6.7.3. A call of the thesis is a function
evaluation; ours counts values, gradients and Gauss-Newton products.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor.control import ILQR
from neuromotor.evaluation.against_references import EvaluatedReferences, evaluate_ilqr
from neuromotor.evaluation.bootstrap import Interval
from neuromotor.evaluation.performance import Evaluation, controller_runner, held_out
from neuromotor.reproduction.claims import AWAY, claims
from neuromotor.reproduction.convergence import load_convergence
from neuromotor.reproduction.evidence import FILE as EVIDENCE
from neuromotor.reproduction.evidence import load_evidence
from neuromotor.reproduction.experiments import distance_cm, disturbed, reaching_task, robust_trials
from neuromotor.reproduction.networks import Networks, Trained
from neuromotor.reproduction.seeds import FILE as SEEDS
from neuromotor.reproduction.seeds import load_seeds
from neuromotor.reproduction.sensitivity import FILE as SENSITIVITY
from neuromotor.reproduction.sensitivity import load_sensitivity, summary
from neuromotor.reproduction.tables import Table, Value
from neuromotor.tasks import DDN, TASKS
from neuromotor.tasks.postural import CALIBRATED_FORCE_N

__all__ = ["REPORTED", "Effort", "chapter6_tables"]


@dataclass(frozen=True)
class Reported:
    """The numbers that the thesis reports of a controller."""

    loss: float
    calls: int | None = None


ILQR_LOSS = 8.95e-5  # table 6.2b
_TITLES = {
    "clairvoyant": "clairvoyant iLQR",
    "ilqr": "iLQR",
    "ilqg": "ILQG",
    "online-predictive": "online planner",
}
REPORTED = {
    "center-out/ahf": Reported(8.96e-5),
    "center-out/lbfgs": Reported(9.29e-5),
    "postural/ahf": Reported(2.2e-2, 75_000),  # section 6.7.2
    "postural/lbfgs": Reported(2.3e-2, 15_000),
    "ddn/ahf": Reported(9e-3, 100_000),  # section 6.7.3
    "ddn/lbfgs": Reported(2e-2, 25_000),
}


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        held_out: Trials of random tasks.
        ilqg: Whether optimal feedback control is designed for comparison, which takes a while.
    """

    held_out: int = 1000
    ilqg: bool = True


def chapter6_tables(
    networks: Networks, effort: Effort, progress: Callable[[str], None] = lambda words: None
) -> list[Table]:
    """Return the tables of the reproduction; networks that are missing leave rows out."""
    found: list[Table] = []
    for make in (_center_out, _postural, _ddn, _robustness, _transfer):
        table = make(networks, effort)
        if table.rows:
            progress(f"table {table.name}")
            found.append(table)
    found.append(_optimizers())
    if SENSITIVITY.is_file():
        found.append(_sensitivity())
    seeds = load_seeds() if SEEDS.is_file() else []
    if seeds:
        found.append(_seeds(seeds))
    histories = {name: networks.get(name).history for name in networks.names()}
    evidence = load_evidence() if EVIDENCE.is_file() else {}
    return [*found, claims(found, load_convergence(), evidence, histories, seeds)]


def _center_out(networks: Networks, effort: Effort) -> Table:
    """Return the table that repeats table 6.2b."""
    names = ("center-out/ahf", "center-out/best", "center-out/lbfgs")
    rows: list[dict[str, Value]] = []
    for trained in _present(networks, names):
        task, trials = trained.task, trained.task.trials()
        solution = ILQR().solve(task, trials)
        ilqr = evaluate_ilqr(task, trials, ILQR(), solution=solution, responses=False)
        floor = float(ilqr.ideal.losses.mean())
        if not rows:
            level = Reported(ILQR_LOSS)
            rows.append(_center_row("iLQR, every reach by itself", level, 1.0, ilqr.ideal, None))
        run = trained.run(task, trials)
        own = ilqr.assess(controller_runner(task, trained.controller, trained.parameters))
        reported = REPORTED.get(trained.name)
        ratio = own.ratios["ilqr"].value
        row = _center_row(trained.name, reported, ratio, own, trained)
        aim = _aim(trained.name).loss / ILQR_LOSS
        row["calls to the source's ratio"] = calls_to(trained, aim * floor)
        row[AWAY] = float(distance_cm(task, run.states, solution.states).amax(-1).mean())
        rows.append(row)
    note = (
        "64 reaches, in float64. Best is held against the source's AHF. Energy is the mean time "
        "integral of the squared torque. The distance from iLQR's path is the largest along each "
        "reach, its mean over the reaches."
    )
    return Table("center-out", "Center-out (source: table 6.2b)", tuple(rows), note)


def _center_row(
    name: str, reported: Reported | None, ratio: float | None, own: Evaluation, by: Trained | None
) -> dict[str, Value]:
    means = own.performance
    return {
        "controller": name,
        "method": by.method if by else "ilqr",
        "source: loss": reported.loss if reported else None,
        "source: ratio": reported.loss / ILQR_LOSS if reported else None,
        "loss": means.loss,
        "ratio to iLQR": ratio,
        "calls": by.calls if by else None,
        "calls to the source's ratio": None,
        "error (cm)": means.target_error_cm,
        "energy (N² m² s)": means.energy,
        AWAY: None if by else 0.0,
    }


def _postural(networks: Networks, effort: Effort) -> Table:
    """Return the table of section 6.7.2."""
    rows: list[dict[str, Value]] = []
    names = ("postural/ahf", "postural/best", "postural/lbfgs")
    others = ("ilqg", "online-predictive")
    for trained, evaluation in _evaluated(networks, names, effort, rows_of=rows, others=others):
        rows.append(_loaded_row(trained.name, trained, evaluation))
    if rows and effort.ilqg:
        rows.append(_calibrated())
    note = (
        "9 postures under 8 loads. Swings: mean number of swings of the hand beyond 5 % of its "
        "largest displacement, to alternating sides, after that displacement; 1 is an overshoot. "
        "The clairvoyant iLQR knows the load before it comes, which no controller can. Best was "
        "trained on more than these trials: on drawn loads of both kinds, onsets and postures. The "
        "online planner knows the delay, but not the load. The last row is `postural-calibrated`."
    )
    return Table("postural", "Postural (source: section 6.7.2)", tuple(rows), note)


def _calibrated() -> dict[str, Value]:
    """Return the row of ILQG under the load that is calibrated to the thesis's loss."""
    task = TASKS["postural-calibrated"]
    references = evaluate_ilqr(task, task.trials(), ILQR(), responses=False).with_others(["ilqg"])
    name = f"postural, loads of {CALIBRATED_FORCE_N:g} N: ILQG"
    row = _loaded_row(name, None, references.evaluations["ilqg"])
    return {**row, "source: loss": REPORTED["postural/ahf"].loss}


def _ddn(networks: Networks, effort: Effort) -> Table:
    """Return the table of section 6.7.3."""
    rows: list[dict[str, Value]] = []
    for task in ("ddn", "ddn-robust", "ddn-delay"):
        names = (f"{task}/ahf", f"{task}/best", f"{task}/lbfgs")
        for trained, evaluation in _evaluated(networks, names, effort, rows_of=rows):
            rows.append(_loaded_row(trained.name, trained, evaluation))
    for row in rows:
        row.pop("swings")
    note = f"{effort.held_out} held-out trials, 95 % bootstrap intervals over trials."
    return Table("ddn", "Delay, disturbance, noise (source: section 6.7.3)", tuple(rows), note)


def _evaluated(
    networks: Networks,
    names: tuple[str, ...],
    effort: Effort,
    rows_of: list[dict[str, Value]],
    others: tuple[str, ...] = ("ilqg",),
) -> Iterator[tuple[Trained, Evaluation]]:
    """Yield evaluations of networks; rows of the references are appended to `rows_of` first."""
    references: EvaluatedReferences | None = None
    for trained in _present(networks, names):
        task = trained.task
        trials = held_out(task, trained.controller, effort.held_out)
        if references is None:
            references = evaluate_ilqr(task, trials, ILQR(), responses=False)
            if effort.ilqg and trials.disturbed:
                references = references.with_others(others)
            where = trained.name.partition("/")[0]
            for name, one in references.evaluations.items():
                rows_of.append(_loaded_row(f"{where}: {_TITLES[name]}", None, one))
        runner = controller_runner(task, trained.controller, trained.parameters)
        yield trained, replace(references, task=task, trials=trials).assess(runner)


def _loaded_row(name: str, by: Trained | None, own: Evaluation) -> dict[str, Value]:
    reported = REPORTED.get(name)
    ilqg = own.ratios.get("ilqg")
    return {
        "controller": name,
        "method": by.method if by else None,
        "source: loss": reported.loss if reported else None,
        "source: calls": reported.calls if reported else None,
        "loss": own.loss.value,
        "95 %": _interval(own.loss),
        "ratio to ILQG": ilqg.value if ilqg else None,
        "calls": by.calls if by else None,
        "calls to the source's loss": _calls_to_source(by) if by else None,
        "error (cm)": own.performance.target_error_cm,
        "swings": own.response.oscillations if own.response else None,
    }


def _aim(name: str) -> Reported:
    """Return what the thesis reports of a method; `best` is held against its AHF."""
    return REPORTED[name.replace("/best", "/ahf")]


def _calls_to_source(trained: Trained) -> int | None:
    known = trained.name.replace("/best", "/ahf") in REPORTED
    return calls_to(trained, _aim(trained.name).loss) if known else None


def _interval(found: Interval) -> str | None:
    return None if found.low is None else f"{found.low:.3g} to {found.high:.3g}"


def _robustness(networks: Networks, effort: Effort) -> Table:
    """Return the numbers of figure 6.4."""
    rows: list[dict[str, Value]] = []
    names = ("ddn-robust/best", "ddn-robust/lbfgs", "ddn/ahf", "ddn-delay/best", "ddn-delay/lbfgs")
    trained = list(_present(networks, names))
    if trained:
        task, trials = robust_trials(trained[0], effort.held_out)
        for one in trained:
            run = disturbed(one, task, trials)
            late = run.latency_ms[torch.isfinite(run.latency_ms)].numpy()
            rows.append(
                {
                    "controller": one.name,
                    "trained with": _chance(one),
                    "median error, disturbed (cm)": float(run.error_cm.median()),
                    "median error, undisturbed (cm)": float(run.calm_error_cm.median()),
                    "correction starts (ms)": float(np.median(late)) if len(late) else None,
                    "middle 80 % (ms)": _range(late),
                }
            )
    note = (
        f"{effort.held_out} held-out trials with delay and disturbance, without noise. The source "
        "says that the robust network takes about 7 steps of 10 ms to detect and correct, and that "
        "the other cannot complete the motion. A correction starts when the torque has changed by "
        "5 % of the disturbance against the same trial without it; with Euler steps the first news "
        "of a disturbance arrives 80 ms after it began."
    )
    return Table("robustness", "Disturbances (source: figure 6.4)", tuple(rows), note)


def _chance(trained: Trained) -> str:
    """Return in words what chance a DDN network was trained with."""
    task = trained.task
    if not isinstance(task, DDN):
        raise ValueError(f"{trained.name} must have been trained on a DDN task.")
    sizes = {"disturbances": task.disturbance_in_use, "noise": task.noise}
    return " and ".join(name for name, size in sizes.items() if size) or "none"


def _range(values: NDArray[np.float64]) -> str | None:
    """Return the range of the middle 80 % of values, in words."""
    if not len(values):
        return None
    low, high = np.quantile(values, (0.1, 0.9))
    return f"{low:.0f} to {high:.0f}"


def _transfer(networks: Networks, effort: Effort) -> Table:
    """Return the numbers of figure 6.5."""
    rows: list[dict[str, Value]] = []
    for trained in _present(networks, ("ddn/ahf", "ddn/best", "ddn/lbfgs")):
        if not isinstance(trained.task, DDN):
            raise ValueError(f"{trained.name} must have been trained on a DDN task.")
        task = reaching_task(trained.task)
        trials = task.trials()
        solution = ILQR().solve(task, trials)
        run = trained.run(task, trials)
        error = distance_cm(task, run.states[:, -1], trials.target)
        away = distance_cm(task, run.states, solution.states).amax(-1)
        rows.append(
            {
                "controller": trained.name,
                "method": trained.method,
                "loss": float(task.cost.losses(run.states, run.commands, trials).mean()),
                "error (cm)": float(error.mean()),
                AWAY: float(away.mean()),
            }
        )
    note = "64 reaches of 4.463 cm in 600 ms with the delay, undisturbed; means over reaches."
    return Table("transfer", "DDN networks on center-out (source: figure 6.5)", tuple(rows), note)


def _optimizers() -> Table:
    """Return the numbers of figure 6.2."""
    data = load_convergence()
    rows: list[dict[str, Value]] = []
    paths = any(found.get("away_cm") for found in data["methods"].values())
    for name, found in data["methods"].items():
        away = found.get("away_cm")
        ratios = np.array([curve[-1] for curve in found["loss"]]) / data["reference"]
        rows.append(
            {
                "method": name,
                "ratio to iLQR": float(np.median(ratios)),
                "lowest": float(ratios.min()),
                "highest": float(ratios.max()),
                "calls": int(found["calls"][-1]),
                **({AWAY: float(np.median(away)) if away else None} if paths else {}),
            }
        )
    rows.sort(key=lambda row: float(row["ratio to iLQR"] or 0))
    commands = ", ".join(f"`{one}`" for one in (data["command"], *data.get("others", ())))
    note = (
        f"Medians over {len(data['seeds'])} seeds, of the least loss within the calls that all of "
        f"them had. {commands}. The source's Hessian-free has structural damping, its gradient "
        "descent a fixed rate and no clipping."
    )
    return Table("optimizers", "All optimizers (source: figure 6.2a)", tuple(rows), note)


def _seeds(data: Sequence[Mapping[str, Any]]) -> Table:
    """Return the ranges over the seeds of the trainings of sections 6.7.2 and 6.7.3."""
    trainings: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in data:
        trainings.setdefault((row["network"], row["calls"]), []).append(row)
    rows: list[dict[str, Value]] = []
    for (network, calls), own in trainings.items():
        ratios = [row["ratio"] for row in own]
        swings = [row["swings"] for row in own if row["swings"] is not None]
        rows.append(
            {
                "network": network,
                "calls": calls,
                "seeds": ", ".join(str(row["seed"]) for row in own),
                "loss": statistics.median(row["loss"] for row in own),
                "ratio to ILQG": statistics.median(ratios),
                "lowest": min(ratios),
                "highest": max(ratios),
                "error (cm)": statistics.median(row["error_cm"] for row in own),
                "swings": statistics.median(swings) if swings else None,
            }
        )
    note = "Medians over the seeds, and the range of the ratio. The zoo has seed 0."
    return Table("seeds", "Several seeds (source: sections 6.7.2 and 6.7.3)", tuple(rows), note)


def _sensitivity() -> Table:
    """Return the losses of smaller networks and of other sizes."""
    rows = [
        {
            "choice": row["factor"],
            "value": row["value"] + (" (ours)" if row["standard"] else ""),
            "seeds": row["seeds"],
            "loss": row["loss"],
            "loss / iLQR's": row["ratio"],
            "energy / iLQR's": row["energy_ratio"],
            "error (cm)": row["target_error_cm"],
        }
        for row in summary(load_sensitivity())
    ]
    note = (
        "Small trainings from scratch (medians over the seeds): center-out and postural 800 calls "
        "of kron-lbfgs, DDN 400 of kron-descent on fresh batches of 100 pairs and 400 held-out "
        "trials, against iLQR that knows what comes."
    )
    return Table("sensitivity", "Choices that the source leaves open", tuple(rows), note)


def calls_to(trained: Trained, level: float) -> int | None:
    """Return after how many calls a training first had a loss, None if it never did."""
    for calls, loss in zip(trained.history["calls"], trained.history["loss"], strict=True):
        if loss is not None and loss <= level:
            return int(calls)
    return None


def _present(networks: Networks, names: tuple[str, ...]) -> Iterator[Trained]:
    """Yield those of the networks that are there."""
    return (networks.get(name) for name in names if not networks.missing([name]))
