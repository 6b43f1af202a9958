"""`neuromotor train` with a network of gated units, run as a user would."""

import json

import pytest
from forked import neuromotor

from neuromotor import load_controller
from neuromotor.controllers import GatedCell, LeakyCell, Network


@pytest.mark.slow
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
    assert settings["cell"] == {"type": "gated", "reset_after": False}
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


def test_other_cells_and_constrained_networks_are_trained_on_reaches(tmp_path):
    small = ("--smoke", "--budget", "8", "--optimizer", "adam", "--no-figures")
    for name, words in {
        "lstm": ("--controller", "lstm"),
        "mixed": (
            *("--controller", "network", "--set", "controller.layers=[6]"),
            "--set",
            'controller.cell={type="leaky", nonlinearity=["tanh", "rectified"], leak=[0.5]}',
        ),
        "window": ("--controller", "feedforward", "--set", "controller.window=3"),
        "dale": ("--controller", "constrained", "--set", "controller.density=0.5"),
    }.items():
        done = neuromotor("train", "center-out", *small, *words, "--out", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    saved = load_controller(tmp_path / "mixed/controllers/adam.safetensors")
    assert saved.controller.cell == LeakyCell(("tanh", "rectified"), leak=(0.5,), leak_on="rate")
    assert load_controller(tmp_path / "window/controllers/adam.safetensors").controller.window == 3
    file = tmp_path / "dale/controllers/adam.safetensors"
    saved = load_controller(file)
    recurrent = saved.controller.unpack(saved.parameters).layers[0].recurrent
    assert (recurrent[:, :16] >= 0).all()
    assert (recurrent[:, 16:] <= 0).all()
    assert (recurrent == 0).sum() > 100
    done = neuromotor("record", file, "--out", "one.nc", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
