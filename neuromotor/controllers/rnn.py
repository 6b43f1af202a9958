"""Layers of tanh units in continuous time, each recurrent within itself, with linear commands.

Notation: v is the activation of a unit and h its rate, I are the inputs of a layer, W_in and W_rec
its weights from these and from its own rates, b its biases, tau_v the time constant, xi the noise::

    tau_v dv/dt = -v + W_rec h + W_in I + b + xi,      h = tanh(v)

This is the network of Cueva's dissertation on recurrent networks as models of cortex, equations
1.48 and 1.49, solved by Euler steps. With ``dt / tau_v = 1`` it is the discrete network of
Sutskever (2013), sections 6.4 and 6.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from neuromotor._checks import check_positive
from neuromotor.controllers.cells import TanhCell
from neuromotor.controllers.initializers import INITIALIZERS, Gaussian, Initializer
from neuromotor.controllers.network import RecurrentNetwork

__all__ = ["ContinuousTimeRNN"]


@dataclass(frozen=True)
class ContinuousTimeRNN(RecurrentNetwork):
    """A stack of recurrent tanh layers; by default that of the thesis, with 32,002 parameters.

    Input is ``[observation, target]``, and the cues of a task that gives some. Within a step, layer
    1 feeds layer 2 and so on; the last layer feeds the linear commands.

    Attributes:
        layers: Units a layer.
        input_size: Numbers in observation, target and cues together (`tasks.task.input_size`).
        command_size: Numbers in a command.
        dt_s: Step length (s); must be the plant's.
        time_constant_s: tau_v (s), at least `dt_s`; equal to it in the thesis.
        skip_inputs: Whether the input feeds every layer or only the first.
        learn_initial_state: Whether the activations before the first step are parameters (one
            value a unit, the same in every trial) or zero.
        private_noise: Standard deviation of xi, a draw a unit and step; the draws come with the
            trials (`Trials.with_unit_noise`).
        initializer: How the weights start.
        efference_copies: How many of its own last commands it is given; see `Network`.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A number is out of range.

    Example:
        >>> ContinuousTimeRNN().parameter_count
        32002
    """

    layers: tuple[int, ...] = (100, 100)
    input_size: int = 8
    command_size: int = 2
    dt_s: float = 0.01
    time_constant_s: float = 0.01
    skip_inputs: bool = True
    learn_initial_state: bool = False
    private_noise: float = 0.0
    initializer: Initializer = field(default=Gaussian(), metadata={"registry": INITIALIZERS})
    efference_copies: int = field(default=0, metadata={"left_out": True})

    # `unpack`, `initial_memory` and `step` do what the equations above say, so that compiled
    # loops and lesions, which repeat them, are right. A subclass does not inherit this: one that
    # changes none of the three may set it again.
    follows_equations: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("time_constant_s", self.time_constant_s, "seconds")
        if self.time_constant_s < self.dt_s:
            raise ValueError(
                f"`time_constant_s` must be `dt_s` ({self.dt_s:g} s) or more, or Euler steps would "
                f"overshoot, got {self.time_constant_s!r}."
            )

    @property
    def cell(self) -> TanhCell:
        """A tanh unit with the leak ``dt / tau_v``."""
        return TanhCell(self.dt_s / self.time_constant_s)

    @property
    def squash(self) -> None:
        """Commands have no bounds."""
