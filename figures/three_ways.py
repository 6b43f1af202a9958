"""Supervised, reinforced, optimal: three controllers of one arm by the same analyses, with monkeys.

    python figures/three_ways.py --policies runs/hold/controllers/recurrent-ppo-0.safetensors \
        runs/nothing/controllers/recurrent-ppo-0.safetensors
    python figures/three_ways.py --monkeys FOLDER     # beside recordings of docs/monkeys.md
    python figures/three_ways.py --smoke --out /tmp/figures

Eight loads push an arm that is to hold a posture, as in Kalidindi et al. (2021). Supervised is
`postural/best` of the zoo, optimal ILQG. Reinforced are policies of `neuromotor rl` (and, of
`analytic`, what gradients make of the same units); without any, recurrent PPO is trained anew for
`--steps`. Prints a table, and writes three_ways.png and three_ways.json beside itself, or into
`--out`.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import neuromotor as nm
from neuromotor.analysis import (
    condition_averages,
    posture_recordings,
    record,
    rotational_dynamics,
    tangling,
)
from neuromotor.evaluation.references import reference_controller
from neuromotor.plotting import COLORS, STYLE

ONSET, AFTER_S = 20, (0.07, 0.36)  # step of the load; what the monkeys' recordings cover after it
TASK = nm.Postural(loads="joint", postures_deg=((30.0, 90.0),), onset_step=ONSET)
COLUMNS = {
    "ratio": "loss / ILQG",
    "largest_cm": "largest displacement (cm)",
    "last_cm": "at the end (cm)",
    "r2_skew": "units: R² skew",
    "r2_free": "unconstrained",
    "hz": "frequency (Hz)",
    "tangling": "tangling, commands / units",
}


def of_units(recording, window_s) -> dict:
    """Rotations of the units, and how much less tangled they are than the commands."""
    found = rotational_dynamics(recording, window_s=window_s, components=6, surrogates=0)
    measures = {
        "r2_skew": found.r2_skew,
        "r2_free": found.r2_unconstrained,
        "hz": float(found.frequencies_hz[0]),
    }
    if "command" in recording:
        units, commands = (
            tangling(recording, name, window_s=window_s, surrogates=0).percentile_90
            for name in ("rate", "command")
        )
        measures["tangling"] = commands / units
    return measures


def of_actor(controller, parameters=None) -> tuple[dict, np.ndarray]:
    """All measures of a controller, and how far its hand is moved (cm), (trials, times)."""
    recording = record(TASK, controller, parameters)
    start = TASK.plant.dt_s * ONSET
    hand = recording["hand_position"].values
    moved = 100 * np.linalg.norm(hand - hand[:, :1], axis=-1)
    measures = {"largest_cm": moved.max(1).mean(), "last_cm": moved[:, -1].mean()}
    window = (start + AFTER_S[0], start + AFTER_S[1])
    return measures | of_units(recording, window), moved


def loss_of(controller, parameters) -> float:
    """The mean loss over the task's trials."""
    trials = TASK.trials()
    done = nm.ClosedLoop(TASK, controller).simulate(parameters, trials)
    return float(TASK.cost.losses(done.states, done.commands, trials).mean())


def learnt(file: Path | None, steps: int, arms: int):
    """The name of a policy, which tells how and from where it learnt, and the policy."""
    if file is not None:
        saved = nm.load_controller(file)
        start = saved.info.get("start") or saved.info.get("teacher") or "nothing"
        how = "by gradients" if saved.info.get("method") == "analytic" else "reinforced"
        name = f"{how} from {start}, seed {saved.info['seed']}"
        return name, (saved.controller, saved.parameters)
    from neuromotor.rl import ALGORITHMS, learn

    algorithm = replace(ALGORITHMS["recurrent-ppo"], arms=arms)
    tests = min(20, max(1, steps // (TASK.steps * arms)))
    run = learn(TASK, algorithm, steps=steps, tests=tests, callback=print)
    return "reinforced from nothing", (run.controller, run.parameters)


def kind_of(name: str) -> str:
    """What a row is beside its seed or its monkey."""
    return "motor cortex" if name.startswith("motor cortex") else name.split(", seed")[0]


def draw(moved: dict[str, np.ndarray], rows: dict[str, dict], path: Path) -> None:
    """How far loads move the hand, and rotations and frequencies of all units."""
    kinds = list(dict.fromkeys(map(kind_of, rows)))
    colors = [COLORS[kinds.index(kind_of(name)) % len(COLORS)] for name in rows]
    place = np.arange(len(rows))
    with mpl.rc_context(STYLE):
        figure, (paths, shares, rates) = plt.subplots(
            1,
            3,
            figsize=(7.4, 1.0 + 0.19 * len(rows)),
            width_ratios=(4, 4, 2),
            layout="constrained",
        )
        for color, distances in zip(colors, moved.values(), strict=False):
            time = 1e3 * TASK.plant.dt_s * (np.arange(distances.shape[1]) - ONSET)
            later = time >= 0
            paths.plot(time[later], distances.mean(0)[later], color=color)
        paths.set(xlabel="time after the load (ms)", ylabel="hand displaced (cm)", yscale="log")
        paths.set_ylim(bottom=1e-3)
        shares.barh(place, [row["r2_free"] for row in rows.values()], color="0.85")
        skew = [row["r2_skew"] for row in rows.values()]
        shares.barh(place, skew, 0.5, color=colors)
        shares.set_yticks(place, list(rows))
        for label, color in zip(shares.get_yticklabels(), colors, strict=True):
            label.set_color(color)
        shares.set_xlabel("R² of the units' dynamics\n(wide: any linear, narrow: rotations)")
        shares.set_xlim(0, 1)
        rates.scatter([row["hz"] for row in rows.values()], place, color=colors, s=12)
        rates.set_yticks(place, [""] * len(rows))
        rates.set_xlim(left=0)
        rates.set_xlabel("frequency of\nrotations (Hz)")
        for axes in (shares, rates):
            axes.set_ylim(len(rows) - 0.5, -0.5)
        figure.savefig(path, dpi=200)


def main() -> None:
    """Run the three, and the monkeys where there is a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--policies", type=Path, nargs="+", default=[None], help="controllers of `neuromotor rl`"
    )
    parser.add_argument("--steps", type=int, default=8_000_000, help="of a training anew")
    parser.add_argument("--monkeys", type=Path, help="folder of recordings")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--smoke", action="store_true", help="a tiny version, within a minute")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    saved = nm.load_controller("postural/best")
    steps, arms = (800, 4) if arguments.smoke else (arguments.steps, 256)
    actors = {
        "supervised": (saved.controller, saved.parameters),
        **dict(learnt(file, steps, arms) for file in arguments.policies),
        "optimal": reference_controller(TASK, TASK.trials(), "ilqg"),
    }
    least = loss_of(*actors["optimal"])
    rows, moved = {}, {}
    for name, actor in actors.items():
        measures, moved[name] = of_actor(*actor)
        rows[name] = {"ratio": loss_of(*actor) / least, **measures}
    if arguments.monkeys is not None:
        for name, recording in posture_recordings(arguments.monkeys).items():
            if name.startswith("motor cortex"):
                averages = condition_averages(recording, shuffles=0)
                rows[name] = of_units(recording, (averages.time_s[0], averages.time_s[-1]))
    print("| | " + " | ".join(COLUMNS.values()) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for name, row in rows.items():
        cells = (f"{row[key]:.3g}" if key in row else "" for key in COLUMNS)
        print(f"| {name} | " + " | ".join(cells) + " |")
    draw(moved, rows, arguments.out / "three_ways.png")
    plain = {name: {key: float(value) for key, value in row.items()} for name, row in rows.items()}
    (arguments.out / "three_ways.json").write_text(json.dumps(plain, indent=2))


if __name__ == "__main__":
    main()
