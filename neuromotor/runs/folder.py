"""A run's folder while the run writes into it: checkpoints, results and the progress log.

Everything but the progress log is written whole or not at all, so that a process that is killed at
any moment leaves a folder that another process can go on with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from neuromotor.evaluation.bootstrap import Interval
from neuromotor.evaluation.load_responses import LoadResponse
from neuromotor.evaluation.performance import Evaluation, Performance
from neuromotor.optim import Budget, Counts, HistoryPoint, Progress, Result, Snapshot
from neuromotor.optim.result import pack_history, unpack_history
from neuromotor.optim.run import check_run
from neuromotor.optim.state import SnapshotError
from neuromotor.runs.create import MARKER, remove_leftovers
from neuromotor.runs.progress_log import ProgressLog
from neuromotor.runs.records import check_unchanged
from neuromotor.storage.claims import FolderVanished
from neuromotor.storage.components import SettingsError
from neuromotor.storage.snapshots import load_snapshot, load_tree, save_snapshot, save_tree
from neuromotor.storage.tensor_file import CheckpointError

__all__ = ["RunFolder"]

_RESULT = "neuromotor.result"
_EVALUATION = "neuromotor.evaluation"


class RunFolder:
    """The folder of one run in progress, which is the `Memory` of its comparison.

    Args:
        folder: The folder, claimed and with settings.json.
        settings: Settings of the run, as settings.json has them.
        methods: Names of the methods.
        budget: Budget of each method.
        checkpoint_s: Seconds between two checkpoints.
        keep_last: Whether the checkpoint of a method that used up its budget stays, for a larger
            budget.
        tensorboard: Whether event files are written beside the metrics.
        trained: Called when a training has ended and is saved.

    Raises:
        CheckpointError: What an earlier run left is damaged.
        SettingsError: What an earlier run left was made with other settings, or has gone on beyond
            the budget.
        RunFolderError: Another process is writing into the folder.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        methods: list[str],
        budget: Budget,
        *,
        checkpoint_s: float,
        keep_last: bool,
        tensorboard: bool = False,
        trained: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = folder
        self._settings = dict(settings)
        self._checkpoint_s = checkpoint_s
        self._keep_last = keep_last
        self._budget = budget
        self._saved_at = time.monotonic()
        self._latest: Progress | None = None
        self._going_on = ""
        self._trained = trained
        self.floor = 1.0  # the loss that all others are divided by, as soon as it is known
        remove_leftovers(folder)
        self._results: dict[str, Result] = {}
        self._snapshots: dict[str, Snapshot] = {}
        kept: dict[str, int | None] = {}
        for method in methods:
            result = self._read_result(method)
            snapshot = None if result is not None else self._read_snapshot(method)
            if result is not None:
                self._results[method], kept[method] = result, None
            elif snapshot is not None:
                self._snapshots[method] = snapshot
                kept[method] = len(snapshot.run["history"])
        self.begun = kept.keys()  # methods that need no start any more
        self._log = ProgressLog(folder, settings["seed"], kept, tensorboard=tensorboard)

    def note(self, method: str, progress: Progress, floor: float) -> None:
        """Write down an iteration, and save where it is time; this is a callback for `compare`."""
        self._latest = progress
        self._log.note(method, progress.point, floor)
        if time.monotonic() - self._saved_at >= self._checkpoint_s:
            self._save(method, progress)

    def snapshot(self, method: str) -> Snapshot | None:
        """Return where a method's training goes on."""
        self._saved_at = time.monotonic()
        self._going_on = method
        return self._snapshots.get(method)

    def result(self, method: str) -> Result | None:
        """Return what a method's training came to, if it need not go on."""
        return self._results.get(method)

    def trained(self, method: str, result: Result) -> None:
        """Save the end of a method's training."""
        own_limit = self._budget.limit_reason(result.counts, result.seconds)
        reason = result.reason
        if reason == "interrupted" and own_limit is not None:
            reason = own_limit  # without the interruption it would have ended here too
        interrupted = reason == "interrupted"
        if self._latest is not None and (interrupted or self._keep_last):
            self._save(method, self._latest)
        if result.history:
            self._log.note(method, result.history[-1], self.floor, last=True)
        if not interrupted:
            save_tree(
                self.writable(f"results/{method}.safetensors"),
                _RESULT,
                {
                    "settings": self._settings,
                    "parameters": result.parameters.detach().cpu().contiguous(),
                    "value": result.value,
                    "converged": result.converged,
                    "reason": reason,
                    "counts": list(asdict(result.counts).values()),
                    "seconds": result.seconds,
                    "history": pack_history(result.history),
                    "by_budget": own_limit == reason,
                },
            )
            if not self._keep_last:
                self._checkpoint(method).unlink(missing_ok=True)
        self._latest = None
        self._trained()

    def evaluation(self, reference: str) -> Evaluation | None:
        """Return a reference's evaluation, if it was saved."""
        path = self.path / "results" / f"reference-{reference}.safetensors"
        if not path.is_file():
            return None
        data = load_tree(path, _EVALUATION, "an evaluation of neuromotor's")
        check_unchanged(path, data.get("settings"), self._settings)
        with _agreeing(path):
            response = data["response"]
            return Evaluation(
                losses=data["losses"],
                loss=Interval(**data["loss"]),
                ratios={name: Interval(**ratio) for name, ratio in data["ratios"].items()},
                performance=Performance(**data["performance"]),
                response=None if response is None else LoadResponse(**response),
            )

    def evaluated(self, reference: str, evaluation: Evaluation) -> None:
        """Save a reference's evaluation."""
        data = {
            "settings": self._settings,
            "losses": evaluation.losses,
            "loss": evaluation.loss.as_dict(),
            "ratios": {name: ratio.as_dict() for name, ratio in evaluation.ratios.items()},
            "performance": evaluation.performance.as_dict(),
            "response": None if evaluation.response is None else evaluation.response.as_dict(),
        }
        save_tree(self.writable(f"results/reference-{reference}.safetensors"), _EVALUATION, data)

    def writable(self, name: str) -> Path:
        """Return the path of a file to be written, where the folder is still there.

        Raises:
            FolderVanished: Somebody removed the folder.
        """
        if not (self.path / MARKER).is_file():
            raise FolderVanished(
                f"{self.path} or its {MARKER} was removed while the run wrote into it"
            )
        return self.path / name

    def _save(self, method: str, progress: Progress) -> None:
        save_snapshot(
            self.writable(f"checkpoints/{method}.safetensors"),
            replace(progress.snapshot(), settings=self._settings),
        )
        self._saved_at = time.monotonic()

    def _checkpoint(self, method: str) -> Path:
        return self.path / "checkpoints" / f"{method}.safetensors"

    def _read_snapshot(self, method: str) -> Snapshot | None:
        path = self._checkpoint(method)
        if not path.is_file():
            return None
        try:
            snapshot = load_snapshot(path)
        except CheckpointError as error:
            raise CheckpointError(
                f"{error} Delete it to train {method} from the start again."
            ) from error
        check_unchanged(path, snapshot.settings, self._settings)
        self._check_budget(method, unpack_history(snapshot.run["history"]))
        return snapshot

    def _read_result(self, method: str) -> Result | None:
        """Return a method's result, unless a larger budget lets the method go on."""
        path = self.path / "results" / f"{method}.safetensors"
        if not path.is_file():
            return None
        data = load_tree(path, _RESULT, "a training's result")
        check_unchanged(path, data.get("settings"), self._settings)
        with _agreeing(path):
            run = {name: data[name] for name in ("counts", "seconds", "history")}
            check_run({**run, "best_parameters": data["parameters"], "best_value": data["value"]})
            for name, kind in (("converged", bool), ("by_budget", bool), ("reason", str)):
                if not isinstance(data[name], kind):
                    raise TypeError(f"`{name}` is {data[name]!r}")
            result = Result(
                parameters=data["parameters"],
                value=data["value"],
                converged=data["converged"],
                reason=data["reason"],
                counts=Counts(*data["counts"]),
                seconds=data["seconds"],
                history=tuple(unpack_history(data["history"])),
            )
            goes_on = data["by_budget"] and not self._budget.limit_reason(
                result.counts, result.seconds
            )
        self._check_budget(method, result.history)
        return None if goes_on else result

    def _check_budget(self, method: str, history: Sequence[HistoryPoint]) -> None:
        """Raise where a method has done an iteration that the budget would have forbidden.

        What the method has done stays, so that its settings must not say that it did less.
        """
        if len(history) < 2:
            return
        before, last = history[-2:]
        if self._budget.limit_reason(Counts(before.calls), before.seconds) is not None:
            raise SettingsError(
                f"`--budget` and `--seconds` must allow what {method} has done in {self.path}, "
                f"{last.calls} calls in {last.seconds:.3g} s; give more, or start a new run."
            )

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # every line was flushed when it was written
            self._log.close()
        if isinstance(error, SnapshotError):
            raise CheckpointError(
                f"{self._checkpoint(self._going_on)} cannot be gone on with: {error} Or delete it "
                f"to train {self._going_on} from the start again."
            ) from error


@contextmanager
def _agreeing(path: Path) -> Iterator[None]:
    """Turn what is wrong with a file's content into one error."""
    try:
        yield
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not agree with itself ({error!r}); delete it to do its part again."
        ) from error
