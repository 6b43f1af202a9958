"""Before rewards: lessons or another's weights; the actor has them, and the result names them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3", reason="needs the extra `rl`")
pytest.importorskip("sb3_contrib", reason="needs the extra `rl`")

from neuromotor import CenterOut, save_controller
from neuromotor.closed_loop import simulate
from neuromotor.controllers import ContinuousTimeRNN, FeedforwardNetwork, PolicyNetwork
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


def test_a_start_is_the_saved_policy_and_the_row_names_it(tmp_path):
    against = yardstick(TASK)
    analytic = replace(ALGORITHMS["analytic"], arms=4, layers=(8,), memory_units=8)
    begun = learn(TASK, analytic, steps=400, tests=1, against=against)
    path = tmp_path / "begun.safetensors"
    save_controller(path, begun.controller, begun.parameters.float(), task=TASK)
    led = replace(SMALL, start=str(path), critic_alone=0.5)
    run = learn(TASK, led, steps=320, tests=4, seed=1, against=against)
    losses = [point.loss for point in run.curve]
    assert losses[0] == pytest.approx(begun.curve[-1].loss, rel=1e-4)
    assert losses[0] == losses[1] == losses[2]  # the critic learns alone
    assert losses[2] != losses[3]
    assert run.row()["start"] == str(path)
    with pytest.raises(SettingsError, match="differs in memory_units"):
        learn(TASK, replace(led, memory_units=6), steps=80, tests=1, against=against)
    with pytest.raises(ValueError, match=r"`start` must be left out with a `teacher`"):
        replace(led, teacher="ilqg")


def test_the_lstm_in_one_call_is_that_of_sb3_contrib():
    """Outputs, states at the end and gradients, where a trial begins at the first step or later."""
    from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy

    from neuromotor.rl.recurrent import SequencePolicy

    lstm, many, steps = torch.nn.LSTM(3, 5), 4, 6
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(many * steps, 3, generator=generator)
    states = tuple(torch.randn(1, many, 5, generator=generator) for _ in range(2))
    first = torch.zeros(many, steps)
    first[:2, 0] = 1.0
    later = first.clone()
    later[3, 2] = 1.0
    for begins in (first, later):
        found = []
        for kind in (SequencePolicy, RecurrentActorCriticPolicy):
            out, end = kind._process_sequence(seen, states, begins.flatten(), lstm)
            lstm.zero_grad()
            out.square().sum().backward()
            found.append([out, *end, *(part.grad.clone() for part in lstm.parameters())])
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_a_recurrent_network_goes_on_from_rewards(tmp_path):
    """At the start the actor is the saved network; it learns, and is saved as such a network."""
    against = yardstick(TASK)
    network = ContinuousTimeRNN(layers=(5, 4))
    theta = initial_parameters(network, seed=1)
    path = tmp_path / "network.safetensors"
    save_controller(path, network, theta, task=TASK)
    led = replace(SMALL, start=str(path), critic_alone=0.5, command_limit=20.0)
    learner = learner_of(TASK, led, 0)
    envs = learner._arms.envs
    seen, _ = envs.reset(options={"trials": TASK.trials()})
    memory, states = None, [envs.states]
    for t in range(TASK.steps - 1):
        start = np.full(4, t == 0)
        actions, memory = learner._model.predict(seen, memory, start, deterministic=True)
        seen = envs.step(actions)[0]
        states.append(envs.states)
    alone = simulate(TASK, network, theta, TASK.trials()).states[:, :-1]
    np.testing.assert_allclose(np.stack(states, axis=1), alone.numpy(), rtol=1e-4, atol=1e-5)
    run = learn(TASK, led, steps=320, tests=4, seed=1, against=against)
    assert run.controller == network
    assert run.curve[2].loss == pytest.approx(run.curve[0].loss, rel=1e-6)
    assert run.curve[3].loss != run.curve[0].loss
    noisy = replace(network, private_noise=0.1)
    save_controller(path, noisy, theta, task=TASK, overwrite=True)
    with pytest.raises(ValueError, match="without noise of its own"):
        learner_of(TASK, led, 0)
    told = replace(network, efference_copies=2)
    save_controller(path, told, initial_parameters(told, seed=1), task=TASK, overwrite=True)
    with pytest.raises(ValueError, match="without `efference_copies`, got 2"):
        learner_of(TASK, led, 0)
    with pytest.raises(SettingsError, match="differs in its type"):
        learner_of(TASK, replace(ALGORITHMS["ppo"], arms=4, start="center-out/lbfgs"), 0)
