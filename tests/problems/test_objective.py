"""The objective over sequences against torch's losses, dense matrices and the other way of it."""

from dataclasses import dataclass, replace

import pytest
import torch
from cases import generator, normal
from torch.nn import functional

from neuromotor.controllers import CELLS, ContinuousTimeRNN, GatedCell, Network, TanhCell
from neuromotor.controllers.cells import TensorCell
from neuromotor.optim import OPTIMIZERS, Budget
from neuromotor.problems import LOSSES, PROBLEMS, Memorization, SequenceObjective, fitted
from neuromotor.problems.objective import misclassified, run

SMALL = {
    "squared": replace(PROBLEMS["addition"], lag=20),
    "logistic": replace(PROBLEMS["xor"], lag=20),
    "softmax": Memorization(length=3, lag=4),
}


@dataclass(frozen=True)
class OwnTanh(TanhCell):
    """The same unit, whose class the hand-derived passes do not know."""

    def step(self, products, before, inputs, noise):
        return super().step(products, before, inputs, noise)

    def rates(self, memory):
        return super().rates(memory)

    def damped(self, memory):
        return super().damped(memory)


def made(problem, cell, layers=(5,)):
    network = fitted(Network(layers=layers, cell=cell), problem)
    theta = network.initial_parameters(generator(1)) + 0.1 * normal(network.parameter_count)
    objective = SequenceObjective(
        problem, network, problem.sequences(4, generator(2)).subset(slice(0, 2))
    )
    return network, theta, objective


def test_losses_are_those_of_torch():
    o, wanted = normal(7, 3, 4), torch.randint(0, 4, (7, 3), generator=generator())
    one_hot = functional.one_hot(wanted, 4).double()
    expected = functional.cross_entropy(o.flatten(0, 1), wanted.flatten(), reduction="none")
    torch.testing.assert_close(LOSSES["softmax"].values(o, one_hot).flatten(), expected)
    bits = one_hot
    expected = functional.binary_cross_entropy_with_logits(o, bits, reduction="none").sum(-1)
    torch.testing.assert_close(LOSSES["logistic"].values(o, bits), expected)
    p = torch.sigmoid(o)
    assert LOSSES["logistic"].values(o, p).abs().max() < 1e-14  # the divergence of equals is 0
    expected = functional.mse_loss(o, bits, reduction="none").sum(-1) / 2
    torch.testing.assert_close(LOSSES["squared"].values(o, bits), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_curvature_of_losses_is_their_hessian(name):
    loss, o, y = LOSSES[name], normal(1, 3), torch.tensor([[0.0, 1.0, 0.0]]).double()
    hessian = torch.autograd.functional.hessian(lambda x: loss.values(x, y).sum(), o)[0, :, 0]
    eye = torch.eye(3).double()
    torch.testing.assert_close(loss.curved(o.expand(3, 3), eye), hessian)
    root = loss.root(o.expand(3, 3), eye).T
    torch.testing.assert_close(root @ root.T, hessian)
    gradient = torch.autograd.functional.jacobian(lambda x: loss.values(x, y).sum(), o)
    torch.testing.assert_close(loss.pulled(o, y), gradient)


@pytest.mark.parametrize("cell", [TanhCell(), OwnTanh(), GatedCell()])
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_and_products_are_those_of_dense_matrices(name, cell):
    problem = SMALL[name]
    network, theta, objective = made(problem, cell)
    batch = objective.sequences

    def outputs(x):
        return run(network, x, batch)[0]

    def loss(x):
        return (batch.counted * LOSSES[name].values(outputs(x), batch.targets)).sum() / len(batch)

    value, gradient = objective.value_and_gradient(theta)
    assert value == pytest.approx(float(loss(theta)), rel=1e-13)
    assert objective.value(theta) == pytest.approx(value, rel=1e-13)
    direction = normal(len(theta), seed=5)
    step = 1e-5 * direction
    slope = (objective.value(theta + step) - objective.value(theta - step)) / 2e-5
    assert float(gradient @ direction) == pytest.approx(slope, rel=1e-6, abs=1e-9)
    jacobian = torch.autograd.functional.jacobian(outputs, theta)
    inner = LOSSES[name].curved(outputs(theta), jacobian @ direction)
    expected = torch.einsum("btop,bto->p", jacobian, batch.counted[..., None] * inner) / len(batch)
    linear = objective.linearize(theta)
    assert linear.value == pytest.approx(value, rel=1e-13)
    torch.testing.assert_close(linear.gradient, gradient)
    torch.testing.assert_close(linear.product(direction), expected, rtol=1e-9, atol=1e-12)

    def quantities(x):
        return network.damped(run(network, x, batch)[1])[0][0]

    own = torch.autograd.functional.jacobian(quantities, theta)
    weight = network.damped(run(network, theta, batch)[1])[0][1]
    held = torch.einsum("btup,btu->p", own, weight * (own @ direction)) / len(batch)
    found = linear.product(direction, 0.3)
    torch.testing.assert_close(found, expected + 0.3 * held, rtol=1e-9, atol=1e-12)


def test_both_ways_to_kronecker_factors_agree():
    """One network by hand-derived passes, the other by autograd and the tape."""
    blocks = []
    for cell in (TanhCell(), OwnTanh()):
        _, theta, objective = made(SMALL["softmax"], cell)
        blocks.append(objective.kronecker_factors(theta, generator(4)))
    assert len(blocks[0]) == len(blocks[1]) == 2
    for one, two in zip(*blocks, strict=True):
        for part, other in zip(one, two, strict=True):
            torch.testing.assert_close(part, other)


def test_kronecker_factors_of_one_step_are_the_gauss_newton_matrix():
    """With one step and one sequence a block is exact, on average over the random residuals."""
    problem = Memorization(length=1, lag=1)
    network = fitted(Network(layers=(2,)), problem)
    theta = network.initial_parameters(generator(1))
    batch = problem.sequences(1, generator(0)).subset(slice(0, 1))
    batch = replace(batch, inputs=batch.inputs[:, :1], targets=batch.targets[:, :1])
    batch = replace(batch, counted=batch.counted[:, :1], judged=batch.judged[:, :1])
    objective = SequenceObjective(problem, network, batch)
    eye = torch.eye(len(theta)).double()
    product = objective.linearize(theta).product
    dense = torch.stack([product(row) for row in eye])
    draws = generator(3)
    total = [torch.zeros(2, 2).double(), torch.zeros(3, 3).double()]
    for _ in range(1500):
        for place, block in enumerate(objective.kronecker_factors(theta, draws)):
            total[place] += block.rows / 1500
    for rows, block in zip(total, objective.kronecker_factors(theta, draws), strict=True):
        where = block.places.T.flatten()
        expected = dense[where][:, where]
        found = torch.kron(block.columns, rows)
        assert (found - expected).abs().max() < 0.1 * expected.abs().max()


def test_many_sequences_are_taken_some_at_a_time():
    problem = SMALL["squared"]
    network = fitted(Network(layers=(3,)), problem)
    theta = network.initial_parameters(generator(1))
    batch = problem.sequences(2300, generator(2))
    whole = SequenceObjective(problem, network, batch)
    value, gradient = whole.value_and_gradient(theta)
    parts = [batch.subset(slice(0, 900)), batch.subset(slice(900, 2300))]
    found = [SequenceObjective(problem, network, p).value_and_gradient(theta) for p in parts]
    shares = (900 / 2300, 1400 / 2300)
    assert value == pytest.approx(sum(s * v for s, (v, _) in zip(shares, found, strict=True)))
    expected = sum(s * g for s, (_, g) in zip(shares, found, strict=True))
    torch.testing.assert_close(gradient, expected)
    assert len(whole.part(50, generator(0)).sequences) == 50


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("cell", [TanhCell(), GatedCell()])
def test_every_optimizer_lowers_the_loss(name, cell):
    _, theta, objective = made(Memorization(length=2, lag=2), cell)
    result = OPTIMIZERS[name].minimize(objective, theta, Budget(calls=40))
    assert result.value < 0.9 * objective.value(theta)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_fits_every_problem(name):
    """Tensor cells gate by a limb's target unless told otherwise, which a problem has not."""
    network = Network(layers=(4,), cell=CELLS[name])
    if name == "fast-weights":
        network = replace(network, cell=replace(network.cell, units=4))
    for problem in PROBLEMS.values():
        if problem.input_size < 20:
            batch = problem.sequences(3, generator(2))
            own = fitted(network, problem)
            theta = own.initial_parameters(generator(1))
            assert SequenceObjective(problem, own, batch).value(theta) > 0
    own = Network(cell=TensorCell(1, 2))
    assert fitted(own, PROBLEMS["memory-5bit"]).cell == TensorCell(1, 2)


def test_a_sequence_is_wrong_where_one_deciding_step_is():
    problem = SMALL["softmax"]
    batch = problem.sequences(8, generator())
    outputs = batch.targets.clone()
    assert not misclassified(problem, outputs, batch).any()
    outputs[2, 0] = outputs[2, 0].roll(1)  # a step that does not decide
    outputs[5, -1] = outputs[5, -1].roll(1)
    assert misclassified(problem, outputs, batch).nonzero().flatten().tolist() == [5]


def test_wrong_controllers_are_named():
    problem = SMALL["softmax"]
    batch = problem.sequences(8, generator())
    with pytest.raises(ValueError, match=r"must have 4 inputs and 3 commands.*got 8 and 2"):
        SequenceObjective(problem, ContinuousTimeRNN(layers=(5,)), batch)
    with pytest.raises(ValueError, match="must not squash its commands"):
        SequenceObjective(problem, fitted(Network(squash="tanh"), problem), batch)
    with pytest.raises(ValueError, match="must have no private noise"):
        SequenceObjective(problem, fitted(Network(private_noise=0.1), problem), batch)


@pytest.mark.parametrize("cell", [TanhCell(), OwnTanh()])
def test_structural_damping_is_in_the_factors(cell):
    """Of one sequence and one step, on average over the residuals, against dense products."""
    problem = Memorization(length=1, lag=1)
    network = fitted(Network(layers=(2,), cell=cell), problem)
    theta = network.initial_parameters(generator(1))
    batch = problem.sequences(1, generator(0)).subset(slice(0, 1))
    batch = replace(batch, inputs=batch.inputs[:, :1], targets=batch.targets[:, :1])
    batch = replace(batch, counted=batch.counted[:, :1], judged=batch.judged[:, :1])
    linear = SequenceObjective(problem, network, batch).linearize(theta)
    eye, draws, structural = torch.eye(len(theta)).double(), generator(3), 2.0
    dense = torch.stack([linear.product(row, structural) for row in eye])
    plain = torch.stack([linear.product(row) for row in eye])
    found = [linear.kronecker_factors(draws, structural)[0] for _ in range(1500)]
    rows = torch.stack([block.rows for block in found]).mean(0)
    where = found[0].places.T.flatten()
    expected, without = dense[where][:, where], plain[where][:, where]
    error = (torch.kron(found[0].columns, rows) - expected).abs().max()
    assert error < 0.1 * expected.abs().max()
    assert (expected - without).abs().max() > 0.5 * expected.abs().max()


def test_both_ways_to_factors_with_structural_damping_agree():
    """The residuals of held quantities lie in another order; one sequence of one step has one."""
    blocks = []
    for cell in (TanhCell(), OwnTanh()):
        network, theta, objective = made(SMALL["softmax"], cell)
        batch = objective.sequences
        part = replace(
            batch,
            **{
                name: getattr(batch, name)[:1]
                for name in ("inputs", "targets", "counted", "judged")
            },
        )
        linear = SequenceObjective(SMALL["softmax"], network, part).linearize(theta)
        blocks.append(linear.kronecker_factors(generator(4), 0.3))
    for one, two in zip(*blocks, strict=True):
        for own, other in zip(one, two, strict=True):
            torch.testing.assert_close(own, other)
