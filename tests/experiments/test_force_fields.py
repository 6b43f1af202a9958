"""Experiments in force fields: who learns adapts, who learns nothing does not, who cannot says so.

The subject is open loop, whose trials are fast; a learner adds to its commands as to any other's.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from matplotlib.figure import Figure

from neuromotor.adaptation import Unlearning
from neuromotor.experiments import (
    ForceFields,
    Optimal,
    Session,
    SpontaneousRecovery,
    UncertainFields,
    put_through,
    subject_of,
)
from neuromotor.tasks import CursorReach

SMALL = {"distance_m": 0.06, "arrival_s": 0.25, "subjects": 2}
FIELDS = ForceFields(**SMALL, directions_deg=(45.0, 135.0), baseline=4, trials=26, washout=4)
RECOVERY = SpontaneousRecovery(**SMALL, directions_deg=(90.0,), trials=40, counter=8, clamp=20)


@cache
def found(experiment, subject="open-loop"):
    return put_through(experiment, Session(subject_of(subject), CursorReach()))


@pytest.mark.slow
def test_practice_in_curl_and_saddle_leaves_less_error_and_an_after_effect():
    done, judged = found(FIELDS)
    measures = done.measures
    assert measures["left of the error"].value < 85
    assert measures["after-effect"].value < -10
    assert measures["adaptation"].value > 20
    assert measures["saddle after-effect"].value < -10
    assert len(judged) == 4
    figure = Figure()
    FIELDS.draw(done, figure)
    assert len(figure.axes) == 5


@pytest.mark.slow
def test_who_learns_nothing_shows_neither():
    done, judged = found(replace(FIELDS, learner=Unlearning()))
    assert {one.verdict for one in judged[1:]} == {"absent"}
    assert done.measures["left of the error"].value == pytest.approx(100, abs=10)
    _, judged = found(replace(RECOVERY, learner=Unlearning()))
    assert {one.verdict for one in judged} == {"absent"}


@pytest.mark.slow
def test_two_rates_recover_by_themselves_by_as_much_as_their_equations_say():
    done, _ = found(RECOVERY)
    told = [None] * 4 + [1.0] * 40 + [-1.0] * 8 + [None] * 20
    course = torch.tensor(RECOVERY.learner.course(told))
    clamp = 100 * course[-20:].unfold(0, 5, 1).mean(-1)
    rise = float(clamp.max()) - 100 * float(course[-20:-18].mean())
    assert done.measures["rebound"].value == pytest.approx(rise, abs=12)
    assert done.measures["rebound"].low > 0
    figure = Figure()
    RECOVERY.draw(done, figure)
    assert figure.axes[0].get_ylabel() == "adaptation (%)"


@pytest.mark.slow
def test_belief_in_a_field_bends_the_path_and_doubt_straightens_it():
    small = UncertainFields(distance_m=0.08, arrival_s=0.35, repeats=4)
    done, _ = put_through(small, Session(Optimal(), CursorReach()))
    assert done.measures["overcompensation"].low > 0
    assert done.measures["less when unsure"].high < 0
    small.draw(done, Figure())
    _, judged = put_through(small, Session(subject_of("open-loop"), CursorReach()))
    assert {one.verdict for one in judged} == {"cannot be asked"}
    assert "not designed for a force field" in judged[0].reason


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ForceFields(trials=5), "`trials` must be"),
        (lambda: SpontaneousRecovery(clamp=3), "`clamp` must be"),
        (lambda: UncertainFields(spread=0.0), "`spread` must be"),
    ],
)
def test_bad_settings_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
