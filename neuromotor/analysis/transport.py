"""How far gradients are carried back through a network's own memory, beside their bounds.

Notation: v_t is the memory of all units after step t, T the last step, l the lag in steps, and P_l
the product of l Jacobians::

    P_l = d v_T / d v_{T-l} = J_T J_{T-1} ... J_{T-l+1},        J_t = d v_t / d v_{t-1}

Of one layer of r units with ``v_t = v_{t-1} + leak (W f(v_{t-1}) + ... - v_{t-1})``, where s is the
largest slope f' on the way, mu the largest singular value of W and w its largest entry::

    |P_l| <= (1 - leak + leak s mu)^l                     largest singular value
    max |P_l| <= r^(l-1) (1 - leak + leak s w)^l          largest entry

Source: Hochreiter et al. (2001) for the entries, Pascanu, Mikolov & Bengio (2013) for the singular
values, both without a leak and as ``(r s w)^(l-1)`` and ``(s mu)^(l-1)`` in some texts. Their
exponent is one less than the number of Jacobians, so that they fail where a factor is above 1; here
it is l. Limb and world take no part in this; `sensitivity` has them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.analysis.jacobians import with_jacobian
from neuromotor.analysis.layout import RecordingError, check_recording, told
from neuromotor.analysis.section import Findings, Material, SectionSpec
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.controllers import Controller, LeakyCell, RecurrentNetwork, TanhCell
from neuromotor.controllers.controller import unit_rates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GradientTransport", "gradient_transport", "plot_transport"]

_SHOWN_TRIALS = 2  # that the report has, spread over the recording
_SHOWN_LAGS = 60
_EQUAL = 1e-9  # by which the equation's Jacobian may differ from the network's own


@dataclass(frozen=True)
class GradientTransport:
    """Sizes of P_l of B sequences at L lags.

    Attributes:
        lags: l, in steps, (L,).
        norm: Largest singular value of P_l, (B, L).
        largest_entry: Largest absolute entry of P_l, (B, L).
        norm_bound: What the largest singular value cannot exceed, (B, L); None where the bound does
            not hold.
        entry_bound: Likewise of the entries.
        unbounded: Why there are no bounds, or empty.
    """

    lags: NDArray[np.int64]
    norm: NDArray[np.float64]
    largest_entry: NDArray[np.float64]
    norm_bound: NDArray[np.float64] | None
    entry_bound: NDArray[np.float64] | None
    unbounded: str


@torch_threads()
def gradient_transport(
    controller: Controller,
    parameters: Tensor,
    observations: Tensor,
    targets: Tensor | None = None,
    *,
    memory: Tensor | None = None,
    lags: int | None = None,
) -> GradientTransport:
    """Return how much of a change of memory is left, or grown, l steps later, up to the last step.

    It takes every controller with memory, whatever its cells, on a limb's recorded observations or
    on the inputs of a problem. Private noise is left out.

    Args:
        controller: A network.
        parameters: Its parameters, (P,).
        observations: What it sees at each step, (B, T, n).
        targets: What it is told beside, (B, T, m); nothing if None.
        memory: Its memory after each step, (B, T, M), all parts side by side; computed from the
            first step on if None.
        lags: Largest l; all T - 1 if None.

    Raises:
        ValueError: The controller has no memory, or there are too few steps.

    Example:
        >>> from neuromotor.controllers import LeakyCell, Network
        >>> net = Network(layers=(1,), cell=LeakyCell(("linear",)), input_size=2, command_size=1)
        >>> weights = torch.tensor([0.0, 0.0, 0.5, 0.0, 1.0, 0.0], dtype=torch.float64)
        >>> gradient_transport(net, weights, torch.zeros(1, 4, 2).double()).norm.tolist()
        [[0.5, 0.25, 0.125]]
    """
    weights = controller.unpack(parameters.detach().double())
    observations = observations.detach().double()
    count, steps, _ = observations.shape
    if targets is None:
        targets = observations.new_zeros(count, steps, 0)
    targets = targets.detach().double()
    first = controller.initial_memory(weights, count)
    if not first:
        raise ValueError("`controller` must have memory that carries gradients; give a network.")
    if steps < 2:
        raise ValueError(f"`observations` must have two steps or more, got {steps}.")
    longest = steps - 1 if lags is None else lags
    check_integer("lags", longest, minimum=1)
    longest = min(longest, steps - 1)
    sizes = [part.shape[-1] for part in first]

    def step(v: Tensor, t: int) -> Tensor:
        noise = v.new_zeros(len(v), controller.noise_size) if controller.noise_size else None
        after, _ = controller.step(
            weights, torch.split(v, sizes, dim=-1), observations[:, t], targets[:, t], t, noise
        )
        return torch.cat(after, dim=-1)

    if memory is None:
        memory = _run(step, torch.cat(first, dim=-1), steps)
    memory = memory.detach().double()
    equation = _Equation.of(controller, weights)
    product: Tensor | None = None
    found: dict[str, list[Tensor]] = {"norm": [], "entry": [], "slope": []}
    for lag in range(1, longest + 1):
        t = steps - lag
        _, jacobian = with_jacobian(partial(step, t=t), memory[:, t - 1])
        product = jacobian if product is None else product @ jacobian
        found["norm"].append(torch.linalg.matrix_norm(product, 2))
        found["entry"].append(product.abs().amax((-2, -1)))
        if equation is not None:
            slope, expected = equation.at(memory[:, t - 1])
            if not torch.allclose(jacobian, expected, rtol=_EQUAL, atol=_EQUAL):
                equation = None
            found["slope"].append(slope)
    numbers = np.arange(1, longest + 1)
    norm, entry = (torch.stack(found[name], dim=1).numpy() for name in ("norm", "entry"))
    if equation is None:
        why = (
            "bounds hold for one layer of tanh or leaky units with one leak, on the activation; "
            "these Jacobians are of another form."
        )
        return GradientTransport(numbers, norm, entry, None, None, why)
    steepest = np.maximum.accumulate(torch.stack(found["slope"], dim=1).numpy(), axis=1)
    return GradientTransport(numbers, norm, entry, *equation.bounds(numbers, steepest), "")


def _run(step: Any, start: Tensor, steps: int) -> Tensor:
    """Return the memory after each step, (B, T, M)."""
    after, found = start, []
    with torch.no_grad():
        for t in range(steps):
            after = step(after, t)
            found.append(after)
    return torch.stack(found, dim=1)


@dataclass(frozen=True)
class _Equation:
    """The equation for which bounds hold."""

    cell: TanhCell | LeakyCell
    leak: float
    recurrent: Tensor

    @classmethod
    def of(cls, controller: Controller, weights: Any) -> _Equation | None:
        """Return the equation of a controller, or None where it surely has another one."""
        if not isinstance(controller, RecurrentNetwork) or len(controller.layers) != 1:
            return None
        cell = controller.cell
        if isinstance(cell, TanhCell):
            return cls(cell, cell.leak, weights.layers[0].recurrent)
        if isinstance(cell, LeakyCell) and cell.leak_on == "activation" and len(cell.leak) == 1:
            return cls(cell, cell.leak[0], weights.layers[0].recurrent)
        return None

    def at(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the largest slope, (B,), and the Jacobian, (B, N, N), of a step from v (B, N)."""
        ((_, slopes),) = self.cell.damped(v)
        units = torch.eye(v.shape[-1], dtype=v.dtype)
        jacobian = (1 - self.leak) * units + self.leak * self.recurrent * slopes[:, None, :]
        return slopes.abs().amax(-1), jacobian

    def bounds(
        self, lags: NDArray[np.int64], steepest: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the bounds of the largest singular value and of the largest entry, (B, L)."""
        stay, turn = 1 - self.leak, self.leak * steepest
        units = len(self.recurrent)
        singular = float(torch.linalg.matrix_norm(self.recurrent, 2))
        largest = float(self.recurrent.abs().max())
        with np.errstate(over="ignore"):  # a bound may be infinite
            norm = (stay + turn * singular) ** lags
            entry = (units * (stay + turn * largest)) ** lags / units
        return np.asarray(norm, np.float64), np.asarray(entry, np.float64)


def plot_transport(found: GradientTransport, dt_s: float) -> Figure:
    """Draw the sizes of P_l over the lag, every sequence, and their bounds where these hold."""
    from neuromotor.analysis.drawing import NULL_COLOR, panels
    from neuromotor.plotting import COLORS

    lags = 1e3 * dt_s * found.lags
    parts = (
        ("largest singular value", found.norm, found.norm_bound),
        ("largest entry", found.largest_entry, found.entry_bound),
    )
    with panels(1, 2, figsize=(6.0, 2.8)) as (figure, axes):
        for ax, (name, values, bound) in zip(axes, parts, strict=True):
            ax.semilogy(lags, values.T, color=NULL_COLOR, linewidth=0.5)
            middle = np.median(values, axis=0)
            ax.semilogy(lags, middle, color=COLORS[0], label="median")
            if bound is not None:
                low, high = ax.get_ylim()
                level = np.median(bound, axis=0)
                ax.semilogy(lags, level, "--", color=COLORS[1], label="bound")
                ax.set_ylim(low, max(high, min(1e3 * high, np.nanmax(level))))
            ax.axhline(1, color=NULL_COLOR, linestyle=":")
            ax.set(xlabel="lag (ms)", title=name)
            ax.legend(fontsize=6)
        axes[0].set_ylabel("of d memory / d earlier memory")
    return figure


def _recorded_memory(given: Material, rows: list[int]) -> Tensor | None:
    """Return the memory that was recorded, or None where it has to be computed again.

    Raises:
        RecordingError: What is computed again is not what was recorded.
    """
    network, recording = given.network, given.recording
    copies = getattr(network.controller, "efference_copies", 0)
    if "activation" in recording and not copies:  # else the units are not the whole memory
        return torch.from_numpy(recording["activation"].values[rows])
    controller = network.controller
    if controller.noise_size:
        raise RecordingError(
            "the memory of these units cannot be computed again, since private noise acted on it "
            "that is not recorded."
        )
    weights = controller.unpack(network.parameters.double())
    memory = controller.initial_memory(weights, len(rows))
    seen = torch.from_numpy(recording["observation"].values[rows])
    target = torch.from_numpy(told(recording, rows))
    with torch.no_grad():
        for t in range(recording.sizes["time"]):
            memory, _ = controller.step(weights, memory, seen[:, t], target[:, t], t, None)
    last = torch.cat(unit_rates(controller, memory), dim=-1).numpy()
    if not np.allclose(last, recording["rate"].values[rows, -1], atol=1e-6):
        raise RecordingError(
            "the units' memory cannot be computed again from what they saw, which must begin with "
            "the trial; give the whole recording, of this controller."
        )
    return None


def _section(given: Material) -> Findings:
    """How far gradients are carried through the network, along some trials."""
    network, recording = given.network, given.recording
    check_recording(recording, ["observation", "target", "rate"])
    last = recording.sizes["trial"] - 1
    rows = np.unique(np.linspace(0, last, _SHOWN_TRIALS).round().astype(int)).tolist()
    found = gradient_transport(
        network.controller,
        network.parameters,
        torch.from_numpy(recording["observation"].values[rows]),
        torch.from_numpy(told(recording, rows)),
        memory=_recorded_memory(given, rows),
        lags=_SHOWN_LAGS,
    )
    norm = np.median(found.norm, axis=0)
    numbers: dict[str, Any] = {
        "trials": len(rows),
        "longest_lag_s": float(found.lags[-1]) * network.controller.dt_s,
        "norm_after_one_step": norm[0],
        "norm_at_longest_lag": norm[-1],
        "factor_a_step": norm[-1] ** (1 / found.lags[-1]),
    }
    for name, bound in (("norm", found.norm_bound), ("entry", found.entry_bound)):
        if bound is not None:
            level = np.median(bound, axis=0)
            numbers[f"{name}_bound_factor_a_step"] = level[-1] ** (1 / found.lags[-1])
    text = (
        "A change of the memory at an earlier step changes the memory at the last step by so much, "
        "through the network alone: below 1 gradients fade on their way back, above 1 they grow. "
    )
    if found.unbounded:
        text += f"There are no bounds beside it: {found.unbounded}"
    draw = partial(plot_transport, found, network.controller.dt_s)
    return Findings(text, numbers, {"transport": draw})


def _seconds(given: Material) -> float:
    sizes = given.recording.sizes
    steps = min(_SHOWN_LAGS, sizes.get("time", 0))
    return float(0.2 + 0.02 * steps * sizes.get("unit", 0) ** 3 / 1e6)


SECTION = SectionSpec(
    "transport",
    "Gradients carried through memory",
    155,
    _section,
    ("controller",),
    _seconds,
    reading="A line that falls shows gradients that fade over so many steps, and dashed lines, "
    "where they hold, are bounds for reference.",
)
