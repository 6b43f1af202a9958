"""The policy network: torch's own modules give the same numbers."""

import pytest
import torch
from cases import normal

from neuromotor import CenterOut, load_controller, save_controller
from neuromotor.analysis import record
from neuromotor.closed_loop import simulate
from neuromotor.controllers import PolicyNetwork

KINDS = [
    {"layers": (6, 5)},
    {"layers": (6,), "activation": "relu", "bounded": "tanh"},
    {"layers": (6,), "memory_units": 4},
    {"layers": ()},
]


def policy(**changes):
    settings = {"input_size": 3, "steps": 7, "low": (-2.0, 0.0), "high": (2.0, 1.0)}
    settings |= {"centre": (0.1, 0.2, -0.3, 0.5), "scale": (1.0, 2.0, 0.5, 0.3)}
    return PolicyNetwork(**(settings | changes))


@pytest.mark.parametrize("kind", KINDS)
def test_torch_gives_the_same(kind):
    """Three steps of modules of `torch.nn` with the same weights."""
    network = policy(**kind)
    theta = normal(network.parameter_count, seed=1)
    sizes = [torch.Size(shape).numel() for shape in network.shapes()]
    flat = zip(theta.split(sizes), network.shapes(), strict=True)
    parts = [part.view(shape) for part, shape in flat]
    cell = None
    if network.memory_units:
        cell = torch.nn.LSTMCell(4, network.memory_units, dtype=torch.float64)
        with torch.no_grad():
            for own, part in zip(cell.parameters(), parts[:4], strict=True):
                own.copy_(part)
        parts = parts[4:]
    layers = []
    for weight, bias in zip(parts[::2], parts[1::2], strict=True):
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        layers += [layer, torch.nn.ReLU() if network.activation == "relu" else torch.nn.Tanh()]
    net = torch.nn.Sequential(*layers[:-1])
    weights = network.unpack(theta)
    memory, state = network.initial_memory(weights, 5), None
    for t in range(3):
        seen, told = normal(5, 2, seed=t), normal(5, 1, seed=10 + t)
        memory, command = network.step(weights, memory, seen, told, t, None)
        x = torch.cat([seen, told, torch.full((5, 1), t / 7, dtype=torch.float64)], dim=1)
        x = (x - torch.tensor(network.centre)) / torch.tensor(network.scale)
        if cell is not None:
            state = cell(x.double(), state)
            x = state[0]
        action = net(x.double())
        action = torch.tanh(action) if network.bounded == "tanh" else action.clamp(-1, 1)
        expected = torch.stack([2 * action[:, 0], 0.5 + 0.5 * action[:, 1]], dim=1)
        torch.testing.assert_close(command, expected.detach(), rtol=1e-6, atol=1e-6)


def test_it_is_saved_and_loaded(tmp_path):
    task = CenterOut(directions=3)
    network = PolicyNetwork(steps=task.steps, layers=(4,), memory_units=3)
    theta = network.initial_parameters(torch.Generator().manual_seed(0))
    save_controller(tmp_path / "policy.safetensors", network, theta, task=task)
    saved = load_controller(tmp_path / "policy.safetensors")
    assert saved.controller == network
    one = simulate(task, network, theta, task.trials()).states
    other = simulate(task, saved.controller, saved.parameters, task.trials()).states
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bounded": "none"}, "unknown bounded 'none'"),
        ({"low": (1.0, 1.0)}, "`low` must be below `high`"),
        ({"centre": (0.0,)}, "`centre` must hold 4 numbers"),
        ({"scale": (1.0, 1.0, 1.0, 0.0)}, "`scale` must be a positive number"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words):
    with pytest.raises((ValueError, KeyError), match=words):
        policy(**changes)


def test_a_taper_narrows_actions_about_the_middle():
    wide, narrow = policy(), policy(taper=(1.0,) * 6 + (0.25,))
    theta = normal(wide.parameter_count, seed=1)
    seen, told, middle = normal(5, 2, seed=2), normal(5, 1, seed=3), torch.tensor([0.0, 0.5])
    for t, share in ((0, 1.0), (6, 0.25), (9, 0.25)):  # after its steps as at the last
        (_, one), (_, other) = (
            net.step(net.unpack(theta), (), seen, told, t, None) for net in (wide, narrow)
        )
        torch.testing.assert_close(other - middle, share * (one - middle))
    with pytest.raises(ValueError, match="`taper` must hold 7 numbers, one a step, or none, got 2"):
        policy(taper=(1.0, 0.5))
    with pytest.raises(ValueError, match="`taper` must be from 0 to 1"):
        policy(taper=(2.0,) * 7)


def test_a_recording_holds_what_the_units_of_the_lstm_send_on():
    task = CenterOut(directions=3, steps=5)
    network = PolicyNetwork(steps=5, layers=(6,), memory_units=4)
    theta = normal(network.parameter_count, seed=1)
    rate = record(task, network, theta)["rate"]
    memory = simulate(task, network, theta, task.trials()).memory[0]
    assert rate.shape == (3, 5, 4)
    torch.testing.assert_close(torch.from_numpy(rate.values), memory[..., :4])
