"""Compiled loops on disk: found again, never stale, safe beside each other, and done without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import json, sys, torch
sys.path.insert(0, {folder!r})
import my_mass
from neuromotor import CenterOut, ClosedLoop, ContinuousTimeRNN
task = CenterOut(plant=my_mass.Mass(), directions=2, steps=5)
net = ContinuousTimeRNN(layers=(3,))
loop = ClosedLoop(task, net)
theta = net.initial_parameters(torch.Generator().manual_seed(0))
fast, slow = loop.objective(task.trials()), loop.objective(task.trials(), fast=False)
print(json.dumps([type(fast).__name__, fast.value(theta), slow.value(theta)]))
"""

MASS = '''
from dataclasses import dataclass
import torch
from neuromotor.compiled import component
from neuromotor.plants import PointMass
from neuromotor.plants.plant import Components
import my_functions

class Mass(PointMass):
    """Heavier than it says, by what `my_functions` says."""

    @property
    def components(self):
        return Components(my_functions, (self.dt_s, self.mass, self.damping))

    def step(self, state, force, load=None, hand_force=None):
        extras = [None if part is None else part.unbind(-1) for part in (load, hand_force)]
        after = my_functions.step(
            (self.dt_s, self.mass, self.damping), state.unbind(-1), force.unbind(-1), *extras
        )
        return torch.stack(after, dim=-1)
'''

FUNCTIONS = """
from neuromotor.compiled import component
from neuromotor.plants import point_mass_components
from neuromotor.plants.point_mass_components import hand
from my_factor import heavier

@component
def step(par, x, u, load, force):
    return point_mass_components.step((par[0], heavier(par[1]), par[2]), x, u, load, force)

@component
def jacobian(par, x, u, load, force):
    return point_mass_components.jacobian((par[0], heavier(par[1]), par[2]), x, u, load, force)
"""

FACTOR = """
from neuromotor.compiled import component

@component
def heavier(mass):
    return {}
"""


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "my_mass.py").write_text(MASS)
    (tmp_path / "my_functions.py").write_text(FUNCTIONS)
    (tmp_path / "my_factor.py").write_text(FACTOR.format("mass + mass"))
    return tmp_path


def start(folder, **variables):
    environment = os.environ | {"NEUROMOTOR_CACHE": str(folder / "cache")} | variables
    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(folder=str(folder))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finished(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out)


@pytest.mark.slow  # it compiles anew, twice
def test_a_change_in_a_file_that_a_plant_imports_is_seen(lab):
    kind, fast, slow = finished(start(lab))
    assert kind == "CompiledObjective"
    assert fast == pytest.approx(slow, rel=1e-12)
    kept = sorted((lab / "cache" / "loops").iterdir())
    assert [folder.name.split("-")[1] for folder in kept] == ["my_functions"]
    (lab / "my_factor.py").write_text(FACTOR.format("mass"))
    _, changed, slow = finished(start(lab))
    assert changed == pytest.approx(slow, rel=1e-12)
    assert changed != pytest.approx(fast, rel=1e-6)
    assert len(list((lab / "cache" / "loops").iterdir())) == 2


@pytest.mark.slow
def test_two_programs_that_start_at_once_agree(lab):
    first, second = start(lab), start(lab)
    one, two = finished(first), finished(second)
    assert one == two
    files = [path for path in Path(lab / "cache").rglob("*.nbi")]
    assert finished(start(lab)) == one
    assert [path for path in Path(lab / "cache").rglob("*.nbi")] == files  # nothing anew


@pytest.mark.slow
def test_without_the_compiler_autograd_gives_the_same_number(lab):
    kind, value, slow = finished(start(lab, NEUROMOTOR_COMPILED="0"))
    assert kind == "AutogradObjective"
    assert value == pytest.approx(slow, rel=1e-12)


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_done_without(lab):
    (lab / "cache").write_text("a file, where the folder should be")
    kind, fast, slow = finished(start(lab))
    assert kind == "CompiledObjective"
    assert fast == pytest.approx(slow, rel=1e-12)
