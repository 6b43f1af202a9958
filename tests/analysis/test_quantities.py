"""Units, masks, axes, times and labels from elsewhere: converted, kept or refused by name."""

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
    check_recording,
    load_recording,
    make_recording,
    response_latency,
    save_recording,
)
from neuromotor.analysis.quantities import conversion

TIME = 0.01 * np.arange(60)


def rates(trials=3, times=60, units=2):
    return np.random.default_rng(0).random((trials, times, units))


def hand(trials=3):
    """Hand positions (m) that swing at 2 Hz."""
    swing = 0.1 * np.sin(2 * np.pi * 2 * TIME)
    return np.stack([swing * (1 + k) for k in range(trials)])[..., None] * np.array([1.0, 0.5])


class Quantity:
    """What pint and quantities give: a magnitude and its units."""

    def __init__(self, magnitude, units):
        self.magnitude, self.units = magnitude, units

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("the unit would be lost")


@pytest.mark.parametrize(
    ("unit", "into", "factor"),
    [
        ("mm", "m", 1e-3),
        ("centimeters", "m", 0.01),
        ("millimetre", "m", 1e-3),
        ("1.0 ms", "s", 1e-3),
        ("microseconds", "s", 1e-6),
        ("µs", "s", 1e-6),
        ("min", "s", 60),
        ("cm/s", "m/s", 0.01),
        ("m s-1", "m/s", 1),
        ("meter / second", "m/s", 1),
        ("mm per ms", "m/s", 1),
        ("deg", "rad", np.pi / 180),
        ("degrees/second", "rad/s", np.pi / 180),
        ("°/s", "rad/s", np.pi / 180),
        ("N-m", "N m", 1),
        ("Nm", "N m", 1),
        ("mN*m", "N m", 1e-3),
        ("kg m^2 s^-2", "N m", 1),
        ("kHz", "spikes/s", 1e3),
        ("spikes s⁻¹", "Hz", 1),
    ],
)
def test_units_as_people_write_them(unit, into, factor):
    assert conversion(unit, into) == pytest.approx(factor, rel=1e-14)


@pytest.mark.parametrize("unit", ["furlong", "m/", "m^", "Mm/fortnight", "m // s"])
def test_unknown_units_are_refused(unit):
    with pytest.raises(ValueError, match="unknown unit"):
        conversion(unit, "m")


def test_other_quantities_do_not_convert():
    assert conversion("cm", "s") is None
    assert conversion("rad", "1") is None
    assert conversion("N", "N m") is None


@pytest.mark.parametrize(
    "given",
    [
        lambda x: {"variables": {"rate": rates(), "hand_position": Quantity(1e3 * x, "mm")}},
        lambda x: {
            "variables": {"rate": rates(), "hand_position": Quantity(1e2 * x, "centimeter")}
        },
        lambda x: {
            "variables": {"rate": rates(), "hand_position": 1e3 * x},
            "units": {"hand_position": "mm"},
        },
        lambda x: {
            "variables": {
                "rate": rates(),
                "hand_position": xr.DataArray(
                    100 * x.transpose(2, 0, 1),
                    dims=("axis", "trial", "time"),
                    attrs={"units": "cm"},
                ),
            }
        },
        lambda x: {
            "variables": {"rate": rates(), "hand_position": [Quantity(1e3 * y, "mm") for y in x]}
        },
        lambda x: {"variables": {"rate": torch.tensor(rates()), "hand_position": torch.tensor(x)}},
    ],
)
def test_positions_in_any_unit_give_metres_and_metres_a_second(given):
    made = make_recording(TIME, range(3), **given(hand()))
    np.testing.assert_allclose(made["hand_position"], hand(), rtol=1e-12)
    assert made["hand_position"].attrs["units"] == "m"
    assert made["hand_velocity"].values.max() == pytest.approx(0.3 * 2 * np.pi * 2, rel=0.01)


@pytest.mark.parametrize(
    ("time", "units"),
    [
        (1e3 * TIME, {"time": "ms"}),
        (Quantity(1e6 * TIME, "us"), None),
        ((1e9 * TIME).round().astype("timedelta64[ns]"), None),
        (pd.to_timedelta(TIME, unit="s"), None),
        ([datetime.timedelta(milliseconds=10 * k) for k in range(60)], None),
        (xr.DataArray(1e3 * TIME, dims="time", attrs={"units": "milliseconds"}), None),
        (torch.arange(60) * 0.01, None),
        (np.round(TIME + 3.3e-7, 6), None),
        (TIME.astype(np.float32), None),
        (1_700_000_000 + TIME, None),
        (np.datetime64("2024-05-01T12:00", "ns") + (1e9 * TIME).round().astype("m8[ns]"), None),
    ],
)
def test_times_of_any_kind_are_an_even_grid_of_seconds(time, units):
    made = make_recording(time, range(3), {"rate": rates()}, units=units)
    steps = np.diff(made["time"].values)
    np.testing.assert_allclose(steps, 0.01, rtol=1e-4)
    assert made["time"].dtype == np.float64


def test_uneven_times_are_still_refused():
    for bad in (TIME**2, TIME[::-1], np.delete(np.arange(61) * 0.01, 30), np.full(60, np.nan)):
        with pytest.raises(RecordingError, match="even, increasing grid"):
            make_recording(bad, range(3), {"rate": rates()})
    with pytest.raises(RecordingError, match="even, increasing grid"):  # no rounding of 3 in 10 us
        make_recording(
            np.round(1e-5 * np.arange(60) + 3e-6 * (np.arange(60) % 2), 7),
            [0, 1, 2],
            {"rate": rates()},
        )


def test_events_follow_the_clock_of_the_times():
    start = np.datetime64("2024-05-01T12:00", "ns")
    time = start + (1e9 * TIME).round().astype("m8[ns]")
    go = start + np.array([50, 100, 150], dtype="m8[ms]")
    made = make_recording(time, range(3), {"rate": rates(), "go_time": go})
    np.testing.assert_allclose(made["go_time"], [0.05, 0.1, 0.15], rtol=1e-12)
    made = make_recording(
        1e3 * TIME,
        range(3),
        {"rate": rates(), "go_time": [0.05, np.nan, 0.15]},
        units={"time": "ms", "go_time": "s"},
    )
    np.testing.assert_allclose(made["go_time"], [0.05, np.nan, 0.15])
    with pytest.raises(RecordingError, match="`go_time` must be timed as `time` is"):
        make_recording(
            1e3 * TIME, range(3), {"rate": rates(), "go_time": [50, 100, 150]}, units={"time": "ms"}
        )
    with pytest.raises(RecordingError, match="`go_time` must be timed as `time` is"):
        make_recording(TIME, range(3), {"rate": rates(), "go_time": go})


def test_masked_values_are_missing_ones():
    masked = np.ma.masked_equal(np.where(rates() > 0.99, -9999.0, rates()), -9999.0)
    with pytest.raises(RecordingError, match=f"`rate` holds {int(masked.mask.sum())} NaN"):
        make_recording(TIME, range(3), {"rate": masked})
    go = np.ma.masked_array([0.1, -9999.0, 0.2], mask=[0, 1, 0])
    made = make_recording(TIME, range(3), {"rate": rates(), "go_time": go})
    np.testing.assert_array_equal(made["go_time"], [0.1, np.nan, 0.2])


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (rates() + 1j, "complex numbers"),
        (torch.tensor(rates()) + 1j, "complex numbers"),
        ([[[1.0], [2.0]], [[1.0]]], "unequal lengths"),
        (rates().astype(str), "dtype <U"),
        (xr.DataArray(rates(), dims=("trial", "time", "neuron")), "use `.rename"),
        (rates()[0], "must have the axes"),
        (rates(times=50), "conflicting sizes"),
    ],
)
def test_what_is_no_array_of_rates_is_named(rate, message):
    with pytest.raises(RecordingError, match=message):
        make_recording(TIME, range(3), {"rate": rate})


def test_arrays_in_another_order_are_refused():
    one = xr.DataArray(rates(), dims=("trial", "time", "unit"), coords={"trial": [0, 1, 2]})
    other = xr.DataArray(hand(), dims=("trial", "time", "axis"), coords={"trial": [2, 1, 0]})
    with pytest.raises(RecordingError, match="`hand_position` has other labels along `trial`"):
        make_recording(TIME, range(3), {"rate": one, "hand_position": other})


def test_a_unit_that_is_wrong_or_said_twice_is_named():
    for unit, message in (("furlong", "unknown unit 'furlong'"), ("s", "must be in m, got 's'")):
        with pytest.raises(RecordingError, match=message):
            make_recording(TIME, range(3), {"hand_position": hand()}, units={"hand_position": unit})
    with pytest.raises(RecordingError, match="comes in 'mm', and `units` says 'cm'"):
        make_recording(
            TIME,
            range(3),
            {"hand_position": Quantity(hand(), "mm")},
            units={"hand_position": "cm"},
        )
    with pytest.raises(RecordingError, match="not among the variables"):
        make_recording(TIME, range(3), {"rate": rates()}, units={"rates": "Hz"})


def test_rates_by_the_second_have_one_name_and_other_units_stay():
    for unit, kept, factor in (
        ("Hz", "spikes/s", 1),
        ("spikes/ms", "spikes/s", 1e3),
        ("spikes/bin", "spikes/bin", 1),
        ("dF/F", "dF/F", 1),
        ("a.u.", "a.u.", 1),
    ):
        made = make_recording(TIME, range(3), {"rate": rates()}, units={"rate": unit})
        assert made["rate"].attrs["units"] == kept
        np.testing.assert_allclose(made["rate"], factor * rates())


@pytest.mark.parametrize(
    "labels",
    [
        ["a", None, "b"],
        ["a", float("nan"), "b"],
        [0.0, np.nan, 1.0],
        ["a", "", "b"],
        pd.Series([1, pd.NA, 2]),
        pd.Series(["a", None, "b"]),
        np.ma.masked_array([1, 2, 3], mask=[0, 1, 0]),
        np.array(["a", " ", "b"]),
    ],
)
def test_a_trial_without_a_label_is_named(labels):
    with pytest.raises(RecordingError, match=r"no label for 1 of 3 trials .* trial 1"):
        make_recording(TIME, labels, {"rate": rates()})


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        ([b"a", b"b", b"a"], ["a", "b", "a"]),
        (np.array([1, "a", 2.5], dtype=object), ["1", "a", "2.5"]),
        (np.array(["2024-01-01", "2024-01-02", "2024-01-01"], "M8[D]"), ["2024-01-01"]),
        (pd.Series(["x", "y", "x"], dtype="category"), ["x", "y", "x"]),
        ([True, False, True], [True, False, True]),
    ],
)
def test_labels_of_any_type_last_in_a_file(labels, kept, tmp_path):
    made = make_recording(TIME, labels, {"rate": rates()})
    assert made["condition"].values.tolist()[: len(kept)] == kept
    save_recording(tmp_path / "x.nc", made)
    again = load_recording(tmp_path / "x.nc")["condition"].values
    assert again.tolist() == made["condition"].values.tolist()
    with pytest.raises(RecordingError, match="`condition` must hold numbers or text"):
        make_recording(TIME, [1j, 2j, 3j], {"rate": rates()})


def test_a_file_with_a_trial_without_a_label_is_refused(tmp_path):
    plain = make_recording(TIME, ["a", "b", "c"], {"rate": rates()})
    plain["condition"] = ("trial", np.array(["a", "", "c"]))
    plain.to_netcdf(tmp_path / "x.nc", engine="scipy")
    with pytest.raises(RecordingError, match="no label for 1 of 3 trials"):
        load_recording(tmp_path / "x.nc")
    with pytest.raises(RecordingError, match="no label for 1 of 2 units"):
        make_recording(TIME, range(3), {"rate": rates()}, layer=["M1", None])


def test_a_files_units_and_order_become_those_of_a_recording(tmp_path):
    clean = make_recording(
        TIME,
        ["a", "b", "c"],
        {"rate": rates(), "hand_position": hand(), "go_time": [0.1, 0.2, 0.3]},
    )
    foreign = clean.transpose("unit", "axis", "time", "trial")
    foreign = foreign.reset_coords(["condition", "layer"])
    for name, unit, factor in (
        ("time", "ms", 1e3),
        ("go_time", "ms", 1e3),
        ("movement_onset", "us", 1e6),
        ("hand_position", "mm", 1e3),
        ("hand_velocity", "cm/s", 1e2),
    ):
        foreign[name] = (foreign[name] * factor).assign_attrs(units=unit)
    foreign.to_netcdf(tmp_path / "x.nc", engine="scipy")
    found = load_recording(tmp_path / "x.nc")
    assert found["rate"].dims == ("trial", "time", "unit")
    for name in ("time", "rate", "go_time", "movement_onset", "hand_position", "hand_velocity"):
        np.testing.assert_allclose(found[name], clean[name], rtol=1e-12)
        assert found[name].attrs["units"] == clean[name].attrs.get("units", "1")
    with pytest.raises(RecordingError, match="`hand_position` must be in m, got 'mm'"):
        check_recording(
            foreign.transpose("trial", "time", ...)
            .set_coords("condition")
            .assign(time=clean["time"])
        )


def test_dates_in_a_file_count_from_the_first_sample(tmp_path):
    clean = make_recording(TIME, range(3), {"rate": rates(), "go_time": [0.1, np.nan, 0.3]})
    foreign = clean.copy()
    for name in ("time", "go_time"):
        foreign[name] = (1e3 * clean[name] + 5e6).assign_attrs(units="ms since 2024-05-01")
    foreign.to_netcdf(tmp_path / "x.nc", engine="scipy")
    found = load_recording(tmp_path / "x.nc")
    np.testing.assert_allclose(found["time"], clean["time"], atol=1e-9)
    np.testing.assert_allclose(found["go_time"], clean["go_time"], atol=1e-9)
    foreign["go_time"].attrs["units"] = "ms since 2024-05-02"
    foreign.to_netcdf(tmp_path / "y.nc", engine="scipy")
    with pytest.raises(RecordingError, match="count both from the same moment"):
        load_recording(tmp_path / "y.nc")


def test_an_event_outside_the_recording_is_no_event_at_its_edge():
    parts = {
        "rate": rates(),
        "hand_position": hand(),
        "command": np.cumsum(hand(), axis=1),
        "go_time": [0.1, -1.0, 0.2],
        "perturbation_time": [-5.0, 0.3, 9.0],
        "movement_onset": [-1.0, 0.1, 7.0],
    }
    made = make_recording(TIME, range(3), parts)
    with pytest.raises(RecordingError, match=r"trial 1 has its `go_time` at -1 s, outside"):
        align(made, "go_time", 0.0, 0.1)
    calm = made.assign(rate=made["rate"].where(made["time"] < 0.345, 0.0))
    found = response_latency(made, "rate", unperturbed=calm).seconds
    np.testing.assert_allclose(found, [np.nan, 0.05, np.nan])
    assert np.isnan(behaviour(made).movement_time_s[[0, 2]]).all()


def test_a_recording_needs_no_units(tmp_path):
    made = make_recording(TIME, range(3), {"hand_position": hand()})
    save_recording(tmp_path / "x.nc", made)
    assert "unit" not in load_recording(tmp_path / "x.nc").dims
    with pytest.raises(RecordingError, match="lacks `rate`"):
        check_recording(made, ["rate"])


def test_a_files_name_says_its_format(tmp_path):
    made = make_recording(TIME, range(3), {"rate": rates()})
    for name in ("x.nwb", "x.mat", "x"):
        with pytest.raises(ValueError, match=r"must end in \.nc or \.nc4 for `save_rec"):
            save_recording(tmp_path / name, made)
    assert not list(tmp_path.iterdir())
    (tmp_path / "x.nwb").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(RecordingError, match="is an NWB file; make a recording of it"):
        load_recording(tmp_path / "x.nwb")
    (tmp_path / "x.nc").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(RecordingError, match=r"h5netcdf|cannot be read"):
        load_recording(tmp_path / "x.nc")
