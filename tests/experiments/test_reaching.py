"""Experiments on free reaches score planted data inside, and flat or shuffled data absent."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from planted_reaches import DT, flat, parabola, reaches

from neuromotor.experiments import (
    Amplitude,
    EndpointEllipses,
    InertialAnisotropy,
    Session,
    StraightReaches,
    judge,
    put_through,
    subject_of,
)
from neuromotor.experiments.inertial_anisotropy import mobility
from neuromotor.experiments.reaching import correlation_interval, directions, trial_interval
from neuromotor.tasks import CursorReach

mpl.use("Agg")
STRAIGHT = StraightReaches(directions=4, repeats=2)
GROWING = Amplitude(directions=2, repeats=3)
ENDS = EndpointEllipses(directions=4, repeats=40)
WAYS = InertialAnisotropy(directions=16, repeats=3)


def verdicts(experiment, found):
    """Verdict of each measure; the figure is drawn too."""
    experiment.draw(found, Figure(figsize=(4.2, 3.2)))
    return {one.nature.measure: one.verdict for one in judge(experiment.nature, found)}


def straight(**how):
    angle = np.tile(np.repeat(np.arange(4) * np.pi / 2, 2), 3)
    return reaches(0.15, np.repeat(STRAIGHT.arrivals_s, 8), angle, **how)


def test_minimum_jerk_is_straight_with_one_bell():
    assert set(verdicts(STRAIGHT, STRAIGHT.measured(*straight(), DT)).values()) == {"inside"}


def test_bows_and_constant_speeds_are_not():
    found = verdicts(STRAIGHT, STRAIGHT.measured(*straight(bow=0.25, shape=flat), DT))
    assert (found["curvature"], found["peak to mean"]) == ("absent", "absent")
    hand, speed = straight()
    other = straight(shape=parabola)
    mixed = STRAIGHT.measured(
        *(np.concatenate([a[:12], b[12:]]) for a, b in zip((hand, speed), other, strict=True)), DT
    )
    plain = STRAIGHT.measured(hand, speed, DT)
    assert mixed.measures["shape"].value > 3 * plain.measures["shape"].value
    assert verdicts(STRAIGHT, STRAIGHT.measured(0 * hand, 0 * speed, DT)) == dict.fromkeys(
        ("curvature", "peak to mean", "peak at", "shape"), "absent"
    )


def growing(exponent, longest_s=0.8, shuffled=False):
    """Reaches whose duration grows as a power of the distance, with some scatter."""
    generator = np.random.default_rng(1)
    far = np.repeat(GROWING.distances_m, 6)
    if shuffled:
        far = generator.permutation(far)
    scatter = np.exp(0.1 * generator.standard_normal(30))
    duration = longest_s * (far / 0.16) ** exponent * scatter
    return reaches(far, duration, np.tile([0.3, 2.0], 15), steps=round(140 * longest_s))


def test_planted_growth_over_distance_is_found():
    found = GROWING.measured(*growing(0.3), DT)
    assert found.measures["duration"].value == pytest.approx(0.3, abs=0.06)
    assert found.measures["speed"].value == pytest.approx(0.7, abs=0.06)
    assert found.measures["acceleration"].value == pytest.approx(0.4, abs=0.12)
    assert set(verdicts(GROWING, found).values()) == {"inside"}


def test_growth_at_one_peak_speed_or_over_shuffled_distances_is_absent():
    found = GROWING.measured(*growing(1.0, 4.0), DT)
    assert found.measures["duration"].value == pytest.approx(1, abs=0.06)
    assert verdicts(GROWING, found)["speed"] == "absent"
    shuffled = GROWING.measured(*growing(0.3, shuffled=True), DT)
    found = verdicts(GROWING, shuffled)
    assert (found["speed"], found["acceleration"]) == ("absent", "absent")


def ends_of(along_m, across_deg, shuffled=False):
    """End points with spreads along (short, long) and of direction that are known."""
    generator = np.random.default_rng(0)
    angle = np.tile(np.repeat(np.arange(4) * np.pi / 2, 40), 2)
    long = np.repeat([0, 1], 160)
    far = np.where(long, ENDS.long_m, ENDS.short_m)
    draws = generator.standard_normal((320, 2))
    error = np.stack(
        [
            np.take(along_m, long) * draws[:, 0],
            far * np.radians(np.take(across_deg, long)) * draws[:, 1],
        ],
        axis=-1,
    )
    turned = generator.permutation(angle) if shuffled else angle
    unit, left = (np.stack([np.cos(a), np.sin(a)], -1) for a in (turned, turned + np.pi / 2))
    start = np.array([0.0, 0.4])
    way = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return start + far[:, None] * way + error[:, :1] * unit + error[:, 1:] * left, start


def test_planted_ellipses_are_found():
    ends, start = ends_of((0.004, 0.010), (2.0, 2.0))
    found = ENDS.measured(ends, start)
    assert found.measures["direction"].value == pytest.approx(1, abs=0.15)
    assert found.measures["small over large"].value == pytest.approx(1.6, rel=0.2)
    assert set(verdicts(ENDS, found).values()) == {"inside"}
    ends[::2] = np.nan
    assert np.isfinite(ENDS.measured(ends, start).measures["elongation"].value)
    nothing = verdicts(ENDS, ENDS.measured(np.full_like(ends, np.nan), start))
    assert set(nothing.values()) == {"absent"}


def test_ellipses_that_do_not_know_the_movement_are_absent():
    ends, start = ends_of((0.004, 0.004), (5.73, 1.43))  # 4 mm along and across
    found = verdicts(ENDS, ENDS.measured(ends, start))
    assert found == dict.fromkeys(("elongation", "small over large", "direction"), "absent")
    shuffled = ENDS.measured(*ends_of((0.006, 0.006), (2.9, 0.72), shuffled=True))
    assert verdicts(ENDS, shuffled)["elongation"] == "absent"


def test_mobility_is_that_of_the_inertia():
    """J M^-1 J^T by finite differences of the hand, and by the arm's own inertia."""
    task = CursorReach()
    ways = directions(8)
    found = mobility(task, ways)
    np.testing.assert_allclose(found[:4], found[4:], rtol=1e-2)  # opposite directions
    matrix = np.array([[1, 0, 0], [0, 0, 1], [1, 2, 1]], float)  # of e = x, y, x + y
    xx, xy, yy = np.linalg.solve(matrix, [found[0], found[2], 2 * found[1]])
    e = np.asarray(ways)
    quadratic = xx * e[:, 0] ** 2 + 2 * xy * e[:, 0] * e[:, 1] + yy * e[:, 1] ** 2
    np.testing.assert_allclose(found, quadratic, rtol=2e-2)
    assert found.max() > 1.5 * found.min()


def anisotropic(moves_by, seed=None):
    """Reaches that are faster, shorter in time and longer where the hand moves easily."""
    gain = moves_by / moves_by.mean()
    if seed is not None:
        gain = np.random.default_rng(seed).permutation(gain)
    gain = np.repeat(gain, 3)
    angle = np.repeat(np.arange(16) * np.pi / 8, 3)
    return reaches(0.1 * (1 + 0.05 * (gain - 1)), 0.6 / gain**0.5, angle)


def test_planted_anisotropy_is_found_and_shuffled_directions_lose_it():
    moves_by = mobility(CursorReach(), directions(16))
    found = WAYS.measured(*anisotropic(moves_by), DT, moves_by)
    assert set(verdicts(WAYS, found).values()) == {"inside"}
    seen = [
        judge(WAYS.nature, WAYS.measured(*anisotropic(moves_by, seed), DT, moves_by))
        for seed in range(5)
    ]
    for measures in zip(*seen, strict=True):
        assert sum(one.verdict == "absent" for one in measures) >= 4


def test_intervals_say_when_there_is_nothing_to_say():
    assert trial_interval(np.array([1.0, np.nan, np.nan])).value is None
    assert trial_interval(np.array([1.0, 2.0, np.nan])).value == 1.5
    x = np.arange(10.0)
    assert correlation_interval(x, 0 * x).value is None
    assert correlation_interval(x[:3], x[:3]).value is None
    draws = np.random.default_rng(0).standard_normal((400, 2, 20))
    covered = [one.low < 0 < one.high for one in (correlation_interval(a, b) for a, b in draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(
    ("experiment", "setting", "value"),
    [
        (STRAIGHT, "arrivals_s", (0.4,)),
        (GROWING, "distances_m", (0.1, 0.1)),
        (ENDS, "long_m", 0.01),
        (WAYS, "directions", 2),
    ],
)
def test_conditions_that_cannot_be_compared_are_refused(experiment, setting, value):
    with pytest.raises(ValueError, match=setting):
        replace(experiment, **{setting: value})


@pytest.mark.parametrize(
    "experiment",
    [
        StraightReaches(directions=2, arrivals_s=(0.2, 0.3), distance_m=0.05, repeats=1),
        Amplitude(directions=1, distances_m=(0.02, 0.05), duration_s=0.4, repeats=2),
        EndpointEllipses(directions=1, short_m=0.02, long_m=0.04, duration_s=0.4, repeats=4),
        InertialAnisotropy(directions=4, distance_m=0.03, duration_s=0.4, repeats=1),
    ],
)
def test_experiments_run_and_are_drawn(experiment):
    found, judged = put_through(experiment, Session(subject_of("open-loop"), CursorReach()))
    assert found is not None
    assert [one.nature for one in judged] == list(experiment.nature)
    verdicts(experiment, found)
    smaller = experiment.quick()
    assert smaller.repeats > 0
