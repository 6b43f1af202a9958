"""Optimal feedback control of the arm: iLQR where nothing goes wrong, its own prediction where
little does, and what it takes to hold a hand against a load."""

from dataclasses import replace
from statistics import median

import pytest
import torch
from cases import ARMS, Hold, normal, switched_on, timed

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, ILQR, Uncertainty
from neuromotor.plants import PointMass, TwoJointArm
from neuromotor.tasks import CenterOut


def run(task, design, trials):
    return ClosedLoop(task, design.controller).simulate(design.parameters, trials)


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("delay", [0, 7])
@pytest.mark.parametrize("arm", ["monkey-published", "monkey"])
def test_undisturbed_it_follows_ilqr(arm, delay, extended):
    task = CenterOut(plant=ARMS[arm], directions=6, delay_steps=delay)
    trials = task.trials()
    design = ILQG(extended=extended).design(task, trials, Uncertainty())
    trajectory, best = run(task, design, trials), ILQR().solve(task, trials)
    torch.testing.assert_close(trajectory.states, best.states, rtol=0, atol=1e-6)
    torch.testing.assert_close(trajectory.commands, best.commands, rtol=0, atol=1e-6)
    torch.testing.assert_close(design.predicted_losses, best.losses, rtol=1e-6, atol=0)


def test_a_design_for_noise_is_undisturbed_where_none_comes():
    """The filter agrees with what it sees, so only the mean trajectory counts."""
    task = CenterOut(directions=4, delay_steps=7)
    trials = task.trials()
    design = ILQG().design(task, trials, Uncertainty(command_noise=0.1, load=0.2))
    trajectory = run(task, design, trials)
    estimate = trajectory.memory[0]
    torch.testing.assert_close(estimate[..., :4], trajectory.states[:, :-1], rtol=0, atol=1e-9)
    assert float(estimate[..., -2:].abs().max()) < 1e-9
    best = ILQR().solve(task, trials)
    change = float((trajectory.states - best.states).abs().max())
    assert change > 1e-3  # signal-dependent noise makes other plans better
    design = ILQG().design(task, trials, Uncertainty(load=0.2))
    certain = run(task, design, trials)  # without it certainty equivalence holds
    torch.testing.assert_close(certain.states, best.states, rtol=0, atol=1e-6)


@pytest.mark.parametrize("part", ["load", "hand_force"])
def test_small_disturbances_cost_what_the_design_predicts(part):
    """Holding still, where all cost comes from a disturbance that the arm is linear for."""
    task = Hold(TwoJointArm(), steps=40, delay_steps=5, energy_weight=1e-4)
    size = 0.01 if part == "load" else 0.04
    chance = Uncertainty(command_noise=0.2, **{part: size}, onset_steps=(3, 19))
    trials = task.trials().subset(torch.zeros(4000, dtype=torch.long))
    trials = switched_on(trials, task.steps, part, size, 19, first=3)
    trials = replace(trials, command_noise=0.2 * normal(4000, task.steps, 2, seed=9))
    design = ILQG().design(task, trials, chance)
    trajectory = run(task, design, trials)
    losses = task.cost.losses(trajectory.states, trajectory.commands, trials)
    error = float(losses.std()) / len(losses) ** 0.5
    assert error < 0.03 * design.predicted
    assert abs(float(losses.mean()) - design.predicted) < 3 * error


def test_trials_with_their_own_weights_and_goals_cost_what_the_design_predicts():
    """On a linear plant exactly: iLQR's loss without noise, the mean over noise draws with it."""
    task = Hold(PointMass(), steps=15, delay_steps=3, velocity_weight=0.1)
    two = timed(CenterOut(plant=task.plant, directions=2, radius_m=0.1).trials(), task.steps)
    certain = ILQG().design(task, two, Uncertainty())
    best = ILQR().solve(task, two)
    torch.testing.assert_close(certain.predicted_losses, best.losses, rtol=1e-9, atol=0)
    torch.testing.assert_close(run(task, certain, two).states, best.states, rtol=0, atol=1e-9)
    many = two.subset(torch.arange(6000) % 2)
    noise = 0.02 * normal(6000, task.steps, 4, seed=3)
    design = ILQG().design(task, many, Uncertainty(plant_noise=0.02))
    trajectory = run(task, design, replace(many, plant_noise=noise))
    losses = task.cost.losses(trajectory.states, trajectory.commands, many)
    for which in (slice(0, None, 2), slice(1, None, 2)):
        own, expected = losses[which], float(design.predicted_losses[which][0])
        error = float(own.std()) / len(own) ** 0.5
        assert error < 0.04 * expected
        assert abs(float(own.mean()) - expected) < 3 * error


def test_the_plants_own_step_predicts_large_loads_better():
    """Once a load is known, a linear model's errors go with its square, so that squares go by 16.

    At the median of five draws of loads, the plant's own step leaves .04 of the squared errors.
    """
    task = CenterOut(directions=2, steps=60, delay_steps=7, energy_weight=1e-4)
    trials = task.trials().subset(torch.arange(24) % 2)
    chance = Uncertainty(load=0.2, onset_steps=(0, 29))
    designs = [ILQG(extended=extended).design(task, trials, chance) for extended in (False, True)]

    def squared_errors(size, seed):
        loaded = switched_on(trials, 60, "load", size, 29, seed=10 * seed)
        for design in designs:
            trajectory = run(task, design, loaded)
            error = trajectory.memory[0][..., :4] - trajectory.states[:, :-1]
            yield float(error[:, -10:].square().mean())  # loads known by then

    found = [tuple(squared_errors(0.2, seed)) for seed in range(5)]
    assert median(own / linear for linear, own in found) < 0.1
    assert all(own < 0.3 * linear for linear, own in found)
    for large, small in zip(squared_errors(0.1, 0), squared_errors(0.05, 0), strict=True):
        assert large / small == pytest.approx(16, rel=0.1)


def test_a_load_on_the_hand_is_countered_after_the_delay():
    """Held with 10 steps of delay, the hand is back within a tenth of its excursion at once."""
    task = Hold(TwoJointArm(), steps=60, delay_steps=10, energy_weight=1e-8)
    trials = task.trials().subset(torch.zeros(8, dtype=torch.long))
    angle = torch.arange(8, dtype=torch.float64) * torch.pi / 4
    force = 0.7 * torch.stack([angle.cos(), angle.sin()], dim=-1)
    trials = replace(trials, hand_force=force.unsqueeze(1).repeat(1, 60, 1))
    design = ILQG().design(task, trials)
    trajectory = run(task, design, trials)
    hand = task.plant.hand_position(trajectory.states)
    away = (hand - hand[:, :1]).norm(dim=-1)
    assert bool((away[:, 11] > 0.003).all())  # nobody can act before the first news
    assert bool((away[:, 20:50] < 0.1 * away[:, 11:12]).all())
    torch.testing.assert_close(trajectory.memory[0][:, 30, -2:], force, rtol=0.05, atol=0.01)


def test_single_precision_trials_get_a_design_of_their_own_precision():
    task = CenterOut(directions=3, delay_steps=3)
    double = ILQG().design(task, task.trials(), Uncertainty(command_noise=0.1))
    single = task.trials(dtype=torch.float32)
    design = ILQG().design(task, single, Uncertainty(command_noise=0.1))
    assert design.parameters.dtype == torch.float32
    losses = ClosedLoop(task, design.controller).losses(design.parameters, single)
    expected = ClosedLoop(task, double.controller).losses(double.parameters, task.trials())
    torch.testing.assert_close(losses.double(), expected, rtol=1e-3, atol=0)


def test_stopping_early_is_said():
    task = CenterOut(directions=2, delay_steps=5)
    design = ILQG(rounds=2).design(task, task.trials(), Uncertainty(command_noise=0.5, load=0.2))
    assert not design.converged
    assert "not settled after 2 rounds" in design.reason
    short = ILQG(ilqr=ILQR(iterations=1)).design(task, task.trials(), Uncertainty())
    assert not short.converged
    assert "unfinished" in short.reason
    with pytest.raises(ValueError, match="rounds"):
        ILQG(rounds=0)
