"""LQG against Riccati's equations, dense Gaussian conditioning and simulated trials."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import Hold, normal, switched_on
from scipy.linalg import solve_discrete_are

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, Uncertainty
from neuromotor.control.linear_design import linearized
from neuromotor.plants import PointMass
from neuromotor.tasks import CenterOut, Trials

MASS, DAMPING, DT = 0.8, 0.3, 0.01
POINT = PointMass(mass=MASS, damping=DAMPING)
A = np.eye(4) + DT * np.block(
    [[np.zeros((2, 2)), np.eye(2)], [np.zeros((2, 2)), -DAMPING / MASS * np.eye(2)]]
)
B = np.vstack([np.zeros((2, 2)), DT / MASS * np.eye(2)])


def reach(delay=0, steps=30):
    return CenterOut(plant=POINT, directions=1, radius_m=0.1, steps=steps, delay_steps=delay)


def many(trials, count):
    return trials.subset(torch.zeros(count, dtype=torch.long))


def with_draws(trials, steps, uncertainty, seed=0):
    """The same trials with noise of the given sizes, and loads that switch on and stay."""
    batch = len(trials)
    return replace(
        switched_on(trials, steps, "load", uncertainty.load, uncertainty.onset_steps[1], seed),
        command_noise=uncertainty.command_noise * normal(batch, steps, 2, seed=seed + 2),
        plant_noise=uncertainty.plant_noise * normal(batch, steps, 4, seed=seed + 3),
        sensory_noise=uncertainty.sensory_noise * normal(batch, steps, 4, seed=seed + 4),
    )


def linear_problem(task, uncertainty, trials=None):
    trials = task.trials() if trials is None else trials
    commands = trials.initial_state.new_zeros(len(trials), task.steps, 2)
    states = trials.initial_state.unsqueeze(1).repeat(1, task.steps + 1, 1)
    return linearized(task, trials, states, commands, uncertainty, 1e-6)


def test_long_horizons_have_the_stationary_gains_of_riccati():
    task = Hold(POINT, steps=400, energy_weight=1e-3, velocity_weight=1e-2)
    chance = Uncertainty(plant_noise=(1e-3, 1e-3, 1e-2, 1e-2), sensory_noise=(0.01, 0.01, 0.1, 0.1))
    problem = linear_problem(task, chance)
    feedback = problem.feedback()
    correction, losses, _ = problem.filter(feedback)

    p = solve_discrete_are(A, B, np.diag([1, 1, 1e-2, 1e-2]), 1e-3 * np.eye(2))
    gain = np.linalg.solve(1e-3 * np.eye(2) + B.T @ p @ B, B.T @ p @ A)
    np.testing.assert_allclose(feedback[0, 0, :, :4].numpy(), -gain, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(feedback[0, 0, :, 4].numpy(), 0, atol=1e-12)
    noise, sensors = np.diag([1e-6, 1e-6, 1e-4, 1e-4]), np.diag([1e-4, 1e-4, 1e-2, 1e-2])
    before = solve_discrete_are(A.T, np.eye(4), noise, sensors)
    expected = before @ np.linalg.inv(before + sensors)
    np.testing.assert_allclose(correction[0, -1].numpy(), expected, rtol=1e-8, atol=1e-9)
    # In the long run each step costs tr(P N) + tr(L'G L Sigma), Sigma after the observation.
    after = before - expected @ before
    weight = gain.T @ (1e-3 * np.eye(2) + B.T @ p @ B) @ gain
    rate = 0.5 * (np.trace(p @ noise) + np.trace(weight @ after))
    longer = replace(task, steps=500)
    more = linear_problem(longer, chance)
    grown = more.filter(more.feedback())[1] - losses
    assert float(grown) == pytest.approx(100 * rate, rel=1e-6)


@pytest.mark.parametrize("delay", [0, 4])
def test_gains_on_the_state_are_those_of_lqr_whatever_the_delay(delay):
    task = reach(delay)
    design = ILQG().design(task, task.trials(), Uncertainty(plant_noise=0.01, sensory_noise=0.01))
    alpha, p, gains = task.energy_weight * DT, np.eye(4), []
    for _ in range(task.steps):
        gain = np.linalg.solve(alpha * np.eye(2) + B.T @ p @ B, B.T @ p @ A)
        p = A.T @ p @ (A - B @ gain)
        gains.append(-gain)
    feedback = design.controller.unpack(design.parameters).feedback[0]
    np.testing.assert_allclose(feedback.numpy(), np.array(gains[::-1]), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("delay", [0, 1, 6])
@pytest.mark.parametrize("extended", [False, True])
def test_the_filter_is_a_dense_gaussian_estimate(delay, extended):
    """All noise, loads and observations of a trial as one Gaussian vector, conditioned at once."""
    task = reach(delay, steps=18)
    chance = Uncertainty(load=2.0, onset_steps=(0, 7), plant_noise=0.003, sensory_noise=0.01)
    trials = with_draws(many(task.trials(), 3), task.steps, chance)
    design = ILQG(extended=extended).design(task, trials, chance)
    run = ClosedLoop(task, design.controller).simulate(design.parameters, trials)

    steps = task.steps
    loads, plant, sensors = 2 * steps, 4 * steps, 4 * steps
    size = loads + plant + sensors
    variance = np.concatenate(
        [
            np.repeat([4.0 / 8 if t < 8 else 0.0 for t in range(steps)], 2),  # increments
            np.full(plant, 0.003**2),
            np.full(sensors, 0.01**2),
        ]
    )
    rows_d = np.zeros((steps, 2, size))  # each quantity as rows over the random vector
    rows_x = np.zeros((steps + 1, 4, size))
    for t in range(steps):
        rows_d[t] = rows_d[t - 1] if t else 0
        rows_d[t, :, 2 * t : 2 * t + 2] += np.eye(2)
        rows_x[t + 1] = A @ rows_x[t] + B @ rows_d[t]
        rows_x[t + 1][:, loads + 4 * t : loads + 4 * t + 4] += np.eye(4)
    for trial in range(3):
        mean_x = [trials.initial_state[trial].numpy()]
        for t in range(steps):
            mean_x.append(A @ mean_x[-1] + B @ run.commands[trial, t].numpy())
        rows_o, mean_o = [], []
        for t in range(steps):
            row = rows_x[max(t - delay, 0)].copy()
            row[:, loads + plant + 4 * t : loads + plant + 4 * t + 4] += np.eye(4)
            rows_o.append(row)
            mean_o.append(mean_x[max(t - delay, 0)])
            past = [max(t - lag, 0) for lag in range(delay + 1)]
            wanted = np.concatenate([*(rows_x[s] for s in past), rows_d[t]])
            expected = np.concatenate([*(mean_x[s] for s in past), np.zeros(2)])
            seen = np.concatenate(rows_o)
            surprise = run.observations[trial, : t + 1].numpy().ravel() - np.concatenate(mean_o)
            gain = np.linalg.solve(seen * variance @ seen.T, seen * variance @ wanted.T).T
            estimate = run.memory[0][trial, t].numpy()
            np.testing.assert_allclose(estimate, expected + gain @ surprise, atol=2e-7)


CASES = {
    "additive": Uncertainty(plant_noise=0.01, sensory_noise=0.01),
    "multiplicative": Uncertainty(command_noise=0.5),
    "both": Uncertainty(command_noise=0.8, plant_noise=0.003, sensory_noise=0.01),
    "load": Uncertainty(load=2.0, onset_steps=(0, 14)),
    "all": Uncertainty(
        command_noise=0.5, load=2.0, onset_steps=(0, 14), plant_noise=0.003, sensory_noise=0.01
    ),
}


@pytest.mark.parametrize("delay", [0, 5])
@pytest.mark.parametrize("chance", CASES.values(), ids=CASES)
def test_the_predicted_cost_is_the_mean_of_simulated_trials(chance, delay):
    """Loads switch on at a random step, as the design's random walk never does: means agree."""
    task = reach(delay)
    trials = with_draws(many(task.trials(), 5000), task.steps, chance, seed=20)
    design = ILQG().design(task, trials, chance)
    losses = ClosedLoop(task, design.controller).losses(design.parameters, trials)
    error = float(losses.std()) / len(losses) ** 0.5
    assert error < 0.02 * design.predicted
    assert abs(float(losses.mean()) - design.predicted) < 3 * error


def test_loads_that_end_cost_what_is_predicted_and_less_than_if_they_were_thought_to_stay():
    """Their ends are as likely at each step, which no step of the design ever draws."""
    task, count, lasting = reach(3), 3000, 6.0
    stays = Uncertainty(load=2.0, onset_steps=(0, 9), plant_noise=0.003, sensory_noise=0.01)
    ends = replace(stays, lasting_steps=lasting)
    trials = with_draws(many(task.trials(), count), task.steps, stays, seed=40)
    goes = torch.rand(count, task.steps, 1, generator=torch.Generator().manual_seed(5))
    on = (trials.load != 0).any(-1, keepdim=True)
    before = torch.cat([torch.zeros_like(on[:, :1]), on[:, :-1]], dim=1)
    over = (before & (goes < 1 / lasting)).int().cummax(1).values  # never at its first step
    trials = replace(trials, load=trials.load * (1 - over))
    found = []
    for chance in (ends, stays):
        design = ILQG().design(task, trials, chance)
        losses = ClosedLoop(task, design.controller).losses(design.parameters, trials)
        found.append((float(losses.mean()), design.predicted, float(losses.std()) / count**0.5))
    mean, predicted, error = found[0]
    assert error < 0.03 * predicted
    assert abs(mean - predicted) < 3 * error
    assert mean < 0.95 * found[1][0]


def test_noise_of_the_command_makes_gains_smaller_and_costs_stationary():
    """Feedback and filter are optimal together: no direction of the gains lowers the cost."""
    chance = replace(CASES["all"], command_noise=1.5)
    problem = linear_problem(reach(5), chance)
    alone = problem.feedback()
    gains, before = alone, None
    for _ in range(60):
        correction, losses, _ = problem.filter(gains)
        assert before is None or float(losses) <= float(before) * (1 + 1e-9)
        gains, before = problem.feedback(correction), losses
    quiet = linear_problem(reach(5), replace(chance, command_noise=0.0)).feedback()
    assert float(gains[..., :4].norm()) < 0.9 * float(quiet[..., :4].norm())
    slopes = {"alone": [], "together": []}
    for seed in range(3):
        direction = normal(*gains.shape, seed=seed) * gains.abs()
        for name, point in (("alone", alone), ("together", gains)):
            up, down = (problem.filter(point + e * direction)[1] for e in (1e-4, -1e-4))
            slopes[name].append(abs(float(up - down)) / 2e-4 / float(before))
    assert max(slopes["together"]) < 1e-5
    assert max(slopes["alone"]) > 1e-3


def test_trials_of_one_pair_share_its_gains():
    task = CenterOut(plant=POINT, directions=3, radius_m=0.1)
    order = torch.tensor([2, 0, 1, 0, 2])
    chance = Uncertainty(command_noise=0.3)
    design = ILQG().design(task, task.trials().subset(order), chance)
    each = ILQG().design(task, task.trials(), chance)
    torch.testing.assert_close(design.predicted_losses, each.predicted_losses[order])
    mixed = design.controller.unpack(design.parameters)
    single = each.controller.unpack(each.parameters)
    torch.testing.assert_close(mixed.offset, single.offset[order])
    assert design.predicted == pytest.approx(float(each.predicted_losses[order].mean()))


def test_a_filter_that_rounding_breaks_says_so():
    problem = linear_problem(reach(), Uncertainty(load=1.0))
    broken = replace(problem, sensory_variance=-torch.ones(4, dtype=torch.float64))
    with pytest.raises(ValueError, match="`sensory_variance` must be larger"):
        broken.filter(broken.feedback())


def test_deviations_must_fit_the_plant():
    task = reach()
    with pytest.raises(ValueError, match="`load` must be one number or 2"):
        ILQG().design(task, task.trials(), Uncertainty(load=(0.1, 0.2, 0.3)))
    with pytest.raises(ValueError, match="onset_steps"):
        Uncertainty(onset_steps=(5, 4))
    with pytest.raises(ValueError, match="command_noise"):
        Uncertainty(command_noise=-0.1)
    with pytest.raises(ValueError, match="lasting_steps"):
        Uncertainty(lasting_steps=0.5)


def test_sizes_are_found_in_a_batch():
    task = reach(steps=40)
    true = Uncertainty(
        command_noise=0.2, load=1.5, onset_steps=(0, 12), plant_noise=0.01, sensory_noise=0.02
    )
    trials = with_draws(many(task.trials(), 4000), 40, true)
    found = Uncertainty.from_trials(trials)
    assert found.onset_steps == (0, 12)
    for name in ("command_noise", "load", "plant_noise", "sensory_noise"):
        assert getattr(found, name) == pytest.approx(
            (getattr(true, name),) * len(getattr(found, name)), rel=0.05
        )
    assert found.hand_force == 0.0
    calm = Uncertainty.from_trials(Trials(trials.initial_state, trials.target))
    assert calm == Uncertainty()
