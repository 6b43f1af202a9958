"""Optimal control that believes in a force field: exactness, and what it does with uncertainty."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import normal

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, ILQR, BelievedField, Uncertainty
from neuromotor.plants import PointMass, TwoJointArm
from neuromotor.tasks import CenterOut
from neuromotor.tasks.fields import CurlField

TASK = CenterOut(plant=PointMass(mass=1.5), directions=1, steps=60, delay_steps=5, radius_m=0.1)
TASK = replace(TASK, energy_weight=1e-4)
UNIT = CurlField(13.0).matrix(torch.zeros(1, 2).double(), torch.tensor([[1.0, 0.0]]).double())


def reach(mean, deviation=0.0):
    """The noise-free reach of a design in the mean field."""
    pattern = deviation * TASK.steps**0.5 * UNIT if deviation else None
    design = ILQG(relinearizations=0).design(
        TASK,
        TASK.trials(),
        Uncertainty(command_noise=0.1),
        field=BelievedField(mean * UNIT, pattern),
    )
    trials = replace(TASK.trials(), field=mean * UNIT)
    return ClosedLoop(TASK, design.controller).simulate(design.parameters, trials).states[0]


@pytest.mark.parametrize("plant", [PointMass(), TwoJointArm()])
def test_without_noise_it_is_ilqr_in_the_field(plant):
    task = CenterOut(plant=plant, directions=3, steps=30, delay_steps=3, energy_weight=1e-3)
    field = CurlField(4.0).matrix(torch.zeros(3, 2).double(), torch.ones(3, 2).double())
    trials = replace(task.trials(), field=field)
    best = ILQR().solve(task, trials)
    design = ILQG(relinearizations=0).design(task, task.trials(), field=BelievedField(field))
    run = ClosedLoop(task, design.controller).simulate(design.parameters, trials)
    torch.testing.assert_close(run.states, best.states, rtol=0, atol=1e-7)
    unaware = ILQG().design(task, task.trials())
    lost = ClosedLoop(task, unaware.controller).losses(unaware.parameters, trials)
    assert (lost > 2 * best.losses).all()


def test_expected_losses_are_those_of_fields_drawn_anew_at_every_step():
    """The model of uncertainty, simulated with the recursion of a point mass: 20,000 draws."""
    task = replace(TASK, steps=20, delay_steps=0)
    pattern = 0.8 * 20**0.5 * UNIT
    design = ILQG(extended=False).design(
        task, task.trials(), Uncertainty(), field=BelievedField(0.5 * UNIT, pattern)
    )
    weights = design.controller.unpack(design.parameters)
    count = 20_000
    x = task.trials().initial_state.repeat(count, 1)
    estimate, command, loss = x.clone(), torch.zeros(count, 2).double(), torch.zeros(count).double()
    draws = normal(count, 20, seed=3)
    for t in range(20):
        if t > 0:
            estimate = estimate @ weights.state[0, t - 1].T + command @ weights.command[0, t - 1].T
            estimate = estimate + weights.drift[0, t - 1]
        estimate = estimate + (x - estimate) @ weights.correction[0, t].T
        command = weights.offset[0, t] + estimate @ weights.feedback[0, t].T
        loss += 0.5 * task.energy_weight * 0.01 * command.square().sum(-1)
        push = draws[:, t : t + 1] * (x[:, 2:] @ pattern[0, :, 3:].T)
        x = x @ weights.state[0, t].T + command @ weights.command[0, t].T + weights.drift[0, t]
        x[:, 2:] += 0.01 / 1.5 * push
    loss += 0.5 * (x - task.trials().target).square().sum(-1)
    assert float(loss.mean()) == pytest.approx(design.predicted, rel=0.05)


def test_orderings_of_izawa_and_others():
    """Izawa et al. (2008): their first three predictions, which people showed."""
    calm, known, unsure = reach(0.0), reach(1.0), reach(1.0, 0.2)
    side = [float(states[:, 1].min()) for states in (calm, known, unsure)]
    assert side[1] < -0.01  # the best path bends against a known field: it overcompensates
    assert side[1] < side[2] - 0.003  # less so the less sure the field is
    assert abs(side[0]) < 1e-9
    stochastic = reach(0.0, 0.1)
    speed = [states[:, 2:].norm(dim=-1) for states in (calm, stochastic)]
    assert speed[1].max() > speed[0].max()  # faster at first
    assert speed[1].argmax() < speed[0].argmax()  # to have more time near the target


def test_a_field_that_does_not_fit_is_refused():
    for field in (BelievedField(UNIT[0]), BelievedField(UNIT, UNIT[:, :, :4])):
        with pytest.raises(ValueError, match=r"`field\.(mean|deviation)` must have shape"):
            ILQG().design(TASK, TASK.trials(), field=field)
