"""Summaries over seeds, from planted histories."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.optim import LBFGS, Budget, HistoryPoint
from neuromotor.runs.figures import plot_seeds
from neuromotor.runs.over_seeds import best_ratio_at, seed_rows
from neuromotor.runs.records import records_of
from neuromotor.tasks import CenterOut
from neuromotor.training.comparison import compare

RATIOS = ([50.0, 1.05, 1.2, 1.0005], [80.0, 3.0, 1.05, 1.04], [9.0, 1.009, 1.002, 1.002])


@pytest.fixture(scope="module")
def comparisons():
    """Three real comparisons with planted histories, a call and half a second a point."""
    small = compare(
        CenterOut(directions=2, steps=5),
        ContinuousTimeRNN(layers=(3,)),
        {"lbfgs": LBFGS()},
        budget=Budget(calls=3),
    )
    floor = small.reference.performance.loss
    planted = []
    for ratios in RATIOS:
        history = tuple(
            HistoryPoint(i, ratio * floor, 0.0, 10 * (i + 1), 0.5 * (i + 1))
            for i, ratio in enumerate(ratios)
        )
        run = replace(small.runs[0], history=history, ratio=min(ratios))
        planted.append(records_of(replace(small, runs=(run,))))
    return planted


def test_medians_ranges_and_levels_are_those_planted(comparisons):
    (row,) = seed_rows(comparisons)
    assert row["method"] == "lbfgs"
    assert row["seeds"] == 3
    assert (row["ratio_min"], row["ratio"], row["ratio_max"]) == (1.0005, 1.002, 1.04)
    assert row["calls_to"] == {"1.1": 20.0, "1.01": 40.0, "1.001": None, "1.0001": None}
    assert row["seconds_to"]["1.1"] == 1.0
    assert row["seeds_reaching"] == {"1.1": 3, "1.01": 2, "1.001": 1, "1.0001": 0}


def test_curves_hold_the_best_so_far_at_each_position(comparisons):
    positions, ratios = best_ratio_at(comparisons, "calls")["lbfgs"]
    assert ratios.shape == (3, len(positions))
    assert (np.diff(ratios, axis=1) <= 0).all()
    np.testing.assert_allclose(ratios[:, -1], [1.0005, 1.04, 1.002], rtol=1e-12)
    between = np.searchsorted(positions, 35.0)
    np.testing.assert_allclose(ratios[:, between], [1.05, 1.05, 1.002], rtol=1e-12)


def test_the_figure_shows_both_axes_with_units(comparisons):
    figure = plot_seeds(comparisons)
    assert [ax.get_xlabel() for ax in figure.axes] == [
        "calls (values + gradients + products)",
        "time (s)",
    ]
    assert torch.tensor([len(ax.lines) for ax in figure.axes]).eq(1).all()


def test_penalties_of_a_method_are_medians_over_its_seeds(comparisons):
    paid = ({"rates": 3.0, "weights": 1.0}, {"rates": 1.0, "weights": 5.0}, {"rates": 2.0})
    seeds = [[replace(one[0], penalties=own)] for one, own in zip(comparisons, paid, strict=True)]
    (row,) = seed_rows(seeds)
    assert row["penalties"] == {"rates": 2.0}
    assert row["loss"] == comparisons[0][0].loss
    assert seed_rows(comparisons)[0]["penalties"] == {}
