"""The closed loop's order of events; its derivatives against finite differences and dense ones."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from cases import PLANTS, generator, noisy, normal

from neuromotor.closed_loop import AutogradObjective, ClosedLoop
from neuromotor.closed_loop.compiled.objective import CompiledObjective
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


def small_loop(plant="monkey-published", network="two layers", delay=0, steps=12, layers=None):
    task = CenterOut(plant=PLANTS[plant], directions=3, steps=steps, delay_steps=delay)
    net = NETWORKS[network]
    net = replace(net, layers=layers) if layers else net
    trials = noisy(task.trials(), steps, units=net.noise_size)
    theta = net.initial_parameters(generator(1)) + 0.05 * normal(net.parameter_count, seed=4)
    if plant == "monkey":
        theta = 0.05 * theta  # this light arm flies off under full-size torques
    return ClosedLoop(task, net), theta, trials


CASES = [(plant, "two layers", 2) for plant in PLANTS]
CASES += [("monkey-published", network, 0) for network in NETWORKS]


@pytest.mark.parametrize("fast", [False, None])
@pytest.mark.parametrize(("plant", "network", "delay"), CASES)
def test_gradient_and_product_against_finite_differences(plant, network, delay, fast):
    loop, theta, trials = small_loop(plant, network, delay)
    objective = loop.objective(trials, fast=fast)
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
        return loop.task.cost.residuals(trajectory.states, trajectory.commands, trials)

    tangent = change(residuals)
    linear = objective.linearize(theta)
    product = linear.product(direction)
    curvature = float(tangent.square().sum()) / len(trials)
    assert float(direction @ product) == pytest.approx(curvature, rel=1e-6)
    torch.testing.assert_close(linear.gradient, gradient, rtol=1e-10, atol=1e-14)
    assert linear.value == pytest.approx(value, rel=1e-12)


def dense_jacobian(function, theta):
    return torch.autograd.functional.jacobian(lambda x: function(x).flatten(), theta)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("structural", [0.0, 0.3])
def test_product_equals_the_dense_gauss_newton_matrix(fast, structural):
    loop, theta, trials = small_loop(delay=1, steps=5, layers=(3, 2))

    def residuals(parameters):
        trajectory = loop.simulate(parameters, trials)
        return loop.task.cost.residuals(trajectory.states, trajectory.commands, trials)

    jacobian = dense_jacobian(residuals, theta)
    dense = jacobian.T @ jacobian
    if structural:  # lambda mu times J_v^T (1 - h^2) J_v, summed over units, steps and trials
        for layer in range(2):
            activation = loop.simulate(theta, trials).memory[layer]
            jacobian = dense_jacobian(lambda x, i=layer: loop.simulate(x, trials).memory[i], theta)
            weight = structural * (1 - torch.tanh(activation).square()).flatten()
            dense = dense + jacobian.T @ (weight[:, None] * jacobian)
    dense = dense / len(trials)
    linear = loop.objective(trials, fast=fast).linearize(theta)
    identity = torch.eye(len(theta), dtype=theta.dtype)
    products = torch.stack([linear.product(e, structural) for e in identity])
    torch.testing.assert_close(products, dense, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(products, products.T, rtol=1e-9, atol=1e-13)
    smallest = torch.linalg.eigvalsh(0.5 * (products + products.T)).min()
    assert smallest > -1e-12 * products.abs().max()


def relative(one, two):
    return float((one - two).norm() / two.norm())


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("delay", [0, 1, 3, 11])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("plant", [name for name in PLANTS if name != "limited"])
def test_compiled_loops_equal_autograd(plant, network, delay, noise):
    loop, theta, trials = small_loop(plant, network, delay)
    if not noise:
        trials = replace(loop.task.trials(), unit_noise=trials.unit_noise, load=trials.load)
    slow, fast = loop.objective(trials, fast=False), loop.objective(trials)
    assert isinstance(fast, CompiledObjective)
    value, gradient = slow.value_and_gradient(theta)
    assert fast.value(theta) == pytest.approx(value, rel=1e-10)
    fast_value, fast_gradient = fast.value_and_gradient(theta)
    assert fast_value == pytest.approx(value, rel=1e-10)
    assert relative(fast_gradient, gradient) < 1e-10
    direction = normal(len(theta), seed=9)
    one, two = fast.linearize(theta), slow.linearize(theta)
    assert one.value == pytest.approx(value, rel=1e-10)
    assert relative(one.gradient, gradient) < 1e-10
    for structural in (0.0, 0.5):
        expected = two.product(direction, structural)
        assert relative(one.product(direction, structural), expected) < 1e-10


def test_buffers_that_are_used_again_change_nothing():
    loop, theta, trials = small_loop(delay=2)
    objective = loop.objective(trials)
    linear = objective.linearize(theta)
    direction = normal(len(theta))
    first = objective.value_and_gradient(theta)[1], linear.product(direction, 0.1)
    other = objective.linearize(2 * theta)
    other.product(theta, 0.2)
    objective.value_and_gradient(-theta)
    again = objective.value_and_gradient(theta)[1], linear.product(direction, 0.1)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])


@pytest.mark.parametrize(
    ("plant", "controller", "reason"),
    [
        ("monkey", CommandTable(trials=2, steps=40), "CommandTable"),
        ("limited", NETWORKS["two layers"], "no functions on components"),
    ],
)
def test_what_cannot_run_compiled_goes_by_autograd_and_says_why(plant, controller, reason):
    task = CenterOut(plant=PLANTS[plant], directions=2)
    loop = ClosedLoop(task, controller)
    assert isinstance(loop.objective(task.trials()), AutogradObjective)
    assert reason in loop.why_not_compiled()
    with pytest.raises(ValueError, match=f"`fast` must be left out or False .*{reason}"):
        loop.objective(task.trials(), fast=True)


MEMORY = r"""
import re, torch
from neuromotor import CenterOut, ClosedLoop, ContinuousTimeRNN
torch.set_num_threads(1)
def peak(batch):
    task, net = CenterOut(directions=batch, steps=100), ContinuousTimeRNN()
    theta = net.initial_parameters(torch.Generator().manual_seed(0))
    objective = ClosedLoop(task, net).objective(task.trials())
    objective.linearize(theta).product(theta)
    # Not getrusage: its peak is inherited from the process that started this one.
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
small, middle, large = peak(200), peak(600), peak(1000)
activations = 400 * 100 * 200 * 8
print((middle - small) / activations, (large - middle) / activations)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_grows_by_at_most_three_times_the_activations():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    first, second = map(float, done.stdout.split())
    assert first <= 3.0
    assert second <= 3.0


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
    for batch in (trials, loop.task.trials()):
        for fast in (False, True):
            objective = loop.objective(batch, fast=fast)
            assert objective.value(1e200 * theta) == float("inf")
            assert objective.value_and_gradient(1e200 * theta)[0] == float("inf")
            assert objective.linearize(1e200 * theta).value == float("inf")


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
