"""What a generative model makes of sequences, beside the truth."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from neuromotor.generative import TemporalRBM, denoise, flipped, predict, sample
from neuromotor.plotting import STYLE
from neuromotor.runs.generative_data import SequenceData

__all__ = ["plot_frames", "plot_model"]

_SHOWN = 10  # frames of a film that are shown


def plot_model(model: TemporalRBM, data: SequenceData, flips: float, seed: int) -> Figure:
    """Draw a held-out sequence, its prediction, its noisy and denoised forms, and a new sequence.

    The new one goes on from the first half of the held-out one.
    """
    frames = data.held_out[:1].to(model.visible_bias.dtype)
    generator = torch.Generator().manual_seed(seed)
    guess = torch.cat([frames[:, :1], predict(model, frames, generator=generator)], dim=1)
    dirty = flipped(frames, flips, generator)
    half = frames.shape[1] // 2
    film = sample(model, frames.shape[1] - half, start=frames[:, :half], generator=generator)
    new = torch.cat([frames[:, :half], film.probabilities], dim=1)
    rows = {
        "truth": frames[0],
        "predicted from the frames before": guess[0],
        f"noisy: {100 * flips:g} % flipped": dirty[0],
        "denoised": denoise(model, dirty)[0],
        f"made anew from frame {half} on": new[0],
    }
    return plot_frames(rows, data.picture, data.frame_s)


def plot_frames(
    rows: dict[str, Tensor], picture: tuple[int, int] | None, frame_s: float | None
) -> Figure:
    """Draw sequences (T, V), one under the other: as pictures, or units over time."""
    if picture is None:
        return _plot_units(rows, frame_s)
    steps = len(next(iter(rows.values())))
    shown = np.unique(np.linspace(1, steps - 1, min(_SHOWN, steps - 1)).round().astype(int))
    style: Any = {"cmap": "gray_r", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
    with mpl.rc_context(STYLE):
        heights = [1.2, *[1.0] * (len(rows) - 1)]  # the first has the frames' numbers
        size = (0.62 * len(shown), 0.82 * sum(heights))
        figure = plt.figure(figsize=size, layout="constrained")
        strips = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=heights).ravel()
        for strip, (title, sequence) in zip(strips, rows.items(), strict=True):
            strip.suptitle(title, x=0.01, ha="left", fontsize=7)
            line = strip.subplots(1, len(shown), squeeze=False)[0]
            for ax, place in zip(line, shown, strict=True):
                ax.imshow(sequence[place].view(picture).numpy(), **style)
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set(visible=True, linewidth=0.5)
                if strip is strips[0]:
                    ax.set_title(f"frame {place}", fontsize=6)
    return figure


def _plot_units(rows: dict[str, Tensor], frame_s: float | None) -> Figure:
    """Draw the units of each sequence over time, a line of pixels a unit."""
    style: Any = {"cmap": "gray_r", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(rows), 1, figsize=(4.4, 1.15 * len(rows)), sharex=True, layout="constrained"
        )
        for ax, (title, sequence) in zip(axes, rows.items(), strict=True):
            steps, units = sequence.shape
            width = 1.0 if frame_s is None else 1e3 * frame_s
            extent = (0, steps * width, units + 0.5, 0.5)
            ax.imshow(sequence.T.numpy(), aspect="auto", extent=extent, **style)
            ax.set_title(title, loc="left", fontsize=7)
            ax.set_ylabel("unit")
        axes[-1].set_xlabel("frame" if frame_s is None else "time from the first bin (ms)")
    return figure
