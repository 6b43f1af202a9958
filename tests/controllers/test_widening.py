"""A network with more inputs or units does as before until their weights change."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import CommandTable, ContinuousTimeRNN, Network
from neuromotor.controllers.cells import CELLS
from neuromotor.controllers.widening import enlarged, retimed, widened
from neuromotor.runs.settings import as_start, resolve
from neuromotor.tasks import CenterOut
from neuromotor.zoo import path
from neuromotor.zoo.saved_controller import load_controller

NETS = [
    ContinuousTimeRNN(layers=(5, 4, 3)),
    ContinuousTimeRNN(layers=(5, 4), skip_inputs=False, learn_initial_state=True),
    Network(layers=(4, 3), cell=CELLS["lstm"]),
    Network(layers=(4, 3), cell=CELLS["gated"], efference_copies=2),
]
GATED = Network(layers=(4, 3), cell=CELLS["gated"])


@pytest.mark.parametrize("net", NETS)
def test_new_inputs_do_nothing_at_first(net):
    draws = torch.Generator().manual_seed(0)
    theta = net.initial_parameters(draws)
    theta = theta + 0.1 * torch.randn(len(theta), generator=draws).double()
    wide, wider = widened(net, theta, 3)
    assert wide.input_size == net.input_size + 3
    own, new = net.unpack(theta), wide.unpack(wider)
    before, after = net.initial_memory(own, 2), wide.initial_memory(new, 2)
    for t in range(4):
        seen, told, more = (torch.randn(2, k, generator=draws).double() for k in (4, 4, 3))
        before, command = net.step(own, before, seen, told, t, None)
        after, same = wide.step(new, after, seen, torch.cat([told, more], dim=1), t, None)
        torch.testing.assert_close(same, command, rtol=1e-12, atol=1e-14)
    moved = wider.clone().requires_grad_(True)
    after = wide.initial_memory(wide.unpack(moved), 2)
    told = torch.ones(2, 7, dtype=torch.float64)
    _, command = wide.step(wide.unpack(moved), after, seen, told, 0, None)
    (gradient,) = torch.autograd.grad(command.sum(), moved)
    first = wide.unpack(gradient).layers[0].feedforward
    assert (first[:, 8:11] != 0).any()  # they can be learnt


@pytest.mark.parametrize("net", NETS)
def test_more_copies_of_commands_do_nothing_at_first(net):
    theta = net.initial_parameters(torch.Generator().manual_seed(0))
    wide, wider = widened(net, theta, 2, copies=3)
    assert wide.efference_copies == net.efference_copies + 3
    assert wide.input_size == net.input_size + 2
    task = CenterOut(directions=3, steps=12, delay_steps=2)
    told = replace(task.trials(), cue=torch.ones(3, 12, 2, dtype=torch.float64))
    before = ClosedLoop(task, net).simulate(theta, task.trials())
    after = ClosedLoop(task, wide).simulate(wider, told)
    torch.testing.assert_close(after.commands, before.commands, rtol=1e-12, atol=1e-14)


def test_a_start_gets_the_efference_copies_that_settings_name():
    saved = load_controller(path("ddn/gated"))
    raw = {"task": {"type": "ddn", "senses": {"clock": "time-basis"}}}
    wide = as_start({**raw, "controller": {"efference_copies": 8}}, saved)
    assert wide.controller.efference_copies == 8
    task = resolve(raw).task
    few = task.trials(torch.Generator().manual_seed(0)).subset(slice(5))
    losses = ClosedLoop(task, saved.controller).losses(saved.parameters, few)
    same = ClosedLoop(task, wide.controller).losses(wide.parameters, few)
    torch.testing.assert_close(same, losses, rtol=1e-9, atol=0)
    assert as_start({**raw, "controller": {"efference_copies": 8}}, wide) is wide


def test_a_start_gets_the_inputs_of_a_clock():
    saved = load_controller(path("ddn/best"))
    clock = {"type": "ddn", "senses": {"clock": "time-basis"}}
    wide = as_start({"task": clock}, saved)
    assert wide.controller.input_size == 20
    assert as_start({"task": "ddn"}, saved) is saved
    assert as_start({"task": clock}, wide) is wide
    settings = resolve({"task": clock})
    assert settings.controller.input_size == 20


@pytest.mark.parametrize("net", [*NETS[:2], NETS[3], GATED])
def test_new_units_do_nothing_at_first(net):
    draws = torch.Generator().manual_seed(0)
    theta = net.initial_parameters(draws)
    more = tuple(units + 2 + k for k, units in enumerate(net.layers))
    large, larger = enlarged(net, theta, more)
    assert large.layers == more
    own, new = net.unpack(theta), large.unpack(larger)
    before, after = net.initial_memory(own, 2), large.initial_memory(new, 2)
    for t in range(4):
        seen, told = (torch.randn(2, 4, generator=draws).double() for _ in range(2))
        before, command = net.step(own, before, seen, told, t, None)
        after, same = large.step(new, after, seen, told, t, None)
        torch.testing.assert_close(same, command, rtol=1e-12, atol=1e-14)
    assert float(after[-1][:, net.layers[-1] :].abs().min()) > 0  # they have something to say


def test_a_clock_of_each_step_says_what_the_other_one_did():
    saved = load_controller(path("ddn/best"))
    wide = as_start({"task": {"type": "ddn", "senses": {"clock": "time-basis"}}}, saved)
    draws = torch.Generator().manual_seed(1)
    moved = wide.parameters + 0.05 * torch.randn(len(wide.parameters), generator=draws).double()
    task = {"type": "ddn", "senses": {"clock": "time-basis"}, "pairs": 3}
    before = resolve({"task": task}).task
    after = resolve({"task": {**task, "senses": {"clock": "each-step"}}}).task
    wide = replace(wide, parameters=moved, task=before)
    raw = {"task": {"type": "ddn", "senses": {"clock": "each-step"}}}
    found = as_start({**raw, "controller": {"layers": [104, 101]}}, wide)
    assert found.controller.input_size == 68
    assert found.controller.layers == (104, 101)
    losses = ClosedLoop(before, wide.controller).losses(moved, before.trials())
    same = ClosedLoop(after, found.controller).losses(found.parameters, after.trials())
    torch.testing.assert_close(same, losses, rtol=1e-9, atol=0)
    again, parameters = retimed(found.controller, found.parameters, torch.eye(60).double())
    assert again == found.controller
    assert torch.equal(parameters, found.parameters)


def test_only_some_networks_get_units():
    lstm = Network(layers=(4, 3), cell=CELLS["lstm"])
    with pytest.raises(ValueError, match="remember one number"):
        enlarged(lstm, torch.zeros(lstm.parameter_count), (5, 5))
    net = NETS[1]
    for layers in ((5,), (5, 3), (6, 4, 3)):
        with pytest.raises(ValueError, match="layers"):
            enlarged(net, torch.zeros(net.parameter_count), layers)


def test_only_networks_get_inputs():
    table = CommandTable(trials=2, steps=3)
    with pytest.raises(ValueError, match="network of cells"):
        widened(table, torch.zeros(table.parameter_count), 1)
