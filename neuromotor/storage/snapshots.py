"""Snapshots of a minimisation to and from files, so that it can go on another day.

Tensors lie in safetensors (`neuromotor.storage.tensor_file`), and everything else lies as JSON in
its metadata, where a name stands in the place of each tensor.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from neuromotor.optim import Snapshot
from neuromotor.optim.run import check_run
from neuromotor.storage.files import parse_json
from neuromotor.storage.tensor_file import (
    CheckpointError,
    check_file_name,
    read_tensor_file,
    write_tensor_file,
)

__all__ = ["load_snapshot", "load_tree", "save_snapshot", "save_tree"]

_FORMAT = "neuromotor.snapshot"
_KEY = "$tensor"
MAX_BYTES = 1 << 34  # a thousand vectors of two million parameters


def save_snapshot(path: Path | str, snapshot: Snapshot, *, overwrite: bool = True) -> None:
    """Write a snapshot to a `.safetensors` file, whole or not at all.

    Args:
        path: The file; an older one stays until the new one is whole.
        snapshot: From `Progress.snapshot`.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.

    Example:
        >>> import tempfile
        >>> from neuromotor import Budget, CenterOut, ContinuousTimeRNN, LBFGS, train
        >>> task, net = CenterOut(directions=2), ContinuousTimeRNN(layers=(5,))
        >>> path = Path(tempfile.mkdtemp()) / "run.safetensors"
        >>> save = lambda progress: save_snapshot(path, progress.snapshot())
        >>> half = train(task, net, LBFGS(), budget=Budget(calls=10), callback=save)
        >>> whole = train(task, net, LBFGS(), budget=Budget(calls=20), resume=load_snapshot(path))
        >>> whole.value < half.value
        True
    """
    path = check_file_name(Path(path))
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or pass `overwrite=True`.")
    parts = {"state": snapshot.state, "run": snapshot.run}
    parts |= {} if snapshot.settings is None else {"settings": snapshot.settings}
    save_tree(path, _FORMAT, {"optimizer": snapshot.optimizer, **parts})


def load_snapshot(path: Path | str, *, max_bytes: int = MAX_BYTES) -> Snapshot:
    """Read a snapshot that `save_snapshot` wrote.

    Args:
        path: The file.
        max_bytes: Largest file that is read at all.

    Raises:
        CheckpointError: The file is missing, damaged, foreign, too large or of another version; the
            message says which.
    """
    data = load_tree(Path(path), _FORMAT, "a neuromotor snapshot", max_bytes)
    match data:
        case {"optimizer": str(optimizer), "state": dict(state), "run": dict(run)}:
            try:
                check_run(run)
            except ValueError as error:
                raise CheckpointError(f"{path} does not agree with itself: {error}") from error
            return Snapshot(optimizer, state, run, data.get("settings"))
    raise CheckpointError(f"{path} does not agree with itself: it is no snapshot.")


def save_tree(path: Path, kind: str, data: dict[str, Any]) -> None:
    """Write plain data that may hold tensors, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    content = json.dumps(_named(data, tensors))
    write_tensor_file(path, kind, {"content": content}, tensors)


def load_tree(path: Path, kind: str, what: str, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read what `save_tree` wrote.

    Args:
        path: The file.
        kind: Name of the format.
        what: What the file should be, for errors.
        max_bytes: Largest file that is read at all.

    Raises:
        CheckpointError: See `read_tensor_file`.
    """
    found = read_tensor_file(path, kind, what, max_bytes)
    try:
        data = _filled(parse_json(found.text["content"], finite=False), found.tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not agree with itself: {error}") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} does not agree with itself: it holds no table.")
    return data


def _named(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Move all tensors from plain data to `tensors`, and return it with names in their places."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous()
        return {_KEY: name}
    if isinstance(value, dict):
        return {key: _named(part, tensors) for key, part in value.items()}
    if isinstance(value, list):
        return [_named(part, tensors) for part in value]
    return value


def _filled(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return plain data with tensors in the places of their names."""
    if isinstance(value, dict):
        if set(value) == {_KEY}:
            return tensors[value[_KEY]]
        return {key: _filled(part, tensors) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, tensors) for part in value]
    return value
