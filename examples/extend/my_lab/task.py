"""A task: hold the limb still while a load pushes it, in each trial from another side."""

from dataclasses import dataclass, field

import torch

import neuromotor as nm
from neuromotor.plants import PLANTS, Plant


@dataclass(frozen=True)
class Hold:
    """Stay at the plant's home, with a `load` (N or N m) from the first step on."""

    plant: Plant = field(default_factory=nm.PointMass, metadata={"registry": PLANTS})
    load: float = 0.5
    steps: int = 30
    delay_steps: int = 2
    random: bool = False

    @property
    def cost(self):
        weights = torch.ones(self.steps + 1, self.plant.state_size, dtype=torch.float64)
        return nm.QuadraticCost(weights, energy_weight=1e-3)

    def trials(self, generator=None, *, dtype=torch.float64, device="cpu"):
        home = torch.tensor([[*self.plant.home, 0.0, 0.0]] * 4, dtype=dtype, device=device)
        sides = home.new_tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
        load = self.load * sides[:, None].repeat(1, self.steps, 1)
        return nm.Trials(home, home, load=load, condition=torch.arange(4, device=device))


nm.register("hold", Hold)
