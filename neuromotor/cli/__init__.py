"""The `neuromotor` command."""

from neuromotor.cli.entry import main

__all__ = ["main"]
