// What can be set, shared and saved: sliders, the link, files.

// ---- the world's sliders ----

const maxDelay = Math.max(30, 2 * model.delay);
const loadSize = 0.3 * model.plant.loadScale * (/\(N\)/.test(model.labels.load[0]) ? 10 : 1);
const hasLoads = ["load", "hand_force", "field"].some((name) => loop.trials[name] !== null);
const SLIDERS = [
    {
        key: "speed",
        label: "Speed of the clock",
        min: 0.05,
        max: 1,
        step: 0.05,
        unit: "×",
        get: () => speed,
        set: (v) => (speed = v),
    },
    {
        key: "delay",
        label: "Delay of the senses",
        min: 0,
        max: maxDelay,
        step: 1,
        unit: "ms",
        scale: 1000 * model.dt,
        get: () => world.delay,
        set: (v) => (world.delay = v),
    },
    {
        key: "noise",
        label: model.noisy ? "Noise, times the task's" : "Noise, times 10 % of the command",
        min: 0,
        max: 3,
        step: 0.1,
        unit: "×",
        get: () => world.noise,
        set: (v) => (world.noise = v),
    },
    ...(hasLoads
        ? [
              {
                  key: "loads",
                  label: "The trial's own loads",
                  min: 0,
                  max: 2,
                  step: 0.1,
                  unit: "×",
                  get: () => world.loads,
                  set: (v) => (world.loads = v),
              },
          ]
        : []),
    ...model.labels.load.map((label, i) => ({
        key: `load${i}`,
        label: `More load: ${label.replace(/ \(.*/, "")}`,
        min: -loadSize,
        max: loadSize,
        step: loadSize / 30,
        unit: label.match(/\((.*)\)/)?.[1] ?? "",
        get: () => world.load[i],
        set: (v) => (world.load[i] = v),
    })),
    ...(model.plant.field
        ? [
              {
                  key: "curl",
                  label: "Curl field",
                  min: -20 * model.plant.loadScale,
                  max: 20 * model.plant.loadScale,
                  step: model.plant.loadScale,
                  unit: "N s/m",
                  get: () => world.curl,
                  set: (v) => (world.curl = v),
              },
          ]
        : []),
];

function makeSliders() {
    for (const one of SLIDERS) {
        const label = document.createElement("label");
        label.className = "slider";
        label.htmlFor = `set-${one.key}`;
        const value = document.createElement("output");
        label.append(one.label, value);
        const input = document.createElement("input");
        Object.assign(input, {
            type: "range",
            id: `set-${one.key}`,
            min: one.min,
            max: one.max,
            step: one.step,
        });
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
    return target.length === model.labels.state.length && target.every(Number.isFinite)
        ? target
        : null;
}

function save(blob, name) {
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(blob);
    anchor.download = name;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 10000);
}

const fileName = () => `${model.title.replace(/[^A-Za-z0-9]+/g, "-")}-trial-${condition + 1}`;

function csvText() {
    const plain = (label) => `"${label.replace(/"/g, '""')}"`;
    const units = Array.from({ length: unitCount }, (_, i) => `unit ${i} (rate)`);
    const names = [
        "time (s)",
        ...model.labels.state,
        ...model.labels.command,
        "hand x (m)",
        "hand y (m)",
        "force x (N)",
        "force y (N)",
        "loss so far",
        ...units,
    ];
    const rows = frames.map((one, t) => {
        const next = frames[t + 1]; // commands and rates belong to the step that follows a state
        const command = next ? next.commands : one.commands.map(() => "");
        const rates = next ? Array.from(next.rates) : Array.from(one.rates, () => "");
        const force = next ? next.force : ["", ""];
        return [
            t * model.dt,
            ...one.state,
            ...command,
            one.hand[0],
            one.hand[1],
            ...force,
            one.loss,
            ...rates,
        ].join(",");
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
