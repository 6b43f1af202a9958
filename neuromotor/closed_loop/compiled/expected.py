"""The loss expected over noise, for a loop that answers to it linearly, by the compiled loops.

Notation as in `closed_loop.expected`; F = v'r of one trial is linear in r, and g = dF/df without
noise. One pass backward gives g. The gradient of ``var f g^2 / 2`` by way of g is a derivative of
an ordinary gradient along forces w ::

    d/dalpha dF/dtheta (alpha w) at 0,   w = var f g

and that is taken as a central difference over `STEP`. By way of var f it is the gradient of a run
with noise whose commands cost ``s^2 g^2 u^2 / 2``. So the loops need nothing new. What is added to
a command comes as a load, for plants on which loads act as commands do.
"""

from __future__ import annotations

import copy

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
from neuromotor.plants.plant import components_of

__all__ = ["CompiledExpected"]

STEP = 0.05  # root mean square of the forces, in their standard deviations (our choice)


class CompiledExpected(ExpectedObjective):
    """The expected mean loss, for noise of commands and plant; a call costs five ordinary ones."""

    _drawn: CompiledObjective

    @classmethod
    def serves(cls, drawn: LoopObjective) -> bool:
        """Return whether it knows an objective: compiled, with noise that acts as load or jolt.

        Nothing may be sensed or weighed that is computed from the state.
        """
        noise, plant = set(noise_variances(drawn.trials)), drawn.task.plant
        if not isinstance(drawn, CompiledObjective) or noise - {"command_noise", "plant_noise"}:
            return False
        shape, form = drawn.loop.machine.shape, components_of(plant)
        if shape.rows != shape.state:
            return False
        free = form is not None and form.limit is None
        return "command_noise" not in noise or (free and plant.load_labels == plant.command_labels)

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
        noisy = loop.given
        loop.given = [_forced(own, {}) for own in noisy]
        probes = self._pulls()

        def job(i: int, room: Room, network: PackedNetwork) -> tuple[float, float, list[Array]]:
            run, own = room.shared_run, loop.given[i]
            initial: list[Array] = []
            gradient = np.zeros_like(loop.gradients[i])

            def back() -> None:
                nonlocal gradient
                _sum(initial, loop.backward(i, room, run, network))
                gradient = gradient + loop.gradients[i]

            total = loop.forward(i, room, run, network)
            if with_gradient:
                loop.pull(i, room, run.x, run.u, True)
                back()
            pulls, slopes = [probe[i] for probe in probes], []
            for pull in pulls:
                room.derivatives[0][:], room.derivatives[1][:] = pull
                loop.backward(i, room, run, network)
                slopes.append(self._slopes(i, run, room.derivatives[0]))
            variances = dict(self._variances)
            if "command_noise" in variances:
                loop.given[i] = noisy[i]
                loop.forward(i, room, run, network)
                power = variances["command_noise"]
                variances["command_noise"] = power * _trials_first(run.u).square()
                if with_gradient:
                    costs = power * sum(one["command_noise"].square() for one in slopes)
                    room.derivatives[0][:] = 0
                    room.derivatives[1][:] = _trials_last(costs) * run.u / loop.dims.batch
                    back()
            added = 0.5 * sum(
                float((variances[name] * slope.square()).sum(dtype=torch.float64))
                for one in slopes
                for name, slope in one.items()
            )
            for (by_state, by_command), slope in zip(pulls, slopes, strict=True):
                if not with_gradient:
                    break
                forces, share = _step(slope, variances)
                for sign in (1, -1):
                    loop.given[i] = _forced(own, {k: sign * v for k, v in forces.items()})
                    loop.forward(i, room, run, network)
                    scale = sign * share / loop.dims.batch
                    room.derivatives[0][:] = by_state * scale
                    room.derivatives[1][:] = by_command * scale
                    back()
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
        trials = self._quiet.subset(self._drawn.loop.parts[block])
        adjoint = _trials_first(by_state[1:])
        found = {"plant_noise": adjoint}
        if "command_noise" in self._variances:
            states, commands = _trials_first(run.x[:-1]), _trials_first(run.u)
            with torch.enable_grad():
                commands.requires_grad_(True)
                after = advance(self.task.plant, states, commands, trials, slice(None))
                (found["command_noise"],) = torch.autograd.grad(after, commands, adjoint)
        return {name: found[name] for name in self._variances}

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


def _trials_first(part: Array) -> Tensor:
    """Return (T, k, M) as a new tensor, (M, T, k)."""
    return torch.from_numpy(part.transpose(2, 0, 1).copy())


def _trials_last(part: Tensor) -> Array:
    """Return (M, T, k) as an array, (T, k, M)."""
    turned: Array = part.permute(1, 2, 0).numpy()
    return turned


def _step(
    slopes: dict[str, Tensor], variances: dict[str, Tensor]
) -> tuple[dict[str, Array], Array]:
    """Return forces along which a difference is taken, by name, and its scale for each trial.

    Args:
        slopes: g, (M, T, k) by the name of the noise.
        variances: var f, likewise, or (k,).

    Returns:
        Forces, (T, k, M), and ``1 / (2 alpha)``, (M,).
    """
    sizes = {name: variances[name].sqrt() * slope for name, slope in slopes.items()}
    square = torch.stack([one.square().sum((1, 2)) for one in sizes.values()]).sum(0)
    count = sum(one[0].numel() for one in sizes.values())
    alpha = STEP * (count / square.clamp(min=1e-30)).sqrt()
    forces = {
        name: _trials_last(alpha[:, None, None] * variances[name] * slope)
        for name, slope in slopes.items()
    }
    return forces, (1 / (2 * alpha)).numpy()


def _forced(given: Given, forces: dict[str, Array]) -> Given:
    """Return what a block brings along without noise and with forces, by the name of the noise."""
    load = given.load + forces.get("command_noise", 0)
    jolt = forces.get("plant_noise", np.zeros_like(given.jolt[:1]))
    return given._replace(
        command_noise=np.zeros_like(given.command_noise[:1]),
        load=np.ascontiguousarray(load, given.load.dtype),
        jolt=np.ascontiguousarray(jolt, given.load.dtype),
    )


def _sum(total: list[Array], more: list[Array]) -> None:
    """Add pulls at each layer's learnt memory to others; empty ones take the first."""
    for index, one in enumerate(more):
        if index < len(total):
            total[index] = total[index] + one
        else:
            total.append(one)
