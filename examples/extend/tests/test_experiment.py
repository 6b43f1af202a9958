"""Optimal control is fastest before the middle of a reach, as people are."""

from my_lab.experiment import TimeOfPeak

from neuromotor.experiments import Session, put_through, subject_of
from neuromotor.tasks import CursorReach


def test_the_hand_is_fastest_near_the_middle():
    session = Session(subject_of("ilqg"), CursorReach())
    found, judged = put_through(TimeOfPeak(repeats=2), session)
    assert 30 < found.measures["peak"].value < 60
    assert judged[0].verdict in ("inside", "same direction")
