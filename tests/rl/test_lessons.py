"""Lessons before rewards: the actor comes to its teacher, and the result says who that was."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("stable_baselines3", reason="needs the extra `rl`")
pytest.importorskip("sb3_contrib", reason="needs the extra `rl`")

from neuromotor import CenterOut, save_controller
from neuromotor.closed_loop import simulate
from neuromotor.controllers import FeedforwardNetwork, PolicyNetwork
from neuromotor.rl import ALGORITHMS, learn, yardstick
from neuromotor.rl.learners import learner_of
from neuromotor.rl.lessons import learn_from
from neuromotor.storage.components import SettingsError
from neuromotor.training.single import initial_parameters

TASK = CenterOut(directions=4, steps=20)
SMALL = replace(
    ALGORITHMS["recurrent-ppo"], arms=4, layers=(8,), memory_units=8, epochs=1, batches=1
)


@pytest.fixture
def teacher(tmp_path):
    """A network whose commands are of the size of the task's."""
    network = FeedforwardNetwork(layers=(6,))
    theta = initial_parameters(network, seed=1)
    path = tmp_path / "teacher.safetensors"
    save_controller(path, network, theta, task=TASK)
    return path, network, theta


def actor():
    learner = learner_of(TASK, SMALL, 0)
    return learner.policy()[0]


def test_lessons_bring_the_actor_to_its_teacher(teacher):
    path, network, theta = teacher
    student, misses = actor(), []
    begun = student.initial_parameters(torch.Generator().manual_seed(0))
    found = learn_from(
        str(path),
        TASK,
        student,
        begun,
        lessons=100,
        learning_rate=2e-2,
        seed=0,
        heard=lambda number, loss: misses.append(loss),
    )
    assert misses[-1] < 0.2 * misses[0]
    wanted = simulate(TASK, network, theta, TASK.trials()).commands
    before, after = (
        float((simulate(TASK, student, x, TASK.trials()).commands - wanted).square().mean())
        for x in (begun, found)
    )
    assert after < 0.3 * before


def test_ilqg_teaches_too():
    misses = []
    student = actor()
    begun = student.initial_parameters(torch.Generator().manual_seed(0))
    settings = {"lessons": 40, "learning_rate": 2e-2, "seed": 0}
    heard = {"heard": lambda number, loss: misses.append(loss)}
    learn_from("ilqg", TASK, student, begun, **settings, **heard)
    assert min(misses[-5:]) < misses[0]


def test_the_critic_learns_alone_at_first_and_the_row_names_the_teacher(teacher):
    taught = replace(SMALL, teacher=str(teacher[0]), lessons=3, critic_alone=0.5)
    run = learn(TASK, taught, steps=320, tests=4, seed=1, against=yardstick(TASK))
    losses = [point.loss for point in run.curve]
    assert losses[0] == losses[1] == losses[2]  # half of the training
    assert losses[2] != losses[3]
    assert run.row()["teacher"] == str(teacher[0])


def test_a_teacher_of_another_task_is_refused(tmp_path):
    network = PolicyNetwork(steps=40)
    theta = network.initial_parameters(torch.Generator().manual_seed(0))
    path = tmp_path / "other.safetensors"
    save_controller(path, network, theta, task=replace(TASK, steps=40))
    student = actor()
    with pytest.raises(SettingsError, match="for which steps differ"):
        learn_from(
            str(path),
            TASK,
            student,
            student.initial_parameters(torch.Generator()),
            lessons=1,
            learning_rate=1e-2,
            seed=0,
        )
