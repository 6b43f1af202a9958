"""Penalties on a network: values, gradients and products against residuals written out."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from cases import generator, noisy, normal

from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.compiled.objective import CompiledObjective
from neuromotor.controllers import (
    CommandTable,
    ConstrainedNetwork,
    GatedCell,
    LeakyCell,
    Network,
    TanhCell,
)
from neuromotor.plants import MuscleArm
from neuromotor.tasks import CenterOut, Penalties, Penalty, Tracking

STEPS, TRIALS = 8, 3
ALL = Penalties(
    (
        Penalty("rates", 0.3, start_s=0.02),
        Penalty("rates", 2.0, start_s=0.01, end_s=0.03),
        Penalty("rate_changes", 0.004, end_s=0.06),
        Penalty("dynamics", 0.7, start_s=0.03, end_s=0.07),
        Penalty("weights", 0.02),
    )
)
NETWORKS = {
    "tanh": Network(layers=(5, 4), cell=TanhCell(0.6), learn_initial_state=True),
    "leak on the rate": Network(
        layers=(4, 3),
        cell=LeakyCell(leak=(0.5,), leak_on="rate", noise_on="rate"),
        private_noise=0.2,
        skip_inputs=False,
    ),
    "logistic": Network(layers=(4,), cell=LeakyCell(("logistic",), leak_on="rate")),
    "mixed": Network(layers=(5,), cell=LeakyCell(("tanh", "rectified"))),
    "signs fixed": ConstrainedNetwork(layers=(5,), density=0.5),
}


def made(network, penalties=ALL, trials=TRIALS):
    task = CenterOut(directions=trials, steps=STEPS, delay_steps=2, penalties=penalties)
    net = NETWORKS[network]
    theta = net.initial_parameters(generator(1)) + 0.2 * normal(net.parameter_count, seed=4)
    return ClosedLoop(task, net), theta, noisy(task.trials(), STEPS, units=net.noise_size)


def slopes(cell, rates):
    kinds = {
        "tanh": 1 - rates.square(),
        "logistic": rates * (1 - rates),
        "rectified": (rates > 0).double(),
    }
    names = getattr(cell, "nonlinearity", ("tanh",))
    return torch.stack([kinds[names[j % len(names)]][..., j] for j in range(rates.shape[-1])], -1)


def residuals(loop, theta, trials, only=None):
    """All residuals r of the mean loss, ``|r|^2 / (2 B)``, with every number of them written out.

    The weights of the windows are those of `ALL`, step by step, at steps of 10 ms.
    """
    dt, net = 0.01, loop.controller
    rates_weight = torch.tensor([0, 2, 2.3, 0.3, 0.3, 0.3, 0.3, 0.3], dtype=torch.float64)
    changes_weight = torch.tensor([0.004] * 6 + [0] * 2, dtype=torch.float64)
    dynamics_weight = torch.tensor([0] * 3 + [0.7] * 4 + [0], dtype=torch.float64)
    run, weights = loop.simulate(theta, trials), net.unpack(theta)
    parts = [loop.task.cost.residuals(run.states, run.commands, trials).flatten()]
    kinds = {kind: [] for kind in ("rates", "rate_changes", "dynamics", "weights")}
    for layer, memory in zip(weights.layers, run.memory, strict=True):
        h = net.cell.rates(memory)  # (B, T, units)
        kinds["rates"].append((rates_weight * dt).sqrt()[:, None] * h)
        change = (h[:, 1:] - h[:, :-1]) / dt
        kinds["rate_changes"].append((changes_weight[1:] * dt).sqrt()[:, None] * change)
        each = layer.recurrent * slopes(net.cell, h)[:, :, None, :]  # (B, T, i, j)
        kinds["dynamics"].append((dynamics_weight * dt).sqrt()[:, None, None] * each)
        for matrix in (layer.feedforward, layer.recurrent):
            kinds["weights"].append(math.sqrt(0.02 * len(trials)) * matrix)
    kinds["weights"].append(math.sqrt(0.02 * len(trials)) * weights.output)
    for kind, found in kinds.items():
        if only is None or kind in only:
            parts += [one.flatten() for one in found]
    return torch.cat(parts)


def relative(one, two):
    return float((one - two).norm() / two.norm())


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("network", NETWORKS)
def test_value_gradient_and_product_are_those_of_the_residuals(network, fast):
    loop, theta, trials = made(network)
    if fast and loop.why_not_compiled(trials) is not None:
        pytest.skip("has no compiled pieces")
    objective = loop.objective(trials, fast=fast)
    assert isinstance(objective, CompiledObjective) == fast
    own = theta.clone().requires_grad_(True)
    r = residuals(loop, own, trials)
    wanted = r.square().sum() / (2 * TRIALS)
    (gradient,) = torch.autograd.grad(wanted, own)
    wanted = wanted.detach()
    jacobian = torch.autograd.functional.jacobian(lambda p: residuals(loop, p, trials), theta)
    assert objective.value(theta) == pytest.approx(float(wanted), rel=1e-10)
    value, found = objective.value_and_gradient(theta)
    assert value == pytest.approx(float(wanted), rel=1e-10)
    assert relative(found, gradient) < 1e-9
    model, vector = objective.linearize(theta), normal(len(theta), seed=9)
    assert model.value == pytest.approx(float(wanted), rel=1e-10)
    assert relative(model.gradient, gradient) < 1e-9
    product = jacobian.T @ (jacobian @ vector) / TRIALS
    assert relative(model.product(vector), product) < 1e-9


def test_blocks_of_many_trials_add_up():
    loop, theta, trials = made("leak on the rate", trials=200)
    fast, slow = loop.objective(trials, fast=True), loop.objective(trials, fast=False)
    value, gradient = slow.value_and_gradient(theta)
    assert fast.value_and_gradient(theta)[0] == pytest.approx(value, rel=1e-10)
    assert relative(fast.value_and_gradient(theta)[1], gradient) < 1e-9
    vector = normal(len(theta), seed=9)
    wanted = slow.linearize(theta).product(vector)
    assert relative(fast.linearize(theta).product(vector), wanted) < 1e-9


@pytest.mark.parametrize("network", ["tanh", "leak on the rate"])
def test_kronecker_factors_are_the_same_both_ways(network):
    loop, theta, trials = made(network)
    two = [
        loop.objective(trials, fast=fast).kronecker_factors(theta, generator(3))
        for fast in (True, False)
    ]
    for one, other in zip(*two, strict=True):
        assert relative(one.rows, other.rows) < 1e-9
        assert relative(one.columns, other.columns) < 1e-9


def test_the_mean_of_many_kronecker_draws_is_the_gauss_newton_block_of_the_readout():
    """Rates of the last layer: the rows of the layer's own block are its mean squared pulls."""
    only = Penalties((Penalty("rates", 50.0),))
    loop, theta, trials = made("logistic", only)
    factors = [
        loop.objective(trials).kronecker_factors(theta, generator(seed))[0] for seed in range(400)
    ]
    found = torch.stack([one.rows for one in factors]).mean(0)
    free, own = trials, theta.clone()
    drives = torch.zeros(TRIALS, STEPS, 4, dtype=torch.float64, requires_grad=True)
    net = loop.controller
    shifted = replace(free, unit_noise=None)
    noise_net = replace(net, private_noise=1.0)
    shifted = replace(shifted, unit_noise=drives)
    task = replace(loop.task)
    run = ClosedLoop(task, noise_net).simulate(own, shifted)
    h = net.cell.rates(run.memory[0])
    parts = [task.cost.residuals(run.states, run.commands, shifted).flatten()]
    parts.append((math.sqrt(50.0 * 0.01) * h).flatten())
    every = torch.cat(parts)
    rows = torch.zeros(4, 4, dtype=torch.float64)
    for one in every:
        (pull,) = torch.autograd.grad(one, drives, retain_graph=True)
        flat = pull.reshape(-1, 4)
        rows += flat.T @ flat / TRIALS
    assert relative(found, rows) < 0.1


def test_each_kind_is_reported_and_adds_up_to_the_training_loss():
    loop, theta, trials = made("tanh")
    parts = loop.penalties(theta, trials)
    assert list(parts) == ["rates", "rate_changes", "dynamics", "weights"]
    for kind, part in parts.items():
        with_it = residuals(loop, theta, trials, only=(kind,)).square().sum()
        without = residuals(loop, theta, trials, only=()).square().sum()
        assert float(part.mean()) == pytest.approx(float(with_it - without) / (2 * TRIALS))
    whole = loop.losses(theta, trials).mean() + sum(one.mean() for one in parts.values())
    assert loop.objective(trials).value(theta) == pytest.approx(float(whole))


def test_muscles_are_part_of_the_trials_cost_within_their_window():
    plain = CenterOut(plant=MuscleArm(), directions=2, steps=6)
    task = replace(plain, penalties=Penalties((Penalty("muscles", 3.0, 0.01, 0.04),)))
    trials, commands = task.trials(), normal(2, 6, 6, seed=2).abs()
    states = [trials.initial_state]
    for t in range(6):
        states.append(task.plant.step(states[-1], commands[:, t]))
    states = torch.stack(states, 1)
    activity = states[:, 2:5, 4:].square().sum((1, 2))  # after steps 1, 2 and 3
    more = task.cost.losses(states, commands, trials) - plain.cost.losses(states, commands, trials)
    torch.testing.assert_close(more, 0.5 * 3.0 * 0.01 * activity)
    moving = Tracking(reach=replace(task, steps=100))
    assert float(moving.cost.state_weights[:, 4:].sum()) == pytest.approx(3.0 * 0.01 * 3 * 6)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Penalty("rate", 1.0), "did you mean 'rates'"),
        (lambda: Penalty("rates", -1.0), "0 or more"),
        (lambda: Penalty("rates", 1.0, start_s=0.2, end_s=0.1), "after `start_s`"),
        (lambda: Penalty("weights", 1.0, start_s=0.2), "have no time"),
        (lambda: CenterOut(penalties=Penalties((Penalty("rates", 1.0, 0.005),))), "whole number"),
        (lambda: CenterOut(penalties=Penalties((Penalty("rates", 1.0, end_s=9.0),))), "within the"),
        (lambda: CenterOut(penalties=Penalties((Penalty("muscles", 1.0),))), "with muscles"),
    ],
)
def test_what_cannot_be_is_refused(make, word):
    with pytest.raises(ValueError, match=word):
        make()


def test_controllers_without_rates_or_slopes_are_refused():
    task = CenterOut(directions=2, steps=6, penalties=Penalties((Penalty("dynamics", 1.0),)))
    table = CommandTable(trials=2, steps=6)
    with pytest.raises(ValueError, match="network of cells"):
        ClosedLoop(task, table).objective(task.trials())
    with pytest.raises(ValueError, match="`slopes`"):
        ClosedLoop(task, Network(layers=(4,), cell=GatedCell())).objective(task.trials())
