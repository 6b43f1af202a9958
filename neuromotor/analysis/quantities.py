"""Arrays from elsewhere, with their units, masks, axes and times, for recordings.

Nothing is guessed. Other units are converted. Unknown units are refused by name, as are values that
a rectangular array of real numbers cannot hold: complex values, text, trials of unequal lengths.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = [
    "ABSOLUTE",
    "Given",
    "agree",
    "conversion",
    "given",
    "labels_of",
    "missing_labels",
    "unlabelled",
]

ABSOLUTE = " since "  # in a unit such as `ms since 2024-05-01`: a moment, not a duration
_KG, _M, _S, _RAD = np.eye(4, dtype=int)
_SYMBOLS: dict[str, tuple[float, Any]] = {  # factor to kg, m, s, rad; exponents of these
    "m": (1.0, _M),
    "g": (1e-3, _KG),
    "s": (1.0, _S),
    "N": (1.0, _KG + _M - 2 * _S),
    "J": (1.0, _KG + 2 * _M - 2 * _S),
    "Hz": (1.0, -_S),
    "rad": (1.0, _RAD),
    "Nm": (1.0, _KG + 2 * _M - 2 * _S),
    "sec": (1.0, _S),
}
_WORDS: dict[str, tuple[float, Any]] = {
    "meter": _SYMBOLS["m"],
    "metre": _SYMBOLS["m"],
    "gram": _SYMBOLS["g"],
    "second": _SYMBOLS["s"],
    "newton": _SYMBOLS["N"],
    "joule": _SYMBOLS["J"],
    "hertz": _SYMBOLS["Hz"],
    "radian": _SYMBOLS["rad"],
    "sec": _SYMBOLS["s"],
    "deg": (math.pi / 180, _RAD),
    "degree": (math.pi / 180, _RAD),
    "min": (60.0, _S),
    "minute": (60.0, _S),
    "h": (3600.0, _S),
    "hour": (3600.0, _S),
    "day": (86400.0, _S),
    "spike": (1.0, 0 * _S),
    "spk": (1.0, 0 * _S),
    "imp": (1.0, 0 * _S),
}
_PREFIXES = {"k": 1e3, "d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "n": 1e-9, "M": 1e6}
_LONG_PREFIXES = {
    "kilo": 1e3,
    "deci": 1e-1,
    "centi": 1e-2,
    "milli": 1e-3,
    "micro": 1e-6,
    "nano": 1e-9,
    "mega": 1e6,
}
_NONE = {"", "1", "none", "n.a.", "na", "dimensionless", "unitless"}
_TOKEN = re.compile(r"([A-Za-z]+)(?:\^?([+-]?\d+))?")
_SPELLING = {"µ": "u", "μ": "u", "°": "deg", "⁻": "-", "¹": "1", "²": "2", "**": "^"}
_SPELLING |= {sign: " " for sign in ("·", "*", "\u00d7", "⋅", "(", ")")}


def conversion(unit: str, into: str) -> float | None:
    """Return what a value in one unit is multiplied by to be in another, None where it cannot be.

    Args:
        unit: Unit as people write it: `mm`, `cm/s`, `m s-1`, `degrees`, `mN m`, `kilohertz`.
        into: The other unit.

    Raises:
        ValueError: A unit is unknown.

    Example:
        >>> conversion("cm/s", "m/s")
        0.01
        >>> conversion("cm", "s") is None
        True
    """
    (factor, dimension), (other, wanted) = _read(unit), _read(into)
    return factor / other if np.array_equal(dimension, wanted) else None


def _read(unit: str) -> tuple[float, NDArray[np.int64]]:
    """Return the factor to SI and the exponents of kg, m, s, rad."""
    text = unit.strip()
    for sign, plain in _SPELLING.items():
        text = text.replace(sign, plain)
    if text.strip().lower() in _NONE:
        return 1.0, 0 * _S
    text = re.sub(r"\bper\b", "/", text)
    text = re.sub(r"(?<=[A-Za-z])[.-](?=[A-Za-z])", " ", text)  # N-m, m.s-1
    start = re.match(r"\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?![A-Za-z\d])", text)
    factor, dimension = (float(start[1]), 0 * _S) if start else (1.0, 0 * _S)
    for place, part in enumerate(text[start.end() if start else 0 :].split("/")):
        words = part.split()
        if not words and place:
            raise ValueError(f"unknown unit {unit!r}")
        for word in words:
            match = _TOKEN.fullmatch(word)
            known = _known(match[1]) if match else None
            if match is None or known is None:
                raise ValueError(f"unknown unit {unit!r}")
            power = int(match[2] or 1) * (-1 if place else 1)
            factor *= known[0] ** power
            dimension = dimension + power * known[1]
    return factor, dimension


def _known(word: str) -> tuple[float, Any] | None:
    """Return factor and exponents of one unit, a symbol or word, with or without a prefix."""
    if word in _SYMBOLS:
        return _SYMBOLS[word]
    low = word.lower()
    for name in (low, low.removesuffix("s"), low.removesuffix("es")):
        if name in _WORDS and (name != "h" or word == "h"):
            return _WORDS[name]
        for prefix, size in _LONG_PREFIXES.items():
            if name.startswith(prefix) and name[len(prefix) :] in _WORDS:
                factor, dimension = _WORDS[name[len(prefix) :]]
                return size * factor, dimension
    if word[:1] in _PREFIXES and word[1:] in _SYMBOLS:
        factor, dimension = _SYMBOLS[word[1:]]
        return _PREFIXES[word[0]] * factor, dimension
    return None


class Given(NamedTuple):
    """The content of an array that somebody gave.

    Attributes:
        values: Plain numbers; NaN where they were masked. Moments (datetime64) stay moments.
        unit: Unit that it came with, or None.
        dims: Names of its axes, or None.
        labels: Labels along its axes, by axis.
    """

    values: NDArray[Any]
    unit: str | None
    dims: tuple[str, ...] | None
    labels: dict[str, NDArray[Any]]


def given(name: str, values: Any) -> Given:
    """Return what an array, or anything like one, holds: with its unit, mask, axes and types.

    Args:
        name: Name for messages.
        values: Lists, numpy, torch, pandas or xarray, quantities of astropy, pint or quantities,
            masked arrays, durations, moments.

    Raises:
        ValueError: It is no array of real numbers, durations or moments.
    """
    import xarray as xr

    if isinstance(values, xr.Variable | xr.DataArray):
        inner = given(name, values.data)
        unit = inner.unit if values.attrs.get("units") is None else str(values.attrs["units"])
        coords = getattr(values, "coords", {})
        index = {str(d): coords[d].values for d in values.dims if d in coords}
        return Given(inner.values, unit, tuple(map(str, values.dims)), index)
    if isinstance(values, torch.Tensor):
        if values.is_complex():
            raise ValueError(_wrong(name, "complex numbers"))
        plain = values.detach().cpu()
        whole = plain.float() if plain.dtype in (torch.bfloat16, torch.float16) else plain
        return Given(_numbers(name, whole.numpy()), None, None, {})
    for number, unit in (("magnitude", "units"), ("value", "unit")):
        if hasattr(values, number) and hasattr(values, unit):
            inner = given(name, getattr(values, number))
            return inner._replace(unit=str(getattr(values, unit)))
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        special = [i for i, x in enumerate(values) if _carries_more(x)]
        if special:
            parts = [given(name, part) for part in values]
            units = {part.unit for part in parts}
            shapes = {part.values.shape for part in parts}
            if len(units) > 1 or len(shapes) > 1:
                what = f"parts of shapes {sorted(shapes)} in units {sorted(map(str, units))}"
                raise ValueError(_wrong(name, what))
            return Given(np.stack([part.values for part in parts]), parts[0].unit, None, {})
    try:
        array = values if isinstance(values, np.ndarray) else np.asarray(values)
    except ValueError as error:  # what numpy says of rows of unequal lengths
        what = (
            "rows of unequal lengths: cut trials of unequal length to the same times, for instance "
            "around an event"
        )
        raise ValueError(_wrong(name, what)) from error
    if array.dtype.kind == "m":
        seconds = array / np.timedelta64(1, "s")
        return Given(_numbers(name, seconds), "s", None, {})
    return Given(_numbers(name, array), None, None, {})


def _carries_more(part: Any) -> bool:
    """Return whether numpy would drop something when it stacks parts like this."""
    if isinstance(part, np.ma.MaskedArray | torch.Tensor):
        return True
    return any(hasattr(part, name) for name in ("units", "unit", "attrs")) and not isinstance(
        part, np.generic
    )


def _numbers(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return the array as real numbers or moments."""
    kind = array.dtype.kind
    if kind == "O":
        parts = list(array.ravel())
        if any(isinstance(x, complex | np.complexfloating) for x in parts):
            raise ValueError(_wrong(name, "complex numbers"))
        if any(isinstance(x, datetime.timedelta) for x in parts):
            try:
                durations = array.astype("timedelta64[ns]")
            except (TypeError, ValueError) as error:
                raise ValueError(_wrong(name, "durations among other values")) from error
            return np.asarray(durations / np.timedelta64(1, "s"))
        if any(isinstance(x, datetime.datetime) for x in parts):
            raise ValueError(_wrong(name, "Python datetimes; use numpy's datetime64"))
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(_wrong(name, f"values such as {parts[0]!r:.40}")) from error
        kind = "f"
    if kind == "c":
        raise ValueError(_wrong(name, "complex numbers"))
    if kind not in "fiubM":
        raise ValueError(_wrong(name, f"dtype {array.dtype}"))
    if isinstance(array, np.ma.MaskedArray):
        missing = np.ma.getmaskarray(array)
        plain = array.data if kind == "M" else array.data.astype(np.float64)
        return np.where(missing, np.datetime64("NaT") if kind == "M" else np.nan, plain)
    return np.asarray(array)


def _wrong(name: str, what: str) -> str:
    return f"`{name}` must hold real numbers in one rectangular array, got {what}."


def labels_of(name: str, values: Any) -> NDArray[Any]:
    """Return labels, numbers or text, of trials or units.

    Raises:
        ValueError: A label is missing (None, NaN, masked or an empty text), or is no label.
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    own = getattr(values, "values", None)  # of pandas and xarray
    plain = values if own is None or callable(own) else own
    masked = np.ma.getmaskarray(plain) if isinstance(plain, np.ma.MaskedArray) else None
    parts = plain if isinstance(plain, np.ndarray) else np.array(list(plain), dtype=object)
    missing = unlabelled(parts)
    if masked is not None and masked.shape == missing.shape:
        missing = missing | masked
    if missing.any():
        raise ValueError(missing_labels(name, missing))
    found = np.asarray(plain) if isinstance(plain, np.ndarray) else np.array(list(plain))
    if found.dtype.kind == "O":
        found = np.array(found.tolist())  # numbers, or text where some are text
    if found.dtype.kind == "S":
        return np.char.decode(found, "utf-8", "replace")
    if found.dtype.kind in "mM":  # files keep neither dates nor durations as labels
        return found.astype(str)
    if found.dtype.kind not in "iufbU":
        raise ValueError(f"`{name}` must hold numbers or text, got dtype {found.dtype}.")
    return found


def unlabelled(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which labels are none: None, NaN, NaT or an empty text."""
    if labels.dtype.kind in "iub":
        return np.zeros(labels.shape, dtype=bool)
    return np.array([_is_none(x) for x in labels.ravel().tolist()], dtype=bool).reshape(
        labels.shape
    )


def _is_none(label: Any) -> bool:
    """Return whether a label says nothing."""
    if label is None or (isinstance(label, str | bytes) and not label.strip()):
        return True
    try:
        return not bool(label == label)  # NaN and NaT
    except (TypeError, ValueError):  # pandas' NA is neither equal nor unequal
        return True


def missing_labels(name: str, missing: NDArray[np.bool_]) -> str:
    """Return a message that says which labels are missing."""
    first = int(np.flatnonzero(missing)[0])
    what = {"condition": "trial", "layer": "unit"}.get(name, "entry")
    return (
        f"`{name}` has no label for {int(missing.sum())} of {missing.size} {what}s (the first is "
        f"{what} {first}); give each its label, or leave those {what}s out."
    )


def agree(name: str, found: Mapping[str, NDArray[Any]], known: dict[str, NDArray[Any]]) -> None:
    """Raise unless the labels along an array's axes are those of the arrays before it."""
    for dim, index in found.items():
        if dim in known and not np.array_equal(known[dim], index):
            raise ValueError(
                f"`{name}` has other labels along `{dim}` than the arrays before it; bring all to "
                f"one order, as with `.reindex_like(...)`, or give plain arrays."
            )
        known.setdefault(dim, index)
