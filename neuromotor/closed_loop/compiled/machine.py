"""What all batches of one loop share: compiled functions, where weights stand, and room to work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor.closed_loop.compiled import arrays
from neuromotor.closed_loop.compiled.arrangement import Arrangement
from neuromotor.closed_loop.compiled.arrays import Dimensions
from neuromotor.closed_loop.compiled.block import Room, force_size
from neuromotor.compiled.compose import PlantShape, composed
from neuromotor.compiled.pieces import Weights
from neuromotor.controllers.network import RecurrentNetwork
from neuromotor.plants import field_components
from neuromotor.plants.plant import Components, components_of
from neuromotor.tasks.cost import features_of
from neuromotor.tasks.senses import SensesInUse
from neuromotor.tasks.task import Task

__all__ = ["Machine"]

_Part = TypeVar("_Part")
_TEMPLATE = Path(__file__).with_name("loop.py")


class Machine:
    """A task's plant and a network, compiled for one precision, with or without a force field.

    Attributes:
        cell: The compiled pieces of the network's cell.
        numbers: Numbers of the cell, which they need.
        arrangement: Where weights stand.
        network: Units of the layers and the cell's numbers, as the loops take them.
        body: Numbers and limits of the plant, and numbers of the cost's features, as the loops
            take them.
        shape: The numbers of the plant, and how many are computed from its state.
        code: The compiled loops, by name.
    """

    def __init__(
        self, task: Task, net: RecurrentNetwork, dtype: torch.dtype, in_field: bool
    ) -> None:
        """Prepare the loops; `ClosedLoop.why_not_compiled` says which can run compiled."""
        self.task, self.net = task, net
        self.dtype = np.dtype(str(dtype).removeprefix("torch."))
        plant, kind = task.plant, cast(Any, net.cell)
        components = cast(Components, components_of(plant))
        self.cell: ModuleType = import_module(kind.compiled)
        self.numbers = tuple(kind.numbers)
        senses, features = SensesInUse.of(task), features_of(task.cost)
        self.arrangement = Arrangement(net, self.cell, len(senses.labels), self.dtype)
        self.network = (np.array(net.layers, np.int64), np.array(self.numbers, self.dtype))
        limits = np.broadcast_to(components.limit or -1.0, plant.command_size)
        self.body: tuple[tuple[Any, ...], NDArray[Any], tuple[Any, ...]] = (
            tuple(self.dtype.type(number) for number in components.numbers),
            np.array(limits, self.dtype),
            tuple(self.dtype.type(number) for number in features.numbers) if features else (),
        )
        self.shape = PlantShape(
            state=plant.state_size,
            command=plant.command_size,
            load=plant.load_size,
            force=force_size(plant, in_field),
            signals=components.signals if senses.computed else 0,
            features=plant.state_size if features else 0,
            offsets=plant.command_size if features and features.has_offsets else 0,
        )
        self.code = composed(
            _TEMPLATE,
            components.functions,
            self.shape,
            self.dtype.name,
            self.cell,
            arrays,
            field=field_components if in_field else None,
            weighed=features.functions if features else None,
        )
        self._rooms: dict[tuple[int, int], list[Room]] = {}
        self._weights: list[Weights] = []

    def room(self, trials: int, dims: Dimensions) -> AbstractContextManager[Room]:
        """Lend room for a pass over a block of trials."""

        def made() -> Room:
            parts = self.arrangement, self.net, self.cell, self.numbers, self.shape
            return Room(*parts, dims, trials)

        return _lent(self._rooms.setdefault((trials, dims.ring), []), made)

    def weights(self) -> AbstractContextManager[Weights]:
        """Lend room for packed weights, which is faster than new room."""
        return _lent(self._weights, self.arrangement.weights)


@contextmanager
def _lent(free: list[_Part], made: Callable[[], _Part]) -> Iterator[_Part]:
    """Lend something that is free, or made anew; no other thread has it meanwhile."""
    try:
        part = free.pop()
    except IndexError:
        part = made()
    try:
        yield part
    finally:
        free.append(part)
