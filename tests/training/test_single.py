"""Training, comparison and their figures in Python."""

import subprocess
import sys
import warnings
from dataclasses import dataclass

import matplotlib as mpl
import pytest
import torch

from neuromotor import (
    ILQR,
    LBFGS,
    Adam,
    Budget,
    CenterOut,
    ContinuousTimeRNN,
    compare,
    measure,
    train,
)
from neuromotor.plants import PointMass
from neuromotor.tasks import TASKS
from neuromotor.training.single import initial_parameters, make_trials

TASK = CenterOut(directions=4)
NET = ContinuousTimeRNN(layers=(12, 12))


def test_the_same_seed_gives_the_same_numbers_twice():
    one, two = (train(TASK, NET, LBFGS(), budget=Budget(calls=40), seed=3) for _ in range(2))
    assert torch.equal(one.parameters, two.parameters)
    assert [p.value for p in one.history] == [p.value for p in two.history]
    other = train(TASK, NET, LBFGS(), budget=Budget(calls=40), seed=4)
    assert other.value != one.value


def test_what_cannot_be_saved_is_said_before_the_training(monkeypatch):
    @dataclass(frozen=True)
    class Mine(CenterOut):
        pass

    def run():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            budget = Budget(calls=2)
            train(Mine(directions=2), NET, LBFGS(), budget=budget, callback=iterations.append)

    iterations = []
    with pytest.raises(UserWarning, match=r"Mine cannot be written .*no instance of it is"):
        run()
    assert not iterations
    monkeypatch.setitem(TASKS, "mine", Mine(directions=2))
    run()
    assert iterations


@pytest.mark.parametrize("seed", [2**63, 10**30, -1])
def test_a_seed_that_no_generator_takes_is_said(seed):
    with pytest.raises(ValueError, match="`seed` must be a whole number"):
        train(TASK, NET, LBFGS(), budget=Budget(calls=2), seed=seed)


def test_a_trained_network_reaches():
    """The main job at its smallest: from far off to near the separate optima."""
    net = ContinuousTimeRNN(layers=(100,))
    result = train(TASK, net, LBFGS(), budget=Budget(calls=600))
    trials = TASK.trials()
    reference = ILQR().solve(TASK, trials)
    assert result.value < 3 * reference.value
    assert result.value > reference.value  # separate optima are a lower bound


def test_private_noise_gets_its_draws():
    net = ContinuousTimeRNN(layers=(5,), private_noise=0.1)
    trials = make_trials(TASK, net, seed=1)
    assert trials.unit_noise.shape == (4, 40, 5)
    result = train(TASK, net, LBFGS(), budget=Budget(calls=10), seed=1)
    assert result.value < result.history[0].value


def test_measures_of_a_point_mass_are_what_they_say():
    task = CenterOut(plant=PointMass(), directions=1, steps=2, radius_m=0.1)
    states = torch.tensor([[[0, 0, 0, 0], [0, 0, 0, 0], [0.07, 0.04, 0.3, 0.4]]]).double()
    commands = torch.tensor([[[1.0, 2.0], [3.0, 0.0]]]).double()
    performance = measure(task, task.trials(), states, commands)
    assert performance.target_error_cm == pytest.approx(5.0)
    assert performance.end_speed_cm_s == pytest.approx(50.0)
    assert performance.energy == pytest.approx(0.14)
    expected = 0.5 * (0.05**2 + 0.5**2) + 0.5 * 1e-4 * 14
    assert performance.loss == pytest.approx(expected)


def test_a_comparison_is_fair_and_ilqr_is_its_floor():
    calls = {}
    comparison = compare(
        TASK,
        NET,
        {"lbfgs": LBFGS(), "adam": Adam()},
        budget=Budget(calls=30),
        callback=lambda name, progress, floor: calls.setdefault(name, progress.point.value),
    )
    start = initial_parameters(NET, 0)
    assert len(set(calls.values())) == 1  # one initialisation
    assert [run.history[0].value for run in comparison.runs] == list(calls.values())
    assert comparison.reference.performance.loss == pytest.approx(
        ILQR().solve(TASK, TASK.trials()).value
    )
    for row in comparison.rows:
        assert row["ratio"] == pytest.approx(row["loss"] / comparison.rows[0]["loss"])
        assert row["calls"] == row["values"] + row["gradients"] + row["products"]
    assert all(row["ratio"] > 1 for row in comparison.rows[1:])
    assert all(not torch.equal(run.parameters, start) for run in comparison.runs)


def test_figures_have_units_and_show_every_method(tmp_path):
    mpl.use("Agg")
    from neuromotor.plotting import comparison_figures, save_figures

    comparison = compare(TASK, NET, {"lbfgs": LBFGS(), "adam": Adam()}, budget=Budget(calls=5))
    figures = comparison_figures(comparison)
    labels = [
        text
        for figure in figures.values()
        for ax in figure.axes
        for text in (ax.get_xlabel(), ax.get_ylabel())
        if text
    ]
    assert all("(" in text or text == "mean loss" for text in labels)
    limb, *methods = figures["hand_paths"].axes
    assert len(methods) == 2
    assert all(ax.get_aspect() == 1.0 for ax in (limb, *methods))
    axes = figures["convergence"].axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [line.get_label().split(" (")[0] for line in axes.lines] == ["L-BFGS", "Adam", "iLQR"]
    paths = save_figures(figures, tmp_path / "figures")
    assert {path.suffix for path in paths} == {".png", ".pdf"}
    assert all(path.stat().st_size > 5_000 for path in paths)


def test_importing_the_package_imports_no_extra():
    code = "import sys, neuromotor; print([m for m in ('matplotlib', 'xarray', 'typer', 'scipy', "
    code += "'stable_baselines3', 'mujoco', 'casadi') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
