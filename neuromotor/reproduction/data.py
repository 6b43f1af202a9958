"""Measurements that come with the package, each a JSON file with the command that made it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuromotor.storage.files import parse_json, read_text

__all__ = ["DATA", "load_data"]

DATA = Path(__file__).parent / "data"


def load_data(file: Path, keys: Sequence[str] = (), columns: Sequence[str] = ()) -> dict[str, Any]:
    """Return the table that a JSON file of measurements holds.

    Args:
        file: What a command of `neuromotor reproduce` wrote.
        keys: Names that the table must have.
        columns: Names that each of its `rows` must have.

    Raises:
        ValueError: The file is not there, is not JSON, or is one of another command.
    """
    try:
        data = parse_json(read_text(file))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{file} must be a JSON file that can be read ({why}).") from error
    found = data if isinstance(data, dict) else {}
    missing = [key for key in keys if key not in found]
    if columns and not isinstance(found.get("rows"), list):
        missing.append("rows")
    elif columns:
        rows = [row if isinstance(row, dict) else {} for row in found["rows"]]
        missing += [key for key in columns if not all(key in row for row in rows)]
    if missing or not isinstance(data, dict):
        lack = ", ".join(f"`{key}`" for key in missing) or "a table"
        raise ValueError(f"{file} is no file of this command: it lacks {lack}; name another file.")
    return found
