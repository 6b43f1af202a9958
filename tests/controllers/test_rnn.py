"""The network against its equations, written out by hand in numpy."""

import numpy as np
import pytest
import torch
from cases import generator, normal

from neuromotor.controllers import CommandTable, ContinuousTimeRNN, EchoState, Gaussian, Sparse


def test_the_seeds_network_has_its_parameter_count():
    assert ContinuousTimeRNN().parameter_count == 32_002  # Sutskever (2013), section 6.4


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize("time_constant_s", [0.01, 0.035])
def test_steps_follow_the_equations(skip, learn, time_constant_s):
    net = ContinuousTimeRNN(
        layers=(5, 4, 3),
        skip_inputs=skip,
        learn_initial_state=learn,
        time_constant_s=time_constant_s,
        private_noise=0.2,
    )
    theta = net.initial_parameters(generator(1)) + 0.1 * normal(net.parameter_count)
    weights = net.unpack(theta)
    memory = net.initial_memory(weights, 2)
    leak = net.dt_s / time_constant_s

    # The flat vector by hand: per layer W_in, W_rec, b, (v0), then W_out, b_out.
    flat, layers, below = theta.numpy(), [], 0
    position = 0

    def take(*shape):
        nonlocal position
        size = int(np.prod(shape))
        position += size
        return flat[position - size : position].reshape(shape)

    for index, units in enumerate(net.layers):
        inputs = 8 if index == 0 else below + (8 if skip else 0)
        layers.append((take(units, inputs), take(units, units), take(units)))
        v0 = take(units) if learn else np.zeros(units)
        layers[-1] += (np.tile(v0, (2, 1)),)
        below = units
    w_out, b_out = take(2, 3), take(2)
    assert position == net.parameter_count

    v = [layer[3] for layer in layers]
    for t in range(4):
        observation, target = normal(2, 4, seed=t), normal(2, 4, seed=9)
        noise = normal(2, 12, seed=20 + t)
        memory, command = net.step(weights, memory, observation, target, t, noise)
        outside = np.concatenate([observation, target], axis=1)
        rate, start = outside, 0
        for i, (w_in, w_rec, b, _) in enumerate(layers):
            if i and skip:
                rate = np.concatenate([outside, rate], axis=1)
            xi = 0.2 * noise[:, start : start + len(b)].numpy()
            start += len(b)
            v[i] = v[i] + leak * (-v[i] + np.tanh(v[i]) @ w_rec.T + rate @ w_in.T + b + xi)
            rate = np.tanh(v[i])
            np.testing.assert_allclose(memory[i].numpy(), v[i], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(command.numpy(), rate @ w_out.T + b_out, rtol=1e-12, atol=1e-14)


def test_missing_noise_draws_are_an_error_with_the_way_out():
    net = ContinuousTimeRNN(layers=(3,), private_noise=0.1)
    weights = net.unpack(net.initial_parameters(generator()))
    zero = torch.zeros(1, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match="with_unit_noise"):
        net.step(weights, net.initial_memory(weights, 1), zero, zero, 0, None)


@pytest.mark.parametrize("initializer", [Gaussian(), Sparse(), EchoState()])
def test_one_seed_is_one_network_in_every_dtype(initializer):
    net = ContinuousTimeRNN(initializer=initializer)
    one = net.initial_parameters(generator(5))
    assert torch.equal(one, net.initial_parameters(generator(5)))
    assert not torch.equal(one, net.initial_parameters(generator(6)))
    assert torch.equal(one.float(), net.initial_parameters(generator(5), dtype=torch.float32))


def test_gaussian_weights_have_the_stated_spread():
    initializer = Gaussian(gain=2.0, recurrent_gain=1.5, output_gain=0.5)
    gen = generator()
    assert float(initializer.feedforward(400, 100, gen).std()) == pytest.approx(0.2, rel=0.02)
    assert float(initializer.recurrent(400, gen).std()) == pytest.approx(1.5 / 20, rel=0.02)
    assert float(initializer.output(100, 400, gen).std()) == pytest.approx(0.5 / 20, rel=0.02)


def test_sparse_rows_have_exactly_fifteen_weights():
    matrix = Sparse().recurrent(200, generator())
    assert ((matrix != 0).sum(dim=1) == 15).all()
    assert float(matrix[matrix != 0].std()) == pytest.approx(0.25, rel=0.05)
    assert ((Sparse().feedforward(50, 8, generator()) != 0).sum(dim=1) == 8).all()


@pytest.mark.parametrize("radius", [0.9, 1.2])
def test_echo_state_has_the_spectral_radius(radius):
    matrix = EchoState(spectral_radius=radius).recurrent(100, generator())
    assert np.abs(np.linalg.eigvals(matrix.numpy())).max() == pytest.approx(radius)


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({"layers": ()}, TypeError, "layers"),
        ({"layers": (10, 0)}, ValueError, "layers"),
        ({"dt_s": -1.0}, ValueError, "dt_s"),
        ({"time_constant_s": 0.005}, ValueError, "time_constant_s"),
        ({"private_noise": -0.1}, ValueError, "private_noise"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, error, name):
    with pytest.raises(error, match=f"`{name}` must be"):
        ContinuousTimeRNN(**settings)


def test_parameters_of_the_wrong_size_are_refused():
    with pytest.raises(ValueError, match=r"`parameters` must have shape \(32002,\)"):
        ContinuousTimeRNN().unpack(torch.zeros(5))


def test_a_command_table_is_read_by_trial_and_step():
    table = CommandTable(trials=3, steps=4)
    values = torch.arange(24.0)
    weights = table.unpack(values)
    zero = torch.zeros(3, 4)
    for t in range(4):
        _, command = table.step(weights, table.initial_memory(weights, 3), zero, zero, t, None)
        assert torch.equal(command, values.view(3, 4, 2)[:, t])
    with pytest.raises(ValueError, match="for 3 trials cannot run 5"):
        table.initial_memory(weights, 5)
    with pytest.raises(ValueError, match="has no step 4"):
        table.step(weights, (), zero, zero, 4, None)
