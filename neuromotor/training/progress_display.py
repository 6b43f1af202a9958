"""Shows on stderr where trainings stand, by live lines on a terminal and plain lines elsewhere.

The package rich is imported only when something is shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from neuromotor.compiled.availability import heard
from neuromotor.optim import Budget
from neuromotor.optim import Progress as OptimizerProgress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["LiveTrainings", "live_trainings"]

_LINE_S = 10.0  # between two lines without a terminal


class LiveTrainings:
    """Shows a line for each training: used part of the budget, loss, ratio to iLQR, calls."""

    def __init__(
        self, progress: Progress, budget: Budget, console: Console, line_s: float | None
    ) -> None:
        self._progress = progress
        self._budget = budget
        self._console = console
        self._line_s = line_s
        self._said = time.monotonic()
        self._lines: dict[str, TaskID] = {}

    def update(self, method: str, progress: OptimizerProgress, floor: float | None = None) -> None:
        """Show where a method stands; this is a callback for `compare`."""
        point = progress.point
        ratio = "" if not floor else f"{point.value / floor:.4g}"
        if not self._console.is_terminal:
            now = time.monotonic()
            if self._line_s is not None and now - self._said >= self._line_s:
                self._said = now
                words = f", {ratio} x iLQR" if ratio else ""
                self.say(
                    f"{method}: loss {point.value:.6g}{words}, {point.calls} calls, "
                    f"{point.seconds:.0f} s"
                )
            return
        used = self._budget.fraction_used(point.calls, point.seconds)
        if method not in self._lines:
            total = None if used is None else 1.0
            fields: dict[str, Any] = {"loss": "", "ratio": "", "calls": 0}
            self._lines[method] = self._progress.add_task(method, total=total, **fields)
        self._progress.update(
            self._lines[method],
            completed=used or 0.0,
            loss=f"{point.value:.4g}",
            ratio=f"ratio {ratio:>8}" if ratio else "",
            calls=point.calls,
        )

    def say(self, words: str) -> None:
        """Print a line."""
        self._console.print(words, soft_wrap=True)


@contextmanager
def live_trainings(
    budget: Budget, console: Console | None = None, *, line_s: float | None = _LINE_S
) -> Iterator[LiveTrainings]:
    """Show trainings while the block runs.

    Args:
        budget: Budget of each training.
        console: Where they are shown; stderr if None.
        line_s: Seconds between two lines where there is no terminal; None for no lines.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    if console is None:
        options: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
        console = Console(stderr=True, force_jupyter=False, **options)
    columns = (
        TextColumn("{task.description:<9}", style="bold", markup=False),
        BarColumn(bar_width=24),
        TextColumn("loss {task.fields[loss]:>9}"),
        TextColumn("{task.fields[ratio]}"),
        TextColumn("calls {task.fields[calls]:>6}"),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, disable=not console.is_terminal, refresh_per_second=4
    ) as progress:
        live = LiveTrainings(progress, budget, console, line_s)
        with heard(live.say):
            yield live
