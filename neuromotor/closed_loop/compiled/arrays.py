"""The arrays that a compiled pass works on, one block of trials at a time.

Notation: there are T steps, M trials in the block, n numbers in a state, m in a command, k in what
is observed, l in a load, and c in target and cues. N are the n of a state and what is computed from
them. Where an axis of steps has length 1, all steps share its numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

from neuromotor.compiled.pieces import Tape

__all__ = [
    "SQUASHED",
    "AdjointRoom",
    "Dimensions",
    "ForwardRoom",
    "Given",
    "Run",
    "TangentRoom",
]

Array = NDArray[Any]
SQUASHED = (None, "tanh", "logistic", "rectified")  # by their numbers in compiled loops


class Dimensions(NamedTuple):
    """Numbers of the loop."""

    steps: int
    ring: int  # steps whose pulls are kept until their gradients are taken
    squash: int  # how commands are squashed: the place in `SQUASHED`
    batch: float  # trials over which the loss is a mean, other blocks included
    energy: float  # weight of a command's square
    weighed: int  # which number of a state, or computed from it, is the first that is weighed
    offset: int  # and which is the first offset of commands
    drive: float  # weight of the square of a command with its offset
    copies: int  # how many of its own last commands the network is given


class Given(NamedTuple):
    """What a block of trials brings along."""

    feedback: Array  # which of the N numbers are sensed, (k,)
    lag: Array  # how many steps ago each of them was, (k,)
    gain: Array  # factor on each of them, (T or 1, k, M)
    told: Array  # target and cues, (T or 1, c, M)
    sense: Array  # what is added: sensory noise, less the origin, (T or 1, k, M)
    noise: Array  # private noise of all units, scaled, (T or 1, M, units or 0)
    command_noise: Array  # (T or 1, m, M)
    load: Array  # (T or 1, l, M)
    force: Array  # on the hand, and behind it a field's ten, (T or 1, 2, 3 or 12, M)
    jolt: Array  # plant noise, (T or 1, n, M)
    weight: Array  # of squared errors, or of squared features, (T + 1 or 1, n, M)
    goal: Array  # (T + 1 or 1, n, M)


class Run(NamedTuple):
    """What a forward pass leaves for the others."""

    see: Array  # what the network is given, and a one, (T, M, padded)
    memory: Tape  # T + 1 steps
    kept: Tape  # T steps
    x: Array  # states and what is computed from them, (T + 1, N, M)
    u: Array  # commands, (T, m, M)
    drive: Array  # the same with noise, (T, m, M)


class ForwardRoom(NamedTuple):
    """Room for one step."""

    drives: Tape
    command: Array  # (M, padded)


class TangentRoom(NamedTuple):
    """Room for changes of one step."""

    drives: Tape
    memory: Tape  # two steps, in turn
    scratch: Tape
    see: Array  # (M, padded)
    command: Array  # (M, padded)
    drive: Array  # (m, M)


class AdjointRoom(NamedTuple):
    """Room for derivatives."""

    pulls: Tape  # derivatives by the drives, `ring` steps
    memory: Tape  # two steps, in turn
    scratch: Tape
    see: Array  # (M, padded)
    command: Array  # (ring M, padded)
    drive: Array  # (m, M)
