"""The report names what rotations are of, how they were fitted and what they were held against."""

import numpy as np
import pytest
from planted import rotating

from neuromotor.analysis import make_recording
from neuromotor.analysis.rotation_nulls import covariance_matched_test
from neuromotor.analysis.rotation_section import SECTION
from neuromotor.analysis.rotations import rotational_dynamics
from neuromotor.analysis.section import Material


def test_units_and_muscles_stand_side_by_side():
    mean, time = rotating([3.0, 1.5, 0.8], noise=0.01)
    muscles = rotating([2.0, 1.0], units=6, noise=0.01)[0]
    recording = make_recording(
        time,
        np.arange(12),
        {"rate": mean, "command": muscles},
        layer=["M1"] * 20 + ["PMd"] * 20,
        units={"rate": "spikes/s", "command": "1"},
    )
    section = SECTION.section(Material(recording, surrogates=9, difference="midpoints"))
    assert not section.skipped
    assert set(section.numbers) == {"M1", "PMd", "command"}
    own = section.numbers["M1"]
    assert (own["difference"], own["added_to_ranges"], own["components"]) == ("midpoints", 5.0, 6)
    alone = rotational_dynamics(
        recording.isel(unit=slice(20)), difference="midpoints", surrogates=9
    )
    assert own["r2_skew"] == pytest.approx(alone.r2_skew)
    assert own["held_out_r2_unconstrained"] > 0.5
    matched = covariance_matched_test(
        recording.isel(unit=slice(20)), difference="midpoints", permutations=9
    )
    assert own["covariance_matched_p_ratio"] == matched.p_ratio
    muscle = section.numbers["command"]
    assert (muscle["added_to_ranges"], muscle["components"], muscle["signals"]) == (0.0, 4, 6)
    assert 0.1 <= muscle["p_below_as_many_units"] <= 1
    assert "states those halfway through each step" in section.text
    assert "Each unit is divided by its range plus 5 (spikes/s)." in section.text
    assert "fewer than 30 signals (M1, PMd, command)" in section.text
