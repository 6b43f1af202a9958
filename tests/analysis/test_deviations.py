"""The deviation after a push is what was planted, whatever the reach is that it rides on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuromotor import ContinuousTimeRNN
from neuromotor.analysis import RecordingError, hand_deviations, make_recording, record
from neuromotor.closed_loop import ClosedLoop
from neuromotor.tasks import PulsedReach
from neuromotor.training.single import initial_parameters

TIME_S = 0.01 * np.arange(60)


def planted(onsets, targets, bump_m, *, reach_m=0.1):
    """Straight reaches to targets (deg), with a bump to the right that begins at each onset."""
    angle = np.radians(targets)
    course = reach_m * np.sin(0.5 * np.pi * TIME_S / TIME_S[-1]) ** 2
    hand = course[None, :, None] * np.stack([np.cos(angle), np.sin(angle)], -1)[:, None]
    goal = hand[:, -1].copy()
    since = TIME_S - np.asarray(onsets)[:, None]
    bump = np.where(since > 0, bump_m * np.sin(np.pi * since.clip(0) / 0.2) ** 2, 0)
    hand[..., 0] += np.nan_to_num(bump)
    force = np.zeros((len(hand), len(TIME_S), 2))
    force[..., 0] = (since >= -1e-9) & (since < 0.05 - 1e-9)
    return make_recording(
        TIME_S,
        np.arange(len(hand)),
        {
            "rate": np.random.default_rng(0).normal(size=(len(hand), len(TIME_S), 3)),
            "hand_position": hand,
            "target_position": goal,
            "perturbation_time": np.asarray(onsets, float),
            "hand_force": force,
        },
    )


def test_the_unperturbed_reach_is_subtracted():
    targets = [0, 0, 90, 90, 90]
    found = hand_deviations(planted([np.nan, 0.1, np.nan, np.nan, 0.3], targets, 0.02))
    assert found.trials.tolist() == [1, 4]
    assert found.conditions.tolist() == [1, 4]
    assert found.against.tolist() == ["unperturbed trials"] * 2
    assert found.push_s == pytest.approx([0.05, 0.05])
    bump = np.where(found.time_s > 0, 0.02 * np.sin(np.pi * found.time_s / 0.2) ** 2, 0)
    for own in found.distance_m:
        known = np.isfinite(own)
        assert own[known] == pytest.approx(bump[known], abs=1e-12)
    assert np.isfinite(found.distance_m).sum(1).tolist() == [60, 60]


def test_a_posture_is_its_own_reference_and_a_reach_without_a_twin_is_left_out():
    held = planted([0.2, np.nan], [0, 180], 0.01, reach_m=0.0)
    found = hand_deviations(held)
    assert found.against.tolist() == ["unperturbed trials"]
    found = hand_deviations(held.isel(trial=[0]))
    assert found.against.tolist() == ["posture"]
    assert np.nanmax(found.distance_m) == pytest.approx(0.01)
    moving = planted([0.2, 0.2, np.nan], [0, 90, 90], 0.01)
    found = hand_deviations(moving)
    assert (found.trials.tolist(), found.left_out) == ([1], 1)
    with pytest.raises(RecordingError, match="Record unperturbed trials"):
        hand_deviations(moving.isel(trial=[0]))
    with pytest.raises(RecordingError, match="no trial of the recording is perturbed"):
        hand_deviations(moving.isel(trial=[2]))
    with pytest.raises(RecordingError, match="the same trials"):
        hand_deviations(moving, moving.isel(trial=[0]))


def test_a_networks_own_reach_without_the_push_is_the_best_reference():
    task, net = PulsedReach(), ContinuousTimeRNN(layers=(8,))
    parameters = initial_parameters(net, 0)
    trials = task.trials()
    pushed = record(task, net, parameters, trials)
    calm = record(task, net, parameters, trials.without_loads())
    found = hand_deviations(pushed, calm)
    loop = ClosedLoop(task, net)
    off = [
        task.plant.hand_position(loop.simulate(parameters, part).states[:, :-1])
        for part in (trials, replace(trials, hand_force=None))
    ]
    distance = torch.linalg.norm(off[0] - off[1], dim=-1)[found.trials].numpy()
    own = found.distance_m
    assert own[np.isfinite(own)] == pytest.approx(distance.ravel(), abs=1e-12)
    assert np.all(own[:, found.time_s <= 0][np.isfinite(own[:, found.time_s <= 0])] == 0)
    assert set(found.against) == {"same trial"}


def test_the_figure_shows_every_push_in_cm():
    pytest.importorskip("matplotlib").use("Agg")
    from neuromotor.analysis.deviations import plot_deviations

    found = hand_deviations(planted([np.nan, 0.1, 0.2], [0, 0, 0], 0.02))
    course, plane = plot_deviations(found).axes[:2]
    lines = [line.get_ydata() for line in course.lines]
    assert len(lines) == 3  # two pushes and their median
    assert max(np.nanmax(line) for line in lines) == pytest.approx(2.0)
    assert "(cm)" in course.get_ylabel()
    assert "(cm)" in plane.get_xlabel()
