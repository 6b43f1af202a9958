"""Shapes of speed and durations under one cost at a time, against the calculus of variations."""

import numpy as np
import pytest

from neuromotor.experiments import (
    ForceRate,
    OpenLoop,
    Optimal,
    OptimalForEver,
    Session,
    put_through,
    subject_of,
)
from neuromotor.tasks import CursorReach

SMALL = ForceRate(directions=1, distances_m=(0.05, 0.2))


@pytest.mark.slow
def test_each_cost_has_the_shape_of_its_calculus_and_times_grow_with_distance():
    """Of a mass, peak over mean is 3/2, 15/8 and 35/16; an arm is near that. Under work the speed
    rises at once. The squared second derivative of force costs D² / T^7 then: T goes with D^(1/4).
    """
    found, judged = put_through(SMALL, Session(OpenLoop(), CursorReach()))
    peaks = {name: found.data[name].max() for name in ("squared torque", "torque rate")}
    assert peaks["squared torque"] == pytest.approx(3 / 2, rel=0.05)
    assert peaks["torque rate"] == pytest.approx(15 / 8, rel=0.07)
    assert found.measures["bell"].value == pytest.approx(35 / 16, rel=0.07)
    assert found.data["work"][:15].max() > 1.0
    assert found.data["force rate"][:15].max() < 0.6
    assert found.measures["duration"].value == pytest.approx(4**0.25, rel=0.06)
    assert [one.verdict for one in judged] == ["same direction", "inside"]


def test_squared_force_gives_a_parabola_and_its_rate_a_bell():
    session = Session(OpenLoop(), CursorReach())
    force, rate = (SMALL._profiles(session, name) for name in ("squared torque", "torque rate"))
    assert force.peak_to_mean[0] == pytest.approx(3 / 2, rel=0.05)
    assert rate.peak_to_mean[0] == pytest.approx(15 / 8, rel=0.07)


def test_a_parabola_and_one_time_for_all_distances_are_no_effect(monkeypatch):
    share = np.linspace(0, 1, 101)

    class Parabola:
        scaled = 6 * (share - share**2)[None]
        peak_to_mean = np.array([1.5, 1.49, 1.5])

    monkeypatch.setattr(ForceRate, "_profiles", lambda *_: Parabola())
    monkeypatch.setattr(ForceRate, "_times", lambda *_: np.array([0.5, 0.5]))
    _, judged = put_through(SMALL, Session(Optimal(), CursorReach()))
    assert [one.verdict for one in judged] == ["absent"] * 2


def test_who_cannot_be_given_a_cost_or_a_time_cannot_be_asked():
    for subject, reason in (
        (OptimalForEver(), "no clock"),
        (subject_of("center-out/best"), "one cost"),
    ):
        _, judged = put_through(SMALL, Session(subject, CursorReach()))
        assert {one.verdict for one in judged} == {"cannot be asked"}
        assert reason in judged[0].reason


def test_wrong_conditions_are_refused():
    with pytest.raises(ValueError, match="near to far"):
        ForceRate(distances_m=(0.2, 0.1))
    with pytest.raises(ValueError, match="`longest_s` must be above"):
        ForceRate(shortest_s=0.5, longest_s=0.4)
