"""Pages of networks that are being trained, written anew every few seconds."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neuromotor.controllers.controller import Controller
from neuromotor.storage.files import atomic_path
from neuromotor.tasks import Task
from neuromotor.training.single import initial_parameters, make_trials
from neuromotor.view.description import describe
from neuromotor.view.page import written

__all__ = ["LIVE_PAGE", "LivePages"]

LIVE_PAGE = "live.html"
_EVERY_S = 5.0  # between two pages of a network
_SHARE = 0.1  # most of the time that pages may take
_TRIALS = 64  # of the batch, from which components and directions come
_SHOWN = 4


class LivePages:
    """Keeps pages of networks in training: `live/METHOD.html` each, and `live.html` with them all.

    Each page loads itself anew as long as its network is trained.

    Args:
        folder: Run folder.
        task: The task.
        controller: What is trained.
        methods: Names of the methods that train it.
        seed: Seed of the trials that the pages offer.

    Raises:
        ViewError: The controller, the plant or the trials cannot run in a page.
    """

    def __init__(
        self, folder: Path, task: Task, controller: Controller, methods: Sequence[str], seed: int
    ) -> None:
        self._folder, self._task, self._controller = folder, task, controller
        trials = make_trials(task, controller, seed)
        self._trials = trials.sample(_TRIALS, torch.Generator().manual_seed(seed))
        self._reference: dict[str, Any] | None = None
        self._due = 0.0
        start = initial_parameters(controller, seed)
        for method in methods:
            self._write(method, start, f"{method}: not begun", refresh=True)
        frames = "".join(
            f"<section><h2>{html.escape(method)}</h2>"
            f'<iframe src="live/{html.escape(method)}.html" title="{html.escape(method)}"></iframe>'
            "</section>"
            for method in methods
        )
        with atomic_path(folder / LIVE_PAGE) as temporary:
            temporary.write_text(_SIDE_BY_SIDE.replace("FRAMES", frames), encoding="utf-8")

    def note(self, method: str, calls: int, loss: float, parameters: Tensor) -> None:
        """Write a method's page where it is time; this belongs into a callback of training."""
        begun = time.monotonic()
        if begun < self._due:
            return
        self._write(method, parameters, f"{method}: {calls} calls, loss {loss:.4g}", refresh=True)
        now = time.monotonic()
        self._due = now + max(_EVERY_S, (now - begun) / _SHARE)

    def finished(self, method: str, calls: int, loss: float, parameters: Tensor) -> None:
        """Write the last page of a method, which stays as it is."""
        self._write(method, parameters, f"{method}: {calls} calls, loss {loss:.4g}", refresh=False)
        self._due = 0.0

    def _write(self, method: str, parameters: Tensor, title: str, *, refresh: bool) -> None:
        first = self._reference is None
        made = describe(
            self._task,
            self._controller,
            parameters,
            self._trials,
            title=title,
            shown=_SHOWN,
            ilqr=first,
            fixed_points=False,
        )
        if self._reference is None:
            self._reference = made.model["reference"]
        made.model["reference"] = self._reference
        page = written(made, refresh_s=_EVERY_S if refresh else None)
        page.save(self._folder / "live" / f"{method}.html", overwrite=True)


_SIDE_BY_SIDE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';
  frame-src 'self' file:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Networks in training</title>
<style>
:root { color-scheme: light dark }
body { font: 15px/1.45 system-ui, sans-serif; margin: .6rem }
h1 { font-size: 1.2rem } h2 { font-size: 1rem; margin: .2rem 0 }
main { display: grid; gap: .6rem; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)) }
iframe { width: 100%; height: 90vh; border: 1px solid #8888; box-sizing: border-box }
</style>
</head>
<body><h1>Networks in training</h1><main>FRAMES</main></body>
</html>
"""
