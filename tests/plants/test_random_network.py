"""A random network before a limb: its equations, and ILQG through it against dense Riccati."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import normal

from neuromotor.analysis import record
from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, Uncertainty
from neuromotor.plants import PointMass, RandomNetworkPlant, TwoJointArm
from neuromotor.plants.plant import check_plant
from neuromotor.runs.settings import resolve
from neuromotor.tasks import CenterOut

PLANT = RandomNetworkPlant(PointMass(damping=0.3), units=12, inputs=4, tau_s=0.04, seed=3)


def joint(plant, mass=1.0, damping=0.3):
    """A and B of the network and a point mass together, from their equations, in numpy."""
    w, b, c = (part.numpy() for part in plant.network)
    dt, leak, n = plant.dt_s, plant.dt_s / plant.tau_s, 4 + plant.units
    a, entry = np.eye(n), np.zeros((n, plant.inputs))
    a[:2, 2:4] = dt * np.eye(2)
    a[2:4, 2:4] -= dt * damping / mass * np.eye(2)
    a[2:4, 4:] = dt / mass * c
    a[4:, 4:] += leak * (w - np.eye(plant.units))
    entry[4:] = leak * b
    return a, entry


def test_a_step_is_that_of_the_joint_linear_system():
    check_plant(PLANT)
    a, b = joint(PLANT)
    state, command = normal(5, 16), normal(5, 4, seed=1)
    expected = state.numpy() @ a.T + command.numpy() @ b.T
    np.testing.assert_allclose(PLANT.step(state, command).numpy(), expected, atol=1e-13)
    pushed = PLANT.step(state, command, normal(5, 2, seed=2), normal(5, 2, seed=3))
    by = pushed.numpy() - expected
    force = (normal(5, 2, seed=2) + normal(5, 2, seed=3)).numpy()
    np.testing.assert_allclose(by[:, 2:4], PLANT.dt_s * force, atol=1e-13)
    np.testing.assert_allclose(by[:, 4:], 0, atol=1e-13)


def test_ilqg_commands_what_riccati_says():
    """Plant noise of any size leaves the feedback as it is: u = L (x - x*) of the dense system."""
    task = CenterOut(plant=PLANT, directions=3, steps=30, energy_weight=1e-3)
    trials = task.trials()
    a, b = joint(PLANT)
    q = np.diag(task.cost.state_weights[-1].numpy())
    r = task.cost.energy_weight * np.eye(PLANT.inputs)
    s, gains = q, []
    for _ in range(task.steps):
        gain = np.linalg.solve(r + b.T @ s @ b, b.T @ s @ a)
        s = a.T @ s @ (a - b @ gain)
        gains.append(gain)
    gains = gains[::-1]
    design = ILQG().design(task, trials, Uncertainty(plant_noise=1e-3))
    noise = 1e-3 * normal(3, task.steps, 16, seed=5)
    noisy = replace(trials, plant_noise=noise)
    found = ClosedLoop(task, design.controller).simulate(design.parameters, noisy)
    state, goal = trials.initial_state.numpy(), trials.target.numpy()
    for t, gain in enumerate(gains):  # a target at rest is a fixed point of the system
        command = -(state - goal) @ gain.T
        np.testing.assert_allclose(found.commands[:, t].numpy(), command, rtol=0, atol=1e-5)
        state = state @ a.T + command @ b.T + noise[:, t].numpy()
    away = (trials.initial_state - trials.target).numpy()
    expected = 0.5 * np.einsum("bi,ij,bj->b", away, s, away)
    quiet = ClosedLoop(task, design.controller).losses(design.parameters, trials)
    np.testing.assert_allclose(quiet.numpy(), expected, rtol=1e-8)


def test_its_rates_are_the_units_of_a_recording():
    task = CenterOut(plant=PLANT, directions=3, steps=20)
    recording = record(task, "ilqg")
    assert recording["rate"].sizes["unit"] == 12
    force = recording["rate"].values @ PLANT.network.exit.numpy().T
    speed = recording["hand_velocity"].values
    gained = np.diff(speed, axis=1) / PLANT.dt_s + 0.3 * speed[:, :-1]
    np.testing.assert_allclose(gained, force[:, :-1], atol=1e-9)


def test_seed_and_gain_are_those_that_are_asked_for():
    large = RandomNetworkPlant(units=400, gain=0.8, seed=1)
    radius = np.abs(np.linalg.eigvals(large.network.recurrent.numpy())).max()
    assert radius == pytest.approx(0.8, rel=0.1)  # the circular law (Girko 1985)
    again = RandomNetworkPlant(units=400, gain=0.8, seed=1)
    assert torch.equal(large.network.recurrent, again.network.recurrent)
    settings = resolve({"task": "center-out", "plant": {"type": "random-network", "units": 7}})
    assert settings.task.plant == RandomNetworkPlant(units=7)
    assert settings.as_dict()["task"]["plant"]["units"] == 7


def test_what_cannot_be_is_refused():
    with pytest.raises(TypeError, match="MechanicalPlant"):
        RandomNetworkPlant(body="arm")
    with pytest.raises(ValueError, match="tau_s"):
        RandomNetworkPlant(tau_s=0.001)
    for name in ("units", "inputs"):
        with pytest.raises(ValueError, match=name):
            RandomNetworkPlant(**{name: 0})
    with pytest.raises(ValueError, match="entries"):
        RandomNetworkPlant(TwoJointArm(), units=3).step(torch.zeros(4), torch.zeros(10))
