"""What other people's tools ask of an environment: Gymnasium's checkers and wrappers, and SB3's."""

import importlib.util
import subprocess
import sys
import warnings

import gymnasium
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match
from gymnasium.vector import AutoresetMode

from neuromotor import CenterOut, MuscleArm
from neuromotor.envs import MotorVectorEnv, environment_ids

IDS = list(environment_ids())
BOX_IDS = [env_id for env_id in IDS if "Goal" not in env_id]
EVERYTHING = ("state", "target", "hand", "hand_target", "time", "command", "cue")
OPTIONS = {
    "default": {},
    "everything seen": {"observe": EVERYTHING},
    "dense": {"reward": "dense"},
    "double": {"dtype": "float64"},
    "truncated": {"horizon": "truncated"},
    "goal": {"goal": True, "observe": ("state", "time")},
    "dense goal": {"goal": True, "reward": "dense"},
    "own limit": {"command_limit": 0.7},
    "other success": {"success_error_m": 0.02, "success_speed_m_s": 0.1},
}


@pytest.fixture(autouse=True)
def _no_window():
    """Neither a screen nor figures that tests before left open."""
    mpl.use("Agg")
    plt.close("all")


def run(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize("first", ["neuromotor", "gymnasium"])
def test_importing_the_package_is_enough(first):
    """In a fresh interpreter, in either order."""
    second = {"neuromotor": "gymnasium", "gymnasium": "neuromotor"}[first]
    code = f"import {first}\nimport {second}, gymnasium\n"
    code += "print(gymnasium.make('neuromotor/CenterOut-v0').reset(seed=0)[0].shape[0])"
    assert run(code) == ["9"]


def test_every_task_has_its_ids():
    from neuromotor.tasks import TASKS

    sensing = sum(getattr(task, "senses", None) is not None for task in TASKS.values())
    assert len(IDS) == 2 * len(TASKS) - sensing
    assert {"neuromotor/CenterOut-v0", "neuromotor/CenterOutGoal-v0"} <= set(IDS)
    assert set(IDS) <= set(gymnasium.registry)


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasiums_checker_passes_for_every_id(env_id):
    check_env(gymnasium.make(env_id, render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_gymnasiums_checker_passes_for_every_option(options):
    env = gymnasium.make("neuromotor/CenterOut-v0", **options)
    check_env(env.unwrapped, skip_render_check=True)


def test_commands_in_newton_metres_pass_but_for_the_advice():
    env = gymnasium.make("neuromotor/CenterOut-v0", normalized=False)
    with pytest.warns(UserWarning, match="symmetric and normalized space"):
        check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("env_id", IDS)
def test_stable_baselines_checker_passes(env_id):
    if importlib.util.find_spec("stable_baselines3") is None:
        pytest.skip("stable-baselines3 is not installed (extra `rl`)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own imports' deprecations
        from stable_baselines3.common.env_checker import check_env as check
    check(gymnasium.make(env_id).unwrapped, warn=True)


@pytest.mark.parametrize("env_id", IDS)
def test_seeded_rollouts_match(env_id):
    one, two = gymnasium.make(env_id), gymnasium.make(env_id)
    check_environments_match(one, two, num_steps=150, seed=3)


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_the_vector_env_is_gymnasiums_own_with_the_same_seeds(env_id, mode):
    """Against SyncVectorEnv over the single env: observations, rewards, ends and infos."""
    ours = gymnasium.make_vec(
        env_id, num_envs=3, vectorization_mode="vector_entry_point", autoreset_mode=mode
    )
    assert ours.metadata["autoreset_mode"] is AutoresetMode(mode)
    sync = gymnasium.make_vec(
        env_id,
        num_envs=3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode(mode)},
    )
    assert ours.observation_space == sync.observation_space
    assert ours.action_space == sync.action_space
    same(ours.reset(seed=[4, 5, 6]), sync.reset(seed=[4, 5, 6]))
    rng = np.random.default_rng(1)
    steps = ours.unwrapped.options.task.steps
    for _ in range(steps + 5):
        actions = rng.uniform(-0.3, 0.3, ours.action_space.shape).astype(np.float32)
        same(ours.step(actions), sync.step(actions))


def same(one, two):
    """Equal up to rounding: numpy's cosine and Python's may differ in the last digit."""
    assert type(one) is type(two) or np.isscalar(one)
    if isinstance(one, dict):
        assert set(one) == set(two)
        for name in one:
            same(one[name], two[name])
    elif isinstance(one, tuple):
        for a, b in zip(one, two, strict=True):
            same(a, b)
    elif one.dtype == object:
        for a, b in zip(one, two, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                same(a, b)
    else:
        assert one.dtype == two.dtype
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-8)


def test_no_seed_is_new_trials():
    envs = MotorVectorEnv(64)
    first, second = (envs.reset()[0] for _ in range(2))
    assert not np.array_equal(first, second)


def test_async_vector_env():
    """Its workers start from a clean process: a fork would copy the threads of torch and jax."""
    envs = gymnasium.make_vec(
        "neuromotor/CenterOut-v0",
        num_envs=2,
        vectorization_mode="async",
        vector_kwargs={"context": "forkserver"},
    )
    try:
        shown, _ = envs.reset(seed=1)
        expected = gymnasium.make("neuromotor/CenterOut-v0").reset(seed=2)[0]
        np.testing.assert_array_equal(shown[1], expected)
        for _ in range(45):
            shown, *_ = envs.step(np.zeros((2, 2), dtype=np.float32))
        assert shown in envs.observation_space
    finally:
        envs.close()


def test_episode_statistics_are_minus_the_loss():
    env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make("neuromotor/CenterOut-v0"))
    env.reset(seed=0)
    done = False
    while not done:
        *_, terminated, truncated, info = env.step(np.array([0.1, -0.1], dtype=np.float32))
        done = terminated or truncated
    assert info["episode"]["l"] == 40
    assert info["episode"]["r"] == pytest.approx(-info["loss"], rel=1e-6)

    envs = gymnasium.make_vec("neuromotor/CenterOut-v0", num_envs=3)
    envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(envs)
    envs.reset(seed=0)
    for _ in range(40):
        *_, infos = envs.step(np.full((3, 2), 0.05, dtype=np.float32))
    np.testing.assert_allclose(infos["episode"]["r"], -infos["loss"], rtol=1e-5)
    assert infos["_episode"].all()


def test_normalizing_wrappers():
    env = gymnasium.make("neuromotor/CenterOut-v0")
    env = gymnasium.wrappers.NormalizeReward(gymnasium.wrappers.NormalizeObservation(env))
    env.reset(seed=0)
    for _ in range(40):
        shown, reward, *_ = env.step(env.action_space.sample())
    assert np.isfinite(shown).all()
    assert np.isfinite(reward)
    envs = gymnasium.make_vec("neuromotor/CenterOut-v0", num_envs=4)
    envs = gymnasium.wrappers.vector.NormalizeObservation(envs)
    envs.reset(seed=0)
    for _ in range(90):
        shown, *_ = envs.step(envs.action_space.sample())
    assert np.isfinite(shown).all()


class Frames(gymnasium.Wrapper):
    """Takes a picture after every reset and step, as `RecordVideo` does."""

    def __init__(self, env):
        super().__init__(env)
        self.taken = []

    def reset(self, **options):
        found = super().reset(**options)
        self.taken.append(self.render())
        return found

    def step(self, action):
        found = super().step(action)
        self.taken.append(self.render())
        return found


def test_a_video_shows_the_movement(tmp_path):
    """Its pictures, and, where moviepy is there to write and read them, those of the file.

    moviepy is not in the tested environment, as it asks for an older Pillow.
    """
    recorded = importlib.util.find_spec("moviepy") is not None
    with warnings.catch_warnings():
        if recorded:
            warnings.simplefilter("ignore")  # moviepy's and imageio's own
        env = gymnasium.make("neuromotor/CenterOut-v0", render_mode="rgb_array", task={"steps": 6})
        env = frames = Frames(env)
        if recorded:
            env = gymnasium.wrappers.RecordVideo(env, str(tmp_path), episode_trigger=lambda i: True)
        env.reset(seed=0)
        for _ in range(6):
            env.step(np.array([0.8, 0.4], dtype=np.float32))
        env.close()
    pictures = np.stack(frames.taken)
    assert pictures.shape == (7, 400, 400, 3)
    moved = np.abs(np.diff(pictures.astype(int), axis=0)).sum((1, 2, 3))
    assert (moved[1:] > 0).all()  # the first step only begins to turn the arm
    if recorded:
        from moviepy import VideoFileClip

        (video,) = tmp_path.glob("*.mp4")
        film = np.stack(list(VideoFileClip(str(video)).iter_frames())).astype(int)
        assert film.shape == pictures.shape
        assert np.abs(film - pictures).mean() < 4  # of 255: the film's compression


def test_pictures_show_muscles_in_the_colour_of_their_activity():
    plant = MuscleArm(dt_s=0.001)
    options = {"render_mode": "rgb_array", "task": CenterOut(plant=plant, steps=400)}
    env = gymnasium.make("neuromotor/CenterOut-v0", normalized=False, **options)
    env.reset(seed=0)
    slack, active = (225, 225, 225), (170, 30, 100)

    def counts():
        return [(env.render() == color).all(-1).sum() for color in (slack, active)]

    assert counts()[0] > 50
    assert counts()[1] == 0
    for _ in range(300):  # all muscles pull, and nearly balance
        env.step(env.action_space.high)
    assert counts()[0] == 0
    assert counts()[1] > 50


def test_pictures_show_limb_target_load_and_ghost():
    """Colours that only one thing has come and go with it."""
    colors = {"ghost": (190, 190, 190), "target": (0, 158, 115), "load": (213, 94, 0)}

    def shown(env):
        picture = env.render()
        assert picture.shape == (400, 400, 3)
        assert picture.dtype == np.uint8
        return {name for name, color in colors.items() if (picture == color).all(-1).sum() > 20}

    options = {"render_mode": "rgb_array", "task": {"delay_steps": 10}}
    env = gymnasium.make("neuromotor/CenterOut-v0", **options)
    env.reset(seed=0)
    assert shown(env) == {"target"}
    for _ in range(25):
        env.step(np.array([0.3, 0.1], dtype=np.float32))
    assert shown(env) == {"target", "ghost"}
    env.reset(options={"disturbance": [0.3, 0.3]})
    assert shown(env) == {"target", "load"}

    # the limb is black where the plant's own kinematics put the elbow
    elbow = env.unwrapped.options.task.plant.parameters.length_1 * np.array(
        [np.cos(np.pi / 6), np.sin(np.pi / 6)]
    )
    half = 1.05 * (0.145 + 0.284)
    column, row = (half + elbow[0]) / (2 * half) * 400, (half - elbow[1]) / (2 * half) * 400
    assert env.render()[int(row), int(column)].max() < 30

    envs = gymnasium.make_vec("neuromotor/CenterOut-v0", num_envs=2, **options)
    envs.reset(seed=0)
    frames = envs.render()
    assert len(frames) == 2
    assert not np.array_equal(*frames)


def test_a_window_opens_and_closes():
    env = gymnasium.make("neuromotor/CenterOut-v0", render_mode="human")
    env.reset(seed=0)
    env.step(np.zeros(2, dtype=np.float32))
    assert len(plt.get_fignums()) == 1
    env.close()
    assert not plt.get_fignums()


def test_render_without_a_mode_warns():
    env = gymnasium.make("neuromotor/CenterOut-v0").unwrapped
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="needs a mode"):
        assert env.render() is None


def test_a_task_of_ones_own():
    from neuromotor import CenterOut, PointMass

    env = gymnasium.make("neuromotor/CenterOut-v0", task=CenterOut(plant=PointMass(), steps=7))
    env.reset(seed=0)
    ends = [env.step(np.zeros(2, dtype=np.float32))[2] for _ in range(7)]
    assert ends == [False] * 6 + [True]
    assert "neuromotor/CenterOut-v0" in gymnasium.spec("neuromotor/CenterOut-v0").to_json()
