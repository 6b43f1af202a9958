"""The loop over steps, forward and back, for any cell and any plant: a template.

`compiled.compose` puts functions of a plant before this text and makes a module of both for each
pair, in which `cell` and `plant` are theirs. Nothing imports this file itself.

Time is the first axis of every array. Trials are the last axis of what belongs to the plant, and
the rows of what belongs to the cell. Behind the numbers of a state lies what is computed from them:
signals that are sensed, features that the cost weighs, and offsets that it adds to commands. Where
an array of `given` has a first axis of length 1, its numbers hold at all steps. A name that begins
with r_ is a change along a direction, and one that begins with d_ is a derivative of the loss.

The network's matrices are numbered. Each gate group of each layer has three: the weights of what is
seen, of the layer below, and of what the layer itself remembers. The read-out has two: the weights
of what is seen, of which only the bias is there, and those of the last layer.
"""

# mypy: ignore-errors

import numba as nb

from neuromotor.closed_loop.compiled.arrays import SQUASHED
from neuromotor.compiled.pieces import (
    LOOP_OPTIONS,
    Weights,
    at,
    back,
    forth,
    layer,
    logistic,
    outer,
    own_pulls,
    part,
    pull_gates,
    span,
)

if "plant" not in globals():
    raise ImportError("this file is a template of neuromotor.compiled.compose: nothing imports it")

compiled = nb.njit(cache=True, **LOOP_OPTIONS)
GROUPS = len(cell.GATES)
OWN_PULL = own_pulls(cell)
PULLS = len(pull_gates(cell))
NOISY_GATE = getattr(cell, "NOISY_GATE", 0)  # which gate of the noisy group
PLAIN, TANH, LOGISTIC, RECTIFIED = range(len(SQUASHED))


@piece
def of_layer(weights, number):
    """The weights of a layer."""
    return Weights(weights.data, weights.table, 3 * GROUPS * number, weights.product)


@piece
def squashed(kind, value):
    """A command, squashed."""
    if kind == PLAIN:
        return value
    if kind == TANH:
        return hyperbolic_tangent(value)
    if kind == LOGISTIC:
        return logistic(value)
    return value if value > 0 else value - value


@piece
def squash_slope(kind, u, change):
    """A change of the drive of a command, as it changes the squashed command u."""
    if kind == PLAIN:
        return change
    if kind == TANH:
        return change - change * u * u
    if kind == LOGISTIC:
        return change * (u - u * u)
    return change if u > 0 else change - change


@compiled
def forward_block(weights, net, body, dims, given, run, room):
    """Run the trials of a block; return their summed loss, twice."""
    units, numbers = net
    par, limit, priced = body
    layers, count, m = units.shape[0], run.x.shape[2], run.u.shape[1]
    seen, cues = given.feedback.shape[0], given.told.shape[1]
    beside = seen + dims.copies * m
    total = 0.0
    computed_step(par, priced, run.x[0], run.x[0, STATE:])
    for t in range(dims.steps):
        row, gain = run.see[t], given.gain[t % given.gain.shape[0]]
        blur, told = given.sense[t % given.sense.shape[0]], given.told[t % given.told.shape[0]]
        for b in range(count):
            for i in range(seen):
                past = run.x[max(t - given.lag[i], 0), given.feedback[i], b]
                row[b, i] = past * gain[i, b] + blur[i, b]
            for i in range(dims.copies * m):
                ago, which = i // m + 1, i % m
                row[b, seen + i] = run.u[t - ago, which, b] if ago <= t else 0
            for i in range(cues):
                row[b, beside + i] = told[i, b]
            row[b, beside + cues] = 1
        noise, offset = given.noise[t % given.noise.shape[0]], 0
        for number in range(layers):
            own = of_layer(weights, number)
            after = layer(at(run.memory, t + 1), number * cell.MEMORY)
            before = layer(at(run.memory, t), number * cell.MEMORY)
            kept = layer(at(run.kept, t), number * cell.KEPT)
            drives = layer(room.drives, number * GROUPS)
            for g in range(GROUPS):
                drive = part(drives, g)
                forth(weights, own.first + 3 * g, row, drive, False)
                if number > 0:
                    below = part(layer(at(run.memory, t + 1), (number - 1) * cell.MEMORY), 0)
                    forth(weights, own.first + 3 * g + 1, below, drive, True)
            if noise.shape[1] > 0:
                if cell.NOISY < 0:
                    own_noise = part(kept, 0)
                    for b in range(count):
                        for j in range(units[number]):
                            own_noise[b, j] = noise[b, offset + j]
                else:
                    drive, gate = part(drives, cell.NOISY), NOISY_GATE * units[number]
                    for b in range(count):
                        for j in range(units[number]):
                            drive[b, gate + j] += noise[b, offset + j]
                offset += units[number]
            cell.step(own, numbers, drives, before, after, kept)
        last = part(layer(at(run.memory, t + 1), (layers - 1) * cell.MEMORY), 0)
        readout = 3 * GROUPS * layers
        forth(weights, readout, row, room.command, False)
        forth(weights, readout + 1, last, room.command, True)
        factor = given.command_noise[t % given.command_noise.shape[0]]
        for i in range(m):
            for b in range(count):
                value = squashed(dims.squash, room.command[b, i])
                run.u[t, i, b] = value
                run.drive[t, i, b] = value + value * factor[i, b]
                total += dims.energy * value * value
                if dims.drive > 0:
                    value += run.x[t, dims.offset + i, b]
                    total += dims.drive * value * value
        load = given.load[t % given.load.shape[0]]
        force, jolt = given.force[t % given.force.shape[0]], given.jolt[t % given.jolt.shape[0]]
        plant_step(par, limit, run.x[t], run.drive[t], load, force, jolt, run.x[t + 1])
        computed_step(par, priced, run.x[t + 1], run.x[t + 1, STATE:])
    for t in range(dims.steps + 1):
        weight, goal = given.weight[t % given.weight.shape[0]], given.goal[t % given.goal.shape[0]]
        for i in range(weight.shape[0]):
            for b in range(count):
                error = run.x[t, dims.weighed + i, b] - goal[i, b]
                total += weight[i, b] * error * error
    return total


@compiled
def pull_block(dims, given, states, commands, about_goal, d_x, d_u):
    """Write the cost's derivatives: at states and commands, or of its Hessian times changes."""
    for t in range(dims.steps + 1):
        weight, goal = given.weight[t % given.weight.shape[0]], given.goal[t % given.goal.shape[0]]
        d_x[t] = 0
        for i in range(weight.shape[0]):
            k = dims.weighed + i
            for b in range(weight.shape[1]):
                error = states[t, k, b]
                if about_goal:
                    error -= goal[i, b]
                d_x[t, k, b] = weight[i, b] * error / dims.batch
    for t in range(dims.steps):
        for i in range(commands.shape[1]):
            for b in range(commands.shape[2]):
                d_u[t, i, b] = dims.energy * commands[t, i, b] / dims.batch
                if dims.drive > 0:
                    value = commands[t, i, b] + states[t, dims.offset + i, b]
                    d_x[t, dims.offset + i, b] = dims.drive * value / dims.batch
                    d_u[t, i, b] += d_x[t, dims.offset + i, b]


@compiled
def tangent_block(
    weights, direction, net, body, dims, given, run, structural, damped, room, r_x, r_u, r_rates
):
    """Write the changes of states, commands and rates along a direction of the weights.

    Those of the rates have no width where nobody wants them.
    """
    units, numbers = net
    par, limit, priced = body
    layers, count, m = units.shape[0], run.x.shape[2], run.u.shape[1]
    seen, r_see = given.feedback.shape[0], room.see
    r_x[0] = 0
    for t in range(dims.steps):
        row, gain = run.see[t], given.gain[t % given.gain.shape[0]]
        for b in range(count):
            for i in range(seen):
                past = r_x[max(t - given.lag[i], 0), given.feedback[i], b]
                r_see[b, i] = past * gain[i, b]
            for i in range(dims.copies * m):
                ago, which = i // m + 1, i % m
                r_see[b, seen + i] = r_u[t - ago, which, b] if ago <= t else 0
        for number in range(layers):
            own, change = of_layer(weights, number), of_layer(direction, number)
            first = number * cell.MEMORY
            after, before = layer(at(run.memory, t + 1), first), layer(at(run.memory, t), first)
            kept = layer(at(run.kept, t), number * cell.KEPT)
            r_before, r_after = (
                layer(at(room.memory, t % 2), first),
                layer(at(room.memory, (t + 1) % 2), first),
            )
            r_drives = layer(room.drives, number * GROUPS)
            for g in range(GROUPS):
                drive, k = part(r_drives, g), own.first + 3 * g
                forth(direction, k, row, drive, False)
                forth(weights, k, r_see, drive, True)
                if number > 0:
                    below = (number - 1) * cell.MEMORY
                    forth(
                        direction, k + 1, part(layer(at(run.memory, t + 1), below), 0), drive, True
                    )
                    forth(
                        weights,
                        k + 1,
                        part(layer(at(room.memory, (t + 1) % 2), below), 0),
                        drive,
                        True,
                    )
            cell.tangent(
                own,
                change,
                numbers,
                before,
                after,
                kept,
                r_drives,
                r_before,
                r_after,
                layer(room.scratch, number * cell.SCRATCH),
                structural,
                layer(at(damped, t), number),
            )
            kept_rates, rates = part(layer(at(r_rates, t), number), 0), part(r_after, 0)
            for b in range(kept_rates.shape[0]):
                for j in range(kept_rates.shape[1]):
                    kept_rates[b, j] = rates[b, j]
        top, readout = (layers - 1) * cell.MEMORY, 3 * GROUPS * layers
        forth(direction, readout, row, room.command, False)
        forth(
            direction, readout + 1, part(layer(at(run.memory, t + 1), top), 0), room.command, True
        )
        forth(
            weights,
            readout + 1,
            part(layer(at(room.memory, (t + 1) % 2), top), 0),
            room.command,
            True,
        )
        factor = given.command_noise[t % given.command_noise.shape[0]]
        for i in range(m):
            for b in range(count):
                value = squash_slope(dims.squash, run.u[t, i, b], room.command[b, i])
                r_u[t, i, b] = value
                room.drive[i, b] = value + value * factor[i, b]
        load, force = given.load[t % given.load.shape[0]], given.force[t % given.force.shape[0]]
        plant_tangent(
            par, limit, run.x[t], run.drive[t], load, force, r_x[t], room.drive, r_x[t + 1]
        )
        computed_tangent(par, priced, run.x[t + 1], r_x[t + 1], r_x[t + 1, STATE:])


@compiled
def adjoint_block(
    weights, gradient, net, body, dims, given, run, structural, damped, room, d_x, d_u, d_rates
):
    """Add the trials' gradients; d_x and d_u are what the loss has otherwise (overwritten).

    So are d_rates, by the rates after each step; they have no width where there is nothing.
    """
    units, numbers = net
    par, limit, priced = body
    layers, count, m = units.shape[0], run.x.shape[2], run.u.shape[1]
    seen, readout = given.feedback.shape[0], 3 * GROUPS * layers
    room.memory.data[:] = 0
    for t in range(dims.steps - 1, -1, -1):
        k = t % dims.ring
        factor = given.command_noise[t % given.command_noise.shape[0]]
        load, force = given.load[t % given.load.shape[0]], given.force[t % given.force.shape[0]]
        computed_adjoint(par, priced, run.x[t + 1], d_x[t + 1, STATE:], d_x[t + 1], d_x[t + 1])
        plant_adjoint(
            par, limit, run.x[t], run.drive[t], load, force, d_x[t + 1], d_x[t], d_x[t], room.drive
        )
        d_command = room.command[k * count : (k + 1) * count]
        for i in range(m):
            for b in range(count):
                pull = d_u[t, i, b] + room.drive[i, b] + room.drive[i, b] * factor[i, b]
                d_command[b, i] = squash_slope(dims.squash, run.u[t, i, b], pull)
        top = layer(at(room.memory, (t + 1) % 2), (layers - 1) * cell.MEMORY)
        back(weights, readout + 1, d_command, part(top, 0), True)
        for number in range(layers - 1, -1, -1):
            own, first = of_layer(weights, number), number * cell.MEMORY
            pulls = layer(at(room.pulls, k), number * PULLS)
            pulled = part(layer(at(room.memory, (t + 1) % 2), first), 0)
            own_rates = part(layer(at(d_rates, t), number), 0)
            for b in range(own_rates.shape[0]):
                for j in range(own_rates.shape[1]):
                    pulled[b, j] += own_rates[b, j]
            cell.adjoint(
                own,
                numbers,
                layer(at(run.memory, t), first),
                layer(at(run.memory, t + 1), first),
                layer(at(run.kept, t), number * cell.KEPT),
                layer(at(room.memory, (t + 1) % 2), first),
                pulls,
                layer(at(room.memory, t % 2), first),
                layer(room.scratch, number * cell.SCRATCH),
                structural,
                layer(at(damped, t), number),
            )
            for g in range(GROUPS):
                d_drive, matrix = part(pulls, g), own.first + 3 * g
                back(weights, matrix, d_drive, room.see, number < layers - 1 or g > 0)
                if number > 0:
                    below = layer(at(room.memory, (t + 1) % 2), first - cell.MEMORY)
                    back(weights, matrix + 1, d_drive, part(below, 0), True)
        gain = given.gain[t % given.gain.shape[0]]
        for i in range(seen):
            past = d_x[max(t - given.lag[i], 0), given.feedback[i]]
            for b in range(count):
                past[b] += room.see[b, i] * gain[i, b]
        for i in range(min(dims.copies, t) * m):
            past = d_u[t - 1 - i // m, i % m]
            for b in range(count):
                past[b] += room.see[b, seen + i]
        if k == 0:
            steps = min(dims.ring, dims.steps - t)
            rows = run.see[t : t + steps].reshape((steps * count, run.see.shape[2]))
            for number in range(layers):
                first, matrix = number * cell.MEMORY, 3 * GROUPS * number
                for g in range(GROUPS):
                    pulls = layer(span(room.pulls, 0, steps), number * PULLS)
                    d_drive = part(pulls, g)
                    wide = cell.GATES[g] * units[number]
                    outer(gradient, matrix + 3 * g, d_drive, rows, wide)
                    if number > 0:
                        below = layer(span(run.memory, t + 1, steps), first - cell.MEMORY)
                        outer(gradient, matrix + 3 * g + 1, d_drive, part(below, 0), wide)
                    own = layer(span(run.memory, t, steps), first)
                    if cell.OWN_IS_KEPT[g] == 1:
                        own = layer(span(run.kept, t, steps), number * cell.KEPT)
                    d_own, own = part(pulls, OWN_PULL[g]), part(own, cell.OWN_PART[g])
                    outer(gradient, matrix + 3 * g + 2, d_own, own, wide)
            d_command = room.command[: steps * count]
            outer(gradient, readout, d_command, rows, m)
            last = layer(span(run.memory, t + 1, steps), (layers - 1) * cell.MEMORY)
            outer(gradient, readout + 1, d_command, part(last, 0), m)
