"""The tasks with moving targets, targets in a row, and friction: one picture each.

    python figures/moving_tasks.py
    python figures/moving_tasks.py --smoke --out /tmp/figures

Writes task_NAME.png beside itself, or into `--out`. Paths are solved by iLQR, which knows what
comes; it reaches the target, so that the pictures show what a task asks for.
"""

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

import neuromotor as nm
from neuromotor.plotting import COLORS, PAGE_IN, STYLE, finish_plane, hand_cm
from neuromotor.tasks import TASKS

GREY = "0.6"


def times_ms(task, count) -> np.ndarray:
    """Times (ms) of states or of steps."""
    return 1e3 * task.plant.dt_s * np.arange(count)


def speed(task, states) -> np.ndarray:
    """Speeds of the hand (cm/s)."""
    return 100 * task.plant.hand_velocity(states).norm(dim=-1).numpy()


def solve(task):
    """Trials of a task, and the states that are best for them."""
    trials = task.trials()
    return trials, nm.ILQR().solve(task, trials).states


def swing(plane: Axes, course: Axes, directions: int) -> None:
    """Hand paths through the targets, and how fast the hand is."""
    reach = nm.CenterOut(directions=directions, steps=60, delay_steps=5)
    task = nm.Swing(reach)
    trials, states = solve(task)
    paths, targets = hand_cm(task.plant, states), hand_cm(task.plant, trials.target)
    velocity = 100 * task.plant.hand_velocity(trials.target).numpy()
    for number, turn in enumerate(task.turns_deg):
        mine = slice(number, None, len(task.turns_deg))
        words = "straight on" if turn == 0 else f"{turn:+.0f} deg"
        for path in paths[mine]:
            plane.plot(*path.T, color=COLORS[number], linewidth=0.9)
        for trace in speed(task, states)[mine]:
            course.plot(times_ms(task, len(trace)), trace, color=COLORS[number], label=words)
            words = None
    style = {"angles": "xy", "scale_units": "xy", "scale": 25, "width": 0.006, "zorder": 3}
    plane.quiver(*targets.T, *velocity.T, color="black", **style)
    plane.update_datalim(targets + velocity / 25)
    plane.autoscale_view()
    plane.plot(*targets.T, "o", color="black", markersize=3)
    level = 100 * task.speed_m_s
    end = times_ms(task, task.steps + 1)[-1]
    course.plot(end, level, "o", color="black", markersize=4, label="wanted")
    course.set_ylabel("hand speed (cm/s)")
    plane.set_title(f"swing: wanted velocities (arrows), {level:g} cm/s")
    course.legend(fontsize=6)


def interception(plane: Axes, course: Axes, directions: int) -> None:
    """Ways of targets with another speed from some step on, and hands that meet them."""
    del directions
    task = nm.Interception(nm.CenterOut(directions=4, steps=60, delay_steps=5))
    trials, states = solve(task)
    paths, ways = hand_cm(task.plant, states), hand_cm(task.plant, trials.wanted)
    first, last = task.window_steps
    away = np.linalg.norm(paths - ways, axis=-1)
    for number, factor in enumerate(task.speed_factors):
        color = COLORS[number]
        for trial in range(number, len(paths), len(task.speed_factors)):
            plane.plot(*ways[trial].T, ":", color=color, linewidth=1)
            plane.plot(*paths[trial].T, color=color, linewidth=0.9)
            plane.plot(*ways[trial, first : last + 1].T, color="black", linewidth=1.6, zorder=3)
        label = f"{factor:g} x the speed"
        course.plot(times_ms(task, len(paths[0])), away[number], color=color, label=label)
    start, end = times_ms(task, last + 1)[[first, last]]
    course.axvspan(start, end, color="0.9", label="window")
    change = times_ms(task, task.steps)[task.change_step]
    course.axvline(change, color=GREY, linestyle=":", label="speed changes")
    course.set_ylabel("distance of hand and target (cm)")
    course.legend(fontsize=6)
    plane.set_title("interception: targets (dotted; black: window)")


def tracking(plane: Axes, course: Axes, directions: int) -> None:
    """Targets that move straight out at constant speed."""
    reach = nm.CenterOut(
        directions=directions * 15 // 8, radius_m=0.05, steps=100, delay_steps=5, velocity_weight=0
    )
    _paths_of(nm.Tracking(reach), plane, course)
    plane.set_title(f"tracking: {reach.directions} targets at constant speed")


def figure_eight(plane: Axes, course: Axes, directions: int) -> None:
    """Figures of eight."""
    del directions
    task = TASKS["figure-eight"]
    reach = nm.CenterOut(
        directions=3, radius_m=0.05, steps=task.steps, delay_steps=5, velocity_weight=0
    )
    _paths_of(nm.Tracking(reach, path="eight", move_steps=task.move_steps), plane, course)
    plane.set_title("figure eight: 3 of its directions")


def _paths_of(task, plane: Axes, course: Axes) -> None:
    """Ways of targets, hands that follow, and both speeds."""
    trials, states = solve(task)
    ways = hand_cm(task.plant, trials.wanted)
    for number, (path, way) in enumerate(zip(hand_cm(task.plant, states), ways, strict=True)):
        plane.plot(*way.T, ".", color="black", markersize=1.5, markeredgewidth=0)
        plane.plot(*path.T, color=COLORS[number % len(COLORS)], linewidth=0.8)
    time = times_ms(task, task.steps + 1)
    course.plot(time, speed(task, states)[0], color=COLORS[0], label="hand")
    course.plot(time, speed(task, trials.wanted)[0], ":", color="black", label="target")
    course.set_ylabel("speed, first direction (cm/s)")
    course.legend(fontsize=6)


def sequence(plane: Axes, course: Axes, directions: int) -> None:
    """One sequence of three: where the hand goes, and what is shown and wanted when."""
    del directions
    reach = nm.CenterOut(directions=8, steps=300, delay_steps=5)
    task = nm.ReachSequence(reach, targets=3, sequences=1)
    trials, states = solve(task)
    places = hand_cm(task.plant, task.reach.trials().target)
    plane.plot(*places.T, "o", color="0.85", markersize=7)
    plane.plot(*hand_cm(task.plant, states)[0].T, color=COLORS[0])
    number, count = int(trials.condition), task.targets
    order = [number // 8 ** (count - 1 - i) % 8 for i in range(count)]
    for place, target in enumerate(order, start=1):
        plane.annotate(str(place), places[target], ha="center", va="center", fontsize=7)
    time, center = times_ms(task, task.steps + 1), hand_cm(task.plant, trials.initial_state)[0]
    for axis, color in ((0, COLORS[0]), (1, COLORS[1])):
        name = "xy"[axis]
        shown = hand_cm(task.plant, trials.shown_target)[0, :, axis] - center[axis]
        hand = hand_cm(task.plant, states)[0, :, axis] - center[axis]
        course.step(time[:-1], shown, ":", where="post", color=color, label=f"{name}, shown")
        course.plot(time, hand, color=color, label=f"{name} of the hand")
    cue = times_ms(task, task.steps)[int(trials.cue[0, :, 0].argmax())]
    course.axvline(cue, color=GREY, linewidth=0.8, label="go cue")
    counted = trials.counted[0, :, 0].numpy() > 0
    course.fill_between(
        time, *course.get_ylim(), where=counted, color="0.93", step="mid", label="errors count"
    )
    course.set_ylabel("position from the centre (cm)")
    course.figure.legend(loc="outside lower right", fontsize=6, ncols=6)
    plane.set_title(f"sequence: {count} targets in their order")


def friction(plane: Axes, course: Axes, directions: int) -> None:
    """Reaches that friction grips on the way: with the same commands as without it, and known."""
    reach = nm.CenterOut(directions=directions, steps=60, delay_steps=5)
    task = nm.Friction(reach, factors=(1.0,))
    trials = task.trials()
    plain = nm.ILQR().solve(task, trials.without_loads())
    table = nm.CommandTable(trials=len(trials), steps=task.steps)
    slowed = nm.ClosedLoop(task, table).simulate(plain.commands.flatten(), trials).states
    known = nm.ILQR().solve(task, trials).states
    plane.plot(*hand_cm(task.plant, trials.target).T, "o", color="0.85", markersize=7)
    for states, color, label in (
        (plain.states, GREY, "no friction"),
        (slowed, COLORS[1], "friction, same commands"),
        (known, COLORS[0], "friction, known ahead"),
    ):
        for path in hand_cm(task.plant, states):
            plane.plot(*path.T, color=color, linewidth=0.9)
        course.plot(
            times_ms(task, task.steps + 1), speed(task, states)[0], color=color, label=label
        )
    onset = times_ms(task, task.steps)[task.onset_step]
    course.axvline(onset, color="black", linestyle=":", linewidth=0.8, label="friction begins")
    course.set_ylabel("hand speed, first target (cm/s)")
    course.legend(fontsize=6, loc="upper right")
    plane.set_title(f"friction of {task.friction_in_use:g} N s/m, {onset:g} ms into a reach")


PICTURES = {
    "swing": swing,
    "interception": interception,
    "tracking": tracking,
    "figure_eight": figure_eight,
    "sequence": sequence,
    "friction": friction,
}


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--smoke", action="store_true", help="fewer trials")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, draw in PICTURES.items():
            figure, (plane, course) = plt.subplots(
                1, 2, figsize=(PAGE_IN, 2.9), layout="constrained"
            )
            draw(plane, course, 2 if arguments.smoke else 8)
            finish_plane(plane)
            course.set_xlabel("time (ms)")
            figure.savefig(arguments.out / f"task_{name}.png")
            plt.close(figure)


if __name__ == "__main__":
    main()
