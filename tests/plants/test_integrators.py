"""Order of convergence, against scipy's DOP853 and against conserved energy."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from neuromotor.plants import INTEGRATORS, MONKEY, TwoJointArm

START = torch.tensor([0.3, 1.2, 2.0, -3.0], dtype=torch.float64)
TORQUE = torch.tensor([0.004, -0.003], dtype=torch.float64)
FORCE = torch.tensor([0.02, 0.03], dtype=torch.float64)
DURATION = 0.4


def final_state(integrator, steps, torque, force):
    arm = TwoJointArm(MONKEY, dt_s=DURATION / steps, integrator=integrator)
    state, energies = START, [arm.kinetic_energy(START)]
    for _ in range(steps):
        state = arm.step(state, torque, None, force)
        energies.append(arm.kinetic_energy(state))
    return state, torch.stack(energies)


def slope(steps, errors):
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


@pytest.mark.parametrize("name", INTEGRATORS)
def test_global_error_shrinks_with_the_stated_order(name):
    arm = TwoJointArm(MONKEY)
    exact = solve_ivp(
        lambda t, x: arm.derivative(torch.from_numpy(x), TORQUE, None, FORCE).numpy(),
        (0, DURATION),
        START.numpy(),
        method="DOP853",
        rtol=1e-13,
        atol=1e-13,
    ).y[:, -1]
    steps = [100, 200, 400, 800]  # beyond, RK4's error meets rounding
    integrator = INTEGRATORS[name]
    errors = [
        np.abs(final_state(integrator, n, TORQUE, FORCE)[0].numpy() - exact).max() for n in steps
    ]
    assert slope(steps, errors) == pytest.approx(integrator.order, abs=0.15)


@pytest.mark.parametrize("name", INTEGRATORS)
def test_energy_of_the_unforced_arm_is_conserved_at_the_order(name):
    integrator = INTEGRATORS[name]
    none = torch.zeros(2, dtype=torch.float64)
    steps = [200, 400, 800, 1600]
    errors = []
    for n in steps:
        energies = final_state(integrator, n, none, none)[1]
        errors.append(float((energies - energies[0]).abs().max() / energies[0]))
    assert slope(steps, errors) > integrator.order - 0.15
    assert errors[-1] < 0.05
