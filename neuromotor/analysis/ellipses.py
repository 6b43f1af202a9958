"""End points of movements relative to their targets: bias, and an ellipse for each target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_positive
from neuromotor.analysis.layout import RecordingError, check_in_plane, check_recording

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["EndPoints", "end_errors", "end_points", "plot_end_points"]


@dataclass(frozen=True)
class EndPoints:
    """Where the hand ends relative to its target; K groups of trials of one condition and target.

    Attributes:
        conditions: Labels, (K,).
        targets_m: Targets, (K, 2).
        counts: Trials of each group, (K,).
        left_out: Trials whose group has fewer than three.
        bias_m: Mean errors, (K, 2).
        covariance_m2: Covariances of the errors, (K, 2, 2).
        axes_m: Half axes of the ellipses that hold 95 % of a normal distribution, longest first,
            (K, 2).
        orientation_deg: Directions of the long axes, 0 to 180 from x, (K,).
        turned_deg: Between the long axis and the line from the first hand positions to the target,
            0 to 90, (K,); NaN where the target lies at the start.
        area_m2: Areas of the ellipses, (K,).
    """

    conditions: NDArray[np.generic]
    targets_m: NDArray[np.float64]
    counts: NDArray[np.int64]
    left_out: int
    bias_m: NDArray[np.float64]
    covariance_m2: NDArray[np.float64]
    axes_m: NDArray[np.float64]
    orientation_deg: NDArray[np.float64]
    turned_deg: NDArray[np.float64]
    area_m2: NDArray[np.float64]


def end_points(recording: xr.Dataset) -> EndPoints:
    """Return bias and 95 % ellipse of the end points about each target, for each condition.

    Trials to different targets are never pooled, since ellipses that lie along their movements
    would add up to a circle.

    Raises:
        RecordingError: Targets are missing, or no condition has three trials to one target.
    """
    check_recording(recording, ["hand_position", "target_position"])
    check_in_plane(recording)
    errors, target = end_errors(recording), recording["target_position"].values
    line = target - recording["hand_position"].values[:, 0]
    labels = recording["condition"].values
    number = np.unique(labels, return_inverse=True)[1]
    key = np.column_stack([number, np.round(target, 6)])
    member = np.unique(key, axis=0, return_inverse=True)[1].reshape(-1)
    groups = [np.flatnonzero(member == group) for group in range(int(member.max()) + 1)]
    kept = [group for group in groups if len(group) >= 3]
    if not kept:
        raise RecordingError(
            "an error ellipse needs three trials or more of one condition to one target, got "
            f"{max(map(len, groups))} at most; record more trials a condition."
        )
    covariance = np.array([np.cov(errors[group].T) for group in kept])
    values, vectors = np.linalg.eigh(covariance)
    axes = np.sqrt(np.maximum(values, 0) * -2 * np.log(0.05))[:, ::-1]  # chi^2 of 2 degrees, 95 %
    long = vectors[:, :, 1]
    course = np.array([line[group].mean(0) for group in kept])
    far = np.linalg.norm(course, axis=-1)
    cosine = np.abs((long * course).sum(-1)) / np.where(far > 0, far, np.nan)
    return EndPoints(
        conditions=labels[[group[0] for group in kept]],
        targets_m=target[[group[0] for group in kept]],
        counts=np.array([len(group) for group in kept]),
        left_out=sum(len(group) for group in groups if len(group) < 3),
        bias_m=np.array([errors[group].mean(0) for group in kept]),
        covariance_m2=covariance,
        axes_m=axes,
        orientation_deg=np.degrees(np.arctan2(long[:, 1], long[:, 0])) % 180,
        turned_deg=np.degrees(np.arccos(np.minimum(cosine, 1.0))),
        area_m2=np.pi * axes.prod(-1),
    )


def end_errors(recording: xr.Dataset) -> NDArray[np.float64]:
    """Return the last hand positions relative to the target, (B, 2)."""
    last = recording["hand_position"].values[:, -1]
    if "final_hand_position" in recording:
        last = recording["final_hand_position"].values
    errors: NDArray[np.float64] = last - recording["target_position"].values
    return errors


def plot_end_points(found: Mapping[str, EndPoints], magnified: float = 10.0) -> Figure:
    """Draw ellipses that hold 95 % of the end points about each target, one colour a name.

    Args:
        found: End points by name, such as those of a network and of a reference.
        magnified: How much larger ellipses and their distance from the target are drawn than the
            plane of the targets.

    Raises:
        ValueError: `found` is empty, or `magnified` is not positive.
    """
    from matplotlib.patches import Ellipse

    from neuromotor.analysis.drawing import panels, plain
    from neuromotor.plotting import COLORS

    check_positive("magnified", magnified)
    if not found:
        raise ValueError("`found` must hold the end points of one recording or more, got none.")
    with panels(1, 1, figsize=(3.4, 3.6)) as (figure, ax):
        for (name, points), color in zip(found.items(), cycle(COLORS), strict=False):
            middle = 100 * (points.targets_m + magnified * points.bias_m)
            for place, half, angle in zip(
                middle, 100 * magnified * points.axes_m, points.orientation_deg, strict=True
            ):
                wide, high = 2 * half
                shape = Ellipse((place[0], place[1]), wide, high, angle=angle, fill=False)
                shape.set(edgecolor=color, linewidth=1)
                ax.add_patch(shape)
            ax.plot([], [], color=color, label=plain(name))
            ax.plot(*(100 * points.targets_m).T, "+", color="black", markersize=4)
        ax.plot([], [], "+", color="black", markersize=4, label="target")
        ax.set_aspect("equal", adjustable="datalim")
        ax.margins(0.1)
        ax.autoscale_view()
        ax.set(xlabel="x (cm)", ylabel="y (cm)")
        ax.set_title(f"95 % of the end points,\nerrors {magnified:g} times as large")
        figure.legend(loc="outside upper center", ncols=3, fontsize=6)
    return figure
