"""Infinite-horizon LQG against Riccati's equations, dense moments and simulated trials."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import Hold, normal
from scipy.linalg import solve_discrete_are

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, InfiniteHorizonLQG, Uncertainty
from neuromotor.control.lqg import LQG
from neuromotor.control.stationary import StationaryLQG
from neuromotor.evaluation.references import no_reference, reference_trajectories
from neuromotor.plants import MuscleArm, PointMass, SpatialArm, TwoJointArm
from neuromotor.tasks import CenterOut, Interception, Tracking

MASS, DAMPING, DT = 0.8, 0.3, 0.01
POINT = PointMass(mass=MASS, damping=DAMPING)
A = np.eye(4) + DT * np.block(
    [[np.zeros((2, 2)), np.eye(2)], [np.zeros((2, 2)), -DAMPING / MASS * np.eye(2)]]
)
B = np.vstack([np.zeros((2, 2)), DT / MASS * np.eye(2)])
Q, R = np.diag([1, 1, 1e-2, 1e-2]), 1e-3 * np.eye(2)


def hold(delay=0, steps=1):
    return Hold(POINT, steps=steps, delay_steps=delay, energy_weight=1e-3, velocity_weight=1e-2)


def design(task, chance, **settings):
    settings = {"velocity_scale": 1.0, "tolerance": 1e-9, **settings}
    found = InfiniteHorizonLQG(**settings).design(task, task.trials(), chance)
    weights = found.controller.unpack(found.parameters)
    return found, weights.feedback[0, 0].numpy(), weights.correction[0, 0].numpy()


def test_gains_are_those_of_riccati():
    chance = Uncertainty(plant_noise=(1e-3, 1e-3, 1e-2, 1e-2), sensory_noise=(0.01, 0.01, 0.1, 0.1))
    found, feedback, correction = design(hold(steps=5), chance, error_scale=3.0)
    p = solve_discrete_are(A, B, 3 * Q, R)
    gain = np.linalg.solve(R + B.T @ p @ B, B.T @ p @ A)
    np.testing.assert_allclose(feedback, -gain, rtol=1e-8, atol=1e-9)
    noise, sensors = np.diag([1e-6, 1e-6, 1e-4, 1e-4]), np.diag([1e-4, 1e-4, 1e-2, 1e-2])
    before = solve_discrete_are(A.T, np.eye(4), noise, sensors)
    expected = before @ np.linalg.inv(before + sensors)
    np.testing.assert_allclose(correction, expected, rtol=1e-8, atol=1e-9)
    after = before - expected @ before
    weight = gain.T @ (R + B.T @ p @ B) @ gain
    rate = 0.5 * (np.trace(p @ noise) + np.trace(weight @ after))
    assert float(found.step_costs) == pytest.approx(rate, rel=1e-6)
    np.testing.assert_allclose(found.curvature[0].numpy(), R + B.T @ p @ B, rtol=1e-8)
    tables = found.controller.unpack(found.parameters)
    assert bool((tables.feedback == tables.feedback[:, :1]).all())
    assert bool((tables.correction == tables.correction[:, :1]).all())


def dense_cost(feedback, correction, noise, load, share, plant, sensors):
    """Expected cost of a step by the second moment of [x, d] and its estimate, solved at once."""
    ahead = np.block([[A, B], [np.zeros((2, 4)), share * np.eye(2)]])  # loads act as commands do
    push = np.vstack([B, np.zeros((2, 2))])
    see = np.hstack([np.eye(4), np.zeros((4, 2))])
    keep = np.eye(6) - correction @ see
    command = feedback @ np.hstack([correction @ see, keep])  # u = command s + feedback K omega
    by_sensor = feedback @ correction
    step = (
        np.block(
            [
                [ahead, np.zeros((6, 6))],
                [ahead @ correction @ see, ahead @ keep],
            ]
        )
        + np.vstack([push, push]) @ command
    )
    noisy = [np.vstack([push[:, [i]], np.zeros((6, 1))]) @ command[[i]] for i in range(2)]
    fresh = np.zeros((12, 12))
    fresh[:4, :4] = plant**2 * np.eye(4)
    fresh[4:6, 4:6] = (1 - share**2) * load**2 * np.eye(2)
    enters = np.vstack([push @ by_sensor, (ahead @ correction) + push @ by_sensor])
    fresh += sensors**2 * enters @ enters.T
    energy = sensors**2 * by_sensor @ by_sensor.T
    for i in range(2):
        fresh[:6, :6] += noise**2 * energy[i, i] * push[:, [i]] @ push[:, [i]].T
    total = np.kron(step, step) + noise**2 * sum(np.kron(m, m) for m in noisy)
    moment = np.linalg.solve(np.eye(144) - total, fresh.ravel()).reshape(12, 12)
    energy = energy + command @ moment @ command.T
    return 0.5 * (np.trace(Q @ moment[:4, :4]) + np.trace(R @ energy))


def test_with_noise_of_the_command_no_other_gains_cost_less():
    """The expected cost is that of dense moments, which no change of either gain lowers."""
    noise, load, seconds, plant, sensors = 1.5, 0.5, 0.4, 0.003, 0.01
    chance = Uncertainty(command_noise=noise, load=load, plant_noise=plant, sensory_noise=sensors)
    found, feedback, correction = design(hold(), chance, disturbance_s=seconds)
    share = 1 - DT / seconds

    def cost(feedback, correction):
        return dense_cost(feedback, correction, noise, load, share, plant, sensors)

    least = cost(feedback, correction)
    assert float(found.step_costs) == pytest.approx(least, rel=1e-7)
    alone = design(hold(), replace(chance, command_noise=0.0), disturbance_s=seconds)[1]
    slopes = {"together": [], "alone": []}
    draws = np.random.default_rng(0)
    for _ in range(4):
        by, seen = draws.standard_normal((2, 6)), draws.standard_normal((6, 4))
        by, seen = by * np.abs(feedback), seen * np.abs(correction)
        for name, at in (("together", feedback), ("alone", alone)):
            ends = [cost(at + e * by, correction) for e in (1e-3, -1e-3)]
            slopes[name].append(abs(ends[0] - ends[1]) / 2e-3 / least)
        ends = [cost(feedback, correction + e * seen) for e in (1e-3, -1e-3)]
        assert min(ends) > least
        assert abs(ends[0] - ends[1]) / 2e-3 / least < 1e-4
    assert max(slopes["together"]) < 1e-5
    assert max(slopes["alone"]) > 1e-2


def test_the_cost_of_a_step_is_the_mean_of_simulated_ones():
    """With a delay, and loads that are drawn anew from time to time."""
    task, count, seconds = hold(delay=2, steps=150), 500, 0.2
    chance = Uncertainty(command_noise=0.8, load=0.5, plant_noise=0.003, sensory_noise=0.01)
    found, _, _ = design(task, chance, disturbance_s=seconds)
    trials = task.trials().subset(torch.zeros(count, dtype=torch.long))
    anew = torch.rand(count, 150, 1, generator=torch.Generator().manual_seed(1)) < DT / seconds
    since = torch.where(anew, torch.arange(150)[:, None], 0).cummax(1).values
    load = (0.5 * normal(count, 150, 2, seed=2)).gather(1, since.expand(-1, -1, 2))
    trials = replace(
        trials,
        load=load,
        command_noise=0.8 * normal(count, 150, 2, seed=3),
        plant_noise=0.003 * normal(count, 150, 4, seed=4),
        sensory_noise=0.01 * normal(count, 150, 4, seed=5),
    )
    loop = InfiniteHorizonLQG(velocity_scale=1.0, disturbance_s=seconds).design(
        task, trials, chance
    )
    run = ClosedLoop(task, loop.controller).simulate(loop.parameters, trials)
    weights = torch.tensor([1, 1, 1e-2, 1e-2])
    errors = (weights * (run.states[:, 60:-1] - trials.target[:, None]).square()).sum(-1)
    costs = 0.5 * (errors + 1e-3 * run.commands[:, 60:].square().sum(-1)).mean(1)
    error = float(costs.std()) / count**0.5
    assert error < 0.03 * float(found.step_costs)
    assert abs(float(costs.mean()) - float(found.step_costs)) < 3 * error


@pytest.mark.slow
def test_a_long_finite_horizon_has_the_same_gains_far_from_its_end():
    chance = Uncertainty(command_noise=0.8, plant_noise=0.003, sensory_noise=0.01)
    _, feedback, correction = design(hold(delay=3), chance)
    task = hold(delay=3, steps=260)
    long = ILQG(tolerance=1e-6, relinearizations=0).design(task, task.trials(), chance)
    tables = long.controller.unpack(long.parameters)
    np.testing.assert_allclose(tables.feedback[0, 120].numpy(), feedback, rtol=1e-4)
    np.testing.assert_allclose(tables.correction[0, 120].numpy(), correction, rtol=1e-4, atol=1e-7)


def scalar(a, variance, r=1.0):
    """The state is multiplied by `a` and pushed by a noisy command: x' = a x + u (1 + xi)."""
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    cost = torch.zeros(1, 2, 2, 2, dtype=torch.float64)
    cost[:, 0, 0, 0] = 1
    return LQG(
        state=a * one,
        command=one,
        disturbance=one[..., :0],
        drift=0 * one[..., 0],
        state_cost=cost,
        command_cost=r * one,
        mixed_cost=torch.zeros(1, 1, 1, 2, dtype=torch.float64),
        delay_steps=0,
        command_variance=torch.tensor([variance], dtype=torch.float64),
        plant_variance=torch.ones(1, dtype=torch.float64),
        sensory_variance=torch.full((1,), 1e-12, dtype=torch.float64),
        onset_variance=torch.zeros(1, 0, dtype=torch.float64),
    )


def test_noise_beyond_the_threshold_has_no_solution():
    """Athans, Ku & Gershwin (1977): there is one if and only if a² sigma² / (1 + sigma²) < 1."""
    a = 1.2
    threshold = 1 / (a**2 - 1)
    gain, curvature = StationaryLQG(scalar(a, 0.7 * threshold)).valued_feedback()
    g, v = float(curvature), 0.7 * threshold
    s = (g - 1) / (1 + v)
    assert s == pytest.approx(1 + a**2 * s - (a * s) ** 2 / g, rel=1e-7)
    assert float(gain[..., 0]) == pytest.approx(-a * s / g)
    with pytest.raises(ValueError, match="the cost-to-go grows for ever"):
        StationaryLQG(scalar(a, 1.1 * threshold), iterations=1000).valued_feedback()


def test_what_never_comes_to_rest_is_refused():
    free = replace(scalar(1.1, 0.0), command=torch.zeros(1, 1, 1, 1, dtype=torch.float64))
    with pytest.raises(ValueError, match="the cost-to-go grows for ever"):
        StationaryLQG(free, iterations=300).valued_feedback()
    idle = torch.zeros(1, 1, 1, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match="what a step costs grows for ever"):
        StationaryLQG(scalar(1.1, 0.0), iterations=300).filter(idle)
    loaded = replace(
        scalar(0.9, 0.0),
        disturbance=torch.ones(1, 1, 1, 1, dtype=torch.float64),
        onset_variance=torch.ones(1, 1, dtype=torch.float64),
    )
    with pytest.raises(ValueError, match=r"`problem.retention` must be below 1"):
        StationaryLQG(loaded)


@pytest.mark.parametrize(
    "plant",
    [TwoJointArm(), pytest.param(SpatialArm(), marks=pytest.mark.slow)],
    ids=["plane", "space"],
)
def test_it_reaches_and_holds_without_knowing_when_the_trial_ends(plant):
    chance = Uncertainty(command_noise=0.1)
    runs = []
    for steps in (60, 70):
        task = CenterOut(plant=plant, directions=1, steps=steps, delay_steps=5)
        trials = task.trials()
        made = InfiniteHorizonLQG(error_scale=0.01).design(task, trials, chance)
        runs.append(ClosedLoop(task, made.controller).simulate(made.parameters, trials))
    torch.testing.assert_close(runs[0].states, runs[1].states[:, :61])
    position = plant.state_parts["position"]
    hand = plant.hand_position(runs[1].states[..., position])
    goal = plant.hand_position(trials.target[..., position])
    away = (hand - goal[:, None]).norm(dim=-1)
    assert bool((away[:, 0] > 0.04).all())
    assert bool((away[:, 50:] < 0.003).all())


def test_weights_on_errors_set_how_long_a_movement_takes():
    task = CenterOut(plant=POINT, directions=1, radius_m=0.1, steps=80)
    found = []
    for scale in (1e-2, 1.0):
        made = InfiniteHorizonLQG(error_scale=scale, velocity_scale=0.0)
        done = made.design(task, task.trials(), Uncertainty())
        states = ClosedLoop(task, done.controller).simulate(done.parameters, task.trials()).states
        found.append(float((states[0, :, 0] - states[0, 0, 0] > 0.05).int().argmax()))
    # Without damping of its own a mass has time constants that go with (r / q)^(1/4).
    assert found[0] / found[1] == pytest.approx(100**0.25, rel=0.15)


def test_a_constant_load_is_held():
    task = Hold(TwoJointArm(), steps=120, delay_steps=5, energy_weight=1e-8)
    load = torch.tensor([0.1, -0.05], dtype=torch.float64).expand(1, 120, 2)
    trials = replace(task.trials(), load=load)
    found = reference_trajectories(task, trials, ["lqg-infinite"])["lqg-infinite"]
    assert found.converged
    torch.testing.assert_close(found.trajectory.commands[:, -1], -load[:, -1], rtol=0.02, atol=0)


def test_what_it_cannot_do_is_refused():
    reach = CenterOut(directions=2)
    with pytest.raises(ValueError, match="no bounds on commands"):
        design(CenterOut(plant=MuscleArm(), directions=2), Uncertainty())
    moving = Tracking(reach, hold_steps=5, move_steps=20)
    meeting = Interception(reach, change_step=10, window_steps=(30, 40))
    for task in (moving, meeting):
        reasons = no_reference(["lqg-infinite"], task, task.trials())
        assert "no time at which that should change" in reasons["lqg-infinite"]
        with pytest.raises(ValueError, match="`task` must suit infinite-horizon LQG: it goes to"):
            design(task, Uncertainty())
    rolling = reach.trials()
    rolling = replace(rolling, target=rolling.target + torch.tensor([0, 0, 0.5, 0]))
    with pytest.raises(ValueError, match="does not stay at rest"):
        InfiniteHorizonLQG().design(reach, rolling)
    careless = CenterOut(directions=2, error_weight=0.0, velocity_weight=0.0)
    with pytest.raises(ValueError, match="at which no error counts"):
        design(careless, Uncertainty())
    with pytest.raises(ValueError, match="error_scale"):
        InfiniteHorizonLQG(error_scale=0.0)
