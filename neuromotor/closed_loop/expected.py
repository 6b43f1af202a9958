"""The loss that is expected over the noise of trials, for a loop that answers to it linearly.

Notation: r are a trial's residuals with ``loss = |r|^2 / 2``; xi[t] is a draw of noise, of mean
zero and variance s^2; f[t] is what it adds to what is commanded, sensed or moved; and J[t] is the
derivative dr/df[t] in the loop without noise. Where the loop is linear, exactly ::

    E loss = loss without noise + sum over t of var f[t] |J[t]|^2 / 2

Noise that is added has ``var f = s^2``. That of a command u, ``f = u xi``, has
``var f = s^2 E u^2``, in which u is what is commanded in noise: answers to noise are noisy too. Its
mean square is taken over one run of each trial with draws, which are all that is left to chance.
(Expanded around the run without noise to second order in s it would be ``s^2 u^2`` of that run,
and large answers to noise would be free.) ILQG keeps the same terms.

``|J|^2`` is the mean of ``(v'J)^2`` over vectors v of random signs. One pass backward through the
loop gives ``v'J`` for all steps of a trial at once.

Source: the moments are those of Todorov (2005); random signs are those of Hutchinson (1990).
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
    """Mean loss over fixed trials as it is expected over their noise, which is answered linearly.

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
            variances: s^2 of each number of a part of the trials that is noise, (k,), by the name
                of the part; those of the draws if None.
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
        variances = dict(self._variances)
        with torch.enable_grad():
            weights = self.controller.unpack(theta)
            forces = {
                name: torch.zeros_like(getattr(self.trials, name)).requires_grad_(True)
                for name in variances
            }
            push = forces.get("command_noise")
            trials = replace(
                self._quiet, **{k: v for k, v in forces.items() if k != "command_noise"}
            )
            done = run(self.task, self.controller, weights, trials, push)
            if push is not None:
                noisy = run(self.task, self.controller, weights, self.trials).commands
                variances["command_noise"] = variances["command_noise"] * noisy.square()
            residuals = self.task.cost.residuals(done.states, done.commands, trials)
            loss = self.task.cost.losses(done.states, done.commands, trials).mean()
            added = loss.new_zeros(())
            for vector in self._vectors(residuals.shape[1]) if forces else ():
                slopes = torch.autograd.grad(
                    residuals,
                    list(forces.values()),
                    vector,
                    create_graph=graph,
                    retain_graph=True,
                    materialize_grads=True,
                )
                for variance, slope in zip(variances.values(), slopes, strict=True):
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
