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

from neuromotor import distributed

HERE = Path(__file__).parent
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


def words(process):
    """What was printed, without torchrun's own report; no test hangs."""
    out, err = process.communicate(timeout=120)
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
    one, two = both
    assert one.keys() == two.keys()
    for name in one:
        expected, found = (torch.tensor(n, dtype=torch.float64) for n in (one[name], two[name]))
        # Each answer is a sum in another order: what is left is rounding, against the largest entry.
        difference = (found - expected).abs().max() / expected.abs().max()
        assert difference < 1e-12, name
