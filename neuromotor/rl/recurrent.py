"""The recurrent policy of sb3-contrib, in one call a sequence, and with a network for an LSTM.

The network may be any recurrent one of the toolkit, so that what was trained on a gradient goes on
from rewards.
"""

from __future__ import annotations

from typing import Any

import torch
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from torch import Tensor, nn

from neuromotor.controllers.network import RecurrentNetwork
from neuromotor.envs import EnvOptions
from neuromotor.envs.observation import Layout

__all__ = ["NetworkActor", "SequencePolicy"]


class NetworkActor(nn.Module):
    """A recurrent network of the toolkit with the interface of an LSTM of torch.

    Its outputs are actions, followed by zeros; its states hold the memory of all layers.

    Attributes:
        controller: The network.
        change: What its parameters have changed by in units of the pace, (P,).
        input_size: Numbers of an observation.
        hidden_size: Numbers of each of the two states, and of an output.
        num_layers: 1, whatever the network has.
    """

    num_layers = 1

    def __init__(
        self,
        controller: RecurrentNetwork,
        parameters: Tensor,
        options: EnvOptions,
        scales: Any,
        *,
        pace: float,
    ) -> None:
        """Join a network and the environments that it acts in.

        Args:
            controller: The network.
            parameters: Where it begins, (P,).
            options: Of the environments.
            scales: Of their observations.
            pace: Learning rate of its parameters, in ratio to that of all others.

        Raises:
            ValueError: The network learns its first memory, has private noise or efference copies,
                or the task shows it a clock.
        """
        super().__init__()
        clock = options.senses.clock
        if controller.learn_initial_state or controller.noise_size or clock is not None:
            raise ValueError(
                "`start` must be a network without noise of its own, that begins with an empty "
                "memory on a task without a clock."
            )
        if controller.efference_copies:
            raise ValueError(
                "`start` must be a network without `efference_copies`, got "
                f"{controller.efference_copies}: those would be of the policy's mean, and not of "
                "the actions that explore."
            )
        self.controller = controller
        self._pace, self._begun = pace, nn.Buffer(parameters.detach().float().clone())
        self.change = nn.Parameter(torch.zeros_like(self._begun))
        layout = Layout(options)
        columns = list(range(len(layout.labels)))
        names = [name for name in options.parts if name not in ("state", "time")]
        self._state = columns[layout.columns("state")]
        self._told = [column for name in names for column in columns[layout.columns(name)]]
        numbers = (scales.centre, scales.scale, options.actions.middle, options.actions.half)
        self._centre, self._scale, self._middle, self._half = (
            torch.as_tensor(part, dtype=torch.float32) for part in numbers
        )
        weights = controller.unpack(self.theta)
        self._sizes = [part.shape[1] for part in controller.initial_memory(weights, 1)]
        self.input_size = len(columns)
        self.hidden_size = max(-(-sum(self._sizes) // 2), controller.command_size)

    @property
    def theta(self) -> Tensor:
        """The parameters now, (P,)."""
        return self._begun + self._pace * self.change

    def forward(
        self, seen: Tensor, states: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run over sequences of observations, (T, N, k), from states, (1, N, hidden_size) each."""
        controller, weights = self.controller, self.controller.unpack(self.theta)
        left = 2 * self.hidden_size - sum(self._sizes)
        whole = torch.cat([states[0][0], states[1][0]], dim=1)
        *layers, rest = torch.split(whole, [*self._sizes, left], dim=1)
        memory = tuple(layers)
        outputs = []
        for one in seen * self._scale + self._centre:
            memory, command = controller.step(
                weights, memory, one[:, self._state], one[:, self._told], 0, None
            )
            outputs.append((command - self._middle) / self._half)
        actions = torch.stack(outputs)
        empty = self.hidden_size - controller.command_size
        hidden, cell = torch.cat([*memory, rest], dim=1)[None].chunk(2, dim=2)
        return nn.functional.pad(actions, (0, empty)), (hidden.contiguous(), cell.contiguous())


class _First(nn.Module):
    """The first numbers of each row."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def forward(self, rows: Tensor) -> Tensor:
        return rows[..., : self._count]


class SequencePolicy(RecurrentActorCriticPolicy):
    """`MlpLstmPolicy` of sb3-contrib with the same results in a fraction of its time.

    sb3-contrib calls the LSTM once a step wherever a trial begins in the sequence. Its buffer cuts
    sequences where trials begin, so that only the first step of one can begin a trial.
    """

    def __init__(self, *args: Any, actor: NetworkActor | None = None, **kwargs: Any) -> None:
        """Take what `MlpLstmPolicy` takes, and an actor in place of its LSTM and layers."""
        if actor is not None:
            kwargs["net_arch"] = {"pi": [], "vf": kwargs["net_arch"]}
            kwargs["lstm_hidden_size"] = actor.hidden_size
        super().__init__(*args, **kwargs)
        if actor is not None:
            self.lstm_actor: Any = actor
            self.action_net = _First(actor.controller.command_size)
            make: Any = self.optimizer_class
            rate = self.optimizer.param_groups[0]["lr"]
            self.optimizer = make(self.parameters(), lr=rate, **self.optimizer_kwargs)

    @staticmethod
    def _process_sequence(
        features: Tensor,
        lstm_states: tuple[Tensor, Tensor],
        episode_starts: Tensor,
        lstm: Any,
    ) -> Any:  # sb3-contrib's own annotation is not what it returns
        """Run the LSTM over sequences of steps.

        Args:
            features: Inputs of N sequences of T steps, one after the other, (N T, k).
            lstm_states: Where they begin, (1, N, m) each.
            episode_starts: 1 where a trial begins, (N T,).
            lstm: What runs, an LSTM of torch or a `NetworkActor`.

        Returns:
            Outputs, (N T, m), and the states at the end, (1, N, m) each.
        """
        many = lstm_states[0].shape[1]
        begins = episode_starts.reshape(many, -1)
        if begins[:, 1:].any():
            return RecurrentActorCriticPolicy._process_sequence(
                features, lstm_states, episode_starts, lstm
            )
        kept = (1.0 - begins[:, 0])[None, :, None]
        hidden, cell = lstm_states
        steps = features.reshape(many, -1, lstm.input_size).swapaxes(0, 1)
        outputs, states = lstm(steps, (kept * hidden, kept * cell))
        return torch.flatten(outputs.swapaxes(0, 1), end_dim=1), states
