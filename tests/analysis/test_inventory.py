"""The opening of a report counts what was planted."""

import numpy as np

from neuromotor.analysis import analyze, make_recording
from neuromotor.analysis.inventory import inventory


def test_what_a_recording_holds_is_counted():
    rng = np.random.default_rng(0)
    rate = rng.uniform(1, 3, (10, 8, 6))
    rate[:, :, 4] = 0
    rate[:, :, 5] = 2
    rate[2, 5:, :4] = np.nan
    recording = make_recording(
        0.02 * np.arange(8) - 0.04,
        np.repeat(["a", "b"], [7, 3]),
        {"rate": rate},
        layer=["M1"] * 2 + ["PMd"] * 4,
        units={"rate": "spikes/s"},
        attributes={"source": "session <1>", "import_notes": "Two trials were left out."},
        gaps=True,
    )
    found = inventory(recording)
    assert (found["trials"], found["conditions"], found["units"], found["times"]) == (10, 2, 6, 8)
    assert (found["fewest_trials_of_a_condition"], found["most_trials_of_a_condition"]) == (3, 7)
    assert abs(found["step_s"] - 0.02) < 1e-12
    assert found["missing_share_of_rate"] == 12 / rate.size
    assert found["units: M1"]["silent"] == 0
    assert (found["units: PMd"]["silent"], found["units: PMd"]["constant"]) == (1, 1)
    mean = np.nanmean(rate, axis=(0, 1))
    np.testing.assert_allclose(found["units: M1"]["highest_mean_rate"], mean[:2].max())
    report = analyze(recording, surrogates=1)
    first = report.sections[0]
    assert first.name == "data"
    assert "Two trials were left out." in first.text
    assert "Source: session <1>." in first.text
