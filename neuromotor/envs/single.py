"""One arm as a Gymnasium environment, in plain floats or by compiled steps."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from neuromotor.envs.arms import Arms
from neuromotor.envs.components import ComponentTask
from neuromotor.envs.episodes import TrialArrays, TrialSource, dealt
from neuromotor.envs.observation import Layout
from neuromotor.envs.options import EnvOptions
from neuromotor.envs.trial import Trial
from neuromotor.plants.plant import views_of

__all__ = ["MotorEnv", "action_space"]


class MotorEnv(gymnasium.Env[Any, NDArray[Any]]):
    """A movement task, one trial an episode, over the plant and trials that training uses.

    * Action: command of each actuator, in [-1, 1] from the lowest to the highest (`command_limit`,
      or the plant's `command_bounds`), or the command itself (in N m or N); what lies beyond is
      clipped, and the clipped command is what moves and what costs.
    * Observation: delayed state and target in rad and rad/s (m and m/s); see `EnvOptions.observe`
      and the attribute `observation_labels`.
    * Reward: minus the cost; see `EnvOptions.reward`. The rewards of a trial add up to minus its
      loss.
    * End: after the task's last step, as `terminated` (see `EnvOptions.horizon`). A plant that
      leaves the observation's bounds has failed: its trial ends at once as `terminated`, and the
      remaining cost is paid as if it stayed where it is.
    * Info: `condition`; at the end of a trial also `is_success`, `loss`, `target_error_m`,
      `hand_speed_m_s`, `energy` (time integral of the squared command), `failed`.

    Attributes:
        options: The settings.
        observation_labels: Name and unit of each number of the observation.
        action_labels: Name and unit of each number of an action.
        compute_reward: Only with goals: the reward of achieved and desired goals (m), (..., d), for
            hindsight replay.

    Example:
        >>> env = MotorEnv("center-out", observe=("state", "target", "time"))
        >>> observation, info = env.reset(seed=0)
        >>> env.observation_labels[0], observation.shape
        ('shoulder angle (rad)', (9,))
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["rgb_array", "human"],
        "render_fps": 100,
    }

    def __init__(
        self, task: Any = "center-out", *, render_mode: str | None = None, **options: Any
    ) -> None:
        """Make an environment.

        Args:
            task: A task, its name, or a table of its settings.
            render_mode: None, ``rgb_array`` or ``human``.
            **options: Fields of `EnvOptions`.

        Raises:
            TypeError: An option is unknown or has the wrong type.
            ValueError: A setting is out of range.
        """
        self.options = EnvOptions.of(task, options)
        check_render_mode(render_mode, self.metadata["render_modes"], self.options)
        self.render_mode = render_mode
        self._physics = ComponentTask(self.options, "math")
        self._layout = Layout(self.options)
        self.observation_space = self._layout.space
        self.observation_labels = self._layout.labels
        self.action_space = action_space(self.options)
        self.action_labels = tuple(self.options.typed_task.plant.command_labels)
        self.metadata = {**self.metadata, "render_fps": round(1 / self._physics.dt_s)}  # type: ignore[misc]
        if self.options.goal:  # others take an environment for goal-conditioned if it has this
            self.compute_reward = self._physics.compute_reward
        self._actions = actions = self.options.actions
        self._rows = list(zip(actions.low, actions.high, actions.middle, actions.half, strict=True))
        self._source: TrialSource | None = None
        self._trial: Trial | None = None
        self._over = False
        self._loss = 0.0
        self._calls = 0  # of `step`
        self._arms: Arms | None = None
        self._compiled = False  # the present trial
        self._painter: Any = None

    # ---- what others may look at ----

    @property
    def state(self) -> NDArray[np.float64]:
        """The true state now, (n,)."""
        self._running()
        return np.array(self._states[self._running().step])

    @property
    def target(self) -> NDArray[np.float64]:
        """The state to be reached, (n,)."""
        return np.array(self._running().target)

    # ---- the interface of Gymnasium ----

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start a trial of the task's distribution; one seed, one sequence of trials.

        Args:
            seed: A new sequence.
            options: ``target``: hand position (m), (d,), or state, (n,). ``disturbance``: load
                (N m or N), (k,) or (T, k). ``trials``: a `Trials` batch of one, played as it is.

        Raises:
            ValueError: An option is unknown or does not fit.
        """
        super().reset(seed=seed)
        if seed is not None or self._source is None:
            self._source = TrialSource(self.options.typed_task, self.np_random)
        return self._start(dealt([self._source], 1, self._physics, options))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advance by one step of the plant.

        Raises:
            RuntimeError: The trial is over or has not begun.
            ValueError: `action` has the wrong shape or is not finite.
        """
        if self._over or self._trial is None:
            raise RuntimeError("the trial is over or has not begun; call `reset` before `step`.")
        self._calls += 1
        physics, trial = self._physics, self._trial
        observation, cost, failed = (self._leap if self._compiled else self._walk)(action, trial)
        t = trial.step
        last = failed or t == physics.steps
        if failed:
            cost += float(trial.left_to_pay(self._state_now(t)))
        self._loss += cost
        reward, info = -cost, {"condition": self._condition}
        if self.options.goal:
            reward = physics.compute_reward(
                observation["achieved_goal"], observation["desired_goal"]
            )
        elif self.options.reward == "dense":
            outcome = physics.outcome(self._state_now(t), trial.goal(t))
            reward = physics.dense(*outcome, last)
        if last:
            self._over = True
            effort = self._effort.item() if self._compiled else self._effort
            info.update(trial.summary(self._state_now(t), self._loss, effort, failed))
        truncated = last and not failed and self.options.horizon == "truncated"
        if self.render_mode == "human":
            self.render()
        return observation, reward, last and not truncated, truncated, info

    def render(self) -> Any:
        """Return a picture (H, W, 3) of limb, target, trace and load, or show it in a window."""
        if self.render_mode is None:
            gymnasium.logger.warn(
                "`render` needs a mode; give `render_mode='rgb_array'` or 'human' when making "
                "the environment."
            )
            return None
        trial = self._running()
        from neuromotor.envs.render import Painter, Scene, Window

        if self._painter is None:
            painter = Painter(self.options)
            self._painter = painter if self.render_mode == "rgb_array" else Window(painter)
        scene = Scene(
            states=np.array(self._states[: trial.step + 1]),
            seen=np.array(self._ago(self._physics.delay)),
            target=np.array(trial.shown()[0]),
            success_error_m=self.options.success_error_m,
            load=trial.part("load"),
            hand_force=trial.part("hand_force"),
        )
        return self._painter.draw(scene)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._painter is not None:
            self._painter.close()
            self._painter = None

    # ---- inner workings ----

    def _start(self, trials: TrialArrays) -> tuple[Any, dict[str, Any]]:
        """The first observation of a trial, given as arrays of one arm."""
        self._condition = int(trials.condition[0])
        self._loss, self._over = 0.0, False
        self._effort: Any = 0.0
        if self._arms is None and Arms.wanted(self._physics, self._calls):
            self._arms = Arms(self._physics, self._layout, 1)
        self._compiled = self._arms is not None and Arms.play(trials.parts)
        parts: dict[str, Any] = {name: part[0] for name, part in trials.parts.items()}
        if not self._compiled:  # floats, which are read at every step
            parts = {name: part.tolist() for name, part in parts.items()}
        self._trial = Trial(self._physics, trials.target[0].tolist(), parts)
        if self._compiled:
            self._begin_compiled(trials)
        else:
            self._past: Any = [trials.initial_state[0].tolist()]
            self._action: Any = list(self._actions.none)
        observation = self._observe()
        if self.render_mode == "human":
            self.render()
        return observation, {"condition": self._condition}

    def _begin_compiled(self, trials: TrialArrays) -> None:
        """Hand a trial to the compiled steps."""
        assert self._arms is not None
        # all states, for pictures; long enough that what lies before the first one is the first
        rows = max(self._physics.steps, self._physics.delay) + 1
        self._past = np.repeat(trials.initial_state.T[None], rows, axis=0)
        self._action = np.array(self._actions.none)[:, None]
        self._asked = np.zeros((1, len(self._rows)))
        self._cost, self._failed = np.zeros(1), np.zeros(1, dtype=bool)
        step, self._effort = np.zeros(1, dtype=np.int64), np.zeros(1)
        self._arms.begin(
            trials.target.T, trials.parts, self._past, step, self._action, self._effort
        )
        self._tell()

    @property
    def _states(self) -> Any:
        """The states so far, by step; more rows, which do not count, where steps are compiled."""
        return self._past[:, :, 0] if self._compiled else self._past

    def _state_now(self, step: int) -> list[float]:
        state: list[float] = self._states[step].tolist() if self._compiled else self._past[step]
        return state

    def _walk(self, action: Any, trial: Trial) -> tuple[Any, float, bool]:
        """Advance in floats; return what is seen, what it costs, and whether the plant failed."""
        physics, before = self._physics, self._past[-1]
        command = self._command(action)
        state = physics.advance(before, command, trial.part)
        self._past.append(state)
        trial.step += 1
        effort = physics.effort(command)
        self._effort += effort
        cost: float = trial.cost(trial.step, before, effort, state)
        inside = all(-bound <= x <= bound for x, bound in zip(state, physics.bounds, strict=True))
        return self._observe(), cost, not inside

    def _leap(self, action: Any, trial: Trial) -> tuple[Any, float, bool]:
        """Advance by a compiled step; as `_walk`."""
        arms: Any = self._arms
        if type(action) is not np.ndarray:
            action = np.asarray(action, dtype=np.float64)
        if action.shape != self._asked.shape[1:]:
            self._check_shape(action)
        self._asked[0] = action
        shown = None if arms.changing else arms.new()
        failures = arms.advance(trial.step, self._asked, self._cost, self._failed, shown)
        if failures < 0:
            raise ValueError(f"`action` must be finite, got {action.tolist()}.")
        trial.step += 1
        seen = self._observe() if shown is None else self._layout.split(shown[0])
        return seen, self._cost.item(), failures > 0

    def _check_shape(self, values: NDArray[Any]) -> None:
        if values.shape != (len(self._rows),):
            raise ValueError(f"`action` must have shape ({len(self._rows)},), got {values.shape}.")

    def _command(self, action: Any) -> list[float]:
        """The command of an action, which is checked and clipped."""
        values = np.asarray(action, dtype=np.float64)
        self._check_shape(values)
        self._action, command = [], []
        for value, (low, high, middle, half) in zip(values.tolist(), self._rows, strict=True):
            if not math.isfinite(value):
                raise ValueError(f"`action` must be finite, got {values.tolist()}.")
            clipped = high if value > high else low if value < low else value
            self._action.append(clipped)
            command.append(middle + half * clipped)
        return command

    def _ago(self, steps: int) -> Any:
        """The state some steps ago, the first one before that."""
        return self._states[max(self._running().step - steps, 0)]

    def _observe(self) -> Any:
        """What is seen now."""
        if self._compiled:
            arms: Any = self._arms
            if arms.changing:
                self._tell()
            seen = arms.show(self._running().step)
            return {name: one[0] for name, one in seen.items()} if self.options.goal else seen[0]
        return self._layout.one(self._running().observables(self._ago, self._action))

    def _tell(self) -> None:
        """Tell the compiled steps what is to be shown now."""
        trial, arms = self._running(), self._arms
        assert arms is not None
        target, hand_target, cue = trial.shown()
        goal = trial.hand_goal(trial.step) if "wanted" in trial.parts else hand_target
        shown = (np.array(p)[:, None] for p in (target, hand_target, goal, cue))
        arms.tell(*shown)

    def _running(self) -> Trial:
        """The trial, if there is one."""
        if self._trial is None:
            raise RuntimeError("no trial has begun; call `reset` first.")
        return self._trial


def action_space(options: EnvOptions) -> spaces.Box:
    """Return one arm's actions: from -1 to 1, or commands."""
    actions = options.actions
    low, high = (np.array(bound, dtype=np.float32) for bound in (actions.low, actions.high))
    return spaces.Box(low, high, dtype=np.float32)


def check_render_mode(mode: str | None, modes: list[str], options: EnvOptions) -> None:
    """Raise unless a render mode is known, and the hand moves where it can be shown."""
    if mode is None:
        return
    if mode not in modes:
        raise ValueError(f"`render_mode` must be None, {' or '.join(modes)}, got {mode!r}.")
    views_of(options.typed_task.plant, f"`render_mode={mode!r}`")
