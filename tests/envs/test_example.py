"""The example of reinforcement learning runs; how well it learns is for the full size."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_example_runs_at_smoke_size(tmp_path):
    if importlib.util.find_spec("stable_baselines3") is None:
        pytest.skip("stable-baselines3 is not installed (extra `rl`)")
    script = Path(__file__).parents[2] / "examples" / "rl_center_out.py"
    done = subprocess.run(
        [sys.executable, str(script), "--smoke", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "rl_center_out.json").read_text())
    first, last = report["curve"]
    assert last["steps"] == 5120
    assert last["loss"] < first["loss"]
    assert report["ratio_to_ilqr"] > 1
    assert (tmp_path / "rl_center_out.png").stat().st_size > 3000
