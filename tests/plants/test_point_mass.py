"""The point mass against its closed form."""

import math

import pytest
import torch

from neuromotor.plants import RK4, PointMass


def test_damped_motion_follows_its_closed_form():
    mass, damping, force, dt_s, steps = 0.8, 0.5, 0.3, 0.01, 100
    plant = PointMass(mass=mass, damping=damping, dt_s=dt_s, integrator=RK4())
    state = torch.tensor([0.1, -0.2, 1.0, 0.0], dtype=torch.float64)
    pull = torch.tensor([force / 3, 0.0], dtype=torch.float64)
    for _ in range(steps):
        state = plant.step(state, pull, pull, pull)
    time, rate = steps * dt_s, damping / mass
    final = force / damping
    speed = final + (1.0 - final) * math.exp(-rate * time)
    place = 0.1 + final * time + (1.0 - final) * (1 - math.exp(-rate * time)) / rate
    expected = torch.tensor([place, -0.2, speed, 0.0], dtype=torch.float64)
    torch.testing.assert_close(state, expected, rtol=0, atol=1e-10)


def test_kinetic_energy():
    state = torch.tensor([0.0, 0.0, 3.0, 4.0], dtype=torch.float64)
    assert float(PointMass(mass=2.0).kinetic_energy(state)) == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"mass": -1.0}, "mass"), ({"damping": -0.1}, "damping"), ({"dt_s": 0.0}, "dt_s")],
)
def test_bad_numbers_are_refused_by_name(settings, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        PointMass(**settings)


def test_a_point_mass_has_no_posture():
    with pytest.raises(ValueError, match="no joints"):
        PointMass().configuration((30.0, 90.0))
