"""Examples of reinforcement learning run; how well they learn is for the full size."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from forked import (
    together,
)
from PIL import (
    Image,
)

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("stable_baselines3") is None,
    reason="stable-baselines3 is not installed (extra `rl`)",
)


def test_the_quickstart_runs_at_smoke_size(tmp_path):
    text = (ROOT / "docs" / "rl_quickstart.md").read_text()
    assert len(text.splitlines()) <= 25
    _, code, _ = text.replace("```python", "```").split("```")
    assert code.count("500_000") == 1
    script = tmp_path / "quickstart.py"
    script.write_text(code.replace("500_000", "32 * 160"))
    (done,) = together([script])
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[0]) > 1


def test_the_example_runs_at_smoke_size(tmp_path):
    script = ROOT / "examples" / "rl_center_out.py"
    (done,) = together([script, "--smoke", "--out", tmp_path])
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "rl_center_out.json").read_text())
    first, last = report["curve"]
    assert last["steps"] == 5120
    assert last["loss"] < first["loss"]
    assert report["ratio_to_ilqr"] > 1
    with Image.open(tmp_path / "rl_center_out.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels == (0, 114, 178)).all(axis=-1).any()  # the curve's colour


def test_ppo_in_one_file_runs():
    script = ROOT / "examples" / "ppo_single_file.py"
    (done,) = together([script, "--updates", "2", "--arms", "8"])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("640 steps")
    assert lines[-1].endswith("x iLQR")
