"""Read-outs that imitate: a planted teacher is found, rounds help, and teachers know their part."""

import pytest
import torch

from neuromotor import DDN, CenterOut, ClosedLoop
from neuromotor.control import ILQG, ILQR
from neuromotor.controllers import CommandTable, Reservoir
from neuromotor.training.imitation import TEACHERS, imitate


def test_a_frozen_reservoir_reaches_almost_as_well_as_its_teacher():
    task = CenterOut(directions=4)
    found = imitate(task, Reservoir(layers=(150,)), rounds=3)
    best = found.rounds[found.best]
    optimal = ILQR().solve(task, task.trials()).value
    assert best.teacher_loss == pytest.approx(optimal, rel=1e-9)
    assert 1.0 <= best.loss / optimal < 1.2
    run = ClosedLoop(task, found.controller).simulate(found.parameters, task.trials())
    losses = task.cost.losses(run.states, run.commands, task.trials())
    assert float(losses.mean()) == pytest.approx(best.loss, rel=1e-9)
    assert [one.number for one in found.rounds] == [0, 1, 2]


def test_teachers_command_what_they_did_along_their_own_movements():
    task = DDN(pairs=3, steps=30)
    trials = task.trials(torch.Generator().manual_seed(2))
    for name, make in TEACHERS.items():
        lesson = make(task, trials)
        (
            torch.testing.assert_close(
                lesson.commands(lesson.shown), lesson.shown.commands, rtol=1e-9, atol=1e-10
            ),
            name,
        )


def test_a_teacher_brings_a_limb_back():
    """A push in mid-reach: what the teachers command in the states after it undoes it."""
    task = DDN(pairs=2, steps=40, delay_steps=0, noise=0.0, disturbance_nm=0.0)
    trials = task.trials(torch.Generator().manual_seed(2))
    lesson = TEACHERS["ilqr"](task, trials)
    pushed = lesson.shown.commands.clone()
    pushed[:, 20:] += 0.5
    table = CommandTable(trials=2, steps=40)
    moved = ClosedLoop(task, table).simulate(pushed.flatten(), trials)
    assert (lesson.commands(moved)[:, 21:, 0] < lesson.shown.commands[:, 21:, 0]).all()
    design = ILQG().design(task, trials)
    assert design.parameters.shape[0] == design.controller.parameter_count


def test_wrong_use_is_named():
    task = CenterOut(directions=2, steps=10)
    with pytest.raises(ValueError, match="unknown teacher 'ilq'"):
        imitate(task, Reservoir(layers=(5,)), teacher="ilq")
    with pytest.raises(ValueError, match="`rounds` must be a whole number, 1 or more"):
        imitate(task, Reservoir(layers=(5,)), rounds=0)
    with pytest.raises(ValueError, match="got a CommandTable"):
        imitate(task, CommandTable(trials=2, steps=10))
