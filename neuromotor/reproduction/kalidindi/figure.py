"""The figure of rotations: a row for each signal, a column for each plane, and R² beside nulls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neuromotor.analysis import Rotations
from neuromotor.analysis.rotation_nulls import CovarianceMatched
from neuromotor.reproduction.kalidindi.measure import Measured
from neuromotor.reproduction.kalidindi.monkeys import Monkeys
from neuromotor.reproduction.kalidindi.networks import CONDITIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_rotations", "panels_of"]

_PLANES = 2
_ROWS = (  # a network's condition and signal, or how the name of the monkeys' recording begins
    ("posture", "output layer"),
    "motor cortex, all",
    ("posture-no-rec", "output layer"),
    ("reach", "output layer"),
    ("posture", "muscles"),
    "muscles ",
    ("posture", "kinematics"),
    "kinematics ",
)
Panel = tuple[Rotations, CovarianceMatched | None]


def panels_of(found: Mapping[str, Sequence[Measured]], monkeys: Monkeys) -> dict[str, Panel]:
    """Return what each row shows, by its title: the first network of conditions, and monkeys."""
    panels: dict[str, Panel] = {}
    for row in _ROWS:
        if isinstance(row, str):
            name = next((one for one in monkeys.rotations if one.startswith(row)), None)
            if name is not None:
                panels[f"monkeys:\n{name}"] = monkeys.rotations[name], monkeys.matched[name]
            continue
        condition, signal = row
        own = found[condition][0] if condition in found else None
        if own is not None and signal in own.rotations:
            title = f"{CONDITIONS[condition].title}:\n{signal}"
            panels[title] = own.rotations[signal], own.matched.get(signal)
    return panels


def draw_rotations(panels: Mapping[str, Panel]) -> Figure:
    """Draw the first planes of each signal, and R² among those of its nulls.

    Args:
        panels: By title, what `panels_of` returns; one or more.
    """
    from neuromotor.analysis import drawing

    ratios = {"width_ratios": (*(1,) * _PLANES, 1.5)}
    size = (6.4, 1.25 * len(panels) + 0.6)
    with drawing.panels(
        len(panels), _PLANES + 1, figsize=size, squeeze=False, gridspec_kw=ratios
    ) as (figure, axes):
        for number, (row, (title, (rotation, matched))) in enumerate(
            zip(axes, panels.items(), strict=True)
        ):
            for plane, ax in enumerate(row[:_PLANES]):
                _draw_plane(ax, rotation, plane, drawing)
            row[0].set_ylabel(title)
            _draw_nulls(row[_PLANES], rotation, matched)
            if number < len(panels) - 1:
                row[_PLANES].set_xticklabels([])
        axes[0][_PLANES].set_title("lines: R²; marks: R² of nulls")
        axes[-1][_PLANES].set_xlabel("R²")
        handles, labels = axes[0][_PLANES].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower right", ncols=2)
    return figure


def _draw_plane(ax: Axes, rotation: Rotations, plane: int, drawing: Any) -> None:
    """Draw all conditions in one plane; nothing where there is none."""
    if plane >= len(rotation.projections):
        ax.set_axis_off()
        return
    drawing.draw_conditions(ax, rotation.projections[plane])
    ax.set(xticks=[], yticks=[])
    share = 100 * rotation.plane_variance[plane]
    ax.set_title(f"plane {plane + 1}: {rotation.frequencies_hz[plane]:.1f} Hz, {share:.0f} %")


def _draw_nulls(ax: Axes, rotation: Rotations, matched: CovarianceMatched | None) -> None:
    """Draw both R² as lines, and those of the nulls as marks of the same colours."""
    from neuromotor.plotting import COLORS

    rows = []
    if "maximum entropy" in rotation.nulls:
        rows.append(("maximum\nentropy", rotation.nulls["maximum entropy"]))
    if matched is not None:
        rows.append(("covariance-\nmatched", matched.null))
    for place, (_, band) in enumerate(rows):
        for values, offset, color in (
            (band.skew, 0.15, COLORS[0]),
            (band.unconstrained, -0.15, COLORS[1]),
        ):
            ax.plot(values, [place + offset] * len(values), "|", color=color, alpha=0.5)
    ax.axvline(rotation.r2_skew, color=COLORS[0], label="rotations alone")
    ax.axvline(rotation.r2_unconstrained, color=COLORS[1], label="any linear dynamics")
    ax.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=6)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.5, max(len(rows), 1) - 0.5))
