"""The loss expected over noise, against runs with draws, finite differences, and autograd."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import generator, normal

from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.compiled.expected import CompiledExpected
from neuromotor.closed_loop.expected import ExpectedObjective, noise_variances
from neuromotor.control import ILQG, Uncertainty
from neuromotor.controllers import ContinuousTimeRNN, GatedCell, Network
from neuromotor.optim import Adam, Budget
from neuromotor.plants import PointMass
from neuromotor.runs.settings import SettingsError, resolve
from neuromotor.tasks import DDN, CenterOut, Penalties, Penalty
from neuromotor.training.single import train
from neuromotor.zoo.saved_controller import load_controller

SMALL = DDN(pairs=20, steps=12, delay_steps=3)
NETWORKS = {
    "tanh": ContinuousTimeRNN(layers=(6, 5)),
    "gated": Network(cell=GatedCell(), layers=(6, 4), learn_initial_state=True, squash="tanh"),
    "reset after": Network(cell=GatedCell(reset_after=True), layers=(6, 4)),
    "told its commands": Network(cell=GatedCell(), layers=(6, 4), efference_copies=4),
}


def test_on_a_linear_loop_it_is_the_mean_of_runs():
    """With L quadratic in the draws, the mean of L(e) + L(-e) - 2 L(0) over draws e is exact."""
    task = CenterOut(plant=PointMass(), directions=1, steps=6, delay_steps=2)
    trials = task.trials()
    variances = {"plant_noise": torch.tensor([1e-4, 2e-4, 3e-3, 1e-3], dtype=torch.float64)}
    uncertainty = Uncertainty(plant_noise=(0.01, 0.01, 0.05, 0.03))
    design = ILQG(extended=False).design(task, trials, uncertainty)
    loop = ClosedLoop(task, design.controller)
    quiet = float(loop.losses(design.parameters, trials).mean())
    deviations = variances["plant_noise"].sqrt()
    mean = quiet
    for t in range(task.steps):
        for i in range(4):
            draws = torch.zeros(1, task.steps, 4, dtype=torch.float64)
            draws[0, t, i] = deviations[i]
            for sign in (1, -1):
                noisy = replace(trials, plant_noise=sign * draws)
                mean += 0.5 * (float(loop.losses(design.parameters, noisy).mean()) - quiet)
    zeros = torch.zeros(1, task.steps, 4, dtype=torch.float64)
    expected = loop.expected(replace(trials, plant_noise=zeros), variances, probes=0)
    assert expected.parts(design.parameters)[0] == pytest.approx(quiet, rel=1e-12)
    assert mean > 1.1 * quiet
    assert expected.value(design.parameters) == pytest.approx(mean, rel=1e-9)


def test_on_a_linear_loop_noise_of_commands_costs_what_lqg_says():
    """Answers to noise are noisy too: exactly, on average over the draws of the answers."""
    task = CenterOut(plant=PointMass(), directions=1, steps=8, delay_steps=1, energy_weight=1e-3)
    trials, count, noise = task.trials(), 60, 0.5
    design = ILQG(extended=False).design(task, trials, Uncertainty(command_noise=noise))
    found, quiet = [], 0.0
    for k in range(count):
        draws = noise * normal(1, task.steps, 2, seed=100 + k)
        noisy = replace(trials, command_noise=draws)
        variances = {"command_noise": torch.full((2,), noise**2, dtype=torch.float64)}
        loop = ClosedLoop(task, design.controller)
        quiet, added = loop.expected(noisy, variances, probes=0).parts(design.parameters)
        found.append(added)
    added = torch.tensor(found)
    error = float(added.std()) / count**0.5
    assert abs(quiet + float(added.mean()) - design.predicted) < 3 * error
    assert float(added.mean()) > 10 * error


def test_on_ddn_it_is_the_mean_of_runs():
    """Draws of opposite sign cancel the first order, so that the mean of runs is sharp."""
    saved = load_controller("ddn/best")
    task = replace(saved.task, pairs=20, noise=0.02)
    trials = task.trials(generator(3))
    loop, theta = ClosedLoop(task, saved.controller), saved.parameters
    variances = {"command_noise": torch.full((2,), 0.02**2, dtype=torch.float64)}
    quiet, added = loop.expected(trials, variances, probes=16).parts(theta)
    many = trials.subset(torch.arange(20).repeat(50))
    draws = 0.02 * normal(1000, task.steps, 2, seed=4)
    both = [
        loop.objective(replace(many, command_noise=sign * draws)).value(theta) for sign in (1, -1)
    ]
    assert sum(both) / 2 - quiet == pytest.approx(added, rel=0.06)


@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_equals_autograd_and_finite_differences(name):
    net, trials = NETWORKS[name], SMALL.trials(generator(1))
    trials = replace(trials, plant_noise=1e-3 * normal(20, 12, 4, seed=5))
    loop, theta = ClosedLoop(SMALL, net), net.initial_parameters(generator(2))
    plain = loop.expected(trials, probes=2, fast=False)
    compiled = loop.expected(trials, probes=2)
    assert type(plain) is ExpectedObjective
    assert type(compiled) is CompiledExpected
    value, gradient = plain.value_and_gradient(theta)
    own, slope = compiled.value_and_gradient(theta)
    assert own == pytest.approx(value, rel=1e-10) == plain.value(theta)
    assert compiled.value(theta) == own
    assert float((slope - gradient).norm()) < 2e-3 * float(gradient.norm())
    along, step = normal(len(theta), seed=7), 1e-5
    change = plain.value(theta + step * along) - plain.value(theta - step * along)
    assert change / (2 * step) == pytest.approx(float(gradient @ along), rel=1e-6)


def test_the_gradient_of_what_noise_adds_is_compiled_right():
    net, trials = NETWORKS["tanh"], SMALL.trials(generator(1))
    loop, theta = ClosedLoop(SMALL, net), net.initial_parameters(generator(2))
    quiet = loop.objective(replace(trials, command_noise=None)).value_and_gradient(theta)[1]
    both = (loop.expected(trials, fast=fast) for fast in (False, None))
    plain, compiled = (one.value_and_gradient(theta)[1] - quiet for one in both)
    assert float(plain.norm()) > 0
    assert float((compiled - plain).norm()) < 1e-2 * float(plain.norm())


def test_signs_keep_the_mean_of_exact_residuals():
    net, trials = NETWORKS["tanh"], SMALL.trials(generator(1))
    loop, theta = ClosedLoop(SMALL, net), net.initial_parameters(generator(2))
    exact = loop.expected(trials, probes=0).parts(theta)[1]
    found = torch.tensor([loop.expected(trials, seed=k).parts(theta)[1] for k in range(60)])
    assert abs(float(found.mean()) - exact) < 4 * float(found.std()) / 60**0.5
    assert float(found.std()) < 0.5 * exact


def test_factors_and_products_are_those_of_the_draws():
    net, trials = NETWORKS["tanh"], SMALL.trials(generator(1))
    loop, theta = ClosedLoop(SMALL, net), net.initial_parameters(generator(2))
    expected, drawn = loop.expected(trials), loop.objective(trials)
    pairs = zip(
        expected.kronecker_factors(theta, generator(3)),
        drawn.kronecker_factors(theta, generator(3)),
        strict=True,
    )
    for own, other in pairs:
        assert torch.equal(own.rows, other.rows)
    vector, at = normal(len(theta), seed=4), expected.linearize(theta)
    assert torch.equal(at.product(vector), drawn.linearize(theta).product(vector))
    assert at.value == expected.value_and_gradient(theta)[0]
    part = expected.part(5, generator(1))
    assert type(part) is type(expected)
    assert len(part.trials) == 5


def test_a_training_on_it_lowers_the_loss_and_keeps_its_batch():
    net = ContinuousTimeRNN(layers=(8,))
    result = train(SMALL, net, Adam(), budget=Budget(calls=60), expected_noise=True)
    assert result.value < 0.5 * result.history[0].value
    known = resolve({"task": "ddn", "expected_noise": True})
    assert resolve(known.as_dict()).expected_noise
    assert "expected_noise" not in resolve({"task": "ddn"}).as_dict()
    with pytest.raises(SettingsError, match="expected_noise"):
        resolve({"expected_noise": 1})


def test_variances_are_those_of_the_draws():
    trials = DDN(pairs=400).trials(generator(1))
    found = noise_variances(trials)
    assert list(found) == ["command_noise"]
    assert found["command_noise"].sqrt().tolist() == pytest.approx([0.1, 0.1], rel=0.02)


def test_what_has_no_expectation_is_refused():
    net = ContinuousTimeRNN(layers=(4,))
    with pytest.raises(ValueError, match="without noise"):
        train(CenterOut(directions=2), net, Adam(), budget=Budget(calls=2), expected_noise=True)
    loop, trials = ClosedLoop(SMALL, net), SMALL.trials(generator(1))
    with pytest.raises(ValueError, match="probes"):
        loop.expected(trials, probes=-1)
    paid = replace(SMALL, penalties=Penalties((Penalty("rates", 1e-3),)))
    with pytest.raises(ValueError, match="penalties"):
        ClosedLoop(paid, net).expected(trials)
