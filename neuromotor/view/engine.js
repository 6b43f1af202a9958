// The closed loop of one trial, in float64: delayed senses, network, limb, loads and noise.
//
// `physics` holds what was translated from the package: the plant's step, its hand, the cell.
// Nothing here knows of a page, so that the same lines run without one.
"use strict";

// ---- numbers ----

// An array of the file: base64 of little-endian float64 or float32, or null.
function decoded(packed) {
    if (packed === null) return null;
    const text = atob(packed.base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
    const numbers =
        packed.type === "f4"
            ? Float64Array.from(new Float32Array(bytes.buffer))
            : new Float64Array(bytes.buffer);
    return { shape: packed.shape, data: numbers };
}

// The numbers of one trial, or of one step of it: a view of an array of three axes.
function rowOf(array, first, second) {
    const [, steps, size] = array.shape;
    const start = (first * steps + Math.min(second, steps - 1)) * size;
    return array.data.subarray(start, start + size);
}

// Draws of a standard normal number: mulberry32, then Box and Muller.
function normalDraws(seed) {
    let state = seed >>> 0;
    function uniform() {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    }
    return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

// ---- what the translated pieces of cells call ----

function part(tape, k) {
    return tape[k];
}

function recur(weights, group, own, drive) {
    const { data, columns, first } = weights.recurrent[group];
    const { keep } = weights;
    for (let i = 0; i < drive.data.length; i += 1) {
        let sum = drive.data[i];
        const row = (first + i) * columns;
        for (let j = 0; j < columns; j += 1) sum += data[row + j] * own.data[j] * keep[j];
        drive.data[i] = sum;
    }
}

function tanhOf(numbers) {
    return numbers.map(Math.tanh);
}

// ---- the network ----

class Network {
    constructor(description, physics) {
        this.about = description;
        this.physics = physics;
        const flat = decoded(description.weights).data;
        let at = 0;
        const take = (count) => flat.subarray(at, (at += count));
        const gates = description.gates.reduce((sum, one) => sum + one, 0);
        this.layers = description.layers.map((units, index) => {
            const seen = index === 0 || description.skip ? description.inputs : 0;
            const below = index === 0 ? 0 : description.layers[index - 1];
            const feedforward = take(gates * units * (seen + below));
            const recurrent = take(gates * units * units);
            const bias = take(gates * units);
            let first = 0;
            const groups = description.gates.map((size) => {
                const group = { data: recurrent, columns: units, first: first, rows: size * units };
                first += size * units;
                return group;
            });
            const table = groups.flatMap((group) => [0, 0, 0, 0, group.rows, units]);
            const empty = (width) => ({ shape: [1, width], data: new Float64Array(width) });
            const keep = new Float64Array(units).fill(1);
            return {
                units,
                seen,
                below,
                feedforward,
                bias,
                keep,
                weights: {
                    recurrent: groups,
                    keep,
                    first: 0,
                    table: { shape: [3 * groups.length, 2], data: table },
                },
                drives: groups.map((group) => empty(group.rows)),
                kept: description.kept[index].map(empty),
                before: description.widths[index].map(empty),
                after: description.widths[index].map(empty),
                start: description.start[index].map((packed) => decoded(packed).data),
            };
        });
        this.output = take(description.commands * description.layers.at(-1));
        this.outputBias = take(description.commands);
        this.size = description.layers.reduce((sum, units) => sum + units, 0);
        this.rates = new Float64Array(this.size);
        this.reset();
    }

    reset() {
        for (const layer of this.layers) {
            layer.after.forEach((one, k) =>
                one.data.set(layer.start[k].subarray(0, one.data.length)),
            );
        }
        this.read();
    }

    // Silence a unit, or let it speak again: whether anything reads its rate.
    lesion(unit, silent) {
        let at = 0;
        for (const layer of this.layers) {
            if (unit < at + layer.units) {
                layer.keep[unit - at] = silent ? 0 : 1;
                return;
            }
            at += layer.units;
        }
    }

    read() {
        let at = 0;
        for (const layer of this.layers) {
            this.rates.set(layer.after[0].data.subarray(0, layer.units), at);
            at += layer.units;
        }
    }

    // Memory that belongs to rates, for the field of flow.
    remember(rates) {
        let at = 0;
        for (const layer of this.layers) {
            const own = rates.subarray(at, at + layer.units);
            at += layer.units;
            const [first, ...others] = layer.after;
            first.data.set(own);
            if (others.every((one) => one.data.length === 0)) continue;
            const parts = this.physics.start(this.activation(own));
            others.forEach((one, k) => one.data.set(parts[k + 1].subarray(0, one.data.length)));
        }
    }

    // The activations that give rates: the inverse of what a rate is of one, by bisection.
    activation(rates) {
        const low = new Float64Array(rates.length).fill(-20);
        const high = new Float64Array(rates.length).fill(20);
        const middle = new Float64Array(rates.length);
        for (let i = 0; i < 40; i += 1) {
            for (let j = 0; j < rates.length; j += 1) middle[j] = (low[j] + high[j]) / 2;
            const found = this.physics.start(middle)[0];
            for (let j = 0; j < rates.length; j += 1) {
                (found[j] < rates[j] ? low : high)[j] = middle[j];
            }
        }
        return middle;
    }

    // One step; `noise` holds the draws of all units, or is null. Returns the commands.
    step(input, noise) {
        const { about, physics } = this;
        let below = null;
        let at = 0;
        for (const layer of this.layers) {
            [layer.before, layer.after] = [layer.after, layer.before];
            const columns = layer.seen + layer.below;
            let row = 0;
            for (const drive of layer.drives) {
                for (let i = 0; i < drive.data.length; i += 1, row += 1) {
                    let sum = layer.bias[row];
                    const start = row * columns;
                    for (let j = 0; j < layer.seen; j += 1)
                        sum += layer.feedforward[start + j] * input[j];
                    for (let j = 0; j < layer.below; j += 1) {
                        sum +=
                            layer.feedforward[start + layer.seen + j] *
                            below.rates[j] *
                            below.keep[j];
                    }
                    drive.data[i] = sum;
                }
            }
            if (noise !== null) {
                const noisy = layer.drives[about.noisy].data;
                for (let j = 0; j < layer.units; j += 1)
                    noisy[j] += about.privateNoise * noise[at + j];
            }
            physics.cell(
                layer.weights,
                about.numbers,
                layer.drives,
                layer.before,
                layer.after,
                layer.kept,
            );
            below = { rates: layer.after[0].data, keep: layer.keep };
            at += layer.units;
        }
        this.read();
        const commands = [];
        const units = this.layers.at(-1).units;
        for (let i = 0; i < about.commands; i += 1) {
            let sum = this.outputBias[i];
            for (let j = 0; j < units; j += 1)
                sum += this.output[i * units + j] * below.rates[j] * below.keep[j];
            commands.push(squashed(about.squash, sum));
        }
        return commands;
    }
}

function squashed(kind, value) {
    if (kind === null) return value;
    if (kind === "tanh") return Math.tanh(value);
    if (kind === "logistic") return 0.5 + 0.5 * Math.tanh(0.5 * value);
    return value > 0 ? value : 0;
}

// ---- the loop ----

// What a person may change. `null` stands for what the trial says.
function freshWorld(model) {
    return {
        delay: model.delay,
        noise: model.noisy ? 1 : 0, // factor on all draws
        loads: 1, // factor on the trial's own loads and forces on the hand
        load: model.labels.load.map(() => 0), // beside them
        curl: 0, // N s/m; the force is `curl [vy, -vx]`
        push: [0, 0], // N on the hand
        target: null, // a state
    };
}

class Loop {
    constructor(model, physics) {
        this.model = model;
        this.physics = physics;
        this.network = new Network(model.network, physics);
        this.numbers = Array.from(decoded(model.plant.numbers).data);
        this.trials = {};
        for (const [name, packed] of Object.entries(model.trials))
            this.trials[name] = decoded(packed);
        this.weights = decoded(model.cost.weights);
        this.goal = decoded(model.cost.goal);
        this.reset(0, 1);
    }

    reset(condition, seed) {
        this.condition = condition;
        this.draw = normalDraws(seed);
        this.network.reset();
        const { shape, data } = this.trials.initial_state;
        this.state = Array.from(data.subarray(condition * shape[1], (condition + 1) * shape[1]));
        this.past = [this.state];
        this.t = 0;
        this.loss = this.stateCost(null);
        this.commands = new Array(this.model.network.commands).fill(0);
        this.force = [0, 0];
    }

    // A part of the trials at a step, or null; after the end what lasts is as at the last step.
    part(name, t) {
        const array = this.trials[name];
        return array === null ? null : rowOf(array, this.condition, t);
    }

    // Draws of noise at a step, or null: the trial's own, and beyond those the generator's.
    noise(name, size, scale) {
        if (scale === 0) return null;
        const array = this.trials[name];
        const own = array !== null && this.t < array.shape[1] && this.condition < array.shape[0];
        if (own) return Array.from(rowOf(array, this.condition, this.t), (one) => scale * one);
        const sigma = this.model.sigma[name];
        if (sigma === 0) return null;
        return Array.from({ length: size }, () => scale * sigma * this.draw());
    }

    target(world) {
        if (world.target !== null) return world.target;
        const shown = this.part("shown_target", this.t);
        if (shown !== null) return shown;
        const { shape, data } = this.trials.target;
        return data.subarray(this.condition * shape[1], (this.condition + 1) * shape[1]);
    }

    input(world) {
        const { model } = this;
        const seen = this.past[Math.max(this.t - world.delay, 0)];
        const blur = this.noise("sensory_noise", seen.length, world.noise);
        const goal = this.target(world);
        const cue = this.part("cue", this.t);
        return [
            ...model.feedback.map((i) => (blur === null ? seen[i] : seen[i] + blur[i])),
            ...model.feedback.map((i) => goal[i]),
            ...(cue === null ? [] : cue),
        ];
    }

    step(world) {
        const { model, physics, state } = this;
        this.seen = this.input(world);
        const private_ = model.network.privateNoise > 0 ? world.noise : 0;
        this.commands = this.network.step(
            this.seen,
            this.noise("unit_noise", this.network.size, private_),
        );
        let given = this.commands;
        const xi = this.noise("command_noise", given.length, world.noise);
        if (xi !== null) given = given.map((u, i) => u * (1 + xi[i]));
        if (model.plant.limit !== null) {
            given = given.map((u, i) => model.plant.limit[i] * Math.tanh(u / model.plant.limit[i]));
        }
        const load = world.load.slice();
        const own = this.part("load", this.t);
        if (own !== null) own.forEach((one, i) => (load[i] += world.loads * one));
        const force = world.push.slice();
        const push = this.part("hand_force", this.t);
        if (push !== null) push.forEach((one, i) => (force[i] += world.loads * one));
        const drag = this.field(world, state, force);
        this.force = force;
        let after = physics.step(this.numbers, state, given, load, force);
        if (drag !== null) after = this.carried(after, drag);
        const zeta = this.noise("plant_noise", after.length, world.noise);
        if (zeta !== null) after = after.map((x, i) => x + zeta[i]);
        const energy = this.commands.reduce((sum, u) => sum + u * u, 0);
        if (this.t < model.steps && model.cost.energy !== null)
            this.loss += 0.5 * model.cost.energy * energy;
        this.state = after;
        this.t += 1;
        this.past.push(after);
        this.loss += this.stateCost(world.target);
        return after;
    }

    // Add a field's resting part to the force; return its columns for the velocity, or null.
    field(world, state, force) {
        let drag = world.curl === 0 ? null : [0, world.curl, -world.curl, 0];
        if (this.trials.field !== null) {
            const place = this.physics.hand(this.numbers, state);
            drag = drag ?? [0, 0, 0, 0];
            const on = this.part("field_on", this.t);
            const factor = world.loads * (on === null ? 1 : on[0]);
            [0, 1].forEach((i) => {
                const row = rowOf(this.trials.field, this.condition, i);
                force[i] += factor * (row[0] + row[1] * place[0] + row[2] * place[1]);
                drag[2 * i] += factor * row[3];
                drag[2 * i + 1] += factor * row[4];
            });
            if (drag.every((one) => one === 0)) return null;
        }
        return drag;
    }

    // The state once a field has acted within the step; `plants.field.in_field` has the equations.
    carried(state, drag) {
        const { model, physics } = this;
        const rates = physics.velocity_rates(this.numbers, state, drag);
        const after = Array.from(state);
        const first = model.parts.velocity[0];
        const [v1, v2] = physics.carried(
            physics.scaled(model.dt, rates),
            after[first],
            after[first + 1],
        );
        after[first] = v1;
        after[first + 1] = v2;
        return after;
    }

    // What the state that was reached last costs; nothing after the trial.
    stateCost(target) {
        const { model, t, state } = this;
        if (this.weights === null || t > model.steps) return 0;
        const weights = rowOf(this.weights, Math.min(this.condition, this.weights.shape[0] - 1), t);
        const goal = target ?? rowOf(this.goal, this.condition, t);
        return 0.5 * state.reduce((sum, x, i) => sum + weights[i] * (x - goal[i]) ** 2, 0);
    }

    // Put the limb somewhere, at rest, as a hand that takes hold of it.
    place(configuration) {
        const [start, end] = this.model.parts.position;
        const after = Array.from(this.state);
        for (let i = start; i < end; i += 1) after[i] = configuration[i - start];
        for (let i = this.model.parts.velocity[0]; i < this.model.parts.velocity[1]; i += 1)
            after[i] = 0;
        this.state = after;
        this.past[this.t] = after;
    }

    hand(state) {
        return this.physics.hand(this.numbers, state);
    }

    // The configuration near `from` that brings the hand nearest to a point: Levenberg-Marquardt on
    // differences of the plant's own hand.
    reach(point, from) {
        const [start] = this.model.parts.position;
        const rest = Array.from(this.model.plant.home);
        const handAt = (q) => {
            const state = rest.slice();
            state[start] = q[0];
            state[start + 1] = q[1];
            return this.hand(state);
        };
        let q = from.slice();
        let damping = 1e-4;
        const away = (one) => Math.hypot(point[0] - handAt(one)[0], point[1] - handAt(one)[1]);
        for (let i = 0; i < 60; i += 1) {
            const [x, y] = handAt(q);
            const h = 1e-6;
            const [xa, ya] = handAt([q[0] + h, q[1]]);
            const [xb, yb] = handAt([q[0], q[1] + h]);
            const [j11, j21, j12, j22] = [(xa - x) / h, (ya - y) / h, (xb - x) / h, (yb - y) / h];
            const [ex, ey] = [point[0] - x, point[1] - y];
            const [g1, g2] = [j11 * ex + j21 * ey, j12 * ex + j22 * ey];
            const a = j11 * j11 + j21 * j21 + damping;
            const b = j11 * j12 + j21 * j22;
            const c = j12 * j12 + j22 * j22 + damping;
            const scale = a * c - b * b;
            const next = [q[0] + (c * g1 - b * g2) / scale, q[1] + (a * g2 - b * g1) / scale];
            if (away(next) < away(q)) {
                q = next;
                damping /= 4;
            } else {
                damping *= 8;
            }
            if (Math.hypot(ex, ey) < 1e-10 || damping > 1e6) break;
        }
        return q;
    }

    // The network's next rates from other rates, with the input seen last; nothing changes.
    flow(rates) {
        const { network } = this;
        const saved = network.layers.map((layer) => layer.after.map((one) => one.data.slice()));
        const own = network.rates.slice();
        network.remember(rates);
        network.step(this.seen, null);
        const next = network.rates.slice();
        network.layers.forEach((layer, i) =>
            layer.after.forEach((one, k) => one.data.set(saved[i][k])),
        );
        network.rates.set(own);
        return next;
    }
}

// A whole trial as it was recorded: its states, (T + 1) arrays, and its loss.
function wholeTrial(loop, condition) {
    const world = freshWorld(loop.model);
    loop.reset(condition, 1);
    for (let t = 0; t < loop.model.steps; t += 1) loop.step(world);
    return { states: loop.past, loss: loop.loss };
}
