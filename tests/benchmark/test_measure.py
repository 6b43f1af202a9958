"""The benchmark measures what it says; how long anything takes is no test."""

import json

import pytest
from forked import neuromotor

from neuromotor.benchmark import BenchmarkSettings, run_benchmark


@pytest.mark.slow
def test_smoke_bench_prints_the_promised_json():
    done = neuromotor("bench", "--smoke", "--no-peers", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["machine"]["cores"] >= 1
    keys = {"operation", "implementation", "batch", "steps", "dtype", "threads", "ms"}
    assert all(set(row) == keys and row["ms"] > 0 for row in report["rows"])
    measured = {(row["operation"], row["implementation"]) for row in report["rows"]}
    assert measured == {
        (operation, implementation)
        for operation in ("value", "gradient", "gauss_newton")
        for implementation in ("products", "autograd", "fast", "gated")
    }


def test_autograd_is_not_timed_under_the_name_of_compiled_loops(monkeypatch):
    monkeypatch.setenv("NEUROMOTOR_COMPILED", "0")  # as on a machine without numba
    tiny = {"sizes": ((4, 3),), "dtypes": ("float64",), "threads": (1,), "repeats": 1}
    rows = run_benchmark(BenchmarkSettings(**tiny, peers=False))
    assert {row.implementation for row in rows} == {"products", "autograd"}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--sizes", "64", "BATCHxSTEPS"),
        ("--dtypes", "float16", "`dtypes` must be among"),
        ("--threads", "0", "`threads` must be"),
        ("--threads", "two", "in the options of `bench`"),
    ],
)
def test_bad_options_get_one_clear_line(option, value, message):
    done = neuromotor("bench", option, value)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_are_checked():
    with pytest.raises(ValueError, match="`repeats` must be"):
        BenchmarkSettings(repeats=0)
