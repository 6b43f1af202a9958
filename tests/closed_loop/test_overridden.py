"""What a subclass overrides is what counts: in the objective, its products, damping and records."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from cases import Hold, generator, normal

from neuromotor import (
    ILQG,
    ILQR,
    LBFGS,
    Budget,
    CenterOut,
    ClosedLoop,
    CommandTable,
    ContinuousTimeRNN,
    HessianFree,
    PointMass,
    train,
)
from neuromotor.analysis import RecordingError, record
from neuromotor.analysis.lesions import lesion_units
from neuromotor.closed_loop import AutogradObjective
from neuromotor.closed_loop.compiled.objective import CompiledObjective
from neuromotor.control import LinearFeedback, OnlineTrajectoryOptimization
from neuromotor.envs import MotorEnv, MotorVectorEnv, rollout
from neuromotor.plants import Euler, TwoJointArm
from neuromotor.tasks import QuadraticCost

UNREGISTERED = "ignore:`save_controller` will refuse this:UserWarning"  # classes of these tests
TASK = CenterOut(plant=PointMass(mass=0.7, damping=0.4), directions=3, steps=6, delay_steps=1)


@dataclass(frozen=True)
class ReluNetwork(ContinuousTimeRNN):
    """One layer of rectified units."""

    def step(self, weights, memory, observation, target, t, noise):
        (layer,), (before,) = weights.layers, memory
        outside = torch.cat([observation, target], dim=-1)
        drive = outside @ layer.feedforward.T + torch.relu(before) @ layer.recurrent.T + layer.bias
        return (drive,), torch.relu(drive) @ weights.output.T + weights.output_bias


class ToldReluNetwork(ReluNetwork):
    """The same, which says what its rates are and what structural damping holds back."""

    def rates(self, memory):
        return tuple(torch.relu(v) for v in memory)

    def damped(self, memory):
        return tuple((2 * v, 0.5 + torch.sigmoid(v)) for v in memory)


class SignedNetwork(ContinuousTimeRNN):
    """Recurrent weights of one sign."""

    def unpack(self, parameters):
        weights = super().unpack(parameters)
        layers = tuple(layer._replace(recurrent=layer.recurrent.abs()) for layer in weights.layers)
        return weights._replace(layers=layers)


def relu_losses_in_numpy(theta):
    """The loop of `ReluNetwork` with 5 units and `TASK`, written out; rates too."""
    plant, trials = TASK.plant, TASK.trials()
    w_in, w_rec, b, w_out, b_out = np.split(theta.numpy(), np.cumsum([40, 25, 5, 10]))
    w_in, w_rec, w_out = w_in.reshape(5, 8), w_rec.reshape(5, 5), w_out.reshape(2, 5)
    x, goal = trials.initial_state.numpy(), trials.target.numpy()
    past, v, cost, rates = [x, x], np.zeros((3, 5)), 0.0, []
    for _ in range(TASK.steps):
        seen = np.concatenate([past[-2], goal], axis=1)
        v = seen @ w_in.T + np.maximum(v, 0) @ w_rec.T + b
        rates.append(np.maximum(v, 0))
        u = rates[-1] @ w_out.T + b_out
        cost = cost + 0.5 * TASK.energy_weight * plant.dt_s * (u**2).sum(1)
        speed = x[:, 2:] + plant.dt_s * (u - plant.damping * x[:, 2:]) / plant.mass
        x = np.concatenate([x[:, :2] + plant.dt_s * x[:, 2:], speed], axis=1)
        past.append(x)
    return cost + 0.5 * ((x - goal) ** 2).sum(1), np.stack(rates, axis=1)


def test_an_overridden_step_is_what_trains():
    net = ReluNetwork(layers=(5,))
    theta = net.initial_parameters(generator(1)) + 0.3 * normal(net.parameter_count, seed=2)
    loop, trials = ClosedLoop(TASK, net), TASK.trials()
    objective = loop.objective(trials)
    expected, _ = relu_losses_in_numpy(theta)
    value, gradient = objective.value_and_gradient(theta)
    assert value == objective.value(theta) == pytest.approx(expected.mean(), rel=1e-12)
    tanh = ClosedLoop(TASK, ContinuousTimeRNN(layers=(5,))).objective(trials)
    assert abs(tanh.value(theta) - value) > 1e-3 * value
    direction, h = normal(len(theta), seed=3), 1e-6
    ahead, behind = (relu_losses_in_numpy(theta + a * direction)[0].mean() for a in (h, -h))
    assert float(gradient @ direction) == pytest.approx((ahead - behind) / (2 * h), rel=1e-5)
    with pytest.raises(ValueError, match=r"compiled: the controller \(ReluNetwork\) may override"):
        loop.objective(trials, fast=True)


def test_overridden_weights_are_what_trains():
    net, parent = SignedNetwork(layers=(5,)), ContinuousTimeRNN(layers=(5,))
    theta = net.initial_parameters(generator(1)) + 0.3 * normal(net.parameter_count, seed=2)
    positive = theta.clone()
    positive[40:65] = positive[40:65].abs()  # the recurrent weights
    trials = TASK.trials()
    ours = ClosedLoop(TASK, net).objective(trials)
    theirs = ClosedLoop(TASK, parent).objective(trials)
    assert ours.value(theta) == pytest.approx(theirs.value(positive), rel=1e-12)
    assert abs(theirs.value(theta) - theirs.value(positive)) > 1e-3 * theirs.value(positive)
    with pytest.raises(ValueError, match="got a SignedNetwork"):
        lesion_units(net, theta, [0], 0)


def test_a_subclass_may_say_that_nothing_has_changed():
    class Named(ContinuousTimeRNN):
        follows_equations = True

    assert isinstance(ClosedLoop(TASK, Named()).objective(TASK.trials()), CompiledObjective)
    assert isinstance(ClosedLoop(TASK, SignedNetwork()).objective(TASK.trials()), AutogradObjective)


def test_rates_are_the_controllers_own():
    net = ToldReluNetwork(layers=(5,))
    theta = net.initial_parameters(generator(1)) + 0.3 * normal(net.parameter_count, seed=2)
    recording = record(TASK, net, theta)
    _, rates = relu_losses_in_numpy(theta)
    np.testing.assert_allclose(recording["rate"].values, rates, rtol=1e-12, atol=1e-12)
    assert recording["activation"].values.min() < 0
    with pytest.raises(RecordingError, match="ReluNetwork whose class defines `step`"):
        record(TASK, ReluNetwork(layers=(5,)), theta)
    plain = ContinuousTimeRNN(layers=(5,))
    recording = record(TASK, plain, theta)
    np.testing.assert_allclose(
        recording["rate"].values, np.tanh(recording["activation"].values), rtol=1e-12
    )


def test_structural_damping_weights_what_the_controller_declares():
    net, trials, structural = ToldReluNetwork(layers=(4,)), TASK.trials(), 0.3
    theta = net.initial_parameters(generator(1)) + 0.3 * normal(net.parameter_count, seed=2)
    loop = ClosedLoop(TASK, net)
    linear = loop.objective(trials).linearize(theta)
    memory = loop.simulate(theta, trials).memory[0]
    jacobian = torch.autograd.functional.jacobian(
        lambda x: 2 * loop.simulate(x, trials).memory[0].flatten(), theta
    )
    vector = normal(len(theta), seed=5)
    weights = structural * (0.5 + torch.sigmoid(memory)).flatten()
    expected = jacobian.T @ (weights * (jacobian @ vector)) / len(trials)
    found = linear.product(vector, structural) - linear.product(vector)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings(UNREGISTERED)
@pytest.mark.parametrize(
    "controller",
    [
        CommandTable(trials=3, steps=6),
        LinearFeedback(trials=3, steps=6, delay_steps=1),
        ReluNetwork(layers=(4,)),
    ],
)
def test_structural_damping_of_nothing_is_refused(controller):
    theta = controller.initial_parameters(generator(1))
    name = type(controller).__name__
    with pytest.raises(ValueError, match=f"`structural` must be 0 for a {name}"):
        train(TASK, controller, HessianFree(structural=0.1), parameters=theta)


# ---- costs ----


class Doubled(QuadraticCost):
    """Twice the cost."""

    def losses(self, states, commands, trials):
        return 2 * super().losses(states, commands, trials)

    def residuals(self, states, commands, trials):
        return 2**0.5 * super().residuals(states, commands, trials)


class LossesAlone(QuadraticCost):
    """Something that is no sum of squares."""

    def losses(self, states, commands, trials):
        return super().losses(states, commands, trials) + 0.1 * commands.abs().sum((-2, -1))


class ResidualsAlone(QuadraticCost):
    def residuals(self, states, commands, trials):
        return 2 * super().residuals(states, commands, trials)


@dataclass(frozen=True)
class Own(CenterOut):
    """Reaches with a cost of one's own."""

    kind: type = Doubled

    @property
    def cost(self):
        plain = super().cost
        return self.kind(plain.state_weights, plain.energy_weight)


def own(kind):
    return Own(plant=TASK.plant, directions=3, steps=6, delay_steps=1, kind=kind)


def test_an_overridden_cost_is_what_trains():
    net = ContinuousTimeRNN(layers=(5,))
    theta = net.initial_parameters(generator(1)) + 0.3 * normal(net.parameter_count, seed=2)
    trials = TASK.trials()
    plain = ClosedLoop(TASK, net).objective(trials)
    twice = ClosedLoop(own(Doubled), net).objective(trials)
    value, gradient = plain.value_and_gradient(theta)
    assert twice.value(theta) == pytest.approx(2 * value, rel=1e-12)
    torch.testing.assert_close(twice.value_and_gradient(theta)[1], 2 * gradient)
    linear, vector = twice.linearize(theta), normal(len(theta), seed=5)
    assert linear.value == pytest.approx(2 * value, rel=1e-12)
    torch.testing.assert_close(linear.gradient, 2 * gradient)
    torch.testing.assert_close(linear.product(vector), 2 * plain.linearize(theta).product(vector))


@pytest.mark.filterwarnings(UNREGISTERED)
def test_losses_and_residuals_that_contradict_each_other_are_refused():
    net = ContinuousTimeRNN(layers=(5,))
    task = own(LossesAlone)
    result = train(task, net, LBFGS(), budget=Budget(calls=5))
    run = ClosedLoop(TASK, net).simulate(result.parameters, task.trials())
    expected = TASK.cost.losses(run.states, run.commands, task.trials()).mean()
    expected = expected + 0.1 * run.commands.abs().sum((-2, -1)).mean()
    assert result.value == pytest.approx(float(expected), rel=1e-12)
    with pytest.raises(ValueError, match=r"half squared norm is its loss.*LossesAlone"):
        train(task, net, HessianFree(), budget=Budget(calls=5))
    with pytest.raises(ValueError, match="ResidualsAlone that overrides `residuals` alone"):
        train(own(ResidualsAlone), net, LBFGS(), budget=Budget(calls=5))


@pytest.mark.parametrize(
    "use",
    [
        lambda task: OnlineTrajectoryOptimization(task),
        lambda task: MotorEnv(task),
        lambda task: MotorVectorEnv(2, task),
        lambda task: rollout(torch.nn.Linear(8, 2), task, task.trials()),
    ],
)
def test_what_goes_by_the_weights_refuses_another_cost_by_name(use):
    with pytest.raises(ValueError, match=r"must be a plain QuadraticCost for .* got a Doubled"):
        use(own(Doubled))


def test_solvers_refuse_a_cost_that_does_not_say_what_it_is_to_second_order():
    for use in (ILQR().solve, ILQG().design):
        with pytest.raises(ValueError, match=r"second order for iLQR, got a Doubled.*`expansion`"):
            use(own(Doubled), TASK.trials())


# ---- plants ----


@dataclass(frozen=True)
class WeakArm(TwoJointArm):
    """An arm whose muscles give half of what they are asked for."""

    def step(self, state, torque, load=None, hand_force=None):
        return super().step(state, 0.5 * torque, load, hand_force)


def test_an_overridden_plant_is_what_moves():
    task = CenterOut(directions=3, steps=6, energy_weight=0.0)
    weak = replace(task, plant=WeakArm())
    net, trials = ContinuousTimeRNN(layers=(5,)), task.trials()
    theta = net.initial_parameters(generator(1)) + 0.3 * normal(net.parameter_count, seed=2)
    halved = theta.clone()
    halved[-12:] *= 0.5  # the readout
    found = ClosedLoop(weak, net).objective(trials).value(theta)
    assert found == pytest.approx(ClosedLoop(task, net).objective(trials).value(halved), rel=1e-10)
    one, two = MotorEnv(weak), MotorEnv(task)
    start = one.reset(seed=1)[0]
    assert np.array_equal(start, two.reset(seed=1)[0])
    action = np.array([0.5, -0.25], dtype=np.float32)
    for _ in range(3):
        ours, theirs = one.step(action)[0], two.step(0.5 * action)[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert not np.allclose(ours, start)


@dataclass(frozen=True)
class Halving(Euler):
    """Euler steps of half the length."""

    def step(self, derivative, state, dt_s):
        return super().step(derivative, state, 0.5 * dt_s)


@pytest.mark.parametrize(
    "plant", [TwoJointArm(integrator=Halving()), PointMass(integrator=Halving())]
)
def test_an_overridden_integrator_is_what_moves(plant):
    task = Hold(plant, steps=4)
    trials = replace(task.trials(), initial_state=task.trials().initial_state + 0.3)
    net = ContinuousTimeRNN(layers=(5,))
    theta = net.initial_parameters(generator(1)) + 0.3 * normal(net.parameter_count, seed=2)
    loop = ClosedLoop(task, net)
    run = loop.simulate(theta, trials)
    expected = float(task.cost.losses(run.states, run.commands, trials).mean())
    assert loop.objective(trials).value(theta) == pytest.approx(expected, rel=1e-12)
    returns = rollout(
        lambda seen: run.commands[:, 0], task, trials, normalized=False, command_limit=1e9
    ).states[:, 1]
    torch.testing.assert_close(returns, run.states[:, 1], rtol=1e-10, atol=1e-12)
