// What a person sees and does: the pictures, the tools, the clock. `engine.js` computes.

const model = JSON.parse(document.getElementById("model").textContent);
const loop = new Loop(model, physics);
const trialCount = loop.trials.initial_state.shape[0];
const unitCount = loop.network.size;
const LONGEST = 6000; // steps that are kept
const SPRING = 40; // N/m: force of a push by the length of its arrow
const byId = (id) => document.getElementById(id);

let world = freshWorld(model);
let condition = 0;
let seed = 1;
let frames = []; // all that happened, one entry before each step
let shown = 0; // the entry in the pictures
let playing = false;
let replaying = false;
let speed = 0.5;
let tool = "push";
let drag = null; // where the pointer is, in m
let keys = [0, 0]; // a push by the keyboard, N
let silent = new Set();
let owed = 0; // seconds of the trial that the clock has run ahead
let stopsAtEnd = false;
let cursor = 0; // row of the units that the keyboard is at

const plane = model.plane && {
  mean: decoded(model.plane.mean).data,
  axes: [0, 1].map((k) => decoded(model.plane.axes).data.subarray(k * unitCount, (k + 1) * unitCount)),
  paths: decoded(model.plane.paths),
};
const best = model.reference.name && decoded(model.reference.paths);

// ---- the clock ----

function remember() {
  const hand = loop.hand(loop.state);
  frames.push({
    state: loop.state,
    commands: loop.commands,
    rates: Float64Array.from(loop.network.rates),
    hand,
    push: world.push.slice(),
    target: Array.from(loop.target(world)),
    loss: loop.loss,
    at: plane && inPlane(loop.network.rates),
  });
}

function restart(words) {
  loop.reset(condition, seed);
  silent.forEach((unit) => loop.network.lesion(unit, true));
  world.target = null;
  world.push = [0, 0];
  drag = null;
  frames = [];
  flowField = null;
  owed = 0;
  replaying = false;
  remember();
  show(0);
  if (words) say(words);
}

function advance() {
  const holds = drag !== null && tool === "hand";
  world.push = [0, 0];
  if (drag !== null && tool === "push") {
    const hand = loop.hand(loop.state);
    world.push = [SPRING * (drag[0] - hand[0]), SPRING * (drag[1] - hand[1])];
  }
  world.push = world.push.map((one, i) => one + keys[i]);
  if (holds) loop.place(loop.reach(drag, positionOf(loop.state)));
  loop.step(world);
  const [start, end] = model.parts.velocity;
  if (loop.state.slice(start, end).some((one) => !(Math.abs(one) < 1e3))) {
    pause("The limb moves faster than any limb can. The page stops here: restart.");
    frames.length = Math.max(1, frames.length - 1);
    return false;
  }
  remember();
  if (loop.t === model.steps) {
    if (stopsAtEnd) pause(endWords());
    else say(endWords());
  }
  if (frames.length > LONGEST) {
    pause("The page keeps 60 seconds. Restart to go on.");
  }
  return true;
}

function endWords() {
  const words = `The trial has ended with a loss of ${number(loop.loss)}.`;
  return stopsAtEnd ? words : `${words} The network goes on.`;
}

function tick(now) {
  const passed = Math.min((now - (tick.before ?? now)) / 1000, 0.1);
  tick.before = now;
  if (replaying || playing) {
    owed += passed * speed;
    while (owed >= model.dt && (playing || replaying)) {
      owed -= model.dt;
      if (replaying) {
        if (shown + 1 < frames.length) shown += 1;
        else pause("The replay has ended.");
      } else if (!advance()) break;
    }
    if (!replaying) shown = frames.length - 1;
    draw();
  }
  requestAnimationFrame(tick);
}

function play() {
  if (frames.length > LONGEST) restart();
  if (stopsAtEnd && loop.t >= model.steps) restart();
  replaying = false;
  playing = true;
  byId("play").textContent = "Pause";
}

function pause(words) {
  playing = replaying = false;
  byId("play").textContent = "Play";
  if (words) say(words);
}

function show(entry) {
  shown = Math.max(0, Math.min(entry, frames.length - 1));
  draw();
}

function say(words) {
  byId("said").textContent = words;
}

// ---- numbers and colours ----

function number(value) {
  if (value === null || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e4) ? value.toExponential(2) : value.toPrecision(3);
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
  colors.lines = [colors.one, colors.two, colors.three, colors.four, colors.five, colors.six];
}

const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [], [6, 3]];

function mixed(from, to, share) {
  return from.map((one, i) => Math.round(one + (to[i] - one) * Math.min(1, Math.max(0, share))));
}

function rateColor(rate) {
  return mixed(colors.zero, rate < 0 ? colors.low : colors.high, Math.sqrt(Math.abs(rate)));
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
  line(context, [[x, y], [toX - head * ux, toY - head * uy]], color, width);
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
  const end = [elbow[0] + lower * Math.cos(first + second), elbow[1] + lower * Math.sin(first + second)];
  return [[0, 0], elbow, end];
}

// What the picture of the limb covers, in m: the limb at its start, all targets, and some more.
const extent = (() => {
  const points = [];
  for (let i = 0; i < trialCount; i += 1) {
    const n = loop.trials.target.shape[1];
    points.push(...limbPoints(Array.from(loop.trials.initial_state.data.subarray(i * n, (i + 1) * n))));
    points.push(loop.hand(Array.from(loop.trials.target.data.subarray(i * n, (i + 1) * n))).slice(0, 2));
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
    const path = Array.from({ length: best.shape[1] }, (_, t) => view.to(rowOf(best, condition, t)));
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
  line(context, [[-4, 0], [4, 0]].map(([a, b]) => add(view.to(goal), [a, b])), colors.target, 2);
  line(context, [[0, -4], [0, 4]].map(([a, b]) => add(view.to(goal), [a, b])), colors.target, 2);
  const hand = view.to(frame.hand);
  disc(context, hand, 6, colors.path, colors.card);
  const acting = forceShown(frame);
  if (Math.hypot(...acting) > 1e-3) {
    const tip = view.to(add(frame.hand.slice(0, 2), acting.map((one) => one / SPRING)));
    arrow(context, hand, tip, colors.push);
  }
  const bar = 0.05;
  const [x, y] = [12, height - 14];
  line(context, [[x, y], [x + bar * view.scale, y]], colors.soft, 2);
  context.fillStyle = colors.soft;
  context.fillText("5 cm", x, y - 6);
}

const add = (one, two) => one.map((x, i) => x + two[i]);

// A force on the hand: a person's, and the trial's own at that step.
function forceShown(frame) {
  const own = loop.part("hand_force", frames.indexOf(frame));
  return own === null ? frame.push : frame.push.map((one, i) => one + world.loads * own[i]);
}

function drawMuscles(context, frame, view) {
  const [shoulder, elbow, hand] = limbPoints(frame.state);
  const along = (a, b, share, side) => {
    const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
    const length = Math.hypot(dx, dy);
    const off = (0.022 * side) / length;
    return [a[0] + share * dx - off * dy, a[1] + share * dy + off * dx];
  };
  const [first] = model.parts.activation;
  model.plant.muscles.arms.forEach(([atShoulder, atElbow], i) => {
    const side = Math.sign(atShoulder || atElbow) * (atShoulder && atElbow ? 1.55 : 1);
    const trunk = [shoulder[0] - 0.02, shoulder[1] + 0.022 * side];
    const points = atShoulder
      ? [trunk, along(shoulder, elbow, 0.25, side), ...(atElbow ? [along(elbow, hand, 0.12, side)] : [])]
      : [along(shoulder, elbow, 0.45, side), along(elbow, hand, 0.08, side), along(elbow, hand, 0.3, 0.5 * side)];
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
  line(context, [[left, y], [width - 8, y]], colors.line, 1);
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
  const left = 46;
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
    line(context, [[left, toY(level)], [width - 8, toY(level)]], colors.line, level === 0 ? 1.5 : 0.5);
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
  const image = new ImageData(columns, unitCount);
  for (let c = 0; c < columns; c += 1) {
    const frame = first + c + 1 <= shown ? frames[first + c + 1] : null;
    for (let row = 0; row < unitCount; row += 1) {
      const unit = model.order.units[row];
      const at = 4 * (row * columns + c);
      let color = frame ? rateColor(frame.rates[unit]) : colors.zero;
      if (silent.has(unit)) color = mixed(color, colors.calm, 0.8);
      image.data.set([...color, frame || silent.has(unit) ? 255 : 0], at);
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
      line(context, [[left - 6, y], [width - 8, y]], colors.ink, 1);
    }
  });
  for (let k = 0; k < unitCount; k += 1) {
    if (!silent.has(model.order.units[k])) continue;
    const y = (tall * (k + 0.5)) / unitCount;
    line(context, [[left - 5, y], [left - 1, y]], colors.push, 2);
  }
  if (document.activeElement === canvas) {
    const y = (tall * cursor) / unitCount;
    context.strokeStyle = colors.ink;
    context.lineWidth = 1.5;
    context.strokeRect(left, y - 1, width - 8 - left, tall / unitCount + 2);
  }
  const x = toX(shown);
  line(context, [[x, 0], [x, tall]], colors.soft, 1);
}

let flowField = null;
let flowAge = 0;
const GRID = 11;

const planeExtent = plane && (() => {
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

// Where the state would go from points of the plane through it, with the input of now.
function newFlow() {
  const here = frames[shown].at;
  flowField = [];
  for (let i = 0; i < GRID; i += 1) {
    for (let j = 0; j < GRID; j += 1) {
      const at = [i, j].map((one, k) => {
        const [low, high] = planeExtent[k];
        return low + ((high - low) * (one + 0.5)) / GRID;
      });
      const rates = loop.network.rates.map((rate, u) => {
        const moved = rate + (at[0] - here[0]) * plane.axes[0][u] + (at[1] - here[1]) * plane.axes[1][u];
        return Math.max(-0.9999, Math.min(0.9999, moved));
      });
      const next = inPlane(loop.flow(rates));
      flowField.push({ at, by: [next[0] - at[0], next[1] - at[1]] });
    }
  }
}

function drawPlane(canvas = byId("plane")) {
  const { context, width, height } = cleared(canvas);
  if (!plane) return;
  const margin = { left: 12, bottom: 20 };
  const to = (point) => [
    margin.left + ((width - margin.left - 8) * (point[0] - planeExtent[0][0])) / (planeExtent[0][1] - planeExtent[0][0]),
    8 + ((height - margin.bottom - 8) * (planeExtent[1][1] - point[1])) / (planeExtent[1][1] - planeExtent[1][0]),
  ];
  const live = shown === frames.length - 1 && loop.seen;
  if (live && (flowField === null || !playing || (flowAge += 1) >= 6)) {
    newFlow();
    flowAge = 0;
  }
  if (live && flowField) {
    const cell = Math.min(width, height) / GRID;
    const moves = flowField.map(({ at, by }) => ({ a: to(at), b: to(add(at, by)) }));
    const longest = Math.max(...moves.map(({ a, b }) => Math.hypot(b[0] - a[0], b[1] - a[1])));
    for (const { a, b } of moves) {
      const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
      const length = Math.hypot(dx, dy);
      if (!(length > 0)) continue;
      const long = 0.9 * cell * Math.sqrt(length / longest);
      arrow(context, a, [a[0] + (long * dx) / length, a[1] + (long * dy) / length], `rgb(${colors.calm})`, 1.5);
    }
  }
  const calm = Array.from({ length: plane.paths.shape[1] }, (_, t) => to(rowOf(plane.paths, condition, t)));
  line(context, calm, colors.best, 1.5, [5, 4]);
  const from = Math.max(1, shown - 2 * model.steps);
  line(context, frames.slice(from, shown + 1).map((one) => to(one.at)), colors.path, 2);
  if (world.target === null) {
    for (const point of model.plane.points[condition]) {
      if (point.fixed) disc(context, to(point.at), 6, point.stable ? colors.target : null, colors.target);
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
    context.fillStyle = `rgb(${rateColor((2 * x) / width - 1).join(",")})`;
    context.fillRect(x, 0, 1, height);
  }
}

function drawNumbers() {
  const frame = frames[shown];
  const goal = loop.hand(frame.target);
  const away = 100 * Math.hypot(frame.hand[0] - goal[0], frame.hand[1] - goal[1]);
  const force = Math.hypot(...forceShown(frame));
  const rows = [
    ["time", `${(shown * model.dt).toFixed(2)} s of ${(model.steps * model.dt).toFixed(2)} s`],
    ["loss so far", model.cost.energy === null ? "–" : number(frame.loss)],
    [best ? `${model.reference.name.split(",")[0]}'s loss` : "iLQR's loss", best ? number(model.reference.losses[condition]) : "–"],
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

// ---- the world's sliders ----

const maxDelay = Math.max(30, 2 * model.delay);
const loadSize = 0.3 * model.plant.loadScale * (/\(N\)/.test(model.labels.load[0]) ? 10 : 1);
const hasLoads = ["load", "hand_force", "field"].some((name) => loop.trials[name] !== null);
const SLIDERS = [
  { key: "speed", label: "Speed of the clock", min: 0.05, max: 1, step: 0.05, unit: "×", get: () => speed, set: (v) => (speed = v) },
  { key: "delay", label: "Delay of the senses", min: 0, max: maxDelay, step: 1, unit: "ms", scale: 1000 * model.dt, get: () => world.delay, set: (v) => (world.delay = v) },
  { key: "noise", label: model.noisy ? "Noise, times the task's" : "Noise, times 10 % of the command", min: 0, max: 3, step: 0.1, unit: "×", get: () => world.noise, set: (v) => (world.noise = v) },
  ...(hasLoads ? [{ key: "loads", label: "The trial's own loads", min: 0, max: 2, step: 0.1, unit: "×", get: () => world.loads, set: (v) => (world.loads = v) }] : []),
  ...model.labels.load.map((label, i) => ({
    key: `load${i}`, label: `More load: ${label.replace(/ \(.*/, "")}`, min: -loadSize, max: loadSize, step: loadSize / 30,
    unit: label.match(/\((.*)\)/)?.[1] ?? "", get: () => world.load[i], set: (v) => (world.load[i] = v),
  })),
  ...(model.plant.field ? [{ key: "curl", label: "Curl field", min: -20 * model.plant.loadScale, max: 20 * model.plant.loadScale, step: model.plant.loadScale, unit: "N s/m", get: () => world.curl, set: (v) => (world.curl = v) }] : []),
];

function makeSliders() {
  for (const one of SLIDERS) {
    const label = document.createElement("label");
    label.className = "slider";
    label.htmlFor = `set-${one.key}`;
    const value = document.createElement("output");
    label.append(one.label, value);
    const input = document.createElement("input");
    Object.assign(input, { type: "range", id: `set-${one.key}`, min: one.min, max: one.max, step: one.step });
    input.addEventListener("input", () => {
      const given = Number(input.value);
      one.set(Math.abs(given) < one.step / 2 ? 0 : given);
      writeSliders();
      keepLink();
    });
    one.input = input;
    one.output = value;
    byId("sliders").append(label, input);
  }
  writeSliders();
}

function writeSliders() {
  for (const one of SLIDERS) {
    one.input.value = String(one.get());
    const words = `${Number((one.get() * (one.scale ?? 1)).toPrecision(3))} ${one.unit}`;
    one.output.textContent = words;
    one.input.setAttribute("aria-valuetext", words);
  }
}

// ---- links, files ----

function link() {
  const said = new URLSearchParams();
  said.set("trial", String(condition));
  const usual = freshWorld(model);
  for (const [key, value, own] of [
    ["delay", world.delay, usual.delay],
    ["noise", world.noise, usual.noise],
    ["loads", world.loads, 1],
    ["load", world.load.join(","), usual.load.join(",")],
    ["curl", world.curl, 0],
    ["speed", speed, 0.5],
    ["stop", Number(stopsAtEnd), 0],
    ["silent", [...silent].join(","), ""],
    ["target", world.target ? world.target.map((x) => x.toFixed(4)).join(",") : "", ""],
  ]) {
    if (value !== own) said.set(key, String(value));
  }
  return `#${said}`;
}

function keepLink() {
  try {
    history.replaceState(null, "", link());
  } catch {
    // a page within another one may have no address of its own
  }
}

function readLink() {
  const said = new URLSearchParams(location.hash.slice(1));
  const finite = (key, low, high, set) => {
    const value = Number(said.get(key));
    if (said.has(key) && Number.isFinite(value)) set(Math.min(high, Math.max(low, value)));
  };
  const list = (key) => (said.get(key) || "").split(",").filter(Boolean).map(Number);
  finite("trial", 0, trialCount - 1, (v) => (condition = Math.round(v)));
  finite("delay", 0, maxDelay, (v) => (world.delay = Math.round(v)));
  finite("noise", 0, 3, (v) => (world.noise = v));
  finite("loads", 0, 2, (v) => (world.loads = v));
  finite("curl", -1e4, 1e4, (v) => (world.curl = model.plant.field ? v : 0));
  finite("speed", 0.05, 1, (v) => (speed = v));
  finite("stop", 0, 1, (v) => (stopsAtEnd = v === 1));
  const load = list("load");
  if (load.length === world.load.length && load.every(Number.isFinite)) world.load = load;
  list("silent").forEach((unit) => {
    if (Number.isInteger(unit) && unit >= 0 && unit < unitCount) silent.add(unit);
  });
  const target = list("target");
  return target.length === model.labels.state.length && target.every(Number.isFinite) ? target : null;
}

function save(blob, name) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(blob);
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10000);
}

const fileName = `${model.title.replace(/[^A-Za-z0-9]+/g, "-")}-trial-${condition + 1}`;

function csvText() {
  const plain = (label) => `"${label.replace(/"/g, '""')}"`;
  const units = Array.from({ length: unitCount }, (_, i) => `unit ${i} (rate)`);
  const names = [
    "time (s)", ...model.labels.state, ...model.labels.command, "hand x (m)", "hand y (m)",
    "push x (N)", "push y (N)", "loss so far", ...units,
  ];
  const rows = frames.map((one, t) => {
    const next = frames[t + 1]; // commands and rates belong to the step that follows a state
    const command = next ? next.commands : one.commands.map(() => "");
    const rates = next ? Array.from(next.rates) : Array.from(one.rates, () => "");
    const push = next ? next.push : ["", ""];
    return [t * model.dt, ...one.state, ...command, one.hand[0], one.hand[1], ...push, one.loss, ...rates].join(",");
  });
  return `${names.map(plain).join(",")}\n${rows.join("\n")}\n`;
}

function pictureOfAll() {
  const parts = ["limb", "commands", "units", "plane"].map(byId);
  const ratio = window.devicePixelRatio || 1;
  const wide = Math.max(...parts.map((one) => one.clientWidth));
  const sheet = document.createElement("canvas");
  const gap = 30;
  sheet.width = ratio * (2 * wide + 3 * 16);
  const left = parts[0].clientHeight;
  const right = parts.slice(1).reduce((sum, one) => sum + one.clientHeight + gap, 0);
  sheet.height = ratio * (Math.max(left + gap, right) + 60);
  const context = sheet.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = colors.paper;
  context.fillRect(0, 0, sheet.width, sheet.height);
  context.fillStyle = colors.ink;
  context.font = "bold 16px system-ui, sans-serif";
  context.fillText(`${model.title}, ${model.names[condition]}`, 16, 26);
  context.font = "13px system-ui, sans-serif";
  const place = (canvas, words, x, y) => {
    context.fillStyle = colors.soft;
    context.fillText(words, x, y + 16);
    context.drawImage(canvas, x, y + 22, canvas.clientWidth, canvas.clientHeight);
    return y + canvas.clientHeight + gap;
  };
  place(parts[0], "limb", 16, 36);
  let y = place(parts[1], "commands", wide + 32, 36);
  y = place(parts[2], "hidden units", wide + 32, y);
  place(parts[3], "state of the network", wide + 32, y);
  return sheet;
}

// ---- hands and keys ----

function pointerAt(event) {
  const canvas = byId("limb");
  const box = canvas.getBoundingClientRect();
  return limbView(canvas.clientWidth, canvas.clientHeight).from(event.clientX - box.left, event.clientY - box.top);
}

function moveTarget(point) {
  const goal = Array.from(model.plant.home, () => 0);
  const own = world.target ?? Array.from(loop.target(world));
  loop.reach(point, positionOf(own)).forEach((angle, i) => (goal[model.parts.position[0] + i] = angle));
  world.target = goal;
  frames[frames.length - 1].target = goal;
}

function useTool(point) {
  drag = point;
  shown = frames.length - 1;
  if (tool === "target") {
    moveTarget(point);
    drag = null;
    keepLink();
  }
  if (tool === "hand" && !playing) {
    loop.place(loop.reach(point, positionOf(loop.state)));
    const frame = frames[frames.length - 1];
    frame.state = loop.state;
    frame.hand = loop.hand(loop.state);
  }
  draw();
}

function listenToLimb() {
  const canvas = byId("limb");
  let held = false;
  canvas.addEventListener("pointerdown", (event) => {
    held = true;
    canvas.setPointerCapture(event.pointerId);
    if (!playing && tool !== "hand") play();
    useTool(pointerAt(event));
  });
  canvas.addEventListener("pointermove", (event) => held && useTool(pointerAt(event)));
  const end = () => {
    held = false;
    drag = null;
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  canvas.addEventListener("keydown", (event) => {
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    if (tool === "push") {
      keys = way.map((one) => one * SPRING * 0.05);
      if (!playing) play();
      return;
    }
    const from = tool === "target" ? loop.hand(Array.from(loop.target(world))) : loop.hand(loop.state);
    useTool([from[0] + 0.005 * way[0], from[1] + 0.005 * way[1]]);
    drag = null;
  });
  canvas.addEventListener("keyup", () => (keys = [0, 0]));
  canvas.addEventListener("blur", () => (keys = [0, 0]));
}

function toggle(unit) {
  const now = !silent.has(unit);
  if (now) silent.add(unit);
  else silent.delete(unit);
  loop.network.lesion(unit, now);
  const direction = model.order.directions[unit];
  const tuned = direction === null ? "" : `, preferred direction ${Math.round(direction)}°`;
  say(`Unit ${unit}${tuned}: ${now ? "silenced, nothing reads its rate any more" : "restored"}.`);
  flowField = null;
  keepLink();
  draw();
}

function listenToUnits() {
  const canvas = byId("units");
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const row = Math.floor((unitCount * (event.clientY - box.top)) / (canvas.clientHeight - 20));
    if (row < 0 || row >= unitCount) return;
    cursor = row;
    toggle(model.order.units[row]);
  });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 };
    if (event.key in moves) {
      event.preventDefault();
      cursor = Math.max(0, Math.min(unitCount - 1, cursor + moves[event.key]));
      const unit = model.order.units[cursor];
      say(`Unit ${unit}${silent.has(unit) ? ", silenced" : ""}. Enter silences or restores it.`);
      draw();
    } else if (event.key === "Enter") {
      event.preventDefault();
      toggle(model.order.units[cursor]);
    }
  });
  canvas.addEventListener("focus", draw);
  canvas.addEventListener("blur", draw);
}

function choose(name) {
  tool = name;
  document.querySelector(`input[name="tool"][value="${name}"]`).checked = true;
}

const actions = {
  play: () => (playing || replaying ? pause() : play()),
  step: () => {
    pause();
    if (shown < frames.length - 1) return show(shown + 1);
    advance();
    return show(frames.length - 1);
  },
  restart: () => restart("From the start."),
  replay: () => {
    playing = false;
    replaying = true;
    shown = 0;
    owed = 0;
    byId("play").textContent = "Pause";
    say("What happened, once more.");
  },
  share: async () => {
    const address = location.href.split("#")[0] + link();
    keepLink();
    try {
      await navigator.clipboard.writeText(address);
      say("The link is copied. It holds the trial, the sliders, the target and the silenced units.");
    } catch {
      say("The address of this page now holds the trial, the sliders and the silenced units.");
    }
  },
  png: () => pictureOfAll().toBlob((blob) => save(blob, `${fileName}.png`)),
  csv: () => save(new Blob([csvText()], { type: "text/csv" }), `${fileName}.csv`),
  theme: () => setTheme(!document.documentElement.classList.contains("dark")),
  reset: () => {
    world = freshWorld(model);
    writeSliders();
    keepLink();
    restart("All is as in the task; silenced units stay silent.");
  },
  restore: () => {
    [...silent].forEach((unit) => loop.network.lesion(unit, false));
    silent = new Set();
    say("Every unit is back.");
    keepLink();
    draw();
  },
  "lesion-some": () => {
    const rest = model.order.units.filter((unit) => !silent.has(unit));
    for (let i = 0; i < 10 && rest.length; i += 1) {
      const [unit] = rest.splice(Math.floor(Math.random() * rest.length), 1);
      silent.add(unit);
      loop.network.lesion(unit, true);
    }
    say(`${silent.size} units are silent.`);
    keepLink();
    draw();
  },
};

function setTheme(dark) {
  document.documentElement.classList.toggle("dark", dark);
  byId("theme").setAttribute("aria-pressed", String(dark));
  readColors();
  writeKeys();
  drawScale();
  draw();
}

// ---- words ----

function keyEntry(text, color, kind, dash) {
  const entry = document.createElement("span");
  const mark = document.createElement("i");
  if (kind) mark.className = kind;
  mark.style.color = color;
  mark.style.borderColor = color;
  if (dash) mark.style.borderTopStyle = "dashed";
  entry.append(mark, text);
  return entry;
}

function writeKeys() {
  byId("limb-key").replaceChildren(
    keyEntry("hand", colors.path),
    ...(best ? [keyEntry(model.reference.name, colors.best, "", true)] : []),
    keyEntry("target", colors.target, "dot"),
    keyEntry("force on the hand", colors.push),
    ...(model.plant.muscles ? [keyEntry("active muscle", `rgb(${colors.high})`)] : []),
  );
  byId("commands-key").replaceChildren(
    ...model.labels.command.map((label, i) => keyEntry(label, colors.lines[i % 6], "", DASHES[i % 6].length > 0)),
  );
  byId("plane-key").replaceChildren(
    keyEntry("state", colors.path),
    keyEntry("in the task", colors.best, "", true),
    keyEntry("where it would go", `rgb(${colors.calm})`),
    ...(plane && model.plane.points.some((one) => one.length)
      ? [keyEntry("stable fixed point", colors.target, "dot full"), keyEntry("unstable", colors.target, "dot"), keyEntry("slow point", colors.push, "dot")]
      : []),
  );
}

function writeWords() {
  const network = `${model.network.layers.join(" + ")} units`;
  const delay = Math.round(1000 * model.dt * model.delay);
  byId("subtitle").textContent =
    `${model.task} on a ${model.plant.name}: ${network}, ${delay} ms of delay, ${model.steps} steps of ${1000 * model.dt} ms.`;
  byId("units-help").textContent =
    (model.order.by ? `Rows: units by preferred direction of the ${model.order.by}, layer by layer. ` : "Rows: units by number, layer by layer. ") +
    "Click a row to silence the unit, and again to restore it. With the keyboard, the arrow keys choose a row and Enter silences it.";
  byId("plane-help").textContent = plane
    ? `The first two principal components of all rates hold ${model.plane.explained.map((one) => `${Math.round(100 * one)} %`).join(" and ")} of their variance. Arrows and fixed points hold the input: arrows that of now, fixed points that at the trial's end.`
    : "The rates do not vary in a plane.";
  const expected = decoded(model.expected.states);
  let worst = 0;
  const check = new Loop(model, physics);
  const draws = loop.trials.unit_noise === null ? trialCount : loop.trials.unit_noise.shape[0];
  for (let i = 0; i < Math.min(draws, trialCount); i += 1) {
    const { states } = wholeTrial(check, i);
    const n = expected.shape[1];
    const wanted = expected.data.subarray(i * n, (i + 1) * n);
    const size = Math.max(...wanted.map(Math.abs));
    states.at(-1).forEach((x, k) => (worst = Math.max(worst, Math.abs(x - wanted[k]) / size)));
  }
  byId("about").textContent =
    `The whole closed loop runs in this page, in double precision. Its trials end where the Python package's do, up to ${worst.toExponential(0)} of the largest number of the state. ` +
    (best ? "" : `There is no path of iLQR here: ${model.reference.why} `);
  byId("about").dataset.worst = String(worst);
}

// ---- the start ----

function start() {
  const target = readLink();
  const select = byId("condition");
  model.names.forEach((name, i) => select.add(new Option(name, String(i))));
  select.value = String(condition);
  select.addEventListener("change", () => {
    condition = Number(select.value);
    restart();
    keepLink();
  });
  byId("stop").checked = stopsAtEnd;
  byId("stop").addEventListener("change", (event) => {
    stopsAtEnd = event.target.checked;
    keepLink();
  });
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
  document.querySelectorAll('input[name="tool"]').forEach((one) =>
    one.addEventListener("change", () => choose(one.value)),
  );
  byId("time").addEventListener("input", (event) => {
    pause();
    show(Number(event.target.value));
  });
  document.addEventListener("keydown", (event) => {
    const own = /^(INPUT|SELECT|BUTTON)$/.test(event.target.tagName);
    if (own || event.ctrlKey || event.metaKey || event.altKey) return;
    const known = { " ": actions.play, ".": actions.step, r: actions.restart, v: actions.replay };
    const tools = { p: "push", h: "hand", t: "target" };
    const pressed = event.key.toLowerCase();
    if (!(pressed in known) && !(pressed in tools)) return;
    event.preventDefault();
    if (pressed in known) known[pressed]();
    else choose(tools[pressed]);
  });
  const prefers = window.matchMedia("(prefers-color-scheme: dark)");
  document.documentElement.classList.toggle("dark", prefers.matches);
  byId("theme").setAttribute("aria-pressed", String(prefers.matches));
  prefers.addEventListener("change", (event) => setTheme(event.matches));
  readColors();
  makeSliders();
  writeKeys();
  listenToLimb();
  listenToUnits();
  restart();
  if (target) {
    world.target = target;
    frames[0].target = target;
  }
  drawScale();
  draw();
  writeWords();
  new ResizeObserver(() => {
    drawScale();
    draw();
  }).observe(document.querySelector("main"));
  if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) play();
  requestAnimationFrame(tick);
}

start();
