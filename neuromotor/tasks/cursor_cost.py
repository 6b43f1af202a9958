"""What a reach with a cursor costs: distance from the target, speed, torques and commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from neuromotor.plants.cursor_arm import CursorArm
from neuromotor.plants.plant import components_of
from neuromotor.tasks import cursor_cost_components
from neuromotor.tasks.cost import Expansion, FeatureComponents, QuadraticCost
from neuromotor.tasks.cursor_cost_components import SMOOTH_W
from neuromotor.tasks.trials import Trials

__all__ = ["CursorCost"]


@dataclass(frozen=True)
class CursorCost(QuadraticCost):
    """``sum w[t, i] z[t, i]^2 / 2 + alpha sum |u[t]|^2 / 2 + beta sum |a[t]|^2 / 2`` of an arm.

    The features z stand where the parts of a state do, so that weights, and the factors of trials
    (`Trials.counted`), are those of a state's parts:

    ============  ===================================================
    part          feature z
    ============  ===================================================
    velocity      velocity of the hand (m/s), x and y
    torque        torques (N m)
    drive         rates of the torques (N m/s)
    target        distance of the cursor from the target (m), x and y
    position      root of the joints' mechanical power (W), see below
    displacement  nothing: always zero
    ============  ===================================================

    The square of `position` is the size of the power p of a joint, so that its sum is the work that
    is done and absorbed: ``z^2 = 2 p^2 / (sqrt(p^2 + e^2) + e)``, which is ``2 |p|`` from powers of
    some e = 0.01 W on, and smooth.

    The accelerations of torque a = tau'' (N m/s^2) follow from the lags: ``(u - 2 drive + torque) /
    lag^2``. Wong, Cluff & Kuo (2021) found that effort grows with this, the rate of force per time,
    beside work.

    A trial's factors on the two numbers of `target` make bars of round targets: where one of them
    is zero, the target is a line along that axis.

    Attributes:
        state_weights: Weights w, (T + 1, 12).
        energy_weight: Weight alpha of a command's squared norm at each step.
        plant: The arm.
        force_rate_weight: Weight beta of the squared norm of a at each step.

    Raises:
        ValueError: As `QuadraticCost`.
    """

    plant: CursorArm = field(default_factory=CursorArm)
    force_rate_weight: float = 0.0

    follows_equations: ClassVar[bool] = False
    weighs_features: ClassVar[bool] = True  # see `tasks.cost.weighed_features`

    @property
    def components(self) -> FeatureComponents | None:
        """The features on components, for plants that have theirs."""
        form = components_of(self.plant)
        if form is None:
            return None
        drive_weight = self.force_rate_weight / self.plant.lag_s**4
        return FeatureComponents(cursor_cost_components, form.numbers, drive_weight)

    def features(self, states: Tensor) -> Tensor:
        """Return z, (..., 12), of states (..., 12)."""
        parts, plant = self.plant.state_parts, self.plant
        torque, drive = states[..., parts["torque"]], states[..., parts["drive"]]
        nothing = torch.zeros_like(torque)
        return torch.cat(
            [
                _root_of_size(torque * states[..., parts["velocity"]]),
                plant.hand_velocity(states),
                torque,
                (drive - torque) / plant.lag_s,
                plant.cursor(states) - states[..., parts["target"]],
                nothing,
            ],
            dim=-1,
        )

    def accelerations(self, states: Tensor, commands: Tensor) -> Tensor:
        """Return those of torque (N m/s^2), (..., T, 2), of states (..., T + 1, 12)."""
        parts, before = self.plant.state_parts, states[..., :-1, :]
        driven = commands - 2 * before[..., parts["drive"]] + before[..., parts["torque"]]
        return driven / self.plant.lag_s**2

    def residuals(self, states: Tensor, commands: Tensor, trials: Trials) -> Tensor:
        """Return the residuals r with ``loss = |r|^2 / 2``, (B, R); arguments as there."""
        counted = torch.nonzero(self.state_weights.any(dim=1)).squeeze(-1).to(states.device)
        errors = self.weights(trials)[:, counted].sqrt() * self.features(states[:, counted])
        parts = [errors.flatten(1), self.energy_weight**0.5 * commands.flatten(1)]
        if self.force_rate_weight:
            jerky = self.accelerations(states, commands).flatten(1)
            parts.append(self.force_rate_weight**0.5 * jerky)
        return torch.cat(parts, dim=1)

    def losses(self, states: Tensor, commands: Tensor, trials: Trials) -> Tensor:
        """Return each trial's loss, (..., B); arguments as there."""
        errors = (self.weights(trials) * self.features(states).square()).sum((-2, -1))
        paid = errors + self.energy_weight * commands.square().sum((-2, -1))
        if self.force_rate_weight:
            jerky = self.accelerations(states, commands).square().sum((-2, -1))
            paid = paid + self.force_rate_weight * jerky
        return 0.5 * paid

    def expansion(self, states: Tensor, commands: Tensor, trials: Trials) -> Expansion:
        """Return the losses to second order, without the curvature of the features themselves."""
        weights = self.weights(trials)
        with torch.enable_grad():
            at = states.detach().requires_grad_(True)
            features = self.features(at)
            used = [i for i in range(at.shape[-1]) if bool((weights[..., i] != 0).any())]
            rows = [
                torch.autograd.grad(features[..., i].sum(), at, retain_graph=True)[0] for i in used
            ]
        jacobian = torch.stack(rows, dim=-2)  # (B, T + 1, used, n)
        weighted = weights[..., used].unsqueeze(-1) * jacobian
        errors = features.detach()[..., used].unsqueeze(-1)
        eye = torch.eye(commands.shape[2], dtype=commands.dtype, device=commands.device)
        found = Expansion(
            state=(weighted.mT @ errors).squeeze(-1),
            command=self.energy_weight * commands,
            state_curvature=jacobian.mT @ weighted,
            command_curvature=(self.energy_weight * eye)[None, None],
        )
        return self._with_accelerations(found, states, commands)

    def _with_accelerations(self, found: Expansion, states: Tensor, commands: Tensor) -> Expansion:
        """Add what the accelerations of torque cost, which is quadratic in states and commands."""
        if not self.force_rate_weight:
            return found
        parts, share = self.plant.state_parts, 1 / self.plant.lag_s**2
        by_state = commands.new_zeros(commands.shape[2], states.shape[2])
        eye = torch.eye(commands.shape[2], dtype=commands.dtype, device=commands.device)
        by_state[:, parts["torque"]] = share * eye
        by_state[:, parts["drive"]] = -2 * share * eye
        pull = self.force_rate_weight * self.accelerations(states, commands)
        weighted = self.force_rate_weight * by_state
        state, curvature = found.state.clone(), found.state_curvature.clone()
        state[:, :-1] += pull @ by_state
        curvature[:, :-1] += by_state.mT @ weighted
        return Expansion(
            state=state,
            command=found.command + share * pull,
            state_curvature=curvature,
            command_curvature=found.command_curvature + self.force_rate_weight * share**2 * eye,
            mixed_curvature=(share * weighted)[None, None],
        )


def _root_of_size(power: Tensor) -> Tensor:
    """Return smooth numbers whose squares are twice the size of powers (W)."""
    return power * (2 / ((power.square() + SMOOTH_W**2).sqrt() + SMOOTH_W)).sqrt()
