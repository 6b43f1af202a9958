"""A plant with more than positions and velocities: what runs it, and what refuses it by name."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from neuromotor.analysis import record
from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQR
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.envs import MotorEnv, MotorVectorEnv, rollout
from neuromotor.plants import PointMass, degrees_of_freedom
from neuromotor.plotting import plot_reach
from neuromotor.tasks import QuadraticCost, Trials

SAID = r"`plant` must have states of positions and velocities alone for .* Muscles with 6 numbers"


class Muscles(PointMass):
    """A mass whose forces follow the commands with a lag: two activations in the state."""

    state_size = 6
    state_labels = (*PointMass().state_labels, "x activation (N)", "y activation (N)")

    def step(self, state, force, load=None, hand_force=None):
        mass, activation = state[..., :4], state[..., 4:]
        after = super().step(mass, activation, load, hand_force)
        return torch.cat([after, activation + 0.3 * (force - activation)], dim=-1)


@dataclass(frozen=True)
class Hold:
    """An own task on it."""

    plant: Muscles
    steps: int = 12
    delay_steps: int = 1
    random: bool = False

    @property
    def cost(self):
        return QuadraticCost(torch.ones(self.steps + 1, 6, dtype=torch.float64), 1e-4)

    def trials(self, generator=None, *, dtype=torch.float64, device="cpu"):
        start = torch.tensor([[0.1, 0.0, 0.0, 0.0, 0.0, 0.0]], dtype=dtype, device=device)
        return Trials(start, torch.zeros_like(start))


TASK = Hold(Muscles())
NET = ContinuousTimeRNN(layers=(5,), input_size=12)
THETA = NET.initial_parameters(torch.Generator().manual_seed(0))


def test_loops_gradients_and_ilqr_take_it():
    loop, trials = ClosedLoop(TASK, NET), TASK.trials()
    fast, slow = (loop.objective(trials, fast=fast).value_and_gradient(THETA) for fast in (1, 0))
    assert fast[0] == pytest.approx(slow[0], rel=1e-12)
    torch.testing.assert_close(fast[1], slow[1])
    solution = ILQR().solve(TASK, trials)
    assert solution.converged
    assert solution.value < float(loop.losses(0 * THETA, trials))


@pytest.mark.parametrize(
    "use",
    [
        lambda: record(TASK, NET, THETA),
        lambda: MotorEnv(TASK, command_limit=1.0),
        lambda: MotorVectorEnv(2, TASK, command_limit=1.0),
        lambda: rollout(lambda o: o[:, :2], TASK, TASK.trials(), command_limit=1.0),
        lambda: plot_reach(_Comparison()),
        lambda: degrees_of_freedom(TASK.plant, "anything"),
    ],
)
def test_what_would_halve_its_state_refuses_it_by_name(use):
    with pytest.raises(ValueError, match=SAID):
        use()


class _Comparison:
    task, trials = TASK, TASK.trials()


def test_plants_of_positions_and_velocities_have_their_degrees_of_freedom():
    assert degrees_of_freedom(PointMass(), "anything") == 2
