"""Models and unfinished trainings in checked safetensors files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neuromotor.generative.fitting import Training
from neuromotor.generative.model import TemporalRBM
from neuromotor.storage.files import parse_json
from neuromotor.storage.tensor_file import CheckpointError, read_tensor_file, write_tensor_file

__all__ = ["load_model", "load_training", "save_model", "save_training"]

_MODEL, _TRAINING = "neuromotor.generative_model", "neuromotor.generative_training"
_MAX_BYTES = 1 << 32
_NAMES = ("visible_hidden", "hidden_hidden", "visible_bias", "hidden_bias", "initial")


def save_model(
    path: Path | str,
    model: TemporalRBM,
    info: dict[str, Any] | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write a model to a `.safetensors` file, whole or not at all.

    Args:
        path: The file.
        model: What was learned.
        info: Anything else that JSON can hold, as of what it was learned.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        ValueError: The path does not end in `.safetensors`.
    """
    text = {"kind": model.kind, "info": json.dumps(info or {}, allow_nan=False)}
    write_tensor_file(_free(path, overwrite), _MODEL, text, _named(model.parameters, ""))


def load_model(path: Path | str) -> tuple[TemporalRBM, dict[str, Any]]:
    """Return a model that `save_model` wrote, and its `info`.

    Raises:
        CheckpointError: The file is missing, damaged, foreign, or does not agree with itself.
    """
    path = Path(path)
    found = read_tensor_file(path, _MODEL, "a generative model", _MAX_BYTES)
    try:
        parts = tuple(found.tensors[name] for name in _NAMES)
        return TemporalRBM(found.text["kind"], *parts), parse_json(found.text["info"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not agree with itself: {error}") from error


def save_training(path: Path | str, training: Training, *, overwrite: bool = True) -> None:
    """Write an unfinished training to a `.safetensors` file; arguments as `save_model`."""
    text = {"kind": training.model.kind, "updates": str(training.updates)}
    tensors = _named(training.model.parameters, "") | _named(training.velocity, "velocity_")
    tensors["error"] = torch.tensor(training.error, dtype=torch.float64)
    write_tensor_file(_free(path, overwrite), _TRAINING, text, tensors)


def load_training(path: Path | str) -> Training:
    """Return a training that `save_training` wrote, to go on with it by `fit`.

    Raises:
        CheckpointError: As `load_model`.
    """
    path = Path(path)
    found = read_tensor_file(path, _TRAINING, "an unfinished training", _MAX_BYTES)
    try:
        model = TemporalRBM(found.text["kind"], *(found.tensors[name] for name in _NAMES))
        velocity = tuple(found.tensors[f"velocity_{name}"] for name in _NAMES)
        for part, own in zip(velocity, model.parameters, strict=True):
            if part.shape != own.shape:
                raise ValueError("velocities and parameters have other shapes")
        return Training(model, velocity, int(found.text["updates"]), float(found.tensors["error"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not agree with itself: {error}") from error


def _free(path: Path | str, overwrite: bool) -> Path:
    """Return the path of a file that may be written."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"`path` must end in .safetensors, got {path}.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or pass `overwrite=True`.")
    return path


def _named(parts: tuple[Tensor, ...], prefix: str) -> dict[str, Tensor]:
    return {
        prefix + name: part.detach().cpu().contiguous()
        for name, part in zip(_NAMES, parts, strict=True)
    }
