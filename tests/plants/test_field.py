"""Velocity-dependent fields within a step: energy, exactness, convergence, every kind of array."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import ARMS, PLANTS, arm_states, generator, noisy, normal, uniform
from scipy.integrate import solve_ivp
from scipy.linalg import expm, expm_frechet

from neuromotor.closed_loop import ClosedLoop, advance
from neuromotor.closed_loop.compiled.objective import CompiledObjective
from neuromotor.control import ILQR
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.envs import MotorEnv, MotorVectorEnv
from neuromotor.plants import (
    INTEGRATORS,
    RK4,
    MuscleArm,
    PointMass,
    carried_in_field,
    field_force,
)
from neuromotor.plants.field import in_field
from neuromotor.plants.field_components import carried, carried_slopes
from neuromotor.tasks import CenterOut, Trials
from neuromotor.tasks.task import input_size

CURL = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
# Curl, damping, divergence across y, the saddle of Shadmehr & Mussa-Ivaldi (1994), a wall, nothing.
DRAGS = {
    "curl": 13.0 * CURL,
    "damping": -13.0 * torch.eye(2).double(),
    "divergent": torch.diag(torch.tensor([0.0, 20.0])).double(),
    "saddle": torch.tensor([[-10.1, -11.2], [-11.2, 11.1]], dtype=torch.float64),
    "wall": -15.0 * torch.tensor([[0.25, 0.433], [0.433, 0.75]], dtype=torch.float64),
    "none": torch.zeros(2, 2, dtype=torch.float64),
}


def field_of(drag, batch=1):
    field = torch.zeros(batch, 2, 5, dtype=torch.float64)
    field[:, :, 3:] = drag
    return field


def moved(plant, drag, states, steps):
    """Energies of an arm that nothing but the field moves, (steps, B), and where it ends."""
    trials = Trials(states, states, field=field_of(drag, len(states)))
    quiet, energies = states.new_zeros(len(states), 2), []
    for _ in range(steps):
        states = advance(plant, states, quiet, trials, 0)
        energies.append(plant.kinetic_energy(states))
    return torch.stack(energies), states


@pytest.mark.parametrize("strength", [0.5, 13.0, 1000.0])
@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("plant", PLANTS)
def test_a_step_in_a_curl_field_has_the_energy_of_the_step_without_it(plant, integrator, strength):
    plant = replace(PLANTS[plant], integrator=INTEGRATORS[integrator])
    states, commands = arm_states(100), normal(100, 2)
    trials = Trials(states, states, load=normal(100, 1, 2), hand_force=normal(100, 1, 2))
    bent = replace(trials, field=field_of(strength * CURL, 100))
    without, within = (advance(plant, states, commands, t, 0) for t in (trials, bent))
    energy = plant.kinetic_energy(without)
    torch.testing.assert_close(plant.kinetic_energy(within), energy, rtol=1e-11, atol=1e-14)
    assert (within - without).abs().max() > 1e-3


@pytest.mark.parametrize("integrator", ["euler", "rk4"])
@pytest.mark.parametrize("arm", ARMS)
def test_a_passive_arm_in_a_curl_field_gains_no_energy_in_two_seconds(arm, integrator):
    """At 13 N s/m; held over the step it gained 1.7, 3.7 and infinitely many times its own."""
    arm = replace(ARMS[arm], integrator=INTEGRATORS[integrator])
    start = torch.tensor([[0.5236, 1.5708, 1.0, -1.0], [0.3, 1.2, -0.5, 1.5]]).double()
    energies, _ = moved(arm, DRAGS["curl"], start, 200)
    share = energies / arm.kinetic_energy(start)
    assert share.max() < 1 + 1e-3
    if integrator == "rk4":  # Euler's method loses some of its own, with a field or without
        assert (share - 1).abs().max() < 1e-8


def test_a_damping_field_takes_energy_however_strong_and_a_mass_slows_by_the_exponential():
    for plant in ARMS.values():
        for strength in (1.0, 100.0, 1e4):
            start = arm_states(50)
            energies, _ = moved(plant, -strength * torch.eye(2).double(), start, 3)
            _, free = moved(plant, DRAGS["none"], start, 1)
            assert (energies[0] <= plant.kinetic_energy(free) * (1 + 1e-12)).all()
            assert torch.isfinite(energies).all()
    mass = PointMass(mass=0.7)
    start = torch.tensor([[0.0, 0.0, 1.0, -2.0]], dtype=torch.float64)
    _, end = moved(mass, DRAGS["damping"], start, 10)
    torch.testing.assert_close(end[:, 2:], start[:, 2:] * math.exp(-13.0 * 0.1 / 0.7))


@pytest.mark.parametrize("drag", DRAGS)
@pytest.mark.parametrize("plant", PLANTS)
def test_the_velocity_is_multiplied_by_the_matrix_exponential(plant, drag):
    plant, states, drag = PLANTS[plant], arm_states(20), DRAGS[drag]
    got = carried_in_field(plant, states, field_of(drag))
    for before, after in zip(states, got, strict=True):
        if isinstance(plant, PointMass):
            rates = drag / plant.mass
        else:
            hand = plant.jacobian(before)
            rates = torch.linalg.solve(plant.inertia_matrix(before), hand.T @ drag @ hand)
        expected = expm(plant.dt_s * rates.numpy()) @ before[2:].numpy()
        np.testing.assert_allclose(after[2:].numpy(), expected, rtol=1e-11, atol=1e-12)
        assert torch.equal(after[:2], before[:2])


@pytest.mark.parametrize("drag", DRAGS)
def test_floats_arrays_and_tensors_of_either_precision_agree(drag):
    plant, states, field = ARMS["human"], arm_states(30), field_of(DRAGS[drag])
    wanted = carried_in_field(plant, states, field)
    rows = field[0].tolist()
    for state, one in zip(states.tolist(), wanted.tolist(), strict=True):
        assert in_field(plant, state, rows) == pytest.approx(one, rel=1e-13, abs=1e-14)
    many = in_field(plant, states.numpy().T, np.repeat(field[0].numpy()[..., None], 30, -1))
    np.testing.assert_allclose(np.stack(many, axis=-1), wanted.numpy(), rtol=1e-13, atol=1e-14)
    single = carried_in_field(plant, states.float(), field.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("drag", DRAGS)
def test_first_and_second_derivatives_of_the_field_are_exact(drag):
    """`gradcheck` compares with finite differences; products of curvature need the second ones."""
    states = arm_states(3).requires_grad_(True)
    field = field_of(DRAGS[drag])

    def act(x):
        return carried_in_field(ARMS["monkey-published"], x, field)

    assert torch.autograd.gradcheck(act, states)
    assert torch.autograd.gradgradcheck(act, states)


def test_the_path_in_a_field_converges_to_the_solution_of_the_equations_of_motion():
    arm, commands = ARMS["human"], torch.tensor([0.3, -0.2], dtype=torch.float64)
    start = torch.tensor([0.5236, 1.5708, 1.0, -1.0], dtype=torch.float64)
    field = field_of(DRAGS["saddle"] + 20 * CURL)
    field[:, :, 1:3] = -50.0 * torch.eye(2)  # a spring beside it
    field[:, :, 0] = 50.0 * arm.hand_position(start)

    def rate(_, x):
        state = torch.from_numpy(x)
        inputs = torch.cat(
            [torch.ones(1).double(), arm.hand_position(state), arm.hand_velocity(state)]
        )
        return arm.derivative(state, commands, None, field[0] @ inputs).numpy()

    exact = solve_ivp(rate, (0, 0.3), start.numpy(), rtol=1e-11, atol=1e-12).y[:, -1]
    errors = []
    for steps in (30, 60, 120, 240):
        plant = replace(arm, dt_s=0.3 / steps, integrator=RK4())
        trials, state = Trials(start[None], start[None], field=field), start[None]
        for _ in range(steps):
            state = advance(plant, state, commands[None], trials, 0)
        errors.append(float((state[0] - torch.from_numpy(exact)).norm()))
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert orders[-1] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("arm", ARMS)
def test_a_reach_in_a_curl_field_ends_where_one_of_much_finer_steps_does(arm):
    """Held over the step, the force of such a field put the hand 7 mm and more beside it."""
    arm = ARMS[arm]
    field = field_of(arm.load_scale * DRAGS["curl"], 4)
    task = CenterOut(plant=arm, directions=4, radius_m=0.08, steps=50)
    trials, commands = task.trials(), ILQR().solve(task, task.trials()).commands

    def end(plant, parts, held=False):
        state = trials.initial_state
        for t in range(task.steps):
            for _ in range(parts):
                force = field_force(plant, state, field) if held else None
                state = plant.step(state, commands[:, t], None, force)
                state = state if held else carried_in_field(plant, state, field)
        return plant.hand_position(state)

    exact = end(replace(arm, dt_s=arm.dt_s / 32, integrator=RK4()), 32)
    assert (end(arm, 1) - exact).norm(dim=-1).max() < 0.001
    assert (end(arm, 1, held=True) - exact).norm(dim=-1).max() > 0.005


class _Bare:
    """A point mass that does not say how a field changes its velocity."""

    dt_s = 0.01

    def __init__(self):
        self._mass = PointMass()

    hand_position = property(lambda self: self._mass.hand_position)
    step = property(lambda self: self._mass.step)


def test_a_plant_without_velocity_rates_is_refused_in_a_field_with_velocity_and_not_in_a_spring():
    state = torch.tensor([[0.1, 0.0, 0.2, 0.0]], dtype=torch.float64)
    spring = torch.zeros(1, 2, 5, dtype=torch.float64)
    spring[0, :, 1:3] = -10.0 * torch.eye(2)
    after = advance(_Bare(), state, state[:, 2:], Trials(state, state, field=spring), 0)
    torch.testing.assert_close(after[0, 2], torch.tensor(0.2 + 0.01 * (0.2 - 1.0)).double())
    with pytest.raises(ValueError, match=r"without `velocity_rates` .* got _Bare"):
        advance(_Bare(), state, state[:, 2:], Trials(state, state, field=field_of(CURL)), 0)
    with pytest.raises(ValueError, match="without `velocity_rates`"):
        in_field(_Bare(), state[0].tolist(), field_of(CURL)[0].tolist())


# ---- derivatives on components ----


@pytest.mark.parametrize("drag", DRAGS)
@pytest.mark.parametrize("plant", [*ARMS, "point-mass"])
def test_rates_change_with_the_configuration_as_differences_say(plant, drag):
    form, drag = PLANTS[plant].components, DRAGS[drag].flatten().tolist()
    for state in arm_states(5).tolist():
        slopes = form.functions.velocity_rate_slopes(form.numbers, state, drag)
        for i, found in enumerate(slopes):
            h = 1e-6 * np.eye(4)[i]
            ends = [
                form.functions.velocity_rates(form.numbers, (state + way * h).tolist(), drag)
                for way in (1, -1)
            ]
            np.testing.assert_allclose(found, (np.subtract(*ends)) / 2e-6, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("size", [1e-9, 1e-3, 0.3, 0.32, 5.0])
def test_what_a_field_carries_has_the_derivatives_of_the_matrix_exponential(size):
    """`expm_frechet` (Al-Mohy & Higham 2009) differentiates another way; real and complex roots."""
    for seed in range(6):
        rates, first, second = normal(3, 2, 2, seed=seed).numpy()
        rates, velocity = size * rates, normal(2, seed=seed + 20).numpy()
        found = carried(rates.flatten().tolist(), *velocity.tolist())
        np.testing.assert_allclose(found, expm(rates) @ velocity, rtol=1e-11, atol=1e-12)
        slopes = carried_slopes(*(m.flatten().tolist() for m in (rates, first, second)), *velocity)
        by_angle = [expm_frechet(rates, m, compute_expm=False) @ velocity for m in (first, second)]
        wanted = np.column_stack([*by_angle, expm(rates)])
        np.testing.assert_allclose(np.array(slopes), wanted, rtol=1e-10, atol=1e-11)


# ---- loops and environments ----


def relative(one, two):
    return float((one - two).norm() / two.norm())


def check_loop(plant, drag):
    """Hold a loop in a field to autograd and to differences; return it, parameters and trials."""
    task = CenterOut(plant=plant, directions=3, steps=5, delay_steps=2)
    field = field_of(DRAGS[drag], 3)
    field[:, :, :3] = torch.tensor([[0.3, -2.0, 0.7], [-0.1, -0.4, -3.0]])
    field *= plant.load_scale * uniform(0.5, 1.0, 3, 1, 1)
    trials = task.trials()
    if plant.state_size == 4:
        trials = replace(noisy(trials, 5), sensory_noise=None)
    trials = replace(trials, field=field)
    sizes = {"input_size": input_size(task, trials), "command_size": plant.command_size}
    net = ContinuousTimeRNN(layers=(6,), **sizes)
    theta = 0.05 * net.initial_parameters(generator())
    loop = ClosedLoop(task, net)
    fast, slow = loop.objective(trials), loop.objective(trials, fast=False)
    assert isinstance(fast, CompiledObjective) == (plant.components is not None)
    (value, gradient), (other, expected) = (o.value_and_gradient(theta) for o in (fast, slow))
    assert value == pytest.approx(other, rel=1e-11)
    assert relative(gradient, expected) < 1e-10
    direction, h = normal(len(theta), seed=3), 1e-5
    ahead, behind = (float(loop.losses(theta + a * direction, trials).mean()) for a in (h, -h))
    assert float(gradient @ direction) == pytest.approx((ahead - behind) / (2 * h), rel=1e-6)
    products = [o.linearize(theta).product(direction) for o in (fast, slow)]
    assert relative(*products) < 1e-10
    return loop, theta, trials


@pytest.mark.slow  # it compiles muscles in a field, for both precisions
def test_loops_of_muscles_are_compiled_in_a_field():
    loop, theta, trials = check_loop(MuscleArm(), "saddle")
    half = loop.objective(trials.to(dtype=torch.float32), fast=True)
    exact = loop.objective(trials).value_and_gradient(theta)
    rounded = half.value_and_gradient(theta.float())
    assert rounded[0] == pytest.approx(exact[0], rel=1e-4)
    assert relative(rounded[1].double(), exact[1]) < 1e-3


@pytest.mark.parametrize("drag", ["curl", "saddle", "wall"])
@pytest.mark.parametrize(
    "plant",
    [*ARMS, "viscous", pytest.param("point-mass", marks=pytest.mark.slow), "rk4"],  # it compiles
)
def test_loops_and_environments_share_the_step_in_a_field(plant, drag):
    plant = replace(ARMS["human"], integrator=RK4()) if plant == "rk4" else PLANTS[plant]
    loop, theta, trials = check_loop(plant, drag)
    task, run = loop.task, loop.simulate(theta, trials)
    one = MotorEnv(task, normalized=False, command_limit=100.0)
    one.reset(options={"trials": trials.subset(slice(0, 1))})
    many = MotorVectorEnv(3, task, normalized=False, command_limit=100.0)
    many.reset(options={"trials": trials})
    for t in range(5):
        one.step(run.commands[0, t].numpy())
        many.step(run.commands[:, t].numpy())
        after = run.states[:, t + 1].numpy()
        np.testing.assert_allclose(one.state, after[0], rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(many.states, after, rtol=1e-9, atol=1e-11)
