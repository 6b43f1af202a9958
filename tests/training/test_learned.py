"""Learning of plants: linear ones exactly, the arm with small errors, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import mujoco_cases  # noqa: F401 -- registers its environments
import pytest
import torch
from cases import normal

from neuromotor.plants import MujocoPlant, MuscleArm, PointMass, TwoJointArm
from neuromotor.training.learned import (
    PlantSampling,
    Trajectories,
    collect,
    fit,
    horizon_errors,
    learn_plant,
)

SMALL = PlantSampling(trajectories=150, steps=10)


def slopes(network, at):
    """Derivative of the next state by state, command, load and hand force, by autograd."""
    rows = torch.func.jacrev(network)(at)
    rows[:, : len(rows)] += torch.eye(len(rows), dtype=rows.dtype)
    return rows


def test_a_linear_plant_is_found_exactly():
    m, b, dt = 0.7, 0.4, 0.01
    sampling = replace(SMALL, trajectories=40, load_range=1.0, force_range=2.0)
    network = fit(collect(PointMass(mass=m, damping=b), sampling))
    identity, zero = torch.eye(2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    moved, pushed = torch.cat([identity, dt * identity], 1), torch.cat([zero, identity], 1)
    by_state = torch.cat([moved, (1 - dt * b / m) * pushed])
    by_force = torch.cat([zero, dt / m * identity])
    wanted = torch.cat([by_state, by_force, by_force, by_force], dim=1)
    torch.testing.assert_close(slopes(network, normal(10)), wanted, rtol=1e-9, atol=1e-10)


def test_the_arm_is_found_with_small_errors():
    arm = TwoJointArm()
    known, held_out = collect(arm, SMALL).split()
    assert (len(known), len(held_out)) == (135, 15)
    network = fit(known, layers=(16,), calls=120)
    errors = horizon_errors(network, arm, held_out)
    assert [row.steps for row in errors] == [1, 2, 5, 10]
    assert errors[0].error["velocity"] < 0.02 * errors[0].change["velocity"]
    assert errors[-1].error["velocity"] < 0.02 * errors[-1].change["velocity"]
    # by hand: the errors of the last horizon are those of the step function applied ten times
    state = held_out.states[:, 0]
    for t in range(10):
        state = state + network(torch.cat([state, *(p[:, t] for p in acting(held_out))], dim=-1))
    off = (state - held_out.states[:, 10])[:, 2:]
    assert errors[-1].error["velocity"] == pytest.approx(float(off.square().mean().sqrt()))
    at = torch.tensor([0.5, 1.4, 1.0, -2.0, 0.3, -0.2, 0, 0, 0, 0], dtype=torch.float64)
    true = torch.func.jacrev(lambda z: arm.step(z[:4], z[4:6]))(at)[:, :6]
    found = slopes(network, at)
    assert float((found[:, :6] - true).norm() / (true - torch.eye(4, 6)).norm()) < 0.05
    assert not found[:, 6:].any()  # nothing is said about loads, which there were none of


def acting(data):
    return data.commands, data.loads, data.hand_forces


def test_trajectories_are_the_plants_within_the_ranges():
    plant = MujocoPlant("tests/Arm-v0")
    sampling = PlantSampling(
        trajectories=30, steps=3, position_range=0.4, velocity_range=2.0, load_range=0.5
    )
    data = collect(plant, sampling)
    home = torch.tensor(plant.home, dtype=torch.float64)
    assert 0.3 < float((data.states[:, 0, :2] - home).abs().max()) <= 0.4
    assert 1.5 < float(data.states[:, 0, 2:].abs().max()) <= 2.0
    assert 0.7 < float(data.commands.abs().max()) <= 1.0
    assert 0.4 < float(data.loads.abs().max()) <= 0.5
    assert not data.hand_forces.any()
    parts = [part[:, 1] for part in acting(data)]
    torch.testing.assert_close(
        data.states[:, 2], plant.step(data.states[:, 1], *parts), rtol=0, atol=0
    )
    again = collect(plant, sampling)
    assert torch.equal(again.states, data.states)
    muscles = collect(MuscleArm(), sampling)
    assert 0 <= float(muscles.states[..., 4:].min()) < 0.1
    assert 0.9 < float(muscles.states[..., 4:].max()) <= 1
    assert float(muscles.commands.min()) >= 0


def test_what_is_learned_is_written_with_its_errors(tmp_path):
    path = tmp_path / "mass.safetensors"
    plant = learn_plant(PointMass(), path, replace(SMALL, trajectories=20, seed=5))
    assert plant.info["sampling"]["seed"] == 5
    assert plant.info["errors"][-1]["steps"] == 10
    assert plant.info["errors"][-1]["error"]["velocity"] < 1e-10
    assert plant.body == PointMass()
    with pytest.raises(FileExistsError, match="exists"):
        learn_plant(PointMass(), path)
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        learn_plant(PointMass(), tmp_path / "mass")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("trajectories", 3, "`trajectories` must be a whole number, 10 or more"),
        ("steps", 0, "`steps` must be a whole number, 1 or more"),
        ("position_range", 0.0, "`position_range` must be a positive number"),
        ("command_range", -1.0, "`command_range` must be a positive number"),
        ("load_range", -1.0, "`load_range` must be a finite number"),
        ("seed", -1, "`seed` must be"),
    ],
)
def test_samplings_that_cannot_be_are_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        PlantSampling(**{name: value})


def test_unfit_trajectories_and_horizons_are_refused():
    data = collect(PointMass(), replace(SMALL, trajectories=10, steps=4))
    with pytest.raises(ValueError, match="`states` must be of 10 trajectories and 5 moments"):
        Trajectories(data.states[:, 1:], data.commands, data.loads, data.hand_forces)
    with pytest.raises(ValueError, match="`loads` must be finite"):
        Trajectories(data.states, data.commands, data.loads / 0, data.hand_forces)
    with pytest.raises(ValueError, match="`horizons` must be 4 steps at most, got 7"):
        horizon_errors(fit(data), PointMass(), data, [7])
    free = MuscleArm(bounded=False)
    assert float(collect(free, replace(SMALL, trajectories=10)).commands.max()) <= 1

    class Unknown(PointMass):
        usual_command = None

    with pytest.raises(
        ValueError, match="`command_range` must say how large commands of a Unknown"
    ):
        collect(Unknown(), SMALL)
