"""Feedback that is cut, frozen, delayed or replayed, for any controller, in any closed loop."""

import json

import numpy as np
import pytest
import torch

from neuromotor import CenterOut, ClosedLoop, ContinuousTimeRNN
from neuromotor.analysis import record
from neuromotor.controllers import AlteredFeedback, FeedbackChange
from neuromotor.tasks import PulsedReach
from neuromotor.training.single import initial_parameters

TASK = CenterOut(directions=3, steps=10, delay_steps=2)
NET = ContinuousTimeRNN(layers=(5,))
THETA = initial_parameters(NET, 0)


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


def test_outside_of_its_window_nothing_is_changed():
    """Step by step, from the same memory: command, own memory and rates are the controller's."""
    altered = AlteredFeedback(NET, FeedbackChange("freeze", 2, 3))
    weights = altered.unpack(THETA)
    seen = torch.arange(20, dtype=torch.float64).view(5, 1, 4) / 10
    target = torch.ones(1, 4, dtype=torch.float64)
    memory, own = altered.initial_memory(weights, 1), NET.initial_memory(weights, 1)
    for t in range(5):
        shown = seen[1] if t in (2, 3) else seen[t]
        memory, command = altered.step(weights, memory, seen[t], target, t, None)
        own, expected = NET.step(weights, own, shown, target, t, None)
        assert torch.equal(command, expected)
        inner, last = altered.controller_memory(memory)
        assert torch.equal(inner[0], own[0])
        assert torch.equal(last, shown)
        assert torch.equal(altered.rates(memory)[0], NET.rates(own)[0])
    assert altered.parameter_count == NET.parameter_count
    generators = (torch.Generator().manual_seed(1) for _ in range(2))
    one, two = (c.initial_parameters(g) for c, g in zip((altered, NET), generators, strict=True))
    assert torch.equal(one, two)
