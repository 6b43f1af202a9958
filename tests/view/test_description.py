from __future__ import annotations

import base64

import numpy as np
import pytest
import torch

from neuromotor.analysis import preferred_directions, record
from neuromotor.analysis.fixed_points import network_fixed_points
from neuromotor.control import ILQR
from neuromotor.controllers import Network
from neuromotor.plants import PointMass
from neuromotor.tasks import CenterOut
from neuromotor.training.single import initial_parameters
from neuromotor.view import describe

TASK = CenterOut(directions=8, steps=20)
NETWORK = Network(layers=(8, 6))
THETA = initial_parameters(NETWORK, 1)


def unpacked(packed):
    data = np.frombuffer(base64.b64decode(packed["base64"]), f"<{packed['type']}")
    return data.reshape(packed["shape"])


@pytest.fixture(scope="module")
def model():
    return describe(TASK, NETWORK, THETA, TASK.trials(), shown=3).model


def test_the_trials_are_spread_over_the_batch(model):
    assert np.array_equal(
        unpacked(model["trials"]["target"]), TASK.trials().target[[0, 4, 7]].numpy()
    )
    assert [name.partition(":")[0] for name in model["names"]] == ["1", "5", "8"]
    assert model["names"][1] == "5: reach 4.5 cm at 180°"


def test_paths_and_losses_are_those_of_ilqr(model):
    few = TASK.trials().subset(torch.tensor([0, 4, 7]))
    best = ILQR().solve(TASK, few)
    assert model["reference"]["losses"] == pytest.approx(best.losses.tolist(), rel=1e-9)
    hands = TASK.plant.hand_position(best.states).numpy()
    assert np.allclose(unpacked(model["reference"]["paths"]), hands, atol=1e-7)


def test_the_plane_holds_the_most_variance_that_a_plane_can(model):
    rates = record(TASK, NETWORK, THETA)["rate"].values
    flat = rates.reshape(-1, 14)
    variances = np.sort(np.linalg.eigvalsh(np.cov(flat.T)))[::-1]
    assert model["plane"]["explained"] == pytest.approx((variances / variances.sum())[:2])
    axes, mean = unpacked(model["plane"]["axes"]), unpacked(model["plane"]["mean"])
    assert np.allclose(axes @ axes.T, np.eye(2))
    assert np.allclose(
        unpacked(model["plane"]["paths"]), (rates[[0, 4, 7]] - mean) @ axes.T, atol=1e-6
    )


def test_fixed_points_are_those_of_the_analysis(model):
    recording = record(TASK, NETWORK, THETA)
    found = network_fixed_points(NETWORK, THETA, recording, trial=4)
    axes, mean = unpacked(model["plane"]["axes"]), unpacked(model["plane"]["mean"])
    expected = (np.tanh(found.points[found.converged]) - mean) @ axes.T
    points = [one["at"] for one in model["plane"]["points"][1] if one["fixed"]]
    assert len(points) > 0
    for point in points:
        assert np.abs(expected - point).max(1).min() < 1e-6


def test_units_are_in_the_order_of_their_directions_within_each_layer(model):
    recording = record(TASK, NETWORK, THETA)
    found = preferred_directions(recording, bootstraps=1, shuffles=1).direction_deg % 360
    order = model["order"]["units"]
    assert sorted(order) == list(range(14))
    assert sorted(order[:8]) == list(range(8))
    assert np.all(np.diff(found[order[:8]]) >= 0)
    assert np.all(np.diff(found[order[8:]]) >= 0)


def test_what_was_not_asked_for_is_not_there():
    made = describe(TASK, NETWORK, THETA, TASK.trials(), ilqr=False, fixed_points=False).model
    assert made["reference"] == {"name": None, "why": "it was not asked for."}
    assert all(points == [] for points in made["plane"]["points"])


def test_a_limb_that_is_no_chain_of_links_is_drawn_as_its_hand():
    plant = PointMass()
    task = CenterOut(plant=plant, directions=2, steps=5)
    made = describe(task, NETWORK, THETA, task.trials(), ilqr=False, fixed_points=False).model
    assert made["plant"]["links"] == []
    assert made["plant"]["muscles"] is None


def test_progress_is_told():
    told = []
    describe(TASK, NETWORK, THETA, TASK.trials(), shown=2, progress=lambda *one: told.append(one))
    words, shares, left = zip(*told, strict=True)
    assert words == (
        "running the trials",
        "fixed points of trial 1 of 2",
        "fixed points of trial 2 of 2",
        "trials by iLQR",
    )
    assert list(shares) == [0, 0.25, 0.5, 0.75]
    assert min(left) > 0


def test_links_are_those_of_the_arm(model):
    parameters = TASK.plant.parameters
    assert model["plant"]["links"] == pytest.approx([parameters.length_1, parameters.length_2])


@pytest.mark.parametrize("shown", [0, 1.5])
def test_a_count_of_trials_is_checked(shown):
    with pytest.raises((TypeError, ValueError), match="`shown` must be a whole number, 1 or more"):
        describe(TASK, NETWORK, THETA, TASK.trials(), shown=shown)
