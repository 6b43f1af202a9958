"""Measurements that come with the package, each a JSON file with the command that made it."""

import json
from pathlib import Path
from typing import Any

__all__ = ["DATA", "load_data"]

DATA = Path(__file__).parent / "data"


def load_data(file: Path) -> dict[str, Any]:
    """Return the table that a JSON file of measurements holds."""
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return data
