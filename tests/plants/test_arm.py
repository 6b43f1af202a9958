"""The arm against MuJoCo, finite differences and mechanics' own identities."""

import mujoco
import numpy as np
import pytest
import torch
from cases import ARMS, arm_states, normal, uniform

from neuromotor.plants import (
    HUMAN,
    HUMAN_VISCOSITY,
    MONKEY_PUBLISHED,
    JointLimits,
    TwoJointArm,
    UnreachableError,
)


def mujoco_model(p):
    """The same arm, built by somebody else's code."""
    return mujoco.MjModel.from_xml_string(
        f"""
        <mujoco>
          <option gravity="0 0 0"/>
          <worldbody>
            <body name="upper arm">
              <joint type="hinge" axis="0 0 1"/>
              <inertial pos="{p.center_1} 0 0" mass="{p.mass_1}"
                        diaginertia="{p.inertia_1} {p.inertia_1} {p.inertia_1}"/>
              <body name="forearm" pos="{p.length_1} 0 0">
                <joint type="hinge" axis="0 0 1"/>
                <inertial pos="{p.center_2} 0 0" mass="{p.mass_2}"
                          diaginertia="{p.inertia_2} {p.inertia_2} {p.inertia_2}"/>
                <site name="hand" pos="{p.length_2} 0 0"/>
              </body>
            </body>
          </worldbody>
        </mujoco>
        """
    )


@pytest.mark.parametrize("name", ARMS)
def test_acceleration_and_hand_agree_with_mujoco(name):
    arm = ARMS[name]
    model = mujoco_model(arm.parameters)
    data = mujoco.MjData(model)
    body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, "forearm")
    count = 1000
    states, scale = arm_states(count), float(arm.inertia_matrix(torch.zeros(2)).max())
    torques = 20 * scale * normal(count, 2, seed=2)
    loads = 20 * scale * normal(count, 2, seed=3)
    forces = 50 * scale * normal(count, 2, seed=4)
    expected, positions, velocities = [], [], []
    for state, torque, load, force in zip(states, torques, loads, forces, strict=True):
        data.qpos[:], data.qvel[:] = state[:2], state[2:]
        mujoco.mj_forward(model, data)
        hand = data.site("hand").xpos.copy()
        applied = np.zeros(2)
        mujoco.mj_applyFT(model, data, [*force.tolist(), 0], np.zeros(3), hand, body, applied)
        data.qfrc_applied[:] = applied + torque.numpy() + load.numpy()
        mujoco.mj_forward(model, data)
        expected.append(data.qacc.copy())
        positions.append(hand[:2])
        jacobian = np.zeros((3, 2))
        mujoco.mj_jacSite(model, data, jacobian, None, 0)
        velocities.append((jacobian @ data.qvel)[:2])
    expected = torch.tensor(np.array(expected))
    assert expected.abs().max() > 10  # the comparison is about real movements
    acceleration = arm.acceleration(states, torques, loads, forces)
    torch.testing.assert_close(acceleration, expected, rtol=0, atol=1e-8)
    torch.testing.assert_close(
        arm.hand_position(states), torch.tensor(np.array(positions)), rtol=0, atol=1e-12
    )
    torch.testing.assert_close(
        arm.hand_velocity(states), torch.tensor(np.array(velocities)), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("name", ARMS)
def test_inertia_matrix_is_positive_definite_at_every_elbow_angle(name):
    elbow = torch.linspace(-torch.pi, torch.pi, 721, dtype=torch.float64)
    matrix = ARMS[name].inertia_matrix(torch.stack([torch.zeros_like(elbow), elbow], dim=-1))
    assert torch.linalg.eigvalsh(matrix).min() > 0


def test_kinetic_energy_is_that_of_the_moving_segments():
    arm, p = ARMS["human"], HUMAN
    states = arm_states(50)
    q, rate = states[:, :2], states[:, 2:]

    def center(link, angles):
        if link == 1:
            return p.center_1 * torch.stack([angles[0].cos(), angles[0].sin()])
        elbow = p.length_1 * torch.stack([angles[0].cos(), angles[0].sin()])
        forearm = angles.sum()
        return elbow + p.center_2 * torch.stack([forearm.cos(), forearm.sin()])

    expected = []
    for angles, speed in zip(q, rate, strict=True):
        total = 0.5 * p.inertia_1 * speed[0] ** 2 + 0.5 * p.inertia_2 * speed.sum() ** 2
        for link, mass in ((1, p.mass_1), (2, p.mass_2)):
            velocity = torch.autograd.functional.jvp(lambda a, k=link: center(k, a), angles, speed)[
                1
            ]
            total = total + 0.5 * mass * velocity.square().sum()
        expected.append(total)
    torch.testing.assert_close(arm.kinetic_energy(states), torch.stack(expected))


def test_power_of_torque_load_and_force_is_the_rate_of_kinetic_energy():
    arm = ARMS["monkey"]
    states = arm_states(100)
    torque, load, force = (0.1 * normal(100, 2, seed=s) for s in (5, 6, 7))
    derivative = arm.derivative(states, torque, load, force)
    _, rate = torch.autograd.functional.jvp(arm.kinetic_energy, states, derivative)
    power = ((torque + load) * states[:, 2:]).sum(-1) + (force * arm.hand_velocity(states)).sum(-1)
    torch.testing.assert_close(rate, power)


def test_viscosity_takes_energy_away_at_the_expected_rate():
    arm = TwoJointArm(HUMAN, viscosity=HUMAN_VISCOSITY)
    states = arm_states(100)
    derivative = arm.derivative(states, torch.zeros(100, 2, dtype=torch.float64))
    _, rate = torch.autograd.functional.jvp(arm.kinetic_energy, states, derivative)
    speed = states[:, 2:]
    b = torch.tensor(HUMAN_VISCOSITY, dtype=torch.float64)
    torch.testing.assert_close(rate, -torch.einsum("ti,ij,tj->t", speed, b, speed))
    assert bool((rate < 0).all())


def test_joint_limits_push_back_and_vanish_inside():
    limits = JointLimits(lower=(-0.5, 0.2), upper=(2.0, 2.4), stiffness=2.0, width=0.01)
    free, limited = TwoJointArm(), TwoJointArm(limits=limits)

    def extra_torque(angles):
        state = torch.tensor([*angles, 0.0, 0.0], dtype=torch.float64)
        none = torch.zeros(2, dtype=torch.float64)
        change = limited.acceleration(state, none) - free.acceleration(state, none)
        return free.inertia_matrix(state) @ change

    torch.testing.assert_close(
        extra_torque((0.8, 1.3)), torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-12
    )
    far = extra_torque((-0.7, 2.7))  # far beyond, the spring is linear: k times the excess
    torch.testing.assert_close(
        far, torch.tensor([0.4, -0.6], dtype=torch.float64), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("name", ARMS)
def test_inverse_kinematics_undoes_hand_position(name):
    arm = ARMS[name]
    angles = torch.stack([uniform(-3, 3, 500), uniform(0.05, 3.1, 500, seed=1)], dim=-1)
    torch.testing.assert_close(
        arm.configuration_at(arm.hand_position(angles)), angles, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("point", [(0.5, 0.0), (0.0, 0.1), (float("nan"), 0.2)])
def test_unreachable_points_are_refused_with_the_way_out(point):
    target = torch.tensor([[0.1, 0.3], point], dtype=torch.float64)
    with pytest.raises(
        UnreachableError, match=r"`hand_position` .*1 point\(s\) outside.*smaller radius"
    ):
        TwoJointArm(MONKEY_PUBLISHED).configuration_at(target)


def test_jacobian_is_the_derivative_of_hand_position():
    arm = ARMS["human"]
    for angles in arm_states(20)[:, :2]:
        expected = torch.autograd.functional.jacobian(arm.hand_position, angles)
        torch.testing.assert_close(arm.jacobian(angles), expected)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_step_keeps_shape_and_dtype_and_broadcasts(shape, dtype):
    arm = TwoJointArm()
    state = torch.rand(*shape, 4, dtype=dtype)
    after = arm.step(state, torch.rand(2, dtype=dtype), None, torch.rand(*shape, 2, dtype=dtype))
    assert after.shape == (*shape, 4)
    assert after.dtype == dtype


@pytest.mark.parametrize(
    ("state", "torque", "name"), [(3, 2, "state"), (4, 3, "torque"), (5, 2, "state")]
)
def test_wrong_sizes_are_named(state, torque, name):
    with pytest.raises(ValueError, match=f"`{name}` must have"):
        TwoJointArm().step(torch.zeros(state), torch.zeros(torque))


@pytest.mark.parametrize("dt_s", [0, -0.01, float("nan")])
def test_bad_step_length_is_refused(dt_s):
    with pytest.raises(ValueError, match="`dt_s` must be"):
        TwoJointArm(dt_s=dt_s)


def test_viscosity_that_adds_energy_is_refused():
    with pytest.raises(ValueError, match="`viscosity` must take energy away"):
        TwoJointArm(viscosity=((0.01, 0.05), (0.05, 0.01)))
