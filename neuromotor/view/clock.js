// What happens in the page, step by step: its state and its clock. `engine.js` computes.

const model = JSON.parse(document.getElementById("model").textContent);
const loop = new Loop(model, physics);
const trialCount = loop.trials.initial_state.shape[0];
const unitCount = loop.network.size;
const LONGEST = 6000; // steps that are kept
const SPRING = 40; // N/m: force of a push by the length of its arrow
const SEED = 1; // of the draws beyond those of the trials
const byId = (id) => document.getElementById(id);

let world = freshWorld(model);
let condition = 0;
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
    axes: [0, 1].map((k) =>
        decoded(model.plane.axes).data.subarray(k * unitCount, (k + 1) * unitCount),
    ),
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
        force: loop.force.slice(), // a person's, the trial's own, and that of a field at rest
        target: Array.from(loop.target(world)),
        loss: loop.loss,
        at: plane && inPlane(loop.network.rates),
    });
}

function restart(words) {
    loop.reset(condition, SEED);
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
        return false;
    }
    remember();
    if (loop.t === model.steps) {
        if (stopsAtEnd) pause(endWords());
        else say(endWords());
    }
    if (frames.length > LONGEST) {
        pause(`The page keeps ${Math.round(LONGEST * model.dt)} seconds. Restart to go on.`);
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
        const due = owed >= model.dt;
        while (owed >= model.dt && (playing || replaying)) {
            owed -= model.dt;
            if (replaying) {
                if (shown + 1 < frames.length) shown += 1;
                else pause("The replay has ended.");
            } else if (!advance()) break;
        }
        if (!replaying) shown = frames.length - 1;
        if (due) draw();
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
