"""Components that are started from a template work at once, and nothing is overwritten."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from neuromotor.extensions.starting import KINDS, start_component

EXAMPLE = Path(__file__).parents[2] / "examples" / "extend"
# Kinds and names of the example of the documentation, by its file
IN_THE_EXAMPLE = {
    "plant": ("plant", "mass-in-liquid", "MassInLiquid"),
    "task": ("task", "hold", "Hold"),
    "controller": ("controller", "springs", "Springs"),
    "cell": ("cell", "rectified", "Rectified"),
    "optimizer": ("optimizer", "sign-descent", "SignDescent"),
    "analysis": ("section", "path-length", "PathLength"),
    "experiment": ("experiment", "time-of-peak", "TimeOfPeak"),
}


def test_every_kind_is_tried():
    assert set(IN_THE_EXAMPLE) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_the_example_of_the_documentation(kind, tmp_path):
    file, name, class_name = IN_THE_EXAMPLE[kind]
    start = start_component(kind, name, tmp_path)
    module = start.file.stem
    for written, example in (
        (start.file, EXAMPLE / "my_lab" / f"{file}.py"),
        (start.test, EXAMPLE / "tests" / f"test_{file}.py"),
    ):
        text = example.read_text()
        if kind == "cell":  # whose class has a longer name there
            text = text.replace("RectifiedCell", class_name)
        lines = written.read_text().splitlines(keepends=True)
        own = [line for line in lines if not line.startswith("#")]
        assert "".join(own).replace(f"from {module} import", f"from my_lab.{file} import") == text


@pytest.mark.slow
def test_all_of_them_pass_their_own_tests(tmp_path):
    for kind in KINDS:
        start_component(kind, f"my-{kind}", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"{len(KINDS)} passed" in done.stdout


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("tsk", "mine", "did you mean 'task'"),
        ("task", "My Reach", "`name` must be small letters"),
        ("task", "class", "`name` must be small letters"),
        ("task", "../escape", "`name` must be small letters"),
        ("task", "ddn", "a task already"),
        ("cell", "torch", "not be that of a Python module"),
    ],
)
def test_what_cannot_be_started_is_refused(kind, name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        start_component(kind, name, tmp_path)
    with pytest.raises(ValueError, match="`folder`"):
        start_component("task", "my-reach", tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


def test_the_command_finds_the_file_from_where_it_was_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my lab").mkdir()
    start = start_component("task", "my-reach", Path("my lab"))
    assert shlex.split(start.command)[-2:] == ["--use", "my lab/my_reach.py"]


@pytest.mark.parametrize("there", ["my_reach.py", "test_my_reach.py"])
def test_nothing_is_overwritten(there, tmp_path):
    (tmp_path / there).write_text("mine")
    with pytest.raises(FileExistsError, match=there):
        start_component("task", "my-reach", tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
