"""Tasks with moving targets and friction go where names go: settings, environments, recordings."""

import json
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from cases import generator
from typer.testing import CliRunner

from neuromotor import LBFGS, Budget, ContinuousTimeRNN
from neuromotor.analysis import load_recording, record, recorded_run, save_recording
from neuromotor.cli.app import app
from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQR
from neuromotor.controllers import CommandTable
from neuromotor.envs import MotorEnv, MotorVectorEnv
from neuromotor.plotting import plot_hand_paths
from neuromotor.storage.components import decode, encode
from neuromotor.tasks import TASKS, CenterOut, Tracking
from neuromotor.tasks.senses import SENSES
from neuromotor.tasks.task import input_size
from neuromotor.training.comparison import compare

NAMES = ("swing", "interception", "tracking", "figure-eight", "sequence", "friction")


def few(name):
    """A task with two trials, or four of friction, no longer than 0.7 s."""
    task = TASKS[name]
    reach = replace(task.reach, directions=2, steps=min(task.steps, 70))
    some = {
        "swing": {"turns_deg": (45.0,)},
        "interception": {"speed_factors": (1.5,)},
        "figure-eight": {"move_steps": 40},
        "sequence": {"sequences": 2, "reach_steps": (9, 11), "dwell_steps": 5},
    }
    return replace(task, reach=reach, **some.get(name, {}))


@pytest.mark.parametrize("name", NAMES)
def test_settings_name_it_and_times_are_times(name):
    task = few(name)
    assert decode(encode(task, TASKS), TASKS, "task") == task
    timed = decode({"type": name, "reach": {"delay": "80 ms"}}, TASKS, "task")
    assert timed.delay_steps == 8
    if name == "interception":
        window = decode({"type": name, "window_s": [0.4, 0.5]}, TASKS, "task")
        assert window.window_steps == (40, 50)


@pytest.mark.parametrize("name", NAMES)
def test_environments_charge_what_the_loss_is(name):
    task = few(name)
    trials = task.trials()
    best = ILQR().solve(task, trials)
    options = {"normalized": False, "command_limit": 100.0}
    many = MotorVectorEnv(len(trials), task, **options)
    many.reset(options={"trials": trials})
    rewards = [many.step(best.commands[:, t].numpy())[1] for t in range(task.steps)]
    torch.testing.assert_close(-torch.tensor(sum(rewards)), best.losses, rtol=1e-8, atol=0)
    one = MotorEnv(task, **options)
    one.reset(options={"trials": trials.subset(slice(1, 2))})
    total = sum(one.step(best.commands[1, t].numpy())[1] for t in range(task.steps))
    assert -total == pytest.approx(float(best.losses[1]), rel=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_a_controller_may_see_its_hand_late(name):
    """By a preset of senses, in which the hand's place is seen after 100 ms."""
    task = few(name)
    sensed = replace(task.reach, delay_steps=0, senses=SENSES["proprioception-and-vision"])
    task = replace(task, reach=sensed)
    trials = replace(task.trials(generator(0)), sensory_noise=None)
    net = ContinuousTimeRNN((3,), input_size=input_size(task, trials))
    run = ClosedLoop(task, net).simulate(0.1 * net.initial_parameters(generator(1)), trials)
    hand = task.plant.hand_position(run.states)
    seen = run.observations[:, 10:, 4:6]
    torch.testing.assert_close(seen, hand[:, : seen.shape[1]])


@pytest.mark.parametrize(
    ("name", "number"), [("Swing", 9), ("FigureEight", 9), ("Sequence", 10), ("Friction", 9)]
)
def test_environments_have_its_name(name, number):
    env = gymnasium.make(f"neuromotor/{name}-v0")
    seen, _ = env.reset(seed=0)
    assert seen.shape == (number,)
    assert np.isfinite(env.step(np.zeros(2, np.float32))[1])


def test_recordings_say_when_targets_begin_to_move(tmp_path):
    task = few("tracking")
    table = CommandTable(trials=2, steps=task.steps)
    commands = torch.zeros(table.parameter_count, dtype=torch.float64)
    save_recording(tmp_path / "x.nc", record(task, table, commands))
    found = load_recording(tmp_path / "x.nc")
    np.testing.assert_allclose(found["target_time"], 0.2)  # its velocity is there at once
    np.testing.assert_allclose(found["target_angle"], [0.0, 180.0], atol=1e-6)
    assert np.isnan(found["perturbation_time"]).all()
    again, trials = recorded_run(found)
    assert again == task
    np.testing.assert_array_equal(trials.shown_target, found["shown_target"])
    place = task.plant.hand_position(trials.shown_target)
    np.testing.assert_allclose(found["shown_target_position"], place, atol=1e-12)
    run = few("friction")
    table = CommandTable(trials=4, steps=run.steps)
    commands = torch.zeros(table.parameter_count, dtype=torch.float64)
    _, trials = recorded_run(record(run, table, commands))
    assert torch.equal(trials.field_on, run.trials().field_on)


def test_hand_paths_show_the_way_of_the_target():
    task = Tracking(CenterOut(directions=2, steps=12), hold_steps=2, move_steps=8)
    some = {"references": (), "budget": Budget(calls=2)}
    drawn = plot_hand_paths(compare(task, ContinuousTimeRNN((3,)), {"lbfgs": LBFGS()}, **some))
    ways = [line.get_xydata() for line in drawn.axes[1].lines if line.get_marker() == "."]
    trials = task.trials()
    for way, place in zip(ways, task.plant.hand_position(trials.wanted), strict=True):
        np.testing.assert_allclose(way, 100 * place, atol=1e-9)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in NAMES if name != "sequence"]


@pytest.mark.parametrize("name", ["sequence", *SLOW])
def test_the_command_line_compares_it(name, tmp_path):
    words = ("compare", name, "--smoke", "--optimizers", "lbfgs", "--json", "--no-figures")
    done = CliRunner().invoke(app, [*words, "--budget", "4", "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["task"] == name
    bound, lbfgs = report["rows"]
    assert bound["converged"]
    assert lbfgs["loss"] > bound["loss"]
    reasons = {row["method"]: row.get("reason") for row in report["references"]}
    unknown = "its design knows no force field" if name == "friction" else None
    assert reasons.get("ilqg") == unknown
