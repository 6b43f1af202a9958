"""Settings of a run, from defaults, a file, options and `--set`; what comes later wins."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from neuromotor._checks import check_integer, check_number, check_seed, did_you_mean, lookup
from neuromotor.control import ILQR
from neuromotor.controllers import CONTROLLERS, ContinuousTimeRNN, Controller
from neuromotor.controllers.controller import belongs_to_trials
from neuromotor.controllers.widening import enlarged, retimed, widened
from neuromotor.evaluation.performance import HELD_OUT_TRIALS
from neuromotor.evaluation.references import REFERENCES
from neuromotor.extensions.loading import use
from neuromotor.extensions.registry import lacking
from neuromotor.optim import OPTIMIZERS, Budget, Optimizer
from neuromotor.plants import PLANTS
from neuromotor.runs.merging import merged, nested
from neuromotor.runs.records import RUN_VERSION
from neuromotor.storage.components import (
    SettingsError,
    UnknownNameError,
    UnknownSettingError,
    decode,
    encode,
    needs_of,
    setting_names,
)
from neuromotor.storage.files import parse_json, read_text
from neuromotor.tasks import TASKS, SensesInUse, Task, with_plant
from neuromotor.tasks.task import input_size
from neuromotor.training.comparison import CompareSettings
from neuromotor.training.teacher import TEACHERS, ILQGTeacher
from neuromotor.zoo.saved_controller import SavedController

__all__ = [
    "DTYPES",
    "RunSettings",
    "check_used",
    "gather",
    "optimizers_of",
    "resolve",
    "resolve_saved",
    "same_controller",
    "setting_paths",
    "as_start",
    "use_named",
    "task_of",
]

DTYPES = {"float64": torch.float64, "float32": torch.float32}
_ILQR = {"ilqr": ILQR()}
_MAX_CONFIG_BYTES = 1 << 24
_PENALTIES = ("l2", "norm_preserving")
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
    "grow": 0,  # new draws after which a batch is larger by one
    "antithetic": False,  # whether noise comes in pairs of opposite sign
    "expected_noise": False,  # whether the loss is expected over the noise, not drawn
    "teacher": None,  # whose commands are learnt in place of the loss
    "products": None,  # precision of Gauss-Newton products: that of the rest
    "l2": 0.0,  # weight of half the squared norm of the parameters
    "norm_preserving": 0.0,  # weight of the norm-preserving regularizer
    "dtype": "float64",
    "device": "cpu",
    "threads": 1,
    "start": None,  # SHA-256 of the controller file that the training starts from
}
# The smoke size: what is left when a run must end within seconds.
_SMOKE_BUDGET = 40
_SMOKE_HELD_OUT = 40
_SMOKE_TASKS: dict[str, dict[str, Any]] = {
    "center-out": {"directions": 8},
    **{name: {"directions": 2} for name in ("postural", "postural-calibrated")},
    **{name: {"pairs": 8} for name in ("ddn", "ddn-delay", "ddn-robust")},
    **{
        name: {"reach": {"directions": 2}}
        for name in (
            *("target-jump", "pulsed-reach", "force-field", "swing"),
            *("interception", "tracking", "figure-eight", "friction"),
        )
    },
    "posture-loads": {"directions": 2},
    "reach-hold": {"directions": 2, "radii_m": [0.05]},
    "sequence": {"sequences": 8},
    **{
        name: {"reach": {"directions": 2}, "repeats": 2}
        for name in ("instructed-delay", "memory-reach", "cued-reach")
    },
}
_SMOKE_CONTROLLERS = {
    **{
        name: {"layers": [20, 20]}
        for name in ("rnn", "network", "gated", "lstm", "gated-feedback", "feedforward")
    },
    "constrained": {"layers": [20]},
    "irnn": {"layers": [20]},
    "reservoir": {"layers": [40]},
    **{name: {"layers": [20, 20]} for name in ("kalidindi-2021", "kalidindi-2021-no-rec")},
}


@dataclass(frozen=True, kw_only=True)
class RunSettings(CompareSettings):
    """Everything that a run depends on, built and checked.

    Attributes:
        task_name: Name of the task's preset.
        task: The task.
        controller: The controller.
        optimizers: Optimizers by name.
        calls: Budget of each optimizer, in calls.
        seconds: Budget of each optimizer, in seconds; None without a limit.
        seeds: How many seeds are run in a row, from `seed` on.
        threads: Threads of everything that is computed.
        start: SHA-256 of the controller file that the training starts from, if it has one.
    """

    task_name: str
    task: Task
    controller: Controller
    optimizers: dict[str, Optimizer]
    calls: int
    seconds: float | None
    seeds: int
    threads: int
    start: str | None = None

    def budget(self, interrupted: Any) -> Budget:
        """Return the budget of each optimizer."""
        return Budget(calls=self.calls, seconds=self.seconds, interrupted=interrupted)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain data, in the form that `--config` reads."""
        needs = self._needs()
        return {
            "format_version": RUN_VERSION,
            "task": {**encode(self.task, TASKS), "type": self.task_name},
            "controller": encode(self.controller, CONTROLLERS),
            "optimizers": list(self.optimizers),
            **{name: encode(o, {name: o}) for name, o in self.optimizers.items()},
            "ilqr": encode(self.ilqr, _ILQR),
            "budget": self.calls,
            "seconds": self.seconds,
            "seed": self.seed,
            "seeds": self.seeds,
            "held_out": self.held_out_trials,
            "references": None if self.references is None else list(self.references),
            "refresh": self.refresh,
            **({"grow": self.grow} if self.grow else {}),
            **({"antithetic": True} if self.antithetic else {}),
            **({"expected_noise": True} if self.expected_noise else {}),
            **({} if self.teacher is None else {"teacher": encode(self.teacher, TEACHERS)}),
            "products": None if self.products is None else str(self.products)[len("torch.") :],
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": str(self.device),
            "threads": self.threads,
            **({} if self.start is None else {"start": self.start}),
            **{name: n for name in _PENALTIES if (n := getattr(self, name))},
            **({"needs": needs} if needs else {}),
        }

    def _needs(self) -> list[dict[str, str]]:
        """Return what brings the components, and the names that the settings say."""
        methods = [(one, {name: one}) for name, one in self.optimizers.items()]
        needs = needs_of((self.task, TASKS), (self.controller, CONTROLLERS), *methods)
        named = [TASKS.sources.get(self.task_name), *map(OPTIMIZERS.sources.get, self.optimizers)]
        named += map(REFERENCES.sources.get, self.references or ())
        sources = [source.as_dict() for source in named if source is not None]
        return [*needs, *(one for one in sources if one not in needs)]


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
    base = base or {}
    file = {} if config is None else _read_config(config)
    named = {key: value for key, value in options.items() if value is not None}
    task = merged([base, file]).get("task")
    if isinstance(task, dict) and task.get("type") == named.get("task"):
        named.pop("task", None)  # the task of the file, as it is there
    given = [file, named, *(_assignment(text) for text in assignments)]
    if not smoke:
        return merged([base, *given])
    sizes, own = _smoke_sizes(merged([base, *given])), merged(given)
    for key in ("task", "controller"):
        if isinstance(own.get(key), str):
            del own[key]  # the sizes have its name
    return merged([base, sizes, own])


def resolve_saved(
    saved: SavedController,
    config: Path | None,
    options: Mapping[str, Any],
    assignments: Sequence[str],
    *,
    uses: Collection[str],
    smoke: bool = False,
) -> RunSettings:
    """Return the settings to run a saved controller with, on its own task unless one is named.

    Args:
        saved: The controller.
        config: As for `gather`.
        options: As for `gather`.
        assignments: As for `gather`.
        uses: Settings beside the task and its plant that change something.
        smoke: As for `gather`.

    Raises:
        SettingsError: As `gather` and `resolve`; or an assignment changes nothing, or the
            controller.
    """
    for key in merged([_assignment(text) for text in assignments]):
        if key in {*_DEFAULTS, *OPTIMIZERS, "ilqr"} - {"task", "plant", "controller", *uses}:
            raise SettingsError(f"`{key}` changes nothing here; leave it out.")
    base = None
    if options.get("task") is None and saved.task is not None:
        base = {"task": encode(saved.task, TASKS)}
    smoke = smoke and not belongs_to_trials(saved.controller)
    given = gather(config, options, assignments, smoke=False, base=base)
    raw = gather(config, options, assignments, smoke=smoke, base=base)
    raw["controller"] = same_controller(given, saved.controller)
    return resolve(raw)


def same_controller(raw: Mapping[str, Any], controller: Controller) -> dict[str, Any]:
    """Return a saved controller as plain data.

    Raises:
        SettingsError: The settings describe another one.
    """
    own = encode(controller, CONTROLLERS)
    spec = raw.get("controller", {})
    table = {"type": spec} if isinstance(spec, str) else spec
    if isinstance(table, Mapping):
        named = CONTROLLERS.get(table.get("type", own["type"]))
        if type(named) is not type(controller):
            raise SettingsError(
                f"`controller` is {own['type']!r} in its file, got {table['type']!r}; leave it out."
            )
        table = {key: value for key, value in table.items() if key != "type"}
    given = encode(decode(table, CONTROLLERS, "controller", controller), CONTROLLERS)
    for key in own.keys() - {"type"}:
        if given[key] != own[key]:
            raise SettingsError(
                f"`controller.{key}` is {own[key]!r} in the controller's file, got {given[key]!r}; "
                "leave it out, or train a new one."
            )
    return own


def as_start(raw: Mapping[str, Any], saved: SavedController) -> SavedController:
    """Return a saved controller with what settings add to it, so that it begins as it was.

    That are units, if the settings name layers that have more; efference copies, if they name more;
    and inputs for the task's clock, if they are all that it lacks, or if the clock tells each step
    and it was told by another one.

    Args:
        raw: Settings, of which the task counts.
        saved: A controller to start from.
    """
    _, task = task_of(raw.get("task", _DEFAULTS["task"]), raw.get("plant"))
    saved = _retimed(task, _with_copies(raw, _with_units(raw, saved)))
    clock = len(SensesInUse.of(task).clock_labels)
    lacks = input_size(task, task.trials()) - getattr(saved.controller, "input_size", 0)
    if not clock or lacks != clock:
        return saved
    controller, parameters = widened(saved.controller, saved.parameters, clock)
    return replace(saved, controller=controller, parameters=parameters)


def _retimed(task: Task, saved: SavedController) -> SavedController:
    """Return a saved controller with an input for each step in place of its own clock."""
    if saved.task is None:
        return saved
    now, before = SensesInUse.of(task).clock, SensesInUse.of(saved.task).clock
    if now is None or before is None or now.kind != "each-step" or before.steps != now.steps:
        return saved
    if before.kind == now.kind:
        return saved
    controller, parameters = retimed(saved.controller, saved.parameters, before.table())
    return replace(saved, controller=controller, parameters=parameters)


def _with_copies(raw: Mapping[str, Any], saved: SavedController) -> SavedController:
    """Return a saved controller with as many efference copies as the settings name, if more."""
    table, had = raw.get("controller"), getattr(saved.controller, "efference_copies", None)
    wanted = table.get("efference_copies") if isinstance(table, Mapping) else None
    if had is None or not isinstance(wanted, int) or wanted <= had:
        return saved
    controller, parameters = widened(saved.controller, saved.parameters, 0, wanted - had)
    return replace(saved, controller=controller, parameters=parameters)


def _with_units(raw: Mapping[str, Any], saved: SavedController) -> SavedController:
    """Return a saved controller with the units that the settings name, if these are more."""
    table, own = raw.get("controller"), getattr(saved.controller, "layers", ())
    layers = table.get("layers") if isinstance(table, Mapping) else None
    if not isinstance(layers, list) or len(layers) != len(own):
        return saved
    more = [new - old for new, old in zip(layers, own, strict=True) if isinstance(new, int)]
    if len(more) < len(own) or min(more) < 0 or max(more) == 0:
        return saved  # the same, or fewer, which `same_controller` refuses
    seed = raw.get("seed", _DEFAULTS["seed"])
    controller, parameters = enlarged(saved.controller, saved.parameters, tuple(layers), seed)
    return replace(saved, controller=controller, parameters=parameters)


def check_used(raw: Mapping[str, Any], assignments: Sequence[str], settings: RunSettings) -> str:
    """Return a sentence on settings of optimizers that are not among those chosen, if any.

    Raises:
        SettingsError: An assignment is one of these.
    """
    chosen = ", ".join(settings.optimizers)

    def unused(table: Mapping[str, Any]) -> list[str]:
        refresh = table.get("refresh")
        own = refresh if isinstance(refresh, dict) else {}
        names = [name for name in table if name in OPTIMIZERS.keys() - settings.optimizers.keys()]
        others = own.keys() - settings.optimizers.keys() - {"others"}
        return [*names, *(f"refresh.{name}" for name in own if name in others)]

    own = merged([_assignment(text) for text in assignments])
    task = settings.task
    if own.get("references") and not (task.random or task.trials().disturbed):
        raise SettingsError(
            f"`references` changes nothing: nothing in {settings.task_name} is random or disturbs, "
            "so that iLQR is the reference; leave it out."
        )
    for text in assignments:
        for name in unused(_assignment(text)):
            raise SettingsError(
                f"`--set {text}` changes nothing, because only {chosen} trains; leave `{name}` "
                "out, or choose its optimizer too."
            )
    names = ", ".join(f"`{name}`" for name in unused(raw))
    return names and f"Settings that nothing here uses ({chosen} trains): {names}."


def _smoke_sizes(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the smoke sizes of the task and controller that the settings name."""
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
    try:
        return _resolved(merged([raw]))
    except (UnknownNameError, UnknownSettingError) as error:
        needs = lacking(raw.get("needs"))
        if needs:
            what = str(error).partition(";")[0]
            raise SettingsError(f"the settings name what is not here ({what}). {needs}") from error
        if isinstance(error, UnknownSettingError):
            raise UnknownSettingError(error.path, error.known, setting_paths(raw)) from error
        raise


def setting_paths(raw: Mapping[str, Any]) -> list[str]:
    """Return all settings of the named components, with dots between levels.

    Args:
        raw: As for `resolve`; what it leaves open, or names wrongly, has its default.
    """
    names = list(_DEFAULTS)
    for key, registry in (("task", TASKS), ("controller", CONTROLLERS)):
        spec = raw.get(key, _DEFAULTS[key])
        name = spec.get("type") if isinstance(spec, dict) else spec
        component = registry.get(name if isinstance(name, str) else "", registry[_DEFAULTS[key]])
        names += [f"{key}.{part}" for part in setting_names(component)]
    names += [f"teacher.{part}" for part in setting_names(next(iter(TEACHERS.values())))]
    chosen = raw.get("optimizers", _DEFAULTS["optimizers"])
    for name, method in {**OPTIMIZERS, **_ILQR}.items():
        if name in chosen or name in _ILQR:
            names += [f"{name}.{part}" for part in setting_names(method)]
    return names


def _resolved(raw: Mapping[str, Any]) -> RunSettings:
    """Return checked settings from merged ones."""
    known = {*_DEFAULTS, *OPTIMIZERS, "ilqr", "format_version", "needs"}
    for key in raw:
        if key not in known:
            raise UnknownSettingError(key, known)
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
        check_integer("seeds", settings["seeds"], minimum=1)
        check_seed("seed", settings["seed"], count=settings["seeds"])
        check_integer("held_out", settings["held_out"], minimum=1)
        for name in _PENALTIES:
            check_number(name, settings[name], minimum=0.0)
        products = settings["products"]
        products = None if products is None else lookup("products", products, DTYPES)
        check_integer("threads", settings["threads"], minimum=1)
        check_integer("grow", settings["grow"], minimum=0)
        if seconds is not None:
            check_number("seconds", seconds, "seconds", minimum=0.0)
        dtype = lookup("dtype", settings["dtype"], DTYPES)
    except (TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error
    task_name, task = task_of(settings["task"], settings["plant"])
    return RunSettings(
        task_name=task_name,
        task=task,
        controller=_controller(settings["controller"], task),
        optimizers=optimizers_of(settings),
        ilqr=decode(settings.get("ilqr", "ilqr"), _ILQR, "ilqr"),
        calls=settings["budget"],
        seconds=seconds,
        seed=settings["seed"],
        seeds=settings["seeds"],
        held_out_trials=settings["held_out"],
        references=_references(settings["references"]),
        refresh=_refresh(settings["refresh"]),
        grow=settings["grow"],
        antithetic=_yes_or_no("antithetic", settings["antithetic"]),
        expected_noise=_yes_or_no("expected_noise", settings["expected_noise"]),
        teacher=_teacher(settings["teacher"]),
        products=products,
        l2=float(settings["l2"]),
        norm_preserving=float(settings["norm_preserving"]),
        dtype=dtype,
        device=_device(settings["device"], dtype),
        threads=settings["threads"],
        start=settings["start"],
    )


def task_of(spec: Any, plant_spec: Any) -> tuple[str, Task]:
    """Return the preset's name and the task, on its own plant or on the one that is given."""
    if not isinstance(spec, str | Mapping):
        raise SettingsError(f"`task` must be a name or a table of settings, got {spec!r}.")
    settings = {"type": spec} if isinstance(spec, str) else dict(spec)
    name = settings.pop("type", _DEFAULTS["task"])
    base: Any = decode({"type": name}, TASKS, "task")
    if plant_spec is not None:
        plant = decode(plant_spec, PLANTS, "plant", base.plant)
        try:
            base = with_plant(base, plant)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"in `task`: {error}") from error
        reach = settings.get("reach")
        named = {"type": reach} if isinstance(reach, str) else reach
        if isinstance(named, Mapping) and "type" in named:  # it begins anew, on its own plant
            settings["reach"] = {**named, "plant": encode(plant, PLANTS)}
    placed: Task = decode(settings, TASKS, "task", base)
    return name, placed


def _controller(spec: Any, task: Task) -> Controller:
    """Return the controller, with the sizes and step that the task needs unless they are given."""
    settings = {"type": spec} if isinstance(spec, str) else spec
    if not isinstance(settings, Mapping):
        raise SettingsError(f"`controller` must be a name or a table, got {spec!r}.")
    settings = dict(settings)
    base = decode(settings.pop("type", "rnn"), CONTROLLERS, "controller")
    controller: Controller = decode(settings, CONTROLLERS, "controller", _fitted(base, task))
    return controller


def _fitted(controller: Any, task: Task) -> Any:
    """Return a controller with those sizes of the task that it has fields for."""
    plant = task.plant
    sizes = {
        "input_size": input_size(task, task.trials()),
        "state_size": plant.state_size,
        "load_size": plant.load_size,
        "hand_size": plant.hand_size,
        "command_size": plant.command_size,
        "dt_s": plant.dt_s,
        "delay_steps": task.delay_steps,
        "steps": task.steps,
    }
    if isinstance(controller, ContinuousTimeRNN):
        sizes["time_constant_s"] = plant.dt_s
    if belongs_to_trials(controller):
        sizes["trials"] = len(task.trials())
    names = {field.name for field in fields(controller) if field.init}
    return replace(controller, **{name: size for name, size in sizes.items() if name in names})


def optimizers_of(settings: Mapping[str, Any]) -> dict[str, Optimizer]:
    """Return each named optimizer, with its own table of settings if there is one."""
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
    """Return names of references, from a list or a text with commas; an empty text names none."""
    if spec is None:
        return None
    if isinstance(spec, str):
        spec = [name.strip() for name in spec.split(",") if name.strip()]
    if not isinstance(spec, list):
        raise SettingsError(f"`references` must be a list of names, got {spec!r}.")
    for name in spec:
        if name not in REFERENCES:
            raise UnknownNameError(f"unknown reference {name!r}; {did_you_mean(name, REFERENCES)}.")
    return tuple(spec)


def _refresh(spec: Any) -> int | dict[str, int]:
    """Return checked iterations between new trials, for all or by name and for `others`."""
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


def _yes_or_no(name: str, value: Any) -> bool:
    """Return a setting that is true or false."""
    if not isinstance(value, bool):
        raise SettingsError(f"`{name}` must be true or false, got {value!r}.")
    return value


def _teacher(spec: Any) -> ILQGTeacher | None:
    """Return the teacher that a name or a table describes, or None."""
    if spec is None:
        return None
    teacher: ILQGTeacher = decode(spec, TEACHERS, "teacher")
    return teacher


def _device(name: Any, dtype: torch.dtype) -> torch.device:
    """Return a device that this machine can compute with."""
    try:
        device = torch.device(name)
        float(torch.ones(1, device=device))
    except (RuntimeError, TypeError, AssertionError) as error:
        usable = {"cpu": True, "cuda": torch.cuda.is_available()}
        usable |= {"mps": torch.backends.mps.is_available()}
        names = " or ".join(device for device, there in usable.items() if there)
        raise SettingsError(
            f"`device` must be one that this torch can use on this machine ({names}), got {name!r}."
        ) from error
    try:
        torch.ones(1, dtype=dtype, device=device)
    except (RuntimeError, TypeError) as error:
        raise SettingsError(
            f"`device` {name} cannot compute in {str(dtype).removeprefix('torch.')}; choose "
            "another `dtype`, as in `--dtype float32`."
        ) from error
    return device


def _read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file, or in the JSON file of a run folder."""
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
    if kind == "TOML":
        use_named(data.pop("use", []), path)
    return data


def use_named(names: Any, path: Path) -> None:
    """Load what `use` in a TOML file names; files lie where that one does.

    Raises:
        SettingsError: It is no list of names.
        ExtensionError: One of them cannot be loaded.
    """
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingsError(
            f'`use` in {path} must be a list of files and modules, as ["my_lab.py"], got {names!r}.'
        )
    for name in names:
        use(name, folder=path.parent)


def _parse_toml(text: str) -> dict[str, Any]:
    """Return what TOML holds; deep nesting is an error like any other."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise tomllib.TOMLDecodeError("nested too deep") from error


def _assignment(text: str) -> dict[str, Any]:
    """Return `a.b=1` as {"a": {"b": 1}}; the value is TOML, or else a plain word."""
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
    return nested({".".join(parts): parsed})
