"""A swing: the velocity at the end, against differences, a dense solution and environments."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import check_against_a_mass

from neuromotor.control import ILQR
from neuromotor.envs import MotorVectorEnv
from neuromotor.plants import HUMAN, PointMass, TwoJointArm
from neuromotor.tasks import CenterOut, Swing, with_plant

REACH = CenterOut(directions=4, steps=20, delay_steps=2)
TASK = Swing(REACH, speed_m_s=0.3, turns_deg=(-30.0, 90.0))


@pytest.mark.parametrize("plant", [TwoJointArm(), TwoJointArm(HUMAN), PointMass()])
def test_targets_move_as_they_say(plant):
    task = with_plant(TASK, plant)
    trials = task.trials()
    assert trials.condition.tolist() == list(range(8))
    q, moves = trials.target[:, :2], trials.target[:, 2:]
    h = 1e-5
    slope = (plant.hand_position(q + h * moves) - plant.hand_position(q - h * moves)) / (2 * h)
    turned = torch.deg2rad(torch.tensor([-30.0, 90.0]).double()).repeat(4)
    angle = task.reach.angles.repeat_interleave(2) + turned
    expected = 0.3 * torch.stack([angle.cos(), angle.sin()], dim=-1)
    torch.testing.assert_close(slope, expected, rtol=1e-6, atol=1e-8)
    away = plant.hand_position(trials.target) - plant.hand_position(trials.initial_state)
    torch.testing.assert_close(away.norm(dim=-1), torch.full((8,), REACH.radius_m).double())


def test_the_best_commands_are_those_of_a_dense_solution():
    check_against_a_mass(with_plant(TASK, PointMass(mass=0.7, damping=0.4)))


def test_without_speed_it_is_the_reach():
    still = Swing(REACH, speed_m_s=0.0, turns_deg=(0.0,))
    best, plain = (ILQR().solve(t, t.trials()).losses for t in (still, REACH))
    torch.testing.assert_close(best, plain, rtol=1e-9, atol=0)


def test_the_best_commands_hit_with_the_speed_and_succeed_in_an_environment():
    task = replace(TASK, reach=replace(REACH, energy_weight=1e-4))
    trials = task.trials()
    best = ILQR().solve(task, trials)
    velocity = task.plant.hand_velocity(best.states[:, -1])
    torch.testing.assert_close(
        velocity.norm(dim=-1), torch.full((8,), 0.3).double(), rtol=5e-3, atol=0
    )
    envs = MotorVectorEnv(8, task, normalized=False, command_limit=50.0, dtype="float64")
    for commands, success in ((best.commands, True), (0 * best.commands, False)):
        envs.reset(options={"trials": trials})
        for t in range(20):
            _, _, _, _, infos = envs.step(commands[:, t].numpy())
        assert infos["is_success"].tolist() == [success] * 8
    assert np.allclose(infos["hand_speed_m_s"], 0.0)  # of the hand, not to the target


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speed_m_s": -1.0}, "`speed_m_s` must be"),
        ({"speed_m_s": math.inf}, "`speed_m_s` must be"),
        ({"turns_deg": ()}, "`turns_deg` must hold at least one"),
        ({"turns_deg": (math.nan,)}, "`turns_deg` must be"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Swing(REACH, **settings)
