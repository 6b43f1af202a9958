"""Sweeps: what a file asks for, how runs end, and that repeating goes on where it was."""

import csv
import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from forked import neuromotor

from neuromotor import SettingsError
from neuromotor.plants import PLANTS
from neuromotor.runs.settings import resolve
from neuromotor.storage.claims import RunFolderError
from neuromotor.sweep import (
    Local,
    Outcome,
    Slurm,
    columns,
    execute,
    load_sweep,
    prepare,
    rows,
    runs,
    state_of,
    write_results,
)

EXAMPLE = Path(__file__).parents[2] / "examples/sweep.toml"


def a_sweep(folder, text):
    file = folder / "sweep.toml"
    file.write_text(text)
    return load_sweep(file, folder / "out")


# One run that ends well, and one whose first loss is infinite.
REAL = """
[train]
budget = 6
held_out = 5
"task.directions" = 3
"controller.layers" = [6]
[grid]
"controller.initializer.output_gain" = [1.0, 1e300]
"""


class Heard:
    """A watcher that keeps what it is told."""

    def __init__(self):
        self.began, self.ends = [], {}

    def started(self, run):
        self.began.append(run.title)

    def ended(self, run, outcome):
        self.ends[run.title] = outcome


# ---- the file ----


def test_points_grid_and_seeds_are_multiplied(tmp_path):
    sweep = a_sweep(
        tmp_path,
        """
        seeds = [4, 9]
        [train]
        task = "center-out"
        budget = 7
        [grid]
        "task.delay" = ["20 ms", "50 ms"]
        "controller.layers" = [[8], [4, 4]]
        [[points]]
        "lbfgs.history" = 4
        [[points]]
        optimizer = "adam"
        """,
    )
    assert len(sweep.runs) == 2 * 2 * 2 * 2
    assert sweep.keys == (
        "lbfgs.history",
        "task.delay",
        "controller.layers",
        "optimizer",
        "seed",
    )
    first, last = sweep.runs[0], sweep.runs[-1]
    assert first.settings == {
        "task": {"type": "center-out", "delay": "20 ms"},
        "optimizers": "lbfgs",
        "budget": 7,
        "lbfgs": {"history": 4},
        "controller": {"layers": [8]},
        "seed": 4,
    }
    assert last.settings["optimizers"] == "adam"
    assert last.title == "optimizer=adam, task.delay=50 ms, controller.layers=[4,4], seed=9"
    assert resolve(last.settings).task.delay_steps == 5


def test_a_swept_plant_is_the_one_that_is_trained(tmp_path):
    sweep = a_sweep(
        tmp_path,
        """
        [train]
        task = {type = "center-out", plant = "monkey-published"}
        [grid]
        plant = ["monkey", "human"]
        """,
    )
    assert [resolve(run.settings).task.plant for run in sweep.runs] == [
        PLANTS["monkey"],
        PLANTS["human"],
    ]
    assert [run.title for run in sweep.runs] == ["plant=monkey, seed=0", "plant=human, seed=0"]


def test_a_run_keeps_its_name_when_others_are_added(tmp_path):
    few = a_sweep(tmp_path, "[grid]\nbudget = [5]")
    more = a_sweep(tmp_path, "seeds = 2\n[grid]\nbudget = [4, 5]")
    assert len({run.name for run in more.runs}) == 4
    assert few.runs[0].name in {run.name for run in more.runs}
    other = a_sweep(tmp_path, "[train]\nlbfgs.history = 3\n[grid]\nbudget = [5]")
    assert other.runs[0].name != few.runs[0].name
    assert all(
        set(run.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.=+-_") for run in few.runs
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 3", r"unknown key `seed` in .*did you mean 'seeds'"),
        ("[grd]\nbudget = [1]", r"unknown key `grd` .*did you mean 'grid'"),
        ("seeds = 0", r"`seeds` must be 1 or more, got 0"),
        ("seeds = []", r"`seeds` must be a number or a list"),
        ('seeds = "three"', r"`seeds` in .*, got 'three'"),
        ("points = 3", r"`points` in .*list.*, got 3"),
        ("[grid]\nbudget = 5", r"`grid.budget` must be a list of values, got 5"),
        ("[grid]\nbudget = []", r"`grid.budget` must be a list of values"),
        ("[grid]\nbudget = [5, 0]", r"in the run with budget=0, seed=0: `budget` must be"),
        ("[grid]\nseed = [1]", r"`seed` cannot be swept .* list it in `seeds`"),
        ("[grid]\nlbfgs.histroy = [1]", r"unknown setting `lbfgs.histroy`; did you mean 'history'"),
        ("[train]\nbudgett = 5", r"unknown setting `budgett`; did you mean 'budget'"),
        ("[train]\noptimizer = 'adam, lbfgs'", r"`optimizer` must be one name"),
        ("[train]\nseed = 'a'", r"`train.seed` must be a whole number"),
        ("[grid]\nbudget = [5, 5]", r"two runs of .* are the same: budget=5, seed=0"),
        ("x =", r"is not valid TOML"),
        (
            "[grid]\noptimizer = ['lbfgs', 'adam']\nlbfgs.history = [3, 5]",
            r"in the run with optimizer=adam, .* `lbfgs.history` changes nothing",
        ),
        ("[[points]]\nbudget = 5\n[grid]\nbudget = [6]", r"`budget` is both in `grid` and"),
        ("[grid]\nplant = ['human']\n'task.plant' = ['monkey']", r"the plant is given twice"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message):
        a_sweep(tmp_path, text)


def test_a_missing_file_and_a_foreign_folder_are_said(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        load_sweep(tmp_path / "none.toml")
    sweep = a_sweep(tmp_path, "[grid]\nbudget = [5]")
    sweep.out.mkdir()
    (sweep.out / "thesis.tex").touch()
    with pytest.raises(RunFolderError, match="no sweep's"):
        prepare(sweep)


def test_the_example_is_right():
    assert len(load_sweep(EXAMPLE).runs) == 18


# ---- how runs end, with a stand-in for `neuromotor train` ----

STAND_IN = """
import json, os, signal, sys, time
from pathlib import Path
settings, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
attempt = folder / "attempts"
attempt.write_text(attempt.read_text() + "x" if attempt.exists() else "x")
first = attempt.read_text() == "x"
seed = settings["seed"]
if seed == 1:
    print("long story", flush=True)
    print("error: the point of it", file=sys.stderr)
    sys.exit(2)
if seed == 2 and first:
    os.kill(os.getpid(), signal.SIGKILL)
if seed == 3 and first:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    (folder / "here").touch()
    time.sleep(60)
loss = 10.0 ** -settings["budget"] * (1 + seed)
row = {"method": "lbfgs", "loss": loss, "ratio": 1.5, "calls": 7}
rows = [{"method": "ilqr"}, row]
(folder / "summary.json").write_text(json.dumps({"interrupted": False, "rows": rows}))
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Runs by seed: 1 fails, 2 is killed the first time, 3 waits the first time, others finish."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)

    def command(out, run):
        settings, folder = out / "settings" / f"{run.name}.json", out / "runs" / run.name
        return [sys.executable, str(script), str(settings), str(folder)]

    monkeypatch.setattr(runs, "_command", command)


def attempts(sweep):
    folders = [sweep.out / "runs" / run.name / "attempts" for run in sweep.runs]
    return [len(path.read_text()) if path.exists() else 0 for path in folders]


def states(sweep):
    return [state_of(sweep.out, run).state for run in sweep.runs]


def test_a_sweep_goes_on_past_failures_and_repeats_only_what_is_unfinished(tmp_path, stand_in):
    sweep = a_sweep(tmp_path, "seeds = 3\n[grid]\nbudget = [5]")
    assert states(sweep) == ["waiting"] * 3
    assert not sweep.out.exists()  # a question changes nothing
    prepare(sweep)
    heard = Heard()
    Local(jobs=2).launch(sweep.out, sweep.runs, heard)
    assert states(sweep) == ["finished", "failed", "killed"]
    assert heard.ends["budget=5, seed=1"] == Outcome("failed", "error: the point of it")
    assert heard.ends["budget=5, seed=2"] == Outcome("killed", "by SIGKILL")
    heard = Heard()
    Local(jobs=2).launch(sweep.out, sweep.runs, heard)
    assert states(sweep) == ["finished", "failed", "finished"]
    assert attempts(sweep) == [1, 2, 2]
    log = (sweep.out / "logs" / f"{sweep.runs[1].name}.log").read_text()
    assert log.count("long story") == 2


def test_ctrl_c_stops_runs_and_repeating_goes_on(tmp_path, stand_in, request):
    sweep = a_sweep(tmp_path, "seeds = [3, 0]\n[grid]\nbudget = [5]")
    prepare(sweep)
    here = sweep.out / "runs" / sweep.runs[0].name / "here"

    def interrupt():
        while not here.exists():
            threading.Event().wait(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    # Python ignores Ctrl-C where the shell that started it does.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        Local(jobs=1).launch(sweep.out, sweep.runs, Heard())
    assert states(sweep) == ["interrupted", "waiting"]
    Local(jobs=1).launch(sweep.out, sweep.runs, Heard())
    assert states(sweep) == ["finished", "finished"]


def test_what_another_process_works_on_is_left_alone(tmp_path, stand_in):
    """The run of a sweep that was killed lives on and holds its lock."""
    sweep = a_sweep(tmp_path, "seeds = [3]\n[grid]\nbudget = [5]")
    prepare(sweep)
    run = sweep.runs[0]
    started = threading.Event()
    process = []

    def note(child):
        process.append(child)
        started.set()

    first = threading.Thread(target=execute, args=(sweep.out, run, note))
    first.start()
    started.wait(30)
    assert states(sweep) == ["running"]
    assert execute(sweep.out, run) == Outcome("running")
    process[0].kill()
    first.join(30)
    assert states(sweep) == ["killed"]


def test_the_table_has_settings_results_and_units(tmp_path, stand_in):
    text = """
    seeds = [0, 1, 4]
    [train]
    "task.directions" = 4
    [grid]
    budget = [3, 4]
    "task.radius_m" = [0.05, 0.1]
    """
    sweep = a_sweep(tmp_path, text)
    prepare(sweep)
    Local(jobs=2).launch(sweep.out, sweep.runs, Heard())
    table = rows(sweep)
    assert [row["loss"] for row in table[:3]] == [1e-3, None, 5e-3]
    paths = write_results(sweep)
    with paths[0].open(newline="") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == columns(sweep)
    assert [row["seed"] for row in read] == ["0", "1", "4"] * 4
    assert read[0]["task.radius_m"] == "0.05"
    assert read[0]["task.directions"] == "4"
    assert float(read[0]["loss"]) == 1e-3
    assert (read[1]["state"], read[1]["error"]) == ("failed", "error: the point of it")
    assert {path.name for path in paths} >= {"results.csv", "loss.png", "loss.pdf"}

    from neuromotor.sweep.figure import plot_sweep

    figure = plot_sweep(sweep, table)
    left, right = figure.axes
    assert (left.get_xlabel(), right.get_xlabel()) == ("budget (calls)", "task.radius (m)")
    assert left.get_ylabel() == "mean loss"
    assert left.get_title() == "median and range over 2 seeds"
    line = left.containers[0].lines[0]
    assert line.get_xdata().tolist() == [3, 4]
    assert line.get_ydata() == pytest.approx([3e-3, 3e-4])  # between seeds 0 and 4


def test_the_table_is_written_as_parquet_where_that_is_possible(tmp_path, stand_in):
    parquet = pytest.importorskip("pyarrow.parquet")
    text = 'seeds = [0, 1]\n[train]\nbudget = 3\n[grid]\n"controller.layers" = [[5], [5, 5]]'
    sweep = a_sweep(tmp_path, text)
    prepare(sweep)
    Local(jobs=2).launch(sweep.out, sweep.runs, Heard())
    write_results(sweep)
    table = parquet.read_table(sweep.out / "results.parquet").to_pylist()
    assert [row["state"] for row in table] == ["finished", "failed"] * 2
    assert [row["controller.layers"] for row in table] == ["[5]", "[5]", "[5, 5]", "[5, 5]"]


# ---- Slurm ----


@pytest.mark.slow
def test_jobs_are_handed_to_submitit(tmp_path):
    """By its `local` executor: what a job does is the same in a queue."""
    pytest.importorskip("submitit")
    sweep = a_sweep(tmp_path, REAL)
    prepare(sweep)
    heard = Heard()
    Slurm({"timeout_min": 5}, cluster="local", poll_s=0.1).launch(sweep.out, sweep.runs, heard)
    assert [heard.ends[run.title].state for run in sweep.runs] == ["finished", "failed"]
    assert states(sweep) == ["finished", "failed"]


def test_an_unknown_parameter_of_a_job_is_said(tmp_path, stand_in):
    pytest.importorskip("submitit")
    sweep = a_sweep(tmp_path, "[slurm]\ntimeout = 5")
    prepare(sweep)
    with pytest.raises(ValueError, match=r"in `slurm`: .*timeout"):
        Slurm(sweep.slurm, cluster="debug").launch(sweep.out, sweep.runs, Heard())


def test_slurm_without_submitit_or_slurm_is_said(tmp_path, monkeypatch):
    sweep = a_sweep(tmp_path, "[grid]\nbudget = [5]")
    prepare(sweep)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(RuntimeError, match=r"pip install -c constraints.txt -e '\.\[slurm\]'"):
        Slurm().launch(sweep.out, sweep.runs, Heard())


# ---- the real command ----


@pytest.mark.slow
def test_the_command_runs_marks_resumes_and_gathers(tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(REAL)

    def repeated():
        done = neuromotor("sweep", file, "--out", tmp_path / "o", "--json")
        assert done.returncode == 1, done.stderr
        return json.loads(done.stdout)["rows"]

    fine, wrong = repeated()
    assert (fine["state"], wrong["state"]) == ("finished", "failed")
    assert wrong["error"].startswith("error:")
    assert fine["ratio"] > 1
    (Path(fine["run"]) / "summary.json").unlink()  # as if killed just before the end
    again = repeated()[0]
    assert (again["loss"], again["calls"]) == (fine["loss"], fine["calls"])
    log = (tmp_path / "o/logs" / f"{Path(fine['run']).name}.log").read_text()
    assert log.count("budget of 6 calls used") == 2
    assert list((tmp_path / "o/runs").rglob("checkpoints/lbfgs.safetensors"))
