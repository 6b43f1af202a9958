"""Noise, repeats and delay of every task: sizes, independence, the same draws for variants."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import generator

from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.envs import MotorVectorEnv
from neuromotor.evaluation.performance import held_out
from neuromotor.evaluation.references import default_references
from neuromotor.runs.settings import gather, resolve
from neuromotor.tasks import (
    DDN,
    CenterOut,
    ForceField,
    InstructedDelay,
    Postural,
    PulsedReach,
    TargetJump,
)

REACH = CenterOut(directions=4, steps=60, delay_steps=5)
PLAIN = {
    "center-out": REACH,
    "postural": Postural(directions=2),
    "drawn postures": Postural(draws=12),
    "target-jump": TargetJump(REACH),
    "pulsed-reach": PulsedReach(REACH),
    "force-field": ForceField(REACH, kinds=("field", "channel")),
    "instructed-delay": InstructedDelay(replace(REACH, steps=150), repeats=3),
    "ddn": DDN(pairs=12, noise=0.0),
}
REPEATED = [name for name in PLAIN if name not in ("instructed-delay", "ddn")]


def with_settings(name, **settings):
    """A task with noise or repeats, which a reach experiment takes from its reach."""
    task = PLAIN[name]
    if hasattr(task, "reach"):
        return replace(task, reach=replace(task.reach, **settings))
    return replace(task, **settings)


def parts(trials):
    names = ("initial_state", "target", "load", "hand_force", "field", "shown_target", "cue")
    return {name: getattr(trials, name) for name in (*names, "condition")}


@pytest.mark.parametrize("name", PLAIN)
def test_every_task_takes_noise_on_commands_and_on_senses(name):
    plain = PLAIN[name].trials(generator(3))
    senses = (0.01, 0.02, 0.1, 0.0)
    task = with_settings(name, noise=0.1, sensory_noise=senses)
    assert task.random
    trials = task.trials(generator(3))
    for own, value in parts(trials).items():
        expected = getattr(plain, own)
        assert value is None if expected is None else torch.equal(value, expected), own
    draws = trials.command_noise
    assert draws.shape == (len(plain), task.steps, 2)
    spread = 4 * 0.1 / (2 * draws.numel()) ** 0.5  # four standard errors
    assert float(draws.std()) == pytest.approx(0.1, abs=spread)
    assert abs(float(draws.mean())) < 2**0.5 * spread
    seen = trials.sensory_noise
    assert seen.shape == (len(plain), task.steps, 4)
    for size, column in zip(senses, seen.unbind(-1), strict=True):
        assert float(column.std()) == pytest.approx(size, rel=4 / (2 * column.numel()) ** 0.5)
    # The same draws whatever the sizes, and others from another generator.
    more = with_settings(name, noise=0.2).trials(generator(3))
    torch.testing.assert_close(more.command_noise, 2 * draws)
    assert more.sensory_noise is None
    only = with_settings(name, sensory_noise=0.01).trials(generator(3))
    assert only.command_noise is None
    torch.testing.assert_close(only.sensory_noise[..., 1], 0.5 * seen[..., 1])
    assert not torch.equal(task.trials(generator(4)).command_noise, draws)


@pytest.mark.parametrize("name", REPEATED)
def test_repeats_stand_in_a_row_each_with_draws_of_its_own(name):
    plain = with_settings(name, noise=0.1).trials(generator(1))
    trials = with_settings(name, noise=0.1, repeats=3).trials(generator(1))
    assert len(trials) == 3 * len(plain)
    for own, value in parts(plain).items():
        if value is not None:
            repeated = getattr(trials, own)
            assert all(torch.equal(repeated[k::3], value) for k in range(3)), own
    assert trials.condition.bincount().tolist() == [3] * len(plain)
    one, two, three = (trials.command_noise[k::3] for k in range(3))
    assert not torch.equal(one, two)
    assert not torch.equal(two, three)
    assert not with_settings(name, repeats=3).random or name == "drawn postures"


def test_repeats_of_kinds_of_trials_are_found_again():
    task = ForceField(replace(REACH, repeats=3), kinds=("field", "channel"))
    trials = task.trials()
    walls = task.trials_of("channel", trials.field)
    assert len(walls) == 12
    assert (walls[:, :, 0] != 0).any(-1).all()
    states = trials.initial_state[:, None].repeat(1, 61, 1)
    states[:, :, 2:] = torch.rand(len(trials), 61, 2, generator=generator(), dtype=torch.float64)
    assert task.adaptation(trials, states).shape == (12,)


@pytest.mark.parametrize("name", PLAIN)
def test_held_out_trials_of_noisy_tasks_are_new_draws_and_environments_play_them(name):
    task = with_settings(name, noise=0.1, sensory_noise=0.01)
    net = ContinuousTimeRNN(layers=(4,), input_size=task.trials().input_size)
    trials = held_out(task, net, 30)
    assert len(trials) == 30
    drawn = trials.command_noise.flatten(1)
    assert len(torch.unique(drawn, dim=0)) == 30
    assert "ilqg" in default_references(trials)
    envs = MotorVectorEnv(3, task)
    first, _ = envs.reset(seed=0)
    assert envs.step(envs.action_space.sample())[0].shape == first.shape


def test_one_line_asks_for_eight_targets_a_delay_noise_and_repeats():
    """A delay of 100 ms and signal-dependent noise of .1, twenty reaches a target."""
    assignments = [
        "task.directions=8",
        "task.delay_steps=10",
        "task.noise=0.1",
        "task.repeats=20",
        "task.sensory_noise=[0.01, 0.01, 0.1, 0.1]",
    ]
    task = resolve(gather(None, {"task": "center-out"}, assignments, smoke=False)).task
    assert task == CenterOut(
        directions=8, delay_steps=10, noise=0.1, repeats=20, sensory_noise=(0.01, 0.01, 0.1, 0.1)
    )
    trials = task.trials(generator())
    assert trials.condition.bincount().tolist() == [20] * 8
    assignments = ["task.reach.noise=0.1", "task.reach.delay_steps=10", "task.reach.repeats=5"]
    task = resolve(gather(None, {"task": "force-field"}, assignments, smoke=False)).task
    assert (task.delay_steps, task.random, len(task.trials())) == (10, True, 200)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CenterOut(delay_steps=40), r"`delay_steps` must be below the 40 steps .* 10 ms"),
        (lambda: Postural(delay_steps=100), "`delay_steps` must be below the 100 steps"),
        (lambda: DDN(delay_steps=70), "`delay_steps` must be below the 60 steps"),
        (lambda: CenterOut(noise=-0.1), "`noise` must be"),
        (lambda: CenterOut(sensory_noise=-0.1), "`sensory_noise` must be"),
        (lambda: Postural(sensory_noise=(0.1, 0.1)), "`sensory_noise` must be one number or 4"),
        (lambda: DDN(sensory_noise=(0.1, 0.1, 0.1, -0.1)), "`sensory_noise` must be"),
        (lambda: Postural(repeats=0), "`repeats` must be"),
        (lambda: InstructedDelay(CenterOut(steps=150, repeats=2)), "`reach.repeats` must be left"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
