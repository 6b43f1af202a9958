"""The command `evaluate`, which says how well a trained controller does beside iLQR."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from neuromotor.cli.display import (
    difference_lines,
    evaluation_tables,
    explanation_tables,
    messages,
    output,
    penalty_lines,
)
from neuromotor.cli.options import (
    ConfigOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    PlantOption,
    SetOption,
    SmokeOption,
    TaskOption,
    ThreadsOption,
    check_figure,
)
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.evaluation.performance import HELD_OUT_SEED, command_unit
from neuromotor.runs.evaluate import evaluate_saved, explain_saved
from neuromotor.runs.settings import resolve_saved
from neuromotor.storage.components import SettingsError
from neuromotor.zoo.saved_controller import load_controller

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(evaluate)


def evaluate(
    controller: Annotated[
        Path, typer.Argument(help="Controller file (.safetensors), or a name of `neuromotor zoo`.")
    ],
    task: TaskOption = None,
    plant: PlantOption = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the trials' draws. Default: that of all held-out trials."),
    ] = None,
    dtype: DtypeOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    smoke: SmokeOption = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Say what makes up the excess over optimal feedback control (ILQG)."
        ),
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw what `--explain` found into this file (.png, .pdf or .svg)."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Run a trained controller on a task and hold it against iLQR.

    Trials of a random task are held out: a seed that no training uses draws them. A warning names
    each setting that lies outside those of the training. Where something
    disturbs the trials, iLQR is the clairvoyant bound. `--set references=ilqg,online-predictive`
    adds optimal feedback control and a planner, which take a while to design.

    `--explain` says how much of the excess over ILQG comes from the reach itself, from loads and
    from noise, how much of it is error and how much energy, when in a trial it arises, and how the
    controller's commands depart from ILQG's.

    Example: `neuromotor evaluate RUN/controllers/lbfgs.safetensors --set task.radius_m=0.06 --json`
    """
    check_figure(figure)
    if figure is not None and not explain:
        raise SettingsError("`--figure` draws what `--explain` finds: give `--explain` too.")
    saved = load_controller(controller)
    options: dict[str, Any] = {
        "task": task,
        "plant": plant,
        "seed": seed,
        "dtype": dtype,
        "device": device,
        "threads": threads,
    }
    uses = ("seed", "held_out", "references", "ilqr", "dtype", "device", "threads")
    settings = resolve_saved(saved, config, options, set_ or [], uses=uses, smoke=smoke)
    choose_threads(settings.threads)
    result = evaluate_saved(saved, settings, HELD_OUT_SEED if seed is None else seed)
    for sentence in result["outside_training"]:
        messages.print(f"Warning: {sentence}", style="yellow", soft_wrap=True)
    explanation = None
    if explain:
        explanation = explain_saved(
            saved, settings, HELD_OUT_SEED if seed is None else seed, progress=messages.print
        )
        result["explanation"] = explanation.as_dict()
    unit = command_unit(settings.task).replace("1", "")  # shares, such as excitations, have none
    if figure is not None and explanation is not None:
        from neuromotor.plotting import plot_explanation, save_figure  # matplotlib

        save_figure(plot_explanation(explanation, unit), figure)
    if json_:
        print(json.dumps(result, indent=2))
        return
    headline = f" on {result['trials']} trials of {settings.task_name}"
    output.print(Text.assemble((str(controller), "bold"), headline), soft_wrap=True)
    for line in difference_lines(result["differs_from_training"]):
        output.print(f"  {line}", soft_wrap=True)
    ((bound, ratio),) = result["ratios"].items()
    held = f"{bound}'s is zero" if ratio is None else f"{ratio:.5g} x {bound}"
    output.print(f"  loss          {result['loss']:.6g}, {held}")
    output.print(f"  target error  {result['target_error_cm']:.4g} cm")
    output.print(f"  end speed     {result['end_speed_cm_s']:.4g} cm/s")
    output.print(f"  energy        {result['energy']:.4g}")
    output.print(f"  commands      up to {result['largest_command']:.4g} {unit}".rstrip())
    for line in penalty_lines(result["penalties"]):
        output.print(f"  {line}")
    if settings.task.random or bound == "clairvoyant":
        row = {"method": controller.stem, "evaluation": result["evaluation"]}
        for report in evaluation_tables([*result["evaluated_references"], row]):
            output.print(report)
    for report in explanation_tables(explanation, unit) if explanation is not None else ():
        output.print(report)
