"""Figures of analyses that need the controller. This module imports matplotlib; nothing early."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from neuromotor.analysis.fixed_points import FixedPoints
from neuromotor.analysis.jacobians import JacobianSpectrum
from neuromotor.analysis.lesions import LesionEffect
from neuromotor.plotting import COLORS, STYLE, few_log_ticks

__all__ = [
    "draw_eigenvalues",
    "plot_fixed_points",
    "plot_jacobian_spectrum",
    "plot_lesions",
    "plot_sensitivity",
]

_NULL = "0.6"


def plot_fixed_points(found: FixedPoints, dt_s: float) -> Figure:
    """Draw the eigenvalues of the slowest point on the unit circle, and each mode's time scale."""
    with mpl.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(6.0, 2.8), layout="constrained")
        mu = found.eigenvalues[0]
        draw_eigenvalues(left, mu)
        left.set_title("eigenvalues of one step")
        decays = np.abs(mu) < 1
        constants, frequencies = found.time_constants_s[0], found.frequencies_hz[0]
        right.plot(frequencies[decays], 1e3 * constants[decays], ".", color=COLORS[0])
        right.axhline(1e3 * dt_s, color=_NULL, linestyle="--")
        right.set_yscale("log")
        right.set(xlabel="frequency (Hz)", ylabel="time constant (ms)", title="decaying modes")
    return figure


def draw_eigenvalues(ax: Axes, mu: NDArray[np.complex128]) -> None:
    """Draw eigenvalues of one step in the plane, with the unit circle."""
    angle = np.linspace(0, 2 * np.pi, 200)
    ax.plot(np.cos(angle), np.sin(angle), color=_NULL)
    ax.plot(mu.real, mu.imag, ".", color=COLORS[0], markersize=3)
    ax.set_aspect("equal")
    ax.set(xlabel="real", ylabel="imaginary")


def plot_sensitivity(time_s: NDArray[np.float64], values: NDArray[np.float64]) -> Figure:
    """Draw the gradient of the loss with respect to the activations over time, every trial."""
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(3.8, 2.6), layout="constrained")
        ax.semilogy(1e3 * time_s, values.T, color=_NULL, linewidth=0.5)
        ax.semilogy(1e3 * time_s, np.median(values, axis=0), color=COLORS[0], label="median")
        ax.set(xlabel="time (ms)", ylabel="|d loss / d activation|")
        ax.legend()
    return figure


def plot_jacobian_spectrum(found: JacobianSpectrum) -> Figure:
    """Draw the moduli of the largest eigenvalues over time, and every eigenvalue in the plane."""
    moduli = np.abs(found.eigenvalues)
    with mpl.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(6.0, 2.8), layout="constrained")
        times = 1e3 * found.time_s
        for place in range(min(5, moduli.shape[2])):
            label = {0: "five largest moduli"}.get(place)
            level = np.median(moduli[:, :, place], axis=0)
            left.plot(times, level, color=COLORS[0], alpha=1 - 0.18 * place, label=label)
        norm = np.median(found.norm, axis=0)
        left.plot(times, norm, color=COLORS[1], label="largest singular value")
        left.axhline(1, color=_NULL, linestyle="--")
        left.set(xlabel="time (ms)", ylabel="of one step (median over trials)")
        left.legend(fontsize=6)
        angle = np.linspace(0, 2 * np.pi, 200)
        right.plot(np.cos(angle), np.sin(angle), color=_NULL)
        mu = found.eigenvalues[0]
        shade = np.repeat(times, mu.shape[1])
        points = right.scatter(mu.real.ravel(), mu.imag.ravel(), c=shade, s=2, rasterized=True)
        figure.colorbar(points, ax=right, label="time (ms)")
        right.set_aspect("equal")
        right.set(xlabel="real", ylabel="imaginary", title="first trial")
    return figure


def plot_lesions(effects: dict[str, LesionEffect]) -> Figure:
    """Draw target error (cm) intact, lesioned and after each random lesion, for each layer."""
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(3.4, 2.5), layout="constrained")
        for place, effect in enumerate(effects.values()):
            null = [row["target_error_cm"] for row in effect.null]
            drawn = (
                ([effect.intact["target_error_cm"]], "s", "black", "intact"),
                (null, "o", _NULL, "random units"),
                ([effect.lesioned["target_error_cm"]], "D", COLORS[1], "most active units"),
            )
            for offset, (values, marker, color, label) in zip((-0.2, 0.0, 0.2), drawn, strict=True):
                where = np.full(len(values), place + offset)
                shown = None if place else label
                ax.plot(where, values, marker, color=color, markersize=4, label=shown)
        ax.set_xticks(range(len(effects)), list(effects))
        ax.set_xlim(-0.5, len(effects) - 0.5)
        ax.set(ylabel="target error (cm)", yscale="log")
        few_log_ticks(ax.yaxis)
        figure.legend(loc="outside lower center", ncols=3, fontsize=6)
    return figure
