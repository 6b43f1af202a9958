"""Random recordings from elsewhere come to the numbers of their clean twins, or are refused.

Each seed makes a clean recording and a twin of it in other types, units, orders and labels; one in
three twins has a defect that no reading can mend. What is expected is known from how it was made.
"""

import datetime

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from neuromotor.analysis import (
    RecordingError,
    align,
    behaviour,
    condition_averages,
    decode,
    load_recording,
    make_recording,
    preferred_directions,
    principal_components,
)

pytest.importorskip("sklearn")

DIMS = {
    "rate": ("trial", "time", "unit"),
    "hand_position": ("trial", "time", "axis"),
    "target_position": ("trial", "axis"),
    "go_time": ("trial",),
}
LENGTHS = {"m": 1, "mm": 1e3, "cm": 1e2, "millimeters": 1e3, "um": 1e6, "Meters": 1}
TIMES = {"s": 1, "ms": 1e3, "us": 1e6, "seconds": 1, "msec": 1e3, "microsecond": 1e6}
RATES = {"spikes/s": 1, "Hz": 1, "kHz": 1e-3, "1/s": 1, "spikes per second": 1}
LAYERS = ["M1", "area 1", "area-1", "../../evil", "VISp2/3", "[/foo]", "$a$", "Ärea"]


class Quantity:
    """A magnitude with a unit."""

    def __init__(self, magnitude, units):
        self.magnitude, self.units = magnitude, units


def clean_parts(rng):
    """Reaches of 6 to 10 conditions, with integer rates tuned to their directions, in SI units."""
    conditions, repeats = int(rng.integers(6, 11)), int(rng.integers(1, 4))
    steps, step = int(rng.integers(30, 61)), float(rng.choice([0.005, 0.01, 0.02]))
    condition = np.repeat(np.arange(conditions), repeats)
    angle = 2 * np.pi * condition / conditions
    s = np.clip(np.linspace(-0.15, 1.05, steps), 0, 1) ** 1.13  # no two samples are equally fast
    profile = 10 * s**3 - 15 * s**4 + 6 * s**5
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    hand = np.array([0.05, 0.2]) + 0.1 * profile[None, :, None] * unit[:, None]
    units = int(rng.integers(3, 7))
    preferred = rng.uniform(0, 2 * np.pi, units)
    tuning = 20 + 10 * np.cos(angle[:, None] - preferred)
    course = (1 + np.sin(np.linspace(0, 3, steps)))[None, :, None]
    rate = rng.poisson(tuning[:, None] * course).astype(float)
    time = step * np.arange(steps)
    go = time[rng.integers(2, 5, len(condition))]
    parts = {
        "rate": rate,
        "hand_position": hand,
        "target_position": hand[:, 0] + 0.1 * unit,
        "go_time": go,
    }
    layer = [str(label) for label in rng.choice(LAYERS, units)]
    return time, condition, parts, layer


def results(recording):
    """Numbers that differ with units, orders, labels and times."""
    found = behaviour(recording)
    numbers = {name: np.array(values) for name, values in vars(found).items()}
    numbers["mean"] = condition_averages(recording, shuffles=0).mean
    numbers["aligned"] = condition_averages(
        align(recording, "go_time", 0.0, 10 * float(np.diff(recording["time"].values)[0])),
        "hand_velocity",
        shuffles=0,
    ).mean
    numbers["r2"] = decode(recording, "hand_position", shuffles=0).r2
    numbers["direction"] = np.unwrap(
        np.radians(preferred_directions(recording, bootstraps=2, shuffles=2).direction_deg)
    )
    numbers["dimensions"] = np.array(principal_components(recording).participation_ratio)
    return numbers


def pick(rng, options):
    return options[int(rng.integers(len(options)))]


def contained(rng, name, values, unit, units):
    """An array as somebody may hold it; its unit, where it has one, goes along or into `units`."""
    how = pick(rng, ["plain", "list", "torch", "xarray", "masked", "quantity", "float32"])
    if how == "xarray":
        order = rng.permutation(len(DIMS[name]))
        attrs = {} if unit is None else {"units": unit}
        return xr.DataArray(
            values.transpose(order), dims=[DIMS[name][i] for i in order], attrs=attrs
        )
    if how == "quantity" and unit is not None:
        return Quantity(values, unit)
    if unit is not None:
        units[name] = unit
    if how == "torch":
        return torch.tensor(values)
    if how == "list":
        return values.tolist()
    if how == "masked":
        return np.ma.masked_array(values, mask=np.zeros(values.shape, bool))
    return values.astype(np.float32) if how == "float32" else values


def timed(rng, time, go):
    """Times and events of one clock, and the units that must be said."""
    how = pick(rng, ["unit", "timedelta", "date", "epoch", "float32", "rounded", "list"])
    if how == "unit":
        one, two = pick(rng, list(TIMES)), pick(rng, list(TIMES))
        return time * TIMES[one], go * TIMES[two], {"time": one, "go_time": two}
    if how == "timedelta":
        kind = pick(rng, ["numpy", "pandas", "python"])
        durations = {
            "numpy": (1e9 * time).round().astype("m8[ns]"),
            "pandas": pd.to_timedelta(time, unit="s"),
            "python": [datetime.timedelta(microseconds=round(1e6 * t)) for t in time],
        }[kind]
        return durations, (1e9 * go).round().astype("m8[ns]"), {}
    if how == "date":
        start = np.datetime64("2021-03-04T05:06:07", "ns")
        moments = [start + (1e9 * x).round().astype("m8[ns]") for x in (time, go)]
        return *moments, {}
    if how == "epoch":
        return time + 1.6e9, go + 1.6e9, {}
    if how == "float32":
        return torch.tensor(time, dtype=torch.float32), go, {}
    if how == "rounded":
        return np.round(time + 2.3e-7, 6), go, {}
    return time.tolist(), go, {}


def labelled(rng, condition):
    how = pick(rng, ["numbers", "text", "floats", "series", "torch", "xarray"])
    text = np.array([f"target {label:02d}" for label in condition])
    return {
        "numbers": condition.tolist(),
        "text": text,
        "floats": condition / 4,
        "series": pd.Series(text),
        "torch": torch.tensor(condition),
        "xarray": xr.DataArray(condition, dims="trial"),
    }[how]


def spoil(rng, time, condition, parts, units):
    """One defect that must be refused."""
    what = pick(
        rng,
        ["complex", "masked", "label", "unit", "kind", "axes", "ragged", "uneven", "nan", "clock"],
    )
    rate = np.asarray(getattr(parts["rate"], "magnitude", parts["rate"]), dtype=float)
    plain = rate if rate.shape[0] == len(condition) else None
    if what in ("complex", "masked", "ragged", "nan", "axes") and plain is None:
        what = "label"
    if what == "complex":
        parts["rate"] = plain + 0.5j
    elif what == "masked":
        parts["rate"] = np.ma.masked_array(plain, mask=plain == plain.max())
    elif what == "nan":
        parts["rate"] = np.where(plain == plain.max(), np.nan, plain)
    elif what == "ragged":
        parts["rate"] = [trial[: len(trial) - k % 2].tolist() for k, trial in enumerate(plain)]
    elif what == "axes":
        parts["rate"] = plain[..., 0]
    elif what == "label":
        labels = [str(x) for x in np.asarray(condition)]
        labels[int(rng.integers(len(labels)))] = pick(rng, [None, float("nan"), ""])
        condition = labels
    elif what in ("unit", "kind"):
        unit = "cubits" if what == "unit" else "ms"
        parts["target_position"] = Quantity(np.ones((len(condition), 2)), unit)
        units.pop("target_position", None)
    elif what == "uneven":
        time = np.linspace(0, 1, len(time)) ** 2
        units.pop("time", None)
    else:
        time = (np.datetime64("2021-03-04", "ns"), np.timedelta64(10, "ms"))
        time = time[0] + time[1] * np.arange(plain.shape[1] if plain is not None else 30)
        parts["go_time"] = np.full(len(condition), 0.1)
        units.pop("time", None)
        units.pop("go_time", None)
    return time, condition


def from_memory(rng, time, condition, parts, layer, *, defect):
    """The twin through `make_recording`."""
    units = {}
    own_time, own_go, said = timed(rng, time, parts["go_time"])
    scale = {"hand_position": LENGTHS, "target_position": LENGTHS, "rate": RATES}
    given = {"go_time": own_go}
    for name, table in scale.items():
        unit = pick(rng, list(table))
        given[name] = contained(rng, name, parts[name] * table[unit], unit, units)
    units |= said
    labels = labelled(rng, condition)
    if defect:
        own_time, labels = spoil(rng, own_time, labels, given, units)
    return make_recording(own_time, labels, given, layer=layer, units=units)


def from_file(rng, path, time, condition, parts, layer, *, defect):
    """The twin through a netCDF file of its own units, order and packing."""
    clock = pick(rng, list(TIMES))
    epoch = bool(rng.integers(2))
    own = f"{clock} since 2020-01-01" if epoch else clock
    shift = 5e5 if epoch else 0.0
    text = np.array([f"target {label:02d}" for label in condition])
    data = {
        "time": ("time", (time + shift) * TIMES[clock], {"units": own}),
        "go_time": ("trial", (parts["go_time"] + shift) * TIMES[clock], {"units": own}),
        "condition": ("trial", text if rng.integers(2) else condition),
        "layer": ("unit", layer),
    }
    for name, table in (("rate", RATES), ("hand_position", LENGTHS), ("target_position", LENGTHS)):
        unit = pick(rng, list(table))
        order = rng.permutation(len(DIMS[name]))
        dims = tuple(DIMS[name][i] for i in order)
        values = (parts[name] * table[unit]).transpose(order)
        data[name] = (dims, values, {"units": unit})
    if defect:
        what = pick(rng, ["unit", "kind", "label", "fill", "clock", "uneven"])
        dims, values, attrs = data["hand_position"]
        if what in ("unit", "kind"):
            data["hand_position"] = (dims, values, {"units": "cubits" if what == "unit" else "s"})
        elif what == "label":
            data["condition"] = ("trial", np.where(np.arange(len(text)) == 1, "", text))
        elif what == "fill":
            data["hand_position"] = (dims, np.where(values > 0, values, -9999.0), attrs)
            data["hand_position"][1].flat[0] = -9999.0
            data["hand_position"][2]["_FillValue"] = -9999.0
        elif what == "clock":
            data["go_time"] = ("trial", parts["go_time"], {"units": "s since 1999-01-01"})
        else:
            data["time"] = ("time", time**2, {"units": "s"})
            data["go_time"] = ("trial", parts["go_time"], {"units": "s"})
    dataset = xr.Dataset(data)
    packed = {}
    if rng.integers(2) and not defect:
        scale = float(np.abs(dataset["hand_position"].values).max()) / 2**30
        own = {"dtype": "int32", "scale_factor": scale, "_FillValue": -(2**31)}
        packed["hand_position"] = own
    dataset.to_netcdf(path, engine="scipy", encoding=packed)
    return load_recording(path)


def check(seed, folder):
    rng = np.random.default_rng([67, seed])
    time, condition, parts, layer = clean_parts(rng)
    defect = rng.random() < 1 / 3
    path = folder / f"{seed}.nc"
    try:
        if rng.integers(2):
            twin = from_file(rng, path, time, condition, parts, layer, defect=defect)
        else:
            twin = from_memory(rng, time, condition, parts, layer, defect=defect)
    except RecordingError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert defect, f"seed {seed} was refused: {message}"
        assert "\n" not in message
        assert "`" in message, "the message names what is wrong"
        return "refused"
    assert not defect, f"seed {seed} has a defect and was read"
    clean = results(make_recording(time, condition, parts, layer=layer))
    assert list(twin["layer"].values) == layer
    for name, value in results(twin).items():
        np.testing.assert_allclose(
            value, clean[name], rtol=1e-3, atol=1e-5, err_msg=f"seed {seed}, {name}"
        )
    return "analysed"


def test_a_random_foreign_recording_is_read_right_or_refused(tmp_path):
    outcomes = [check(seed, tmp_path) for seed in range(40)]
    assert set(outcomes) == {"analysed", "refused"}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 500, 50))
def test_500_random_foreign_recordings_are_read_right_or_refused(first, tmp_path):
    outcomes = [check(seed, tmp_path) for seed in range(first, first + 50)]
    assert outcomes.count("analysed") > 20
    assert outcomes.count("refused") > 5
