"""Settings of a run: from defaults, a file, options and `--set`, later ones winning."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from neuromotor._checks import check_integer, check_number, did_you_mean, lookup
from neuromotor.control import ILQR
from neuromotor.controllers import CONTROLLERS, CommandTable, ContinuousTimeRNN, Controller
from neuromotor.evaluation.performance import HELD_OUT_TRIALS
from neuromotor.evaluation.references import REFERENCES
from neuromotor.optim import OPTIMIZERS, Budget, Optimizer
from neuromotor.plants import PLANTS
from neuromotor.runs.records import RUN_VERSION
from neuromotor.storage.components import SettingsError, decode, encode
from neuromotor.storage.files import parse_json, read_text
from neuromotor.tasks import TASKS, Task, with_plant
from neuromotor.zoo.saved_controller import SavedController

__all__ = ["DTYPES", "RunSettings", "gather", "resolve", "resolve_saved"]

DTYPES = {"float64": torch.float64, "float32": torch.float32}
_ILQR = {"ilqr": ILQR()}
_MAX_CONFIG_BYTES = 1 << 24
_DEFAULTS: dict[str, Any] = {
    "task": "center-out",
    "plant": None,  # the task's own
    "controller": "rnn",
    "optimizers": ["kron-lbfgs", "lbfgs", "adam"],
    "budget": 2000,
    "seconds": None,
    "seed": 0,
    "seeds": 1,  # how many in a row, from `seed` on
    "held_out": HELD_OUT_TRIALS,
    "references": None,  # beside iLQR: those that suit the task
    "refresh": 0,  # iterations between new training trials, or a table of them by optimizer
    "products": None,  # precision of Gauss-Newton products: that of the rest
    "dtype": "float64",
    "device": "cpu",
    "threads": 1,
}
# The smoke size: what is left when a run must end within seconds.
_SMOKE_BUDGET = 40
_SMOKE_HELD_OUT = 40
_SMOKE_TASKS: dict[str, dict[str, Any]] = {
    "center-out": {"directions": 8},
    "postural": {"postures_deg": [[30, 90]]},
    **{name: {"pairs": 8} for name in ("ddn", "ddn-delay", "ddn-robust")},
    **{
        name: {"reach": {"directions": 2}}
        for name in ("target-jump", "pulsed-reach", "force-field")
    },
    "instructed-delay": {"reach": {"directions": 2}, "repeats": 2},
}
_SMOKE_CONTROLLERS = {"rnn": {"layers": [20, 20]}}


@dataclass(frozen=True)
class RunSettings:
    """Everything that a run depends on, built and checked."""

    task: Task
    controller: Controller
    optimizers: dict[str, Optimizer]
    ilqr: ILQR
    calls: int
    seconds: float | None
    seed: int
    seeds: int
    held_out: int
    references: tuple[str, ...] | None
    refresh: int | dict[str, int]
    products: torch.dtype | None
    dtype: torch.dtype
    device: torch.device
    threads: int

    def budget(self, interrupted: Any) -> Budget:
        """Return the budget of each optimizer."""
        return Budget(calls=self.calls, seconds=self.seconds, interrupted=interrupted)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain data, in the form that `--config` reads."""
        return {
            "format_version": RUN_VERSION,
            "task": encode(self.task, TASKS),
            "controller": encode(self.controller, CONTROLLERS),
            "optimizers": list(self.optimizers),
            **{name: encode(o, {name: o}) for name, o in self.optimizers.items()},
            "ilqr": encode(self.ilqr, _ILQR),
            "budget": self.calls,
            "seconds": self.seconds,
            "seed": self.seed,
            "seeds": self.seeds,
            "held_out": self.held_out,
            "references": None if self.references is None else list(self.references),
            "refresh": self.refresh,
            "products": None if self.products is None else str(self.products)[len("torch.") :],
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": str(self.device),
            "threads": self.threads,
        }


def gather(
    config: Path | None,
    options: Mapping[str, Any],
    assignments: Sequence[str],
    *,
    smoke: bool,
    base: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the raw settings: base, smoke sizes, file, options, `KEY=VALUE` texts; later ones win.

    Args:
        config: TOML file, or JSON of a run folder.
        options: By name; None is not given.
        assignments: `KEY=VALUE` texts.
        smoke: Whether the smoke sizes are put in.
        base: What stands in place of the defaults.

    Raises:
        SettingsError: The file cannot be read, or a text is no assignment.
    """
    given = [{} if config is None else _read_config(config)]
    given.append({key: value for key, value in options.items() if value is not None})
    given += [_assignment(text) for text in assignments]
    layers = [dict(base or {}), *given]
    if smoke:
        layers.insert(1, _smoke_sizes(_merged(layers)))
    return _merged(layers)


def resolve_saved(
    saved: SavedController,
    config: Path | None,
    options: Mapping[str, Any],
    assignments: Sequence[str],
    *,
    smoke: bool = False,
) -> RunSettings:
    """Return the settings to run a saved controller with, on its own task unless one is named.

    Raises:
        SettingsError: As `gather` and `resolve`.
    """
    base = None
    if options.get("task") is None and saved.task is not None:
        base = {"task": encode(saved.task, TASKS)}
    smoke = smoke and not isinstance(saved.controller, CommandTable)  # a table fits its trials only
    raw = gather(config, options, assignments, smoke=smoke, base=base)
    raw["controller"] = encode(saved.controller, CONTROLLERS)
    return resolve(raw)


def _smoke_sizes(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The smoke sizes of the task and controller that the settings name."""
    sizes: dict[str, Any] = {"budget": _SMOKE_BUDGET, "held_out": _SMOKE_HELD_OUT}
    for key, table in (("task", _SMOKE_TASKS), ("controller", _SMOKE_CONTROLLERS)):
        spec = raw.get(key, _DEFAULTS[key])
        name = spec.get("type", _DEFAULTS[key]) if isinstance(spec, dict) else spec
        sizes[key] = {"type": name, **table.get(name, {})}
    return sizes


def resolve(raw: Mapping[str, Any]) -> RunSettings:
    """Return checked settings; what `raw` leaves open has its default.

    Raises:
        SettingsError: A key or name is unknown, or a value has the wrong type or range.
    """
    known = {*_DEFAULTS, *OPTIMIZERS, "ilqr", "format_version"}
    for key in raw:
        if key not in known:
            raise SettingsError(f"unknown setting `{key}`; {did_you_mean(key, known)}.")
    version = raw.get("format_version", RUN_VERSION)
    if version != RUN_VERSION:
        raise SettingsError(
            f"the settings have `format_version` {version!r}, this neuromotor reads {RUN_VERSION}; "
            "update neuromotor, or leave the line out and see what it says."
        )
    settings = {**_DEFAULTS, **{key: value for key, value in raw.items() if value is not None}}
    seconds = settings["seconds"]
    try:
        check_integer("budget", settings["budget"], minimum=1)
        check_integer("seed", settings["seed"], minimum=0)
        check_integer("seeds", settings["seeds"], minimum=1)
        check_integer("held_out", settings["held_out"], minimum=1)
        products = settings["products"]
        products = None if products is None else lookup("products", products, DTYPES)
        check_integer("threads", settings["threads"], minimum=1)
        if seconds is not None:
            check_number("seconds", seconds, "seconds", minimum=0.0)
        dtype = lookup("dtype", settings["dtype"], DTYPES)
    except (TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error
    task = _task(settings["task"], settings["plant"])
    return RunSettings(
        task=task,
        controller=_controller(settings["controller"], task),
        optimizers=_optimizers(settings),
        ilqr=decode(settings.get("ilqr", "ilqr"), _ILQR, "ilqr"),
        calls=settings["budget"],
        seconds=seconds,
        seed=settings["seed"],
        seeds=settings["seeds"],
        held_out=settings["held_out"],
        references=_references(settings["references"]),
        refresh=_refresh(settings["refresh"]),
        products=products,
        dtype=dtype,
        device=_device(settings["device"]),
        threads=settings["threads"],
    )


def _task(spec: Any, plant_spec: Any) -> Task:
    """The task, on its own plant or on the one named."""
    if plant_spec is None:
        task: Task = decode(spec, TASKS, "task")
        return task
    plant = decode(plant_spec, PLANTS, "plant")
    settings = {"type": spec} if isinstance(spec, str) else dict(spec)
    base: Any = decode(settings.pop("type", next(iter(TASKS))), TASKS, "task")
    try:
        base = with_plant(base, plant)
    except ValueError as error:
        raise SettingsError(f"in `task`: {error}") from error
    placed: Task = decode(settings, TASKS, "task", base)
    return placed


def _controller(spec: Any, task: Task) -> Controller:
    """The controller, with the sizes and step that the task needs unless they are given."""
    settings = {"type": spec} if isinstance(spec, str) else spec
    if not isinstance(settings, Mapping):
        raise SettingsError(f"`controller` must be a name or a table, got {spec!r}.")
    settings = dict(settings)
    base = decode(settings.pop("type", "rnn"), CONTROLLERS, "controller")
    plant = task.plant
    if isinstance(base, ContinuousTimeRNN):
        base = replace(
            base,
            input_size=task.trials().input_size,
            command_size=plant.command_size,
            dt_s=plant.dt_s,
            time_constant_s=plant.dt_s,
        )
    elif isinstance(base, CommandTable):
        base = replace(
            base,
            trials=len(task.trials()),
            steps=task.steps,
            command_size=plant.command_size,
            dt_s=plant.dt_s,
        )
    controller: Controller = decode(settings, CONTROLLERS, "controller", base)
    return controller


def _optimizers(settings: Mapping[str, Any]) -> dict[str, Optimizer]:
    """Each named optimizer, with its own table of settings if there is one."""
    names = settings["optimizers"]
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",") if name.strip()]
    if names == ["all"]:
        names = list(OPTIMIZERS)
    if not isinstance(names, list) or not names:
        raise SettingsError(
            f"`optimizers` must be a list of names, got {settings['optimizers']!r}."
        )
    optimizers: dict[str, Optimizer] = {}
    for name in names:
        base = decode(name, OPTIMIZERS, "optimizer")
        table = settings.get(name, {})
        if isinstance(table, Mapping):
            table = {key: value for key, value in table.items() if key != "type"}
        optimizers[name] = decode(table, OPTIMIZERS, name, base)
    return optimizers


def _references(spec: Any) -> tuple[str, ...] | None:
    """Names of references, from a list or with commas; an empty text is none of them."""
    if spec is None:
        return None
    if isinstance(spec, str):
        spec = [name.strip() for name in spec.split(",") if name.strip()]
    if not isinstance(spec, list):
        raise SettingsError(f"`references` must be a list of names, got {spec!r}.")
    for name in spec:
        if name not in REFERENCES:
            raise SettingsError(f"unknown reference {name!r}; {did_you_mean(name, REFERENCES)}.")
    return tuple(spec)


def _refresh(spec: Any) -> int | dict[str, int]:
    """Iterations between new training trials, for all optimizers or by name and for `others`."""
    by_name = dict(spec) if isinstance(spec, Mapping) else {"refresh": spec}
    known = {*OPTIMIZERS, "others"}
    for name, every in by_name.items():
        if isinstance(spec, Mapping) and name not in known:
            raise SettingsError(f"unknown optimizer `refresh.{name}`; {did_you_mean(name, known)}.")
        key = f"refresh.{name}" if isinstance(spec, Mapping) else "refresh"
        try:
            check_integer(key, every, minimum=0)
        except (TypeError, ValueError) as error:
            raise SettingsError(str(error)) from error
    return by_name if isinstance(spec, Mapping) else by_name["refresh"]


def _device(name: Any) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, TypeError, AssertionError) as error:
        raise SettingsError(
            f"`device` must be one that torch can use here, got {name!r} "
            f"({str(error).splitlines()[0]})."
        ) from error
    return device


def _read_config(path: Path) -> dict[str, Any]:
    """A TOML file, or the JSON that a run folder holds."""
    kind = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = read_text(path, max_bytes=_MAX_CONFIG_BYTES)
    except (OSError, ValueError) as error:
        raise SettingsError(f"`--config` cannot be read: {error}.") from error
    try:
        data = parse_json(text) if kind == "JSON" else _parse_toml(text)
    except ValueError as error:
        raise SettingsError(f"`--config` {path} is not valid {kind}: {error}.") from error
    if not isinstance(data, dict):
        raise SettingsError(f"`--config` {path} must hold a table of settings.")
    return data


def _parse_toml(text: str) -> dict[str, Any]:
    """TOML, whatever it is nested like."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise tomllib.TOMLDecodeError("nested too deep") from error


def _assignment(text: str) -> dict[str, Any]:
    """`a.b=1` as {"a": {"b": 1}}; the value is TOML, or else a plain word."""
    key, equals, value = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise SettingsError(
            "`--set` must be KEY=VALUE with dots between levels, as in task.radius_m=0.06, "
            f"got {text!r}."
        )
    try:
        parsed: Any = _parse_toml(f"x = {value.strip()}")["x"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for part in reversed(parts):
        parsed = {part: parsed}
    assigned: dict[str, Any] = parsed
    return assigned


def _merged(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All layers in one, later ones winning."""
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge(merged, layer)
    return merged


def _merge(into: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Merge tables level by level; a name meets a table as its `type`, a number as `others`."""
    for key, value in extra.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping):
            _merge(old, value)
        elif isinstance(old, dict) and isinstance(value, str):
            old["type"] = value
        elif isinstance(old, str) and isinstance(value, Mapping):
            merged: dict[str, Any] = {"type": old}
            _merge(merged, value)
            into[key] = merged
        elif isinstance(old, int) and isinstance(value, Mapping):
            into[key] = {"others": old, **value}
        elif isinstance(value, Mapping):
            fresh: dict[str, Any] = {}
            _merge(fresh, value)
            into[key] = fresh
        else:
            into[key] = value
