"""Whether loops can be compiled on this machine, and where they are kept."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["announce", "availability", "cache_folder", "heard"]

_listeners: list[Callable[[str], None]] = []


@contextmanager
def heard(listener: Callable[[str], None]) -> Iterator[None]:
    """Tell `listener` in words what is compiled while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def announce(words: str) -> None:
    """Tell those who listen."""
    for listener in _listeners:
        listener(words)


@cache
def availability() -> str | None:
    """Return why loops cannot be compiled here, in words, or None where they can be."""
    if os.environ.get("NEUROMOTOR_COMPILED", "1") == "0":
        return "NEUROMOTOR_COMPILED is 0"
    if importlib.util.find_spec("numba") is None:
        return "numba is not installed; `pip install numba` makes training several times faster"
    try:
        import numba  # noqa: F401 -- a broken installation shows itself here
    except Exception as error:
        return f"numba does not start ({type(error).__name__}: {error})"
    return None


@cache
def cache_folder() -> Path:
    """Return the folder that keeps compiled loops between programs.

    It is `NEUROMOTOR_CACHE` where that is set, else the user's own cache folder, else, where that
    cannot be written, a folder of this program alone.
    """
    wanted = os.environ.get("NEUROMOTOR_CACHE")
    folder = Path(wanted) if wanted else user_cache_path("neuromotor", appauthor=False)
    try:
        (folder / "loops").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder / "loops"):
            pass
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="neuromotor-"))
    return folder / "loops"
