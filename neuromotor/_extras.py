"""Optional packages: imported where they are used, with a clear error where they are not there."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["install_command", "require"]


def require(module: str, extra: str) -> Any:
    """Return a module of an optional package.

    Raises:
        RuntimeError: It is not installed; the message says which extra brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"this needs {module.split('.')[0]}: {install_command(extra)} in your copy of the "
            "repository."
        ) from error


def install_command(extra: str) -> str:
    """Return what brings the packages of an extra, in a copy of the repository."""
    return f"pip install -c constraints.txt -e '.[{extra}]'"
