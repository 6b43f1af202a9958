"""Drawn spikes have the rates, the Fano factor and the intervals that were asked for."""

import numpy as np
import pytest
from forked import neuromotor
from scipy import stats

from neuromotor.analysis import (
    RecordingError,
    draw_spikes,
    expected_fano,
    load_recording,
    make_recording,
    save_recording,
)
from neuromotor.analysis.spikes import spike_times_of

STEP = 0.01
TIME = STEP * np.arange(200)
WAVE = 20 + 15 * np.sin(2 * np.pi * 1.5 * TIME)  # spikes/s


@pytest.mark.parametrize("fano", [0.1, 0.5, 1.0, 2.5])
def test_counts_have_the_mean_and_the_fano_factor(fano):
    trials = 4000
    rate = np.broadcast_to(WAVE, (trials, 200))
    trial, moment = spike_times_of(rate, STEP, fano, np.random.default_rng(1))
    counts = np.bincount(trial, minlength=trials)
    expected = STEP * WAVE.sum()
    found = counts.var(ddof=1) / counts.mean()
    wanted = expected_fano(fano, expected)
    assert abs(counts.mean() - expected) < 4 * np.sqrt(wanted * expected / trials)
    assert abs(found - wanted) < 4 * wanted * np.sqrt(2 / trials)  # of a variance
    places = np.floor(moment / STEP).astype(int)
    course = np.bincount(places, minlength=200) / trials / STEP
    # In single bins counts are 0 or 1, so nearly Poisson whatever their Fano factor.
    error = np.sqrt(max(fano, 1.0) * WAVE / STEP / trials)
    assert np.abs((course - WAVE) / error).max() < 4.5
    assert (np.diff(moment)[np.diff(trial) == 0] > 0).all()


@pytest.mark.parametrize("fano", [0.25, 1.0, 4.0])
def test_intervals_in_rescaled_time_are_gamma_distributed(fano):
    rate = np.broadcast_to(WAVE, (300, 200))
    trial, moment = spike_times_of(rate, STEP, fano, np.random.default_rng(2))
    edges = np.concatenate([[0], np.cumsum(STEP * WAVE)])
    scaled = np.interp(moment, STEP * np.arange(201), edges)
    # From the third spike on, whose interval no end of the trial cuts short but the last.
    starts = np.flatnonzero(np.diff(trial, prepend=-1))
    intervals = [np.diff(own)[:8] for own in np.split(scaled, starts[1:]) if len(own) > 12]
    found = np.concatenate(intervals)
    assert stats.kstest(found, stats.gamma(1 / fano, scale=fano).cdf).pvalue > 1e-3


def test_rates_are_scaled_to_a_mean_and_silent_units_stay_silent():
    rng = np.random.default_rng(0)
    rate = np.concatenate([np.tanh(rng.standard_normal((50, 100, 3))), np.zeros((50, 100, 1))], -1)
    made = make_recording(TIME[:100], np.arange(50) % 5, {"rate": rate})
    drawn = draw_spikes(made, mean_rate_hz=30.0, fano=0.3, seed=4)
    counts = drawn["rate"].values * STEP
    np.testing.assert_allclose(counts, counts.round(), atol=1e-4)
    error = np.sqrt(30 * 50) / 50  # of a mean over 50 s, at most
    np.testing.assert_allclose(drawn["rate"].values.mean((0, 1)), 30.0, atol=4 * error)
    spiking = make_recording(
        TIME[:100], np.arange(50), {"rate": np.abs(rate)}, units={"rate": "Hz"}
    )
    again = draw_spikes(spiking, mean_rate_hz=30.0)
    assert not again["rate"].values[..., 3].any()
    assert draw_spikes(spiking, seed=1)["rate"].values.mean() < 2
    same = draw_spikes(made, mean_rate_hz=30.0, fano=0.3, seed=4)
    np.testing.assert_array_equal(same["rate"], drawn["rate"])


def test_what_cannot_be_drawn_is_refused():
    made = make_recording(TIME, [0], {"rate": np.zeros((1, 200, 1))})
    with pytest.raises(RecordingError, match="not in spikes/s; say how fast"):
        draw_spikes(made)
    with pytest.raises(ValueError, match="`fano` must be"):
        draw_spikes(made, mean_rate_hz=1.0, fano=0.0)
    with pytest.raises(ValueError, match="exclude each other"):
        draw_spikes(made, mean_rate_hz=1.0, rate_hz=1.0)
    low = make_recording(TIME, [0], {"rate": np.full((1, 200, 1), -1.0)}, units={"rate": "Hz"})
    with pytest.raises(RecordingError, match="must not be negative"):
        draw_spikes(low)


def test_the_command_line_draws_spikes(tmp_path):
    rate = np.random.default_rng(0).random((8, 50, 2))
    save_recording(tmp_path / "mine.nc", make_recording(TIME[:50], np.arange(8), {"rate": rate}))
    options = ("--mean-rate", "40", "--fano", "0.2")
    done = neuromotor("export", "mine.nc", "--out", "drawn.nc", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    drawn = load_recording(tmp_path / "drawn.nc")["rate"]
    assert drawn.attrs["units"] == "spikes/s"
    assert abs(float(drawn.mean()) - 40) < 10
    wrong = neuromotor("export", "mine.nc", "--out", "x.nc", "--fano", "0.2", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "say how fast units fire" in wrong.stderr
