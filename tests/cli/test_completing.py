"""What the Tab key offers, asked as a shell asks."""

import pytest
from typer.testing import CliRunner

from neuromotor.cli.app import app
from neuromotor.optim import OPTIMIZERS
from neuromotor.tasks import TASKS


@pytest.fixture
def offered(monkeypatch):
    def ask(line):
        words = ["neuromotor", *line.split(" ")]
        environment = {
            "_NEUROMOTOR_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        result = CliRunner().invoke(app, [], prog_name="neuromotor", env=environment)
        return result.stdout.split()

    return ask


def test_commands_and_names_are_offered(offered):
    assert offered("reprod") == ["reproduce"]
    assert offered("train ") == list(TASKS)
    assert offered("compare --optimizers kron-lbfgs,ad") == [
        f"kron-lbfgs,{name}" for name in OPTIMIZERS if name.startswith("ad")
    ]


def test_settings_are_those_of_what_was_named_before(offered):
    words = offered("train ddn --set task.")
    assert "task.disturbance_nm=" in words
    assert "task.radius_m=" not in words
    assert "task.radius_m=" in offered("train center-out --set task.rad")
    assert offered("train ddn --controller policy --set controller.mem") == [
        "controller.memory_units="
    ]
    assert offered("rl ddn --algorithm ppo --set sac.") == []
    assert offered("rl ddn --algorithm ppo --set ppo.la") == [
        "ppo.layers=",
        "ppo.last_learning_rate=",
        "ppo.last_noise=",
    ]


def test_every_setting_that_is_offered_for_rl_is_taken():
    from neuromotor.runs.reinforcement import learning_paths, learning_settings

    for path in learning_paths("ddn", "recurrent-ppo"):
        if path.startswith("recurrent-ppo."):
            own = path.split(".")[1]
            value = learning_settings({"algorithms": "recurrent-ppo"}).given["recurrent-ppo"]
            assert own in value
