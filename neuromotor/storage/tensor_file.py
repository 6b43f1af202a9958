"""Tensors and text in one checked file: safetensors with a format, a version and a checksum.

No pickle is ever read. The checksum covers the whole file: it is the SHA-256 of all bytes, where
zeros stand in place of its own 64 digits. A file is read into memory once, it is never mapped, and
its size is checked before.
"""

from __future__ import annotations

import errno
import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from neuromotor.storage.files import atomic_path, parse_json

__all__ = [
    "CheckpointError",
    "TensorFile",
    "check_file_name",
    "read_tensor_file",
    "verify_tensor_file",
    "write_tensor_file",
]

SIZE_VARIABLE = "NEUROMOTOR_MAX_FILE_BYTES"
_VERSION = "2"
_SUM = "sha256"
_BLANK = "0" * 64
_HEADER_BYTES = 1 << 26  # most that names, shapes and text may take


class CheckpointError(ValueError):
    """A file is missing, damaged, foreign, too new, too large, or does not agree with itself."""


def check_file_name(path: Path) -> Path:
    """Return a path that the system can take for a file's.

    Raises:
        CheckpointError: Its name is too long.
    """
    try:
        path.exists()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise CheckpointError(
            f"{str(path)[:60]}... ({len(str(path)):,} letters) is no file's name "
            f"({error.strerror}); use a shorter one."
        ) from error
    return path


@dataclass(frozen=True)
class TensorFile:
    """What a file holds.

    Attributes:
        text: Texts by name.
        tensors: Tensors by name, on the CPU.
    """

    text: dict[str, str]
    tensors: dict[str, Tensor]


def write_tensor_file(
    path: Path, kind: str, text: dict[str, str], tensors: dict[str, Tensor]
) -> None:
    """Write a file, whole or not at all; an older one stays until the new one is whole.

    Args:
        path: The file.
        kind: Name of the format, as `neuromotor.controller`.
        text: Texts by name; `format`, `format_version` and `sha256` are added.
        tensors: Tensors by name, contiguous, on the CPU.
    """
    own = {"format": kind, "format_version": _VERSION, _SUM: _BLANK}
    data = seal(save(tensors, metadata={**text, **own}))
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def seal(data: bytes) -> bytes:
    """Return a safetensors file whose `sha256` entry is blank with its checksum filled in."""
    return data.replace(_entry(_BLANK), _entry(hashlib.sha256(data).hexdigest()), 1)


def read_tensor_file(path: Path, kind: str, what: str, max_bytes: int) -> TensorFile:
    """Read a file of one kind that `write_tensor_file` wrote.

    Args:
        path: The file.
        kind: Name of the format.
        what: What the file should be, for errors.
        max_bytes: Largest size that is read; the environment variable `NEUROMOTOR_MAX_FILE_BYTES`
            replaces it.

    Raises:
        CheckpointError: The file is missing, too large, damaged, foreign or of another version.
    """
    data = _read_bytes(path, what, max_bytes)
    text = _metadata(path, data)
    if text.get("format") != kind:
        raise CheckpointError(
            f"{path} is a safetensors file, but not {what} (no `format = {kind}` in its "
            "metadata); give a file that neuromotor wrote for this."
        )
    if text.get("format_version") != _VERSION:
        raise CheckpointError(
            f"{path} has format version {text.get('format_version')!r}, this neuromotor reads "
            f"{_VERSION}; update neuromotor or save the file again."
        )
    _verify(path, data, text)
    try:
        return TensorFile(text, load(data))
    except (SafetensorError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def verify_tensor_file(path: Path, max_bytes: int) -> None:
    """Raise unless a file, of whatever kind, carries its right checksum.

    Raises:
        CheckpointError: It is missing, damaged or foreign.
    """
    data = _read_bytes(path, "a neuromotor file", max_bytes)
    text = _metadata(path, data)
    if not text.get("format", "").startswith("neuromotor."):
        raise CheckpointError(f"{path} is not a file of neuromotor's.")
    _verify(path, data, text)


def _read_bytes(path: Path, what: str, max_bytes: int) -> bytes:
    """Return a file's content, after a check of its size."""
    own = os.environ.get(SIZE_VARIABLE, "")
    limit = int(own) if own.isdecimal() else max_bytes
    if not check_file_name(path).is_file():
        raise CheckpointError(f"{path} is not a file; give the path of {what} (.safetensors).")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > limit else file.read(limit + 1)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error
    if max(size, len(data)) > limit:
        raise CheckpointError(
            f"{path} has {size:,} bytes, more than the {limit:,} that {what} may have; if it is "
            f"right all the same, set the environment variable {SIZE_VARIABLE} to a larger number."
        )
    return data


def _metadata(path: Path, data: bytes) -> dict[str, str]:
    """Return the texts of a safetensors file."""
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if not 2 <= length <= min(len(data) - 8, _HEADER_BYTES):
        raise _damaged(path, "its header does not fit in it")
    try:
        header = parse_json(data[8 : 8 + length])
    except ValueError as error:
        raise _damaged(path, error) from error
    text = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(text, dict) or not all(isinstance(value, str) for value in text.values()):
        raise _damaged(path, "its header is no table")
    return text


def _verify(path: Path, data: bytes, text: dict[str, str]) -> None:
    """Compare the checksum with all other bytes."""
    found = text.get(_SUM, "")
    blank = data.replace(_entry(found), _entry(_BLANK), 1)
    if len(found) != len(_BLANK) or hashlib.sha256(blank).hexdigest() != found:
        raise CheckpointError(f"{path} is damaged: its checksum is wrong; use another copy.")


def _entry(digits: str) -> bytes:
    """Return how the checksum stands in the header."""
    return f'"{_SUM}":"{digits}"'.encode()


def _damaged(path: Path, reason: object) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged or not a safetensors file ({reason}); use another copy."
    )
