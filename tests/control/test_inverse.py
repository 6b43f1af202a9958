"""Inverse optimal control: planted settings come back, and what cannot be known is said."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from cases import generator

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, Uncertainty, infer, log_likelihood
from neuromotor.plants import PointMass, TwoJointArm
from neuromotor.tasks import CenterOut, ForceField

PLANTED = {
    "energy_weight": 1e-3,
    "velocity_weight": 0.1,
    "noise": 0.2,
    "sensory_noise": 0.01,
}
REACH = CenterOut(PointMass(dt_s=0.02), 0.1, 1, steps=12, repeats=20, **PLANTED)


@cache
def moved(task=REACH, seed=0):
    """Trials, and the states of the optimal controller in them."""
    trials = task.trials(generator(seed))
    sizes = Uncertainty(command_noise=task.noise, sensory_noise=task.sensory_noise)
    agent = ILQG(tolerance=1e-8).design(task, trials, sizes)
    return trials, ClosedLoop(task, agent.controller).simulate(agent.parameters, trials).states


def elsewhere(*names, factor=1.5):
    return {name: factor * PLANTED[name] for name in names}


def holds(found, name):
    low, high = found.intervals[name]
    return low < PLANTED[name] < high


def test_planted_settings_lie_in_their_intervals_from_any_start():
    names, ends = ("energy_weight", "noise"), []
    for factor in (1.5, 0.4):
        start = elsewhere(*names, factor=factor)
        found = infer(REACH, *moved(), names, start=start, starts=1)
        assert found.converged, found.reason
        assert all(holds(found, name) for name in names)
        for name, (low, high) in found.intervals.items():
            assert high / low < 1.5
            assert low < found.values[name] < high
        ends.append([*found.values.values(), found.log_likelihood])
    np.testing.assert_allclose(*ends, rtol=1e-4)
    trials, states = moved()
    best = replace(REACH, **found.values)
    total = float(log_likelihood(best, trials, states).sum())
    assert found.log_likelihood == pytest.approx(total, rel=1e-9)
    assert total > float(log_likelihood(REACH, trials, states).sum())
    assert found.measurements == 20 * 12 * 4


def test_an_interval_ends_where_the_log_likelihood_has_fallen_as_a_chi_square_says():
    """By 1.92 for 95 per cent, if it were a parabola of the logarithm; it is nearly one."""
    trials, states = moved()
    found = infer(REACH, trials, states, ["noise"], profile_points=3, starts=1)
    for end in found.intervals["noise"]:
        there = float(log_likelihood(replace(REACH, noise=end), trials, states).sum())
        assert found.log_likelihood - there == pytest.approx(1.92, rel=0.15)
    profile = found.profiles["noise"]
    assert profile.values[1] == pytest.approx(found.values["noise"])
    assert profile.log_likelihoods[1] == pytest.approx(found.log_likelihood)
    for value, height in zip(profile.values, profile.log_likelihoods, strict=True):
        total = float(log_likelihood(replace(REACH, noise=value), trials, states).sum())
        assert height == pytest.approx(total, rel=1e-9)


def test_a_profile_is_the_best_of_the_other_settings():
    """No value of the other setting near that of the profile is likelier."""
    trials, states = moved()
    names = ("energy_weight", "noise")
    found = infer(REACH, trials, states, names, profile_points=3, starts=1)
    profile = found.profiles["energy_weight"]
    for value, height in zip(profile.values, profile.log_likelihoods, strict=True):
        fixed = replace(REACH, energy_weight=value)
        best = infer(fixed, trials, states, ["noise"], starts=1).log_likelihood
        assert height == pytest.approx(best, abs=0.02)
        assert height <= found.log_likelihood + 1e-6


@pytest.mark.slow
def test_several_starts_find_the_highest_of_several_maxima():
    """From too much noise and too dear a command, one search ends at a shelf of 1.08 for noise."""
    names = ("energy_weight", "noise")
    start = elsewhere(*names, factor=2.0)
    one = infer(REACH, *moved(), names, start=start, starts=1)
    assert not holds(one, "noise")
    found = infer(REACH, *moved(), names, start=start)
    assert found.log_likelihood > one.log_likelihood + 100
    assert all(holds(found, name) for name in names)


def test_weights_that_only_scale_the_cost_get_no_interval():
    names = ("energy_weight", "error_weight", "velocity_weight", "noise")
    found = infer(REACH, *moved(), names, starts=1)
    assert [found.intervals[name] for name in names[:3]] == [None] * 3
    assert "energy_weight, error_weight and velocity_weight not identified" in found.reason
    assert "one weight of a cost must be" in found.reason
    assert holds(found, "noise")


def test_the_hand_alone_tells_of_an_arms_cost():
    """Through the arm's geometry, and with a measurement that is not exact."""
    planted = {"energy_weight": 1e-3, "noise": 0.15}
    arm = TwoJointArm(dt_s=0.03)
    task = CenterOut(arm, 0.1, 2, steps=10, repeats=15, sensory_noise=0.01, **planted)
    trials, states = moved(task)
    hand = arm.hand_position(states)
    hand = hand + 1e-4 * torch.randn(hand.shape, generator=generator(5), dtype=torch.float64)
    options = {"signals": ["hand_position"], "measurement_noise": 1e-4}
    start = {"energy_weight": 1.5e-3}
    found = infer(task, trials, hand, list(planted), start=start, starts=1, **options)
    assert found.converged, found.reason
    for name, value in planted.items():
        low, high = found.intervals[name]
        assert low < value < high < 2 * low, name


@pytest.mark.slow
def test_nine_of_ten_data_sets_hold_the_planted_settings():
    """Four settings; of the 95 % intervals of each at least 9 in 10 hold what was planted."""
    held = dict.fromkeys(PLANTED, 0)
    for seed in range(10):
        start = elsewhere(*PLANTED)
        found = infer(REACH, *moved(seed=seed), list(PLANTED), start=start, starts=1)
        assert found.converged, found.reason
        for name in PLANTED:
            held[name] += holds(found, name)
    assert min(held.values()) >= 9, held


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ([], {}, "`names` must hold at least one setting"),
        (["noise", "noise"], {}, "must differ from each other"),
        (["nois"], {}, "`names` must be settings of the task, got 'nois'; CenterOut has"),
        (["plant.mas"], {}, "PointMass has mass, damping"),
        (["targets"], {}, "`targets` must be one number"),
        (["plant.damping"], {}, "`plant.damping` must begin above zero, got 0.0"),
        (["noise"], {"start": {"noise": -1.0}}, "`noise` must begin above zero, got -1.0"),
        (["noise"], {"start": {"energy_weight": 1.0}}, "got energy_weight"),
        (["noise"], {"signals": ["hand"]}, "unknown signal of a PointMass 'hand'"),
        (["noise"], {"signals": ["hand_position"]}, r"`measured` must have shape \(20, \*, 2\)"),
        (["noise"], {"measurement_noise": 0.0}, "`measurement_noise` must be"),
        (["noise"], {"level": 95}, "`level` must be between 0 and 1, got 95"),
    ],
)
def test_what_cannot_be_inferred_is_refused(names, options, message):
    with pytest.raises(ValueError, match=message):
        infer(REACH, *moved(), names, **options)


def test_movements_that_do_not_fit_are_refused():
    trials, states = moved()
    with pytest.raises(ValueError, match="`measured` must cover 2 to 13 times"):
        infer(REACH, trials, states[:, :1], ["noise"])
    with pytest.raises(ValueError, match="`measured` must be finite"):
        infer(REACH, trials, states.where(states != states[3, 4, 0], torch.nan), ["noise"])
    field = ForceField(REACH)
    with pytest.raises(ValueError, match=r"`trials.field` must be None"):
        infer(field, field.trials(), states, ["reach.noise"])
