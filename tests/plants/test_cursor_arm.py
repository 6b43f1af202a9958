"""An arm behind a cursor: lags against their closed form, mechanics against the arm, the screen."""

import math
from dataclasses import replace

import pytest
import torch
from cases import arm_states, normal

from neuromotor.closed_loop.dynamics import linearize_plant
from neuromotor.plants import RK4, CursorArm, TwoJointArm, signals_of
from neuromotor.plants.plant import components_of
from neuromotor.tasks import Trials

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


TURNED = CursorArm(rotation_deg=30.0, gain=1.3)
COUNT = 20


def any_states():
    return torch.cat([arm_states(COUNT), normal(COUNT, 8, seed=3)], dim=-1)


@pytest.mark.parametrize("plant", [PLANT, TURNED])
def test_components_are_the_step_and_the_jacobian_is_autograds(plant):
    states, command = any_states(), normal(COUNT, 2, seed=4)
    load, force = normal(COUNT, 2, seed=5), normal(COUNT, 2, seed=6)
    form = components_of(plant)
    x, u, acting = states.unbind(-1), command.unbind(-1), (load.unbind(-1), force.unbind(-1))
    close = {"rtol": 1e-11, "atol": 1e-12}
    found = torch.stack(form.step(x, u, *acting), dim=-1)
    torch.testing.assert_close(found, plant.step(states, command, load, force), **close)
    one = form.step(states[0].tolist(), command[0].tolist(), load[0].tolist(), force[0].tolist())
    assert all(type(number) is float for number in one)
    torch.testing.assert_close(torch.tensor(one, dtype=torch.float64), found[0], **close)
    trials = Trials(states, states, load=load[:, None], hand_force=force[:, None])
    wanted = linearize_plant(plant, trials, states[:, None], command[:, None])[:, 0]
    rows = form.functions.jacobian(form.numbers, x, u, *acting)
    found = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    torch.testing.assert_close(found, wanted, **close)
    there = torch.cat([plant.hand_position(states), plant.hand_velocity(states)], dim=-1)
    torch.testing.assert_close(torch.stack(form.hand(x), dim=-1), there, **close)


@pytest.mark.parametrize("plant", [PLANT, TURNED])
def test_the_cursor_on_components_and_its_slopes_are_the_plants(plant):
    states, form = any_states(), components_of(plant)
    x = states.unbind(-1)
    found = torch.stack(form.functions.signals(form.numbers, x), dim=-1)
    torch.testing.assert_close(found, plant.cursor(states), rtol=1e-12, atol=1e-13)
    rows = form.functions.signal_slopes(form.numbers, x)
    slopes = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    wanted = torch.func.vmap(torch.func.jacrev(plant.cursor))(states)
    torch.testing.assert_close(slopes, wanted, rtol=1e-11, atol=1e-12)


def test_arms_whose_torques_are_limited_or_solved_otherwise_have_no_components():
    for arm in (TwoJointArm(command_limit=1.0), TwoJointArm(integrator=RK4())):
        assert components_of(CursorArm(arm)) is None
