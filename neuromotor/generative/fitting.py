"""Learning an RTRBM or a TRBM by contrastive divergence, with momentum and a rate that falls.

Everything random is drawn anew for each block of `BLOCK` updates, from the seed and the block's
number. So a training goes on from the end of any block as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from neuromotor._checks import check_below_one, check_integer, check_positive, check_seed
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.generative.gradients import ContrastiveDivergence, gradient
from neuromotor.generative.model import TemporalRBM, check_frames, new_model

__all__ = ["BLOCK", "Draw", "Fitting", "Training", "begin", "fit", "taken_from"]

BLOCK = 100  # updates between two places at which a training may stop
_STATIC_SEED = -1

Draw = Callable[[int, torch.Generator], Tensor]
"""A function that returns `count` sequences, (count, T, V), drawn by a generator."""


@dataclass(frozen=True)
class Fitting:
    """How a model is learned.

    Source: Sutskever (2013), section 3.11.3, whose settings for the films of balls are the
    defaults: one new sequence an update, the gradient divided by its length, a rate that falls
    linearly to zero, 10 steps of Gibbs sampling for 1,000 updates and 25 after. Before that W is
    learned by static contrastive divergence, each frame by itself.

    Attributes:
        updates: Number of updates.
        rate: Learning rate at the beginning.
        momentum: Share of the last change that is made again.
        batch: Sequences an update; their mean gradient is taken.
        steps: Pairs of an update and the number k of steps of Gibbs sampling from there on, the
            first from 0.
        spread: Standard deviation of the first parameters.
        static_updates: Updates of W before, an update a sequence.
        static_steps: Steps of Gibbs sampling in them.
        static_rate: Learning rate in them.
        seed: Of all draws.

    Raises:
        ValueError: A setting is out of range.
    """

    updates: int = 100_000
    rate: float = 0.01
    momentum: float = 0.9
    batch: int = 1
    steps: tuple[tuple[int, int], ...] = ((0, 10), (1000, 25))
    spread: float = 0.005
    static_updates: int = 30
    static_steps: int = 5
    static_rate: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer("updates", self.updates, minimum=1)
        check_integer("batch", self.batch, minimum=1)
        check_integer("static_updates", self.static_updates, minimum=0)
        check_integer("static_steps", self.static_steps, minimum=1)
        for name in ("rate", "spread", "static_rate"):
            check_positive(name, getattr(self, name))
        check_below_one("momentum", self.momentum)
        check_seed("seed", self.seed)
        starts = [start for start, _ in self.steps]
        if not starts or starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
            raise ValueError(
                "`steps` must be pairs of an update and a number of steps, with updates that rise "
                f"from 0, as ((0, 10), (1000, 25)), got {self.steps!r}."
            )
        for _, count in self.steps:
            check_integer("steps", count, minimum=1)

    def gibbs_steps(self, update: int) -> int:
        """Return k at an update."""
        return next(count for start, count in reversed(self.steps) if start <= update)


@dataclass(frozen=True)
class Training:
    """Where a training stands.

    Attributes:
        model: The model now.
        velocity: Last change of each parameter, in the order of `TemporalRBM.parameters`.
        updates: How many were made.
        error: Root of the mean squared difference between a frame and the chance of ones that its
            own filtered units give; the mean over the last block. NaN before the first.
    """

    model: TemporalRBM
    velocity: tuple[Tensor, ...]
    updates: int = 0
    error: float = float("nan")


def taken_from(sequences: Tensor, steps: int | None = None) -> Draw:
    """Return a function that draws from sequences (B, T, V), with replacement.

    Args:
        sequences: Numbers from 0 to 1.
        steps: Frames of a piece, which begins anywhere; the whole sequence if None.

    Raises:
        ValueError: `sequences` are no frames, or `steps` is longer than they are.
    """
    check_frames(sequences, None)
    count, length, _ = sequences.shape
    taken = length if steps is None else steps
    check_integer("steps", taken, minimum=2)
    if taken > length:
        raise ValueError(f"`steps` must be at most the {length} frames of a sequence, got {taken}.")

    def draw(number: int, generator: torch.Generator) -> Tensor:
        rows = torch.randint(count, (number,), generator=generator)
        starts = torch.randint(length - taken + 1, (number,), generator=generator)
        return sequences[rows[:, None], starts[:, None] + torch.arange(taken)]

    return draw


@torch_threads()
def begin(
    kind: str,
    hidden: int,
    draw: Draw,
    fitting: Fitting,
    *,
    dtype: torch.dtype = torch.float32,
) -> Training:
    """Return the start of a training: a random model whose W has learned single frames.

    Args:
        kind: "rtrbm" or "trbm".
        hidden: Number H of hidden units.
        draw: Gives sequences.
        fitting: How it is learned.
        dtype: Precision.
    """
    generator = _generator(fitting.seed, _STATIC_SEED)
    first = draw(1, generator).to(dtype)
    check_frames(first, None)
    model = new_model(kind, first.shape[-1], hidden, generator, spread=fitting.spread, dtype=dtype)
    weights, speed = model.visible_hidden, torch.zeros_like(model.visible_hidden)
    negative = ContrastiveDivergence(fitting.static_steps, generator)
    sequences = draw(max(1, fitting.static_updates), generator).to(dtype)
    for frames in sequences[: fitting.static_updates]:
        static = TemporalRBM(kind, weights, *model.parameters[1:])
        biases = model.hidden_bias.expand(len(frames), -1)
        found = negative.moments(static, biases, frames)
        seen = torch.sigmoid(frames @ weights.T + biases)
        slope = (seen.T @ frames - found.products) / len(frames)
        speed = fitting.momentum * speed + fitting.static_rate * slope
        weights = weights + speed
    model = TemporalRBM(kind, weights, *model.parameters[1:])
    return Training(model, tuple(torch.zeros_like(part) for part in model.parameters))


@torch_threads()
def fit(
    training: Training,
    draw: Draw,
    fitting: Fitting,
    progress: Callable[[Training], bool | None] | None = None,
) -> Training:
    """Go on with a training to its end, and return where it then stands.

    Args:
        training: From `begin`, or from an earlier call that stopped.
        draw: Gives sequences; the same as before.
        fitting: How it is learned; the same as before.
        progress: Called after each block of `BLOCK` updates; the training stops there where it
            returns true.

    Raises:
        FloatingPointError: The parameters are not finite any more.

    Example:
        >>> flip = torch.tensor([[[0.0], [1.0], [0.0], [1.0], [0.0], [1.0]]])
        >>> fitting = Fitting(updates=400, rate=0.2, steps=((0, 1),))
        >>> draw = taken_from(flip)
        >>> model = fit(begin("rtrbm", 4, draw, fitting), draw, fitting).model
        >>> model.kind
        'rtrbm'
    """
    while training.updates < fitting.updates:
        training = _block(training, draw, fitting)
        if not all(bool(torch.isfinite(part).all()) for part in training.model.parameters):
            raise FloatingPointError(
                f"the parameters grew beyond all bounds before update {training.updates}; choose a "
                f"smaller `rate` than {fitting.rate:g}."
            )
        if progress is not None and progress(training):
            break
    return training


def _block(training: Training, draw: Draw, fitting: Fitting) -> Training:
    """Return a training one block later."""
    first = training.updates
    last = min(fitting.updates, first - first % BLOCK + BLOCK)
    generator = _generator(fitting.seed, first // BLOCK)
    dtype = training.model.visible_hidden.dtype
    sequences = draw((last - first) * fitting.batch, generator).to(dtype)
    model, velocity, square = training.model, training.velocity, 0.0
    for update, frames in zip(
        range(first, last), torch.split(sequences, fitting.batch), strict=True
    ):
        negative = ContrastiveDivergence(fitting.gibbs_steps(update), generator)
        slope = gradient(model, frames, negative)
        rate = fitting.rate * (1 - update / fitting.updates) / frames.shape[1]
        velocity = tuple(
            fitting.momentum * speed + rate * part
            for speed, part in zip(velocity, slope, strict=True)
        )
        parts = zip(model.parameters, velocity, strict=True)
        model = _unchecked(model, tuple(part + speed for part, speed in parts))
        if update == last - 1:
            guess = model.reconstructed(model.filtered(frames)[:, 1:])
            square = float((guess - frames).square().mean())
    return Training(model, velocity, last, square**0.5)


def _unchecked(model: TemporalRBM, parameters: tuple[Tensor, ...]) -> TemporalRBM:
    """Return a model with other parameters, whose numbers nobody looks at."""
    found = object.__new__(TemporalRBM)
    names = ("visible_hidden", "hidden_hidden", "visible_bias", "hidden_bias", "initial")
    object.__setattr__(found, "kind", model.kind)
    for name, part in zip(names, parameters, strict=True):
        object.__setattr__(found, name, part)
    return found


def _generator(seed: int, block: int) -> torch.Generator:
    """Return the generator of a block of updates."""
    number = int(np.random.SeedSequence([seed, block + 1]).generate_state(1)[0])
    return torch.Generator().manual_seed(number)
