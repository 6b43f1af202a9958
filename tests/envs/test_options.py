"""What can be chosen about an environment, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from neuromotor import CenterOut
from neuromotor.envs import MotorEnv, MotorVectorEnv
from neuromotor.plants import HUMAN, TwoJointArm


def test_rewards_other_than_the_loss():
    task = CenterOut(steps=5)
    dense = MotorEnv(task, reward="dense")
    dense.reset(seed=0)
    total = 0.0
    for _ in range(5):
        _, reward, _, _, info = dense.step(np.zeros(2))
        total += reward
    error = 0.04463 / 0.01  # the arm stays at the centre: at rest, 4.463 cm off
    assert total == pytest.approx(-error - 0.5 * error, rel=1e-9)
    assert info["loss"] > 0
    assert info["target_error_m"] == pytest.approx(0.04463)
    envs = MotorVectorEnv(2, task, reward="dense")
    envs.reset(seed=0)
    total = sum(envs.step(np.zeros((2, 2)))[1] for _ in range(5))
    np.testing.assert_allclose(total, -1.5 * error, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"observe": ("sight",)}, ValueError, "unknown part of `observe` 'sight'"),
        ({"observe": ()}, ValueError, "`observe` must name"),
        ({"reward": "gold"}, ValueError, "`reward` must be one of loss"),
        ({"reward": "sparse"}, ValueError, "`reward` must be loss, shaped or dense without `goal`"),
        ({"goal": True, "reward": "loss"}, ValueError, "`reward` must be sparse or dense with"),
        ({"goal": True, "observe": ("target",)}, ValueError, "must name a part that does not tell"),
        ({"goal": 1}, TypeError, "`goal` must be True or False"),
        ({"command_limit": -1.0}, ValueError, "`command_limit` must be a positive"),
        ({"horizon": "never"}, ValueError, "`horizon` must be one of"),
        ({"dtype": "float16"}, ValueError, "`dtype` must be one of"),
        ({"success_error_m": 0.0}, ValueError, "`success_error_m` must be"),
        ({"render_mode": "ascii"}, ValueError, "`render_mode` must be None, rgb_array"),
        ({"torque": 1.0}, TypeError, "unexpected keyword argument 'torque'"),
        ({"task": "centre-out"}, ValueError, "did you mean 'center-out'"),
        ({"task": {"radius": 0.1}}, ValueError, "unknown setting `task.radius`"),
        ({"task": 3}, TypeError, "`task` must be a task"),
    ],
)
@pytest.mark.parametrize("kind", [MotorEnv, MotorVectorEnv])
def test_bad_settings_are_refused(kind, options, error, message):
    with pytest.raises(error, match=message):
        kind(**options)


def test_a_plant_of_ones_own_needs_a_limit():
    plant = TwoJointArm(replace(HUMAN, mass_1=2.0))
    with pytest.raises(ValueError, match="`command_limit` must be given"):
        MotorEnv(CenterOut(plant=plant))
    assert MotorEnv(CenterOut(plant=plant), command_limit=3).options.limits.high == (3.0, 3.0)
