"""Whatever settings are written, no traceback reaches the user: one line and a documented code."""

import json
import math
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from neuromotor.cli import main, training
from neuromotor.controllers import CONTROLLERS
from neuromotor.optim import OPTIMIZERS
from neuromotor.plants import PLANTS
from neuromotor.runs.settings import resolve
from neuromotor.tasks import TASKS

QUICK = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LONG = settings(QUICK, max_examples=1500, derandomize=False)
NAMES = [*TASKS, *PLANTS, *CONTROLLERS, *OPTIMIZERS]


def keys_of(table, prefix=""):
    for key, value in table.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from keys_of(value, f"{prefix}{key}.")


KEYS = sorted(
    {
        key
        for task in TASKS
        for key in keys_of(resolve({"task": task, "optimizers": "all"}).as_dict())
    }
    | {"plant", "plant.dt_s", "plant.parameters.mass_1", "refresh.lbfgs"}
)
# Sizes stay small or beyond any memory: what lies between would really be made.
integers = st.integers(-3, 40) | st.sampled_from([10**13, -(10**13), 2**63, 10**400])
scalars = (
    integers
    | st.floats()
    | st.booleans()
    | st.none()
    | st.text(max_size=8)
    | st.sampled_from([*NAMES, "", "nan", "[/red]", "1979-05-27", "07:32:00", "\ud800", "a=b"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "x", "plant", "layers", "dt_s"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)
keys = st.sampled_from(KEYS) | st.text(max_size=6)
tasks = st.sampled_from(list(TASKS))


def run(*arguments):
    """Run the command here; return its exit code and what it said on stderr."""
    err, argv = StringIO(), sys.argv
    sys.argv = ["neuromotor", *arguments]
    try:
        with redirect_stderr(err), redirect_stdout(StringIO()), pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = argv
    return end.value.code, err.getvalue()


def assert_civil(code, said):
    assert "Traceback" not in said
    assert code in (0, 1, 2), said
    if code:
        assert len(said) > 10


@pytest.fixture
def validated(monkeypatch):
    """Everything but the run itself."""

    def end(*arguments, **options):
        raise SystemExit(0)

    monkeypatch.setattr(training, "run_comparison", end)
    monkeypatch.setattr(training, "run_seeds", end)


def written(value):
    """A value as TOML, as near as it gets."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, repr(value))
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {written(v)}" for k, v in value.items()) + "}"
    return json.dumps(value) if isinstance(value, str) else str(value)


def check_set(task, pairs):
    words = [part for key, value in pairs for part in ("--set", f"{key}={written(value)}")]
    assert_civil(*run("compare", task, *words))


def check_toml(folder, task, pairs, raw):
    text = "".join(f"{key} = {written(value)}\n" for key, value in pairs) + raw
    path = folder / "run.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert_civil(*run("train", task, "--config", str(path)))


def check_json(folder, task, table):
    path = folder / "settings.json"
    path.write_text(json.dumps(table))
    assert_civil(*run("compare", task, "--config", str(path)))
    (folder / "run").mkdir(exist_ok=True)
    (folder / "run/settings.json").write_text(json.dumps({"task": task, **table}))
    assert_civil(*run("compare", task, "--resume", str(folder / "run")))


pairs = st.lists(st.tuples(keys, values), min_size=1, max_size=4)
tables = st.dictionaries(
    st.sampled_from(["task", "plant", "controller", "optimizers", "ilqr", "lbfgs", *KEYS]),
    values,
    max_size=4,
)


@pytest.mark.slow
@QUICK
@given(task=tasks, pairs=pairs)
@example(task="center-out", pairs=[("task.steps", 10**13)])
@example(
    task="center-out",
    pairs=[("controller", {"type": "command-table"}), ("task.directions", 10**13)],
)
def test_assignments(validated, task, pairs):
    check_set(task, pairs)


@QUICK
@given(task=tasks, pairs=pairs, raw=st.text(max_size=20))
@example(task="center-out", pairs=[], raw="x = " + "[" * 10_000)
def test_toml_files(validated, tmp_path, task, pairs, raw):
    check_toml(tmp_path, task, pairs, raw)


@pytest.mark.slow
@QUICK
@given(task=tasks, table=tables)
def test_json_files(validated, tmp_path, task, table):
    check_json(tmp_path, task, table)


@pytest.mark.slow
@LONG
@given(task=tasks, pairs=pairs)
def test_many_assignments(validated, task, pairs):
    check_set(task, pairs)


@pytest.mark.slow
@LONG
@given(task=tasks, pairs=pairs, raw=st.text(max_size=20))
def test_many_toml_files(validated, tmp_path, task, pairs, raw):
    check_toml(tmp_path, task, pairs, raw)


@pytest.mark.slow
@LONG
@given(task=tasks, table=tables)
def test_many_json_files(validated, tmp_path, task, table):
    check_json(tmp_path, task, table)
