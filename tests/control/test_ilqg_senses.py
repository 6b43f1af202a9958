"""ILQG where a task senses by channels: against a dense Kalman filter made with numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import Hold, normal, switched_on

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, ILQR, OnlineTrajectoryOptimization, Uncertainty
from neuromotor.evaluation.references import no_reference
from neuromotor.plants import PointMass, TwoJointArm
from neuromotor.tasks import CenterOut, Channel, Senses, SensesInUse
from neuromotor.zoo.saved_controller import load_controller, save_controller

MASS, DAMPING, DT = 0.8, 0.3, 0.01
POINT = PointMass(mass=MASS, damping=DAMPING)
A = np.eye(4) + DT * np.block(
    [[np.zeros((2, 2)), np.eye(2)], [np.zeros((2, 2)), -DAMPING / MASS * np.eye(2)]]
)
B = np.vstack([np.zeros((2, 2)), DT / MASS * np.eye(2)])
LONGEST = 4
SENSES = Senses(
    (
        Channel("joint_velocity", delay_steps=1, scale=0.5, noise=0.02),
        Channel("hand_position", delay_s=0.04, noise=0.003, relative=True),
        Channel("joint_position", noise=0.01),  # the task's delay, 2 steps
    )
)
NOISE = (0.02, 0.02, 0.003, 0.003, 0.01, 0.01)
# what is sensed of [x[t], x[t - 1], ..., x[t - 4], d]; a point mass has its home at zero
H = np.zeros((6, 4 * (LONGEST + 1) + 2))
H[0:2, 4 + 2 : 4 + 4] = 0.5 * np.eye(2)
H[2:4, 16 : 16 + 2] = np.eye(2)
H[4:6, 8 : 8 + 2] = np.eye(2)
SCALES = np.array([0.5, 0.5, 1, 1, 1, 1])
FIRM = ILQG(tolerance=1e-13, rounds=300, relinearizations=0)


def reach(senses=SENSES, steps=18):
    return CenterOut(
        plant=POINT, directions=1, radius_m=0.1, steps=steps, delay_steps=2, senses=senses
    )


class Moments:
    """Second moments of the true past states and load, the estimate of both, and 1."""

    def __init__(self, task, chance, trials):
        self.task, self.chance = task, chance
        self.size = H.shape[1]
        self.start = np.tile(trials.initial_state[0].numpy(), LONGEST + 1)
        self.target = trials.target[0].numpy()

    def run(self, offset, feedback, correction):
        """The expected loss, and the Kalman gain that belongs to each step."""
        n, chance, task = self.size, self.chance, self.task
        true, guess, one = slice(0, n), slice(n, 2 * n), 2 * n
        first, last = chance.onset_steps
        increments = [chance.load**2 / (last - first + 1) * (first <= t <= last) for t in range(99)]
        w = np.zeros(2 * n + 1)
        w[: n - 2] = w[n : 2 * n - 2] = self.start
        w[one] = 1
        m = np.outer(w, w)
        m[n - 2 : n, n - 2 : n] += increments[0] * np.eye(2)
        loss, gains = 0.0, []
        alpha = task.energy_weight * DT
        shift = np.zeros((n, n))  # of the past states, and the load that stays
        shift[:4, :4] = A
        shift[:4, -2:] = B
        shift[4:-2, :-6] = np.eye(n - 6)
        shift[-2:, -2:] = np.eye(2)
        for t in range(task.steps):
            error = m[true, true] - m[true, guess] - m[guess, true] + m[guess, guess]
            sensed = np.diag(H @ m[true, true] @ H.T)
            omega = (SCALES * np.array(NOISE)) ** 2 + np.array(chance.signal_noise) ** 2 * sensed
            gains.append(error @ H.T @ np.linalg.inv(H @ error @ H.T + np.diag(omega)))
            look = np.eye(2 * n + 1)
            look[guess, true] += correction[t] @ H
            look[guess, guess] -= correction[t] @ H
            m = look @ m @ look.T
            m[guess, guess] += correction[t] @ np.diag(omega) @ correction[t].T
            command = np.zeros((2, 2 * n + 1))
            command[:, n : n + 4], command[:, 2 * n - 2 : 2 * n] = (
                feedback[t][:, :4],
                feedback[t][:, 4:],
            )
            command[:, one] = offset[t]
            energy = command @ m @ command.T
            loss += 0.5 * alpha * np.trace(energy)
            ahead = np.zeros((2 * n + 1, 2 * n + 1))
            ahead[true, true] = ahead[guess, guess] = shift
            ahead[one, one] = 1
            ahead[:4] += B @ command
            ahead[n : n + 4] += B @ command
            m = ahead @ m @ ahead.T
            m[:4, :4] += chance.command_noise**2 * B @ np.diag(np.diag(energy)) @ B.T
            m[:4, :4] += chance.plant_noise**2 * np.eye(4)
            m[n - 2 : n, n - 2 : n] += increments[t + 1] * np.eye(2)
        end = m[:4, :4] - np.outer(m[:4, one], self.target) - np.outer(self.target, m[:4, one])
        return loss + 0.5 * np.trace(end + np.outer(self.target, self.target)), gains


def designed(signal_noise, senses=SENSES, **sizes):
    task = reach(senses)
    chance = Uncertainty(
        load=2.0,
        onset_steps=(0, 7),
        plant_noise=0.003,
        sensory_noise=NOISE,
        signal_noise=(signal_noise,) * 6,
        **sizes,
    )
    design = FIRM.design(task, task.trials().undisturbed(), chance)
    tables = design.controller.unpack(design.parameters)
    return (
        task,
        chance,
        design,
        [getattr(tables, k)[0].numpy() for k in ("offset", "feedback", "correction")],
    )


@pytest.mark.parametrize(("signal_noise", "command_noise"), [(0.0, 0.0), (0.0, 0.3), (0.4, 0.2)])
def test_the_filter_is_a_dense_kalman_filter_and_the_loss_its_own(signal_noise, command_noise):
    task, chance, design, tables = designed(signal_noise, command_noise=command_noise)
    assert design.converged
    loss, gains = Moments(task, chance, task.trials()).run(*tables)
    scale = np.abs(gains).max()
    np.testing.assert_allclose(tables[2], np.array(gains), rtol=1e-7, atol=1e-7 * scale)
    assert design.predicted == pytest.approx(loss, rel=1e-9)


def test_feedback_is_the_best_for_noise_in_proportion_to_what_is_sensed():
    """On the way to gains that know no such noise, the loss begins with no slope, and rises."""
    task, chance, _, (offset, feedback, correction) = designed(0.8)
    other_offset, other = designed(0.0)[3][:2]
    moments = Moments(task, chance, task.trials())

    def loss(share):
        gains = (offset + share * (other_offset - offset), feedback + share * (other - feedback))
        return moments.run(*gains, correction)[0]

    rise = loss(1) - loss(0)
    assert rise > 1e-3 * loss(0)
    assert abs(loss(1e-2) - loss(-1e-2)) < 1e-3 * 2e-2 * rise


def test_the_estimate_in_the_closed_loop_is_the_dense_filters():
    task, chance, design, tables = designed(0.3)
    trials = task.trials().subset(torch.zeros(2, dtype=torch.long))
    design = FIRM.design(task, trials, chance)
    trials = replace(
        switched_on(trials, task.steps, "load", 2.0, 7),
        sensory_noise=torch.tensor(NOISE) * normal(2, task.steps, 6, seed=3),
        signal_noise=0.3 * normal(2, task.steps, 6, seed=4),
    )
    run = ClosedLoop(task, design.controller).simulate(design.parameters, trials)
    for trial in range(2):
        start = trials.initial_state[trial].numpy()
        past, z = [start] * (LONGEST + 1), np.concatenate([np.tile(start, LONGEST + 1), [0, 0]])
        x = start
        for t in range(task.steps):
            y = H[:, :-2] @ np.concatenate(past)
            xi = trials.signal_noise[trial, t].numpy()
            y = y * (1 + xi) + SCALES * trials.sensory_noise[trial, t].numpy()
            np.testing.assert_allclose(run.observations[trial, t].numpy(), y, atol=1e-12)
            z = z + tables[2][t] @ (y - H @ z)
            u = tables[0][t] + tables[1][t] @ np.concatenate([z[:4], z[-2:]])
            np.testing.assert_allclose(run.memory[0][trial, t].numpy(), z, atol=1e-10)
            np.testing.assert_allclose(run.commands[trial, t].numpy(), u, atol=1e-9)
            x = A @ x + B @ (u + trials.load[trial, t].numpy())
            past = [x, *past[:-1]]
            ahead = A @ z[:4] + B @ (u + z[-2:])
            z = np.concatenate([ahead, z[:-6], z[-2:]])


def test_an_arm_that_sees_and_feels_its_hand_costs_what_the_design_predicts():
    """Holding still, where the signals of the hand are linear enough."""
    channels = (
        Channel("hand_position", delay_steps=6, noise=0.002, signal_noise=0.01),
        Channel("joint_velocity", delay_steps=2, noise=0.02),
    )
    task = Hold(TwoJointArm(), steps=40, energy_weight=1e-4, senses=Senses(channels))
    count = 4000
    trials = task.trials().subset(torch.zeros(count, dtype=torch.long))
    trials = switched_on(trials, task.steps, "load", 0.01, 19, first=3)
    sizes = torch.tensor(SensesInUse.of(task).noise)
    trials = replace(
        trials,
        sensory_noise=sizes * normal(count, task.steps, 4, seed=9),
        signal_noise=torch.tensor([0.01, 0.01, 0, 0]) * normal(count, task.steps, 4, seed=8),
    )
    design = ILQG().design(task, trials)
    losses = ClosedLoop(task, design.controller).losses(design.parameters, trials)
    error = float(losses.std()) / count**0.5
    assert error < 0.03 * design.predicted
    assert abs(float(losses.mean()) - design.predicted) < 3 * error


def test_undisturbed_it_follows_ilqr_whatever_it_senses():
    senses = Senses((Channel("hand_position", delay_steps=4), Channel("joint_velocity")))
    task = CenterOut(directions=1, steps=20, delay_steps=2, senses=senses)
    trials = task.trials()
    design = ILQG().design(task, trials, Uncertainty())
    run = ClosedLoop(task, design.controller).simulate(design.parameters, trials)
    best = ILQR().solve(task, trials)
    torch.testing.assert_close(run.states, best.states, rtol=0, atol=1e-6)


def test_the_state_as_one_channel_is_what_the_task_does_by_itself():
    plain = CenterOut(directions=1, steps=20, delay_steps=4, noise=0.1, sensory_noise=0.01)
    same = replace(plain, sensory_noise=0.0, senses=Senses((Channel("state", noise=0.01),)))
    one, other = (ILQG().design(task, task.trials()) for task in (plain, same))
    torch.testing.assert_close(one.parameters, other.parameters, rtol=1e-9, atol=1e-12)


def test_a_saved_design_runs_as_before(tmp_path):
    senses = Senses((Channel("hand_position", delay_steps=4), Channel("joint_velocity")))
    task = CenterOut(directions=1, steps=12, senses=senses)
    design = ILQG().design(task, task.trials(), Uncertainty(command_noise=0.1))
    path = tmp_path / "ilqg.safetensors"
    save_controller(path, design.controller, design.parameters, task=task)
    saved = load_controller(path)
    assert (saved.controller, saved.task) == (design.controller, task)
    before, after = (
        ClosedLoop(task, one.controller).simulate(one.parameters, task.trials())
        for one in (design, saved)
    )
    assert torch.equal(before.commands, after.commands)
    with pytest.raises(ValueError, match="`plant` must be given with `senses`"):
        replace(design.controller, plant=None)
    with pytest.raises(ValueError, match="longest delay of `senses`, 4, got 3"):
        replace(design.controller, delay_steps=3)


def test_who_cannot_sense_by_channels_says_so():
    task = reach()
    with pytest.raises(ValueError, match="`extended` must be True"):
        ILQG(extended=False).design(task, task.trials())
    with pytest.raises(ValueError, match="whole state be sensed"):
        OnlineTrajectoryOptimization(task)
    reasons = no_reference(["ilqg", "lqg", "online-predictive"], task, task.trials())
    assert set(reasons) == {"lqg", "online-predictive"}
    whole = reach(Senses((Channel("state", delay_steps=3),)))
    OnlineTrajectoryOptimization(whole)
    ILQG(extended=False).design(whole, whole.trials())
    hand = reach(Senses(target=(Channel("hand_position"),)))
    with pytest.raises(ValueError, match="the target be told as one"):
        OnlineTrajectoryOptimization(hand)
