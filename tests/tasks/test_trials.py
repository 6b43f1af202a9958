"""Trials are checked at the boundary and moved as one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import generator, noisy, timed

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.envs import MotorVectorEnv
from neuromotor.tasks import CenterOut, QuadraticCost, Trials
from neuromotor.tasks.trials import TRIAL_PARTS

STATE = torch.zeros(3, 4, dtype=torch.float64)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"target": torch.zeros(3, 3, dtype=torch.float64)}, "`target` must have shape"),
        ({"load": torch.zeros(2, 5, 2, dtype=torch.float64)}, "`load` must have shape"),
        ({"hand_force": torch.zeros(2, 5, 2, dtype=torch.float64)}, "`hand_force` must have shape"),
        (
            {"field": torch.zeros(3, 3, 5, dtype=torch.float64)},
            r"`field` must have shape \(3, 3, 7",
        ),
        (
            {
                "load": torch.zeros(3, 5, 2, dtype=torch.float64),
                "command_noise": torch.zeros(3, 6, 2, dtype=torch.float64),
            },
            "`command_noise` must have shape",
        ),
        ({"target": torch.full((3, 4), math.nan, dtype=torch.float64)}, "`target` must be finite"),
        ({"target": torch.zeros(3, 4)}, "must share dtype and device"),
        ({"condition": torch.zeros(2, dtype=torch.int64)}, "`condition` must have shape"),
        ({"initial_state": STATE[:0], "target": STATE[:0]}, "at least one trial"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        Trials(**{"initial_state": STATE, "target": STATE, **parts})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"initial_state": [[0.0]]}, "`initial_state` must be a torch tensor"),
        ({"target": STATE.long()}, "`target` must have a floating-point dtype"),
        ({"condition": torch.zeros(3)}, "`condition` must have an integer dtype"),
    ],
)
def test_parts_of_the_wrong_type_are_refused(parts, message):
    with pytest.raises(TypeError, match=message):
        Trials(**{"initial_state": STATE, "target": STATE, **parts})


def test_subset_and_to_change_every_part():
    trials = noisy(CenterOut(directions=6).trials(), steps=40, units=5)
    some = trials.subset(torch.tensor([1, 4])).to(dtype=torch.float32)
    assert len(some) == 2
    assert some.steps == 40
    assert some.unit_noise.dtype == some.load.dtype == torch.float32
    torch.testing.assert_close(some.load.double(), trials.load[[1, 4]], rtol=1e-6, atol=1e-6)
    whole = CenterOut(directions=6).trials().subset(slice(2, 4)).to(dtype=torch.float32)
    assert whole.condition.tolist() == [2, 3]


def test_unit_noise_is_standard_normal_and_repeats_with_its_seed():
    trials = CenterOut(directions=64).trials()
    one = trials.with_unit_noise(100, generator(3), steps=40).unit_noise
    two = trials.with_unit_noise(100, generator(3), steps=40).unit_noise
    assert torch.equal(one, two)
    assert abs(float(one.mean())) < 0.01
    assert float(one.std()) == pytest.approx(1.0, abs=0.01)


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match="`state_weights` must be zero or more"):
        QuadraticCost(-torch.ones(3, 4), 0.1)
    with pytest.raises(ValueError, match="`energy_weight` must be"):
        QuadraticCost(torch.ones(3, 4), -0.1)


def of_missing(name, trials, steps):
    """What a part that is None means, in full, as `TrialPart` declares it."""
    part, (batch, n) = TRIAL_PARTS[name], trials.target.shape
    sizes = {"state": (n,), "command": (2,), "load": (2,), "hand": (2,), "field": (2, 5)}
    sizes["senses"] = (n,)
    sizes["factor"] = (1,)
    size = sizes.get(part.size, (3,))
    times = {"step": (steps,), "state": (steps + 1,), "trial": ()}[part.axis]
    full = torch.ones(batch, *times, *size, dtype=torch.float64)
    return trials.target[:, None] * full if part.missing == "target" else part.missing * full


@pytest.mark.parametrize("name", [name for name in TRIAL_PARTS if name != "cue"])
def test_a_part_that_is_none_means_what_it_declares(name):
    task, net = CenterOut(directions=3, steps=5), ContinuousTimeRNN(layers=(4,))
    plain = task.trials()
    given = replace(plain, **{name: of_missing(name, plain, 5)})
    assert list(given.present()) == [name]
    assert given.steps == (None if TRIAL_PARTS[name].axis == "trial" else 5)
    theta = net.initial_parameters(generator(1))
    loop = ClosedLoop(task, net)
    torch.testing.assert_close(loop.losses(theta, given), loop.losses(theta, plain))
    for fast in (True, False):
        found, wanted = (loop.objective(t, fast=fast).value(theta) for t in (given, plain))
        assert found == pytest.approx(wanted, rel=1e-12)
    ends = []
    for trials in (given, plain):
        envs = MotorVectorEnv(3, task)
        if name == "unit_noise":
            trials = replace(trials, unit_noise=None)  # a network's own, which environments lack
        envs.reset(options={"trials": trials})
        rewards = [envs.step(0.1 * np.ones((3, 2)))[1] for _ in range(5)]
        ends.append((np.stack(rewards), envs.states))
    np.testing.assert_allclose(ends[0][0], ends[1][0], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ends[0][1], ends[1][1], rtol=1e-12, atol=1e-15)


def test_what_is_left_of_undisturbed_trials_is_what_the_cost_counts():
    trials = timed(noisy(CenterOut(directions=3, steps=5).trials(), 5, units=4), 5)
    calm = trials.undisturbed()
    assert set(calm.present()) == {"wanted", "counted"} == set(Trials.names(seen_by="cost"))
    assert trials.disturbed
    assert not calm.disturbed
    assert not replace(calm, sensory_noise=trials.sensory_noise).disturbed
    for name in Trials.names(seen_by="plant") + Trials.names(seen_by="controller"):
        part = of_missing(name, calm, 5)
        assert replace(calm, **{name: part}).disturbed
