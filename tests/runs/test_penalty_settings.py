"""Penalties as settings: a list on the command line, tables in a file, and in the recipe."""

from __future__ import annotations

import itertools
import shlex

import pytest

from neuromotor.runs.recipes import training_command
from neuromotor.runs.settings import gather, resolve
from neuromotor.storage.components import SettingsError
from neuromotor.tasks import TASKS, Penalties, Penalty
from neuromotor.tasks.ranges import outside

LIST = 'penalties=[{of="rates", weight=1e-5, start="100 ms"}, {of="weights", weight=1e-6}]'
TERMS = (Penalty("rates", 1e-5, start_s=0.1), Penalty("weights", 1e-6))


def resolved(task, *assignments, config=None):
    return resolve(gather(config, {"task": task}, list(assignments), smoke=False))


def test_a_list_on_the_command_line_replaces_all_penalties():
    for task, prefix in (
        ("center-out", "task."),
        ("posture-loads", "task."),
        ("tracking", "task.reach."),
    ):
        settings = resolved(task, prefix + LIST)
        assert settings.task.penalties == Penalties(TERMS)
        assert resolve(settings.as_dict()).task == settings.task


def test_a_file_has_them_as_tables_and_a_later_list_wins(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        '[[task.penalties.terms]]\nof = "rates"\nweight = 2.0\n'
        '[[task.penalties.terms]]\nof = "dynamics"\nweight = 3.0\nend_s = 0.2\n'
    )
    given = Penalties((Penalty("rates", 2.0), Penalty("dynamics", 3.0, end_s=0.2)))
    assert resolved("center-out", config=path).task.penalties == given
    assert resolved("center-out", "task." + LIST, config=path).task.penalties == Penalties(TERMS)


def test_the_recipe_of_a_training_says_them():
    settings = resolved("center-out", "task." + LIST, "optimizers=adam")
    words = shlex.split(training_command(settings, "out", None))
    assignments = [word for last, word in itertools.pairwise(words) if last == "--set"]
    again = resolved("center-out", *assignments, "optimizers=adam")
    assert again.task == settings.task


def test_a_wrong_kind_is_named():
    with pytest.raises(SettingsError, match="did you mean 'rates'"):
        resolved("center-out", 'task.penalties=[{of="rate", weight=1.0}]')


def test_a_network_is_not_outside_its_training_by_other_penalties():
    task = TASKS["posture-loads"]
    assert outside(task, resolved("posture-loads", "task." + LIST).task) == []
