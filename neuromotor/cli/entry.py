"""How the command begins: what `--use` and the environment name is loaded before anything else.

The commands are imported after that, so that their help lists what was loaded.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

from neuromotor.cli.exits import run_and_exit
from neuromotor.extensions.loading import load_announced, use
from neuromotor.storage.components import SettingsError
from neuromotor.training import distributed

__all__ = ["main"]

_USE = "--use"


def main() -> None:
    """Run the command line; whatever goes wrong ends with one line and its own code."""
    run_and_exit(_main)


def _main() -> None:
    _refuse_empty(sys.argv[1:])
    names, words = _split(sys.argv[1:])
    load_announced(strict=True)
    for name in names:
        use(name)

    def commands() -> None:
        from neuromotor.cli.app import app

        app(words, prog_name="neuromotor", standalone_mode=True)

    distributed.run(commands)


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what `--use` names, wherever it stands, and all other words.

    Raises:
        SettingsError: `--use` is the last word.
    """
    names: list[str] = []
    others: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        if word == "--":
            others += [word, *left]
        elif name != _USE:
            others.append(word)
        elif equals:
            names.append(value)
        else:
            names.append(next(left, "--"))
            if names[-1].startswith("--"):
                raise SettingsError(
                    f"`{_USE}` must name a file or a module, as in `{_USE} my_lab.py`."
                )
    return names, others


def _refuse_empty(words: Sequence[str]) -> None:
    """Raise where an option has an empty value, as an unset variable of a shell gives it."""
    for word, after in itertools.zip_longest(words, words[1:]):
        name, equals, value = word.partition("=")
        if name.startswith("--") and (not value if equals else after == ""):
            raise SettingsError(f"`{name}` must not be empty; give it a value, or leave it out.")
