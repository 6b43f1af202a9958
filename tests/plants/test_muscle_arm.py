"""The arm with muscles: virtual work, closed forms, energy, and the torque-driven arm."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from cases import generator, normal, uniform

import neuromotor.envs  # noqa: F401 -- registers the environments
from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.compiled.objective import CompiledObjective
from neuromotor.closed_loop.dynamics import linearize_plant
from neuromotor.control import ILQR
from neuromotor.controllers import Network
from neuromotor.plants import HUMAN, PLANTS, MuscleArm, TwoJointArm
from neuromotor.plants import muscle_arm_components as physics
from neuromotor.plants.plant import components_of
from neuromotor.tasks import CenterOut, Trials
from neuromotor.tasks.task import input_size

MONKEY, HUMAN_ARM = PLANTS["monkey-muscles"], PLANTS["human-muscles"]
BOTH = {"force_length": True, "force_velocity": True}
FORMS = {
    "monkey": MONKEY,
    "human": HUMAN_ARM,
    "monkey, length": replace(MONKEY, force_length=True),
    "human, velocity": replace(HUMAN_ARM, force_velocity=True),
    "human, all": replace(HUMAN_ARM, **BOTH, gravity=9.81, bounded=False),
}
each_form = pytest.mark.parametrize("plant", FORMS.values(), ids=FORMS)


def states_of(count, seed=0):
    """Angles within the workspace, velocities, activations in [0, 1]."""
    parts = (
        uniform(-0.3, 2.3, count, 2, seed=seed),
        3 * normal(count, 2, seed=seed + 1),
        uniform(0.0, 1.0, count, 6, seed=seed + 2),
    )
    return torch.cat(parts, dim=-1)


def slopes(function, angles, h=1e-6):
    """Central differences of a function of joint angles, by each of them."""
    steps = h * torch.eye(2, dtype=torch.float64)
    return [(function(angles + step) - function(angles - step)) / (2 * h) for step in steps]


# ---- geometry and forces ----


@each_form
def test_torques_do_the_work_of_the_muscles(plant):
    plant, states = replace(plant, gravity=0.0), states_of(60)
    by_angle = slopes(plant.muscle_lengths, states[:, :2])
    forces = plant.muscle_forces(states)
    torque = torch.stack([-(forces * slope).sum(-1) for slope in by_angle], dim=-1)
    arm = TwoJointArm(plant.parameters, viscosity=plant.viscosity)
    after = plant.step(states, torch.zeros(60, 6, dtype=torch.float64))
    torch.testing.assert_close(after[:, :4], arm.step(states[:, :4], torque), rtol=1e-7, atol=1e-7)
    wanted = -torch.stack(by_angle, dim=-2)
    torch.testing.assert_close(plant.moment_arms(states), wanted, rtol=1e-7, atol=1e-9)


def test_lengths_are_the_published_ones():
    optimal = ((15.0, 4.88, 0, 0, 4.5, 2.12), (0, 0, 80.86, 109.32, 92.96, 91.52))
    angles = torch.deg2rad(torch.tensor(optimal, dtype=torch.float64)).T
    lengths = MONKEY.muscle_lengths(angles).diagonal()
    wanted = torch.tensor([7.32, 3.26, 6.4, 4.26, 5.95, 4.04], dtype=torch.float64) / 100
    torch.testing.assert_close(lengths, wanted)
    # the biceps of MotorNet's arm at 45 and 60 degrees
    shoulder, elbow = math.pi / 4, math.pi / 3
    path = 0.3329 - 0.03 * (shoulder - math.pi / 2) - 0.016 * elbow - 5.7e-3 * elbow**2
    at = torch.tensor([shoulder, elbow], dtype=torch.float64)
    assert float(HUMAN_ARM.muscle_lengths(at)[4]) == pytest.approx(path - 0.204, rel=1e-12)
    arms = HUMAN_ARM.moment_arms(at)[:, 4].tolist()
    assert arms == pytest.approx([0.03, 0.016 + 2 * 5.7e-3 * elbow], rel=1e-12)


def test_forces_are_strength_times_activation():
    forces = HUMAN_ARM.muscle_forces(torch.tensor([0.5, 1.5, 2.0, -1.0, *[0.5] * 6]))
    assert forces.tolist() == pytest.approx([419.0, 603.5, 711.0, 774.5, 207.0, 301.5])
    assert MONKEY.muscle_forces(torch.ones(10)).tolist() == [100.0] * 6


@pytest.mark.parametrize(
    ("length", "factor"),
    # exp(-(|l^1.55 - 1| / .81)^2.12): .5^1.55 = .341510, .658490 / .81 = .812951, .644668
    [(1.0, 1.0), (0.5, 0.524836), (1.2, 0.864361), (0.0, 0.209467), (-0.5, 0.209467)],
)
def test_force_length_by_hand(length, factor):
    assert physics.force_length(MONKEY.components.numbers, length) == pytest.approx(
        factor, abs=2e-6
    )


@pytest.mark.parametrize(
    ("length", "velocity", "factor"),
    [
        (1.0, 0.0, 1.0),
        (1.0, -3.695, 3.695 / (7.39 + 0.96 * 3.695)),  # c = -3.21 + 4.17
        (1.0, -7.39, 0.0),
        (1.0, -20.0, 0.0),
        (1.0, 0.62, (0.62 + 1.58 * 0.62) / 1.24),  # p = -3.12 + 4.21 - 2.67
        (0.8, 0.31, (0.62 + 1.4608 * 0.31) / 0.93),  # p = -3.12 + 3.368 - 1.7088
        (0.9, -1.0, 6.39 / (7.39 + 0.543)),
        (0.3, -3.695, 3.695 / (7.39 - 0.9 * 3.695)),  # c as in the docstring, -0.9 at least
    ],
)
def test_force_velocity_by_hand(length, velocity, factor):
    found = physics.force_velocity(MONKEY.components.numbers, length, velocity)
    assert found == pytest.approx(factor, rel=1e-12, abs=1e-15)


def test_factors_are_those_of_the_muscles_own_length_and_velocity():
    """The elbow flexor at 40 degrees: 1 + 2 (80.86 - 40) pi / 180 / 6.4 = 1.22286."""
    plant = replace(MONKEY, **BOTH)
    speed = -3.2  # rad/s; lengthens it by 2 3.2 / 6.4 = 1 L0/s
    state = torch.tensor([0.0, math.radians(40), 0.0, speed, *[1.0] * 6], dtype=torch.float64)
    length = 1 + 2 * math.radians(40.86) / 6.4
    p = -3.12 + 4.21 * length - 2.67 * length**2
    wanted = 100 * math.exp(-(((length**1.55 - 1) / 0.81) ** 2.12)) * (0.62 - p) / 1.62
    assert float(plant.muscle_forces(state)[2]) == pytest.approx(wanted, rel=1e-12)


@each_form
def test_muscles_never_push(plant):
    states = states_of(500)
    states[:, :4] *= 5
    forces = plant.muscle_forces(states)
    assert torch.isfinite(forces).all()
    assert (forces >= 0).all()


# ---- activation ----


@pytest.mark.parametrize("rising", [True, False])
def test_activation_tends_to_the_exponential_at_order_one(rising):
    tau, span = (0.015, 0.05)[not rising], 0.06
    excitation = torch.full((6,), 0.8 if rising else 0.1, dtype=torch.float64)
    start = 0.2 if rising else 0.9
    exact = float(excitation[0]) + (start - float(excitation[0])) * math.exp(-span / tau)
    errors = []
    for dt_s in (0.001, 0.0005):
        plant = replace(HUMAN_ARM, dt_s=dt_s)
        state = torch.tensor([*plant.home, 0.0, 0.0, *[start] * 6], dtype=torch.float64)
        for _ in range(round(span / dt_s)):
            state = plant.step(state, excitation)
        errors.append(abs(float(state[5]) - exact))
    assert errors[0] < 0.01
    for one, two in itertools.pairwise(errors):
        assert one / two == pytest.approx(2, abs=0.1)


def test_commands_beyond_the_bounds_act_as_at_the_bound():
    state = states_of(1)[0]
    wild = torch.tensor([-3.0, 1.5, 0.4, 7.0, -0.1, 1.0], dtype=torch.float64)
    torch.testing.assert_close(
        MONKEY.step(state, wild), MONKEY.step(state, wild.clamp(0, 1)), rtol=0, atol=0
    )
    free = replace(MONKEY, bounded=False)
    torch.testing.assert_close(
        free.step(state, wild), free.step(state, wild.clamp(min=0)), rtol=0, atol=0
    )
    published = 0.2 * wild.clamp(min=0) + 0.8 * state[4:]  # Kalidindi et al. (2021)
    torch.testing.assert_close(free.step(state, wild)[4:], published)
    assert MONKEY.command_bounds == ((0.0,) * 6, (1.0,) * 6)
    assert free.command_bounds == ((0.0,) * 6, (math.inf,) * 6)


# ---- mechanics ----


@pytest.mark.parametrize("plant", [MONKEY, HUMAN_ARM, replace(HUMAN_ARM, **BOTH)])
def test_without_activation_it_is_the_arm(plant):
    arm = TwoJointArm(plant.parameters, viscosity=plant.viscosity)
    states = states_of(60)
    states[:, 4:] = 0
    load, force = normal(60, 2, seed=5), normal(60, 2, seed=6)
    after = plant.step(states, torch.zeros(60, 6, dtype=torch.float64), load, force)
    wanted = arm.step(states[:, :4], torch.zeros(60, 2, dtype=torch.float64), load, force)
    torch.testing.assert_close(after[:, :4], wanted, rtol=1e-12, atol=1e-12)
    assert not after[:, 4:].any()
    hand = torch.cat([arm.hand_position(states), arm.hand_velocity(states[:, :4])], dim=-1)
    own = torch.cat([plant.hand_position(states), plant.hand_velocity(states)], dim=-1)
    torch.testing.assert_close(own, hand, rtol=0, atol=0)
    found = np.stack(plant.components.hand(states.numpy().T), axis=-1)
    np.testing.assert_allclose(found, hand.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("plant", [MONKEY, HUMAN_ARM])
def test_energy_falls_by_what_friction_takes(plant):
    plant = replace(plant, dt_s=1e-4)
    arm, friction = TwoJointArm(plant.parameters), torch.tensor(plant.viscosity).double()
    state, none = states_of(10), torch.zeros(10, 6, dtype=torch.float64)
    state[:, 4:] = 0
    first = energy = arm.kinetic_energy(state[:, :4])
    lost = torch.zeros(10, dtype=torch.float64)
    for _ in range(300):
        speed = state[:, 2:4]
        lost = lost + plant.dt_s * ((speed @ friction) * speed).sum(-1)
        state = plant.step(state, none)
        before, energy = energy, arm.kinetic_energy(state[:, :4])
        assert (energy <= before * (1 + 1e-5)).all()
    assert ((first - energy - lost).abs() < 0.01 * first).all()


def potential_energy(plant, angles):
    """In J, of the segments' centres of mass."""
    p = plant.parameters
    _, elbow, hand = plant.limb(angles).unbind(-2)
    first = elbow[..., 1] * p.center_1 / p.length_1
    second = elbow[..., 1] + (hand - elbow)[..., 1] * p.center_2 / p.length_2
    return 9.81 * (p.mass_1 * first + p.mass_2 * second)


def test_in_a_vertical_plane_weight_is_the_slope_of_potential_energy():
    plant = MuscleArm(HUMAN, viscosity=None, gravity=9.81)
    angles, none = states_of(40)[:, :2], torch.zeros(40, 6, dtype=torch.float64)
    after = plant.step(plant.rest_state(angles), none)
    inertia = TwoJointArm(HUMAN).inertia_matrix(angles)
    torque = (inertia @ (after[:, 2:4] / plant.dt_s)[..., None])[..., 0]
    energy = slopes(lambda q: potential_energy(plant, q), angles)
    torch.testing.assert_close(torque, -torch.stack(energy, dim=-1), rtol=1e-6, atol=1e-7)
    assert not plant.rest_state(angles)[:, 2:].any()


def test_a_falling_arm_trades_height_for_speed():
    plant = MuscleArm(HUMAN, viscosity=None, gravity=9.81, dt_s=1e-4)
    state, none = plant.rest_state(torch.tensor([0.3, 0.8]).double()), torch.zeros(6).double()
    high = float(potential_energy(plant, state[:2]))
    for _ in range(1000):
        state = plant.step(state, none)
    gained = float(TwoJointArm(HUMAN).kinetic_energy(state[:4]))
    assert gained > 0.5
    assert gained == pytest.approx(high - float(potential_energy(plant, state[:2])), rel=5e-3)


# ---- on components, compiled, with what takes a plant ----


@each_form
def test_components_are_the_step_and_the_jacobian_is_autograds(plant):
    count = 60
    states, commands = states_of(count), uniform(-0.5, 1.5, count, 6, seed=8)
    load, force = normal(count, 1, 2, seed=5), normal(count, 1, 2, seed=6)
    trials = Trials(states, states, load=load, hand_force=force)
    wanted = linearize_plant(plant, trials, states[:, None], commands[:, None])[:, 0]
    form = components_of(plant)
    parts = [part.numpy().T for part in (states, commands, load[:, 0], force[:, 0])]
    rows = form.functions.jacobian(form.numbers, *parts)
    found = np.array([[np.broadcast_to(entry, count) for entry in row] for row in rows])
    np.testing.assert_allclose(found.transpose(2, 0, 1), wanted, rtol=1e-10, atol=1e-11)
    after = plant.step(states, commands, load[:, 0], force[:, 0]).numpy()
    close = {"rtol": 1e-12, "atol": 1e-13}
    np.testing.assert_allclose(np.stack(form.step(*parts), axis=-1), after, **close)
    one = form.step(*(part[:, 0].tolist() for part in parts))
    assert all(type(number) is float for number in one)
    np.testing.assert_allclose(one, after[0], **close)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["monkey", "human, all"])
def test_compiled_loops_equal_autograd(name):
    task = CenterOut(plant=FORMS[name], directions=5, steps=15, delay_steps=2)
    trials = replace(
        task.trials(),
        load=0.05 * normal(5, 15, 2, seed=1),
        hand_force=0.2 * normal(5, 15, 2, seed=2),
        command_noise=0.1 * normal(5, 15, 6, seed=3),
        plant_noise=1e-3 * normal(5, 15, 10, seed=4),
        sensory_noise=1e-2 * normal(5, 15, 10, seed=5),
    )
    net = Network(
        layers=(6, 4), input_size=input_size(task, trials), command_size=6, squash="logistic"
    )
    theta = net.initial_parameters(generator(1)) + 0.2 * normal(net.parameter_count, seed=4)
    loop, direction = ClosedLoop(task, net), normal(net.parameter_count, seed=9)
    fast, slow = loop.objective(trials), loop.objective(trials, fast=False)
    assert isinstance(fast, CompiledObjective)
    one, two = fast.value_and_gradient(theta), slow.value_and_gradient(theta)
    assert one[0] == pytest.approx(two[0], rel=1e-10)
    products = [objective.linearize(theta).product(direction) for objective in (fast, slow)]
    for found, wanted in ((one[1], two[1]), products):
        assert float((found - wanted).norm() / wanted.norm()) < 1e-10
    half = loop.objective(trials.to(dtype=torch.float32)).value_and_gradient(theta.float())
    assert half[0] == pytest.approx(one[0], rel=1e-4)


@pytest.mark.slow
def test_ilqr_reaches_with_excitations_within_bounds():
    plant = replace(HUMAN_ARM, **BOTH, bounded=False)
    task = CenterOut(plant=plant, directions=2, radius_m=0.05)
    trials = task.trials()
    solution = ILQR().solve(task, trials)
    assert solution.converged
    assert float(solution.commands.min()) == 0.0
    ends = plant.hand_position(solution.states[:, -1])
    goals = plant.hand_position(trials.target)
    assert float((ends - goals).norm(dim=-1).max()) < 0.005


def test_environments_by_id_take_it():
    env = gymnasium.make("neuromotor/CenterOut-v0", task=CenterOut(plant=HUMAN_ARM))
    assert env.action_space.shape == (6,)
    env.reset(seed=0)
    env.step(env.action_space.high)
    activations = env.unwrapped.state[4:]
    np.testing.assert_allclose(activations, 0.01 / 0.015)
    free = replace(MONKEY, bounded=False)
    plain = gymnasium.make(
        "neuromotor/CenterOut-v0", task=CenterOut(plant=free), normalized=False, command_limit=3.0
    )
    assert (plain.action_space.low.max(), plain.action_space.high.min()) == (0.0, 3.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_s": 0.005}, "`activation_s` must be at least the step of 0.01 s"),
        ({"deactivation_s": 0.0}, "`deactivation_s` must be a positive number of seconds"),
        ({"gravity": -1.0}, "`gravity` must be a finite number of m/s\\^2, 0 or more"),
        ({"feedback": (0, 10)}, "`feedback` must name numbers of a state, from 0 to 9, got 10"),
        ({"feedback": ()}, "`feedback` must name at least one number of a state"),
        ({"feedback": (0, 0)}, "each only once"),
        ({"viscosity": ((-1.0, 0.0), (0.0, 1.0))}, "`viscosity` must take energy away"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(MONKEY, **changes)


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="`command` must have 6 entries"):
        MONKEY.step(torch.zeros(10), torch.zeros(2))
    with pytest.raises(ValueError, match="`load` must have 2 entries"):
        MONKEY.step(torch.zeros(10), torch.zeros(6), torch.zeros(6))
    with pytest.raises(ValueError, match="`strength` must be a positive number of newtons"):
        replace(MONKEY.muscles, strength=(0.0,) * 6)
    with pytest.raises(ValueError, match="`moment_arms` must be 2 x 6"):
        replace(MONKEY.muscles, moment_arms=((0.02,) * 6,))
