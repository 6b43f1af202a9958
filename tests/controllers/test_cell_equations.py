"""Cells against torch's recurrent layers with the same weights, and against equations in numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import generator, normal

from neuromotor import CenterOut, ClosedLoop
from neuromotor.controllers import (
    CELLS,
    ContextCell,
    FastWeightsCell,
    GatedCell,
    LeakyCell,
    LSTMCell,
    MultiplicativeCell,
    Network,
    TensorCell,
)

SIZED = {**CELLS, "fast-weights": FastWeightsCell(units=5)}
STEPS, BATCH, UNITS, INPUTS = 6, 3, 5, 4


def network_of(cell, layers=(UNITS,)):
    return Network(layers=layers, cell=cell, input_size=INPUTS, skip_inputs=False)


def rates_of(network, theta, inputs):
    """Rates of the last layer at every step, (B, T, units), from one step after another."""
    weights = network.unpack(theta)
    memory = network.initial_memory(weights, len(inputs))
    found = []
    for t in range(inputs.shape[1]):
        empty = inputs.new_zeros(len(inputs), 0)
        memory, _ = network.step(weights, memory, inputs[:, t], empty, t, None)
        found.append(network.rates(memory)[-1])
    return torch.stack(found, dim=1)


def drawn(network):
    return network.initial_parameters(generator(1)) + 0.2 * normal(network.parameter_count)


def logistic(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("layers", [(UNITS,), (UNITS, UNITS)])
@pytest.mark.parametrize("kind", ["tanh", "relu", "lstm", "gru"])
def test_recurrent_layers_of_torch_give_the_same_numbers(kind, layers):
    own = {
        "tanh": LeakyCell(),
        "relu": LeakyCell(("rectified",)),
        "lstm": LSTMCell(forget_bias=0.0),
        "gru": GatedCell(reset_after=True),
    }[kind]
    shared = {"num_layers": len(layers), "batch_first": True, "dtype": torch.float64}
    theirs = {
        "tanh": lambda: torch.nn.RNN(INPUTS, UNITS, nonlinearity="tanh", **shared),
        "relu": lambda: torch.nn.RNN(INPUTS, UNITS, nonlinearity="relu", **shared),
        "lstm": lambda: torch.nn.LSTM(INPUTS, UNITS, **shared),
        "gru": lambda: torch.nn.GRU(INPUTS, UNITS, **shared),
    }[kind]()
    network = network_of(own, layers)
    theta = drawn(network)
    for number, layer in enumerate(network.unpack(theta).layers):
        rows = torch.arange(own.gates * UNITS)
        if kind == "gru":  # torch's rows are r, z, n, ours z, r, n
            rows = torch.cat([rows[UNITS : 2 * UNITS], rows[:UNITS], rows[2 * UNITS :]])
        with torch.no_grad():
            getattr(theirs, f"weight_ih_l{number}").copy_(layer.feedforward[rows])
            getattr(theirs, f"weight_hh_l{number}").copy_(layer.recurrent[rows])
            getattr(theirs, f"bias_ih_l{number}").copy_(layer.bias[rows])
            getattr(theirs, f"bias_hh_l{number}").zero_()
    inputs = normal(BATCH, STEPS, INPUTS)
    expected = theirs(inputs)[0].detach()
    torch.testing.assert_close(rates_of(network, theta, inputs), expected, rtol=1e-12, atol=1e-13)


def by_hand(cell, step):
    """Compare a cell with a step in numpy: (F, U, b, x, state) to (rates, state)."""
    network = network_of(cell)
    theta = drawn(network)
    layer = network.unpack(theta).layers[0]
    gates = cell.gates
    f = layer.feedforward.numpy().reshape(gates, UNITS, INPUTS)
    u = layer.recurrent.numpy().reshape(gates, UNITS, UNITS)
    b = layer.bias.numpy().reshape(gates, UNITS)
    inputs = normal(BATCH, STEPS, INPUTS)
    found = rates_of(network, theta, inputs).numpy()
    for row in range(BATCH):
        state = None
        for t in range(STEPS):
            rates, state = step(f, u, b, inputs[row, t].numpy(), state)
            np.testing.assert_allclose(found[row, t], rates, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("leak_on", ["activation", "rate"])
def test_leaks_and_nonlinearities_belong_to_single_units(leak_on):
    kinds, leaks = ("tanh", "rectified", "logistic"), (0.3, 1.0)
    functions = (np.tanh, lambda v: np.maximum(v, 0), logistic)

    def rate(v):
        return np.array([functions[j % 3](v[j] - 0.2) for j in range(UNITS)])

    def step(f, u, b, x, state):
        state = np.zeros(UNITS) if state is None else state
        before = rate(state) if leak_on == "activation" else state
        z = f[0] @ x + u[0] @ before + b[0]
        goal = z if leak_on == "activation" else rate(z)
        after = np.array([state[j] + leaks[j % 2] * (goal[j] - state[j]) for j in range(UNITS)])
        return (rate(after) if leak_on == "activation" else after), after

    by_hand(LeakyCell(kinds, leaks, leak_on, threshold=0.2), step)


def test_the_memory_of_1997_never_forgets():
    def step(f, u, b, x, state):
        h, m = state or (np.zeros(UNITS), np.zeros(UNITS))
        i, a, o = (f[k] @ x + u[k] @ h + b[k] for k in range(3))
        m = m + logistic(i) * np.tanh(a)
        h = logistic(o) * np.tanh(m)
        return h, (h, m)

    by_hand(LSTMCell(forget=False), step)


def test_context_units_keep_a_learned_share():
    def step(f, u, b, x, state):
        before = np.zeros(UNITS) if state is None else state
        keep = logistic(b[0, :2])
        slow = (1 - keep) * (f[0, :2] @ x) + keep * before[:2]
        fast = logistic(f[0, 2:] @ x + u[0, 2:] @ before + b[0, 2:])
        after = np.concatenate([slow, fast])
        return after, after

    by_hand(ContextCell(context=0.4), step)


@pytest.mark.parametrize("columns", [(0, None), (1, 3)])
def test_inputs_choose_the_recurrent_weights(columns):
    start, end = columns

    def step(f, u, b, x, state):
        h = np.zeros(UNITS) if state is None else state
        gains = f[0][:, start:end] @ x[start:end] + b[0]
        recurrent = u[1] @ np.diag(gains) @ u[0]
        h = np.tanh(f[1] @ x + recurrent @ h + b[1])
        return h, h

    by_hand(MultiplicativeCell(start, end), step)


def test_every_gating_input_has_a_matrix_of_its_own():
    """Sutskever (2013), equations 5.1 and 5.3, with a matrix that no input changes."""

    def step(f, u, b, x, state):
        h = np.zeros(UNITS) if state is None else state
        recurrent = u[0] + x[1] * u[1] + x[2] * u[2]
        h = np.tanh(f[0] @ x + recurrent @ h + b[0])
        return h, h

    by_hand(TensorCell(1, 3), step)


def test_fast_weights_are_a_fading_sum_of_outer_products():
    """Ba et al. (2016), equation 2: A h is a sum over the past, weighted by how alike it was."""

    def normalized(z):
        return (z - z.mean()) / np.sqrt(z.var() + 1e-5)

    def step(f, u, b, x, past):
        past = past or [np.zeros(UNITS)]
        z = f[0] @ x + u[0] @ past[-1] + b[0]
        h = np.maximum(normalized(z), 0)
        for _ in range(2):
            ages = range(len(past) - 1, -1, -1)
            recalled = sum(
                0.5 * 0.9**age * old * (old @ h) for age, old in zip(ages, past, strict=True)
            )
            h = np.maximum(normalized(z + recalled), 0)
        return h, [*past, h]

    by_hand(FastWeightsCell(units=UNITS, decay=0.9, rate=0.5, inner=2), step)


@pytest.mark.parametrize("name", SIZED)
def test_every_cell_moves_the_arm_and_has_derivatives(name):
    """The gradient against finite differences, and damping that adds curvature."""
    task = CenterOut(directions=2, steps=8)
    network = Network(layers=(5, 5), cell=SIZED[name])
    objective = ClosedLoop(task, network).objective(task.trials(), fast=False)
    theta = network.initial_parameters(generator(2)) + 0.1 * normal(network.parameter_count)
    _, gradient = objective.value_and_gradient(theta)
    direction = normal(len(theta), seed=3)
    step = 1e-6 * direction / direction.norm()
    slope = (objective.value(theta + step) - objective.value(theta - step)) / 2
    assert float(gradient @ step) == pytest.approx(slope, rel=1e-5)
    product = objective.linearize(theta).product
    assert direction @ product(direction, 0.1) > direction @ product(direction) > 0
    assert len(objective.kronecker_factors(theta, generator(0))) >= 3


def test_wrong_settings_are_named():
    with pytest.raises(TypeError, match="`nonlinearity` must be a tuple"):
        LeakyCell("tanh")
    with pytest.raises(ValueError, match="unknown nonlinearity 'relu'"):
        LeakyCell(("relu",))
    with pytest.raises(ValueError, match="unknown leak_on 'rates'; did you mean 'rate'"):
        LeakyCell(leak_on="rates")
    with pytest.raises(ValueError, match="`gating_to` must be a whole number, 5 or more"):
        MultiplicativeCell(4, 4)
    for cell in (MultiplicativeCell(4), MultiplicativeCell(0, 9), TensorCell(2, 9)):
        network = network_of(cell)
        with pytest.raises(ValueError, match=r"inputs, (got|4, got)"):
            rates_of(network, drawn(network), normal(1, 1, INPUTS))
    network = Network(layers=(4,), cell=replace(FastWeightsCell(), units=5))
    with pytest.raises(ValueError, match=r"`cell\.units` must be the units of the layer, got 5"):
        rates_of(network, drawn(network), normal(1, 1, 8))


def test_noise_on_the_rate_grows_with_its_square():
    """Kalidindi et al. (2021), published code: h <- a tanh(z) + (1 - a) h + xi h^2."""
    cell = LeakyCell(leak=(0.5,), leak_on="rate", noise_on="rate")
    net = Network(layers=(3,), cell=cell, input_size=2, command_size=1, private_noise=0.03)
    theta = net.initial_parameters(torch.Generator().manual_seed(0))
    weights, before = net.unpack(theta), torch.tensor([[0.4, -0.7, 0.0]], dtype=torch.float64)
    inputs = torch.tensor([[0.3, -1.0]], dtype=torch.float64)
    draws = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.float64)
    (after,), _ = net.step(weights, (before,), inputs, inputs[:, :0], 0, draws)
    layer = weights.layers[0]
    drive = inputs @ layer.feedforward.T + before @ layer.recurrent.T + layer.bias
    wanted = 0.5 * torch.tanh(drive) + 0.5 * before + 0.03 * draws * before**2
    torch.testing.assert_close(after, wanted)
    with pytest.raises(ValueError, match="leak_on"):
        LeakyCell(noise_on="rate")
