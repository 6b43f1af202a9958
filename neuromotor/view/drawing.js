// The pictures: limb, commands, units, the plane of the network's state, and the numbers.

// ---- numbers and colours ----

function number(value) {
    if (value === null || Number.isNaN(value)) return "–";
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e4)
        ? value.toExponential(2).replace("e-", "e\u2011")
        : value.toPrecision(3);
}

const positionOf = (state) => state.slice(...model.parts.position);

function inPlane(rates) {
    return plane.axes.map((axis) => {
        let sum = 0;
        for (let i = 0; i < unitCount; i += 1) sum += axis[i] * (rates[i] - plane.mean[i]);
        return sum;
    });
}

let colors = {};
function readColors() {
    const style = getComputedStyle(document.documentElement);
    const names = "paper card ink soft line limb path best target push one two three four five six";
    for (const name of names.split(" ")) colors[name] = style.getPropertyValue(`--${name}`).trim();
    for (const name of ["low", "zero", "high", "calm"]) {
        colors[name] = style.getPropertyValue(`--${name}`).split(",").map(Number);
    }
    rateTable = Array.from({ length: 511 }, (_, i) =>
        mixed(colors.zero, i < 255 ? colors.low : colors.high, Math.abs(i - 255) / 255),
    );
    colors.lines = [colors.one, colors.two, colors.three, colors.four, colors.five, colors.six];
}

const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [], [6, 3]];

function mixed(from, to, share) {
    return from.map((one, i) => Math.round(one + (to[i] - one) * Math.min(1, Math.max(0, share))));
}

// Red, green and blue of rates, from minus the largest to the largest.
let rateTable = [];
function rateColor(rate) {
    const share = Math.max(-1, Math.min(1, rate / model.largest));
    return rateTable[Math.round(255 * (1 + share))];
}

// ---- pictures ----

// A canvas in the pixels of the screen, cleared; its context draws in CSS pixels.
function cleared(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) {
        canvas.width = w;
        canvas.height = h;
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = colors.card;
    context.fillRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    context.lineJoin = context.lineCap = "round";
    return { context, width, height };
}

function line(context, points, color, width = 1.5, dash = []) {
    context.beginPath();
    points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.strokeStyle = color;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.stroke();
    context.setLineDash([]);
}

function disc(context, [x, y], radius, fill, edge) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    if (fill) {
        context.fillStyle = fill;
        context.fill();
    }
    if (edge) {
        context.strokeStyle = edge;
        context.lineWidth = 2;
        context.stroke();
    }
}

function arrow(context, [x, y], [toX, toY], color, width = 3) {
    const [dx, dy] = [toX - x, toY - y];
    const length = Math.hypot(dx, dy);
    if (length < 1) return;
    const head = Math.min(10, 0.6 * length);
    const [ux, uy] = [dx / length, dy / length];
    line(
        context,
        [
            [x, y],
            [toX - head * ux, toY - head * uy],
        ],
        color,
        width,
    );
    context.beginPath();
    context.moveTo(toX, toY);
    context.lineTo(toX - head * ux - 0.5 * head * uy, toY - head * uy + 0.5 * head * ux);
    context.lineTo(toX - head * ux + 0.5 * head * uy, toY - head * uy - 0.5 * head * ux);
    context.fillStyle = color;
    context.fill();
}

// The limb's points in m: a chain of links, or the hand alone.
function limbPoints(state) {
    const hand = loop.hand(state).slice(0, 2);
    if (!model.plant.links.length) return [hand];
    const [first, second] = positionOf(state);
    const [upper, lower] = model.plant.links;
    const elbow = [upper * Math.cos(first), upper * Math.sin(first)];
    const end = [
        elbow[0] + lower * Math.cos(first + second),
        elbow[1] + lower * Math.sin(first + second),
    ];
    return [[0, 0], elbow, end];
}

// What the picture of the limb covers, in m: the limb at its start, all targets, and some more.
const extent = (() => {
    const points = [];
    for (let i = 0; i < trialCount; i += 1) {
        const n = loop.trials.target.shape[1];
        points.push(
            ...limbPoints(Array.from(loop.trials.initial_state.data.subarray(i * n, (i + 1) * n))),
        );
        points.push(
            loop.hand(Array.from(loop.trials.target.data.subarray(i * n, (i + 1) * n))).slice(0, 2),
        );
    }
    const xs = points.map((one) => one[0]);
    const ys = points.map((one) => one[1]);
    const around = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const room = 0.14 * Math.max(around[1] - around[0], around[3] - around[2], 0.1) + 0.02;
    return [around[0] - room, around[1] + room, around[2] - room, around[3] + room];
})();

function limbView(width, height) {
    const scale = Math.min(width / (extent[1] - extent[0]), height / (extent[3] - extent[2]));
    const [x, y] = [(extent[0] + extent[1]) / 2, (extent[2] + extent[3]) / 2];
    return {
        scale,
        to: (point) => [width / 2 + scale * (point[0] - x), height / 2 - scale * (point[1] - y)],
        from: (px, py) => [x + (px - width / 2) / scale, y - (py - height / 2) / scale],
    };
}

function drawLimb(canvas = byId("limb")) {
    const { context, width, height } = cleared(canvas);
    const view = limbView(width, height);
    const frame = frames[shown];
    const goal = loop.hand(frame.target).slice(0, 2);
    if (best && world.target === null) {
        const path = Array.from({ length: best.shape[1] }, (_, t) =>
            view.to(rowOf(best, condition, t)),
        );
        line(context, path, colors.best, 2, [5, 4]);
    }
    const points = limbPoints(frame.state).map(view.to);
    if (points.length > 1) {
        line(context, points, colors.limb, 12);
        if (model.plant.muscles) drawMuscles(context, frame, view);
        points.slice(0, 2).forEach((point) => disc(context, point, 5, colors.card, colors.limb));
    }
    const from = Math.max(0, shown - 4 * model.steps);
    const path = frames.slice(from, shown + 1).map((one) => view.to(one.hand));
    line(context, path, colors.path, 2.5);
    disc(context, view.to(goal), 9, null, colors.target);
    line(
        context,
        [
            [-4, 0],
            [4, 0],
        ].map(([a, b]) => add(view.to(goal), [a, b])),
        colors.target,
        2,
    );
    line(
        context,
        [
            [0, -4],
            [0, 4],
        ].map(([a, b]) => add(view.to(goal), [a, b])),
        colors.target,
        2,
    );
    const hand = view.to(frame.hand);
    disc(context, hand, 6, colors.path, colors.card);
    const acting = frame.force;
    if (Math.hypot(...acting) > 1e-3) {
        const tip = view.to(
            add(
                frame.hand.slice(0, 2),
                acting.map((one) => one / SPRING),
            ),
        );
        arrow(context, hand, tip, colors.push);
    }
    const bar = 0.05;
    const [x, y] = [12, height - 14];
    line(
        context,
        [
            [x, y],
            [x + bar * view.scale, y],
        ],
        colors.soft,
        2,
    );
    context.fillStyle = colors.soft;
    context.fillText("5 cm", x, y - 6);
}

const add = (one, two) => one.map((x, i) => x + two[i]);

function drawMuscles(context, frame, view) {
    const [shoulder, elbow, hand] = limbPoints(frame.state);
    const along = (a, b, share, side) => {
        const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
        const length = Math.hypot(dx, dy);
        const off = (0.022 * side) / length;
        return [a[0] + share * dx - off * dy, a[1] + share * dy + off * dx];
    };
    const [first] = model.parts.activation;
    const trunk = [-1, 1].map((side) => view.to([shoulder[0] - 0.02, shoulder[1] + 0.036 * side]));
    line(context, trunk, colors.limb, 5);
    model.plant.muscles.arms.forEach(([atShoulder, atElbow], i) => {
        const side = Math.sign(atShoulder || atElbow) * (atShoulder && atElbow ? 1.55 : 1);
        const trunk = [shoulder[0] - 0.02, shoulder[1] + 0.022 * side];
        const points = atShoulder
            ? [
                  trunk,
                  along(shoulder, elbow, 0.25, side),
                  ...(atElbow ? [along(elbow, hand, 0.12, side)] : []),
              ]
            : [
                  along(shoulder, elbow, 0.45, side),
                  along(elbow, hand, 0.08, side),
                  along(elbow, hand, 0.3, 0.5 * side),
              ];
        if (atShoulder && !atElbow) points.push(along(shoulder, elbow, 0.55, 0.4 * side));
        const activation = Math.max(0, frame.state[first + i]);
        const share = Math.sqrt(Math.min(1, activation));
        const color = `rgb(${mixed(colors.calm, colors.high, share).join(",")})`;
        line(context, points.map(view.to), color, 2.5 + 5 * share);
    });
}

// The steps that the pictures over time show: the trial, then a window that moves on.
function timeWindow() {
    const last = Math.max(model.steps, shown);
    return [last - model.steps, last];
}

function drawTimes(context, width, height, left) {
    const [first, last] = timeWindow();
    const y = height - 16;
    line(
        context,
        [
            [left, y],
            [width - 8, y],
        ],
        colors.line,
        1,
    );
    context.fillStyle = colors.soft;
    const parts = width < 340 ? 2 : 4;
    for (let i = 0; i <= parts; i += 1) {
        const at = left + ((width - 8 - left) * i) / parts;
        const seconds = model.dt * (first + ((last - first) * i) / parts);
        context.textAlign = i === 0 ? "left" : i === parts ? "right" : "center";
        context.fillText(`${seconds.toFixed(2)}${i === parts ? " s" : ""}`, at, height - 3);
    }
    context.textAlign = "left";
    return (t) => left + ((width - 8 - left) * (t - first)) / (last - first);
}

function drawCommands(canvas = byId("commands")) {
    const { context, width, height } = cleared(canvas);
    const left = 52;
    const toX = drawTimes(context, width, height, left);
    const [first] = timeWindow();
    const used = frames.slice(Math.max(1, first), shown + 1);
    let [low, high] = [Infinity, -Infinity];
    for (const one of used) {
        for (const u of one.commands) {
            low = Math.min(low, u);
            high = Math.max(high, u);
        }
    }
    if (!(high > low)) [low, high] = used.length ? [low - 0.01, high + 0.01] : [-0.1, 0.1];
    [low, high] = [Math.min(low, 0), Math.max(high, 0)];
    const toY = (u) => 12 + ((height - 36) * (high - u)) / (high - low);
    context.fillStyle = colors.soft;
    for (const level of [low, 0, high]) {
        if (level !== 0 && Math.abs(toY(level) - toY(0)) < 14) continue;
        line(
            context,
            [
                [left, toY(level)],
                [width - 8, toY(level)],
            ],
            colors.line,
            level === 0 ? 1.5 : 0.5,
        );
        context.fillText(level === 0 ? "0" : level.toPrecision(2), 4, toY(level) + 4);
    }
    const start = Math.max(1, first);
    loop.commands.forEach((_, i) => {
        const points = used.map((one, k) => [toX(start + k - 1), toY(one.commands[i])]);
        line(context, points, colors.lines[i % 6], 2, DASHES[i % 6]);
    });
}

function drawUnits(canvas = byId("units")) {
    const { context, width, height } = cleared(canvas);
    const left = 46;
    const toX = drawTimes(context, width, height, left);
    const [first] = timeWindow();
    const columns = model.steps;
    const centred = plane && byId("centred").checked;
    const image = new ImageData(columns, unitCount);
    for (let row = 0; row < unitCount; row += 1) {
        const unit = model.order.units[row];
        const lost = silent.has(unit);
        const middle = centred ? plane.mean[unit] : 0;
        for (let c = 0; c < columns; c += 1) {
            const frame = first + c + 1 <= shown ? frames[first + c + 1] : null;
            if (frame === null && !lost) continue;
            let color = frame ? rateColor(frame.rates[unit] - middle) : colors.zero;
            if (lost) color = mixed(color, colors.calm, 0.8);
            const at = 4 * (row * columns + c);
            [image.data[at], image.data[at + 1], image.data[at + 2]] = color;
            image.data[at + 3] = 255;
        }
    }
    const small = document.createElement("canvas");
    small.width = columns;
    small.height = unitCount;
    small.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    const tall = height - 20;
    context.drawImage(small, left, 0, width - 8 - left, tall);
    context.fillStyle = colors.soft;
    let row = 0;
    model.network.layers.forEach((units, i) => {
        context.fillText(`layer ${i + 1}`, 2, (tall * (row + units / 2)) / unitCount + 4);
        row += units;
        if (i + 1 < model.network.layers.length) {
            const y = (tall * row) / unitCount;
            line(
                context,
                [
                    [left - 6, y],
                    [width - 8, y],
                ],
                colors.ink,
                1,
            );
        }
    });
    for (let k = 0; k < unitCount; k += 1) {
        if (!silent.has(model.order.units[k])) continue;
        const y = (tall * (k + 0.5)) / unitCount;
        line(
            context,
            [
                [left - 5, y],
                [left - 1, y],
            ],
            colors.push,
            2,
        );
    }
    if (document.activeElement === canvas) {
        const y = (tall * cursor) / unitCount;
        context.strokeStyle = colors.ink;
        context.lineWidth = 1.5;
        context.strokeRect(left, y - 1, width - 8 - left, tall / unitCount + 2);
    }
    const x = toX(shown);
    line(
        context,
        [
            [x, 0],
            [x, tall],
        ],
        colors.soft,
        1,
    );
}

let flowField = null;
let flowRow = 0;
const GRID = 11;

const planeExtent =
    plane &&
    (() => {
        const { data } = plane.paths;
        const axis = (k) => {
            let [low, high] = [0, 0];
            for (let i = k; i < data.length; i += 2) {
                low = Math.min(low, data[i]);
                high = Math.max(high, data[i]);
            }
            const room = 0.2 * (high - low) + 1e-3;
            return [low - room, high + room];
        };
        return [axis(0), axis(1)];
    })();

// Where the state would go from points of the plane through it, with the input of now: the whole
// field while nothing moves, else one row of it at each picture.
function renewFlow() {
    const here = frames[shown].at;
    const whole = flowField === null || !playing;
    const bound = 0.9999 * model.largest;
    flowField = flowField ?? new Array(GRID * GRID);
    flowRow = (flowRow + 1) % GRID;
    for (let k = 0; k < GRID * GRID; k += 1) {
        if (!whole && k % GRID !== flowRow) continue;
        const at = [Math.floor(k / GRID), k % GRID].map((one, axis) => {
            const [low, high] = planeExtent[axis];
            return low + ((high - low) * (one + 0.5)) / GRID;
        });
        const [moveA, moveB] = [at[0] - here[0], at[1] - here[1]];
        const [axisA, axisB] = plane.axes;
        const rates = loop.network.rates.map((rate, u) =>
            Math.max(-bound, Math.min(bound, rate + moveA * axisA[u] + moveB * axisB[u])),
        );
        const next = inPlane(loop.flow(rates));
        flowField[k] = { at, by: [next[0] - at[0], next[1] - at[1]] };
    }
}

function drawPlane(canvas = byId("plane")) {
    const { context, width, height } = cleared(canvas);
    if (!plane) return;
    const margin = { left: 12, bottom: 20 };
    const to = (point) => [
        margin.left +
            ((width - margin.left - 8) * (point[0] - planeExtent[0][0])) /
                (planeExtent[0][1] - planeExtent[0][0]),
        8 +
            ((height - margin.bottom - 8) * (planeExtent[1][1] - point[1])) /
                (planeExtent[1][1] - planeExtent[1][0]),
    ];
    const live = shown === frames.length - 1 && loop.seen;
    if (live && model.network.flow) renewFlow();
    if (live && flowField) {
        const cell = Math.min(width, height) / GRID;
        const moves = flowField.map(({ at, by }) => ({ a: to(at), b: to(add(at, by)) }));
        const longest = Math.max(...moves.map(({ a, b }) => Math.hypot(b[0] - a[0], b[1] - a[1])));
        for (const { a, b } of moves) {
            const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
            const length = Math.hypot(dx, dy);
            if (!(length > 0)) continue;
            const long = 0.9 * cell * Math.sqrt(length / longest);
            arrow(
                context,
                a,
                [a[0] + (long * dx) / length, a[1] + (long * dy) / length],
                `rgb(${colors.calm})`,
                1.5,
            );
        }
    }
    const calm = Array.from({ length: plane.paths.shape[1] }, (_, t) =>
        to(rowOf(plane.paths, condition, t)),
    );
    line(context, calm, colors.best, 1.5, [5, 4]);
    const from = Math.max(1, shown - 2 * model.steps);
    line(
        context,
        frames.slice(from, shown + 1).map((one) => to(one.at)),
        colors.path,
        2,
    );
    if (world.target === null) {
        for (const point of model.plane.points[condition]) {
            if (point.fixed)
                disc(context, to(point.at), 6, point.stable ? colors.target : null, colors.target);
            else disc(context, to(point.at), 4, null, colors.push);
        }
    }
    if (shown > 0) disc(context, to(frames[shown].at), 6, colors.path, colors.card);
    context.fillStyle = colors.soft;
    context.fillText("component 1 →", margin.left, height - 5);
    context.save();
    context.translate(11, height - margin.bottom - 4);
    context.rotate(-Math.PI / 2);
    context.fillText("component 2 →", 0, 0);
    context.restore();
}

function drawScale() {
    const { context, width, height } = cleared(byId("scale"));
    for (let x = 0; x < width; x += 1) {
        context.fillStyle = `rgb(${rateColor(model.largest * ((2 * x) / width - 1)).join(",")})`;
        context.fillRect(x, 0, 1, height);
    }
}

function drawNumbers() {
    const frame = frames[shown];
    const goal = loop.hand(frame.target);
    const away = 100 * Math.hypot(frame.hand[0] - goal[0], frame.hand[1] - goal[1]);
    const force = Math.hypot(...frame.force);
    const rows = [
        ["time", `${(shown * model.dt).toFixed(2)} s of ${(model.steps * model.dt).toFixed(2)} s`],
        ["loss so far", model.cost.energy === null ? "–" : number(frame.loss)],
        [
            best ? `${model.reference.name.split(",")[0]}'s loss` : "iLQR's loss",
            best ? number(model.reference.losses[condition]) : "–",
        ],
        ["hand to target", `${number(away)} cm`],
        ["speed of the hand", `${number(100 * Math.hypot(frame.hand[2], frame.hand[3]))} cm/s`],
        ["force on the hand", `${number(force)} N`],
        ["silenced units", `${silent.size} of ${unitCount}`],
    ];
    const list = byId("numbers");
    if (list.children.length !== rows.length) {
        list.replaceChildren(
            ...rows.map(([name]) => {
                const row = document.createElement("div");
                const term = document.createElement("dt");
                term.textContent = name;
                row.append(term, document.createElement("dd"));
                return row;
            }),
        );
    }
    rows.forEach(([, value], i) => (list.children[i].lastChild.textContent = value));
    const time = byId("time");
    time.max = String(frames.length - 1);
    time.value = String(shown);
    byId("time-value").textContent = `${(shown * model.dt).toFixed(2)} s`;
}

function draw() {
    drawLimb();
    drawCommands();
    drawUnits();
    drawPlane();
    drawNumbers();
}
