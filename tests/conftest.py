"""How many processes share the tests out, and with how many threads each of them computes."""

import os

import pytest

# Each process has a core of its own: threads of torch beside it would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one process a core for the whole suite, and none beside pytest's own for a part."""
    whole = config.args == config.getini("testpaths") and not config.option.keyword
    return min(os.cpu_count() or 1, 8) if whole else 0
