"""Infinite-horizon LQG: feedback that does not know when a movement should end.

The plant is linearised about the target of each trial, held still. Each step there costs what the
task's last step costs, and its command; feedback and filter gains that do not change minimise the
mean cost of a step. So the controller has no clock: how long a movement takes emerges from its
gains, the same gains hold the target afterwards, and a disturbance is countered whenever it comes.

Source: Qian, Jiang, Jiang & Mazzoni (2013), with signal-dependent noise in continuous time; Li,
Mazzoni, Song & Qian (2018) for perturbations. Here time is discrete, with the delay, hidden
disturbance and estimate of `ILQG`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.control.linear_design import (
    check_design,
    distinct,
    feedback_for,
    gains_in_turn,
    linearized,
    no_linear_feedback,
    tables,
)
from neuromotor.control.linear_feedback import FeedbackWeights, LinearFeedback
from neuromotor.control.stationary import StationaryLQG
from neuromotor.control.uncertainty import Uncertainty
from neuromotor.optim.result import Stopwatch
from neuromotor.plants.plant import Plant, holding_command
from neuromotor.tasks.cost import QuadraticCost, expandable
from neuromotor.tasks.task import DerivedTask, Task
from neuromotor.tasks.trials import Trials

__all__ = ["InfiniteHorizonLQG", "InfiniteHorizonResult", "no_stationary_feedback"]

_STILL = 1e-6  # largest change of any number of a state in a step at rest


@dataclass(frozen=True)
class InfiniteHorizonResult:
    """A controller for a batch of B trials, and what a step costs in the long run.

    Attributes:
        controller: Controller for a `ClosedLoop` on trials with the same targets.
        parameters: The controller's tables, (P,), of the trials' dtype; the same at every step.
        step_costs: Expected cost of a step in the long run, at each trial's target, (B,).
        curvature: G of each trial, (B, m, m): a command that is off by e raises the expected cost
            by ``e'G e / 2``.
        converged: Whether the gains met the tolerance.
        reason: Why the design stopped, in words.
        seconds: Wall-clock time.
        history: Mean expected cost of a step after each round of feedback and filter gains.
    """

    controller: LinearFeedback
    parameters: Tensor
    step_costs: Tensor
    curvature: Tensor
    converged: bool
    reason: str
    seconds: float
    history: tuple[float, ...]


@dataclass(frozen=True)
class InfiniteHorizonLQG:
    """Designs feedback that goes on for ever, one controller for each target, in float64.

    At rest hardly anything is commanded, so that noise in proportion to commands hardly disturbs,
    and a filter for rest alone would not look. So the filter counts the noise of a reach too, with
    its mean over the steps of an undisturbed trial.

    A load or a force on the hand counts as one that is drawn anew from time to time: with
    probability ``dt / disturbance_s`` at each step. Its covariance over time is that of a
    disturbance which fades by this share at each step and gets as much noise as keeps its variance,
    and the expected cost of linear feedback depends on no other moments.

    Attributes:
        error_scale: Factor on the weights of the task's last step, which count at every step here.
            The smaller it is against the energy, the longer movements take.
        velocity_scale: Factor on the weights of velocities among them. Without it a velocity that
            weighs as much as a distance, as in a reach whose end alone counts, would make each
            reach a creep of seconds. The default counts a velocity as the way of 100 ms.
        disturbance_s: Mean time (s) that a load or a force on the hand stays as it is.
        extended: Whether the estimate moves by the plant's own step (an extended Kalman filter with
            the gains of the design) or by the linearised one.
        rounds: Largest number of rounds of feedback and filter gains.
        tolerance: Rounds end when no target's expected cost changes by more than this fraction.
        noise_floor: Smallest standard deviation of sensory noise and of plant noise that the filter
            assumes.

    Raises:
        ValueError: A setting is out of range.

    Example:
        >>> from neuromotor.tasks import CenterOut
        >>> task = CenterOut(directions=2, delay_steps=5)
        >>> chance = Uncertainty(command_noise=0.1)
        >>> InfiniteHorizonLQG().design(task, task.trials(), chance).converged
        True
    """

    error_scale: float = 1.0
    velocity_scale: float = 0.01
    disturbance_s: float = 10.0
    extended: bool = True
    rounds: int = 50
    tolerance: float = 1e-6
    noise_floor: float = 1e-6

    def __post_init__(self) -> None:
        check_positive("error_scale", self.error_scale)
        check_number("velocity_scale", self.velocity_scale, minimum=0.0)
        check_positive("disturbance_s", self.disturbance_s, "seconds")
        check_integer("rounds", self.rounds, minimum=1)
        check_positive("tolerance", self.tolerance)
        check_positive("noise_floor", self.noise_floor)

    @torch.no_grad()
    @torch_threads()
    def design(
        self,
        task: Task,
        trials: Trials,
        uncertainty: Uncertainty | None = None,
        callback: Callable[[int, float], None] | None = None,
    ) -> InfiniteHorizonResult:
        """Return the controller for the targets of a batch.

        Args:
            task: Plant, cost of the last step, delay, and the number of steps that are run.
            trials: B trials. The design sees their starts and targets, and what counts at the last
                step (`Trials.counted`), but no draws.
            uncertainty: Sizes of noise and disturbance; by default those of the batch. When a
                disturbance begins and ends does not matter.
            callback: Called after each round with its number and the mean expected cost of a step.

        Raises:
            ValueError: Trials or uncertainty do not fit the task, there is no stationary feedback
                for it (`no_stationary_feedback`), or no stationary solution.
        """
        check_design(task, trials, self.extended, "infinite-horizon LQG")
        reason = no_stationary_feedback(task, trials)
        if reason is not None:
            raise ValueError(f"`task` must suit infinite-horizon LQG: {reason}.")
        watch = Stopwatch()
        if uncertainty is None:
            uncertainty = Uncertainty.from_trials(trials)
        goal = trials.target.double()
        counted = trials.counted
        if counted is not None:
            counted = counted[:, -1:].double().repeat(1, 2, 1)
        at_rest, index = distinct(Trials(goal, goal, counted=counted))
        share = torch.bincount(index).to(goal) / len(trials)
        states = at_rest.target[:, None].repeat(1, 2, 1)
        commands = holding_command(task.plant, at_rest.target)[:, None]
        history: list[float] = []

        def note(costs: Tensor) -> None:
            history.append(float((share * costs).sum()))
            if callback is not None:
                callback(len(history), history[-1])

        always = replace(uncertainty, onset_steps=(0, 0), lasting_steps=None)
        once = _OneStep(task, self.error_scale, self.velocity_scale)
        step = linearized(once, at_rest, states, commands, always, self.noise_floor)
        step = replace(step, plant_variance=step.plant_variance.clamp(min=self.noise_floor**2))
        retention = 1.0
        if step.disturbance.shape[3]:
            retention = 1 - min(task.plant.dt_s / self.disturbance_s, 1.0)
            fresh = (1 - retention**2) * step.onset_variance
            step = replace(step, retention=retention, onset_variance=fresh)
        if step.coupled:
            feedback, _ = StationaryLQG(step).valued_feedback()
            power = _power(task, trials, feedback[index, 0], commands[index, 0])
            mean = power.new_zeros(len(at_rest), power.shape[1]).index_add_(0, index, power)
            step = replace(step, command_power=mean / torch.bincount(index)[:, None])
        gains = gains_in_turn(StationaryLQG(step), self.rounds, self.tolerance, note)
        weights = tables(step, gains.feedback, gains.correction, states)
        every = {
            name: table.expand(-1, task.steps, *table.shape[2:])
            for name, table in weights.of_trials(index).tables().items()
            if name != "start"
        }
        weights = FeedbackWeights(start=trials.initial_state.double(), **every)
        reason = f"expected costs settled to a relative {self.tolerance:g}"
        if not gains.settled:
            reason = f"expected costs not settled after {self.rounds} rounds"
        return InfiniteHorizonResult(
            controller=feedback_for(task, len(trials), uncertainty, self.extended, retention),
            parameters=weights.flatten().to(trials.initial_state),
            step_costs=gains.losses[index].to(trials.initial_state),
            curvature=gains.curvature[index, 0].to(trials.initial_state),
            converged=gains.settled,
            reason=reason,
            seconds=watch.seconds,
            history=tuple(history),
        )


def no_stationary_feedback(task: Task, trials: Trials) -> str | None:
    """Say why infinite-horizon LQG designs nothing for trials; None where it does.

    Args:
        task: What is wanted.
        trials: B trials.
    """
    reason = no_linear_feedback(task.plant)
    if reason is not None:
        return reason
    try:
        cost = expandable(task.cost, "infinite-horizon LQG")
    except ValueError as error:
        return str(error).rstrip(".")
    if not bool((cost.weights(trials)[:, -1] > 0).any(dim=-1).all()):
        return "its cost is that of the last step, at which no error counts in this task"
    if trials.wanted is not None:
        return "it goes to the target and holds it, and knows no time at which that should change"
    if not _held(task.plant, trials.target):
        return "its plant does not stay at rest at the target with the command that should hold it"
    return None


def _held(plant: Plant, target: Tensor) -> bool:
    """Return whether the plant can be held still at its targets, (B, n)."""
    after = plant.step(target, holding_command(plant, target))
    return bool(((after - target).abs() <= _STILL).all())


def _power(task: Task, trials: Trials, feedback: Tensor, holding: Tensor) -> Tensor:
    """Mean squares of the commands of undisturbed reaches beyond those that hold the end, (B, m).

    Args:
        task: Plant and number of steps.
        trials: B trials.
        feedback: L of each, (B, m, n + k + 1).
        holding: Commands at the targets, (B, m).
    """
    state, goal = trials.initial_state.double(), trials.target.double()
    n, total = state.shape[1], torch.zeros_like(holding)
    for _ in range(task.steps):
        away = (state - goal).unsqueeze(-1)
        command = (feedback[..., :n] @ away + feedback[..., -1:]).squeeze(-1)
        state = task.plant.step(state, command)
        total += (command - holding).square()
    return total / task.steps


@dataclass(frozen=True)
class _OneStep(DerivedTask):
    """One step at the target, which costs what the last step of a task costs, and its command."""

    whole: Task
    error_scale: float
    velocity_scale: float

    @property
    def source(self) -> Task:
        return self.whole

    @property
    def steps(self) -> int:
        return 1

    @property
    def cost(self) -> QuadraticCost:
        cost = self.whole.cost
        weights = torch.zeros_like(cost.state_weights[-2:])
        weights[0] = self.error_scale * cost.state_weights[-1]
        weights[0, self.plant.state_parts["velocity"]] *= self.velocity_scale
        return replace(cost, state_weights=weights)

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        return self.whole.trials(generator, dtype=dtype, device=device)
