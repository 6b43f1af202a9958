"""The hand-derived passes over a closed loop: forward, tangent and adjoint.

Three ideas make it fast: each layer's inputs lie side by side in one preallocated buffer, so that
a layer is one product a step; the plant's Jacobians along the whole trajectory come from one
vectorised call after the forward pass; whatever need not wait for the recursion (weight gradients,
a direction's own part of the tangent pass) is one large product over all steps.

Notation: layer l with inputs P[l, t] = [o[t] if seen, h[l-1, t], h[l, t-1]], weights
W[l] of those columns, drive C[l] = W_target [x*, cues] + b, activation v, rate h = tanh(v),
z = W P + C + noise, leak = dt / tau_v, v[t] = v[t-1] + leak (z - v[t-1]), u = W_out h[L] + b_out,
J[t] = d x[t+1] / d (x[t], u[t]), tau delay. A leading R marks a tangent, D an adjoint.

Time is the first axis of every buffer: (T, B, .). Arrays are numpy's on a CPU, torch's elsewhere
(`arrays.py`); flat vectors come and go as tensors.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuromotor._declared import declares
from neuromotor.closed_loop.arrays import Array, NumpyArrays, arrays_like
from neuromotor.closed_loop.blas import blas_threads
from neuromotor.closed_loop.dynamics import advance, linearize_plant
from neuromotor.closed_loop.simulate import check_inputs
from neuromotor.controllers.rnn import ContinuousTimeRNN
from neuromotor.optim.objective import KroneckerBlock, or_infinity
from neuromotor.plants.arm import TwoJointArm
from neuromotor.plants.field import in_field
from neuromotor.plants.plant import saturated
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["Forward", "Network", "Passes", "Place", "quiet_floats"]


@contextmanager
def quiet_floats() -> Iterator[None]:
    """Take numbers below the normal range for zero: saturated units make them, slowly.

    An arm that flies off is worth an infinite loss, without a word from numpy. Matrix products
    get torch's number of threads.
    """
    torch.set_flush_denormal(True)
    try:
        with np.errstate(all="ignore"), blas_threads():
            yield
    finally:
        torch.set_flush_denormal(False)


@dataclass(frozen=True)
class _Weights:
    """A layer's weights, by the columns of P; also a direction's or a gradient's."""

    inputs: Array  # (units, columns of P)
    target: Array | None  # (units, n + c), None where the layer does not see the input
    bias: Array  # (units,)
    initial: Array | None  # (units,), None for zero


@dataclass(frozen=True)
class Network:
    """All of a flat vector, arranged for the passes."""

    layers: tuple[_Weights, ...]
    output: Array  # (m, units)
    output_bias: Array  # (m,)


@dataclass(frozen=True)
class Forward:
    """What the forward pass leaves for the others."""

    states: Array  # (T + 1, B, n)
    commands: Array  # (T, B, m)
    inputs: list[Array]  # P of each layer, (T + 1, B, columns); row T holds h[T - 1] only


class Place(NamedTuple):
    """Where a batch's trials stand in a larger one."""

    first: int
    whole: int  # trials of the larger one


@dataclass(frozen=True)
class _LayerViews:
    """A layer's places in the buffers, one a step."""

    inputs: list[Array]  # P
    observation: list[Array]  # columns of P that hold o; empty where it is not seen
    rate: list[Array]  # h after the step, in P of the next one
    above: list[Array]  # the same in P of the layer above; empty for the last
    weights: Array  # (columns of P, units)
    drive: Array  # z, (B, units)
    activation: Array  # v, (B, units); z itself without leak


@dataclass(frozen=True)
class _TangentViews:
    """A layer's places and constants in the tangent pass."""

    inputs: list[Array]  # P, one a step
    rate: list[Array]  # h after the step, one a step
    r_inputs: Array  # R P of the current step, (B, columns of P)
    observation: Array  # its columns for o
    below: Array  # its columns for the layer below
    own: Array  # its columns for the layer's own past
    drive: Array  # R z, (B, units)
    activation: Array  # R v, (B, units); R z itself without leak
    scratch: Array  # (B, units)
    constants: list[Array]  # what the direction's bias and target weights add, one a step
    direction: Array  # the direction's weights, (columns of P, units)
    weights: Array  # the network's, (columns of P, units)
    above: list[Array] = field(default_factory=list)  # `below` of the layer above, if there is one


class Passes:
    """Forward, tangent and adjoint pass of one network on one batch of trials."""

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
        """A flat vector (P,) by the columns of P."""
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
            layers.append(_Weights(inputs, target, take(layer.bias), initial))
        return Network(tuple(layers), take(weights.output), take(weights.output_bias))

    def _flatten(self, network: Network) -> Tensor:
        """The inverse of `arrange`."""
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
        """Rates of a layer after every step, (T, B, units)."""
        return forward.inputs[layer][1:, :, -self.net.layers[layer] :]

    def _empty(self, steps: int, width: int) -> Array:
        return self.kit.empty(steps, self.batch, width)

    def _input_buffers(self) -> list[Array]:
        """Room for P of each layer."""
        return [
            self._empty(self.steps + 1, (self.n if sees else 0) + below + units)
            for sees, below, units in zip(self.sees, self.below, self.net.layers, strict=True)
        ]

    def _room(self, name: str) -> Array:
        """A buffer (steps, B, .) that is kept between passes; what it held is lost."""
        if name not in self._rooms:
            sizes = {"states": (self.steps + 1, self.n), "commands": (self.steps, self.m)}
            kind, _, index = name.partition(" ")
            size = sizes[kind] if kind in sizes else (self.steps, self.net.layers[int(index)])
            self._rooms[name] = self._empty(*size)
        return self._rooms[name]

    def activation_room(self) -> tuple[Array, ...]:
        """Room for an activation of each layer at every step, (T, B, units) each."""
        return tuple(self._room(f"activation {i}") for i in range(len(self.net.layers)))

    def _seen_at(self, t: int) -> int:
        """Step whose state is observed at step t."""
        return max(t - self.task.delay_steps, 0)

    def _transposed(self, weights: Array) -> Array:
        """A copy with the columns of P first, as products from the left like it."""
        copy = self.kit.empty(weights.shape[1], weights.shape[0])
        copy[:] = weights.T
        return copy

    # ---- forward ----

    def forward(self, network: Network, room: Forward | None) -> Forward:
        """Run the trials; `room` is a former pass whose buffers may be overwritten."""
        trials, n, kit, leak = self.trials, self.n, self.kit, self.leak
        if room is None:
            room = Forward(
                states=self._empty(self.steps + 1, n),
                commands=self._empty(self.steps, self.m),
                inputs=self._input_buffers(),
            )
        states, commands = list(room.states), list(room.commands)
        states[0][:] = kit.take(trials.initial_state)
        layers = [
            self._forward_views(i, layer, room.inputs) for i, layer in enumerate(network.layers)
        ]
        noise = None if trials.sensory_noise is None else kit.take(trials.sensory_noise)
        drives = self._drives(network)
        out_t, out_b = self._transposed(network.output), network.output_bias
        step = self._stepper(room, states, commands)
        for t in range(self.steps):
            observation = states[self._seen_at(t)]
            if noise is not None:
                observation = observation + noise[:, t]
            for views, drive in zip(layers, drives, strict=True):
                if views.observation:
                    views.observation[t][:] = observation
                z, v, rate = views.drive, views.activation, views.rate[t]
                kit.product(views.inputs[t], views.weights, out=z)
                z += drive[t]
                if leak != 1.0:  # v + leak (z - v)
                    z -= v
                    z *= leak
                    v += z
                kit.tanh(v, out=rate)
                if views.above:
                    views.above[t][:] = rate
            kit.product(rate, out_t, out=commands[t])
            commands[t] += out_b
            step(t)
        return room

    def _forward_views(self, index: int, layer: _Weights, buffers: list[Array]) -> _LayerViews:
        """A layer's places in the buffers, step by step; making views within the loop is slow."""
        n, units, buffer = self.n, self.net.layers[index], buffers[index]
        above: list[Array] = []
        if index + 1 < len(buffers):
            start = n if self.sees[index + 1] else 0
            above = list(buffers[index + 1][:-1, :, start : start + units])
        drive = self.kit.empty(self.batch, units)
        activation = drive if self.leak == 1.0 else self.kit.empty(self.batch, units)
        activation[:] = 0.0 if layer.initial is None else layer.initial
        self.kit.tanh(activation, out=buffer[0, :, -units:])
        return _LayerViews(
            inputs=list(buffer),
            observation=list(buffer[:-1, :, :n]) if self.sees[index] else [],
            rate=list(buffer[1:, :, -units:]),
            above=above,
            weights=self._transposed(layer.inputs),
            drive=drive,
            activation=activation,
        )

    def _stepper(
        self, room: Forward, states: list[Array], commands: list[Array]
    ) -> Callable[[int], None]:
        """What writes the states after step t."""
        trials, plant = self.trials, self.task.plant
        arm = self._numpy_arm()
        if arm is None:
            x, u = list(self.kit.give(room.states)), list(self.kit.give(room.commands))

            def step_in_torch(t: int) -> None:
                x[t + 1].copy_(advance(plant, x[t], u[t], trials, t))

            return step_in_torch
        factor, load, force, noise = self._disturbances()
        field = None if trials.field is None else trials.field.numpy().transpose(1, 2, 0)

        def step(t: int) -> None:
            torque = commands[t]
            if factor is not None:
                torque = torque * factor[:, t]
            if arm.command_limit is not None:
                torque = _saturated(torque, arm)
            if load is not None:
                torque = torque + load[:, t]
            pull = None if force is None else force[:, t]
            if field is not None:
                rest = _resting_force(arm, states[t], field)
                pull = rest if pull is None else pull + rest
            arm.numpy_step(states[t], torque, states[t + 1], pull)
            if field is not None:
                velocity = in_field(arm, states[t + 1].T, field, np)[2:]
                states[t + 1][:, 2:] = np.stack(velocity, axis=-1)
            if noise is not None:
                states[t + 1] += noise[:, t]

        return step

    def _numpy_arm(self) -> TwoJointArm | None:
        """The plant, if its step exists for this kit's arrays."""
        plant = self.task.plant
        if not isinstance(plant, TwoJointArm) or not isinstance(self.kit, NumpyArrays):
            return None
        return plant if declares(plant, "has_numpy_step") else None

    def _disturbances(self) -> tuple[Array, Array, Array, Array]:
        """Factor on commands, load, hand force and plant noise, (B, T, .) each, None where none."""
        trials = self.trials
        return (
            None if trials.command_noise is None else 1 + trials.command_noise.numpy(),
            None if trials.load is None else trials.load.numpy(),
            None if trials.hand_force is None else trials.hand_force.numpy(),
            None if trials.plant_noise is None else trials.plant_noise.numpy(),
        )

    def _drives(self, network: Network) -> list[list[Array]]:
        """C of each layer, with private noise if any, (B, units) a step."""
        drives: list[list[Array]] = []
        noise = None
        if self.net.noise_size:
            self.net.check_noise(self.trials.unit_noise)
            if self.trials.unit_noise is not None:
                noise = self.kit.take(self.trials.unit_noise)
        start = 0
        for layer, units in zip(network.layers, self.net.layers, strict=True):
            drive = self._constants(layer)
            if noise is not None:
                own = self.net.private_noise * noise[:, :, start : start + units]
                drive = [drive[t] + own[:, t] for t in range(self.steps)]
            drives.append(drive)
            start += units
        return drives

    def _constants(self, layer: _Weights) -> list[Array]:
        """What bias, target and cues give a layer, (B, units) a step; one array if they stay."""
        told = None if layer.target is None else self.told
        steps = 1 if told is None else self.steps
        constants = self._empty(steps, layer.bias.shape[0])
        constants[:] = layer.bias
        if layer.target is not None:
            constants += (self.target if told is None else told) @ layer.target.T
        return list(constants) * (self.steps // steps)

    def loss(self, forward: Forward) -> float:
        """Mean loss; infinity where it is not finite."""
        errors = forward.states - self.goal
        errors *= errors
        errors *= self.state_weights
        effort = forward.commands * forward.commands
        total = float(errors.sum()) + self.energy_weight * float(effort.sum())
        value = total / (2 * self.batch)
        return or_infinity(value)

    def pulls(self, forward: Forward) -> tuple[Array, Array]:
        """Derivatives of the mean loss by states (T + 1, B, n) and commands (T, B, m)."""
        return self.weighted(forward.states - self.goal, forward.commands)

    def weighted(self, states: Array, commands: Array) -> tuple[Array, Array]:
        """The cost's Hessian, divided by B, times changes of states and commands."""
        return (
            (self.state_weights / self.batch) * states,
            (self.energy_weight / self.batch) * commands,
        )

    def jacobians(self, forward: Forward) -> Array:
        """J along the trajectory, (T, B, n, n + m)."""
        jacobians = self.kit.empty(self.steps, self.batch, self.n, self.n + self.m)
        arm = self._numpy_arm()
        if arm is not None and self.trials.field is None:
            factor, load, force, _ = self._disturbances()
            torque = forward.commands
            if factor is not None:
                torque = torque * factor.swapaxes(0, 1)
            slope = None
            if arm.command_limit is not None:
                torque = _saturated(torque, arm)
                slope = 1 - (torque / np.asarray(arm.command_limit, dtype=torque.dtype)) ** 2
            if load is not None:
                torque = torque + load.swapaxes(0, 1)
            arm.numpy_jacobian(
                forward.states[:-1],
                torque,
                jacobians,
                None if force is None else force.swapaxes(0, 1),
            )
            if factor is not None:
                jacobians[..., self.n :] *= factor.swapaxes(0, 1)[:, :, None]
            if slope is not None:
                jacobians[..., self.n :] *= slope[:, :, None]
            return jacobians
        linearize_plant(
            self.task.plant,
            self.trials,
            self.kit.give(forward.states)[:-1].transpose(0, 1),
            self.kit.give(forward.commands).transpose(0, 1),
            out=self.kit.give(jacobians).transpose(0, 1),
        )
        return jacobians

    # ---- tangent ----

    def tangent(
        self,
        network: Network,
        forward: Forward,
        jacobians: Array,
        direction: Network,
        activations: tuple[Array, ...] = (),
    ) -> tuple[Array, Array]:
        """Changes of states and commands along a direction; R v goes to `activations` if given."""
        n, kit, leak = self.n, self.kit, self.leak
        r_states, r_commands = self._room("states"), self._room("commands")
        layers = [
            self._tangent_views(i, network, forward, direction) for i in range(len(network.layers))
        ]
        for lower, upper in itertools.pairwise(layers):
            lower.above.append(upper.below)
        last = layers[-1]
        kept = [list(array) for array in activations]
        both = kit.empty(self.batch, n + self.m)
        r_state, r_command = both[:, :n], both[:, n:]
        through_direction = kit.empty(self.batch, self.m)
        x, u, j = list(r_states), list(r_commands), list(jacobians)
        out_t, direction_t = self._transposed(network.output), self._transposed(direction.output)
        x[0][:] = 0.0
        for t in range(self.steps):
            r_observation = x[self._seen_at(t)]
            for i, views in enumerate(layers):
                if self.sees[i]:
                    views.observation[:] = r_observation
                r_z, r_v = views.drive, views.activation
                kit.product(views.inputs[t], views.direction, out=r_z)
                kit.product(views.r_inputs, views.weights, out=views.scratch)
                r_z += views.scratch
                r_z += views.constants[t]
                if leak != 1.0:
                    r_z -= r_v
                    r_z *= leak
                    r_v += r_z
                if kept:
                    kept[i][t][:] = r_v
                kit.times_slope(r_v, views.rate[t], views.scratch, out=views.own)
                for slot in views.above:
                    slot[:] = views.own
            kit.product(last.rate[t], direction_t, out=u[t])
            kit.product(last.own, out_t, out=through_direction)
            u[t] += through_direction
            u[t] += direction.output_bias
            r_state[:] = x[t]
            r_command[:] = u[t]
            kit.apply(j[t], both, out=x[t + 1])
        return r_states, r_commands

    def _tangent_views(
        self, index: int, network: Network, forward: Forward, direction: Network
    ) -> _TangentViews:
        """A layer's places and constants in the tangent pass."""
        units, buffer = self.net.layers[index], forward.inputs[index]
        change = direction.layers[index]
        r_inputs = self.kit.empty(*buffer.shape[1:])
        own = r_inputs[:, -units:]
        drive, scratch = self.kit.empty(self.batch, units), self.kit.empty(self.batch, units)
        activation = drive if self.leak == 1.0 else self.kit.empty(self.batch, units)
        activation[:] = 0.0 if change.initial is None else change.initial
        self.kit.times_slope(activation, buffer[0, :, -units:], scratch, out=own)
        start = self.n if self.sees[index] else 0
        return _TangentViews(
            inputs=list(buffer),
            rate=list(self.rate(forward, index)),
            r_inputs=r_inputs,
            observation=r_inputs[:, : self.n],
            below=r_inputs[:, start:-units],
            own=own,
            drive=drive,
            activation=activation,
            scratch=scratch,
            constants=self._constants(change),
            direction=self._transposed(change.inputs),
            weights=self._transposed(network.layers[index].inputs),
        )

    # ---- adjoint ----

    def adjoint(
        self,
        network: Network,
        forward: Forward,
        jacobians: Array,
        d_states: Array,
        d_commands: Array,
        sources: tuple[Array, ...] = (),
    ) -> Tensor:
        """Pull derivatives by states, commands (overwritten) and v back to a flat vector."""
        n, kit, leak = self.n, self.kit, self.leak
        layers = network.layers
        last = len(layers) - 1
        rates = [list(self.rate(forward, i)) for i in range(last + 1)]
        d_drives = [self._room(f"drive {i}") for i in range(last + 1)]  # by z
        d_steps = [list(drive) for drive in d_drives]
        source_steps = [list(source) for source in sources]
        d_inputs = [kit.empty(*buffer.shape[1:]) for buffer in forward.inputs]  # by P
        scratch = [kit.empty(self.batch, units) for units in self.net.layers]
        d_recurrent = [  # by h[l, t] through step t + 1
            d_input[:, -units:] for d_input, units in zip(d_inputs, self.net.layers, strict=True)
        ]
        d_above = [  # by h[l, t] through the layer above
            d_inputs[i + 1][:, (n if self.sees[i + 1] else 0) :][:, : self.net.layers[i]]
            for i in range(last)
        ]
        d_observation = [d_input[:, :n] for d_input in d_inputs]
        d_leaky: list[Array | None] = [None] * (last + 1)  # by v[l, t] through step t + 1
        for recurrent in d_recurrent:
            recurrent[:] = 0.0
        d_x, d_u, j = list(d_states), list(d_commands), list(jacobians)
        d_both = kit.empty(self.batch, n + self.m)
        d_through_x, d_through_u = d_both[:, :n], d_both[:, n:]
        for t in reversed(range(self.steps)):
            kit.apply_transposed(j[t], d_x[t + 1], out=d_both)
            d_u[t] += d_through_u
            if t > 0:
                d_x[t] += d_through_x
            seen = self._seen_at(t)
            for i in range(last, -1, -1):
                d_rate, d_v = d_recurrent[i], d_steps[i][t]
                if i == last:
                    kit.product(d_u[t], network.output, out=scratch[i])
                    d_rate += scratch[i]
                else:
                    d_rate += d_above[i]
                kit.times_slope(d_rate, rates[i][t], scratch[i], out=d_v)
                if source_steps:
                    d_v += source_steps[i][t]
                if leak != 1.0:
                    later = d_leaky[i]
                    if later is not None:
                        d_v += later
                    d_leaky[i] = (1 - leak) * d_v
                    d_v *= leak
                kit.product(d_v, layers[i].inputs, out=d_inputs[i])
                if self.sees[i] and seen > 0:
                    d_x[seen] += d_observation[i]
        gradients = [
            self._layer_gradient(i, layers[i], forward, d_drives[i], d_recurrent[i], d_leaky[i])
            for i in range(len(layers))
        ]
        flat = d_commands.reshape(-1, self.m)
        d_output = flat.T @ _flat(self.rate(forward, last))
        return self._flatten(Network(tuple(gradients), d_output, flat.sum(0)))

    def kronecker_factors(
        self,
        network: Network,
        forward: Forward,
        jacobians: Array,
        generator: torch.Generator,
        place: Place | None = None,
    ) -> tuple[KroneckerBlock, ...]:
        """Second moments of every layer's inputs and of what random residuals pull at its drives.

        The Gauss-Newton matrix is the covariance of the gradient under residuals of unit
        variance; taking inputs and pulls, and steps, as independent makes it a Kronecker product.
        """
        kit = self.kit
        place = place or Place(0, self.batch)
        d_states = self._random_like(forward.states, generator, place)
        d_commands = self._random_like(forward.commands, generator, place)
        d_states *= (self.state_weights / self.batch) ** 0.5
        d_commands *= (self.energy_weight / self.batch) ** 0.5
        self.adjoint(network, forward, jacobians, d_states, d_commands)
        pulls = [self._room(f"drive {i}") for i in range(len(network.layers))]
        inputs = [self._layer_inputs(forward, i) for i in range(len(network.layers))]
        pulls.append(d_commands)
        inputs.append(kit.give(self.rate(forward, len(network.layers) - 1)).flatten(0, 1))
        blocks = []
        for index, pull, seen in zip(self._block_indices(), pulls, inputs, strict=True):
            ones = seen.new_ones(len(seen), 1)
            columns = _second_moments(torch.cat([seen, ones], dim=1)) / len(seen)
            rows = _second_moments(kit.give(pull).flatten(0, 1))
            blocks.append(KroneckerBlock(index, rows, columns))
        return tuple(blocks)

    def _random_like(self, array: Array, generator: torch.Generator, place: Place) -> Array:
        """Standard normal numbers; every device and every split of the trials gets the same."""
        steps, batch, size = array.shape
        drawn = torch.randn(steps, place.whole, size, generator=generator, dtype=torch.float64)
        drawn = drawn[:, place.first : place.first + batch].contiguous()
        return self.kit.take(drawn.to(dtype=self.kit.dtype, device=self.kit.device))

    def _layer_inputs(self, forward: Forward, index: int) -> Tensor:
        """All inputs of a layer, in the order of its weights, (T B, columns)."""
        inputs = self.kit.give(forward.inputs[index])[:-1].flatten(0, 1)
        if not self.sees[index]:
            return inputs
        if self.told is None:
            target = self.trials.target.repeat(self.steps, 1)
        else:
            target = self.kit.give(self.told).flatten(0, 1)
        return torch.cat([inputs[:, : self.n], target, inputs[:, self.n :]], dim=1)

    def _block_indices(self) -> list[Tensor]:
        """Where each layer's weights with bias, and the output's, lie in the flat vector."""
        places = torch.arange(self.net.parameter_count, device=self.trials.device)
        weights = self.net.unpack(places)
        indices = [
            torch.cat([layer.feedforward, layer.recurrent, layer.bias[:, None]], dim=1)
            for layer in weights.layers
        ]
        indices.append(torch.cat([weights.output, weights.output_bias[:, None]], dim=1))
        return indices

    def _layer_gradient(
        self,
        index: int,
        layer: _Weights,
        forward: Forward,
        d_drive: Array,
        d_recurrent: Array,
        d_leaky: Array | None,
    ) -> _Weights:
        """A layer's weight gradients: one product over all steps."""
        d_inputs = _flat(d_drive).T @ _flat(forward.inputs[index][:-1])
        summed = d_drive.sum(0)  # over steps, (B, units)
        d_target = None
        if layer.target is not None and self.told is None:
            d_target = summed.T @ self.target
        elif layer.target is not None:
            d_target = _flat(d_drive).T @ _flat(self.told)
        d_initial = None
        if layer.initial is not None:
            before = forward.inputs[index][0, :, -self.net.layers[index] :]
            d_before = d_recurrent * (1 - before * before)
            if d_leaky is not None:
                d_before = d_before + d_leaky
            d_initial = d_before.sum(0)
        return _Weights(d_inputs, d_target, summed.sum(0), d_initial)


def _resting_force(arm: TwoJointArm, state: Array, field: Array) -> Array:
    """The force (N) of fields (2, 5, B) on hands, (B, 2), without the part with velocity."""
    x, y, *_ = arm.component_hand(state.T, np)
    return np.stack([row[0] + row[1] * x + row[2] * y for row in field], axis=-1)


def _saturated(torque: Array, arm: TwoJointArm) -> Array:
    """What the actuators give for commands with noise, (..., 2)."""
    return np.stack(saturated(np.moveaxis(torque, -1, 0), arm.command_limit, np), axis=-1)


def _second_moments(samples: Tensor) -> Tensor:
    """Sum over samples (N, k) of their outer products, (k, k)."""
    return samples.T @ samples


def _flat(array: Array) -> Array:
    """Steps and trials as one axis."""
    return array.reshape(-1, array.shape[-1])
