"""The closed loop's order of events; its derivatives against finite differences and dense ones."""

from dataclasses import replace

import pytest
import torch
from cases import PLANTS, generator, noisy, normal

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import CommandTable, ContinuousTimeRNN
from neuromotor.plants import PointMass
from neuromotor.tasks import CenterOut

NETWORKS = {
    "two layers": ContinuousTimeRNN(layers=(6, 5)),
    "one slow noisy layer": ContinuousTimeRNN(
        layers=(7,), time_constant_s=0.05, private_noise=0.1, learn_initial_state=True
    ),
    "three layers without skips": ContinuousTimeRNN(layers=(4, 4, 3), skip_inputs=False),
}


def small_loop(plant="monkey-published", network="two layers", delay=0, steps=12):
    task = CenterOut(plant=PLANTS[plant], directions=3, steps=steps, delay_steps=delay)
    net = NETWORKS[network]
    trials = noisy(task.trials(), steps, units=net.noise_size)
    return ClosedLoop(task, net), net.initial_parameters(generator(1)), trials


CASES = [(plant, "two layers", 2) for plant in PLANTS]
CASES += [("monkey-published", network, 0) for network in NETWORKS]


@pytest.mark.parametrize(("plant", "network", "delay"), CASES)
def test_gradient_and_product_against_finite_differences(plant, network, delay):
    loop, theta, trials = small_loop(plant, network, delay)
    if plant == "monkey":
        theta = 0.05 * theta  # this light arm flies off under full-size torques
    objective = loop.objective(trials)
    value, gradient = objective.value_and_gradient(theta)
    assert value == pytest.approx(objective.value(theta), rel=1e-12)
    direction = normal(len(theta), seed=3)
    direction /= direction.norm()
    h = 1e-5

    def change(f):  # central differences, fourth order
        near, far = f(h) - f(-h), f(2 * h) - f(-2 * h)
        return (8 * near - far) / (12 * h)

    slope = change(lambda a: objective.value(theta + a * direction))
    assert float(gradient @ direction) == pytest.approx(slope, rel=1e-6, abs=1e-9 * value)

    def residuals(a):
        trajectory = loop.simulate(theta + a * direction, trials)
        return loop.task.cost.residuals(trajectory.states, trajectory.commands, trials.target)

    tangent = change(residuals)
    linear = objective.linearize(theta)
    product = linear.product(direction)
    curvature = float(tangent.square().sum()) / len(trials)
    assert float(direction @ product) == pytest.approx(curvature, rel=1e-6)
    torch.testing.assert_close(linear.gradient, gradient, rtol=1e-10, atol=1e-14)
    assert linear.value == pytest.approx(value, rel=1e-12)


def test_product_equals_the_dense_gauss_newton_matrix():
    loop, theta, trials = small_loop(delay=1)

    def residuals(parameters):
        trajectory = loop.simulate(parameters, trials)
        return loop.task.cost.residuals(
            trajectory.states, trajectory.commands, trials.target
        ).flatten()

    jacobian = torch.autograd.functional.jacobian(residuals, theta)
    dense = jacobian.T @ jacobian / len(trials)
    linear = loop.objective(trials).linearize(theta)
    products = torch.stack([linear.product(e) for e in torch.eye(len(theta), dtype=theta.dtype)])
    torch.testing.assert_close(products, dense, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("delay", [0, 1, 7, 10])
def test_an_impulse_is_seen_after_exactly_the_delay(delay):
    steps, when = 20, 5
    task = CenterOut(plant=PointMass(), directions=1, steps=steps, delay_steps=delay)
    load = torch.zeros(1, steps, 2, dtype=torch.float64)
    load[0, when, 0] = 1.0
    table = CommandTable(trials=1, steps=steps)
    zeros = torch.zeros(table.parameter_count, dtype=torch.float64)
    trials = replace(task.trials(), load=load)
    seen = ClosedLoop(task, table).simulate(zeros, trials).observations[0, :, 2]
    first = int(torch.nonzero(seen)[0]) if seen.any() else None
    assert first == when + 1 + delay  # the load at step 5 shows in the state before step 6
    states = ClosedLoop(task, table).simulate(zeros, trials).states
    assert torch.equal(seen[delay:], states[0, : steps - delay, 2])


def test_loads_and_noise_enter_where_the_equation_says():
    task = CenterOut(plant=PointMass(mass=2.0), directions=4, steps=6)
    trials = noisy(task.trials(), 6)
    table = CommandTable(trials=4, steps=6)
    theta = normal(table.parameter_count)
    got = ClosedLoop(task, table).simulate(theta, trials)
    state, commands = trials.initial_state, theta.view(4, 6, 2)
    for t in range(6):
        torch.testing.assert_close(
            got.observations[:, t], state + trials.sensory_noise[:, t], rtol=0, atol=1e-14
        )
        force = commands[:, t] * (1 + trials.command_noise[:, t])
        force = force + trials.load[:, t] + trials.hand_force[:, t]
        state = torch.cat([state[:, :2] + 0.01 * state[:, 2:], state[:, 2:] + 0.005 * force], dim=1)
        state = state + trials.plant_noise[:, t]
        torch.testing.assert_close(got.states[:, t + 1], state, rtol=0, atol=1e-14)
    assert torch.equal(got.commands, commands)


def test_an_overflowing_simulation_is_worth_infinity():
    loop, theta, trials = small_loop("monkey")
    assert loop.objective(trials).value(1e200 * theta) == float("inf")


def test_float32_agrees_with_float64():
    loop, theta, trials = small_loop(delay=3)
    double = loop.objective(trials).value_and_gradient(theta)
    single = loop.objective(trials.to(dtype=torch.float32)).value_and_gradient(theta.float())
    assert single[0] == pytest.approx(double[0], rel=1e-4)
    torch.testing.assert_close(single[1].double(), double[1], rtol=1e-3, atol=1e-4)


def test_pieces_that_do_not_fit_are_refused():
    task = CenterOut(directions=2)
    with pytest.raises(ValueError, match="must give 2 commands"):
        ClosedLoop(task, ContinuousTimeRNN(command_size=3))
    with pytest.raises(ValueError, match=r"must have the plant's step of 0\.01 s"):
        ClosedLoop(task, ContinuousTimeRNN(dt_s=0.02, time_constant_s=0.02))
    loop = ClosedLoop(task, ContinuousTimeRNN(layers=(3,)))
    theta = loop.controller.initial_parameters(generator())
    with pytest.raises(ValueError, match="must share dtype and device"):
        loop.simulate(theta.float(), task.trials())
    with pytest.raises(ValueError, match="must cover the task's 40 steps"):
        loop.objective(noisy(task.trials(), 39))
