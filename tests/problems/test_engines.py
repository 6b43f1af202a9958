"""Ways to the gradient agree with each other, with finite differences, and with what they cut."""

import pytest
import torch
from cases import generator, normal

from neuromotor.controllers import CELLS, FastWeightsCell, Network, TensorCell
from neuromotor.problems import (
    LOSSES,
    Memorization,
    RealTime,
    SequenceObjective,
    TruncatedBPTT,
    fitted,
)
from neuromotor.problems.objective import run

PROBLEM = Memorization(length=2, lag=3)  # 7 steps
SIZED = {**CELLS, "fast-weights": FastWeightsCell(units=4), "tensor": TensorCell(1, 3)}


def made(cell, engine=None, layers=(4,)):
    network = fitted(Network(layers=layers, cell=cell, learn_initial_state=True), PROBLEM)
    theta = network.initial_parameters(generator(1)) + 0.2 * normal(network.parameter_count)
    batch = PROBLEM.sequences(4, generator(0)).subset(slice(1, 3))
    return theta, SequenceObjective(PROBLEM, network, batch, engine)


@pytest.mark.parametrize("name", SIZED)
def test_forwards_backwards_and_finite_differences_agree(name):
    theta, backwards = made(SIZED[name])
    _, forwards = made(SIZED[name], RealTime())
    value, gradient = backwards.value_and_gradient(theta)
    again, other = forwards.value_and_gradient(theta)
    assert again == pytest.approx(value, rel=1e-13)
    torch.testing.assert_close(other, gradient, rtol=1e-9, atol=1e-11)
    direction = normal(len(theta), seed=4)
    step = 1e-6 * direction / direction.norm()
    slope = (backwards.value(theta + step) - backwards.value(theta - step)) / 2
    assert float(other @ step) == pytest.approx(slope, rel=1e-5)


def test_two_layers_are_carried_forwards():
    theta, backwards = made(CELLS["gated"], layers=(3, 2))
    _, forwards = made(CELLS["gated"], RealTime(), layers=(3, 2))
    expected = backwards.value_and_gradient(theta)[1]
    torch.testing.assert_close(forwards.value_and_gradient(theta)[1], expected)


@pytest.mark.parametrize("every", [1, 3, 7, 50])
def test_looking_back_over_everything_cuts_nothing(every):
    theta, backwards = made(CELLS["lstm"])
    _, cut = made(CELLS["lstm"], TruncatedBPTT(every=every, back=50))
    value, gradient = backwards.value_and_gradient(theta)
    again, other = cut.value_and_gradient(theta)
    assert again == pytest.approx(value, rel=1e-13)
    torch.testing.assert_close(other, gradient, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("every", "back"), [(1, 1), (2, 3), (3, 3)])
def test_the_cut_holds_the_memory_before_it(every, back):
    """Finite differences of each block's loss, with other parameters before the cut than after."""
    theta, cut = made(CELLS["tanh"], TruncatedBPTT(every, back))
    network, batch = cut.controller, cut.sequences
    steps, empty = batch.inputs.shape[1], torch.zeros(2, 0).double()

    def loss_of_block(changed, done, end):
        start = max(0, end - back)
        old, new = network.unpack(theta), network.unpack(changed)
        memory, total = network.initial_memory(new if start == 0 else old, 2), 0.0
        for t in range(end):
            weights = old if t < start else new
            memory, outputs = network.step(weights, memory, batch.inputs[:, t], empty, t, None)
            if t >= done:
                total += float(LOSSES["softmax"].values(outputs, batch.targets[:, t]).sum())
        return total / 2

    gradient = cut.value_and_gradient(theta)[1]
    direction = normal(len(theta), seed=6)
    step = 1e-6 * direction / direction.norm()
    slope = 0.0
    for done in range(0, steps, every):
        block = done, min(done + every, steps)
        slope += (loss_of_block(theta + step, *block) - loss_of_block(theta - step, *block)) / 2
    assert float(gradient @ step) == pytest.approx(slope, rel=1e-5)
    whole = made(CELLS["tanh"])[1].value_and_gradient(theta)[1]
    assert (gradient - whole).norm() > 1e-3 * whole.norm()


def test_linearisations_take_the_gradient_of_the_engine():
    theta, cut = made(CELLS["tanh"], TruncatedBPTT(1, 1))
    torch.testing.assert_close(cut.linearize(theta).gradient, cut.value_and_gradient(theta)[1])
    assert cut.part(1, generator(0)).engine is cut.engine


def test_too_many_sensitivities_are_refused():
    network = fitted(Network(layers=(200,)), PROBLEM)
    batch = PROBLEM.sequences(4, generator(0)).subset(slice(0, 4))
    batch = batch.subset(torch.arange(4).repeat(50))
    objective = SequenceObjective(PROBLEM, network, batch, RealTime())
    with pytest.raises(ValueError, match="`engine` must not be rtrl here"):
        objective.value_and_gradient(network.initial_parameters(generator()))
    with pytest.raises(ValueError, match="`back` must be a whole number, 5 or more"):
        TruncatedBPTT(every=5, back=4)
    assert run(network, network.initial_parameters(generator()), batch)[0].shape == (200, 7, 3)
