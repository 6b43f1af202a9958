"""Ridge read-outs against scikit-learn and planted weights."""

import numpy as np
import pytest
import torch
from cases import generator, normal

from neuromotor.controllers import CommandTable, Network, Reservoir
from neuromotor.problems import PROBLEMS, Memorization, fitted, ridge_readout
from neuromotor.problems.objective import outputs_of, run
from neuromotor.problems.readout import NormalEquations, check_readout


@pytest.mark.parametrize("ridge", [1e-3, 0.5])
def test_it_is_ridge_regression(ridge):
    linear_model = pytest.importorskip("sklearn.linear_model")
    problem = PROBLEMS["addition"]
    network = fitted(Reservoir(layers=(30,)), problem)
    some = problem.sequences(40, generator(0))
    theta = ridge_readout(problem, network, network.initial_parameters(generator()), some, ridge)
    (rates,) = network.rates(run(network, theta, some)[1])
    counted = some.counted.flatten().numpy()
    reference = linear_model.Ridge(alpha=ridge * counted.sum()).fit(
        rates.flatten(0, 1).numpy(), some.targets.flatten(0, 1).numpy(), sample_weight=counted
    )
    weights = network.unpack(theta)
    np.testing.assert_allclose(weights.output.numpy(), np.atleast_2d(reference.coef_), rtol=1e-7)
    np.testing.assert_allclose(weights.output_bias.numpy(), reference.intercept_, rtol=1e-7)


def test_planted_weights_are_found_and_the_others_stay():
    """Steps with weights, in two parts; without ridge the planted read-out comes back."""
    planted, biases = normal(3, 6, seed=1), normal(3, seed=2)
    equations = NormalEquations()
    for seed in (3, 4):
        rates = normal(20, 5, 6, seed=seed)
        wanted = rates @ planted.T + biases
        wanted[:, 2] = 100.0  # what does not count
        weights = torch.ones(20, 5).double()
        weights[:, 2] = 0.0
        equations.add(rates, wanted, weights)
    found = equations.solve(0.0)
    torch.testing.assert_close(found[0], planted, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(found[1], biases, rtol=1e-9, atol=1e-10)


def test_a_reservoir_answers_and_other_weights_stay():
    problem = Memorization(symbols=2, length=2, lag=4)
    draws = generator(0)
    some = problem.sequences(4, draws)
    for network in (Reservoir(layers=(80,)), Network(layers=(80,))):
        fit = fitted(network, problem)
        before = fit.initial_parameters(generator(1))
        theta = ridge_readout(problem, fit, before, some)
        outputs = outputs_of(fit, theta, some)
        assert torch.equal(outputs.argmax(-1)[some.judged], some.targets.argmax(-1)[some.judged])
        changed = torch.ones(len(theta), dtype=torch.bool)
        changed[fit.readout] = False
        assert torch.equal(theta[changed], before[changed])


def test_wrong_use_is_named():
    problem = PROBLEMS["addition"]
    with pytest.raises(ValueError, match="got a CommandTable"):
        check_readout(CommandTable(trials=2, steps=3))
    with pytest.raises(ValueError, match="squash 'tanh'"):
        check_readout(Reservoir(squash="tanh"))
    with pytest.raises(ValueError, match="needs steps to be fitted to"):
        NormalEquations().solve(1.0)
    equations = NormalEquations()
    equations.add(torch.ones(4, 2), torch.ones(4, 1))
    with pytest.raises(ValueError, match="`ridge` must be large enough"):
        equations.solve(0.0)
    with pytest.raises(ValueError, match="`ridge` must be"):
        equations.solve(-1.0)
    network = fitted(Reservoir(layers=(5,)), PROBLEMS["xor"])
    with pytest.raises(ValueError, match="must have"):
        ridge_readout(
            PROBLEMS["memory-5bit"],
            network,
            network.initial_parameters(generator()),
            problem.sequences(2, generator()),
        )
