"""Held-out trials, and what is said of a controller on them."""

import math

import pytest
import torch
from cases import generator

from neuromotor import ILQR, LBFGS, Budget, ContinuousTimeRNN, compare
from neuromotor.evaluation.performance import (
    assess,
    controller_runner,
    held_out,
    ilqr_runner,
    reference_name,
)
from neuromotor.tasks import DDN, CenterOut, Postural, Trials

NET = ContinuousTimeRNN(layers=(8,))
THETA = NET.initial_parameters(generator(0))


def test_held_out_trials_are_many_fixed_and_none_of_the_training():
    task = DDN(pairs=30)
    trials = held_out(task, NET, 100)
    assert len(trials) == 100
    assert torch.equal(trials.load, held_out(task, NET, 100).load)
    assert len(trials.target.unique(dim=0)) == 100
    training = {tuple(row) for seed in range(20) for row in task.trials(generator(seed)).target}
    assert training.isdisjoint({tuple(row) for row in trials.target})
    assert not torch.equal(trials.load, held_out(task, NET, 100, seed=1).load)
    noisy = ContinuousTimeRNN(layers=(8,), private_noise=0.1)
    assert held_out(task, noisy, 40).unit_noise.shape == (40, 60, 8)


def test_a_task_without_chance_is_its_own_held_out_batch():
    assert len(held_out(Postural(directions=2), NET, 1000)) == 18
    assert reference_name(held_out(CenterOut(), NET)) == "ilqr"
    assert reference_name(held_out(Postural(), NET)) == "clairvoyant"


def test_an_assessment_is_the_mean_over_the_trials_and_the_bound_is_below_it():
    task = DDN(pairs=20)
    trials = held_out(task, NET, 20)
    bound = assess(task, trials, ilqr_runner(task, ILQR()))
    found = assess(task, trials, controller_runner(task, NET, THETA), {"clairvoyant": bound.losses})
    assert (bound.losses < found.losses).all()
    assert found.loss.value == pytest.approx(float(found.losses.mean()), rel=1e-12)
    assert found.ratios["clairvoyant"].value == pytest.approx(
        found.loss.value / bound.loss.value, rel=1e-9
    )
    assert found.loss.low < found.loss.value < found.loss.high
    # The same command either way, so a hand with twice the displacement is a hand that gave in.
    assert bound.response.displacement_cm["500"] < found.response.displacement_cm["500"]


def test_a_controller_that_flies_off_is_said_to():
    task = Postural(directions=2)
    found = assess(task, task.trials(), controller_runner(task, NET, 1e200 * THETA))
    assert found.loss.value is None
    assert found.response is None
    assert not math.isfinite(found.performance.loss)
    assert found.as_dict()["means"]["loss"] is None


@pytest.mark.parametrize(
    ("task", "evaluated"), [(DDN(pairs=6), 25), (Postural(postures_deg=((30.0, 90.0),)), 8)]
)
def test_compare_evaluates_every_method_on_the_same_trials(task, evaluated):
    budget = Budget(calls=5)
    comparison = compare(
        task, NET, {"lbfgs": LBFGS()}, budget=budget, held_out_trials=25, references=("ilqg",)
    )
    assert len(comparison.evaluated) == evaluated
    assert [row["method"] for row in comparison.rows] == ["clairvoyant", "lbfgs"]
    for row in [*comparison.rows, *comparison.reference_rows]:
        assert row["evaluation"]["trials"] == evaluated
    ilqg = comparison.references["ilqg"].loss.value
    assert (
        comparison.reference.evaluation.loss.value < ilqg < comparison.runs[0].evaluation.loss.value
    )
    run = comparison.runs[0]
    trajectory = controller_runner(task, NET, run.parameters)(comparison.evaluated)
    again = task.cost.losses(*trajectory, comparison.evaluated)
    torch.testing.assert_close(run.evaluation.losses, again)
    assert run.evaluation.ratios["clairvoyant"].value > 1


def test_center_out_has_nothing_to_add():
    comparison = compare(CenterOut(directions=2), NET, {"l": LBFGS()}, budget=Budget(calls=3))
    assert comparison.evaluated is None
    assert comparison.rows[1]["evaluation"] is None


def test_batches_with_different_parts_are_not_joined():
    plain, noisy = DDN(pairs=2, noise=0.0).trials(), DDN(pairs=2).trials()
    with pytest.raises(ValueError, match="`batches` must all have `command_noise` or none"):
        Trials.concatenate([plain, noisy])
    with pytest.raises(ValueError, match="at least one batch"):
        Trials.concatenate([])
