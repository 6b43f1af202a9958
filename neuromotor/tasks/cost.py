"""What a trial costs: squared errors of the state over time, and the energy of the commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from neuromotor._checks import check_finite_tensor, check_number, declares, up_to_date
from neuromotor.plants.plant import by_part
from neuromotor.tasks.penalties import with_muscles
from neuromotor.tasks.trials import Trials

__all__ = [
    "Expansion",
    "QuadraticCost",
    "at_every_step",
    "check_weights",
    "FeatureComponents",
    "expandable",
    "features_of",
    "final_state_cost",
    "quadratic",
    "weighed_features",
]


class Expansion(NamedTuple):
    """A cost to second order along B trajectories of T steps; each axis may be 1 for "the same".

    ``l(x + dx, u + du) = l + sum_t (x_t dx + dx x_tt dx / 2) + (the same of u) + du ux_t dx``.
    """

    state: Tensor  # gradient by the states, (B, T + 1, n)
    command: Tensor  # gradient by the commands, (B, T, m)
    state_curvature: Tensor  # Hessian of each state, (B, T + 1, n, n)
    command_curvature: Tensor  # Hessian of each command, (B, T, m, m)
    mixed_curvature: Tensor | None = None  # command by state, (B, T, m, n); zero if None


@dataclass(frozen=True)
class QuadraticCost:
    """``sum_t sum_i w[t, i] (x[t, i] - x*[i])^2 / 2  +  alpha sum_t |u[t]|^2 / 2``.

    Center-out, postural and DDN costs of Sutskever (2013), sections 6.3 and 6.5, differ only in
    the weights. It is a sum of squares, so the residuals whose half squared norm it is serve the
    Gauss-Newton matrix. Trials may have their own factors on w (`Trials.counted`) and an x* that
    changes from step to step (`Trials.wanted`).

    Attributes:
        state_weights: Weights w of the squared state errors, (T + 1, n), zero or more.
        energy_weight: Weight alpha of a command's squared norm at each step, zero or more.

    Raises:
        ValueError: A weight is negative or not finite, or `state_weights` is not (T + 1, n).
    """

    state_weights: Tensor
    energy_weight: float

    # The fields and `weights` say all about it, so that what goes by them instead of by `losses`
    # is right: compiled loops, iLQR, ILQG, environments. A subclass does not inherit this: one
    # that changes neither `weights` nor `residuals` nor `losses` may set it again.
    follows_equations: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_finite_tensor("state_weights", self.state_weights, (None, None))
        if bool((self.state_weights < 0).any()):
            raise ValueError("`state_weights` must be zero or more, got negative entries.")
        check_number("energy_weight", self.energy_weight, minimum=0.0)

    @property
    def steps(self) -> int:
        """Number T of commands in a trial."""
        return self.state_weights.shape[0] - 1

    def weights(self, trials: Trials) -> Tensor:
        """Return the trials' weights of the squared state errors, (B or 1, T + 1, n)."""
        weights = self.state_weights.to(trials.initial_state)[None]
        return weights if trials.counted is None else weights * trials.counted

    def residuals(self, states: Tensor, commands: Tensor, trials: Trials) -> Tensor:
        """Return the residuals r with ``loss = |r|^2 / 2``, (B, R).

        Args:
            states: (B, T + 1, n).
            commands: (B, T, m).
            trials: B trials.
        """
        counted = torch.nonzero(self.state_weights.any(dim=1)).squeeze(-1).to(states.device)
        goal = trials.goal if trials.wanted is None else trials.goal[:, counted]
        errors = self.weights(trials)[:, counted].sqrt() * (states[:, counted] - goal)
        return torch.cat([errors.flatten(1), self.energy_weight**0.5 * commands.flatten(1)], dim=1)

    def losses(self, states: Tensor, commands: Tensor, trials: Trials) -> Tensor:
        """Return each trial's loss, (..., B).

        Args:
            states: (..., B, T + 1, n).
            commands: (..., B, T, m).
            trials: B trials.
        """
        errors = (states - trials.goal).square()
        state_cost = (self.weights(trials) * errors).sum((-2, -1))
        return 0.5 * (state_cost + self.energy_weight * commands.square().sum((-2, -1)))

    def expansion(self, states: Tensor, commands: Tensor, trials: Trials) -> Expansion:
        """Return the losses to second order along trajectories, for solvers such as iLQR.

        A cost of one's own that overrides `losses` overrides this too, or such solvers refuse it.

        Args:
            states: (B, T + 1, n).
            commands: (B, T, m).
            trials: B trials.
        """
        weights = self.weights(trials)
        eye = torch.eye(commands.shape[2], dtype=commands.dtype, device=commands.device)
        return Expansion(
            state=weights * (states - trials.goal),
            command=self.energy_weight * commands,
            state_curvature=torch.diag_embed(weights),
            command_curvature=(self.energy_weight * eye)[None, None],
        )


def expandable(cost: QuadraticCost, user: str) -> QuadraticCost:
    """Return a cost that says what its losses are to second order.

    Args:
        cost: A task's.
        user: What needs it, for the error.

    Raises:
        ValueError: The cost's class overrides `losses` without `expansion`.
    """
    if not up_to_date(cost, "expansion", "losses"):
        raise ValueError(
            f"`task.cost` must give its losses to second order for {user}, got a "
            f"{type(cost).__name__}, whose class defines `losses` and no `expansion`; give it a "
            "method `expansion(states, commands, trials)`, as `QuadraticCost` has it."
        )
    return cost


def quadratic(cost: QuadraticCost, user: str) -> QuadraticCost:
    """Return a cost whose weights say all about it.

    Args:
        cost: A task's.
        user: What goes by the weights, for the error.

    Raises:
        ValueError: The cost's class does not declare `follows_equations`.
    """
    if not declares(cost, "follows_equations"):
        raise ValueError(
            f"`task.cost` must be a plain QuadraticCost for {user}, which goes by its weights, got "
            f"a {type(cost).__name__}, whose own methods may say something else; "
            "`neuromotor.train` calls those. A subclass that changes none of them may set "
            "`follows_equations = True`."
        )
    return cost


def weighed_features(cost: QuadraticCost, user: str) -> Callable[[Tensor], Tensor] | None:
    """Return the features that a cost weighs in place of the state errors; None for these.

    A cost whose class declares `weighs_features` has a method `features(states)` that returns as
    many numbers as a state has; the weights are theirs, and they are to be zero.

    Args:
        cost: A task's.
        user: What goes by the weights, for the error.

    Raises:
        ValueError: The cost's class declares neither this nor `follows_equations`.
    """
    if declares(cost, "weighs_features"):
        features: Callable[[Tensor], Tensor] = cost.features  # type: ignore[attr-defined]
        return features
    quadratic(cost, user)
    return None


@dataclass(frozen=True)
class FeatureComponents:
    """What a cost weighs in place of the state errors, as functions on components.

    Attributes:
        functions: A module with `features(par, x)`, which returns as many components as a state
            has, and `feature_slopes(par, x)`, which returns their derivative row by row. With a
            weight of drives it has `offsets(par, x)`, one component for each of a command, and
            `offset_slopes` too. Each is marked by `neuromotor.compiled.component`;
            `cursor_cost_components.py` is an example.
        numbers: `par`: all numbers that they need.
        drive_weight: Weight of ``|u[t] + offsets(x[t])|^2 / 2`` at each step.
    """

    functions: ModuleType
    numbers: tuple[float, ...]
    drive_weight: float = 0.0

    @property
    def has_offsets(self) -> bool:
        """Whether there are functions of offsets."""
        return hasattr(self.functions, "offsets")

    def drives(self, states: Tensor, commands: Tensor) -> Tensor:
        """Return commands with their offsets, (..., T, m), of states (..., T + 1, n)."""
        offsets = self.functions.offsets(self.numbers, states[..., :-1, :].unbind(-1))
        return commands + torch.stack(offsets, dim=-1)


def features_of(cost: QuadraticCost) -> FeatureComponents | None:
    """Return a cost's features on components, or None where its own class declares none."""
    if not (declares(cost, "weighs_features") and declares(cost, "components")):
        return None
    found: FeatureComponents = cost.components  # type: ignore[attr-defined]
    return found


def check_weights(task: object) -> None:
    """Raise unless the three weights of a task's cost are finite numbers, zero or more."""
    for name, unit in (("energy_weight", "1/s"), ("error_weight", ""), ("velocity_weight", "")):
        check_number(name, getattr(task, name), unit, minimum=0.0)


def final_state_cost(task: Any) -> QuadraticCost:
    """Return a reach's cost by the task's weights: errors at the last step, energy at every one."""
    weights = torch.zeros(task.steps + 1, task.plant.state_size, dtype=torch.float64)
    weights[-1] = by_part(task.plant, position=task.error_weight, velocity=task.velocity_weight)
    return with_muscles(QuadraticCost(weights, task.energy_weight * task.plant.dt_s), task)


def at_every_step(reach: Any) -> QuadraticCost:
    """Return a cost that weighs the error at every step as that of a reach does at the last."""
    weights = by_part(reach.plant, position=reach.error_weight, velocity=reach.velocity_weight)
    every = weights.repeat(reach.steps + 1, 1)
    return with_muscles(QuadraticCost(every, reach.energy_weight * reach.plant.dt_s), reach)
