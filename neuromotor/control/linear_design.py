"""What every design of linear feedback shares: the linear problem, the rounds, the tables.

A design linearises the plant along some trajectory of each trial, computes feedback and filter
gains in turn, and writes them into the tables of a `LinearFeedback`.

Source: Li & Todorov (2007); Todorov (2005) for gains in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from neuromotor.closed_loop.dynamics import check_trials, linearize_plant
from neuromotor.control.linear_feedback import FeedbackWeights, LinearFeedback
from neuromotor.control.lqg import LQG, Sensor
from neuromotor.control.uncertainty import Uncertainty
from neuromotor.plants.plant import Plant
from neuromotor.tasks.cost import QuadraticCost, expandable
from neuromotor.tasks.senses import Senses, SensesInUse
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = [
    "Gains",
    "GainsInTurn",
    "check_design",
    "distinct",
    "feedback_for",
    "gains_in_turn",
    "jacobians",
    "linearized",
    "no_linear_feedback",
    "outside_jacobians",
    "tables",
]


class Gains(NamedTuple):
    """Feedback and filter that are optimal together, of B problems of T steps."""

    feedback: Tensor  # L, (B, T, m, n + k + 1)
    curvature: Tensor  # G, (B, T, m, m)
    correction: Tensor  # K, (B, T, N, .)
    losses: Tensor  # expected, (B,)
    means: Tensor  # mean commands, (B, T, m)
    settled: bool  # whether the losses did


class GainsInTurn(Protocol):
    """A problem whose feedback gains are found for a filter, and whose filter for feedback."""

    @property
    def coupled(self) -> bool:
        """Whether the feedback gains depend on the filter."""
        ...

    def valued_feedback(self, correction: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the best gains L for a filter, and G."""
        ...

    def filter(self, feedback: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the best filter gains K for feedback, expected losses, and mean commands."""
        ...


def gains_in_turn(
    problem: GainsInTurn, rounds: int, tolerance: float, note: Callable[[Tensor], None]
) -> Gains:
    """Compute feedback and filter gains in turn, until the expected losses settle.

    Args:
        problem: B problems.
        rounds: Largest number of rounds.
        tolerance: They end when no trial's expected loss changes by more than this fraction.
        note: Called after each round with the expected losses, (B,).
    """
    feedback, curvature = problem.valued_feedback()
    correction, losses, means = problem.filter(feedback)
    note(losses)
    settled = not problem.coupled
    for _ in range(rounds - 1):
        if settled:
            break
        feedback, curvature = problem.valued_feedback(correction)
        before = losses
        correction, losses, means = problem.filter(feedback)
        note(losses)
        settled = bool(((losses - before).abs() <= tolerance * losses).all())
    return Gains(feedback, curvature, correction, losses, means, settled)


def check_design(task: Task, trials: Trials, extended: bool, user: str) -> None:
    """Raise unless linear feedback can be designed for trials.

    Args:
        task: Plant, cost, number of steps and delay.
        trials: B trials.
        extended: Whether the estimate moves by the plant's own step.
        user: The design's name, for the error.
    """
    check_trials(task, trials)
    reason = no_linear_feedback(task.plant)
    if reason is not None:
        raise ValueError(
            f"`task.plant` must suit {user}, got a {type(task.plant).__name__}: {reason}."
        )
    if not (SensesInUse.of(task).whole_state or extended):
        raise ValueError(
            "`extended` must be True where something else than the plant's state is sensed, "
            "which is then predicted by the plant's own signals."
        )


def feedback_for(
    task: Task, trials: int, uncertainty: Uncertainty, extended: bool, retention: float = 1.0
) -> LinearFeedback:
    """Return the controller whose tables a design writes.

    Args:
        task: Plant, number of steps and what is sensed.
        trials: Number of trials.
        uncertainty: Which disturbances are estimated.
        extended: Whether the estimate moves by the plant's own step.
        retention: What is left of the estimated disturbance after a step without news.
    """
    senses = SensesInUse.of(task)
    return LinearFeedback(
        trials=trials,
        steps=task.steps,
        delay_steps=senses.delay,
        state_size=task.plant.state_size,
        command_size=task.plant.command_size,
        load_size=task.plant.load_size,
        hand_size=task.plant.hand_size,
        load=_any(uncertainty.load),
        hand_force=_any(uncertainty.hand_force),
        dt_s=task.plant.dt_s,
        plant=task.plant if extended else None,
        senses=None if senses.whole_state else _explicit(task),
        retention=retention,
    )


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
        ways.append(outside_jacobians(plant, states[:, :-1], commands, plant.load_size, "load"))
        variances.append(uncertainty.variances("load", states, plant.load_size))
    if _any(uncertainty.hand_force):
        d = plant.hand_size
        ways.append(outside_jacobians(plant, states[:, :-1], commands, d, "hand_force"))
        variances.append(uncertainty.variances("hand_force", states, d))
    fresh = uncertainty.fresh_shares(task.steps)
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
        onset_variance=states.new_tensor(fresh).unsqueeze(-1) * torch.cat(variances),
        retention=uncertainty.retention,
        **_sensing(senses, states, uncertainty, sensor_floor),
    )


def tables(problem: LQG, feedback: Tensor, correction: Tensor, states: Tensor) -> FeedbackWeights:
    """Turn gains on deviations from a trajectory into gains on the states themselves.

    Args:
        problem: In deviations of the state, with full commands.
        feedback: L, (B, T, m, n + k + 1).
        correction: K, (B, T, N, .).
        states: The trajectory, (B, T + 1, n).
    """
    n = states.shape[-1]
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


def distinct(trials: Trials) -> tuple[Trials, Tensor]:
    """Return the trials that differ, and for each trial the number of its equal among them."""
    parts = {"initial_state": trials.initial_state, "target": trials.target, **trials.present()}
    flat = [part.flatten(1) for part in parts.values()]
    rows, index = torch.unique(torch.cat(flat, dim=-1), dim=0, return_inverse=True)
    pieces = rows.split([part.shape[1] for part in flat], dim=-1)
    whole = zip(parts.items(), pieces, strict=True)
    return Trials(
        **{name: piece.reshape(-1, *part.shape[1:]).contiguous() for (name, part), piece in whole}
    ), index


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
        jacobian = jacobians(channel.told, seen)
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


def outside_jacobians(
    plant: Plant, states: Tensor, commands: Tensor, size: int, name: str
) -> Tensor:
    """Return the derivative of the next state by a load or hand force, (B, T, n, size)."""

    def after(force: Tensor) -> Tensor:
        acting = (None, force) if name == "hand_force" else (force, None)
        return plant.step(states, commands, *acting)

    return jacobians(after, states.new_zeros(*states.shape[:-1], size))


def jacobians(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Return derivatives (..., k, n) of a function of each (..., n), (..., k) numbers."""
    with torch.enable_grad():
        inputs = at.detach().requires_grad_(True)
        values = function(inputs)
        rows = [
            torch.autograd.grad(values[..., i].sum(), inputs, retain_graph=True)[0]
            for i in range(values.shape[-1])
        ]
    return torch.stack(rows, dim=-2)


def _any(deviations: float | tuple[float, ...]) -> bool:
    """Return whether any standard deviation is above zero."""
    return any(deviations) if isinstance(deviations, tuple) else deviations > 0
