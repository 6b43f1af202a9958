from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
from javascript import evaluated

from neuromotor.plants import MuscleArm, arm_components, muscle_arm_components
from neuromotor.view import UntranslatableError, translated
from neuromotor.view.translate import defined


def module_of(text: str, folder: Path, name: str = "own_components") -> ModuleType:
    """A module with this source, as somebody's own file."""
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


OWN = '''
from neuromotor.compiled.functions import chosen, component, power

LIMIT = 3

@component
def step(par, x, u, load, force):
    """Words."""
    new = (x[0] + par[0] * u[0]) ** 2 / LIMIT
    if load is not None and force is None:
        new = new - load[0]
    else:
        new += chosen(new, power(par[1], 1.5), -par[1])
    total = new - new
    for i in range(1, 3):
        total += par[i] if x[0] > 0.0 or not u[0] < 1.0 else -par[i]
    first, *_rest = 1.0, 2.0
    return (*_pair(new, total), min(new, total), abs(-new), par[1:3][0])

@component
def _pair(a, b):
    return a, b
'''.replace("    first, *_rest = 1.0, 2.0\n", "")


@pytest.fixture
def own(tmp_path):
    yield module_of(OWN, tmp_path)
    del sys.modules["own_components"]


@pytest.mark.parametrize("load", [None, (0.3,)])
@pytest.mark.parametrize("x", [0.7, -0.2])
def test_own_functions_give_what_python_gives(own, x, load):
    script = translated([(own, "step")], {})
    given = "null" if load is None else str(list(load))
    call = f"own_components__step([0.5, 2.5, 1.5], [{x}], [0.4], {given}, null)"
    expected = own.step((0.5, 2.5, 1.5), (x,), (0.4,), load, None)
    assert evaluated(script, call) == pytest.approx(expected, rel=1e-15)


def test_a_muscle_arms_step_is_that_of_python():
    par = MuscleArm(force_length=True, force_velocity=True, gravity=9.81).components.numbers
    state = [0.6, 1.4, -0.5, 0.8, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    command, load, force = [0.9, 0.0, 0.3, 1.7, 0.2, -0.4], [0.1, -0.2], [0.5, 0.2]
    script = translated([(muscle_arm_components, "step")], {})
    call = f"muscle_arm_components__step({list(par)}, {state}, {command}, {load}, {force})"
    expected = muscle_arm_components.step(par, state, command, load, force)
    assert evaluated(script.replace("inf", "Infinity"), call.replace("inf", "Infinity")) == (
        pytest.approx([float(x) for x in expected], rel=1e-13)
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("    while x > 0:\n        x = x - 1\n    return x", "the statement while in line 6"),
        ("    return x % 2", "the operator mod"),
        ("    return [one for one in x]", "the expression listcomp"),
        ("    return x[-1]", "an index from the end"),
        ("    return 0 < x < 1", "a chain of comparisons"),
        ("    return math.floor(x)", "the call of `math.floor`"),
        ("    return unknown + x", "the name `unknown`"),
        ("    if x:\n        return x", "a condition that is no comparison"),
        ("    for one in x:\n        pass", "a loop over something else than `range`"),
        ("    return x.sort(reverse=True)", "a call with names of arguments"),
        ("    return 'word'", "the constant 'word'"),
    ],
)
def test_what_has_no_translation_is_refused_by_name(tmp_path, body, words):
    text = (
        f"import math\n\nfrom neuromotor.compiled import component\n@component\ndef f(x):\n{body}"
    )
    module = module_of(text, tmp_path)
    try:
        with pytest.raises(UntranslatableError, match="`f` of own_components") as caught:
            translated([(module, "f")], {})
        assert words in str(caught.value)
        assert "write it with arithmetic" in str(caught.value)
    finally:
        del sys.modules["own_components"]


def test_an_imported_function_is_found_where_it_was_written():
    assert defined(muscle_arm_components, "hand") == (arm_components, "hand")
    assert defined(muscle_arm_components, "step") == (muscle_arm_components, "step")
    assert defined(muscle_arm_components, "nothing") == (muscle_arm_components, "nothing")


def test_a_function_that_is_not_there_is_refused():
    with pytest.raises(UntranslatableError, match="no function `nothing`"):
        translated([(muscle_arm_components, "nothing")], {})


def test_a_module_without_source_is_refused():
    with pytest.raises(UntranslatableError, match="has no source that can be read"):
        translated([(math, "floor")], {})
