"""Several processes against one: the same numbers, and one clear word where one of them fails."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed_program
import pytest
import torch
from forked import neuromotor, together
from torch.distributed import TCPStore

from neuromotor import LBFGS, Budget, CenterOut, ClosedLoop, ContinuousTimeRNN, load_snapshot, train
from neuromotor.training import distributed

HERE = Path(__file__).parents[1]
PROGRAM = str(HERE / "distributed_program.py")
START = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)]),
}


def start(processes, *arguments, **variables):
    """Several processes on this machine."""
    command = [*START, str(processes), *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=ENVIRONMENT | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def at_once(*command):
    """Two processes that meet as torchrun lets them; torch is imported already."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    meeting |= {"TORCHELASTIC_USE_AGENT_STORE": "True"}
    ranks = [{**meeting, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    return together(command, command, variables=ranks)


def words(process):
    """What was printed, without torchrun's own report; no test hangs."""
    out, err = process.communicate(timeout=300)
    return out, [line for line in err.splitlines() if line.startswith("error:")], err


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    path = tmp_path_factory.mktemp("shared") / "two.json"
    process = start(2, PROGRAM, path)
    one = distributed_program.numbers()
    _, _, err = words(process)
    assert process.returncode == 0, err
    return one, json.loads(path.read_text())


def test_two_processes_answer_as_one(both):
    one, two = both[0], both[1]["numbers"]
    assert one.keys() == two.keys()
    for name in one:
        expected, found = (torch.tensor(n, dtype=torch.float64) for n in (one[name], two[name]))
        # Each answer is a sum in another order: what is left is rounding, against the largest
        # entry. Conjugate gradients multiply rounding from one iteration to the next.
        limit = 1e-9 if name.startswith("hf") else 1e-12
        assert (found - expected).abs().max() <= limit * expected.abs().max(), name


SMALL = ("task.directions=3", "controller.layers=[8]")
CHECKPOINT = "checkpoints/lbfgs.safetensors"
TRAIN = ("-m", "neuromotor", "train", "center-out", *(w for s in SMALL for w in ("--set", s)))


@pytest.mark.slow
def test_a_run_goes_on_in_two_processes(tmp_path):
    """One folder, one JSON on stdout, and the numbers of one process that did not stop."""
    out = tmp_path / "run"
    done = neuromotor(*TRAIN[2:], "--budget", "10", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    leader, other = at_once("neuromotor", *TRAIN[2:4], "--resume", out, "--budget", 20, "--json")
    assert leader.returncode == 0, leader.stderr
    assert "error:" not in leader.stderr
    assert (other.returncode, other.stdout, other.stderr) == (0, "", "")
    row = json.loads(leader.stdout)["rows"][1]
    task, net = CenterOut(directions=3), ContinuousTimeRNN(layers=(8,))
    expected = train(task, net, LBFGS(), budget=Budget(calls=20))
    assert row["calls"] == expected.counts.calls
    assert row["loss"] == pytest.approx(expected.value, rel=1e-9)


def test_what_cannot_be_shared_is_refused(both):
    few, table = both[1]["refusals"]
    assert "at least one for each of the 2 processes, got 1; start fewer processes" in few
    assert "got a CommandTable, which belongs to its trials; start one process" in table


def a_long_run(out, **variables):
    """A training that has written a checkpoint, and its processes by rank."""
    arguments = ("--budget", 10**6, "--checkpoint-every", 0, "--out", out)
    process = start(2, *TRAIN, *arguments, **variables)
    end = time.monotonic() + 200
    while not (out / CHECKPOINT).exists() and time.monotonic() < end:
        assert process.poll() is None, words(process)
        time.sleep(0.05)
    return process, ranks_below(process.pid)


def ranks_below(parent):
    """Process numbers of torchrun's children, by rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) != parent:
                continue
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # ended meanwhile
            continue
        rank = [int(v[5:]) for v in variables if v.startswith(b"RANK=")]
        found |= {rank[0]: int(folder.name)} if rank else {}
    return found


@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_a_killed_process_ends_all_with_one_word(tmp_path, rank):
    process, pids = a_long_run(tmp_path / "run")
    os.kill(pids[rank], signal.SIGKILL)
    _, errors, err = words(process)
    assert process.returncode != 0
    assert len(errors) == 1, err
    assert "one of the 2 processes ended without a word" in errors[0]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids.values())
    load_snapshot(tmp_path / "run" / CHECKPOINT)


@pytest.mark.slow
def test_a_frozen_process_is_noticed(tmp_path):
    process, pids = a_long_run(tmp_path / "run", **{distributed.TIMEOUT_VARIABLE: "3"})
    os.kill(pids[1], signal.SIGSTOP)
    _, errors, err = words(process)
    assert len(errors) == 1, err
    assert "no sign of life for 3 s" in errors[0]


@pytest.mark.slow
def test_a_stop_is_the_leaders_to_make(tmp_path):
    process, pids = a_long_run(tmp_path / "run")
    os.kill(pids[1], signal.SIGTERM)
    os.kill(pids[0], signal.SIGTERM)  # torchrun does the same, but kills both 30 s later
    words(process)
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert (summary["interrupted"], summary["signal"]) == (True, signal.SIGTERM)


def test_all_processes_load_what_the_leaders_file_of_settings_names(tmp_path):
    (tmp_path / "lab_shared.py").write_text(
        "import neuromotor as nm\n"
        "class Nudge(nm.CenterOut):\n    'A task of an extension.'\n"
        "nm.register('nudge', Nudge(directions=3, steps=12))\n"
    )
    config = tmp_path / "a.toml"
    config.write_text('use = ["lab_shared.py"]\n')
    more = ("--set", "controller.layers=[4]", "--budget", "3", "--no-figures")
    run = ("neuromotor", "train", "nudge", "--config", config, *more, "--out", tmp_path / "run")
    for process in at_once(*run):
        assert process.returncode == 0, process.stderr


def test_a_failing_process_says_why(tmp_path):
    """Only the leader prints, also what another process met."""
    program = tmp_path / "program.py"
    program.write_text(FAILING)
    leader, other = at_once(program)
    assert leader.returncode != 0
    assert other.returncode != 0
    said = leader.stderr + other.stderr
    assert said.count("process 1 of 2 failed: MemoryError: no room for it") == 1, said


FAILING = """
import os
import sys

os.environ["NEUROMOTOR_COMPILED"] = "0"

from neuromotor import LBFGS, Budget, CenterOut, ContinuousTimeRNN, train
from neuromotor.closed_loop import AutogradObjective
from neuromotor.training import distributed

def no_room(self, parameters):
    raise MemoryError("no room for it")

if os.environ["RANK"] == "1":
    AutogradObjective.value_and_gradient = no_room

def program():
    try:
        train(CenterOut(directions=3), ContinuousTimeRNN(layers=(5,)), LBFGS())
    except RuntimeError as error:
        sys.exit(f"error: {error}")

distributed.run(program)
"""


def test_alone_nothing_is_shared(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not distributed.launched()
    loop = ClosedLoop(distributed_program.TASK, ContinuousTimeRNN(layers=(5,)))
    made = distributed.run(lambda: distributed.objective(loop, loop.task.trials()))
    assert type(made) is type(loop.objective(loop.task.trials()))


@pytest.mark.parametrize("text", ["soon", "0", "nan"])
def test_a_timeout_must_be_seconds(monkeypatch, text):
    monkeypatch.setenv(distributed.TIMEOUT_VARIABLE, text)
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=rf"{distributed.TIMEOUT_VARIABLE} must be seconds"):
        distributed.run(lambda: None)
