"""Kernels have their closed forms; counts, gaps and stretched time are exact."""

import numpy as np
import pytest
from scipy.stats import halfnorm, norm

from neuromotor.analysis.sessions.placing import (
    Kernel,
    Placement,
    interpolated,
    observed_mask,
    unit_rates,
)
from neuromotor.analysis.sessions.session import course_of

STEP = 0.01
GRID = STEP * np.arange(-20, 41)


def aligned(events):
    return Placement(np.array(events)[:, None], np.zeros(1), GRID, STEP)


def test_without_smoothing_rates_are_counts():
    rng = np.random.default_rng(0)
    spikes = np.sort(rng.uniform(0, 10, 400))
    events = [2.0, 2.3, 7.7771]
    rates = unit_rates([spikes], aligned(events), Kernel())[:, :, 0]
    for event, own in zip(events, rates, strict=True):
        edges = np.append(GRID, GRID[-1] + STEP) - STEP / 2 + event
        np.testing.assert_allclose(own * STEP, np.histogram(spikes, edges)[0], rtol=1e-6)


def test_a_spike_on_an_edge_counts_once_in_the_later_bin():
    rates = unit_rates([np.array([5.005])], aligned([5.0]), Kernel())[0, :, 0]
    assert GRID[rates.argmax()] == pytest.approx(0.01)
    assert rates.sum() * STEP == pytest.approx(1)


@pytest.mark.parametrize(("kind", "shape"), [("gaussian", norm), ("causal", halfnorm)])
@pytest.mark.parametrize("width", [0.003, 0.02])
def test_a_smoothed_spike_is_its_kernel_integrated_over_bins(kind, shape, width):
    spike = 0.0372
    rates = unit_rates([np.array([4 + spike])], aligned([4.0]), Kernel(kind, width))[0, :, 0]
    edges = np.append(GRID, GRID[-1] + STEP) - STEP / 2 - spike
    expected = np.diff(shape(scale=width).cdf(edges)) / STEP
    np.testing.assert_allclose(rates, expected, atol=2e-4)
    assert rates.sum() * STEP == pytest.approx(1, abs=1e-5)


def test_spikes_beyond_the_ends_of_a_window_count_in_it():
    spikes = np.arange(0, 8, 0.001)
    for kind in ("gaussian", "causal"):
        rates = unit_rates([spikes], aligned([4.0]), Kernel(kind, 0.03))
        np.testing.assert_allclose(rates, 1000, rtol=1e-4)


def test_stretched_time_keeps_rates_and_brings_events_together():
    knots = np.array([[1.0, 1.5, 2.0], [3.0, 3.2, 4.1]])
    common = np.array([0.0, 0.4, 0.9])
    grid = STEP * np.arange(91)
    place = Placement(knots, common, grid, STEP)
    np.testing.assert_allclose(place.to_session(common), knots)
    np.testing.assert_allclose(place.moments(knots[:, 1]), 0.4)
    moments = place.to_session(np.array([0.123, 0.7]))
    there = [place.to_grid(np.array([0, 1]), moments[:, i])[0] for i in (0, 1)]
    np.testing.assert_allclose(there, [[0.123] * 2, [0.7] * 2])
    spikes = np.arange(0, 6, 2e-5)
    rates = unit_rates([spikes], place, Kernel("gaussian", 0.02))
    np.testing.assert_allclose(rates[:, :], 5e4, rtol=2e-3)
    marked = np.array([1.5, 3.2])
    rates = unit_rates([marked], place, Kernel())
    assert rates[:, :, 0].argmax(1).tolist() == [40, 40]


def test_series_are_interpolated_and_gaps_are_not_bridged():
    time = np.concatenate([np.arange(0, 1, 0.1), np.arange(2, 3, 0.1)])
    course = course_of("x", time, np.stack([time, 2 * time], axis=1))
    wanted = np.array([-0.05, 0.0, 0.05, 0.9, 1.5, 2.0, 2.25, 2.95])
    found = interpolated(course, wanted, None)
    known = np.array([False, True, True, True, False, True, True, False])
    np.testing.assert_array_equal(np.isfinite(found).all(1), known)
    np.testing.assert_allclose(found[known], np.stack([wanted, 2 * wanted], 1)[known])
    np.testing.assert_allclose(interpolated(course, np.array([1.5]), 2.0), [[1.5, 3.0]])
    lost = course_of("x", time[:10], np.where(np.arange(10) == 4, np.nan, time[:10]))
    assert np.isfinite(interpolated(lost, np.array([0.45]), None)).all()  # one sample is bridged


def test_spans_that_intervals_cover():
    intervals = np.array([[2.0, 3.0], [0.0, 1.0], [1.0, 1.5], [4.0, 4.0]])
    low = np.array([0.0, 0.9, 1.4, 2.0, 2.5, 3.9])
    high = np.array([0.5, 1.2, 1.6, 3.0, 3.1, 4.0])
    assert observed_mask(intervals, low, high).tolist() == [True, True, False, True, False, False]
    assert not observed_mask(np.zeros((0, 2)), low, high).any()
