"""A planted relation of speed and accuracy is found."""

import numpy as np
import pytest
from planted import minimum_jerk

from neuromotor.analysis import RecordingError, make_recording
from neuromotor.analysis.speed_and_accuracy import speed_accuracy


def fitts(slope=0.12, constant=True, seed=0):
    """Minimum-jerk reaches whose duration follows from distance and spread of the end points."""
    generator = np.random.default_rng(seed)
    time, paths, targets, labels = 0.002 * np.arange(600), [], [], []
    for label, (far, spread) in enumerate(
        [(0.04, 0.004), (0.08, 0.004), (0.12, 0.003), (0.16, 0.003), (0.2, 0.002), (0.2, 0.001)]
    ):
        draws = generator.standard_normal(8)
        draws = spread * (draws - draws.mean()) / draws.std(ddof=1)
        bits = np.log2(far / (4.133 * spread) + 1)
        duration = 0.3 + slope * bits if constant else generator.uniform(0.4, 1.0)
        s = np.clip((time - 0.05) / duration, 0, 1)
        profile = 10 * s**3 - 15 * s**4 + 6 * s**5
        unit = np.array([np.cos(label), np.sin(label)])
        paths += [(far + draw) * profile[:, None] * unit for draw in draws]
        targets += [far * unit] * 8
        labels += [label] * 8
    rate = np.zeros((len(labels), len(time), 1))
    variables = {"rate": rate, "hand_position": paths, "target_position": targets}
    return make_recording(time, labels, variables)


def test_a_planted_speed_accuracy_relation_is_found():
    found = speed_accuracy(fitts())
    # From 10 % of peak speed to 10 %: .8282 of the whole duration.
    assert found.slope_s == pytest.approx(0.8282 * 0.12, rel=0.02)
    assert found.intercept_s == pytest.approx(0.8282 * 0.3, rel=0.04)
    assert found.r2 > 0.999
    assert found.p_slope < 0.02
    spread = np.array([0.004, 0.004, 0.003, 0.003, 0.002, 0.001])
    np.testing.assert_allclose(found.width_m, 4.133 * spread, rtol=1e-6)


def test_times_that_do_not_follow_difficulty_are_in_the_null():
    p = [speed_accuracy(fitts(constant=False, seed=s), permutations=99).p_slope for s in range(8)]
    assert 0.1 < np.median(p) < 0.95
    with pytest.raises(RecordingError, match="three conditions"):
        speed_accuracy(minimum_jerk())
