"""States whose hand moves: against differences of hand positions, and where no joint can do it."""

import math

import pytest
import torch
from cases import PLANTS
from hypothesis import given, settings
from hypothesis import strategies as st
from limbs import SpaceMass

from neuromotor.plants import MuscleArm, PointMass, SpatialArm, TwoJointArm, moving_state

LIMBS = {**PLANTS, "muscles": MuscleArm()}


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(LIMBS)),
    angle=st.floats(0, 6.28),
    speed=st.floats(0, 3.0),
    away=st.floats(0, 0.05),
)
def test_the_hand_moves_as_asked(name, angle, speed, away):
    plant = LIMBS[name]
    home = plant.hand_position(torch.tensor(plant.home, dtype=torch.float64))
    place = home + away * torch.tensor([math.sin(angle), math.cos(angle)]).double()
    velocity = speed * torch.tensor([[math.cos(angle), math.sin(angle)]]).double()
    state = moving_state(plant, place[None], velocity)
    assert state.shape == (1, plant.state_size)
    parts = plant.state_parts
    q, moves = state[..., parts["position"]], state[..., parts["velocity"]]
    torch.testing.assert_close(plant.hand_position(q)[0], place, rtol=0, atol=1e-12)
    h = 1e-5
    slope = (plant.hand_position(q + h * moves) - plant.hand_position(q - h * moves)) / (2 * h)
    torch.testing.assert_close(slope, velocity, rtol=1e-6, atol=1e-8)
    assert not state[..., 2 * len(plant.home) :].any()


def test_a_mass_in_space_moves_too():
    state = moving_state(SpaceMass(), torch.ones(2, 3).double(), 2 * torch.ones(2, 3).double())
    torch.testing.assert_close(state[:, 3:6], 2 * torch.ones(2, 3).double())


def test_a_stretched_arm_cannot_lengthen():
    arm = TwoJointArm()
    tip = torch.tensor([[arm.hand_limits[0], 0.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match="`hand_velocity` must be one that the limb can give"):
        moving_state(arm, tip, torch.tensor([[1.0, 0.0]], dtype=torch.float64))
    place = torch.zeros(2, 2).double()
    assert torch.equal(moving_state(PointMass(), place, place), torch.zeros(2, 4).double())


def test_a_limb_with_joints_to_spare_stays_near_a_posture():
    arm = SpatialArm()
    postures = torch.tensor([arm.home, [angle + 0.2 for angle in arm.home]], dtype=torch.float64)
    for posture in postures:
        place, velocity = arm.hand_position(posture), torch.tensor([0.1, -0.2, 0.3]).double()
        state = moving_state(arm, place, velocity, posture)
        torch.testing.assert_close(state[:4], posture, rtol=0, atol=1e-6)
        jacobian = torch.func.jacrev(arm.hand_position)(state[:4])
        least = torch.linalg.lstsq(jacobian, velocity, driver="gelsd").solution
        torch.testing.assert_close(state[4:8], least, rtol=1e-6, atol=1e-9)
