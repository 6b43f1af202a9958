"""Closed loops with networks of any cell: derivatives, Kronecker factors, training, analyses."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from cases import generator, noisy, normal, timed

from neuromotor import ILQR, Budget, CenterOut, ClosedLoop, ContinuousTimeRNN, KroneckerLBFGS, train
from neuromotor.analysis import RecordingError, record
from neuromotor.analysis.fixed_points import network_fixed_points
from neuromotor.analysis.jacobians import jacobian_spectrum
from neuromotor.analysis.lesions import lesion_effect, lesion_subspace, lesion_units
from neuromotor.closed_loop import AutogradObjective
from neuromotor.closed_loop.objective import Place
from neuromotor.controllers import GatedCell, Network, TanhCell
from neuromotor.tasks import QuadraticCost

TASK = CenterOut(directions=3, steps=6, delay_steps=1)
NETWORKS = {
    "gated": Network(layers=(4, 3), cell=GatedCell(), learn_initial_state=True),
    "gated, squashed": Network(layers=(4,), cell=GatedCell(), squash="logistic"),
    "tanh, squashed": Network(layers=(4, 3), cell=TanhCell(leak=0.3), squash="tanh"),
}


def loop_of(net, seed=2):
    theta = net.initial_parameters(generator(1)) + 0.3 * normal(net.parameter_count, seed=seed)
    return ClosedLoop(TASK, net), theta


@pytest.mark.parametrize("fast", [False, None])
@pytest.mark.parametrize("name", NETWORKS)
def test_derivatives_are_those_of_the_losses(name, fast):
    loop, theta = loop_of(NETWORKS[name])
    trials = noisy(TASK.trials(), TASK.steps)
    objective = loop.objective(trials, fast=fast)
    assert isinstance(objective, AutogradObjective) == (fast is False)
    _, gradient = objective.value_and_gradient(theta)
    direction, h = normal(len(theta), seed=3), 1e-5
    ahead, behind = (float(loop.losses(theta + a * direction, trials).mean()) for a in (h, -h))
    assert float(gradient @ direction) == pytest.approx((ahead - behind) / (2 * h), rel=1e-7)


@pytest.mark.parametrize("name", NETWORKS)
def test_products_are_those_of_the_dense_gauss_newton_matrix(name):
    """Its Jacobian is taken by central differences."""
    net = NETWORKS[name]
    loop, theta = loop_of(net)
    trials, h, structural = TASK.trials(), 1e-6, 0.3

    def residuals(at):
        run = loop.simulate(at, trials)
        return TASK.cost.residuals(run.states, run.commands, trials).flatten()

    def damped(at):
        return torch.cat([q.flatten() for q, _ in net.damped(loop.simulate(at, trials).memory)])

    def jacobian(of):
        unit = torch.eye(len(theta), dtype=torch.float64)
        return torch.stack([(of(theta + h * e) - of(theta - h * e)) / (2 * h) for e in unit], 1)

    j, j_damped = jacobian(residuals), jacobian(damped)
    pairs = net.damped(loop.simulate(theta, trials).memory)
    weights = torch.cat([weight.flatten() for _, weight in pairs])
    dense = j.T @ j + structural * j_damped.T @ (weights[:, None] * j_damped)
    vector = normal(len(theta), seed=6)
    found = loop.objective(trials).linearize(theta).product(vector, structural)
    torch.testing.assert_close(found, dense @ vector / len(trials), rtol=1e-6, atol=1e-8)


# ---- Kronecker factors ----


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"skip_inputs": False, "layers": (5, 4, 3)},
        {"learn_initial_state": True, "time_constant_s": 0.03, "private_noise": 0.1},
        {"input_size": 9},
    ],
)
def test_factors_from_the_tape_are_those_of_compiled_loops(options):
    net = ContinuousTimeRNN(**{"layers": (5, 4)} | options)
    loop, theta = loop_of(net)
    trials = noisy(TASK.trials(), TASK.steps, net.noise_size)
    if net.input_size == 9:
        trials = timed(trials, TASK.steps)
    fast, slow = (loop.objective(trials, fast=fast) for fast in (True, False))
    assert fast.readout == slow.readout
    pairs = [(trials, None), (trials.subset(slice(1, 3)), Place(1, 3))]
    for batch, place in pairs:
        one, two = (
            loop.objective(batch, fast=fast).kronecker_factors(theta, generator(4), place)
            for fast in (True, False)
        )
        for ours, theirs in zip(two, one, strict=True):
            assert torch.equal(ours.places, theirs.places)
            torch.testing.assert_close(ours.rows, theirs.rows, rtol=1e-10, atol=1e-12)
            torch.testing.assert_close(ours.columns, theirs.columns, rtol=1e-12, atol=1e-12)


class Doubled(QuadraticCost):
    """Twice the cost, with residuals of its own."""

    def losses(self, states, commands, trials):
        return 2 * super().losses(states, commands, trials)

    def residuals(self, states, commands, trials):
        return 2**0.5 * super().residuals(states, commands, trials)


@dataclass(frozen=True)
class Own(CenterOut):
    @property
    def cost(self):
        plain = super().cost
        return Doubled(plain.state_weights, plain.energy_weight)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", [CenterOut, Own])
def test_factors_are_exact_where_nothing_is_averaged(name, kind):
    """One trial of one step: inputs do not vary, so each block is ``columns x rows`` exactly."""
    net = NETWORKS[name]
    task = kind(directions=1, steps=1)
    _, theta = loop_of(net)
    objective = ClosedLoop(task, net).objective(task.trials())
    linear = objective.linearize(theta)
    identity = torch.eye(len(theta), dtype=torch.float64)
    draws = [objective.kronecker_factors(theta, generator(seed)) for seed in range(400)]
    held = torch.cat([block.places.flatten() for block in draws[0]])
    initial = sum(net.layers) if net.learn_initial_state else 0
    assert len(held.unique()) == len(held) == len(theta) - initial
    for number, block in enumerate(draws[0]):
        rows = torch.stack([draw[number].rows for draw in draws]).mean(0)
        flat = block.places.flatten()
        dense = torch.stack([linear.product(identity[i])[flat] for i in flat])
        found = torch.kron(rows, block.columns)
        assert float((found - dense).norm()) < 0.2 * float(dense.norm()) + 1e-12


def test_a_step_of_ones_own_has_no_factors_and_says_so():
    @dataclass(frozen=True)
    class Louder(ContinuousTimeRNN):
        def step(self, *arguments):
            memory, command = super().step(*arguments)
            return memory, 2 * command

    objective = ClosedLoop(TASK, Louder(layers=(3,))).objective(TASK.trials())
    theta = objective.controller.initial_parameters(generator(1))
    assert objective.readout is None
    with pytest.raises(ValueError, match="Kronecker factors, got a Louder"):
        objective.kronecker_factors(theta, generator(0))
    with (
        pytest.warns(UserWarning, match="`save_controller` will refuse this"),
        pytest.raises(ValueError, match="need an objective that gives factors"),
    ):
        train(TASK, Louder(layers=(3,)), KroneckerLBFGS(), budget=Budget(calls=3))


def test_gated_units_come_near_ilqr():
    task = CenterOut(directions=8)
    best = float(ILQR().solve(task, task.trials()).losses.mean())
    net = Network(layers=(30,), cell=GatedCell())
    result = train(task, net, KroneckerLBFGS(), budget=Budget(calls=200))
    assert best <= result.value < 2 * best  # 300 calls come within 8 %, LBFGS ends at 6 times


# ---- analyses ----


def test_gated_units_are_recorded_and_their_step_is_differentiated():
    net = replace(NETWORKS["gated"], learn_initial_state=False)
    _, theta = loop_of(net)
    recording = record(TASK, net, theta)
    assert recording.sizes["unit"] == 7
    assert np.array_equal(recording["rate"].values, recording["activation"].values)
    found = network_fixed_points(net, theta, recording, starts=4)
    assert found.converged.any()
    point = torch.from_numpy(found.points[0])[None]
    weights = net.unpack(theta)
    given = (recording[name].values[:1] for name in ("observation", "target"))
    seen, goal = (torch.from_numpy(part) for part in given)
    after, _ = net.step(weights, point.split([4, 3], dim=-1), seen[:, -1], goal, 0, None)
    torch.testing.assert_close(torch.cat(after, dim=-1), point, rtol=1e-8, atol=1e-9)
    assert jacobian_spectrum(net, theta, recording).eigenvalues.shape == (1, 5, 7)


def test_silenced_units_of_any_cell_are_read_by_nothing():
    net = NETWORKS["gated"]
    loop, theta = loop_of(net)
    lesioned = lesion_units(net, theta, [1], 0)
    weights, changed = net.unpack(lesioned), net.unpack(lesioned.clone())
    assert bool((weights.layers[0].recurrent[:, 1] == 0).all())
    for row in (1, 5, 9):  # whatever the unit itself does, the others do not notice
        changed.layers[0].bias[row] += 5.0
    perturbed = torch.cat(
        [part.flatten() for layer in changed.layers for part in layer]
        + [changed.output.flatten(), changed.output_bias]
    )
    one, two = (loop.simulate(at, TASK.trials()) for at in (lesioned, perturbed))
    torch.testing.assert_close(one.commands, two.commands, rtol=0, atol=0)
    assert not torch.equal(one.memory[0], two.memory[0])
    assert lesion_effect(TASK, net, theta, [1], 0, surrogates=1).lesioned["loss"] > 0
    with pytest.raises(ValueError, match="must have tanh cells for a lesion of a subspace"):
        lesion_subspace(net, theta, normal(4, 1), 0)


def test_units_that_remember_more_are_recorded_by_their_rates():
    class Slow(TanhCell):
        memory = 2

        def step(self, products, before, inputs, noise):
            activation, trace = before.chunk(2, dim=-1)
            drive = products(slice(0, 1), inputs, torch.tanh(activation)) - trace
            return torch.cat([drive, 0.5 * (trace + torch.tanh(drive))], dim=-1)

        def rates(self, memory):
            return torch.tanh(memory.chunk(2, dim=-1)[0])

        def damped(self, memory):
            return ((memory, torch.ones_like(memory)),)

    net = Network(layers=(4, 3), cell=Slow())
    loop, theta = loop_of(net)
    recording = record(TASK, net, theta)
    rates = net.rates(loop.simulate(theta, TASK.trials()).memory)
    np.testing.assert_array_equal(recording["rate"].values, torch.cat(rates, dim=-1).numpy())
    assert "activation" not in recording
    assert list(recording["layer"].values) == ["layer 1"] * 4 + ["layer 2"] * 3
    with pytest.raises(RecordingError, match="activation"):
        network_fixed_points(net, theta, recording)
    blocks = loop.objective(TASK.trials()).kronecker_factors(theta, generator(0))
    assert [block.places.shape for block in blocks] == [(4, 13), (3, 16), (2, 4)]
