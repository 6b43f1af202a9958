"""The Bayesian estimate of a load that switches on once, against densities of scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import generator
from scipy.stats import multivariate_normal

from neuromotor.control import ILQG, SwitchingLoadFeedback, Uncertainty
from neuromotor.evaluation.references import no_reference, reference_trajectories
from neuromotor.plants import MuscleArm, PointMass
from neuromotor.tasks import DDN, Channel, Postural, Senses

TASK = DDN(pairs=4, steps=20, delay_steps=3)
SIGMA, LOAD = 0.1, 0.2


@pytest.fixture(scope="module")
def run():
    trials = TASK.trials(generator(1))
    uncertainty = Uncertainty(command_noise=SIGMA, load=LOAD, onset_steps=(0, 9))
    found = reference_trajectories(TASK, trials, ["ilqg-bayes"], uncertainty=uncertainty)
    return trials, found["ilqg-bayes"].trajectory


def by_enumeration(trial, seen, trials, run):
    """Probabilities of the first steps and the mean load after the first `seen` steps."""
    given = run.commands[trial, :seen].numpy()
    load, noise = (part[trial, :seen].numpy() for part in (trials.load, trials.command_noise))
    acted = load + given * noise
    densities, means = [], []
    for onset in range(10):
        on = (np.arange(seen) >= onset).astype(float)
        density, mean = 0.0, []
        for joint in range(2):
            spread = np.diag((SIGMA * given[:, joint]) ** 2)
            covariance = spread + LOAD**2 * np.outer(on, on)
            torque = acted[:, joint]
            density += multivariate_normal(cov=covariance).logpdf(torque)
            mean.append(LOAD**2 * on @ np.linalg.solve(covariance, torque))
        densities.append(density)
        means.append(mean)
    chances = np.exp(np.array(densities) - max(densities))
    return chances / chances.sum(), np.array(means)


@pytest.mark.parametrize("t", [5, 9, 15, 19])
def test_probabilities_of_onsets_and_the_load_are_those_of_bayes(run, t):
    trials, done = run
    for trial in range(4):
        chances, means = by_enumeration(trial, t - TASK.delay_steps, trials, done)
        np.testing.assert_allclose(done.memory[2][trial, t].exp(), chances, atol=1e-6)
        wanted = (chances[: t + 1, None] * means[: t + 1]).sum(axis=0)
        np.testing.assert_allclose(done.memory[0][trial, t], wanted, atol=1e-6)


def test_without_noise_or_loads_the_estimate_is_the_state():
    trials = TASK.trials(generator(2))
    quiet = replace(trials, load=0 * trials.load, command_noise=0 * trials.command_noise)
    uncertainty = Uncertainty(command_noise=SIGMA, load=1e-6, onset_steps=(0, 9))
    found = reference_trajectories(TASK, quiet, ["ilqg-bayes"], uncertainty=uncertainty)
    done = found["ilqg-bayes"].trajectory
    torch.testing.assert_close(done.memory[1], done.states[:, :-1], rtol=0, atol=1e-7)


def test_it_ends_below_ilqg_whose_filter_is_linear():
    task = DDN(pairs=100)
    found = reference_trajectories(task, task.trials(generator(3)), ["ilqg", "ilqg-bayes"])
    linear, bayes = (found[name].losses for name in ("ilqg", "ilqg-bayes"))
    assert float(bayes.mean()) < float(linear.mean())


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (DDN(pairs=4, sensory_noise=1e-3), "observed without noise"),
        (DDN(pairs=4, senses=Senses((Channel("joint_position"),))), "observed without noise"),
        (DDN(pairs=4, disturbance_nm=0.0), "one is not there"),
        (DDN(pairs=4, noise=0.0), "one is not there"),
        (Postural(), "one is not there"),
        (Postural(plant=MuscleArm(), noise=0.1, loads="joint"), "no "),
    ],
)
def test_what_it_cannot_estimate_is_named(task, words):
    assert words in no_reference(["ilqg-bayes"], task, task.trials())["ilqg-bayes"]


def test_trials_without_a_load_are_refused_with_the_reason():
    task = DDN(pairs=4, disturbance_nm=0.0)
    with pytest.raises(ValueError, match="without 'ilqg-bayes' for these trials: it estimates"):
        reference_trajectories(task, task.trials(), ["ilqg-bayes"])


def test_a_mass_is_estimated_too():
    task = Postural(plant=PointMass(), noise=0.1, loads="joint")
    assert no_reference(["ilqg-bayes"], task, task.trials()) == {}


def test_a_feedback_without_a_load_or_a_plant_is_refused():
    uncertainty = Uncertainty(command_noise=SIGMA)
    design = ILQG().design(TASK, TASK.trials(generator(1)), uncertainty)
    with pytest.raises(ValueError, match="`feedback` must have a plant and know a load"):
        SwitchingLoadFeedback.of(design.controller, uncertainty)
