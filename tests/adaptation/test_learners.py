"""Learners against closed forms, and in practice with a point mass under optimal control."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from cases import generator, normal

from neuromotor.adaptation import (
    LEARNERS,
    Addition,
    Block,
    ErrorFeedback,
    FieldObserver,
    GradientSteps,
    Kind,
    Practice,
    Schedule,
    TwoRate,
    Unlearning,
    practise,
)
from neuromotor.control import ILQG, Uncertainty
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.optim import GradientDescent
from neuromotor.plants import PointMass
from neuromotor.tasks import CenterOut, CursorReach
from neuromotor.tasks.fields import CurlField, LinearField

TASK = CenterOut(plant=PointMass(mass=1.5), directions=4, steps=40, delay_steps=4, radius_m=0.1)
TASK = replace(TASK, energy_weight=1e-4)
CURL = CurlField(13.0)
SLOW = ("error-feedback", "field-observer")


@cache
def practice(subjects=2, noise=0.0):
    task = replace(TASK, noise=noise)
    known = Uncertainty(command_noise=0.1, hand_force=1.0, onset_steps=(0, 39), sensory_noise=1e-3)
    trials = TASK.trials()
    design = ILQG().design(TASK, trials, known)
    return Practice(task, design.controller, design.parameters, trials, subjects, task.with_chance)


def matrix_powers(learner, strength):
    """x of a two-rate learner in a field of one strength, by powers of one matrix."""
    a, b = np.diag(learner.retention), np.array(learner.learning)
    step, rest = a - np.outer(b, np.ones(2)), np.linalg.inv
    still = rest(np.eye(2) - step) @ b * strength
    powers = [np.linalg.matrix_power(step, n) for n in range(60)]
    return [float((still - p @ still).sum()) for p in powers]


def test_two_rates_are_the_closed_form_and_rebound_in_a_clamp():
    learner = TwoRate()
    np.testing.assert_allclose(learner.course([1.0] * 60), matrix_powers(learner, 1.0), rtol=1e-12)
    course = learner.course([1.0] * 200 + [-1.0] * 20 + [None] * 40)
    start = np.array([0.0, 0.0])
    for n in range(220):
        f = 1.0 if n < 200 else -1.0
        start = np.array(learner.retention) * start + np.array(learner.learning) * (f - start.sum())
    decays = [float((np.array(learner.retention) ** n * start).sum()) for n in range(40)]
    np.testing.assert_allclose(course[220:], decays, rtol=1e-10)
    assert course[220] < 0.1 < max(course[220:]) - course[220]  # it recovers by itself
    assert course[259] < max(course[220:])  # and decays again
    one = TwoRate(retention=(0.99,), learning=(0.1,)).course([1.0] * 50 + [-1.0] * 9 + [None] * 20)
    np.testing.assert_allclose(one[59:], one[59] * 0.99 ** np.arange(20))  # one rate alone does not


def test_what_holds_the_plan_keeps_it_in_the_field_and_presses_with_its_force():
    own = practice()
    target, free = torch.arange(2), torch.tensor([False, False])
    for field in (CURL, LinearField()):
        unit = own.field(field)
        held = Addition(own.holding(unit)[target])
        done = own.attempt(target, unit[target], free, held, generator())
        torch.testing.assert_close(
            done.trajectory.states, own.plan.states[target], rtol=0, atol=1e-4
        )
        walled = own.attempt(target, 0 * unit[target], ~free, held, generator())
        assert walled.path_m.abs().max() < 1e-12
        velocity = own.plan.states[target][:, 1:, 2:]  # the field acts at the end of a step
        needed = -(velocity @ unit[0, :, 3:].T)
        side = torch.stack([-own.direction[target][:, 1], own.direction[target][:, 0]], -1)
        across = (needed * side[:, None]).sum(-1)
        slope = (own.pressing(walled) * across).sum(-1) / across.square().sum(-1)
        torch.testing.assert_close(slope, torch.ones(2).double(), rtol=0, atol=0.05)
        # A mass needs no model: the command that holds it is the force itself, but for a step.
        assert (held.commands - needed).norm() < 0.08 * needed.norm()


def test_two_rates_in_practice_follow_the_equations():
    learner = TwoRate(CURL)
    schedule = Schedule(
        (
            Block("baseline", 4, channel=0.5),
            Block("field", 24, CURL, channel=0.25),
            Block("counter", 5, CURL, strength=-1.0),
            Block("clamp", 8, channel=1.0),
        )
    )
    own = practice()
    course = practise(own, schedule, learner, seed=3)
    assert course.of("clamp", course.side_m).abs().max() < 1e-12
    for subject in range(2):
        kinds = course.order.kind[:, subject].tolist()
        sizes = [0.0] * 4 + [1.0] * 24 + [-1.0] * 5 + [0.0] * 8
        told = [None if k == Kind.CHANNEL else f for k, f in zip(kinds, sizes, strict=True)]
        wanted = torch.tensor(learner.course(told), dtype=torch.float64)
        found = course.adaptation[:, subject]
        seen = ~found.isnan()
        assert int(seen.sum()) == 2 + 6 + 8
        # Not exact: the field acts at the hand's own velocity, and not at the plan's.
        assert (found - wanted)[seen].abs().max() < 0.12
    first, last = course.deviation_m[4], course.of("field", course.deviation_m, Kind.FIELD)
    assert (first > 0.01).all()  # to the left, as the field
    assert torch.nanmean(last[-8:]) < 0.75 * first.mean()


@cache
def practised(name):
    schedule = Schedule((Block("field", 24, CURL, channel=0.17), Block("washout", 1)))
    return practise(practice(noise=0.05), schedule, LEARNERS[name], seed=1)


@pytest.mark.parametrize(
    "name", ["two-rate", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)]
)
def test_learners_adapt_and_show_an_after_effect_and_who_learns_nothing_does_not(name):
    learnt, same = practised(name), practised("none")
    first, after = learnt.deviation_m[0].mean(), learnt.deviation_m[24].mean()
    assert after < -0.2 * first  # on the other side
    assert torch.nanmean(learnt.adaptation[18:24]) > 0.25
    assert same.deviation_m[24].mean().abs() < 0.1 * first
    assert torch.nanmean(same.adaptation).abs() < 0.1
    kept = same.of("field", same.deviation_m, Kind.FIELD)
    assert torch.nanmean(kept[-8:]) == pytest.approx(float(torch.nanmean(kept[:8])), rel=0.3)


def test_the_observer_is_the_kalman_filter():
    """Against the dense filter over all forces of a trial, as one observation."""
    learner = FieldObserver(field_deviation=0.3, force_noise_n=0.7)
    p, felt = 4, 30
    h, mean, root = normal(1, felt, p), normal(1, p, seed=1), normal(p, p, seed=2)
    covariance = (root @ root.T)[None]
    y = normal(1, felt, seed=3)
    information = h.mT @ h / 0.7**2
    score = (h.mT @ y[..., None]).squeeze(-1) / 0.7**2
    got, spread = learner.updated(mean, covariance, information, score)
    own = covariance[0] + 0.09 * torch.eye(p)
    surprise = h[0] @ own @ h[0].T + 0.49 * torch.eye(felt)
    gain = covariance[0] @ h[0].T @ torch.linalg.inv(surprise)
    torch.testing.assert_close(got[0], mean[0] + gain @ (y[0] - h[0] @ mean[0]))
    torch.testing.assert_close(spread[0], covariance[0] - gain @ h[0] @ covariance[0])


def test_an_observer_of_the_matrix_finds_the_saddle_and_learns_slower_what_varies():
    schedule = Schedule((Block("field", 8, LinearField()),))
    states = []

    class Watched(FieldObserver):
        def after(self, practice, state, outcome):
            states.append(super().after(practice, state, outcome))
            return states[-1]

    practise(practice(), schedule, Watched(pattern="matrix", prior=10.0, retention=1.0))
    found = states[-1].mean.mean(0)
    assert (found - torch.tensor([-10.1, -11.2, -11.2, 11.1]).double()).abs().max() < 3.0
    indices = []
    for deviation in (0.0, 0.5):
        states.clear()
        practise(practice(), schedule, Watched(LinearField(), field_deviation=deviation))
        indices.append(float(states[5].mean.mean()))
    assert indices[1] < 0.8 * indices[0]


def test_an_observer_may_have_the_controller_designed_anew():
    schedule = Schedule((Block("field", 4, CURL, channel=0.5),))
    learner = FieldObserver(
        CURL,
        prior=0.5,
        ilqg=ILQG(rounds=3, relinearizations=0),
        uncertainty=Uncertainty(command_noise=0.1),
    )
    course = practise(practice(), schedule, learner, seed=1)
    assert torch.nanmean(course.adaptation[2:]) > 0.5


def test_gradient_steps_lower_the_loss_in_the_field():
    net = ContinuousTimeRNN(layers=(10,))
    theta = 0.3 * net.initial_parameters(generator(0))
    own = Practice(TASK, net, theta, TASK.trials(), subjects=4)
    learner = GradientSteps(GradientDescent(learning_rate=0.05))
    state = learner.begin(own)
    target, free = torch.arange(4), torch.zeros(4, dtype=torch.bool)
    losses = []
    for _ in range(6):
        change = learner.before(own, state, target)
        done = own.attempt(target, own.field(CURL), free, change, generator())
        run = done.trajectory
        losses.append(float(TASK.cost.losses(run.states, run.commands, done.trials).mean()))
        state = learner.after(own, state, done)
    assert all(b < a for a, b in itertools.pairwise(losses))
    with pytest.raises(ValueError, match="`controller` must be one that learns"):
        learner.begin(practice())


def test_actuators_that_are_sensed_do_not_make_the_controller_fight_what_is_added():
    world = CursorReach(steps=40)
    target = world.home + torch.tensor([[0.0, 0.08]]).double()
    trials = world.reaches(target, arrival_s=0.3)
    known = Uncertainty(command_noise=0.1, load=0.3, onset_steps=(0, 39), sensory_noise=0.01)
    design = ILQG(rounds=3, relinearizations=0).design(world, trials, known)
    own = Practice(world, design.controller, design.parameters, trials, subjects=1)
    unit = own.field(CURL)
    held, free = Addition(own.holding(unit)), torch.tensor([False])
    done = own.attempt(torch.tensor([0]), unit, free, held, generator())
    torch.testing.assert_close(done.path_m, own.side(own.plan.states, torch.tensor([0])),
                               rtol=0, atol=1e-6)  # fmt: skip


def test_what_cannot_be_practised_is_refused():
    own = practice()
    with pytest.raises(ValueError, match="must have tables for the 3 trials, got tables for 4"):
        replace(own, trials=own.trials.subset(slice(0, 3)))
    with pytest.raises(ValueError, match="got one that goes nowhere"):
        replace(own, trials=replace(own.trials, target=own.trials.initial_state))
    with pytest.raises(ValueError, match="`learning` must have as many"):
        TwoRate(learning=(0.1,))
    with pytest.raises(ValueError, match="`pattern` must be strength or matrix"):
        FieldObserver(pattern="curl")
    with pytest.raises(ValueError, match="`rate` must"):
        ErrorFeedback(rate=2.0)
    strong = Schedule((Block("storm", 2, LinearField((1e5, 0.0, 0.0, 1e5))),))
    with pytest.raises(ValueError, match=r"trial 1 \(block 'storm'\) is unstable"):
        practise(own, strong, Unlearning())
