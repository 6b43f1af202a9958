"""Expressions choose rows as numpy does, and nothing else is ever run."""

import numpy as np
import pytest

from neuromotor.analysis import RecordingError
from neuromotor.analysis.sessions.expressions import chosen

TABLE = {
    "result": np.array(["R", "F", "R", "A"]),
    "rt": np.array([0.2, 0.5, np.nan, 0.3]),
    "target": np.array([1, 2, 3, 4]),
    "ok": np.array([True, False, True, True]),
}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [1, 1, 1, 1]),
        ("result == 'R'", [1, 0, 1, 0]),
        ("result in ['R', 'A'] and target != 4", [1, 0, 1, 0]),
        ("result not in ('R',)", [0, 1, 0, 1]),
        ("0.1 < rt < 0.4", [1, 0, 0, 1]),
        ("isnan(rt) or not ok", [0, 1, 1, 0]),
        ("abs(target - 2.5) > 1 and ok", [1, 0, 0, 1]),
        ("target % 2 == 1", [1, 0, 1, 0]),
        ("-target <= -3", [0, 0, 1, 1]),
    ],
)
def test_rows(text, rows):
    assert chosen(text, TABLE, 4, "select").tolist() == [bool(x) for x in rows]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("__import__('os').system('true')", "may hold columns, numbers, text"),
        ("result.dtype == 1", "may hold columns"),
        ("target[0] == 1", "may hold columns"),
        ("(lambda: 1)() == 1", "may hold columns"),
        ("exec('1') == 1", "may hold columns"),
        ("2 ** 9999999 == target", "may hold columns"),
        ("reslt == 'R'", "did you mean 'result'"),
        ("result == R", "names 'R', which is no column"),
        ("result == 1", "compares text with numbers"),
        ("result ==", "cannot be read"),
        ("target", "must say yes or no"),
        ("target and ok", "join comparisons"),
        ("result + 'x' == 'Rx'", "calculates with text"),
        ("not " * 450 + "ok", "may hold|cannot be|yes or no|got"),
        ("(" * 1500 + "ok" + ")" * 400, "cannot be"),
        ("ok" + " and ok" * 400, "2000 characters"),
    ],
)
def test_anything_else_is_refused(text, what):
    if text.startswith("not not"):  # deep but harmless: it may be computed
        assert chosen(text, TABLE, 4, "select").shape == (4,)
        return
    with pytest.raises(RecordingError, match=what):
        chosen(text, TABLE, 4, "select")
