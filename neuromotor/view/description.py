"""What a page holds of a controller and its task: numbers, and the code that was translated.

Everything is plain data, ready for JSON; arrays are base64 of the dtype that holds them exactly.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor._checks import check_integer, declares
from neuromotor.analysis import RecordingError, preferred_directions, record
from neuromotor.analysis.fixed_points import network_fixed_points
from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.control import ILQR
from neuromotor.controllers import RecurrentNetwork
from neuromotor.controllers.controller import Controller, unit_rates
from neuromotor.evaluation.performance import reference_name
from neuromotor.plants import Plant, field_components
from neuromotor.plants.muscle_arm import MuscleArm
from neuromotor.plants.plant import Components, components_of
from neuromotor.storage.files import finite_or_none
from neuromotor.tasks import SensesInUse, Task, Trials
from neuromotor.tasks.trials import TRIAL_PARTS
from neuromotor.training.remaining_time import Clock, Tell
from neuromotor.view.cells import Pieces, pieces_of
from neuromotor.view.translate import defined, translated

__all__ = ["Description", "ViewError", "describe"]

SHOWN_TRIALS = 12
_NOISE = ("command_noise", "plant_noise", "sensory_noise", "unit_noise")
_ADDED_NOISE = 0.1  # of the command, where the task has no noise of its own (ours)
_DRAW_BYTES = 160_000  # most bytes of the units' draws that a page holds
_MOST_UNITS = 400  # for which fixed points are looked for: their search grows with the cube
_STAGE_S = 0.5  # expected of each part of the work
_KNOWN = ("step", "initial_memory", "squashed", "rates")  # methods that `engine.js` repeats
_RUNTIME = {  # what `engine.js` offers
    **{
        f"neuromotor.{room}.{name}": name
        for room in ("compiled.pieces", "view.cells")
        for name in ("part", "recur")
    },
    "numpy.tanh": "tanhOf",
}


class ViewError(ValueError):
    """A controller, a plant or a task cannot run in a page."""


@dataclass(frozen=True)
class Description:
    """What a page is made of.

    Attributes:
        title: What it shows, in words.
        model: Plain data for JSON.
        physics: JavaScript of the plant and the cell, an object `physics`.
    """

    title: str
    model: dict[str, Any]
    physics: str


@torch_threads()
def describe(
    task: Task,
    controller: Controller,
    parameters: Tensor,
    trials: Trials,
    *,
    title: str = "controller",
    shown: int = SHOWN_TRIALS,
    ilqr: bool = True,
    fixed_points: bool = True,
    progress: Tell | None = None,
) -> Description:
    """Return what a page needs to run a controller's closed loop.

    Args:
        task: Plant, steps, delay and cost.
        controller: A network whose cell has compiled pieces.
        parameters: Its parameters, (P,).
        trials: A batch of the task. Principal components and preferred directions come from all of
            it; the page has a choice of it.
        title: Name of the controller.
        shown: How many trials the page has at most, spread over the batch.
        ilqr: Whether iLQR solves these trials.
        fixed_points: Whether fixed points are looked for at their ends.
        progress: Called with words, the share that is done and about how many seconds are left.

    Raises:
        ViewError: The controller, the plant or the trials cannot run in a page; the message says
            what can.
    """
    check_integer("shown", shown, minimum=1)
    network, form, cell = _runnable(task, controller)
    theta, batch = parameters.detach().double().cpu(), trials.to(dtype=torch.float64, device="cpu")
    some = np.unique(np.linspace(0, len(batch) - 1, shown).round().astype(int))
    few = batch.subset(torch.from_numpy(some))
    if few.field is not None and not hasattr(form.functions, "velocity_rates"):
        raise ViewError(
            f"the plant ({type(task.plant).__name__}) has no `velocity_rates` among its functions "
            "on components, so that a page cannot run it in a force field; add them, or choose "
            "another task with `--task`."
        )
    if few.channel is not None and bool((few.channel != 0).any()):
        raise ViewError(
            "`trials` must be without a channel, whose walls a page cannot run; leave those trials "
            "out."
        )
    clock = Clock([_STAGE_S] * (2 + len(some)))
    tell = progress or (lambda words, share, left_s: None)
    tell("running the trials", *clock.at(0))
    with torch.no_grad():
        run = ClosedLoop(task, network).simulate(theta, few)
    if not bool(run.states.isfinite().all()):
        raise ViewError(
            "`parameters` must keep the limb's state finite, but it overflows within a trial; "
            "train the network further, or start from another one."
        )
    recording = record(task, network, theta, batch)
    quadratic = declares(task.cost, "follows_equations")
    plane = _plane(recording, some)
    if plane is not None:
        search = _FixedPoints(network, theta, recording, plane.pop("basis"))
        plane["points"] = []
        for i, trial in enumerate(some):
            if fixed_points:
                tell(f"fixed points of trial {i + 1} of {len(some)}", *clock.at(1 + i))
            plane["points"].append(search.at(trial) if fixed_points else [])
    if ilqr:
        tell("trials by iLQR", *clock.at(1 + len(some)))
    model = {
        "title": title,
        "task": type(task).__name__,
        "dt": task.plant.dt_s,
        "steps": task.steps,
        "delay": task.delay_steps,
        "feedback": list(task.plant.feedback),
        "labels": {
            "state": list(task.plant.state_labels),
            "command": list(task.plant.command_labels),
            "load": list(task.plant.load_labels),
        },
        "parts": {name: [part.start, part.stop] for name, part in task.plant.state_parts.items()},
        "plant": _plant(task.plant, form),
        "network": _network(network, cell, theta),
        "trials": _trials(few),
        "names": _names(task.plant, few, some),
        "noisy": any(getattr(few, name) is not None for name in _NOISE),
        "sigma": _sigma(batch),
        "cost": {
            "energy": task.cost.energy_weight if quadratic else None,
            "weights": _packed(task.cost.weights(few)) if quadratic else None,
            "goal": _packed(few.goal) if quadratic else None,
        },
        "expected": _packed(run.states[:, -1]),
        "reference": _reference(task, few, ilqr),
        "plane": plane,
        "largest": max(1.0, float(np.abs(recording["rate"].values).max())),
        "order": _order(recording),
    }
    return Description(title, model, _physics(form, cell))


def _runnable(task: Task, controller: Controller) -> tuple[RecurrentNetwork, Components, Pieces]:
    """Return network, physics and cell, or raise with what can be shown instead."""
    kind = type(controller).__name__
    if not isinstance(controller, RecurrentNetwork) or any(
        getattr(type(controller), name) is not getattr(RecurrentNetwork, name) for name in _KNOWN
    ):
        raise ViewError(
            f"`controller` must be a network of cells for a page, such as a ContinuousTimeRNN or a "
            f"Network, got a {kind}, whose step the page does not know; `neuromotor record` and "
            "`neuromotor analyze` show what it does."
        )
    pieces = pieces_of(controller.cell)
    if pieces is None:
        raise ViewError(
            f"`controller.cell` must have compiled pieces for a page, which translates them, got a "
            f"{type(controller.cell).__name__} without; `neuromotor.compiled.pieces` says how to "
            "write them."
        )
    if controller.efference_copies:
        raise ViewError(
            "`controller.efference_copies` must be 0 for a page, which gives a network none of its "
            "commands; `neuromotor record` shows what such a controller does."
        )
    if SensesInUse.of(task).own:
        raise ViewError(
            "`task.senses` must be none for a page, which knows the plant's state after one delay; "
            "`neuromotor record` shows what such a controller does."
        )
    plant = task.plant
    form = components_of(plant)
    if form is None:
        raise ViewError(
            f"`plant` must have its physics as functions on components for a page, which "
            f"translates them, got a {type(plant).__name__} without, or with settings for which it "
            "has none; use Euler steps without joint limits, or give your own plant `components`."
        )
    if len(plant.home) != 2 or plant.hand_size != 2:
        raise ViewError(
            f"`plant` must have two joints and a hand in the plane for a page, got "
            f"{type(plant).__name__} with {len(plant.home)} joints; `neuromotor record` shows what "
            "it does."
        )
    if "target" in plant.state_parts:
        raise ViewError(
            f"`plant` must have its target outside its state for a page, which sets targets, got a "
            f"{type(plant).__name__}; `neuromotor record` shows what such a controller does."
        )
    return controller, form, pieces


def _packed(values: Tensor | NDArray[Any], dtype: str = "f8") -> dict[str, Any]:
    array = np.ascontiguousarray(np.asarray(values), dtype=f"<{dtype}")
    data = base64.b64encode(array.tobytes()).decode()
    return {"type": dtype, "shape": list(array.shape), "base64": data}


def _exactly(values: Tensor) -> dict[str, Any]:
    """Pack numbers as float32 where that changes none of them."""
    return _packed(values, "f4" if bool((values.float().double() == values).all()) else "f8")


def _physics(form: Components, cell: Pieces) -> str:
    """The plant and the cell in JavaScript, as one object."""
    functions = form.functions
    parts = {"step": (functions, "step"), "hand": (functions, "hand")}
    if hasattr(functions, "velocity_rates"):
        parts["velocity_rates"] = functions, "velocity_rates"
    parts |= {name: (field_components, name) for name in ("carried", "scaled")}
    parts["cell"] = cell.module, cell.step
    if cell.start is not None:
        parts["start"] = cell.module, cell.start
    parts = {name: defined(*one) for name, one in parts.items()}  # a plant may import some
    names = {name: f"{m.__name__.rpartition('.')[2]}__{f}" for name, (m, f) in parts.items()}
    code = translated(list(parts.values()), _RUNTIME)
    entries = ", ".join(f"{name}: {function}" for name, function in names.items())
    return f"const physics = (() => {{\n{code}\nreturn {{ {entries} }};\n}})();\n"


def _plant(plant: Plant, form: Components) -> dict[str, Any]:
    limit = form.limit
    if limit is not None and not isinstance(limit, tuple):
        limit = (limit,) * plant.command_size
    muscles = None
    if isinstance(plant, MuscleArm):
        home = torch.tensor(plant.home, dtype=torch.float64)
        muscles = {
            "names": [label.rsplit(" (", 1)[0] for label in plant.command_labels],
            "arms": plant.moment_arms(home).T.tolist(),
        }
    home = plant.rest_state(torch.tensor(plant.home, dtype=torch.float64))
    return {
        "name": type(plant).__name__,
        "numbers": _packed(np.array(form.numbers)),
        "limit": None if limit is None else list(limit),
        "home": home.tolist(),
        "links": _links(plant),
        "muscles": muscles,
        "loadScale": plant.load_scale,
        "field": hasattr(form.functions, "velocity_rates"),
    }


def _links(plant: Plant) -> list[float]:
    """Lengths (m) of a chain of links that turns with the joints; empty where the limb is none."""
    generator = torch.Generator().manual_seed(0)
    postures = torch.rand(8, 2, generator=generator, dtype=torch.float64)
    points = plant.limb(plant.rest_state(postures))
    lengths = (points[:, 1:] - points[:, :-1]).norm(dim=-1)
    turned = postures.cumsum(-1)
    if lengths.shape[1] != 2 or not torch.allclose(lengths, lengths[:1]):
        return []
    links = torch.stack([turned.cos(), turned.sin()], dim=-1) * lengths[..., None]
    fits = torch.allclose(points[:, 0], torch.zeros_like(points[:, 0])) and torch.allclose(
        points[:, 1:], links.cumsum(1)
    )
    return [float(length) for length in lengths[0]] if fits else []


def _network(network: RecurrentNetwork, cell: Pieces, theta: Tensor) -> dict[str, Any]:
    weights = network.unpack(theta)
    widths, kept, start, matrices = [], [], [], []
    for units, layer in zip(network.layers, weights.layers, strict=True):
        memory, other = cell.widths(units)
        widths.append(memory)
        kept.append(other)
        matrices += [layer.feedforward, layer.recurrent, layer.bias]
        size = network.cell.memory * units
        initial = np.zeros(size) if layer.initial is None else layer.initial.numpy()
        start.append([_exactly(torch.from_numpy(np.array(one))) for one in cell.parts(initial)])
    matrices += [weights.output, weights.output_bias]
    return {
        "layers": list(network.layers),
        "inputs": network.input_size,
        "commands": network.command_size,
        "skip": network.skip_inputs,
        "privateNoise": network.private_noise,
        "squash": network.squash,
        "gates": list(cell.gates),
        "noisy": cell.noisy,
        "numbers": list(cell.numbers),
        "flow": cell.start is not None,
        "widths": widths,
        "kept": kept,
        "start": start,
        "weights": _exactly(torch.cat([one.flatten() for one in matrices])),
    }


def _trials(few: Trials) -> dict[str, Any]:
    """Every part of the trials that a step needs; None for what is not there."""
    skipped = {"wanted", "counted"}  # which the goal and the weights hold
    parts: dict[str, Tensor | None] = {"initial_state": few.initial_state, "target": few.target}
    parts |= {name: getattr(few, name) for name in TRIAL_PARTS if name not in skipped}
    noise = few.unit_noise
    if noise is not None:
        parts["unit_noise"] = noise[: max(1, _DRAW_BYTES // (8 * noise[0].numel()))]
    return {name: None if part is None else _packed(part) for name, part in parts.items()}


def _sigma(batch: Trials) -> dict[str, float]:
    """Standard deviation of draws beyond those of the trials: that of the trials' own."""
    found = {name: getattr(batch, name) for name in _NOISE}
    sigma = {
        name: 0.0 if part is None else float(part.square().mean().sqrt())
        for name, part in found.items()
    }
    quiet = all(part is None for part in found.values())
    return {**sigma, "command_noise": _ADDED_NOISE} if quiet else sigma


def _names(plant: Plant, few: Trials, numbers: NDArray[Any]) -> list[str]:
    """Each trial in words: where its target lies, and what acts on the limb."""
    start, end = plant.hand_position(few.initial_state), plant.hand_position(few.end)
    load_unit = plant.load_labels[0].rpartition("(")[2].rstrip(")")
    names = []
    for i, number in enumerate(numbers.tolist()):
        x, y = (end[i] - start[i]).tolist()
        far = 100 * float(np.hypot(x, y))
        turn = round(float(np.degrees(np.arctan2(y, x)))) % 360
        words = f"reach {far:.1f} cm at {turn}°" if far > 0.01 else "hold"
        acting = (("load", few.load, load_unit), ("push", few.hand_force, "N"))
        for what, part, unit in acting:
            if part is not None and bool(part[i].any()):
                first, second = part[i][part[i].norm(dim=-1).argmax()].tolist()
                words += f", {what} ({first:.2g}, {second:.2g}) {unit}"
        names.append(f"{number + 1}: {words}")
    return names


def _reference(task: Task, few: Trials, wanted: bool) -> dict[str, Any]:
    """Hand paths and losses of iLQR, or why there are none."""
    if not wanted:
        return {"name": None, "why": "it was not asked for."}
    try:
        best = ILQR().solve(task, few)
    except ValueError as error:
        return {"name": None, "why": str(error)}
    name = "iLQR" if reference_name(few) == "ilqr" else "iLQR, which knows what will happen"
    return {
        "name": name,
        "paths": _packed(task.plant.hand_position(best.states), "f4"),
        "losses": [finite_or_none(loss) for loss in best.losses.tolist()],
    }


def _plane(recording: Any, some: NDArray[Any]) -> dict[str, Any] | None:
    """The first principal plane of the rates, and the paths of some trials in it."""
    rates = recording["rate"].values
    flat = rates.reshape(-1, rates.shape[-1])
    mean = flat.mean(0)
    _, scale, axes = np.linalg.svd(flat - mean, full_matrices=False)
    if len(scale) < 2 or not scale[1] > 0:
        return None
    return {
        "mean": _packed(mean),
        "axes": _packed(axes[:2]),
        "basis": (mean, axes[:2]),
        "explained": (scale[:2] ** 2 / (scale**2).sum()).tolist(),
        "paths": _packed((rates[some] - mean) @ axes[:2].T, "f4"),
    }


@dataclass(frozen=True)
class _FixedPoints:
    """Looks for fixed points with the input of a trial's end, in the plane of `basis`."""

    network: RecurrentNetwork
    theta: Tensor
    recording: Any
    basis: tuple[NDArray[Any], NDArray[Any]]

    def at(self, trial: int) -> list[dict[str, Any]]:
        """Points of one trial; none where the network is too large, or its memory no activation."""
        if sum(self.network.layers) > _MOST_UNITS:
            return []
        try:
            found = network_fixed_points(
                self.network,
                self.theta,
                self.recording,
                trial=int(trial),
                starts=3,
                iterations=20,
            )
        except RecordingError:
            return []
        mean, axes = self.basis
        parts = torch.split(torch.from_numpy(found.points), list(self.network.layers), dim=-1)
        rates = torch.cat(unit_rates(self.network, tuple(parts)), dim=-1).numpy()
        places = (rates - mean) @ axes.T
        return [
            {"at": place.tolist(), "stable": bool(stable), "fixed": bool(fixed)}
            for place, stable, fixed in zip(places, found.stable, found.converged, strict=True)
        ]


def _order(recording: Any) -> dict[str, Any]:
    """Units by preferred direction, layer by layer; by number where there is no direction."""
    layers = recording["layer"].values
    units = len(layers)
    angle, by = np.full(units, np.nan), None
    for space, words in (("hand", "reach"), ("load", "load"), ("force", "push")):
        try:
            found = preferred_directions(recording, space, bootstraps=1, shuffles=1)
        except RecordingError:
            continue
        angle, by = found.direction_deg % 360, words
        break
    first = np.unique(layers, return_inverse=True)[1]
    order = np.lexsort((np.arange(units), np.nan_to_num(angle, nan=1e3), first))
    return {
        "units": order.tolist(),
        "by": by,
        "directions": [None if np.isnan(one) else round(float(one), 1) for one in angle],
    }
