"""The arm in space against MuJoCo, the arm in the plane, and mechanics' own identities."""

import math
from dataclasses import replace

import mujoco
import numpy as np
import pytest
import torch
from cases import generator, normal, uniform
from scipy.optimize import minimize

from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.dynamics import linearize_plant
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.envs import MotorEnv
from neuromotor.plants import (
    HUMAN,
    INTEGRATORS,
    MONKEY,
    PLANTS,
    RK4,
    SpatialArm,
    TwoJointArm,
    UnreachableError,
)
from neuromotor.plants.plant import components_of
from neuromotor.tasks import CenterOut, Trials

ARMS = {
    "human": PLANTS["human-spatial"],
    "monkey": PLANTS["monkey-spatial"],
    "weightless, with friction": SpatialArm(gravity=0.0, viscosity=(0.3, 0.2)),
}
NOTHING = torch.zeros(4, dtype=torch.float64)


def states_of(count, seed=0, steepest=1.3):
    """Angles of all sizes, with the upper arm up to 74 degrees from the horizontal plane."""
    angles = uniform(-3.0, 3.0, count, 4, seed=seed)
    angles[:, 1] = uniform(-steepest, steepest, count, seed=seed + 1)
    return torch.cat([angles, 3 * normal(count, 4, seed=seed + 2)], dim=-1)


def mujoco_model(arm):
    """The same arm, built by somebody else's code from masses, lengths and inertias."""
    p = arm.parameters
    thin = [
        mass * (radius * length) ** 2
        for mass, radius, length in zip(
            (p.mass_1, p.mass_2), arm.axial_radii, (p.length_1, p.length_2), strict=True
        )
    ]
    return mujoco.MjModel.from_xml_string(
        f"""
        <mujoco>
          <option gravity="0 0 {-arm.gravity}"/>
          <worldbody>
            <body name="upper arm">
              <joint type="hinge" axis="0 0 1"/>
              <joint type="hinge" axis="0 -1 0"/>
              <joint type="hinge" axis="1 0 0"/>
              <inertial pos="{p.center_1} 0 0" mass="{p.mass_1}"
                        diaginertia="{thin[0]} {p.inertia_1} {p.inertia_1}"/>
              <body name="forearm" pos="{p.length_1} 0 0">
                <joint type="hinge" axis="0 0 1"/>
                <inertial pos="{p.center_2} 0 0" mass="{p.mass_2}"
                          diaginertia="{thin[1]} {p.inertia_2} {p.inertia_2}"/>
                <site name="hand" pos="{p.length_2} 0 0"/>
              </body>
            </body>
          </worldbody>
        </mujoco>
        """
    )


@pytest.mark.parametrize("name", ARMS)
def test_acceleration_and_hand_agree_with_mujoco(name):
    arm, count = ARMS[name], 1000
    model = mujoco_model(arm)
    data = mujoco.MjData(model)
    upper_arm, forearm = 1, 2
    states = states_of(count)
    torques, loads, forces = (
        5 * arm.load_scale * normal(count, size, seed=s) for s, size in ((4, 4), (5, 4), (6, 3))
    )
    at_shoulder, at_elbow = arm.viscosity or (0.0, 0.0)
    found = {"acceleration": [], "position": [], "velocity": [], "kinetic": [], "potential": []}
    for state, torque, load, force in zip(states, torques, loads, forces, strict=True):
        data.qpos[:], data.qvel[:] = state[:4], state[4:]
        data.qfrc_applied[:] = 0
        mujoco.mj_forward(model, data)
        hand, applied = data.site("hand").xpos.copy(), np.zeros(4)
        mujoco.mj_applyFT(model, data, force.numpy(), np.zeros(3), hand, forearm, applied)
        turning = np.zeros((3, 4))
        mujoco.mj_jacBody(model, data, None, turning, upper_arm)
        friction = at_shoulder * turning.T @ (turning @ data.qvel)
        friction[3] += at_elbow * data.qvel[3]
        data.qfrc_applied[:] = applied + torque.numpy() + load.numpy() - friction
        mujoco.mj_forward(model, data)
        moving, inertia = np.zeros((3, 4)), np.zeros((4, 4))
        mujoco.mj_jacSite(model, data, moving, None, 0)
        mujoco.mj_fullM(model, data, inertia)
        found["acceleration"].append(data.qacc.copy())
        found["position"].append(hand)
        found["velocity"].append(moving @ data.qvel)
        found["kinetic"].append(0.5 * data.qvel @ inertia @ data.qvel)
        found["potential"].append(arm.gravity * model.body_mass[1:] @ data.xipos[1:, 2])
    wanted = {name: torch.tensor(np.array(part)) for name, part in found.items()}
    assert wanted["acceleration"].abs().max() > 100  # the comparison is about real movements
    acceleration = arm.acceleration(states, torques, loads, forces)
    torch.testing.assert_close(acceleration, wanted["acceleration"], rtol=1e-11, atol=1e-8)
    close = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(arm.hand_position(states), wanted["position"], **close)
    torch.testing.assert_close(arm.hand_velocity(states), wanted["velocity"], rtol=0, atol=1e-11)
    torch.testing.assert_close(arm.kinetic_energy(states), wanted["kinetic"])
    torch.testing.assert_close(arm.potential_energy(states), wanted["potential"])


@pytest.mark.parametrize("name", ["human", "monkey"])
def test_in_its_plane_it_is_the_arm_of_two_joints(name):
    arm = replace(ARMS[name], gravity=0.0)
    flat, both = TwoJointArm(arm.parameters), [0, 3, 4, 7]
    states = states_of(100)
    states[:, [1, 2, 5, 6]] = 0.0
    torque = normal(100, 4, seed=5)
    torque[:, [1, 2]] = 0.0
    force = normal(100, 3, seed=6)
    force[:, 2] = 0.0
    found = arm.step(states, torque, None, force)
    wanted = flat.step(states[:, both], torque[:, [0, 3]], None, force[:, :2])
    torch.testing.assert_close(found[:, both], wanted)
    assert found[:, [1, 2, 5, 6]].abs().max() < 1e-12
    torch.testing.assert_close(arm.limb(states)[..., :2], flat.limb(states[:, both]))


def test_a_free_arm_keeps_its_energy_at_the_integrators_order():
    start = SpatialArm().rest_state(torch.tensor([0.2, 0.3, 0.4, 1.2], dtype=torch.float64))
    start[4:] = torch.tensor([1.0, -0.5, 2.0, 1.0])

    def drift(integrator, dt_s):
        arm = SpatialArm(HUMAN, dt_s=dt_s, integrator=integrator, tonic=False)
        state = start
        for _ in range(round(0.2 / dt_s)):
            state = arm.step(state, NOTHING)
        energy = [float(arm.kinetic_energy(x) + arm.potential_energy(x)) for x in (start, state)]
        assert float(arm.kinetic_energy(state) / arm.kinetic_energy(start)) > 2  # it fell
        return abs(energy[1] - energy[0])

    for name, integrator in INTEGRATORS.items():
        coarse, fine = drift(integrator, 0.005), drift(integrator, 0.0025)
        order = math.log2(coarse / fine)
        assert order > integrator.order - 0.35, name


def test_power_of_all_that_acts_is_the_rate_of_energy():
    arm, states = SpatialArm(viscosity=(0.3, 0.2)), states_of(100)
    torque, load, force = (normal(100, size, seed=s) for s, size in ((5, 4), (6, 4), (7, 3)))
    derivative = arm.derivative(states, torque, load, force)

    def energy(x):
        return arm.kinetic_energy(x) + arm.potential_energy(x)

    _, rate = torch.autograd.functional.jvp(energy, states, derivative)
    power = ((torque + load) * states[:, 4:]).sum(-1) + (force * arm.hand_velocity(states)).sum(-1)
    assert bool((rate < power).all())  # friction takes some
    free = replace(arm, viscosity=None)
    derivative = free.derivative(states, torque, load, force)
    _, rate = torch.autograd.functional.jvp(energy, states, derivative)
    torch.testing.assert_close(rate, power)


@pytest.mark.parametrize("limit", [None, 20.0, (5.0, 20.0, 9.0, 9.0)])
@pytest.mark.parametrize("tonic", [True, False])
def test_it_stays_where_it_is_held(limit, tonic):
    arm = SpatialArm(command_limit=limit, tonic=tonic)
    rest = arm.rest_state(states_of(50)[:, :4])
    after = arm.step(rest, arm.holding_command(rest))
    torch.testing.assert_close(after, rest, rtol=0, atol=1e-10)
    home = arm.rest_state(torch.tensor(arm.home, dtype=torch.float64))
    moved = (arm.step(home, NOTHING) - home).abs().max()
    assert float(moved) < 1e-12 if tonic else float(moved) > 0.1


def test_options_that_make_no_arm_are_refused():
    for settings, message in (
        ({"gravity": -1.0}, "`gravity` must be"),
        ({"viscosity": (0.1, -0.1)}, "`viscosity` must be"),
        ({"axial_radii": (0.1, 0.0)}, "`axial_radii` must be"),
        ({"command_limit": (1.0, 1.0)}, "`command_limit` must be one number or 4"),
    ):
        with pytest.raises(ValueError, match=message):
            SpatialArm(**settings)
    with pytest.raises(TypeError, match="`tonic` must be True or False"):
        SpatialArm(tonic=1)
    with pytest.raises(ValueError, match="`command` must have 4 entries"):
        SpatialArm().step(states_of(1), torch.zeros(1, 2, dtype=torch.float64))


# ---- where the hand is to be ----


def test_places_of_the_hand_are_reached():
    arm = SpatialArm()
    angles = states_of(300)[:, :4]
    angles[:, 3] = uniform(0.0, math.pi, 300, seed=8)
    places = arm.hand_position(angles)
    found = arm.configuration_at(places)
    torch.testing.assert_close(arm.hand_position(found), places, rtol=0, atol=1e-12)
    assert bool((found[:, 1].abs() <= math.radians(85)).all())
    assert bool(((found[:, 3] >= 0) & (found[:, 3] <= math.pi)).all())
    near = arm.configuration_near(places, angles + 2 * math.pi)  # whole turns do not count
    torch.testing.assert_close(near, angles, rtol=0, atol=1e-6)
    straight = torch.tensor([0.1, 0.2, 0.0, 0.0], dtype=torch.float64)
    found = arm.configuration_near(arm.hand_position(straight), straight)
    torch.testing.assert_close(found, straight, rtol=0, atol=1e-6)


def test_the_configuration_changes_least():
    arm = SpatialArm(MONKEY)
    home = np.array(arm.home)
    places = arm.hand_position(torch.tensor(arm.home).double()) + 0.03 * normal(6, 3, seed=1)
    for place, found in zip(places, arm.configuration_at(places).numpy(), strict=True):

        def miss(q, place=place):
            return (arm.hand_position(torch.tensor(q)) - place).numpy()

        best = minimize(
            lambda q: ((q - home) ** 2).sum(),
            home,
            method="SLSQP",
            constraints={"type": "eq", "fun": miss},
            options={"ftol": 1e-14},
        )
        np.testing.assert_allclose(found, best.x, atol=1e-5)


def test_places_out_of_reach_are_refused():
    arm = SpatialArm()
    with pytest.raises(UnreachableError, match=r"between 0.03 and 0.63 m .* at \(0, 0, 0.7\) m"):
        arm.configuration_at(torch.tensor([0.0, 0.0, 0.7]))
    with pytest.raises(UnreachableError, match="no steeper than 85 degrees"):
        arm.configuration_at(torch.tensor([0.0, 0.0, -0.63]))
    with pytest.raises(ValueError, match="between -85 and 85 degrees"):
        arm.configuration((0.0, -90.0, 0.0, 90.0))
    assert arm.configuration((0.0, -45.0, 0.0, 90.0))[1] == pytest.approx(-math.pi / 4)
    assert arm.state_limits[1] == pytest.approx(math.radians(85))


# ---- on components ----


@pytest.mark.parametrize(
    "arm",
    [
        *ARMS.values(),
        SpatialArm(command_limit=(3.0, 9.0, 4.0, 5.0), viscosity=(0.3, 0.2)),
        SpatialArm(tonic=False),
    ],
)
def test_components_are_the_step_and_the_jacobian_is_autograds(arm):
    count, form = 60, components_of(arm)
    states, commands = states_of(count), normal(count, 4, seed=8)
    load, force = normal(count, 4, seed=5), normal(count, 3, seed=6)
    parts = [part.numpy().T for part in (states, commands, load, force)]
    wanted = arm.step(states, commands, load, force).numpy()
    np.testing.assert_allclose(np.array(form.step(*parts)).T, wanted, rtol=1e-12, atol=1e-12)
    one = form.step(*(part[:, 0].tolist() for part in parts))
    np.testing.assert_allclose(one, wanted[0], rtol=1e-12)
    placed = torch.cat([arm.hand_position(states), arm.hand_velocity(states)], dim=-1)
    np.testing.assert_allclose(np.array(form.hand(parts[0])).T, placed, rtol=0, atol=1e-12)
    free = replace(arm, command_limit=None)  # the limit is not the functions'
    for loads, forces in ((load, force), (None, None)):
        trials = Trials(
            states,
            states,
            load=None if loads is None else loads[:, None],
            hand_force=None if forces is None else forces[:, None],
        )
        wanted = linearize_plant(free, trials, states[:, None], commands[:, None])[:, 0]
        acting = [None if part is None else part.numpy().T for part in (loads, forces)]
        rows = form.functions.jacobian(form.numbers, *parts[:2], *acting)
        found = np.array([[np.broadcast_to(entry, count) for entry in row] for row in rows])
        np.testing.assert_allclose(found.transpose(2, 0, 1), wanted, rtol=1e-9, atol=1e-10)


@pytest.mark.slow  # compiles loops for half a minute, the first time on a machine
def test_compiled_loops_and_environments_go_the_same_way():
    arm = SpatialArm(viscosity=(0.3, 0.2), command_limit=(5.0, 9.0, 4.0, 6.0))
    task = CenterOut(
        plant=arm, targets="sphere", directions=5, steps=15, delay_steps=2, radius_m=0.05
    )
    trials = replace(
        task.trials(),
        load=0.1 * normal(5, 15, 4, seed=1),
        hand_force=normal(5, 15, 3, seed=2),
        command_noise=0.1 * normal(5, 15, 4, seed=3),
        plant_noise=1e-3 * normal(5, 15, 8, seed=4),
        sensory_noise=1e-2 * normal(5, 15, 8, seed=5),
    )
    net = ContinuousTimeRNN(layers=(6, 4), input_size=16, command_size=4)
    theta = 0.5 * net.initial_parameters(generator(1))
    loop, direction = ClosedLoop(task, net), normal(net.parameter_count, seed=9)
    fast, slow = (loop.objective(trials, fast=fast) for fast in (True, False))
    one, two = fast.value_and_gradient(theta), slow.value_and_gradient(theta)
    assert one[0] == pytest.approx(two[0], rel=1e-12)
    products = [objective.linearize(theta).product(direction) for objective in (fast, slow)]
    for found, wanted in ((one[1], two[1]), products):
        assert float((found - wanted).norm() / wanted.norm()) < 1e-10
    options = {"dtype": "float64", "observe": ("state", "hand", "command")}
    envs = [MotorEnv(task, compiled=compiled, **options) for compiled in (True, False)]
    first = trials.subset(slice(1))
    for env in envs:
        env.reset(seed=0, options={"trials": first})
    for action in np.random.default_rng(0).uniform(-1, 1, (15, 4)):
        (seen, reward, *_), (wanted, paid, *_) = (env.step(action) for env in envs)
        np.testing.assert_allclose(seen, wanted, rtol=1e-10, atol=1e-11)
        assert reward == pytest.approx(paid, rel=1e-10, abs=1e-15)


def test_other_integrators_have_no_components():
    assert components_of(SpatialArm(integrator=RK4())) is None
