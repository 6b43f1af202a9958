"""What can be recorded: anything that decides on commands becomes a controller."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from neuromotor.control import ILQG
from neuromotor.controllers import (
    AlteredFeedback,
    Controller,
    FeedbackChange,
    FunctionController,
    NetworkPerturbation,
    PerturbedNetwork,
)
from neuromotor.evaluation.references import REFERENCES, reference_controller
from neuromotor.tasks import Task, Trials

__all__ = ["Actor", "acting"]

_STEPS = ("unpack", "initial_memory", "step")  # what makes a controller
Actor = Controller | ILQG | str | Callable[[Tensor, Tensor, int], Tensor] | Any  # or an RL policy


def acting(
    task: Task,
    actor: Actor,
    parameters: Tensor | None,
    trials: Trials,
    feedback: FeedbackChange | None = None,
    perturbations: Sequence[NetworkPerturbation] = (),
) -> tuple[Controller, Tensor]:
    """Return a controller, with its parameters (P,), that decides as the actor does.

    Args:
        task: Task that is recorded.
        actor: A controller; a reference by name or as an `ILQG`, which is designed for the trials;
            a policy with a method `predict`; or a function of observation, target and step.
        parameters: Parameters of a controller, (P,); None for an actor without parameters.
        trials: The batch.
        feedback: Change of the actor's feedback for some steps.
        perturbations: What is done to units or connections of a network for some steps.

    Raises:
        TypeError: The actor is none of these, or no network where units are perturbed.
        ValueError: The name is unknown, or parameters are missing or were given without need.
    """
    nothing = trials.initial_state.new_zeros(0)
    controller: Any = actor
    if inspect.isclass(actor) or not (isinstance(actor, str | ILQG) or _decides(actor)):
        raise TypeError(
            "`controller` must be a controller, an `ILQG`, a policy with `predict`, a function of "
            f"observation, target and step, or one of {', '.join(REFERENCES)}, got "
            f"{f'the class {actor.__name__}' if inspect.isclass(actor) else type(actor).__name__}."
        )
    if isinstance(actor, str | ILQG):
        _refuse_parameters(actor, parameters)
        controller, parameters = _designed(task, actor, trials)
    elif all(hasattr(actor, name) for name in _STEPS):
        if parameters is None:
            if controller.parameter_count:
                raise ValueError(
                    f"`parameters` must be given for a {type(actor).__name__} with "
                    f"{controller.parameter_count} of them, got None."
                )
            parameters = nothing
    elif hasattr(actor, "predict"):
        from neuromotor.envs import PolicyController
        from neuromotor.envs.options import EnvOptions

        _refuse_parameters(actor, parameters)
        controller, parameters = PolicyController(controller, EnvOptions.of(task, {})), nothing
    else:
        _refuse_parameters(actor, parameters)
        plant = task.plant
        controller = FunctionController(controller, plant.command_size, plant.dt_s)
        parameters = nothing
    if perturbations:
        for own in perturbations:
            _check_window(task, "perturbations", own.first_step, own.last_step)
        controller = PerturbedNetwork(controller, tuple(perturbations))
    if feedback is not None:
        _check_window(task, "feedback", feedback.first_step, feedback.last_step)
        controller = AlteredFeedback(controller, feedback)
    return controller, parameters


def _decides(actor: object) -> bool:
    """Return whether an actor is a controller, a policy or a function."""
    steps = all(hasattr(actor, name) for name in _STEPS)
    return steps or hasattr(actor, "predict") or callable(actor)


def _designed(task: Task, actor: str | ILQG, trials: Trials) -> tuple[Controller, Tensor]:
    """Return a reference that is designed for the trials, with its parameters."""
    with torch.no_grad():
        if isinstance(actor, ILQG):
            design = actor.design(task, trials)
            return design.controller, design.parameters
        return reference_controller(task, trials, actor)


def _refuse_parameters(actor: object, parameters: Tensor | None) -> None:
    if parameters is not None and parameters.numel():
        name = actor if isinstance(actor, str) else type(actor).__name__
        raise ValueError(f"`parameters` must be None for {name}, which has none of its own.")


def _check_window(task: Task, name: str, first: int, last: int) -> None:
    """Raise unless a window lies within the trial."""
    if last >= task.steps:
        raise ValueError(
            f"`{name}` must end before step {task.steps}, where the trial does, got steps "
            f"{first} to {last}."
        )
