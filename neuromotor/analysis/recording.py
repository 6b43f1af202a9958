"""Recording: a controller runs, and everything that happens becomes one labelled dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor._version import __version__
from neuromotor.analysis.actors import Actor, acting
from neuromotor.analysis.from_arrays import make_recording
from neuromotor.analysis.layout import ACTUATOR, TRIALS, RecordingError
from neuromotor.closed_loop import ClosedLoop, check_trials
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.controllers import (
    CONTROLLERS,
    AlteredFeedback,
    FeedbackChange,
    NetworkPerturbation,
    PerturbedNetwork,
)
from neuromotor.controllers.controller import unit_rates
from neuromotor.extensions.registry import lacking
from neuromotor.plants import Plant
from neuromotor.plants.plant import muscles_of
from neuromotor.storage.components import SettingsError, decode, encode, needs_of
from neuromotor.tasks import TASKS, SensesInUse, Task, Trials
from neuromotor.tasks.trials import TRIAL_PARTS

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["record", "recorded_run"]

_PARTS = tuple(field.name for field in fields(Trials) if field.name != "condition")


@torch_threads()
def record(
    task: Task,
    controller: Actor,
    parameters: Tensor | None = None,
    trials: Trials | None = None,
    *,
    feedback: FeedbackChange | None = None,
    perturbations: Sequence[NetworkPerturbation] = (),
) -> xr.Dataset:
    """Run a controller, or anything that decides, and return what happened as a recording.

    Every quantity is float64. Position and velocity of the plant's state are in `joint_position`
    and `joint_velocity`; what belongs to its actuators is in `actuator_` with the part's name, such
    as `actuator_activation`; lengths and velocities of muscles are `actuator_length` and
    `actuator_velocity`. `observation` and `target` hold the numbers of a state that the plant
    gives as feedback; of a task with senses of its own what the channels give, and what is told of
    the target, on the axis `told`. The go signal is the first cue; without cues it is at time 0,
    where the target appears. Where the target shown changes or there are cues, both are in the
    recording, since the controller was given them. Units are the controller's memory, which is
    stored as activations, and `rates(memory)`: for a `ContinuousTimeRNN` the activations v and
    rates tanh(v), for gated units the rates twice. Where a unit remembers several numbers, there
    are rates alone. A function or a policy without memory has no units: its recording lacks `rate`,
    and analyses of units say so. Where a network is part of the plant (`RandomNetworkPlant`), the
    units are those of that network, whatever controls it.

    Args:
        task: Plant, steps and delay.
        controller: Any controller; `ilqg`, `lqg`, `online` or another reference by
            its name, or an `ILQG` with settings, designed for the trials; a reinforcement-learning
            policy (a `PolicyController` where its environment had options); or a function of
            observation (B, n), target (B, n + cues) and step that returns commands (B, m).
        parameters: Parameters of a controller, (P,); None where there are none.
        trials: The batch; the task's own by default.
        feedback: Change of the feedback, which is cut, frozen, delayed or replayed for some steps.
            `observation` is then what the controller saw.
        perturbations: What is done to a network's units or connections for some steps.

    Raises:
        RecordingError: The controller has units and does not say what their rates are.
        TypeError: `controller` is none of these, or no network where units are perturbed.
        ValueError: Task, controller, parameters and trials do not fit together.

    Example:
        >>> from neuromotor import CenterOut, ContinuousTimeRNN
        >>> from neuromotor.training.single import initial_parameters
        >>> net = ContinuousTimeRNN(layers=(20,))
        >>> recording = record(CenterOut(directions=8), net, initial_parameters(net, seed=0))
        >>> dict(recording["rate"].sizes)
        {'trial': 8, 'time': 40, 'unit': 20}
        >>> task = CenterOut(directions=8, delay_steps=5)
        >>> record(task, "ilqg", feedback=FeedbackChange("freeze", 10, 19)).sizes["time"]
        40
    """
    if trials is None:
        like = torch.zeros(0, dtype=torch.float64) if parameters is None else parameters
        trials = task.trials(dtype=like.dtype, device=like.device)
    name = controller if isinstance(controller, str) else None
    controller, parameters = acting(task, controller, parameters, trials, feedback, perturbations)
    with torch.no_grad():
        run = ClosedLoop(task, controller).simulate(parameters, trials)
    if isinstance(controller, AlteredFeedback):
        memory, seen = controller.controller_memory(run.memory)
        run = replace(run, memory=memory, observations=seen)
        controller = controller.controller
    if isinstance(controller, PerturbedNetwork):
        controller = controller.controller
    plant, senses = task.plant, SensesInUse.of(task)
    parts = dict(plant.state_parts)
    position, velocity = parts.pop("position"), parts.pop("velocity")
    before, final = run.states[:, :-1], run.states[:, -1]
    shape = before.shape[:2]
    load, force = trials.load, trials.hand_force
    load = before.new_zeros(*shape, plant.load_size) if load is None else load
    force = before.new_zeros(*shape, plant.hand_size) if force is None else force
    time_s = plant.dt_s * np.arange(task.steps)
    values = {
        "hand_position": plant.hand_position(before),
        "hand_velocity": plant.hand_velocity(before),
        "joint_position": before[..., position],
        "joint_velocity": before[..., velocity],
        "command": run.commands,
        "load": load,
        "hand_force": force,
        "observation": run.observations,
        "target": senses.told(trials.target),
        "target_position": plant.hand_position(trials.end),
        "final_hand_position": plant.hand_position(final),
        "final_hand_velocity": plant.hand_velocity(final),
    }
    sizes: list[int] = []  # units by layer
    if run.memory:
        try:
            rates = unit_rates(controller, run.memory)
        except ValueError as error:
            raise RecordingError(str(error)) from error
        sizes = [rate.shape[-1] for rate in rates]
        own = run.memory[: len(sizes)]  # behind them may be efference copies
        if sizes == [part.shape[-1] for part in own]:
            values["activation"] = torch.cat(own, dim=-1)
        values["rate"] = torch.cat(rates, dim=-1)
    if "units" in parts:  # of a network that is part of the plant
        values["rate"] = before[..., parts.pop("units")]
        values.pop("activation", None)
        sizes = [values["rate"].shape[-1]]
    values.update(
        (part_name, part)
        for part_name, part in trials.present().items()
        if TRIAL_PARTS[part_name].seen_by == "controller"
    )
    if senses.clock is not None:
        values["clock"] = senses.clock.table().to(before).expand(len(trials), -1, -1)
        senses = replace(senses, clock=None)  # what follows is about the target
    if trials.shown_target is not None:
        late = senses.told_over_time(replace(trials, cue=None))
        if late is not None:
            values["shown_target"] = late
        values["shown_target_position"] = plant.hand_position(trials.shown_target)
    values["push_force"] = _largest(force)
    values["push_load"] = _largest(load)
    variables: dict[str, Any] = {name: part.double().cpu().numpy() for name, part in values.items()}
    variables["target_angle"] = _angle(plant, trials)
    variables["target_time"] = variables["go_time"] = np.zeros(len(trials))
    if trials.shown_target is not None:
        moved = _first_time(time_s, (trials.shown_target != trials.shown_target[:, :1]).any(-1))
        variables["target_time"] = np.nan_to_num(moved)
    if trials.cue is not None:
        variables["go_time"] = _first_time(time_s, trials.cue[..., 0] != 0)
    variables["final_time"] = np.full(len(trials), plant.dt_s * task.steps)
    pushed = trials.acting()
    pushed = torch.zeros(shape, dtype=torch.bool) if pushed is None else pushed
    variables["perturbation_time"] = _first_time(time_s, pushed)
    names, units = _read(plant.state_labels)
    command_names, (command_unit, *_) = _read(plant.command_labels)
    load_names, (load_unit, *_) = _read(plant.load_labels)
    layers = [f"layer {i + 1}" for i, size in enumerate(sizes) for _ in range(size)]
    number = torch.arange(len(trials)) if trials.condition is None else trials.condition
    recording = make_recording(
        time_s,
        number.cpu().numpy(),
        variables,
        layer=layers or None,
        labels={
            "joint": names[position],
            "actuator": command_names,
            "load_axis": load_names,
            **_sensed_labels(senses, [names[i] for i in plant.feedback]),
        },
        units={
            "joint_position": units[position][0],
            "joint_velocity": units[velocity][0],
            "command": command_unit,
            "load": load_unit,
            "push_load": load_unit,
        },
        attributes={
            "neuromotor_version": __version__,
            "task": _as_json(task, TASKS),
            "controller": _as_json(controller if name is None else name, CONTROLLERS),
            **({} if feedback is None else {"feedback": json.dumps(feedback.as_dict())}),
            **_perturbed(perturbations),
            **_needs((task, TASKS), *([] if name is not None else [(controller, CONTROLLERS)])),
        },
    )
    for name, where in parts.items():
        axis = f"{name}_axis"
        recording = recording.assign_coords({axis: names[where]})
        recording[ACTUATOR + name] = (
            ("trial", "time", axis),
            before[..., where].double().cpu().numpy(),
            {"units": units[where][0], "long_name": f"{name} of the actuators"},
        )
    muscles = muscles_of(plant)
    if muscles is not None:
        recording = recording.assign_coords({"muscle": list(muscles.muscle_labels)})
        for name, part, unit, meaning in (
            ("length", muscles.muscle_lengths(before), "m", "lengths of the muscles"),
            ("velocity", muscles.muscle_velocities(before), "m/s", "how fast the muscles lengthen"),
        ):
            recording[f"{ACTUATOR}{name}"] = (
                ("trial", "time", "muscle"),
                part.double().cpu().numpy(),
                {"units": unit, "long_name": meaning},
            )
    for name in _PARTS:
        part = getattr(trials, name)
        if part is not None:
            dims = ("trial", *(f"{name}_{axis}" for axis in range(1, part.ndim)))
            recording[TRIALS + name] = (dims, part.double().cpu().numpy())
    return recording


def recorded_run(recording: xr.Dataset) -> tuple[Task, Trials]:
    """Return the task and the trials that `record` ran, on which interventions are tested.

    Args:
        recording: Made by `record`; it may be cut to some trials, or around an event.

    Raises:
        RecordingError: The recording does not say which task or trials were run.
    """
    again = "record the controller again with this version, on a task that is registered"
    if "feedback" in recording.attrs:
        raise RecordingError(
            "the recording's feedback was changed, which the trials do not say; record the "
            "controller without a change of feedback."
        )
    if "perturbations" in recording.attrs:
        raise RecordingError(
            "the network's units were perturbed in this recording, which the trials do not say; "
            "record the network without perturbations."
        )
    parts = {
        name: torch.from_numpy(recording[TRIALS + name].values.astype(np.float64))
        for name in _PARTS
        if TRIALS + name in recording
    }
    if "initial_state" not in parts or "target" not in parts:
        raise RecordingError(f"the recording does not hold the trials that were run; {again}.")
    try:
        task: Task = decode(json.loads(recording.attrs["task"]), TASKS, "task")
        trials = Trials(**parts)
        check_trials(task, trials)
    except (KeyError, TypeError, ValueError) as error:
        needs = lacking(recording.attrs.get("needs"))
        if needs:
            what = str(error).partition(";")[0]
            raise RecordingError(f"the task that was run is not here ({what}). {needs}") from error
        raise RecordingError(
            f"the recording does not say which task was run ({error}); {again}."
        ) from error
    return task, trials


def _sensed_labels(senses: SensesInUse, names: list[str]) -> dict[str, list[str]]:
    """Return names along the axes of what is sensed and told; `names` without senses of its own."""
    if not senses.own:
        return {"state": names}
    return {"state": list(senses.labels), "told": list(senses.target_labels)}


def _perturbed(perturbations: Sequence[NetworkPerturbation]) -> dict[str, str]:
    """Return the attribute that says what was done to units, if anything was."""
    done = [own.as_dict() for own in perturbations]
    return {"perturbations": json.dumps(done)} if done else {}


def _read(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names and the units of labels such as `elbow angle (rad)`."""
    names = [label.rsplit(" (", 1)[0] for label in labels]
    return names, [label.rsplit("(", 1)[-1].rstrip(")") for label in labels]


def _first_time(time_s: NDArray[Any], happens: Tensor) -> NDArray[Any]:
    """Return the time (s) of the first step at which something happens, (B,); NaN if none."""
    at = happens.cpu().numpy()
    return np.where(at.any(1), time_s[at.argmax(1)], np.nan)


def _largest(part: Tensor) -> Tensor:
    """Return what acts on each trial at the step at which it is largest, (B, .) of (B, T, .)."""
    at = part.norm(dim=-1).argmax(dim=1)
    return part[torch.arange(len(part), device=part.device), at]


def _angle(plant: Plant, trials: Trials) -> NDArray[np.float64]:
    """Return directions (deg), 0 to 360, from hand to target, (B,); NaN where both coincide."""
    start = plant.hand_position(trials.initial_state)
    line = (plant.hand_position(trials.end) - start).double().cpu().numpy()
    if plant.hand_size != 2:  # a direction in space is no angle
        return np.full(len(line), np.nan)
    angle = np.round(np.degrees(np.arctan2(line[:, 1], line[:, 0])), 9) % 360
    return np.where(np.linalg.norm(line, axis=-1) > 1e-9, angle, np.nan)


def _needs(*parts: tuple[object, Mapping[str, object]]) -> dict[str, str]:
    """Return the attribute that says what must be loaded to run the components again, if any."""
    needs: list[dict[str, str]] = []
    for part in parts:
        with suppress(SettingsError):  # it is not registered
            needs += [need for need in needs_of(part) if need not in needs]
    return {"needs": json.dumps(needs)} if needs else {}


def _as_json(component: object, registry: Mapping[str, object]) -> str:
    """Return a component's settings, or its class where that is not registered, as JSON."""
    if isinstance(component, str):
        return json.dumps({"reference": component})
    try:
        return json.dumps(encode(component, registry))
    except SettingsError:
        return json.dumps({"class": type(component).__name__})
