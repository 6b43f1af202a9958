"""TorchRL's wrappers take the environments as they are; what it looks for holds without it too."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from neuromotor.envs import MotorVectorEnv

ID = "neuromotor/CenterOut-v0"
ENDS = [[arm, step] for arm in range(3) for step in (39, 79)]


def test_an_unknown_argument_is_named_in_pythons_own_words():
    """TorchRL tries `frameskip`, and drops it where an error says so in these words."""

    def make(frameskip):
        return frameskip

    with pytest.raises(TypeError) as plain:
        make(**{"frameskip": 1, "frame": 2})
    words = str(plain.value).split("'")[0].removeprefix(make.__qualname__ + "() ")
    assert words == "got an unexpected keyword argument "
    with pytest.raises(TypeError, match=words + "'frameskip'"):
        gymnasium.make(ID, frameskip=1)
    with pytest.raises(TypeError, match=words + "'frameskip'"):
        MotorVectorEnv(2, frameskip=1)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_the_autoreset_mode_stands_where_gymnasiums_own_vector_environments_have_it(mode):
    ours = gymnasium.make_vec(ID, num_envs=2, autoreset_mode=mode)
    own = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make(ID)] * 2, autoreset_mode=mode)
    assert ours.autoreset_mode is own.autoreset_mode is ours.metadata["autoreset_mode"] is mode


def test_every_info_of_a_reset_is_in_every_step():
    """TorchRL reads from each step's info the keys that the reset's had."""
    env = gymnasium.make(ID)
    _, first = env.reset(seed=0)
    for _ in range(40):
        *_, info = env.step(np.zeros(2, dtype=np.float32))
        assert info["condition"] == first["condition"]


def test_torchrl_makes_the_environment_by_its_name():
    envs = pytest.importorskip("torchrl.envs")
    run = envs.GymEnv(ID).rollout(80, break_when_any_done=False)
    assert run["next", "done"].squeeze(-1).nonzero().squeeze(-1).tolist() == [39, 79]
    goals = envs.GymEnv("neuromotor/CenterOutGoal-v0").rollout(3)
    assert goals["desired_goal"].shape == (3, 2)


@pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
def test_torchrl_wraps_many_arms(mode):
    """The rewards and ends are those of the environment alone with the same actions."""
    envs = pytest.importorskip("torchrl.envs")
    wrapped = envs.GymWrapper(gymnasium.make_vec(ID, num_envs=3, autoreset_mode=mode))
    wrapped.set_seed(0)
    run = wrapped.rollout(80, break_when_any_done=False)
    assert run["next", "done"].squeeze(-1).nonzero().tolist() == ENDS
    alone = gymnasium.make_vec(ID, num_envs=3, autoreset_mode="SameStep")
    alone.reset(options={"target": run["observation"][:, 0, 4:8].double().numpy()})
    for t in range(40):
        _, reward, *_ = alone.step(run["action"][:, t].numpy())
        np.testing.assert_allclose(run["next", "reward"][:, t, 0], reward, rtol=1e-4)
