"""The best duration of a movement, against all durations."""

from dataclasses import replace

import pytest
import torch

from neuromotor.control import ILQG, ILQR, Uncertainty, lasting, optimal_duration
from neuromotor.plants import PointMass
from neuromotor.tasks import CenterOut, Trials

REACH = CenterOut(
    plant=PointMass(damping=0.0),
    directions=1,
    energy_weight=1e-2,
    error_weight=1e3,
    velocity_weight=1e3,
    delay_steps=2,
)


def near_and_far(steps):
    task = replace(REACH, steps=steps)
    parts = [replace(task, radius_m=radius).trials() for radius in (0.02, 0.1, 0.2)]
    return task, Trials.concatenate(parts)


@pytest.mark.parametrize(
    "solver",
    [ILQR(), pytest.param(ILQG(relinearizations=0), marks=pytest.mark.slow)],
    ids=["ilqr", "ilqg"],
)
def test_each_trial_gets_the_best_of_all_durations(solver):
    weight, chance = 1.0, Uncertainty(command_noise=0.1)
    found = optimal_duration(near_and_far, weight, 5, 36, solver=solver, uncertainty=chance, grid=4)
    every = []
    for steps in range(5, 37):
        task, trials = near_and_far(steps)
        if isinstance(solver, ILQR):
            losses = solver.solve(task, trials).losses
        else:
            losses = solver.design(task, trials, chance).predicted_losses
        every.append(losses + weight * 0.01 * steps)
    costs, best = torch.stack(every).min(dim=0)
    torch.testing.assert_close(found.steps, best + 5)
    # ILQG's rounds end when all trials of a batch have settled to 1e-4.
    torch.testing.assert_close(found.costs, costs, rtol=1e-4, atol=0)
    assert found.steps.unique().numel() == 3  # farther takes longer
    assert not bool(found.at_edge.any())
    assert sum(int((~one.isnan()).sum()) for one in found.tried.values()) < 40  # of 96
    assert [one.steps for one in found.designs] == sorted(found.steps.tolist())
    assert sum(len(one.index) for one in found.designs) == 3


def test_time_that_costs_more_makes_movements_shorter():
    """With E ~ D²/T³ of a free mass, the best time goes with the cost of time to the power -1/4."""
    free = replace(REACH, error_weight=1e6, velocity_weight=1e6, energy_weight=1e-3)
    times = [
        float(optimal_duration(lasting(free), weight, 5, 64, solver=ILQR()).steps)
        for weight in (2e-3, 32e-3)
    ]
    assert times[0] / times[1] == pytest.approx(2, rel=0.06)


def test_edges_are_said_and_wrong_numbers_refused():
    task = lasting(REACH)
    assert bool(optimal_duration(task, 1e6, 5, 9, solver=ILQR()).at_edge.all())
    with pytest.raises(ValueError, match="longest"):
        optimal_duration(task, 1.0, 5, 4)
    with pytest.raises(ValueError, match="time_weight"):
        optimal_duration(task, -1.0, 5, 6)

    def growing(steps):
        own = replace(REACH, steps=steps, directions=steps, delay_steps=0)
        return own, own.trials()

    with pytest.raises(ValueError, match="`movement` must give as many trials"):
        optimal_duration(growing, 1.0, 3, 4, solver=ILQR())
