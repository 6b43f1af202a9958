"""Recordings as netCDF 4: whole, in parts, and read from their file without filling the memory."""

import tracemalloc

import numpy as np
import pytest
import xarray as xr
from forked import neuromotor
from planted import tuned_units

from neuromotor.analysis import (
    RecordingError,
    align,
    analyze,
    condition_averages,
    inventory,
    load_recording,
    make_recording,
    missing_samples,
    open_recording,
    parts,
    preferred_directions,
    principal_components,
    recording_files,
    rotational_dynamics,
    save_in_parts,
    save_recording,
    section,
)
from neuromotor.analysis.parts import unread

pytest.importorskip("h5netcdf")
PREFERRED = np.linspace(0, 2 * np.pi, 21, endpoint=False)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(parts, "_PART_BYTES", 1 << 16)
    monkeypatch.setattr(recording_files, "_LARGE_BYTES", 1 << 12)


def planted(**sizes):
    made = tuned_units(PREFERRED, **sizes)
    layer = ["M1"] * 12 + ["PMd"] * 10
    return made.assign_coords(layer=("unit", layer), condition=made["condition"].astype(str))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "mine.nc4"
    save_recording(path, planted())
    return path


def test_netcdf_4_holds_what_netcdf_3_holds(tmp_path, file):
    save_recording(tmp_path / "mine.nc", planted())
    xr.testing.assert_identical(load_recording(file), load_recording(tmp_path / "mine.nc"))
    assert load_recording(file)["condition"].dtype.kind == "U"
    with xr.open_dataset(file, engine="h5netcdf") as found:  # as any other program reads it
        np.testing.assert_array_equal(found["rate"], planted()["rate"])
    with pytest.raises(FileExistsError, match="exists"):
        save_recording(file, planted())


def test_a_changed_bit_anywhere_is_found(tmp_path, file):
    whole = file.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 9).astype(int):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        (tmp_path / "x.nc4").write_bytes(damaged)
        with pytest.raises(RecordingError):
            load_recording(tmp_path / "x.nc4")


def test_a_changed_rate_is_found_where_it_is_read_in_parts(tmp_path, file):
    damaged = bytearray(file.read_bytes())
    middle = len(damaged) // 2  # rates fill the file
    damaged[middle : middle + 8] = bytes(x ^ 0xFF for x in damaged[middle : middle + 8])
    (tmp_path / "x.nc4").write_bytes(damaged)
    with pytest.raises(RecordingError, match="cannot be read"):
        open_recording(tmp_path / "x.nc4")


def test_what_netcdf_3_cannot_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(recording_files, "_NETCDF3_BYTES", 1000)
    with pytest.raises(ValueError, match=r"`rate` has .* GB.*ends in \.nc4"):
        save_recording(tmp_path / "mine.nc", planted())
    assert not list(tmp_path.iterdir())


def test_parts_make_the_whole(tmp_path, file):
    whole = planted()
    slices = [slice(0, 5), slice(5, 6), slice(6, 32)]
    save_in_parts(tmp_path / "parts.nc4", (whole.isel(trial=own) for own in slices))
    xr.testing.assert_identical(load_recording(tmp_path / "parts.nc4"), load_recording(file))


def test_parts_that_do_not_fit_are_refused(tmp_path):
    path, whole = tmp_path / "x.nc4", planted()
    with pytest.raises(RecordingError, match="got none"):
        save_in_parts(path, [])
    with pytest.raises(ValueError, match=r"must end in \.nc4"):
        save_in_parts(tmp_path / "x.nc", [whole])
    others = whole.assign_coords(layer=("unit", ["S1"] * 22))
    with pytest.raises(RecordingError, match="part 2 has other values of `layer`"):
        save_in_parts(path, [whole, others])
    with pytest.raises(RecordingError, match="part 2 has the time courses"):
        save_in_parts(path, [whole, whole.drop_vars("hand_velocity")])
    holes = whole.assign(rate=whole["rate"].where(whole["trial"] > 2))
    with pytest.raises(RecordingError, match="part 2: `rate` holds"):
        save_in_parts(path, [whole, holes])
    assert not list(tmp_path.iterdir())


def test_analyses_of_a_file_are_those_of_the_memory(file):
    opened, loaded = open_recording(file), load_recording(file)
    assert unread(opened["rate"])
    assert not unread(opened["movement_onset"])
    a, b = (condition_averages(x, shuffles=9) for x in (opened, loaded))
    for name in ("mean", "standard_error", "explained", "null_explained", "behind"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-9, atol=1e-12)
    tunings = [preferred_directions(x, bootstraps=9, shuffles=19) for x in (opened, loaded)]
    np.testing.assert_array_equal(tunings[0].p, tunings[1].p)
    np.testing.assert_allclose(tunings[0].direction_deg, tunings[1].direction_deg)
    away = np.radians(tunings[0].direction_deg[:21]) - PREFERRED
    assert np.abs(np.angle(np.exp(1j * away))).max() < 0.1  # planted
    first, second = (principal_components(x, shuffles=2) for x in (opened, loaded))
    np.testing.assert_allclose(first.explained, second.explained, atol=1e-12)
    first, second = (rotational_dynamics(x, surrogates=5) for x in (opened, loaded))
    np.testing.assert_allclose(first.r2_skew, second.r2_skew, rtol=1e-9)
    assert inventory.inventory(opened) == inventory.inventory(loaded)
    assert unread(opened["rate"])  # still


def test_memory_holds_a_part_and_the_result(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "_PART_BYTES", 1 << 20)
    trials, times, units = 400, 50, 200
    rate = np.tile(np.arange(units, dtype=np.float32), (trials, times, 1))
    rate += np.arange(trials, dtype=np.float32)[:, None, None] % 4
    path = tmp_path / "large.nc4"
    made = make_recording(0.01 * np.arange(times), np.arange(trials) % 4, {"rate": rate})
    save_recording(path, made)
    size, mean = made["rate"].nbytes, rate[:4].astype(float)
    del made, rate
    tracemalloc.start()
    found = condition_averages(open_recording(path), shuffles=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(found.mean, mean)
    results = sum(getattr(found, x).nbytes for x in ("mean", "standard_error", "behind"))
    assert size == 16_000_000
    assert peak < 3 * results + 8e6 < 0.7 * size  # without parts: five times the size


def test_a_report_has_what_can_be_read_in_parts_and_says_what_is_left_out(file):
    opened, loaded = open_recording(file), load_recording(file)
    own, whole = (analyze(x, surrogates=5).as_dict()["sections"] for x in (opened, loaded))
    for name in ("data", "movement", "averages", "tuning", "components", "rotations"):
        left, right = (xr.Dataset(_flat(part[name])) for part in (own, whole))
        xr.testing.assert_allclose(left, right, rtol=1e-7)
    for name in ("reliability", "decoding"):
        assert "skipped" not in whole[name]
        assert "needs all rates in memory" in own[name]["skipped"]
    for spec in section.report_sections():
        if spec.in_parts and spec.name in own:
            assert "needs all rates" not in own[spec.name].get("skipped", "")
    with pytest.raises(RecordingError, match="cannot be aligned"):
        align(opened, "movement_onset", 0.0, 0.1)


def _flat(table, prefix=""):
    found = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}/") if isinstance(value, dict) else {name: value}
    return {k: np.nan if v is None else v for k, v in found.items() if not isinstance(v, str)}


def test_missing_samples_are_counted_in_a_file(tmp_path):
    made = planted()
    rate = made["rate"].values.copy()
    rate[3, 20:, 5] = np.nan
    lengths = make_recording(
        made["time"].values, made["condition"].values, {"rate": rate}, gaps=True
    )
    save_recording(tmp_path / "gaps.nc4", lengths)
    opened = open_recording(tmp_path / "gaps.nc4")
    assert missing_samples(opened) == {"rate": 10}
    found = condition_averages(opened, shuffles=0)
    assert found.behind.min() == 3
    np.testing.assert_allclose(found.mean[0, 25, 5], rate[[0, 1, 2], 25, 5].mean())


def test_what_is_larger_than_the_memory_is_read_in_parts(tmp_path, file):
    wrong = neuromotor("analyze", file, "--memory", "-1", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "--memory" in wrong.stderr
    made = load_recording(file)
    save_recording(tmp_path / "mine.nc", made)
    with pytest.raises(RecordingError, match=r"neuromotor export .*mine\.nc4"):
        recording_files.read_recording(tmp_path / "mine.nc", 1000)
    assert unread(recording_files.read_recording(file, 1000)["rate"])
    assert not unread(recording_files.read_recording(file, 10**9)["rate"])
    done = neuromotor("export", "mine.nc", "--out", "again.nc4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    xr.testing.assert_identical(load_recording(tmp_path / "again.nc4"), made)


def test_a_refused_option_leaves_no_folder(tmp_path, file):
    wrong = neuromotor("analyze", file, "--window", "7", "8", "--out", "report", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "`window_s` must overlap" in wrong.stderr
    assert not (tmp_path / "report").exists()
    wrong = neuromotor("analyze", file, "--label", "conditon", "--out", "report", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "did you mean 'condition'" in wrong.stderr
    assert not (tmp_path / "report").exists()
