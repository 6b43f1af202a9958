"""Remembered targets: what is shown, cued and counted when, and that it takes a memory."""

import pytest
import torch
from cases import generator

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQR
from neuromotor.controllers import ContinuousTimeRNN, FeedforwardNetwork
from neuromotor.optim import Budget, KroneckerLBFGS
from neuromotor.plants import PointMass
from neuromotor.tasks import CenterOut, CuedReach, MemoryReach
from neuromotor.training.single import train

REACH = CenterOut(directions=4, steps=60, delay_steps=3)
TIMES = {"target_step": 4, "show_steps": 5, "hold_steps": (6, 12), "reach_steps": 15}
MEMORY = MemoryReach(REACH, repeats=3, **TIMES)
CUED = CuedReach(REACH, repeats=5, targets=3, **TIMES)


def go_of(trials, b):
    return int(trials.cue[b, :, 0].argmax())


def test_the_target_is_shown_for_a_moment():
    trials = MEMORY.trials(generator(1))
    assert trials.condition.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    start, target = trials.initial_state, trials.target
    torch.testing.assert_close(target[::3], REACH.trials().target)
    for b in range(12):
        go = go_of(trials, b)
        assert 9 + 6 <= go <= 9 + 12
        for t in range(60):
            shown = target[b] if 4 <= t < 9 else start[b]
            assert torch.equal(trials.shown_target[b, t], shown)
            assert float(trials.cue[b, t, 0]) == (t >= go)
        for t in range(61):
            assert torch.equal(trials.wanted[b, t], target[b] if t > go else start[b])
            assert trials.counted[b, t].tolist() == 4 * [float(t <= go or t >= go + 15)]


def test_the_symbol_names_the_target_that_came_with_it():
    trials = CUED.trials(generator(1))
    assert trials.input_size == 8 + 4
    all_targets, asked, orders = REACH.trials().target, set(), set()
    for b in range(len(trials)):
        go, symbols = go_of(trials, b), trials.cue[b, :, 1:]
        assert 4 + 15 + 6 <= go <= 4 + 15 + 12
        found = {}
        for item in range(3):
            steps = range(4 + 5 * item, 9 + 5 * item)
            (symbol,) = {int(symbols[t].argmax()) for t in steps}
            assert all(float(symbols[t].sum()) == 1 for t in steps)
            shown = trials.shown_target[b, steps.start]
            assert all(torch.equal(trials.shown_target[b, t], shown) for t in steps)
            found[symbol] = shown
        assert sorted(found) == [0, 1, 2]
        pairs = torch.stack(list(found.values()))
        numbers = (pairs[:, None] - all_targets).abs().amax(-1).argmin(1)
        assert len(set(numbers.tolist())) == 3
        query = int(symbols[go].argmax())
        assert torch.equal(found[query], trials.target[b])
        assert (symbols[go:].argmax(-1) == query).all()
        between = [t for t in range(60) if t < 4 or 19 <= t < go]
        assert not trials.cue[b, between].any()
        for t in [*between, go, 59]:
            assert torch.equal(trials.shown_target[b, t], trials.initial_state[b])
        asked.add(query)
        orders.add(tuple(found))
    assert asked == {0, 1, 2}
    assert len(orders) > 3  # symbols come in any order


def test_draws_belong_to_the_generator():
    for task in (MEMORY, CUED):
        one, same, other = (task.trials(generator(seed)) for seed in (1, 1, 2))
        assert torch.equal(one.cue, same.cue)
        assert not torch.equal(one.cue, other.cue)


@pytest.mark.slow
def test_it_takes_a_memory():
    """The same budget for a network with recurrence, and for one without that sees now alone."""
    light = PointMass(mass=0.1)
    reach = CenterOut(plant=light, directions=2, steps=30, radius_m=0.1, energy_weight=1e-3)
    times = {"target_step": 2, "show_steps": 3, "hold_steps": (3, 8), "reach_steps": 12}
    task, losses = MemoryReach(reach, repeats=16, **times), {}
    unseen = task.trials(generator(9))  # other holds
    best = ILQR().solve(task, unseen).value
    for network in (
        ContinuousTimeRNN(layers=(30,), input_size=9),
        FeedforwardNetwork(layers=(30, 30), input_size=9),
    ):
        found = train(task, network, KroneckerLBFGS(), budget=Budget(calls=1500), seed=1)
        objective = ClosedLoop(task, network).objective(unseen)
        losses[type(network).__name__] = objective.value(found.parameters) / best
    assert losses["ContinuousTimeRNN"] < 3
    assert losses["FeedforwardNetwork"] > 20


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match=r"`reach\.steps` must be 61 or more for `target_step`"):
        MemoryReach(REACH, target_step=4, show_steps=5, hold_steps=(6, 37), reach_steps=15)
    with pytest.raises(ValueError, match="`targets` must be at most the 4 directions"):
        CuedReach(REACH, targets=5, **TIMES)
    with pytest.raises(ValueError, match="`targets` must be a whole number, 2 or more"):
        CuedReach(REACH, targets=1, **TIMES)
    with pytest.raises(ValueError, match="`hold_steps` must be a whole number, 6 or more"):
        MemoryReach(REACH, hold_steps=(6, 5))
    with pytest.raises(ValueError, match=r"`reach\.repeats` must be left out"):
        MemoryReach(CenterOut(steps=150, repeats=2))
