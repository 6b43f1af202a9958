"""The mean loss of a closed loop, its gradient and its Gauss-Newton products, by compiled loops.

Trials run in blocks of about 96, so that what a step needs stays in cache; blocks run side by side
on as many threads as torch has. How trials are divided does not depend on anything else, so results
are the same to the bit from run to run.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor.closed_loop.blas import blas_threads
from neuromotor.closed_loop.compiled.arrays import SQUASHED, AdjointRoom, Dimensions, Run
from neuromotor.closed_loop.compiled.block import Room, given, initial_state, part_of
from neuromotor.closed_loop.compiled.machine import Machine
from neuromotor.closed_loop.objective import LoopObjective, Place, drawn_residuals
from neuromotor.closed_loop.penalties import Matrices, NetworkPenalties
from neuromotor.closed_loop.simulate import check_inputs
from neuromotor.compiled.pieces import Tape, Weights, own_pulls, pull_gates
from neuromotor.controllers.network import RecurrentNetwork
from neuromotor.optim.objective import KroneckerBlock, or_infinity
from neuromotor.tasks.cost import features_of
from neuromotor.tasks.task import input_size
from neuromotor.tasks.trials import Trials

__all__ = [
    "CompiledLinearization",
    "CompiledObjective",
    "PackedNetwork",
    "Passes",
    "quiet_floats",
]

Array = NDArray[Any]
_Result = TypeVar("_Result")
_BLOCK = 96  # trials
_TALL = 96  # rows of the products that give gradients


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Return the pool of a process, since the threads of a parent do not live in its forks."""
    del process
    return ThreadPoolExecutor(threads, thread_name_prefix="neuromotor")


@contextmanager
def quiet_floats() -> Iterator[None]:
    """Take numbers below the normal range for zero, because saturated units make many slow ones.

    numpy does not warn about an arm that flies off: its loss is infinite. Matrix products get
    torch's number of threads.
    """
    torch.set_flush_denormal(True)
    try:
        with np.errstate(all="ignore"), blas_threads():
            yield
    finally:
        torch.set_flush_denormal(False)


class PackedNetwork(NamedTuple):
    """A network's weights, or a direction or the like, in the form that passes use."""

    weights: Weights
    initial: list[Array]  # each layer's learnt memory before the first step; none where it is zero
    matrices: Matrices | None  # those that penalties name


class Passes:
    """A machine on fixed trials: their blocks, and passes over these."""

    def __init__(self, machine: Machine, trials: Trials) -> None:
        self.machine, self.trials = machine, trials
        task, net = machine.task, machine.net
        self.task, self.net, self.cell = task, net, machine.cell
        self.dtype, self.arrangement, self.code = machine.dtype, machine.arrangement, machine.code
        self.fixed = machine.network, machine.body
        net.check_input(input_size(task, trials))
        cost, batch, shape = task.cost, len(trials), machine.shape
        features = features_of(cost)
        count = max(1, round(batch / _BLOCK), min(torch.get_num_threads(), batch // 8))
        edges = np.linspace(0, batch, count + 1).round().astype(int).tolist()
        self.parts = list(itertools.starmap(slice, itertools.pairwise(edges)))
        blocks = [trials.subset(part) for part in self.parts]
        self.given = [given(task, cost, net, block, self.dtype) for block in blocks]
        self.start = [initial_state(block, self.dtype) for block in blocks]
        largest = max(part.stop - part.start for part in self.parts)
        self.dims = Dimensions(
            steps=task.steps,
            ring=min(task.steps, max(1, round(_TALL / largest))),
            squash=SQUASHED.index(net.squash),
            batch=float(batch),
            energy=float(cost.energy_weight),
            weighed=shape.state + shape.signals if shape.features else 0,
            offset=shape.rows - shape.offsets,
            drive=features.drive_weight if features else 0.0,
            copies=net.efference_copies,
        )
        self.gradients, self.gradient_parts = self.arrangement.gradients(len(self.parts))
        self.penalties = NetworkPenalties.of(task, net)
        self.on_rates = self.penalties if self.penalties and self.penalties.on_rates else None

    def each(self, job: Callable[[int, Room], _Result]) -> list[_Result]:
        """Do a job for every block, blocks side by side on torch's number of threads."""
        count = len(self.parts)
        workers = min(torch.get_num_threads(), count)

        def done(block: int) -> _Result:
            part = self.parts[block]
            with self.machine.room(part.stop - part.start, self.dims) as room:
                return job(block, room)

        if workers == 1:
            return [done(i) for i in range(count)]

        def share(worker: int) -> list[_Result]:
            torch.set_flush_denormal(True)
            return [done(i) for i in range(worker, count, workers)]

        results: list[Any] = [None] * count
        for worker, shared in enumerate(_pool(workers, os.getpid()).map(share, range(workers))):
            results[worker::workers] = shared
        return results

    # ---- the passes over one block ----

    def take(self, parameters: Tensor) -> Array:
        """Return a flat vector (P,) as an array."""
        check_inputs(self.task, parameters, self.trials)
        flat: Array = parameters.detach().contiguous().numpy()
        return flat

    @contextmanager
    def packed(self, parameters: Tensor) -> Iterator[PackedNetwork]:
        """Lend a flat vector (P,) in the form that passes use."""
        with self.machine.weights() as weights:
            yield self.network(parameters, weights)

    def network(self, parameters: Tensor, weights: Weights) -> PackedNetwork:
        """Return a flat vector (P,) in the form that passes use."""
        flat = self.take(parameters)
        self.arrangement.fill(weights, flat)
        initial = [flat[places] for places in self.arrangement.initial]
        if self.penalties is None:
            return PackedNetwork(weights, initial, None)
        return PackedNetwork(
            weights, initial, Matrices.of(self.net.unpack(torch.from_numpy(flat.copy())))
        )

    def begin(self, tape: Tape, trials: int, parts: list[list[Array]]) -> None:
        """Write each layer's memory before the first step, or its change."""
        for layer, one in enumerate(parts):
            for number, values in enumerate(one):
                view = part_of(tape, layer * self.cell.MEMORY + number, 0, trials)
                width = min(len(values), view.shape[1])
                view[:, :width] = values[:width]

    def forward(self, block: int, room: Room, run: Run, network: PackedNetwork) -> float:
        """Run a block; return twice the sum of its losses."""
        run.x[0, : self.task.plant.state_size] = self.start[block]
        trials = run.x.shape[2]
        self.begin(run.memory, trials, [self.cell.start(one) for one in network.initial])
        arguments = (
            network.weights,
            self.machine.network,
            self.machine.body,
            self.dims,
            self.given[block],
        )
        return float(self.code("forward_block")(*arguments, run, room.forward))

    def backward(
        self,
        block: int,
        room: Room,
        run: Run,
        network: PackedNetwork,
        structural: float = 0.0,
        adjoint: AdjointRoom | None = None,
    ) -> list[Array]:
        """Take a block's gradient, of what has the derivatives in `room.derivatives`.

        Args:
            block: Which one.
            room: The worker's.
            run: Its forward pass.
            network: The same as there.
            structural: Weight of the changes in `room.damped`.
            adjoint: Room that keeps the pulls of all steps, where somebody wants them.

        Returns:
            Derivatives by each layer's learnt memory before the first step.
        """
        self.gradients[block] = 0
        dims = self.dims if adjoint is None else self.dims._replace(ring=self.dims.steps)
        adjoint = adjoint or room.adjoint
        weight, damped = self.dtype.type(structural), self._damped(room, structural)
        arguments = (
            self.gradient_parts[block],
            self.machine.network,
            self.machine.body,
            dims,
            self.given[block],
        )
        rates = room.undamped if self.on_rates is None else room.rate_pulls
        self.code("adjoint_block")(
            network.weights, *arguments, run, weight, damped, adjoint, *room.derivatives, rates
        )
        pulls = []
        for layer, one in enumerate(network.initial):
            sums = []
            for number, width in enumerate(room.memory_widths[layer]):
                place = layer * self.cell.MEMORY + number
                view = part_of(adjoint.memory, place, 0, run.x.shape[2])
                sums.append(view[:, :width].sum(0))
            pulls.append(self.cell.start_adjoint(one, sums))
        return pulls

    @staticmethod
    def _damped(room: Room, structural: float) -> Tape:
        return room.damped if structural else room.undamped

    def tangent(
        self,
        block: int,
        room: Room,
        run: Run,
        network: PackedNetwork,
        direction: PackedNetwork,
        s: float,
    ) -> None:
        """Write changes along a direction to `room.changes`, and, times s, what is damped.

        With penalties on rates also to `room.rate_changes`.
        """
        tangent = room.tangent
        tangent.memory.data[:] = 0
        pairs = zip(network.initial, direction.initial, strict=True)
        starts = [self.cell.start_tangent(one, change) for one, change in pairs]
        self.begin(tangent.memory, run.x.shape[2], starts)
        arguments = (
            network.weights,
            direction.weights,
            self.machine.network,
            self.machine.body,
            self.dims,
        )
        weight, damped = self.dtype.type(s), self._damped(room, s)
        rates = room.undamped if self.on_rates is None else room.rate_changes
        self.code("tangent_block")(
            *arguments, self.given[block], run, weight, damped, tangent, *room.changes, rates
        )

    def pull(
        self, block: int, room: Room, states: Array, commands: Array, about_goal: bool
    ) -> None:
        """Write the cost's derivatives to `room.derivatives`."""
        self.code("pull_block")(
            self.dims, self.given[block], states, commands, about_goal, *room.derivatives
        )

    def drawn(
        self, generator: torch.Generator, place: Place | None
    ) -> list[tuple[Array | float, Array]]:
        """Return random residuals of every block, pulled back to states and commands.

        (T + 1, N, M), or one number for all, and (T, m, M).
        """
        steps, batch, shape = self.task.steps, len(self.trials), self.machine.shape
        n, m, first, offset = shape.state, shape.command, self.dims.weighed, self.dims.offset

        def numbers(count: int, size: int) -> Array:
            """Random residuals, (count, size, B)."""
            drawn = drawn_residuals(count, batch, size, generator, place)
            return np.array(drawn.permute(0, 2, 1).numpy(), self.dtype, order="C")

        by_state = np.zeros((steps + 1, shape.rows, batch), self.dtype)
        by_state[:, first : first + n] = numbers(steps + 1, n)
        for own, part in zip(self.given, self.parts, strict=True):
            by_state[:, first : first + n, part] *= np.sqrt(own.weight / batch)
        by_command = numbers(steps, m) * (self.dims.energy / batch) ** 0.5
        if self.dims.drive:
            by_drive = numbers(steps, m) * (self.dims.drive / batch) ** 0.5
            by_state[:-1, offset:] = by_drive
            by_command += by_drive
        return [(by_state[..., part], by_command[..., part]) for part in self.parts]

    # ---- penalties ----

    def rates(self, room: Room, run: Run) -> list[Tensor]:
        """Return each layer's rates after every step of a block, (T, M, units)."""
        return room.rates_of(run.memory, parts=self.cell.MEMORY, first=1)

    def penalty(self, room: Room, run: Run, network: PackedNetwork) -> float:
        """Return the summed penalties on rates of a block, twice."""
        if self.on_rates is None or network.matrices is None:
            return 0.0
        values = self.on_rates.values(self.rates(room, run), network.matrices)
        return 2 * float(sum(one.sum() for kind, one in values.items() if kind != "weights"))

    def penalty_pulls(
        self, room: Room, run: Run, network: PackedNetwork, direction: PackedNetwork | None = None
    ) -> list[Tensor]:
        """Write derivatives of the penalties by the rates to `room.rate_pulls`.

        Args:
            room: The worker's; with a direction it has the changes of the rates.
            run: The block's forward pass.
            network: The same as there.
            direction: Of a Gauss-Newton product; None for the gradient.

        Returns:
            Those by the recurrent weights of each layer.
        """
        if self.on_rates is None or network.matrices is None:
            return []
        rates, changes, others = self.rates(room, run), None, None
        if direction is not None and direction.matrices is not None:
            changes, others = room.rates_of(room.rate_changes), direction.matrices.recurrent
        pulls, on_weights = self.on_rates.products(
            rates, network.matrices, rates if changes is None else changes, others
        )
        self.write_pulls(room, pulls)
        return [one / self.dims.batch for one in on_weights]

    def write_pulls(self, room: Room, pulls: Sequence[Tensor], scale: float | None = None) -> None:
        """Write derivatives by the rates to `room.rate_pulls`, times a scale, or as of a mean."""
        factor = 1 / self.dims.batch if scale is None else scale
        for view, pull in zip(room.rates_of(room.rate_pulls), pulls, strict=True):
            view.copy_(factor * pull)

    def with_penalties(
        self, flat: Tensor, at: Matrices | None, on_weights: Sequence[Sequence[Tensor]]
    ) -> Tensor:
        """Return a flat gradient or product with what penalties have by the weights themselves.

        Args:
            flat: Without, (P,); changed.
            at: Weights of the parameters, or of the direction of a product.
            on_weights: Of each block, by the recurrent weights of each layer.
        """
        places = self.places
        if self.penalties is None or places is None or at is None:
            return flat
        if self.penalties.weights:
            for where, one in zip(places.every, at.every, strict=True):
                flat[where] += self.penalties.weights * one
        if "dynamics" in self.penalties.kinds:
            for block in on_weights:
                for where, pull in zip(places.recurrent, block, strict=True):
                    flat[where] += pull
        return flat

    @cached_property
    def places(self) -> Matrices | None:
        """Where the matrices that penalties name lie in the flat vector."""
        if self.penalties is None:
            return None
        everything = torch.arange(self.net.parameter_count)
        return Matrices.of(RecurrentNetwork.unpack(self.net, everything))

    def weight_penalty(self, network: PackedNetwork) -> float:
        """Return the penalty on the weights."""
        if self.penalties is None or network.matrices is None or not self.penalties.weights:
            return 0.0
        squares = sum(float(one.square().sum()) for one in network.matrices.every)
        return 0.5 * self.penalties.weights * squares

    def flat_gradient(self, initial_pulls: Sequence[list[Array]]) -> Tensor:
        """Return the sum of the blocks' gradients, (P,)."""
        flat = self.arrangement.flat(self.gradients)
        for layer, places in enumerate(self.arrangement.initial):
            flat[places] = sum(pulls[layer] for pulls in initial_pulls)
        return torch.from_numpy(flat)

    def mean(self, totals: Sequence[float], network: PackedNetwork) -> float:
        """Return the mean loss of twice the blocks' sums; infinity where it is not finite."""
        return or_infinity(sum(totals) / (2 * self.dims.batch) + self.weight_penalty(network))

    def value_and_gradient(
        self, network: PackedNetwork, runs: Sequence[Run] | None = None
    ) -> tuple[float, Tensor]:
        """Return the mean loss and its gradient, (P,); `runs` keep the passes if they are given."""

        def job(i: int, room: Room) -> tuple[float, list[Array], list[Tensor]]:
            run = room.shared_run if runs is None else runs[i]
            total = self.forward(i, room, run, network) + self.penalty(room, run, network)
            self.pull(i, room, run.x, run.u, True)
            on_weights = self.penalty_pulls(room, run, network)
            return total, self.backward(i, room, run, network), on_weights

        totals, pulls, on_weights = zip(*self.each(job), strict=True)
        gradient = self.with_penalties(self.flat_gradient(pulls), network.matrices, on_weights)
        return self.mean(totals, network), gradient


class CompiledObjective(LoopObjective):
    """Mean loss over fixed trials: value, gradient, Gauss-Newton product, by compiled loops.

    Gradients are added up in place, so one objective must not be used by two threads at once.
    """

    def __init__(self, machine: Machine, trials: Trials, passes: Passes | None = None) -> None:
        """Give a loop its trials; `ClosedLoop.objective` says which can be compiled.

        Args:
            machine: The loop.
            trials: The batch.
            passes: Passes over these trials, if others than usual.
        """
        super().__init__(machine.task, machine.net, trials)
        self.loop = passes or Passes(machine, trials)

    def over(self, trials: Trials) -> CompiledObjective:
        """Return the mean loss of the same loop over other trials."""
        return CompiledObjective(self.loop.machine, trials)

    @torch.no_grad()
    @quiet_floats()
    def value(self, parameters: Tensor) -> float:
        """Return the mean loss; infinity where the simulation overflows."""
        loop = self.loop

        def job(i: int, room: Room, network: PackedNetwork) -> float:
            total = loop.forward(i, room, room.shared_run, network)
            return total + loop.penalty(room, room.shared_run, network)

        with loop.packed(parameters) as network:
            totals = loop.each(lambda i, room: job(i, room, network))
            return loop.mean(totals, network)

    @torch.no_grad()
    @quiet_floats()
    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the mean loss and its gradient, (P,)."""
        with self.loop.packed(parameters) as network:
            return self.loop.value_and_gradient(network)

    @torch.no_grad()
    @quiet_floats()
    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator, place: Place | None = None
    ) -> tuple[KroneckerBlock, ...]:
        """Return a Kronecker-factored estimate of the Gauss-Newton matrix, by layer and gate group.

        See `LoopObjective.kronecker_factors`.
        """
        loop = self.loop
        batch, steps = len(self.trials), self.task.steps
        drawn = loop.drawn(generator, place)

        by_rates: list[Tensor] = []  # of all trials, (T, B, units) a kind and layer
        if loop.on_rates is not None:
            for units in loop.net.layers:
                for _ in range(loop.on_rates.draws):
                    by_rates.append(drawn_residuals(steps, batch, units, generator, place))

        def job(i: int, room: Room, network: PackedNetwork) -> list[tuple[Array, Array]]:
            run = room.shared_run
            loop.forward(i, room, run, network)
            d_x, d_u = room.derivatives
            d_x[:], d_u[:] = drawn[i]
            if loop.on_rates is not None and network.matrices is not None:
                own = iter([one[:, loop.parts[i]] for one in by_rates])
                pulls = loop.on_rates.random_pulls(
                    loop.rates(room, run), network.matrices, lambda _: next(own)
                )
                loop.write_pulls(room, pulls, batch**-0.5)
            adjoint = room.adjoint_of(steps)
            loop.backward(i, room, run, network, adjoint=adjoint)
            return _moments(loop, run, adjoint)

        with loop.packed(parameters) as network:
            blocks = loop.each(lambda i, room: job(i, room, network))
        rows_seen = batch * steps
        found = []
        for number, index in enumerate(loop.arrangement.blocks):
            rows = sum(block[number][0] for block in blocks)
            columns = sum(block[number][1] for block in blocks) / rows_seen
            found.append(
                KroneckerBlock(
                    torch.from_numpy(index), torch.from_numpy(rows), torch.from_numpy(columns)
                )
            )
        return tuple(found)

    @torch.no_grad()
    @quiet_floats()
    def linearize(self, parameters: Tensor) -> CompiledLinearization:
        """Return the loop at a point, for any number of Gauss-Newton products."""
        return CompiledLinearization(self.loop, parameters)


def _moments(loop: Passes, run: Run, adjoint: Any) -> list[tuple[Array, Array]]:
    """Second moments of the pulls and inputs of each of the arrangement's blocks of weights."""
    cell, net = loop.cell, loop.net
    steps, _, trials = run.x.shape[0] - 1, *run.x.shape[1:]
    rows = steps * trials
    given = run.see[..., : loop.arrangement.inputs].reshape(rows, -1)
    ones = np.ones((rows, 1), loop.dtype)
    moments = []

    def rate(layer: int) -> Array:
        view = part_of(run.memory, layer * cell.MEMORY, 1, rows)
        return view[:, : net.layers[layer]]

    def pair(pulls: Array, inputs: list[Array]) -> tuple[Array, Array]:
        seen = np.concatenate(inputs, axis=1)
        return pulls.T @ pulls, seen.T @ seen

    parts, own_part = len(pull_gates(cell)), own_pulls(cell)
    for layer, units in enumerate(net.layers):
        inputs = [given] if layer == 0 or net.skip_inputs else []
        if layer:
            inputs.append(rate(layer - 1))
        for g, group in enumerate(cell.GATES):
            tape, first = run.memory, layer * cell.MEMORY
            if cell.OWN_IS_KEPT[g]:
                tape, first = run.kept, layer * cell.KEPT
            own = part_of(tape, first + cell.OWN_PART[g], 0, rows)[:, :units]
            pulls, recalled = (
                part_of(adjoint.pulls, layer * parts + k, 0, rows)[:, : group * units]
                for k in (g, own_part[g])
            )
            if own_part[g] == g:
                moments.append(pair(pulls, [*inputs, own, ones]))
            else:
                moments += [pair(pulls, [*inputs, ones]), pair(recalled, [own])]
    last = rate(len(net.layers) - 1)
    moments.append(pair(adjoint.command[:, : net.command_size], [last, ones]))
    return moments


class CompiledLinearization:
    """One trajectory: each product is a tangent and an adjoint pass over it."""

    def __init__(self, loop: Passes, parameters: Tensor) -> None:
        self._loop = loop
        self._network = loop.network(parameters, loop.arrangement.weights())
        self._runs = loop.each(lambda i, room: room.run())
        self.value, self.gradient = loop.value_and_gradient(self._network, self._runs)

    @torch.no_grad()
    @quiet_floats()
    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        """Return ``G v``, (P,), of a vector (P,); see `AutogradLinearization.product`."""
        loop, network = self._loop, self._network
        weight = structural / loop.dims.batch

        def job(i: int, room: Room, direction: PackedNetwork) -> tuple[list[Array], list[Tensor]]:
            run = self._runs[i]
            loop.tangent(i, room, run, network, direction, weight)
            loop.pull(i, room, *room.changes, False)
            on_weights = loop.penalty_pulls(room, run, network, direction)
            return loop.backward(i, room, run, network, weight), on_weights

        with loop.packed(vector) as direction:
            pulls, on_weights = zip(
                *loop.each(lambda i, room: job(i, room, direction)), strict=True
            )
            return loop.with_penalties(loop.flat_gradient(pulls), direction.matrices, on_weights)
