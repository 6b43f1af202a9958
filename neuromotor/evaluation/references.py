"""Controllers that say how good is good, run on the trials of any task."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from neuromotor._checks import lookup
from neuromotor.closed_loop import ClosedLoop, Trajectory
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.control import (
    ILQG,
    ILQR,
    ILQGResult,
    ILQRResult,
    InfiniteHorizonLQG,
    OnlineTrajectoryOptimization,
    Uncertainty,
)
from neuromotor.control.infinite_horizon import no_stationary_feedback
from neuromotor.control.linear_design import no_linear_feedback
from neuromotor.control.switching_load import SwitchingLoadFeedback, no_switching_load
from neuromotor.controllers import CommandTable, Controller
from neuromotor.evaluation.performance import Evaluation, assess, controller_runner, known_runner
from neuromotor.extensions import Registry
from neuromotor.optim.result import Stopwatch
from neuromotor.tasks import SensesInUse, Task, Trials

__all__ = [
    "DEFAULT_REFERENCES",
    "REFERENCES",
    "Reference",
    "assess_references",
    "default_references",
    "no_reference",
    "reference_controller",
    "reference_trajectories",
]

# A trained controller that something disturbs is held against these, beside the clairvoyant bound.
# The thesis's planner does not know of the delay and diverges, so it is not among them.
DEFAULT_REFERENCES = ("ilqg", "online-predictive")


def default_references(trials: Trials) -> tuple[str, ...]:
    """Return those of `DEFAULT_REFERENCES` that say something about trials and can run them.

    Where ILQG's design knows nothing of what happens it is among them all the same, for
    `no_reference` to say why there is none.
    """
    noisy = set(Trials.names(seen_by="senses")).intersection(trials.present())
    if not trials.disturbed and not noisy:
        return ()
    return tuple(name for name in DEFAULT_REFERENCES if name == "ilqg" or _plannable(trials))


def no_reference(names: Iterable[str], task: Task, trials: Trials) -> dict[str, str]:
    """Return, by name, why references are none for trials; those that are one are left out.

    A controller whose design leaves out what happens in the trials is no measure of how well one
    can do there: held against it, others seem far better or far worse than they are.
    """
    planners = _beyond_planners(task)
    reasons = {
        "ilqg": _beyond_ilqg(task, trials),
        "ilqg-bayes": _beyond_ilqg(task, trials) or no_switching_load(task, trials),
        "lqg": _beyond_lqg(task),
        "lqg-infinite": _beyond_infinite(task, trials),
        "online": planners,
        "online-predictive": planners,
    }
    found = {name: reasons.get(name) for name in names}
    return {name: reason for name, reason in found.items() if reason is not None}


def _beyond_planners(task: Task) -> str | None:
    """Say why there is no online planner for a task; None where there is."""
    try:
        OnlineTrajectoryOptimization(task)
    except ValueError as error:
        return str(error).rstrip(".")
    return None


def _beyond_lqg(task: Task) -> str | None:
    """Say why there is no LQG with a linear estimate for a task; None where there is."""
    if SensesInUse.of(task).whole_state:
        return None
    return "its estimate is linear, and what is sensed is not the plant's state; use 'ilqg'"


def _beyond_ilqg(task: Task, trials: Trials) -> str | None:
    """Say what in the trials the design of ILQG does not know; None where it knows everything."""
    reason = no_linear_feedback(task.plant)
    if reason is not None:
        return reason
    if _in_field(trials):
        return "its design knows no force field"
    if trials.channel is not None and bool((trials.channel != 0).any()):
        return "its design knows no channel"
    for part in (trials.load, trials.hand_force):
        if part is None:
            continue
        on = (part != 0).any(dim=-1)  # (B, T)
        onset = on.int().argmax(dim=1)
        held = part[torch.arange(len(part), device=part.device), onset][:, None]
        after = torch.arange(part.shape[1], device=part.device) >= onset[:, None]
        if bool((after[..., None] & on.any(dim=1)[:, None, None] & (part != held)).any()):
            return "its design knows loads that stay once they are on, not a push that ends"
    return None


def _beyond_infinite(task: Task, trials: Trials) -> str | None:
    """Say what in the trials the design of infinite-horizon LQG does not know; None for nothing."""
    reason = no_stationary_feedback(task, trials)
    if reason is None and _in_field(trials):
        return "its design knows no force field"
    return reason


def _in_field(trials: Trials) -> bool:
    """Return whether there is a force field."""
    return trials.field is not None and bool((trials.field != 0).any())


@dataclass(frozen=True)
class Reference:
    """How a reference did on a batch of B trials.

    Attributes:
        name: Its name in `REFERENCES`.
        controller: What ran in the closed loop.
        parameters: Its parameters, (P,).
        trajectory: What happened.
        losses: Each trial's loss, (B,); infinite where the trial overflowed.
        predicted_losses: What the design expected of each trial, (B,); None without a design.
        converged: Whether its solver met its tolerance.
        reason: Why the solver stopped, in words.
        seconds: Wall-clock time of design and simulation.
    """

    name: str
    controller: Controller
    parameters: Tensor
    trajectory: Trajectory
    losses: Tensor
    predicted_losses: Tensor | None
    converged: bool
    reason: str
    seconds: float


def reference_trajectories(
    task: Task,
    trials: Trials,
    names: Iterable[str] = ("ilqr", "ilqg", "online"),
    *,
    uncertainty: Uncertainty | None = None,
    ilqr: ILQR | None = None,
    ilqg: ILQG | None = None,
    infinite: InfiniteHorizonLQG | None = None,
    command_limit: float | None = None,
    finished: Callable[[Reference], None] | None = None,
) -> dict[str, Reference]:
    """Run references on a batch, each in the task's closed loop.

    Args:
        task: Plant, cost, number of steps and delay.
        trials: The batch, with its loads and noise.
        names: Which of `REFERENCES`, in order.
        uncertainty: What ILQG's design knows about noise and disturbance; sizes measured in the
            batch if absent.
        ilqr: Solver of every trajectory.
        ilqg: Design of ILQG.
        infinite: Design of infinite-horizon LQG.
        command_limit: Largest command (N m or N) of the online planners, if any.
        finished: Called with each reference as soon as it is there.

    Raises:
        ValueError: A name is unknown, or the trials do not fit the task.

    Example:
        >>> from neuromotor.tasks import CenterOut
        >>> task = CenterOut(directions=4)
        >>> best = reference_trajectories(task, task.trials(), ["ilqr"])["ilqr"]
        >>> best.trajectory.states.shape
        torch.Size([4, 41, 4])
    """
    solver = ilqr or ILQR()
    settings = _Settings(
        solver,
        ilqg or ILQG(ilqr=solver),
        infinite or InfiniteHorizonLQG(),
        uncertainty,
        command_limit,
    )
    makers = {name: lookup("reference", name, REFERENCES) for name in names}
    found: dict[str, Reference] = {}
    for name, make in makers.items():
        watch = Stopwatch()
        made = _as_made(make(task, trials, settings))
        with torch.no_grad():
            trajectory = ClosedLoop(task, made.controller).simulate(made.parameters, trials)
            losses = task.cost.losses(trajectory.states, trajectory.commands, trials)
        found[name] = Reference(
            name=name,
            controller=made.controller,
            parameters=made.parameters,
            trajectory=trajectory,
            losses=losses.nan_to_num(nan=math.inf),
            predicted_losses=made.predicted_losses,
            converged=made.converged,
            reason=made.reason,
            seconds=watch.seconds,
        )
        if finished is not None:
            finished(found[name])
    return found


def reference_controller(
    task: Task,
    trials: Trials,
    name: str,
    *,
    uncertainty: Uncertainty | None = None,
    ilqr: ILQR | None = None,
    ilqg: ILQG | None = None,
    infinite: InfiniteHorizonLQG | None = None,
    command_limit: float | None = None,
) -> tuple[Controller, Tensor]:
    """Return a reference for a batch, designed and not run: its controller and parameters, (P,).

    Args are those of `reference_trajectories`.

    Raises:
        ValueError: The name is unknown, or the trials do not fit the task.
    """
    solver = ilqr or ILQR()
    settings = _Settings(
        solver,
        ilqg or ILQG(ilqr=solver),
        infinite or InfiniteHorizonLQG(),
        uncertainty,
        command_limit,
    )
    made = _as_made(lookup("reference", name, REFERENCES)(task, trials, settings))
    return made.controller, made.parameters


@torch_threads()
def assess_references(
    task: Task,
    trials: Trials,
    names: Sequence[str],
    bounds: Mapping[str, Tensor],
    *,
    ilqr: ILQR | None = None,
) -> dict[str, Evaluation]:
    """Return how well references do on trials.

    Args:
        task: What is wanted.
        trials: B trials.
        names: Which of `REFERENCES`, in order.
        bounds: Losses, (B,), that theirs are divided by.
        ilqr: Solver of every trajectory.

    Raises:
        ValueError: One of them is no reference for the trials; see `no_reference`.
    """
    for name, reason in no_reference(names, task, trials).items():
        raise ValueError(f"`names` must be without {name!r} for these trials: {reason}.")
    found = {}
    for name, reference in reference_trajectories(task, trials, names, ilqr=ilqr).items():
        done = reference.trajectory
        runner = controller_runner(task, reference.controller, reference.parameters)
        runner = known_runner(trials, done.states, done.commands, runner)
        found[name] = assess(task, trials, runner, bounds)
    return found


@dataclass(frozen=True)
class _Settings:
    ilqr: ILQR
    ilqg: ILQG
    infinite: InfiniteHorizonLQG
    uncertainty: Uncertainty | None
    command_limit: float | None


@dataclass(frozen=True)
class _Made:
    controller: Controller
    parameters: Tensor
    predicted_losses: Tensor | None
    converged: bool
    reason: str


_Maker = Callable[[Task, Trials, _Settings], _Made | tuple[Controller, Tensor]]


def _as_made(result: _Made | tuple[Controller, Tensor]) -> _Made:
    """Return what a function in `REFERENCES` gave; a controller and parameters are enough."""
    return result if isinstance(result, _Made) else _Made(*result, None, True, "designed")


def _clairvoyant(task: Task, trials: Trials, settings: _Settings) -> _Made:
    """Let iLQR know every load, draw and cue in advance, which gives a lower bound."""
    return _table(task, settings.ilqr.solve(task, trials))


def _open_loop(task: Task, trials: Trials, settings: _Settings) -> _Made:
    """Give iLQR's commands for the undisturbed trials, whatever happens."""
    return _table(task, settings.ilqr.solve(task, trials.undisturbed()))


def _table(task: Task, solution: ILQRResult) -> _Made:
    """Turn a solution's commands into a controller."""
    table = CommandTable(
        trials=len(solution.losses),
        steps=task.steps,
        command_size=task.plant.command_size,
        dt_s=task.plant.dt_s,
    )
    return _Made(table, solution.commands.flatten(), None, solution.converged, solution.reason)


def _ilqg(task: Task, trials: Trials, settings: _Settings) -> _Made:
    """Design optimal feedback control, with what the task lets a controller know."""
    return _designed(task, trials, settings, settings.ilqg)


def _bayes(task: Task, trials: Trials, settings: _Settings) -> _Made:
    """Give ILQG's feedback the best estimate of a load that switches on once."""
    reason = no_switching_load(task, trials)
    if reason is not None:
        raise ValueError(f"`names` must be without 'ilqg-bayes' for these trials: {reason}.")
    uncertainty = settings.uncertainty or Uncertainty.from_trials(trials)
    design = replace(settings.ilqg, extended=True).design(task, trials, uncertainty)
    controller = SwitchingLoadFeedback.of(design.controller, uncertainty)
    return _Made(controller, design.parameters, None, design.converged, design.reason)


def _lqg(task: Task, trials: Trials, settings: _Settings) -> _Made:
    """Design the same, but let the estimate move by the linearised plant."""
    return _designed(task, trials, settings, replace(settings.ilqg, extended=False))


def _designed(task: Task, trials: Trials, settings: _Settings, ilqg: ILQG) -> _Made:
    """Turn a design into a controller."""
    design: ILQGResult = ilqg.design(task, trials, settings.uncertainty)
    return _Made(
        design.controller,
        design.parameters,
        design.predicted_losses,
        design.converged,
        design.reason,
    )


def _infinite(task: Task, trials: Trials, settings: _Settings) -> _Made:
    """Design feedback that goes on for ever and does not know when the trial ends."""
    design = settings.infinite.design(task, trials, settings.uncertainty)
    return _Made(design.controller, design.parameters, None, design.converged, design.reason)


def _online(task: Task, trials: Trials, settings: _Settings) -> _Made:
    """Plan anew at every step, from the delayed observation."""
    return _planner(task, trials, settings, predictive=False)


def _online_predictive(task: Task, trials: Trials, settings: _Settings) -> _Made:
    """Plan from a prediction of the present state, which knows the delay but no load."""
    return _planner(task, trials, settings, predictive=True)


def _planner(task: Task, trials: Trials, settings: _Settings, *, predictive: bool) -> _Made:
    """Make an online planner, which has nothing to solve before it starts."""
    if not _plannable(trials):
        raise ValueError(
            "`names` must be without online planners for trials with a cue, or whose goal changes: "
            "a planner does not know when it will; use 'ilqr' or 'ilqg', which know it ahead."
        )
    planner = OnlineTrajectoryOptimization(
        task,
        predictive=predictive,
        command_limit=settings.command_limit,
        ilqr=settings.ilqr,
    )
    reason = f"{planner.iterations} iterations a step"
    return _Made(planner, trials.initial_state.new_zeros(0), None, True, reason)


def _plannable(trials: Trials) -> bool:
    """Return whether a planner is told all that the cost depends on."""
    for_the_cost = set(Trials.names(seen_by="cost")).intersection(trials.present())
    return trials.cue is None and not for_the_cost


REFERENCES: Registry[_Maker] = Registry(
    "reference",
    {
        "ilqr": _clairvoyant,
        "ilqg": _ilqg,
        "ilqg-bayes": _bayes,
        "lqg": _lqg,
        "lqg-infinite": _infinite,
        "online": _online,
        "online-predictive": _online_predictive,
        "open-loop": _open_loop,
    },
    members=("__call__", "__name__"),
    settings=False,
)
