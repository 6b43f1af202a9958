"""Interception: where the target is, what is shown and counted, when the hand meets it."""

import math
from dataclasses import replace

import pytest
import torch
from cases import check_against_a_mass, generator

from neuromotor.control import ILQR
from neuromotor.plants import PointMass, TwoJointArm
from neuromotor.tasks import CenterOut, Interception, with_plant

REACH = CenterOut(directions=3, radius_m=0.05, steps=20, delay_steps=2)
TASK = Interception(
    REACH, speed_m_s=0.2, speed_factors=(0.0, 1.0, 2.0), change_step=8, window_steps=(14, 18)
)


@pytest.mark.parametrize("approach", [90.0, 180.0])
@pytest.mark.parametrize("plant", [TwoJointArm(), PointMass()])
def test_the_target_is_where_its_course_says(plant, approach):
    task = with_plant(replace(TASK, approach_deg=approach), plant)
    trials = task.trials()
    hand, home = plant.hand_position, plant.hand_position(trials.initial_state[0])
    dt = plant.dt_s
    for target in range(3):
        out, heading = 2 * math.pi * target / 3, 2 * math.pi * target / 3 + math.radians(approach)
        for number, factor in enumerate(task.speed_factors):
            trial = 3 * target + number
            for t in range(21):
                changed = 8 + factor * (t - 8) if t > 8 else t
                gone = 0.2 * dt * (changed - 14)
                place = [
                    0.05 * math.cos(out) + gone * math.cos(heading),
                    0.05 * math.sin(out) + gone * math.sin(heading),
                ]
                speed = 0.2 * (factor if t >= 8 else 1.0)
                wanted = trials.wanted[trial, t]
                torch.testing.assert_close(hand(wanted) - home, torch.tensor(place).double())
                velocity = torch.tensor([math.cos(heading), math.sin(heading)]).double() * speed
                torch.testing.assert_close(plant.hand_velocity(wanted), velocity)
                assert trials.counted[trial, t].tolist() == [float(14 <= t <= 18)] * 4
            assert torch.equal(trials.shown_target[trial], trials.wanted[trial, :-1])
    assert torch.equal(trials.end, trials.target)
    assert trials.disturbed
    assert not task.random


def test_the_best_commands_are_those_of_a_dense_solution():
    check_against_a_mass(with_plant(TASK, PointMass(mass=0.7, damping=0.4)))


def test_a_hand_at_constant_speed_meets_the_target_when_it_should():
    """Hand and target on one line close at .3 + .2 m/s: when they are 5 mm apart is known."""
    reach = CenterOut(plant=PointMass(), directions=1, radius_m=0.05, steps=30)
    task = Interception(
        reach, speed_m_s=0.2, approach_deg=180.0, speed_factors=(1.0,), window_steps=(1, 30)
    )
    trials = task.trials()
    time = 0.01 * torch.arange(31, dtype=torch.float64)
    gap = 0.05 + 0.2 * 0.01  # at time 0: on the circle after the first step
    states = torch.zeros(1, 31, 4, dtype=torch.float64)
    states[0, :, 0] = 0.3 * time
    exact = (gap - 0.005) / (0.3 + 0.2)
    found = float(task.meeting_time_s(trials, states))
    assert exact <= found < exact + 0.01
    assert math.isnan(float(task.meeting_time_s(trials, -states)))
    late = replace(task, window_steps=(1, 5))
    assert math.isnan(float(late.meeting_time_s(trials, states)))
    with pytest.raises(ValueError, match="`states` must be those of trials of this task"):
        task.meeting_time_s(trials, states[:, :-1])
    with pytest.raises(ValueError, match="`within_m` must be"):
        task.meeting_time_s(trials, states, within_m=0.0)


def test_the_best_commands_meet_a_target_that_changes_its_speed():
    task = replace(TASK, reach=replace(REACH, energy_weight=1e-4))
    best = ILQR().solve(task, task.trials())
    assert best.converged
    times = TASK.meeting_time_s(TASK.trials(), best.states)
    torch.testing.assert_close(times, torch.full((9,), 0.14).double())


def test_repeats_and_noise_are_those_of_the_reach():
    task = replace(TASK, reach=replace(REACH, noise=0.1, repeats=2))
    trials = task.trials(generator(1))
    assert len(trials) == 18
    assert torch.equal(trials.wanted[0], trials.wanted[1])
    assert not torch.equal(trials.command_noise[0], trials.command_noise[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speed_m_s": 0.0}, "`speed_m_s` must be"),
        ({"speed_factors": ()}, "`speed_factors` must hold at least one"),
        ({"change_step": 20}, "`change_step` must be below the 20 steps"),
        ({"window_steps": (0, 4)}, "`window_steps` must be a whole number, 1 or more"),
        ({"window_steps": (9, 8)}, "`window_steps` must be a whole number, 9 or more"),
        ({"window_steps": (9, 21)}, "`window_steps` must end by the last of the 20 steps"),
        ({"speed_m_s": 9.0}, "out of reach|must lie between"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Interception(REACH, **{"change_step": 8, "window_steps": (14, 18), **settings})
