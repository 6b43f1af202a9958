"""Initialisers have the spectra, scales and zeros that their sources give."""

import numpy as np
import pytest
import torch
from cases import generator

from neuromotor.controllers import (
    INITIALIZERS,
    Identity,
    LeakyCell,
    Network,
    Orthogonal,
    UniformFanIn,
)


def test_orthogonal_weights_are_orthogonal():
    drawn = Orthogonal(recurrent_gain=1.3).recurrent(30, generator())
    torch.testing.assert_close(drawn @ drawn.T, 1.69 * torch.eye(30).double())
    assert torch.linalg.det(drawn / 1.3).abs() == pytest.approx(1.0)


def test_an_irnn_keeps_what_it_has():
    network = Network(
        layers=(20,), cell=LeakyCell(("rectified",)), initializer=Identity(), input_size=3
    )
    weights = network.unpack(network.initial_parameters(generator()))
    memory = (torch.rand(2, 20, generator=generator()).double(),)
    nothing = torch.zeros(2, 3).double()
    after, _ = network.step(weights, memory, nothing, nothing[:, :0], 0, None)
    assert torch.equal(after[0], memory[0])


def test_variance_preserving_weights_fill_their_interval():
    drawn = INITIALIZERS["variance-preserving"].feedforward(80, 40, generator()).numpy()
    bound = np.sqrt(6 / 120)
    assert 0.99 * bound < np.abs(drawn).max() <= bound
    assert drawn.std() == pytest.approx(bound / np.sqrt(3), rel=0.03)


def test_chapter_4_has_its_own_scales():
    network = Network(layers=(300,), input_size=50, initializer=INITIALIZERS["chapter-4"])
    weights = network.unpack(network.initial_parameters(generator()))
    layer = weights.layers[0]
    for matrix, scale in ((layer.feedforward, 1.0), (layer.recurrent, 15**-0.5)):
        assert ((matrix != 0).sum(1) == 15).all()
        assert matrix[matrix != 0].std() == pytest.approx(scale, rel=0.04)
    assert layer.bias.std() == pytest.approx(15**-0.5, rel=0.1)
    assert weights.output[weights.output != 0].std() == pytest.approx(15**-0.5, rel=0.3)


def test_uniform_fan_in_draws_as_torchs_linear_layers_do():
    """From -1 / sqrt(n) to 1 / sqrt(n) of n incoming connections: torch's default."""
    bound = torch.nn.Linear(400, 50).weight.detach().abs().max()
    drawn = UniformFanIn().feedforward(50, 400, generator())
    assert float(drawn.abs().max()) == pytest.approx(float(bound), rel=1e-2)
    assert float(drawn.std()) == pytest.approx(400**-0.5 / 3**0.5, rel=2e-2)
    assert float(UniformFanIn(2.0).recurrent(400, generator()).abs().max()) <= 2 / 20
