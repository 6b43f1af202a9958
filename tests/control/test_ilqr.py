"""iLQR against casadi with IPOPT, against Riccati, and against a Gauss-Newton method on a table."""

from dataclasses import replace

import casadi
import numpy as np
import pytest
import torch
from cases import ARMS, Hold, noisy, normal, timed

from neuromotor.closed_loop import ClosedLoop, advance, linearize_plant
from neuromotor.control import ILQR
from neuromotor.controllers import CommandTable
from neuromotor.optim import Budget, HessianFree
from neuromotor.plants import HUMAN, HUMAN_VISCOSITY, PointMass, TwoJointArm
from neuromotor.tasks import CenterOut, ForceField, Interception, ReachSequence, Swing, Tracking


def ipopt_cost(task, start, goal, weights, load):
    """Optimal cost of one trial, dynamics and transcription written anew.

    Goal and weights are those of every state, (T + 1, 4).
    """
    p = task.plant.parameters
    opti = casadi.Opti()
    x, u = opti.variable(4, task.steps + 1), opti.variable(2, task.steps)
    opti.subject_to(x[:, 0] == start)
    for t in range(task.steps):
        q2, v1, v2 = x[1, t], x[2, t], x[3, t]
        cosine = p.mass_2 * p.length_1 * p.center_2 * casadi.cos(q2)
        sine = p.mass_2 * p.length_1 * p.center_2 * casadi.sin(q2)
        forearm = p.inertia_2 + p.mass_2 * p.center_2**2
        upper = p.inertia_1 + p.mass_1 * p.center_1**2 + p.mass_2 * p.length_1**2
        inertia = casadi.vertcat(
            casadi.horzcat(upper + forearm + 2 * cosine, forearm + cosine),
            casadi.horzcat(forearm + cosine, forearm),
        )
        coriolis = casadi.vertcat(-sine * (2 * v1 * v2 + v2**2), sine * v1**2)
        acceleration = casadi.solve(inertia, u[:, t] + load[t] - coriolis)
        rate = casadi.vertcat(x[2:, t], acceleration)
        opti.subject_to(x[:, t + 1] == x[:, t] + task.plant.dt_s * rate)
    errors = casadi.sum1(casadi.sum2(weights.T * (x - goal.T) ** 2))
    alpha = task.cost.energy_weight
    opti.minimize(0.5 * errors + 0.5 * alpha * casadi.sumsqr(u))
    opti.set_initial(x, np.linspace(start, goal[-1], task.steps + 1).T)
    options = {"ipopt.print_level": 0, "print_time": 0, "ipopt.sb": "yes", "ipopt.tol": 1e-12}
    opti.solver("ipopt", options)
    return float(opti.solve().value(opti.f))


def ipopt_costs(task, trials):
    """Optimal costs of all trials."""
    shape = (len(trials), task.steps + 1, 4)
    load = trials.load
    if load is None:
        load = torch.zeros(len(trials), task.steps, 2)
    parts = (trials.goal.expand(shape), task.cost.weights(trials).expand(shape), load)
    return [
        ipopt_cost(task, start.numpy(), *(part[b].numpy() for part in parts))
        for b, start in enumerate(trials.initial_state)
    ]


@pytest.mark.parametrize("arm", ["monkey-published", "monkey", "human"])
@pytest.mark.parametrize("loaded", [False, True])
def test_costs_equal_ipopts(arm, loaded):
    radius = 0.1 if arm == "human" else 0.06
    task = CenterOut(plant=ARMS[arm], directions=8, radius_m=radius)
    trials = task.trials()
    load = torch.zeros(8, 40, 2, dtype=torch.float64)
    if loaded:
        scale = float(ARMS[arm].inertia_matrix(torch.zeros(2)).max())
        load[:, 10:] = 2 * scale * normal(8, 1, 2)
    trials = type(trials)(trials.initial_state, trials.target, load=load)
    solution = ILQR().solve(task, trials)
    assert solution.converged
    expected = ipopt_costs(task, trials)
    np.testing.assert_allclose(solution.losses.numpy(), expected, rtol=1e-8)


SHORT = CenterOut(directions=2, steps=24, radius_m=0.03)
MOVING = {
    "swing": Swing(SHORT, turns_deg=(45.0,)),
    "interception": Interception(SHORT, change_step=8, window_steps=(18, 22)),
    "tracking": Tracking(replace(SHORT, velocity_weight=0.1), hold_steps=4, move_steps=18),
    "figure eight": Tracking(SHORT, path="eight", hold_steps=4, move_steps=20),
    "sequence": ReachSequence(
        replace(SHORT, steps=40), sequences=2, reach_steps=(8, 9), hold_steps=(0, 2), dwell_steps=2,
        target_step=0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVING)
def test_costs_of_targets_that_move_equal_ipopts(name):
    task = MOVING[name]
    trials = task.trials()
    solution = ILQR().solve(task, trials)
    assert solution.converged
    np.testing.assert_allclose(solution.losses.numpy(), ipopt_costs(task, trials), rtol=1e-7)


def test_point_mass_equals_riccati():
    task = CenterOut(plant=PointMass(mass=0.8, damping=0.3), directions=8, radius_m=0.1)
    trials = task.trials()
    dt, steps, alpha = 0.01, task.steps, task.energy_weight * 0.01
    a = np.eye(4)
    a[:2, 2:] = dt * np.eye(2)
    a[2:, 2:] -= dt * 0.3 / 0.8 * np.eye(2)
    b = np.vstack([np.zeros((2, 2)), dt / 0.8 * np.eye(2)])
    p, gains = np.eye(4), []
    for _ in range(steps):
        gain = np.linalg.solve(alpha * np.eye(2) + b.T @ p @ b, b.T @ p @ a)
        p = a.T @ p @ (a - b @ gain)
        gains.append(gain)
    error = (trials.initial_state - trials.target).numpy()
    solution = ILQR().solve(task, trials)
    expected = 0.5 * np.einsum("bi,ij,bj->b", error, p, error)
    np.testing.assert_allclose(solution.losses.numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(solution.gains[0].numpy(), -np.array(gains[::-1]), atol=1e-8)
    assert solution.iterations <= 3


def test_trials_with_their_own_weights_and_goals_equal_least_squares():
    """A point mass's states are linear in its commands, so that each trial is one `lstsq`."""
    task = Hold(PointMass(mass=0.8, damping=0.3), steps=12, velocity_weight=0.5)
    trials = timed(CenterOut(plant=task.plant, directions=3, radius_m=0.1).trials(), 12)
    a, b = _system(task.plant)
    powers = [np.linalg.matrix_power(a, k) for k in range(13)]
    response = np.zeros((13, 4, 12, 2))
    for t in range(13):
        for s in range(t):
            response[t, :, s] = powers[t - 1 - s] @ b
    response = response.reshape(52, 24)
    solution = ILQR().solve(task, trials)
    for trial in range(3):
        free = np.concatenate([power @ trials.initial_state[trial].numpy() for power in powers])
        weights = (task.cost.state_weights * trials.counted[trial]).flatten().sqrt().numpy()
        error = weights * (free - trials.wanted[trial].flatten().numpy())
        rows = np.vstack([weights[:, None] * response, task.energy_weight**0.5 * np.eye(24)])
        best, *_ = np.linalg.lstsq(rows, np.concatenate([-error, np.zeros(24)]), rcond=None)
        residual = rows @ best + np.concatenate([error, np.zeros(24)])
        found = solution.commands[trial].flatten().numpy()
        np.testing.assert_allclose(found, best, rtol=1e-6, atol=1e-9)
        assert float(solution.losses[trial]) == pytest.approx(0.5 * residual @ residual, rel=1e-10)


def _system(plant):
    """Matrices of one step of a point mass, from its steps at unit vectors."""
    zero = torch.zeros(4, 2, dtype=torch.float64)
    a = plant.step(torch.eye(4, dtype=torch.float64), zero).T
    b = plant.step(zero.new_zeros(2, 4), torch.eye(2, dtype=torch.float64)).T
    return a.numpy(), b.numpy()


@pytest.mark.parametrize("arm", ["monkey-published", "monkey"])
def test_a_gauss_newton_method_on_a_command_table_recovers_ilqr(arm):
    """Sutskever (2013), section 6.8."""
    task = CenterOut(plant=ARMS[arm], directions=2, steps=20)
    trials = task.trials()
    reference = ILQR().solve(task, trials)
    table = CommandTable(trials=2, steps=task.steps)
    zeros = torch.zeros(table.parameter_count, dtype=torch.float64)
    method = HessianFree(damping=1e-6, gradient_tolerance=1e-10)
    objective = ClosedLoop(task, table).objective(trials)
    result = method.minimize(objective, zeros, Budget(calls=4000))
    assert result.value == pytest.approx(reference.value, rel=1e-9)
    torch.testing.assert_close(
        result.parameters.view_as(reference.commands),
        reference.commands,
        rtol=0,
        atol=1e-3 * float(reference.commands.abs().max()),
    )


def test_losses_are_those_of_the_closed_loop_with_the_same_draws():
    task = CenterOut(directions=5)
    trials = noisy(task.trials(), task.steps)
    solution = ILQR().solve(task, trials)
    table = CommandTable(trials=5, steps=task.steps)
    losses = ClosedLoop(task, table).losses(solution.commands.flatten(), trials)
    torch.testing.assert_close(losses, solution.losses, rtol=1e-12, atol=0)
    assert all(b <= a for a, b in zip(solution.history, solution.history[1:], strict=False))


def test_plant_jacobians_are_dense_autograd_ones():
    plant = TwoJointArm(HUMAN, viscosity=HUMAN_VISCOSITY)
    task = CenterOut(plant=plant, directions=2, steps=3)
    trials = noisy(task.trials(), 3)
    states, commands = normal(2, 3, 4), normal(2, 3, 2, seed=1)
    a, b = linearize_plant(plant, trials, states, commands).split([4, 2], dim=-1)
    for trial in range(2):
        one = trials.subset(slice(trial, trial + 1))
        for t in range(3):

            def step(x, u, one=one, t=t):
                return advance(plant, x[None], u[None], one, t)[0]

            expected = torch.autograd.functional.jacobian(
                step, (states[trial, t], commands[trial, t])
            )
            torch.testing.assert_close(a[trial, t], expected[0])
            torch.testing.assert_close(b[trial, t], expected[1])


def test_running_out_of_iterations_is_said():
    task = CenterOut(directions=4, plant=ARMS["monkey"])
    solution = ILQR(iterations=1).solve(task, task.trials())
    assert not solution.converged
    assert "unfinished after 1 iterations" in solution.reason


def test_a_bad_start_is_refused():
    task = CenterOut(directions=2)
    with pytest.raises(ValueError, match="`commands` must have shape"):
        ILQR().solve(task, task.trials(), torch.zeros(2, 39, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="finite trajectory"):
        ILQR().solve(task, task.trials(), torch.full((2, 40, 2), 1e200, dtype=torch.float64))


def test_trials_that_blow_up_are_not_called_converged_and_the_advice_names_the_step():
    """Walls far stiffer than the step bears: whatever the solver reaches is no movement."""
    task = ForceField(CenterOut(directions=2), kinds=("channel", "catch"), stiffness_n_m=2e4)
    trials = task.trials()
    push = torch.zeros(4, 40, 2, dtype=torch.float64)
    push[:, 5:10] = 0.02
    solution = ILQR(iterations=15).solve(task, replace(trials, hand_force=push))
    assert not solution.converged
    assert "of 4 trials blew up" in solution.reason
    assert "shorter than the plant's `dt_s` of 0.01 s" in solution.reason
    assert not task.trials_of("channel", solution.trial_converged).any()
    finer = replace(task, reach=replace(task.reach, plant=TwoJointArm(dt_s=0.001), steps=400))
    push = torch.zeros(4, 400, 2, dtype=torch.float64)
    push[:, 50:100] = 0.02
    assert ILQR().solve(finer, replace(finer.trials(), hand_force=push)).converged


def test_the_step_is_named_where_no_trajectory_is_finite():
    task = ForceField(CenterOut(directions=1, steps=400), kinds=("channel",), stiffness_n_m=1e7)
    push = torch.full((1, 400, 2), 0.02, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"shorter than the plant's `dt_s` of 0\.01 s"):
        ILQR().solve(task, replace(task.trials(), hand_force=push))
