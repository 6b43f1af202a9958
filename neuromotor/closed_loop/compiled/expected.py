"""The expected loss of trials with noise, to second order, by the compiled loops.

Notation as in `closed_loop.expected`; F = v'r of one trial is linear in r, and g = dF/dxi where all
draws are zero. One pass backward gives g. The gradient of what noise adds is then a derivative of
an ordinary gradient along draws w ::

    d/dtheta (s^2 |g|^2 / 2) = d/dalpha dF/dtheta (alpha w) at 0,   w = s^2 g

and that is taken as a central difference over `STEP`, so that the loops need nothing new.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from neuromotor.closed_loop.compiled.arrays import Given, Run
from neuromotor.closed_loop.compiled.block import Room
from neuromotor.closed_loop.compiled.objective import (
    Array,
    CompiledObjective,
    PackedNetwork,
    quiet_floats,
)
from neuromotor.closed_loop.dynamics import advance
from neuromotor.closed_loop.expected import ExpectedObjective, noise_variances
from neuromotor.closed_loop.objective import LoopObjective
from neuromotor.optim.objective import or_infinity

__all__ = ["CompiledExpected"]

STEP = 0.05  # root mean square of the draws, in standard deviations of the noise (our choice)
_PLACES = {"command_noise": "command_noise", "plant_noise": "jolt"}  # where noise lies in `Given`


class CompiledExpected(ExpectedObjective):
    """The expected mean loss, for noise of commands and plant; a call costs four ordinary ones."""

    _drawn: CompiledObjective

    @classmethod
    def serves(cls, drawn: LoopObjective) -> bool:
        """Return whether an objective is compiled, with noise of commands or plant alone.

        Nothing may be sensed or weighed that is computed from the state.
        """
        if not isinstance(drawn, CompiledObjective):
            return False
        shape = drawn.loop.machine.shape
        return set(noise_variances(drawn.trials)) <= set(_PLACES) and shape.rows == shape.state

    @torch.no_grad()
    @quiet_floats()
    def value(self, parameters: Tensor) -> float:
        """Return the expected mean loss; infinity where the simulation overflows."""
        return or_infinity(sum(self.parts(parameters)))

    @torch.no_grad()
    @quiet_floats()
    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the expected mean loss and its gradient, (P,)."""
        quiet, added, pulls = self._computed(parameters, True)
        return or_infinity(quiet + added), self._drawn.loop.flat_gradient(pulls)

    @torch.no_grad()
    @quiet_floats()
    def parts(self, parameters: Tensor) -> tuple[float, float]:
        """Return the mean loss without noise, and what noise adds to it."""
        quiet, added, _ = self._computed(parameters, False)
        return quiet, added

    def _computed(
        self, parameters: Tensor, with_gradient: bool
    ) -> tuple[float, float, tuple[list[Array], ...]]:
        """The loss without noise, what noise adds, and what `Passes.flat_gradient` needs."""
        loop = copy.copy(self._drawn.loop)
        loop.given = [_moved(own, {}) for own in loop.given]
        probes = self._pulls()

        def job(i: int, room: Room, network: PackedNetwork) -> tuple[float, float, list[Array]]:
            run, own = room.shared_run, loop.given[i]
            total, added = loop.forward(i, room, run, network), 0.0
            initial: list[Array] = []
            gradient = np.zeros_like(loop.gradients[i])
            if with_gradient:
                loop.pull(i, room, run.x, run.u, True)
                _sum(initial, loop.backward(i, room, run, network))
                gradient += loop.gradients[i]
            slopes = []
            for by_state, by_command in (probe[i] for probe in probes):
                room.derivatives[0][:], room.derivatives[1][:] = by_state, by_command
                loop.backward(i, room, run, network)
                slopes.append(self._slopes(i, run, room.derivatives[0]))
                added += self._added(slopes[-1])
            for (by_state, by_command), slope in zip((p[i] for p in probes), slopes, strict=True):
                if not with_gradient:
                    break
                draws, share = self._step(slope)
                for sign in (1, -1):
                    loop.given[i] = _moved(own, {k: sign * v for k, v in draws.items()})
                    loop.forward(i, room, run, network)
                    scale = sign * share
                    room.derivatives[0][:] = by_state * scale
                    room.derivatives[1][:] = by_command * scale
                    _sum(initial, loop.backward(i, room, run, network))
                    gradient += loop.gradients[i]
            loop.given[i] = own
            loop.gradients[i] = gradient
            return total, added, initial

        with loop.packed(parameters) as network:
            totals, added, pulls = zip(
                *loop.each(lambda i, room: job(i, room, network)), strict=True
            )
            quiet = loop.mean(totals, network)
        return quiet, sum(added) / len(self.trials), pulls

    def _slopes(self, block: int, run: Run, by_state: Array) -> dict[str, Tensor]:
        """The slopes of a block, (M, T, k) by the name of the noise, of a pass's adjoint."""
        part = self._drawn.loop.parts[block]
        trials = self._quiet.subset(part)
        adjoint = torch.from_numpy(by_state[1:].transpose(2, 0, 1).copy())
        states = torch.from_numpy(run.x[:-1].transpose(2, 0, 1).copy())
        commands = torch.from_numpy(run.u.transpose(2, 0, 1).copy())
        with torch.enable_grad():
            noise = {
                name: torch.zeros_like(getattr(self.trials, name)[part]).requires_grad_(True)
                for name in self._variances
            }
            after = advance(
                self.task.plant, states, commands, replace(trials, **noise), slice(None)
            )
            found = torch.autograd.grad(after, list(noise.values()), adjoint)
        return dict(zip(noise, found, strict=True))

    def _added(self, slopes: dict[str, Tensor]) -> float:
        """What noise adds to the summed loss of a block, by one vector."""
        return 0.5 * sum(
            float((self._variances[name] * slope.square()).sum(dtype=torch.float64))
            for name, slope in slopes.items()
        )

    def _step(self, slopes: dict[str, Tensor]) -> tuple[dict[str, Array], Array]:
        """Draws along which a difference is taken, by name, and its scale for each trial, (M,)."""
        sizes = {name: v.sqrt() * slopes[name] for name, v in self._variances.items()}
        square = torch.stack([one.square().sum((1, 2)) for one in sizes.values()]).sum(0)
        count = sum(one[0].numel() for one in sizes.values())
        alpha = STEP * (count / square.clamp(min=1e-30)).sqrt()
        draws = {
            name: (alpha[:, None, None] * v.sqrt() * sizes[name]).permute(1, 2, 0).numpy()
            for name, v in self._variances.items()
        }
        return draws, (1 / (2 * alpha * len(self.trials))).numpy()

    def _pulls(self) -> list[list[tuple[Array, Array]]]:
        """Each vector v pulled back to states and commands, by vector and block.

        (T + 1, n, M) and (T, m, M).
        """
        loop, cost = self._drawn.loop, self.task.cost
        steps, m = self.task.steps, self.task.plant.command_size
        counted = torch.nonzero(cost.state_weights.any(dim=1)).squeeze(-1).numpy()
        states = len(counted) * self.task.plant.state_size
        found = []
        for vector in self._vectors(states + steps * m):
            blocks = []
            for own, part in zip(loop.given, loop.parts, strict=True):
                by_state = np.zeros((steps + 1, self.task.plant.state_size, len(vector[part])))
                first = vector[part, :states].reshape(-1, len(counted), by_state.shape[1])
                by_state[counted] = first.permute(1, 2, 0).numpy()
                by_state *= np.sqrt(own.weight)
                by_command = vector[part, states:].reshape(-1, steps, m).permute(1, 2, 0).numpy()
                by_command = by_command * loop.dims.energy**0.5
                blocks.append((by_state.astype(loop.dtype), by_command.astype(loop.dtype)))
            found.append(blocks)
        return found


def _moved(given: Given, draws: dict[str, Array]) -> Given:
    """Return what a block brings along with other noise of commands and plant: none, or draws."""
    noise = {
        place: draws[name] if name in draws else np.zeros_like(getattr(given, place)[:1])
        for name, place in _PLACES.items()
    }
    return given._replace(
        **{k: np.ascontiguousarray(v, given.load.dtype) for k, v in noise.items()}
    )


def _sum(total: list[Array], more: list[Array]) -> None:
    """Add pulls at each layer's learnt memory to others; empty ones take the first."""
    for index, one in enumerate(more):
        if index < len(total):
            total[index] = total[index] + one
        else:
            total.append(one)
