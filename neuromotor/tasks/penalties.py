"""Penalties: what a training pays for beside the movement, each with a weight and a window.

A penalty with weight w adds the time integral of half a square to a trial's loss, over its window
from `start_s` to `end_s`. With h(t) the rates of all units and a(t) the muscles' activations::

    rates          w/2 int |h|^2 dt
    rate_changes   w/2 int |dh/dt|^2 dt
    dynamics       w/2 int sum over layers |U diag(f')|^2 dt      (Frobenius norm)
    muscles        w/2 int |a|^2 dt
    weights        w/2 |W|^2                                      (no integral, no window)

U are the recurrent weights of a layer, and f' is the slope of its units where they give the rates
h(t). So U diag(f') is the Jacobian by which units act on each other in one step. W are all weights
of the network, without biases.

Muscles are part of the trial's own cost, which every reference pays too (`with_muscles`). The other
penalties belong to the controller: the task's loss in tables is without them, and training adds
them to it. All are sums of squares, so that Gauss-Newton methods see them.

Sources: Sussillo, Churchland, Kaufman & Shenoy (2015), who show that networks resemble cortex only
where such penalties keep them simple; Kalidindi et al. (2021), published code, for the form of
`dynamics`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from neuromotor._checks import check_number, lookup, whole_steps
from neuromotor.extensions import Registry
from neuromotor.plants.plant import Plant

if TYPE_CHECKING:
    from neuromotor.tasks.cost import QuadraticCost

__all__ = [
    "PENALTIES",
    "PENALTIES_FIELD",
    "PENALTY_KINDS",
    "Penalties",
    "Penalty",
    "check_penalties",
    "muscle_penalties",
    "network_penalties",
    "penalties_of",
    "with_muscles",
]

PENALTY_KINDS = {
    "rates": "squared rates",
    "rate_changes": "squared rates of change of rates",
    "dynamics": "smoothness of the dynamics",
    "muscles": "squared muscle activity",
    "weights": "squared weights",
}


@dataclass(frozen=True)
class Penalty:
    """One penalty.

    Attributes:
        of: What is penalised: `rates`, `rate_changes`, `dynamics`, `muscles` or `weights`.
        weight: w, zero or more; in 1/s, of `rate_changes` in s, of `weights` without unit.
        start_s: Start (s) of the window, a whole number of the plant's steps. In tables it may also
            be `start`, a text with its unit: "100 ms".
        end_s: End (s) of the window; None is the end of the trial. In tables also `end`.

    Raises:
        TypeError: A number is none.
        ValueError: `of` is unknown, a number is out of range, or weights get a window.

    Example:
        >>> Penalty("rates", 1e-5).weight
        1e-05
    """

    of: str
    weight: float = 0.0
    start_s: float = field(default=0.0, metadata={"text": "start"})
    end_s: float | None = field(default=None, metadata={"text": "end"})

    def __post_init__(self) -> None:
        lookup("penalty", self.of, PENALTY_KINDS)
        check_number("weight", self.weight, minimum=0.0)
        check_number("start_s", self.start_s, "seconds", minimum=0.0)
        if self.end_s is not None:
            check_number("end_s", self.end_s, "seconds", minimum=0.0)
            if self.end_s <= self.start_s:
                raise ValueError(
                    f"`end_s` must be after `start_s`, {self.start_s:g} s, got {self.end_s:g} s."
                )
        if self.of == "weights" and (self.start_s, self.end_s) != (0.0, None):
            raise ValueError(
                "`start_s` and `end_s` must be left out of a penalty on weights, which have no "
                f"time, got {self.start_s:g} s and {self.end_s}."
            )


@dataclass(frozen=True)
class Penalties:
    """All penalties of a training; several of one kind may have windows of their own.

    Attributes:
        terms: They, in any order.

    Raises:
        TypeError: `terms` is no tuple of `Penalty`.

    Example:
        >>> Penalties((Penalty("rates", 1e-5), Penalty("weights", 1e-8))).kinds
        ('rates', 'weights')
    """

    terms: tuple[Penalty, ...] = field(default=(), metadata={"item": Penalty})

    def __post_init__(self) -> None:
        wrong = next((one for one in self.terms if not isinstance(one, Penalty)), None)
        if not isinstance(self.terms, tuple) or wrong is not None:
            raise TypeError(f"`terms` must be a tuple of `Penalty`, got {self.terms!r}.")

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is penalised, each kind once, in the order of `PENALTY_KINDS`."""
        present = {one.of for one in self.terms if one.weight}
        return tuple(kind for kind in PENALTY_KINDS if kind in present)

    def over_time(self, kind: str, steps: int, dt_s: float) -> Tensor:
        """Return the weights (1/s) of one kind in each of a trial's steps, (T,), float64.

        Raises:
            ValueError: A window is no whole number of steps, or begins after the trial.
        """
        weights = torch.zeros(steps, dtype=torch.float64)
        for one in self.terms:
            if one.of == kind:
                start = whole_steps("start_s", one.start_s, dt_s)
                end = steps if one.end_s is None else whole_steps("end_s", one.end_s, dt_s)
                if start >= steps or end > steps:
                    raise ValueError(
                        f"`start_s` and `end_s` must lie within the trial of {steps * dt_s:g} s, "
                        f"got {start * dt_s:g} to {end * dt_s:g} s for {kind}."
                    )
                weights[start:end] += one.weight
        return weights

    def total(self, kind: str) -> float:
        """Return the sum of the weights of one kind."""
        return sum(one.weight for one in self.terms if one.of == kind)


def penalties_of(task: Any) -> Penalties:
    """Return a task's penalties; none where it has no attribute `penalties`, or None there."""
    return getattr(task, "penalties", None) or Penalties()


def network_penalties(task: Any) -> tuple[str, ...]:
    """Return the kinds of a task's penalties that training adds to the task's own loss."""
    return tuple(kind for kind in penalties_of(task).kinds if kind != "muscles")


def check_penalties(task: Any) -> None:
    """Raise unless a task's penalties fit its trials and its plant."""
    penalties = getattr(task, "penalties", None)
    if penalties is None:
        return
    if not isinstance(penalties, Penalties):
        raise TypeError(f"`penalties` must be `Penalties`, got {type(penalties).__name__}.")
    for kind in PENALTY_KINDS:
        penalties.over_time(kind, task.steps, task.plant.dt_s)
    if "muscles" in penalties.kinds:
        _activations(task.plant)


def with_muscles(cost: QuadraticCost, task: Any) -> QuadraticCost:
    """Return a cost that counts squared muscle activity too, as a task's penalties say.

    Activity is that after a step of the window. Targets are at rest, with muscles that are slack.

    Args:
        cost: Of the movement.
        task: With `plant`, `steps` and, if it has any, `penalties`.
    """
    if "muscles" not in penalties_of(task).kinds:
        return cost
    weights = cost.state_weights.clone()
    weights[1:, _activations(task.plant)] += _of_muscles(task)[:, None].to(weights)
    return replace(cost, state_weights=weights)


def muscle_penalties(task: Any, states: Tensor) -> Tensor:
    """Return what each trial pays for its muscles, (B,), of states (B, T + 1, n)."""
    activity = states[:, 1:, _activations(task.plant)].square().sum(-1)
    paid: Tensor = 0.5 * activity @ _of_muscles(task).to(states)
    return paid


def _of_muscles(task: Any) -> Tensor:
    """Weights of squared activity after each step, (T,)."""
    dt_s: float = task.plant.dt_s
    return dt_s * penalties_of(task).over_time("muscles", task.steps, dt_s)


def _activations(plant: Plant) -> slice:
    """Where a plant's state has the activations of its muscles."""
    if "activation" not in plant.state_parts:
        raise ValueError(
            f"`penalties` on muscles need a plant with muscles, got a {type(plant).__name__}; take "
            "`monkey-muscles` or `human-muscles`, or leave them out."
        )
    return plant.state_parts["activation"]


PENALTIES: Registry[Penalties] = Registry(
    "penalties",
    {
        "none": Penalties(),
        # Sizes are ours: for a network of 2 x 50 to 2 x 200 units on a center-out reach.
        "brain-like": Penalties(
            (
                Penalty("rates", 1e-5),
                Penalty("dynamics", 1e-5),
                Penalty("weights", 1e-6),
            )
        ),
    },
    members=("terms",),
)

# Metadata of a task's field: a network does not meet them, so that they are none of its settings.
PENALTIES_FIELD: dict[str, Any] = {"registry": PENALTIES, "left_out": True, "training": True}
