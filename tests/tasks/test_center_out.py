"""Center-out's geometry, and the seed's figure."""

import math
from dataclasses import replace

import pytest
import torch

from neuromotor.control import ILQR
from neuromotor.plants import (
    HUMAN,
    MONKEY,
    PointMass,
    SpatialArm,
    TwoJointArm,
    UnreachableError,
)
from neuromotor.tasks import TASKS, CenterOut, InstructedDelay, TargetJump, Trials


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


# ---- on a sphere ----


def directions_of(task):
    trials, hand = task.trials(), task.plant.hand_position
    return (hand(trials.target) - hand(trials.initial_state)) / task.radius_m


@pytest.mark.parametrize("count", [8, 32, 100])
def test_targets_are_evenly_spread_over_the_sphere(count):
    task = CenterOut(plant=SpatialArm(), directions=count, radius_m=0.1, targets="sphere")
    directions = directions_of(task)
    assert directions.shape == (count, 3)
    ones = torch.ones(count, dtype=torch.float64)
    torch.testing.assert_close(directions.norm(dim=-1), ones)
    assert directions.mean(0).norm() < 1 / count
    moments = directions.T @ directions / count
    torch.testing.assert_close(moments, torch.eye(3, dtype=torch.float64) / 3, rtol=0, atol=0.06)
    cosine = (directions @ directions.T).fill_diagonal_(-1.0)
    nearest = torch.rad2deg(torch.acos(cosine.max(dim=1).values))
    # no more than so many caps of this radius fit on a sphere: their areas add up to 0.9069 of it
    packed = math.degrees(2 * math.acos(1 - 2 * 0.9069 / count))
    assert 0.7 * packed < float(nearest.min()) <= float(nearest.max()) < packed
    assert not task.trials().target[:, 4:].any()


def test_targets_on_a_sphere_change_the_posture_least():
    """From whatever posture the reach starts."""
    arm, start = SpatialArm(), (20.0, -30.0, 40.0, 70.0)
    task = CenterOut(
        plant=arm, directions=6, radius_m=0.05, center_posture_deg=start, targets="sphere"
    )
    trials = task.trials()
    assert trials.initial_state[0, :4].rad2deg().tolist() == pytest.approx(list(start))
    change = (trials.target - trials.initial_state)[:, :4]
    from_home = arm.configuration_at(arm.hand_position(trials.target))
    other = from_home - trials.initial_state[:, :4]
    assert bool((change.norm(dim=-1) < other.norm(dim=-1)).all())


def test_a_sphere_needs_a_hand_in_space_and_directions_are_no_angles():
    with pytest.raises(ValueError, match=r"hand does not move in space, got .* TwoJointArm"):
        CenterOut(targets="sphere")
    with pytest.raises(ValueError, match="`targets` must be circle or sphere, got 'cube'"):
        CenterOut(targets="cube")
    with pytest.raises(ValueError, match="must be circle where a direction is an angle"):
        TargetJump(TASKS["spatial-reach"])
    circle = CenterOut(plant=SpatialArm(), directions=4, radius_m=0.1)
    wanted = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], dtype=torch.float64)
    torch.testing.assert_close(directions_of(circle), wanted, rtol=0, atol=1e-9)
    waiting = InstructedDelay(reach=replace(TASKS["spatial-reach"], steps=150, directions=3))
    assert waiting.trials().target.shape == (24, 8)


def test_ilqr_starts_from_a_held_arm_and_ends_at_the_targets():
    task = replace(TASKS["spatial-reach"], directions=3, steps=30)
    trials = task.trials()
    best = ILQR().solve(task, trials)
    assert best.converged
    end, goal = (task.plant.hand_position(x) for x in (best.states[:, -1], trials.target))
    assert float((end - goal).norm(dim=-1).max()) < 0.01
    held = (trials.initial_state - trials.target).square().sum(-1) / 2
    assert best.history[0] == pytest.approx(float(held.mean()), rel=1e-6)  # nothing moved
    raw = replace(task, plant=SpatialArm(tonic=False))
    start = ILQR(iterations=1).solve(raw, trials).history[0]
    assert start > best.history[0]  # the same rest, for which the holding torques are paid
    assert start < 10
