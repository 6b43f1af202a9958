"""iLQR with bounds on commands against casadi with IPOPT, and its box solver against scipy."""

from dataclasses import replace

import casadi
import numpy as np
import pytest
import torch
from cases import normal, uniform
from scipy.optimize import lsq_linear

from neuromotor.closed_loop.dynamics import roll_out
from neuromotor.control import ILQG, ILQR, OnlineTrajectoryOptimization
from neuromotor.control.box_qp import solve_box_qp
from neuromotor.plants import MuscleArm, TwoJointArm
from neuromotor.tasks import CenterOut


class BoundedArm(TwoJointArm):
    """An arm whose torques are bounded, to different values in both directions."""

    command_bounds = ((-0.4, -0.2), (0.35, 0.25))


REACH = CenterOut(plant=BoundedArm(), directions=8, radius_m=0.06)
MUSCLES = CenterOut(plant=MuscleArm(), directions=2, radius_m=0.02, steps=25)


def accelerations(p, q2, v1, v2, torque):
    """Joint accelerations of the arm, written anew."""
    cosine = p.mass_2 * p.length_1 * p.center_2 * casadi.cos(q2)
    sine = p.mass_2 * p.length_1 * p.center_2 * casadi.sin(q2)
    forearm = p.inertia_2 + p.mass_2 * p.center_2**2
    upper = p.inertia_1 + p.mass_1 * p.center_1**2 + p.mass_2 * p.length_1**2
    inertia = casadi.vertcat(
        casadi.horzcat(upper + forearm + 2 * cosine, forearm + cosine),
        casadi.horzcat(forearm + cosine, forearm),
    )
    coriolis = casadi.vertcat(-sine * (2 * v1 * v2 + v2**2), sine * v1**2)
    return casadi.solve(inertia, torque - coriolis)


def ipopt_cost(task, start, goal):
    """Optimal cost of one trial with the plant's bounds on commands."""
    plant = task.plant
    muscles = isinstance(plant, MuscleArm)
    p = plant.parameters
    opti = casadi.Opti()
    x = opti.variable(plant.state_size, task.steps + 1)
    u = opti.variable(plant.command_size, task.steps)
    opti.subject_to(x[:, 0] == start)
    for low, high, row in zip(*plant.command_bounds, range(plant.command_size), strict=True):
        opti.subject_to(opti.bounded(low, u[row, :], high))
    levers_nm = np.array([[2, -2, 0, 0, 1.5, -2], [0, 0, 2, -2, 2, -1.5]])  # of 100 N each
    friction = np.array([[0.5, 0.1], [0.1, 0.5]])
    for t in range(task.steps):
        torque = levers_nm @ x[4:, t] - friction @ x[2:4, t] if muscles else u[:, t]
        rate = [x[2:4, t], accelerations(p, x[1, t], x[2, t], x[3, t], torque)]
        if muscles:
            rate.append((u[:, t] - x[4:, t]) / 0.05)
        opti.subject_to(x[:, t + 1] == x[:, t] + plant.dt_s * casadi.vertcat(*rate))
    error = x[:4, task.steps] - goal[:4]
    alpha = task.energy_weight * plant.dt_s
    opti.minimize(0.5 * casadi.sumsqr(error) + 0.5 * alpha * casadi.sumsqr(u))
    opti.set_initial(x, np.linspace(start, goal, task.steps + 1).T)
    exact = {"tol": 1e-13, "compl_inf_tol": 1e-13, "bound_relax_factor": 0.0, "acceptable_iter": 0}
    quiet = {"ipopt.print_level": 0, "print_time": 0, "ipopt.sb": "yes"}
    opti.solver("ipopt", quiet | {f"ipopt.{name}": value for name, value in exact.items()})
    return float(opti.solve().value(opti.f))


@pytest.mark.slow
@pytest.mark.parametrize(("task", "active"), [(REACH, 0.3), (MUSCLES, 0.2)])
def test_costs_with_bounds_equal_ipopts(task, active):
    trials = task.trials()
    solution = ILQR().solve(task, trials)
    assert solution.converged
    low, high = (torch.tensor(bound, dtype=torch.float64) for bound in task.plant.command_bounds)
    clamped = (solution.commands == low) | (solution.commands == high)
    assert float(clamped.double().mean()) > active
    assert bool(((solution.commands >= low) & (solution.commands <= high)).all())
    assert not solution.gains[clamped].any()
    assert solution.gains[~clamped].any(-1).all()
    torch.testing.assert_close(
        roll_out(task.plant, trials, solution.commands), solution.states, rtol=1e-10, atol=1e-14
    )
    expected = [
        ipopt_cost(task, start.numpy(), goal.numpy())
        for start, goal in zip(trials.initial_state, trials.target, strict=True)
    ]
    # IPOPT's barrier leaves 3e-15 for each of the muscles' 300 bounds, so that its cost is higher.
    np.testing.assert_allclose(solution.losses.numpy(), expected, rtol=1e-8, atol=1e-12)


def test_bounds_that_nothing_reaches_change_nothing():
    class Wide(TwoJointArm):
        command_bounds = ((-50.0, -50.0), (50.0, 50.0))

    free, wide = (
        ILQR().solve(task, task.trials())
        for task in (replace(REACH, plant=TwoJointArm()), replace(REACH, plant=Wide()))
    )
    torch.testing.assert_close(wide.losses, free.losses, rtol=1e-12, atol=0)
    # The loss is flat at its minimum: 1e-12 of it leaves the root of that of a command.
    torch.testing.assert_close(wide.commands, free.commands, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(wide.gains, free.gains, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 6])
def test_the_box_solver_finds_what_scipy_finds(size):
    root = normal(200, size + 2, size)
    right = 3 * normal(200, size + 2, seed=1)
    low = uniform(-0.5, 0.0, 200, size, seed=2)
    high = uniform(0.0, 0.5, 200, size, seed=3)
    gradient = -(root.mT @ right[..., None])[..., 0]
    found = solve_box_qp(root.mT @ root, gradient, low, high, 9 * normal(200, size, seed=4))
    for i in range(200):
        box = (low[i].numpy(), high[i].numpy())
        best = lsq_linear(root[i].numpy(), right[i].numpy(), box, method="bvls", tol=1e-14)
        np.testing.assert_allclose(found.point[i].numpy(), best.x, rtol=0, atol=1e-10)
        np.testing.assert_array_equal(found.free[i].numpy(), best.active_mask == 0)


def test_the_box_solver_finds_what_scipy_finds_for_more_muscles_than_joints():
    levers_nm = normal(200, 2, 6)
    root = torch.cat([5e-3 * torch.eye(6, dtype=torch.float64).expand(200, 6, 6), levers_nm], 1)
    right = torch.cat([torch.zeros(200, 6, dtype=torch.float64), normal(200, 2, seed=1)], 1)
    low, high = torch.zeros(200, 6, dtype=torch.float64), torch.ones(200, 6, dtype=torch.float64)
    gradient = -(root.mT @ right[..., None])[..., 0]
    found = solve_box_qp(root.mT @ root, gradient, low, high, uniform(-1.0, 1.0, 200, 6, seed=2))
    for i in range(200):
        best = lsq_linear(root[i].numpy(), right[i].numpy(), (0, 1), method="bvls", tol=1e-14)
        np.testing.assert_allclose(found.point[i].numpy(), best.x, rtol=0, atol=1e-9)


def test_commands_to_start_from_are_brought_within_bounds():
    trials = REACH.trials()
    wild = torch.full((8, 40, 2), 9.0, dtype=torch.float64)
    loss = ILQR(iterations=1).solve(REACH, trials, wild).history[0]
    held = torch.tensor(BoundedArm.command_bounds[1], dtype=torch.float64).expand(8, 40, 2)
    states = roll_out(REACH.plant, trials, held)
    assert loss == pytest.approx(float(REACH.cost.losses(states, held, trials).mean()), rel=1e-12)


def test_designs_that_know_no_bounds_refuse_them_and_planners_keep_to_them():
    with pytest.raises(ValueError, match=r"suit ILQG, got a MuscleArm: its design knows no bounds"):
        ILQG().design(MUSCLES, MUSCLES.trials())
    planner = OnlineTrajectoryOptimization(MUSCLES, iterations=1, first_iterations=3)
    trials = MUSCLES.trials()
    memory = planner.initial_memory(trials.initial_state.new_zeros(0), 2)
    _, command = planner.step(None, memory, trials.initial_state, trials.target, 0, None)
    assert 0.0 <= float(command.min()) < float(command.max()) <= 1.0
