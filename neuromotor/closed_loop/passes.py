"""The hand-derived passes over a closed loop: forward, tangent and adjoint.

Three ideas make it fast: each layer's inputs lie side by side in one preallocated buffer, so that
a layer is one product a step; the plant's Jacobians along the whole trajectory come from one
vectorised call after the forward pass; whatever need not wait for the recursion (weight gradients,
a direction's own part of the tangent pass) is one large product over all steps.

Notation: layer l with inputs P[l, t] = [o[t] if seen, h[l-1, t], h[l, t-1]], weights
W[l] of those columns, constant drive C[l] = W_target x* + b, activation v, rate h = tanh(v),
z = W P + C + noise, leak = dt / tau_v, v[t] = v[t-1] + leak (z - v[t-1]), u = W_out h[L] + b_out,
J[t] = d x[t+1] / d (x[t], u[t]), tau delay. A leading R marks a tangent, D an adjoint.

Time is the first axis of every buffer: (T, B, .).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from neuromotor.closed_loop.dynamics import advance, linearize_plant
from neuromotor.closed_loop.simulate import check_inputs
from neuromotor.controllers.rnn import ContinuousTimeRNN
from neuromotor.plants.arm import TwoJointArm
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["Forward", "Network", "Passes", "quiet_floats"]

tanh_backward = torch.ops.aten.tanh_backward.grad_input  # (dh, h, grad_input=): dh (1 - h^2)


def tanh(activation: Tensor, rate: Tensor) -> None:
    """Write the tanh of v into h; numpy's is many times faster than torch's on a CPU."""
    if activation.device.type == "cpu":
        np.tanh(activation.numpy(), out=rate.numpy())
    else:
        torch.tanh(activation, out=rate)


@contextmanager
def quiet_floats() -> Iterator[None]:
    """Take numbers below the normal range for zero: saturated units make them, slowly.

    An arm that flies off is worth an infinite loss, without a word from numpy.
    """
    torch.set_flush_denormal(True)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        torch.set_flush_denormal(False)


@dataclass(frozen=True)
class _Weights:
    """A layer's weights, by the columns of P; also a direction's or a gradient's."""

    inputs: Tensor  # (units, columns of P)
    target: Tensor | None  # (units, n), None where the layer does not see the input
    bias: Tensor  # (units,)
    initial: Tensor | None  # (units,), None for zero


@dataclass(frozen=True)
class Network:
    """All of a flat vector, arranged for the passes."""

    layers: tuple[_Weights, ...]
    output: Tensor  # (m, units)
    output_bias: Tensor  # (m,)


@dataclass(frozen=True)
class Forward:
    """What the forward pass leaves for the others."""

    states: Tensor  # (T + 1, B, n)
    commands: Tensor  # (T, B, m)
    inputs: tuple[Tensor, ...]  # P of each layer, (T + 1, B, columns); row T holds h[T - 1] only


@dataclass(frozen=True)
class _LayerViews:
    """A layer's places in the buffers, one a step."""

    inputs: tuple[Tensor, ...]  # P
    observation: tuple[Tensor, ...]  # columns of P that hold o; empty where it is not seen
    rate: tuple[Tensor, ...]  # h after the step, in P of the next one
    above: tuple[Tensor, ...]  # the same in P of the layer above; empty for the last
    weights: Tensor  # (columns of P, units)


@dataclass(frozen=True)
class _TangentViews:
    """A layer's places and constants in the tangent pass."""

    inputs: tuple[Tensor, ...]  # P, one a step
    rate: tuple[Tensor, ...]  # h after the step, one a step
    r_inputs: Tensor  # R P of the current step, (B, columns of P)
    observation: Tensor  # its columns for o
    below: Tensor  # its columns for the layer below
    own: Tensor  # its columns for the layer's own past
    activation: Tensor  # R v, (B, units)
    constant: Tensor  # what the direction's bias and target weights add, (B, units)
    direction: Tensor  # the direction's weights, (columns of P, units)
    weights: Tensor  # the network's, (columns of P, units)
    above: list[Tensor] = field(default_factory=list)  # `below` of the layer above, if there is one


class Passes:
    """Forward, tangent and adjoint pass of one network on one batch of trials."""

    def __init__(self, task: Task, controller: ContinuousTimeRNN, trials: Trials) -> None:
        self.task = task
        self.net = controller
        self.trials = trials
        self.batch = len(trials)
        self.n = task.plant.state_size
        self.m = task.plant.command_size
        self.steps = task.steps
        self.leak = controller.dt_s / controller.time_constant_s
        self.sees = [i == 0 or controller.skip_inputs for i in range(len(controller.layers))]
        self.below = [0, *controller.layers[:-1]]
        cost = task.cost
        self.state_weights = cost.state_weights.to(trials.initial_state)[:, None]  # (T + 1, 1, n)
        self.energy_weight = cost.energy_weight
        self._rooms: dict[str, Tensor] = {}

    # ---- the flat vector and its arrangement ----

    def arrange(self, parameters: Tensor) -> Network:
        """A flat vector (P,) by the columns of P."""
        check_inputs(self.task, parameters, self.trials)
        weights = self.net.unpack(parameters)
        layers = []
        for sees, layer in zip(self.sees, weights.layers, strict=True):
            feedforward, target = layer.feedforward, None
            if sees:
                target = feedforward[:, self.n : 2 * self.n]
                feedforward = torch.cat(
                    [feedforward[:, : self.n], feedforward[:, 2 * self.n :]], dim=1
                )
            inputs = torch.cat([feedforward, layer.recurrent], dim=1)
            layers.append(_Weights(inputs, target, layer.bias, layer.initial))
        return Network(tuple(layers), weights.output, weights.output_bias)

    def _flatten(self, network: Network) -> Tensor:
        """The inverse of `arrange`."""
        parts: list[Tensor] = []
        for units, layer in zip(self.net.layers, network.layers, strict=True):
            feedforward, recurrent = layer.inputs[:, :-units], layer.inputs[:, -units:]
            if layer.target is not None:
                feedforward = torch.cat(
                    [feedforward[:, : self.n], layer.target, feedforward[:, self.n :]], dim=1
                )
            parts += [feedforward.flatten(), recurrent.flatten(), layer.bias]
            if layer.initial is not None:
                parts.append(layer.initial)
        parts += [network.output.flatten(), network.output_bias]
        return torch.cat(parts)

    # ---- places in the buffers ----

    def rate(self, forward: Forward, layer: int) -> Tensor:
        """Rates of a layer after every step, (T, B, units)."""
        return forward.inputs[layer][1:, :, -self.net.layers[layer] :]

    def _empty(self, steps: int, width: int) -> Tensor:
        return self.trials.initial_state.new_empty(steps, self.batch, width)

    def _input_buffers(self) -> tuple[Tensor, ...]:
        """Room for P of each layer."""
        return tuple(
            self._empty(self.steps + 1, (self.n if sees else 0) + below + units)
            for sees, below, units in zip(self.sees, self.below, self.net.layers, strict=True)
        )

    def _room(self, name: str) -> Tensor:
        """A buffer (steps, B, .) that is kept between passes; what it held is lost."""
        if name not in self._rooms:
            sizes = {"states": (self.steps + 1, self.n), "commands": (self.steps, self.m)}
            kind, _, index = name.partition(" ")
            size = sizes[kind] if kind in sizes else (self.steps, self.net.layers[int(index)])
            self._rooms[name] = self._empty(*size)
        return self._rooms[name]

    def activation_room(self) -> tuple[Tensor, ...]:
        """Room for an activation of each layer at every step, (T, B, units) each."""
        return tuple(self._room(f"activation {i}") for i in range(len(self.net.layers)))

    def _seen_at(self, t: int) -> int:
        """Step whose state is observed at step t."""
        return max(t - self.task.delay_steps, 0)

    # ---- forward ----

    def forward(self, network: Network, room: Forward | None) -> Forward:
        """Run the trials; `room` is a former pass whose buffers may be overwritten."""
        trials, n = self.trials, self.n
        if room is None:
            room = Forward(
                states=self._empty(self.steps + 1, n),
                commands=self._empty(self.steps, self.m),
                inputs=self._input_buffers(),
            )
        states, commands = room.states.unbind(0), room.commands.unbind(0)
        states[0].copy_(trials.initial_state)
        drives = self._drives(network)
        layers = [
            self._forward_views(i, layer, room.inputs) for i, layer in enumerate(network.layers)
        ]
        activations = []
        for layer, units, buffer in zip(network.layers, self.net.layers, room.inputs, strict=True):
            v = buffer.new_zeros(self.batch, units)
            if layer.initial is not None:
                v += layer.initial
            activations.append(v)
            torch.tanh(v, out=buffer[0, :, -units:])
        out_t, out_b = network.output.T, network.output_bias
        step = self._stepper(states, commands)
        for t in range(self.steps):
            observation = states[self._seen_at(t)]
            if trials.sensory_noise is not None:
                observation = observation + trials.sensory_noise[:, t]
            for views, drive, v in zip(layers, drives, activations, strict=True):
                if views.observation:
                    views.observation[t].copy_(observation)
                if self.leak == 1.0:
                    torch.addmm(drive[t], views.inputs[t], views.weights, out=v)
                else:
                    v.lerp_(torch.addmm(drive[t], views.inputs[t], views.weights), self.leak)
                rate = views.rate[t]
                tanh(v, rate)
                if views.above:
                    views.above[t].copy_(rate)
            torch.addmm(out_b, rate, out_t, out=commands[t])
            step(t)
        return room

    def _forward_views(
        self, index: int, layer: _Weights, buffers: tuple[Tensor, ...]
    ) -> _LayerViews:
        """A layer's places in the buffers, step by step; making views within the loop is slow."""
        n, units, buffer = self.n, self.net.layers[index], buffers[index]
        above: tuple[Tensor, ...] = ()
        if index + 1 < len(buffers):
            start = n if self.sees[index + 1] else 0
            above = buffers[index + 1][:-1, :, start : start + units].unbind(0)
        return _LayerViews(
            inputs=buffer.unbind(0),
            observation=buffer[:-1, :, :n].unbind(0) if self.sees[index] else (),
            rate=buffer[1:, :, -units:].unbind(0),
            above=above,
            weights=layer.inputs.T,
        )

    def _stepper(
        self, states: tuple[Tensor, ...], commands: tuple[Tensor, ...]
    ) -> Callable[[int], None]:
        """What writes the states after step t."""
        trials, plant = self.trials, self.task.plant
        in_numpy = (
            isinstance(plant, TwoJointArm)
            and plant.has_numpy_step
            and trials.hand_force is None
            and trials.device.type == "cpu"
        )
        if not in_numpy or not isinstance(plant, TwoJointArm):

            def step_in_torch(t: int) -> None:
                states[t + 1].copy_(advance(plant, states[t], commands[t], trials, t))

            return step_in_torch
        arm, x, u = plant, [s.numpy() for s in states], [c.numpy() for c in commands]
        factor = None if trials.command_noise is None else 1 + trials.command_noise.numpy()
        load = None if trials.load is None else trials.load.numpy()
        noise = None if trials.plant_noise is None else trials.plant_noise.numpy()

        def step(t: int) -> None:
            torque = u[t] if factor is None else u[t] * factor[:, t]
            if load is not None:
                torque = torque + load[:, t]
            arm.numpy_step(x[t], torque, x[t + 1])
            if noise is not None:
                x[t + 1] += noise[:, t]

        return step

    def _drives(self, network: Network) -> list[list[Tensor]]:
        """C of each layer, with private noise if any, (B, units) a step."""
        drives: list[list[Tensor]] = []
        start = 0
        for layer, units in zip(network.layers, self.net.layers, strict=True):
            drive = layer.bias.expand(self.batch, -1)
            if layer.target is not None:
                drive = torch.addmm(drive, self.trials.target, layer.target.T)
            if self.net.noise_size:
                self.net.check_noise(self.trials.unit_noise)
                if self.trials.unit_noise is not None:
                    noise = self.trials.unit_noise[:, :, start : start + units].transpose(0, 1)
                    drive = drive + self.net.private_noise * noise
            start += units
            drives.append([drive] * self.steps if drive.ndim == 2 else list(drive.unbind(0)))
        return drives

    def loss(self, forward: Forward) -> float:
        """Mean loss; infinity where it is not finite."""
        errors = forward.states - self.trials.target
        total = (self.state_weights * errors.square()).sum()
        total = total + self.energy_weight * forward.commands.square().sum()
        value = float(total) / (2 * self.batch)
        return value if math.isfinite(value) else math.inf

    def pulls(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Derivatives of the mean loss by states (T + 1, B, n) and commands (T, B, m)."""
        return self.weighted(forward.states - self.trials.target, forward.commands)

    def weighted(self, states: Tensor, commands: Tensor) -> tuple[Tensor, Tensor]:
        """The cost's Hessian, divided by B, times changes of states and commands."""
        return (
            (self.state_weights / self.batch) * states,
            (self.energy_weight / self.batch) * commands,
        )

    def jacobians(self, forward: Forward) -> Tensor:
        """J along the trajectory, (T, B, n, n + m)."""
        jacobians = forward.states.new_empty(self.steps, self.batch, self.n, self.n + self.m)
        linearize_plant(
            self.task.plant,
            self.trials,
            forward.states[:-1].transpose(0, 1),
            forward.commands.transpose(0, 1),
            out=jacobians.transpose(0, 1),
        )
        return jacobians

    # ---- tangent ----

    def tangent(
        self,
        network: Network,
        forward: Forward,
        jacobians: Tensor,
        direction: Network,
        activations: tuple[Tensor, ...] = (),
    ) -> tuple[Tensor, Tensor]:
        """Changes of states and commands along a direction; R v goes to `activations` if given."""
        n, last = self.n, len(network.layers) - 1
        r_states, r_commands = self._room("states"), self._room("commands")
        layers = [
            self._tangent_views(i, network, forward, direction) for i in range(len(network.layers))
        ]
        for lower, upper in itertools.pairwise(layers):
            lower.above.append(upper.below)
        kept = [tensor.unbind(0) for tensor in activations]
        both = self._empty(1, n + self.m)[0]
        r_state, r_command, column = both[:, :n], both[:, n:], both.unsqueeze(-1)
        x, u, j = r_states.unbind(0), r_commands.unbind(0), jacobians.unbind(0)
        columns = r_states.unsqueeze(-1).unbind(0)
        out_t, direction_t = network.output.T, direction.output.T
        x[0].zero_()
        for t in range(self.steps):
            r_observation = x[self._seen_at(t)]
            for i, views in enumerate(layers):
                if self.sees[i]:
                    views.observation.copy_(r_observation)
                r_v = views.activation
                if self.leak == 1.0:
                    torch.addmm(views.constant, views.inputs[t], views.direction, out=r_v)
                    r_v.addmm_(views.r_inputs, views.weights)
                else:
                    r_drive = torch.addmm(views.constant, views.inputs[t], views.direction)
                    r_v.lerp_(r_drive.addmm_(views.r_inputs, views.weights), self.leak)
                if kept:
                    kept[i][t].copy_(r_v)
                tanh_backward(r_v, views.rate[t], grad_input=views.own)
                for slot in views.above:
                    slot.copy_(views.own)
            torch.addmm(direction.output_bias, layers[last].rate[t], direction_t, out=u[t])
            u[t].addmm_(layers[last].own, out_t)
            r_state.copy_(x[t])
            r_command.copy_(u[t])
            torch.bmm(j[t], column, out=columns[t + 1])
        return r_states, r_commands

    def _tangent_views(
        self, index: int, network: Network, forward: Forward, direction: Network
    ) -> _TangentViews:
        """A layer's places and constants in the tangent pass."""
        units, buffer = self.net.layers[index], forward.inputs[index]
        change = direction.layers[index]
        constant = change.bias.expand(self.batch, -1)
        if change.target is not None:
            constant = torch.addmm(constant, self.trials.target, change.target.T)
        r_inputs = buffer.new_empty(buffer.shape[1:])
        own = r_inputs[:, -units:]
        activation = buffer.new_zeros(self.batch, units)
        if change.initial is not None:
            activation += change.initial
        tanh_backward(activation, buffer[0, :, -units:], grad_input=own)
        start = self.n if self.sees[index] else 0
        return _TangentViews(
            inputs=buffer.unbind(0),
            rate=self.rate(forward, index).unbind(0),
            r_inputs=r_inputs,
            observation=r_inputs[:, : self.n],
            below=r_inputs[:, start:-units],
            own=own,
            activation=activation,
            constant=constant,
            direction=change.inputs.T,
            weights=network.layers[index].inputs.T,
        )

    # ---- adjoint ----

    def adjoint(
        self,
        network: Network,
        forward: Forward,
        jacobians: Tensor,
        d_states: Tensor,
        d_commands: Tensor,
        sources: tuple[Tensor, ...] = (),
    ) -> Tensor:
        """Pull derivatives by states, commands (overwritten) and v back to a flat vector."""
        n, steps = self.n, self.steps
        layers = network.layers
        last = len(layers) - 1
        rates = [self.rate(forward, i).unbind(0) for i in range(last + 1)]
        d_drives = [self._room(f"drive {i}") for i in range(last + 1)]  # by z
        d_steps = [drive.unbind(0) for drive in d_drives]
        d_inputs = [self._empty(1, buffer.shape[2])[0] for buffer in forward.inputs]  # by P
        d_recurrent = [  # by h[l, t] through step t + 1
            d_input[:, -units:] for d_input, units in zip(d_inputs, self.net.layers, strict=True)
        ]
        d_above = [  # by h[l, t] through the layer above
            d_inputs[i + 1][:, (n if self.sees[i + 1] else 0) :][:, : self.net.layers[i]]
            for i in range(last)
        ]
        d_observation = [d_input[:, :n] for d_input in d_inputs]
        d_leaky: list[Tensor | None] = [None] * (last + 1)  # by v[l, t] through step t + 1
        for recurrent in d_recurrent:
            recurrent.zero_()
        d_x, d_u, j_steps = d_states.unbind(0), d_commands.unbind(0), jacobians.unbind(0)
        rows = d_states.unsqueeze(2).unbind(0)
        d_both = self._empty(1, n + self.m)[0]
        d_row, d_through_x, d_through_u = d_both.unsqueeze(1), d_both[:, :n], d_both[:, n:]
        for t in reversed(range(steps)):
            torch.bmm(rows[t + 1], j_steps[t], out=d_row)
            d_u[t].add_(d_through_u)
            if t > 0:
                d_x[t].add_(d_through_x)
            seen = self._seen_at(t)
            for i in range(last, -1, -1):
                if i == last:
                    d_rate = torch.addmm(d_recurrent[i], d_u[t], network.output)
                else:
                    d_rate = d_recurrent[i] + d_above[i]
                d_v = d_steps[i][t]
                tanh_backward(d_rate, rates[i][t], grad_input=d_v)
                if sources:
                    d_v.add_(sources[i][t])
                if self.leak != 1.0:
                    later = d_leaky[i]
                    if later is not None:
                        d_v.add_(later)
                    d_leaky[i] = (1 - self.leak) * d_v
                    d_v.mul_(self.leak)
                torch.mm(d_v, layers[i].inputs, out=d_inputs[i])
                if self.sees[i] and seen > 0:
                    d_x[seen].add_(d_observation[i])
        gradients = [
            self._layer_gradient(i, layers[i], forward, d_drives[i], d_recurrent[i], d_leaky[i])
            for i in range(len(layers))
        ]
        flat = d_commands.flatten(0, 1)
        # All columns of P at once: picking out those of h first would copy them.
        d_output = flat.T @ forward.inputs[last][1:].flatten(0, 1)
        d_output = d_output[:, -self.net.layers[last] :]
        return self._flatten(Network(tuple(gradients), d_output, flat.sum(0)))

    def _layer_gradient(
        self,
        index: int,
        layer: _Weights,
        forward: Forward,
        d_drive: Tensor,
        d_recurrent: Tensor,
        d_leaky: Tensor | None,
    ) -> _Weights:
        """A layer's weight gradients: one product over all steps."""
        flat = d_drive.flatten(0, 1)
        d_inputs = flat.T @ forward.inputs[index][:-1].flatten(0, 1)
        summed = d_drive.sum(0)  # over steps, (B, units)
        d_target = None if layer.target is None else summed.T @ self.trials.target
        d_initial = None
        if layer.initial is not None:
            before = forward.inputs[index][0, :, -self.net.layers[index] :]
            d_before = d_recurrent * (1 - before.square())
            if d_leaky is not None:
                d_before = d_before + d_leaky
            d_initial = d_before.sum(0)
        return _Weights(d_inputs, d_target, summed.sum(0), d_initial)
