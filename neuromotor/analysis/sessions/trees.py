"""MATLAB and numpy files as plain structures: dictionaries, lists, arrays and text.

MATLAB files up to version 7 are read by scipy, those of version 7.3 (HDF5) by h5py. Structures
become dictionaries, struct arrays and cells lists, and axes of length one go. numpy files are read
without pickles.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import did_you_mean
from neuromotor._extras import require
from neuromotor.analysis.layout import RecordingError

__all__ = ["at", "number_at", "numbers_at", "read_tree"]

_DEEPEST = 32
_HDF5 = b"\x89HDF"


def read_tree(path: Path) -> dict[str, Any]:
    """Return everything that a `.mat` or `.npz` file holds.

    Raises:
        RecordingError: It is damaged, or holds pickles.
        RuntimeError: h5py is not installed and the file is MATLAB 7.3.
    """
    if not path.is_file():
        raise RecordingError(f"{path} is not a file; give the path of a .mat or .npz file.")
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: _numpy(path, file, name) for name in file.files}
        with path.open("rb") as file:
            start = file.read(600)
        if _HDF5 in start:  # a MATLAB 7.3 file begins with 512 bytes of text
            h5py = require("h5py", "lab")
            with h5py.File(path, "r") as file:
                return {key: _hdf5(h5py, file, item, 0) for key, item in _items(file)}
        from scipy.io import loadmat

        found = loadmat(str(path), simplify_cells=True)
        return {key: _matlab(value) for key, value in found.items() if not key.startswith("__")}
    except (RecordingError, RuntimeError):
        raise
    except (OSError, ValueError, TypeError, LookupError, EOFError, zipfile.BadZipFile) as error:
        what = " ".join(str(error).split())[:200]
        raise RecordingError(f"{path} cannot be read ({what}); it may be damaged.") from error
    except NotImplementedError as error:
        raise RecordingError(f"{path} is a MATLAB file of a kind that is not known.") from error


def _numpy(path: Path, file: Any, name: str) -> Any:
    """Return one array of a numpy file."""
    try:
        return file[name]
    except ValueError as error:
        if "pickle" in str(error):
            raise RecordingError(
                f"{path}: {name!r} holds Python objects, which only a pickle could bring; pickles "
                "are never loaded. Save plain arrays: spike times as one array and the unit of "
                "each as another."
            ) from error
        raise


def _matlab(value: Any) -> Any:
    """Return what scipy read, with cells and struct arrays as lists."""
    if isinstance(value, dict):
        return {key: _matlab(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_matlab(item) for item in value]
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return [_matlab(item) for item in value.ravel()]
    return value


def _items(group: Any) -> list[tuple[str, Any]]:
    return [(key, item) for key, item in group.items() if not key.startswith("#")]


def _hdf5(h5py: Any, file: Any, item: Any, depth: int) -> Any:
    """Return one variable of a MATLAB 7.3 file."""
    if depth > _DEEPEST:
        raise RecordingError(f"the file's structures are more than {_DEEPEST} deep.")
    if isinstance(item, h5py.Group):
        found = {key: _hdf5(h5py, file, part, depth + 1) for key, part in _items(item)}
        parts = [part for _, part in _items(item)]
        if parts and all(isinstance(p, h5py.Dataset) and _of_structs(h5py, p) for p in parts):
            count = {len(x) for x in found.values()}
            if len(count) == 1:  # a struct array: each field holds one reference an entry
                return [{key: x[i] for key, x in found.items()} for i in range(count.pop())]
        return found
    kind = item.attrs.get("MATLAB_class", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if item.attrs.get("MATLAB_empty", 0):
        return "" if kind == "char" else [] if kind == "cell" else np.zeros(0)
    if h5py.check_ref_dtype(item.dtype) is not None:
        references = item[()].T.ravel()
        return [_hdf5(h5py, file, file[reference], depth + 1) for reference in references]
    values = item[()]
    if kind == "char":
        return "".join(chr(code) for code in np.asarray(values).T.ravel())
    array = np.asarray(values).T.squeeze()
    if kind == "logical":
        array = array.astype(bool)
    return array[()] if array.ndim == 0 else array


def _of_structs(h5py: Any, item: Any) -> bool:
    """Return whether a dataset is a field of a struct array."""
    return h5py.check_ref_dtype(item.dtype) is not None and "MATLAB_class" not in item.attrs


def at(tree: Any, path: str, option: str) -> Any:
    """Return what stands at a path with dots, through structures and lists of them.

    Raises:
        RecordingError: Nothing stands there; the message says what does.

    Example:
        >>> at({"unit": [{"t": 1}, {"t": 2}]}, "unit.t", "spikes")
        [1, 2]
    """
    here = tree
    for part in path.split("."):
        if isinstance(here, list) and here and all(isinstance(x, dict) for x in here):
            here = [at(x, part, option) for x in here]
        elif isinstance(here, dict) and part in here:
            here = here[part]
        else:
            known = did_you_mean(part, here) if isinstance(here, dict) and here else "it has none"
            raise RecordingError(f"`{option}` names {path!r}, but there is no {part!r}; {known}.")
    return here


def numbers_at(tree: Any, path: str, option: str) -> NDArray[np.float64]:
    """Return the numbers that stand at a path, in one row.

    Raises:
        RecordingError: Nothing stands there, or something else than numbers.
    """
    value = at(tree, path, option)
    try:
        return np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        what = "text" if isinstance(value, str) else f"a {type(value).__name__}"
        raise RecordingError(
            f"`{option}` names {path!r}, which is no array of numbers, but {what}."
        ) from error


def number_at(tree: Any, path: str, option: str) -> float:
    """Return the one number that stands at a path.

    Raises:
        RecordingError: Nothing stands there, or something else than one number.
    """
    values = numbers_at(tree, path, option)
    if values.size != 1:
        raise RecordingError(f"`{option}` names {path!r}, which is {values.size} numbers, not one.")
    return float(values[0])
