"""Thousands of arms as one Gymnasium vector environment, stepped by one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from neuromotor._checks import check_integer
from neuromotor.envs.arms import Arms
from neuromotor.envs.components import ComponentTask
from neuromotor.envs.episodes import TrialArrays, TrialSource, dealt
from neuromotor.envs.options import EnvOptions
from neuromotor.envs.single import action_space, check_render_mode
from neuromotor.envs.standard import layout_of
from neuromotor.envs.trial import TrialsApart
from neuromotor.tasks.trials import TRIAL_PARTS

__all__ = ["MotorVectorEnv"]

Floats = NDArray[np.float64]


class MotorVectorEnv(VectorEnv[Any, Any, Any]):
    """`MotorEnv` for N arms at once: the same observations, rewards and trials.

    An integer seed makes one sequence of trials that the arms share, in order; a list of seeds
    makes each arm the `MotorEnv` of its seed.

    Attributes:
        options: The settings.
        observation_labels: Name and unit of each number of an arm's observation.
        observation_scales: Centres and scales where observations are `standardized`, else None.
        action_labels: Name and unit of each number of an arm's action.
        autoreset_mode: How a finished arm starts its next trial, as in Gymnasium's own vector
            environments.
        compute_reward: As that of `MotorEnv`.

    Example:
        >>> envs = MotorVectorEnv(4096, "center-out")
        >>> observations, infos = envs.reset(seed=0)
        >>> observations.shape
        (4096, 9)
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["rgb_array"],
        "render_fps": 100,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        task: Any = "center-out",
        *,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        arrays: str = "numpy",
        **options: Any,
    ) -> None:
        """Make an environment.

        Args:
            num_envs: Number N of arms.
            task: A task, its name, or a table of its settings.
            render_mode: None or ``rgb_array``.
            autoreset_mode: Whether a finished arm starts its next trial in the next step (its
                action is then ignored), in the same step (its last observation and info are in
                ``final_obs`` and ``final_info``), or by ``reset(options={"reset_mask": ...})``.
            arrays: ``numpy``, or ``torch`` for tensors that share memory with the arrays.
            **options: Fields of `EnvOptions`.

        Raises:
            TypeError: An option is unknown or has the wrong type.
            ValueError: A setting is out of range.
        """
        check_integer("num_envs", num_envs, minimum=1)
        if arrays not in ("numpy", "torch"):
            raise ValueError(f"`arrays` must be numpy or torch, got {arrays!r}.")
        self.options = EnvOptions.of(task, options)
        check_render_mode(render_mode, self.metadata["render_modes"], self.options)
        self.render_mode = render_mode
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self._torch = arrays == "torch"
        self._physics = ComponentTask(self.options, "numpy")
        self.metadata = {  # type: ignore[misc]
            **self.metadata,
            "autoreset_mode": self.autoreset_mode,
            "render_fps": round(1 / self._physics.dt_s),
        }
        self._layout = layout_of(self.options)
        self.observation_labels = self._layout.labels
        self.observation_scales = self._layout.scales
        self.action_labels = tuple(self.options.typed_task.plant.command_labels)
        self.single_observation_space = self._layout.space
        self.single_action_space = action_space(self.options)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        if self.options.goal:  # others take an environment for goal-conditioned if it has this
            self.compute_reward = self._physics.compute_reward
        actions = self.options.actions
        columns = (actions.low, actions.high, actions.middle, actions.half, actions.none)
        self._low, self._high, self._middle, self._half, self._none = (
            np.array(column)[:, None] for column in columns
        )
        self._shifted = bool(self._middle.any())
        self._size = len(self._low)
        self._index = np.arange(num_envs)
        self._sources: list[TrialSource] = []
        self._begun = False
        self._done, self._some_done = np.zeros(num_envs, dtype=bool), False
        self._calls = 0  # of `step`
        self._arms: Arms | None = None
        self._compiled = False
        self._action: Floats = np.repeat(self._none, num_envs, axis=1)
        self._painter: Any = None
        self._left: Any = 0.0  # the costs that are left to be paid

    # ---- what others may look at ----

    @property
    def states(self) -> Floats:
        """The true states now, (N, n)."""
        self._check_begun()
        states: Floats = self._past[self._now].T.copy()
        return states

    @property
    def targets(self) -> Floats:
        """The states to be reached, (N, n)."""
        self._check_begun()
        targets: Floats = self._trials.target.T.copy()
        return targets

    # ---- the interface of Gymnasium ----

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Start a trial in every arm, or in those of a mask.

        Args:
            seed: One for a sequence of trials that the arms share; a list for one each.
            options: As `MotorEnv.reset`, for all arms or with a first axis of arms; and
                ``reset_mask``, (N,) booleans: which arms to reset.

        Raises:
            TypeError: ``reset_mask`` is no array of booleans.
            ValueError: An option is unknown or does not fit.
        """
        options = dict(options or {})
        mask = options.pop("reset_mask", None)
        which = self._index if mask is None else np.flatnonzero(self._checked_mask(mask))
        self._seed(seed)
        self._anew(which, options)
        return self._out(self._observe()), _masked(
            {"condition": self._condition[which]}, which, self.num_envs
        )

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Advance every arm by one step of the plant.

        Raises:
            RuntimeError: No trial has begun, or a finished arm was not reset where that is left to
                the caller.
            ValueError: `actions` have the wrong shape or are not finite.
        """
        self._check_begun()
        resting, some_rest = self._done, self._some_done  # they start anew in this step
        if some_rest and self.autoreset_mode == AutoresetMode.DISABLED:
            raise RuntimeError(
                f"{int(resting.sum())} arms have finished their trials; reset them with "
                "`reset(options={'reset_mask': ...})` before `step`."
            )
        self._calls += 1
        values = self._checked(actions)
        if some_rest and resting.all():
            return self._all_anew()
        observation = None
        if self._compiled:
            cost, failed, observation = self._leap(values, show=not some_rest)
        else:
            cost, failed = self._advance(self._commands(values))
        last = failed | (self._trials.step == self._physics.steps)
        if some_rest:
            last &= ~resting
            failed &= ~resting
        any_last = bool(last.any())
        if any_last and bool(failed.any()):
            cost = cost + self._trials.left_for(failed, self._past[self._now])
        self._loss += cost
        reward: Any = None
        if not self.options.goal:
            reward, self._left = self._physics.reward(
                self._trials, self._trials.step, cost, self._past[self._now], last, self._left
            )
        infos = self._summary(last, failed) if any_last else {}
        fresh = np.flatnonzero(resting) if some_rest else self._index[:0]
        if some_rest:
            self._anew(fresh)
        if observation is None:
            observation = self._observe()
        if self.options.goal:
            reward = self._physics.compute_reward(
                observation["achieved_goal"], observation["desired_goal"]
            )
        reward[fresh] = 0.0
        truncated = np.zeros(self.num_envs, dtype=bool)
        terminated = last
        if self.options.horizon == "truncated":
            truncated = last & ~failed
            terminated = last & failed
        self._done, self._some_done = last.copy(), any_last
        if any_last and self.autoreset_mode == AutoresetMode.SAME_STEP:
            observation, infos = self._restarted(observation, infos)
        infos.update(self._conditions())
        return (
            self._out(observation),
            self._out(reward),
            self._out(terminated),
            self._out(truncated),
            infos,
        )

    def render(self) -> Any:
        """Return one picture (H, W, 3) of each arm, without traces."""
        if self.render_mode is None:
            gymnasium.logger.warn(
                "`render` needs a mode; give `render_mode='rgb_array'` when making the environment."
            )
            return None
        self._check_begun()
        from neuromotor.envs.render import Painter, Scene

        if self._painter is None:
            self._painter = Painter(self.options)
        order = np.arange(self._now + 1, self._now + 1 + len(self._past)) % len(self._past)
        past = self._past[order]  # the oldest first
        target, *_ = self._trials.shown()
        load, force = self._trials.part("load"), self._trials.part("hand_force")
        return tuple(
            self._painter.draw(
                Scene(
                    states=past[:, :, i],
                    seen=past[0, :, i],
                    target=target[:, i],
                    success_error_m=self.options.success_error_m,
                    load=None if load is None else load[:, i],
                    hand_force=None if force is None else force[:, i],
                )
            )
            for i in range(self.num_envs)
        )

    # ---- trials ----

    def _seed(self, seed: int | Sequence[int | None] | None) -> None:
        """Return sources of trials for new seeds, or the old ones."""
        task, count = self.options.typed_task, self.num_envs
        if seed is None or isinstance(seed, int | np.integer):
            if seed is not None or not self._sources:
                super().reset(seed=None if seed is None else int(seed))
                self._sources = [TrialSource(task, self.np_random, arms=count)]
            return
        if len(seed) != count:
            raise ValueError(
                f"`seed` must be one number or {count}, one an arm, got {len(seed)} of them."
            )
        self._sources = [TrialSource(task, seeding.np_random(one)[0]) for one in seed]

    def _begin(self, which: NDArray[Any], trials: TrialArrays) -> None:
        """Let some arms begin trials, by compiled steps or not."""
        self._place(which, trials)
        if self._arms is None and Arms.wanted(self._physics, self._calls):
            self._arms = Arms(self._physics, self._layout, self.num_envs)
        self._compiled = self._arms is not None and Arms.play(self._trials.parts)
        if self._compiled:
            assert self._arms is not None
            self._trials.parts |= {
                name: np.ascontiguousarray(part) for name, part in self._trials.parts.items()
            }
            self._action = np.ascontiguousarray(self._action)
            self._arms.begin(
                self._trials.target,
                self._trials.parts,
                self._past,
                self._trials.step,
                self._action,
                self._effort,
            )
            self._tell()

    def _place(self, which: NDArray[Any], trials: TrialArrays) -> None:
        """Put trials where those of some arms are."""
        physics, count = self._physics, self.num_envs
        if not self._begun or len(which) == count:
            self._past = np.repeat(trials.initial_state.T[None].copy(), physics.delay + 1, axis=0)
            self._now = 0
            self._trials = TrialsApart(physics, trials.target.T.copy(), trials.parts)
            self._condition = trials.condition
            self._loss, self._effort = np.zeros(count), np.zeros(count)
            self._action = np.repeat(self._none, count, axis=1)
            self._done, self._some_done = np.zeros(count, dtype=bool), False
            self._left = physics.left(self._trials, self._trials.step, self._past[0])
            self._begun = True
            return
        self._past[:, :, which] = trials.initial_state.T
        self._trials.target[:, which] = target = trials.target.T
        self._trials.hand_target[:, which] = np.stack(physics.place(target))
        for name, part in trials.parts.items():
            if name not in self._trials.parts:
                self._trials.parts[name] = np.zeros((count, *part.shape[1:]))
                self._trials.parts[name] += self._usual(name, self._index)
        for name, room in self._trials.parts.items():
            fresh = trials.parts.get(name)
            if fresh is None:
                fresh = self._usual(name, which)
            elif TRIAL_PARTS[name].axis == "step":
                fresh = np.roll(fresh, self._trials.clock, axis=1)
            room[which] = fresh
        self._condition[which] = trials.condition
        self._trials.step[which] = 0
        self._loss[which] = self._effort[which] = 0.0
        self._action[:, which] = self._none
        self._done[which] = False
        self._some_done = bool(self._done.any())
        if self.options.reward == "shaped":
            left = physics.left(self._trials, self._trials.step, self._past[self._now])
            self._left = np.where(self._trials.step == 0, left, self._left)
        self._trials.together = bool((self._trials.step == self._trials.step[0]).all())

    def _usual(self, name: str, which: NDArray[Any]) -> Any:
        """Return what a part of the draws is where a trial has none."""
        missing = TRIAL_PARTS[name].missing
        return self._trials.target[:, None, which].T if missing == "target" else missing

    def _anew(self, which: NDArray[Any], options: dict[str, Any] | None = None) -> None:
        """Return the next trials of some arms."""
        sources = self._sources if len(self._sources) == 1 else [self._sources[i] for i in which]
        self._begin(which, dealt(sources, len(which), self._physics, options))

    def _all_anew(self) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Return what a step gives in which every arm starts anew."""
        self._anew(self._index)
        nothing = np.zeros(self.num_envs, dtype=bool)
        return (
            self._out(self._observe()),
            self._out(np.zeros(self.num_envs)),
            self._out(nothing),
            self._out(nothing.copy()),
            self._conditions(),
        )

    def _restarted(self, observation: Any, infos: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Put first observations in the place of last ones, which go to the infos."""
        done = self._done.copy()
        which = np.flatnonzero(done)
        final = np.full(self.num_envs, None, dtype=object)
        if isinstance(observation, dict):
            for i in which:
                final[i] = {name: part[i] for name, part in observation.items()}
        else:
            for i, one in zip(which, observation[which], strict=True):
                final[i] = one
        self._anew(which)
        started = {
            "final_obs": final,
            "_final_obs": done,
            "final_info": infos,
            "_final_info": done.copy(),
        }
        return self._observe(), started

    # ---- one step ----

    def _leap(self, values: Floats, show: bool) -> tuple[Any, NDArray[np.bool_], Any]:
        """Do what `_advance` does by a compiled step, and observe, or return None for that."""
        arms, count = self._arms, self.num_envs
        assert arms is not None
        cost, failed = np.empty(count), np.empty(count, dtype=bool)
        shown = arms.new() if show and not arms.changing else None
        arms.advance(self._trials.clock, values, cost, failed, shown)
        self._now = (self._now + 1) % len(self._past)
        self._trials.clock += 1
        return cost, failed, None if shown is None else self._layout.split(shown)

    def _tell(self) -> None:
        """Tell the compiled steps what is to be shown now."""
        trials, arms = self._trials, self._arms
        assert arms is not None
        target, hand_target, cue = trials.shown()
        goal = trials.hand_goal(trials.step) if "wanted" in trials.parts else hand_target
        arms.tell(target, hand_target, goal, cue)

    def _checked(self, actions: Any) -> Floats:
        """Return actions (N, m), once they are checked."""
        if isinstance(actions, torch.Tensor):
            actions = actions.detach().cpu().numpy()
        values = np.asarray(actions)
        if values.shape != (self.num_envs, self._size):
            raise ValueError(
                f"`actions` must have shape ({self.num_envs}, {self._size}), got {values.shape}."
            )
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).any(axis=1).sum())
            raise ValueError(f"`actions` must be finite, got infinite or NaN ones in {bad} arms.")
        return np.ascontiguousarray(values, dtype=np.float64)

    def _commands(self, values: Floats) -> Floats:
        """Return the commands of actions, (m, N), which are clipped."""
        clipped = values.T.copy()
        np.maximum(clipped, self._low, out=clipped)
        np.minimum(clipped, self._high, out=clipped)
        self._action = clipped
        command: Floats = self._half * clipped
        return self._middle + command if self._shifted else command

    def _advance(self, command: Floats) -> tuple[Any, NDArray[np.bool_]]:
        """Step the plants; return what that costs, and which plants have left their bounds."""
        physics = self._physics
        before = self._past[self._now]
        after = physics.advance(before, command, self._trials.part)
        self._now = (self._now + 1) % len(self._past)
        self._trials.clock += 1
        state = self._past[self._now]
        effort = physics.effort(command)
        cost = physics.half_energy_weight * effort
        self._effort += effort
        self._trials.step += 1
        np.minimum(self._trials.step, physics.steps, out=self._trials.step)  # of arms at rest
        if self._trials.together:
            t = int(self._trials.step[0])
            if t == 1:
                cost = cost + self._trials.charge(0, before)
            cost = cost + self._trials.charge(t, after)
        else:
            cost = cost + self._trials.charge_apart(before, after)
        inside = np.ones(self.num_envs, dtype=bool)
        for i, (x, bound) in enumerate(zip(after, physics.bounds, strict=True)):
            state[i] = x
            inside &= np.abs(x) <= bound
        return cost, ~inside

    def _observe(self) -> Any:
        """Return what is seen now, (N, ...)."""
        if self._compiled:
            assert self._arms is not None
            if self._arms.changing:
                self._tell()
            return self._arms.show(self._trials.clock)
        return self._layout.many(self._trials.observables(self._ago, self._action), self.num_envs)

    def _ago(self, steps: int) -> Floats:
        """Return the states some steps ago, (n, N)."""
        states: Floats = self._past[(self._now - steps) % len(self._past)]
        return states

    # ---- infos ----

    def _summary(self, last: NDArray[np.bool_], failed: NDArray[np.bool_]) -> dict[str, Any]:
        """Return how the trials that end now went, with the masks that Gymnasium asks for."""
        which = np.flatnonzero(last)
        values = self._physics.summary(
            self._past[self._now][:, which],
            self._trials.goal(-1)[:, which],
            self._loss[which],
            self._effort[which],
            failed[which],
        )
        return _masked({"condition": self._condition[which], **values}, which, self.num_envs)

    def _conditions(self) -> dict[str, Any]:
        """Return the info that every step has."""
        return {
            "condition": self._condition.copy(),
            "_condition": np.ones(self.num_envs, dtype=bool),
        }

    def _out(self, value: Any) -> Any:
        """Return arrays, or tensors on the same memory, as the caller wants it."""
        if not self._torch:
            return value
        if isinstance(value, dict):
            return {name: torch.from_numpy(part) for name, part in value.items()}
        return torch.from_numpy(value)

    def _checked_mask(self, mask: Any) -> NDArray[np.bool_]:
        """Return a mask of arms as an array of booleans, (N,)."""
        if isinstance(mask, torch.Tensor):
            mask = mask.cpu().numpy()
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(f"`options['reset_mask']` must be an array of booleans, got {mask!r}.")
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"`options['reset_mask']` must have shape ({self.num_envs},) and choose at least "
                f"one arm, got shape {mask.shape} with {int(mask.sum())} chosen."
            )
        if not self._begun and not mask.all():
            raise RuntimeError("no trial has begun; call `reset` without a mask first.")
        return mask

    def _check_begun(self) -> None:
        if not self._begun:
            raise RuntimeError("no trial has begun; call `reset` first.")


def _masked(values: Mapping[str, NDArray[Any]], which: NDArray[Any], count: int) -> dict[str, Any]:
    """Return values of some of `count` arms, zero elsewhere, each with its mask."""
    mask = np.zeros(count, dtype=bool)
    mask[which] = True
    infos: dict[str, Any] = {}
    for name, value in values.items():
        infos[name] = np.zeros(count, dtype=value.dtype)
        infos[name][which] = value
        infos[f"_{name}"] = mask.copy()
    return infos
