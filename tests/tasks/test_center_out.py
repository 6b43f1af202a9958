"""Center-out's geometry, and the seed's figure."""

import math

import pytest
import torch

from neuromotor.control import ILQR
from neuromotor.plants import HUMAN, MONKEY, PointMass, TwoJointArm, UnreachableError
from neuromotor.tasks import CenterOut, Trials


def test_defaults_give_the_seeds_ilqr_loss():
    task = CenterOut()
    solution = ILQR().solve(task, task.trials())
    assert solution.converged
    assert float(f"{solution.value:.3g}") == 8.95e-5  # Sutskever (2013), table 6.2b


@pytest.mark.parametrize(("radius_m", "loss"), [(0.04, 1.16e-6), (0.06, 2.65e-6)])
def test_consistent_monkey_gives_the_losses_measured_before(radius_m, loss):
    task = CenterOut(plant=TwoJointArm(MONKEY), radius_m=radius_m)
    assert float(f"{ILQR().solve(task, task.trials()).value:.3g}") == loss


@pytest.mark.parametrize("plant", [TwoJointArm(), TwoJointArm(HUMAN), PointMass()])
def test_targets_lie_on_the_circle_at_rest(plant):
    task = CenterOut(plant=plant, radius_m=0.05, directions=8)
    trials = task.trials()
    center = plant.hand_position(trials.initial_state)
    offset = plant.hand_position(trials.target) - center
    torch.testing.assert_close(offset.norm(dim=-1), torch.full((8,), 0.05, dtype=torch.float64))
    angle = torch.atan2(offset[:, 1], offset[:, 0]).remainder(2 * math.pi)
    expected = torch.arange(8, dtype=torch.float64) * math.pi / 4
    difference = (angle - expected + math.pi).remainder(2 * math.pi) - math.pi
    torch.testing.assert_close(difference, torch.zeros(8, dtype=torch.float64), rtol=0, atol=1e-9)
    assert not trials.target[:, 2:].any()
    assert not trials.initial_state[:, 2:].any()


def test_cost_is_the_stated_sum():
    task = CenterOut(steps=5, directions=3, error_weight=2.0, velocity_weight=3.0)
    states = torch.rand(3, 6, 4, dtype=torch.float64)
    commands = torch.rand(3, 5, 2, dtype=torch.float64)
    target = torch.rand(3, 4, dtype=torch.float64)
    trials = Trials(states[:, 0], target)
    error = (states[:, -1] - target).square()
    expected = error[:, :2].sum(-1) + 1.5 * error[:, 2:].sum(-1)
    expected = expected + 0.5 * 1e-2 * 0.01 * commands.square().sum((1, 2))
    torch.testing.assert_close(task.cost.losses(states, commands, trials), expected)
    residuals = task.cost.residuals(states, commands, trials)
    torch.testing.assert_close(0.5 * residuals.square().sum(-1), expected)


def test_a_target_out_of_reach_is_refused_when_the_task_is_made():
    with pytest.raises(UnreachableError, match="smaller radius"):
        CenterOut(radius_m=0.2)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"radius_m": -0.1}, "radius_m"),
        ({"directions": 0}, "directions"),
        ({"steps": 0}, "steps"),
        ({"delay_steps": -1}, "delay_steps"),
        ({"energy_weight": math.nan}, "energy_weight"),
        ({"center_posture_deg": (30.0, math.inf)}, "center_posture_deg"),
    ],
)
def test_bad_numbers_are_refused_by_name(settings, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        CenterOut(**settings)
