"""Where trainings stand: lines without a terminal, live lines on one."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from neuromotor.optim import Budget
from neuromotor.training.progress_display import live_trainings


def at(calls, seconds=1.0, loss=0.5):
    """Where a training stands, as an optimizer tells it."""
    return SimpleNamespace(point=SimpleNamespace(value=loss, calls=calls, seconds=seconds))


def shown(*told, budget=None, line_s=0.0, **console):
    """What is printed of some updates."""
    file = io.StringIO()
    to = Console(file=file, width=100, markup=False, **console)
    with live_trainings(budget or Budget(calls=20), to, line_s=line_s) as live:
        for arguments in told:
            live.update(*arguments)
    return file.getvalue()


def test_a_line_says_loss_ratio_calls_and_seconds():
    text = shown(("[x]", at(5)), ("[x]", at(12, 3.2, 0.25), 0.125))
    assert text.splitlines() == [
        "[x]: loss 0.5, 5 calls, 1 s",
        "[x]: loss 0.25, 2 x iLQR, 12 calls, 3 s",
    ]


def test_lines_come_at_their_interval_or_not_at_all():
    told = [("x", at(calls)) for calls in range(5)]
    assert shown(*told, line_s=1e9) == ""
    assert shown(*told, line_s=None) == ""


def test_a_terminal_has_a_line_for_each_method():
    text = shown(("one", at(5)), ("two", at(7, 1.0, 0.25), 0.125), force_terminal=True)
    last = text[text.rindex("one") :]
    assert "loss       0.5" in last
    assert "two" in last
    assert "ratio        2" in last
    assert "calls      7" in last


@pytest.mark.parametrize(
    ("budget", "used"),
    [
        (Budget(calls=20), 0.25),
        (Budget(calls=20, seconds=2.0), 0.5),
        (Budget(calls=4), 1.0),
        (Budget(), None),
    ],
)
def test_the_used_part_is_that_of_the_limit_that_comes_first(budget, used):
    with live_trainings(budget, Console(file=io.StringIO(), force_terminal=True)) as live:
        live.update("x", at(5))
        (task,) = live._progress.tasks
        assert task.total == (None if used is None else 1.0)
        assert task.completed == (used or 0.0)
