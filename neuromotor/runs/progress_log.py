"""The progress log of a run: JSON lines in its folder, and TensorBoard event files by option.

`metrics.jsonl` has one line an iteration, but no more than ten a second; the first and the last
iteration of each method are always there. A run that goes on first removes the lines that are newer
than its checkpoint.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from neuromotor._extras import install_command
from neuromotor.evaluation.bootstrap import ratio_to
from neuromotor.optim import HistoryPoint
from neuromotor.storage.claims import make_folder
from neuromotor.storage.components import SettingsError
from neuromotor.storage.files import atomic_path, finite_or_none, parse_json

__all__ = ["LOG_FILE", "ProgressLog", "read_progress", "require_tensorboard"]

LOG_FILE = "metrics.jsonl"
_EVERY_S = 0.1  # between two lines of a method


class ProgressLog:
    """Writes down how trainings go on.

    Args:
        folder: Run folder.
        seed: Seed of the run.
        kept: How many iterations of each method stay from an earlier run, None for all. The lines
            of methods that are not named are removed.
        tensorboard: Whether event files are written too, in `folder/tensorboard`.

    Raises:
        SettingsError: `tensorboard` is not installed.
        OSError: The file cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        kept: Mapping[str, int | None],
        *,
        tensorboard: bool = False,
    ) -> None:
        self._folder = folder
        self._seed = seed
        self._last: dict[str, tuple[int, float]] = {}
        self._writers: dict[str, Any] = {}
        self._make_writer = require_tensorboard() if tensorboard else None
        self._purge: dict[str, int] = {}
        path = folder / LOG_FILE
        lines = [line for line in read_progress(path) if _stays(line, kept)]
        if lines or path.exists():
            with atomic_path(path) as temporary:
                temporary.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for line in lines:
            self._purge[line["method"]] = line["calls"] + 1
            self._last[line["method"]] = (line["iteration"], -math.inf)
        self._file = path.open("a", encoding="utf-8")

    def note(self, method: str, point: HistoryPoint, floor: float, *, last: bool = False) -> None:
        """Write where a method stands, unless a line has just been written for it.

        Args:
            method: Name of the method.
            point: Where it stands.
            floor: Loss of the reference, by which the ratio divides.
            last: Whether the method ends here.
        """
        iteration, moment = self._last.get(method, (-1, -math.inf))
        now = time.monotonic()
        if point.iteration <= iteration or (now - moment < _EVERY_S and not last):
            return
        self._last[method] = point.iteration, now
        line = {
            "method": method,
            "seed": self._seed,
            "iteration": point.iteration,
            "calls": point.calls,
            "seconds": point.seconds,
            "value": finite_or_none(point.value),
            "ratio": finite_or_none(ratio_to(point.value, floor)),
            "gradient_norm": finite_or_none(point.gradient_norm),
            "time": time.time(),
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        if self._make_writer is not None:
            if method not in self._writers:
                place = self._folder / "tensorboard" / method
                self._writers[method] = self._make_writer(place, self._purge.get(method, 0))
            for name in ("value", "ratio", "gradient_norm"):
                if line[name] is not None:
                    self._writers[method].add_scalar(name, line[name], point.calls)

    def close(self) -> None:
        """Close all files."""
        self._file.close()
        for writer in self._writers.values():
            writer.close()

    def __enter__(self) -> ProgressLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_progress(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a progress log; an empty list where there is no file.

    The rest of a line that a killed process could not finish is left out, and so is anything else
    that is no line of a progress log.
    """
    if not path.is_file():
        return []
    lines = []
    with path.open("rb") as file:
        for raw in file:
            try:
                line = parse_json(raw)
            except ValueError:
                continue
            if isinstance(line, dict) and _FIELDS <= set(line):
                lines.append(line)
    return lines


_FIELDS = {"method", "seed", "iteration", "calls", "seconds", "value", "ratio", "gradient_norm"}


def _stays(line: Mapping[str, Any], kept: Mapping[str, int | None]) -> bool:
    """Return whether a line belongs to what an earlier run has saved."""
    if line["method"] not in kept:
        return False
    count = kept[line["method"]]
    return count is None or line["iteration"] < count


def require_tensorboard() -> Callable[[Path, int], Any]:
    """Return what makes a writer of event files from a folder and the first call to be replaced.

    Raises:
        SettingsError: The package is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise SettingsError(
            f"`--tensorboard` needs the package tensorboard: `{install_command('tensorboard')}`."
        ) from error

    def make(folder: Path, purge_step: int) -> Any:
        make_folder(folder)
        return SummaryWriter(log_dir=str(folder), purge_step=purge_step)

    return make
