"""The command `learn-plant`, which learns a plant's derivatives from its trajectories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from neuromotor.cli.display import horizon_table, messages, output, working
from neuromotor.cli.options import JsonOption, SetOption, SmokeOption, ThreadsOption, check_new
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.optim import Progress
from neuromotor.plants import PLANTS
from neuromotor.runs.settings import gather
from neuromotor.storage.components import SettingsError, UnknownSettingError, decode
from neuromotor.training import learned

__all__ = ["register"]

_DEFAULT = learned.PlantSampling()
_SMOKE = learned.PlantSampling(trajectories=60, steps=10)
_SMOKE_CALLS = 20


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command(name="learn-plant")(learn_plant)


def learn_plant(
    plant: Annotated[
        str,
        typer.Argument(
            help=f"The plant: {', '.join(PLANTS)}; or a MuJoCo environment of Gymnasium, such as "
            "Reacher-v5."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file that is written (.safetensors).")],
    trajectories: Annotated[
        int, typer.Option(help="How many trajectories are run; one in ten is held out.")
    ] = _DEFAULT.trajectories,
    steps: Annotated[int, typer.Option(help="Steps of each trajectory.")] = _DEFAULT.steps,
    position_range: Annotated[
        float, typer.Option(help="Largest distance of a start from home (rad or m).")
    ] = _DEFAULT.position_range,
    velocity_range: Annotated[
        float, typer.Option(help="Largest velocity of a start (rad/s or m/s).")
    ] = _DEFAULT.velocity_range,
    command_range: Annotated[
        float | None,
        typer.Option(help="Largest command (N m or N). Default: the bounds, or what is usual."),
    ] = None,
    load_range: Annotated[
        float, typer.Option(help="Largest load of a joint (N m or N); 0 learns none.")
    ] = _DEFAULT.load_range,
    force_range: Annotated[
        float, typer.Option(help="Largest hand force along an axis (N); 0 learns none.")
    ] = _DEFAULT.force_range,
    layers: Annotated[str, typer.Option(help="Units of each hidden layer, with commas.")] = "64,64",
    calls: Annotated[int, typer.Option(help="Budget of the training, in calls.")] = 500,
    seed: Annotated[int, typer.Option(help="Seed of the draws and of the first weights.")] = 0,
    threads: ThreadsOption = None,
    set_: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Learn a plant from its trajectories: a network that predicts how its state changes.

    The file stands for a plant wherever one is named: its steps are those of the plant itself, its
    derivatives those of the network (Sutskever 2013, section 6.8). With
    `--set plant.true_forward=false` steps are the network's too. The table shows how far the
    network's predictions of held-out trajectories are from the truth, many steps ahead.

    Example: `neuromotor learn-plant Reacher-v5 --out reacher.safetensors`, then
    `neuromotor compare center-out --plant reacher.safetensors`
    """
    check_new(out, force=force)
    raw = gather(None, {"plant": plant}, set_ or [], smoke=False)
    for key in raw:
        if key != "plant":
            raise UnknownSettingError(key, ["plant"])
    body = decode(raw["plant"], PLANTS, "plant")
    try:
        units = tuple(int(word) for word in layers.split(",") if word.strip())
    except ValueError as error:
        raise SettingsError(f"`layers` must be numbers with commas, got {layers!r}.") from error
    sampling = learned.PlantSampling(
        trajectories=_SMOKE.trajectories if smoke else trajectories,
        steps=_SMOKE.steps if smoke else steps,
        position_range=position_range,
        velocity_range=velocity_range,
        command_range=command_range,
        load_range=load_range,
        force_range=force_range,
        seed=seed,
    )
    calls = _SMOKE_CALLS if smoke else calls
    choose_threads(threads or 1)
    with working() as tell:

        def show(progress: Progress) -> None:
            share = min(1.0, progress.counts.calls / calls)
            left_s = progress.point.seconds * (1 - share) / share if share else 0.0
            tell(f"learning {plant}, loss {progress.point.value:.3g}", share, left_s)

        found = learned.learn_plant(
            body,
            out,
            sampling,
            layers=units,
            calls=calls,
            overwrite=force,
            progress=show,
        )
    if json_:
        data: dict[str, Any] = {"file": str(out), "plant": plant, **found.info}
        print(json.dumps(data, indent=2))
        return
    output.print(horizon_table(found.info["errors"], body))
    messages.print(f"Written to {out}; use it by `--plant {out}`.", soft_wrap=True)
