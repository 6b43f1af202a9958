"""Runs that are killed or stopped, at any moment, go on to the same bits."""

import json
import os
import random
import shutil
import signal
import time

import pytest
from forked import COMPARE, LBFGS, SEEDS, TRAIN, content, finish, start, wait_for

from neuromotor import CenterOut, ContinuousTimeRNN, load_controller, save_controller
from neuromotor.optim import Budget
from neuromotor.runs.folder import RunFolder
from neuromotor.runs.records import read_run
from neuromotor.storage.claims import claimed, folder_in_use
from neuromotor.storage.snapshots import load_snapshot, load_tree, save_snapshot, save_tree
from neuromotor.storage.tensor_file import CheckpointError
from neuromotor.training.single import initial_parameters


def assert_metrics_fit(folder):
    """No line twice, in order, and each of them a point of the history."""
    for path in folder.rglob("metrics.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        history = json.loads((path.parent / "history.json").read_text())
        for method, table in history.items():
            own = [line for line in lines if line["method"] == method]
            order = [line["iteration"] for line in own]
            assert order == sorted(set(order))
            assert {0, len(table["loss"]) - 1} <= set(order)
            for line in own:
                assert line["value"] == table["loss"][line["iteration"]]
                assert line["calls"] == table["calls"][line["iteration"]]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of each command without a stop, and how long it took; each runs once."""
    found = {}

    def get(*arguments):
        if arguments not in found:
            folder = tmp_path_factory.mktemp("whole") / "run"
            begin = time.monotonic()
            code, text = finish(*arguments, "--out", folder, log=folder.with_name("log"))
            assert code == 0, text
            found[arguments] = folder, time.monotonic() - begin
        return found[arguments]

    return get


@pytest.fixture(scope="module")
def uninterrupted(made):
    """What each command comes to without a stop, and how long it took."""

    def get(arguments):
        folder, seconds = made(*arguments)
        return content(folder), seconds

    return get


@pytest.fixture
def copied(made, tmp_path):
    """A copy of a command's folder, to do something to."""

    def get(*arguments):
        return shutil.copytree(made(*arguments)[0], tmp_path / "run")

    return get


@pytest.fixture(scope="module")
def stopped(made):
    """The folder of a training that has its checkpoint and its result."""
    return made(*LBFGS, "--budget", 40)[0]


def kill_and_resume(arguments, folder, moment, every, whole):
    log = folder.with_name("log")
    process = start(*arguments, "--checkpoint-every", every, "--out", folder, log=log)
    process.join(moment)
    process.kill()
    process.join()
    again = (*arguments, "--out", folder)  # killed before it was a run folder
    if (folder / "settings.json").exists():
        assert read_run(folder, verify=True).state in ("finished", "unfinished")
        again = (*arguments[:2], "--resume", folder, "--no-figures")
    code, text = finish(*again, "--checkpoint-every", every, log=log)
    assert code == 0, text
    assert content(folder) == whole
    assert_metrics_fit(folder)
    assert not list(folder.rglob(".*"))
    assert read_run(folder, verify=True).state == "finished"


@pytest.mark.slow
def test_killed_three_times_it_comes_to_the_same_bits(uninterrupted, tmp_path):
    choice = random.Random(os.getpid())
    for number, arguments in enumerate((TRAIN, COMPARE, SEEDS)):
        whole, duration = uninterrupted(arguments)
        moment = choice.uniform(0.1, 1.0) * duration
        folder = tmp_path / str(number)
        folder.mkdir()
        kill_and_resume(arguments, folder / "run", moment, 0, whole)


@pytest.mark.slow
def test_killed_fifty_times_at_random_moments(uninterrupted, tmp_path):
    choice = random.Random(os.getpid())
    for number in range(50):
        arguments = (TRAIN, COMPARE, SEEDS)[number % 3]
        if number % 10 == 0:
            arguments = tuple(word for word in arguments if word != "--no-figures")
        whole, duration = uninterrupted(arguments)
        moment = choice.uniform(0.0, 1.1) * duration
        (tmp_path / str(number)).mkdir()
        every = choice.choice([0, 0.05])
        kill_and_resume(arguments, tmp_path / str(number) / "run", moment, every, whole)


TINY = ("compare", "center-out", "--set", "controller.layers=[4]", "--set", "task.directions=2")
TINY += ("--set", "task.steps=6", "--set", "held_out=4", "--optimizers", "lbfgs", "--budget", "9")
TINY += ("--seeds", "2", "--threads", "1", "--checkpoint-every", "0")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The writes of a small comparison over seeds, with figures, and what it comes to."""
    place = tmp_path_factory.mktemp("written")
    process = start(*TINY, "--out", place / "run", log=place / "log", kill_at=0)
    process.join(300)
    assert process.exitcode == 0
    writes = (place / "writes").read_text().replace(str(place), "").splitlines()
    return writes, content(place / "run"), names(place / "run")


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def assert_it_survives(number, written, place):
    folder, log = place / "run", place / "log"
    process = start(*TINY, "--out", folder, log=log, kill_at=number)
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    begun = (folder / "settings.json").exists()
    again = (*TINY[:2], "--resume", folder, "--checkpoint-every", "0") if begun else TINY
    code, text = finish(*again, *(() if begun else ("--out", folder)), log=log)
    assert code == 0, text
    assert (content(folder), names(folder)) == written[1:]


@pytest.mark.slow
def test_a_comparison_over_seeds_survives_a_kill_at_its_own_writes(written, tmp_path):
    """Where its own files are half written; those of each seed are a run's, as above."""
    own = [number for number, write in enumerate(written[0], 1) if "/seed-" not in write]
    renames = [number for number in own if written[0][number - 1].startswith("os.rename")]
    assert len(renames) == 4  # settings, two figures, summary
    for number in renames[1::2]:
        place = tmp_path / str(number)
        place.mkdir()
        assert_it_survives(number, written, place)


@pytest.mark.slow
def test_a_comparison_over_seeds_survives_a_kill_at_every_write(written, tmp_path):
    for number in range(1, len(written[0]) + 1):
        place = tmp_path / str(number)
        place.mkdir()
        assert_it_survives(number, written, place)


@pytest.fixture
def begun(tmp_path):
    """A training that was killed after its settings were written, before any checkpoint."""
    net = ContinuousTimeRNN(layers=(7,), learn_initial_state=True)
    theta = initial_parameters(net, seed=5)
    save_controller(tmp_path / "start.safetensors", net, theta, task=CenterOut(directions=3))
    small = [*TRAIN[:2], *TRAIN[4:], "--start", tmp_path / "start.safetensors"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    code, text = finish(*small, "--out", whole, log=tmp_path / "log")
    assert code == 0, text
    killed.mkdir()
    for name in ("settings.json", "start.safetensors"):
        (killed / name).write_bytes((whole / name).read_bytes())
    (tmp_path / "start.safetensors").unlink()
    return whole, killed


def test_a_run_without_a_checkpoint_resumes_from_its_start(begun, tmp_path):
    whole, killed = begun
    (killed / ".neuromotor-hf-x1.safetensors").write_text("half a checkpo")
    code, text = finish(*TRAIN[:2], "--resume", killed, "--no-figures", log=tmp_path / "log")
    assert code == 0, text
    assert content(killed) == content(whole)
    assert not list(killed.rglob(".*"))


def test_a_start_that_was_lost_is_named(begun, tmp_path):
    whole, killed = begun
    (killed / "start.safetensors").unlink()
    before = content(killed), sorted(os.listdir(whole))
    code, text = finish(*TRAIN[:2], "--resume", killed, "--no-figures", log=tmp_path / "log")
    assert code == 2
    assert "lacks the start.safetensors that its training began from" in text
    (killed / "start.safetensors").write_bytes((whole / "controllers/hf.safetensors").read_bytes())
    code, text = finish(*TRAIN[:2], "--resume", killed, "--no-figures", log=tmp_path / "log")
    assert code == 2  # there is one, but another
    (whole / "start.safetensors").unlink()  # its training has gone beyond it
    code, text = finish(*TRAIN[:2], "--resume", whole, "--no-figures", log=tmp_path / "log")
    assert code == 0, text
    again = ("--config", whole / "settings.json", "--out", tmp_path / "new")
    code, text = finish(*TRAIN[:2], *again, log=tmp_path / "log")
    assert code == 2
    assert "began from a controller (`start`); give it by `train --start" in text
    assert not (tmp_path / "new").exists()
    assert (content(killed), sorted(os.listdir(whole))) == (
        before[0],
        [name for name in before[1] if name != "start.safetensors"],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130)]
)
def test_a_stopped_comparison_says_how_to_go_on_and_does(number, code, uninterrupted, tmp_path):
    folder, log = tmp_path / "run", tmp_path / "log"
    process = start(*COMPARE, "--budget", "100000", "--out", folder, log=log)
    wait_for(folder / "metrics.jsonl", process)
    os.kill(process.pid, number)
    process.join(120)
    assert process.exitcode == code
    text = log.read_text()
    assert f"Interrupted; what there is was saved in {folder}" in text
    assert f"--resume {folder}" in text.replace("\n", "")
    assert (folder / "checkpoints/lbfgs.safetensors").is_file()
    record = read_run(folder, verify=True)
    assert record.state == "unfinished"
    made = sum(load_snapshot(folder / "checkpoints/lbfgs.safetensors").run["counts"])
    settings = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps({**settings, "budget": made + 50}))
    assert finish(*COMPARE[:2], "--resume", folder, "--no-figures", log=log)[0] == 0
    assert_metrics_fit(folder)


def test_two_signals_at_once_end_with_one_line(tmp_path):
    folder, log = tmp_path / "run", tmp_path / "log"
    process = start(*LBFGS, "--budget", "1000000", "--out", folder, log=log)
    wait_for(folder / "metrics.jsonl", process)
    os.kill(process.pid, signal.SIGSTOP)  # so that both are there when it looks
    os.kill(process.pid, signal.SIGTERM)
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGCONT)
    process.join(120)
    assert process.exitcode in (130, 143)
    text = log.read_text()
    assert text.count("Interrupted.") == 1
    assert f"--resume {folder}" in text.replace("\n", "")
    assert not any(word in text for word in ("Traceback", "Exception ignored", "race condition"))
    assert read_run(folder, verify=True).state == "unfinished"


def test_a_signal_before_any_training_ends_at_once_and_can_be_gone_on_with(tmp_path):
    folder, log = tmp_path / "run", tmp_path / "log"
    process = start("compare", "ddn", "--smoke", "--no-figures", "--out", folder, log=log)
    wait_for(folder / "settings.json", process)
    os.kill(process.pid, signal.SIGTERM)
    process.join(120)
    assert process.exitcode == 143
    assert "Traceback" not in log.read_text()
    assert read_run(folder).state == "unfinished"


def test_one_folder_one_process(tmp_path):
    folder, log = tmp_path / "run", tmp_path / "log"
    process = start(*TRAIN, "--budget", "1000000", "--out", folder, log=log)
    wait_for(folder / "metrics.jsonl", process)
    assert read_run(folder).state == "running"
    code, text = finish(*TRAIN[:2], "--resume", folder, log=tmp_path / "log2")
    assert code == 2
    assert "is being written by another process" in text
    code, text = finish(*TRAIN, "--force", "--out", folder, log=tmp_path / "log2")
    assert code == 2
    process.kill()
    process.join()
    assert not folder_in_use(folder)
    assert read_run(folder).state == "unfinished"


def test_a_new_folder_is_claimed_before_anything_is_written(tmp_path):
    folder, log = tmp_path / "run", tmp_path / "log"
    with claimed(folder):  # another process has just begun there
        for more in ((), ("--force",), ("--seeds", "2")):
            words = COMPARE if more[:1] == ("--seeds",) else TRAIN
            code, text = finish(*words, *more, "--out", folder, log=log)
            assert code == 2
            assert "is being written by another process" in text
            assert not list(folder.iterdir())


@pytest.mark.parametrize("more", [(), ("--force",)])
def test_of_trainings_into_one_new_folder_at_once_one_wins(more, tmp_path):
    folder, logs = tmp_path / "run", [tmp_path / f"log{seed}" for seed in range(4)]
    runs = [
        start(*TRAIN, "--budget", "1", "--seed", seed, *more, "--out", folder, log=log)
        for seed, log in enumerate(logs)
    ]
    for run in runs:
        run.join(120)
    codes = [run.exitcode for run in runs]
    assert set(codes) <= {0, 2}
    assert codes.count(0) == 1 or more  # with `--force` each that comes later may win again
    errors = ("is being written by another process", "holds a run already")
    for code, log in zip(codes, logs, strict=True):
        lines = [line for line in log.read_text().splitlines() if line.startswith("error:")]
        assert len(lines) == bool(code)
        assert all(any(error in line for error in errors) for line in lines)
    settings = json.loads((folder / "settings.json").read_text())
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["settings"] == settings
    assert summary["seed"] == settings["seed"]
    saved = load_controller(folder / "controllers/hf.safetensors")
    assert saved.info["seed"] == settings["seed"]
    assert codes[settings["seed"]] == 0
    assert not list(folder.rglob(".*"))


def test_finished_seeds_are_kept_and_others_made_again(copied, tmp_path):
    folder, log = copied(*SEEDS), tmp_path / "log"
    whole = content(folder)
    kept = (folder / "seed-0/summary.json").stat().st_mtime_ns
    (folder / "seed-1/settings.json").unlink()
    (folder / "summary.json").unlink()
    code, text = finish(*SEEDS[:2], "--resume", folder, "--no-figures", log=log)
    assert code == 2  # a folder without settings is nobody's to overwrite
    assert "not a neuromotor run" in text
    (folder / "seed-1").rename(tmp_path / "away")
    code, text = finish(*SEEDS[:2], "--resume", folder, "--no-figures", log=log)
    assert code == 0, text
    assert (folder / "seed-0/summary.json").stat().st_mtime_ns == kept
    assert content(folder) == whole


@pytest.mark.slow
def test_a_larger_budget_goes_on_with_a_finished_training(uninterrupted, copied, tmp_path):
    folder, log = copied(*LBFGS, "--budget", "90"), tmp_path / "log"
    again = ("--resume", folder, "--budget", "150", "--no-figures")
    assert finish(*LBFGS[:2], *again, log=log)[0] == 0
    assert content(folder) == uninterrupted(LBFGS)[0]
    assert_metrics_fit(folder)


@pytest.mark.parametrize("limit", [("--budget", "1"), ("--seconds", "0")])
@pytest.mark.parametrize("finished", [True, False])
def test_limits_below_what_was_done_change_nothing(
    limit, finished, uninterrupted, copied, tmp_path
):
    folder, log = copied(*LBFGS, "--budget", "90"), tmp_path / "log"
    if not finished:
        (folder / "summary.json").unlink()
        (folder / "results/lbfgs.safetensors").unlink()
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, text = finish(*LBFGS[:2], "--resume", folder, *limit, "--no-figures", log=log)
    assert code == 2
    assert "must allow what lbfgs has done" in text
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files
    again = ("--resume", folder, "--budget", "150", "--no-figures")
    assert finish(*LBFGS[:2], *again, log=log)[0] == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["settings"] == json.loads((folder / "settings.json").read_text())
    assert content(folder) == uninterrupted(LBFGS)[0]


def test_a_damaged_checkpoint_is_named_with_the_way_out(copied, tmp_path):
    folder, log = copied(*TRAIN, "--budget", "300"), tmp_path / "log"
    path = folder / "checkpoints/hf.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    code, text = finish(*TRAIN[:2], "--resume", folder, "--budget", "500", log=log)
    assert code == 2
    assert "Delete it to train hf from the start again" in text


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s.update(seed=5), "`seed` was 0, is 5"),
        (lambda s: s["task"].update(radius_m=0.06), "`task.radius_m` was 0.04463, is 0.06"),
        (lambda s: s["task"].update(steps=14), "`task.steps` was 15, is 14"),
        (lambda s: s["lbfgs"].update(history=2), "`lbfgs.history` was 100, is 2"),
        (lambda s: s["task"]["plant"].update(dt_s=0.02), "`task.plant.dt_s` was 0.01, is 0.02"),
    ],
)
@pytest.mark.parametrize("left", ["checkpoints/lbfgs.safetensors", "results/lbfgs.safetensors"])
def test_settings_edited_after_the_start_are_refused(stopped, left, change, named, tmp_path):
    folder, log = tmp_path / "run", tmp_path / "log"
    (folder / left).parent.mkdir(parents=True)
    (folder / left).write_bytes((stopped / left).read_bytes())
    edited = json.loads((stopped / "settings.json").read_text())
    change(edited)
    (folder / "settings.json").write_text(json.dumps(edited))
    code, text = finish("train", "--resume", folder, log=log)
    assert code == 2, text
    assert f"{folder / left} was made with other settings" in text
    assert named in text


def test_budget_seconds_and_threads_may_be_edited(stopped, tmp_path):
    folder, log = tmp_path / "run", tmp_path / "log"
    (folder / "checkpoints").mkdir(parents=True)
    name = "checkpoints/lbfgs.safetensors"
    (folder / name).write_bytes((stopped / name).read_bytes())
    edited = json.loads((stopped / "settings.json").read_text())
    edited.update(budget=60, seconds=500.0, threads=2)
    (folder / "settings.json").write_text(json.dumps(edited))
    code, text = finish("train", "--resume", folder, "--no-figures", log=log)
    assert code == 0, text
    assert json.loads((folder / "summary.json").read_text())["rows"][1]["calls"] >= 60


def test_settings_edited_after_finished_seeds_are_refused(copied, tmp_path):
    folder, log = copied(*SEEDS), tmp_path / "log"
    before = (folder / "seed-0/summary.json").read_bytes()
    edited = json.loads((folder / "settings.json").read_text())
    edited["task"]["radius_m"] = 0.03
    (folder / "settings.json").write_text(json.dumps(edited))
    code, text = finish("compare", "--resume", folder, "--no-figures", log=log)
    assert code == 2
    assert "`task.radius_m` was 0.04463, is 0.03" in text
    assert (folder / "seed-0/summary.json").read_bytes() == before


@pytest.mark.parametrize("part", ["state", "run"])
def test_a_checkpoint_with_a_number_that_cannot_be_is_named_too(part, copied, tmp_path):
    folder, log = copied(*TRAIN, "--budget", "300"), tmp_path / "log"
    path = folder / "checkpoints/hf.safetensors"
    snapshot = load_snapshot(path)
    getattr(snapshot, part)["damping" if part == "state" else "seconds"] = -1.0
    save_snapshot(path, snapshot)
    code, text = finish(*TRAIN[:2], "--resume", folder, "--budget", "500", log=log)
    assert code == 2, text
    errors = [line for line in text.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert str(path) in errors[0]
    assert "elete it to train hf from the start again" in errors[0]


def test_a_result_with_an_entry_that_cannot_be_is_named(copied):
    folder = copied(*TRAIN, "--budget", "300")
    path, kind = folder / "results/hf.safetensors", "neuromotor.result"
    whole = load_tree(path, kind, "a result")
    budget = Budget(calls=300)
    settings = json.loads((folder / "settings.json").read_text())
    for name in whole.keys() - {"settings"}:
        for wrong in ("text" if name != "reason" else 1, float("nan"), -1, [1]):
            save_tree(path, kind, {**whole, name: wrong})
            with pytest.raises(CheckpointError, match="does not agree with itself"):
                RunFolder(folder, settings, ["hf"], budget, checkpoint_s=1, keep_last=True)
