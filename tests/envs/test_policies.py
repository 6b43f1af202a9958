"""Controllers act in environments, policies are measured as controllers are: the same numbers."""

import importlib.util
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from cases import generator, noisy

from neuromotor import ILQR, CenterOut, ClosedLoop, ContinuousTimeRNN, save_controller
from neuromotor.envs import (
    ControllerPolicy,
    EnvOptions,
    MotorEnv,
    MotorVectorEnv,
    PolicyController,
    evaluate_policy,
)
from neuromotor.tasks import InstructedDelay, TargetJump

TASK = CenterOut(directions=6, steps=15, delay_steps=4)
NET = ContinuousTimeRNN(layers=(7, 5), learn_initial_state=True)
THETA = 0.3 * NET.initial_parameters(generator(3))


def test_a_controller_file_acts_as_in_the_closed_loop(tmp_path):
    path = tmp_path / "net.safetensors"
    save_controller(path, NET, THETA, task=TASK)
    trials = noisy(TASK.trials(), 15)
    losses = ClosedLoop(TASK, NET).losses(THETA, trials)
    envs = MotorVectorEnv(6, TASK, observe=("time", "target", "state"), dtype="float64")
    policy = ControllerPolicy.from_file(path, envs.options)
    shown, _ = envs.reset(options={"trials": trials})
    memory, total = None, 0.0
    for _ in range(15):
        actions, memory = policy.predict(shown, memory)
        shown, reward, _, _, infos = envs.step(actions)
        total = total + reward
    np.testing.assert_allclose(-total, losses, rtol=1e-5)  # actions are float32
    np.testing.assert_allclose(infos["loss"], losses, rtol=1e-5)


def test_a_policy_gets_its_cue_in_the_closed_loop():
    class Push:
        def predict(self, seen, state=None, episode_start=None, deterministic=True):
            return 0.1 * np.repeat(seen, 2, axis=1), state

    task = TargetJump(reach=CenterOut(directions=2, steps=9), jump_step=4)
    controller = PolicyController(Push(), EnvOptions(task, observe=("cue",), normalized=False))
    parameters = torch.zeros(0, dtype=torch.float64)
    commands = ClosedLoop(task, controller).simulate(parameters, task.trials()).commands
    jumps = np.array([1.0, 0.0, 1.0] * 2)
    expected = 0.1 * jumps[:, None] * (np.arange(9) >= 4)
    np.testing.assert_allclose(commands[..., 0], expected, rtol=1e-6)


WAIT = InstructedDelay(
    CenterOut(directions=2, steps=20, delay_steps=2),
    repeats=3,
    target_step=2,
    hold_steps=(3, 8),
    reach_steps=8,
)


def test_the_go_cue_reaches_a_controller_in_an_environment():
    net = ContinuousTimeRNN(layers=(6, 5), input_size=9)
    theta = 0.3 * net.initial_parameters(generator(3))
    trials = WAIT.trials(generator(1))
    losses = ClosedLoop(WAIT, net).losses(theta, trials)
    envs = MotorVectorEnv(6, WAIT, dtype="float64")
    assert envs.options.observe == ("state", "target", "cue")
    policy = ControllerPolicy(net, theta, envs.options)
    shown, _ = envs.reset(options={"trials": trials})
    memory = None
    for _ in range(20):
        actions, memory = policy.predict(shown, memory)
        shown, _, _, _, infos = envs.step(actions)
    np.testing.assert_allclose(infos["loss"], losses, rtol=1e-5)
    with pytest.raises(ValueError, match="'state' and 'target' and 'cue'"):
        ControllerPolicy(net, theta, EnvOptions(WAIT, observe=("state", "target")))


def test_the_go_cue_reaches_a_policy_in_the_closed_loop():
    class Push:
        def predict(self, seen, state=None, episode_start=None, deterministic=True):
            return 0.1 * np.repeat(seen, 2, axis=1), state

    controller = PolicyController(Push(), EnvOptions(WAIT, observe=("cue",), normalized=False))
    trials = WAIT.trials(generator(1))
    nothing = torch.zeros(0, dtype=torch.float64)
    commands = ClosedLoop(WAIT, controller).simulate(nothing, trials).commands
    np.testing.assert_allclose(commands, 0.1 * trials.cue.expand(-1, -1, 2), rtol=1e-6)
    goals = PolicyController(Push(), EnvOptions(WAIT, goal=True))
    with pytest.raises(ValueError, match=r"`options.goal` must be False"):
        ClosedLoop(WAIT, goals).simulate(nothing, trials)


def test_memory_begins_anew_with_an_episode():
    env = MotorEnv(TASK)
    policy = ControllerPolicy(NET, THETA, env.options)
    shown, _ = env.reset(seed=0)
    first, memory = policy.predict(shown)
    second, memory = policy.predict(shown, memory, episode_start=False)
    again, _ = policy.predict(shown, memory, episode_start=True)
    assert first.shape == (2,)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, again)
    both, _ = policy.predict(
        np.stack([shown, shown]), policy.predict(np.stack([shown, shown]))[1], np.array([1, 0])
    )
    np.testing.assert_allclose(both, [first, second], rtol=1e-6)


def test_private_noise_is_drawn():
    net = ContinuousTimeRNN(layers=(5,), private_noise=0.5)
    theta = net.initial_parameters(generator())
    env = MotorEnv(TASK)
    shown, _ = env.reset(seed=0)
    one, two, other = (
        ControllerPolicy(net, theta, env.options, seed=seed).predict(shown)[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.allclose(one, other)


class Servo:
    """Moves the hand by a spring to its target: sees hands, not joints."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert deterministic
        steps = 0 if state is None else state
        assert np.all(episode_start) == (steps == 0)
        pull = observation[:, 4:6] - observation[:, :2] - 0.1 * observation[:, 2:4]
        return 5.0 * pull + 0.5 * observation[:, 6:8], steps + 1


def test_a_policys_evaluation_is_minus_its_return():
    options = {"observe": ("hand", "hand_target", "command", "time"), "command_limit": 0.4}
    trials = noisy(TASK.trials(), 15)
    run = evaluate_policy(Servo(), TASK, trials, name="servo", **options)
    envs = MotorVectorEnv(6, TASK, **options)
    shown, _ = envs.reset(options={"trials": trials})
    total, memory = 0.0, None
    for t in range(15):
        actions, memory = Servo().predict(shown, memory, np.full(6, t == 0), deterministic=True)
        shown, reward, _, _, infos = envs.step(actions)
        total = total + reward
    assert run.performance.loss == pytest.approx(-total.mean(), rel=1e-6)
    assert run.performance.target_error_cm == pytest.approx(
        100 * infos["target_error_m"].mean(), rel=1e-5
    )
    reference = ILQR().solve(TASK, trials).value
    assert run.ratio == pytest.approx(run.performance.loss / reference)
    assert run.row()["method"] == "servo"
    assert evaluate_policy(Servo(), TASK, trials, reference_loss=2.0, **options).ratio == (
        pytest.approx(run.performance.loss / 2.0)
    )


def test_there_and_back_again():
    """A controller made a policy made a controller has the controller's loss."""
    options = EnvOptions(TASK, dtype="float64")
    policy = ControllerPolicy(NET, THETA, options)
    trials = TASK.trials()
    run = evaluate_policy(policy, TASK, trials, dtype="float64", reference_loss=1.0)
    loss = ClosedLoop(TASK, NET).losses(THETA, trials).mean()
    assert run.performance.loss == pytest.approx(float(loss), rel=1e-5)


def test_goal_policies_see_goals():
    seen = []

    class Still:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            seen.append(observation)
            return np.zeros((len(observation["achieved_goal"]), 2)), None

    run = evaluate_policy(Still(), TASK, TASK.trials(), goal=True, reference_loss=1.0)
    assert set(seen[0]) == {"observation", "achieved_goal", "desired_goal"}
    np.testing.assert_allclose(
        seen[0]["desired_goal"], TASK.plant.hand_position(TASK.trials().target), rtol=1e-6
    )
    assert run.performance.target_error_cm == pytest.approx(4.463)


def test_what_does_not_fit_is_refused():
    options = MotorEnv(TASK).options
    with pytest.raises(ValueError, match="must hold 'state' and 'target'"):
        ControllerPolicy(NET, THETA, EnvOptions(TASK, observe=("hand", "target")))
    with pytest.raises(ValueError, match="with goals"):
        ControllerPolicy(NET, THETA, EnvOptions(TASK, goal=True))
    three = ContinuousTimeRNN(layers=(3,), command_size=3)
    with pytest.raises(ValueError, match="must give 2 commands"):
        ControllerPolicy(three, torch.zeros(three.parameter_count), options)
    with pytest.raises(ValueError, match="must hold 8 numbers"):
        ControllerPolicy(NET, THETA, options).predict(np.zeros(5))

    class Wide:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.zeros((len(observation), 3)), None

    with pytest.raises(ValueError, match=r"actions of shape \(6, 2\)"):
        evaluate_policy(Wide(), TASK, TASK.trials(), reference_loss=1.0)
    assert PolicyController(Wide(), options).parameter_count == 0


def test_an_sb3_model_is_a_policy():
    if importlib.util.find_spec("stable_baselines3") is None:
        pytest.skip("stable-baselines3 is not installed (extra `rl`)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from stable_baselines3 import PPO, SAC, HerReplayBuffer

        env = gymnasium.make("neuromotor/CenterOut-v0", task=TASK)
        model = PPO("MlpPolicy", env, n_steps=30, batch_size=15, n_epochs=1).learn(30)
        goal_env = gymnasium.make("neuromotor/CenterOutGoal-v0", task=TASK)
        hindsight = SAC(
            "MultiInputPolicy",
            goal_env,
            replay_buffer_class=HerReplayBuffer,
            learning_starts=40,
            batch_size=8,
            policy_kwargs={"net_arch": [8]},
        ).learn(60)
    run = evaluate_policy(model, TASK, TASK.trials(), name="ppo")
    assert run.ratio > 1
    assert evaluate_policy(hindsight, TASK, TASK.trials(), goal=True, reference_loss=1.0)
