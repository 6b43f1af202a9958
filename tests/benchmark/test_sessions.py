"""A benchmark of sessions runs all its stages."""

import json

import pytest
from forked import neuromotor

pytest.importorskip("pynwb")
pytest.importorskip("sklearn")


@pytest.mark.slow  # four processes, each of which imports everything
def test_every_stage_is_measured():
    done = neuromotor("bench", "--sessions", "--smoke", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    stages = ["import", "import", "report", "jPCA", "write", "report"]
    assert [row["stage"].split()[0] for row in rows] == stages
    assert all(row["seconds"] > 0 for row in rows)
    assert all(row["peak_mb"] is None or row["peak_mb"] > 50 for row in rows)
