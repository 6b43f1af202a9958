"""The progress log: one line at a time, none twice, whatever a killed process left."""

import json
import sys

import pytest

from neuromotor.optim import HistoryPoint
from neuromotor.runs.progress_log import LOG_FILE, ProgressLog, read_progress
from neuromotor.storage.components import SettingsError


def point(iteration, value=2.0):
    return HistoryPoint(iteration, value, 0.5, 3 * iteration + 1, 0.1 * iteration)


def test_a_reference_of_loss_zero_has_no_ratio(tmp_path):
    with ProgressLog(tmp_path, 0, {}) as log:
        log.note("lbfgs", point(0), floor=0.0)
    (line,) = read_progress(tmp_path / LOG_FILE)
    assert (line["value"], line["ratio"]) == (2.0, None)


def test_a_line_says_where_a_method_stands(tmp_path):
    with ProgressLog(tmp_path, 7, {}) as log:
        log.note("lbfgs", point(0), floor=0.5)
        log.note("adam", point(0, float("inf")), floor=0.5)
        log.note("lbfgs", point(1), floor=0.5)  # within a tenth of a second
        log.note("lbfgs", point(2), floor=0.5, last=True)
        log.note("lbfgs", point(2), floor=0.5, last=True)
    lines = [json.loads(line) for line in (tmp_path / LOG_FILE).read_text().splitlines()]
    assert [(line["method"], line["iteration"]) for line in lines] == [
        ("lbfgs", 0),
        ("adam", 0),
        ("lbfgs", 2),
    ]
    assert lines[2].pop("time") >= lines[0]["time"]
    assert lines[2] == {
        "method": "lbfgs",
        "seed": 7,
        "iteration": 2,
        "calls": 7,
        "seconds": 0.2,
        "value": 2.0,
        "ratio": 4.0,
        "gradient_norm": 0.5,
    }
    assert lines[1]["value"] is None


def test_what_a_checkpoint_has_not_seen_is_written_again(tmp_path):
    with ProgressLog(tmp_path, 0, {}) as log:
        for method in ("done", "begun", "unknown"):
            for iteration in range(4):
                log.note(method, point(iteration), 1.0, last=True)
    with (tmp_path / LOG_FILE).open("a") as file:
        file.write('{"method": "begun", "iterat')  # killed here
    assert len(read_progress(tmp_path / LOG_FILE)) == 12
    with ProgressLog(tmp_path, 0, {"done": None, "begun": 2}) as log:
        for iteration in range(4):
            log.note("begun", point(iteration), 1.0, last=True)
    found = [(line["method"], line["iteration"]) for line in read_progress(tmp_path / LOG_FILE)]
    assert found == [(method, i) for method in ("done", "begun") for i in range(4)]


def test_lines_of_others_are_passed_over(tmp_path):
    (tmp_path / LOG_FILE).write_bytes(b'[1]\n{"a": 1}\n\xff\xfe\n' + b"[" * 5000 + b"\n")
    assert read_progress(tmp_path / LOG_FILE) == []
    assert read_progress(tmp_path / "none") == []


def test_without_tensorboard_the_way_out_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    way_out = r"pip install -c constraints.txt -e '\.\[tensorboard\]'"
    with pytest.raises(SettingsError, match=way_out):
        ProgressLog(tmp_path, 0, {}, tensorboard=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_the_same_numbers_and_none_twice(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with ProgressLog(tmp_path, 0, {}, tensorboard=True) as log:
        for iteration in range(5):
            log.note("lbfgs", point(iteration, 10.0 - iteration), 0.5, last=True)
    with ProgressLog(tmp_path, 0, {"lbfgs": 3}, tensorboard=True) as log:
        for iteration in range(3, 5):
            log.note("lbfgs", point(iteration, 20.0 - iteration), 0.5, last=True)
    events = EventAccumulator(str(tmp_path / "tensorboard/lbfgs"))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("value")]
    assert found == [(1, 10.0), (4, 9.0), (7, 8.0), (10, 17.0), (13, 16.0)]
    assert events.Scalars("ratio")[0].value == 20.0
