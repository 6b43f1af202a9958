"""Controllers to and from files: weights in safetensors, everything else as JSON in its metadata.

No pickle is ever read. A file says what it is, which version its format has, and its checksum, so
that a damaged or foreign file is refused with the reason.

A file keeps the precision that its parameters were saved with, float32 or float64. When they are
read they become float64, as everything in this package that is not asked for in another dtype.
Every float32 number is a float64 number too, so this changes no value.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_finite_tensor, did_you_mean
from neuromotor.controllers import CONTROLLERS
from neuromotor.controllers.controller import Controller, check_parameters
from neuromotor.extensions.registry import lacking
from neuromotor.storage.components import (
    SettingsError,
    UnknownNameError,
    decode,
    encode,
    needs_of,
)
from neuromotor.storage.files import parse_json
from neuromotor.storage.tensor_file import (
    CheckpointError,
    check_file_name,
    read_tensor_file,
    write_tensor_file,
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
_TENSOR = "parameters"
_LOAD_FIRST = "Load the module that registers it first, as by `--use my_lab.py`."
_SHOWN = 12  # controllers of a folder that an error lists
MAX_BYTES = 1 << 30  # more than a hundred million parameters


@dataclass(frozen=True)
class SavedController:
    """What a controller file holds.

    Attributes:
        controller: The architecture.
        parameters: Its parameters, (P,), in float64 unless they were asked for in another dtype.
        task: The task that it was trained on, or None.
        info: Whatever else was saved with it: method, loss, seed, versions, command.
    """

    controller: Controller
    parameters: Tensor
    task: Task | None
    info: dict[str, Any]

    def differences(self, task: Task) -> dict[str, tuple[Any, Any]] | None:
        """Return what is not as in the training, where a task has settings of the same names.

        Args:
            task: What the controller is to run.

        Returns:
            By name of the setting, with dots between levels: its value in the training, and in
            `task`. None where no task was saved with the controller.

        Raises:
            SettingsError: The class of a task is not registered.

        Example:
            >>> from dataclasses import replace
            >>> saved = load_controller("center-out/lbfgs")
            >>> saved.differences(replace(saved.task, radius_m=0.08))
            {'radius_m': (0.04463, 0.08)}
        """
        if self.task is None:
            return None
        there, here = encode(self.task, TASKS), encode(task, TASKS)
        names = there.pop("type"), here.pop("type")
        found = {"task": names} if type(self.task) is not type(task) else {}
        return found | _differences(_with_reach(there), _with_reach(here))


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
        controller: A controller whose class is registered (`neuromotor.register`).
        parameters: Its parameters, (P,).
        task: The task it was trained on, of a registered class too.
        info: Anything else that JSON can hold.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        TypeError: `parameters` is no tensor of float32 or float64.
        ValueError: `parameters` is not finite or of the wrong shape, a class is not registered
            (`train` warns of that before it begins), or `path` can be no file's name.
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
    needs = needs_of((controller, CONTROLLERS), *([] if task is None else [(task, TASKS)]))
    if needs:
        text["needs"] = json.dumps(needs)
    write_tensor_file(path, _FORMAT, text, {_TENSOR: values})


def load_controller(
    path: Path | str, *, dtype: torch.dtype = torch.float64, max_bytes: int = MAX_BYTES
) -> SavedController:
    """Read a controller from a file that `save_controller` wrote, or from the zoo.

    Args:
        path: The file, or the name of an entry of `neuromotor.zoo`; where both exist, the file is
            read.
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
    found = read_tensor_file(path, _FORMAT, "a neuromotor controller", max_bytes)
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
    except UnknownNameError as error:
        needs = lacking(metadata.get("needs"))
        raise CheckpointError(
            f"{path} is whole, but needs a part that is not registered in this program: {error} "
            f"{needs or _LOAD_FIRST}"
        ) from error
    except (KeyError, OverflowError, TypeError, ValueError, SettingsError) as error:
        raise CheckpointError(f"{path} does not agree with itself: {error}") from error
    if not isinstance(info, dict):
        raise CheckpointError(f"{path} does not agree with itself: `info` is not a table.")
    return SavedController(controller, parameters.to(dtype), task, info)


def _with_reach(table: dict[str, Any]) -> dict[str, Any]:
    """Return a task's settings, together with those of the reach within it."""
    reach = table.pop("reach", {})
    return {**table, **{key: value for key, value in reach.items() if key != "type"}}


def _differences(
    one: dict[str, Any], two: dict[str, Any], prefix: str = ""
) -> dict[str, tuple[Any, Any]]:
    """Return the values that differ between two tables; of different components, the names."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in one.keys() & two.keys():
        old, new, name = one[key], two[key], f"{prefix}{key}"
        if not (isinstance(old, dict) and isinstance(new, dict)):
            found |= {name: (old, new)} if old != new else {}
        elif old["type"] != new["type"]:
            found[name] = old["type"], new["type"]
        else:
            found |= _differences(old, new, f"{name}.")
    return dict(sorted(found.items()))


def find_controller(path: Path) -> Path:
    """Return the file itself, or the file of the zoo's entry of this name.

    Raises:
        CheckpointError: There is no such file and no such entry.
    """
    name = check_file_name(path).as_posix()
    if path.is_file() or path.suffix == ".safetensors":
        return path
    if name in zoo_names():
        return zoo_path(name)
    if path.is_dir():
        inside = sorted(map(str, path.rglob("controllers/*.safetensors")))
        if not inside:
            raise CheckpointError(f"{path} is not a file, but a folder without a controller.")
        shown = ", ".join(inside[:_SHOWN]) + (", ..." if len(inside) > _SHOWN else "")
        raise CheckpointError(
            f"{path} is not a file, but a folder; give one of the controllers in it: {shown}."
        )
    raise CheckpointError(
        f"{path} is not a file, and not in the zoo; give the path of a neuromotor controller "
        f"(.safetensors) or a name: {did_you_mean(name, zoo_names())}."
    )
