"""The tangent pass: how states and commands change along a direction of the parameters."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from neuromotor.closed_loop.arrays import Array
from neuromotor.closed_loop.passes.layout import Forward, Layout, Network

__all__ = ["run_tangent"]


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


def run_tangent(
    layout: Layout,
    network: Network,
    forward: Forward,
    jacobians: Array,
    direction: Network,
    activations: tuple[Array, ...] = (),
) -> tuple[Array, Array]:
    """Return the changes of states and commands along a direction.

    R v of each layer is written to `activations`, if those are given.
    """
    n, kit, leak = layout.n, layout.kit, layout.leak
    r_states, r_commands = layout.room("states"), layout.room("commands")
    layers = [
        _tangent_views(layout, i, network, forward, direction) for i in range(len(network.layers))
    ]
    for lower, upper in itertools.pairwise(layers):
        lower.above.append(upper.below)
    last = layers[-1]
    kept = [list(array) for array in activations]
    both = kit.empty(layout.batch, n + layout.m)
    r_state, r_command = both[:, :n], both[:, n:]
    through_direction = kit.empty(layout.batch, layout.m)
    x, u, j = list(r_states), list(r_commands), list(jacobians)
    out_t, direction_t = layout.transposed(network.output), layout.transposed(direction.output)
    x[0][:] = 0.0
    for t in range(layout.steps):
        r_observation = x[layout.seen_at(t)]
        for i, views in enumerate(layers):
            if layout.sees[i]:
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
    layout: Layout, index: int, network: Network, forward: Forward, direction: Network
) -> _TangentViews:
    """A layer's places and constants in the tangent pass."""
    units, buffer = layout.net.layers[index], forward.inputs[index]
    change = direction.layers[index]
    r_inputs = layout.kit.empty(*buffer.shape[1:])
    own = r_inputs[:, -units:]
    drive, scratch = layout.kit.empty(layout.batch, units), layout.kit.empty(layout.batch, units)
    activation = drive if layout.leak == 1.0 else layout.kit.empty(layout.batch, units)
    activation[:] = 0.0 if change.initial is None else change.initial
    layout.kit.times_slope(activation, buffer[0, :, -units:], scratch, out=own)
    start = layout.n if layout.sees[index] else 0
    return _TangentViews(
        inputs=list(buffer),
        rate=list(layout.rate(forward, index)),
        r_inputs=r_inputs,
        observation=r_inputs[:, : layout.n],
        below=r_inputs[:, start:-units],
        own=own,
        drive=drive,
        activation=activation,
        scratch=scratch,
        constants=layout.constants(change),
        direction=layout.transposed(change.inputs),
        weights=layout.transposed(network.layers[index].inputs),
    )
