"""How many processes share the tests out, with how many threads; figures are closed after each."""

import os
import sys
from collections.abc import Iterator

import pytest

# Each process has a core of its own: threads of torch beside it would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one process a core for the whole suite, and none beside pytest's own for a part."""
    whole = config.args == config.getini("testpaths") and not config.option.keyword
    return min(os.cpu_count() or 1, 8) if whole else 0


@pytest.fixture(autouse=True)
def _figures_closed() -> Iterator[None]:
    """Close what a test has drawn: matplotlib warns of many open figures; warnings are errors."""
    yield
    drawn = sys.modules.get("matplotlib.pyplot")
    if drawn is not None:
        drawn.close("all")
