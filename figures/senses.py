"""What channels show: a reach that a load disturbs, as it is and as it is sensed.

    python figures/senses.py
    python figures/senses.py --smoke --out /tmp/figures

Writes senses.png beside itself, or into `--out`: one trial of DDN under ILQG, whose filter knows
the channels `proprioception-and-vision`, and ILQG's median loss over nine trials for vision that is
faster or slower, with and without proprioception.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

import neuromotor as nm
from neuromotor.plotting import COLORS, STYLE
from neuromotor.tasks import SENSES

DELAYS_S = (0.02, 0.05, 0.1, 0.15, 0.2)


def run(task, trials):
    """What happens under ILQG that is designed for the trials."""
    design = nm.ILQG().design(task, trials)
    return nm.ClosedLoop(task, design.controller).simulate(design.parameters, trials)


def draw_trial(axes, task, trials) -> None:
    """One number of the body and one of the hand, in degrees and centimetres."""
    done = run(task, trials)
    time_ms = 1e3 * task.plant.dt_s * np.arange(task.steps)
    states = done.states[0, :-1]
    onset_ms = time_ms[int((trials.load[0] != 0).any(-1).int().argmax())]
    true = (torch.rad2deg(states[:, 1]), 100 * task.plant.hand_position(states)[:, 0])
    seen = (torch.rad2deg(done.observations[0, :, 1]), 100 * done.observations[0, :, 4])
    names = ("elbow angle (deg)", "hand x (cm)")
    delays = ("felt, 50 ms late", "seen, 100 ms late")
    places = ("upper left", "lower right")
    panels = zip(axes, true, seen, names, delays, places, strict=True)
    for ax, one, other, name, delay, where in panels:
        ax.axvline(onset_ms, color="0.8", zorder=0)
        ax.plot(time_ms, one, color="0.3", label="as it is")
        ax.plot(time_ms, other, ".", color=COLORS[0], markersize=3, label=delay)
        ax.set(xlabel="time (ms)", ylabel=name)
        ax.legend(loc=where, fontsize=6)
    axes[0].set_title("load from the grey line on", fontsize=8)


def draw_delays(ax, task, pairs: int) -> None:
    """The loss for vision that is faster or slower, with and without the body's own sense."""
    body, eyes = task.senses.channels[:2], task.senses.channels[2:]
    for name, kept, color in (
        ("body and vision", body, COLORS[1]),
        ("vision alone", (), COLORS[0]),
    ):
        losses = []
        for delay_s in DELAYS_S:
            late = tuple(replace(channel, delay_s=delay_s) for channel in eyes)
            own = replace(task, pairs=pairs, senses=nm.Senses((*kept, *late)))
            trials = own.trials(torch.Generator().manual_seed(1))
            done = run(own, trials)
            losses.append(float(own.cost.losses(done.states, done.commands, trials).median()))
        ax.plot(1e3 * np.array(DELAYS_S), losses, "o-", color=color, markersize=3, label=name)
    ax.set(xlabel="delay of vision (ms)", ylabel="median loss of ILQG", yscale="log")
    ax.legend(fontsize=6)


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--smoke", action="store_true", help="fewer trials")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    task = nm.DDN(pairs=1, senses=SENSES["proprioception-and-vision"])
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.3), layout="constrained")
        draw_trial(axes[:2], task, task.trials(torch.Generator().manual_seed(4)))
        draw_delays(axes[2], task, 2 if options.smoke else 9)
        figure.savefig(options.out / "senses.png", dpi=200)


if __name__ == "__main__":
    main()
