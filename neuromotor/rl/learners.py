"""Goes on with one training for some steps, and gives its actor: one class for each way to learn.

Every stretch of a training begins with seeds of its own and with new trials, so that a training
that goes on from a checkpoint comes to the same numbers as one that was never stopped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neuromotor._extras import require
from neuromotor.closed_loop import simulate
from neuromotor.controllers import Controller, PolicyNetwork
from neuromotor.controllers.network import RecurrentNetwork
from neuromotor.envs import EnvOptions
from neuromotor.envs.standard import layout_of
from neuromotor.rl.algorithms import (
    HER,
    Algorithm,
    Analytic,
    OnPolicy,
    RecurrentPPO,
    actor_parts,
    make_model,
    policy_of,
    untrained,
)
from neuromotor.rl.lessons import learn_from
from neuromotor.storage.components import SettingsError
from neuromotor.tasks import Task
from neuromotor.zoo.saved_controller import SavedController, load_controller

if TYPE_CHECKING:
    from neuromotor.rl.recurrent import NetworkActor

__all__ = ["Learner", "learner_of"]


class Learner(ABC):
    """One training.

    Attributes:
        steps: Steps of arms so far.
        least: Fewest steps that it can go on for.
    """

    steps: int
    least: int

    def begin(self, seed: int) -> None:
        """Do what comes before the first step: lessons, where there is a teacher.

        Args:
            seed: Of everything random.
        """
        del seed

    @abstractmethod
    def advance(self, steps: int, share: float, seed: int) -> None:
        """Go on for some steps.

        Args:
            steps: A multiple of `least`.
            share: Of the whole training that lies behind, 0 to 1.
            seed: Of everything random.
        """

    @abstractmethod
    def policy(self) -> tuple[Controller, Tensor]:
        """Return the actor as a controller, and its parameters (P,)."""

    def state(self) -> dict[str, Any] | None:
        """Return what it takes to go on later, or None where that cannot be saved."""
        return None

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        raise NotImplementedError


def learner_of(task: Task, algorithm: Algorithm, seed: int) -> Learner:
    """Return a training that has not begun."""
    if isinstance(algorithm, Analytic):
        return _Analytic(EnvOptions.of(task, algorithm.options(task)), algorithm, seed)
    return _Modelled(task, algorithm, seed)


class _Modelled(Learner):
    """A model of Stable-Baselines3 in thousands of arms."""

    def __init__(self, task: Task, algorithm: Algorithm, seed: int) -> None:
        vec_env = require("stable_baselines3.common.vec_env", "rl")
        from neuromotor.rl.arms import GoalArms, SB3Arms  # they need it too

        self._algorithm, self._task = algorithm, task
        taper = algorithm.narrowing(task)
        kind = GoalArms if isinstance(algorithm, HER) else SB3Arms
        self._arms = kind(algorithm.arms, task, taper=taper, **algorithm.options(task))
        self._rewards = vec_env.VecNormalize(
            self._arms,
            norm_obs=False,
            norm_reward=not isinstance(algorithm, HER),
            gamma=algorithm.discount,
            clip_reward=getattr(algorithm, "clip_reward", 1000.0),
        )
        start = algorithm.start if isinstance(algorithm, OnPolicy) else ""
        saved = load_controller(start) if start else None
        actor = None
        if isinstance(algorithm, RecurrentPPO) and saved is not None:
            actor = self._network(saved, algorithm.start_rate)
        self._model: Any = make_model(algorithm, self._rewards, task.steps, seed, actor)
        if saved is not None and actor is None:
            self._take(_weights_of(saved, self.policy()[0]))
        self._on_policy = isinstance(algorithm, OnPolicy)
        trials = algorithm.trials if isinstance(algorithm, OnPolicy) else 1
        self.steps, self.least = 0, trials * task.steps * algorithm.arms

    def begin(self, seed: int) -> None:
        algorithm = self._algorithm
        if isinstance(algorithm, OnPolicy) and algorithm.teacher:
            actor, _ = self.policy()
            assert isinstance(actor, PolicyNetwork)
            taught = learn_from(
                algorithm.teacher,
                self._task,
                actor,
                actor.initial_parameters(torch.Generator().manual_seed(seed)),
                lessons=algorithm.lessons,
                learning_rate=algorithm.lesson_rate,
                seed=seed,
            )
            self._take(taught)

    def _network(self, saved: SavedController, pace: float) -> NetworkActor | None:
        """A saved recurrent network as an actor, or None for any other controller."""
        controller, envs = saved.controller, self._arms.envs
        if not isinstance(controller, RecurrentNetwork):
            return None
        from neuromotor.rl.recurrent import NetworkActor  # it needs sb3-contrib

        return NetworkActor(
            controller, saved.parameters, envs.options, envs.observation_scales, pace=pace
        )

    def _take(self, parameters: Tensor) -> None:
        """Let the actor have parameters, (P,)."""
        parts = actor_parts(self._algorithm, self._model)
        pieces = parameters.split([part.numel() for part in parts])  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for part, piece in zip(parts, pieces, strict=True):
                part.copy_(piece.view_as(part))

    def advance(self, steps: int, share: float, seed: int) -> None:
        algorithm, model = self._algorithm, self._model
        rate = algorithm.learning_rate * (1 - share * (1 - algorithm.last_learning_rate))
        model.lr_schedule = lambda _: rate
        if isinstance(algorithm, OnPolicy):
            fall = algorithm.last_noise / algorithm.noise
            with torch.no_grad():
                model.policy.log_std.fill_(float(np.log(algorithm.noise * fall**share)))
            led = bool(algorithm.teacher or algorithm.start)
            learns = not led or share >= algorithm.critic_alone
            for part in actor_parts(algorithm, model):
                part.requires_grad_(learns)
        if self._on_policy or not self.steps:
            require("stable_baselines3.common.utils", "rl").set_random_seed(seed)
            self._arms.seed(seed)
            model._last_obs = None  # `learn` begins with new trials
        model.num_timesteps = self.steps
        model.learn(steps, reset_num_timesteps=False)
        self.steps = model.num_timesteps

    def policy(self) -> tuple[Controller, Tensor]:
        envs = self._arms.envs
        return policy_of(self._algorithm, self._model, envs.options, envs.observation_scales)

    def state(self) -> dict[str, Any] | None:
        if not self._on_policy:
            return None
        adam = self._model.policy.optimizer.state_dict()
        returns = self._rewards.ret_rms
        return {
            "steps": self.steps,
            "policy": dict(self._model.policy.state_dict()),
            "adam": {str(k): dict(one) for k, one in adam["state"].items()},
            "updates": self._model._n_updates,
            "returns": [float(returns.mean), float(returns.var), float(returns.count)],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        self._model.policy.load_state_dict(state["policy"])
        adam = self._model.policy.optimizer
        moments = {int(k): one for k, one in state["adam"].items()}
        adam.load_state_dict({**adam.state_dict(), "state": moments})
        self._model._n_updates = state["updates"]
        mean, variance, count = state["returns"]
        returns = self._rewards.ret_rms
        returns.mean, returns.var, returns.count = np.float64(mean), np.float64(variance), count


def _weights_of(saved: SavedController, actor: Controller) -> Tensor:
    """Parameters of a saved policy, (P,), which must be the actor in all but its weights."""
    if saved.controller != actor:
        raise SettingsError(
            f"`start` must be a policy of this training's units, limit of commands and taper, got "
            f"a {type(saved.controller).__name__} that differs in "
            f"{', '.join(_differences(saved.controller, actor))}."
        )
    return saved.parameters


def _differences(one: Controller, other: Controller) -> list[str]:
    """Names of what two controllers have unlike, or the type."""
    if not (isinstance(one, PolicyNetwork) and isinstance(other, PolicyNetwork)):
        return ["its type"]
    names = [field.name for field in fields(other)]
    return [name for name in names if getattr(one, name) != getattr(other, name)]


class _Analytic(Learner):
    """Adam on the loss through the physics."""

    def __init__(self, options: EnvOptions, algorithm: Analytic, seed: int) -> None:
        self._task, self._algorithm = options.typed_task, algorithm
        self._controller = untrained(algorithm, options, layout_of(options).scales)
        generator = torch.Generator().manual_seed(seed)
        self._parameters = self._controller.initial_parameters(generator).requires_grad_(True)
        self._adam = torch.optim.Adam([self._parameters], lr=algorithm.learning_rate)
        self.steps, self.least = 0, self._task.steps * algorithm.arms

    def advance(self, steps: int, share: float, seed: int) -> None:
        algorithm, task = self._algorithm, self._task
        rate = algorithm.learning_rate * (1 - share * (1 - algorithm.last_learning_rate))
        self._adam.param_groups[0]["lr"] = rate
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps // self.least):
            drawn = task.trials(generator)
            if len(drawn) > algorithm.arms:
                drawn = drawn.sample(algorithm.arms, generator)
            done = simulate(task, self._controller, self._parameters, drawn)
            loss = task.cost.losses(done.states, done.commands, drawn).mean()
            self._adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._adam.step()
        self.steps += steps

    def policy(self) -> tuple[Controller, Tensor]:
        return self._controller, self._parameters.detach().clone()

    def state(self) -> dict[str, Any]:
        moments = {k: v for one in self._adam.state.values() for k, v in one.items()}
        return {"steps": self.steps, "policy": self._parameters.detach().clone(), "adam": moments}

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        with torch.no_grad():
            self._parameters.copy_(state["policy"])
        self._adam.load_state_dict({**self._adam.state_dict(), "state": {0: state["adam"]}})
