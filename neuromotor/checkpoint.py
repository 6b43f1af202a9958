"""Controllers to and from files: weights in safetensors, everything else as JSON in its metadata.

No pickle is ever read. A file says what it is (`_FORMAT`), which version, and the checksum of its
weights, so that a damaged or foreign file is refused with its reason.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from neuromotor._checks import check_finite_tensor, did_you_mean
from neuromotor.config import SettingsError, decode, encode
from neuromotor.controllers import CONTROLLERS
from neuromotor.controllers.controller import Controller, check_parameters
from neuromotor.files import atomic_path
from neuromotor.tasks import TASKS, Task
from neuromotor.zoo import names as zoo_names
from neuromotor.zoo import path as zoo_path

__all__ = ["CheckpointError", "SavedController", "load_controller", "save_controller"]

_FORMAT = "neuromotor.controller"
_VERSION = "1"
_TENSOR = "parameters"


class CheckpointError(ValueError):
    """A file is missing, damaged, foreign, too new, or does not agree with itself."""


@dataclass(frozen=True)
class SavedController:
    """What a controller file holds.

    Attributes:
        controller: The architecture.
        parameters: Its parameters, (P,).
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
        TypeError: `parameters` is no floating-point tensor.
        ValueError: `parameters` is not finite or of the wrong shape, or a class is not registered.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or pass `overwrite=True`.")
    check_finite_tensor("parameters", parameters, (controller.parameter_count,))
    values = parameters.detach().cpu().contiguous()
    metadata = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "controller": json.dumps(encode(controller, CONTROLLERS)),
        "task": json.dumps(None if task is None else encode(task, TASKS)),
        "info": json.dumps(info or {}, allow_nan=False),
        "sha256": _digest(values),
    }
    with atomic_path(path) as temporary:
        save_file({_TENSOR: values}, temporary, metadata=metadata)


def load_controller(path: Path | str) -> SavedController:
    """Read a controller from a file that `save_controller` wrote, or from the zoo.

    Args:
        path: The file, or the name of an entry of `neuromotor.zoo`; a file wins.

    Raises:
        CheckpointError: The file is missing, damaged, foreign, too new, or does not agree with
            itself; the message says which.

    Example:
        >>> load_controller("center-out/lbfgs").controller.layers
        (100, 100)
    """
    path = _locate(Path(path))
    metadata, tensors = read_tensors(path, _FORMAT, _VERSION, "a neuromotor controller")
    if list(tensors) != [_TENSOR]:
        raise CheckpointError(f"{path} does not agree with itself: it holds {list(tensors)}.")
    parameters = tensors[_TENSOR]
    try:
        controller: Controller = decode(
            json.loads(metadata["controller"]), CONTROLLERS, "controller"
        )
        task_data = json.loads(metadata["task"])
        task: Task | None = None if task_data is None else decode(task_data, TASKS, "task")
        info = json.loads(metadata["info"])
        check_finite_tensor(_TENSOR, parameters, (None,))
        check_parameters(parameters, controller.parameter_count)
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        raise CheckpointError(f"{path} does not agree with itself: {error}") from error
    if parameters.dtype not in (torch.float32, torch.float64):
        raise CheckpointError(
            f"{path} holds {parameters.dtype} parameters, not float32 or float64."
        )
    if not isinstance(info, dict):
        raise CheckpointError(f"{path} does not agree with itself: `info` is not a table.")
    if _digest(parameters) != metadata.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its checksum is wrong; use another copy.")
    return SavedController(controller, parameters, task, info)


def read_tensors(
    path: Path, kind: str, version: str, what: str
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return metadata and tensors of a file of ours, of one kind and version.

    Raises:
        CheckpointError: The file is missing, damaged, foreign or of another version.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file; give the path of {what} (.safetensors).")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != kind:
                raise CheckpointError(
                    f"{path} is a safetensors file, but not {what} (no `format = {kind}` in its "
                    "metadata); give a file that neuromotor wrote for this."
                )
            if metadata.get("format_version") != version:
                raise CheckpointError(
                    f"{path} has format version {metadata.get('format_version')!r}, this "
                    f"neuromotor reads {version!r}; update neuromotor or save the file again."
                )
            return metadata, {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or not a safetensors file ({error}); use another copy."
        ) from error


def _locate(path: Path) -> Path:
    """The file itself, or that of the zoo's entry of this name."""
    name = path.as_posix()
    if path.is_file() or path.suffix == ".safetensors":
        return path
    if name in zoo_names():
        return zoo_path(name)
    raise CheckpointError(
        f"{path} is not a file, and not in the zoo; give the path of a neuromotor controller "
        f"(.safetensors) or a name: {did_you_mean(name, zoo_names())}."
    )


def _digest(values: Tensor) -> str:
    """SHA-256 of a tensor's bytes."""
    return hashlib.sha256(values.numpy().tobytes()).hexdigest()
