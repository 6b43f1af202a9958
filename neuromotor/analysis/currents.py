"""Currents into a network's units: from the senses, from what is told, from below, from itself.

Notation: o what is sensed, g what is told of target and cues, h the rates of a layer and b those of
the layer below, of the step or of the step before it; F and U are feed-forward and recurrent
weights, F_o, F_g and F_b their columns for o, g and b.

    activation or its target  z = F_o o[t] + F_g g[t] + F_b b[t] + U h[t - 1] + bias

The size of a current is its root mean square over units and trials, after the mean over trials at
that time was subtracted: what differs between trials. Kalidindi et al. (2021) report that sensory
currents are about twice the recurrent ones; they do not say how a size is taken, so this is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neuromotor._checks import declares
from neuromotor.analysis.layout import RecordingError, check_recording, sample_at, told
from neuromotor.analysis.section import Findings, Material, SectionSpec, span
from neuromotor.controllers import Controller, LeakyCell, RecurrentNetwork, TanhCell

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Currents", "network_currents", "plot_currents"]


@dataclass(frozen=True)
class Currents:
    """Currents into one layer; B trials, T times, N units.

    Attributes:
        time_s: Times, (T,).
        currents: By source (`sensory`, `told`, `below`, `recurrent`), (B, T, N) each; sources that
            a layer does not have are left out.
        bias: The constant current, (N,).
    """

    time_s: NDArray[np.float64]
    currents: dict[str, NDArray[np.float64]]
    bias: NDArray[np.float64]

    def sizes(self) -> dict[str, NDArray[np.float64]]:
        """Return the size of each current over time, (T,)."""
        return {
            name: np.sqrt(np.square(own - own.mean(0)).mean((0, 2)))
            for name, own in self.currents.items()
        }

    def size(self, window_s: tuple[float, float] | None = None) -> dict[str, float]:
        """Return the size of each current over a window: root mean square of `sizes`.

        Raises:
            ValueError: The window misses the recording.
        """
        first, last = 0, len(self.time_s) - 1
        if window_s is not None:
            found = [sample_at(self.time_s, moment) for moment in window_s]
            if found[0] is None or found[1] is None or found[1] < found[0]:
                raise ValueError(
                    f"`window_s` must lie in {self.time_s[0]:g} to {self.time_s[-1]:g} s, got "
                    f"{window_s}."
                )
            first, last = found[0], found[1]
        return {
            name: float(np.sqrt(np.square(own[first : last + 1]).mean()))
            for name, own in self.sizes().items()
        }


def network_currents(
    controller: Controller, parameters: Tensor, recording: xr.Dataset
) -> dict[str, Currents]:
    """Return the currents into each layer of a recorded network, `layer 1` first.

    Args:
        controller: A network of tanh or leaky units, whose currents are sums.
        parameters: Its parameters, (P,).
        recording: What it did.

    Raises:
        RecordingError: The recording lacks rates, observations or targets, or is of another
            network.
        ValueError: The network's units have no such sum.
    """
    if not isinstance(controller, RecurrentNetwork) or not declares(
        controller, "follows_equations"
    ):
        raise ValueError(
            "`controller` must be a ContinuousTimeRNN or a Network itself for currents, got a "
            f"{type(controller).__name__}."
        )
    if not isinstance(controller.cell, TanhCell | LeakyCell):
        raise ValueError(
            "`controller` must have tanh or leaky units, whose input is one sum, got "
            f"{type(controller.cell).__name__}."
        )
    check_recording(recording, ["rate", "observation", "target"])
    if recording.sizes["unit"] != sum(controller.layers):
        raise RecordingError(
            f"the recording has {recording.sizes['unit']} units, the controller "
            f"{sum(controller.layers)}; record this controller."
        )
    weights = controller.unpack(parameters.detach().double())
    count = recording.sizes["trial"]
    seen = recording["observation"].values
    goal = told(recording, range(count))
    if seen.shape[2] + goal.shape[2] != controller.input_size:
        raise RecordingError(
            f"the controller has {controller.input_size} inputs, the recording "
            f"{seen.shape[2]} + {goal.shape[2]}; record this controller."
        )
    copies = _efference_copies(controller, recording)
    edges = np.cumsum(controller.layers)[:-1]
    rates = np.split(recording["rate"].values.astype(np.float64), edges, axis=2)
    start = controller.rates(controller.initial_memory(weights, 1))
    time = recording["time"].values
    found: dict[str, Currents] = {}
    for i, layer in enumerate(weights.layers):
        feedforward = layer.feedforward.numpy()
        before = np.concatenate(
            [np.repeat(start[i].numpy()[:, None], count, axis=0), rates[i][:, :-1]], axis=1
        )
        given = []
        if i == 0 or controller.skip_inputs:
            given = [("sensory", seen), ("told", goal)]
            if copies is not None:
                given.append(("own commands", copies))
        if i:
            given.append(("below", rates[i - 1]))
        currents, column = {}, 0
        for name, values in given:
            part = feedforward[:, column : column + values.shape[2]]
            currents[name] = values @ part.T
            column += values.shape[2]
        currents["recurrent"] = before @ layer.recurrent.numpy().T
        found[f"layer {i + 1}"] = Currents(time, currents, layer.bias.numpy())
    return found


def _efference_copies(
    controller: RecurrentNetwork, recording: xr.Dataset
) -> NDArray[np.float64] | None:
    """Return the last commands that a network was given at each step, (B, T, copies m)."""
    count = controller.efference_copies
    if not count:
        return None
    check_recording(recording, ["command"])
    commands = recording["command"].values.astype(np.float64)
    before = np.zeros((len(commands), count, commands.shape[2]))
    past = np.concatenate([before, commands], axis=1)
    steps = commands.shape[1]
    return np.concatenate([past[:, count - k : count - k + steps] for k in range(1, count + 1)], 2)


def plot_currents(found: dict[str, Currents]) -> Figure:
    """Draw the size of each current over time, for each layer."""
    from neuromotor.analysis.drawing import panels
    from neuromotor.plotting import COLORS

    names = list(dict.fromkeys(name for own in found.values() for name in own.currents))
    with panels(1, len(found), figsize=(3.2 * len(found), 2.6), squeeze=False) as (figure, axes):
        for ax, (layer, own) in zip(axes[0], found.items(), strict=True):
            for name, size in own.sizes().items():
                color = COLORS[names.index(name) % len(COLORS)]
                ax.plot(1e3 * own.time_s, size, color=color, label=name)
            ax.set(xlabel="time (ms)", ylabel="current, rms over units and trials", title=layer)
            ax.legend(fontsize=6)
    return figure


def _section(given: Material) -> Findings:
    """Currents into each layer."""
    network = given.network
    try:
        found = network_currents(network.controller, network.parameters, given.recording)
    except ValueError as error:
        raise RecordingError(str(error)) from error
    numbers = {}
    for layer, own in found.items():
        size = own.size(given.window_s)
        row = dict(size)
        other = size.get("sensory", size.get("below", np.nan))
        row["sensory_or_below_over_recurrent"] = (
            other / size["recurrent"] if size["recurrent"] > 0 else np.nan
        )
        numbers[layer] = row
    text = (
        f"Currents into units, {span(given.activity)}: root mean square over units and trials of "
        "what differs between trials. The sensory current comes from what was sensed, the told "
        "one from target and cues, that from below from the layer below, the recurrent one from "
        "the layer's own rates one step earlier."
    )
    return Findings(text, numbers, {"currents": partial(plot_currents, found)})


SECTION = SectionSpec(
    "currents",
    "Sensory and recurrent currents",
    145,
    _section,
    ("controller",),
    lambda _: 0.2,
    reading="Higher lines are larger inputs of that kind, with zero as the reference.",
)
