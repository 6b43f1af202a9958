"""Fitts's and Schmidt's laws: planted movements give their own, flat and shuffled ones none."""

from dataclasses import dataclass

import numpy as np
import pytest

from neuromotor.experiments import Fitts, Optimal, OptimalForEver, Schmidt, Session, put_through
from neuromotor.experiments import fitts as fitts_module
from neuromotor.experiments import schmidt as schmidt_module
from neuromotor.experiments.fitts import shortest_times
from neuromotor.tasks import CursorReach


@dataclass
class Planted:
    """What `reaches_over` gives, with courses or end points that are known."""

    along_m: np.ndarray | None = None
    at_arrival_m: np.ndarray | None = None


def verdicts(experiment, subject):
    return [one.verdict for one in put_through(experiment, Session(subject, CursorReach()))[1]]


@pytest.mark.parametrize("same", [False, True])
def test_exponential_approach_has_the_slope_of_its_time_constant(monkeypatch, same):
    """Its time is tau ln(2 D / W): tau ln 2 a bit. One that takes the same time has none."""
    tau, draws = 0.15, np.random.default_rng(0)

    def reaches(session, distances, given, repeats, **kwargs):
        time = 0.01 * np.arange(-10, 151).clip(min=0)  # it begins at rest
        tempo = 1 + 0.05 * draws.standard_normal((len(distances), repeats, 1))
        if same:
            return Planted(-0.2 * (time < 0.4 * tempo))
        far = np.array(distances)[:, None, None]
        return Planted(-far * np.exp(-time / (tau * tempo)))

    monkeypatch.setattr(fitts_module, "reaches_over", reaches)
    found, judged = put_through(Fitts(), Session(OptimalForEver(), CursorReach()))
    if same:
        assert [one.verdict for one in judged] == ["absent"] * 2
    else:
        assert found.measures["slope"].value == pytest.approx(1000 * tau * np.log(2), rel=0.05)
        assert [one.verdict for one in judged] == ["inside"] * 2


def test_shuffled_difficulty_explains_no_time(monkeypatch):
    draws = np.random.default_rng(1)

    def reaches(session, distances, given, repeats, **kwargs):
        spread = draws.permutation([0.002, 0.006, 0.02])[:, None]
        return Planted(at_arrival_m=spread * draws.standard_normal((len(distances), repeats)))

    monkeypatch.setattr(fitts_module, "reaches_over", reaches)
    assert "inside" not in verdicts(Fitts(), Optimal())


def test_shortest_times_are_those_of_the_planted_spread():
    """Spread k D / T holds 95 % in W from T = 3.92 k D / W on."""
    k, given = 0.02, np.array([0.1, 0.2, 0.4, 0.8])
    quantiles = np.linspace(-1, 1, 41)
    unit = quantiles / quantiles.std(ddof=1)
    far = np.array([0.05, 0.1, 0.2])
    ends = k * far[:, None, None] / given[None, :, None] * unit
    wide = np.array([0.005, 0.01, 0.04])
    found = shortest_times(ends, given, wide)
    planted = 2 * 1.96 * k * far[:, None] / wide
    at_knots = shortest_times(ends, given, 2 * 1.96 * k * 0.1 / given)[1]
    np.testing.assert_allclose(at_knots, given, rtol=1e-9)
    between = (planted > 0.1) & (planted < 0.8)
    np.testing.assert_allclose(found[between], planted[between], rtol=0.07)  # linear between knots
    assert (found[planted <= 0.1] == 0.1).all()
    assert np.isnan(found[planted > 0.8]).all()


@pytest.mark.parametrize(
    ("power", "expected"), [(1.0, ["inside"] * 2), (0.0, ["absent"] * 2)], ids=["law", "flat"]
)
def test_spread_that_grows_with_speed_is_found(monkeypatch, power, expected):
    draws = np.random.default_rng(3)

    def reaches(session, distances, given, repeats, **kwargs):
        spread = 0.005 * (np.array(distances)[:, None] / given) ** power
        return Planted(at_arrival_m=spread * draws.standard_normal((len(distances), repeats)))

    monkeypatch.setattr(schmidt_module, "reaches_over", reaches)
    found, judged = put_through(Schmidt(repeats=300), Session(Optimal(), CursorReach()))
    assert [one.verdict for one in judged] == expected
    assert found.measures["exponent"].value == pytest.approx(power, abs=0.15)


def test_who_has_no_clock_cannot_move_in_a_given_time():
    assert verdicts(Schmidt(), OptimalForEver()) == ["cannot be asked"] * 2


@pytest.mark.slow
def test_time_emerges_from_feedback_without_a_clock():
    small = Fitts(distances_m=(0.05, 0.2), widths_m=(0.02, 0.06), repeats=4)
    found, _ = put_through(small, Session(OptimalForEver(), CursorReach()))
    times = found.data["time_s"].reshape(2, 2)
    assert (times[1] > times[0]).all()  # farther takes longer
    assert (times[:, 0] > times[:, 1]).all()  # wider takes shorter


def test_conditions_that_vary_nothing_are_refused():
    with pytest.raises(ValueError, match="`widths_m` must have two different"):
        Fitts(widths_m=(0.01, 0.01))
    with pytest.raises(ValueError, match="`given_s` must rise"):
        Fitts(given_s=(0.3, 0.2))
    with pytest.raises(ValueError, match="three different mean speeds"):
        Schmidt(distances_m=(0.1,), times_s=(0.2, 0.2))
