"""The expected loss of trials with noise, to second order in the noise, without drawing any.

Notation: r are a trial's residuals with ``loss = |r|^2 / 2``, xi one draw of noise of variance s^2
and zero mean, and J = dr/dxi where all draws are zero. Over independent draws ::

    E loss = loss without noise + sum over draws of s^2 |J|^2 / 2 + O(s^4)

This leaves out ``r d2r/dxi2``. It is exact where the residuals are linear in the draws, as with
noise that is added in a linear loop. Noise that grows with commands is also on those commands that
answer to noise, and that is of order s^4: left out here, and kept by ILQG. So large answers are
free here that are not free in truth, and a training on this loss may make the true one worse.

``|J|^2`` is the mean of ``(v'J)^2`` over vectors v of random signs. One pass backward through the
loop gives ``v'J`` for all draws of a trial at once.

Source: random signs are those of Hutchinson (1990).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.closed_loop.objective import LoopObjective, Place
from neuromotor.closed_loop.penalties import NetworkPenalties
from neuromotor.closed_loop.simulate import check_inputs, run
from neuromotor.optim.objective import KroneckerBlock, Linearization, or_infinity
from neuromotor.tasks.trials import Trials

__all__ = ["ExpectedObjective", "noise_variances"]


def noise_variances(trials: Trials) -> dict[str, Tensor]:
    """Return the mean square of each number that noise draws, over trials and steps, by part."""
    noise = {name: part for name, part in trials.present().items() if name.endswith("_noise")}
    return {name: part.square().mean((0, 1)) for name, part in noise.items()}


class ExpectedObjective(LoopObjective):
    """Mean loss over fixed trials as it is expected over their noise, to second order.

    Value and gradient come by autograd, and a call takes some ten times as long as one with drawn
    noise. Gauss-Newton products and Kronecker factors are those of the drawn noise.
    """

    def __init__(
        self,
        drawn: LoopObjective,
        variances: Mapping[str, Tensor] | None = None,
        *,
        probes: int = 1,
        seed: int = 0,
    ) -> None:
        """Take the expectation of an objective.

        Args:
            drawn: Mean loss over the same trials with draws of noise.
            variances: Variance of each number of a part of the trials that is noise, (k,), by the
                name of the part; those of the draws if None.
            probes: Vectors of random signs for each trial; 0 takes every residual by itself, which
                is exact and takes as many passes as there are residuals.
            seed: Of the signs.

        Raises:
            ValueError: `probes` is negative, or the task has penalties on the network.
        """
        super().__init__(drawn.task, drawn.controller, drawn.trials)
        check_integer("probes", probes, minimum=0)
        if NetworkPenalties.of(drawn.task, drawn.controller) is not None:
            raise ValueError(
                "`task.penalties` on the network must be none where noise is taken by its "
                "expectation; leave them out, or draw the noise."
            )
        self._drawn, self._probes, self._seed = drawn, probes, seed
        self._variances = noise_variances(self.trials) if variances is None else dict(variances)
        quiet: dict[str, Any] = dict.fromkeys(noise_variances(self.trials))
        self._quiet = replace(self.trials, **quiet)

    def over(self, trials: Trials) -> ExpectedObjective:
        """Return the mean loss of the same loop over other trials, with the same variances."""
        drawn = self._drawn.over(trials)
        return type(self)(drawn, self._variances, probes=self._probes, seed=self._seed)

    def value(self, parameters: Tensor) -> float:
        """Return the expected mean loss; infinity where the simulation overflows."""
        return or_infinity(float(self._expected(parameters.detach(), graph=False).detach().sum()))

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the expected mean loss and its gradient, (P,)."""
        theta = parameters.detach().requires_grad_(True)
        with torch.enable_grad():
            loss = self._expected(theta, graph=True).sum()
            (gradient,) = torch.autograd.grad(loss, theta)
        return or_infinity(float(loss.detach())), gradient

    def parts(self, parameters: Tensor) -> tuple[float, float]:
        """Return the mean loss without noise, and what noise adds to it."""
        quiet, added = self._expected(parameters.detach(), graph=False).detach().tolist()
        return quiet, added

    def linearize(self, parameters: Tensor) -> Linearization:
        """Return value and gradient, with the products of the drawn noise."""
        value, gradient = self.value_and_gradient(parameters)
        return _ExpectedAt(value, gradient, self._drawn.linearize(parameters))

    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator, place: Place | None = None
    ) -> tuple[KroneckerBlock, ...]:
        """Return the factors of the drawn noise; see `LoopObjective.kronecker_factors`."""
        return self._drawn.kronecker_factors(parameters, generator, place)

    def _expected(self, theta: Tensor, *, graph: bool) -> Tensor:
        """The mean loss without noise, and what noise adds to it, (2,)."""
        check_inputs(self.task, theta, self.trials)
        with torch.enable_grad():
            noise = {
                name: torch.zeros_like(getattr(self.trials, name)).requires_grad_(True)
                for name in self._variances
            }
            trials = replace(self._quiet, **noise)
            done = run(self.task, self.controller, self.controller.unpack(theta), trials)
            residuals = self.task.cost.residuals(done.states, done.commands, trials)
            loss = self.task.cost.losses(done.states, done.commands, trials).mean()
            added = loss.new_zeros(())
            for vector in self._vectors(residuals.shape[1]) if noise else ():
                slopes = torch.autograd.grad(
                    residuals,
                    list(noise.values()),
                    vector,
                    create_graph=graph,
                    retain_graph=True,
                    materialize_grads=True,
                )
                for variance, slope in zip(self._variances.values(), slopes, strict=True):
                    added = added + 0.5 * (variance * slope.square()).sum((1, 2)).mean()
        return torch.stack([loss, added])

    def _vectors(self, size: int) -> list[Tensor]:
        """The vectors v of all trials, (B, R) each, whose squares v v' add up to 1 on average."""
        batch, like = len(self.trials), self.trials.initial_state
        if self._probes == 0:
            every = torch.eye(size, dtype=like.dtype, device=like.device)
            return [one.expand(batch, size) for one in every]
        generator = torch.Generator().manual_seed(self._seed)
        bits = torch.randint(2, (self._probes, batch, size), generator=generator)
        return list((2 * bits - 1).to(like) / self._probes**0.5)


class _ExpectedAt:
    """A linearisation with the value and gradient of an expectation."""

    def __init__(self, value: float, gradient: Tensor, drawn: Linearization) -> None:
        self.value, self.gradient, self._drawn = value, gradient, drawn

    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        return self._drawn.product(vector, structural)
