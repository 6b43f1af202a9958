"""Writes the first file of a component of one's own, and its test.

Each kind has a template, a component that works and that the page "Extend" of the documentation
explains; whoever starts from it changes what it does, piece by piece, and its test with it.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from neuromotor._checks import lookup
from neuromotor.extensions.registry import registries

__all__ = ["KINDS", "Start", "start_component"]

KINDS = {
    "plant": "neuromotor train center-out --plant {name} --use {file}",
    "task": "neuromotor train {name} --use {file}",
    "controller": "neuromotor train center-out --controller {name} --use {file}",
    "cell": "neuromotor train center-out --controller network --set controller.cell={name} "
    "--use {file}",
    "optimizer": "neuromotor compare center-out --optimizers lbfgs,{name} --use {file}",
    "analysis": "neuromotor analyze RECORDING --out report --use {file}",
    "experiment": "neuromotor experiment {name} --controller ilqg --use {file}",
}  # by kind, a command that uses it
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Start:
    """What `start_component` wrote.

    Attributes:
        file: The component.
        test: Its test, for pytest.
        command: A command that uses the component.
    """

    file: Path
    test: Path
    command: str


def start_component(kind: str, name: str, folder: Path = Path()) -> Start:
    """Write a component that works, with comments, and its test, for somebody to change.

    Args:
        kind: One of `KINDS`.
        name: Its name on the command line: small letters, digits and hyphens.
        folder: An existing folder for both files.

    Raises:
        FileExistsError: One of the files is there already; nothing is written.
        ValueError: The kind is unknown, the name cannot be or is taken, or there is no folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     start_component("task", "my-reach", Path(folder)).file.name
        'my_reach.py'
    """
    command = lookup("kind of component", kind, KINDS)
    module = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(module):
        raise ValueError(
            f"`name` must be small letters and digits with hyphens between words, as in "
            f"'my-{kind}', got {name!r}."
        )
    for taken, registry in registries().items():
        if name in registry:
            raise ValueError(f"`name` must be new, got {name!r}, which is a {taken} already.")
    if importlib.util.find_spec(module) is not None and not (folder / f"{module}.py").exists():
        raise ValueError(
            f"`name` must not be that of a Python module, got {name!r}: {module}.py would hide it, "
            f"or be hidden; choose another, such as 'my-{name}'."
        )
    if not folder.is_dir():
        raise ValueError(f"`folder` must be a folder that exists, got {folder}; make it.")
    start = Start(
        file=folder / f"{module}.py",
        test=folder / f"test_{module}.py",
        command=command.format(name=name, file=shlex.quote(str(folder / f"{module}.py"))),
    )
    for path in (start.file, start.test):
        if path.exists():
            raise FileExistsError(f"{path} is there already; choose another name or folder.")
    words = {
        "module": module,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "name": name,
        "title": name.replace("-", " ").capitalize(),
    }
    templates = resources.files(__package__) / "templates"
    for path, template in ((start.file, f"{kind}.txt"), (start.test, f"test_{kind}.txt")):
        text = Template((templates / template).read_text(encoding="utf-8")).substitute(words)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return start
