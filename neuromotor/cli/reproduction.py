"""The commands `reproduce`, which repeat published studies."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as Grid

from neuromotor._checks import lookup
from neuromotor.cli.display import messages, output
from neuromotor.cli.options import ConfigOption, JsonOption, SetOption, SmokeOption
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.reproduction.tables import Table, cell
from neuromotor.runs.drawing import draw_without_screen
from neuromotor.runs.execute import machine, versions
from neuromotor.storage.components import SettingsError
from neuromotor.storage.files import write_json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Repeat published studies: chapters 4, 6 and 7 of Sutskever (2013), classic reaching "
        "experiments, Kalidindi et al. (2021).",
    )
    group.command()(chapter4)
    group.command()(chapter6)
    group.command()(chapter7)
    group.command()(classics)
    group.command()(kalidindi2021)
    group.command()(sensitivity)
    group.command()(evidence)
    group.command()(convergence)
    group.command()(seeds)
    app.add_typer(group, name="reproduce")


def chapter6(
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Use fewer trials, and draw only the thesis's own figures."),
    ] = False,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch", help="Train all networks again, from where this stopped before."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before long trainings.")] = False,
    networks: Annotated[
        Path | None, typer.Option(help="Folder of run folders, whose networks replace the zoo's.")
    ] = None,
    document: Annotated[
        Path | None,
        typer.Option(help="Markdown file, as docs/reproduction.md, whose tables are replaced."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("reproduction"),
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Make the tables and figures of the chapter from the trained networks of the zoo.

    Leaves tables.md, tables.json and figures/ in the folder, and with `--from-scratch` runs/.

    Example: `neuromotor reproduce chapter6 --quick`
    """
    draw_without_screen()
    from neuromotor.reproduction.chapter6 import reproduce
    from neuromotor.reproduction.networks import NAMES, Networks, run_name

    if from_scratch and networks is not None:
        raise SettingsError("`--from-scratch` makes its own networks; leave `--networks` out.")
    choose_threads(1)
    source = Networks(networks)
    if networks is not None and not source.names():
        raise SettingsError(
            f"`--networks` must be a folder of run folders named after the chapter's networks, as "
            f"{run_name(NAMES[0])}, got {networks} with none; train with `--out "
            f"{networks / run_name(NAMES[0])}`."
        )
    if from_scratch:
        _train_all(out, ask=not yes)
        source = Networks(out / "runs")
    command = shlex.join(["neuromotor", *sys.argv[1:]])
    about = {"command": command, "versions": versions(), "machine": machine()}
    tables = reproduce(source, out, about, quick=quick, smoke=smoke, progress=_say)
    _show(tables, out, document, as_json=json_)


QuickOption = Annotated[
    bool,
    typer.Option("--quick", help="With `--from-scratch`: tiny trainings, to try the command out."),
]
WholeOption = Annotated[
    bool,
    typer.Option(
        "--whole",
        help="With `--from-scratch`: trainings of the source's size, weeks on two cores.",
    ),
]
ScratchOption = Annotated[
    bool,
    typer.Option(
        "--from-scratch", help="Make all trainings again, from where this stopped before."
    ),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAME",
        help="With `--from-scratch`: only trainings whose names begin so, as `permutation` or "
        "`order-3-30-hf`; may be repeated.",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(help="Results to show, a data.json of `--from-scratch`. Default: the package's."),
]
DocumentOption = Annotated[
    Path | None, typer.Option(help="Markdown file whose tables are replaced.")
]


def chapter4(
    from_scratch: ScratchOption = False,
    whole: WholeOption = False,
    quick: QuickOption = False,
    only: OnlyOption = None,
    data: DataOption = None,
    document: DocumentOption = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("reproduction4"),
    json_: JsonOption = False,
) -> None:
    """Show which problems of memory Hessian-free methods solve, and table 4.1's films of balls.

    Prints figure 4.1 as a table, by problem, length T and method, beside what the source says, from
    trainings whose results come with the package. Leaves tables.md, tables.json and
    figures/fig4_1.png, and with `--from-scratch` runs/ and data.json.

    Example: `neuromotor reproduce chapter4`
    """
    _memory(4, from_scratch, whole, quick, only, data, document, out, as_json=json_)


def chapter7(
    from_scratch: ScratchOption = False,
    whole: WholeOption = False,
    quick: QuickOption = False,
    only: OnlyOption = None,
    data: DataOption = None,
    document: DocumentOption = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("reproduction7"),
    json_: JsonOption = False,
) -> None:
    """Show table 7.3: what Nesterov's accelerated gradient and momentum make of long memory.

    From trainings whose results come with the package. Leaves tables.md and tables.json, and with
    `--from-scratch` runs/ and data.json.

    Example: `neuromotor reproduce chapter7`
    """
    _memory(7, from_scratch, whole, quick, only, data, document, out, as_json=json_)


def _memory(
    chapter: int,
    from_scratch: bool,
    whole: bool,
    quick: bool,
    only: list[str] | None,
    data: Path | None,
    document: Path | None,
    out: Path,
    *,
    as_json: bool,
) -> None:
    """Do what `chapter4` and `chapter7` say."""
    draw_without_screen()
    from neuromotor.reproduction.memory import reproduce_memory
    from neuromotor.reproduction.memory_runs import (
        measured,
        memory_runs,
        selected,
        train_memory,
        write_measured,
    )

    if from_scratch and data is not None:
        raise SettingsError("`--from-scratch` makes its own results; leave `--data` out.")
    if (whole or quick or only) and not from_scratch:
        raise SettingsError(
            "`--whole`, `--quick` and `--only` are for trainings; add `--from-scratch`."
        )
    if whole and quick:
        raise SettingsError("`--whole` and `--quick` exclude each other; give one of them.")
    if from_scratch:
        choose_threads(1)
        runs = memory_runs(chapter, whole=whole, quick=quick)
        try:
            wanted = selected(runs, only or ())
        except ValueError as error:
            raise SettingsError(str(error)) from error
        finished = train_memory(wanted, out / "runs", progress=_say)
        data = out / "data.json"
        write_measured(runs, out / "runs", data)
        if not finished:
            _say(f"Stopped; what there is was saved in {out}. The same command goes on.")
            sys.exit(130)
    about = {"command": shlex.join(["neuromotor", *sys.argv[1:]])}
    others = measured(4)["rows"] if chapter == 7 and data is None else ()
    planned = memory_runs(chapter) if data is None else ()
    found = measured(chapter, data)
    tables = reproduce_memory(chapter, found, out, about, others, planned)
    _show(tables, out, document, as_json=as_json)


def _show(
    tables: Sequence[Table],
    out: Path,
    document: Path | None,
    *,
    as_json: bool,
    printed: Sequence[Table] | None = None,
) -> None:
    """Put the tables into a document, and print them, or some of them only."""
    from neuromotor.reproduction.tables import update_document

    if document is not None:
        for name in update_document(document, tables):
            _say(f"{document} has no place for the table {name}")
    if as_json:
        print(json.dumps([table.as_dict() for table in tables], indent=2))
        return
    for table in tables if printed is None else printed:
        output.print(f"\n{table.title}", style="bold")
        output.print(_printed(table))
    output.print(f"\nFolder: {out}", soft_wrap=True)


def kalidindi2021(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            "--no-train",
            help="Train nothing. A condition of which the folder of networks has none takes those "
            "of 2 x 200 units that come with the package, or is left out. Under a minute.",
        ),
    ] = False,
    monkeys: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the study's recordings, as motor_cortex_P.mat, and EMG.mat; without it "
            "no monkeys.",
        ),
    ] = None,
    networks: Annotated[
        Path | None,
        typer.Option(help="Folder of trained networks; what it lacks is trained into it."),
    ] = None,
    conditions: Annotated[
        str | None,
        typer.Option(
            help="Names with commas, or `all`: posture, reach, posture-no-rec, reach-no-rec, and "
            "posture- or reach- with 0ms, 100ms or hand, posture- or posture-no-rec- with "
            "low-friction, point-mass. Default: the first four."
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Networks of each condition. Default: 5.")
    ] = None,
    units: Annotated[
        int | None, typer.Option(min=6, help="Units in each of the two layers. Default: 500.")
    ] = None,
    budget: Annotated[
        int | None, typer.Option(metavar="UPDATES", min=1, help="Of a training. Default: 2000.")
    ] = None,
    document: Annotated[
        Path | None,
        typer.Option(help="Markdown file, as docs/kalidindi2021.md, whose tables are replaced."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("kalidindi2021"),
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Train networks that hold posture and reach, and hold their rotations against monkeys.

    Each network's units, muscles and kinematics are analysed as the study does, beside nulls and
    the published numbers. Leaves tables.md, tables.json, rotations.png and networks/ in the folder.
    Stopped, the same command goes on. A network of 500 units takes about 4 minutes on one core.

    Example: `neuromotor reproduce kalidindi2021 --quick --monkeys recordings/`
    """
    draw_without_screen()
    from neuromotor.reproduction.kalidindi.networks import CONDITIONS, Effort, suitable_rate
    from neuromotor.reproduction.kalidindi.results import MAIN, QUICK, reproduce

    names = list(MAIN)
    effort = Effort()
    if quick:
        effort = Effort(trains=False)
        if units is not None or budget is not None:
            raise SettingsError("`--quick` trains nothing: leave `--units` and `--budget` out.")
    if smoke:
        names = list(QUICK)
        effort = Effort(seeds=1, units=12, calls=5, surrogates=3, learning_rate=2e-3)
    if conditions is not None:
        names = list(CONDITIONS) if conditions == "all" else conditions.split(",")
        for name in names:
            lookup("condition", name, CONDITIONS)
    effort = replace(
        effort,
        seeds=seeds or effort.seeds,
        units=units or effort.units,
        calls=budget or effort.calls,
    )
    if units is not None and not smoke:
        effort = replace(effort, learning_rate=suitable_rate(units))
    choose_threads(1)
    command = shlex.join(["neuromotor", *sys.argv[1:]])
    about = {"command": command, "versions": versions(), "machine": machine()}
    try:
        tables = reproduce(
            networks or out / "networks",
            out,
            about,
            conditions=names,
            effort=effort,
            monkeys=monkeys,
            progress=_say,
        )
    except KeyboardInterrupt:
        _say(f"Stopped; what there is was saved in {out}. The same command goes on.")
        sys.exit(130)
    _show(tables, out, document, as_json=json_)


def classics(
    controllers: Annotated[
        str,
        typer.Option(
            help="Whom to put through them, with commas: ilqg, lqg-infinite and other subjects of "
            "`neuromotor experiment`, controller files, names of `neuromotor zoo`."
        ),
    ] = "ilqg,open-loop",
    experiments: Annotated[
        str | None, typer.Option(help="Names of experiments with commas. Default: all.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer repeats of everything: at most 3 minutes.")
    ] = False,
    fit_: Annotated[
        int,
        typer.Option(
            "--fit",
            metavar="TRIES",
            min=0,
            help="Also fit weights and noise of the conditions to the first controller, with fewer "
            "repeats: the best of so many random ones.",
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    document: DocumentOption = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("classics"),
    json_: JsonOption = False,
) -> None:
    """Put controllers through classic reaching experiments, and hold them against nature.

    One set of costs, noise and delays holds for all experiments; `--set world.noise=0.2` changes
    it. Leaves tables.md, tables.json, figures/, a picture with all figures of each controller, and
    findings/ in the folder. Stopped, the same command goes on with what is not in findings/ yet.

    Example: `neuromotor reproduce classics --quick --controllers ilqg,lqg-infinite`
    """
    from neuromotor.experiments import EXPERIMENTS
    from neuromotor.reproduction.classics import fitted_table, write_classics
    from neuromotor.runs.experiments import conduct, fit, plan
    from neuromotor.runs.kept_findings import KeptFindings

    choose_threads(1)
    names = list(EXPERIMENTS) if experiments is None else experiments.split(",")
    todo = plan(names, config, set_ or [], quick=quick)
    kept = KeptFindings(out / "findings")
    outcomes = conduct(todo, controllers.split(","), seed, say=_say, kept=kept)
    about = {
        "command": shlex.join(["neuromotor", *sys.argv[1:]]),
        "versions": versions(),
        "machine": machine(),
    }
    more = []
    if fit_:
        few = plan(names, config, set_ or [], quick=True)
        found, there = fit(few, controllers.split(",")[0], fit_, seed, say=_say)
        more.append(fitted_table(few, found, there, fit_))
    tables = write_classics(todo, outcomes, out, about, more)
    _show(tables, out, document, as_json=json_, printed=(*tables[:2], *more))


def _train_all(out: Path, *, ask: bool) -> None:
    """Retrain the zoo's networks after a word on how long it takes."""
    from neuromotor.reproduction.scratch import estimate, plan, retrain

    trainings = plan()
    left = [one for one in trainings if not one.finished(out)]
    hours = estimate(trainings, out) / 3600
    for one in left:
        _say(f"{one.name}: {one.calls:,} calls, {one.seconds / 60:.0f} minutes when it was made")
    _say(
        f"{len(left)} of {len(trainings)} networks to train: {hours:.1f} hours on the machine of "
        "their cards (`neuromotor zoo NAME`), one thread. Ctrl-C stops; the same command goes on."
    )
    if left and ask and sys.stdin.isatty():
        typer.confirm("Go on?", abort=True, err=True)
    try:
        retrain(trainings, out, progress=_say)
    except KeyboardInterrupt:
        _say(f"Stopped; what there is was saved in {out}. The same command goes on.")
        sys.exit(130)


def _printed(table: Table) -> Grid:
    """Return a table for the terminal."""
    columns = list(table.rows[0]) if table.rows else []
    grid = Grid(*columns, box=None, caption=table.note, caption_justify="left")
    for row in table.rows:
        grid.add_row(*(cell(row[key]) for key in columns))
    return grid


def _say(words: str) -> None:
    messages.print(words, soft_wrap=True)


def sensitivity(
    out: Annotated[Path, typer.Option(help="JSON file. Results in it are not computed again.")],
    seeds: Annotated[int, typer.Option(min=1, help="Number of trainings of each case.")] = 2,
    budget: Annotated[
        int | None, typer.Option(metavar="CALLS", min=1, help="Number of calls in every training.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Train small networks with one choice varied at a time, and say what it matters.

    Example: `neuromotor reproduce sensitivity --out sensitivity.json`
    """
    from neuromotor.reproduction.sensitivity import run_sensitivity

    choose_threads(1)
    data = run_sensitivity(out, seeds, calls=budget, progress=_say)
    if json_:
        print(json.dumps(data, indent=2))
    else:
        output.print(f"{len(data['rows'])} trainings: {out}", soft_wrap=True)


def evidence(
    out: Annotated[Path, typer.Option(help="JSON file. Results in it are not computed again.")],
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of trainings whose failures are counted.")
    ] = 10,
    budget: Annotated[
        int, typer.Option(metavar="CALLS", min=4, help="Number of calls of each of these.")
    ] = 6000,
    json_: JsonOption = False,
) -> None:
    """Train small networks to test what the chapter says without a number.

    How often Hessian-free and its augmented form fail, what a disturbance does without a delay, and
    whether Hessian-free on a table of commands finds iLQR's paths.

    Example: `neuromotor reproduce evidence --out evidence.json`
    """
    from neuromotor.reproduction.evidence import run_evidence

    choose_threads(1)
    data = run_evidence(out, seeds, calls=budget, progress=_say)
    if json_:
        print(json.dumps(data, indent=2))
    else:
        output.print(f"{len(data['rows'])} rows: {out}", soft_wrap=True)


def convergence(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders that `compare --seeds N` left, with the same seeds; the first may be a "
            "file of this command, which gets the others' methods."
        ),
    ],
    out: Annotated[Path, typer.Option(help="JSON file that figure 6.2 is drawn from.")],
) -> None:
    """Thin the histories of comparisons to what figure 6.2 needs.

    Example: `neuromotor reproduce convergence runs/all --out convergence.json`
    """
    from neuromotor.reproduction.convergence import convergence_data

    write_json(out, convergence_data(runs[0], runs[1:]))
    output.print(f"Data: {out}", soft_wrap=True)


def seeds(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders that `train` or `compare` left, whatever task and method."),
    ],
    out: Annotated[
        Path, typer.Option(help="JSON file. Rows in it of other networks and seeds are kept.")
    ],
) -> None:
    """Collect what several seeds of the chapter's trainings came to.

    Example: `neuromotor reproduce seeds runs/ddn-ahf-0 runs/ddn-ahf-1 --out seeds.json`
    """
    from neuromotor.reproduction.seeds import load_seeds, seed_rows

    rows = seed_rows(runs, load_seeds(out) if out.is_file() else ())
    write_json(out, {"command": shlex.join(["neuromotor", *sys.argv[1:]]), "rows": rows})
    output.print(f"{len(rows)} trainings: {out}", soft_wrap=True)
