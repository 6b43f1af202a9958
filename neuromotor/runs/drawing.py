"""Drawing in programs: it needs no screen, looks the same everywhere, and never costs a result.

This module imports matplotlib only when it is asked to draw.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["draw_without_screen", "drawing"]


def draw_without_screen() -> None:
    """Give this program matplotlib's file backend and defaults, whatever a user's own settings say.

    A notebook sets `MPLBACKEND` for what it starts, to a name that matplotlib may not know there;
    a matplotlibrc may ask for LaTeX that is not installed.
    """
    os.environ["MPLBACKEND"] = "agg"  # read, and checked, when matplotlib is imported
    import matplotlib as mpl

    mpl.rcdefaults()
    mpl.use("agg")


@contextmanager
def drawing(warn: Callable[[str], object]) -> Iterator[None]:
    """Draw without a screen in the block; where that fails, warn by one line and go on.

    Args:
        warn: Told what went wrong.
    """
    try:
        draw_without_screen()
        yield
    except Exception as error:
        first = str(error).partition("\n")[0]
        warn(f"warning: no figures were drawn ({type(error).__name__}: {first}).")
