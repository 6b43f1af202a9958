"""Thousands of arms as one vector environment of Stable-Baselines3, without subprocesses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from neuromotor.envs import MotorVectorEnv

__all__ = ["SB3Arms"]


class SB3Arms(VecEnv):
    """`MotorVectorEnv` with the interface of Stable-Baselines3's `VecEnv`.

    A finished arm starts its next trial in the same step; its last observation stands in its info
    as ``terminal_observation``, as Stable-Baselines3 wants it, and ``episode`` holds the trial's
    return and length.

    Attributes:
        envs: The arms.
    """

    def __init__(
        self,
        num_envs: int,
        task: Any = "center-out",
        *,
        taper: Sequence[float] = (),
        **options: Any,
    ) -> None:
        """Make arms.

        Args:
            num_envs: Number N of arms.
            task: A task, its name, or a table of its settings.
            taper: What actions are multiplied by at each step of a trial; nothing for ones.
            **options: Fields of `EnvOptions`.
        """
        self.envs = MotorVectorEnv(num_envs, task, autoreset_mode="SameStep", **options)
        self.render_mode = None
        super().__init__(
            num_envs, self.envs.single_observation_space, self.envs.single_action_space
        )
        self._taper = np.array(taper)
        self._seed: int | None = None
        self._actions: NDArray[Any] = np.zeros(0)
        self._returns = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, dtype=np.int64)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the seed of the trials from the next `reset` on."""
        self._seed = seed
        return [seed] * self.num_envs

    def reset(self) -> Any:
        """Start a trial in every arm."""
        seen, _ = self.envs.reset(seed=self._seed)
        self._seed = None
        self._returns[:] = 0.0
        self._lengths[:] = 0
        self.reset_infos = [{} for _ in range(self.num_envs)]
        return seen

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take actions, (N, m)."""
        if len(self._taper):
            actions = actions * self._taper[self._lengths, None]
        self._actions = actions

    def step_wait(self) -> tuple[Any, NDArray[Any], NDArray[np.bool_], list[dict[str, Any]]]:
        """Advance every arm by one step."""
        seen, rewards, terminated, truncated, found = self.envs.step(self._actions)
        done = terminated | truncated
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            last = found["final_info"]
            for i in np.flatnonzero(done):
                infos[i] = {
                    "terminal_observation": found["final_obs"][i],
                    "TimeLimit.truncated": bool(truncated[i]),
                    "is_success": bool(last["is_success"][i]),
                    "loss": float(last["loss"][i]),
                    "episode": {"r": float(self._returns[i]), "l": int(self._lengths[i]), "t": 0.0},
                }
            self._returns[done] = 0.0
            self._lengths[done] = 0
        return seen, rewards.astype(np.float32), done, infos

    def close(self) -> None:
        """Close the arms."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the arms, the same for each."""
        return [getattr(self.envs, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: the arms are one object."""
        raise AttributeError(f"`{attr_name}` cannot be set for single arms; make new ones.")

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the arms once; its result stands for each."""
        result = getattr(self.envs, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Return that no arm is wrapped."""
        return [False for _ in self._get_indices(indices)]
