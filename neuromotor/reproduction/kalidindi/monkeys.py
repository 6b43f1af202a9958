"""The study's monkeys, analysed as the networks are, from a folder of its public recordings."""

from __future__ import annotations

from pathlib import Path

from neuromotor.analysis import Rotations, posture_rotations

__all__ = ["monkeys_of"]


def monkeys_of(folder: Path, surrogates: int) -> dict[str, Rotations]:
    """Return the rotations of each recording in a folder by name, as `motor cortex P`.

    Args:
        folder: See `neuromotor.analysis.posture_recordings`.
        surrogates: Surrogates of each null.
    """
    return posture_rotations(folder, surrogates=surrogates)
