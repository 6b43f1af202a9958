"""Whatever decides is recorded by one call; feedback is cut, frozen, delayed or replayed."""

import json

import numpy as np
import pytest
import torch

from neuromotor import CenterOut, ClosedLoop, CommandTable, ContinuousTimeRNN, PointMass
from neuromotor.analysis import (
    RecordingError,
    analyze,
    condition_averages,
    load_recording,
    record,
    save_recording,
)
from neuromotor.control import ILQG, OnlineTrajectoryOptimization
from neuromotor.controllers import AlteredFeedback, FeedbackChange, FunctionController
from neuromotor.evaluation.references import REFERENCES, reference_trajectories
from neuromotor.tasks import PulsedReach
from neuromotor.training.single import initial_parameters

TASK = CenterOut(directions=3, steps=10, delay_steps=2)
NET = ContinuousTimeRNN(layers=(5,))
THETA = initial_parameters(NET, 0)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_is_recorded_by_its_name(name):
    trials = TASK.trials()
    (found,) = reference_trajectories(TASK, trials, [name]).values()
    recording = record(TASK, name, trials=trials)
    np.testing.assert_array_equal(recording["command"], found.trajectory.commands)
    hand = TASK.plant.hand_position(found.trajectory.states)
    np.testing.assert_array_equal(recording["hand_position"], hand[:, :-1])
    assert json.loads(recording.attrs["controller"]) == {"reference": name}
    assert ("rate" in recording) == bool(found.trajectory.memory)


def test_designs_planners_and_tables_are_recorded_too(tmp_path):
    trials = TASK.trials()
    design = ILQG(extended=False).design(TASK, trials)
    recordings = [
        record(TASK, ILQG(extended=False)),
        record(TASK, design.controller, design.parameters),
        record(TASK, "lqg"),
    ]
    for other in recordings[1:]:
        np.testing.assert_array_equal(recordings[0]["command"], other["command"])
    plan = record(TASK, OnlineTrajectoryOptimization(TASK))
    assert plan["command"].shape == (3, 10, 2)
    table = CommandTable(trials=3, steps=10)
    theta = 0.01 * torch.arange(60, dtype=torch.float64)
    found = record(TASK, table, theta)
    np.testing.assert_array_equal(found["command"], theta.view(3, 10, 2))
    assert "rate" not in found
    assert "unit" not in found.dims
    save_recording(tmp_path / "table.nc", found)
    with pytest.raises(RecordingError, match="lacks `rate`"):
        condition_averages(load_recording(tmp_path / "table.nc"))


def test_a_function_drives_a_point_to_its_target():
    task = CenterOut(plant=PointMass(mass=1.0), directions=4, steps=80)

    def spring(seen, target, t):
        return 100 * (target[:, :2] - seen[:, :2]) - 20 * seen[:, 2:]

    found = record(task, spring)
    # Critically damped: x'' = 100 (g - x) - 20 x', so 1 - (1 + 10 t) exp(-10 t) of the way.
    time = found["time"].values
    way = found["hand_position"].values - found["hand_position"].values[:, :1]
    line = found["target_position"].values - found["hand_position"].values[:, 0]
    expected = (1 - (1 + 10 * time) * np.exp(-10 * time))[None, :, None] * line[:, None]
    np.testing.assert_allclose(way, expected, atol=0.05 * 0.08)
    np.testing.assert_allclose(found["target_angle"], [0, 90, 180, 270], atol=1e-6)
    with pytest.raises(ValueError, match=r"must return a tensor of shape \(4, 2\)"):
        record(task, lambda seen, target, t: seen)


class Policy:
    """A reinforcement-learning policy that gives one action for ever."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.full((len(observation), 2), 0.25, np.float32), None


def test_a_policy_is_recorded_as_its_environment_runs_it():
    from neuromotor.envs.options import EnvOptions

    limit = EnvOptions.of(TASK, {}).limits.high[0]
    np.testing.assert_allclose(record(TASK, Policy())["command"], 0.25 * limit, rtol=1e-6)


def test_what_cannot_be_recorded_is_named():
    with pytest.raises(ValueError, match="did you mean 'online'"):
        record(TASK, "on-line")
    with pytest.raises(ValueError, match="`parameters` must be given for a ContinuousTimeRNN"):
        record(TASK, NET)
    with pytest.raises(ValueError, match="`parameters` must be None for ilqg"):
        record(TASK, "ilqg", THETA)
    for wrong in (3.0, ContinuousTimeRNN):
        with pytest.raises(TypeError, match="`controller` must be a controller"):
            record(TASK, wrong)


def observations(**change):
    recording = record(TASK, NET, THETA, feedback=FeedbackChange(**change))
    plain = record(TASK, NET, THETA)
    first = change["first_step"]
    np.testing.assert_array_equal(
        recording["command"].values[:, :first], plain["command"].values[:, :first]
    )
    states = torch.cat(
        [torch.from_numpy(recording[f"joint_{part}"].values) for part in ("position", "velocity")],
        dim=-1,
    )
    delayed = np.stack([states[:, max(t - 2, 0)] for t in range(10)], axis=1)
    return recording["observation"].values, delayed, recording


def test_feedback_is_cut_for_a_window():
    seen, true, recording = observations(kind="cut", first_step=4, last_step=6)
    np.testing.assert_array_equal(seen[:, 4:7], 0.0)
    np.testing.assert_array_equal(np.delete(seen, [4, 5, 6], 1), np.delete(true, [4, 5, 6], 1))
    assert json.loads(recording.attrs["feedback"]) == {
        "kind": "cut",
        "first_step": 4,
        "last_step": 6,
    }
    assert (recording["layer"] == "layer 1").all()


def test_feedback_is_frozen_at_what_was_seen_last():
    seen, true, _ = observations(kind="freeze", first_step=4, last_step=6)
    np.testing.assert_array_equal(seen[:, 4:7], np.repeat(true[:, 3:4], 3, axis=1))
    np.testing.assert_array_equal(seen[:, 7:], true[:, 7:])


def test_feedback_is_delayed_beyond_the_tasks_own_delay():
    seen, true, _ = observations(kind="delay", first_step=2, last_step=8, delay_steps=3)
    for t in range(2, 9):
        np.testing.assert_array_equal(seen[:, t], true[:, max(t - 3, 0)])
    np.testing.assert_array_equal(seen[:, 9], true[:, 9])


def test_feedback_is_replayed_from_other_trials():
    other = torch.arange(3 * 10 * 4, dtype=torch.float64).view(3, 10, 4) / 100
    seen, true, _ = observations(kind="replay", first_step=4, last_step=6, replay=other)
    np.testing.assert_array_equal(seen[:, 4:7], other[:, 4:7])
    np.testing.assert_array_equal(seen[:, 7:], true[:, 7:])
    short = FeedbackChange("replay", 4, 6, replay=other[:2])
    with pytest.raises(ValueError, match=r"`replay` must have shape \(3, 5 or more, 4\)"):
        record(TASK, NET, THETA, feedback=short)


def test_replaying_what_was_seen_changes_nothing():
    plain = record(TASK, NET, THETA)
    own = FeedbackChange("replay", 0, 9, replay=torch.from_numpy(plain["observation"].values))
    np.testing.assert_array_equal(
        record(TASK, NET, THETA, feedback=own)["command"], plain["command"]
    )


def test_replayed_feedback_of_an_unpushed_reach_hides_the_push():
    reach = CenterOut(directions=2, steps=30, delay_steps=2)
    task = PulsedReach(reach, pushes=(0.0, 1.0), onset_step=8, pulse_steps=3)
    trials = task.trials()
    plain = record(task, "ilqg", trials=trials)
    shown = plain["observation"].values.copy()
    shown[1::2] = shown[::2]  # pushed trials see what their unpushed twins do
    change = FeedbackChange("replay", 0, 29, replay=torch.from_numpy(shown))
    blind = record(task, "ilqg", trials=trials, feedback=change)
    np.testing.assert_allclose(blind["command"][1::2], plain["command"][::2], rtol=1e-9)
    push = np.linalg.norm(blind["push_force"].values, axis=-1)
    np.testing.assert_allclose(push, [0, 1, 0, 1])
    np.testing.assert_allclose(blind["push_force"][1], [0, 1], atol=1e-12)  # left of 0 degrees


def test_altered_feedback_runs_in_any_closed_loop():
    altered = AlteredFeedback(NET, FeedbackChange("cut", 0, 9))
    run = ClosedLoop(TASK, altered).simulate(THETA, TASK.trials())
    np.testing.assert_array_equal(altered.controller_memory(run.memory)[1], 0.0)
    assert FunctionController(lambda seen, target, t: seen[:, :2]).parameter_count == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "stop"}, "unknown change of feedback"),
        ({"kind": "cut", "last_step": 3}, "`last_step` must be a whole number, 4 or more"),
        ({"kind": "delay"}, "`delay_steps` must be a whole number, 1 or more"),
        ({"kind": "cut", "delay_steps": 2}, "belongs to the kind 'delay'"),
        ({"kind": "replay"}, "`replay` must be given for the kind 'replay'"),
        ({"kind": "cut", "last_step": 10}, "must end before step 10"),
    ],
)
def test_a_wrong_change_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        record(
            TASK, NET, THETA, feedback=FeedbackChange(**{"first_step": 4, "last_step": 6} | change)
        )


def test_a_recording_without_units_has_a_report():
    pytest.importorskip("sklearn")
    report = analyze(record(CenterOut(directions=4), "open-loop"), surrogates=2)
    sections = {section.name: section for section in report.sections}
    assert not sections["movement"].skipped
    for name in ("averages", "tuning", "components", "rotations", "decoding"):
        assert "lacks `rate`" in sections[name].skipped
