"""Recordings: one labelled dataset of what network, limb and world did, trial by trial.

Layout (`LAYOUT`): arrays over ``trial x time x unit`` (or axis, joint, actuator, state), `time` in
seconds on an even grid, `condition` a label of each trial, `layer` a label of each unit. Only
`time`, `condition` and one variable are needed; each analysis names what it uses. So anybody's data
can be given: build them with `make_recording`, or write a netCDF file of this layout. Both convert
other units and refuse unknown ones. A sample at time t holds the state then, and the rates and the
command computed from what was seen then; the command acts until the next sample. The state after
the last step has no rates: it is in `final_hand_position`, `final_hand_velocity` and `final_time`.
Variables named `trials_...` are the batch that was run, loads and noise draws included:
`recorded_run` makes the recorded task and trials of them.

Files are netCDF 3 through scipy: no pickles, no further dependency, readable by MATLAB, R, Julia.
netCDF 4 files of the same layout are read where h5netcdf is installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from neuromotor._version import __version__
from neuromotor.analysis.actors import Actor, acting
from neuromotor.analysis.conform import conformed, even_grid, units_of
from neuromotor.analysis.quantities import agree, given, labels_of, missing_labels, unlabelled
from neuromotor.closed_loop import ClosedLoop, check_trials
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.controllers import CONTROLLERS, AlteredFeedback, FeedbackChange
from neuromotor.controllers.controller import unit_rates
from neuromotor.plants import Plant, degrees_of_freedom
from neuromotor.storage.components import SettingsError, decode, encode
from neuromotor.storage.files import atomic_path
from neuromotor.tasks import TASKS, Task, Trials
from neuromotor.tasks.trials import TRIAL_PARTS

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "EVENTS",
    "LAYOUT",
    "RecordingError",
    "VariableLayout",
    "check_recording",
    "load_recording",
    "make_recording",
    "movement_onset",
    "record",
    "recorded_run",
    "save_recording",
    "told",
]

_FORMAT = "neuromotor.recording"
_VERSION = "1"
_SUM = "sha256"  # of the whole file, taken with `_BLANK` in its place
_BLANK = "checksum" * 8


class RecordingError(ValueError):
    """A dataset or file is not a recording, or lacks what an analysis needs."""


class VariableLayout(NamedTuple):
    """Axes, unit and meaning of one variable of a recording."""

    dims: tuple[str, ...]
    unit: str
    meaning: str


_SERIES = ("trial", "time")
LAYOUT: dict[str, VariableLayout] = {
    "rate": VariableLayout((*_SERIES, "unit"), "1", "rates h = tanh(v), or anybody's unit rates"),
    "activation": VariableLayout((*_SERIES, "unit"), "1", "activations v"),
    "hand_position": VariableLayout((*_SERIES, "axis"), "m", "position of the hand"),
    "hand_velocity": VariableLayout((*_SERIES, "axis"), "m/s", "velocity of the hand"),
    "joint_position": VariableLayout((*_SERIES, "joint"), "rad", "joint angles"),
    "joint_velocity": VariableLayout((*_SERIES, "joint"), "rad/s", "joint velocities"),
    "command": VariableLayout((*_SERIES, "actuator"), "N m", "torques commanded, without noise"),
    "load": VariableLayout((*_SERIES, "actuator"), "N m", "torques applied by the world"),
    "hand_force": VariableLayout((*_SERIES, "axis"), "N", "forces applied to the hand"),
    "observation": VariableLayout((*_SERIES, "state"), "mixed", "what the controller saw"),
    "shown_target": VariableLayout((*_SERIES, "state"), "mixed", "target that was shown"),
    "cue": VariableLayout((*_SERIES, "signal"), "1", "cues that the controller got"),
    "target": VariableLayout(("trial", "state"), "mixed", "state to be reached"),
    "target_position": VariableLayout(("trial", "axis"), "m", "hand position to be reached"),
    "final_hand_position": VariableLayout(("trial", "axis"), "m", "after the last step"),
    "final_hand_velocity": VariableLayout(("trial", "axis"), "m/s", "after the last step"),
    "final_time": VariableLayout(("trial",), "s", "when the last step ends"),
    "target_angle": VariableLayout(
        ("trial",), "deg", "direction from the first hand position to the target; NaN if none"
    ),
    "push_force": VariableLayout(("trial", "axis"), "N", "hand force when it is largest"),
    "push_load": VariableLayout(("trial", "actuator"), "N m", "load when it is largest"),
    "target_time": VariableLayout(("trial",), "s", "target as shown at the end appears"),
    "go_time": VariableLayout(("trial",), "s", "go signal; NaN where none"),
    "perturbation_time": VariableLayout(("trial",), "s", "first load or force; NaN where none"),
    "movement_onset": VariableLayout(("trial",), "s", "by speed criterion; NaN where none"),
}
EVENTS = ("target_time", "go_time", "perturbation_time", "movement_onset")
_TRIALS = "trials_"  # before the names of the parts of the trials that were run
_PARTS = tuple(field.name for field in fields(Trials) if field.name != "condition")
_MAY_LACK = (*EVENTS, "target_angle")  # NaN where a trial has none


@torch_threads()
def record(
    task: Task,
    controller: Actor,
    parameters: Tensor | None = None,
    trials: Trials | None = None,
    *,
    feedback: FeedbackChange | None = None,
) -> xr.Dataset:
    """Run whatever decides and return everything that happened as a recording.

    Every quantity is float64. The go signal is the first cue; without cues it is at time 0, where
    the target appears. Where the target shown changes or there are cues, both are in the recording,
    since the controller was given them. Units are the controller's memory, which is stored as
    activations, and `rates(memory)`: for a `ContinuousTimeRNN` the activations v and rates tanh(v).
    What has no memory, such as a function or a policy, has no units: its recording lacks `rate` and
    what is computed from it.

    Args:
        task: Plant, steps and delay.
        controller: What decides: any controller; `ilqg`, `lqg`, `online` or another reference by
            its name, or an `ILQG` with settings, designed for the trials; a reinforcement-learning
            policy (a `PolicyController` where its environment had options); or a function of
            observation (B, n), target (B, n + cues) and step that returns commands (B, m).
        parameters: Of a controller, (P,); None for what has none.
        trials: The batch; the task's own by default.
        feedback: Feedback that is cut, frozen, delayed or replayed for some steps. `observation` is
            then what the controller saw in place of it.

    Raises:
        RecordingError: The controller has units and does not say what their rates are.
        TypeError: `controller` is nothing of these.
        ValueError: Task, controller, parameters and trials do not fit together.

    Example:
        >>> from neuromotor import CenterOut, ContinuousTimeRNN
        >>> from neuromotor.training import initial_parameters
        >>> net = ContinuousTimeRNN(layers=(20,))
        >>> recording = record(CenterOut(directions=8), net, initial_parameters(net, seed=0))
        >>> dict(recording["rate"].sizes)
        {'trial': 8, 'time': 40, 'unit': 20}
        >>> task = CenterOut(directions=8, delay_steps=5)
        >>> record(task, "ilqg", feedback=FeedbackChange("freeze", 10, 19)).sizes["time"]
        40
    """
    if trials is None:
        like = torch.zeros(0, dtype=torch.float64) if parameters is None else parameters
        trials = task.trials(dtype=like.dtype, device=like.device)
    name = controller if isinstance(controller, str) else None
    controller, parameters = acting(task, controller, parameters, trials, feedback)
    with torch.no_grad():
        run = ClosedLoop(task, controller).simulate(parameters, trials)
    if isinstance(controller, AlteredFeedback):
        memory, seen = controller.controller_memory(run.memory)
        run = replace(run, memory=memory, observations=seen)
        controller = controller.controller
    plant = task.plant
    half = degrees_of_freedom(plant, "recordings")
    before, final = run.states[:, :-1], run.states[:, -1]
    zero = torch.zeros_like(run.commands)
    load = zero if trials.load is None else trials.load
    force = zero.new_zeros(*zero.shape[:2], 2) if trials.hand_force is None else trials.hand_force
    time_s = plant.dt_s * np.arange(task.steps)
    values = {
        "hand_position": plant.hand_position(before),
        "hand_velocity": plant.hand_velocity(before),
        "joint_position": before[..., :half],
        "joint_velocity": before[..., half:],
        "command": run.commands,
        "load": load,
        "hand_force": force,
        "observation": run.observations,
        "target": trials.target,
        "target_position": plant.hand_position(trials.end),
        "final_hand_position": plant.hand_position(final),
        "final_hand_velocity": plant.hand_velocity(final),
    }
    if run.memory:
        try:
            rates = unit_rates(controller, run.memory)
        except ValueError as error:
            raise RecordingError(str(error)) from error
        values["activation"] = torch.cat(run.memory, dim=-1)
        values["rate"] = torch.cat(rates, dim=-1)
    values.update(
        (part_name, part)
        for part_name, part in trials.present().items()
        if TRIAL_PARTS[part_name].seen_by == "controller"
    )
    values["push_force"] = _largest(force)
    values["push_load"] = _largest(load)
    variables: dict[str, Any] = {name: part.double().cpu().numpy() for name, part in values.items()}
    variables["target_angle"] = _angle(plant, trials)
    variables["target_time"] = variables["go_time"] = np.zeros(len(trials))
    if trials.shown_target is not None:
        old = (trials.shown_target != trials.shown_target[:, -1:]).any(-1).sum(1)
        variables["target_time"] = plant.dt_s * old.cpu().numpy()
    if trials.cue is not None:
        variables["go_time"] = _first_time(time_s, (trials.cue != 0).any(-1))
    variables["final_time"] = np.full(len(trials), plant.dt_s * task.steps)
    variables["perturbation_time"] = _first_time(time_s, (load != 0).any(-1) | (force != 0).any(-1))
    names = [label.rsplit(" (", 1)[0] for label in plant.state_labels]
    units = [label.rsplit("(", 1)[-1].rstrip(")") for label in plant.state_labels]
    command_names = [label.rsplit(" (", 1)[0] for label in plant.command_labels]
    command_unit = plant.command_labels[0].rsplit("(", 1)[-1].rstrip(")")
    layers = [f"layer {i + 1}" for i, part in enumerate(run.memory) for _ in range(part.shape[-1])]
    number = torch.arange(len(trials)) if trials.condition is None else trials.condition
    recording = make_recording(
        time_s,
        number.cpu().numpy(),
        variables,
        layer=layers or None,
        labels={"joint": names[:half], "actuator": command_names, "state": names},
        units={
            "joint_position": units[0],
            "joint_velocity": units[half],
            "command": command_unit,
            "load": command_unit,
            "push_load": command_unit,
        },
        attributes={
            "neuromotor_version": __version__,
            "task": _as_json(task, TASKS),
            "controller": _as_json(controller if name is None else name, CONTROLLERS),
            **({} if feedback is None else {"feedback": json.dumps(feedback.as_dict())}),
        },
    )
    for name in _PARTS:
        part = getattr(trials, name)
        if part is not None:
            dims = ("trial", *(f"{name}_{axis}" for axis in range(1, part.ndim)))
            recording[_TRIALS + name] = (dims, part.double().cpu().numpy())
    return recording


def recorded_run(recording: xr.Dataset) -> tuple[Task, Trials]:
    """Return the task and the trials that `record` ran: what an intervention is tested on.

    Args:
        recording: Made by `record`; it may be cut to some trials, or around an event.

    Raises:
        RecordingError: The recording does not say which task or trials were run.
    """
    again = "record the controller again with this version, on a task that is registered"
    if "feedback" in recording.attrs:
        raise RecordingError(
            "the recording's feedback was changed, which the trials do not say; record the "
            "controller without a change of feedback."
        )
    parts = {
        name: torch.from_numpy(recording[_TRIALS + name].values.astype(np.float64))
        for name in _PARTS
        if _TRIALS + name in recording
    }
    if "initial_state" not in parts or "target" not in parts:
        raise RecordingError(f"the recording does not hold the trials that were run; {again}.")
    try:
        task: Task = decode(json.loads(recording.attrs["task"]), TASKS, "task")
        trials = Trials(**parts)
        check_trials(task, trials)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(
            f"the recording does not say which task was run ({error}); {again}."
        ) from error
    return task, trials


def make_recording(
    time_s: ArrayLike,
    condition: ArrayLike,
    variables: Mapping[str, ArrayLike],
    *,
    layer: Sequence[str] | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
    units: Mapping[str, str] | None = None,
    attributes: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Return a recording made from arrays, for instance of recorded neurons.

    Where positions are there and velocities or movement onsets are not, they are computed from them
    (central differences; `movement_onset`). Other units than those of `LAYOUT` are converted,
    whether they are named in `units` or come with the arrays (quantities of pint, quantities and
    astropy, the attribute `units` of xarray, durations). Axes with names are brought into order,
    masked values count as missing, and times as dates count from the first sample.

    Args:
        time_s: Even grid of times (s), (T,); rounding to whole microseconds does no harm.
        condition: Label of each trial, numbers or text, (B,).
        variables: Arrays by name, with the axes of `LAYOUT`: of numpy, torch, pandas or xarray.
        layer: Label of each unit, such as a cortical area, (N,).
        labels: Names along `joint`, `actuator`, `state`.
        units: Units of `time` and of variables where they are not those of `LAYOUT`, as in
            ``{"time": "ms", "hand_position": "cm", "rate": "spikes/s"}``.
        attributes: Anything else worth keeping, as text.

    Raises:
        RecordingError: Something is missing or does not fit; the message names it.
    """
    unknown = sorted(set(variables) - set(LAYOUT))
    if unknown:
        raise RecordingError(f"unknown variables {unknown}; a recording holds {list(LAYOUT)}.")
    unknown = sorted(set(units or {}) - set(variables) - {"time"})
    if unknown:
        raise RecordingError(f"`units` names {unknown}, which are not among the variables.")
    if not variables:
        raise RecordingError("`variables` must hold at least one variable, such as `rate`.")
    data: dict[str, Any] = {}
    index: dict[str, NDArray[Any]] = {}
    try:
        for name, values in variables.items():
            data[name] = _variable(name, values, LAYOUT[name].dims, units, index)
            data[name][2]["long_name"] = LAYOUT[name].meaning
        time = _variable("time", time_s, ("time",), units, index)
        coordinates: dict[str, Any] = {
            "time": time,
            "condition": ("trial", labels_of("condition", condition)),
        }
        sizes: dict[str, int] = {}
        for dims, array, _ in data.values():
            sizes |= dict(zip(dims, array.shape, strict=True))
        coordinates["trial"] = np.arange(sizes.get("trial", len(time[1])))
        if "unit" in sizes:
            coordinates["unit"] = np.arange(sizes["unit"])
            own = ["all"] * sizes["unit"] if layer is None else layer
            coordinates["layer"] = ("unit", labels_of("layer", own))
        if "axis" in sizes:
            coordinates["axis"] = ["x", "y"]
        coordinates |= {dim: list(names) for dim, names in (labels or {}).items() if dim in sizes}
        recording = conformed(_joined(data, coordinates), LAYOUT, EVENTS)
    except ValueError as error:
        raise RecordingError(str(error)) from error
    recording.attrs = {"format": _FORMAT, "format_version": _VERSION, **(attributes or {})}
    check_recording(recording)
    return _with_velocity(recording)


def _with_velocity(recording: xr.Dataset) -> xr.Dataset:
    """Add hand velocities and movement onsets where there are positions and these are not."""
    several = recording.sizes["time"] > 1
    if several and "hand_position" in recording and "hand_velocity" not in recording:
        velocity = recording["hand_position"].differentiate("time")
        velocity.attrs = {"units": "m/s", "long_name": LAYOUT["hand_velocity"].meaning}
        recording["hand_velocity"] = velocity
    if "hand_velocity" in recording and "movement_onset" not in recording:
        speed = np.linalg.norm(recording["hand_velocity"].values, axis=-1)
        onset = movement_onset(recording["time"].values, speed)
        description = {"units": "s", "long_name": LAYOUT["movement_onset"].meaning}
        recording["movement_onset"] = ("trial", onset, description)
    return recording


def _joined(data: Mapping[str, Any], coordinates: Mapping[str, Any]) -> xr.Dataset:
    """Arrays as one dataset."""
    import xarray as xr

    try:
        return xr.Dataset(data, coordinates)
    except ValueError as error:
        what = " ".join(str(error).split())
        raise RecordingError(f"the arrays do not fit together: {what}.") from error


def _variable(
    name: str,
    values: Any,
    dims: tuple[str, ...],
    units: Mapping[str, str] | None,
    index: dict[str, NDArray[Any]],
) -> tuple[tuple[str, ...], NDArray[Any], dict[str, str]]:
    """Axes, plain numbers and attributes of a variable that somebody gave."""
    part = given(name, values)
    agree(name, {dim: own for dim, own in part.labels.items() if dim in dims}, index)
    if part.values.ndim != len(dims):
        raise RecordingError(f"`{name}` must have the axes {dims}, got shape {part.values.shape}.")
    array = part.values
    if part.dims is not None and not all(dim.startswith("dim_") for dim in part.dims):
        if sorted(part.dims) != sorted(dims):
            raise RecordingError(
                f"`{name}` must have the axes {dims}, got {part.dims}; use `.rename(...)`, or give "
                "a plain array."
            )
        array = array.transpose([part.dims.index(dim) for dim in dims])
    said = (units or {}).get(name)
    if said is not None and part.unit is not None and said != part.unit:
        raise RecordingError(f"`{name}` comes in {part.unit!r}, and `units` says {said!r}.")
    unit = said if said is not None else part.unit
    return dims, array, {} if unit is None else {"units": unit}


def movement_onset(
    time_s: NDArray[np.float64],
    speed: NDArray[np.float64],
    *,
    fraction: float = 0.1,
    minimum_peak: float = 0.01,
) -> NDArray[np.float64]:
    """Return when each movement begins: the last time before its peak at which it is still slow.

    The usual criterion: slow means below a fraction of the trial's own peak speed (5 to 10 % in
    most work on reaching). NaN where nothing moves, or where the movement had begun already.

    Args:
        time_s: (T,).
        speed: Speed of the hand (m/s), (B, T).
        fraction: Of the peak speed.
        minimum_peak: Trials that never get so fast (m/s) do not count as movements.
    """
    onset = np.full(len(speed), np.nan)
    for trial, trace in enumerate(speed):
        peak = int(trace.argmax())
        slow = np.flatnonzero(trace[: peak + 1] < fraction * trace[peak])
        if trace[peak] >= minimum_peak and slow.size:
            onset[trial] = time_s[slow[-1]]
    return onset


def check_recording(recording: xr.Dataset, needs: Sequence[str] = ()) -> None:
    """Raise unless a dataset has the layout of a recording, and holds what an analysis needs.

    Args:
        recording: What is checked; it may hold more than the layout.
        needs: Names of further variables that must be there.

    Raises:
        RecordingError: The message names what is missing or wrong, and what to do.
    """
    import xarray as xr

    if not isinstance(recording, xr.Dataset):
        raise RecordingError(
            f"a recording must be an xarray.Dataset, got {type(recording).__name__}; make one with "
            "`make_recording`."
        )
    for name in needs:
        if name not in recording.variables:
            layout = LAYOUT.get(name)
            about = f" {layout.dims}: {layout.meaning}" if layout else ""
            raise RecordingError(f"the recording lacks `{name}`{about}; add it to the dataset.")
    if not any(name in recording.data_vars for name in LAYOUT):
        raise RecordingError(
            f"the recording lacks `rate`, and any other variable of {', '.join(LAYOUT)}."
        )
    for name, dim in (("time", "time"), ("condition", "trial")):
        if name not in recording.coords or recording[name].dims != (dim,):
            raise RecordingError(f"the recording lacks the coordinate `{name}` along `{dim}`.")
    _check_labels(recording)
    if str(recording["time"].attrs.get("units", "s")) != "s":
        raise RecordingError(_other_unit("time", "s", recording["time"].attrs["units"]))
    for name, layout in LAYOUT.items():
        if name not in recording:
            continue
        values = recording[name]
        if values.dims != layout.dims:
            raise RecordingError(
                f"`{name}` must have the axes {layout.dims}, got {values.dims}; use "
                f"`.transpose(...)`."
            )
        if values.dtype.kind not in "fiu":
            raise RecordingError(f"`{name}` must hold numbers, got dtype {values.dtype}.")
        unit, known = values.attrs.get("units"), units_of(name, layout.unit)
        if unit is not None and layout.unit != "1" and unit not in known:
            raise RecordingError(_other_unit(name, " or ".join(known), unit))
        bad = int((~np.isfinite(values.values)).sum())
        if bad and name not in _MAY_LACK and (ends := _padded(values.values, values.dims)):
            first, count = ends
            raise RecordingError(
                f"`{name}` holds {bad} NaN values: {count} of {values.shape[0]} trials end in "
                f"them. Cut all trials to the shortest (`recording.isel(time=slice({first}))`) or "
                f'leave the short ones out (`recording.dropna("trial", subset=["{name}"])`).'
            )
        if bad and name not in _MAY_LACK:
            raise RecordingError(
                f"`{name}` holds {bad} NaN or infinite values; leave those trials or units out "
                '(as with `recording.dropna("trial", subset=[...])`) or fill them in.'
            )
    for dim in ("trial", "time", "unit"):
        if recording.sizes.get(dim, 1) == 0:
            raise RecordingError(f"the recording has no entries along `{dim}`.")
    if recording.sizes.get("axis", 2) != 2:
        raise RecordingError(f"`axis` must be x and y, got {recording.sizes['axis']} entries.")
    time = recording["time"].values
    if time.dtype.kind not in "fiu":
        raise RecordingError(f"`time` must hold seconds, got dtype {time.dtype}.")
    if even_grid(time) is None:
        raise RecordingError(
            "`time` must be an even, increasing grid in seconds; resample the data at even times "
            "first, as `numpy.interp` does, or xarray's `.interp(time=...)`."
        )


def _check_labels(recording: xr.Dataset) -> None:
    """Raise unless every trial has its condition and every unit its layer."""
    for name in ("condition", "layer"):
        if name not in recording.coords:
            continue
        missing = unlabelled(recording[name].values)
        if missing.any():
            raise RecordingError(missing_labels(name, missing))


def _other_unit(name: str, wanted: str, unit: object) -> str:
    return (
        f"`{name}` must be in {wanted}, got {unit!r}; `make_recording` and `load_recording` "
        "convert it."
    )


def save_recording(path: Path | str, recording: xr.Dataset, *, overwrite: bool = False) -> None:
    """Write a recording as netCDF, whole or not at all, with a checksum of all of it.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        ValueError: The path does not end in `.nc`.
        RecordingError: The dataset is not a recording.
    """
    path = Path(path)
    check_suffix(path, ".nc", "save_recording")
    check_recording(recording)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or pass `overwrite=True`.")
    own = {"format": _FORMAT, "format_version": _VERSION, _SUM: _BLANK}
    with atomic_path(path) as temporary:
        recording.assign_attrs(own).to_netcdf(temporary, engine="scipy", format="NETCDF3_64BIT")
        data = temporary.read_bytes()
        digits = hashlib.sha256(data).hexdigest()
        temporary.write_bytes(data.replace(_BLANK.encode(), digits.encode(), 1))


def check_suffix(path: Path, suffix: str, writer: str) -> None:
    """Raise unless a file's name ends as its format does, so that no file is taken for another.

    Raises:
        ValueError: It does not.
    """
    if path.suffix.lower() != suffix:
        raise ValueError(f"`path` must end in {suffix} for `{writer}`, got {path.name!r}.")


def load_recording(path: Path | str) -> xr.Dataset:
    """Read a recording from a netCDF file, ours or anybody's of the same layout.

    Where the file has a checksum, it must be right; it does not stay with the dataset. Units of the
    file (`units` of each variable) are converted to those of `LAYOUT`, axes in another order are
    brought into it, and times as dates count from the first sample. Velocities and onsets are
    computed as in `make_recording`.

    Raises:
        RecordingError: The file is missing, damaged, too new or no recording.
    """
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise RecordingError(f"{path} is not a file; give the path of a netCDF recording.")
    with path.open("rb") as file:
        start = file.read(4)
    if path.suffix.lower() == ".nwb":
        raise RecordingError(
            f"{path} is an NWB file, which neuromotor writes and does not read; give the netCDF "
            "recording, or make one of its arrays with `make_recording`."
        )
    engine = {b"CDF": "scipy", b"\x89HD": "h5netcdf"}.get(start[:3])
    if engine is None:
        raise RecordingError(
            f"{path} is not a netCDF file; give a file written by `neuromotor record`."
        )
    try:
        if engine == "h5netcdf" and importlib.util.find_spec(engine) is None:
            raise RecordingError(
                f"{path} is netCDF 4: `pip install h5netcdf`, or save it as netCDF 3."
            )
        with xr.open_dataset(path, engine=engine, decode_times=False) as file_data:
            recording = file_data.load()
    except RecordingError:
        raise
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
        raise RecordingError(f"{path} cannot be read ({error}); it may be damaged.") from error
    if _SUM in recording.attrs:
        digits = str(recording.attrs.pop(_SUM)).encode()
        blank = path.read_bytes().replace(digits, _BLANK.encode(), 1)
        if hashlib.sha256(blank).hexdigest().encode() != digits:
            raise RecordingError(
                f"{path} is damaged: its checksum is wrong; use another copy. If you changed it "
                f"yourself, take its attribute `{_SUM}` away."
            )
    version = recording.attrs.get("format_version", _VERSION)
    if recording.attrs.get("format", _FORMAT) != _FORMAT or version != _VERSION:
        raise RecordingError(
            f"{path} has format {recording.attrs.get('format')!r} version {version!r}, this "
            f"neuromotor reads {_FORMAT!r} version {_VERSION!r}."
        )
    try:
        recording = conformed(recording, LAYOUT, EVENTS)
        check_recording(recording)
    except ValueError as error:
        raise RecordingError(f"{path} is no recording: {error}") from error
    return _with_velocity(recording)


def sample_at(time_s: NDArray[np.float64], moment_s: float) -> int | None:
    """Return the sample nearest to a moment, None where it lies outside the recording.

    Args:
        time_s: Even grid, (T,).
        moment_s: In half a step's reach of it, or it lies outside.
    """
    reach = 0.5 * float(time_s[1] - time_s[0]) if len(time_s) > 1 else 0.0
    reach += 1e-9 * max(1.0, float(np.abs(time_s).max()))
    if not time_s[0] - reach <= moment_s <= time_s[-1] + reach:
        return None
    return int(np.abs(time_s - moment_s).argmin())


def _padded(values: NDArray[Any], dims: Sequence[Any]) -> tuple[int, int] | None:
    """Where the first trial ends and how many are shorter, if NaN only fill up trials' ends."""
    if tuple(dims[:2]) != _SERIES or values.shape[1] == 0:
        return None
    known = np.isfinite(values).reshape(*values.shape[:2], -1)
    whole = known.all(-1)
    lengths = np.where(whole.all(1), values.shape[1], whole.argmin(1))
    after = np.arange(values.shape[1]) >= lengths[:, None]
    if lengths.min() == 0 or known[after].any():
        return None
    return int(lengths.min()), int((lengths < values.shape[1]).sum())


def _first_time(time_s: NDArray[Any], happens: Tensor) -> NDArray[Any]:
    """Time (s) of the first step at which something happens, (B,); NaN where it never does."""
    at = happens.cpu().numpy()
    return np.where(at.any(1), time_s[at.argmax(1)], np.nan)


def told(recording: xr.Dataset, trials: Sequence[int]) -> NDArray[np.float64]:
    """Return what a controller was told of target and cues in some trials, (S, T, n + c)."""
    rows, steps = list(trials), recording.sizes["time"]
    if "shown_target" in recording:
        shown = recording["shown_target"].values[rows]
    else:
        shown = np.repeat(recording["target"].values[rows][:, None], steps, axis=1)
    if "cue" not in recording:
        return shown
    return np.concatenate([shown, recording["cue"].values[rows]], axis=-1)


def _largest(part: Tensor) -> Tensor:
    """What acts on each trial at the step at which it is largest, (B, .) of (B, T, .)."""
    at = part.norm(dim=-1).argmax(dim=1)
    return part[torch.arange(len(part), device=part.device), at]


def _angle(plant: Plant, trials: Trials) -> NDArray[np.float64]:
    """Direction (deg), 0 to 360, from each hand's start to its target, (B,); NaN without one."""
    start = plant.hand_position(trials.initial_state)
    line = (plant.hand_position(trials.end) - start).double().cpu().numpy()
    angle = np.round(np.degrees(np.arctan2(line[:, 1], line[:, 0])), 9) % 360
    return np.where(np.linalg.norm(line, axis=-1) > 1e-9, angle, np.nan)


def _as_json(component: object, registry: Mapping[str, object]) -> str:
    """A component's settings, its name, or that of its class where this is not registered."""
    if isinstance(component, str):
        return json.dumps({"reference": component})
    try:
        return json.dumps(encode(component, registry))
    except SettingsError:
        return json.dumps({"class": type(component).__name__})
