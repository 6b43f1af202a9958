"""Names of settings and numbers in words, with the unit that their last letters stand for."""

from __future__ import annotations

__all__ = ["with_unit"]

_UNITS = {  # by the end of a name, longer ends first
    "_s_per_bit": "s/bit",
    "_cm_s": "cm/s",
    "_m_s": "m/s",
    "_1_s": "1/s",
    "_percent": "%",
    "_bits": "bits",
    "_m2": "m²",
    "_nm": "N m",
    "_rad": "rad",
    "_deg": "deg",
    "_ms": "ms",
    "_cm": "cm",
    "_hz": "Hz",
    "_s": "s",
    "_m": "m",
    "_n": "N",
}


def with_unit(name: str) -> str:
    """Return a name with its unit in brackets, where it ends in one.

    Example:
        >>> with_unit("peak_speed_m_s"), with_unit("task.radius_m"), with_unit("budget")
        ('peak_speed (m/s)', 'task.radius (m)', 'budget')
    """
    for end, unit in _UNITS.items():
        if name.endswith(end) and name != end:
            return f"{name.removesuffix(end)} ({unit})"
    return name
