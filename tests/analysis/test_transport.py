"""Gradients carried through memory, against autograd through all steps and closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import normal

from neuromotor import CenterOut, ContinuousTimeRNN
from neuromotor.analysis import analyze, gradient_transport, record
from neuromotor.controllers import CELLS, LeakyCell, Network, TanhCell
from neuromotor.training.single import initial_parameters
from neuromotor.zoo.saved_controller import SavedController


@pytest.mark.parametrize("name", [*CELLS])
def test_every_cell_by_autograd_through_all_steps(name):
    cell, layers = CELLS[name], (3, 2)
    if name == "fast-weights":  # whose units are of one number in every layer
        cell, layers = replace(cell, units=3), (3, 3)
    net = Network(layers=layers, cell=cell, input_size=8, command_size=1)
    parameters = initial_parameters(net, 0) + 0.3 * normal(net.parameter_count)
    inputs = normal(2, 5, 8, seed=1)
    found = gradient_transport(net, parameters, inputs)
    weights = net.unpack(parameters)
    for row in range(2):
        memory, kept = net.initial_memory(weights, 1), []
        for t in range(5):
            seen = inputs[row : row + 1, t]
            memory, _ = net.step(weights, memory, seen, seen[:, :0], t, None)
            kept.append(memory)
        for lag in (1, 3, 4):
            sizes = [part.shape[-1] for part in memory]

            def later(v, lag=lag, sizes=sizes, row=row):
                parts = tuple(v[None].split(sizes, dim=-1))
                for t in range(5 - lag, 5):
                    seen = inputs[row : row + 1, t]
                    parts, _ = net.step(weights, parts, seen, seen[:, :0], t, None)
                return torch.cat(parts, dim=-1)[0]

            start = torch.cat(kept[4 - lag], dim=-1)[0]
            whole = torch.autograd.functional.jacobian(later, start).numpy()
            assert found.norm[row, lag - 1] == pytest.approx(np.linalg.norm(whole, 2), rel=1e-9)
            assert found.largest_entry[row, lag - 1] == pytest.approx(np.abs(whole).max(), rel=1e-9)
    assert found.norm_bound is None
    assert "one layer of tanh or leaky units" in found.unbounded


@pytest.mark.parametrize("feedback", [0.9, 1.0, 1.1])
def test_a_linear_unit_with_feedback(feedback):
    """Haykin (2009), as told in the sources: the response to an input l steps ago is w^(l + 1), so
    that it decays, stays or grows; the bounds are reached."""
    net = Network(layers=(1,), cell=LeakyCell(("linear",)), input_size=2, command_size=1)
    parameters = torch.tensor([feedback, 0.0, feedback, 0.0, 1.0, 0.0]).double()
    inputs = torch.zeros(1, 9, 2).double()
    inputs[0, 0, 0] = 1.0
    found = gradient_transport(net, parameters, inputs)
    np.testing.assert_allclose(found.norm[0], feedback ** np.arange(1, 9), rtol=1e-6)
    np.testing.assert_allclose(found.norm_bound, found.norm, rtol=1e-12)
    np.testing.assert_allclose(found.entry_bound, found.largest_entry, rtol=1e-12)
    memory, weights = net.initial_memory(net.unpack(parameters), 1), net.unpack(parameters)
    for t in range(9):
        memory, _ = net.step(weights, memory, inputs[:, t], inputs[:, t, :0], t, None)
        assert float(memory[0]) == pytest.approx(feedback ** (t + 1), rel=1e-5)


@pytest.mark.parametrize("cell", [TanhCell(leak=0.4), LeakyCell(("logistic",)), TanhCell()])
def test_bounds_hold_and_follow_their_formulas(cell):
    net = Network(layers=(6,), cell=cell, input_size=3, command_size=1)
    parameters = initial_parameters(net, 0) + 0.4 * normal(net.parameter_count)
    found = gradient_transport(net, parameters, normal(3, 12, 3, seed=2))
    assert (found.norm <= found.norm_bound * (1 + 1e-12)).all()
    assert (found.largest_entry <= found.entry_bound * (1 + 1e-12)).all()
    recurrent = net.unpack(parameters).layers[0].recurrent.numpy()
    leak = cell.leak[0] if isinstance(cell.leak, tuple) else cell.leak
    steepest = 0.25 if isinstance(cell, LeakyCell) else 1.0  # of the nonlinearity anywhere
    most = (1 - leak + leak * steepest * np.linalg.norm(recurrent, 2)) ** found.lags
    assert (found.norm_bound <= most * (1 + 1e-12)).all()
    entries = (6 * (1 - leak + leak * steepest * np.abs(recurrent).max())) ** found.lags
    assert (found.entry_bound <= entries).all()
    if leak == 1.0:  # the source's own condition: below it gradients surely vanish
        scaled = parameters.clone()
        start = 6 * 3
        scaled[start : start + 36] *= 0.9 / (steepest * np.linalg.norm(recurrent, 2))
        fading = gradient_transport(net, scaled, normal(3, 12, 3, seed=2))
        assert (fading.norm <= 0.9**fading.lags).all()


def test_the_report_has_it_for_units_that_remember_several_numbers():
    task = CenterOut(directions=2, steps=8)
    for net, bounded in (
        (ContinuousTimeRNN(layers=(5,), time_constant_s=0.02), True),
        (Network(layers=(3,), cell=CELLS["lstm"]), False),
    ):
        parameters = initial_parameters(net, 0)
        saved = SavedController(net, parameters, task, {})
        recording = record(task, net, parameters)
        report = analyze(recording, saved=saved, surrogates=1)
        (section,) = (one for one in report.sections if one.name == "transport")
        assert not section.skipped
        assert section.numbers["longest_lag_s"] == pytest.approx(0.07)
        assert ("norm_bound_factor_a_step" in section.numbers) == bounded
        section.figures["transport"]()
    with pytest.raises(ValueError, match="two steps or more"):
        gradient_transport(net, parameters, torch.zeros(1, 1, 8).double())
