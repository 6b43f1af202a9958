"""The page's closed loop, run without a page, against Python's `ClosedLoop`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
from javascript import closed_loop, evaluated

from neuromotor.analysis import lesion_units
from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import (
    ConstrainedNetwork,
    Controller,
    GatedCell,
    LeakyCell,
    LSTMCell,
    Network,
    TanhCell,
)
from neuromotor.controllers.rnn import ContinuousTimeRNN
from neuromotor.plants import MuscleArm, PointMass, TwoJointArm
from neuromotor.tasks import CenterOut, ForceField, Friction, InstructedDelay, Task, Trials
from neuromotor.training.single import initial_parameters, make_trials
from neuromotor.view import describe
from neuromotor.zoo.saved_controller import load_controller


@dataclass(frozen=True)
class Case:
    task: Task
    controller: Controller
    parameters: torch.Tensor
    trials: Trials

    def states(
        self, task: Task | None = None, parameters: torch.Tensor | None = None
    ) -> np.ndarray:
        loop = ClosedLoop(task or self.task, self.controller)
        with torch.no_grad():
            theta = self.parameters if parameters is None else parameters
            return loop.simulate(theta, self.trials).states.numpy()


def saved(name: str) -> Case:
    one = load_controller(name)
    assert one.task is not None
    trials = make_trials(one.task, one.controller, 5).subset(torch.tensor([0, 3]))
    return Case(one.task, one.controller, one.parameters, trials)


def fresh(
    task: Task, network: Network | ContinuousTimeRNN | ConstrainedNetwork, scale: float = 1.0
) -> Case:
    trials = make_trials(task, network, 5).subset(torch.tensor([0, 1]))
    network = replace(network, input_size=trials.input_size, command_size=task.plant.command_size)
    return Case(task, network, scale * initial_parameters(network, 2), trials)


MUSCLES = MuscleArm(force_length=True, force_velocity=True, gravity=9.81)
FORCED = ForceField(reach=CenterOut(directions=2, steps=30, delay_steps=5))
CASES = {
    "center-out": lambda: saved("center-out/best"),
    "ddn": lambda: saved("ddn/best"),
    "postural": lambda: saved("postural/best"),
    "muscles": lambda: fresh(
        CenterOut(plant=MUSCLES, directions=2, delay_steps=3),
        Network(layers=(20, 10), squash="logistic"),
    ),
    "unbounded muscles": lambda: fresh(
        CenterOut(plant=MuscleArm(bounded=False), directions=2),
        Network((12,), squash="rectified"),
    ),
    "gated": lambda: fresh(
        InstructedDelay(), Network(layers=(15, 10), cell=GatedCell(), private_noise=0.1)
    ),
    "point mass": lambda: fresh(
        CenterOut(plant=PointMass(command_limit=2.0), directions=2, noise=0.3),
        Network(layers=(10, 10), squash="tanh", skip_inputs=False, learn_initial_state=True),
    ),
    "friction": lambda: fresh(Friction(), Network(layers=(12,), cell=GatedCell())),
    "reset after": lambda: fresh(
        CenterOut(directions=2, delay_steps=2),
        Network((9, 7), GatedCell(reset_after=True), private_noise=0.1, learn_initial_state=True),
    ),
    "constrained": lambda: fresh(
        CenterOut(directions=2), ConstrainedNetwork((14,), TanhCell(), excitatory=None, density=0.5)
    ),
    "LSTM": lambda: fresh(
        CenterOut(directions=2, delay_steps=2),
        Network((9, 7), LSTMCell(), private_noise=0.1, learn_initial_state=True),
    ),
    "LSTM of 1997": lambda: fresh(CenterOut(directions=2), Network((9,), LSTMCell(forget=False))),
    "leak on the rate": lambda: fresh(
        CenterOut(directions=2),
        ConstrainedNetwork((12, 12), LeakyCell(("rectified",), (0.5,), "rate", threshold=-0.2)),
        scale=0.4,
    ),
    "leaks and kinds of their own": lambda: fresh(
        CenterOut(directions=2),
        Network((11,), LeakyCell(("logistic", "linear", "tanh"), (1.0, 0.3), threshold=0.1)),
    ),
    "leak in a field": lambda: fresh(
        FORCED, ContinuousTimeRNN(layers=(15,), time_constant_s=0.03, private_noise=0.05)
    ),
}


@cache
def prepared(name: str) -> tuple[Case, str]:
    """A case, and a script that has its closed loop as `loop`."""
    case = CASES[name]()
    quick = {"ilqr": False, "fixed_points": False}
    made = describe(case.task, case.controller, case.parameters, case.trials, **quick)
    return case, closed_loop(made)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def run(script: str, before: str, trial: int = 0) -> np.ndarray:
    """States of a trial in a world that `before` has changed."""
    steps = "for (let t = 0; t < model.steps; t += 1) loop.step(world);"
    world = f"const world = freshWorld(model);\nloop.reset({trial}, 1);\n{before}\n{steps}"
    return np.array(evaluated(f"{script}{world}", "loop.past"))


@pytest.mark.parametrize("name", CASES)
def test_whole_trials_and_losses_are_those_of_python(name):
    case, script = prepared(name)
    found = evaluated(script, "[0, 1].map((i) => wholeTrial(loop, i))")
    states = case.states()
    loop = ClosedLoop(case.task, case.controller)
    losses = loop.losses(case.parameters, case.trials).tolist()
    for i, one in enumerate(found):
        assert relative(np.array(one["states"]), states[i]) < 1e-9
        assert one["loss"] == pytest.approx(losses[i], rel=1e-9)


@pytest.mark.parametrize("name", ["ddn", "gated", "LSTM"])
def test_lesions_are_those_of_the_analysis(name):
    case, script = prepared(name)
    units = case.controller.layers[0]
    first = lesion_units(case.controller, case.parameters, [1, 4], 0)
    both = lesion_units(case.controller, first, [2], 1)
    changed = "".join(f"loop.network.lesion({unit}, true);\n" for unit in (1, 4, units + 2))
    found = run(script, changed)
    assert relative(found, case.states(parameters=both)[0]) < 1e-9
    restored = "".join(f"loop.network.lesion({unit}, false);\n" for unit in (1, 4, units + 2))
    assert relative(run(script, changed + restored), case.states()[0]) < 1e-9


def test_another_delay_is_that_of_another_task():
    case, script = prepared("ddn")
    found = run(script, "world.delay = 3;")
    assert relative(found, case.states(replace(case.task, delay_steps=3))[0]) < 1e-9


def test_loads_pushes_and_noise_can_be_changed():
    case, script = prepared("ddn")
    found = run(
        script, "world.noise = 0.5; world.loads = 2; world.load[1] = 0.05; world.push[0] = 1;"
    )
    trials, steps = case.trials, case.task.steps
    push = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(2, steps, 2)
    more = torch.tensor([0.0, 0.05], dtype=torch.float64)
    changed = replace(
        trials,
        load=2 * trials.load + more,
        hand_force=push.clone(),
        command_noise=0.5 * trials.command_noise,
    )
    assert relative(found, replace(case, trials=changed).states()[0]) < 1e-9


@pytest.mark.parametrize("name", ["center-out", "muscles", "point mass"])
def test_a_curl_field_is_that_of_trials(name):
    case, script = prepared(name)
    found = run(script, "world.curl = 4;")
    field = torch.tensor([[0, 0, 0, 0, 4], [0, 0, 0, -4, 0]], dtype=torch.float64)
    changed = replace(case.trials, field=field.expand(2, 2, 5).clone())
    assert relative(found, replace(case, trials=changed).states()[0]) < 1e-9


def test_a_target_that_was_moved_is_what_the_network_and_the_loss_see():
    case, script = prepared("center-out")
    start = f"loop.reset(0, 1);\nworld.target = {case.trials.target[1].tolist()};"
    found = run(script, start)
    moved = case.trials.target[1:].expand(2, -1).clone()
    changed = replace(case, trials=replace(case.trials, target=moved))
    assert relative(found, changed.states()[0]) < 1e-9
    loop = ClosedLoop(case.task, case.controller)
    loss = float(loop.losses(case.parameters, changed.trials)[0])
    code = f"{script}const world = freshWorld(model);\n{start}\n"
    code += "for (let t = 0; t < model.steps; t += 1) loop.step(world);"
    assert evaluated(code, "loop.loss") == pytest.approx(loss, rel=1e-9)


def test_the_hand_is_brought_to_a_point():
    _, script = prepared("center-out")
    arm = TwoJointArm()
    points = [[0.05, 0.3], [-0.1, 0.25], [0.2, 0.2]]
    found = evaluated(script, f"{points}.map((point) => loop.reach(point, [0.6, 1.4]))")
    expected = arm.configuration_at(torch.tensor(points, dtype=torch.float64)).numpy()
    assert np.allclose(found, expected, atol=1e-8)


def test_a_point_out_of_reach_is_approached():
    _, script = prepared("center-out")
    ((x, y, *_),) = evaluated(
        script, "[loop.reach([0, 1], [0.6, 1.4])].map((q) => loop.hand([...q, 0, 0]))"
    )
    longest = TwoJointArm().parameters.reach[1]
    assert np.hypot(x, y) == pytest.approx(longest, rel=1e-3)
    assert y > 0.99 * longest


@pytest.mark.parametrize("name", ["center-out", "leak in a field", "gated", "leak on the rate"])
def test_the_flow_from_where_the_network_is_leads_where_it_goes(name):
    _, script = prepared(name)
    code = (
        "const world = freshWorld(model);\nworld.noise = 0;\nloop.reset(0, 1);\n"
        "for (let t = 0; t < 9; t += 1) loop.step(world);\n"
        "const before = loop.network.rates.slice();\nloop.step(world);\n"
        "const after = loop.network.rates.slice();\n"
        "const again = loop.flow(before);\n"
    )
    after, again, own = evaluated(
        f"{script}{code}", "[after, again, loop.network.rates].map((one) => Array.from(one))"
    )
    assert np.allclose(again, after, atol=1e-6)  # rates near 1 tell little of their activation
    assert own == after  # and the network is where it was


def test_draws_beyond_the_trials_are_normal_and_follow_their_seed():
    _, script = prepared("center-out")
    many = "Array.from({{ length: 4000 }}, normalDraws({}))"
    first, again, other = (np.array(evaluated(script, many.format(s))) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.06
    assert abs(first.mean()) < 0.06
    assert first.std() == pytest.approx(1, abs=0.05)
