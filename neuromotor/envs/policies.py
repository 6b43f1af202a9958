"""Controllers as policies, and policies as controllers: both ways between training and RL.

A policy is whatever has ``predict(observation, state, episode_start, deterministic)`` and returns
actions and its next state, as Stable-Baselines3's models do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from neuromotor._checks import check_seed
from neuromotor.closed_loop import simulate
from neuromotor.control import ILQR
from neuromotor.controllers import Controller
from neuromotor.controllers.controller import ZeroStart
from neuromotor.envs.components import ComponentTask
from neuromotor.envs.observation import Layout, Observables
from neuromotor.envs.options import EnvOptions
from neuromotor.envs.single import action_space
from neuromotor.evaluation.bootstrap import ratio_to
from neuromotor.evaluation.performance import measure
from neuromotor.optim import Counts
from neuromotor.tasks import Task, Trials
from neuromotor.tasks.senses import check_state_sensed
from neuromotor.training.comparison import MethodRun
from neuromotor.zoo.saved_controller import load_controller

__all__ = ["ControllerPolicy", "Policy", "PolicyController", "evaluate_policy"]


class Policy(Protocol):
    """What decides on observations; see `stable_baselines3.common.base_class.BaseAlgorithm`."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """Return actions and the policy's next state."""
        ...


class ControllerPolicy:
    """A trained controller that acts in an environment.

    The environment must show ``state`` and ``target``, and the ``cue`` of a task with its own; that
    is its default. `predict` takes one observation or a batch
    of them; its state is the controller's memory.

    Example:
        >>> import gymnasium
        >>> from neuromotor import ContinuousTimeRNN
        >>> env = gymnasium.make("neuromotor/CenterOut-v0")
        >>> network = ContinuousTimeRNN(layers=(10,))
        >>> theta = network.initial_parameters(torch.Generator().manual_seed(0))
        >>> policy = ControllerPolicy(network, theta, env.unwrapped.options)
        >>> observation, info = env.reset(seed=0)
        >>> action, memory = policy.predict(observation)
        >>> action.shape
        (2,)
    """

    def __init__(
        self, controller: Controller, parameters: Tensor, options: EnvOptions, *, seed: int = 0
    ) -> None:
        """Join a controller and the settings of an environment.

        Args:
            controller: What decides.
            parameters: Its parameters, (P,).
            options: Of the environment, its attribute `options`.
            seed: Of the draws for the controller's private noise, if it has any.

        Raises:
            ValueError: The environment does not show what the controller needs, or has other
                commands.
        """
        names = options.parts
        cued = options.typed_task.trials().cue is not None
        needed = ["state", "target", *(["cue"] if cued else [])]
        if options.goal or not set(needed) <= set(names):
            raise ValueError(
                f"`options.observe` must hold {' and '.join(map(repr, needed))}, without goals, "
                f"for a controller, got {names!r}{' with goals' if options.goal else ''}."
            )
        plant = options.typed_task.plant
        if controller.command_size != plant.command_size:
            raise ValueError(
                f"`controller` must give {plant.command_size} commands for this environment, got "
                f"{controller.command_size}."
            )
        self.controller = controller
        self._dtype = parameters.dtype
        self._weights = controller.unpack(parameters.detach().cpu())
        actions = options.actions
        self._middle, self._half = map(parameters.new_tensor, (actions.middle, actions.half))
        self._last_step = options.typed_task.steps - 1
        layout = Layout(options)
        self._size = len(layout.labels)
        columns = list(range(self._size))
        self._state, *told = (columns[layout.columns(name)] for name in needed)
        self._told = [column for part in told for column in part]
        check_seed("seed", seed)
        self._generator = torch.Generator().manual_seed(seed)

    @classmethod
    def from_file(cls, path: Path | str, options: EnvOptions) -> ControllerPolicy:
        """Return the policy of a controller file or name of the zoo; no pickle is ever read.

        Raises:
            CheckpointError: The file cannot be read.
        """
        saved = load_controller(path)
        return cls(saved.controller, saved.parameters, options)

    @torch.no_grad()
    def predict(
        self,
        observation: Any,
        state: tuple[tuple[Tensor, ...], NDArray[Any]] | None = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[np.float32], tuple[tuple[Tensor, ...], NDArray[Any]]]:
        """Return actions, (m,) or (N, m), and the memory with each arm's step.

        Args:
            observation: (k,) or (N, k).
            state: From the previous call; None at the start of all trials.
            episode_start: Which arms begin a trial now, (N,) booleans; their memory is new.
            deterministic: As in other policies; a controller has no other way.

        Raises:
            ValueError: The observation has another size than the environment's.
        """
        del deterministic
        seen = torch.as_tensor(np.asarray(observation)).to(self._dtype)
        single = seen.ndim == 1
        seen = seen.reshape(-1, seen.shape[-1]) if seen.ndim else seen.reshape(1, 1)
        if seen.shape[1] != self._size:
            raise ValueError(
                f"`observation` must hold {self._size} numbers an arm, got {seen.shape[1]}."
            )
        count = len(seen)
        fresh = self.controller.initial_memory(self._weights, count)
        memory, steps = state or (fresh, np.zeros(count, dtype=np.int64))
        if episode_start is not None and state is not None:
            begins = np.broadcast_to(np.asarray(episode_start, dtype=bool), (count,))
            if begins.any():
                anew = torch.from_numpy(begins.copy())[:, None]
                memory = tuple(torch.where(anew, a, b) for a, b in zip(fresh, memory, strict=True))
                steps = np.where(begins, 0, steps)
        noise = None
        if self.controller.noise_size:
            noise = torch.randn(
                count, self.controller.noise_size, generator=self._generator, dtype=self._dtype
            )
        memory, command = self._decided(memory, seen, steps, noise)
        actions = ((command - self._middle) / self._half).float().numpy()
        return (actions[0] if single else actions), (memory, steps + 1)

    def _decided(
        self, memory: tuple[Tensor, ...], seen: Tensor, steps: NDArray[Any], noise: Tensor | None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """The memory and command of each arm at its own step of its trial.

        A finished arm that waits for its next trial counts as at the last step: its action is
        ignored, and a controller that depends on the step has no later one.
        """
        steps = np.minimum(steps, self._last_step)
        state, told = seen[:, self._state], seen[:, self._told]
        decided = None
        for t in np.unique(steps):
            fresh = self.controller.step(self._weights, memory, state, told, int(t), noise)
            if decided is None:
                decided = fresh
                continue
            here = torch.from_numpy(steps == t)[:, None]
            decided = (
                tuple(torch.where(here, a, b) for a, b in zip(fresh[0], decided[0], strict=True)),
                torch.where(here, fresh[1], decided[1]),
            )
        assert decided is not None
        return decided


class PolicyController(ZeroStart):
    """A policy as a controller of the closed loop: what `simulate` and `measure` take.

    It sees what the environment of `options` would show, and its actions are clipped as there. A
    model of Stable-Baselines3 that was trained behind `VecNormalize` sees observations normalised
    as there. The controller has no parameters to train. With goals it cannot say where a hand is to
    be that waits for a cue.
    """

    parameter_count = 0

    def __init__(self, policy: Policy, options: EnvOptions) -> None:
        """Join a policy and the settings of the environment that it was trained in.

        Raises:
            ValueError: The policy was trained on other observations or actions than those of
                `options`, or behind a normalisation that it no longer has.
        """
        self.policy = policy
        self._normalize = _normalization(policy)
        self.options = options
        plant = options.typed_task.plant
        self.command_size, self.dt_s = plant.command_size, plant.dt_s
        self._physics = ComponentTask(options, "numpy")
        self._layout = Layout(options)
        self._shows_hand = options.goal or bool({"hand", "hand_target"} & set(options.parts))
        if self._shows_hand:
            check_state_sensed(
                options.typed_task, "a policy that sees the hand, run in the closed loop"
            )
        _check_space(policy, "observation_space", self._layout.space)
        _check_space(policy, "action_space", action_space(options))

    def unpack(self, parameters: Tensor) -> None:
        """Return nothing."""

    def initial_memory(self, weights: None, batch: int) -> tuple[Tensor, ...]:
        """Return no memory: the policy's own begins at step 0."""
        return ()

    @torch.no_grad()
    def step(
        self,
        weights: None,
        memory: tuple[Any, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Any, ...], Tensor]:
        """Return no memory and the policy's commands (B, m); a recurrent policy keeps its own."""
        del weights, noise
        count, actions_of = len(observation), self.options.actions
        told = target.double().cpu().numpy().T
        goal, cues = np.split(told, [len(self.options.senses.target_labels)])
        if len(cues) and self.options.goal:
            raise ValueError(
                "`options.goal` must be False for a policy on trials with cues: what a hand is to "
                "do before the cue is not told; run the policy in its environment."
            )
        if t == 0:
            self._memory: Any = None
            self._action = np.repeat(np.array(actions_of.none)[:, None], count, axis=1)
            self._first_goal = goal
        seen = observation.double().cpu().numpy().T
        place = self._physics.place(goal) if self._shows_hand else goal
        observables = Observables(
            sensed=seen,
            told=goal,
            hand=lambda: self._physics.hand(seen),
            hand_target=place,
            hand_goal=place,
            time=np.full(count, t / self._physics.steps),
            command=self._action,
            cue=cues if len(cues) else [(goal != self._first_goal).any(axis=0)],
        )
        actions, self._memory = self.policy.predict(
            self._normalize(self._layout.many(observables, count)),
            state=self._memory,
            episode_start=np.full(count, t == 0),
            deterministic=True,
        )
        given = np.asarray(actions, dtype=np.float64)
        if given.shape != (count, self.command_size):
            raise ValueError(
                f"`policy` must give actions of shape ({count}, {self.command_size}) for "
                f"{count} observations, got {given.shape}."
            )
        clipped = np.clip(given, actions_of.low, actions_of.high)
        self._action = clipped.T
        command = np.array(actions_of.middle) + np.array(actions_of.half) * clipped
        return memory, torch.from_numpy(command).to(observation)

    def rates(self, memory: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return none: a policy keeps its own memory."""
        return memory


def _normalization(policy: Policy) -> Callable[[Any], Any]:
    """How observations are normalised for a policy: as in the environments it was trained in.

    Stable-Baselines3 keeps running means in the environments (`VecNormalize`), not in the model,
    and `predict` expects observations that are normalised already.
    """
    environments = getattr(policy, "get_vec_normalize_env", lambda: None)()
    if environments is not None:
        normalize: Callable[[Any], Any] = environments.normalize_obs
        return normalize
    # The only trace of `VecNormalize` in a model and in its file. Off-policy methods leave it in
    # any case, so those without environments may need the means.
    traced = getattr(policy, "_last_original_obs", None) is not None
    certain = not hasattr(policy, "replay_buffer_class")
    if traced and (certain or policy.get_env() is None):  # type: ignore[attr-defined]
        raise ValueError(
            "`policy` must have the running means that its observations are normalised with, got a "
            f"model that {'was' if certain else 'may have been'} trained behind VecNormalize, "
            "without those environments; load it with the environments of its training: "
            "`load(path, env=VecNormalize.load(means, environments))`, or the plain ones."
        )
    return lambda observation: observation


def _check_space(policy: Policy, name: str, expected: spaces.Space[Any]) -> None:
    """Raise if a policy says what space it was trained with, and it is another one."""
    trained = getattr(policy, name, expected)
    if not _same_space(trained, expected):
        raise ValueError(
            f"`policy` must have the {name.replace('_', ' ')} of the environment's options "
            f"({expected}), got {trained}; give the options that it was trained with (`observe`, "
            "`goal`, `normalized`, `command_limit`), or a policy whose `predict` does what a "
            "wrapper of its environment did."
        )


def _same_space(one: Any, other: Any) -> bool:
    """Whether two spaces have the same parts, shapes and bounds; their dtypes may differ."""
    if isinstance(one, spaces.Dict) and isinstance(other, spaces.Dict):
        return one.keys() == other.keys() and all(_same_space(one[k], other[k]) for k in one)
    if not (isinstance(one, spaces.Box) and isinstance(other, spaces.Box)):
        return False
    return one.shape == other.shape and all(
        np.allclose(a, b, rtol=1e-5) for a, b in ((one.low, other.low), (one.high, other.high))
    )


def evaluate_policy(
    policy: Policy,
    task: Task,
    trials: Trials,
    *,
    name: str = "policy",
    reference_loss: float | None = None,
    **options: Any,
) -> MethodRun:
    """Run a policy in the task's own evaluation, as `compare` runs trained controllers.

    Args:
        policy: What decides, deterministically. A model of Stable-Baselines3 that was trained
            behind `VecNormalize` sees observations normalised as in its environments.
        task: What is wanted.
        trials: The batch.
        name: The method's name in a table.
        reference_loss: iLQR's mean loss on the trials, which the ratio is to; solved for if absent.
        **options: The `EnvOptions` of the environment that the policy was trained in.

    Returns:
        A run like those of a `Comparison`: performance, ratio to iLQR, states and commands. It has
        no parameters, counts or history; `row()` is its line of the table.

    Raises:
        ValueError: Policy, task and trials do not fit together; the policy was trained on other
            observations or actions than those of `options`, or behind `VecNormalize` and came
            without its running means.
    """
    controller = PolicyController(policy, EnvOptions.of(task, options))
    nothing = trials.initial_state.new_empty(0)
    trajectory = simulate(task, controller, nothing, trials)
    performance = measure(task, trials, trajectory.states, trajectory.commands)
    if reference_loss is None:
        reference_loss = ILQR().solve(task, trials).value
    return MethodRun(
        method=name,
        controller=controller,
        parameters=nothing,
        states=trajectory.states,
        commands=trajectory.commands,
        performance=performance,
        ratio=ratio_to(performance.loss, reference_loss),
        counts=Counts(),
        seconds=0.0,
        converged=False,
        reason="a given policy, nothing was trained",
        history=(),
    )
