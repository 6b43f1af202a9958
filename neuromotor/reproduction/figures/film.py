"""The animation shows an arm that reaches while it is pushed, and its network's hidden units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from neuromotor.closed_loop import Trajectory
from neuromotor.controllers.controller import unit_rates
from neuromotor.evaluation.load_responses import load_onsets
from neuromotor.plotting import COLORS, finish_plane, hand_cm
from neuromotor.reproduction.experiments import robust_trials
from neuromotor.reproduction.figures.ddn import OFF, ON
from neuromotor.reproduction.networks import Networks
from neuromotor.storage.files import atomic_path
from neuromotor.tasks import DDN, Trials

__all__ = ["NEEDS", "save_film"]

NEEDS = ("ddn-robust/brain-like",)
_TRIALS = 3
_EVERY = 2  # steps a frame
_HELD = 8  # frames that each trial's end is held
_FRAME_MS = 60


def save_film(networks: Networks, path: Path, *, smoke: bool = False) -> None:
    """Write the animation as a GIF.

    Args:
        networks: Where the network comes from.
        path: The file.
        smoke: Whether a few frames are enough.
    """
    trained = networks.get(NEEDS[0])
    task, trials = robust_trials(trained, 40)
    distance = (hand_cm(task.plant, trials.target) - hand_cm(task.plant, trials.initial_state)) ** 2
    chosen = np.argsort(-distance.sum(-1))[: 1 if smoke else _TRIALS]  # the longest reaches
    trials = trials.subset(torch.from_numpy(chosen.copy()))
    run = trained.run(task, trials)
    figure = plt.figure(figsize=(6.4, 3.2), dpi=100, layout="constrained")
    plane, units = figure.subplots(1, 2)
    rates = unit_rates(trained.controller, run.memory)
    stage = _Stage(plane, units, task, trials, run, rates)
    figure.canvas.draw()
    figure.set_layout_engine("none")  # nothing moves from frame to frame
    steps = list(range(0, task.steps + 1, 20 if smoke else _EVERY))
    steps += [steps[-1]] * (1 if smoke else _HELD)
    pictures = [stage.picture(trial, step) for trial in range(len(chosen)) for step in steps]
    # One palette for all frames, with its rare colours: paths are thin, rates fill half of it.
    palette = stage.picture(0, task.steps).quantize(255, Image.Quantize.MAXCOVERAGE)
    frames = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in pictures]
    with atomic_path(path) as temporary:
        frames[0].save(
            temporary, save_all=True, append_images=frames[1:], duration=_FRAME_MS, loop=0
        )
    plt.close(figure)


class _Stage:
    """Keeps the artists of a frame and changes them."""

    def __init__(
        self,
        plane: Axes,
        units: Axes,
        task: DDN,
        trials: Trials,
        run: Trajectory,
        rates: Sequence[Tensor],
    ) -> None:
        self._task, self._trials, self._onsets = task, trials, load_onsets(trials)
        self._figure: Any = plane.figure  # its canvas is Agg's
        self._hand = hand_cm(task.plant, run.states)
        self._limb = 100 * task.plant.limb(run.states).numpy()
        self._rates = [_sorted(one) for one in torch.cat(list(rates), dim=-1).numpy()]
        self._plane, self._units = plane, units
        (self._arm,) = plane.plot([], [], color="0.8", linewidth=7, solid_capstyle="round")
        (self._joints,) = plane.plot([], [], "o", color="0.55", markersize=4)
        (self._before,) = plane.plot([], [], color=OFF)
        (self._after,) = plane.plot([], [], color=ON)
        (self._target,) = plane.plot([], [], "o", color="black", markersize=4)
        points = np.concatenate([self._limb.reshape(-1, 2), self._hand.reshape(-1, 2)])
        plane.update_datalim(points)
        plane.autoscale_view()
        finish_plane(plane)
        handles = [
            Line2D([], [], color=OFF, label="disturbance off"),
            Line2D([], [], color=ON, label="disturbance on"),
        ]
        plane.legend(handles=handles, loc="lower left", fontsize=7)
        end_ms = 1e3 * task.plant.dt_s * task.steps
        self._image = units.imshow(
            np.zeros_like(self._rates[0].T),
            aspect="auto",
            cmap="PuOr",
            vmin=-1,
            vmax=1,
            extent=(0, end_ms, len(self._rates[0].T), 0),
            interpolation="nearest",
        )
        self._onset = units.axvline(0, color=COLORS[1], linewidth=1)
        units.set(xlabel="time (ms)", ylabel="hidden unit, by time of its peak")
        self._figure.colorbar(self._image, ax=units, label="rate")

    def picture(self, trial: int, step: int) -> Image.Image:
        """Return the picture of a trial up to a step."""
        onset = int(self._onsets[trial])
        hand, limb = self._hand[trial], self._limb[trial, step]
        self._arm.set_data(*limb.T)
        self._joints.set_data(*limb[:-1].T)
        self._before.set_data(*hand[: min(step, onset) + 1].T)
        self._after.set_data(*hand[onset : step + 1].T)
        target = hand_cm(self._task.plant, self._trials.target[trial])
        self._target.set_data(*target[:, None])
        shown = np.full_like(self._rates[trial], np.nan)
        shown[:step] = self._rates[trial][:step]
        self._image.set_data(shown.T)
        self._onset.set_xdata([1e3 * self._task.plant.dt_s * onset] * 2)
        self._onset.set_visible(step > onset)
        canvas = self._figure.canvas
        canvas.draw()
        width, height = canvas.get_width_height()
        return Image.frombuffer("RGBA", (width, height), canvas.buffer_rgba()).convert("RGB")


def _sorted(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rates with the units in the order of their peaks, (T, N)."""
    return rates[:, np.argsort(np.abs(rates).argmax(0), kind="stable")]
