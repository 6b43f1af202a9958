"""Interventions on a network: units or subspaces silenced, and how far a loss feels each moment.

Notation: P projection of rates that stays, W every matrix that reads rates, L loss, v activations.

    lesion: W <- W P, with P = 1 - U U^T for a subspace U, or zeros on the diagonal for units
    sensitivity: |dL / dv_t| through network and limb, over the steps t of a trial

Null of a lesion: as many units drawn at random from the same layer. A sensitivity that shrinks or
grows by orders of magnitude from the end of the trial to its beginning is a vanishing or exploding
gradient (Bengio et al. 1994).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor._checks import check_integer, declares
from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.controllers import ContinuousTimeRNN, Controller
from neuromotor.evaluation.performance import measure
from neuromotor.tasks import Task, Trials

__all__ = ["LesionEffect", "lesion_effect", "lesion_subspace", "lesion_units", "sensitivity"]


@dataclass(frozen=True)
class LesionEffect:
    """What silencing units does to behaviour.

    Attributes:
        intact: Performance before, by name (`Performance`).
        lesioned: After.
        null: After lesions of as many random units of the same layer, a table each.
    """

    intact: dict[str, float]
    lesioned: dict[str, float]
    null: tuple[dict[str, float], ...]


def lesion_units(
    controller: ContinuousTimeRNN, parameters: Tensor, units: Sequence[int], layer: int
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
    controller: ContinuousTimeRNN, parameters: Tensor, directions: Tensor, layer: int
) -> Tensor:
    """Return parameters that do not read a subspace of a layer's rates.

    Args:
        controller: The network.
        parameters: (P,).
        directions: Vectors that span the subspace, (units, k).
        layer: From 0.

    Raises:
        ValueError: `directions` does not fit the layer, or the network's class may override how
            rates are read.
    """
    size = _layer_size(controller, layer)
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
    controller: ContinuousTimeRNN,
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
        task: What is done. For a recording, take task and trials of `recorded_run`: a lesion says
            something about it only on what was recorded.
        controller: The network.
        parameters: Its parameters, (P,).
        units: What is silenced, numbers within the layer.
        layer: From 0.
        trials: The batch; the task's own by default.
        surrogates: Lesions of as many random units.
        seed: Of these.

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


@torch_threads()
def sensitivity(
    task: Task, controller: Controller, parameters: Tensor, trials: Trials | None = None
) -> NDArray[np.float64]:
    """Return |dL / dv_t| of each trial and step, (B, T): L a trial's loss, network and limb in it.

    v_t are the activations of all layers that step t starts from.
    """
    if trials is None:
        trials = task.trials(dtype=parameters.dtype, device=parameters.device)
    weights = controller.unpack(parameters.detach())
    memory = controller.initial_memory(weights, len(trials))
    if not memory:
        raise ValueError("`controller` must have memory to have a sensitivity; give a network.")
    probe = _Probed(controller, trials, task.steps, tuple(part.shape[-1] for part in memory))
    run = ClosedLoop(task, cast(Controller, probe)).simulate(parameters.detach(), trials)
    loss = task.cost.losses(run.states, run.commands, trials).sum()
    (gradient,) = torch.autograd.grad(loss, probe.nudge)
    values: NDArray[np.float64] = gradient.norm(dim=-1).T.double().cpu().numpy()
    return values


class _Probed:
    """A controller whose memory gets a nudge of zero before each step, to take gradients by."""

    def __init__(
        self, controller: Controller, trials: Trials, steps: int, sizes: tuple[int, ...]
    ) -> None:
        self.controller = controller
        self.sizes = sizes
        self.nudge = torch.zeros(
            steps, len(trials), sum(sizes), dtype=trials.dtype, device=trials.device
        ).requires_grad_(True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.controller, name)

    def step(self, weights, memory, observation, target, t, noise):  # type: ignore[no-untyped-def]
        """As the controller's own."""
        nudges = torch.split(self.nudge[t], list(self.sizes), dim=-1)
        memory = tuple(part + nudge for part, nudge in zip(memory, nudges, strict=True))
        return self.controller.step(weights, memory, observation, target, t, noise)


def _layer_size(controller: ContinuousTimeRNN, layer: int) -> int:
    if not declares(controller, "follows_equations"):
        raise ValueError(
            "`controller` must be a ContinuousTimeRNN itself, whose weights are all that reads a "
            f"rate, got a {type(controller).__name__}; a subclass that overrides neither `unpack` "
            "nor `step` may set `follows_equations = True`."
        )
    check_integer("layer", layer, minimum=0)
    if layer >= len(controller.layers):
        raise ValueError(f"`layer` must be below {len(controller.layers)}, got {layer}.")
    return controller.layers[layer]


def _projected(
    controller: ContinuousTimeRNN, parameters: Tensor, keep: Tensor, layer: int
) -> Tensor:
    """Every reader of the layer's rates sees them through `keep`."""
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
