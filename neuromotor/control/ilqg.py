"""Optimal feedback control of a nonlinear plant: LQG around each trial's own trajectory.

The plant is linearised along iLQR's trajectory from each start to its target. `LQG` then gives
feedback and filter gains for the task's delay, and for noise and a disturbance of known size. The
result is a `LinearFeedback` that runs in the closed loop.

Source: Li & Todorov (2007), with the noise-free optimum as nominal trajectory; gains as in `LQG`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_positive
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.closed_loop.dynamics import check_trials, linearize_plant, roll_out
from neuromotor.control.ilqr import ILQR
from neuromotor.control.linear_feedback import FeedbackWeights, LinearFeedback
from neuromotor.control.lqg import LQG, Sensor
from neuromotor.control.uncertainty import Uncertainty
from neuromotor.optim.result import Stopwatch
from neuromotor.plants.field import field_force
from neuromotor.plants.plant import Plant
from neuromotor.tasks.cost import QuadraticCost, expandable
from neuromotor.tasks.senses import Senses, SensesInUse
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["ILQG", "BelievedField", "ILQGResult", "linearized", "no_linear_feedback"]


@dataclass(frozen=True)
class BelievedField:
    """A force field on the hand as a controller believes in it, and how sure it is.

    A field whose strength varies from trial to trial, unknown when a trial begins, is taken as
    noise that is proportional to the field's force and drawn anew at every step (as Izawa et al.
    2008). Over a trial of T steps draws of deviation ``s sqrt(T)`` have the same variance of their
    sum as a strength of deviation s that lasts; which of the two `deviation` holds is the caller's
    choice.

    Attributes:
        mean: ``field [1, p, v]`` for each trial, (B, d, 1 + 2 d), as in `Trials.field`.
        deviation: Patterns of its deviation at each step, (r, d, 1 + 2 d), the same for all trials;
            None is a field that is known for sure.
    """

    mean: Tensor
    deviation: Tensor | None = None

    def check(self, plant: Plant, trials: Trials) -> None:
        """Raise unless the field fits a plant and trials."""
        d = plant.hand_size
        for name, part, first in (
            ("mean", self.mean, len(trials)),
            ("deviation", self.deviation, None),
        ):
            if part is None:
                continue
            if part.ndim != 3 or part.shape[1:] != (d, 1 + 2 * d) or first not in (None, len(part)):
                count = "r" if first is None else first
                raise ValueError(
                    f"`field.{name}` must have shape ({count}, {d}, {1 + 2 * d}) for this plant "
                    f"and these trials, got {tuple(part.shape)}."
                )


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
        check_trials(task, trials)
        reason = no_linear_feedback(task.plant)
        if reason is not None:
            raise ValueError(
                f"`task.plant` must suit ILQG, got a {type(task.plant).__name__}: {reason}."
            )
        senses = SensesInUse.of(task)
        if not (senses.whole_state or self.extended):
            raise ValueError(
                "`extended` must be True where something else than the plant's state is sensed, "
                "which is then predicted by the plant's own signals."
            )
        watch = Stopwatch()
        if uncertainty is None:
            uncertainty = Uncertainty.from_trials(trials)
        quiet = trials.undisturbed()
        if field is not None:
            field.check(task.plant, trials)
            quiet = replace(quiet, field=field.mean)
        quiet, index = _distinct(quiet.to(dtype=torch.float64))
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
            if field is not None and field.deviation is not None:
                noise = _field_noise(task.plant, states[:, :-1], commands, field, quiet.dtype)
                problem = replace(problem, state_noise=noise)
            found = self._alternate(problem, note)
            feedback, curvature, correction, losses, means, settled = found
            if turn < self.relinearizations:
                commands = means
                states = roll_out(task.plant, quiet, commands)
        controller = LinearFeedback(
            trials=len(trials),
            steps=task.steps,
            delay_steps=senses.delay,
            state_size=task.plant.state_size,
            command_size=task.plant.command_size,
            load_size=task.plant.load_size,
            hand_size=task.plant.hand_size,
            load=_any(uncertainty.load),
            hand_force=_any(uncertainty.hand_force),
            dt_s=task.plant.dt_s,
            plant=task.plant if self.extended else None,
            senses=None if senses.whole_state else _explicit(task),
            knows_field=field is not None and self.extended,
        )
        weights = _tables(problem, feedback, correction, states, task.plant.state_size)
        weights = replace(weights, field=quiet.field if controller.knows_field else None)
        weights = weights.of_trials(index)
        reason = f"expected losses settled to a relative {self.tolerance:g}"
        if not settled:
            reason = f"expected losses not settled after {self.rounds} rounds"
        if not nominal.converged:
            reason = f"nominal trajectories: {nominal.reason}"
        return ILQGResult(
            controller=controller,
            parameters=weights.flatten().to(trials.initial_state),
            predicted_losses=losses[index].to(trials.initial_state),
            curvature=curvature[index].to(trials.initial_state),
            converged=nominal.converged and settled,
            reason=reason,
            seconds=watch.seconds,
            history=tuple(history),
        )

    def _alternate(
        self, problem: LQG, note: Callable[[Tensor], None]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, bool]:
        """Compute feedback and filter gains in turn, until the expected losses settle."""
        feedback, curvature = problem.valued_feedback()
        correction, losses, means = problem.filter(feedback)
        note(losses)
        settled = not problem.coupled
        for _ in range(self.rounds - 1):
            if settled:
                break
            feedback, curvature = problem.valued_feedback(correction)
            before = losses
            correction, losses, means = problem.filter(feedback)
            note(losses)
            settled = bool(((losses - before).abs() <= self.tolerance * losses).all())
        return feedback, curvature, correction, losses, means, settled


def no_linear_feedback(plant: Plant) -> str | None:
    """Say why ILQG designs nothing for a plant; None where it does."""
    if plant.command_bounds is not None:
        return "its design knows no bounds on commands"
    return None


def linearized(
    task: Task,
    quiet: Trials,
    states: Tensor,
    commands: Tensor,
    uncertainty: Uncertainty,
    sensor_floor: float,
) -> LQG:
    """Return the problem in deviations of the state from a trajectory, with full commands.

    Args:
        task: Plant, cost and delay.
        quiet: B trials without loads and noise.
        states: The trajectory, (B, T + 1, n).
        commands: Its commands, (B, T, m).
        uncertainty: Sizes of noise and disturbance.
        sensor_floor: Least standard deviation of sensory noise.
    """
    plant, cost = task.plant, expandable(task.cost, "ILQG")
    n, m = plant.state_size, plant.command_size
    a, b = torch.split(linearize_plant(plant, quiet, states[:, :-1], commands), [n, m], dim=-1)
    ways, variances = [b[..., :0]], [states.new_zeros(0)]
    if _any(uncertainty.load):
        ways.append(_outside_jacobians(plant, states[:, :-1], commands, plant.load_size, "load"))
        variances.append(uncertainty.variances("load", states, plant.load_size))
    if _any(uncertainty.hand_force):
        d = plant.hand_size
        ways.append(_outside_jacobians(plant, states[:, :-1], commands, d, "hand_force"))
        variances.append(uncertainty.variances("hand_force", states, d))
    onset = [uncertainty.onset_probability(t) for t in range(task.steps)]
    senses = SensesInUse.of(task)
    return LQG(
        state=a,
        command=b,
        disturbance=torch.cat(ways, dim=-1),
        drift=-(b @ commands.unsqueeze(-1)).squeeze(-1),
        **_expanded(cost, states, commands, quiet),
        delay_steps=senses.delay,
        command_variance=uncertainty.variances("command_noise", states, m),
        plant_variance=uncertainty.variances("plant_noise", states, n),
        onset_variance=states.new_tensor(onset).unsqueeze(-1) * torch.cat(variances),
        **_sensing(senses, states, uncertainty, sensor_floor),
    )


def _explicit(task: Task) -> Senses:
    """The senses of a task, with every delay said."""
    senses: Senses = getattr(task, "senses", None) or Senses()
    return senses.with_delays(task.plant, task.delay_steps)


def _sensing(
    senses: SensesInUse, states: Tensor, uncertainty: Uncertainty, floor: float
) -> dict[str, Any]:
    """Return what LQG needs of the senses, linearised along a trajectory."""
    columns = slice(None) if senses.columns is None else list(senses.columns)
    added, proportional = (
        uncertainty.variances(name, states, senses.draws)[columns]
        for name in ("sensory_noise", "signal_noise")
    )
    if senses.whole_state and not bool(proportional.any()):
        return {"sensory_variance": added.clamp(min=floor**2)}
    steps = torch.arange(states.shape[1] - 1)
    sensors = []
    for channel in senses.channels:
        seen = states[:, (steps - channel.delay).clamp(min=0)]
        jacobian = _jacobians(channel.told, seen)
        sensors.append(Sensor(channel.delay, jacobian, channel.told(seen)))
    squares = states.new_tensor(senses.scales).square()
    return {
        "sensory_variance": (squares * added).clamp(min=floor**2),
        "sensors": tuple(sensors),
        "signal_variance": proportional if bool(proportional.any()) else None,
    }


def _expanded(
    cost: QuadraticCost, states: Tensor, commands: Tensor, quiet: Trials
) -> dict[str, Any]:
    """Return twice the losses to second order, of deviations of states and of full commands.

    With l the expansion and u0 the trajectory's commands: ``W = [[l_xx, l_x - l_ux' u0], [., c]]``,
    ``R = l_uu`` and ``N = [l_ux, l_u - l_uu u0]``; the constants c add up to what is left.
    """
    found = cost.expansion(states, commands, quiet)
    batch, steps, m = commands.shape
    n = states.shape[-1]
    r = found.command_curvature.expand(batch, steps, m, m)
    l_ux = states.new_zeros(batch, steps, m, n)
    if found.mixed_curvature is not None:
        l_ux = found.mixed_curvature.expand(batch, steps, m, n)
    l_u = found.command.expand(batch, steps, m)
    pushed = (r @ commands.unsqueeze(-1)).squeeze(-1)
    rest = 2 * cost.losses(states, commands, quiet)
    rest = rest + (commands * (pushed - 2 * l_u)).sum((1, 2))
    w = states.new_zeros(batch, steps + 1, n + 1, n + 1)
    w[..., :n, :n] = found.state_curvature
    slope = found.state.expand(batch, steps + 1, n).clone()
    slope[:, :-1] -= (l_ux.mT @ commands.unsqueeze(-1)).squeeze(-1)
    w[..., :n, n] = w[..., n, :n] = slope
    w[:, 0, n, n] = rest
    mixed = torch.cat([l_ux, (l_u - pushed).unsqueeze(-1)], dim=-1)
    return {"state_cost": w, "command_cost": r, "mixed_cost": mixed}


def _tables(
    problem: LQG, feedback: Tensor, correction: Tensor, states: Tensor, n: int
) -> FeedbackWeights:
    """Turn gains on deviations from `states` into gains on the states themselves."""
    before, after = states[:, :-1].unsqueeze(-1), states[:, 1:].unsqueeze(-1)
    drift = problem.drift.unsqueeze(-1) + after - problem.state @ before
    offset = feedback[..., -1:] - feedback[..., :n] @ before
    return FeedbackWeights(
        start=states[:, 0],
        offset=offset.squeeze(-1),
        feedback=feedback[..., :-1],
        correction=correction,
        state=problem.state,
        command=problem.command,
        disturbance=problem.disturbance,
        drift=drift.squeeze(-1),
    )


def _outside_jacobians(
    plant: Plant, states: Tensor, commands: Tensor, size: int, name: str
) -> Tensor:
    """Return the derivative of the next state by a load or hand force, (B, T, n, size)."""

    def after(force: Tensor) -> Tensor:
        acting = (None, force) if name == "hand_force" else (force, None)
        return plant.step(states, commands, *acting)

    return _jacobians(after, states.new_zeros(*states.shape[:-1], size))


def _field_noise(
    plant: Plant, states: Tensor, commands: Tensor, field: BelievedField, dtype: torch.dtype
) -> Tensor:
    """Return what each pattern of a field's deviation does to the next state, (B, T, r, n, n + 1).

    ``dx' / dF`` times the pattern's force, which is linearised in the state.
    """
    if field.deviation is None:
        raise ValueError("`field` must have a `deviation` for the noise of it, got None.")
    by_force = _outside_jacobians(plant, states, commands, plant.hand_size, "hand_force")
    patterns = []
    for pattern in field.deviation.to(dtype=dtype):

        def force(state: Tensor, pattern: Tensor = pattern) -> Tensor:
            return field_force(plant, state, pattern)

        slope = _jacobians(force, states)  # (B, T, d, n)
        patterns.append(by_force @ torch.cat([slope, force(states).unsqueeze(-1)], dim=-1))
    return torch.stack(patterns, dim=2)


def _jacobians(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Return derivatives (..., k, n) of a function of each (..., n), (..., k) numbers."""
    with torch.enable_grad():
        inputs = at.detach().requires_grad_(True)
        values = function(inputs)
        rows = [
            torch.autograd.grad(values[..., i].sum(), inputs, retain_graph=True)[0]
            for i in range(values.shape[-1])
        ]
    return torch.stack(rows, dim=-2)


def _distinct(trials: Trials) -> tuple[Trials, Tensor]:
    """Return the trials that differ, and for each trial the number of its equal among them."""
    parts = {"initial_state": trials.initial_state, "target": trials.target, **trials.present()}
    flat = [part.flatten(1) for part in parts.values()]
    rows, index = torch.unique(torch.cat(flat, dim=-1), dim=0, return_inverse=True)
    pieces = rows.split([part.shape[1] for part in flat], dim=-1)
    whole = zip(parts.items(), pieces, strict=True)
    return Trials(
        **{name: piece.reshape(-1, *part.shape[1:]).contiguous() for (name, part), piece in whole}
    ), index


def _any(deviations: float | tuple[float, ...]) -> bool:
    """Return whether any standard deviation is above zero."""
    return any(deviations) if isinstance(deviations, tuple) else deviations > 0
