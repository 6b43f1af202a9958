"""Sequences: what is shown, cued and counted when; draws; what the best commands do."""

from dataclasses import replace

import pytest
import torch
from cases import check_against_a_mass, generator

from neuromotor.control import ILQR
from neuromotor.envs import MotorEnv
from neuromotor.plants import PointMass
from neuromotor.tasks import CenterOut, ReachSequence, with_plant

REACH = CenterOut(directions=4, steps=80, delay_steps=2)
TASK = ReachSequence(
    REACH,
    targets=3,
    sequences=6,
    target_step=2,
    reach_steps=(8, 11),
    hold_steps=(0, 4),
    dwell_steps=3,
)


def runs(shown):
    """Stretches of one value: its first step, its length, the value."""
    found = []
    for t, value in enumerate(shown):
        if not found or not torch.equal(value, found[-1][2]):
            found.append([t, 0, value])
        found[-1][1] += 1
    return found


@pytest.mark.parametrize("visible", [False, True])
def test_order_and_times_are_shown_and_wanted(visible):
    task = replace(TASK, visible=visible)
    trials = task.trials(generator(3))
    places = task.reach.trials().target
    for b in range(6):
        start = trials.initial_state[b]
        number = int(trials.condition[b])
        order = [places[number // 16], places[number // 4 % 4], places[number % 4]]
        go = int(trials.cue[b, :, 0].argmax())
        assert trials.cue[b, :, 0].tolist() == [0.0] * go + [1.0] * (80 - go)
        preview = runs(trials.shown_target[b, :go])
        assert torch.equal(preview[0][2], start)
        assert preview[1][0] == 2
        times = [length for _, length, _ in preview[1:4]]
        for (_, length, shown), place in zip(preview[1:4], order, strict=True):
            assert torch.equal(shown, place)
            assert 8 <= length <= 11
        seen = 2 + sum(times)
        assert seen <= go <= seen + 4
        due = [go + sum(times[: i + 1]) for i in range(3)]
        for t in range(81):
            if t <= go:
                expected, counts = start, True
            else:
                stop = sum(t >= d + 3 for d in due[:2])
                expected, counts = order[stop], t >= due[stop]
            assert torch.equal(trials.wanted[b, t], expected)
            assert trials.counted[b, t].tolist() == [float(counts)] * 4
        after = trials.wanted[b, go + 1 :] if visible else start.expand(80 - go, 4)
        assert torch.equal(trials.shown_target[b, go:], after)
        assert torch.equal(trials.end[b], order[-1])
        assert torch.equal(trials.target[b], order[-1])


@pytest.mark.parametrize("targets", [2, 3, 4])
def test_draws_are_uniform_and_no_target_follows_itself(targets):
    task = ReachSequence(
        replace(REACH, steps=120), targets=targets, sequences=3000, target_step=2,
        reach_steps=(8, 11), hold_steps=(0, 4), dwell_steps=3,
    )  # fmt: skip
    number = task.trials(generator(0)).condition
    digits = torch.stack([number // 4**i % 4 for i in range(targets)], dim=1)
    assert bool((digits[:, 1:] != digits[:, :-1]).all())
    counts = torch.bincount(number)
    counts = counts[counts > 0]
    assert len(counts) == 4 * 3 ** (targets - 1)
    even = 3000 / len(counts)
    chi2, freedom = float(((counts - even) ** 2 / even).sum()), len(counts) - 1
    assert chi2 < freedom + 4 * (2 * freedom) ** 0.5
    same = [task.trials(generator(5)).wanted for _ in range(2)]
    assert torch.equal(*same)


def test_the_best_commands_are_those_of_a_dense_solution():
    check_against_a_mass(with_plant(TASK, PointMass(mass=0.7, damping=0.4)))


def test_the_best_commands_visit_the_targets_in_time():
    task = replace(TASK, reach=replace(REACH, energy_weight=1e-6))
    trials = task.trials(generator(1))
    best = ILQR().solve(task, trials)
    assert best.converged
    hand = TASK.plant.hand_position
    away = (hand(best.states) - hand(trials.wanted)).norm(dim=-1) * trials.counted[..., 0]
    assert float(away.max()) < 0.1 * REACH.radius_m


def test_an_environment_shows_the_cue():
    env = MotorEnv(TASK)
    shown, _ = env.reset(seed=1)
    assert shown.shape == (10,)
    total = 0.0
    for _ in range(80):
        shown, reward, terminated, _, info = env.step([0.0, 0.0])
        total += reward
    assert shown[-2:].tolist() == [1.0, 1.0]  # the cue, and the time
    assert terminated
    assert info["loss"] == pytest.approx(-total)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"targets": 1}, "`targets` must be a whole number, 2 or more"),
        ({"targets": 5}, "`targets` must be 2 to 4"),
        ({"sequences": 0}, "`sequences` must be"),
        ({"reach_steps": (11, 8)}, "`reach_steps` must be"),
        ({"hold_steps": (-1, 4)}, "`hold_steps` must be"),
        ({"dwell_steps": 8}, "`dwell_steps` must be below the shortest of `reach_steps`"),
        ({"targets": 4}, "`reach.steps` must be 97 or more"),
        ({"reach": replace(REACH, repeats=2)}, "`reach.repeats` must be 1"),
        ({"reach": replace(REACH, directions=1)}, "`reach.directions` must be 2 or more"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        replace(TASK, **settings)


def test_visible_is_yes_or_no():
    with pytest.raises(TypeError, match="`visible` must be True or False"):
        replace(TASK, visible=1)
