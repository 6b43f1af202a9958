"""How long a row of tasks will still take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

__all__ = ["Clock", "Tell"]

_TRUST_S = 2.0  # counted as if it had gone as expected, since the first tasks say little

Tell = Callable[[str, float, float], object]  # words, share that is done, seconds left


class Clock:
    """Tells how far a row of tasks is, and how long the rest takes at the speed of those done.

    Args:
        expected_s: Seconds that each task takes on an idle machine.
    """

    def __init__(self, expected_s: Sequence[float]) -> None:
        self._expected_s = expected_s
        self._begun = time.monotonic()

    def at(self, done: int) -> tuple[float, float]:
        """Return the share that is done, and about how many seconds are left."""
        before, left = sum(self._expected_s[:done]), sum(self._expected_s[done:])
        spent = time.monotonic() - self._begun
        return before / (before + left), left * (_TRUST_S + spent) / (_TRUST_S + before)
