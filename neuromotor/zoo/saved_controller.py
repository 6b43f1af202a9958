"""Controllers to and from files: weights in safetensors, everything else as JSON in its metadata.

No pickle is ever read. A file says what it is (`_FORMAT`), which version, and its checksum, so that
a damaged or foreign file is refused with its reason. Version 2, which is written, has the checksum
of the whole file; version 1, with that of the weights alone, is read too.

A file keeps the precision that its parameters were saved with, float32 or float64. Read, they are
float64, as everything in this package is that is not asked for in another dtype; float32 numbers
are all float64 numbers, so nothing changes by it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_finite_tensor, did_you_mean
from neuromotor.controllers import CONTROLLERS
from neuromotor.controllers.controller import Controller, check_parameters
from neuromotor.storage.components import SettingsError, decode, encode
from neuromotor.storage.files import parse_json
from neuromotor.storage.tensor_file import (
    CheckpointError,
    check_file_name,
    read_container,
    write_container,
)
from neuromotor.tasks import TASKS, Task
from neuromotor.zoo import names as zoo_names
from neuromotor.zoo import path as zoo_path

__all__ = [
    "CheckpointError",
    "SavedController",
    "find_controller",
    "load_controller",
    "save_controller",
]

_FORMAT = "neuromotor.controller"
_VERSION = 2
_TENSOR = "parameters"
MAX_BYTES = 1 << 30  # more than a hundred million parameters


@dataclass(frozen=True)
class SavedController:
    """What a controller file holds.

    Attributes:
        controller: The architecture.
        parameters: Its parameters, (P,), in float64 unless they were asked for in another dtype.
        task: The task it was trained on, or None.
        info: Whatever else was saved with it: method, loss, seed, versions, command.
    """

    controller: Controller
    parameters: Tensor
    task: Task | None
    info: dict[str, Any]


def save_controller(
    path: Path | str,
    controller: Controller,
    parameters: Tensor,
    *,
    task: Task | None = None,
    info: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a controller to a `.safetensors` file, whole or not at all.

    Args:
        path: The file.
        controller: A controller whose class is registered in `CONTROLLERS`.
        parameters: Its parameters, (P,).
        task: The task it was trained on, of a class registered in `TASKS`.
        info: Anything else that JSON can hold.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        TypeError: `parameters` is no tensor of float32 or float64.
        ValueError: `parameters` is not finite or of the wrong shape, a class is not registered, or
            `path` can be no file's name.
    """
    path = check_file_name(Path(path))
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or pass `overwrite=True`.")
    check_finite_tensor("parameters", parameters, (controller.parameter_count,))
    values = parameters.detach().cpu().contiguous()
    text = {
        "controller": json.dumps(encode(controller, CONTROLLERS)),
        "task": json.dumps(None if task is None else encode(task, TASKS)),
        "info": json.dumps(info or {}, allow_nan=False),
    }
    write_container(path, _FORMAT, _VERSION, text, {_TENSOR: values})


def load_controller(
    path: Path | str, *, dtype: torch.dtype = torch.float64, max_bytes: int = MAX_BYTES
) -> SavedController:
    """Read a controller from a file that `save_controller` wrote, or from the zoo.

    Args:
        path: The file, of format version 2 or 1, or the name of an entry of `neuromotor.zoo`; a
            file wins.
        dtype: Of the parameters, whatever they were saved in: float64, as trials have it by
            default, or float32 for trials made with `dtype=torch.float32`.
        max_bytes: Largest file that is read at all.

    Raises:
        CheckpointError: The file is missing, damaged, foreign, too new, too large, or does not
            agree with itself; the message says which.
        TypeError: `dtype` is neither float32 nor float64.

    Example:
        >>> load_controller("center-out/lbfgs").controller.layers
        (100, 100)
    """
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(f"`dtype` must be torch.float32 or torch.float64, got {dtype!r}.")
    path = find_controller(Path(path))
    found = read_container(path, _FORMAT, (1, _VERSION), "a neuromotor controller", max_bytes)
    metadata, tensors = found.text, found.tensors
    if list(tensors) != [_TENSOR]:
        raise CheckpointError(f"{path} does not agree with itself: it holds {list(tensors)}.")
    parameters = tensors[_TENSOR]
    try:
        controller: Controller = decode(
            parse_json(metadata["controller"]), CONTROLLERS, "controller"
        )
        task_data = parse_json(metadata["task"])
        task: Task | None = None if task_data is None else decode(task_data, TASKS, "task")
        info = parse_json(metadata["info"])
        check_finite_tensor(_TENSOR, parameters, (None,))
        check_parameters(parameters, controller.parameter_count)
    except (KeyError, OverflowError, TypeError, ValueError, SettingsError) as error:
        raise CheckpointError(f"{path} does not agree with itself: {error}") from error
    if not isinstance(info, dict):
        raise CheckpointError(f"{path} does not agree with itself: `info` is not a table.")
    if found.version == 1 and _digest(parameters) != metadata.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its checksum is wrong; use another copy.")
    return SavedController(controller, parameters.to(dtype), task, info)


def find_controller(path: Path) -> Path:
    """Return the file itself, or that of the zoo's entry of this name.

    Raises:
        CheckpointError: There is neither.
    """
    name = check_file_name(path).as_posix()
    if path.is_file() or path.suffix == ".safetensors":
        return path
    if name in zoo_names():
        return zoo_path(name)
    raise CheckpointError(
        f"{path} is not a file, and not in the zoo; give the path of a neuromotor controller "
        f"(.safetensors) or a name: {did_you_mean(name, zoo_names())}."
    )


def _digest(values: Tensor) -> str:
    """SHA-256 of a tensor's bytes: the checksum of version 1."""
    return hashlib.sha256(values.numpy().tobytes()).hexdigest()
