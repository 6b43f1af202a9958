"""Measures of a load's response on planted paths: decaying oscillations of known shape."""

import math
from dataclasses import replace

import pytest
import torch
from cases import generator

from neuromotor.evaluation.load_responses import load_onsets, load_response
from neuromotor.plants import PointMass
from neuromotor.tasks import Trials

STEPS, ONSET = 100, 20


def planted(path):
    """A point mass whose hand leaves along (0.6, 0.8) by `path(seconds)` metres after the onset."""
    load = torch.zeros(1, STEPS, 2, dtype=torch.float64)
    load[:, ONSET:] = 1.0
    rest = torch.tensor([[0.3, -0.1, 0.0, 0.0]], dtype=torch.float64)
    trials = Trials(initial_state=rest, target=rest, load=load)
    time = 0.01 * (torch.arange(STEPS + 1, dtype=torch.float64) - ONSET)
    size = torch.where(time >= 0, path(time.clamp(min=0.0)), 0.0)
    unloaded = rest[:, None].repeat(1, STEPS + 1, 1)
    states = unloaded.clone()
    states[0, :, 0] += 0.6 * size
    states[0, :, 1] += 0.8 * size
    return trials, states, unloaded


def response(path):
    return load_response(PointMass(), *planted(path))


def test_a_critically_damped_bump_settles_without_overshoot():
    # 0.02 m * (t / 0.1) exp(1 - t / 0.1) peaks with 2 cm at 100 ms.
    found = response(lambda t: 0.02 * (t / 0.1) * torch.exp(1 - t / 0.1))
    for time in (100, 200, 300, 500):
        x = time / 100
        expected = 2 * x * math.exp(1 - x)
        assert found.displacement_cm[str(time)] == pytest.approx(expected, rel=1e-9)
    assert found.peak_cm == pytest.approx(2.0)
    assert found.overshoot_percent == 0.0
    assert found.oscillations == found.oscillations_max == 0
    # x exp(1 - x) = 0.1 at x = 4.8897 (Lambert W): the next step is 490 ms.
    assert found.settling_ms == pytest.approx(490)
    assert found.settled == 1.0


@pytest.mark.parametrize(("decay", "swings"), [(20.0, 0), (12.0, 1), (6.0, 2), (4.0, 3)])
def test_swings_of_a_decaying_oscillation_are_counted(decay, swings):
    # Extremes alternate every 200 ms, each exp(-0.2 decay) of the one before: 0.02, 0.09, 0.30 and
    # 0.45; three follow the first within the trial.
    found = response(lambda t: 0.01 * torch.exp(-decay * t) * torch.sin(math.pi * t / 0.2))
    ratio = math.exp(-0.2 * decay)
    assert found.oscillations == swings
    assert found.overshoot_percent == pytest.approx(100 * ratio, rel=0.02)


@pytest.mark.parametrize(("start", "expected"), [(0.0, 1.0), (0.05, 2.0)])
def test_holds_are_measured_from_the_posture_and_reaches_from_the_unloaded_path(start, expected):
    # The hand stays 1 cm off; without the load the controller would drift 1 cm the other way.
    trials, states, unloaded = planted(lambda t: 0.01 * torch.ones_like(t))
    unloaded[0, :, :2] -= 0.01 * torch.tensor([0.6, 0.8], dtype=torch.float64)
    target = trials.target + torch.tensor([start, 0.0, 0.0, 0.0], dtype=torch.float64)
    found = load_response(PointMass(), replace(trials, target=target), states, unloaded)
    assert found.displacement_cm["300"] == pytest.approx(expected)


def test_a_load_that_is_never_corrected_never_settles():
    found = response(lambda t: 0.03 * (1 - torch.exp(-t / 0.1)))
    assert found.settling_ms is None
    assert found.settled == 0.0
    assert found.end_error_cm == pytest.approx(3.0, rel=1e-3)


def test_times_beyond_the_end_are_left_out():
    trials, states, unloaded = planted(lambda t: 0.01 + 0 * t)
    short = trials.load[:, :60]
    cut = Trials(initial_state=trials.initial_state, target=trials.target, load=short)
    found = load_response(PointMass(), cut, states[:, :61], unloaded[:, :61])
    assert found.displacement_cm["300"] == pytest.approx(1.0)
    assert found.displacement_cm["500"] is None


def test_onsets_are_read_from_loads_and_forces():
    load = torch.zeros(3, 10, 2, dtype=torch.float64)
    force = torch.zeros_like(load)
    load[0, 4:, 1] = -1.0
    force[1, 7, 0] = 2.0
    rest = torch.zeros(3, 4, dtype=torch.float64)
    trials = Trials(initial_state=rest, target=rest, load=load, hand_force=force)
    assert load_onsets(trials).tolist() == [4, 7, -1]
    assert load_onsets(trials.without_loads()).tolist() == [-1, -1, -1]
    states = torch.rand(3, 11, 4, generator=generator(), dtype=torch.float64)
    assert load_response(PointMass(), trials, states, states).trials == 2
    assert load_response(PointMass(), trials.without_loads(), states, states) is None
