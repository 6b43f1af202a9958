"""Snapshots of a minimisation to and from files, so that it can go on another day.

Tensors in safetensors, the rest as JSON in its metadata with their names in place; no pickle is
ever read, and a checksum over all of it decides whether a file is what was written.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from neuromotor.checkpoint import CheckpointError, read_tensors
from neuromotor.files import atomic_path
from neuromotor.optim import Snapshot

__all__ = ["load_snapshot", "save_snapshot"]

_FORMAT = "neuromotor.snapshot"
_VERSION = "1"
_KEY = "$tensor"


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
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or pass `overwrite=True`.")
    tensors: dict[str, Tensor] = {}
    parts = {"state": snapshot.state, "run": snapshot.run}
    content = json.dumps({"optimizer": snapshot.optimizer, **_named(parts, tensors)})
    metadata = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "content": content,
        "sha256": _digest(content, tensors),
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_snapshot(path: Path | str) -> Snapshot:
    """Read a snapshot that `save_snapshot` wrote.

    Raises:
        CheckpointError: The file is missing, damaged, foreign or of another version; the message
            says which.
    """
    path = Path(path)
    metadata, tensors = read_tensors(path, _FORMAT, _VERSION, "a neuromotor snapshot")
    content = metadata.get("content", "")
    if _digest(content, tensors) != metadata.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its checksum is wrong; use another copy.")
    data = _filled(json.loads(content), tensors)
    return Snapshot(data["optimizer"], data["state"], data["run"])


def _named(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Plain data with each tensor put aside and named in its place."""
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
    """The inverse of `_named`."""
    if isinstance(value, dict):
        if set(value) == {_KEY}:
            return tensors[value[_KEY]]
        return {key: _filled(part, tensors) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, tensors) for part in value]
    return value


def _digest(content: str, tensors: dict[str, Tensor]) -> str:
    """SHA-256 of the text and of every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(content.encode())
    for name in sorted(tensors):
        values = tensors[name]
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()
