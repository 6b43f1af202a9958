"""Thousands of arms as one vector environment of Stable-Baselines3, without subprocesses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from neuromotor.envs import MotorVectorEnv
from neuromotor.tasks import SensesInUse, Task

__all__ = ["GoalArms", "SB3Arms"]


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


class GoalArms(SB3Arms):
    """Arms whose observations are dictionaries with goals, for hindsight replay.

    The achieved goal is the state that is seen, the desired one the target, and the observation is
    the rest, which is the time. One after the other they are what other arms show. The reward of a
    step is -1 unless the hand is seen within the success bound of the target.
    """

    def __init__(self, num_envs: int, task: Task, **options: Any) -> None:
        """Make arms.

        Args:
            num_envs: Number N of arms.
            task: What is wanted.
            **options: Fields of `EnvOptions`, and `taper` as of `SB3Arms`.

        Raises:
            ValueError: The task shows more than a state, a target and the time.
        """
        if SensesInUse.of(task).own or task.trials().cue is not None:
            raise ValueError(
                "`task` must show its state, its target and the time alone for hindsight replay, "
                f"got a {type(task).__name__} with a cue or senses of its own."
            )
        super().__init__(num_envs, task, **options)
        self._n = task.plant.state_size
        whole: Any = self.envs.single_observation_space
        ends = [(whole.low[a:b], whole.high[a:b]) for a, b in self._cuts(whole.shape[0])]
        boxes = [spaces.Box(low, high, dtype=np.float32) for low, high in ends]
        names = ("achieved_goal", "desired_goal", "observation")
        self.observation_space = spaces.Dict(dict(zip(names, boxes, strict=True)))

    def reset(self) -> Any:
        """Start a trial in every arm."""
        return self._parted(super().reset())

    def step_wait(self) -> tuple[Any, NDArray[Any], NDArray[np.bool_], list[dict[str, Any]]]:
        """Advance every arm by one step."""
        seen, _, done, infos = super().step_wait()
        last = seen.copy()
        for i in np.flatnonzero(done):
            last[i] = infos[i]["terminal_observation"]
            infos[i]["terminal_observation"] = self._parted(last[i])
        parts = self._parted(last)
        reward = self.compute_reward(parts["achieved_goal"], parts["desired_goal"])
        return self._parted(seen), reward, done, infos

    def compute_reward(
        self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Any = None
    ) -> NDArray[np.float32]:
        """Return the reward of achieved and desired goals, (..., n) each."""
        del info
        hands = [self._hand(goal, k) for k, goal in enumerate((achieved_goal, desired_goal))]
        away = np.linalg.norm(hands[0] - hands[1], axis=-1)
        return -np.asarray(away >= self.envs.options.success_error_m, dtype=np.float32)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the arms once; its result stands for each."""
        if method_name == "compute_reward":
            result = self.compute_reward(*method_args, **method_kwargs)
            return [result for _ in self._get_indices(indices)]
        return super().env_method(method_name, *method_args, indices=indices, **method_kwargs)

    def _cuts(self, size: int) -> list[tuple[int, int]]:
        """Where the achieved goal, the desired one and the rest stand among numbers."""
        return [(0, self._n), (self._n, 2 * self._n), (2 * self._n, size)]

    def _parted(self, seen: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Observations, (..., k), as dictionaries."""
        (_, a), (_, b), (_, c) = self._cuts(seen.shape[-1])
        return {
            "achieved_goal": seen[..., :a],
            "desired_goal": seen[..., a:b],
            "observation": seen[..., b:c],
        }

    def _hand(self, goal: NDArray[Any], place: int) -> NDArray[np.float64]:
        """Where the hand is in a state or target on the scale of observations, (..., d) (m)."""
        numbers = slice(place * self._n, (place + 1) * self._n)
        scales = self.envs.observation_scales
        assert scales is not None
        state = goal * scales.scale[numbers] + scales.centre[numbers]
        plant = self.envs.options.typed_task.plant
        hand: NDArray[np.float64] = plant.hand_position(torch.from_numpy(state)).numpy()
        return hand
