"""Tracking: paths by their equations, velocities by differences, the best by a dense solve."""

import math
from dataclasses import replace

import pytest
import torch
from cases import check_against_a_mass

from neuromotor.control import ILQR
from neuromotor.plants import PointMass, TwoJointArm
from neuromotor.tasks import TASKS, CenterOut, Tracking, with_plant

REACH = CenterOut(directions=3, radius_m=0.05, steps=30, delay_steps=2)
SHORT = {"hold_steps": 5, "move_steps": 20}


def around(task, trials):
    """Places of the targets along and across their directions, from the centre (m)."""
    hand = task.plant.hand_position
    away = hand(trials.wanted) - hand(trials.initial_state)[:, None]
    angle = torch.arange(3, dtype=torch.float64)[:, None] * 2 * math.pi / 3
    along = away[..., 0] * angle.cos() + away[..., 1] * angle.sin()
    return along, away[..., 1] * angle.cos() - away[..., 0] * angle.sin()


@pytest.mark.parametrize("plant", [TwoJointArm(), PointMass()])
def test_radial_targets_move_at_constant_speed(plant):
    task = with_plant(Tracking(REACH, **SHORT), plant)
    trials = task.trials()
    along, across = around(task, trials)
    expected = 0.05 * ((torch.arange(31).double() - 5) / 20).clamp(0, 1)
    torch.testing.assert_close(along, expected.expand(3, -1), rtol=0, atol=1e-12)
    assert across.abs().max() < 1e-12
    speed = plant.hand_velocity(trials.wanted).norm(dim=-1)
    moves = (torch.arange(31) >= 5) & (torch.arange(31) < 25)
    torch.testing.assert_close(speed, (0.25 * moves).expand(3, -1).double())
    assert task.mean_speed_m_s == pytest.approx(0.25)
    assert torch.equal(trials.shown_target, trials.wanted[:, :-1])
    torch.testing.assert_close(trials.wanted[:, 0], trials.initial_state)
    assert trials.counted is None


@pytest.mark.parametrize("plant", [TwoJointArm(), PointMass()])
def test_a_figure_eight_fulfils_its_equation_and_its_velocity_is_its_slope(plant):
    task = with_plant(Tracking(replace(REACH, steps=210), path="eight", hold_steps=5), plant)
    task = replace(task, move_steps=200)
    trials = task.trials()
    along, across = around(task, trials)
    torch.testing.assert_close(across**2, along**2 * (1 - (along / 0.05) ** 2), rtol=0, atol=1e-12)
    assert float(along.max()) == pytest.approx(0.05)
    assert float(along.min()) == pytest.approx(-0.05)
    assert int((along[:, 6:205].sign().diff(dim=1) != 0).any(0).sum()) <= 2  # the crossing
    place = plant.hand_position(trials.wanted)
    slope = (place[:, 2:] - place[:, :-2]) / 0.02
    velocity = plant.hand_velocity(trials.wanted)[:, 1:-1]
    torch.testing.assert_close(slope[:, 6:202], velocity[:, 6:202], rtol=0, atol=5e-4)
    path = (place[0, 1:] - place[0, :-1]).norm(dim=-1).sum()
    assert task.mean_speed_m_s == pytest.approx(float(path) / 2.0, rel=1e-3)


@pytest.mark.parametrize("path", ["radial", "eight"])
def test_the_best_commands_are_those_of_a_dense_solution(path):
    task = Tracking(REACH, path=path, **SHORT)
    check_against_a_mass(with_plant(task, PointMass(mass=0.7, damping=0.4)))


def test_the_best_commands_stay_with_the_target_and_errors_are_measured():
    task = Tracking(REACH, **SHORT)
    trials = task.trials()
    best = ILQR().solve(task, trials)
    assert task.tracking_error_m(trials, best.states).max() < 1e-3
    shifted = trials.wanted.clone()
    mass = with_plant(task, PointMass())
    placed = mass.trials()
    shifted = placed.wanted + torch.tensor([0.003, 0.004, 0.0, 0.0]).double()
    error = mass.tracking_error_m(placed, shifted)
    torch.testing.assert_close(error, torch.full((3,), 0.005).double())
    with pytest.raises(ValueError, match="`states` must be those of trials of this task"):
        task.tracking_error_m(trials, best.states[:, 1:])


def test_the_presets_are_those_of_the_docs():
    radial, eight = TASKS["tracking"], TASKS["figure-eight"]
    assert (radial.reach.directions, radial.reach.radius_m) == (15, 0.05)  # Kalidindi et al. 2021
    assert (eight.path, eight.steps) == ("eight", 230)
    assert radial.cost.state_weights[:, 2:].sum() == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "square"}, "unknown path 'square'"),
        ({"hold_steps": -1}, "`hold_steps` must be"),
        ({"move_steps": 0}, "`move_steps` must be"),
        ({"move_steps": 26}, "`reach.steps` must be 31 or more"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Tracking(REACH, **{**SHORT, **settings})
