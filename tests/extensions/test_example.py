"""The example of the documentation, installed as a package: nothing need be named any more."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from neuromotor.extensions import GROUP

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "extend"
PROGRAM = """
import json
import sys

import gymnasium

import neuromotor as nm
from neuromotor.cli import main


def command(*words):
    sys.argv = ["neuromotor", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, words


if __name__ == "__main__":
    command("train", "hold", "--plant", "mass-in-liquid", "--controller", "springs",
            "--optimizer", "sign-descent", "--budget", "4", "--no-figures", "--out", "run")
    path = "run/controllers/sign-descent.safetensors"
    command("evaluate", path)
    command("record", path, "--out", "a.nc")
    command("analyze", "a.nc", "--out", "report", "--surrogates", "2")
    command("info")
    saved = nm.load_controller(path)
    workers = gymnasium.make_vec(
        "neuromotor/Hold-v0", num_envs=2, vectorization_mode="async",
        vector_kwargs={"context": "forkserver"},
    )
    shape = workers.reset(seed=0)[0].shape
    workers.close()
    found = {"controller": repr(saved.controller), "plant": repr(saved.task.plant)}
    with open("found.json", "w") as file:
        json.dump({**found, "workers": shape}, file)
"""


def install(folder):
    """Do what pip does with the example, without a network and without setuptools."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())
    about = project["project"]
    (package,) = project["tool"]["setuptools"]["packages"]
    (folder / package).mkdir(parents=True)
    for file in (EXAMPLE / package).glob("*.py"):
        (folder / package / file.name).write_text(file.read_text())
    info = folder / f"{package}-{about['version']}.dist-info"
    info.mkdir()
    name = f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n"
    (info / "METADATA").write_text(name)
    points = about["entry-points"][GROUP].items()
    lines = [f"[{GROUP}]", *(f"{key} = {value}" for key, value in points)]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def python(*words, cwd, path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT]))}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
def test_an_installed_package_is_known_to_everything(tmp_path):
    place = install(tmp_path / "site")
    (tmp_path / "program.py").write_text(PROGRAM)
    done = python("program.py", cwd=tmp_path, path=[place])
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["controller"].startswith("Springs(state_size=4")
    assert found["plant"].startswith("MassInLiquid(")
    assert found["workers"] == [2, 8]
    report = json.loads((tmp_path / "report/analysis.json").read_text())
    assert report["sections"]["path-length"]["mean_m"] > 0
    assert json.loads((tmp_path / "run/settings.json").read_text())["needs"] == [
        {"use": "my_lab", "package": "my-lab", "version": "1.0"}
    ]
    for word in ("mass-in-liquid", "neuromotor/HoldGoal-v0", "sign-descent", "[my_lab]"):
        assert word in done.stdout
    words = ("-m", "neuromotor", "evaluate", "run/controllers/sign-descent.safetensors")
    without = python(*words, cwd=tmp_path, path=[])
    assert without.returncode == 2
    assert "It needs the package `my-lab` 1.0: install it" in without.stderr


@pytest.mark.slow
def test_a_package_that_does_not_work_is_a_warning(tmp_path):
    place = install(tmp_path / "site")
    (place / "my_lab" / "task.py").write_text("raise RuntimeError('of an old version')\n")
    done = python("-m", "neuromotor", "info", "--json", cwd=tmp_path, path=[place])
    assert done.returncode == 0
    assert "the package my-lab brings no components: my_lab raised RuntimeError" in done.stderr
    assert "springs" not in json.loads(done.stdout)["controller"]


@pytest.mark.slow
def test_the_tests_of_the_example_pass():
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    done = python(*words, cwd=EXAMPLE, path=[])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


@pytest.mark.parametrize("path", sorted((EXAMPLE / "my_lab").glob("*.py")), ids=lambda p: p.name)
def test_a_component_is_a_short_file(path):
    assert len(path.read_text().splitlines()) <= 35
