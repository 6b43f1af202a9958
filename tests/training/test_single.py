"""Training, comparison and their figures in Python."""

import itertools
import json
import subprocess
import sys
import warnings
from dataclasses import dataclass, replace
from statistics import median

import matplotlib as mpl
import numpy as np
import pytest
import torch
from forked import together

from neuromotor import (
    ILQR,
    LBFGS,
    Adam,
    Budget,
    CenterOut,
    ClosedLoop,
    CompareSettings,
    ContinuousTimeRNN,
    compare,
    measure,
    train,
)
from neuromotor.plants import PointMass
from neuromotor.storage.snapshots import load_snapshot
from neuromotor.tasks import TASKS, PulsedReach
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


def test_noise_that_stays_the_same_is_said():
    noisy = replace(TASK, noise=0.1)
    some = {"budget": Budget(calls=3)}
    for net in (NET, ContinuousTimeRNN(layers=(5,), private_noise=0.1)):
        with pytest.warns(UserWarning, match="learns by heart; `refresh=1` draws new ones"):
            train(noisy if net is NET else TASK, net, LBFGS(), **some)
        train(noisy if net is NET else TASK, net, LBFGS(), refresh=1, **some)
    with pytest.warns(UserWarning, match="learns by heart"):
        compare(noisy, NET, {"lbfgs": LBFGS()}, held_out_trials=4, references=(), **some)
    train(TASK, NET, LBFGS(), **some)


@pytest.mark.parametrize("seed", [2**63, 10**30, -1])
def test_a_seed_that_no_generator_takes_is_said(seed):
    with pytest.raises(ValueError, match="`seed` must be a whole number"):
        train(TASK, NET, LBFGS(), budget=Budget(calls=2), seed=seed)


@pytest.mark.slow
def test_trained_networks_reach():
    """The main job at its smallest: the hand comes to its targets and rests there.

    At the median of three seeds it ends .1 cm from targets at 4.5 cm. A quarter of that way is
    allowed, as a seed in several is still on a slope after 600 calls.
    """
    net, trials = ContinuousTimeRNN(layers=(100,)), TASK.trials()
    least = ILQR().solve(TASK, trials).value  # separate optima are a lower bound
    found = []
    for seed in range(3):
        result = train(TASK, net, LBFGS(), budget=Budget(calls=600), seed=seed)
        run = ClosedLoop(TASK, net).simulate(result.parameters, trials)
        found.append(measure(TASK, trials, run.states, run.commands))
        assert found[-1].loss == pytest.approx(result.value)
        assert result.value > least
    assert median(one.target_error_cm for one in found) < 100 * TASK.radius_m / 4
    assert median(one.end_speed_cm_s for one in found) < 1


def test_private_noise_gets_its_draws():
    net = ContinuousTimeRNN(layers=(5,), private_noise=0.1)
    trials = make_trials(TASK, net, seed=1)
    assert trials.unit_noise.shape == (4, 40, 5)
    with pytest.warns(UserWarning, match="the same draws of noise"):
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


def test_settings_of_a_comparison_are_one_object_or_keywords():
    one = {"lbfgs": LBFGS()}
    common = CompareSettings(seed=3, dtype=torch.float32)
    first = compare(TASK, NET, one, common, budget=Budget(calls=4))
    second = compare(TASK, NET, one, budget=Budget(calls=4), seed=3, dtype=torch.float32)
    third = compare(TASK, NET, one, common, budget=Budget(calls=4), seed=4)
    assert first.runs[0].parameters.dtype == torch.float32
    assert torch.equal(first.runs[0].parameters, second.runs[0].parameters)
    assert not torch.equal(first.runs[0].parameters, third.runs[0].parameters)
    with pytest.raises(TypeError, match="sead"):
        compare(TASK, NET, one, budget=Budget(calls=4), sead=3)


def test_figures_have_units_and_show_every_method(tmp_path):
    from matplotlib.image import imread

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
    for path in paths:
        if path.suffix == ".png":
            assert imread(path)[..., :3].std() > 0.05  # there is ink on the paper
        else:
            assert path.read_bytes().rstrip().endswith(b"%%EOF")


def test_curves_that_hide_each_other_are_both_seen():
    from neuromotor.plotting import nested_widths

    one, longer, other = [3.0, 2.0, 1.0], [3.0, 2.0, 1.0, 0.5], [3.0, 2.5, 2.0]
    first, second, third = nested_widths([one, longer, other])
    assert first > second == third
    assert nested_widths([one, one, one]) == sorted(nested_widths([one] * 3), reverse=True)
    assert len(set(nested_widths([one] * 3))) == 3
    gone = [np.inf, 1.0, np.nan]
    assert nested_widths([gone, gone])[0] > nested_widths([gone, one])[0]


def test_hand_paths_show_pushes_and_say_what_is_what():
    mpl.use("Agg")
    from neuromotor.plotting import plot_hand_paths, plot_reach

    net = ContinuousTimeRNN(layers=(5,))
    some = {"held_out_trials": 4, "references": (), "budget": Budget(calls=2)}
    pushed = PulsedReach(reach=CenterOut(directions=2, steps=30))
    figure = plot_hand_paths(compare(pushed, net, {"lbfgs": LBFGS()}, **some))
    trials = len(pushed.trials())
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[0] == "clairvoyant iLQR's paths"
    assert words[1:] == ["target", "while loaded", "push, where it begins"]
    force = pushed.trials().hand_force
    assert len(figure.axes[1].texts) == int((force != 0).any(-1).any(-1).sum()) <= trials
    calm = compare(CenterOut(directions=1000), net, {}, **some)
    words = plot_reach(calm, trial=999).get_suptitle()
    assert words == "reach of 4.46 cm towards 0 degrees"


def test_progress_and_checkpoints_of_a_training(tmp_path, capsys):
    path = tmp_path / "state.safetensors"
    half = train(TASK, NET, LBFGS(), budget=Budget(calls=10), checkpoint=path)
    with pytest.raises(FileExistsError, match="resume=load_snapshot"):
        train(TASK, NET, LBFGS(), budget=Budget(calls=20), checkpoint=path)
    whole = train(
        TASK,
        NET,
        LBFGS(),
        budget=Budget(calls=20),
        checkpoint=path,
        resume=load_snapshot(path),
        progress=True,
    )
    straight = train(TASK, NET, LBFGS(), budget=Budget(calls=20))
    assert half.value > whole.value
    assert torch.equal(whole.parameters, straight.parameters)
    assert len(load_snapshot(path).run["history"]) == len(straight.history)
    assert capsys.readouterr().out == ""


def test_a_comparison_goes_on_from_its_checkpoints(tmp_path):
    optimizers = {"lbfgs": LBFGS(), "a/b": Adam()}
    compare(TASK, NET, optimizers, budget=Budget(calls=10), checkpoints=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a%2Fb.safetensors", "lbfgs.safetensors"]
    with pytest.raises(FileExistsError, match="resume=True"):
        compare(TASK, NET, optimizers, budget=Budget(calls=20), checkpoints=tmp_path)
    more = {"budget": Budget(calls=20)}
    whole = compare(TASK, NET, {"lbfgs": LBFGS()}, checkpoints=tmp_path, resume=True, **more)
    straight = compare(TASK, NET, {"lbfgs": LBFGS()}, **more)
    assert torch.equal(whole.runs[0].parameters, straight.runs[0].parameters)
    with pytest.raises(ValueError, match="`checkpoints`"):
        compare(TASK, NET, optimizers, budget=Budget(calls=20), resume=True)


def test_the_packages_loops_take_one_thread_and_give_torch_its_own_back(tmp_path):
    script = tmp_path / "threads.py"
    script.write_text("""
import torch
from neuromotor import ILQR, LBFGS, Budget, CenterOut, ContinuousTimeRNN, compare, train
task, net = CenterOut(directions=2), ContinuousTimeRNN(layers=(3,))
seen = []
note = lambda *_: seen.append(torch.get_num_threads())
for count in (3, 2):
    torch.set_num_threads(count)
    train(task, net, LBFGS(), budget=Budget(calls=2), callback=note)
    train(task, net, LBFGS(), budget=Budget(calls=2), callback=note, threads=2)
    train(task, net, LBFGS(), budget=Budget(calls=2), callback=note, threads=None)
    compare(task, net, {"lbfgs": LBFGS()}, budget=Budget(calls=2), callback=note)
    try:
        train(task, net, LBFGS(), budget=Budget(calls=2), callback=lambda _: 1 / 0)
    except ZeroDivisionError:
        pass
    seen.append(-torch.get_num_threads())
from neuromotor.closed_loop.blas import choose_threads
choose_threads(2)
train(task, net, LBFGS(), budget=Budget(calls=2), callback=note)
print(seen)
""")
    (done,) = together([script])
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    runs = [key for key, _ in itertools.groupby(seen)]
    assert runs == [1, 2, 3, 1, -3, 1, 2, 1, -2, 2]


@pytest.mark.slow
def test_importing_the_package_imports_no_extra():
    code = "import sys, neuromotor; print([m for m in ('matplotlib', 'xarray', 'typer', 'scipy', "
    code += "'stable_baselines3', 'mujoco', 'casadi') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
