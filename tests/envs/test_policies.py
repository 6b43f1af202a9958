"""Controllers act in environments, policies are measured as controllers are: the same numbers."""

import importlib.util
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from cases import generator, noisy

from neuromotor import ILQR, CenterOut, ClosedLoop, CommandTable, ContinuousTimeRNN, save_controller
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
    assert envs.options.observe == ("state", "target", "cue", "time")
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
    with pytest.raises(ValueError, match="must hold 9 numbers"):
        ControllerPolicy(NET, THETA, options).predict(np.zeros(5))

    class Wide:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.zeros((len(observation), 3)), None

    with pytest.raises(ValueError, match=r"actions of shape \(6, 2\)"):
        evaluate_policy(Wide(), TASK, TASK.trials(), reference_loss=1.0)
    assert PolicyController(Wide(), options).parameter_count == 0


@pytest.mark.slow
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
    hindsight.env = None  # as loaded from a file alone
    with pytest.raises(ValueError, match="may have been trained behind VecNormalize"):
        evaluate_policy(hindsight, TASK, TASK.trials(), goal=True, reference_loss=1.0)


@pytest.fixture(scope="module")
def normalized():
    """An SB3 model with running means of its observations, and those environments."""
    if importlib.util.find_spec("stable_baselines3") is None:
        pytest.skip("stable-baselines3 is not installed (extra `rl`)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from stable_baselines3 import PPO
        from stable_baselines3.common.env_util import make_vec_env
        from stable_baselines3.common.vec_env import VecNormalize

        arms = VecNormalize(
            make_vec_env("neuromotor/CenterOut-v0", n_envs=6, seed=0, env_kwargs={"task": TASK})
        )
        model = PPO("MlpPolicy", arms, n_steps=30, batch_size=30, n_epochs=1, device="cpu", seed=0)
        model.learn(180)
    return model, arms


def test_a_model_sees_observations_normalised_as_in_its_training(normalized):
    """Its loss is that of the environment, played with the means by hand; without them another."""
    model, arms = normalized
    trials = TASK.trials()
    losses = {}
    for name, shown_to in (("with", arms.normalize_obs), ("without", lambda seen: seen)):
        envs = MotorVectorEnv(6, TASK)
        seen, _ = envs.reset(options={"trials": trials})
        for _ in range(TASK.steps):
            actions, _ = model.predict(shown_to(seen), deterministic=True)
            seen, _, _, _, infos = envs.step(actions)
        losses[name] = infos["loss"].mean()
    run = evaluate_policy(model, TASK, trials, reference_loss=1.0)
    assert run.performance.loss == pytest.approx(losses["with"], rel=1e-5)
    assert abs(losses["without"] / losses["with"] - 1) > 0.01


def test_a_model_without_the_means_of_its_training_is_refused(normalized, tmp_path):
    model, arms = normalized
    model.save(tmp_path / "model.zip")
    bare = type(model).load(tmp_path / "model.zip", device="cpu")
    with pytest.raises(ValueError, match="model that was trained behind VecNormalize"):
        evaluate_policy(bare, TASK, TASK.trials(), reference_loss=1.0)
    whole = type(model).load(tmp_path / "model.zip", env=arms, device="cpu")
    expected = evaluate_policy(model, TASK, TASK.trials(), reference_loss=1.0).ratio
    assert evaluate_policy(whole, TASK, TASK.trials(), reference_loss=1.0).ratio == expected


def test_a_policy_of_other_observations_or_actions_is_refused():
    class Trained:
        def __init__(self, env):
            self.observation_space, self.action_space = env.observation_space, env.action_space

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.zeros((len(observation), 2)), None

    trials = TASK.trials()
    env = MotorEnv(TASK, observe=("hand", "hand_target"), normalized=False)
    options = {"observe": ("hand", "hand_target"), "normalized": False}
    assert evaluate_policy(Trained(env), TASK, trials, reference_loss=1.0, **options)
    with pytest.raises(ValueError, match="`policy` must have the observation space"):
        evaluate_policy(Trained(env), TASK, trials, reference_loss=1.0, normalized=False)
    with pytest.raises(ValueError, match="`policy` must have the action space"):
        evaluate_policy(
            Trained(env), TASK, trials, reference_loss=1.0, observe=("hand", "hand_target")
        )
    scaled = gymnasium.wrappers.NormalizeObservation(MotorEnv(TASK))
    with pytest.raises(ValueError, match="what a wrapper of its environment did"):
        evaluate_policy(Trained(scaled), TASK, trials, reference_loss=1.0)


def losses_of_trials_in_a_row(mode, begins):
    """Mean losses of three trials by a trained network; `begins(ended, before)` says when."""
    task = CenterOut()
    envs = MotorVectorEnv(64, task, autoreset_mode=mode)
    policy = ControllerPolicy.from_file("center-out/lbfgs", envs.options)
    shown, _ = envs.reset(seed=0)
    memory, start, ended = None, np.ones(64, dtype=bool), np.zeros(64, dtype=bool)
    losses = []
    while len(losses) < 3:
        actions, memory = policy.predict(shown, memory, episode_start=start)
        before = ended
        shown, _, terminated, truncated, infos = envs.step(actions)
        ended = terminated | truncated
        if ended.any():
            losses.append(infos.get("final_info", infos)["loss"].mean())
            if mode == "Disabled":
                shown, _ = envs.reset(options={"reset_mask": ended})
        start = begins(ended, before)
    return losses


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_a_memory_that_begins_with_its_trial_keeps_the_loss(mode):
    """As the guide's loop has it; a memory that begins one step off, or never, loses it."""
    right = (lambda ended, before: before) if mode == "NextStep" else (lambda ended, before: ended)
    wrong = (lambda ended, before: ended) if mode == "NextStep" else (lambda ended, before: before)
    kept = losses_of_trials_in_a_row(mode, right)
    np.testing.assert_allclose(kept, kept[0], rtol=1e-6)
    assert kept[0] == pytest.approx(9.49e-5, rel=1e-3)  # of the network's card
    for begins in (wrong, lambda ended, before: np.zeros_like(ended)):
        first, *others = losses_of_trials_in_a_row(mode, begins)
        assert first == pytest.approx(kept[0])
        assert min(others) > 50 * kept[0]


def test_arms_that_began_apart_are_each_at_their_own_step():
    """A table's commands depend on the step: a mask begins one arm anew, the other goes on."""
    table = CommandTable(trials=2, steps=15)
    theta = 0.1 * torch.arange(60.0, dtype=torch.float64).sin()
    envs = MotorVectorEnv(2, TASK, autoreset_mode="Disabled", normalized=False)
    policy = ControllerPolicy(table, theta, envs.options)
    shown, _ = envs.reset(seed=0)
    memory, begins, given = None, None, []
    for t in range(8):
        if t == 5:
            begins = np.array([False, True])
            shown, _ = envs.reset(options={"reset_mask": begins})
        actions, memory = policy.predict(shown, memory, begins)
        begins = None
        given.append(actions)
        shown, *_ = envs.step(actions)
    commands = theta.view(2, 15, 2).float().numpy()
    np.testing.assert_array_equal(np.stack(given)[:, 0], commands[0, :8])
    np.testing.assert_array_equal(np.stack(given)[:, 1], commands[1, [0, 1, 2, 3, 4, 0, 1, 2]])
