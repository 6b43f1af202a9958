"""Currents add up to what drives the units."""

import numpy as np
import pytest
import torch

from neuromotor.analysis import RecordingError, record
from neuromotor.analysis.currents import network_currents, plot_currents
from neuromotor.analysis.jacobians import jacobian_spectrum
from neuromotor.controllers import GatedCell, LeakyCell, Network
from neuromotor.tasks import CenterOut


@pytest.mark.parametrize("copies", [0, 3])
@pytest.mark.parametrize("skip", [True, False])
def test_currents_add_up_to_the_activations(skip, copies):
    """Elman units without leak: v is the sum; v itself is recorded from the network's own step."""
    task = CenterOut(directions=4, steps=10, delay_steps=2)
    net = Network(
        layers=(6, 5),
        cell=LeakyCell(),
        skip_inputs=skip,
        learn_initial_state=True,
        efference_copies=copies,
    )
    theta = net.initial_parameters(torch.Generator().manual_seed(0))
    recording = record(task, net, theta)
    found = network_currents(net, theta, recording)
    given = {"sensory", "told"} | ({"own commands"} if copies else set())
    parts = {"layer 1": given | {"recurrent"}}
    parts["layer 2"] = {"below", "recurrent"} | (given if skip else set())
    activation = recording["activation"].values
    for layer, own in (("layer 1", activation[..., :6]), ("layer 2", activation[..., 6:])):
        assert set(found[layer].currents) == parts[layer]
        total = sum(found[layer].currents.values()) + found[layer].bias
        np.testing.assert_allclose(total, own, atol=1e-12)
    size = found["layer 1"].size((0.02, 0.05))
    sensory = found["layer 1"].currents["sensory"][:, 2:6]
    by_hand = np.sqrt(np.square(sensory - sensory.mean(0)).mean())
    assert size["sensory"] == pytest.approx(by_hand)
    assert plot_currents(found).axes[0].get_ylabel().startswith("current")
    with pytest.raises(ValueError, match=r"`window_s` must lie in 0 to 0\.09 s"):
        found["layer 1"].size((0.0, 0.5))


def test_units_that_are_not_all_that_is_remembered_have_no_jacobian_of_their_own():
    task = CenterOut(directions=2, steps=6)
    net = Network(layers=(4,), efference_copies=2)
    theta = net.initial_parameters(torch.Generator().manual_seed(0))
    recording = record(task, net, theta)
    assert recording["activation"].sizes["unit"] == 4
    with pytest.raises(RecordingError, match="efference_copies"):
        jacobian_spectrum(net, theta, recording)


def test_units_without_one_sum_are_refused():
    task = CenterOut(directions=2, steps=5)
    net = Network(layers=(4,), cell=GatedCell())
    theta = net.initial_parameters(torch.Generator().manual_seed(0))
    recording = record(task, net, theta)
    with pytest.raises(ValueError, match="tanh or leaky units"):
        network_currents(net, theta, recording)
    other = Network(layers=(5,), cell=LeakyCell())
    theta = other.initial_parameters(torch.Generator().manual_seed(0))
    with pytest.raises(RecordingError, match="the recording has 4 units, the controller 5"):
        network_currents(other, theta, recording)
