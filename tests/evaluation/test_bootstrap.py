"""Bootstrap intervals against the closed-form ones of a normal mean, and their coverage."""

import math

import pytest
import torch
from cases import normal

from neuromotor.evaluation.bootstrap import bootstrap_interval


def test_the_interval_of_a_normal_mean_is_the_textbooks():
    values = 3.0 + 2.0 * normal(1000, seed=4)
    interval = bootstrap_interval(values, resamples=20_000)
    half = 1.959964 * float(values.std()) / math.sqrt(1000)
    assert interval.value == pytest.approx(float(values.mean()), rel=1e-12)
    assert interval.low == pytest.approx(interval.value - half, abs=0.05 * half)
    assert interval.high == pytest.approx(interval.value + half, abs=0.05 * half)


def test_ninety_five_of_a_hundred_intervals_hold_the_truth():
    held = 0
    for seed in range(200):
        interval = bootstrap_interval(normal(100, seed=seed), resamples=400, seed=seed)
        held += interval.low <= 0 <= interval.high
    assert abs(held - 190) < 4 * math.sqrt(200 * 0.95 * 0.05)


def test_a_ratio_resamples_both_together():
    below = normal(500, seed=1).exp()
    interval = bootstrap_interval(3.0 * below, divide_by=below)  # the same in every resample
    for number in (interval.value, interval.low, interval.high):
        assert number == pytest.approx(3.0, rel=1e-12)
    apart = bootstrap_interval(3.0 * below, divide_by=below.flip(0))
    assert apart.high - apart.low > 0.1


def test_it_repeats_with_its_seed_and_admits_what_is_not_finite():
    values = normal(50)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values)
    values[3] = math.inf
    assert bootstrap_interval(values).value is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": torch.zeros(2, 2)}, "`values` must be a vector"),
        ({"values": torch.zeros(3), "level": 1.0}, "`level` must be below 1"),
        ({"values": torch.zeros(3), "resamples": 0}, "`resamples` must be"),
        ({"values": torch.zeros(3), "divide_by": torch.ones(2)}, "`divide_by` must have shape"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(**arguments)
