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
_ROWS = {  # of networks: condition and signals
    "posture": ("output layer", "input layer", "muscles", "kinematics"),
    "posture-no-rec": ("output layer",),
    "reach": ("output layer",),
}
_MONKEYS = ("motor cortex, all", "muscles ", "kinematics ")  # the first that begins so
Panel = tuple[Rotations, CovarianceMatched | None]


def panels_of(found: Mapping[str, Sequence[Measured]], monkeys: Monkeys) -> dict[str, Panel]:
    """Return what each row shows, by its title: the first network of conditions, and monkeys."""
    panels: dict[str, Panel] = {}
    for name, signals in _ROWS.items():
        for signal in signals if name in found else ():
            own = found[name][0]
            if signal in own.rotations:
                title = f"network, {CONDITIONS[name].title}:\n{signal}"
                panels[title] = own.rotations[signal], own.matched.get(signal)
    for start in _MONKEYS:
        name = next((one for one in monkeys.rotations if one.startswith(start)), None)
        if name is not None:
            panels[f"monkeys, posture:\n{name}"] = monkeys.rotations[name], monkeys.matched[name]
    return panels


def draw_rotations(panels: Mapping[str, Panel]) -> Figure:
    """Draw the first planes of each signal, and R² among those of its nulls.

    Args:
        panels: By title, what `panels_of` returns; one or more.
    """
    from neuromotor.analysis import drawing

    ratios = {"width_ratios": (*(1,) * _PLANES, 1.5)}
    size = (6.4, 1.55 * len(panels) + 0.6)
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
            if number == 0:
                row[_PLANES].legend(loc="upper left", bbox_to_anchor=(0, 1.45), fontsize=6)
            if number < len(panels) - 1:
                row[_PLANES].set_xticklabels([])
        axes[-1][_PLANES].set_xlabel("R²; grey and dots: nulls")
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
    """Draw both R² as lines, and those of the nulls as marks below them."""
    from neuromotor.analysis.drawing import NULL_COLOR
    from neuromotor.plotting import COLORS

    rows = []
    if "maximum entropy" in rotation.nulls:
        rows.append(("maximum\nentropy", rotation.nulls["maximum entropy"]))
    if matched is not None:
        rows.append(("covariance-\nmatched", matched.null))
    for place, (_, band) in enumerate(rows):
        ax.plot(band.skew, [place + 0.15] * len(band.skew), "|", color=NULL_COLOR)
        ax.plot(band.unconstrained, [place - 0.15] * len(band.skew), ".", color=NULL_COLOR, ms=2)
    ax.axvline(rotation.r2_skew, color=COLORS[0], label="rotations alone")
    ax.axvline(rotation.r2_unconstrained, color=COLORS[1], label="any linear dynamics")
    ax.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=6)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.5, max(len(rows), 1) - 0.5))
