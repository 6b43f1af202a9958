"""The page itself: one HTML file with everything in it, which asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from pathlib import Path
from string import Template

from torch import Tensor

from neuromotor._checks import check_seed
from neuromotor.controllers.controller import Controller
from neuromotor.storage.files import atomic_path
from neuromotor.tasks import Task, Trials
from neuromotor.training.remaining_time import Tell
from neuromotor.training.single import make_trials
from neuromotor.view.description import SHOWN_TRIALS, Description, describe

__all__ = ["Page", "view", "written"]

SCRIPTS = ("engine.js", "clock.js", "drawing.js", "world.js", "page.js")  # in this order
_FOLDER = Path(__file__).parent
_HEIGHT_PX = 900  # of the frame in a notebook
_REFRESH = '<meta http-equiv="refresh" content="{:g}">'


@dataclass(frozen=True)
class Page:
    """A page in which a controller moves its limb.

    In a notebook it shows itself in a frame.

    Attributes:
        html: The whole file.
    """

    html: str

    def save(self, path: Path | str, *, overwrite: bool = False) -> Path:
        """Write the page to a file, whole or not at all, and return its path.

        Raises:
            FileExistsError: The file exists and `overwrite` is false.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists; choose another name or pass `overwrite=True`.")
        with atomic_path(path) as temporary:
            temporary.write_text(self.html, encoding="utf-8")
        return path

    def __repr__(self) -> str:
        return f"Page({len(self.html) / 1000:.0f} kB of HTML)"

    def _repr_html_(self) -> str:
        """Return a frame that holds the page; it can reach nothing outside."""
        return (
            f'<iframe title="neuromotor" width="100%" height="{_HEIGHT_PX}" '
            f'sandbox="allow-scripts allow-downloads" srcdoc="{html.escape(self.html)}"></iframe>'
        )


def view(
    task: Task,
    controller: Controller,
    parameters: Tensor,
    trials: Trials | None = None,
    *,
    title: str = "controller",
    shown: int = SHOWN_TRIALS,
    seed: int = 0,
    ilqr: bool = True,
    fixed_points: bool = True,
    progress: Tell | None = None,
) -> Page:
    """Return a page in which a controller's closed loop runs, to push, to change and to look into.

    Args:
        task: Plant, steps, delay and cost. The plant moves in a plane by two joints, and has its
            physics as functions on components.
        controller: A network whose cell has compiled pieces, such as a `ContinuousTimeRNN`.
        parameters: Its parameters, (P,).
        trials: A batch of the task, with draws for the units' private noise if there is any; the
            task's own of `seed` by default. Principal components and preferred directions come
            from all of it.
        title: Name of the controller.
        shown: How many trials the page has at most, spread over the batch.
        seed: Seed of the trials, where none are given.
        ilqr: Whether iLQR solves these trials, for its paths and losses.
        fixed_points: Whether fixed points are looked for at their ends; a network of 200 units
            takes about a second for each.
        progress: Called with words, the share that is done and about how many seconds are left.

    Raises:
        ViewError: The controller, the plant or the trials cannot run in a page; the message says
            what can.
        ValueError: Task, controller, parameters and trials do not fit together.

    Example:
        >>> import neuromotor as nm
        >>> from neuromotor.view import view
        >>> saved = nm.load_controller("center-out/lbfgs")
        >>> page = view(saved.task, saved.controller, saved.parameters, shown=2)
        >>> len(page.html) < 600_000
        True
    """
    check_seed("seed", seed)
    if trials is None:
        trials = make_trials(task, controller, seed)
    return written(
        describe(
            task,
            controller,
            parameters,
            trials,
            title=title,
            shown=shown,
            ilqr=ilqr,
            fixed_points=fixed_points,
            progress=progress,
        )
    )


def written(description: Description, *, refresh_s: float | None = None) -> Page:
    """Return the page of a description.

    Args:
        description: From `describe`.
        refresh_s: Seconds after which the page loads its file anew, or None for never.
    """
    style, page = _read("page.css"), Template(_read("page.html"))
    script = description.physics + "".join(map(_read, SCRIPTS))
    model = json.dumps(description.model, allow_nan=False, separators=(",", ":"))
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    text = page.substitute(
        policy=policy,
        refresh="" if refresh_s is None else _REFRESH.format(refresh_s),
        title=html.escape(description.title),
        style=style,
        model=model.replace("<", "\\u003c"),
        script=script,
    )
    return Page(text)


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What a policy says of the only script, or style, that may be there."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
