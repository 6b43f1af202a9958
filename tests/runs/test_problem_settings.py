"""Settings of `neuromotor solve` from plain data."""

import pytest

from neuromotor.controllers import (
    ConstrainedNetwork,
    GatedFeedbackNetwork,
    LeakyCell,
    LSTMCell,
    TanhCell,
)
from neuromotor.problems import ENGINES, TruncatedBPTT
from neuromotor.runs.problems import problem_settings
from neuromotor.storage.components import SettingsError, decode


def test_controllers_come_with_their_own_cell_or_with_those_named():
    assert problem_settings({}).controllers["tanh"].cell == TanhCell()
    named = problem_settings({"cells": "tanh,lstm"}).controllers
    assert [one.cell for one in named.values()] == [TanhCell(), LSTMCell()]
    own = problem_settings({"controller": {"cell": {"type": "rectified-linear"}}}).controllers
    (controller,) = own.values()
    assert controller.cell == LeakyCell(("rectified",))
    sized = problem_settings({"cells": "fast-weights", "controller": {"layers": [7]}})
    assert sized.controllers["fast-weights"].cell.units == 7
    changed = problem_settings({"cells": ["lstm"], "controller": {"cell": {"forget_bias": 1.0}}})
    assert changed.controllers["lstm"].cell == LSTMCell(forget_bias=1.0)
    for name, kind in (
        ("constrained", ConstrainedNetwork),
        ("gated-feedback", GatedFeedbackNetwork),
    ):
        (controller,) = problem_settings({"controller": name}).controllers.values()
        assert type(controller) is kind
        assert controller.layers == (100,)


def test_settings_are_written_in_the_form_that_is_read():
    raw = {
        "problem": {"type": "addition", "operation": "xor"},
        "lags": [20, 30],
        "optimizers": "nag",
        "nag": {"rates": [[0, 0.1], [5, 0.01]]},
        "engine": {"type": "truncated", "every": 2, "back": 6},
    }
    given = problem_settings(raw).given
    again = problem_settings(given)
    assert again.given == given
    assert [problem.lag for problem in again.problems.values()] == [20, 30]
    assert again.optimizers["nag"].rates == ((0, 0.1), (5, 0.01))
    assert decode(given["engine"], ENGINES, "engine") == TruncatedBPTT(2, 6)


def test_what_cannot_be_is_refused():
    with pytest.raises(SettingsError, match=r"`controller\.cell` must be left out"):
        problem_settings({"cells": "tanh,lstm", "controller": {"cell": "lstm"}})
    with pytest.raises(SettingsError, match="`seeds` must be a whole number, 1 or more"):
        problem_settings({"seeds": 0})
    with pytest.raises(SettingsError, match="must not squash its commands"):
        problem_settings({"controller": {"squash": "tanh"}})
