"""Ways to the gradient of a loss over sequences: back through time, forwards, and cut short.

Notation: m_t memory after step t, o_t outputs, L_t loss of step t, theta parameters, P of them,
S_t = dm_t / dtheta.

Gauss-Newton products and Kronecker factors do not depend on the engine; they are always whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.controllers import Controller
from neuromotor.extensions import Registry
from neuromotor.problems.losses import Loss
from neuromotor.problems.problem import Sequences

__all__ = ["ENGINES", "Engine", "FullBPTT", "RealTime", "TruncatedBPTT"]

_MOST_SENSITIVITIES = 2 * 10**8  # numbers in S_t that are kept at once


class Engine(Protocol):
    """A way to the sum of the losses of a batch and its gradient; a frozen dataclass."""

    @property
    def engine(self) -> str:
        """What it is called."""
        ...

    def gradient(
        self, controller: Controller, parameters: Tensor, sequences: Sequences, loss: Loss
    ) -> tuple[float, Tensor] | None:
        """Return loss and gradient, (P,), summed over sequences; None for the usual way."""
        ...


@dataclass(frozen=True)
class FullBPTT:
    """Backpropagation through time over whole sequences: exact, and the default.

    Source: Werbos (1990).
    """

    engine: ClassVar[str] = "bptt"

    def gradient(
        self, controller: Controller, parameters: Tensor, sequences: Sequences, loss: Loss
    ) -> tuple[float, Tensor] | None:
        """Return None: the objective's own derivatives are this."""
        return None


@dataclass(frozen=True)
class RealTime:
    """Real-time recurrent learning: the sensitivities of the memory are carried forwards.

    ::

        S_t = dm_t/dm_{t-1} S_{t-1} + dm_t/dtheta (direct)
        gradient = sum over t of dL_t/do_t (do_t/dm_{t-1} S_{t-1} + do_t/dtheta (direct))

    The gradient is exact and known at every step, whatever the length of the sequence. S has P
    numbers for each number of the memory: a layer of n units has n^3 of them, and a step costs
    about n^4. So this is for small networks.

    Source: Williams & Zipser (1989), equations 6 to 10, for any cell, by forward derivatives of its
    step.

    Raises:
        ValueError: In `gradient`: the sensitivities would not fit in memory.
    """

    engine: ClassVar[str] = "rtrl"

    def gradient(
        self, controller: Controller, parameters: Tensor, sequences: Sequences, loss: Loss
    ) -> tuple[float, Tensor]:
        """Return loss and gradient, (P,), summed over sequences."""
        with warnings.catch_warnings():  # torch's own forward derivatives use its deprecated jit
            warnings.simplefilter("ignore", DeprecationWarning)
            return self._forwards(controller, parameters, sequences, loss)

    def _forwards(
        self, controller: Controller, parameters: Tensor, sequences: Sequences, loss: Loss
    ) -> tuple[float, Tensor]:
        theta, count = parameters.detach(), len(parameters)
        step = _step_of(controller, len(sequences))

        def begin(free: Tensor) -> tuple[Tensor, ...]:
            return controller.initial_memory(controller.unpack(free), len(sequences))

        memory = begin(theta)
        needed = count * sum(part.numel() for part in memory)
        if needed > _MOST_SENSITIVITIES:
            raise ValueError(
                f"`engine` must not be rtrl here: {count} parameters and "
                f"{needed // count} numbers of memory have {needed:.2g} sensitivities, more than "
                f"{_MOST_SENSITIVITIES:.2g}; take fewer units or sequences, or bptt."
            )
        axes = torch.eye(count, dtype=theta.dtype, device=theta.device)
        sensitivity = torch.func.vmap(lambda axis: torch.func.jvp(begin, (theta,), (axis,))[1])(
            axes
        )
        total, gradient = 0.0, torch.zeros_like(theta)
        for t, given in enumerate(sequences.inputs.unbind(1)):
            function = _bound(step, given, t)

            def along(change: Any, axis: Tensor, f: Any = function, m: Any = memory) -> Any:
                return torch.func.jvp(f, (m, theta), (change, axis))[1]

            changed, out_changes = torch.func.vmap(along)(sensitivity, axes)
            memory, outputs = function(memory, theta)
            counted, wanted = sequences.counted[:, t], sequences.targets[:, t]
            total += float((counted * loss.values(outputs, wanted)).sum())
            pull = counted[:, None] * loss.pulled(outputs, wanted)
            gradient = gradient + torch.einsum("pbo,bo->p", out_changes, pull)
            sensitivity = changed
        return total, gradient


@dataclass(frozen=True)
class TruncatedBPTT:
    """Backpropagation through time that looks back over a limited number of steps.

    Every `every` steps the losses since the last time are pulled back, from the present step over
    `back` steps; the memory before these counts as given. What lies further back is not learnt
    from. The cut runs through the memory alone: these problems have no limb.

    Source: Williams & Peng (1990), BPTT(h; h'); Sutskever (2013), section 2.8.6.

    Attributes:
        every: k1, steps between two times.
        back: k2, steps that are looked back, at least `every`.

    Raises:
        ValueError: A number is out of range.
    """

    every: int = 10
    back: int = 20

    engine: ClassVar[str] = "truncated"

    def __post_init__(self) -> None:
        check_integer("every", self.every, minimum=1)
        check_integer("back", self.back, minimum=self.every)

    def gradient(
        self, controller: Controller, parameters: Tensor, sequences: Sequences, loss: Loss
    ) -> tuple[float, Tensor]:
        """Return loss and truncated gradient, (P,), summed over sequences."""
        theta = parameters.detach().requires_grad_(True)
        step = _step_of(controller, len(sequences))
        given = sequences.inputs.unbind(1)
        with torch.no_grad():
            memory = controller.initial_memory(controller.unpack(theta), len(sequences))
            kept = [memory]
            for t, one in enumerate(given):
                kept.append(step(kept[-1], theta, one, t)[0])
        total, gradient = 0.0, torch.zeros_like(parameters)
        for done in range(0, len(given), self.every):
            end = min(done + self.every, len(given))
            start = max(0, end - self.back)
            with torch.enable_grad():
                memory = kept[start]
                if start == 0:
                    weights = controller.unpack(theta)
                    memory = controller.initial_memory(weights, len(sequences))
                value = theta.new_zeros(())
                for t in range(start, end):
                    memory, outputs = step(memory, theta, given[t], t)
                    if t >= done:
                        losses = loss.values(outputs, sequences.targets[:, t])
                        value = value + (sequences.counted[:, t] * losses).sum()
                (own,) = torch.autograd.grad(value, theta, materialize_grads=True)
            total, gradient = total + float(value.detach()), gradient + own
        return total, gradient


_Step = Callable[[tuple[Tensor, ...], Tensor, Tensor, int], tuple[tuple[Tensor, ...], Tensor]]


def _step_of(controller: Controller, batch: int) -> _Step:
    """Return a controller's step as a function of memory, flat parameters, inputs and t."""

    def step(
        memory: tuple[Tensor, ...], theta: Tensor, given: Tensor, t: int
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        nothing = given.new_zeros(batch, 0)
        return controller.step(controller.unpack(theta), memory, given, nothing, t, None)

    return step


def _bound(step: _Step, given: Tensor, t: int) -> Callable[[Any, Tensor], Any]:
    """Return a step with its inputs, as a function of memory and parameters."""
    return lambda memory, theta: step(memory, theta, given, t)


ENGINES: Registry[Engine] = Registry(
    "engine",
    {"bptt": FullBPTT(), "rtrl": RealTime(), "truncated": TruncatedBPTT()},
    members=("gradient", "engine"),
)
