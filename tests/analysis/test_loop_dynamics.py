"""Fixed points and modes of the whole loop against linear loops in closed form."""

import numpy as np
import pytest
import torch

from neuromotor.analysis.jacobians import with_jacobian
from neuromotor.analysis.loop_dynamics import loop_dynamics, plot_loop_dynamics
from neuromotor.controllers import ContinuousTimeRNN, FunctionController
from neuromotor.plants import PointMass
from neuromotor.tasks import CenterOut, Trials

K, D, M, B, DT = 30.0, 6.0, 1.2, 0.5, 0.01


def spring(seen, target, t):
    del t
    return K * (target - seen)[:, :2] - D * seen[:, 2:]


def linear_loop(delay):
    """Matrix of one Euler step of a point mass with delayed linear feedback, per the equations."""
    still = np.eye(4)
    still[:2, 2:] = DT * np.eye(2)
    still[2:, 2:] -= DT * B / M * np.eye(2)
    feedback = np.zeros((4, 4))
    feedback[2:, :2] = -DT * K / M * np.eye(2)
    feedback[2:, 2:] = -DT * D / M * np.eye(2)
    whole = np.zeros((4 * (delay + 1), 4 * (delay + 1)))
    whole[:4, :4] += still
    whole[:4, 4 * delay :] += feedback
    whole[4:, :-4] = np.eye(4 * delay)
    return whole


def loop(delay, load=None):
    task = CenterOut(plant=PointMass(mass=M, damping=B), steps=30, directions=4, delay_steps=delay)
    controller = FunctionController(spring)
    trials = task.trials(dtype=torch.float64)
    if load is not None:
        trials = Trials(
            trials.initial_state,
            trials.target,
            load=torch.tensor(load, dtype=torch.float64).expand(4, 30, 2).contiguous(),
        )
    return task, controller, torch.zeros(0, dtype=torch.float64), trials


@pytest.mark.parametrize("delay", [0, 1, 7])
def test_a_linear_loop_has_the_modes_of_its_matrix(delay):
    task, controller, theta, trials = loop(delay, load=(0.6, -1.5))
    found = loop_dynamics(task, controller, theta, trials, trial=1)
    assert found.converged.tolist() == [True]
    # at rest, the spring carries the load: K (target - x) + load = 0
    wanted = trials.target[1, :2].numpy() + np.array([0.6, -1.5]) / K
    np.testing.assert_allclose(found.hand_position[0], wanted, atol=1e-9)
    np.testing.assert_allclose(found.jacobians[0], linear_loop(delay), atol=1e-12)
    mu = np.linalg.eigvals(linear_loop(delay))
    mu = mu[(np.abs(mu) > 1e-6) & (mu.imag >= -1e-12)]
    modes = found.modes[0]
    largest = np.sort(np.abs(mu))[::-1]
    np.testing.assert_allclose(np.abs(modes.eigenvalues), largest, rtol=1e-6, atol=1e-6)
    s = np.log(modes.eigenvalues) / DT
    np.testing.assert_allclose(modes.frequencies_hz, np.abs(s.imag) / (2 * np.pi))
    np.testing.assert_allclose(modes.time_constants_s, -1 / s.real)
    np.testing.assert_allclose(modes.participation.sum(1), 1)
    assert modes.parts == ("position", "velocity") + (("delay line",) if delay else ())
    assert found.stable[0] == (np.abs(mu).max() < 1)


def test_without_delay_frequency_and_damping_are_those_of_the_oscillator():
    """m x'' + (b + d) x' + k x = 0, up to the Euler step of 1 ms."""
    plant = PointMass(mass=M, damping=B, dt_s=0.001)
    task = CenterOut(plant=plant, steps=30, directions=4)
    controller = FunctionController(spring, dt_s=0.001)
    found = loop_dynamics(task, controller, torch.zeros(0, dtype=torch.float64))
    natural = np.sqrt(K / M)
    ratio = (B + D) / (2 * np.sqrt(K * M))
    hz = natural * np.sqrt(1 - ratio**2) / (2 * np.pi)
    np.testing.assert_allclose(found.modes[0].frequencies_hz[0], hz, rtol=0.02)
    np.testing.assert_allclose(found.modes[0].damping_ratios[0], ratio, rtol=0.02)
    np.testing.assert_allclose(found.modes[0].time_constants_s[0], 2 * M / (B + D), rtol=0.02)


def test_too_much_delay_makes_the_loop_unstable():
    task, controller, theta, trials = loop(25)
    found = loop_dynamics(task, controller, theta, trials)
    assert not found.stable[0]
    assert np.abs(np.linalg.eigvals(linear_loop(25))).max() > 1
    assert found.modes[0].time_constants_s[0] < 0


def test_the_jacobian_of_a_network_s_loop_is_that_of_the_simulation():
    """Two steps from a state near the fixed point, by the simulation, against J applied twice."""
    task = CenterOut(steps=12, directions=4, delay_steps=2)
    net = ContinuousTimeRNN(layers=(6, 5))
    theta = net.initial_parameters(torch.Generator().manual_seed(1)) * 0.3
    found = loop_dynamics(task, net, theta, starts=2)
    assert found.jacobians.shape[1:] == (11 + 4 * 3, 11 + 4 * 3)
    step = found.jacobians[0]
    point = torch.from_numpy(found.points[0])

    def moved(w):
        """One step by hand, from the network's and the plant's own functions."""
        target = task.trials(dtype=torch.float64).target[:1]
        memory, command = net.step(
            net.unpack(theta), (w[:, :6], w[:, 6:11]), w[:, 19:23], target, 0, None
        )
        x = task.plant.step(w[:, 11:15], command)
        return torch.cat([*memory, x, w[:, 11:19]], dim=-1)

    _, own = with_jacobian(moved, point[None])
    np.testing.assert_allclose(step, own[0], atol=1e-10)
    small = 1e-6
    for i in (0, 8, 12, 20):  # finite differences, one number of each part
        there = point.clone()
        there[i] += small
        column = (moved(there[None]) - moved(point[None]))[0] / small
        np.testing.assert_allclose(column.numpy(), step[:, i], atol=1e-4)
    figure = plot_loop_dynamics(found)
    assert figure.axes[1].get_xlabel() == "participation"
    with pytest.raises(ValueError, match="`at_step` must be below 12, got 12"):
        loop_dynamics(task, net, theta, at_step=12)
