"""Where everything lies that the hand-derived passes read and write: weights, buffers, places.

Three ideas make the passes fast. The inputs of a layer lie side by side in one preallocated buffer,
so that a layer takes one matrix product a step. The Jacobians of the plant along the whole
trajectory come from one vectorised call after the forward pass. Whatever does not have to wait for
the recursion, such as the gradients by the weights, is one large product over all steps.

Notation: t is a step, l a layer. The columns of P[l, t] are what layer l gets at step t: the
observation o[t] (if the layer sees it), the rates h[l - 1, t] of the layer below, and its own rates
h[l, t - 1] of the step before. W[l] are the weights of these columns, and leak = dt / tau_v::

    C = W_target [x*, cues] + b           constant part of the drive
    z = W P + C + noise                   drive
    v[t] = v[t-1] + leak (z - v[t-1])     activation
    h[t] = tanh(v[t])                     rate
    u[t] = W_out h[L, t] + b_out          command
    J[t] = d x[t+1] / d (x[t], u[t])      Jacobian of the plant

A leading R marks the change of a quantity along a direction (a tangent), a leading D the derivative
of the loss by it (an adjoint).

Time is the first axis of every buffer: (T, B, .). The arrays are numpy's on a CPU and torch's
elsewhere (`arrays.py`); flat vectors come and go as tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuromotor.closed_loop.arrays import Array, arrays_like
from neuromotor.closed_loop.blas import blas_threads
from neuromotor.closed_loop.simulate import check_inputs
from neuromotor.controllers.rnn import ContinuousTimeRNN
from neuromotor.optim.objective import or_infinity
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["Forward", "LayerParts", "Layout", "Network", "quiet_floats", "rows"]


@contextmanager
def quiet_floats() -> Iterator[None]:
    """Take numbers below the normal range for zero, because saturated units make many slow ones.

    numpy does not warn about an arm that flies off: its loss is infinite. Matrix products get
    torch's number of threads.
    """
    torch.set_flush_denormal(True)
    try:
        with np.errstate(all="ignore"), blas_threads():
            yield
    finally:
        torch.set_flush_denormal(False)


@dataclass(frozen=True)
class LayerParts:
    """The weights of a layer by the columns of P, or a direction or a gradient of the same form."""

    inputs: Array  # (units, columns of P)
    target: Array | None  # (units, n + c), None where the layer does not see the input
    bias: Array  # (units,)
    initial: Array | None  # (units,), None for zero


@dataclass(frozen=True)
class Network:
    """A flat vector in the form that the passes use."""

    layers: tuple[LayerParts, ...]
    output: Array  # (m, units)
    output_bias: Array  # (m,)


@dataclass(frozen=True)
class Forward:
    """What the forward pass leaves for the others."""

    states: Array  # (T + 1, B, n)
    commands: Array  # (T, B, m)
    inputs: list[Array]  # P of each layer, (T + 1, B, columns); row T holds h[T - 1] only


class Layout:
    """One network on one batch of trials: their sizes, their fixed parts, and room for results."""

    def __init__(self, task: Task, controller: ContinuousTimeRNN, trials: Trials) -> None:
        self.task = task
        self.net = controller
        self.trials = trials
        self.kit = kit = arrays_like(trials.initial_state)
        self.batch = len(trials)
        self.n = task.plant.state_size
        self.m = task.plant.command_size
        self.steps = task.steps
        self.leak = controller.dt_s / controller.time_constant_s
        self.sees = [i == 0 or controller.skip_inputs for i in range(len(controller.layers))]
        self.below = [0, *controller.layers[:-1]]
        cost = task.cost
        controller.check_input(trials.input_size)
        self.state_weights = self._by_step(cost.weights(trials))  # (T + 1, B or 1, n)
        self.energy_weight = cost.energy_weight
        self.target = kit.take(trials.target)
        self.goal = self._by_step(trials.goal)  # (T + 1 or 1, B, n)
        told = trials.told()
        self.told = None if told is None else self._by_step(told)  # (T, B, n + c)
        self._rooms: dict[str, Array] = {}

    # ---- the flat vector and its arrangement ----

    def arrange(self, parameters: Tensor) -> Network:
        """Return a flat vector (P,) by the columns of P."""
        check_inputs(self.task, parameters, self.trials)
        take = self.kit.take
        weights = self.net.unpack(parameters)
        layers = []
        for sees, layer in zip(self.sees, weights.layers, strict=True):
            feedforward, target = layer.feedforward, None
            if sees:
                above = self.net.input_size
                target = take(feedforward[:, self.n : above])
                feedforward = torch.cat([feedforward[:, : self.n], feedforward[:, above:]], dim=1)
            inputs = take(torch.cat([feedforward, layer.recurrent], dim=1))
            initial = None if layer.initial is None else take(layer.initial)
            layers.append(LayerParts(inputs, target, take(layer.bias), initial))
        return Network(tuple(layers), take(weights.output), take(weights.output_bias))

    def flatten(self, network: Network) -> Tensor:
        """Return the flat vector (P,) of an arrangement: the inverse of `arrange`."""
        parts: list[Array] = []
        for units, layer in zip(self.net.layers, network.layers, strict=True):
            feedforward, recurrent = layer.inputs[:, :-units], layer.inputs[:, -units:]
            if layer.target is None:
                parts.append(feedforward)
            else:
                above = self.net.input_size
                whole = self.kit.empty(units, feedforward.shape[1] + above - self.n)
                whole[:, : self.n] = feedforward[:, : self.n]
                whole[:, self.n : above] = layer.target
                whole[:, above:] = feedforward[:, self.n :]
                parts.append(whole)
            parts += [recurrent, layer.bias]
            if layer.initial is not None:
                parts.append(layer.initial)
        parts += [network.output, network.output_bias]
        return torch.cat([self.kit.give(part).reshape(-1) for part in parts])

    # ---- places in the buffers ----

    def _by_step(self, part: Tensor) -> Array:
        """A part (B, steps, .) as an array with steps first."""
        return self.kit.take(part.transpose(0, 1).contiguous())

    def rate(self, forward: Forward, layer: int) -> Array:
        """Return the rates of a layer after every step, (T, B, units)."""
        return forward.inputs[layer][1:, :, -self.net.layers[layer] :]

    def empty(self, steps: int, width: int) -> Array:
        """Return a new buffer, (steps, B, width)."""
        return self.kit.empty(steps, self.batch, width)

    def input_buffers(self) -> list[Array]:
        """Return a new buffer for P of each layer."""
        return [
            self.empty(self.steps + 1, (self.n if sees else 0) + below + units)
            for sees, below, units in zip(self.sees, self.below, self.net.layers, strict=True)
        ]

    def room(self, name: str, index: int | None = None) -> Array:
        """Return a buffer (steps, B, .) that is kept between passes; its numbers are overwritten.

        Args:
            name: `states`, `commands`, or anything else that a layer has a buffer for.
            index: Number of the layer.
        """
        key = f"{name} {index}"
        if key not in self._rooms:
            sizes = {"states": (self.steps + 1, self.n), "commands": (self.steps, self.m)}
            size = sizes[name] if index is None else (self.steps, self.net.layers[index])
            self._rooms[key] = self.empty(*size)
        return self._rooms[key]

    def activation_room(self) -> tuple[Array, ...]:
        """Return room for the activations of each layer at every step, (T, B, units) each."""
        return tuple(self.room("activation", i) for i in range(len(self.net.layers)))

    def seen_at(self, t: int) -> int:
        """Return the step whose state is observed at step t."""
        return max(t - self.task.delay_steps, 0)

    def transposed(self, weights: Array) -> Array:
        """Return a copy with the columns of P first, as products from the left need it."""
        copy = self.kit.empty(weights.shape[1], weights.shape[0])
        copy[:] = weights.T
        return copy

    def constants(self, layer: LayerParts) -> list[Array]:
        """Return what bias, target and cues give a layer, (B, units) at each step.

        Where they do not change within a trial, all steps share one array.
        """
        told = None if layer.target is None else self.told
        steps = 1 if told is None else self.steps
        constants = self.empty(steps, layer.bias.shape[0])
        constants[:] = layer.bias
        if layer.target is not None:
            constants += (self.target if told is None else told) @ layer.target.T
        return list(constants) * (self.steps // steps)

    # ---- the cost ----

    def weighted(self, states: Array, commands: Array) -> tuple[Array, Array]:
        """Return the cost's Hessian, divided by B, times changes of states and commands."""
        return (
            (self.state_weights / self.batch) * states,
            (self.energy_weight / self.batch) * commands,
        )

    def loss(self, forward: Forward) -> float:
        """Return the mean loss; infinity where it is not finite."""
        errors = forward.states - self.goal
        errors *= errors
        errors *= self.state_weights
        effort = forward.commands * forward.commands
        total = float(errors.sum()) + self.energy_weight * float(effort.sum())
        value = total / (2 * self.batch)
        return or_infinity(value)

    def pulls(self, forward: Forward) -> tuple[Array, Array]:
        """Return the derivatives of the mean loss, (T + 1, B, n) by states, (T, B, m) by commands.

        See `tasks.cost.QuadraticCost`.
        """
        return self.weighted(forward.states - self.goal, forward.commands)


def rows(array: Array) -> Array:
    """Return an array with steps and trials as one axis, (T B, .)."""
    return array.reshape(-1, array.shape[-1])
