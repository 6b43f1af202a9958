"""What is written for other tools holds the recording's numbers."""

import numpy as np
import pandas as pd
import pytest

from neuromotor.analysis import (
    export_recording,
    load_recording,
    make_recording,
    save_recording,
    to_arrays,
    to_pynapple,
    to_table,
)

RNG = np.random.default_rng(0)
RATE = RNG.random((4, 5, 3))
HAND = RNG.random((4, 5, 2))
RECORDING = make_recording(
    0.02 * np.arange(5),
    ["b", "a", "b", "c"],
    {"rate": RATE, "hand_position": HAND, "go_time": [0.0, 0.02, np.nan, 0.04]},
)


def test_a_table_has_a_row_for_each_sample():
    table = to_table(RECORDING)
    assert len(table) == 20
    row = table[(table["trial"] == 2) & np.isclose(table["time_s"], 0.06)].iloc[0]
    assert row["condition"] == "b"
    assert np.isnan(row["go_time_s"])
    np.testing.assert_array_equal(row[["rate_0", "rate_1", "rate_2"]].astype(float), RATE[2, 3])
    assert row["hand_position_y"] == HAND[2, 3, 1]
    assert "hand_position_x" not in to_table(RECORDING, ["rate"])


@pytest.mark.parametrize("layout", ["trials", "samples"])
def test_arrays_keep_trials_or_put_them_in_a_row(layout):
    found = to_arrays(RECORDING, layout)
    whole = {"trials": (4, 5), "samples": (20,)}[layout]
    np.testing.assert_array_equal(found["rate"], RATE.reshape(*whole, 3))
    np.testing.assert_array_equal(found["hand_position"], HAND.reshape(*whole, 2))
    labels = found["condition_labels"][found["condition_index"]]
    expected = np.array(["b", "a", "b", "c"])
    np.testing.assert_array_equal(labels, expected.repeat(5) if layout == "samples" else expected)


def test_pynapple_objects_hold_each_trial():
    pytest.importorskip("pynapple")
    found = to_pynapple(RECORDING)
    for trial in range(4):
        part = found["rate"].restrict(found["trials"][trial])
        np.testing.assert_array_equal(np.asarray(part), RATE[trial])
    assert found["trials"]["condition"].tolist() == ["b", "a", "b", "c"]
    assert len(found["go_time"]) == 3
    first = found["go_time"].t - found["trials"].start[[0, 1, 3]]
    np.testing.assert_allclose(first, [0.0, 0.02, 0.04], atol=1e-9)


def test_files_for_other_tools(tmp_path):
    export_recording(tmp_path / "x.csv", RECORDING)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "x.csv"), to_table(RECORDING))
    export_recording(tmp_path / "x.npz", RECORDING, layout="samples")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["rate"], RATE.reshape(20, 3))
    with pytest.raises(FileExistsError):
        export_recording(tmp_path / "x.csv", RECORDING)
    with pytest.raises(ValueError, match=r"must end in \.csv, .*got 'x\.doc'"):
        export_recording(tmp_path / "x.doc", RECORDING)
    with pytest.raises(ValueError, match="unknown layout 'rows'"):
        to_arrays(RECORDING, "rows")
    pytest.importorskip("pyarrow")
    export_recording(tmp_path / "x.parquet", RECORDING)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), to_table(RECORDING))


def test_a_large_recording_is_saved_and_checked_in_parts(tmp_path):
    rate = np.zeros((3, 4, 2_000_000 // 8), np.float32)
    rate[1, 2, 77] = 1
    save_recording(tmp_path / "x.nc", make_recording([0.0, 0.1, 0.2, 0.3], "abc", {"rate": rate}))
    np.testing.assert_array_equal(load_recording(tmp_path / "x.nc")["rate"], rate)
