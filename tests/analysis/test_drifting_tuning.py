"""Preferred directions that turn are found, and those that do not are left alone."""

import numpy as np
import pytest
from planted import reaches
from scipy.optimize import minimize_scalar, nnls

from neuromotor.analysis import RecordingError, drifting_tuning, make_recording

START = np.linspace(0, 2 * np.pi, 9, endpoint=False)


def turning(turn_deg, over="time", noise=0.3, seed=0, repeats=6):
    """Units whose preferred directions turn by so much; the last one never changes its rate."""
    time, angle, condition, hand = reaches(repeats=repeats)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(angle))
    angle, condition, hand = angle[order], condition[order], hand[order]
    share = (
        np.linspace(0, 1, len(time))[None, :]
        if over == "time"
        else np.linspace(0, 1, len(angle))[:, None]
    )
    preferred = START + np.radians(turn_deg) * share[..., None]
    rate = 10 + 3 * np.cos(angle[:, None, None] - preferred)
    rate = rate + noise * rng.standard_normal((len(angle), len(time), len(START)))
    rate = np.concatenate([rate, np.full_like(rate[..., :1], 4.0)], axis=-1)
    return make_recording(time, condition, {"rate": rate, "hand_position": hand})


@pytest.mark.parametrize("over", ["time", "trials"])
@pytest.mark.parametrize("turn", [-120.0, 60.0])
def test_a_planted_turn_is_recovered(over, turn):
    found = drifting_tuning(turning(turn, over), over=over, shuffles=199)
    assert found.drifts[:-1].all()
    assert not found.drifts[-1]
    assert np.isnan(found.p[-1])
    # From the middle of the first of five parts to the middle of the last.
    np.testing.assert_allclose(found.turn_deg[:-1], 0.8 * turn, atol=12)
    first = np.angle(np.exp(1j * (np.radians(found.direction_deg[0, :-1] - 0.1 * turn) - START)))
    assert np.degrees(np.abs(first)).max() < 12


@pytest.mark.parametrize("over", ["time", "trials"])
def test_what_stays_or_is_exchanged_does_not_turn(over):
    still = drifting_tuning(turning(0.0, over), over=over, shuffles=199)
    assert still.drifts.sum() == 0
    assert np.abs(still.turn_deg[:-1]).max() < 20
    made = turning(90.0, over)
    order = np.random.default_rng(1).permutation(made.sizes["trial"])
    shuffled = made.assign(rate=(made["rate"].dims, made["rate"].values[order]))
    if over == "trials":
        shuffled = made.isel(trial=order)
    assert drifting_tuning(shuffled, over=over, shuffles=199).drifts.sum() == 0


def test_tuning_that_only_grows_does_not_turn():
    made = turning(0.0)
    gain = np.linspace(0.2, 2.0, made.sizes["time"])[:, None]
    grown = made.assign(rate=(made["rate"].dims, 10 + gain * (made["rate"].values - 10)))
    found = drifting_tuning(grown, shuffles=199)
    assert found.drifts.sum() == 0
    assert found.depth[-1, 0] > 3 * found.depth[0, 0]


def test_the_statistic_is_that_of_both_fits():
    """Against least squares: of each window, and of one angle with gains by scipy's nnls."""
    made = turning(40.0, "trials", noise=6.0, repeats=8)
    found = drifting_tuning(made, over="trials", windows=3, shuffles=1)
    rate = made["rate"].values[..., :3].mean(1)
    way = made["hand_position"].values[:, -1] - made["hand_position"].values[:, 0]
    x = way / np.linalg.norm(way, axis=1, keepdims=True)
    place = np.repeat(np.arange(3), [21, 21, 22])
    own = (place[:, None] == np.arange(3)).astype(float)
    design = np.hstack([own, *(own[:, [w]] * x for w in range(3))])
    free = ((rate - design @ np.linalg.lstsq(design, rate, rcond=None)[0]) ** 2).sum(0)

    def left(angle, unit):
        along = x @ [np.cos(angle), np.sin(angle)]
        gains = own * along[:, None]
        return nnls(np.hstack([own, -own, gains]), rate[:, unit])[1] ** 2

    for unit in range(3):
        grid = np.linspace(0, 2 * np.pi, 73)
        best = grid[np.argmin([left(angle, unit) for angle in grid])]
        held = minimize_scalar(left, (best - 0.05, best + 0.05), args=(unit,), tol=1e-10).fun
        expected = (held - free[unit]) / free[unit]
        np.testing.assert_allclose(found.statistic[unit], expected, rtol=2e-3)


def test_too_little_is_refused():
    made = turning(0.0, repeats=2)
    with pytest.raises(RecordingError, match="use fewer `windows`"):
        drifting_tuning(made, over="trials", windows=8)
    order = np.argsort(made["condition"].values, kind="stable")
    with pytest.raises(RecordingError, match="the order of trials is tied to their directions"):
        drifting_tuning(turning(0.0).isel(trial=np.repeat(order, 3)), over="trials", windows=4)
    with pytest.raises(RecordingError, match="31 `windows` need as many times, got 30"):
        drifting_tuning(made, windows=31)
    with pytest.raises(ValueError, match="unknown over"):
        drifting_tuning(made, over="days")
