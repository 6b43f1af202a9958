"""Run folders read back: what was run, how far it got, and damage of any kind."""

import json
import os
import random

import pytest

from neuromotor.runs.figures import plot_runs
from neuromotor.runs.records import find_runs, read_finished, read_run, setting_differences
from neuromotor.storage.claims import RunFolderError, lock_folder

HISTORY = {"calls": [1, 5], "seconds": [0.1, 0.4], "loss": [None, 0.5], "gradient_norm": [1, 0.1]}


def write(folder, *, seed=0, finished=True, lines=(), **settings):
    folder.mkdir(parents=True)
    settings = {"task": {"type": "center-out"}, "seed": seed, "optimizers": ["lbfgs"], **settings}
    (folder / "settings.json").write_text(json.dumps(settings))
    rows = [{"method": "ilqr", "loss": 0.25}]
    rows += [{"method": "lbfgs", "loss": 0.5, "ratio": 2.0, "calls": 6, "seconds": 0.5}]
    if finished:
        (folder / "history.json").write_text(json.dumps({"lbfgs": HISTORY}))
        (folder / "summary.json").write_text(json.dumps({"rows": rows, "interrupted": False}))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text)
    return folder


def line(method, iteration, value):
    return {
        "method": method,
        "seed": 0,
        "iteration": iteration,
        "calls": 2 * iteration + 1,
        "seconds": 0.5 * iteration,
        "value": value,
        "ratio": value / 0.25,
        "gradient_norm": 1.0,
    }


def test_a_finished_run(tmp_path):
    record = read_run(write(tmp_path / "run", seed=3))
    assert (record.state, record.task, record.seeds) == ("finished", "center-out", (3,))
    (found,) = record.methods
    assert (found.loss, found.ratio, found.calls, found.floor) == (0.5, 2.0, 6, 0.25)
    assert [point.value for point in found.history] == [float("inf"), 0.5]
    assert record.as_dict()["best_method"] == "lbfgs"


def test_the_files_of_a_finished_run_are_given_as_they_are(tmp_path):
    run = read_finished(write(tmp_path / "run"))
    assert list(run.rows) == ["ilqr", "lbfgs"]
    assert run.rows["lbfgs"]["calls"] == 6
    assert run.history["lbfgs"]["loss"] == [None, 0.5]


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ('{"interrupted": true, "rows": []}', "was interrupted; let it finish by `--resume"),
        ('{"interrupted": false, "format_version": 2}', "format version 2, this neuromotor reads"),
        ('{"interrupted"', "summary.json is damaged"),
        (None, "holds no finished run"),
    ],
)
def test_what_is_no_finished_run_is_refused(tmp_path, summary, message):
    folder = write(tmp_path / "run")
    if summary is None:
        (folder / "summary.json").unlink()
    else:
        (folder / "summary.json").write_text(summary)
    with pytest.raises(RunFolderError, match=message):
        read_finished(folder)


def test_an_unfinished_run_tells_what_its_metrics_do(tmp_path):
    lines = [line("lbfgs", 0, 4.0), line("lbfgs", 1, 1.0), line("adam", 0, 4.0)]
    folder = write(tmp_path / "run", finished=False, lines=lines)
    record = read_run(folder)
    assert record.state == "unfinished"
    assert record.best.method == "lbfgs"
    assert (record.best.loss, record.best.calls, record.best.floor) == (1.0, 3, 0.25)
    handle = lock_folder(folder)
    assert read_run(folder).state == "running"
    os.close(handle)
    assert read_run(folder).state == "unfinished"


def test_seeds_belong_to_one_run(tmp_path):
    folder = write(tmp_path / "runs" / "many", seeds=2, finished=False)
    write(folder / "seed-0", seed=0)
    write(folder / "seed-1", seed=1, finished=False, lines=[line("lbfgs", 0, 4.0)])
    write(tmp_path / "runs" / "deep" / "er" / "one")
    (tmp_path / "runs" / "report").mkdir()
    (tmp_path / "runs" / "report" / "settings.json").write_text('{"recording": "a.nc", "seed": 0}')
    found = {record.path.name: record for record in find_runs(tmp_path / "runs")}
    assert set(found) == {"many", "one"}
    assert found["many"].state == "unfinished"
    assert [method.seed for method in found["many"].methods] == [0, 1]
    assert found["many"].best.loss == 0.5


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("settings.json", "{", "settings.json is damaged"),
        ("settings.json", "[]", "holds no table"),
        ("settings.json", '{"task": {"type": "x"}, "format_version": 9}', "version 9"),
        ("settings.json", "{}", "seed"),
        ("summary.json", '{"interrupted": false', "summary.json is damaged"),
        ("summary.json", '{"interrupted": false}', "rows"),
        ("history.json", "{}", "lbfgs"),
        ("history.json", '{"lbfgs": {"loss": [1]}}', "gradient_norm"),
        ("history.json", "[" * 100_000, "nested"),
    ],
)
def test_damage_is_a_state_with_its_reason(tmp_path, name, content, message):
    folder = write(tmp_path / "run")
    (folder / name).write_text(content)
    record = read_run(folder)
    assert record.state == "damaged"
    assert message in record.problem


def test_flipped_bits_never_raise(tmp_path):
    folder, choice = write(tmp_path / "run"), random.Random(1)
    for name in ("settings.json", "summary.json", "history.json", "metrics.jsonl"):
        whole = (folder / name).read_bytes() or b"{}\n"
        for _ in range(200):
            damaged = bytearray(whole)
            damaged[choice.randrange(len(whole))] ^= 1 << choice.randrange(8)
            (folder / name).write_bytes(damaged)
            assert read_run(folder).state in ("finished", "unfinished", "damaged")
        (folder / name).write_bytes(whole)


def test_verify_compares_checksums(tmp_path):
    folder = write(tmp_path / "run")
    (folder / "controllers").mkdir()
    (folder / "controllers/lbfgs.safetensors").write_bytes(b"half a file")
    assert read_run(folder).state == "finished"
    record = read_run(folder, verify=True)
    assert record.state == "damaged"
    assert "lbfgs.safetensors is damaged" in record.problem


def test_settings_that_differ_and_the_figure(tmp_path):
    one = read_run(write(tmp_path / "one", hf={"damping": 1.0}, budget=5))
    two = read_run(write(tmp_path / "two", hf={"damping": 2.0}, budget=5))
    assert setting_differences([one, two]) == {"hf.damping": [1.0, 2.0]}
    figure = plot_runs([one, two])
    (ax,) = figure.axes
    assert [list(drawn.get_xdata()) for drawn in ax.lines] == [[1, 5], [1, 5]]
    assert [drawn.get_label() for drawn in ax.lines] == ["one: L-BFGS", "two: L-BFGS"]
