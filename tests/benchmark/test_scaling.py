"""The scaling benchmark's arithmetic, on times that are given."""

import itertools

import pytest

from neuromotor.benchmark import scaling

# (clock, processor) in ms of one process, strong and weak; the first round warms up.
ROUNDS = [
    [(900, 900), (900, 900), (900, 900)],
    [(10, 8), (5, 4), (12.5, 8)],
    [(100, 8), (40, 2), (125, 16)],  # ten times as busy
    [(10, 8), (5, 4), (10, 8)],
]


def test_ratios_are_taken_round_by_round(monkeypatch):
    times = itertools.chain(*ROUNDS, *ROUNDS)

    def given(operation):
        operation()
        return next(times)

    monkeypatch.setattr(scaling, "_timed", given)
    rows = scaling.measure_scaling(batch=4, steps=2, processes=2, rounds=3)
    assert [row.operation for row in rows] == ["gradient", "gauss_newton"]
    for row in rows:
        assert (row.one_ms, row.strong_ms, row.weak_ms) == (10, 5, 12.5)
        assert (row.strong, row.strong_cpu) == (2, 2)
        assert (row.weak, row.weak_cpu) == pytest.approx((0.8, 1))
