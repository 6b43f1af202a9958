"""One step of some arms with what it costs and shows: a template.

`compiled.compose` puts functions of a plant before this text and makes a module of both for each
plant, in which `plant` is its own. Nothing imports this file itself; `envs/arms.py` calls what it
makes and says what the arguments are.

Arms are the first axis of what comes from outside and the last of what is worked with. A part of
the trials whose first axis is 1 is the same for all arms, and one whose second is 1 at all steps.
"""

# mypy: ignore-errors

import math

import numba as nb

from neuromotor.compiled.pieces import LOOP_OPTIONS, pointed

if "plant" not in globals():
    raise ImportError("this file is a template of neuromotor.compiled.compose: nothing imports it")

compiled = nb.njit(cache=True, **LOOP_OPTIONS)


@piece
def place(part, arm, step):
    """Where a part of the trials has an arm's numbers of a step."""
    return arm if part.shape[0] > 1 else 0, step if part.shape[1] > 1 else 0


@piece
def gather(room, row, part, step):
    """Copy what a part has for a step to rows of the room, as many as it has numbers."""
    for b in range(room.shape[1]):
        arm, t = place(part, b, step)
        for i in range(part.shape[2]):
            room[row + i, b] = part[arm, t, i]


@piece
def charge(weights, counted, goals, states, arm, step):
    """What an arm's state costs at a step of its trial."""
    total = 0.0
    factor_arm, factor_step = place(counted, arm, step)
    goal_arm, goal_step = place(goals, arm, step)
    for i in range(states.shape[0]):
        weight = 0.5 * weights[step, i] * counted[factor_arm, factor_step, i]
        if weight != 0:  # what does not count may be infinite
            error = states[i, arm] - goals[goal_arm, goal_step, i]
            total += weight * (error * error)
    return total


@compiled
def step_arms(
    advance,
    show,
    clock,
    asked,
    cost,
    failed,
    shown,
    step,
    picks,
    table,
    par,
    energy,
    delay,
    shows_hand,
):
    """Advance arms, show them, or both; return how many failed, or -1 for actions not finite."""
    actuators = pointed(table[0, 0], (table[0, 1], table[0, 2]))
    bounds = pointed(table[1, 0], (table[1, 1],))
    weights = pointed(table[2, 0], (table[2, 1], table[2, 2]))
    ends = pointed(table[3, 0], (table[3, 1], table[3, 2]))
    room = pointed(table[4, 0], (table[4, 1], table[4, 2]))
    counted = pointed(table[5, 0], (table[5, 1], table[5, 2], table[5, 3]))
    goals = pointed(table[6, 0], (table[6, 1], table[6, 2], table[6, 3]))
    load = pointed(table[7, 0], (table[7, 1], table[7, 2], table[7, 3]))
    force = pointed(table[8, 0], (table[8, 1], table[8, 2], table[8, 3]))
    command_noise = pointed(table[9, 0], (table[9, 1], table[9, 2], table[9, 3]))
    plant_noise = pointed(table[10, 0], (table[10, 1], table[10, 2], table[10, 3]))
    sensory_noise = pointed(table[11, 0], (table[11, 1], table[11, 2], table[11, 3]))
    past = pointed(table[12, 0], (table[12, 1], table[12, 2], table[12, 3]))
    action = pointed(table[13, 0], (table[13, 1], table[13, 2]))
    effort = pointed(table[14, 0], (table[14, 1],))
    n, count, m = past.shape[1], past.shape[2], actuators.shape[1]
    steps, axes, ring = weights.shape[0] - 1, force.shape[2], past.shape[0]
    hand = 2 * n
    time = hand + 4 * axes
    drive = room.shape[0] - m - load.shape[2] - axes - n  # after the cues
    loads = drive + m
    forces = loads + load.shape[2]
    jolts = forces + axes
    failures = 0
    if advance:
        for b in range(count):
            for i in range(m):
                if not math.isfinite(asked[b, i]):
                    return -1
        before, after, t = past[clock % ring], past[(clock + 1) % ring], clock % steps
        gather(room, drive, command_noise, t)
        gather(room, loads, load, t)
        gather(room, forces, force, t)
        gather(room, jolts, plant_noise, t)
        for b in range(count):
            spent = 0.0
            for i in range(m):
                value = min(max(asked[b, i], actuators[0, i]), actuators[1, i])
                action[i, b] = value
                value = actuators[2, i] + actuators[3, i] * value
                spent += value * value
                room[drive + i, b] = value * (1 + room[drive + i, b])
            effort[b] += spent
            cost[b] = energy * spent
        plant_step(
            par,
            actuators[4],
            before,
            room[drive:loads],
            room[loads:forces],
            room[forces:jolts],
            room[jolts:],
            after,
        )
        for b in range(count):
            own = min(step[b] + 1, steps)
            step[b] = own
            if own == 1:
                cost[b] += charge(weights, counted, goals, before, b, 0)
            cost[b] += charge(weights, counted, goals, after, b, own)
            inside = True
            for i in range(n):
                inside = inside and abs(after[i, b]) <= bounds[i]
            failed[b] = not inside
            failures += 0 if inside else 1
        clock += 1
    if show:
        seen, t = past[(clock - delay) % ring], clock % steps
        for b in range(count):
            arm, now = place(sensory_noise, b, t)
            blurred = step[b] < steps
            for i in range(n):
                room[i, b] = seen[i, b] + (sensory_noise[arm, now, i] if blurred else 0.0)
            room[time, b] = step[b] / steps
            for i in range(m):
                room[time + 1 + i, b] = action[i, b]
        if shows_hand:
            for b in range(count):
                reached = plant_hand(par, room, b)
                for i in range(2 * axes):
                    room[hand + i, b] = reached[i]
        for k in range(picks.size):
            low, high, row = ends[0, k], ends[1, k], picks[k]
            for b in range(count):
                value = room[row, b]
                shown[b, k] = low if value < low else high if value > high else value
    return failures
