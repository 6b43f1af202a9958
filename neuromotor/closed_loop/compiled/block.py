"""One block of trials: what it brings along, and room for the passes over it."""

from __future__ import annotations

from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor.closed_loop.compiled.arrangement import Arrangement, aligned
from neuromotor.closed_loop.compiled.arrays import (
    AdjointRoom,
    Dimensions,
    ForwardRoom,
    Given,
    Run,
    TangentRoom,
)
from neuromotor.compiled.compose import PlantShape
from neuromotor.compiled.pieces import Tape, pull_gates
from neuromotor.controllers.network import RecurrentNetwork
from neuromotor.plants.plant import Plant
from neuromotor.tasks.cost import QuadraticCost, features_of
from neuromotor.tasks.senses import SensesInUse
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["Room", "force_size", "given", "initial_state", "part_of"]

Array = NDArray[Any]


def force_size(plant: Plant, in_field: bool) -> int:
    """Return how many numbers a force has, on the hand and, behind that, of a field."""
    d = plant.hand_size
    return d + d * (1 + 2 * d) if in_field else d


def given(
    task: Task, cost: QuadraticCost, net: RecurrentNetwork, trials: Trials, dtype: Any
) -> Given:
    """Return what a block's trials bring along, time first and trials last."""
    batch = len(trials)
    n, m = task.plant.state_size, task.plant.command_size
    senses = SensesInUse.of(task)
    size = len(senses.labels)

    def array(part: Tensor | None, size: int) -> Array:
        """(B or 1, T, k) as (T, k, B); zeros of one step where there is nothing."""
        if part is None:
            return np.zeros((1, size, batch), dtype)
        turned = part.expand(batch, -1, -1).permute(1, 2, 0)
        return np.array(turned.numpy(), dtype, order="C")  # a copy that can be written

    told = senses.told_over_time(trials)
    if told is None:
        told = senses.told(trials.target)[:, None]
    noise = np.zeros((1, batch, 0), dtype)
    if net.noise_size:
        net.check_noise(trials.unit_noise)
        if trials.unit_noise is not None:
            scaled = net.private_noise * trials.unit_noise.permute(1, 0, 2)
            noise = np.array(scaled.numpy(), dtype, order="C")
    force = array(trials.hand_force, task.plant.hand_size)
    if trials.field is not None:
        width = force_size(task.plant, True) - task.plant.hand_size
        rows = array(trials.field.flatten(1)[:, None], width)
        if trials.field_on is not None:
            rows = rows * array(trials.field_on, 1)
        steps = max(len(force), len(rows))
        parts = [part.repeat(steps // len(part), axis=0) for part in (force, rows)]
        force = np.concatenate(parts, axis=1)
    lag = [one.delay for one in senses.channels for _ in one.signal.labels]
    gain, sense = senses.as_affine(trials)
    return Given(
        feedback=np.array(senses.entries, np.int64),
        lag=np.array(lag, np.int64),
        gain=array(gain, size),
        told=array(told, told.shape[2]),
        sense=array(sense, size),
        noise=noise,
        command_noise=array(trials.command_noise, m),
        load=array(trials.load, task.plant.load_size),
        force=force,
        jolt=array(trials.plant_noise, n),
        weight=array(cost.weights(trials), n),
        goal=array(None if features_of(cost) else trials.goal, n),
    )


def initial_state(trials: Trials, dtype: Any) -> Array:
    """Return where a block's trials start, (n, M)."""
    return np.array(trials.initial_state.numpy().T, dtype, order="C")


class Room:
    """Room for passes over blocks of M trials; made piece by piece, when it is asked for."""

    def __init__(
        self,
        arrangement: Arrangement,
        net: RecurrentNetwork,
        cell: ModuleType,
        numbers: tuple[float, ...],
        shape: PlantShape,
        dims: Dimensions,
        trials: int,
    ) -> None:
        """Note sizes.

        Args:
            arrangement: The network's.
            net: The network.
            cell: Its cell's compiled pieces.
            numbers: The cell's numbers.
            shape: The plant's numbers.
            dims: Of the loop.
            trials: M.
        """
        self._arrangement, self._dims, self.trials = arrangement, dims, trials
        self._units = list(net.layers)
        self._groups = [group * units for units in net.layers for group in cell.GATES]
        self._pulls = [gates * units for units in net.layers for gates in pull_gates(cell)]
        self._damped = [units * getattr(cell, "DAMPED", 1) for units in net.layers]
        parts = [cell.widths(units, numbers) for units in net.layers]
        self.memory_widths = [layer[0] for layer in parts]
        self._memory, self._kept, self._scratch = (
            [width for layer in parts for width in layer[kind]] for kind in range(3)
        )
        self._rows, self._m = shape.rows, shape.command
        self._see = arrangement.padded(arrangement.inputs + 1)

    def _array(self, *shape: int) -> Array:
        return aligned(shape, self._arrangement.dtype)

    def _tape(self, widths: list[int], steps: int) -> Tape:
        return self._arrangement.tape(widths, steps, self.trials)

    def run(self) -> Run:
        """Return new room for a forward pass."""
        steps = self._dims.steps
        return Run(
            see=self._array(steps, self.trials, self._see),
            memory=self._tape(self._memory, steps + 1),
            kept=self._tape(self._kept, steps),
            x=self._array(steps + 1, self._rows, self.trials),
            u=self._array(steps, self._m, self.trials),
            drive=self._array(steps, self._m, self.trials),
        )

    @cached_property
    def shared_run(self) -> Run:
        """Room for a forward pass that the next one overwrites."""
        return self.run()

    @cached_property
    def forward(self) -> ForwardRoom:
        """Room for one step."""
        command = self._array(self.trials, self._arrangement.padded(self._m))
        return ForwardRoom(self._tape(self._groups, 1), command)

    @cached_property
    def tangent(self) -> TangentRoom:
        """Room for changes of one step."""
        return TangentRoom(
            drives=self._tape(self._groups, 1),
            memory=self._tape(self._memory, 2),
            scratch=self._tape(self._scratch, 1),
            see=self._array(self.trials, self._see),
            command=self._array(self.trials, self._arrangement.padded(self._m)),
            drive=self._array(self._m, self.trials),
        )

    @cached_property
    def adjoint(self) -> AdjointRoom:
        """Room for derivatives, with pulls of as many steps as the loop keeps."""
        return self.adjoint_of(self._dims.ring)

    def adjoint_of(self, ring: int) -> AdjointRoom:
        """Return new room for derivatives, with pulls of some steps."""
        return AdjointRoom(
            pulls=self._tape(self._pulls, ring),
            memory=self._tape(self._memory, 2),
            scratch=self._tape(self._scratch, 1),
            see=self._array(self.trials, self._see),
            command=self._array(ring * self.trials, self._arrangement.padded(self._m)),
            drive=self._array(self._m, self.trials),
        )

    @cached_property
    def derivatives(self) -> tuple[Array, Array]:
        """Room for derivatives by states, (T + 1, N, M), and commands, (T, m, M)."""
        return self._over_time()

    @cached_property
    def changes(self) -> tuple[Array, Array]:
        """Room for changes of states and commands, of the same shapes."""
        return self._over_time()

    @cached_property
    def damped(self) -> Tape:
        """Room for changes of the quantities that structural damping holds back."""
        return self._tape(self._damped, self._dims.steps)

    @cached_property
    def undamped(self) -> Tape:
        """What stands for these where there is no structural damping."""
        return self._tape([0] * len(self._damped), 1)

    @cached_property
    def rate_pulls(self) -> Tape:
        """Room for derivatives by the rates after each step."""
        return self._tape(self._units, self._dims.steps)

    @cached_property
    def rate_changes(self) -> Tape:
        """Room for changes of the rates after each step."""
        return self._tape(self._units, self._dims.steps)

    def rates_of(self, tape: Tape, *, parts: int = 1, first: int = 0) -> list[Tensor]:
        """Return views of the rates of each layer on a tape, (T, M, units).

        Args:
            tape: Of this block.
            parts: Parts that a layer has on it, the rates being the first.
            first: Step from which they count.
        """
        steps, found = self._dims.steps, []
        for number, units in enumerate(self._units):
            view = part_of(tape, number * parts, first, steps * self.trials)
            cut = view.reshape(steps, self.trials, -1)[..., :units]
            found.append(torch.from_numpy(cut))
        return found

    def _over_time(self) -> tuple[Array, Array]:
        steps = self._dims.steps
        return (
            self._array(steps + 1, self._rows, self.trials),
            self._array(steps, self._m, self.trials),
        )


def part_of(tape: Tape, number: int, step: int, rows: int) -> Array:
    """Return a view of part `number` of a tape, (rows, padded width), from a step on."""
    start, width = (int(entry) for entry in tape.table[number])
    first = start * tape.trials + step * tape.trials * width
    view: Array = tape.data[first : first + rows * width].reshape(rows, width)
    return view
