"""Text and JSON files: written whole or not at all, and read with bounds."""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from neuromotor.storage.claims import check_claimed, make_folder

__all__ = [
    "atomic_path",
    "finite_data",
    "finite_or_none",
    "parse_json",
    "read_text",
    "safe_names",
    "write_json",
]

TEMPORARY = ".neuromotor-"
MAX_TEXT_BYTES = 1 << 28  # a history of a million iterations has a third of that
_MAX_DEPTH = 64


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place when the block ends well.

    Missing folders are made as `make_folder` does.

    Raises:
        FolderVanished: The file belongs into a claimed folder that is not there any more.
    """
    temporary: Path | None = None
    try:
        make_folder(path.parent)
        prefix = f"{TEMPORARY}{path.stem}-"
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync_folder(path.parent)
    except FileNotFoundError:
        check_claimed(path)  # says so where the folder vanished meanwhile
        raise
    finally:
        if temporary is not None:
            with suppress(OSError):  # the reason for being here says more
                temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def safe_names(names: Iterable[str]) -> list[str]:
    """Return a file name, without suffix, for each name, whatever the names hold.

    Plain letters, digits, dots, dashes and underscores stay; no two of the results are the same,
    even where a file system does not tell small letters from large ones.
    """
    taken: set[str] = set()
    safe = []
    for name in names:
        base = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:80] or "unnamed"
        own, number = base, 1
        while own.lower() in taken:
            number += 1
            own = f"{base}-{number}"
        taken.add(own.lower())
        safe.append(own)
    return safe


def write_json(path: Path, data: Any) -> None:
    """Write `data` as JSON, whole or not at all; numbers that are not finite are refused."""
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def finite_or_none(value: float) -> float | None:
    """Return a number for JSON, which knows no infinity and no NaN: None stands for them."""
    return value if math.isfinite(value) else None


def finite_data(data: Any) -> Any:
    """Return data for JSON: dicts and lists with None for every number that is not finite."""
    if isinstance(data, float):
        return finite_or_none(data)
    if isinstance(data, dict):
        return {key: finite_data(value) for key, value in data.items()}
    return [finite_data(value) for value in data] if isinstance(data, list | tuple) else data


def read_text(path: Path, *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return a text file's content.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no file, has more than `max_bytes` bytes, or is not UTF-8.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a file")
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(
            f"{path} has more than {max_bytes:,} bytes, too many for what it should be"
        )
    try:
        return data.decode("utf-8-sig")  # a byte-order mark is no text
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from error


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """Return what JSON text holds; deep nesting is refused, and numbers that are not finite.

    Args:
        text: What `json.dumps` may have written.
        finite: Whether NaN and infinities are refused.

    Raises:
        ValueError: The text is not such JSON.
    """
    try:
        data = json.loads(text, parse_constant=_refuse if finite else None)
    except RecursionError as error:
        raise ValueError(f"nested more than {_MAX_DEPTH} deep") from error
    level, depth = [data], 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested more than {_MAX_DEPTH} deep")
        parts = [
            x.values() if isinstance(x, dict) else x for x in level if isinstance(x, dict | list)
        ]
        level = [x for part in parts for x in part if isinstance(x, dict | list)]
    return data


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not a number of JSON")
