"""ILQG as a teacher."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from forked import neuromotor

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, Uncertainty
from neuromotor.controllers import CommandTable, ContinuousTimeRNN
from neuromotor.evaluation.performance import held_out
from neuromotor.optim import Adam, Budget, HessianFree, KroneckerAdam
from neuromotor.plants import PointMass
from neuromotor.runs.recipes import find_stages
from neuromotor.runs.settings import resolve
from neuromotor.storage.components import SettingsError
from neuromotor.storage.snapshots import load_snapshot
from neuromotor.tasks import DDN, CenterOut, ForceField, InstructedDelay
from neuromotor.training.single import initial_parameters, train
from neuromotor.training.teacher import ILQGTeacher, Taught
from neuromotor.zoo.saved_controller import load_controller

TASK = DDN(pairs=6, steps=14, delay_steps=3)
NET = ContinuousTimeRNN(layers=(8,))


def taught(task=TASK, controller=NET, seed=2, **settings):
    settings = {"batches": 2, **settings}
    return Taught(task, controller, ILQGTeacher(**settings), seed)


def linear_task():
    """A point mass under signal-dependent noise: there ILQG's design is exact."""
    reach = CenterOut(plant=PointMass(damping=2.0), directions=3, steps=12, delay_steps=2)
    return replace(reach, noise=0.3, energy_weight=1e-2, repeats=1500)


def test_a_command_that_is_off_costs_what_the_curvature_says():
    # the performance difference: J - J* = E sum (u - u*)' G (u - u*) / 2, along the wrong trials
    task = linear_task()
    trials = task.trials(torch.Generator().manual_seed(4))
    known = Uncertainty(command_noise=task.noise)
    found = ILQG().design(task, trials, known)
    guide, tables = found.controller, found.controller.unpack(found.parameters)
    loop, steps = ClosedLoop(task, guide), task.steps
    push = 2.0 * torch.randn(steps, 2, generator=torch.Generator().manual_seed(1)).double()

    class Off(type(guide)):
        def step(self, weights, memory, observation, target, t, noise):
            (estimate, own), _ = super().step(weights, memory, observation, target, t, noise)
            return (estimate, own + push[t]), own + push[t]

    names = {field: getattr(guide, field) for field in guide.__dataclass_fields__}
    wrong = ClosedLoop(task, Off(**names))
    done = wrong.simulate(found.parameters, trials)
    advice = guide.advice(tables, done.observations, done.commands)
    missed = done.commands - advice
    torch.testing.assert_close(missed, push.expand_as(missed), rtol=1e-9, atol=1e-9)
    said = 0.5 * torch.einsum("bti,btij,btj->b", missed, found.curvature, missed)
    excess = wrong.losses(found.parameters, trials) - loop.losses(found.parameters, trials)
    error = float(excess.std() / len(trials) ** 0.5)
    assert abs(float(excess.mean() - said.mean())) < 4 * error
    assert error < 0.05 * float(said.mean())  # the comparison says something


def test_advice_on_the_teachers_own_trials_is_what_it_did():
    trials = TASK.trials(torch.Generator().manual_seed(3))
    found = ILQG().design(TASK, trials)
    guide, tables = found.controller, found.controller.unpack(found.parameters)
    done = ClosedLoop(TASK, guide).simulate(found.parameters, trials)
    assert torch.equal(guide.advice(tables, done.observations, done.commands), done.commands)


def test_lessons_are_run_by_the_teacher_or_by_the_controller():
    theta = initial_parameters(NET, 0)
    own = taught(own=1.0).lesson(0, theta)
    loop = ClosedLoop(TASK, NET)
    done = loop.simulate(theta, own.trials)
    torch.testing.assert_close(own.observations, done.observations)
    shown = taught(own=0.0).lesson(0, theta)
    assert torch.equal(shown.observations, taught(own=0.0).lesson(0, -theta).observations)
    losses = TASK.cost.losses
    assert not torch.equal(shown.observations, own.observations)
    assert torch.isfinite(losses(done.states, done.commands, own.trials)).all()


def test_noise_is_new_in_every_lesson_and_pairs_come_back():
    theta, pupil = initial_parameters(NET, 0), taught()
    first, second, third = (pupil.lesson(number, theta).trials for number in range(3))
    assert torch.equal(first.target, third.target)
    assert not torch.equal(first.target, second.target)
    assert not torch.equal(first.command_noise, third.command_noise)


def test_outliers_count_less():
    theta = 5.0 * initial_parameters(NET, 0)
    plain, robust = (taught(own=1.0, outliers=x).lesson(0, theta) for x in (1e9, 1.0))
    done = ClosedLoop(TASK, NET).simulate(theta, plain.trials)
    missed = done.commands - plain.wanted
    losses = torch.einsum("bti,btij,btj->b", missed, plain.weights, missed)
    share = (robust.weights / plain.weights)[:, 0, 0, 0]
    torch.testing.assert_close(share, (losses.median() / losses).clamp(max=1.0))
    assert share.min() < 1


def test_a_lesson_stays_within_an_iteration():
    theta, pupil = initial_parameters(NET, 0), taught(own=1.0)
    before = pupil.value(theta)
    pupil.value(2 * theta)
    assert pupil.value(theta) == before
    assert not pupil.redraw(0)
    assert pupil.redraw(1)
    assert pupil.value(theta) != before


def test_teaching_brings_the_loss_down():
    task, net = DDN(pairs=16, steps=12, delay_steps=2), ContinuousTimeRNN(layers=(12,))
    loop, trials = ClosedLoop(task, net), held_out(task, net, 40)
    optimal = ILQG().design(task, trials)
    best = float(ClosedLoop(task, optimal.controller).losses(optimal.parameters, trials).mean())
    start = initial_parameters(net, 0)
    result = train(
        task,
        net,
        KroneckerAdam(learning_rate=0.02),
        budget=Budget(calls=160),
        teacher=ILQGTeacher(batches=2),
    )
    excess = [float(loop.losses(x, trials).mean()) - best for x in (start, result.parameters)]
    assert excess[1] < 0.1 * excess[0]


def test_second_order_methods_are_taught_too():
    teacher = ILQGTeacher(batches=1, own=0.0, every=0)
    result = train(TASK, NET, HessianFree(), budget=Budget(calls=60), teacher=teacher)
    pupil = Taught(TASK, NET, teacher, 0)
    before, after = (pupil.value(x) for x in (initial_parameters(NET, 0), result.parameters))
    assert after < 0.7 * before


def test_a_training_goes_on_to_the_bit(tmp_path):
    def run(calls, name, **more):
        return train(
            TASK,
            NET,
            Adam(warmup=0.0),
            budget=Budget(calls=calls),
            teacher=ILQGTeacher(batches=2),
            checkpoint=tmp_path / name,
            **more,
        )

    constant = {"seed": 3}
    whole = run(8, "whole", **constant)
    stopped = []

    def enough():
        return len(stopped) >= 4

    train(
        TASK,
        NET,
        Adam(warmup=0.0),
        budget=Budget(calls=8, interrupted=enough),
        teacher=ILQGTeacher(batches=2),
        checkpoint=tmp_path / "part",
        callback=stopped.append,
        **constant,
    )
    on = run(8, "part", resume=load_snapshot(tmp_path / "part"), **constant)
    assert torch.equal(on.parameters, whole.parameters)


def test_late_onsets_are_part_of_the_design():
    known = Uncertainty(load=1.0, onset_steps=(2, 5), late_onset=1e-3)
    assert [known.onset_probability(t) for t in (1, 2, 5, 6, 30)] == [0, 0.25, 0.25, 1e-3, 1e-3]
    with pytest.raises(ValueError, match="late_onset"):
        Uncertainty(late_onset=2.0)


def test_settings_name_a_teacher():
    raw = {"task": "ddn", "teacher": {"type": "ilqg", "batches": 3, "own": 0.25}}
    settings = resolve(raw)
    assert settings.teacher == ILQGTeacher(batches=3, own=0.25)
    assert resolve(json.loads(json.dumps(settings.as_dict()))).teacher == settings.teacher
    assert resolve({"task": "ddn", "teacher": "ilqg"}).teacher == ILQGTeacher()
    assert "teacher" not in resolve({"task": "ddn"}).as_dict()
    with pytest.raises(SettingsError, match="batches"):
        resolve({"teacher": {"batches": 0}})
    with pytest.raises(SettingsError, match="belongs to its present weights"):
        resolve({"teacher": {"every": 5}})


@pytest.mark.parametrize(
    ("task", "controller", "more", "words"),
    [
        (ForceField(), NET, {}, "ILQG does not"),
        (TASK, CommandTable(trials=6, steps=14), {}, "CommandTable"),
        (TASK, NET, {"products": torch.float32}, "products"),
    ],
)
def test_what_cannot_be_taught_is_refused(task, controller, more, words):
    with pytest.raises(ValueError, match=words):
        train(task, controller, Adam(), budget=Budget(calls=2), teacher=ILQGTeacher(), **more)


def test_cues_are_told_in_lessons():
    reach = CenterOut(directions=2, steps=14, delay_steps=2)
    task = InstructedDelay(reach=reach, repeats=1, target_step=1, hold_steps=(2, 4), reach_steps=5)
    net = ContinuousTimeRNN(layers=(5,), input_size=9)
    for own in (0.0, 1.0):
        lesson = taught(task, net, own=own).lesson(0, initial_parameters(net, 0))
        assert lesson.trials.cue is not None
        assert lesson.weights.shape == (2, 14, 2, 2)


def test_the_command_line_teaches_and_goes_on_with_a_clock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ("--smoke", "--set", "task.pairs=3", "--set", "held_out=4", "--budget", "6")
    fewer = ("--no-figures", "--json", "--set", "references=[]", "--optimizer", "adam")
    words = ("train", "ddn", *small, *fewer)
    first = neuromotor(
        *words,
        "--set",
        "teacher.batches=1",
        "--set",
        "controller.layers=[5]",
        "--out",
        "a",
        cwd=tmp_path,
    )
    assert first.returncode == 0, first.stderr
    assert "designing ILQG for 1 batches" in first.stderr
    assert json.loads((tmp_path / "a/settings.json").read_text())["teacher"]["type"] == "ilqg"
    start = ("--start", "a/controllers/adam.safetensors", "--set", "task.senses.clock=time-left")
    second = neuromotor(*words, *start, "--set", "refresh=1", "--out", "b", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    saved = load_controller(tmp_path / "b/controllers/adam.safetensors")
    assert saved.controller.input_size == 9
    (taught, after) = find_stages(tmp_path / "b", "adam", "there")
    assert "teacher" in taught.command
    assert "task.senses.clock" in after.command
