"""Tables of settings come together: the later one wins, and a name stands for all of its part."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuromotor.runs.merging import flattened, merged, nested
from neuromotor.storage.components import SettingsError

SENSES = {"channels": ["a"], "target": ["b"]}
FULL = {"type": "monkey", "dt_s": 0.005}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([{"seed": 1}, {"seed": 2}], {"seed": 2}),
        ([{"hf": {"damping": 1.0}}, {"hf": {"seed": 2}}], {"hf": {"damping": 1.0, "seed": 2}}),
        # a name replaces a whole component, a table of another type too
        ([{"plant": FULL}, {"plant": "human"}], {"plant": "human"}),
        ([{"plant": FULL}, {"plant": {"type": "human"}}], {"plant": {"type": "human"}}),
        ([{"plant": "human"}, {"plant": {"dt_s": 1}}], {"plant": {"type": "human", "dt_s": 1}}),
        ([{"plant": {"dt_s": 1}}, {"plant": "human"}], {"plant": {"type": "human", "dt_s": 1}}),
        # a number stands for the optimizers that are not named
        (
            [{"refresh": 3}, {"refresh": {"lbfgs": 25}}],
            {"refresh": {"others": 3, "lbfgs": 25}},
        ),
        ([{"refresh": {"lbfgs": 25}}, {"refresh": 3}], {"refresh": 3}),
        # one plant with two spellings, one time with several
        ([{"task": {"plant": "human"}}], {"task": {"plant": "human"}}),
        ([{"task": {"plant": "human"}}, {"plant": "monkey"}], {"task": {}, "plant": "monkey"}),
        ([{"plant": "monkey"}, {"task": {"plant": "human"}}], {"task": {}, "plant": "human"}),
        (
            [{"task": {"delay_steps": 3}}, {"task": {"delay": "50 ms"}}],
            {"task": {"delay": "50 ms"}},
        ),
        ([{"plant": "human"}, {"plant": None}], {"plant": "human"}),
        # a list of channels stands for the table of senses that has them
        ([{"senses": ["a"]}, {"senses": {"target": ["b"]}}], {"senses": SENSES}),
        ([{"senses": {"target": ["b"]}}, {"senses": ["a"]}], {"senses": SENSES}),
        ([{"senses": ["a"]}, {"senses": ["b"]}], {"senses": ["b"]}),
    ],
)
def test_what_comes_later_wins(layers, expected):
    before = copy.deepcopy(layers)
    assert merged(layers) == expected
    assert layers == before  # none of them is changed


def test_one_layer_cannot_name_two_plants():
    with pytest.raises(SettingsError, match="the plant is given twice"):
        merged([{"plant": "human", "task": {"reach": {"plant": "monkey"}}}])


tables = st.recursive(
    st.integers() | st.booleans() | st.text(),
    lambda parts: st.dictionaries(st.text("abc", min_size=1), parts, min_size=1, max_size=3),
    max_leaves=8,
).filter(lambda table: isinstance(table, dict))


@given(tables)
def test_flattened_tables_are_nested_again(table):
    assert nested(flattened(table)) == table


def test_a_dotted_key_goes_into_the_component_that_a_name_gives():
    assert nested({"task": "ddn", "task.pairs": 8}) == {"task": {"type": "ddn", "pairs": 8}}
    assert nested({"task.pairs": 8, "task": "ddn"}) == {"task": {"pairs": 8, "type": "ddn"}}
    assert nested({"refresh": 1, "refresh.hf": 5}) == {"refresh": {"others": 1, "hf": 5}}
