"""The `neuromotor` command."""

from neuromotor.cli.app import main

__all__ = ["main"]
