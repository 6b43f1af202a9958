"""Held-out trials, and what is said of a controller on them."""

import io
import json
import math
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
import torch
from cases import generator
from rich.console import Console

from neuromotor import ILQR, LBFGS, Budget, ContinuousTimeRNN, compare
from neuromotor.cli.display import comparison_table, evaluation_tables, seeds_table
from neuromotor.evaluation.performance import (
    assess,
    controller_runner,
    held_out,
    ilqr_runner,
    measure,
    reference_name,
)
from neuromotor.plants import TwoJointArm
from neuromotor.plotting import plot_convergence, plot_hand_paths
from neuromotor.runs.figures import plot_seeds
from neuromotor.runs.over_seeds import seed_rows
from neuromotor.runs.records import records_of
from neuromotor.tasks import DDN, CenterOut, ForceField, Postural, Trials

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


def test_a_comparison_has_no_ratio_to_a_reference_that_is_none_and_says_why():
    task = ForceField(CenterOut(directions=2, steps=20, delay_steps=3))
    budget = Budget(calls=3)
    comparison = compare(task, NET, {"lbfgs": LBFGS()}, budget=budget)
    assert list(comparison.references) == ["online-predictive"]
    assert comparison.no_references == {"ilqg": "its design knows no force field"}
    assert comparison.reference_rows[-1] == {
        "method": "ilqg",
        "evaluation": None,
        "reason": "its design knows no force field",
    }
    assert set(comparison.runs[0].evaluation.ratios) == {"clairvoyant", "online-predictive"}


@pytest.mark.slow
def test_there_is_no_ratio_to_a_reference_whose_loss_is_zero():
    """Nobody pushes: doing nothing is perfect."""
    task = Postural(load_size=0.0, postures_deg=((30.0, 90.0),), directions=2)
    seen = []
    comparison = compare(
        task,
        NET,
        {"lbfgs": LBFGS()},
        budget=Budget(calls=3),
        callback=lambda method, progress, floor: seen.append(floor),
    )
    assert comparison.reference.performance.loss == 0.0
    assert seen
    assert set(seen) == {0.0}
    assert [row["ratio"] for row in comparison.rows] == [None, None]
    json.dumps(comparison.rows, allow_nan=False)
    assert comparison.runs[0].evaluation.ratios["clairvoyant"].value is None
    (row,) = seed_rows([records_of(comparison), records_of(comparison)])
    assert (row["ratio"], row["ratio_min"], row["ratio_max"]) == (None, None, None)
    for table in (
        comparison_table("t", comparison.rows),
        *evaluation_tables(comparison.rows),
        seeds_table("t", [row]),
    ):
        Console(file=io.StringIO()).print(table)
    for draw in (plot_hand_paths, plot_convergence, lambda c: plot_seeds([records_of(c)])):
        plt.close(draw(comparison))


def test_the_largest_command_is_what_the_actuators_give():
    task = CenterOut(directions=2, steps=20)
    states, commands = controller_runner(task, NET, THETA)(task.trials())
    found = measure(task, task.trials(), states, commands)
    assert found.largest_command == float(commands.abs().max())
    limit = 0.5 * found.largest_command
    weak = replace(task, plant=TwoJointArm(command_limit=limit))
    given = limit * float(torch.tanh(commands.abs().max() / limit))
    found = measure(weak, task.trials(), states, commands)
    assert found.largest_command == pytest.approx(given, rel=1e-12)


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
        task,
        NET,
        {"lbfgs": LBFGS()},
        budget=budget,
        held_out_trials=25,
        references=("ilqg",),
        refresh=5,
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
