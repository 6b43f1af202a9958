"""What is set of each algorithm, how its model is made, and how its actor becomes a controller.

The algorithms are those of Stable-Baselines3 and its contributed package; both are imported only
when a model is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from neuromotor._checks import (
    check_integer,
    check_number,
    check_positive,
    check_share,
)
from neuromotor._extras import require
from neuromotor.controllers import Controller, PolicyNetwork
from neuromotor.envs import CostToGo, EnvOptions, limits_of
from neuromotor.extensions import Registry
from neuromotor.tasks import Task

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from neuromotor.rl.recurrent import NetworkActor

__all__ = [
    "ALGORITHMS",
    "HER",
    "TD3",
    "Algorithm",
    "Analytic",
    "OffPolicy",
    "OnPolicy",
    "RecurrentPPO",
    "actor_parts",
    "make_model",
    "policy_of",
    "untrained",
]


_ROOM = 1.25  # the largest command, in ratio to nearly all of linear feedback's


@dataclass(frozen=True)
class Algorithm:
    """What every algorithm has.

    Attributes:
        arms: Arms that are stepped at once.
        layers: Units of each hidden layer, of actor and critic.
        learning_rate: Of Adam at the start; it falls linearly.
        last_learning_rate: At the end, as a share of the first.
        discount: Of later rewards.
        reward: Of the environments, ``shaped``, ``loss`` or ``dense``.
        command_limit: Largest command of each actuator (N m or N); None is 5/4 of what 999 in 1000
            commands of linear feedback on the task (`CostToGo.run`) stay below, or the plant's own
            bound if that is less.
        taper: To which share of that limit commands narrow in a trial, so that an action costs
            about the same at each step (`CostToGo.taper`): late commands, which nobody sees the
            effect of in time, cost most. 1 is no narrowing.
    """

    arms: int = 256
    layers: tuple[int, ...] = (64, 64)
    learning_rate: float = 1e-3
    last_learning_rate: float = 0.05
    discount: float = 1.0
    reward: str = "shaped"
    command_limit: float | None = None
    taper: float = 1.0

    def __post_init__(self) -> None:
        check_integer("arms", self.arms, minimum=1)
        for units in self.layers:
            check_integer("layers", units, minimum=1)
        check_positive("learning_rate", self.learning_rate)
        check_share("last_learning_rate", self.last_learning_rate)
        check_share("discount", self.discount)
        if self.command_limit is not None:
            check_positive("command_limit", self.command_limit, "N m or N")
        check_positive("taper", self.taper)
        check_share("taper", self.taper)

    def options(self, task: Task) -> dict[str, Any]:
        """Return the options of the environments that it learns in."""
        limit = self.command_limit
        if limit is None:
            _, _, commands = CostToGo(task).run()
            bounds = task.plant.command_bounds
            most = math.inf if bounds is None else max(map(abs, (*bounds[0], *bounds[1])))
            limit = min(most, _ROOM * float(commands.abs().flatten().quantile(0.999)))
        return {
            "reward": self.reward,
            "reward_unit": "task",
            "standardized": True,
            "discount": self.discount,
            "command_limit": limit,
        }

    def narrowing(self, task: Task) -> tuple[float, ...]:
        """Return what commands are multiplied by at each step; nothing where that is one."""
        if self.taper == 1:
            return ()
        limits = limits_of(task.plant, self.command_limit)
        if any(low != -high for low, high in zip(limits.low, limits.high, strict=True)):
            raise ValueError(
                "`taper` must be 1 for a plant whose commands do not go as far down as up, got "
                f"{self.taper!r}."
            )
        return tuple(CostToGo(task).taper.clip(min=self.taper).tolist())


@dataclass(frozen=True)
class OnPolicy(Algorithm):
    """Proximal policy optimization (Schulman et al. 2017).

    Attributes:
        trials: Trials of each arm between two updates.
        epochs: Passes over what was gathered.
        batches: Parts of a pass, each of one step of Adam.
        trace: Lambda of generalised advantage estimation (Schulman et al. 2016).
        noise: Standard deviation of actions at the start, as a share of the command limit.
        last_noise: At the end; it falls geometrically, and is not learnt.
        clip_reward: Largest reward, in running standard deviations of the return.
        start: Saved controller that the actor is at the start, a file or a name of the zoo; none by
            default. It is a policy of `neuromotor rl` of the same units, or, for recurrent PPO, a
            recurrent network that anything trained.
        teacher: Whose commands the actor learns before it learns from rewards: `ilqg`, a name of
            the zoo or the file of a saved controller; nobody's by default.
        lessons: Steps of Adam for that, each on new trials.
        lesson_rate: Learning rate of the lessons at their start; it falls to nothing.
        critic_alone: With a teacher or a start, share of the training in which the critic alone
            learns.
    """

    trials: int = 1
    epochs: int = 10
    batches: int = 5
    trace: float = 0.9
    noise: float = 0.22
    last_noise: float = 0.01
    clip_reward: float = 1000.0
    start: str = ""
    teacher: str = ""
    lessons: int = 1000
    lesson_rate: float = 5e-3
    critic_alone: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("trials", "epochs", "batches", "lessons"):
            check_integer(name, getattr(self, name), minimum=1)
        check_share("trace", self.trace)
        check_share("critic_alone", self.critic_alone)
        for name in ("noise", "last_noise", "clip_reward", "lesson_rate"):
            check_positive(name, getattr(self, name))
        if self.start and self.teacher:
            raise ValueError(
                f"`start` must be left out with a `teacher`, got {self.start!r} and "
                f"{self.teacher!r}; lessons begin from weights of their own."
            )


@dataclass(frozen=True)
class RecurrentPPO(OnPolicy):
    """Proximal policy optimization of a policy with an LSTM before its layers.

    Attributes:
        memory_units: Units of the LSTM, of actor and critic each.
        start_rate: Learning rate of a recurrent network that is the start, in ratio to
            `learning_rate`, which the critic has.
    """

    layers: tuple[int, ...] = (64,)
    epochs: int = 5
    noise: float = 0.12
    memory_units: int = 64
    start_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("memory_units", self.memory_units, minimum=1)
        check_positive("start_rate", self.start_rate)


@dataclass(frozen=True)
class OffPolicy(Algorithm):
    """Soft actor-critic (Haarnoja et al. 2018): learning from what is remembered.

    Attributes:
        buffer: Steps that are remembered.
        batch: Steps of an update.
        updates: Updates for each step of all arms.
        warm_up: Steps with random actions at the start.
    """

    arms: int = 32
    layers: tuple[int, ...] = (128, 128)
    discount: float = 0.99

    buffer: int = 500_000
    batch: int = 256
    updates: int = 8
    warm_up: int = 5_000

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("buffer", "batch", "updates"):
            check_integer(name, getattr(self, name), minimum=1)
        check_integer("warm_up", self.warm_up, minimum=0)


@dataclass(frozen=True)
class TD3(OffPolicy):
    """TD3 (Fujimoto et al. 2018): learning from what is remembered, by a policy without chance.

    Attributes:
        noise: Standard deviation of the noise on actions, as a share of the command limit.
    """

    noise: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("noise", self.noise, minimum=0.0)


@dataclass(frozen=True)
class HER(OffPolicy):
    """Soft actor-critic with hindsight replay (Andrychowicz et al. 2017).

    Its reward is -1 a step unless the hand is within the success bound of its target, whatever
    `reward` says, so its best policy is not the task's.

    Attributes:
        goals: Remembered steps whose goal is one that was reached later in the trial, for each step
            that keeps its own.
    """

    reward: str = "loss"
    goals: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("goals", self.goals, minimum=1)


@dataclass(frozen=True)
class Analytic(Algorithm):
    """Adam on the gradient of the return through the physics, with the same actor.

    `arms` is the number of trials of a batch where the task draws them; steps of arms are counted.

    Attributes:
        memory_units: Units of an LSTM before the layers, as recurrent PPO has them; 0 for none.
    """

    arms: int = 64
    learning_rate: float = 3e-3
    memory_units: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("memory_units", self.memory_units, minimum=0)


ALGORITHMS: Registry[Algorithm] = Registry(
    "algorithm",
    {
        "ppo": OnPolicy(),
        "recurrent-ppo": RecurrentPPO(),
        "sac": OffPolicy(),
        "td3": TD3(),
        "her": HER(),
        "analytic": Analytic(),
    },
    members=("options", "narrowing", "last_learning_rate"),
)


def make_model(
    algorithm: Algorithm, arms: Any, steps: int, seed: int, actor: NetworkActor | None = None
) -> Any:
    """Return the model of an algorithm, untrained.

    Args:
        algorithm: `OnPolicy` or `OffPolicy`.
        arms: The environments.
        steps: Steps of a trial.
        seed: Of the weights.
        actor: Of recurrent PPO, in place of its LSTM and layers.

    Raises:
        RuntimeError: A package is missing.
    """
    common = {
        "seed": seed,
        "device": "cpu",
        "gamma": algorithm.discount,
        "learning_rate": algorithm.learning_rate,
    }
    layers = list(algorithm.layers)
    if isinstance(algorithm, OnPolicy):
        gathered = algorithm.trials * steps * algorithm.arms
        common |= {
            "n_steps": algorithm.trials * steps,
            "batch_size": max(1, gathered // algorithm.batches),
            "n_epochs": algorithm.epochs,
            "gae_lambda": algorithm.trace,
        }
        policy: dict[str, Any] = {"net_arch": layers, "log_std_init": math.log(algorithm.noise)}
        kind: Any = "MlpPolicy"
        make = require("stable_baselines3", "rl").PPO
        if isinstance(algorithm, RecurrentPPO):
            make = require("sb3_contrib", "rl").RecurrentPPO
            from neuromotor.rl.recurrent import SequencePolicy as kind  # it needs it too

            policy |= {"lstm_hidden_size": algorithm.memory_units, "actor": actor}
        made = make(kind, arms, policy_kwargs=policy, **common)
        made.policy.log_std.requires_grad_(False)
        return made
    assert isinstance(algorithm, OffPolicy)
    common |= {
        "buffer_size": algorithm.buffer,
        "batch_size": algorithm.batch,
        "gradient_steps": algorithm.updates,
        "train_freq": 1,
        "learning_starts": algorithm.warm_up,
        "policy_kwargs": {"net_arch": layers},
    }
    library = require("stable_baselines3", "rl")
    if isinstance(algorithm, TD3):
        noise = require("stable_baselines3.common.noise", "rl").NormalActionNoise
        size = arms.action_space.shape[0]
        common["action_noise"] = noise(np.zeros(size), np.full(size, algorithm.noise))
        return library.TD3("MlpPolicy", arms, **common)
    if isinstance(algorithm, HER):
        common["replay_buffer_class"] = library.HerReplayBuffer
        common["replay_buffer_kwargs"] = {"n_sampled_goal": algorithm.goals}
        common["learning_starts"] = max(algorithm.warm_up, (steps + 1) * algorithm.arms)
        return library.SAC("MultiInputPolicy", arms, **common)
    return library.SAC("MlpPolicy", arms, **common)


def policy_of(
    algorithm: Algorithm, model: BaseAlgorithm, options: EnvOptions, scales: Any
) -> tuple[Controller, Tensor]:
    """Return a model's actor as a controller, and its parameters, (P,), in float64.

    Args:
        algorithm: What trained it.
        model: The model.
        options: Of its environments.
        scales: Of their observations.
    """
    network = _network_of(model)
    if network is not None:
        memory: Any = model.policy.lstm_actor
        return network, memory.theta.detach().double()
    parts = actor_parts(algorithm, model)
    flat = torch.cat([part.detach().double().flatten() for part in parts])
    return untrained(algorithm, options, scales), flat


def actor_parts(algorithm: Algorithm, model: BaseAlgorithm) -> list[Tensor]:
    """Return what a model's actor learns, in the order of the controller's parameters."""
    actor: Any = model.policy
    if _network_of(model) is not None:
        return [actor.lstm_actor.change]
    if isinstance(algorithm, RecurrentPPO):
        memory = list(actor.lstm_actor.parameters())
    else:
        memory = []
    if isinstance(algorithm, OnPolicy):
        parts = [*_weights(actor.mlp_extractor.policy_net), *_weights(actor.action_net)]
    elif isinstance(algorithm, TD3):
        parts = list(_weights(actor.actor.mu))
    else:
        parts = [*_weights(actor.actor.latent_pi), *_weights(actor.actor.mu)]
    return [*memory, *parts]


def _network_of(model: BaseAlgorithm) -> Controller | None:
    """The network that a model's actor is, if it is no policy of layers."""
    memory = getattr(model.policy, "lstm_actor", None)
    return getattr(memory, "controller", None)


def untrained(algorithm: Algorithm, options: EnvOptions, scales: Any) -> PolicyNetwork:
    """Return the controller that an algorithm's actor is."""
    task, limits = options.typed_task, options.limits
    off_policy = isinstance(algorithm, OffPolicy)
    return PolicyNetwork(
        input_size=len(scales.centre) - 1,
        steps=task.steps,
        layers=algorithm.layers,
        memory_units=getattr(algorithm, "memory_units", 0),
        activation="relu" if off_policy else "tanh",
        bounded="tanh" if off_policy else "clip",
        low=limits.low,
        high=limits.high,
        centre=tuple(scales.centre.tolist()),
        scale=tuple(scales.scale.tolist()),
        taper=algorithm.narrowing(task),
        dt_s=task.plant.dt_s,
    )


def _weights(module: nn.Module) -> Iterator[Tensor]:
    """Weights and biases of the linear layers of a module, in order."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            yield layer.weight
            yield layer.bias
