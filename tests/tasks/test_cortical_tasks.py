"""`PostureLoads` and `ReachHold`: published losses, loads, targets, and the network's inputs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from cases import generator, normal

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import CONTROLLERS
from neuromotor.tasks import PostureLoads, ReachHold, SensesInUse
from neuromotor.tasks.task import input_size


def network(task, units=6):
    preset = CONTROLLERS["kalidindi-2021"]
    return replace(
        preset,
        layers=(units, units),
        input_size=input_size(task, task.trials()),
        command_size=task.plant.command_size,
        private_noise=0.0,
    )


def losses_of_training(task, seed=3):
    """The loss of each trial with all penalties, and what it was computed from, time first."""
    net = network(task)
    theta = net.initial_parameters(generator(seed)) + 0.3 * normal(net.parameter_count, seed=seed)
    trials, loop = task.trials(generator(1)), ClosedLoop(task, net)
    run = loop.simulate(theta, trials)
    whole = loop.losses(theta, trials) + sum(loop.penalties(theta, trials).values())
    rates = [part.transpose(0, 1) for part in run.memory]
    return whole, run.states.transpose(0, 1), rates, trials, loop.penalties(theta, trials)


def squares(values):
    """Sum over time and numbers of the squares, (B,)."""
    return values.square().sum((0, 2))


def test_the_posture_task_has_the_published_loss():
    """Their code: terms of both joints are added and doubled; muscles and rates are in both."""
    task = PostureLoads()
    whole, states, rates, trials, penalties = losses_of_training(task)
    error = states[..., :2] - trials.target[:, :2]
    velocity, activity = states[..., 2:4], states[1:, :, 4:]
    wanted = 0.5 / 100 * (squares(error[:100]) + squares(error[200:]))
    wanted += 0.25 / 100 * (squares(velocity[:100]) + squares(velocity[200:]))
    twice = 1e-2 / 100 * squares(activity[:100]) + 1e-5 / 100 * squares(activity[100:200])
    twice += 1e-5 / 300 * sum(squares(h) for h in rates)
    own = whole - penalties["weights"]
    torch.testing.assert_close(own, 2 * (wanted + 2 * twice), rtol=1e-10, atol=0)


def test_the_reach_task_has_the_published_loss():
    task = ReachHold(directions=3)
    whole, states, rates, trials, penalties = losses_of_training(task)
    error = states[..., :2] - trials.target[:, :2]
    velocity, activity = states[..., 2:4], states[1:, :, 4:]
    wanted = 0.5 / 50 * (squares(error[100:]) + squares(velocity[100:]))
    wanted += 0.5 / 50 * squares(velocity[:50])
    twice = 1e-2 / 150 * squares(activity[:50]) + 1e-4 / 150 * squares(activity[50:])
    twice += 1e-5 / 150 * sum(squares(h) for h in rates)
    own = whole - penalties["weights"]
    torch.testing.assert_close(own, 2 * (wanted + 2 * twice), rtol=1e-10, atol=0)


def test_loads_are_radial_in_the_plane_of_torques_and_the_last_trial_has_none():
    task = PostureLoads()
    trials = task.trials()
    assert trials.initial_state[0, :2].tolist() == pytest.approx([0.4368, 1.4464])
    assert float(trials.load[:, :100].abs().max()) == 0.0
    after = trials.load[:, 100:]
    torch.testing.assert_close(after, after[:, :1].expand_as(after))
    angle = torch.atan2(after[:8, 0, 1], after[:8, 0, 0]) % (2 * math.pi)
    assert torch.rad2deg(angle).tolist() == pytest.approx([45.0 * i for i in range(8)])
    assert after[:8, 0].norm(dim=-1).tolist() == pytest.approx([0.2] * 8)
    assert float(after[8].abs().max()) == 0.0


def test_targets_lie_on_both_circles_and_are_shown_after_the_hold():
    task = ReachHold(directions=4)
    trials = task.trials()
    hand = task.plant.hand_position
    home = hand(trials.initial_state[0])
    away = hand(trials.target) - home
    assert away.norm(dim=-1).tolist() == pytest.approx([0.05] * 4 + [0.02] * 4 + [0.0], abs=1e-9)
    unit = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]], dtype=torch.float64)
    torch.testing.assert_close(away[:4], 0.05 * unit, rtol=0, atol=1e-9)
    at_home = trials.initial_state[:, None].expand(-1, 50, -1)
    torch.testing.assert_close(trials.shown_target[:, :50], at_home)
    at_target = trials.target[:, None].expand(-1, 100, -1)
    torch.testing.assert_close(trials.shown_target[:, 50:], at_target)


@pytest.mark.parametrize("task", [PostureLoads(), ReachHold()])
def test_the_network_is_given_the_twelve_published_inputs(task):
    senses = SensesInUse.of(task)
    assert len(senses.labels) + len(senses.target_labels) == 12
    assert {one.delay for one in senses.channels} == {5}
    assert {one.delay for one in SensesInUse.of(replace(task, delay_steps=10)).channels} == {10}
    state = task.trials().initial_state + 0.1 * torch.arange(10, dtype=torch.float64)
    draws = {"signal_noise": None, "sensory_noise": None}
    seen = senses.sensed(lambda steps: state, draws.__getitem__)[0]
    published = [2 * 0.0, 2 * 0.1, 0.5 * 0.2, 0.5 * 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert seen.tolist() == pytest.approx(published, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: PostureLoads(onset_step=250), "return_step"),
        (lambda: PostureLoads(steps=200), "steps"),
        (lambda: PostureLoads(load_nm=-1.0), "load_nm"),
        (lambda: ReachHold(steps=100), "steps"),
        (lambda: ReachHold(radii_m=()), "radii_m"),
        (lambda: ReachHold(radii_m=(0.9,)), "smaller radius"),
    ],
)
def test_what_cannot_be_is_refused(make, word):
    with pytest.raises(ValueError, match=word):
        make()
