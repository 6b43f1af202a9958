"""What a reach with a cursor costs: distance from the target, speed, torques and commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from neuromotor.plants.cursor_arm import CursorArm
from neuromotor.tasks.cost import Expansion, QuadraticCost
from neuromotor.tasks.trials import Trials

__all__ = ["CursorCost"]


@dataclass(frozen=True)
class CursorCost(QuadraticCost):
    """``sum_t sum_i w[t, i] z[t, i]^2 / 2  +  alpha sum_t |u[t]|^2 / 2`` of a `CursorArm`.

    The features z stand where the parts of a state do, so that weights, and the factors of trials
    (`Trials.counted`), are those of a state's parts:

    ============  ===================================================
    part          feature z
    ============  ===================================================
    velocity      velocity of the hand (m/s), x and y
    torque        torques (N m)
    drive         rates of the torques (N m/s)
    target        distance of the cursor from the target (m), x and y
    position      nothing, and so for `displacement`: always zero
    ============  ===================================================

    A trial's factors on the two numbers of `target` make bars of round targets: where one of them
    is zero, the target is a line along that axis.

    Attributes:
        state_weights: Weights w, (T + 1, 12).
        energy_weight: Weight alpha of a command's squared norm at each step.
        plant: The arm.

    Raises:
        ValueError: As `QuadraticCost`.
    """

    plant: CursorArm = field(default_factory=CursorArm)

    follows_equations: ClassVar[bool] = False
    weighs_features: ClassVar[bool] = True  # see `tasks.cost.weighed_features`

    def features(self, states: Tensor) -> Tensor:
        """Return z, (..., 12), of states (..., 12)."""
        parts, plant = self.plant.state_parts, self.plant
        torque, drive = states[..., parts["torque"]], states[..., parts["drive"]]
        nothing = torch.zeros_like(torque)
        return torch.cat(
            [
                nothing,
                plant.hand_velocity(states),
                torque,
                (drive - torque) / plant.lag_s,
                plant.cursor(states) - states[..., parts["target"]],
                nothing,
            ],
            dim=-1,
        )

    def residuals(self, states: Tensor, commands: Tensor, trials: Trials) -> Tensor:
        """Return the residuals r with ``loss = |r|^2 / 2``, (B, R); arguments as there."""
        counted = torch.nonzero(self.state_weights.any(dim=1)).squeeze(-1).to(states.device)
        errors = self.weights(trials)[:, counted].sqrt() * self.features(states[:, counted])
        return torch.cat([errors.flatten(1), self.energy_weight**0.5 * commands.flatten(1)], dim=1)

    def losses(self, states: Tensor, commands: Tensor, trials: Trials) -> Tensor:
        """Return each trial's loss, (..., B); arguments as there."""
        errors = (self.weights(trials) * self.features(states).square()).sum((-2, -1))
        return 0.5 * (errors + self.energy_weight * commands.square().sum((-2, -1)))

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
        return Expansion(
            state=(weighted.mT @ errors).squeeze(-1),
            command=self.energy_weight * commands,
            state_curvature=jacobian.mT @ weighted,
            command_curvature=(self.energy_weight * eye)[None, None],
        )
