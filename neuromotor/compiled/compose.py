"""Loops compiled for a plant and a cell, kept on disk under a hash of all they are made of.

A composed module is a file: a template, such as `loop.py` of `closed_loop`, after functions that
apply the plant's own physics to every trial of a block. numba keeps what it compiled beside that
file, so that the next program finds it. Only whole loops are kept, each in a folder of its own:
pieces that are kept one by one go stale without a word when a file that they import changes, and
several loops in one of numba's indices can lose each other when two programs write at the same
time.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import llvmlite
import numba
import numpy as np
from numba.extending import register_jitable

from neuromotor.compiled import pieces, tiles
from neuromotor.compiled.availability import announce, cache_folder
from neuromotor.compiled.functions import COMPONENTS
from neuromotor.compiled.pieces import FORMULA

__all__ = ["Loops", "PlantShape", "composed", "fingerprint"]

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
    force: int  # on the hand, and the field's after them if there is one
    signals: int = 0  # that are sensed and no numbers of the state
    features: int = 0  # that a cost weighs in place of the state
    offsets: int = 0  # that it adds to commands

    @property
    def rows(self) -> int:
        """Numbers of a state and all that is computed from them, in this order."""
        return self.state + self.signals + self.features + self.offsets


def composed(
    template: Path,
    plant: ModuleType,
    shape: PlantShape,
    dtype: str,
    cell: ModuleType | None,
    *others: ModuleType,
    field: ModuleType | None = None,
    weighed: ModuleType | None = None,
) -> Loops:
    """Return a template's loops for a plant and a cell.

    They are compiled at the first call with arrays, or read from the cache folder.

    Args:
        template: A Python file that calls `plant_step`, `plant_tangent`, `plant_adjoint` or
            `plant_hand`, the same of what is computed from a state (`computed_step` and so on), and
            the pieces of `cell`.
        plant: Module with `step`, `jacobian` and `hand` on components, and, where the shape has
            signals, `signals` and `signal_slopes`.
        shape: The plant's numbers.
        dtype: Name of the numbers that the loops are called with, such as "float64"; each has
            loops of its own.
        cell: Module with a cell's pieces, or None where the template needs none.
        *others: What the template imports beside this package's `compiled`.
        field: What acts within a step in a force field, such as `plants.field_components`; the
            plant then has `velocity_rates` and `velocity_rate_slopes` too, its first two numbers of
            a state are the configuration, and the next two its velocity.
        weighed: Module with `features` and `feature_slopes` on components, where the shape has
            features, and with `offsets` and `offset_slopes`, where it has these.
    """
    text = _applied(shape, field is not None) + template.read_text()
    made_of = [plant, pieces, tiles, *others]
    made_of += [module for module in (cell, field, weighed) if module is not None]
    names = [template.stem, plant.__name__]
    names += [module.__name__ for module in (cell, weighed) if module is not None]
    parts = [text, dtype, _MACHINE, *names, fingerprint(*made_of)]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    name = f"_neuromotor_loop_{key}"
    words = [part.rpartition(".")[2] for part in names[1:]]
    words = [word.removesuffix("_components").removesuffix("_compiled") for word in words]
    title = "-".join([template.stem, *words])
    path = cache_folder() / f"{title}-{dtype}-{key}" / f"{name}.py"
    with _lock:
        if name not in sys.modules:
            _tell_numba()
            if not path.exists():
                _write(path, text)
            spec = importlib.util.spec_from_file_location(name, path)
            if spec is None or spec.loader is None:
                raise ImportError(f"cannot read {path}; delete that folder and try again.")
            module: Any = importlib.util.module_from_spec(spec)
            module.plant, module.cell, module.field, module.weighed = plant, cell, field, weighed
            sys.modules[name] = module  # numba looks for it by name when it reads what it kept
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[name]
                raise
        return Loops(sys.modules[name], path.parent, f"{' and '.join(words)}, {dtype}")


class Loops:
    """The compiled functions of a composed module, by name."""

    def __init__(self, module: ModuleType, folder: Path, title: str) -> None:
        self._module, self._folder, self._title = module, folder, title

    def __call__(self, name: str) -> Any:
        """Return a function; announces it if its first call will compile it."""
        function = getattr(self._module, name)
        if not function.signatures and not self._on_disk(name):
            announce(
                f"compiling the {name.removesuffix('_block')} pass of {self._title}: some seconds, "
                "once on this machine"
            )
        return function

    def _on_disk(self, name: str) -> bool:
        """Whether numba kept it."""
        kept = (self._folder / "__pycache__").glob(f"{self._module.__name__}.{name}-*.nbi")
        return next(kept, None) is not None


def _tell_numba() -> None:
    """Let compiled code call the components that have been defined so far."""
    global _known
    for function in COMPONENTS[_known:]:
        register_jitable(**FORMULA)(function)
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
        now = found[name].stat()
        seen = _file_hash(found[name], now.st_mtime_ns, now.st_size)
        digest.update(name.encode() + b"\0" + seen)
    return digest.hexdigest()


@cache
def _file_hash(path: Path, changed_ns: int, size: int) -> bytes:
    """Hash a file that was changed at that time."""
    del changed_ns, size
    return hashlib.sha256(path.read_bytes()).digest()


# ---- a plant's physics, applied to every trial of a block ----

_CHUNK = 16  # trials that are done at once


@cache
def _applied(shape: PlantShape, in_field: bool) -> str:
    """Source of `plant_step` and its kin, without loops over components.

    Arrays have components first and trials last. Some trials at a time are copied to one small
    array of known strides, so that the compiler sees that nothing overlaps and uses vectors.
    Commands come as they are asked for; a limit of the actuators is applied here, so that no plant
    has to know it; -1 stands for none.

    Arrays of states may have more rows than a state has numbers: behind these lies what is computed
    from them, by functions of its own.

    In a force field the numbers of the field come behind the force on the hand. Before a step the
    field adds what it has for the hand's position to that force; after the step it carries the
    velocity, which is x[2] and x[3]. Changes pass through the derivatives of the step with the
    first of these, then through those of the second, and pulls go back the other way.
    """
    n, m = shape.state, shape.command
    numbers = range(n + m)
    rows = {"x": n, "u": m, "load": shape.load, "force": shape.force}
    local = {"given": m, "slope": m}

    def total(terms: Iterable[str]) -> str:
        return " + ".join(terms)

    def function(name: str, reads: dict[str, int], writes: dict[str, int], body: list[str]) -> str:
        """A function that reads some arrays and adds nothing to others, but writes them."""
        first: dict[str, int] = {}
        physical = name.startswith("plant")
        given = rows | reads if physical else reads
        everything = given | writes | (local if physical else {})
        for array in everything:
            first[array] = sum(everything[before] for before in first)

        def named(line: str) -> str:
            """`x[0]` of a line as the place where it stands."""
            pattern = r"\b(" + "|".join(first) + r")\[(\d+)\]"
            return re.sub(pattern, lambda m: f"now[{first[m[1]] + int(m[2])}, b]", line)

        def gathered(array: str) -> str:
            return "(" + "".join(f"{array}[{i}], " for i in range(everything[array])) + ")"

        lines = [
            "",
            "",
            "@piece",
            f"def {name}(par, {'limit' if physical else 'own'}, {', '.join(given | writes)}):",
            f"    now = np.zeros(({sum(everything.values())}, {_CHUNK}), x.dtype)",
            f"    for start in range(0, x.shape[1], {_CHUNK}):",
            *[f"        into(now, {first[a]}, {a}[:{everything[a]}], start)" for a in given],
        ]
        if physical:
            numbers = f"{first['u']}, {first['given']}, {first['slope']}, {m}"
            lines.append(f"        actuate(limit, now, {numbers})")
        lines.append(f"        for b in range({_CHUNK}):")
        state = gathered("x")
        inner = [f"state = {state}", *body]
        if physical:
            acting = [gathered(array) for array in ("given", "load", "force")]
            inner[0] = f"acting = par, {', '.join([state, *acting])}"
        if physical and in_field:
            inner[:1] = [
                f"forces = {acting.pop()}",
                f"pushed = field.pushed(plant_place(par, {state}), forces)",
                f"acting = par, {', '.join([state, *acting])}, pushed",
                "drag = field.drag(forces)",
                "new = plant_physics(*acting)",
                "rates = field.scaled(par[0], plant.velocity_rates(par, new, drag))",
            ]
        lines += ["            " + named(line) for line in inner]
        lines += [f"        out_of(now, {first[a]}, {a}[:{writes[a]}], start)" for a in writes]
        return "\n".join(lines)

    step = ["new = plant_physics(*acting)"]
    after = [f"new[{i}]" for i in range(n)]
    jacobian = ["rows = plant_jacobian(*acting)"]
    changed = [total(f"rows[{i}][{j}] * r{j}" for j in numbers) for i in range(n)]  # by r_x, r_u
    free: list[str] = []  # what has changed before a field carries the velocity
    pulls = [f"d_after[{i}]" for i in range(n)]  # at the end of the step itself
    pulled = [total(f"rows[{i}][{j}] * pull{i}" for i in range(n)) for j in numbers]
    if in_field:
        step = ["moved = field.carried(rates, new[2], new[3])"]
        after[2:4] = ["moved[0]", "moved[1]"]
        jacobian += [
            "stiff = plant.velocity_rates(par, acting[1], field.stiffness(forces))",
            "spring = field.scaled(par[0], stiff)",
            "turns = plant.velocity_rate_slopes(par, new, drag)",
            "first, second = field.scaled(par[0], turns[0]), field.scaled(par[0], turns[1])",
            "bent = field.carried_slopes(rates, first, second, new[2], new[3])",
        ]
        for k in range(2):
            changed[2 + k] += f" + spring[{2 * k}] * r0 + spring[{2 * k + 1}] * r1"
            pulled[k] += f" + spring[{k}] * pull2 + spring[{2 + k}] * pull3"
        free = [f"free{i} = {changed[i]}" for i in range(4)]
        changed[:2] = ["free0", "free1"]
        changed[2:4] = [total(f"bent[{k}][{j}] * free{j}" for j in range(4)) for k in range(2)]
        bent = [f"bent[0][{j}] * d_after[2] + bent[1][{j}] * d_after[3]" for j in range(4)]
        pulls[:4] = [f"d_after[0] + {bent[0]}", f"d_after[1] + {bent[1]}", bent[2], bent[3]]
    step += [f"after[{i}] = {after[i]} + jolt[{i}]" for i in range(n)]
    tangent = [*jacobian, *(f"r{i} = r_x[{i}]" for i in range(n))]
    tangent += [f"r{n + i} = r_u[{i}] * slope[{i}]" for i in range(m)]
    tangent += [*free, *(f"r_after[{i}] = {changed[i]}" for i in range(n))]
    adjoint = [*jacobian, *(f"pull{i} = {pulls[i]}" for i in range(n))]
    adjoint += [f"p{j} = {pulled[j]}" for j in numbers]
    adjoint += [f"d_x[{j}] = d_old[{j}] + p{j}" for j in range(n)]
    adjoint += [f"d_u[{j}] = p{n + j} * slope[{j}]" for j in range(m)]

    parts = {
        "signal": ("plant", "par"),
        "feature": ("weighed", "own"),
        "offset": ("weighed", "own"),
    }
    sizes = {"signal": shape.signals, "feature": shape.features, "offset": shape.offsets}
    parts = {kind: part for kind, part in parts.items() if sizes[kind]}
    known = [f"{kind} = computed_{kind}s({own}, state)" for kind, (_, own) in parts.items()]
    slopes = [f"{kind} = computed_{kind}_slopes({own}, state)" for kind, (_, own) in parts.items()]
    places = [f"{kind}[{i}]" for kind in parts for i in range(sizes[kind])]

    def computed(name: str, reads: dict[str, int], writes: dict[str, int], body: list[str]) -> str:
        """A function of what is computed from a state, which does nothing where nothing is."""
        if places:
            return function(name, reads, writes, body)
        return f"\n\n@piece\ndef {name}(par, own, {', '.join(reads | writes)}):\n    pass"

    moved = [total(f"{place}[{j}] * r_x[{j}]" for j in range(n)) for place in places]
    back = [total(f"{place}[{j}] * d_y[{i}]" for i, place in enumerate(places)) for j in range(n)]
    y = len(places)
    formulas = [
        f"computed_{name} = formula({module}.{name})"
        for kind, (module, _) in parts.items()
        for name in (f"{kind}s", f"{kind}_slopes")
    ]
    return "\n".join(
        [
            f'"""Loops for one cell and one plant, composed by {__name__}."""',
            "import numpy as np",
            "",
            "from neuromotor.compiled.functions import hyperbolic_tangent",
            "from neuromotor.compiled.pieces import actuate, formula, into, out_of, piece",
            "",
            "plant_physics = formula(plant.step)",
            "plant_jacobian = formula(plant.jacobian)",
            "plant_place = formula(plant.hand)",
            *formulas,
            f"STATE = {n}",
            function("plant_step", {"jolt": n}, {"after": n}, step),
            function("plant_tangent", {"r_x": n, "r_u": m}, {"r_after": n}, tangent),
            function("plant_adjoint", {"d_after": n, "d_old": n}, {"d_x": n, "d_u": m}, adjoint),
            computed(
                "computed_step",
                {"x": n},
                {"y": y},
                [*known, *(f"y[{i}] = {place}" for i, place in enumerate(places))],
            ),
            computed(
                "computed_tangent",
                {"x": n, "r_x": n},
                {"r_y": y},
                [*slopes, *(f"r_y[{i}] = {change}" for i, change in enumerate(moved))],
            ),
            computed(
                "computed_adjoint",
                {"x": n, "d_y": y, "d_old": n},
                {"d_x": n},
                [*slopes, *(f"d_x[{j}] = d_old[{j}] + {pull}" for j, pull in enumerate(back))],
            ),
            "",
            "",
            "@piece",
            "def plant_hand(par, x, b):",
            f"    return plant_place(par, ({''.join(f'x[{i}, b], ' for i in range(n))}))",
            "",
            "",
            "",
        ]
    )
