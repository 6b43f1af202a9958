"""A sweep's file and the runs that it asks for.

A run's folder is named after what it sweeps and a checksum of all its settings: the same settings
are the same run, whatever else is added to the file later.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from neuromotor._checks import did_you_mean
from neuromotor.optim import OPTIMIZERS
from neuromotor.runs.merging import flattened, merged, nested
from neuromotor.runs.settings import resolve, use_named
from neuromotor.storage.components import SettingsError
from neuromotor.storage.files import read_text

__all__ = ["Run", "Sweep", "load_sweep"]

_LONGEST_NAME = 90  # letters, so that file systems take the folder


@dataclass(frozen=True)
class Run:
    """One training of a sweep.

    Attributes:
        name: Name of its folder.
        settings: Settings of `neuromotor train`, as `--config` reads them.
        swept: The settings that differ between the runs, by dotted key, the seed last.
    """

    name: str
    settings: dict[str, Any]
    swept: dict[str, Any]

    @property
    def title(self) -> str:
        """The settings that it sweeps, in words."""
        return ", ".join(f"{key}={_short(value)}" for key, value in self.swept.items())

    @property
    def task(self) -> str:
        """The task's name."""
        spec = self.settings.get("task", "center-out")
        return spec if isinstance(spec, str) else str(spec.get("type", "center-out"))

    @property
    def threads(self) -> int:
        """Threads that it computes with."""
        return int(self.settings.get("threads", 1))


@dataclass(frozen=True)
class Sweep:
    """All runs of a file.

    Attributes:
        out: Folder of the runs and of the results.
        runs: In order.
        keys: The settings that are swept, by dotted key, the seed last.
        slurm: Parameters of a job, as submitit names them.
    """

    out: Path
    runs: tuple[Run, ...]
    keys: tuple[str, ...]
    slurm: dict[str, Any]


class _File(pydantic.BaseModel):
    """The keys that a sweep's file may have."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    use: list[str] = pydantic.Field(default_factory=list)
    out: str | None = None
    seeds: int | list[int] = 1
    train: dict[str, Any] = pydantic.Field(default_factory=dict)
    grid: dict[str, Any] = pydantic.Field(default_factory=dict)
    points: list[dict[str, Any]] = pydantic.Field(default_factory=list)
    slurm: dict[str, Any] = pydantic.Field(default_factory=dict)


def load_sweep(path: Path | str, out: Path | str | None = None) -> Sweep:
    """Read a sweep's TOML file, and check the settings of every run.

    Args:
        path: The file; `neuromotor sweep --help` says what is in it.
        out: Folder of the results; the file's `out`, or runs/sweep-FILE, if None.

    Raises:
        SettingsError: The file cannot be read, or a key or value in it is wrong.
        ExtensionError: What its `use` names cannot be loaded.
    """
    path = Path(path)
    file = _read(path)
    use_named(file.use, path)
    grid = flattened(file.grid)
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            raise SettingsError(f"`grid.{key}` must be a list of values, got {values!r}.")
    points = file.points or [{}]
    for key in (key for point in points for key in flattened(point) if key in grid):
        raise SettingsError(f"`{key}` is both in `grid` and in `points`; leave it out of one.")
    seeds = _seeds(file)
    runs: dict[str, Run] = {}
    for point in points:
        for values in itertools.product(*grid.values()):
            for seed in seeds:
                combination = dict(zip(grid, values, strict=True))
                run = _run(file.train, point, combination, seed)
                if run.name in runs:
                    raise SettingsError(f"two runs of {path} are the same: {run.title}.")
                runs[run.name] = run
    keys = dict.fromkeys(key for run in runs.values() for key in run.swept if key != "seed")
    folder = Path(out or file.out or Path("runs") / f"sweep-{path.stem}")
    return Sweep(folder, tuple(runs.values()), (*keys, "seed"), file.slurm)


def _read(path: Path) -> _File:
    """Return the file with its keys and types checked."""
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise SettingsError(f"the sweep cannot be read: {error}.") from error
    try:
        data = tomllib.loads(text)
    except ValueError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error
    known = _File.model_fields
    for key in data:
        if key not in known:
            raise SettingsError(
                f"unknown key `{key}` in {path}; {did_you_mean(key, known)}. Settings of the "
                "trainings belong into [train], [grid] or [[points]]."
            )
    try:
        return _File(**data)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("int", "list[int]"))
        message = f"{first['msg'][0].lower()}{first['msg'][1:]}"
        raise SettingsError(f"`{where}` in {path}: {message}, got {first['input']!r}.") from error


def _seeds(file: _File) -> list[int]:
    """Return the seed of each repetition."""
    swept = {key for table in (file.grid, *file.points) for key in flattened(table)}
    if "seed" in swept:
        raise SettingsError("`seed` cannot be swept by the grid or points; list it in `seeds`.")
    if isinstance(file.seeds, list):
        if not file.seeds:
            raise SettingsError("`seeds` must be a number or a list of seeds, got an empty list.")
        return file.seeds
    if file.seeds < 1:
        raise SettingsError(f"`seeds` must be 1 or more, got {file.seeds!r}.")
    first = file.train.get("seed", 0)
    if not isinstance(first, int):
        raise SettingsError(f"`train.seed` must be a whole number, got {first!r}.")
    return [first + i for i in range(file.seeds)]


def _run(
    common: Mapping[str, Any], point: Mapping[str, Any], combination: Mapping[str, Any], seed: int
) -> Run:
    """One run, its settings resolved once to see whether they are right."""
    swept = {**flattened(point), **combination, "seed": seed}
    layers: list[dict[str, Any]] = [{"optimizers": "lbfgs"}]
    for table in (common, swept):
        flat = flattened(table)
        if "optimizer" in flat:
            flat["optimizers"] = flat.pop("optimizer")
        layers.append(nested(flat))
    title = Run("", {}, swept).title
    try:
        settings = merged(layers)
        names = list(resolve(settings).optimizers)
        if len(names) != 1:
            raise SettingsError(
                f"`optimizer` must be one name, got {', '.join(names)}; list several in [grid]."
            )
        for key in swept:
            if key.partition(".")[0] in OPTIMIZERS.keys() - names:
                raise SettingsError(
                    f"`{key}` changes nothing, because the run trains with {names[0]}; sweep it "
                    "in `points` beside its optimizer."
                )
        text = json.dumps(settings, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"in the run with {title}: {error}") from error
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    slug = re.sub(r"[^\w.=+-]+", "_", title.replace(", ", "+"))[:_LONGEST_NAME]
    return Run(f"{slug}-{digest}", settings, swept)


def _short(value: Any) -> str:
    """Return a value in few letters."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
