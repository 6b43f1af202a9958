"""Pictures of a trial: limb, target, trace, load and what the controller sees. Imports Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from neuromotor.envs.options import EnvOptions
from neuromotor.plants.plant import Plant, View, muscles_of, views_of

__all__ = ["Painter", "Scene", "Window"]

_SIDE = 400  # pixels of a picture
_FINE = 2  # times larger it is drawn, then averaged, so that edges are smooth
# Okabe & Ito (2008): colours that colour-blind readers can tell apart
_LIMB, _GHOST, _TARGET = (0, 0, 0), (190, 190, 190), (0, 158, 115)
_TRACE, _LOAD = (0, 114, 178), (213, 94, 0)
_SLACK, _ACTIVE = (225, 225, 225), (170, 30, 100)  # muscles, at activations of 0 and 1
_NO_LIMB_M = 0.3  # half the width of a picture without a limb, whose reach would be in view
_SCALE_M = 0.1  # length of the axes that are drawn in projections
_ARROW_M_PER_N = 0.05
_LONGEST_ARROW_M = 0.15
_SHORTEST_ARROW_M = 1e-6


@dataclass(frozen=True)
class Scene:
    """One moment of one trial, as it is drawn."""

    states: NDArray[np.float64]  # (K, n); all of the trial until now
    seen: NDArray[np.float64]  # (n,); the delayed state
    target: NDArray[np.float64]  # (n,)
    success_error_m: float
    load: Any = None  # (k,); N m or N
    hand_force: Any = None  # (d,); N


class Painter:
    """Draws scenes of one plant, the whole reach in view.

    A limb in the plane has x to the right and y upwards. One in space is drawn in two projections
    side by side, each with its axes, 10 cm long.
    """

    def __init__(self, options: EnvOptions) -> None:
        plant = options.typed_task.plant
        segments = len(plant.limb(torch.tensor(plant.home, dtype=torch.float64))) - 1
        half_m = 1.05 * options.limits.hand_m if segments else _NO_LIMB_M
        self._panels = [_Panel(plant, half_m, view) for view in views_of(plant, "pictures")]

    def draw(self, scene: Scene) -> NDArray[np.uint8]:
        """Return the picture, (H, W, 3)."""
        return np.concatenate([panel.draw(scene) for panel in self._panels], axis=1)

    def close(self) -> None:
        """Do nothing: a painter keeps nothing open."""


class _Panel:
    """Draws one projection."""

    def __init__(self, plant: Plant, half_m: float, view: View) -> None:
        self._plant, self._half_m = plant, half_m
        self._with_muscles = muscles_of(plant)
        self._title, self._axes = view.title, list(view.axes)

    def draw(self, scene: Scene) -> NDArray[np.uint8]:
        """Return the picture, (H, H, 3)."""
        side = _FINE * _SIDE
        image = Image.new("RGB", (side, side), (255, 255, 255))
        pen = ImageDraw.Draw(image)
        target = self._hand(scene.target)
        self._dot(pen, target, max(scene.success_error_m, 0.006), outline=_TARGET)
        self._dot(pen, target, 0.004, fill=_TARGET)
        if not np.array_equal(scene.seen, scene.states[-1]):
            self._limb(pen, scene.seen, _GHOST, 3)
        trace = self._pixels(np.stack([self._hand(state) for state in scene.states]))
        if len(trace) > 1:
            pen.line(trace, fill=_TRACE, width=2 * _FINE)
        self._limb(pen, scene.states[-1], _LIMB, 5)
        self._muscles(pen, scene.states[-1])
        force = self._force(scene)
        if force is not None:
            self._arrow(pen, self._hand(scene.states[-1]), force)
        if self._title:
            self._label(pen)
        return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX))

    def _label(self, pen: Any) -> None:
        """Say what the projection shows, with its axes in the lower left corner."""
        font: Any = ImageFont.load_default(size=13 * _FINE)
        style: Any = {"fill": (90, 90, 90), "font": font}
        pen.text((12 * _FINE, 8 * _FINE), self._title, **style)
        length = _SCALE_M * _FINE * _SIDE / (2 * self._half_m)
        left, low = 24 * _FINE, (_SIDE - 24) * _FINE
        corner = [(left, low - length), (left, low), (left + length, low)]
        pen.line(corner, fill=style["fill"], width=2 * _FINE)
        names = ["xyz"[axis] for axis in self._axes]
        text = f"{names[0]}, {100 * _SCALE_M:.0f} cm"
        pen.text((left + length + 4 * _FINE, low), text, anchor="lm", **style)
        pen.text((left, low - length - 2 * _FINE), names[1], anchor="mb", **style)

    def _hand(self, state: NDArray[np.float64]) -> NDArray[np.float64]:
        position: NDArray[np.float64] = self._plant.hand_position(_tensor(state)).numpy()
        return position

    def _pixels(self, points: NDArray[np.float64]) -> list[tuple[float, float]]:
        """Return points (K, d) in metres as pixels; one far outside is put at a finite place."""
        scale = _FINE * _SIDE / (2 * self._half_m)
        inside = np.clip(points[:, self._axes], -10 * self._half_m, 10 * self._half_m)
        return [((x + self._half_m) * scale, (self._half_m - y) * scale) for x, y in inside]

    def _limb(self, pen: Any, state: NDArray[np.float64], color: Any, width: int) -> None:
        points = self._pixels(self._plant.limb(_tensor(state)).numpy())
        if len(points) > 1:
            pen.line(points, fill=color, width=width * _FINE, joint="curve")
        for x, y in points:
            radius = (width - 0.5) * _FINE
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)

    def _muscles(self, pen: Any, state: NDArray[np.float64]) -> None:
        """Draw each muscle in a colour between slack and active, if the plant has muscles."""
        if self._with_muscles is None:
            return
        lines = self._with_muscles.muscle_lines(_tensor(state)).numpy()
        activity = np.clip(state[self._plant.state_parts["activation"]], 0.0, 1.0)
        colors = np.array(_SLACK) + np.outer(activity, np.subtract(_ACTIVE, _SLACK))
        for line, color in zip(lines, colors.round().astype(int), strict=True):
            pen.line(self._pixels(line), fill=(90, 90, 90), width=6 * _FINE, joint="curve")
            pen.line(self._pixels(line), fill=tuple(color), width=4 * _FINE, joint="curve")

    def _dot(self, pen: Any, point: NDArray[np.float64], radius_m: float, **style: Any) -> None:
        ((x, y),) = self._pixels(point[None])
        radius = radius_m * _FINE * _SIDE / (2 * self._half_m)
        if "outline" in style:
            style["width"] = 2 * _FINE
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), **style)

    def _force(self, scene: Scene) -> NDArray[np.float64] | None:
        """Return the force (N) at the hand that loads and hand forces add up to, or None."""
        force = np.zeros(self._plant.hand_size)
        if scene.hand_force is not None:
            force += np.asarray(scene.hand_force)
        if scene.load is not None:
            load = np.asarray(scene.load, dtype=np.float64)
            joints = _tensor(scene.states[-1])[self._plant.state_parts["position"]]
            jacobian = torch.autograd.functional.jacobian(  # type: ignore[no-untyped-call]  # (d, q)
                self._plant.hand_position, joints
            ).numpy()
            if len(load) == jacobian.shape[1]:
                force += np.linalg.lstsq(jacobian.T, load, rcond=1e-3)[0]
        return force if np.any(force) else None

    def _arrow(self, pen: Any, start: NDArray[np.float64], force: NDArray[np.float64]) -> None:
        size = float(np.linalg.norm(force))
        shown = force / size * min(_ARROW_M_PER_N * size, _LONGEST_ARROW_M)
        length = float(np.linalg.norm(shown[self._axes]))
        if length < _SHORTEST_ARROW_M:  # it points at the eye, or is too weak to be seen
            return
        along, across = np.zeros_like(shown), np.zeros_like(shown)
        right, up = self._axes
        along[self._axes] = shown[self._axes] / length
        across[right], across[up] = -along[up], along[right]
        end = start + shown
        base = end - 0.015 * along
        pen.line(self._pixels(np.stack([start, end])), fill=_LOAD, width=3 * _FINE)
        head = np.stack([end + 0.008 * along, base + 0.008 * across, base - 0.008 * across])
        pen.polygon(self._pixels(head), fill=_LOAD)


class Window:
    """Shows a painter's pictures in a window of matplotlib, as they come."""

    def __init__(self, painter: Painter) -> None:
        import matplotlib.pyplot as plt

        self._plt = plt
        self._painter = painter
        self._image: Any = None
        self._figure: Any = None

    def draw(self, scene: Scene) -> None:
        """Show a scene."""
        picture = self._painter.draw(scene)
        if self._figure is None:
            height, width, _ = picture.shape
            self._figure = self._plt.figure(figsize=(4 * width / height, 4))
            axes = self._figure.add_axes((0, 0, 1, 1))
            axes.set_axis_off()
            self._image = axes.imshow(picture)
            if _interactive(self._plt):
                self._plt.show(block=False)
        self._image.set_data(picture)
        self._figure.canvas.draw_idle()
        if _interactive(self._plt):
            self._plt.pause(1e-3)

    def close(self) -> None:
        """Close the window."""
        if self._figure is not None:
            self._plt.close(self._figure)
            self._figure = None


def _interactive(plt: Any) -> bool:
    """Return whether matplotlib's backend opens windows."""
    backends: Any = import_module("matplotlib.backends")
    known = backends.backend_registry.list_builtin(backends.BackendFilter.INTERACTIVE)
    return plt.get_backend().lower() in {name.lower() for name in known}


def _tensor(state: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(np.array(state, dtype=np.float64))
