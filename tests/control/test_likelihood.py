"""The likelihood of movements, held against dense normal distributions of simulated ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import normal
from scipy.stats import multivariate_normal, norm

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, Uncertainty, log_likelihood
from neuromotor.plants import PointMass
from neuromotor.plants.signals import signals_of
from neuromotor.tasks import CenterOut, Channel, Senses, Trials

STEPS = 5
MASS = PointMass(damping=1.0, dt_s=0.05)
JOINTS = Senses(channels=(Channel("hand_position", delay_steps=2, noise=0.02),))


def reach(**settings):
    """A short reach to the right, in which everything matters."""
    return CenterOut(MASS, 0.1, 1, steps=STEPS, energy_weight=1e-3, **settings)


def moments(task, agent, trial, sizes, signals):
    """Mean and covariance of what is measured: single draws, each run through the closed loop."""
    known = signals_of(task.plant)

    def measure(trials, design):
        moved = ClosedLoop(task, design.controller).simulate(design.parameters, trials)
        return torch.cat([known[name].of(moved.states) for name in signals], -1).flatten(1)

    widths = {"plant_noise": 4, "sensory_noise": len(sizes["sensory_noise"])}
    numbers = STEPS * sum(widths.values())
    many = trial.subset(torch.zeros(numbers + 1, dtype=torch.long))
    draws, start = {}, 0
    for name, width in widths.items():
        one = torch.zeros(numbers + 1, STEPS * width, dtype=torch.float64)
        size = torch.tensor(sizes[name], dtype=torch.float64).repeat(STEPS)
        one[start : start + STEPS * width] = torch.diag(size)
        draws[name], start = one.view(-1, STEPS, width), start + STEPS * width
    seen = measure(replace(many, **draws), agent(many))
    effects = seen[:-1] - seen[-1]
    return seen[-1], effects.mT @ effects


@pytest.mark.parametrize(
    ("settings", "signals"),
    [
        ({"sensory_noise": (0.02, 0.03, 0.2, 0.1), "delay_steps": 1}, ("state",)),
        ({"sensory_noise": 0.05}, ("hand_position",)),
        ({"senses": JOINTS}, ("hand_velocity", "hand_position")),
    ],
)
def test_added_noise_gives_the_dense_normal_density(settings, signals):
    """Three trials with other draws, two under a known load that the agent has to find."""
    task, noise = reach(**settings), 1e-3
    sensed = (0.02, 0.02) if "senses" in settings else settings["sensory_noise"]
    sensed = sensed if isinstance(sensed, tuple) else (sensed,) * 4
    signs = 1 - 2.0 * torch.randint(2, (3, STEPS, 4), generator=torch.Generator().manual_seed(1))
    trials = task.trials().subset(torch.zeros(3, dtype=torch.long))
    load = torch.zeros(3, STEPS, 2, dtype=torch.float64)
    load[1:, 2:, 0] = torch.tensor([0.5, -1.0], dtype=torch.float64)[:, None]
    bare = Trials(trials.initial_state, trials.target, load=load)
    plant = (0.004, 0.004, 0.03, 0.03)
    trials = replace(bare, plant_noise=signs.double() * torch.tensor(plant, dtype=torch.float64))
    chance = replace(Uncertainty.from_trials(trials), sensory_noise=sensed)

    def agent(many):
        return ILQG().design(task, many, chance)

    sizes = {"plant_noise": plant, "sensory_noise": sensed}
    measured, expected = [], []
    for i in range(3):
        mean, covariance = moments(task, agent, bare.subset(slice(i, i + 1)), sizes, signals)
        covariance += noise**2 * torch.eye(len(mean))
        size = len(mean) // (STEPS + 1)
        own = mean + torch.linalg.cholesky(covariance) @ normal(len(mean), seed=i)
        dense = multivariate_normal(mean[size:].numpy(), covariance[size:, size:].numpy())
        expected.append(dense.logpdf(own[size:].numpy()))
        measured.append(own.view(STEPS + 1, size))
    found = log_likelihood(
        task, trials, torch.stack(measured), signals=signals, measurement_noise=noise
    )
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_signal_dependent_noise_gives_the_closed_form_of_the_first_step():
    """The first command is known, as the start is: velocities have its noise, positions none."""
    task, noise = reach(noise=0.3, repeats=4), 1e-4
    trials = task.trials()
    agent = ILQG(tolerance=1e-12).design(task, trials, Uncertainty(command_noise=0.3))
    moved = ClosedLoop(task, agent.controller).simulate(agent.parameters, trials)
    command = moved.commands[0, 0]
    assert abs(float(command[0])) > 0.1
    found = log_likelihood(task, trials, moved.states[:, :2], measurement_noise=noise)
    spread = MASS.dt_s / MASS.mass * 0.3 * command.abs()
    deviation = torch.cat([torch.zeros(2, dtype=torch.float64), spread]).square() + noise**2
    mean = MASS.step(moved.states[:, 0], moved.commands[:, 0])
    expected = norm.logpdf(moved.states[:, 1], mean, deviation.sqrt()).sum(1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_trials_do_not_depend_on_each_other():
    task = CenterOut(MASS, 0.1, 3, steps=STEPS, noise=0.2, sensory_noise=0.02, repeats=3)
    trials = task.trials()
    agent = ILQG().design(task, trials)
    states = ClosedLoop(task, agent.controller).simulate(agent.parameters, trials).states
    found = log_likelihood(task, trials, states)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    again = log_likelihood(task, trials.subset(order), states[order])
    torch.testing.assert_close(again, found[order], rtol=1e-9, atol=0)
    quiet = replace(task, noise=0.0)  # covariances of a target are shared there
    found = log_likelihood(quiet, trials, states)
    again = log_likelihood(quiet, trials.subset(order), states[order])
    torch.testing.assert_close(again, found[order], rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    "other",
    [{"energy_weight": 5e-4}, {"velocity_weight": 5.0}, {"noise": 0.1}, {"sensory_noise": 0.04}],
)
def test_an_agent_of_other_settings_is_less_likely(other):
    task = reach(noise=0.2, sensory_noise=0.02, repeats=30)
    trials = task.trials()
    agent = ILQG().design(task, trials)
    states = ClosedLoop(task, agent.controller).simulate(agent.parameters, trials).states
    own = log_likelihood(task, trials, states).sum()
    assert float(own - log_likelihood(replace(task, **other), trials, states).sum()) > 3
