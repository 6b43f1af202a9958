"""Energy of a passive arm in the fields of experiments on adaptation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import ARMS

from neuromotor.closed_loop import advance
from neuromotor.plants import RK4, moving_state
from neuromotor.tasks import Trials
from neuromotor.tasks.fields import CurlField, DivergentField, LinearField

DIRECTION = torch.tensor([[0.6, 0.8]], dtype=torch.float64)


def passive(field, steps=200):
    """Kinetic energy, and the work that the field did, along a passive path at steps of .5 ms."""
    arm = replace(ARMS["human"], integrator=RK4(), dt_s=5e-4)
    home = arm.hand_position(torch.tensor([arm.home], dtype=torch.float64))
    state = moving_state(arm, home, torch.tensor([[0.4, 0.3]]).double())
    matrix = field.matrix(home, DIRECTION)
    trials = Trials(state, state, field=matrix)
    energies, work = [float(arm.kinetic_energy(state))], [0.0]
    for _ in range(steps):
        after = advance(arm, state, torch.zeros(1, 2).double(), trials, 0)
        middle = 0.5 * (arm.hand_velocity(state) + arm.hand_velocity(after))
        place = 0.5 * (arm.hand_position(state) + arm.hand_position(after))
        inputs = torch.cat([torch.ones(1, 1).double(), place, middle], dim=-1)
        force = (matrix @ inputs[..., None]).squeeze(-1)
        work.append(work[-1] + arm.dt_s * float((force * middle).sum()))
        state = after
        energies.append(float(arm.kinetic_energy(state)))
    return energies, work


@pytest.mark.parametrize("field", [CurlField(13.0), LinearField(), DivergentField(300.0)])
def test_a_passive_arm_has_its_energy_and_the_work_of_the_field(field):
    energies, work = passive(field)
    # What depends on the position is held over a step, to first order in its length.
    assert energies[-1] - energies[0] == pytest.approx(work[-1], abs=1e-2 * max(energies))
    if isinstance(field, CurlField):
        assert energies[-1] == pytest.approx(energies[0], rel=1e-4)
    else:
        assert abs(work[-1]) > 0.05 * energies[0]
