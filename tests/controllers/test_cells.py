"""Cells and networks of them against their equations, written out by hand in numpy."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from cases import generator, normal

from neuromotor.controllers import (
    CONTROLLERS,
    ContinuousTimeRNN,
    EchoState,
    GatedCell,
    LeakyCell,
    Network,
    TanhCell,
)

SQUASHED = {
    None: lambda u: u,
    "tanh": np.tanh,
    "logistic": lambda u: 1 / (1 + np.exp(-u)),
    "rectified": lambda u: np.maximum(u, 0),
}


def logistic(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("learn", [True, False])
def test_gated_units_follow_the_equations(skip, learn):
    """Cho et al. (2014), equations 5 to 8, unit by unit, from the flat vector in its order."""
    net = Network(
        layers=(4, 3),
        cell=GatedCell(),
        skip_inputs=skip,
        learn_initial_state=learn,
        private_noise=0.2,
    )
    theta = net.initial_parameters(generator(1)) + 0.3 * normal(net.parameter_count)
    weights = net.unpack(theta)
    memory = net.initial_memory(weights, 2)
    flat, position = theta.numpy(), 0

    def take(*shape):
        nonlocal position
        position += int(np.prod(shape))
        return flat[position - int(np.prod(shape)) : position].reshape(shape)

    layers, rates = [], []
    for units, inputs in ((4, 8), (3, 12 if skip else 4)):
        layers.append((take(3, units, inputs), take(3, units, units), take(3, units)))
        rates.append(np.tile(take(units) if learn else np.zeros(units), (2, 1)))
    w_out, b_out = take(2, 3), take(2)
    assert position == net.parameter_count
    assert net.readout == slice(position - 8, None)
    for t in range(4):
        observation, target = normal(2, 4, seed=t), normal(2, 4, seed=9)
        noise = normal(2, 7, seed=20 + t)
        memory, command = net.step(weights, memory, observation, target, t, noise)
        outside = np.concatenate([observation, target], axis=1)
        seen = outside
        for i, (w, u, b) in enumerate(layers):
            if i:
                seen = np.concatenate([outside, rates[0]], axis=1) if skip else rates[0]
            old, new = rates[i], np.zeros_like(rates[i])
            for trial, unit in np.ndindex(*old.shape):
                x, h = seen[trial], old[trial]
                reset = np.array(
                    [logistic(w[1, j] @ x + u[1, j] @ h + b[1, j]) for j in range(len(h))]
                )
                update = logistic(w[0, unit] @ x + u[0, unit] @ h + b[0, unit])
                xi = 0.2 * float(noise[trial, unit + 4 * i])
                drive = w[2, unit] @ x + u[2, unit] @ (reset * h) + b[2, unit] + xi
                new[trial, unit] = update * h[unit] + (1 - update) * np.tanh(drive)
            rates[i] = seen = new
            np.testing.assert_allclose(memory[i].numpy(), new, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(
            command.numpy(), rates[1] @ w_out.T + b_out, rtol=1e-12, atol=1e-14
        )
    assert all(torch.equal(a, b) for a, b in zip(net.rates(memory), memory, strict=True))


@pytest.mark.parametrize("squash", SQUASHED)
def test_commands_are_squashed(squash):
    plain, net = Network(layers=(5,)), Network(layers=(5,), squash=squash)
    theta = plain.initial_parameters(generator(1)) + normal(plain.parameter_count)
    commands = []
    for one in (plain, net):
        weights = one.unpack(theta)
        memory = one.initial_memory(weights, 6)
        commands.append(one.step(weights, memory, normal(6, 4), normal(6, 4, seed=1), 0, None)[1])
    expected = SQUASHED[squash](commands[0].numpy())
    np.testing.assert_allclose(commands[1].numpy(), expected, rtol=1e-12)
    assert commands[0].min() < 0 < commands[0].max()


def test_a_network_of_tanh_cells_is_the_network_in_continuous_time():
    shared = {"layers": (5, 4), "learn_initial_state": True, "private_noise": 0.1}
    old = ContinuousTimeRNN(**shared, time_constant_s=0.04)
    new = Network(**shared, cell=TanhCell(leak=0.25))
    theta = old.initial_parameters(generator(3))
    assert torch.equal(theta, new.initial_parameters(generator(3)))
    theta = theta + 0.1 * normal(len(theta))
    results = []
    for net in (old, new):
        weights = net.unpack(theta)
        memory = net.initial_memory(weights, 3)
        for t in range(3):
            given = normal(3, 4, seed=t), normal(3, 4, seed=9), t, normal(3, 9, seed=t)
            memory, command = net.step(weights, memory, *given)
        results.append([*memory, command, *net.rates(memory)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_network_is_told_its_last_commands():
    """Weights that read nothing but one copy repeat that command, plus a bias."""
    net = Network(layers=(2,), cell=LeakyCell(("linear",)), input_size=3, efference_copies=3)
    theta = torch.zeros(net.parameter_count, dtype=torch.float64)
    weights = net.unpack(theta)
    assert weights.layers[0].feedforward.shape == (2, 3 + 3 * 2)
    weights.output[:] = torch.eye(2)
    weights.output_bias[:] = torch.tensor([1.0, -2.0])
    for copy in range(3):
        weights.layers[0].feedforward[:] = 0
        weights.layers[0].feedforward[:, 3 + 2 * copy : 5 + 2 * copy] = 0.5 * torch.eye(2)
        memory, commands = net.initial_memory(weights, 1), []
        for t in range(7):
            told = torch.zeros(1, 3, dtype=torch.float64)
            memory, command = net.step(weights, memory, told[:, :2], told[:, 2:], t, None)
            commands.append(command)
        for t, command in enumerate(commands):
            before = commands[t - 1 - copy] if t > copy else torch.zeros(1, 2)
            wanted = 0.5 * before + torch.tensor([1.0, -2.0])
            torch.testing.assert_close(command, wanted.double())
        last = torch.cat(commands[:-4:-1], dim=1)
        torch.testing.assert_close(memory[-1], last)
        assert [rates.shape for rates in net.rates(memory)] == [(1, 2)]


def test_every_gate_is_drawn_by_itself():
    net = Network(layers=(40,), cell=GatedCell(), initializer=EchoState(spectral_radius=1.2))
    (layer,) = net.unpack(net.initial_parameters(generator(2))).layers
    for gate in layer.recurrent.numpy().reshape(3, 40, 40):
        assert np.abs(np.linalg.eigvals(gate)).max() == pytest.approx(1.2, rel=1e-9)
        assert (np.count_nonzero(gate, axis=1) == 15).all()
    assert not torch.equal(layer.recurrent[:40], layer.recurrent[40:80])


@dataclass(frozen=True)
class Silent(GatedCell):
    """A step of its own, without the rates that belong to it."""

    def step(self, products, before, inputs, noise):
        return before


def test_wrong_use_is_named():
    with pytest.raises(ValueError, match="unknown squash 'tan'; did you mean 'tanh'"):
        Network(squash="tan")
    with pytest.raises(ValueError, match=r"`cell` must have a method `rates`.*got a Silent"):
        Network(cell=Silent())
    with pytest.raises(ValueError, match="`leak` must be at most 1"):
        TanhCell(leak=1.5)
    with pytest.raises(ValueError, match="`leak` must be a positive number"):
        TanhCell(leak=0.0)
    with pytest.raises(TypeError, match="`layers` must be a tuple"):
        Network(layers=[5])
    net = CONTROLLERS["gated"]
    weights = net.unpack(net.initial_parameters(generator()))
    zero = torch.zeros(1, 5, dtype=torch.float64)
    with pytest.raises(ValueError, match="set its `input_size`"):
        net.step(weights, net.initial_memory(weights, 1), zero, zero, 0, None)


@dataclass(frozen=True)
class Adapting:
    """A tanh unit that tires: it remembers its activation and its fatigue."""

    gates: ClassVar[int] = 1
    memory: ClassVar[int] = 2

    def step(self, products, before, inputs, noise):
        activation, fatigue = before.chunk(2, dim=-1)
        rate = torch.tanh(activation)
        drive = products(slice(0, 1), inputs, rate)
        return torch.cat([drive - 0.5 * fatigue, 0.9 * fatigue + 0.1 * rate], dim=-1)

    def rates(self, memory):
        return torch.tanh(memory.chunk(2, dim=-1)[0])

    def damped(self, memory):
        return ((memory, torch.ones_like(memory)),)


def test_units_may_remember_more_than_one_number():
    net = Network(layers=(5, 4), cell=Adapting(), learn_initial_state=True)
    theta = net.initial_parameters(generator(1))
    assert len(theta) == (5 * (8 + 5 + 1) + 10) + (4 * (8 + 5 + 4 + 1) + 8) + 2 * 5
    weights = net.unpack(theta)
    memory = net.initial_memory(weights, 3)
    assert [part.shape for part in memory] == [(3, 10), (3, 8)]
    memory, command = net.step(weights, memory, normal(3, 4), normal(3, 4), 0, None)
    assert [part.shape for part in net.rates(memory)] == [(3, 5), (3, 4)]
    assert command.shape == (3, 2)
