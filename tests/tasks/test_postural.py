"""The postural task's loads, postures and cost."""

import math

import pytest
import torch
from cases import generator, normal

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.plants import HUMAN, MONKEY, PointMass, TwoJointArm, UnreachableError
from neuromotor.tasks import Postural, Trials


def test_seventy_two_trials_of_one_second_with_a_tenth_of_a_second_delay():
    task = Postural()
    trials = task.trials()
    assert len(trials) == 72
    assert trials.hand_force.shape == (72, 100, 2)
    assert task.delay_steps * task.plant.dt_s == pytest.approx(0.1)
    assert trials.load is None
    assert torch.equal(trials.initial_state, trials.target)
    assert len(trials.initial_state.unique(dim=0)) == 9


@pytest.mark.parametrize(
    ("plant", "force", "torque"),
    [
        (TwoJointArm(), 0.7, 0.2),
        (TwoJointArm(MONKEY), 0.07, 0.02),
        (TwoJointArm(HUMAN), 0.7, 0.2),
        (PointMass(), 0.7, 0.2),
    ],
)
def test_loads_suit_the_plant_and_point_everywhere(plant, force, torque):
    for kind, part, size in (("hand", "hand_force", force), ("joint", "load", torque)):
        loads = getattr(Postural(plant=plant, loads=kind).trials(), part)
        sizes = loads.norm(dim=-1)
        torch.testing.assert_close(sizes, torch.full_like(sizes, size))
        first = loads[:8, 0]
        angle = torch.atan2(first[:, 1], first[:, 0]).remainder(2 * math.pi)
        expected = torch.arange(8, dtype=torch.float64) * math.pi / 4
        torch.testing.assert_close(angle, expected)
        assert torch.equal(loads[:8], loads[8:16])  # the same loads at every posture
    given = Postural(plant=plant, load_size=0.5).trials().hand_force
    assert float(given.norm(dim=-1).max()) == pytest.approx(0.5)


def test_the_hand_force_is_a_fifth_of_a_newton_metre_at_the_joints():
    task = Postural()
    trials = task.trials()
    torque = task.plant.joint_torque(trials.initial_state, trials.hand_force[:, 0]).norm(dim=-1)
    assert float(torque.mean()) == pytest.approx(0.2, rel=0.05)


def test_onset_postures_and_directions_can_be_chosen():
    task = Postural(onset_step=20, postures_deg=((30.0, 90.0), (45.0, 60.0)), directions=3)
    trials = task.trials()
    assert len(trials) == 6
    assert not trials.hand_force[:, :20].any()
    assert (trials.hand_force[:, 20:].norm(dim=-1) > 0.69).all()
    expected = torch.deg2rad(torch.tensor([45.0, 60.0], dtype=torch.float64))
    torch.testing.assert_close(trials.target[3, :2], expected)


def test_random_trials_lie_within_the_grid_and_repeat_with_their_generator():
    task = Postural(draws=4000)
    assert task.random
    trials = task.trials(generator(3))
    hand = task.plant.hand_position(trials.initial_state)
    grid = task.plant.hand_position(Postural().trials().initial_state)
    low, high = hand.min(0).values, hand.max(0).values
    torch.testing.assert_close(low, grid.min(0).values, rtol=0, atol=1e-3)
    torch.testing.assert_close(high, grid.max(0).values, rtol=0, atol=1e-3)
    force = trials.hand_force[:, -1]
    torch.testing.assert_close(force.norm(dim=-1), torch.full((4000,), 0.7).double())
    assert force.mean(0).abs().max() < 4 * 0.7 / math.sqrt(2 * 4000)
    assert torch.equal(task.trials(generator(3)).hand_force, trials.hand_force)
    assert not torch.equal(task.trials(generator(4)).hand_force, trials.hand_force)
    given = Postural(draws=50, postures_deg=((30.0, 90.0), (45.0, 60.0))).trials()
    assert len(given.initial_state.unique(dim=0)) == 2


def test_cost_is_the_stated_sum():
    task = Postural(steps=6, delay_steps=2, directions=1, postures_deg=((30.0, 90.0),))
    states, commands, target = normal(1, 7, 4), normal(1, 6, 2, seed=1), normal(1, 4, seed=2)
    expected = 0.0
    for t in range(1, 7):
        expected += 0.5 * float((states[0, t, :2] - target[0, :2]).square().sum())
        if t > 3:
            expected += 0.5 * float((states[0, t, 2:] - target[0, 2:]).square().sum())
    expected += 0.5 * 1e-8 * float(commands.square().sum())
    losses = task.cost.losses(states, commands, Trials(states[:, 0], target))
    assert float(losses) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loads", ["hand", "joint"])
def test_both_paths_agree_on_the_task(loads):
    task = Postural(loads=loads, postures_deg=((30.0, 90.0), (50.0, 70.0)), directions=2)
    net = ContinuousTimeRNN(layers=(6, 5))
    theta = 0.3 * net.initial_parameters(generator(1))
    loop, trials, direction = ClosedLoop(task, net), task.trials(), normal(net.parameter_count)
    slow, fast = (loop.objective(trials, fast=fast) for fast in (False, True))
    value, gradient = slow.value_and_gradient(theta)
    got, fast_gradient = fast.value_and_gradient(theta)
    assert got == pytest.approx(value, rel=1e-10)
    assert (fast_gradient - gradient).norm() < 1e-10 * gradient.norm()
    product = slow.linearize(theta).product(direction)
    assert (fast.linearize(theta).product(direction) - product).norm() < 1e-10 * product.norm()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loads": "foot"}, "unknown loads 'foot'"),
        ({"load_size": -1.0}, "`load_size` must be"),
        ({"onset_step": 100}, "`onset_step` must be below the 100 steps"),
        ({"postures_deg": ()}, "`postures_deg` must name at least one"),
        ({"directions": 0}, "`directions` must be"),
        ({"velocity_weight": math.nan}, "`velocity_weight` must be"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        Postural(**settings)


def test_a_posture_out_of_reach_is_refused_when_the_task_is_made():
    with pytest.raises(UnreachableError):
        Postural(grid_spacing_m=0.3)
