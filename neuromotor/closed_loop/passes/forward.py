"""The forward pass: the trials run, and the Jacobians of the plant along them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neuromotor._declared import declares
from neuromotor.closed_loop.arrays import Array, NumpyArrays
from neuromotor.closed_loop.dynamics import advance, linearize_plant
from neuromotor.closed_loop.passes.layout import Forward, LayerParts, Layout, Network
from neuromotor.plants.arm import TwoJointArm
from neuromotor.plants.field import in_field
from neuromotor.plants.plant import saturated

__all__ = ["jacobians", "run_forward"]


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


def run_forward(layout: Layout, network: Network, room: Forward | None) -> Forward:
    """Run the trials; `room` is a former pass whose buffers may be overwritten."""
    trials, n, kit, leak = layout.trials, layout.n, layout.kit, layout.leak
    if room is None:
        room = Forward(
            states=layout.empty(layout.steps + 1, n),
            commands=layout.empty(layout.steps, layout.m),
            inputs=layout.input_buffers(),
        )
    states, commands = list(room.states), list(room.commands)
    states[0][:] = kit.take(trials.initial_state)
    layers = [
        _forward_views(layout, i, layer, room.inputs) for i, layer in enumerate(network.layers)
    ]
    noise = None if trials.sensory_noise is None else kit.take(trials.sensory_noise)
    drives = _drives(layout, network)
    out_t, out_b = layout.transposed(network.output), network.output_bias
    step = _stepper(layout, room, states, commands)
    for t in range(layout.steps):
        observation = states[layout.seen_at(t)]
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


def _forward_views(
    layout: Layout, index: int, layer: LayerParts, buffers: list[Array]
) -> _LayerViews:
    """A layer's places in the buffers, step by step; making views within the loop is slow."""
    n, units, buffer = layout.n, layout.net.layers[index], buffers[index]
    above: list[Array] = []
    if index + 1 < len(buffers):
        start = n if layout.sees[index + 1] else 0
        above = list(buffers[index + 1][:-1, :, start : start + units])
    drive = layout.kit.empty(layout.batch, units)
    activation = drive if layout.leak == 1.0 else layout.kit.empty(layout.batch, units)
    activation[:] = 0.0 if layer.initial is None else layer.initial
    layout.kit.tanh(activation, out=buffer[0, :, -units:])
    return _LayerViews(
        inputs=list(buffer),
        observation=list(buffer[:-1, :, :n]) if layout.sees[index] else [],
        rate=list(buffer[1:, :, -units:]),
        above=above,
        weights=layout.transposed(layer.inputs),
        drive=drive,
        activation=activation,
    )


def _stepper(
    layout: Layout, room: Forward, states: list[Array], commands: list[Array]
) -> Callable[[int], None]:
    """What writes the states after step t."""
    trials, plant = layout.trials, layout.task.plant
    arm = _numpy_arm(layout)
    if arm is None:
        x, u = list(layout.kit.give(room.states)), list(layout.kit.give(room.commands))

        def step_in_torch(t: int) -> None:
            x[t + 1].copy_(advance(plant, x[t], u[t], trials, t))

        return step_in_torch
    factor, load, force, noise = _disturbances(layout)
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


def _numpy_arm(layout: Layout) -> TwoJointArm | None:
    """The plant, if its step exists for this kit's arrays."""
    plant = layout.task.plant
    if not isinstance(plant, TwoJointArm) or not isinstance(layout.kit, NumpyArrays):
        return None
    return plant if declares(plant, "has_numpy_step") else None


def _disturbances(layout: Layout) -> tuple[Array, Array, Array, Array]:
    """Factor on commands, load, hand force and plant noise, (B, T, .) each, None where none."""
    trials = layout.trials
    return (
        None if trials.command_noise is None else 1 + trials.command_noise.numpy(),
        None if trials.load is None else trials.load.numpy(),
        None if trials.hand_force is None else trials.hand_force.numpy(),
        None if trials.plant_noise is None else trials.plant_noise.numpy(),
    )


def _drives(layout: Layout, network: Network) -> list[list[Array]]:
    """C of each layer, with private noise if any, (B, units) a step."""
    drives: list[list[Array]] = []
    noise = None
    if layout.net.noise_size:
        layout.net.check_noise(layout.trials.unit_noise)
        if layout.trials.unit_noise is not None:
            noise = layout.kit.take(layout.trials.unit_noise)
    start = 0
    for layer, units in zip(network.layers, layout.net.layers, strict=True):
        drive = layout.constants(layer)
        if noise is not None:
            own = layout.net.private_noise * noise[:, :, start : start + units]
            drive = [drive[t] + own[:, t] for t in range(layout.steps)]
        drives.append(drive)
        start += units
    return drives


def jacobians(layout: Layout, forward: Forward) -> Array:
    """J along the trajectory, (T, B, n, n + m)."""
    jacobians = layout.kit.empty(layout.steps, layout.batch, layout.n, layout.n + layout.m)
    arm = _numpy_arm(layout)
    if arm is not None and layout.trials.field is None:
        factor, load, force, _ = _disturbances(layout)
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
            jacobians[..., layout.n :] *= factor.swapaxes(0, 1)[:, :, None]
        if slope is not None:
            jacobians[..., layout.n :] *= slope[:, :, None]
        return jacobians
    linearize_plant(
        layout.task.plant,
        layout.trials,
        layout.kit.give(forward.states)[:-1].transpose(0, 1),
        layout.kit.give(forward.commands).transpose(0, 1),
        out=layout.kit.give(jacobians).transpose(0, 1),
    )
    return jacobians


def _resting_force(arm: TwoJointArm, state: Array, field: Array) -> Array:
    """The force (N) of fields (2, 5, B) on hands, (B, 2), without the part with velocity."""
    x, y, *_ = arm.component_hand(state.T, np)
    return np.stack([row[0] + row[1] * x + row[2] * y for row in field], axis=-1)


def _saturated(torque: Array, arm: TwoJointArm) -> Array:
    """What the actuators give for commands with noise, (..., 2)."""
    return np.stack(saturated(np.moveaxis(torque, -1, 0), arm.command_limit, np), axis=-1)
