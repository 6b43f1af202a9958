"""An arm behind a cursor: lags against their closed form, mechanics against the arm, the screen."""

import math
from dataclasses import replace

import pytest
import torch

from neuromotor.plants import CursorArm, signals_of

PLANT = CursorArm()


def rest():
    return PLANT.rest_state(torch.tensor(PLANT.home, dtype=torch.float64))


def test_torque_follows_a_step_of_command_as_two_equal_lags():
    # z-transform of two first-order lags with share s: 1 - (1 - s)^k (1 + k s / (1 - s)) after k
    state, share = rest(), PLANT.dt_s / PLANT.lag_s
    command = torch.tensor([0.5, -0.2], dtype=torch.float64)
    for k in range(1, 30):
        state = PLANT.step(state, command)
        answer = 1 - (1 - share) ** k * (1 + k * share / (1 - share))
        torch.testing.assert_close(state[4:6], command * answer)


def test_arm_moves_by_the_torque_before_the_step():
    state = rest()
    state[2:4] = torch.tensor([1.0, -2.0])
    state[4:6] = torch.tensor([0.7, 0.3])
    load = torch.tensor([0.1, 0.2], dtype=torch.float64)
    after = PLANT.step(state, torch.zeros(2, dtype=torch.float64), load)
    torch.testing.assert_close(after[:4], PLANT.arm.step(state[:4], state[4:6], load))
    torch.testing.assert_close(after[8:], state[8:])


def test_screen_turns_scales_and_moves_the_hand_about_home():
    plant = replace(PLANT, rotation_deg=90.0, gain=2.0)
    home = plant.hand_position(rest())
    there = home + torch.tensor([0.05, 0.02], dtype=torch.float64)
    state = plant.rest_state(plant.configuration_at(there))
    state[10:12] = torch.tensor([0.01, 0.0])
    expected = home + torch.tensor([2 * -0.02 + 0.01, 2 * 0.05], dtype=torch.float64)
    torch.testing.assert_close(plant.cursor(state), expected)
    torch.testing.assert_close(signals_of(plant)["cursor_position"].of(state), expected)


def test_state_at_rest_has_its_target_under_the_cursor_and_can_aim_elsewhere():
    state = rest()
    torch.testing.assert_close(state[8:10], PLANT.cursor(state))
    aimed = PLANT.aiming(state, torch.tensor([[0.1, 0.4], [0.2, 0.3]], dtype=torch.float64))
    torch.testing.assert_close(aimed[:, 8:10], aimed.new_tensor([[0.1, 0.4], [0.2, 0.3]]))
    torch.testing.assert_close(aimed[0, :8], state[:8])


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"`lag_s` must be 0\.01 s"):
        CursorArm(lag_s=0.005)
    with pytest.raises(ValueError, match="`gain`"):
        CursorArm(gain=0.0)
    with pytest.raises(ValueError, match="12 entries"):
        PLANT.cursor(torch.zeros(4))
    assert math.isclose(PLANT.dt_s, PLANT.arm.dt_s)
