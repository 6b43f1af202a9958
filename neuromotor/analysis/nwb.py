"""Recordings as Neurodata Without Borders files, through pynwb: for the field's own tools.

Trials are laid one after another on one clock, a gap between them. Trials table: condition,
events, targets. Processing module `ecephys`: rates and activations of all units; `behavior`: hand
position and velocity, joints; `misc`: commands, loads, forces, observations, and what belongs to
the actuators, such as activations, lengths and velocities of muscles. The network is the
device. Optional spikes, drawn from the rates shifted to zero and scaled, are a Units table:
not what the network computed with, but what spike tools can read.
"""

from __future__ import annotations

import datetime
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_positive
from neuromotor._extras import require
from neuromotor._version import __version__
from neuromotor.analysis.layout import ACTUATOR, EVENTS, LAYOUT, check_recording
from neuromotor.analysis.one_clock import OneClock
from neuromotor.analysis.recording_files import new_file
from neuromotor.analysis.spikes import check_fano, firing_rates, spike_times_of
from neuromotor.storage.files import atomic_path, safe_names

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["save_nwb"]

_RESOLUTION_S = 1e-6  # of spike times
_MODULES = {  # names of the schema: what tools look for, and the inspector asks for
    "ecephys": ("what units did", ("rate", "activation")),
    "behavior": (
        "what the limb did",
        ("hand_position", "hand_velocity", "joint_position", "joint_velocity"),
    ),
    "misc": (
        "what was commanded, applied, observed and shown",
        (
            *("command", "load", "hand_force", "observation"),
            *("shown_target", "shown_target_position", "cue"),
        ),
    ),
}


def save_nwb(
    path: Path | str,
    recording: xr.Dataset,
    *,
    spike_rate_hz: float | None = None,
    mean_rate_hz: float | None = None,
    fano: float = 1.0,
    seed: int = 0,
    session_start: datetime.datetime | None = None,
    overwrite: bool = False,
) -> None:
    """Write a recording as an NWB file, whole or not at all.

    Args:
        path: The file, `.nwb`.
        recording: Recording to write.
        spike_rate_hz: Adds spikes: a unit's lowest rate in the recording is 0 spikes/s, a range of
            1 this many; a constant unit fires none.
        mean_rate_hz: Adds spikes so that each unit has this mean rate (`draw_spikes`). Without
            both there are no spikes.
        fano: Fano factor of the spikes, 1 for Poisson.
        seed: Random seed of the spikes.
        session_start: When it was recorded, with a time zone; now by default.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        ValueError: The path does not end in `.nwb`.
        RecordingError: The dataset is not a recording.
        RuntimeError: pynwb is not installed.
    """
    path = new_file(path, ".nwb", "save_nwb", overwrite=overwrite)
    rates = None
    if spike_rate_hz is None and mean_rate_hz is None:
        check_recording(recording, gaps=True)
    else:
        if spike_rate_hz is not None:
            check_positive("spike_rate_hz", spike_rate_hz, "spikes/s")
        rates = firing_rates(recording, rate_hz=spike_rate_hz, mean_rate_hz=mean_rate_hz)
        check_fano(fano)
    pynwb = require("pynwb", "nwb")
    start = session_start or datetime.datetime.now(datetime.UTC)
    about = _imported if "imported" in recording.attrs else _simulated
    words, subject, device = about(recording)
    nwb = pynwb.NWBFile(
        identifier=str(uuid.uuid4()),
        session_start_time=start,
        session_id=path.stem,
        source_script=f"neuromotor {__version__}",
        source_script_file_name="neuromotor",
        subject=pynwb.file.Subject(**subject),
        **words,
    )
    nwb.create_device(**device)
    clock = OneClock.of(recording)
    _add_trials(nwb, recording, clock)
    _add_series(pynwb, nwb, recording, clock)
    if rates is not None:
        _add_spikes(pynwb, nwb, recording, clock, rates, fano, seed)
    with atomic_path(path) as temporary, pynwb.NWBHDF5IO(str(temporary), mode="w") as file:
        file.write(nwb)


_About = tuple[dict[str, Any], dict[str, str], dict[str, str]]


def _simulated(recording: xr.Dataset) -> _About:
    """Return what a file says of a simulation: the session, its subject and its device."""
    changed = recording.attrs.get("feedback")
    words = {
        "session_description": "Simulated reaching: units of a network that moves a model limb.",
        "experimenter": ["Simulation, neuromotor"],
        "institution": "simulated",
        "lab": "simulated",
        "experiment_description": recording.attrs.get("task", "a reaching task"),
        "notes": f"feedback changed: {changed}" if changed else None,
        "keywords": ["simulation", "motor control", "recurrent neural network"],
    }
    subject = {
        "subject_id": "model",
        "species": "Macaca mulatta",
        "sex": "U",
        "age": "P6Y/",
        "description": "Model of a monkey's arm; no animal was recorded.",
    }
    what = recording.attrs.get("controller", "a population of units")
    return words, subject, {"name": "network", "description": what}


def _imported(recording: xr.Dataset) -> _About:
    """Return what a file says of a recording that was imported: only what its source said."""
    known = recording.attrs
    words = {
        "session_description": known.get("session_description", "An imported recording."),
        "experimenter": [known.get("experimenter", "Unknown, Experimenter")],
        "institution": known.get("institution", "unknown"),
        "lab": known.get("lab", "unknown"),
        "experiment_description": f"Trials cut from {known.get('source', 'a recording')}.",
        "notes": known.get("import_notes") or None,
        "keywords": ["motor control", "neural population"],
    }
    subject = {name: str(known[name]) for name in ("species", "sex", "age") if known.get(name)}
    subject |= {"subject_id": str(known.get("subject_id", "unknown")), "description": "as imported"}
    device = {"name": "array", "description": "What recorded the units; see the source."}
    return words, subject, device


def _add_trials(nwb: Any, recording: xr.Dataset, clock: OneClock) -> None:
    labels = [str(label) for label in recording["condition"].values]
    columns: list[tuple[str, str, list[Any]]] = [
        ("condition", "label of the trial's condition", labels)
    ]
    for name in EVENTS:
        if name in recording:
            moments = recording[name].values + clock.zero
            if np.isfinite(moments).any():
                columns.append((name, f"{LAYOUT[name].meaning} (s)", moments.tolist()))
    if "target_angle" in recording:
        meaning = f"{LAYOUT['target_angle'].meaning} (deg)"
        columns.append(("target_angle", meaning, recording["target_angle"].values.tolist()))
    for name in ("target_position", "target", "push_force", "push_load"):
        if name in recording:
            dim = recording[name].dims[1]
            parts = recording[dim].values.tolist() if dim in recording.coords else None
            for i in range(recording.sizes[dim]):
                label = str(parts[i] if parts else i).replace(" ", "_")
                meaning = f"{LAYOUT[name].meaning}, {label}"
                values = recording[name].values[:, i].tolist()
                columns.append((f"{name}_{label}", meaning, values))
    safe = safe_names(name for name, _, _ in columns)  # NWB takes no slash, and no name twice
    for name, (_, meaning, _) in zip(safe, columns, strict=True):
        nwb.add_trial_column(name=name, description=meaning)
    for trial, (first, stop) in enumerate(zip(clock.stamps[:, 0], clock.stops, strict=True)):
        row = {name: values[trial] for name, (_, _, values) in zip(safe, columns, strict=True)}
        nwb.add_trial(start_time=float(first), stop_time=float(stop), **row)


def _add_series(pynwb: Any, nwb: Any, recording: xr.Dataset, clock: OneClock) -> None:
    """Add every time course, trials one after another, to its module."""
    stamps = clock.stamps.ravel()
    shared: Any = stamps
    for module_name, (meaning, names) in _MODULES.items():
        present = [name for name in names if name in recording]
        if module_name == "misc":
            present += [str(name) for name in recording.data_vars if _of_actuators(recording, name)]
        if not present:
            continue
        module = nwb.create_processing_module(
            name=module_name, description=f"{meaning}, in simulated trials"
        )
        for name in present:
            values = recording[name]
            data = values.values.reshape(-1, values.shape[2])
            common = {
                "name": name,
                "data": data,
                "timestamps": shared,
                "conversion": 1.0,  # a recording is in these units: `check_recording` sees to it
                "description": _description(recording, name),
            }
            unit = str(values.attrs.get("units", LAYOUT[name].unit if name in LAYOUT else "n.a."))
            if name == "hand_position":
                series = pynwb.behavior.SpatialSeries(
                    **common,
                    unit="meters",
                    reference_frame="origin at the shoulder",
                )
                module.add(pynwb.behavior.Position(name="Position", spatial_series=series))
            else:
                unit = {"m/s": "m/s", "1": "n.a."}.get(unit, unit)
                series = pynwb.TimeSeries(**common, unit=unit)
                module.add(series)
            if shared is stamps:
                shared = series  # further series link to the first one's timestamps


def _of_actuators(recording: xr.Dataset, name: Any) -> bool:
    """Return whether a variable is a time course of the actuators."""
    return str(name).startswith(ACTUATOR) and recording[name].dims[:2] == ("trial", "time")


def _description(recording: xr.Dataset, name: str) -> str:
    """Return the meaning of a series and of its columns."""
    dim = str(recording[name].dims[2])
    text = LAYOUT[name].meaning if name in LAYOUT else recording[name].attrs.get("long_name", name)
    if dim == "unit":
        layers = recording["layer"].values.tolist() if "layer" in recording.coords else []
        runs = [f"{label}: {layers.count(label)} units" for label in dict.fromkeys(layers)]
        return f"{text}; columns in this order: {', '.join(runs)}" if runs else text
    if dim in recording.coords:
        return f"{text}; columns: {', '.join(map(str, recording[dim].values.tolist()))}"
    return text


def _add_spikes(
    pynwb: Any,
    nwb: Any,
    recording: xr.Dataset,
    clock: OneClock,
    rates: NDArray[np.float64],
    fano: float,
    seed: int,
) -> None:
    """Add spikes drawn from rates (spikes/s), (B, T, N)."""
    generator = np.random.default_rng(seed)
    sizes = rates.shape[2]
    layers = recording["layer"].values if "layer" in recording.coords else ["all"] * sizes
    kind = "Poisson spikes" if fano == 1 else f"spikes with a Fano factor of {fano:g}"
    nwb.units = pynwb.misc.Units(
        name="units",
        description=f"{kind} drawn from rates of {rates.mean():.3g} spikes/s on average",
        resolution=_RESOLUTION_S,
    )
    nwb.add_unit_column(name="layer", description="layer or area of the unit")
    intervals = np.stack([clock.stamps[:, 0], clock.stops], axis=-1)
    for unit in range(sizes):
        trial, moment = spike_times_of(rates[:, :, unit], clock.step, fano, generator)
        spikes = np.sort((clock.stamps[trial, 0] + moment).round(6))
        nwb.add_unit(spike_times=spikes, obs_intervals=intervals, layer=str(layers[unit]))
