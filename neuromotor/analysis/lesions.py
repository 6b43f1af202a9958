"""Lesions of a network: units or subspaces whose rates nothing reads any more.

Notation: P is the projection of the rates that stays, W every matrix that reads rates.

    lesion: W <- W P, with P = 1 - U U^T for a subspace U, or zeros on the diagonal for units

A cell may scale each rate before weights read it, as the reset gate of a gated unit does: units are
silenced all the same, but subspaces only of tanh units.

For the null of a lesion, as many units are drawn at random from the same layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neuromotor._checks import check_integer, declares
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.recording import recorded_run
from neuromotor.analysis.section import Findings, Material, SectionSpec, span
from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.controllers import RecurrentNetwork, TanhCell
from neuromotor.evaluation.performance import measure
from neuromotor.tasks import Task, Trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LesionEffect", "lesion_effect", "lesion_subspace", "lesion_units", "plot_lesions"]


@dataclass(frozen=True)
class LesionEffect:
    """Behaviour before and after units are silenced.

    Attributes:
        intact: Performance before, by name (`Performance`).
        lesioned: Performance after.
        null: Performance after lesions of as many random units of the same layer, a table each.
    """

    intact: dict[str, float]
    lesioned: dict[str, float]
    null: tuple[dict[str, float], ...]


def lesion_units(
    controller: RecurrentNetwork, parameters: Tensor, units: Sequence[int], layer: int
) -> Tensor:
    """Return parameters with units of a layer (from 0) silenced: nothing reads their rates.

    Raises:
        ValueError: A unit or layer does not exist, or the network's class may override how rates
            are read.
    """
    size = _layer_size(controller, layer)
    for unit in units:
        check_integer("units", unit, minimum=0)
        if unit >= size:
            raise ValueError(f"`units` must be below the layer's {size} units, got {unit}.")
    keep = torch.ones(size, dtype=parameters.dtype)
    keep[list(units)] = 0
    return _projected(controller, parameters, torch.diag(keep), layer)


def lesion_subspace(
    controller: RecurrentNetwork, parameters: Tensor, directions: Tensor, layer: int
) -> Tensor:
    """Return parameters that do not read a subspace of a layer's rates.

    Args:
        controller: The network.
        parameters: (P,).
        directions: Vectors that span the subspace, (units, k).
        layer: Layer, counted from 0.

    Raises:
        ValueError: `directions` does not fit the layer, the cell changes rates before weights read
            them, or the network's class may override how rates are read.
    """
    size = _layer_size(controller, layer)
    if not isinstance(controller.cell, TanhCell):
        raise ValueError(
            "`controller` must have tanh cells for a lesion of a subspace, whose weights read the "
            f"rates as they are, got {type(controller.cell).__name__}; silence units "
            "(`lesion_units`)."
        )
    if directions.ndim != 2 or directions.shape[0] != size:
        raise ValueError(
            f"`directions` must have shape ({size}, k), got {tuple(directions.shape)}."
        )
    basis = torch.linalg.qr(directions.to(parameters)).Q
    keep = torch.eye(size, dtype=parameters.dtype) - basis @ basis.T
    return _projected(controller, parameters, keep, layer)


@torch_threads()
def lesion_effect(
    task: Task,
    controller: RecurrentNetwork,
    parameters: Tensor,
    units: Sequence[int],
    layer: int,
    *,
    trials: Trials | None = None,
    surrogates: int = 10,
    seed: int = 0,
) -> LesionEffect:
    """Return how a task is done without some units, and without random ones of the layer.

    Args:
        task: Task that is tested. For a recording, take task and trials of `recorded_run`: only
            there does a lesion say something about the recording.
        controller: The network.
        parameters: Its parameters, (P,).
        units: Silenced units, by their numbers within the layer.
        layer: Layer, counted from 0.
        trials: The batch; the task's own by default.
        surrogates: Number of lesions of as many random units.
        seed: Random seed of the random units.

    Raises:
        ValueError: A unit or layer does not exist, or the parts do not fit together.
    """
    if trials is None:
        trials = task.trials(dtype=parameters.dtype, device=parameters.device)
    batch = trials

    def performance(values: Tensor) -> dict[str, float]:
        with torch.no_grad():
            run = ClosedLoop(task, controller).simulate(values, batch)
        return measure(task, batch, run.states, run.commands).as_dict()

    generator = np.random.default_rng(seed)
    size = _layer_size(controller, layer)
    drawn = [generator.choice(size, len(units), replace=False).tolist() for _ in range(surrogates)]
    return LesionEffect(
        performance(parameters),
        performance(lesion_units(controller, parameters, units, layer)),
        tuple(performance(lesion_units(controller, parameters, d, layer)) for d in drawn),
    )


def _layer_size(controller: RecurrentNetwork, layer: int) -> int:
    if not _weights_read_rates(controller):
        raise ValueError(
            "`controller` must be a ContinuousTimeRNN or a Network itself, whose weights are all "
            f"that reads a rate, got a {type(controller).__name__}; a subclass that overrides "
            "neither `unpack` nor `step` may set `follows_equations = True`."
        )
    check_integer("layer", layer, minimum=0)
    if layer >= len(controller.layers):
        raise ValueError(f"`layer` must be below {len(controller.layers)}, got {layer}.")
    return controller.layers[layer]


def _weights_read_rates(controller: object) -> bool:
    """Return whether nothing but the weights reads the rates of a controller's units."""
    return isinstance(controller, RecurrentNetwork) and declares(controller, "follows_equations")


def _projected(
    controller: RecurrentNetwork, parameters: Tensor, keep: Tensor, layer: int
) -> Tensor:
    """Return parameters with which every reader of the layer's rates sees them through `keep`."""
    changed = parameters.detach().clone()
    weights = controller.unpack(changed)  # views: what is written there is written in `changed`
    size = controller.layers[layer]
    readers = [weights.layers[layer].recurrent]
    if layer + 1 < len(controller.layers):
        readers.append(weights.layers[layer + 1].feedforward[:, -size:])
    else:
        readers.append(weights.output)
    keep = keep.to(changed)
    for matrix in readers:
        matrix.copy_(matrix @ keep)
    return changed


def plot_lesions(effects: dict[str, LesionEffect]) -> Figure:
    """Draw target error (cm) intact, lesioned and after each random lesion, for each layer."""
    from neuromotor.analysis.drawing import NULL_COLOR, panels
    from neuromotor.plotting import COLORS, few_log_ticks

    with panels(figsize=(3.4, 2.5)) as (figure, ax):
        for place, effect in enumerate(effects.values()):
            null = [row["target_error_cm"] for row in effect.null]
            drawn = (
                ([effect.intact["target_error_cm"]], "s", "black", "intact"),
                (null, "o", NULL_COLOR, "random units"),
                ([effect.lesioned["target_error_cm"]], "D", COLORS[1], "most active units"),
            )
            for offset, (values, marker, color, label) in zip((-0.2, 0.0, 0.2), drawn, strict=True):
                where = np.full(len(values), place + offset)
                shown = None if place else label
                ax.plot(where, values, marker, color=color, markersize=4, label=shown)
        ax.set_xticks(range(len(effects)), list(effects))
        ax.set_xlim(-0.5, len(effects) - 0.5)
        ax.set(ylabel="target error (cm)", yscale="log")
        few_log_ticks(ax.yaxis)
        figure.legend(loc="outside lower center", ncols=3, fontsize=6)
    return figure


def _section(given: Material) -> Findings:
    """What the most active units are needed for."""
    recording, saved = given.recording, given.network
    network = saved.controller
    if not isinstance(network, RecurrentNetwork):
        raise RecordingError("lesions need a recurrent network.")
    if not _weights_read_rates(network):
        raise RecordingError(
            "lesions need a ContinuousTimeRNN or a Network itself, not a "
            f"{type(network).__name__}, which may read its rates in another way."
        )
    task, trials = recorded_run(recording)
    parameters = saved.parameters.to(trials.initial_state)
    check_recording(recording, ["rate"])
    if recording.sizes["unit"] != sum(network.layers):
        raise RecordingError("lesions need all units of the network.")
    numbers: dict[str, Any] = {}
    effects: dict[str, LesionEffect] = {}
    deviation = recording["rate"].values.std((0, 1))
    ends = np.cumsum(network.layers)[:-1]
    for layer, own in enumerate(np.split(deviation, ends)):
        units = np.argsort(-own)[: max(1, len(own) // 20)].tolist()
        effect = lesion_effect(
            task,
            network,
            parameters,
            units,
            layer,
            trials=trials,
            surrogates=10,
            seed=given.seed,
        )
        effects[f"layer {layer + 1}"] = effect
        numbers[f"layer {layer + 1}"] = {
            "units_silenced": len(units),
            "intact_error_cm": effect.intact["target_error_cm"],
            "lesioned_error_cm": effect.lesioned["target_error_cm"],
            "null_median_error_cm": np.median([row["target_error_cm"] for row in effect.null]),
            "intact_loss": effect.intact["loss"],
            "lesioned_loss": effect.lesioned["loss"],
            "null_median_loss": np.median([row["loss"] for row in effect.null]),
        }
    text = (
        f"The most active twentieth of each layer ({span(recording)}) is silenced, in the task and "
        f"the {len(trials)} trials that were recorded. For the null, as many random units of the "
        "same layer are silenced."
    )
    return Findings(text, numbers, {"lesions": partial(plot_lesions, effects)})


SECTION = SectionSpec(
    "lesions",
    "Lesions",
    170,
    _section,
    ("controller",),
    lambda _: 0.5,
    reading="A lesion matters where its error lies beyond those of as many random units of the "
    "layer, which are the null.",
)
