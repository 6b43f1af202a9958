"""Averages are means over trials, and noise explains nothing."""

import numpy as np
from planted import reaches, tuned_units

from neuromotor.analysis import make_recording
from neuromotor.analysis.averages import condition_averages

PREFERRED = np.radians([-170.0, -60.0, 10.0, 75.0, 160.0])


def test_averages_are_the_means_over_a_conditions_trials():
    recording = tuned_units(PREFERRED)
    averages = condition_averages(recording)
    rate = recording["rate"].values
    np.testing.assert_allclose(averages.mean[3], rate[12:16].mean(0))
    error = rate[12:16].std(0, ddof=1) / 2
    np.testing.assert_allclose(averages.standard_error[3], error)
    assert (averages.explained[:-1] > 0.97).all()
    assert (averages.null_explained[:-1] < 0.7).all()
    assert np.isnan(averages.explained[-1])  # constant unit


def test_noise_explains_nothing_and_single_trials_have_no_error():
    time, _, condition, _ = reaches()
    rate = np.random.default_rng(1).standard_normal((len(condition), len(time), 200))
    averages = condition_averages(make_recording(time, condition, {"rate": rate}))
    assert np.mean(averages.explained > averages.null_explained) < 0.12
    single = condition_averages(make_recording(time, np.arange(len(condition)), {"rate": rate}))
    assert np.isnan(single.standard_error).all()
    assert np.isnan(single.null_explained).all()
