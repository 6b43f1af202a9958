"""Cases and small objectives that several tests share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQR
from neuromotor.controllers import CommandTable, ContinuousTimeRNN
from neuromotor.optim import Budget, Optimizer
from neuromotor.optim.objective import KroneckerBlock
from neuromotor.plants import (
    ARM_PRESETS,
    HUMAN,
    HUMAN_VISCOSITY,
    JointLimits,
    Plant,
    PointMass,
    TwoJointArm,
)
from neuromotor.tasks import CenterOut, QuadraticCost, Senses, Trials

ARMS = {name: TwoJointArm(parameters) for name, parameters in ARM_PRESETS.items()}
PLANTS = {
    **ARMS,
    "viscous": TwoJointArm(HUMAN, viscosity=HUMAN_VISCOSITY),
    "limited": TwoJointArm(limits=JointLimits()),
    "point-mass": PointMass(mass=0.7, damping=0.4),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(low: float, high: float, *shape: int, seed: int = 0) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator(seed), dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def arm_states(count: int, seed: int = 0) -> Tensor:
    angles = uniform(-3.0, 3.0, count, 2, seed=seed)
    return torch.cat([angles, 4 * normal(count, 2, seed=seed + 1)], dim=-1)


def noisy(trials: Trials, steps: int, units: int = 0, seed: int = 7) -> Trials:
    """The same trials with every kind of load and noise."""
    batch = len(trials)
    return Trials(
        initial_state=trials.initial_state,
        target=trials.target,
        load=0.05 * normal(batch, steps, 2, seed=seed),
        hand_force=0.2 * normal(batch, steps, 2, seed=seed + 1),
        command_noise=0.1 * normal(batch, steps, 2, seed=seed + 2),
        plant_noise=1e-3 * normal(batch, steps, 4, seed=seed + 3),
        sensory_noise=1e-2 * normal(batch, steps, 4, seed=seed + 4),
        unit_noise=normal(batch, steps, units, seed=seed + 5) if units else None,
    )


def timed(trials: Trials, steps: int, cues: int = 1, seed: int = 31) -> Trials:
    """The same trials with cues, and with a goal and weights that differ by trial and step."""
    batch, n = trials.target.shape
    return replace(
        trials,
        cue=uniform(0.0, 1.0, batch, steps, cues, seed=seed),
        wanted=trials.target[:, None] + 0.1 * normal(batch, steps + 1, n, seed=seed + 1),
        counted=uniform(0.0, 2.0, batch, steps + 1, n, seed=seed + 2),
    )


def switched_on(
    trials: Trials, steps: int, part: str, size: float, last: int, seed: int = 0, first: int = 0
) -> Trials:
    """The same trials with a normal load or hand force from a random step, first to last, on."""
    batch = len(trials)
    onset = torch.randint(first, last + 1, (batch, 1, 1), generator=generator(seed))
    active = torch.arange(steps).view(1, -1, 1) >= onset
    return replace(trials, **{part: size * normal(batch, 1, 2, seed=seed + 1) * active})


@dataclass(frozen=True)
class Hold:
    """Stay at home: every step's position counts, and its velocity."""

    plant: Plant
    steps: int
    delay_steps: int = 0
    energy_weight: float = 1e-4
    velocity_weight: float = 0.0
    senses: Senses | None = None

    @property
    def cost(self) -> QuadraticCost:
        weights = torch.ones(self.steps + 1, 4, dtype=torch.float64)
        weights[:, 2:] = self.velocity_weight
        return QuadraticCost(weights, self.energy_weight)

    def trials(self, generator=None, *, dtype=torch.float64, device="cpu") -> Trials:
        state = torch.tensor([[*self.plant.home, 0.0, 0.0]], dtype=dtype, device=device)
        return Trials(state, state.clone())


class SmallProblem:
    """An objective from residuals r: |r|^2 / 2, with dense derivatives by autograd."""

    def __init__(self, residuals: Callable[[Tensor], Tensor]) -> None:
        self.residuals = residuals

    def value(self, parameters: Tensor) -> float:
        return 0.5 * float(self.residuals(parameters).square().sum())

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        theta = parameters.detach().requires_grad_(True)
        value = 0.5 * self.residuals(theta).square().sum()
        (gradient,) = torch.autograd.grad(value, theta)
        return float(value.detach()), gradient

    def linearize(self, parameters: Tensor) -> SmallLinearization:
        return SmallLinearization(self, parameters)

    def kronecker_factors(self, parameters, generator) -> tuple[KroneckerBlock, ...]:
        """The whole Gauss-Newton matrix as one block of one row."""
        jacobian = self.linearize(parameters).jacobian
        places = torch.arange(len(parameters))[None]
        return (KroneckerBlock(places, jacobian.new_ones(1, 1), jacobian.T @ jacobian),)


class SmallLinearization:
    def __init__(self, problem: SmallProblem, parameters: Tensor) -> None:
        self.value, self.gradient = problem.value_and_gradient(parameters)
        self.jacobian = torch.autograd.functional.jacobian(problem.residuals, parameters)

    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        assert structural == 0.0
        return self.jacobian.T @ (self.jacobian @ vector)


def reaching_table() -> tuple[CenterOut, CommandTable, Tensor, float]:
    """The arm's commands of two reaches: task, table, a start, and the least loss, by iLQR."""
    task, table = CenterOut(directions=2, steps=15), CommandTable(trials=2, steps=15)
    least = ILQR().solve(task, task.trials()).value
    return task, table, table.initial_parameters(generator(1)), least


def above_the_least(
    optimizer: Optimizer, calls: int, dtype: torch.dtype = torch.float64
) -> list[float]:
    """How far above the least loss of a point mass networks of five seeds end; 1 is as much again.

    The plant is linear and its cost quadratic, so that iLQR's loss is the least that there is.
    """
    task = CenterOut(plant=PointMass(), directions=4, steps=15)
    net = ContinuousTimeRNN(layers=(8, 6))
    objective = ClosedLoop(task, net).objective(task.trials(dtype=dtype))
    least = ILQR().solve(task, task.trials()).value
    starts = [net.initial_parameters(generator(seed), dtype=dtype) for seed in range(1, 6)]
    ends = [optimizer.minimize(objective, start, Budget(calls=calls)) for start in starts]
    assert all(end.parameters.dtype == dtype for end in ends)
    return [end.value / least - 1 for end in ends]


def rosenbrock(x: Tensor) -> Tensor:
    """Residuals; minimum 0 at ones."""
    return 2**0.5 * torch.cat([10 * (x[1:] - x[:-1].square()), 1 - x[:-1]])


def beale(x: Tensor) -> Tensor:
    """Residuals; minimum 0 at (3, 0.5)."""
    powers = x[1] ** torch.arange(1, 4, dtype=x.dtype)
    return torch.tensor([1.5, 2.25, 2.625], dtype=x.dtype) - x[0] * (1 - powers)


def stretched_quadratic(x: Tensor) -> Tensor:
    """Residuals of a quadratic with condition number 1e6; minimum 0 at (1, 2, ...)."""
    scale = torch.logspace(0, 3, len(x), dtype=x.dtype)
    return scale * (x - torch.arange(1, len(x) + 1, dtype=x.dtype))


def best_of_a_mass(task, trials: Trials) -> tuple[Tensor, Tensor]:
    """Least losses (B,) and their commands (B, T, 2) of a point mass, by dense normal equations.

    Euler steps of ``m p'' = u - b p'``; a field that only damps, by ``-c`` a velocity, multiplies
    the velocity by ``exp(-c dt / m)`` at the end of a step. Nothing else may act.
    """
    plant, steps = task.plant, task.steps
    dt, mass = plant.dt_s, plant.mass
    a = torch.eye(4, dtype=torch.float64)
    a[:2, 2:] = dt * torch.eye(2).double()
    a[2:, 2:] *= 1 - dt * plant.damping / mass
    b = torch.zeros(4, 2, dtype=torch.float64)
    b[2:] = dt / mass * torch.eye(2).double()
    losses, best = [], []
    for trial in range(len(trials)):
        by_start, by_command = [torch.eye(4).double()], [torch.zeros(4, 2 * steps).double()]
        for t in range(steps):
            keep = torch.ones(4, 1, dtype=torch.float64)
            if trials.field is not None:
                on = 1.0 if trials.field_on is None else float(trials.field_on[trial, t])
                keep[2:] = math.exp(on * float(trials.field[trial, 0, 3]) * dt / mass)
            by_start.append(keep * (a @ by_start[-1]))
            changed = a @ by_command[-1]
            changed[:, 2 * t : 2 * t + 2] += b
            by_command.append(keep * changed)
        weights = task.cost.state_weights
        if trials.counted is not None:
            weights = weights * trials.counted[trial]
        goal = trials.goal[trial].expand(steps + 1, 4)
        free = (torch.stack(by_start) @ trials.initial_state[trial] - goal).flatten()
        moved = torch.stack(by_command).flatten(0, 1)
        weighted = moved.T * weights.flatten()
        hessian = weighted @ moved + task.cost.energy_weight * torch.eye(2 * steps).double()
        command = torch.linalg.solve(hessian, -weighted @ free)
        error = free + moved @ command
        energy = task.cost.energy_weight * command.square().sum()
        losses.append(0.5 * ((weights.flatten() * error.square()).sum() + energy))
        best.append(command.view(steps, 2))
    return torch.stack(losses), torch.stack(best)


def check_against_a_mass(task) -> None:
    """iLQR on a point mass comes to the dense solution of the same problem."""
    trials = task.trials()
    found = ILQR().solve(task, trials)
    losses, commands = best_of_a_mass(task, trials)
    torch.testing.assert_close(found.losses, losses, rtol=1e-9, atol=1e-15)
    torch.testing.assert_close(found.commands, commands, rtol=1e-6, atol=1e-8)
