"""How settings from several places come together."""

import pytest

from neuromotor.runs.settings import gather, resolve


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["refresh=3"], 3),
        (["refresh=1", "refresh.lbfgs=25"], {"others": 1, "lbfgs": 25}),
        (["refresh.lbfgs=25", "refresh.others=1"], {"lbfgs": 25, "others": 1}),
        (["refresh.lbfgs=25", "refresh=1"], 1),
    ],
)
def test_one_methods_refresh_leaves_that_of_the_others(texts, expected):
    assert resolve(gather(None, {}, texts, smoke=False)).refresh == expected
