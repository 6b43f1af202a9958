"""Loads the modules that register components: those that are named, and those of packages.

Code is loaded for three reasons only: somebody names it (`use`, `--use`, the environment variable
`NEUROMOTOR_USE`, `use` in a TOML file that is given to a command), or an installed package
announces it (entry points of the group `neuromotor.components`). A file that neuromotor wrote says
what it needs, and never loads it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from neuromotor.extensions.registry import ExtensionError, Source, bringing, registries

__all__ = ["GROUP", "VARIABLE", "load_announced", "use", "used"]

VARIABLE = "NEUROMOTOR_USE"
GROUP = "neuromotor.components"
_used: list[str] = []  # absolute files and names of modules, in order
_packages: set[str] = set()  # entry points that were loaded, or failed


def use(source: Path | str, *, folder: Path | None = None) -> None:
    """Load a module that registers components, so that their names are known everywhere.

    Environments in worker processes, sweeps and all other processes that this one starts load it
    too: it is added to the environment variable `NEUROMOTOR_USE`. Using it again does nothing.

    Args:
        source: A Python file (`my_lab.py`), whose folder becomes the last place where modules are
            looked for, or the name of a module (`my_package.components`), which is looked for in
            the working folder too.
        folder: Where a file lies; the working folder if None.

    Raises:
        ExtensionError: There is no such file or module, it raises an error, it registers nothing,
            or it registers a name that is taken.
    """
    text = os.fspath(source)
    if text.endswith(".py") or os.sep in text or isinstance(source, Path):
        path = (folder or Path()) / Path(text).expanduser()
        key, module, shown = str(path.resolve()), path.stem, path.name
        if key in _used:
            return
        if not _find_file(path.resolve(), text):
            return
    else:
        key = module = shown = text
        if key in _used:
            return
        _find_module(module)
    if _is_being_imported(module.partition(".")[0]):
        return  # it is what imports neuromotor now, and registers its components after that
    _load(text, Source.of_module(module, shown), lambda: importlib.import_module(module))
    _used.append(key)
    waiting = [part for part in _announced() if part not in _used and _key(part) not in _used]
    os.environ[VARIABLE] = os.pathsep.join([*_used, *waiting])


def used() -> tuple[str, ...]:
    """Return what `use` has loaded, as another process with this working folder can use it."""
    return tuple(_used)


def load_announced(*, strict: bool) -> None:
    """Load what installed packages and `NEUROMOTOR_USE` announce, unless it is there already.

    Args:
        strict: Whether what `NEUROMOTOR_USE` names must work. If not, a warning says what does
            not. A package that does not work is a warning always: who installed it may want
            something else now.

    Raises:
        ExtensionError: `strict`, and something that `NEUROMOTOR_USE` names does not work.
    """
    for point in importlib.metadata.entry_points(group=GROUP):
        _load_package(point)
    for name in _announced():
        try:
            use(name)
        except ExtensionError as error:
            if strict:
                raise ExtensionError(f"in {VARIABLE}: {error}") from error
            if not _is_command():  # which says so itself
                warnings.warn(f"in {VARIABLE}: {error}", stacklevel=2)


def _load_package(point: importlib.metadata.EntryPoint) -> None:
    """Load what a package announces: a module, or a function that registers its components."""
    root = point.module.partition(".")[0]
    if point.value in _packages or _is_being_imported(root):
        return
    _packages.add(point.value)
    package = (point.dist.name, point.dist.version) if point.dist is not None else ("", "")

    def load() -> None:
        found = point.load()
        if callable(found):
            found()

    try:
        _load(point.value, Source(point.module, point.module, *package), load)
    except ExtensionError as error:
        what = f"the package {package[0]} brings no components: {error}"
        warnings.warn(f"{what} Update it, or uninstall it.", stacklevel=2)


def _load(text: str, source: Source, load: Callable[[], object]) -> None:
    """Load a module, with what goes wrong in one line; it must register something."""
    before = set(sys.modules)
    try:
        with bringing(source):
            load()
            if not _has_registered(source):
                raise ExtensionError(
                    f"{text} registers nothing; call `neuromotor.register(NAME, COMPONENT)` in it."
                )
    except ExtensionError as error:
        _forget(before, source)
        place = _place(error, source)
        raise ExtensionError(f"{place}: {error}" if place else str(error)) from error
    except (Exception, SystemExit) as error:
        _forget(before, source)
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{source.module}.".startswith(f"{missing}."):
            raise ExtensionError(_no_module(text)) from error
        words = str(error).partition("\n")[0]
        place = _place(error, source)
        raise ExtensionError(
            f"{text} raised {type(error).__name__} when it was imported"
            f"{f' ({place})' if place else ''}: {words}"
        ) from error


def _has_registered(source: Source) -> bool:
    """Return whether something was brought by a source, or by the same module before it."""
    inside = f"{source.module}."
    return any(
        found == source or found.module == source.module or found.module.startswith(inside)
        for registry in registries().values()
        for found in registry.sources.values()
    )


def _forget(before: set[str], source: Source) -> None:
    """Let a module that did not load be loaded anew next time."""
    root = source.module.partition(".")[0]
    for name in sys.modules.keys() - before:
        if name == root or name.startswith(f"{root}."):
            del sys.modules[name]


def _find_file(path: Path, text: str) -> bool:
    """Make a file the module of its name; return False where it is the program that runs.

    Raises:
        ExtensionError: There is no such file, or another module has its name.
    """
    name = path.stem
    if not path.is_file() or path.suffix != ".py":
        raise ExtensionError(
            f"there is no Python file {text} (in {path.parent}); give the path of one, or the name "
            "of a module, as in `--use my_lab.py` or `--use my_package.components`."
        )
    if not name.isidentifier():
        raise ExtensionError(
            f"{text} must have a name that Python can import, of letters, digits and underscores; "
            "rename it."
        )
    program = getattr(sys.modules["__main__"], "__file__", None)
    if program is not None and Path(program).resolve() == path:
        return False  # it registers its components itself, as it goes on
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # processes that take objects from here find it too
    importlib.invalidate_caches()
    found = sys.modules.get(name)
    spec = importlib.util.find_spec(name) if found is None else None
    other = getattr(found, "__file__", None) if spec is None else spec.origin
    if other is None or Path(other).resolve() != path:
        raise ExtensionError(
            f"{text} has the name of another module, {name} ({other or 'built in'}); rename it."
        )
    return True


def _find_module(name: str) -> None:
    """Raise unless a name can be a module's; the working folder is the last place to look."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise ExtensionError(_no_module(name))
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())
    importlib.invalidate_caches()


def _no_module(text: str) -> str:
    return (
        f"there is no module {text!r} in this Python or in the working folder; install it, or give "
        "a file, as in `--use my_lab.py`."
    )


def _is_being_imported(module: str) -> bool:
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def _is_command() -> bool:
    """Return whether this process is the command `neuromotor`."""
    return Path(sys.argv[0] if sys.argv else "").stem in ("neuromotor", "-m")


def _announced() -> list[str]:
    return [part.strip() for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part.strip()]


def _key(text: str) -> str:
    return str(Path(text).expanduser().resolve())


def _place(error: BaseException, source: Source) -> str:
    """Return the file and line where an error came from, within the module if it was there."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    own = Path(__file__).parents[1]
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame
        for frame in frames
        if not frame.filename.startswith("<") and own not in Path(frame.filename).parents
    ]
    root = source.module.partition(".")[0]
    inside = [frame for frame in theirs if root in Path(frame.filename).with_suffix("").parts]
    found = inside or theirs
    return f"{found[-1].filename}, line {found[-1].lineno}" if found else ""
