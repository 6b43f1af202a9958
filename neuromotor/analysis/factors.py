"""Labels of trials that cross one another, such as target and load, and the parts they divide."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import did_you_mean
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.quantities import missing_labels, unlabelled

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Factors"]

_TABLE = "table_"  # before the columns of trials of an imported recording


@dataclass(frozen=True)
class Factors:
    """Labels of trials; every combination of their values is a group.

    Attributes:
        names: The labels' names.
        levels: Values of each label, in order.
        member: Group of each trial, (B,); the last label changes fastest.
    """

    names: tuple[str, ...]
    levels: tuple[NDArray[Any], ...]
    member: NDArray[np.int64]

    @classmethod
    def of(cls, recording: xr.Dataset, names: Sequence[str] = ()) -> Factors:
        """Return the labels of a recording's trials, its conditions by default.

        Raises:
            RecordingError: A label is not there, or a trial lacks it, or no trial has some
                combination of values.
        """
        wanted = tuple(names) or ("condition",)
        if len(set(wanted)) < len(wanted):
            raise RecordingError(f"`labels` must differ from one another, got {list(wanted)}.")
        levels, index = [], []
        for name in wanted:
            values = _column(recording, name)
            own, places = np.unique(values, return_inverse=True)
            levels.append(own)
            index.append(places)
        shape = tuple(len(own) for own in levels)
        member = np.asarray(np.ravel_multi_index(tuple(index), shape), np.int64)
        found = cls(wanted, tuple(levels), member)
        empty = np.flatnonzero(np.bincount(member, minlength=int(np.prod(shape))) == 0)
        if len(empty):
            raise RecordingError(
                f"no trial has {found.words()[empty[0]]}, and {len(empty)} of {np.prod(shape)} "
                "combinations are without trials; each must have one: give fewer `labels`, or "
                "leave values out."
            )
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each label."""
        return tuple(len(own) for own in self.levels)

    def words(self) -> list[str]:
        """Return the values of each group in words."""
        groups = itertools.product(*self.levels)
        if len(self.names) == 1:
            return [str(group[0]) for group in groups]
        return [
            ", ".join(f"{name} {value}" for name, value in zip(self.names, group, strict=True))
            for group in groups
        ]

    def parts(self, mean: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return averages (C, T, .) of groups as parts that sum to them.

        `time` is the mean over groups at each time. A label's part is what its values add to it,
        and `a x b` what the values of both add beyond that.
        """
        full = mean.reshape(*self.shape, *mean.shape[1:])
        axes = range(len(self.names))
        found: dict[str, NDArray[np.float64]] = {}
        for count in range(len(self.names) + 1):
            for kept in itertools.combinations(axes, count):
                out = tuple(axis for axis in axes if axis not in kept)
                own = np.broadcast_to(full.mean(axis=out, keepdims=True), full.shape)
                for inner in itertools.chain.from_iterable(
                    itertools.combinations(kept, size) for size in range(count)
                ):
                    own = own - found[self._name(inner)].reshape(full.shape)
                found[self._name(kept)] = own.reshape(mean.shape)
        return found

    def _name(self, kept: tuple[int, ...]) -> str:
        return " x ".join(self.names[axis] for axis in kept) or "time"

    def exchanged(
        self, name: str, rows: NDArray[np.int64], generator: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return groups of some trials after one label was exchanged between them.

        It is exchanged between trials that are alike in all other labels.
        """
        index = list(np.unravel_index(self.member[rows], self.shape))
        axis = self.names.index(name)
        rest = np.zeros(len(rows), np.int64)
        for other, own in enumerate(index):
            if other != axis:
                rest = rest * self.shape[other] + own
        order = np.lexsort((generator.random(len(rows)), rest))
        drawn = np.empty(len(rows), np.int64)
        drawn[np.argsort(rest, kind="stable")] = index[axis][order]
        index[axis] = drawn
        return np.asarray(np.ravel_multi_index(tuple(index), self.shape), np.int64)


def _column(recording: xr.Dataset, name: str) -> NDArray[Any]:
    """Return a label of every trial, (B,)."""
    for known in (name, f"{_TABLE}{name}"):
        if known in recording.variables and recording[known].dims == ("trial",):
            values: NDArray[Any] = recording[known].values
            missing = unlabelled(values)
            if missing.any():
                raise RecordingError(missing_labels(name, missing))
            return values
    columns = [
        str(own).removeprefix(_TABLE)
        for own in recording.variables
        if recording[own].dims == ("trial",) and own != "trial"
    ]
    raise RecordingError(
        f"`labels` names {name!r}, which is no label of the trials; {did_you_mean(name, columns)}."
    )
