"""A disk that fails while a training writes: one line, its own exit code, nothing lost."""

import errno
import os
import shutil
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from forked import LBFGS, content, finish, start, wait_for

from neuromotor.cli import main
from neuromotor.plotting import save_figure
from neuromotor.runs.execute import Interruption
from neuromotor.runs.records import read_run
from neuromotor.storage import tensor_file as container
from neuromotor.storage.files import atomic_path
from neuromotor.storage.snapshots import load_snapshot

LONG = ("--budget", "1000000", "--checkpoint-every", "0")


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, of 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    code, text = finish(*LBFGS, "--out", folder, log=folder.with_name("log"))
    assert code == 0, text
    return content(folder)


def assert_one_line(text, *words):
    errors = [line for line in text.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert all(word in errors[0] for word in words), errors
    assert "Traceback" not in text


def go_on(folder, log):
    """Resume with the budget of `LBFGS`."""
    path = folder / "settings.json"
    path.write_text(path.read_text().replace('"budget": 1000000', '"budget": 150'))
    code, text = finish(*LBFGS[:2], "--resume", folder, "--no-figures", log=log)
    assert code == 0, text
    return content(folder)


def write_bytes_for_ever(handle):
    while True:
        os.write(handle, b"x")


def test_a_disk_full_to_the_last_byte(disk, whole, tmp_path):
    folder, log = disk / "run", tmp_path / "log"
    process = start(*LBFGS, *LONG, "--out", folder, log=log)
    wait_for(folder / "checkpoints/lbfgs.safetensors", process)
    with (disk / "filler").open("wb") as file:
        with pytest.raises(OSError, match="No space left"):
            write_bytes_for_ever(file.fileno())
    process.join(120)
    assert process.exitcode == 74
    assert_one_line(log.read_text(), "No space left on device", "what was saved before is whole")
    assert load_snapshot(folder / "checkpoints/lbfgs.safetensors").optimizer == "LBFGS"
    assert read_run(folder, verify=True).state == "unfinished"
    assert not list(folder.rglob(".*"))
    (disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
    kept = load_snapshot(folder / "checkpoints/lbfgs.safetensors").run["counts"]
    if sum(kept) < 150:
        assert go_on(folder, log) == whole


@pytest.mark.parametrize("free", [0, 1, 2, 3])
def test_a_disk_that_fills_up_while_a_figure_is_written(free, disk):
    (disk / "figure.pdf").write_text("the one before")
    with (disk / "filler").open("wb") as file:
        with pytest.raises(OSError, match="No space left"):
            write_bytes_for_ever(file.fileno())
        file.truncate((disk / "filler").stat().st_size - free * 4096)
    figure, ax = plt.subplots()
    ax.plot(np.random.default_rng(0).normal(size=5000))
    with pytest.raises(OSError, match="No space left on device"):
        save_figure(figure, disk / "figure.pdf")
    plt.close(figure)
    assert sorted(path.name for path in disk.iterdir()) == ["figure.pdf", "filler"]
    assert (disk / "figure.pdf").read_text() == "the one before"


@pytest.mark.slow
def test_a_comparison_over_seeds_on_a_disk_that_fills_up(disk, tmp_path):
    small = ("compare", "center-out", "--set", "controller.layers=[4]", "--set", "task.steps=6")
    small += ("--set", "task.directions=2", "--optimizers", "lbfgs", "--budget", "3")
    small += ("--set", "held_out=4", "--seeds", "2", "--threads", "1")
    subprocess.run(["mount", "-o", "remount,size=200k", str(disk)], check=True)
    code, text = finish(*small, "--out", disk / "run", log=tmp_path / "log")
    assert code == 74, text
    assert_one_line(text, "No space left on device", "what was saved before is whole")
    subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
    code, text = finish(*small[:2], "--resume", disk / "run", log=tmp_path / "log")
    assert code == 0, text
    assert not list(disk.rglob(".*"))


def test_a_disk_that_can_only_be_read(disk, tmp_path):
    folder = disk / "run"
    assert finish(*LBFGS, "--out", folder, log=tmp_path / "log")[0] == 0
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for arguments in (("--resume", folder), (*LBFGS[2:], "--out", disk / "other")):
        code, text = finish(*LBFGS[:2], *arguments, log=tmp_path / "log")
        assert code == 74
        assert_one_line(text, "Read-only file system")
    assert read_run(folder, verify=True).state == "finished"


def test_a_folder_that_vanishes_is_not_made_again(tmp_path):
    folder, log = tmp_path / "run", tmp_path / "log"
    process = start(*LBFGS, *LONG, "--out", folder, log=log)
    wait_for(folder / "checkpoints/lbfgs.safetensors", process)
    folder.rename(tmp_path / "away")
    process.join(120)
    assert process.exitcode == 74
    assert_one_line(log.read_text(), "was removed while the run wrote into it")
    assert not folder.exists()
    load_snapshot(tmp_path / "away/checkpoints/lbfgs.safetensors")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_writer_that_fails_leaves_the_checkpoint_before(
    number, tmp_path, whole, monkeypatch, capsys
):
    """The same without a file system of its own: the fourth checkpoint cannot be written."""
    folder, log = tmp_path / "run", tmp_path / "log"
    written = []

    def failing(path):
        if path.parent.name == "checkpoints":
            written.append(path)
            if len(written) == 4:
                raise OSError(number, os.strerror(number), str(path))
        return atomic_path(path)

    monkeypatch.setattr(container, "atomic_path", failing)
    monkeypatch.setattr(
        sys, "argv", ["neuromotor", *LBFGS, "--checkpoint-every", "0", "--out", str(folder)]
    )
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 74
    assert_one_line(capsys.readouterr().err, os.strerror(number))
    snapshot = load_snapshot(folder / "checkpoints/lbfgs.safetensors")
    assert len(snapshot.run["history"]) == 3
    code, text = finish(*LBFGS[:2], "--resume", folder, "--no-figures", log=log)
    assert code == 0, text
    assert content(folder) == whole


def test_a_signal_waits_for_the_next_question_only_where_one_will_come():
    from neuromotor.runs.execute import Stopped

    asked = Interruption()
    with pytest.raises(Stopped):
        asked.request(15)
    asked = Interruption()
    assert not asked()
    asked.request(15)
    assert asked()
    asked = Interruption()
    asked()
    asked.hurry()
    with pytest.raises(Stopped):
        asked.request(2)
