"""What components and results show of themselves in notebooks."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import neuromotor as nm
from neuromotor._showing import table
from neuromotor.analysis import make_recording, plot_recording, record
from neuromotor.training.single import initial_parameters

TASK = nm.CenterOut(directions=3, steps=5)
NETWORK = nm.ContinuousTimeRNN(layers=(4,))
THETA = initial_parameters(NETWORK, 0)


@pytest.fixture(autouse=True)
def _no_figure_stays():
    mpl.use("Agg")
    yield
    plt.close("all")


def trajectory(task=TASK):
    return nm.ClosedLoop(task, NETWORK).simulate(THETA, task.trials())


@pytest.fixture(scope="module")
def result():
    return nm.train(TASK, NETWORK, nm.LBFGS(), budget=nm.Budget(calls=6))


def test_components_and_results_are_short_tables(result):
    shown = [nm.TwoJointArm(), nm.MuscleArm(), nm.PointMass(), TASK, nm.DDN(), nm.Postural()]
    shown += [nm.ForceField(), trajectory(), result, record(TASK, NETWORK, THETA)]
    for one in shown:
        text = one._repr_html_()
        assert type(one).__name__ in text
    assert len(shown[0]._repr_html_()) < 2000
    assert "float64 tensor of shape (3, 6, 4)" in trajectory()._repr_html_()


def test_a_table_escapes_and_cuts_what_is_in_it():
    text = table("<i>", {"a<b": "</td><script>", "long": "x" * 500, "many": tuple(range(99))})
    assert "<i>" not in text
    assert "<script>" not in text
    assert "a&lt;b" in text
    assert "x" * 81 not in text
    assert "99 entries" in text


def test_a_trajectory_draws_its_hands_and_commands_with_units():
    run = trajectory()
    place, speed, commands = run.plot()
    assert (place.get_xlabel(), place.get_ylabel()) == ("hand x (cm)", "hand y (cm)")
    assert speed.get_ylabel() == "speed of the hand (cm/s)"
    labels = [text.get_text() for text in commands.get_legend().get_texts()]
    assert labels == ["shoulder torque (N m)", "elbow torque (N m)"]
    assert len(place.lines) == len(TASK.trials())
    hand = 100 * TASK.plant.hand_position(run.states)
    assert np.allclose(place.lines[1].get_xydata(), hand[1])
    assert np.allclose(commands.lines[0].get_ydata(), run.commands[0, :, 0])


def test_a_plot_goes_where_it_is_asked_to(result):
    _, axes = plt.subplots(1, 4)
    assert list(trajectory().plot(axes[:3])) == list(axes[:3])
    assert result.plot(axes[3]) is axes[3]
    with pytest.raises(ValueError, match="`axes` must be three, got 2"):
        trajectory().plot(axes[:2])


def test_a_result_draws_its_history(result):
    ax = result.plot()
    assert np.allclose(ax.lines[0].get_ydata(), [point.value for point in result.history])
    assert ax.get_yscale() == "log"
    assert "calls" in ax.get_xlabel()


def test_a_recording_draws_what_it_has():
    recording = record(TASK, NETWORK, THETA)
    place, speed, commands = plot_recording(recording)
    hand = recording["hand_position"].values
    assert np.allclose(place.lines[2].get_xydata(), 100 * hand[2])
    assert np.allclose(speed.lines[0].get_xdata(), recording["time"].values)
    assert commands.get_legend().get_texts()[0].get_text() == "shoulder torque (N m)"


def test_a_recording_without_a_hand_draws_its_commands():
    time = 0.01 * np.arange(4)
    recording = make_recording(time, np.arange(2), {"command": np.ones((2, 4, 2))})
    place, _, commands = plot_recording(recording)
    assert not place.axison
    assert len(commands.lines) == 4


def test_a_trajectory_without_its_plant_says_what_is_missing():
    empty = torch.zeros(1, 2, 4)
    with pytest.raises(ValueError, match="must know its `plant` to be drawn"):
        nm.Trajectory(empty, empty, empty, ()).plot()
