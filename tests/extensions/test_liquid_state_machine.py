"""The example of a liquid state machine: its units spike as integrate-and-fire units do."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import normal

import neuromotor as nm
from neuromotor.controllers import Reservoir

SCRIPT = Path(__file__).parents[2] / "examples" / "liquid_state_machine.py"


@pytest.fixture(scope="module")
def example():
    """The script as a module, without its name in the registries of other tests."""
    spec = importlib.util.spec_from_file_location("liquid_example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nm, "register", lambda *_: None)
        spec.loader.exec_module(module)
    return module


def test_a_constant_current_gives_the_closed_forms_rate(example):
    """Without reset the potential settles at z / (1 - keep); spikes take 1 off each time."""
    unit = example.SpikingCell(keep_v=1.0, keep_r=0.99)
    memory = torch.zeros(1, 3).double()
    for _ in range(2000):  # a perfect integrator spikes once every 1 / z steps
        memory = unit.step(lambda gates, inputs, own: inputs, memory, torch.tensor([[0.25]]), None)
    assert float(unit.rates(memory)[0, 0]) == pytest.approx(0.25, abs=0.01)
    leaky = example.SpikingCell(keep_v=0.8)
    for current, spikes in ((0.19, False), (0.21, True)):  # threshold (1 - keep_v)
        memory, seen = torch.zeros(1, 3).double(), False
        for _ in range(200):
            memory = leaky.step(
                lambda gates, inputs, own: inputs, memory, torch.tensor([[current]]), None
            )
            seen = seen or bool(memory[0, 2])
        assert seen == spikes


def test_a_step_is_that_of_the_equations(example):
    cell = example.SpikingCell()
    liquid = Reservoir(layers=(9,), cell=cell)
    weights = liquid.unpack(torch.zeros(liquid.parameter_count).double())
    layer = weights.layers[0]
    memory = liquid.initial_memory(weights, 1)
    v = s = r = np.zeros(9)
    for t in range(40):
        given = 3 * normal(1, 8, seed=t)
        memory, _ = liquid.step(weights, memory, given[:, :4], given[:, 4:], t, None)
        drive = layer.feedforward.numpy() @ given[0].numpy() + layer.recurrent.numpy() @ s
        v = 0.8 * (v - s) + drive + layer.bias.numpy()
        s = (v >= 1).astype(float)
        r = 0.9 * r + 0.1 * s
        np.testing.assert_allclose(liquid.rates(memory)[0][0].numpy(), r, rtol=1e-12, atol=1e-14)
    assert 0 < r.max() < 1
