"""The adjoint pass: derivatives by states and commands, pulled back to the parameters."""

from __future__ import annotations

from torch import Tensor

from neuromotor.closed_loop.arrays import Array
from neuromotor.closed_loop.passes.layout import Forward, LayerParts, Layout, Network, rows

__all__ = ["run_adjoint"]


def run_adjoint(
    layout: Layout,
    network: Network,
    forward: Forward,
    jacobians: Array,
    d_states: Array,
    d_commands: Array,
    sources: tuple[Array, ...] = (),
) -> Tensor:
    """Return the derivative by the parameters, (P,), of what has given derivatives otherwise.

    Args:
        layout: Network and trials.
        network: The parameters.
        forward: Where the derivatives are taken.
        jacobians: J along it.
        d_states: Derivatives by the states, (T + 1, B, n); overwritten.
        d_commands: Derivatives by the commands, (T, B, m); overwritten.
        sources: Derivatives by the activations of each layer, (T, B, units) each, if there are any.
    """
    n, kit, leak = layout.n, layout.kit, layout.leak
    layers = network.layers
    last = len(layers) - 1
    rates = [list(layout.rate(forward, i)) for i in range(last + 1)]
    d_drives = [layout.room("drive", i) for i in range(last + 1)]  # by z
    d_steps = [list(drive) for drive in d_drives]
    source_steps = [list(source) for source in sources]
    d_inputs = [kit.empty(*buffer.shape[1:]) for buffer in forward.inputs]  # by P
    scratch = [kit.empty(layout.batch, units) for units in layout.net.layers]
    d_recurrent = [  # by h[l, t] through step t + 1
        d_input[:, -units:] for d_input, units in zip(d_inputs, layout.net.layers, strict=True)
    ]
    d_above = [  # by h[l, t] through the layer above
        d_inputs[i + 1][:, (n if layout.sees[i + 1] else 0) :][:, : layout.net.layers[i]]
        for i in range(last)
    ]
    d_observation = [d_input[:, :n] for d_input in d_inputs]
    d_leaky: list[Array | None] = [None] * (last + 1)  # by v[l, t] through step t + 1
    for recurrent in d_recurrent:
        recurrent[:] = 0.0
    d_x, d_u, j = list(d_states), list(d_commands), list(jacobians)
    d_both = kit.empty(layout.batch, n + layout.m)
    d_through_x, d_through_u = d_both[:, :n], d_both[:, n:]
    for t in reversed(range(layout.steps)):
        kit.apply_transposed(j[t], d_x[t + 1], out=d_both)
        d_u[t] += d_through_u
        if t > 0:
            d_x[t] += d_through_x
        seen = layout.seen_at(t)
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
            if layout.sees[i] and seen > 0:
                d_x[seen] += d_observation[i]
    gradients = [
        _layer_gradient(layout, i, layers[i], forward, d_drives[i], d_recurrent[i], d_leaky[i])
        for i in range(len(layers))
    ]
    d_command = d_commands.reshape(-1, layout.m)
    d_output = d_command.T @ rows(layout.rate(forward, last))
    return layout.flatten(Network(tuple(gradients), d_output, d_command.sum(0)))


def _layer_gradient(
    layout: Layout,
    index: int,
    layer: LayerParts,
    forward: Forward,
    d_drive: Array,
    d_recurrent: Array,
    d_leaky: Array | None,
) -> LayerParts:
    """A layer's weight gradients: one product over all steps."""
    d_inputs = rows(d_drive).T @ rows(forward.inputs[index][:-1])
    summed = d_drive.sum(0)  # over steps, (B, units)
    d_target = None
    if layer.target is not None and layout.told is None:
        d_target = summed.T @ layout.target
    elif layer.target is not None:
        d_target = rows(d_drive).T @ rows(layout.told)
    d_initial = None
    if layer.initial is not None:
        before = forward.inputs[index][0, :, -layout.net.layers[index] :]
        d_before = d_recurrent * (1 - before * before)
        if d_leaky is not None:
            d_before = d_before + d_leaky
        d_initial = d_before.sum(0)
    return LayerParts(d_inputs, d_target, summed.sum(0), d_initial)
