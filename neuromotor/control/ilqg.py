"""Optimal feedback control of a nonlinear plant: LQG around each trial's own trajectory.

The plant is linearised along iLQR's trajectory from each start to its target. `LQG` then gives
feedback and filter gains for the task's delay, and for noise and a disturbance of known size. The
result is a `LinearFeedback` that runs in the closed loop.

Source: Li & Todorov (2007), with the noise-free optimum as nominal trajectory; gains as in `LQG`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_positive
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.closed_loop.dynamics import roll_out
from neuromotor.control.believed_field import BelievedField
from neuromotor.control.ilqr import ILQR
from neuromotor.control.linear_design import (
    check_design,
    distinct,
    feedback_for,
    gains_in_turn,
    linearized,
    tables,
)
from neuromotor.control.linear_feedback import LinearFeedback
from neuromotor.control.uncertainty import Uncertainty
from neuromotor.optim.result import Stopwatch
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["ILQG", "ILQGResult"]


@dataclass(frozen=True)
class ILQGResult:
    """A controller for a batch of B trials, and its expected losses.

    Attributes:
        controller: Controller for a `ClosedLoop` on trials with the same starts and targets.
        parameters: The controller's tables, (P,), of the trials' dtype.
        predicted_losses: Expected loss of each trial on the linearised plant, (B,).
        curvature: G of each trial and step, (B, T, m, m): there a command that is off by e raises
            the expected loss by ``e'G e / 2`` on the linearised plant.
        converged: Whether the gains met the tolerance, and iLQR met its own.
        reason: Why the design stopped, in words.
        seconds: Wall-clock time.
        history: Mean expected loss after each round of feedback and filter gains.
    """

    controller: LinearFeedback
    parameters: Tensor
    predicted_losses: Tensor
    curvature: Tensor
    converged: bool
    reason: str
    seconds: float
    history: tuple[float, ...]

    @property
    def predicted(self) -> float:
        """Mean expected loss over the trials."""
        return float(self.predicted_losses.mean())


@dataclass(frozen=True)
class ILQG:
    """Designs optimal feedback controllers, one for each pair of start and target, in float64.

    Attributes:
        extended: Whether the estimate moves by the plant's own step (an extended Kalman filter with
            the gains of the design) or by the linearised one.
        relinearizations: How often the plant is linearised anew, along the design's mean
            trajectory, which differs a little from iLQR's because of signal-dependent noise.
        rounds: Largest number of rounds of feedback and filter gains for one linearisation.
        tolerance: Rounds end when no trial's expected loss changes by more than this fraction.
        sensor_floor: Smallest standard deviation of sensory noise that the filter assumes; it keeps
            the filter's equations regular if an observation is exact.
        ilqr: Solver of the nominal trajectories.

    Raises:
        ValueError: A setting is out of range.

    Example:
        >>> from neuromotor.tasks import CenterOut
        >>> task = CenterOut(directions=8, delay_steps=7)
        >>> ILQG().design(task, task.trials(), Uncertainty(command_noise=0.1)).converged
        True
    """

    extended: bool = True
    relinearizations: int = 1
    rounds: int = 50
    tolerance: float = 1e-4
    sensor_floor: float = 1e-6
    ilqr: ILQR = field(default_factory=ILQR)

    def __post_init__(self) -> None:
        check_integer("relinearizations", self.relinearizations, minimum=0)
        check_integer("rounds", self.rounds, minimum=1)
        check_positive("tolerance", self.tolerance)
        check_positive("sensor_floor", self.sensor_floor)

    @torch.no_grad()
    @torch_threads()
    def design(
        self,
        task: Task,
        trials: Trials,
        uncertainty: Uncertainty | None = None,
        callback: Callable[[int, float], None] | None = None,
        field: BelievedField | None = None,
    ) -> ILQGResult:
        """Return the controller for the starts and targets of a batch.

        Args:
            task: Plant, cost, number of steps and delay.
            trials: B trials. The design sees their starts and targets, but no draws. If the cost
                differs by trial (`Trials.wanted`, `Trials.counted`), the design sees that ahead
                too, so that it knows when a go cue will come.
            uncertainty: Sizes of noise and disturbance; by default those of the batch.
            callback: Called after each round with its number and the mean expected loss.
            field: The force field that the controller believes in; none if absent. The trajectory,
                the gains and the estimate's prediction take it into account.

        Raises:
            ValueError: Trials or uncertainty do not fit the task, or its plant has bounds on
                commands (`no_linear_feedback`), or the design is not `extended` and something else
                than the plant's state is sensed.
        """
        check_design(task, trials, self.extended, "ILQG")
        watch = Stopwatch()
        if uncertainty is None:
            uncertainty = Uncertainty.from_trials(trials)
        quiet = trials.undisturbed()
        if field is not None:
            field.check(task.plant, trials)
            quiet = replace(quiet, field=field.mean)
        quiet, index = distinct(quiet.to(dtype=torch.float64))
        share = torch.bincount(index).to(quiet.target) / len(trials)
        nominal = self.ilqr.solve(task, quiet)
        states, commands = nominal.states, nominal.commands
        history: list[float] = []

        def note(losses: Tensor) -> None:
            history.append(float((share * losses).sum()))
            if callback is not None:
                callback(len(history), history[-1])

        for turn in range(self.relinearizations + 1):
            problem = linearized(task, quiet, states, commands, uncertainty, self.sensor_floor)
            if field is not None:
                noise = field.noise(task.plant, states[:, :-1], commands)
                problem = replace(problem, state_noise=noise)
            gains = gains_in_turn(problem, self.rounds, self.tolerance, note)
            if turn < self.relinearizations:
                commands = gains.means
                states = roll_out(task.plant, quiet, commands)
        weights = tables(problem, gains.feedback, gains.correction, states)
        controller = feedback_for(
            task, len(trials), uncertainty, self.extended, uncertainty.retention
        )
        if field is not None and self.extended:
            controller = replace(controller, knows_field=True)
            weights = replace(weights, field=quiet.field)
        weights = weights.of_trials(index)
        reason = f"expected losses settled to a relative {self.tolerance:g}"
        if not gains.settled:
            reason = f"expected losses not settled after {self.rounds} rounds"
        if not nominal.converged:
            reason = f"nominal trajectories: {nominal.reason}"
        return ILQGResult(
            controller=controller,
            parameters=weights.flatten().to(trials.initial_state),
            predicted_losses=gains.losses[index].to(trials.initial_state),
            curvature=gains.curvature[index].to(trials.initial_state),
            converged=nominal.converged and gains.settled,
            reason=reason,
            seconds=watch.seconds,
            history=tuple(history),
        )
