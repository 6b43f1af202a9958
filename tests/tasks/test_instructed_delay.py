"""The instructed delay: what is shown, cued and counted when, and what networks make of it."""

import pytest
import torch
from cases import generator

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQR
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.evaluation.performance import measure
from neuromotor.optim import Budget, KroneckerLBFGS
from neuromotor.plants import PointMass
from neuromotor.tasks import CenterOut, InstructedDelay, Trials, with_plant
from neuromotor.training.single import initial_parameters, train

REACH = CenterOut(directions=4, steps=40, delay_steps=3)
TASK = InstructedDelay(REACH, repeats=3, target_step=4, hold_steps=(6, 12), reach_steps=15)


def test_every_part_changes_at_its_step():
    trials = TASK.trials(generator(1))
    assert len(trials) == 12
    assert trials.input_size == 9
    start, target = trials.initial_state, trials.target
    assert trials.condition.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    for b in range(12):
        go = int(trials.cue[b, :, 0].argmax())
        assert 4 + 6 <= go <= 4 + 12
        for t in range(40):
            assert float(trials.cue[b, t, 0]) == (t >= go)
            assert torch.equal(trials.shown_target[b, t], target[b] if t >= 4 else start[b])
        for t in range(41):  # the command at the go moves the state after it
            assert torch.equal(trials.wanted[b, t], target[b] if t > go else start[b])
            counts = t <= go or t >= go + 15
            assert trials.counted[b, t].tolist() == 4 * [float(counts)]
    assert torch.equal(trials.end, target)
    assert trials.disturbed
    assert TASK.random


def test_the_loss_is_the_stated_sum():
    task = InstructedDelay(
        CenterOut(directions=2, steps=8, error_weight=2.0, velocity_weight=3.0),
        repeats=1,
        target_step=1,
        hold_steps=(1, 1),
        reach_steps=3,
    )
    trials = task.trials()
    states = (
        trials.initial_state[:, None] + 0.1 * torch.rand(2, 9, 4, generator=generator(2)).double()
    )
    commands = torch.rand(2, 8, 2, generator=generator(3)).double()
    held = (states[:, :3] - trials.initial_state[:, None]).square().sum((0, 1))  # steps 0, 1, 2
    stayed = (states[:, 5:] - trials.target[:, None]).square().sum((0, 1))  # steps 5 to 8
    both = held + stayed
    expected = both[:2].sum() + 1.5 * both[2:].sum() + 0.5 * 1e-4 * commands.square().sum()
    losses = task.cost.losses(states, commands, trials)
    torch.testing.assert_close(losses.sum(), expected, rtol=1e-12, atol=0)


def test_holds_are_uniform_between_their_limits():
    trials = InstructedDelay(REACH, repeats=2000, target_step=4, hold_steps=(6, 12), reach_steps=15)
    go = trials.trials(generator(0)).cue[..., 0].argmax(1)
    counts = torch.bincount(go - 10)
    assert len(counts) == 7
    assert float(((counts - 8000 / 7).square() / (8000 / 7)).sum()) < 22.5  # chi2(6), p = 0.001


def test_draws_repeat_with_their_generator():
    same = [TASK.trials(generator(5)).cue for _ in range(2)]
    assert torch.equal(*same)
    assert not torch.equal(same[0], TASK.trials(generator(6)).cue)
    assert torch.equal(TASK.trials().cue, TASK.trials().cue)


def test_in_catch_trials_the_hand_stays():
    task = InstructedDelay(REACH, repeats=50, hold_steps=(0, 5), reach_steps=20, catch_fraction=0.3)
    trials = task.trials(generator(0))
    caught = trials.condition >= 4
    assert float(caught.double().mean()) == pytest.approx(0.3, abs=0.1)
    assert torch.equal(trials.cue.any(1)[:, 0], ~caught)
    assert torch.equal(trials.end[caught], trials.initial_state[caught])
    assert torch.equal(trials.end[~caught], trials.target[~caught])
    assert bool((trials.counted[caught] == 1).all())
    still = trials.initial_state[:, None].repeat(1, 41, 1)
    rest = measure(
        task, trials.subset(caught), still[caught], torch.zeros(int(caught.sum()), 40, 2)
    )
    assert (rest.loss, rest.target_error_cm) == (0.0, 0.0)


def test_the_best_commands_hold_and_then_reach():
    trials = TASK.trials(generator(2))
    best = ILQR().solve(TASK, trials)
    assert best.converged
    hand = TASK.plant.hand_position(best.states)
    away = (hand - hand[:, :1]).norm(dim=-1)
    left = (hand - TASK.plant.hand_position(trials.target)[:, None]).norm(dim=-1)
    for b in range(len(trials)):
        go = int(trials.cue[b, :, 0].argmax())
        assert float(away[b, : go + 1].max()) < 0.05 * REACH.radius_m
        assert float(left[b, go + 15 :].max()) < 0.05 * REACH.radius_m


def test_another_plant_may_wait():
    task = with_plant(TASK, PointMass())
    assert task.plant == PointMass()
    assert task.trials(generator(0)).wanted.shape == (12, 41, 4)


def test_a_trained_network_waits_for_the_cue():
    """A few seconds of training: holds before the cue, whenever it comes, and moves after it."""
    task = InstructedDelay(
        CenterOut(
            plant=PointMass(mass=0.1), directions=2, steps=30, radius_m=0.1, energy_weight=1e-3
        ),
        repeats=16,
        target_step=2,
        hold_steps=(3, 10),
        reach_steps=12,
        catch_fraction=0.2,
    )
    net = ContinuousTimeRNN((20,), input_size=9)
    theta = initial_parameters(net, 0)
    result = train(task, net, KroneckerLBFGS(), budget=Budget(calls=600), parameters=theta)
    trials = task.trials(generator(9))  # other holds
    states = ClosedLoop(task, net).simulate(result.parameters, trials).states
    away = (states[..., :2] - trials.initial_state[:, None, :2]).norm(dim=-1)
    for b in range(len(trials)):
        cue = trials.cue[b, :, 0]
        go = int(cue.argmax()) if bool(cue.any()) else 30
        assert float(away[b, : go + 1].max()) < 0.02
        if go < 30:
            assert float(away[b, go + 12]) > 0.07
            error = states[b, -1, :2] - trials.target[b, :2]
            assert float(error.norm()) < 0.02


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"repeats": 0}, "`repeats` must be"),
        ({"target_step": -1}, "`target_step` must be"),
        ({"hold_steps": (5, 4)}, "`hold_steps` must be"),
        ({"hold_steps": (5, 40)}, "`reach.steps` must be 59 or more"),
        ({"reach_steps": 0}, "`reach_steps` must be"),
        ({"catch_fraction": 1.5}, "`catch_fraction` must be at most 1"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    usual = {"target_step": 4, "hold_steps": (6, 12), "reach_steps": 15}
    with pytest.raises(ValueError, match=message):
        InstructedDelay(REACH, **{**usual, **settings})


def test_trials_join_and_divide():
    trials = TASK.trials(generator(1))
    both = Trials.concatenate([trials.subset(slice(5)), trials.subset(slice(5, None))])
    for name in ("cue", "wanted", "counted", "shown_target"):
        assert torch.equal(getattr(both, name), getattr(trials, name))
    calm = trials.undisturbed()
    assert calm.cue is None
    assert not calm.disturbed
    assert torch.equal(calm.wanted, trials.wanted)
