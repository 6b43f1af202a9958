"""`neuromotor train` with a network of gated units, run as a user would."""

import json

from forked import neuromotor

from neuromotor import load_controller
from neuromotor.controllers import GatedCell, Network


def test_a_gated_network_is_trained_recorded_and_analysed(tmp_path):
    small = ("--set", "task.directions=4", "--set", "task.steps=20", "--budget", "12")
    cell = ("--set", "controller.layers=[6]", "--set", "controller.squash=tanh")
    plain = ("--optimizer", "kron-lbfgs", "--no-figures", "--json", "--out", "run")
    done = neuromotor(
        "train", "center-out", "--controller", "gated", *small, *cell, *plain, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [row["method"] for row in rows] == ["ilqr", "kron-lbfgs"]
    file = tmp_path / "run/controllers/kron-lbfgs.safetensors"
    saved = load_controller(file)
    assert saved.controller == Network(layers=(6,), cell=GatedCell(), squash="tanh")
    settings = json.loads((tmp_path / "run/settings.json").read_text())["controller"]
    assert settings["cell"] == {"type": "gated"}
    assert neuromotor("evaluate", file, cwd=tmp_path).returncode == 0
    done = neuromotor("record", file, "--out", "one.nc", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = neuromotor("analyze", "one.nc", "--controller", file, "--out", "report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = neuromotor(
        "train",
        "center-out",
        "--controller",
        "network",
        *small,
        *plain[:4],
        "--set",
        "controller.cell=gated",
        "--set",
        "controller.layers=[3]",
        "--out",
        "two",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    saved = load_controller(tmp_path / "two/controllers/kron-lbfgs.safetensors")
    assert saved.controller == Network(layers=(3,), cell=GatedCell())
