"""The loss of a lesson: commands along given observations, held against those that are wanted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from neuromotor.closed_loop import ClosedLoop, Lesson
from neuromotor.controllers import ContinuousTimeRNN, Network
from neuromotor.controllers.cells import CELLS
from neuromotor.tasks import DDN, CenterOut, InstructedDelay, Penalties, Penalty, Senses
from neuromotor.tasks.task import input_size


def lesson_of(task, count=None, seed=3):
    """Random observations and wishes, and weights that differ in every step."""
    draws = torch.Generator().manual_seed(seed)

    def drawn(*shape):
        return torch.randn(*shape, generator=draws, dtype=torch.float64)

    trials = task.trials(draws)
    batch, steps, size = len(trials), task.steps, task.plant.command_size
    roots = drawn(batch, steps, size, size)
    weights = roots @ roots.mT + 0.1 * torch.eye(size, dtype=torch.float64)
    return Lesson(trials, drawn(batch, steps, 4), drawn(batch, steps, size), weights)


def cases():
    small = CenterOut(directions=3, steps=9)
    waiting = InstructedDelay(
        reach=replace(small, steps=12), repeats=1, target_step=1, hold_steps=(2, 4), reach_steps=5
    )
    clocked = DDN(pairs=4, steps=9, delay_steps=3, senses=Senses(clock="time-basis", clock_size=3))
    yield "rnn", DDN(pairs=200, steps=6, delay_steps=2), ContinuousTimeRNN(layers=(5, 4))
    yield "clock", clocked, ContinuousTimeRNN(layers=(5, 4))
    yield "cue", waiting, ContinuousTimeRNN(layers=(5,))
    yield "gates", small, Network(layers=(4, 3), cell=CELLS["gated"])
    yield "own commands", small, Network(layers=(4, 3), efference_copies=2)


CASES = list(cases())


@pytest.fixture(params=CASES, ids=[name for name, *_ in CASES])
def case(request):
    _, task, controller = request.param
    controller = replace(controller, input_size=input_size(task, task.trials()))
    theta = controller.initial_parameters(torch.Generator().manual_seed(1))
    return ClosedLoop(task, controller), lesson_of(task), theta


def commands_along(loop, lesson, theta):
    """Commands of the controller alone, step by step, on the lesson's observations."""
    controller, trials, weights = loop.controller, lesson.trials, loop.controller.unpack(theta)
    memory, commands = controller.initial_memory(weights, len(trials)), []
    for t in range(loop.task.steps):
        told = trials.target
        if trials.cue is not None:
            told = torch.cat([trials.shown_target[:, t], trials.cue[:, t]], dim=-1)
        if getattr(loop.task, "senses", None) is not None:
            from neuromotor.tasks import SensesInUse

            clock = SensesInUse.of(loop.task).clock.table()
            told = torch.cat([told, clock[t].expand(len(trials), -1)], dim=-1)
        memory, command = controller.step(weights, memory, lesson.observations[:, t], told, t, None)
        commands.append(command)
    return torch.stack(commands, dim=1)


def test_loss_is_the_weighed_square_of_what_is_missed(case):
    loop, lesson, theta = case
    missed = commands_along(loop, lesson, theta) - lesson.wanted
    expected = 0.5 * torch.einsum("bti,btij,btj->b", missed, lesson.weights, missed).mean()
    for fast in (True, False):
        found = loop.imitation(lesson, fast=fast).value(theta)
        assert found == pytest.approx(float(expected), rel=1e-11)


@pytest.mark.parametrize("fast", [True, False])
def test_gradient_by_finite_differences(case, fast):
    loop, lesson, theta = case
    objective = loop.imitation(lesson, fast=fast)
    _, gradient = objective.value_and_gradient(theta)
    for seed in range(3):
        way = torch.randn(len(theta), generator=torch.Generator().manual_seed(seed)).double()
        way *= 1e-5 / way.norm()
        change = (objective.value(theta + way) - objective.value(theta - way)) / 2
        assert change == pytest.approx(float(gradient @ way), rel=1e-6)


def test_products_are_those_of_the_dense_matrix(case):
    loop, lesson, theta = case
    roots = torch.linalg.cholesky(lesson.weights)

    def residuals(free):
        missed = commands_along(loop, lesson, free) - lesson.wanted
        return (roots.mT @ missed.unsqueeze(-1)).flatten()

    way = torch.randn(len(theta), generator=torch.Generator().manual_seed(5)).double()
    _, change = torch.autograd.functional.jvp(residuals, theta, way)
    _, pulled = torch.autograd.functional.vjp(residuals, theta, change)
    for fast in (True, False):
        product = loop.imitation(lesson, fast=fast).linearize(theta).product(way)
        torch.testing.assert_close(product, pulled / len(lesson), rtol=1e-9, atol=1e-11)


def test_compiled_factors_are_those_of_autograd(case):
    loop, lesson, theta = case
    pair = [
        loop.imitation(lesson, fast=fast).kronecker_factors(theta, torch.Generator().manual_seed(7))
        for fast in (True, False)
    ]
    sums = []
    for blocks in pair:
        whole = torch.zeros(len(theta), dtype=torch.float64)
        for places, rows, columns in blocks:
            own = torch.outer(rows.diagonal(), columns.diagonal())
            whole[places.flatten()] += own.flatten()
        sums.append(whole)
    torch.testing.assert_close(*sums, rtol=1e-9, atol=1e-13)


def test_what_the_plant_does_changes_nothing():
    task = DDN(pairs=6, steps=8, delay_steps=2)
    loop = ClosedLoop(task, ContinuousTimeRNN(layers=(5,)))
    lesson = lesson_of(task)
    calm = replace(lesson, trials=lesson.trials.undisturbed())
    theta = loop.controller.initial_parameters(torch.Generator().manual_seed(1))
    pair = [loop.imitation(one).value_and_gradient(theta) for one in (lesson, calm)]
    assert pair[0][0] == pair[1][0]
    assert torch.equal(pair[0][1], pair[1][1])


def test_a_part_is_a_mean_over_some_trials():
    task = DDN(pairs=7, steps=6, delay_steps=2)
    loop = ClosedLoop(task, ContinuousTimeRNN(layers=(5,)))
    lesson = lesson_of(task)
    theta = loop.controller.initial_parameters(torch.Generator().manual_seed(1))
    rows = torch.randperm(7, generator=torch.Generator().manual_seed(2))[:3]
    own = loop.imitation(lesson.subset(rows)).value(theta)
    for fast in (True, False):
        part = loop.imitation(lesson, fast=fast).part(3, torch.Generator().manual_seed(2))
        assert part.value(theta) == pytest.approx(own, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"observations": torch.zeros(3, 9, 5, dtype=torch.float64)}, "steps of 4 numbers"),
        ({"wanted": torch.zeros(3, 8, 2, dtype=torch.float64)}, "`wanted` must"),
        ({"weights": torch.zeros(3, 9, 2, 2, dtype=torch.float64)}, "positive definite"),
        ({"observations": torch.zeros(3, 9, 4)}, "share dtype"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    task = CenterOut(directions=3, steps=9)
    loop = ClosedLoop(task, ContinuousTimeRNN(layers=(4,)))
    with pytest.raises(ValueError, match=words):
        loop.imitation(replace(lesson_of(task), **change))


@pytest.mark.parametrize("fast", [False, True])
def test_penalties_are_refused(fast):
    task = CenterOut(directions=2, steps=5, penalties=Penalties((Penalty("rates", 1e-3),)))
    loop = ClosedLoop(task, ContinuousTimeRNN(layers=(4,)))
    with pytest.raises(ValueError, match=r"`task.penalties` on the network must be none"):
        loop.imitation(lesson_of(task), fast=fast)
