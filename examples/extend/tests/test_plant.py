"""A constant force F comes to the speed at which ``c v^2 = F``."""

import pytest
import torch
from my_lab.plant import MassInLiquid


def test_the_mass_comes_to_the_speed_at_which_the_liquid_holds_the_force():
    plant, state = MassInLiquid(resistance=2.0), torch.zeros(1, 4, dtype=torch.float64)
    for _ in range(500):
        state = plant.step(state, torch.tensor([[8.0, 0.0]]).double())
    assert state[0, 2].item() == pytest.approx(2.0, rel=1e-6)  # sqrt(8 / 2) m/s
    assert state[0, 3].item() == 0.0
