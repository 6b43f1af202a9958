"""The reproduction's tables against numbers worked out by hand, and its bookkeeping."""

import json
import math

import pytest
import torch
from typer.testing import CliRunner

from neuromotor import CenterOut, ClosedLoop, ContinuousTimeRNN, save_controller
from neuromotor.cli.app import app
from neuromotor.control import ILQR
from neuromotor.evaluation.load_responses import correction_latencies
from neuromotor.optim import OPTIMIZERS
from neuromotor.reproduction import scratch, sensitivity
from neuromotor.reproduction.convergence import convergence_data
from neuromotor.reproduction.networks import Networks, is_finished, run_name
from neuromotor.reproduction.results import Effort, calls_to, chapter6_tables
from neuromotor.reproduction.scratch import Training, estimate, plan, retrain
from neuromotor.reproduction.tables import Table, cell, update_document
from neuromotor.storage.components import encode
from neuromotor.storage.files import write_json
from neuromotor.tasks import Postural, Trials
from neuromotor.training.single import initial_parameters

TASK = CenterOut(directions=4)
NET = ContinuousTimeRNN(layers=(6,))
HISTORY = {"calls": [1, 10, 100], "loss": [1.0, 0.5, 0.1]}


def leave_run(folder, *, weights, calls=100, seconds=7.0, interrupted=False, method="ahf"):
    """What `neuromotor train` leaves, as far as the reproduction reads it."""
    save_controller(folder / "controllers" / f"{method}.safetensors", NET, weights, task=TASK)
    rows = [{"method": "ilqr"}, {"method": method, "calls": calls, "seconds": seconds}]
    write_json(folder / "summary.json", {"rows": rows, "interrupted": interrupted})
    write_json(folder / "history.json", {method: HISTORY})


def test_center_out_table_holds_what_a_known_run_came_to(tmp_path):
    weights = 0.1 * initial_parameters(NET, seed=1)
    leave_run(tmp_path / "center-out-ahf", weights=weights)
    tables = {t.name: t for t in chapter6_tables(Networks(tmp_path), Effort(8, ilqg=False))}
    assert set(tables) == {"center-out", "optimizers", "sensitivity", "seeds", "claims"}
    reference, row = tables["center-out"].rows
    trials = TASK.trials()
    run = ClosedLoop(TASK, NET).simulate(weights, trials)
    miss = run.states[:, -1] - trials.target
    by_hand = 0.5 * miss.square().sum(-1) + 0.5 * 1e-4 * run.commands.square().sum((1, 2))
    assert row["controller"] == "center-out/ahf"
    assert row["loss"] == pytest.approx(float(by_hand.mean()), rel=1e-12)
    assert row["ratio to iLQR"] == pytest.approx(row["loss"] / reference["loss"], rel=1e-12)
    assert row["energy (N² m² s)"] == pytest.approx(
        float(0.01 * run.commands.square().sum((1, 2)).mean()), rel=1e-12
    )
    assert (row["calls"], row["source: loss"]) == (100, 8.96e-5)
    assert row["source: ratio"] == pytest.approx(1.00112, abs=5e-6)
    assert row["calls to the source's ratio"] is None  # 0.1 is far from iLQR's loss


def test_networks_of_several_stages_add_up(tmp_path):
    weights = initial_parameters(NET, seed=1)
    leave_run(tmp_path / "ddn-best-start", weights=weights, method="adam")
    leave_run(tmp_path / "ddn-best", weights=2 * weights, calls=40, seconds=3.0, method="hf")
    trained = Networks(tmp_path).get("ddn/best")
    assert (trained.method, trained.calls, trained.seconds) == ("hf", 140, 10.0)
    assert trained.history["calls"] == [1, 10, 100, 101, 110, 200]
    assert torch.equal(trained.parameters, 2 * weights)
    assert calls_to(trained, 0.5) == 10
    assert calls_to(trained, 0.01) is None


def test_networks_that_are_not_there_are_named(tmp_path):
    networks = Networks(tmp_path)
    assert networks.missing(["ddn/best"]) == ["ddn/best"]
    with pytest.raises(ValueError, match="ddn/best is not in"):
        networks.get("ddn/best")
    untrained = Networks(tmp_path, untrained=True).get("ddn-robust/best")
    assert untrained.task.noise == 0


def test_a_network_of_drawn_loads_is_shown_on_the_sources_trials():
    trained = Networks().get("postural/best")
    assert trained.saved.task.random
    assert trained.task == Postural()


def test_a_table_in_markdown():
    rows = ({"name": "a", "loss": 8.951e-5, "calls": 40002, "holds": True},)
    rows += ({"name": "b", "loss": math.inf, "calls": None, "holds": False},)
    table = Table("t", "Title", rows, "A note.")
    assert table.markdown() == (
        "| name | loss | calls | holds |\n"
        "| --- | ---: | ---: | --- |\n"
        "| a | 8.95e-05 | 40,002 | yes |\n"
        "| b | - | - | **no** |\n"
        "\n"
        "A note."
    )
    assert table.as_dict()["rows"][1]["loss"] is None
    assert cell(1.0002206) == "1.00022"


def test_a_document_gets_new_tables_and_keeps_its_words(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("Before.\n<!-- table t -->\nold\n<!-- end -->\nAfter.\n<!-- end -->\n")
    table = Table("t", "", ({"x": "new"},))
    assert update_document(path, [table, Table("u", "", ({"x": 1},))]) == ["u"]
    text = path.read_text()
    assert text.startswith("Before.\n<!-- table t -->\n\n| x |\n| --- |\n| new |\n\n<!-- end -->")
    assert text.endswith("After.\n<!-- end -->\n")
    assert "old" not in text
    update_document(path, [table])
    assert path.read_text() == text


@pytest.fixture
def trainings():
    def one(name, *stages):
        commands = tuple(("train", "ddn", "--out", f"runs/{stage}") for stage in stages)
        return Training(name, commands, seconds=100.0 * len(stages), calls=5)

    return [one("a", "a"), one("b", "b-start", "b"), one("c", "c")]


def test_the_estimate_counts_what_is_not_finished(tmp_path, trainings):
    assert estimate(trainings, tmp_path) == 400.0
    write_json(tmp_path / "runs/a/summary.json", {"interrupted": False})
    write_json(tmp_path / "runs/b-start/summary.json", {"interrupted": False})
    write_json(tmp_path / "runs/c/summary.json", {"interrupted": True})
    assert estimate(trainings, tmp_path) == 300.0


def test_retraining_skips_what_is_finished_and_resumes_what_was_stopped(tmp_path, trainings):
    done = []

    def run(words, folder):
        done.append(words)
        out = words[words.index("--out") + 1] if "--out" in words else words[-1]
        write_json(folder / out / "summary.json", {"interrupted": False})
        return 0

    write_json(tmp_path / "runs/a/summary.json", {"interrupted": False})
    write_json(tmp_path / "runs/b/summary.json", {"interrupted": True})
    write_json(tmp_path / "runs/b/settings.json", {})
    write_json(tmp_path / "runs/c/settings.json", {})
    retrain(trainings, tmp_path, run=run)
    assert done == [
        ("train", "ddn", "--out", "runs/b-start"),
        ("train", "ddn", "--resume", "runs/b"),
        ("train", "ddn", "--resume", "runs/c"),
    ]
    retrain(trainings, tmp_path, run=run)
    assert len(done) == 3


@pytest.mark.parametrize(
    ("code", "error"), [(130, KeyboardInterrupt), (143, KeyboardInterrupt), (1, RuntimeError)]
)
def test_retraining_ends_where_a_training_ends(tmp_path, trainings, code, error):
    done = []
    with pytest.raises(error):
        retrain(trainings, tmp_path, run=lambda words, _: done.append(words) or code)
    assert len(done) == 1


def test_recipes_leave_the_run_folders_that_networks_are_read_from(tmp_path):
    known = plan()
    assert known
    for training in known:
        assert training.runs(tmp_path)[-1] == tmp_path / "runs" / run_name(training.name)
        assert all(command[0] == "train" for command in training.commands)
        assert not training.finished(tmp_path)


@pytest.mark.slow
def test_a_command_runs_in_its_folder(tmp_path):
    assert scratch.run_command(["info", "no-such-thing"], tmp_path) == 2


def test_convergence_keeps_the_best_loss_so_far(tmp_path):
    about, done = {"command": "c", "versions": {}, "machine": {}}, {"interrupted": False}
    write_json(tmp_path / "summary.json", {**about, "seeds": [3, 4], **done})
    for seed, losses in ((3, [4.0, 1.0, 2.0]), (4, [8.0, None, 0.5])):
        part = tmp_path / f"seed-{seed}"
        write_json(part / "summary.json", {**done, "rows": [{"method": "ilqr", "loss": 0.25}]})
        write_json(part / "history.json", {"hf": {"calls": [2, 5, 9], "loss": losses}})
    data = convergence_data(tmp_path)
    assert data["reference"] == 0.25
    found = data["methods"]["hf"]
    assert found["calls"] == list(range(1, 10))
    assert found["loss"] == [[4.0] * 4 + [1.0] * 5, [8.0] * 8 + [0.5]]
    write_json(tmp_path / "summary.json", {**about, "seeds": [3, 4], "interrupted": True})
    with pytest.raises(ValueError, match="interrupted"):
        convergence_data(tmp_path)
    with pytest.raises(ValueError, match="no finished run"):
        convergence_data(tmp_path / "nowhere")


def leave_comparison(folder, method, settings, *, seeds=(3,), weights=None, reference=0.25):
    """What `neuromotor compare --seeds N` leaves, as far as figure 6.2 reads it."""
    about, done = {"command": str(folder), "versions": {}, "machine": {}}, {"interrupted": False}
    write_json(folder / "summary.json", {**about, "seeds": list(seeds), **done})
    for seed in seeds:
        part = folder / f"seed-{seed}"
        write_json(part / "settings.json", {method: settings})
        write_json(part / "summary.json", {**done, "rows": [{"method": "ilqr", "loss": reference}]})
        write_json(part / "history.json", {method: {"calls": [1, 2], "loss": [2.0, 1.0]}})
        if weights is not None:
            file = part / "controllers" / f"{method}.safetensors"
            save_controller(file, NET, weights, task=TASK)


def test_convergence_names_what_is_unusual_and_measures_paths(tmp_path):
    usual = encode(OPTIMIZERS["gd"], OPTIMIZERS)
    weights = 0.1 * initial_parameters(NET, seed=1)
    leave_comparison(tmp_path / "all", "gd", usual)
    plain = {**usual, "clip_norm": None, "learning_rate": 0.01}
    leave_comparison(tmp_path / "plain", "gd", plain, weights=weights)
    data = convergence_data(tmp_path / "all", [tmp_path / "plain"])
    assert list(data["methods"]) == ["gd", "gd (learning_rate 0.01, clip_norm none)"]
    assert data["others"] == [str(tmp_path / "plain")]
    first, second = data["methods"].values()
    assert first["away_cm"] is None
    trials = TASK.trials()
    states = ClosedLoop(TASK, NET).simulate(weights, trials).states
    best = ILQR().solve(TASK, trials).states
    hands = [TASK.plant.hand_position(one) for one in (states, best)]
    by_hand = 100 * (hands[0] - hands[1]).norm(dim=-1).max(dim=1).values.mean()
    assert second["away_cm"] == [pytest.approx(float(by_hand), rel=1e-9)]
    write_json(tmp_path / "first.json", convergence_data(tmp_path / "all"))
    assert convergence_data(tmp_path / "first.json", [tmp_path / "plain"]) == data
    leave_comparison(tmp_path / "other", "gd", usual, seeds=(4,))
    with pytest.raises(ValueError, match=r"must have the seeds of .*, \[3\], got \[4\]"):
        convergence_data(tmp_path / "all", [tmp_path / "other"])


def test_correction_latency_of_planted_answers():
    start = torch.zeros(3, 4, dtype=torch.float64)
    load = torch.zeros(3, 20, 2, dtype=torch.float64)
    load[0, 5:] = torch.tensor([0.3, 0.4])  # 0.5 N m from step 5 on
    load[1, 2:] = 0.1
    calm = torch.randn(3, 20, 2, generator=torch.Generator().manual_seed(0)).double()
    commands = calm.clone()
    commands[0, 9:, 0] += 0.02  # below 5 % of the load
    commands[0, 12:, 1] -= 0.03  # above it
    commands[1, 1, 0] += 1.0  # before the load: no answer
    late = correction_latencies(Trials(start, start, load=load), commands, calm, 0.01)
    assert late[0] == pytest.approx(70.0)
    assert torch.isnan(late[1:]).all()
    with pytest.raises(ValueError, match="load"):
        correction_latencies(Trials(start, start), commands, calm, 0.01)


def test_sensitivity_goes_on_where_it_stopped(tmp_path, monkeypatch):
    done = []

    def measure(case, seed):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append((case.value, seed))
        numbers = dict.fromkeys(("loss", "energy", "target_error_cm", "seconds"), 1.0)
        return {
            **numbers,
            "factor": case.factor,
            "value": case.value,
            "layers": list(case.layers),
            "optimizer": case.optimizer,
            "standard": case.standard,
            "budget": case.calls,
            "seed": seed,
            "ratio": 1.0 + seed,
            "energy_ratio": 2.0,
        }

    chosen = sensitivity.cases()[:3]
    monkeypatch.setattr(sensitivity, "cases", lambda: chosen)
    monkeypatch.setattr(sensitivity, "measure_case", measure)
    file = tmp_path / "rows.json"
    with pytest.raises(KeyboardInterrupt):
        sensitivity.run_sensitivity(file, 2)
    first = list(done)
    done.clear()
    data = sensitivity.run_sensitivity(file, 2)
    assert len(first) == 4
    assert len({*first, *done}) == len(first) + len(done) == 6
    assert data == json.loads(file.read_text())
    assert [row["ratio"] for row in sensitivity.summary(data)] == [1.5] * 3  # median of 1 and 2


def test_the_same_training_under_another_name_is_not_repeated(tmp_path, monkeypatch):
    usual, far = sensitivity.DDN(pairs=4), sensitivity.DDN(pairs=4, delay_steps=3)
    chosen = [
        sensitivity.Case("noise", "0.1", usual),
        sensitivity.Case("delay", "30 ms", far),
        sensitivity.Case("delay", "70 ms", usual),
    ]
    done = []

    def measure(case, seed):
        done.append(case.value)
        numbers = dict.fromkeys(("ratio", "energy_ratio", "seconds"), 3.0)
        return {**case.key(seed), **numbers, "loss": len(done)}

    monkeypatch.setattr(sensitivity, "cases", lambda: chosen)
    monkeypatch.setattr(sensitivity, "measure_case", measure)
    rows = sensitivity.run_sensitivity(tmp_path / "rows.json", 1)["rows"]
    assert done == ["0.1", "30 ms"]
    assert [row["loss"] for row in rows] == [1, 2, 1]
    assert (rows[2]["factor"], rows[2]["value"]) == ("delay", "70 ms")


def test_a_small_training_of_the_sensitivity_table():
    case = sensitivity.Case("size", "1 x 4", CenterOut(directions=4), layers=(4,), calls=5)
    row = sensitivity.measure_case(case, 0)
    assert row["ratio"] == pytest.approx(row["loss"] / row["reference_loss"], rel=1e-12)
    assert row["ratio"] > 1
    assert 5 <= row["calls"] <= 15


def test_the_command_leaves_what_it_can_and_names_the_rest(tmp_path):
    out, page = tmp_path / "out", tmp_path / "page.md"
    page.write_text("<!-- table optimizers -->\n<!-- end -->\n")
    leave_run(tmp_path / "nets/center-out-lbfgs", weights=initial_parameters(NET, seed=1))
    arguments = ["reproduce", "chapter6", "--quick", "--networks", str(tmp_path / "nets")]
    done = CliRunner().invoke(app, [*arguments, "--document", str(page), "--out", str(out)])
    assert done.exit_code == 0, done.output
    report = json.loads((out / "tables.json").read_text())
    (optimizers,) = (t for t in report["tables"] if t["name"] == "optimizers")
    ratios = [row["ratio to iLQR"] for row in optimizers["rows"]]
    assert ratios == sorted(ratios)
    assert min(ratios) > 1
    assert report["quick"] is True
    assert "| kron-lbfgs |" in (out / "tables.md").read_text()
    assert "| kron-lbfgs |" in page.read_text()
    assert [f.name for f in sorted((out / "figures").iterdir())] == ["fig6_2.pdf", "fig6_2.png"]
    assert "fig6_1 is left out: center-out/ahf" in done.stderr
    wrong = CliRunner().invoke(app, [*arguments, "--from-scratch", "--out", str(out)])
    assert "leave `--networks` out" in str(wrong.exception)
    empty = CliRunner().invoke(app, [*arguments[:-1], str(tmp_path / "none"), "--out", str(out)])
    assert "must be a folder of run folders named after" in str(empty.exception)


def test_a_run_is_finished_when_nobody_stopped_it(tmp_path):
    assert not is_finished(tmp_path)
    write_json(tmp_path / "summary.json", {"interrupted": True})
    assert not is_finished(tmp_path)
    write_json(tmp_path / "summary.json", {"interrupted": False})
    assert is_finished(tmp_path)
