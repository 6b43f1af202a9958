// What a person does: pointer, keys, buttons; the words of the page; and how it starts.

// ---- hands and keys ----

function pointerAt(event) {
    const canvas = byId("limb");
    const box = canvas.getBoundingClientRect();
    return limbView(canvas.clientWidth, canvas.clientHeight).from(
        event.clientX - box.left,
        event.clientY - box.top,
    );
}

function moveTarget(point) {
    const goal = Array.from(model.plant.home, () => 0);
    const own = world.target ?? Array.from(loop.target(world));
    loop.reach(point, positionOf(own)).forEach(
        (angle, i) => (goal[model.parts.position[0] + i] = angle),
    );
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
        const from =
            tool === "target" ? loop.hand(Array.from(loop.target(world))) : loop.hand(loop.state);
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
        const row = Math.floor(
            (unitCount * (event.clientY - box.top)) / (canvas.clientHeight - 20),
        );
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
            say(
                `Unit ${unit}${silent.has(unit) ? ", silenced" : ""}. Enter changes that.`,
            );
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
            say(
                "The link is copied. It holds trial, sliders, target and silenced units.",
            );
        } catch {
            say(
                "The address of this page now holds the trial, the sliders and the silenced units.",
            );
        }
    },
    png: () => pictureOfAll().toBlob((blob) => save(blob, `${fileName()}.png`)),
    csv: () => save(new Blob([csvText()], { type: "text/csv" }), `${fileName()}.csv`),
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
        ...model.labels.command.map((label, i) =>
            keyEntry(label, colors.lines[i % 6], "", DASHES[i % 6].length > 0),
        ),
    );
    byId("plane-key").replaceChildren(
        keyEntry("state", colors.path),
        keyEntry("in the task", colors.best, "", true),
        ...(model.network.flow ? [keyEntry("where it would go", `rgb(${colors.calm})`)] : []),
        ...(plane && model.plane.points.some((one) => one.length)
            ? [
                  keyEntry("stable fixed point", colors.target, "dot full"),
                  keyEntry("unstable", colors.target, "dot"),
                  keyEntry("slow point", colors.push, "dot"),
              ]
            : []),
    );
}

function writeWords() {
    byId("largest").textContent = number(model.largest);
    byId("least").textContent = `−${number(model.largest)}`;
    const network = `${model.network.layers.join(" + ")} units`;
    const delay = Math.round(1000 * model.dt * model.delay);
    byId("subtitle").textContent =
        `${model.task} on a ${model.plant.name}: ${network}, ${delay} ms of delay, ` +
        `${model.steps} steps of ${1000 * model.dt} ms.`;
    byId("units-help").textContent =
        (model.order.by
            ? `Rows: units by preferred direction of the ${model.order.by}, layer by layer. `
            : "Rows: units by number, layer by layer. ") +
        "Click a row to silence the unit, and again to restore it. With the keyboard, the arrow " +
        "keys choose a row and Enter silences it.";
    const shares = plane
        ? model.plane.explained.map((one) => `${Math.round(100 * one)} %`).join(" and ")
        : "";
    byId("plane-help").textContent = plane
        ? `The first two principal components of all rates hold ${shares} of their variance. ` +
          (model.network.flow
              ? "Arrows and fixed points hold the input: arrows that of now, fixed points that " +
                "at the trial's end."
              : "There are no arrows, since these rates are not the whole memory of the units.")
        : "The rates do not vary in a plane.";
    const expected = decoded(model.expected);
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
        "The whole closed loop runs in this page, in double precision. Its trials end where the " +
        `Python package's do, up to ${worst.toExponential(0)} of the largest number of the ` +
        "state. " +
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
    byId("centred").addEventListener("change", draw);
    for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
    document
        .querySelectorAll('input[name="tool"]')
        .forEach((one) => one.addEventListener("change", () => choose(one.value)));
    byId("time").addEventListener("input", (event) => {
        pause();
        show(Number(event.target.value));
    });
    document.addEventListener("keydown", (event) => {
        const own = /^(INPUT|SELECT|BUTTON)$/.test(event.target.tagName);
        if (own || event.ctrlKey || event.metaKey || event.altKey) return;
        const known = {
            " ": actions.play,
            ".": actions.step,
            r: actions.restart,
            v: actions.replay,
        };
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
