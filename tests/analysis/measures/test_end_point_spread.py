"""Planted ellipses of end points in the axes of their movements."""

import numpy as np
import pytest

from neuromotor.analysis.measures import end_point_spread, movement_errors


def planted(along_m, across_m, tilt_deg=0.0, each=60, seed=0, directions=8):
    """Ends, starts, targets and directions of movements whose spread is known."""
    generator = np.random.default_rng(seed)
    number = np.repeat(np.arange(directions), each)
    angle = number * 2 * np.pi / directions
    along = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    left = np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
    draws = generator.standard_normal((len(angle), 2)) * [along_m, across_m]
    c, s = np.cos(np.radians(tilt_deg)), np.sin(np.radians(tilt_deg))
    draws = draws @ np.array([[c, s], [-s, c]])
    starts = np.tile([0.02, 0.3], (len(angle), 1))
    targets = starts + 0.1 * along
    return targets + draws[:, :1] * along + draws[:, 1:] * left, starts, targets, number


@pytest.mark.parametrize("tilt", [0.0, 25.0, -80.0])
def test_the_planted_ellipse_is_found(tilt):
    ends, starts, targets, number = planted(0.006, 0.002, tilt, each=200)
    found = end_point_spread(ends, starts, targets, groups=number, resamples=400)
    assert found.long_m == pytest.approx(0.006, rel=0.05)
    assert found.short_m == pytest.approx(0.002, rel=0.05)
    assert found.aspect.low < 3 < found.aspect.high
    assert found.tilt_deg.low - 1e-9 < tilt < found.tilt_deg.high + 1e-9
    assert found.tilt_deg.high - found.tilt_deg.low < 6
    if tilt == 0:
        assert found.along_over_across.low < 3 < found.along_over_across.high


def test_round_spread_has_no_axis_along_the_movement():
    """The aspect is above 1 all the same, so the ratio along over across is what tests it."""
    inside = 0
    for seed in range(40):
        ends, starts, targets, number = planted(0.003, 0.003, each=8, seed=seed)
        found = end_point_spread(ends, starts, targets, groups=number, resamples=300)
        assert found.aspect.value > 1
        inside += found.along_over_across.low < 1 < found.along_over_across.high
    assert inside / 40 > 0.8


def test_shuffled_directions_lose_the_axis():
    ends, starts, targets, number = planted(0.006, 0.002, each=100)
    errors = ends - targets
    shuffled = np.random.default_rng(0).permutation(len(errors))
    found = end_point_spread(targets + errors[shuffled], starts, targets, groups=number)
    assert found.along_over_across.low < 1 < found.along_over_across.high


def test_bias_is_along_and_across_and_directions_have_a_spread():
    ends, starts, targets, _ = planted(1e-6, 0.1 * np.radians(3), each=300, directions=1)
    found = end_point_spread(ends + np.array([0.004, 0.001]), starts, targets, resamples=50)
    np.testing.assert_allclose(found.bias_m, [0.004, 0.001], atol=1e-3)
    assert found.direction_spread_deg == pytest.approx(3 / 1.04, rel=0.1)
    assert found.direction_bias_deg == pytest.approx(np.degrees(0.001 / 0.104), abs=0.5)
    np.testing.assert_allclose(
        movement_errors([[0.0, 1.2]], [[0.0, 0.0]], [[0.0, 1.0]]), [[0.2, 0.0]], atol=1e-12
    )
    np.testing.assert_allclose(
        movement_errors([[-0.1, 1.0]], [[0.0, 0.0]], [[0.0, 1.0]]), [[0.0, 0.1]], atol=1e-12
    )


def test_group_means_do_not_count_as_spread():
    ends, starts, targets, number = planted(0.003, 0.003, each=50)
    moved = ends + 0.05 * number[:, None]
    one = end_point_spread(ends, starts, targets, groups=number, resamples=20)
    other = end_point_spread(moved, starts, targets, groups=number, resamples=20)
    assert other.long_m == pytest.approx(one.long_m)


def test_bad_input_is_refused():
    ends, starts, targets, _ = planted(0.003, 0.003, each=1, directions=2)
    with pytest.raises(ValueError, match="3 end points or more"):
        end_point_spread(ends, starts, targets)
    with pytest.raises(ValueError, match="1 with the target at the start"):
        end_point_spread(np.zeros((3, 2)), np.eye(3)[:, :2], [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    with pytest.raises(ValueError, match="`groups` must have shape"):
        end_point_spread(*planted(1.0, 1.0)[:3], groups=[1])
