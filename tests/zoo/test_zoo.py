"""The shipped controllers are what their cards say, and entries come out of runs."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from recipe_words import settings_of

import neuromotor as nm
from neuromotor import zoo
from neuromotor.analysis import load_recording
from neuromotor.cli import main
from neuromotor.cli.app import app
from neuromotor.evaluation import robustness as measured
from neuromotor.plants import actuated
from neuromotor.plants.plant import muscles_of
from neuromotor.runs.zoo_entry import sensed_alike
from neuromotor.storage.components import encode
from neuromotor.tasks import TASKS, with_plant
from neuromotor.tasks.penalties import Penalties, penalties_of
from neuromotor.tasks.ranges import outside
from neuromotor.training.single import make_trials

NAMES = zoo.names()


@pytest.fixture
def run(capsys, monkeypatch):
    """The command line's output, without a process of its own."""

    def command(*arguments):
        monkeypatch.setattr("sys.argv", ["neuromotor", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return capsys.readouterr().out

    return command


def covers(found, wanted):
    """Whether all that is wanted is found; later versions may have settings beyond it."""
    if isinstance(wanted, dict):
        return all(key in found and covers(found[key], wanted[key]) for key in wanted)
    return found == wanted


def without_penalties(task):
    """The task of a card's losses: what a network pays for itself is no part of them."""
    terms = penalties_of(task).terms
    if not terms:
        return task
    return replace(task, penalties=Penalties(tuple(one for one in terms if one.of == "muscles")))


def check_description(card, saved, trials):
    """Ranges, largest command and robustness on a card, measured again."""
    assert card["trained_at"]["delay_steps"] == str(saved.task.delay_steps)
    loop, weights = nm.ClosedLoop(saved.task, saved.controller), saved.parameters.double()
    with torch.no_grad():
        commands = loop.simulate(weights, trials).commands
        largest = float(actuated(saved.task.plant, commands).abs().max())
    assert card["largest_command"] >= largest * (1 - 1e-9)
    assert card["largest_command"] < 20 * largest
    if card["robustness"] is None:  # measured without references: with muscles, or a cursor
        muscles = muscles_of(saved.task.plant) is not None
        assert card["command_unit"] == ("1" if muscles else "N m")
        assert card["usual"] is card["training"]["ratio"] is None
        return
    assert card["command_unit"] == "N m"
    usual = sensed_alike(with_plant(TASKS[card["task"]], saved.task.plant), saved.task)
    same = not outside(usual, saved.task) and not outside(saved.task, usual)
    assert (card["usual"] is None) == same
    first, *rows = card["robustness"]["rows"]
    assert [(row["setting"], row["usual"], row["value"]) for row in rows] == list(
        measured.variations(usual)
    )
    if not usual.random:
        loss = nm.ClosedLoop(usual, saved.controller).objective(usual.trials()).value(weights)
        assert first["loss"] == pytest.approx(loss, rel=1e-9)
        if card["usual"] is not None:
            assert card["usual"]["training"]["loss"] == pytest.approx(loss, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_what_its_card_says(name):
    saved, card, history = nm.load_controller(name), zoo.card(name), zoo.history(name)
    assert torch.equal(nm.load_controller(name, dtype=torch.float32).parameters, saved.parameters)
    assert card["name"] == name
    assert card["parameters"] == saved.controller.parameter_count
    trials = make_trials(saved.task, saved.controller, card["seed"])
    loop = nm.ClosedLoop(without_penalties(saved.task), saved.controller)
    loss = loop.objective(trials).value(saved.parameters)
    assert card["training"]["loss"] == pytest.approx(loss, rel=1e-9)
    assert card["training"]["trials"] == len(trials)
    commands = loop.simulate(saved.parameters.double(), trials).commands
    largest = float(actuated(saved.task.plant, commands).abs().max())
    assert card["training"]["largest_command"] == pytest.approx(largest, rel=1e-9)
    assert (card["evaluation"] is not None) == trials.disturbed or saved.task.random
    if saved.task.random:
        found = card["evaluation"]
        evaluated = nm.held_out(saved.task, saved.controller, found["trials"])
        loss = loop.objective(evaluated).value(saved.parameters)
        assert found["loss"]["value"] == pytest.approx(loss, rel=1e-9)
        assert found["loss"]["low"] < loss < found["loss"]["high"]
    check_description(card, saved, trials)
    lengths = {len(history[key]) for key in ("calls", "seconds", "loss")}
    assert len(lengths) == 1
    assert lengths.pop() <= 400
    assert history["calls"] == sorted(set(history["calls"]))
    assert history["calls"][-1] <= card["calls"]
    if not history["fresh"]:
        assert history["loss"] == sorted(history["loss"], reverse=True)
        trained = nm.ClosedLoop(saved.task, saved.controller)
        loss = trained.objective(trials).value(
            saved.parameters
        )  # with what is paid for the network
        assert history["loss"][-1] == pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_an_entrys_recipe_means_its_settings(name):
    stages = zoo.recipe(name)
    for stage in stages:
        assert covers(settings_of(stage["command"]), stage["settings"])
    saved = nm.load_controller(name)
    assert covers(encode(saved.task, TASKS), stages[-1]["settings"]["task"])
    assert stages[-1]["settings"]["seed"] == zoo.card(name)["seed"]
    for number, stage in enumerate(stages):
        _, named, start = stage["command"].partition("--start ")
        another = bool(named) and start.split()[0] in NAMES  # whose own recipe comes first
        assert bool(named) == (number > 0 or another)


def test_an_entry_runs_on_its_tasks_trials_as_it_is():
    saved = nm.load_controller("center-out/lbfgs")
    run = nm.ClosedLoop(saved.task, saved.controller).simulate(
        saved.parameters, saved.task.trials()
    )
    assert run.states.dtype == saved.parameters.dtype == torch.float64


def test_a_file_wins_over_a_name(tmp_path, monkeypatch):
    saved = nm.load_controller("center-out/lbfgs")
    monkeypatch.chdir(tmp_path)
    nm.save_controller("center-out/lbfgs", saved.controller, 2 * saved.parameters)
    assert torch.equal(nm.load_controller("center-out/lbfgs").parameters, 2 * saved.parameters)


def test_unknown_names_are_told_the_nearest():
    with pytest.raises(nm.CheckpointError, match="did you mean 'center-out/lbfgs'"):
        nm.load_controller("center-out/lbfsg")
    with pytest.raises(ValueError, match="did you mean 'center-out/lbfgs'"):
        zoo.card("center-out/lbfsg")
    with pytest.raises(ValueError, match="unknown zoo entry"):
        zoo.history("../data/center-out/lbfgs")


def test_the_list_and_a_card_in_the_terminal(run):
    listed = run("zoo")
    assert all(name in listed for name in NAMES)
    assert [card["name"] for card in json.loads(run("zoo", "--json"))] == NAMES
    shown = run("zoo", "center-out/lbfgs")
    assert "radius_m 0.04463" in shown
    assert f"up to {zoo.card('center-out/lbfgs')['largest_command']:.4g} N m" in shown
    assert "plant.parameters.inertia_1" in shown
    assert zoo.recipe("center-out/lbfgs")[-1]["command"] in shown
    data = json.loads(run("zoo", "center-out/lbfgs", "--json"))
    assert data["recipe"] == zoo.recipe("center-out/lbfgs")


def test_the_page_of_the_zoo_shows_the_cards(run):
    page = (Path(__file__).parents[2] / "docs" / "zoo.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- tables -->")[2].partition("<!-- end -->")[0]
    assert shown.strip() == run("zoo", "--markdown").strip()


def test_commands_take_names(run, tmp_path):
    found = json.loads(run("evaluate", "center-out/lbfgs", "--json"))
    assert found["loss"] == pytest.approx(zoo.card("center-out/lbfgs")["training"]["loss"])
    file = tmp_path / "reach.nc"
    run("record", "center-out/lbfgs", "--out", file)
    recording = load_recording(file)
    task = nm.load_controller("center-out/lbfgs").task
    assert recording.sizes["trial"] == len(task.trials())
    assert np.isfinite(recording["hand_position"]).all()


def test_evaluate_warns_outside_of_the_training(monkeypatch, capsys):
    def said(*arguments):
        monkeypatch.setattr("sys.argv", ["neuromotor", "evaluate", *arguments, "--json"])
        with pytest.raises(SystemExit):
            main()
        captured = capsys.readouterr()
        return json.loads(captured.out)["outside_training"], captured.err

    sentence = "`radius_m` is 0.06; this network was trained at 0.04463."
    found, shown = said("center-out/lbfgs", "--set", "task.radius_m=0.06")
    assert found == [sentence]
    assert f"Warning: {sentence}" in shown
    assert said("center-out/lbfgs")[0] == []
    assert said("center-out/lbfgs", "--task", "pulsed-reach")[0] == [
        "The task is PulsedReach; this network was trained on CenterOut."
    ]


def test_evaluate_says_the_largest_command(run):
    found = json.loads(run("evaluate", "center-out/lbfgs", "--json"))
    assert found["largest_command"] == pytest.approx(
        zoo.card("center-out/lbfgs")["largest_command"]
    )
    assert f"up to {found['largest_command']:.4g} N m" in run("evaluate", "center-out/lbfgs")


def test_robustness_of_a_file(run, tmp_path):
    task = nm.CenterOut(plant=nm.PointMass(), directions=2, steps=10)
    table = nm.CommandTable(trials=2, steps=10, command_size=2, dt_s=0.01)
    nothing = torch.zeros(table.parameter_count)
    nm.save_controller(tmp_path / "still.safetensors", table, nothing, task=task)
    arguments = ("zoo", "robustness", tmp_path / "still.safetensors")
    found = json.loads(run(*arguments, "--json"))
    assert found["reference"] == "ilqr"
    assert found["rows"] == [row.as_dict() for row in measured.robustness(task, table, nothing)]
    shown = run(*arguments)
    assert all(row["setting"] in shown for row in found["rows"])
    assert "refused" in shown  # other numbers of directions than the table has
    with pytest.raises(nm.CheckpointError, match="did you mean"):
        app(["zoo", "robustness", "center-out/lbfsg"], standalone_mode=False)


@pytest.mark.slow
def test_a_run_becomes_an_entry(run, tmp_path, monkeypatch):
    """Two trainings on new noisy trials, the second from the first's controller."""
    monkeypatch.chdir(tmp_path)
    few = list(measured.variations(TASKS["ddn"]))[-2:]  # a design of ILQG each
    monkeypatch.setattr(measured, "variations", lambda *_: few)
    small = (
        "--no-figures",
        "--optimizer",
        "adam",
        "--smoke",
        "--set",
        "refresh=1",
        "--set",
        "held_out=4",
        "--set",
        "references=",
    )
    run("train", "ddn", *small, "--dtype", "float32", "--out", "one")
    start = ("--start", "one/controllers/adam.safetensors", "--seed", "1")
    run("train", "ddn", *small, *start, "--budget", "12", "--out", "two")
    arguments = ("two", "adam", "ddn/small", "--zoo", tmp_path / "zoo")
    assert "x ilqg" in run("zoo", "add", *arguments, "--note", "The only seed.")
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")
    assert zoo.names() == ["ddn/small"]
    test_an_entry_is_what_its_card_says("ddn/small")
    test_an_entrys_recipe_means_its_settings("ddn/small")
    card, rows = zoo.card("ddn/small"), []
    for folder in ("one", "two"):
        rows.append(json.loads(Path(folder, "summary.json").read_text())["rows"][1])
    assert card["calls"] == sum(row["calls"] for row in rows)
    evaluated = rows[1]["evaluation"]["loss"]["value"]
    assert card["evaluation"]["loss"]["value"] == pytest.approx(evaluated, rel=1e-4)  # float32
    assert set(card["evaluation"]["references"]) == {"clairvoyant", "ilqg", "online-predictive"}
    assert zoo.history("ddn/small")["fresh"] is True
    first, second = zoo.recipe("ddn/small")
    assert shlex.split(first["command"])[-1] in second["command"]
    assert "--dtype float32" in first["command"]
    assert "ddn/small" in run("zoo")
    assert "The only seed." in run("zoo", "ddn/small")
    assert "N m. The only seed." in run("zoo", "--markdown")
    run("zoo", "robustness", "ddn/small", "--store")
    assert zoo.card("ddn/small") == card
    assert "loss" in run("zoo", "add", *arguments, "--alone", "--force")
    alone = zoo.card("ddn/small")
    assert alone["evaluation"]["loss"] == card["evaluation"]["loss"]
    assert (alone["evaluation"]["ratios"], alone["robustness"]) == ({}, None)
    assert "ddn/small" in run("zoo")
    assert "held-out" in run("zoo", "ddn/small")
    assert "trained at" in run("zoo", "--markdown")
    with pytest.raises(nm.SettingsError, match="`--alone`"):
        app(["zoo", "robustness", "ddn/small", "--store"], standalone_mode=False)
    with pytest.raises(FileExistsError, match="exists"):
        app(["zoo", "add", *map(str, arguments)], standalone_mode=False)


@pytest.mark.parametrize("name", ["center-out", "a/b/c", "../x", "/x"])
def test_odd_names_are_refused(name, tmp_path):
    with pytest.raises(nm.SettingsError, match="TASK/NAME"):
        app(["zoo", "add", str(tmp_path), "lbfgs", name], standalone_mode=False)
