"""Modules of components that are named: by `--use`, TOML, the environment; never by a file."""

import json
import os
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from forked import neuromotor, together

import neuromotor as nm
from neuromotor.analysis import RecordingError, load_recording, recorded_run
from neuromotor.cli.entry import _split
from neuromotor.extensions import VARIABLE, ExtensionError, loading
from neuromotor.extensions.registry import lacking
from neuromotor.storage.components import SettingsError

LAB = """
    from dataclasses import dataclass
    import neuromotor as nm

    @dataclass(frozen=True)
    class Nudge(nm.CenterOut):
        '''Reaches of a centimetre.'''
        radius_m: float = 0.01

    nm.register("nudge", Nudge(directions=2, steps=12))
"""
QUICK = ("--budget", "3", "--set", "controller.layers=[4]", "--no-figures")


def write(path, code):
    path.write_text(textwrap.dedent(code))
    return path


@pytest.fixture
def lab(tmp_path):
    return write(tmp_path / "lab_one.py", LAB)


def failing(*words, cwd, **variables):
    """The one line that a command ends with."""
    done = together(["neuromotor", *words], cwd=cwd, variables=[variables])[0]
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (2, 1), done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import neuromotor\n1 / 0", r"raised ZeroDivisionError .*lab_bad.py, line 2\): division"),
        ("def f(:", r"lab_bad.py raised SyntaxError .*lab_bad.py, line 1\): invalid syntax"),
        ("import not_there_at_all", r"raised ModuleNotFoundError .*line 1\): No module named 'not"),
        ("x = 1", r"lab_bad.py registers nothing; call `neuromotor.register"),
        ("raise SystemExit(3)", r"lab_bad.py raised SystemExit"),
        (
            "import neuromotor as nm\nnm.register('mine', nm.PointMass(mass=3.0))\n"
            "nm.register('lbfgs', nm.LBFGS(history=3))",
            r"lab_bad.py, line 3: `name` must be new, but 'lbfgs' is taken by the optimizer",
        ),
    ],
)
def test_a_module_that_does_not_work_is_said_in_one_line_and_leaves_nothing(
    code, message, tmp_path
):
    path = write(tmp_path / "lab_bad.py", code)
    with pytest.raises(ExtensionError, match=message) as caught:
        nm.use(path)
    assert "\n" not in str(caught.value)
    assert "mine" not in nm.extensions.registries()["plant"]
    assert "lab_bad" not in sys.modules
    assert VARIABLE not in os.environ
    write(path, LAB)  # mended, it works in the same program
    nm.use(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.py", r"no Python file nothing.py \(in .*give the path of one, or the name"),
        ("no_module.here", r"no module 'no_module.here' in this Python or in the working folder"),
        ("my-lab", r"no module 'my-lab'"),
        ("lab-two.py", r"lab-two.py must have a name that Python can import"),
        ("json.py", r"json.py has the name of another module, json \(.*\); rename it"),
        ("this.py", r"this.py has the name of another module, this \(.*this.py\); rename it"),
    ],
)
def test_what_is_no_module_is_said(name, message, tmp_path, monkeypatch):
    for file in ("lab-two.py", "json.py", "this.py"):
        write(tmp_path / file, LAB)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExtensionError, match=message):
        nm.use(name)


def test_a_module_is_loaded_once_and_told_to_processes_that_start_later(lab, monkeypatch):
    monkeypatch.chdir(lab.parent)
    nm.use("lab_one.py")
    nm.use(lab)
    nm.use("lab_one")  # by its other name
    assert nm.extensions.registries()["task"].sources["nudge"].use == "lab_one.py"
    assert os.environ[VARIABLE].split(os.pathsep) == [str(lab), "lab_one"]
    assert loading.used() == (str(lab), "lab_one")


def test_use_stands_anywhere_among_the_words():
    words = ["--use", "a.py", "train", "x", "--use=b", "--seed", "1", "--", "--use", "c"]
    names, others = _split(words)
    assert names == ["a.py", "b"]
    assert others == ["train", "x", "--seed", "1", "--", "--use", "c"]
    for bad in (["info", "--use"], ["--use", "--json"]):
        with pytest.raises(SettingsError, match="`--use` must name a file or a module"):
            _split(bad)


@pytest.mark.slow
def test_everything_that_a_run_leaves_says_what_it_needs(lab, tmp_path):
    """Trained with it; evaluated, resumed, and recorded with it and without."""
    folder, use = lab.parent, ("--use", "lab_one.py")
    done = neuromotor(*use, "train", "nudge", *QUICK, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "run/settings.json").read_text())["needs"] == [
        {"use": "lab_one.py"}
    ]
    controller = "run/controllers/lbfgs.safetensors"
    need = "It needs `lab_one`: pass `--use lab_one.py`, set NEUROMOTOR_USE=lab_one.py"
    said = failing("evaluate", controller, cwd=folder)
    assert f"{controller} is whole, but needs a part" in said
    assert "unknown task 'nudge'" in said
    assert need in said
    assert need in failing("train", "--resume", "run", "--budget", "5", cwd=folder)
    assert need in failing("record", controller, cwd=folder)
    both = together(
        ["neuromotor", "train", "--resume", "run", "--budget", "5", "--no-figures"],
        ["neuromotor", "evaluate", controller, "--json"],
        ["neuromotor", "record", controller, "--out", "a.nc"],
        variables=[{VARIABLE: "lab_one.py"}] * 3,
        cwd=folder,
    )
    assert [done.returncode for done in both] == [0, 0, 0], both
    assert json.loads(both[1].stdout)["task"]["type"] == "nudge"
    recording = load_recording(folder / "a.nc")
    with pytest.raises(RecordingError, match=r"unknown task 'nudge'\).*needs `lab_one`"):
        recorded_run(recording)
    nm.use(lab)
    assert recorded_run(recording)[0].radius_m == 0.01
    assert "lab_one" in neuromotor("info", *use, cwd=folder).stdout


def test_toml_may_name_modules_and_the_files_of_runs_may_not(lab, tmp_path):
    """What lies beside a TOML file is found from anywhere; JSON never loads anything."""
    config = write(tmp_path / "a.toml", 'use = ["lab_one.py"]\ntask = "nudge"\n')
    (tmp_path / "elsewhere").mkdir()
    words = ("train", "nudge", "--config", config, *QUICK, "--out", tmp_path / "run")
    done = neuromotor(*words, cwd=tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    settings = json.loads((tmp_path / "run/settings.json").read_text())
    other = tmp_path / "b.json"
    other.write_text(json.dumps({**settings, "use": [str(lab)]}))
    said = failing("train", "nudge", "--config", other, "--out", "c", cwd=tmp_path)
    assert "It needs `lab_one`" in said
    wrong = write(tmp_path / "c.toml", 'use = "lab_one.py"\n')
    said = failing("train", "nudge", "--config", wrong, cwd=tmp_path)
    assert "must be a list of files and modules, as" in said
    assert "unknown setting `use`" in failing("train", "ddn", "--set", "use=3", cwd=tmp_path)


def test_what_the_environment_names_must_work(tmp_path):
    said = failing("info", cwd=tmp_path, **{VARIABLE: "nothing.py"})
    assert "in NEUROMOTOR_USE: there is no Python file nothing.py" in said


@pytest.mark.slow
def test_a_sweep_names_its_modules_in_its_file(lab, tmp_path):
    write(
        tmp_path / "s.toml",
        """
        use = ["lab_one.py"]
        seeds = 2
        out = "swept"
        [train]
        task = "nudge"
        budget = 3
        "controller.layers" = [4]
        """,
    )
    for _ in range(2):  # repeated, it finds all of it finished
        done = neuromotor("sweep", "s.toml", "--jobs", "1", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 finished" in done.stdout


PROGRAM = """
import gymnasium

import neuromotor as nm

nm.use("lab_one.py")


if __name__ == "__main__":
    for context in ("spawn", "forkserver"):
        workers = gymnasium.make_vec(
            "neuromotor/Nudge-v0",
            num_envs=2,
            vectorization_mode="async",
            vector_kwargs={"context": context},
        )
        assert workers.reset(seed=0)[0].shape == (2, 8)
        workers.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "variable"),
    [
        (["program.py"], ""),  # whose workers start as new processes
        (["lab_one.py"], "lab_one.py"),  # the module is the program itself
        (["-c", "import lab_one"], "lab_one"),  # it is what imports neuromotor
    ],
)
def test_programs_of_ones_own(words, variable, lab, tmp_path):
    write(tmp_path / "program.py", PROGRAM)
    root = str(Path(nm.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "error", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root, VARIABLE: variable},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_what_a_program_cannot_load_is_a_warning(tmp_path):
    words = [sys.executable, "-c", "import neuromotor; print(len(neuromotor.tasks.TASKS))"]
    variables = {"PYTHONPATH": str(Path(nm.__file__).parents[1]), VARIABLE: "nothing.py"}
    environment = {**os.environ, **variables}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == f"{len(nm.tasks.TASKS)}\n"
    assert "UserWarning: in NEUROMOTOR_USE: there is no Python file nothing.py" in done.stderr


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (None, ""),
        ("[{", ""),
        ([1, {"use": 3}, {"use": "a\x1b[2J"}], ""),
        ([{"use": "lab.py", "version": "2"}], "It needs `lab` 2: pass `--use lab.py`"),
        ('[{"use": "a.b", "package": "a-lab"}]', "It needs the package `a-lab`: install it"),
        ([{"use": "__main__"}], "It needs what the program that saved it registered."),
    ],
)
def test_what_a_file_says_that_it_needs(needs, words):
    said = lacking(needs)
    assert said.startswith(words)
    assert bool(said) == bool(words)


def test_a_package_may_announce_a_function(tmp_path, monkeypatch):
    bring = "def bring():\n    nm.register('cart', nm.PointMass(mass=7.0))\n"
    (tmp_path / "lab_function.py").write_text(f"import neuromotor as nm\n\n{bring}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(loading, "_packages", set())
    point = EntryPoint("lab", "lab_function:bring", loading.GROUP)
    loading._load_package(point)
    loading._load_package(point)  # once is enough
    plants = nm.extensions.registries()["plant"]
    assert plants["cart"] == nm.PointMass(mass=7.0)
    assert plants.sources["cart"].use == "lab_function"
