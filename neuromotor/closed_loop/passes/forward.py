"""The forward pass: the trials run, and the Jacobians of the plant along them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neuromotor.closed_loop.arrays import Array, NumpyArrays
from neuromotor.closed_loop.dynamics import (
    StepDraws,
    advance,
    advance_components,
    linearize_plant,
)
from neuromotor.closed_loop.passes.layout import Forward, LayerParts, Layout, Network
from neuromotor.plants.plant import Components, components_of
from neuromotor.tasks.trials import Trials

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
    """Run the trials; `room` is an earlier pass whose buffers may be overwritten, or None."""
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
    form = _components(layout)
    if form is None:
        x, u = list(layout.kit.give(room.states)), list(layout.kit.give(room.commands))

        def step_in_torch(t: int) -> None:
            x[t + 1].copy_(advance(plant, x[t], u[t], trials, t))

        return step_in_torch
    draws, field = _draws(layout), None
    if trials.field is not None:
        field = trials.field.numpy().transpose(1, 2, 0)

    def step(t: int) -> None:
        now = StepDraws(field=field, **{name: part[:, t] for name, part in draws.items()})
        after = advance_components(plant, form, states[t].T, commands[t].T, now)
        for into, component in zip(states[t + 1].T, after, strict=True):
            into[:] = component

    return step


def _components(layout: Layout) -> Components | None:
    """The plant's step on components, if there is one for this kit's arrays."""
    numpy = isinstance(layout.kit, NumpyArrays)
    return components_of(layout.task.plant) if numpy else None


def _draws(layout: Layout) -> dict[str, Array]:
    """What acts on the plant at every step, (., T, B), by its name."""
    present = layout.trials.present()
    names = (n for n in Trials.names(seen_by="plant", axis="step") if n in present)
    return {name: present[name].numpy().transpose(2, 1, 0) for name in names}


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
    """Return J along the trajectory, (T, B, n, n + m)."""
    found = layout.kit.empty(layout.steps, layout.batch, layout.n, layout.n + layout.m)
    states, commands = forward.states[:-1], forward.commands
    linearize_plant(
        layout.task.plant,
        layout.trials,
        layout.kit.give(states).transpose(0, 1),
        layout.kit.give(commands).transpose(0, 1),
        out=layout.kit.give(found).transpose(0, 1),
    )
    return found
