"""Where an environment's trials come from: batches of its task, dealt out in random order.

Everything random about a trial is in the batch, as in training; a new batch is drawn when the last
one is used up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor._checks import lookup
from neuromotor.closed_loop.dynamics import check_trials
from neuromotor.envs.components import ComponentTask
from neuromotor.tasks import Task, Trials
from neuromotor.tasks.trials import TRIAL_PARTS

__all__ = ["PLAYED", "RESET_OPTIONS", "TrialArrays", "TrialSource", "dealt"]

# The optional parts of `Trials` that environments play: all but those of a network's own units.
PLAYED = tuple(name for name, part in TRIAL_PARTS.items() if part.seen_by != "units")

RESET_OPTIONS = ("target", "disturbance", "trials")

_KEPT = 64  # trials of a batch that one arm alone uses, so that many sources fit in memory


@dataclass
class TrialArrays:
    """A batch of trials as arrays in double precision."""

    initial_state: NDArray[np.float64]  # (B, n)
    target: NDArray[np.float64]  # (B, n)
    condition: NDArray[np.int64]  # (B,); -1 where the task counts none
    parts: dict[str, NDArray[np.float64]]  # the others that there are, by name, (B, ...)

    @classmethod
    def whole(cls, trials: Trials) -> TrialArrays:
        """Return a batch as it is."""
        return cls(
            initial_state=_array(trials.initial_state),
            target=_array(trials.target),
            condition=np.full(len(trials), -1)
            if trials.condition is None
            else trials.condition.cpu().numpy().astype(np.int64),
            parts={name: _array(part) for name, part in trials.present().items() if name in PLAYED},
        )

    @classmethod
    def of(cls, segments: Sequence[tuple[TrialArrays, NDArray[np.int64]]]) -> TrialArrays:
        """Return rows of batches, one after the other; a copy."""
        return cls(
            initial_state=_joined([batch.initial_state[rows] for batch, rows in segments]),
            target=_joined([batch.target[rows] for batch, rows in segments]),
            condition=_joined([batch.condition[rows] for batch, rows in segments]),
            parts={
                name: _joined([batch.parts[name][rows] for batch, rows in segments])
                for name in segments[0][0].parts
            },
        )

    def __len__(self) -> int:
        return len(self.initial_state)


class TrialSource:
    """Deals out a task's trials, one seed one order.

    A batch of which nothing was drawn (as of center-out) is made once.
    """

    def __init__(self, task: Task, rng: np.random.Generator, arms: int = 1) -> None:
        """Make a source.

        Args:
            task: Whose trials.
            rng: What all randomness comes from.
            arms: How many arms it serves.
        """
        self._task = task
        self._rng = rng
        self._kept = max(_KEPT, arms)
        self._batch: TrialArrays | None = None
        self._fixed = False
        self._order: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def take(self, count: int) -> Iterator[tuple[TrialArrays, NDArray[np.int64]]]:
        """Yield batches and rows of them until there are `count` trials."""
        while count:
            if not len(self._order):
                self._refill()
            rows, self._order = self._order[:count], self._order[count:]
            count -= len(rows)
            if self._batch is not None:
                yield self._batch, rows

    def _refill(self) -> None:
        if self._batch is None or not self._fixed:
            generator = torch.Generator().manual_seed(int(self._rng.integers(2**63)))
            before = generator.get_state()
            self._batch = TrialArrays.whole(self._task.trials(generator))
            self._fixed = bool(torch.equal(before, generator.get_state()))
        self._order = self._rng.permutation(len(self._batch))[: self._kept]


def dealt(
    sources: Sequence[TrialSource],
    count: int,
    physics: ComponentTask,
    options: Mapping[str, Any] | None,
) -> TrialArrays:
    """Return trials for `count` arms as arrays, changed by the options of a reset.

    Args:
        sources: One for all arms, or one for each.
        count: Number of arms.
        physics: Plant and task.
        options: ``target``: where the hand shall be (m), (d,), or the state to be reached, (n,);
            ``disturbance``: load (N m or N), (k,) for the whole trial or (T, k) by step; both also
            with a first axis of arms. ``trials``: a `Trials` batch of `count` trials that are
            played as they are.

    Raises:
        TypeError: ``trials`` is no `Trials`.
        ValueError: An option is unknown or does not fit.
    """
    options = options or {}
    for name in options:
        lookup("reset option", name, dict.fromkeys(RESET_OPTIONS))
    task = physics.options.typed_task
    if "trials" in options:
        batch = _given(options["trials"], count, task)
    elif len(sources) == 1:
        batch = TrialArrays.of(list(sources[0].take(count)))
    else:
        batch = TrialArrays.of([segment for source in sources for segment in source.take(1)])
    if options.get("target") is not None:
        old, batch.target = batch.target, _target(options["target"], count, physics)
        batch.parts.pop("shown_target", None)
        wanted = batch.parts.get("wanted")
        if wanted is not None:
            there = (wanted == old[:, None]).all(axis=-1, keepdims=True)
            batch.parts["wanted"] = np.where(there, batch.target[:, None], wanted)
    if options.get("disturbance") is not None:
        shape = (count, task.steps, task.plant.load_size)
        value = np.asarray(options["disturbance"], dtype=np.float64)
        if value.ndim == 2 and value.shape != shape[1:]:
            raise ValueError(
                "`options['disturbance']` must have shape "
                f"{shape[2:]}, {shape[1:]} or {shape}, got {value.shape}."
            )
        batch.parts["load"] = _placed(value, shape, "options['disturbance']")
    return batch


def _given(trials: object, count: int, task: Task) -> TrialArrays:
    """A batch from outside."""
    if not isinstance(trials, Trials):
        raise TypeError(f"`options['trials']` must be a Trials batch, got {type(trials).__name__}.")
    check_trials(task, trials)
    if len(trials) != count:
        raise ValueError(
            f"`options['trials']` must hold {count} trial{'s' if count > 1 else ''}, one an arm, "
            f"got {len(trials)}; use `trials.subset(...)`."
        )
    return TrialArrays.of(
        [(TrialArrays.whole(trials), np.arange(count))]
    )  # a copy, which may be written to


def _target(value: Any, count: int, physics: ComponentTask) -> NDArray[np.float64]:
    """Target states (count, n) from hand positions or states."""
    plant = physics.options.typed_task.plant
    array = np.asarray(value, dtype=np.float64)
    name = "options['target']"
    if array.ndim and array.shape[-1] == plant.state_size:
        return _placed(array, (count, plant.state_size), name)
    hand = torch.from_numpy(_placed(array, (count, plant.hand_size), name))
    return plant.rest_state(plant.configuration_at(hand)).numpy()


def _placed(value: NDArray[np.float64], shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    """Finite numbers of `shape`, from any shape that broadcasts to it."""
    try:
        array = np.broadcast_to(value, shape).copy()
    except ValueError as error:
        raise ValueError(
            f"`{name}` must have shape {shape} or its last axes, got {value.shape}."
        ) from error
    if not np.isfinite(array).all():
        raise ValueError(f"`{name}` must be finite, got {value.tolist()!r}.")
    return array


def _array(part: Tensor) -> NDArray[np.float64]:
    return part.detach().double().cpu().numpy()


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
