"""Runs that several files of tests look at."""

import json

import pytest
from forked import neuromotor


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory):
    """One smoke comparison that several tests look at."""
    folder = tmp_path_factory.mktemp("runs") / "smoke"
    done = neuromotor("compare", "center-out", "--smoke", "--json", "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)
