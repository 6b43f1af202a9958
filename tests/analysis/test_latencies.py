"""Answers to loads are found where planted, never before the delay, and rarely in noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from neuromotor import CenterOut, ContinuousTimeRNN, Postural, PulsedReach
from neuromotor.analysis import RecordingError, make_recording, record, response_latency
from neuromotor.training.single import initial_parameters
from neuromotor.zoo.saved_controller import load_controller

NET = ContinuousTimeRNN(layers=(12, 9))
PARAMETERS = initial_parameters(NET, 0)
PUSHED = PulsedReach(CenterOut(directions=3, steps=30, delay_steps=10), onset_step=8)
TIME = 0.01 * np.arange(60)


def posture(command, onset=0.3, **more):
    """Trials of commands (B, 60, D) with a load at `onset` (s)."""
    onset = np.broadcast_to(np.asarray(onset, float), len(command))
    variables = {"rate": np.zeros((len(command), 60, 1)), "command": command}
    variables |= {"perturbation_time": onset, **more}
    return make_recording(TIME, np.arange(len(command)), variables)


@pytest.mark.parametrize("variable", ["command", "rate"])
def test_a_push_in_a_reach_is_answered_after_the_delay(variable):
    """The push acts on the state one step later, and that state is seen 100 ms after."""
    found = response_latency(record(PUSHED, NET, PARAMETERS), variable)
    pushed = np.tile([True, False, True], 3)
    np.testing.assert_allclose(found.seconds[pushed], 0.11)
    assert np.isnan(found.seconds[~pushed]).all()
    assert found.against.tolist() == ["unperturbed trials", "", "unperturbed trials"] * 3
    assert found.measured.tolist() == pushed.tolist()


@pytest.mark.parametrize("onset", [0, 20])
@pytest.mark.parametrize("delay", [0, 5, 10])
def test_nothing_responds_sooner_than_the_delay(onset, delay):
    task = Postural(onset_step=onset, delay_steps=delay, steps=40, postures_deg=((30.0, 90.0),))
    trials = task.trials()
    recording = record(task, NET, PARAMETERS, trials)
    calm = record(task, NET, PARAMETERS, trials.without_loads())
    for variable in ("command", "rate"):
        found = response_latency(recording, variable, unperturbed=calm)
        np.testing.assert_allclose(found.seconds, 0.01 * (delay + 1))
        assert set(found.against) == {"same trial"}
    if onset == 0:  # nothing was recorded before the load
        with pytest.raises(RecordingError, match=r"nothing to hold the 8 perturbed trials"):
            response_latency(recording)


@pytest.mark.parametrize("onset", [0, 20, 40])
def test_a_network_that_does_not_hold_still_has_no_latency(onset):
    """This one was trained under loads alone, and rings before they come."""
    saved = load_controller("postural/lbfgs")
    task = replace(saved.task, onset_step=onset, steps=80)
    trials = task.trials().subset(slice(0, 8))
    parameters = saved.parameters.double()
    recording = record(task, saved.controller, parameters, trials)
    with pytest.raises(RecordingError, match="nothing to hold the 8"):
        response_latency(recording)
    calm = record(task, saved.controller, parameters, trials.without_loads())
    np.testing.assert_allclose(response_latency(recording, unperturbed=calm).seconds, 0.11)


def test_noise_draws_are_the_same_in_the_same_trial():
    trials = PUSHED.trials()
    draws = torch.randn(9, 30, 2, generator=torch.Generator().manual_seed(0)).double()
    noisy = replace(trials, command_noise=0.1 * draws)
    recording = record(PUSHED, NET, PARAMETERS, noisy)
    # Another trial's noise would be taken for an answer, and one trial says nothing of it.
    with pytest.raises(RecordingError, match="nothing to hold"):
        response_latency(recording)
    calm = record(PUSHED, NET, PARAMETERS, noisy.without_loads())
    found = response_latency(recording, unperturbed=calm)
    np.testing.assert_allclose(found.seconds[found.measured][[0, 2, 3, 5]], 0.11)


def test_several_noisy_unperturbed_trials_are_a_reference():
    """An answer 110 ms after a push in a movement, 20 unperturbed repeats, noise of a tenth."""
    generator = np.random.default_rng(0)
    course = np.sin(np.linspace(0, 3, 60))[None, :, None] + 0.05 * generator.standard_normal(
        (30, 60, 2)
    )
    course[:10, 41:] += 1.0
    hand, target = np.zeros((30, 60, 2)), np.full((30, 2), 0.1)
    onset = np.where(np.arange(30) < 10, 0.3, np.nan)
    found = response_latency(posture(course, onset, hand_position=hand, target_position=target))
    assert (found.against[:10] == "unperturbed trials").sum() >= 9
    known = found.seconds[np.isfinite(found.seconds)]
    assert len(known) >= 9
    np.testing.assert_allclose(known, 0.11)


def test_a_quiet_baseline_is_a_reference_and_a_drift_is_none():
    command = 1e-3 * np.random.default_rng(0).standard_normal((40, 60, 2))
    command[:, 37:] += np.linspace(0.1, 1, 23)[:, None]  # 70 ms after a load at 300 ms
    found = response_latency(posture(command))
    assert (found.against == "baseline").sum() >= 36
    np.testing.assert_allclose(found.seconds[found.measured], 0.07)
    drift = command + np.where(TIME > 0.2, TIME - 0.2, 0)[:, None]
    with pytest.raises(RecordingError, match="40 are not quiet"):
        response_latency(posture(drift))
    # A target elsewhere, or a signal still to come: what follows may be the movement.
    hand = np.zeros((40, 60, 2))
    for more in ({"target_position": np.full((40, 2), 0.1)}, {"go_time": np.full(40, 0.33)}):
        with pytest.raises(RecordingError, match="none holds still"):
            response_latency(posture(command, hand_position=hand, **more))


@pytest.mark.parametrize("smooth", [0, 1, 4])
@pytest.mark.parametrize("repeats", [0, 20])
def test_noise_is_rarely_taken_for_an_answer(smooth, repeats):
    """20 seeds of 20 trials without any answer, with and without unperturbed trials; 5 % may."""
    alarms = []
    for seed in range(20):
        noise = np.random.default_rng(seed).standard_normal((20 + repeats, 60, 10))
        if smooth:
            noise = gaussian_filter1d(noise, smooth, axis=1)
        onset = np.where(np.arange(20 + repeats) < 20, 0.3, np.nan)
        still = {
            "hand_position": np.zeros((len(onset), 60, 2)),
            "target_position": np.zeros((len(onset), 2)),
        }
        try:
            alarms += np.isfinite(
                response_latency(posture(noise, onset, **still)).seconds[:20]
            ).tolist()
        except RecordingError:  # no baseline is quiet
            alarms += [False] * 20
    assert np.mean(alarms) < 0.07


def test_what_cannot_be_measured_is_refused():
    recording = record(PUSHED, NET, PARAMETERS)
    with pytest.raises(RecordingError, match="nothing to hold"):
        response_latency(recording.isel(time=slice(12, None)))  # the push is cut away
    with pytest.raises(RecordingError, match="must hold the same trials"):
        response_latency(recording, unperturbed=recording.isel(trial=[0]))
    with pytest.raises(RecordingError, match="no trial of the recording is perturbed"):
        response_latency(recording.isel(trial=[1, 4]))
    with pytest.raises(ValueError, match="`false_alarms`"):
        response_latency(recording, false_alarms=1.5)
