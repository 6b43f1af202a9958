"""Online trajectory optimisation: iLQR without delay and load, known failures with them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import ARMS, Hold
from scipy.linalg import solve_discrete_are

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, ILQR, OnlineTrajectoryOptimization, Uncertainty
from neuromotor.plants import PointMass, TwoJointArm
from neuromotor.tasks import CenterOut

EMPTY = torch.zeros(0, dtype=torch.float64)
DT, MASS, FORCE = 0.01, 0.8, 1.5


def run(task, trials, **settings):
    planner = OnlineTrajectoryOptimization(task, **settings)
    return ClosedLoop(task, planner).simulate(EMPTY, trials)


def loaded(task, force=FORCE):
    trials = task.trials()
    load = torch.zeros(1, task.steps, 2, dtype=torch.float64)
    load[..., 0] = force
    return replace(trials, load=load)


def stationary_gain(energy_weight):
    """Position and velocity gain of one axis of the point mass."""
    a, b = np.array([[1, DT], [0, 1]]), np.array([[0], [DT / MASS]])
    p = solve_discrete_are(a, b, np.diag([1.0, 0.0]), np.array([[energy_weight]]))
    return np.linalg.solve(energy_weight + b.T @ p @ b, b.T @ p @ a)[0]


@pytest.mark.parametrize("arm", ["monkey-published", "monkey"])
def test_without_delay_and_disturbance_it_follows_ilqr(arm):
    task = CenterOut(plant=ARMS[arm], directions=4)
    trials = task.trials()
    best = ILQR().solve(task, trials)
    trajectory = run(task, trials)
    scale = float(best.commands.abs().max())
    torch.testing.assert_close(trajectory.states, best.states, rtol=0, atol=1e-6)
    torch.testing.assert_close(trajectory.commands, best.commands, rtol=0, atol=1e-4 * scale)
    plans = trajectory.memory[0].view(4, 40, 40, 2)
    torch.testing.assert_close(plans[:, -1], trajectory.commands)


@pytest.mark.parametrize("delay", [0, 6])
def test_a_constant_load_is_undercompensated(delay):
    """At rest against a load f, u = -f, and a plan that starts at the state that it believes in
    gives u = -L (p, v) with Riccati's gains (L_p, L_v): so there must be an error p. A prediction
    over tau steps without the load adds -f dt tau / m to the velocity it believes in, and
    -f dt^2 tau (tau - 1) / 2 m to the position."""
    task = Hold(PointMass(mass=MASS), steps=90, delay_steps=delay, energy_weight=1e-5)
    trajectory = run(task, loaded(task), predictive=True)
    position_gain, velocity_gain = stationary_gain(1e-5)
    velocity = -FORCE * DT * delay / MASS
    shift = -FORCE * DT**2 * delay * (delay - 1) / (2 * MASS)
    error = (FORCE - velocity_gain * velocity) / position_gain - shift
    assert error > 0.004
    assert float(trajectory.states[0, 55, 0]) == pytest.approx(error, rel=1e-3)
    assert float(trajectory.commands[0, 55, 0]) == pytest.approx(-FORCE, rel=1e-3)

    chance = Uncertainty(load=FORCE)
    design = ILQG().design(task, task.trials(), chance)
    feedback = ClosedLoop(task, design.controller).simulate(design.parameters, loaded(task))
    assert abs(float(feedback.states[0, 55, 0])) < 1e-2 * error


def test_under_delay_it_rings():
    """Far from its end it is LQR on old news: the loop is simulated anew, with Riccati's gain."""
    task = Hold(PointMass(mass=MASS), steps=100, delay_steps=7, energy_weight=1e-4)
    trajectory = run(task, loaded(task))
    gain = stationary_gain(1e-4)
    states = [np.zeros(2)]
    for t in range(60):
        push = FORCE - gain @ states[max(t - 7, 0)]
        position, velocity = states[-1]
        states.append(np.array([position + DT * velocity, velocity + DT / MASS * push]))
    expected = np.array(states)
    actual = trajectory.states[0, :61, [0, 2]].numpy()
    np.testing.assert_allclose(actual[:46], expected[:46], atol=1e-3 * expected.max())
    settled = FORCE / gain[0]
    excess = expected[:, 0] - settled
    turns = np.count_nonzero(np.diff(np.sign(np.diff(actual[:, 0]))))
    assert turns >= 3
    assert excess.max() > 0.5 * settled  # overshoots far beyond where it comes to rest


@pytest.mark.slow
def test_an_unstable_loop_is_given_up_or_held_by_a_limit():
    task = Hold(TwoJointArm(), steps=70, delay_steps=10, energy_weight=1e-8)
    trials = loaded(task, 2.0)
    wild = run(task, trials)
    assert not bool(torch.isfinite(wild.states).all())
    assert bool(torch.isfinite(wild.commands).all())
    held = run(task, trials, command_limit=0.5)
    assert bool(torch.isfinite(held.states).all())
    assert float(held.commands.abs().max()) == 0.5


def test_bad_settings_are_refused():
    task = CenterOut(directions=2)
    with pytest.raises(ValueError, match="iterations"):
        OnlineTrajectoryOptimization(task, iterations=0)
    with pytest.raises(ValueError, match="command_limit"):
        OnlineTrajectoryOptimization(task, command_limit=-1.0)
    planner = OnlineTrajectoryOptimization(task)
    with pytest.raises(ValueError, match="`parameters` must have shape"):
        planner.unpack(torch.zeros(3))
    assert planner.initial_parameters(torch.Generator()).shape == (0,)
