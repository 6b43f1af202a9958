"""Whatever decides is recorded by one call."""

import json

import numpy as np
import pytest
import torch

from neuromotor import DDN, CenterOut, CommandTable, ContinuousTimeRNN, PointMass
from neuromotor.analysis import (
    RecordingError,
    analyze,
    condition_averages,
    load_recording,
    record,
    save_recording,
)
from neuromotor.control import ILQG, OnlineTrajectoryOptimization
from neuromotor.evaluation.references import REFERENCES, reference_trajectories
from neuromotor.training.single import initial_parameters

TASK = CenterOut(directions=3, steps=10, delay_steps=2)
NET = ContinuousTimeRNN(layers=(5,))
THETA = initial_parameters(NET, 0)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_is_recorded_by_its_name(name):
    task = DDN(pairs=3, steps=10, delay_steps=2)
    trials = task.trials()
    (found,) = reference_trajectories(task, trials, [name]).values()
    recording = record(task, name, trials=trials)
    np.testing.assert_array_equal(recording["command"], found.trajectory.commands)
    hand = task.plant.hand_position(found.trajectory.states)
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


def test_a_recording_without_units_has_a_report():
    pytest.importorskip("sklearn")
    report = analyze(record(CenterOut(directions=4), "open-loop"), surrogates=2)
    sections = {section.name: section for section in report.sections}
    assert not sections["movement"].skipped
    assert set(sections["rotations"].numbers) == {"kinematics", "command"}
    for name in ("averages", "tuning", "components", "decoding"):
        assert "lacks `rate`" in sections[name].skipped
