"""Costs of one's own that say what they are to second order, with solvers and the command line."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from cases import normal
from scipy.optimize import minimize
from typer.testing import CliRunner

from neuromotor import LBFGS, Budget, CenterOut, ContinuousTimeRNN, PointMass
from neuromotor.cli.app import app
from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.dynamics import roll_out
from neuromotor.control import ILQG, ILQR, Uncertainty
from neuromotor.tasks import TASKS, Expansion, QuadraticCost, Trials
from neuromotor.training.comparison import compare


class Effortful(QuadraticCost):
    """A power of the commands that is no square, and a work that mixes speed and command."""

    def losses(self, states, commands, trials):
        power = (1e-2 * (commands.square() + 0.25).pow(1.5)).sum((-2, -1))
        work = 1e-4 * (commands * states[..., :-1, 2:]).sum((-2, -1))
        return super().losses(states, commands, trials) + power + work

    def expansion(self, states, commands, trials):
        plain = super().expansion(states, commands, trials)
        root = (commands.square() + 0.25).sqrt()
        batch, steps, m = commands.shape
        by_state = plain.state.clone()
        by_state[:, :-1, 2:] += 1e-4 * commands
        mixed = commands.new_zeros(batch, steps, m, 4)
        mixed[..., 2:] = 1e-4 * torch.eye(2, dtype=commands.dtype)
        bent = torch.diag_embed(3e-2 * (root + commands.square() / root))
        return Expansion(
            by_state,
            plain.command + 3e-2 * commands * root + 1e-4 * states[:, :-1, 2:],
            plain.state_curvature,
            plain.command_curvature + bent,
            mixed,
        )


@dataclass(frozen=True)
class Own(CenterOut):
    """Reaches with that cost."""

    @property
    def cost(self):
        plain = super().cost
        return Effortful(plain.state_weights, plain.energy_weight)


TASK = Own(plant=PointMass(mass=0.7, damping=0.4), directions=2, steps=6, radius_m=0.05)


def test_expansions_are_autograds():
    trials = TASK.trials()
    states, commands = normal(2, 7, 4), normal(2, 6, 2, seed=1)
    for cost in (TASK.cost, super(Own, TASK).cost):
        found = cost.expansion(states, commands, trials)

        def loss(x, u, cost=cost):
            return cost.losses(x, u, trials).sum()

        by_x, by_u = torch.autograd.functional.jacobian(loss, (states, commands))
        (xx, _), (ux, uu) = torch.autograd.functional.hessian(loss, (states, commands))
        torch.testing.assert_close(found.state.expand_as(by_x), by_x)
        torch.testing.assert_close(found.command.expand_as(by_u), by_u)
        for b in range(2):
            for t in range(6):
                curvature = found.state_curvature.expand(2, 7, 4, 4)[b, t]
                torch.testing.assert_close(curvature, xx[b, t, :, b, t])
                curvature = found.command_curvature.expand(2, 6, 2, 2)[b, t]
                torch.testing.assert_close(curvature, uu[b, t, :, b, t])
                mixed = found.mixed_curvature
                mixed = torch.zeros(2, 4).double() if mixed is None else mixed[b, t]
                torch.testing.assert_close(mixed, ux[b, t, :, b, t])


def test_ilqr_finds_the_optimum_that_a_plain_minimiser_finds():
    trials = TASK.trials()
    solution = ILQR().solve(TASK, trials)
    assert solution.converged
    for trial in range(2):
        one = trials.subset(slice(trial, trial + 1))

        def loss(flat, one=one):
            commands = torch.tensor(flat).view(1, 6, 2).requires_grad_(True)
            value = TASK.cost.losses(roll_out(TASK.plant, one, commands), commands, one).sum()
            (slope,) = torch.autograd.grad(value, commands)
            return float(value.detach()), slope.flatten().numpy()

        best = minimize(loss, np.zeros(12), jac=True, options={"gtol": 1e-10})
        assert float(solution.losses[trial]) == pytest.approx(best.fun, rel=1e-9)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_comparisons_hold_controllers_against_it():
    found = compare(
        TASK, ContinuousTimeRNN(layers=(4,)), {"lbfgs": LBFGS()}, budget=Budget(calls=8)
    )
    assert found.runs[0].ratio >= 1.0
    assert found.reference.performance.loss == pytest.approx(
        float(ILQR().solve(TASK, TASK.trials()).value), rel=1e-9
    )


def test_the_command_line_runs_it(monkeypatch, tmp_path):
    monkeypatch.setitem(TASKS, "own", TASK)
    words = ["compare", "own", "--set", "controller.layers=[4]", "--budget", "8", "--no-figures"]
    words += ["--optimizers", "lbfgs", "--out", str(tmp_path / "run"), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    rows = {row["method"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["lbfgs"]["ratio"] >= rows["ilqr"]["ratio"] == 1.0


def test_ilqgs_design_without_noise_is_the_same_optimum():
    trials = TASK.trials()
    design = ILQG().design(TASK, trials)
    best = ILQR().solve(TASK, trials)
    losses = ClosedLoop(TASK, design.controller).losses(design.parameters, trials)
    torch.testing.assert_close(losses, best.losses, rtol=1e-8, atol=0)
    torch.testing.assert_close(design.predicted_losses, best.losses, rtol=1e-8, atol=0)


def test_ilqg_expects_what_simulated_trials_cost_to_second_order():
    """Under plant noise this small the third order of the cost does not count."""
    chance = Uncertainty(plant_noise=1e-3, sensory_noise=1e-3)
    one = TASK.trials().subset(slice(1))
    count = 40000
    many = Trials(
        *(part.repeat(count, 1) for part in (one.initial_state, one.target)),
        plant_noise=1e-3 * normal(count, 6, 4, seed=5),
        sensory_noise=1e-3 * normal(count, 6, 4, seed=6),
    )
    design = ILQG().design(TASK, many, chance)
    losses = ClosedLoop(TASK, design.controller).losses(design.parameters, many)
    calm = ILQR().solve(TASK, one).value
    added, expected = float(losses.mean()) - calm, design.predicted - calm
    assert abs(added - expected) < 4 * float(losses.std()) / count**0.5
    assert expected > 10 * float(losses.std()) / count**0.5
