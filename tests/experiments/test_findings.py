"""Verdicts: planted values inside, on nature's side, and without effect."""

import pytest

from neuromotor.evaluation.bootstrap import Interval
from neuromotor.experiments import Findings, Nature, judge, overall

ABOVE = Nature("gain", "gain", "", 0.8, 1.2, 0.0, "people", "nobody")
BELOW = Nature("slope", "slope", "", -0.4, -0.3, 0.0, "monkeys", "nobody", about=True)


@pytest.mark.parametrize(
    ("nature", "value", "low", "high", "verdict"),
    [
        (ABOVE, 1.0, -5.0, 5.0, "inside"),
        (ABOVE, 0.5, 0.4, 0.6, "same direction"),
        (ABOVE, 2.0, 1.9, 2.1, "same direction"),
        (ABOVE, 0.5, -0.1, 1.1, "absent"),
        (ABOVE, -1.0, -1.1, -0.9, "absent"),
        (BELOW, -0.35, -0.36, -0.34, "inside"),
        (BELOW, -0.1, -0.2, -0.05, "same direction"),
        (BELOW, 0.1, 0.05, 0.2, "absent"),
        (BELOW, None, None, None, "absent"),
    ],
)
def test_verdict(nature, value, low, high, verdict):
    assert nature.verdict(Interval(value, low, high)) == verdict


def test_experiment_is_as_good_as_its_weakest_measure():
    found = Findings({"gain": Interval(1.0, 0.9, 1.1), "slope": Interval(0.1, 0.0, 0.2)})
    judged = judge((ABOVE, BELOW), found)
    assert [one.verdict for one in judged] == ["inside", "absent"]
    assert overall(judged) == "absent"
    assert overall(judge((ABOVE,), found)) == "inside"


def test_who_cannot_take_part_is_told_why():
    (judged,) = judge((ABOVE,), "it has no units.")
    assert (judged.verdict, judged.reason) == ("cannot be asked", "it has no units.")
    assert overall([judged]) == "cannot be asked"
    assert judged.as_dict()["found"] is None


def test_ranges_say_what_they_are():
    assert BELOW.range_words == "about -0.4 to -0.3"
    with pytest.raises(ValueError, match="outside of nature's range"):
        Nature("gain", "gain", "", -1.0, 1.0, 0.0, "people", "nobody")
    with pytest.raises(ValueError, match="must be 1"):
        Nature("gain", "gain", "", 1.0, 0.5, 0.0, "people", "nobody")
    with pytest.raises(ValueError, match="every measure"):
        judge((ABOVE,), Findings({}))
