"""The time that is left, told to controllers beside the target."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from neuromotor.analysis import record, recorded_run
from neuromotor.analysis.layout import told
from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, OnlineTrajectoryOptimization
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.controllers.widening import widened
from neuromotor.envs import ControllerPolicy
from neuromotor.runs.settings import resolve
from neuromotor.storage.components import SettingsError
from neuromotor.tasks import DDN, TASKS, CenterOut, InstructedDelay, Senses, SensesInUse
from neuromotor.tasks.task import input_size
from neuromotor.zoo.saved_controller import load_controller, save_controller

CLOCKS = [Senses(clock="time-left"), Senses(clock="time-basis", clock_size=5)]
CLOCKS.append(Senses(clock="each-step"))


def network(task, units=6):
    return ContinuousTimeRNN(layers=(units, units), input_size=input_size(task, task.trials()))


def start(controller, seed=0):
    return controller.initial_parameters(torch.Generator().manual_seed(seed))


def test_time_left_is_the_share_of_the_trial_that_is_to_come():
    table = SensesInUse.of(DDN(steps=20, senses=CLOCKS[0])).clock.table()
    assert table[:, 0].tolist() == pytest.approx([1 - t / 20 for t in range(20)])


def test_bell_curves_lie_evenly_in_the_logarithm_of_the_time_left():
    table = SensesInUse.of(DDN(senses=CLOCKS[1])).clock.table().numpy()
    place = np.log(0.01 * (60 - np.arange(60)) + 0.03)
    centres = np.linspace(place.min(), place.max(), 5)
    width = (place.max() - place.min()) / 4
    np.testing.assert_allclose(table, np.exp(-((place[:, None] - centres) ** 2) / 2 / width**2))
    assert table[-1].argmax() == 0
    assert table[0].argmax() == 4


def test_each_step_has_its_own_number():
    table = SensesInUse.of(DDN(steps=9, senses=CLOCKS[2])).clock.table()
    assert torch.equal(table, torch.eye(9, dtype=torch.float64))


@pytest.mark.parametrize("senses", CLOCKS)
def test_controllers_are_told_the_clock_after_target_and_cues(senses):
    told_numbers = []

    class Listener(ContinuousTimeRNN):
        def step(self, weights, memory, observation, target, t, noise):
            told_numbers.append(target)
            return super().step(weights, memory, observation, target, t, noise)

    task = InstructedDelay(reach=replace(InstructedDelay().reach, senses=senses), repeats=1)
    trials, clock = task.trials(), SensesInUse.of(task).clock.table()
    controller = Listener(layers=(4,), input_size=input_size(task, trials))
    ClosedLoop(task, controller).simulate(start(controller), trials)
    heard = torch.stack(told_numbers, dim=1)
    assert torch.equal(heard[..., 4:5], trials.cue)
    assert torch.equal(heard[..., 5:], clock.expand(len(trials), -1, -1))


@pytest.mark.parametrize("senses", CLOCKS)
def test_compiled_loops_tell_the_same_time_as_autograd(senses):
    task = DDN(pairs=5, steps=12, delay_steps=3, senses=senses)
    controller, trials = network(task), task.trials()
    loop, theta = ClosedLoop(task, controller), start(controller)
    fast, slow = (loop.objective(trials, fast=way) for way in (True, False))
    (value, gradient), (other, same) = (o.value_and_gradient(theta) for o in (fast, slow))
    assert value == pytest.approx(other, rel=1e-12)
    torch.testing.assert_close(gradient, same, rtol=1e-10, atol=1e-12)
    direction = start(controller, 1)
    pair = [one.linearize(theta).product(direction) for one in (fast, slow)]
    torch.testing.assert_close(*pair, rtol=1e-9, atol=1e-11)


def test_default_senses_with_a_clock_sense_what_the_task_sensed():
    plain = DDN(pairs=5)
    clocked = replace(plain, senses=CLOCKS[0])
    controller = network(plain)
    theta = start(controller)
    wide, wider = widened(controller, theta, 1)
    trials = plain.trials()
    before = ClosedLoop(plain, controller).simulate(theta, trials)
    after = ClosedLoop(clocked, wide).simulate(wider, trials)
    torch.testing.assert_close(after.states, before.states, rtol=1e-12, atol=1e-12)


def test_references_know_the_time_without_being_told():
    plain = DDN(pairs=2, steps=12, delay_steps=2)
    clocked = replace(plain, senses=CLOCKS[1])
    trials = plain.trials()
    pair = [ILQG().design(task, trials).predicted_losses for task in (plain, clocked)]
    torch.testing.assert_close(*pair, rtol=1e-9, atol=0)
    planned = []
    for task in (plain, clocked):
        planner = OnlineTrajectoryOptimization(task, iterations=1)
        loop = ClosedLoop(task, planner)
        planned.append(loop.simulate(trials.initial_state.new_zeros(0), trials).commands)
    assert torch.equal(*planned)


@pytest.mark.parametrize("senses", CLOCKS)
def test_a_policy_tells_the_time_in_an_environment(senses):
    task = CenterOut(directions=4, steps=15, delay_steps=2, senses=senses)
    controller, trials = network(task), task.trials()
    theta = start(controller)
    run = ClosedLoop(task, controller).simulate(theta, trials)
    env = gymnasium.make("neuromotor/CenterOut-v0", task=task, dtype="float64")
    policy = ControllerPolicy(controller, theta, env.unwrapped.options)
    observation, _ = env.reset(seed=3)
    which = int((trials.target - torch.tensor(observation[4:8])).abs().sum(1).argmin())
    memory, done = None, False
    while not done:
        action, memory = policy.predict(observation, memory)
        observation, _, over, cut, _ = env.step(action)
        done = over or cut
    np.testing.assert_allclose(
        env.unwrapped.state, run.states[which, -1].numpy(), rtol=1e-5, atol=1e-6
    )


def test_a_recording_keeps_what_was_told():
    task = CenterOut(directions=4, senses=CLOCKS[1])
    controller = network(task)
    recording = record(task, controller, start(controller))
    assert recording["clock"].shape == (4, 40, 5)
    np.testing.assert_array_equal(
        told(recording, [1]), SensesInUse.of(task).told_over_time(task.trials())[1:2].numpy()
    )
    again, trials = recorded_run(recording)
    assert again == task
    assert len(trials) == 4


def test_a_saved_controller_knows_its_clock(tmp_path):
    task = DDN(pairs=3, senses=CLOCKS[1])
    controller = network(task)
    save_controller(tmp_path / "c.safetensors", controller, start(controller), task=task)
    saved = load_controller(tmp_path / "c.safetensors")
    assert saved.task == task
    assert saved.controller.input_size == 13
    losses = ClosedLoop(saved.task, saved.controller).losses(saved.parameters, task.trials())
    assert torch.isfinite(losses).all()


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_the_option(name):
    owner = "task.reach" if hasattr(TASKS[name], "reach") else "task"
    table = {"senses": {"clock": "time-left"}}
    raw = {"task": {"type": name, **({"reach": table} if owner == "task.reach" else table)}}
    settings, plain = resolve(raw), resolve({"task": name})
    assert settings.controller.input_size == plain.controller.input_size + 1
    clock = SensesInUse.of(settings.task).clock.table()
    assert clock.shape == (settings.task.steps, 1)


@pytest.mark.parametrize(
    ("senses", "words"),
    [
        ({"clock": "sundial"}, "unknown clock 'sundial'"),
        ({"clock": "time-basis", "clock_size": 1}, "clock_size"),
        ({"clock": "time-left", "clock_size": 4}, "counts the bell curves"),
    ],
)
def test_wrong_clocks_are_refused(senses, words):
    with pytest.raises(SettingsError, match=words):
        resolve({"task": {"type": "ddn", "senses": senses}})
