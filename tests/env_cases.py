"""A task with everything that trials can have, and trials played by hand."""

from dataclasses import dataclass, replace

import torch
from cases import noisy, normal, timed

from neuromotor import CenterOut, PointMass
from neuromotor.closed_loop import advance
from neuromotor.plants import HUMAN, HUMAN_VISCOSITY, RK4, JointLimits, TwoJointArm
from neuromotor.tasks import QuadraticCost


@dataclass(frozen=True)
class Messy:
    """A task with everything: delay, loads, all noise, running costs from the first state on."""

    plant: object = TwoJointArm()
    steps: int = 12
    delay_steps: int = 3
    timed: bool = False

    @property
    def cost(self):
        weights = torch.arange(4.0 * (self.steps + 1), dtype=torch.float64).reshape(-1, 4) / 10
        return QuadraticCost(weights, 0.03)

    def trials(self, generator=None, *, dtype=torch.float64, device="cpu"):
        calm = CenterOut(plant=self.plant, directions=5).trials()
        seed = int(torch.randint(2**31, (1,), generator=generator))
        trials = messed(noisy(calm, self.steps, seed=seed), self.steps, seed)
        if self.timed:
            trials = timed(trials, self.steps, seed=seed)
        return trials.to(dtype=dtype, device=device)


def messed(trials, steps, seed):
    """With a force field and a target that moves."""
    batch = len(trials)
    shown = trials.target[:, None] + 0.1 * normal(batch, steps, 4, seed=seed + 1)
    return replace(trials, field=0.5 * normal(batch, 2, 5, seed=seed), shown_target=shown)


PLANTS = {
    "arm": TwoJointArm(),
    "viscous": TwoJointArm(HUMAN, viscosity=HUMAN_VISCOSITY),
    "limited": TwoJointArm(limits=JointLimits()),
    "rk4": TwoJointArm(integrator=RK4()),
    "point-mass": PointMass(damping=0.3),
}


EXACT = {"dtype": "float64", "normalized": False}


def play(env, trials, commands):
    """Rewards, observations and last info of one trial."""
    observation, info = env.reset(options={"trials": trials})
    rewards, seen = [], [observation]
    for t, command in enumerate(commands):
        observation, reward, terminated, truncated, info = env.step(command)
        assert (terminated, truncated) == (t + 1 == env.options.task.steps, False)
        rewards.append(reward)
        seen.append(observation)
    return rewards, seen, info


def rolled(task, trials, commands):
    """States by the closed loop's own step, (B, T + 1, n)."""
    states = [trials.initial_state]
    for t in range(task.steps):
        states.append(advance(task.plant, states[-1], commands[:, t], trials, t))
    return torch.stack(states, dim=1)


MESSY = {**{name: Messy(plant) for name, plant in PLANTS.items()}, "timed": Messy(timed=True)}
