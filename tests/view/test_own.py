"""A plant and a cell of one's own, which a page translates as it does those of the package."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from javascript import closed_loop, evaluated

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import Network
from neuromotor.plants import PointMass
from neuromotor.plants.plant import Components
from neuromotor.tasks import CenterOut
from neuromotor.training.single import initial_parameters
from neuromotor.view import UntranslatableError, describe

SPRING = """
from neuromotor.compiled import component, hyperbolic_tangent

@component
def step(par, x, u, load, force):
    dt, stiffness = par
    across, along = _pull(stiffness, x)
    if force is not None:
        across, along = across + force[0], along + force[1]
    return (
        x[0] + dt * x[2], x[1] + dt * x[3],
        x[2] + dt * (u[0] + across), x[3] + dt * (u[1] + along),
    )

@component
def hand(par, x):
    return x[0], x[1], x[2], x[3]

@component
def _pull(stiffness, x):
    return -stiffness * hyperbolic_tangent(x[0]), -stiffness * hyperbolic_tangent(x[1])
"""
RECTIFIED = """
from neuromotor.compiled.pieces import part, piece, recur

GATES, NOISY, OWN_IS_KEPT, OWN_PART = (1,), 0, (0,), (0,)
MEMORY, KEPT, SCRATCH = 1, 0, 0

def widths(units, numbers):
    return [units], [], []

def start(initial):
    return [initial]

@piece
def step(weights, numbers, drives, before, after, kept):
    z, old, new = part(drives, 0), part(before, 0), part(after, 0)
    recur(weights, 0, old, z)
    for b in range(new.shape[0]):
        for j in range(new.shape[1]):
            new[b, j] = numbers[0] * old[b, j] + (z[b, j] if z[b, j] > 0.0 else 0.0)
"""
LISTS = SPRING.replace("return x[0], x[1], x[2], x[3]", "return [one for one in x]")


@pytest.fixture
def module(tmp_path):
    """Makes a module of a text, as somebody's own file."""
    made = []

    def of(name, text):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(name, path)
        one = importlib.util.module_from_spec(spec)
        sys.modules[name] = one
        made.append(name)
        spec.loader.exec_module(one)
        return one

    yield of
    for name in made:
        del sys.modules[name]


def spring_mass(functions):
    @dataclass(frozen=True)
    class SpringMass(PointMass):
        stiffness: float = 3.0

        @property
        def components(self):
            return Components(functions, (self.dt_s, self.stiffness))

        def step(self, state, command, load=None, hand_force=None):
            force = None if hand_force is None else hand_force.unbind(-1)
            after = self.components.step(state.unbind(-1), command.unbind(-1), None, force)
            return torch.stack(after, dim=-1)

    return SpringMass()


def rectified_cell():
    @dataclass(frozen=True)
    class Rectified:
        gates = memory = 1
        numbers = (0.4,)
        compiled = "own_cell"

        def step(self, products, before, inputs, noise):
            drive = products(slice(0, 1), inputs, before)
            return self.numbers[0] * before + torch.relu(drive)

        def rates(self, memory):
            return memory

        def damped(self, memory):
            return ((memory, torch.ones_like(memory)),)

    return Rectified()


def test_an_own_plant_and_an_own_cell_run_as_in_python(module):
    module("own_cell", RECTIFIED)
    plant = spring_mass(module("own_plant", SPRING))
    task = CenterOut(plant=plant, directions=2, steps=15, delay_steps=2)
    network = Network((7, 5), cell=rectified_cell(), squash="tanh")
    theta = 2 * initial_parameters(network, 3)
    made = describe(task, network, theta, task.trials(), ilqr=False, fixed_points=False)
    found = evaluated(closed_loop(made), "[0, 1].map((i) => wholeTrial(loop, i).states)")
    with torch.no_grad():
        expected = ClosedLoop(task, network).simulate(theta, task.trials()).states.numpy()
    assert np.abs(np.array(found) - expected).max() < 1e-12
    assert made.model["largest"] > 1
    assert made.model["plant"]["field"] is False


def test_what_cannot_be_translated_is_named(module):
    plant = spring_mass(module("own_plant", LISTS))
    task = CenterOut(plant=plant, directions=2, steps=5)
    network = Network((4,))
    theta = initial_parameters(network, 3)
    with pytest.raises(UntranslatableError, match="`hand` of own_plant cannot be translated"):
        describe(task, network, theta, task.trials(), ilqr=False, fixed_points=False)
