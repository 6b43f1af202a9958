"""Measurements that come with the package, each a JSON file with the command that made it."""

from pathlib import Path

__all__ = ["DATA"]

DATA = Path(__file__).parent / "data"
