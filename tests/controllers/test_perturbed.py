"""Perturbations act in their window, on what they name, and nowhere else."""

import pytest
import torch

from neuromotor import CenterOut, ClosedLoop, ContinuousTimeRNN
from neuromotor.analysis import RecordingError, lesion_units, record, recorded_run
from neuromotor.controllers import (
    FeedbackChange,
    FunctionController,
    GatedCell,
    Network,
    NetworkPerturbation,
    PerturbedNetwork,
)

TASK = CenterOut(directions=3, steps=10)
NET = ContinuousTimeRNN(layers=(6, 5), time_constant_s=0.05)
THETA = NET.initial_parameters(torch.Generator().manual_seed(0))


def run(*perturbations, parameters=THETA):
    return ClosedLoop(TASK, PerturbedNetwork(NET, perturbations)).simulate(
        parameters, TASK.trials(dtype=torch.float64)
    )


PLAIN = ClosedLoop(TASK, NET).simulate(THETA, TASK.trials(dtype=torch.float64))


@pytest.mark.parametrize("layer", [0, 1])
def test_units_that_are_silenced_throughout_are_lesioned(layer):
    own = run(NetworkPerturbation("silence", layer, 0, 9, units=(0, 3)))
    lesioned = ClosedLoop(TASK, NET).simulate(
        lesion_units(NET, THETA, [0, 3], layer), TASK.trials(dtype=torch.float64)
    )
    torch.testing.assert_close(own.states, lesioned.states, rtol=0, atol=0)


def test_a_window_leaves_the_steps_before_it_alone():
    own = run(NetworkPerturbation("silence", 1, 4, 5))
    assert torch.equal(own.commands[:, :4], PLAIN.commands[:, :4])
    # nothing reads the last layer: the command is the output's bias
    bias = NET.unpack(THETA).output_bias.expand(3, 2, 2)
    torch.testing.assert_close(own.commands[:, 4:6], bias)
    assert not torch.equal(own.commands[:, 6:], PLAIN.commands[:, 6:])
    assert not torch.allclose(own.commands[:, 6], bias[:, 0])


def test_a_current_moves_the_activation_by_its_share_of_the_leak():
    own = run(NetworkPerturbation("stimulate", 0, 3, 3, units=(2,), amount=0.5))
    change = (own.memory[0] - PLAIN.memory[0])[:, 3]
    wanted = torch.zeros(3, 6, dtype=torch.float64)
    wanted[:, 2] = 0.5 * NET.dt_s / 0.05  # v <- v + dt / tau (drive - v)
    torch.testing.assert_close(change, wanted)


def test_connections_that_are_removed_are_zero_weights():
    own = run(NetworkPerturbation("scale", 0, 0, 9, units=(1,), amount=0.0))
    changed = THETA.clone()
    NET.unpack(changed).layers[0].recurrent[1] = 0.0
    same = ClosedLoop(TASK, NET).simulate(changed, TASK.trials(dtype=torch.float64))
    torch.testing.assert_close(own.states, same.states, rtol=0, atol=0)
    doubled = run(NetworkPerturbation("scale", 1, 0, 0, amount=2.0, matrix="output"))
    bias = NET.unpack(THETA).output_bias
    torch.testing.assert_close(doubled.commands[:, 0] - bias, 2 * (PLAIN.commands[:, 0] - bias))
    both = run(
        NetworkPerturbation("scale", 1, 0, 0, amount=2.0, matrix="output"),
        NetworkPerturbation("scale", 1, 0, 0, amount=0.5, matrix="output"),
    )
    torch.testing.assert_close(both.states, PLAIN.states)


def test_gradients_pass_through_perturbations():
    theta = THETA.clone().requires_grad_(True)
    own = run(NetworkPerturbation("silence", 0, 2, 4, units=(0,)), parameters=theta)
    own.states.square().sum().backward()
    assert torch.isfinite(theta.grad).all()
    assert theta.grad.abs().max() > 0


def test_a_recording_says_what_was_perturbed():
    change = NetworkPerturbation("silence", 1, 4, 5)
    recording = record(TASK, NET, THETA, perturbations=(change,))
    own = run(change)
    torch.testing.assert_close(torch.from_numpy(recording["command"].values), own.commands)
    assert '"silence"' in recording.attrs["perturbations"]
    with pytest.raises(RecordingError, match="units were perturbed"):
        recorded_run(recording)
    both = record(TASK, NET, THETA, feedback=FeedbackChange("cut", 2, 3), perturbations=(change,))
    assert both.sizes["unit"] == 11


def test_what_cannot_be_perturbed_is_refused():
    with pytest.raises(ValueError, match="below the layer's 6 units, got 6"):
        PerturbedNetwork(NET, (NetworkPerturbation("silence", 0, 0, 1, units=(6,)),))
    with pytest.raises(ValueError, match="`layer` must be below 2, got 2"):
        PerturbedNetwork(NET, (NetworkPerturbation("silence", 2, 0, 1),))
    with pytest.raises(ValueError, match="whose inputs are one sum"):
        PerturbedNetwork(Network(cell=GatedCell()), (NetworkPerturbation("stimulate", 0, 0, 1),))
    with pytest.raises(ValueError, match="belongs to the last layer, 1"):
        PerturbedNetwork(NET, (NetworkPerturbation("scale", 0, 0, 1, matrix="output"),))
    with pytest.raises(TypeError, match="network of cells"):
        PerturbedNetwork(FunctionController(lambda seen, target, t: seen[:, :2]))
    with pytest.raises(ValueError, match="must end before step 10"):
        record(TASK, NET, THETA, perturbations=(NetworkPerturbation("silence", 0, 0, 10),))
    with pytest.raises(ValueError, match="`amount` must be left out"):
        NetworkPerturbation("silence", 0, 0, 1, amount=1.0)
