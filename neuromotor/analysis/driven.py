"""A network that recorded signals drive, so that its rates remember what came before them.

Decoding from the rates of a reservoir is decoding from the history of what drives it; `decode`
itself sees one moment only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neuromotor.analysis._arrays import stacked
from neuromotor.analysis.layout import LAYOUT, RecordingError, check_recording
from neuromotor.controllers import Reservoir
from neuromotor.controllers.controller import Controller, unit_rates
from neuromotor.controllers.network import RecurrentNetwork
from neuromotor.problems.objective import run
from neuromotor.problems.problem import Sequences

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["driven"]

_AT_ONCE = 256  # trials
_RAN = ("controller", "feedback", "perturbations")  # attributes about the units that are replaced


@torch.no_grad()
def driven(
    recording: xr.Dataset,
    network: RecurrentNetwork | None = None,
    parameters: Tensor | None = None,
    *,
    inputs: Sequence[str] = ("rate",),
    scaled: bool = True,
) -> xr.Dataset:
    """Return a recording with a network's units in the place of those that were recorded.

    The network has no private noise, starts every trial from its own first state, and gets the
    samples of one time at each step, whatever the step's length. Its rates at a time are those
    after that time's input.

    Source: Jaeger & Haas (2004) for the reservoir; Sussillo et al. (2012) decode a monkey's
    movements from the rates of a recurrent network that recorded neurons drive.

    Args:
        recording: Trials without missing samples.
        network: A `Reservoir`, or another network of this package; 300 reservoir units if None. A
            reservoir is given the inputs' number; another network must have it.
        parameters: The network's, (P,); None for a reservoir, whose read-out is not used here.
        inputs: Variables that drive it, each of trial, time and one more axis, side by side.
        scaled: Whether each input has its mean over all trials and times taken off, and is divided
            by its standard deviation where that is not zero.

    Raises:
        RecordingError: A variable is missing, has other axes, or has missing samples.
        ValueError: The network does not fit the inputs, or needs parameters.

    Example:
        >>> from neuromotor import CenterOut, ContinuousTimeRNN, Reservoir
        >>> from neuromotor.analysis import record
        >>> from neuromotor.training.single import initial_parameters
        >>> net = ContinuousTimeRNN(layers=(20,))
        >>> trials = record(CenterOut(directions=8), net, initial_parameters(net, seed=0))
        >>> dict(driven(trials, Reservoir(layers=(50,)))["rate"].sizes)
        {'trial': 8, 'time': 40, 'unit': 50}
    """
    if not inputs:
        raise ValueError("`inputs` must name one variable or more, such as 'rate', got none.")
    check_recording(recording, list(inputs))
    given = stacked(recording, inputs)
    if not np.isfinite(given).all():
        raise RecordingError(
            f"{', '.join(inputs)} must have no missing samples here; leave such trials out "
            "(`complete_trials`)."
        )
    if scaled:
        spread = given.std((0, 1))
        given = (given - given.mean((0, 1))) / np.where(spread > 0, spread, 1.0)
    network = Reservoir() if network is None else network
    if isinstance(network, Reservoir):
        network = replace(network, input_size=given.shape[-1])
        if parameters is None or len(parameters) != network.parameter_count:
            parameters = torch.zeros(network.parameter_count, dtype=torch.float64)
    if parameters is None:
        raise ValueError("`parameters` must be given for a network that is no reservoir.")
    if network.input_size != given.shape[-1]:
        raise ValueError(
            f"`network` must have as many inputs as {', '.join(inputs)} have numbers, "
            f"{given.shape[-1]}, got {network.input_size}."
        )
    rates = _rates(network, parameters, torch.from_numpy(given))
    layers = [f"layer {i + 1}" for i, one in enumerate(rates) for _ in range(one.shape[-1])]
    kept = [name for name in recording.variables if "unit" not in recording[name].dims]
    found = recording[kept].assign_coords(layer=("unit", layers))
    about = {"long_name": LAYOUT["rate"].meaning, "units": "1"}
    found["rate"] = LAYOUT["rate"].dims, torch.cat(rates, dim=-1).numpy(), about
    found.attrs = {name: text for name, text in recording.attrs.items() if name not in _RAN}
    found.attrs["driven_by"] = json.dumps(list(inputs))
    return found


def _rates(network: Controller, parameters: Tensor, given: Tensor) -> list[Tensor]:
    """Return the rates of each layer after each step, (B, T, units)."""
    parts = []
    for some in torch.split(given.to(parameters), _AT_ONCE):
        nothing = some.new_zeros(*some.shape[:2])
        _, memory = run(network, parameters, Sequences(some, some, nothing, nothing.bool()))
        parts.append(unit_rates(network, memory))
    return [torch.cat(layer).double() for layer in zip(*parts, strict=True)]
