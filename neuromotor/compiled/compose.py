"""Loops compiled for one cell and one plant, kept on disk under a hash of all they are made of.

A composed module is a file: the template `loop.py` of `closed_loop`, after functions that apply the
plant's own physics to every trial of a block. numba keeps what it compiled beside that file, so that
the next program finds it. Only whole loops are kept, each in a folder of its own: pieces that are
kept one by one go stale without a word when a file that they import changes, and several loops in
one of numba's indices can lose each other when two programs write at the same time.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import llvmlite
import numba
import numpy as np
from numba.extending import register_jitable

from neuromotor.compiled import pieces, tiles
from neuromotor.compiled.availability import cache_folder
from neuromotor.compiled.functions import COMPONENTS

__all__ = ["PlantShape", "composed", "fingerprint"]

_PACKAGES = tuple(
    sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")
)
_MACHINE = repr(
    (
        sys.version,
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        platform.machine(),
        tiles.VECTOR_BYTES,
    )
)
_lock = threading.Lock()
_known = 0  # components that numba has been told of


class PlantShape(NamedTuple):
    """How many numbers there are of what a plant works with."""

    state: int
    command: int
    load: int
    force: int  # on the hand


def composed(
    template: Path,
    plant: ModuleType,
    shape: PlantShape,
    dtype: str,
    cell: ModuleType | None,
    *others: ModuleType,
) -> ModuleType:
    """Return a template's loops for a plant and a cell.

    They are compiled at the first call with arrays, or read from the cache folder.

    Args:
        template: A Python file that calls `plant_step`, `plant_tangent` and `plant_adjoint`, and
            the pieces of `cell`.
        plant: Module with `step` and `jacobian` on components.
        shape: The plant's numbers.
        dtype: "float32" or "float64".
        cell: Module with a cell's pieces, or None where the template needs none.
        *others: What the template imports beside this package's `compiled`.
    """
    text = _applied(shape) + template.read_text()
    made_of = [plant, pieces, tiles, *others] + ([] if cell is None else [cell])
    names = [template.stem, plant.__name__, *([] if cell is None else [cell.__name__])]
    parts = [text, dtype, _MACHINE, *names, fingerprint(*made_of)]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    name = f"_neuromotor_loop_{key}"
    with _lock:
        if name not in sys.modules:
            _tell_numba()
            title = "-".join(part.rpartition(".")[2] for part in names)
            path = cache_folder() / f"{title}-{dtype}-{key}" / f"{name}.py"
            if not path.exists():
                _write(path, text)
            spec = importlib.util.spec_from_file_location(name, path)
            if spec is None or spec.loader is None:
                raise ImportError(f"cannot read {path}; delete that folder and try again.")
            module: Any = importlib.util.module_from_spec(spec)
            module.plant, module.cell = plant, cell
            sys.modules[name] = module  # numba looks for it by name when it reads what it kept
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[name]
                raise
        return sys.modules[name]


def _tell_numba() -> None:
    """Let compiled code call the components that have been defined so far."""
    global _known
    for function in COMPONENTS[_known:]:
        register_jitable(error_model="numpy", fastmath={"contract", "nsz"})(function)
    _known = len(COMPONENTS)


def _write(path: Path, text: str) -> None:
    """Write a file at once, whoever else does the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.replace(temporary, path)


def fingerprint(*modules: ModuleType) -> str:
    """Return a hash of the files of modules and of all that they import, but installed packages'.

    Files, not functions: what numba's `overload` adds cannot be reached from a function.
    """
    found: dict[str, Path] = {}
    todo = list(modules)
    while todo:
        module = todo.pop()
        file = getattr(module, "__file__", None)
        if module.__name__ in found or not file:
            continue
        if file.startswith(_PACKAGES) and not module.__name__.startswith("neuromotor."):
            continue
        found[module.__name__] = Path(file)
        for value in list(vars(module).values()):
            home = value
            if not isinstance(value, ModuleType):
                home = sys.modules.get(getattr(value, "__module__", None) or "")
            if home is not None:
                todo.append(home)
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(name.encode() + b"\0" + _file_hash(found[name]))
    return digest.hexdigest()


@cache
def _file_hash(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


# ---- a plant's physics, applied to every trial of a block ----


def _applied(shape: PlantShape) -> str:
    """Source of `plant_step`, `plant_tangent` and `plant_adjoint`, without loops over components.

    Arrays have components first and trials last. Commands come as they are asked for; a limit of the
    actuators is applied here, so that no plant has to know it; -1 stands for none.
    """
    n, m = shape.state, shape.command
    numbers = range(n + m)

    def gathered(array: str, count: int) -> str:
        return "(" + "".join(f"{array}[{i}, b], " for i in range(count)) + ")"

    inputs = [
        f"        state, load_now = {gathered('x', n)}, {gathered('load', shape.load)}",
        f"        force_now = {gathered('force', shape.force)}",
    ]
    for i in range(m):
        inputs += [
            f"        g{i} = hyperbolic_tangent(u[{i}, b] / limit[{i}])",
            f"        given{i} = limit[{i}] * g{i} if limited else u[{i}, b]",
        ]
    inputs.append(f"        given = ({''.join(f'given{i}, ' for i in range(m))})")
    head = "        rows = plant_jacobian(par, state, given, load_now, force_now)"

    def total(terms: Sequence[str]) -> str:
        return " + ".join(terms)

    step = [
        "        new = plant_physics(par, state, given, load_now, force_now)",
        *[f"        after[{i}, b] = new[{i}] + jolt[{i}, b]" for i in range(n)],
    ]
    changes = [f"        r{i} = r_x[{i}, b]" for i in range(n)]
    for i in range(m):
        slope = f"r_u[{i}, b] * g{i} * g{i}"
        changes.append(f"        r{n + i} = r_u[{i}, b] - {slope} if limited else r_u[{i}, b]")
    tangent = [
        head,
        *changes,
        *[
            f"        r_after[{i}, b] = {total([f'rows[{i}][{j}] * r{j}' for j in numbers])}"
            for i in range(n)
        ],
    ]
    adjoint = [head, *[f"        d{i} = d_after[{i}, b]" for i in range(n)]]
    adjoint += [
        f"        p{j} = {total([f'rows[{i}][{j}] * d{i}' for i in range(n)])}" for j in numbers
    ]
    adjoint += [f"        d_x[{j}, b] += p{j}" for j in range(n)]
    for j in range(m):
        pull = f"p{n + j}"
        adjoint.append(
            f"        d_u[{j}, b] = {pull} - {pull} * g{j} * g{j} if limited else {pull}"
        )
    given = "par, limit, x, u, load, force"
    lines = [
        f'"""Loops for one cell and one plant, composed by {__name__}."""',
        "from neuromotor.compiled.functions import hyperbolic_tangent",
        "from neuromotor.compiled.pieces import piece",
        "",
        "plant_physics = piece(plant.step)",
        "plant_jacobian = piece(plant.jacobian)",
    ]
    for name, more, body in (
        ("step", "jolt, after", step),
        ("tangent", "r_x, r_u, r_after", tangent),
        ("adjoint", "d_after, d_x, d_u", adjoint),
    ):
        lines += ["", "", "@piece", f"def plant_{name}({given}, {more}):"]
        lines += ["    limited = limit[0] > 0", "    for b in range(x.shape[1]):", *inputs, *body]
    return "\n".join(lines) + "\n\n\n"
