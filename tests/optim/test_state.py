"""States as plain data: what is packed comes back, and what no state can hold is refused."""

import math
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from neuromotor.optim.state import SnapshotError, State, pack, restore, wanted

THETA = torch.tensor([1.0, 2.0], dtype=torch.float64)


@dataclass
class Mine(State):
    """A state with every kind of field."""

    radius: float = field(default=1.0, metadata={"minimum": 0.0})
    pairs: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    steps: int = field(default=0, metadata={"minimum": 0, "counts": True})
    last: Tensor | None = None
    cache: object = field(default=None, metadata={"transient": True})


@pytest.fixture
def filled():
    state = Mine(THETA.clone())
    state.arrive(2 * THETA, 3.0, -THETA)
    state.iteration, state.radius, state.steps, state.last = 4, 0.5, 3, 5 * THETA
    state.pairs, state.cache = [(THETA.clone(), 3 * THETA)], object()
    return state


def test_what_is_packed_comes_back_without_what_is_transient(filled):
    found = Mine(torch.zeros_like(THETA))
    restore(found, pack(filled))
    assert found.cache is None
    for name in ("value", "iteration", "fresh", "radius", "steps"):
        assert getattr(found, name) == getattr(filled, name)
    for name in ("theta", "gradient", "last"):
        assert torch.equal(getattr(found, name), getattr(filled, name))
    assert torch.equal(found.pairs[0][1], 3 * THETA)


def test_what_is_packed_does_not_change_later(filled):
    data = pack(filled)
    filled.theta.mul_(7)
    filled.pairs[0][0].mul_(7)
    assert torch.equal(data["theta"], 2 * THETA)
    assert not torch.equal(data["pairs"][0][0], filled.pairs[0][0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 1}, "must hold the fields"),
        ({"theta": torch.zeros(3, dtype=torch.float64)}, "must hold 2 parameters of torch.float64"),
        ({"theta": THETA.float()}, "must hold 2 parameters of torch.float64"),
        ({"radius": -0.1}, "a number from 0 to 1e[+]29 as `radius`"),
        ({"radius": math.nan}, "as `radius`"),
        ({"radius": 1e30}, "as `radius`"),
        ({"radius": True}, "as `radius`"),
        ({"steps": 1.5}, "an integer from 0"),
        ({"steps": 6}, "`steps` is more than `iteration`"),
        ({"fresh": 1}, "true or false as `fresh`"),
        ({"last": torch.full((2,), math.inf, dtype=torch.float64)}, "all finite"),
        ({"last": [1.0]}, "as `last`"),
        ({"pairs": [[THETA]]}, "2 values"),
        ({"pairs": THETA}, "a list"),
    ],
)
def test_what_no_state_can_hold_is_refused_and_changes_nothing(filled, change, message):
    state = Mine(THETA)
    with pytest.raises(SnapshotError, match=message):
        restore(state, pack(filled) | change)
    assert torch.equal(state.theta, THETA)
    assert state.radius == 1.0


def test_a_diverged_minimisation_may_hold_what_is_not_finite(filled):
    data = pack(filled) | {"value": math.inf, "radius": math.nan}
    state = Mine(THETA)
    restore(state, data)
    assert math.isnan(state.radius)


def test_arriving_is_fresh_and_moving_is_not():
    state = State(THETA)
    assert not state.fresh
    assert not state.gradient.any()
    state.arrive(2 * THETA, 1.0, THETA)
    assert state.fresh
    state.move(3 * THETA)
    assert not state.fresh
    assert state.value == 1.0


def test_annotations_of_other_types_are_not_checked():
    assert wanted(object(), dict, THETA, {}) is None
    assert wanted(3, int | None, THETA, {"maximum": 2}) == "an integer from -1e+29 to 2 or None"
