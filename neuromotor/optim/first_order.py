"""First-order methods: gradient descent, momentum, Nesterov's accelerated gradient, and Adam.

Notation: theta are the parameters, v is the velocity, epsilon the learning rate and mu the
momentum; beta1 and beta2 are the decay rates of Adam's moments m and s.

A step is rejected if the objective is then not finite, or above `TOLERATED_RISE` times its first
value. The method goes back to the best point, sets the velocity to zero and halves the learning
rate.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from neuromotor._checks import check_below_one, check_integer, check_number, check_positive
from neuromotor.optim.calm_start import CalmState
from neuromotor.optim.iterative import Iterative
from neuromotor.optim.run import Run
from neuromotor.optim.state import State

__all__ = [
    "MOMENTUM_SCHEDULE",
    "Adam",
    "AdamLike",
    "AdamState",
    "Axes",
    "DescentState",
    "GradientDescent",
    "warm_cosine",
]

# Sutskever (2013), section 7.3: the momentum rises at exponentially spaced iterations, and reaches
# the last value after a third of the run.
MOMENTUM_SCHEDULE = (0.8, 0.9, 0.95, 0.97, 0.99, 0.995, 0.997, 0.999)
TOLERATED_RISE = 1e3
_HALVINGS = 60
_AVERAGED = 0.99  # what the average norm keeps at each step (our choice)


class Clips(Protocol):
    """The bounds of a method on its gradient; None means no limit."""

    @property
    def clip_norm(self) -> float | None:
        """Largest norm."""
        ...

    @property
    def clip_entry(self) -> float | None:
        """Largest absolute value of an entry."""
        ...

    @property
    def clip_average(self) -> float | None:
        """Largest norm as a multiple of its running average."""
        ...


@dataclass
class DescentState(State):
    """State of a first-order method.

    Attributes:
        scale: Factor of the learning rate, which is halved at each rejected step.
        halvings: Number of rejected steps.
        ceiling: Value above which a step is rejected.
        usual_norm: Running average of the gradient's norm, after it was bounded; 0 at first.
    """

    scale: float = 1.0
    halvings: int = field(default=0, metadata={"minimum": 0, "counts": True})
    ceiling: float = field(default=math.inf, metadata={"minimum": 0, "infinite": True})
    usual_norm: float = field(default=0.0, metadata={"minimum": 0})

    def disagreement(self) -> str | None:
        """Return which fields contradict each other, in words, or None."""
        if self.scale != 0.5**self.halvings:
            return "`scale` is not 1/2 to the power of `halvings`"
        return super().disagreement()

    def left_the_finite_region(self) -> bool:
        """Return whether the last step is rejected."""
        if self.ceiling == math.inf:
            self.ceiling = TOLERATED_RISE * abs(self.value)
        return not (math.isfinite(float(self.gradient.norm())) and self.value <= self.ceiling)

    def clipped(self, clip: Clips) -> Tensor:
        """Return the gradient within a method's bounds, and take its norm into the average."""
        gradient, norm = self.gradient, clip.clip_norm
        if clip.clip_entry is not None:
            gradient = gradient.clamp(-clip.clip_entry, clip.clip_entry)
        length = float(gradient.norm())
        if clip.clip_average is not None and self.usual_norm > 0:
            usual = clip.clip_average * self.usual_norm
            norm = usual if norm is None else min(norm, usual)
        if norm is not None and length > norm:
            gradient, length = gradient * (norm / length), norm
        if clip.clip_average is not None:
            share = _AVERAGED if self.usual_norm > 0 else 0.0
            self.usual_norm = share * self.usual_norm + (1 - share) * length
        return gradient

    def back_to(self, best: Tensor) -> str | None:
        """Go back to the best point with half the learning rate; return why if it cannot help."""
        self.halvings += 1
        if self.halvings > _HALVINGS:
            return "every step leads out of the objective's finite region"
        self.scale *= 0.5
        self.move(best.clone())
        return None


@dataclass
class MomentumState(DescentState):
    """State of `GradientDescent`.

    Attributes:
        velocity: v, (P,).
        lead: The multiple of v at which the gradient was taken.
        before: Value of the objective at the last step; infinite before the first.
    """

    velocity: Tensor = field(kw_only=True)
    lead: float = field(default=0.0, metadata={"minimum": 0, "maximum": 1})
    before: float = field(default=math.inf, metadata={"infinite": True})


class Axes:
    """The parameters' own axes; a method may use others."""

    def into(self, vector: Tensor) -> Tensor:
        """Return the coordinates of a vector, (P,)."""
        return vector

    def out_of(self, coordinates: Tensor) -> Tensor:
        """Return the vector with these coordinates, (P,)."""
        return coordinates


@dataclass
class AdamState(DescentState, CalmState):
    """State of `Adam`.

    Attributes:
        mean: m, (P,).
        square: s, (P,).
        step: Steps since the moments were zero.
        averaged: Running mean of the points, (P,); None where none is kept.
    """

    mean: Tensor = field(kw_only=True)
    square: Tensor = field(kw_only=True, metadata={"minimum": 0})
    step: int = field(default=0, metadata={"minimum": 0, "counts": True})
    averaged: Tensor | None = None


@dataclass(frozen=True)
class GradientDescent(Iterative[MomentumState]):
    """Gradient descent, optionally with momentum or Nesterov's accelerated gradient.

    Source: Sutskever (2013), equations 7.1-7.2 (momentum) and 7.12-7.13 (Nesterov). The momentum
    climbs through `MOMENTUM_SCHEDULE` up to `momentum_max`; in the last tenth of the budget it
    falls to 0.99 at most and the learning rate to a tenth (section 7.3). Without a budget the
    momentum is `momentum_max` throughout. For strongly convex objectives section 7.5 has two other
    ways: the constant momentum of `condition`, and `restart`.

    Attributes:
        learning_rate: epsilon.
        momentum_max: Largest mu; 0 for plain gradient descent with a fixed learning rate.
        nesterov: Whether the gradient is taken at the point that the velocity leads to.
        clip_norm: Largest norm of the gradient; a longer one is shortened. None means no limit.
        clip_entry: Largest absolute value of an entry of the gradient, bounded before the norm.
            None means no limit.
        clip_average: Largest norm of the gradient as a multiple of its running average over about a
            hundred steps; 0.5 to 10 in Pascanu, Mikolov & Bengio (2013), section 3.2. None means no
            limit.
        rates: Pairs of an iteration and the epsilon from there on, the first from 0. They replace
            `learning_rate`, and its fall at the end.
        momenta: Likewise pairs of an iteration and the mu from there on, which replace the climb.
        condition: L / sigma, the largest curvature over the smallest. It replaces the climb by the
            constant mu = (1 - sqrt(sigma / L)) / (1 + sqrt(sigma / L)), the best one for Nesterov's
            gradient with epsilon = 1 / L.
        restart: Whether v is set to zero whenever the objective has risen. Nesterov's gradient then
            goes on from the point where it saw that (our choice; it costs no call).
        gradient_tolerance: The run has converged when no entry of the gradient is larger.

    Raises:
        ValueError: A setting is out of range.
    """

    learning_rate: float = 0.1
    momentum_max: float = 0.0
    nesterov: bool = False
    clip_norm: float | None = None
    clip_entry: float | None = None
    clip_average: float | None = None
    rates: tuple[tuple[int, float], ...] = ()
    momenta: tuple[tuple[int, float], ...] = ()
    condition: float | None = None
    restart: bool = False
    gradient_tolerance: float = 1e-12

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        check_below_one("momentum_max", self.momentum_max)
        if self.condition is not None:
            check_number("condition", self.condition, minimum=1.0)
            if self.momenta:
                raise ValueError("`condition` and `momenta` both give the momentum; leave one out.")
        _check_clipping(self)
        for name, check in (("rates", check_positive), ("momenta", check_below_one)):
            pairs = getattr(self, name)
            if pairs and (pairs[0][0] != 0 or any(b[0] <= a[0] for a, b in pairwise(pairs))):
                raise ValueError(
                    f"`{name}` must be pairs of an iteration and a number, with iterations that "
                    f"rise from 0, as ((0, 0.01), (500, 0.001)), got {pairs!r}."
                )
            for start, number in pairs:
                check_integer(name, start, minimum=0)
                check(name, number)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)

    def _begin(self, theta: Tensor) -> MomentumState:
        return MomentumState(theta, velocity=torch.zeros_like(theta))

    def _iterate(self, run: Run, state: MomentumState) -> str | None:
        """Make one step.

        With Nesterov's form the point that moves is the one where the gradient is taken,
        ``y = theta + mu v``; with ``v' = mu v - epsilon g`` the next one is
        ``y - mu v + v' + mu' v'``.
        """
        if state.left_the_finite_region():
            state.velocity, state.lead = torch.zeros_like(state.theta), 0.0
            state.before = math.inf
            return state.back_to(run.best_parameters)
        if self.restart and state.value > state.before:
            state.velocity, state.lead = torch.zeros_like(state.theta), 0.0
        state.before = state.value
        used = run.fraction_used
        late = self.momentum_max > 0 and used is not None and used >= 0.9
        rate = state.scale * self.learning_rate * (0.1 if late else 1.0)
        if self.rates:
            rate = state.scale * _at(self.rates, state.iteration)
        momentum = min(_scheduled_momentum(used), self.momentum_max)
        if self.momenta:
            momentum = _at(self.momenta, state.iteration)
        if self.condition is not None:
            root = self.condition**-0.5
            momentum = (1 - root) / (1 + root)
        behind = state.lead * state.velocity
        gradient = state.clipped(self)
        state.velocity = momentum * state.velocity - rate * gradient
        if not self.nesterov:
            state.move(state.theta + state.velocity)
            return None
        state.lead = momentum
        state.move(state.theta - behind + state.velocity + momentum * state.velocity)
        return None


A = TypeVar("A", bound=AdamState)


@dataclass(frozen=True)
class AdamLike(Iterative[A]):
    """Everything that `Adam` and `KroneckerAdam` share; they differ in their axes.

    Attributes: See `Adam`.
    """

    learning_rate: float = 3e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    warmup: float = 0.1
    clip_norm: float | None = 0.03
    clip_entry: float | None = None
    clip_average: float | None = None
    calm_start: bool = False
    averaging: float = 0.0
    gradient_tolerance: float = 1e-12

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        check_positive("epsilon", self.epsilon)
        _check_clipping(self)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)
        for name in ("beta1", "beta2", "warmup", "averaging"):
            check_below_one(name, getattr(self, name))

    @abstractmethod
    def _axes(self, run: Run, state: A) -> Axes:
        """Return the axes along which the squares are averaged at this iteration."""

    def _iterate(self, run: Run, state: A) -> str | None:
        if state.start_calmly(run):
            return None
        if state.left_the_finite_region():
            state.step = 0
            state.mean, state.square = torch.zeros_like(state.theta), torch.zeros_like(state.theta)
            return state.back_to(run.best_parameters)
        axes = self._axes(run, state)
        state.step += 1
        gradient = state.clipped(self)
        along = axes.into(gradient)
        state.mean = torch.lerp(state.mean, gradient, 1 - self.beta1)
        state.square = self.beta2 * state.square + (1 - self.beta2) * along.square()
        rate = state.scale * self.learning_rate * warm_cosine(run.fraction_used, self.warmup)
        corrected = axes.into(state.mean) / (1 - self.beta1**state.step)
        root = (state.square / (1 - self.beta2**state.step)).sqrt_().add_(self.epsilon)
        state.move(state.theta - rate * axes.out_of(corrected / root))
        if self.averaging:
            before = state.theta if state.averaged is None else state.averaged
            state.averaged = torch.lerp(state.theta, before, self.averaging)
        return None

    def _found(self, state: A) -> Tensor:
        return state.theta if state.averaged is None else state.averaged


@dataclass(frozen=True)
class Adam(AdamLike[AdamState]):
    """Adam with warm-up, cosine decay to zero over the budget, and a bound on the gradient's norm.

    Source: Kingma & Ba (2015), algorithm 1; Loshchilov & Hutter (2017), equation 5, for the decay.

    Attributes:
        learning_rate: Largest epsilon. Its default and those of `warmup` and `clip_norm` were
            chosen on center-out.
        beta1: Decay rate of the gradient's mean.
        beta2: Decay rate of the gradient's square.
        epsilon: Added to the root of the mean square.
        warmup: Fraction of the budget over which the learning rate rises from zero.
        clip_norm: Largest norm of the gradient; a longer one is shortened. None means no limit.
        clip_entry: Largest absolute value of an entry of the gradient, bounded before the norm.
            None means no limit.
        clip_average: Largest norm of the gradient as a multiple of its running average over about a
            hundred steps; 0.5 to 10 in Pascanu, Mikolov & Bengio (2013), section 3.2. None means no
            limit.
        calm_start: Whether the run begins by scaling the readout down while that helps.
        averaging: What a running mean of the points keeps of itself at each step, such as 0.999
            (Polyak & Juditsky 1992, with weights that fade); the run then gives that mean. At 0 it
            gives the last point.
        gradient_tolerance: The run has converged when no entry of the gradient is larger.

    Raises:
        ValueError: A setting is out of range.
    """

    def _begin(self, theta: Tensor) -> AdamState:
        zeros = torch.zeros_like(theta)
        return AdamState(theta, mean=zeros, square=zeros, calm=not self.calm_start)

    def _axes(self, run: Run, state: AdamState) -> Axes:
        return Axes()


def _check_clipping(method: Clips) -> None:
    """Raise unless all bounds are positive or None."""
    for name in ("clip_norm", "clip_entry", "clip_average"):
        bound = getattr(method, name)
        if bound is not None:
            check_positive(name, bound)


def _at(pairs: Sequence[tuple[int, float]], iteration: int) -> float:
    """Return the number that holds at an iteration."""
    return [number for start, number in pairs if start <= iteration][-1]


def _scheduled_momentum(fraction: float | None) -> float:
    """Return the momentum after a fraction of the budget; its intervals double up to one third."""
    last = len(MOMENTUM_SCHEDULE) - 1
    if fraction is None:  # no budget, no schedule
        return MOMENTUM_SCHEDULE[last]
    stage = last + math.floor(math.log2(3 * max(fraction, 1e-9)))
    momentum = MOMENTUM_SCHEDULE[min(max(stage, 0), last)]
    return min(momentum, 0.99) if fraction >= 0.9 else momentum


def warm_cosine(fraction: float | None, warmup: float) -> float:
    """Return the relative learning rate after a fraction of the budget; 1 without one."""
    if fraction is None:
        return 1.0
    if fraction < warmup:
        return fraction / warmup
    return 0.5 * (1 + math.cos(math.pi * (fraction - warmup) / (1 - warmup)))
