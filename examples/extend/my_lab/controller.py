"""A controller: springs and dampers, a matrix of gains on the distance to the target."""

from dataclasses import dataclass

import neuromotor as nm
from neuromotor.controllers.controller import ZeroStart


@dataclass(frozen=True)
class Springs(ZeroStart):
    """The command is ``K (target - observation)``; the gains K are what is trained."""

    state_size: int = 4  # these three come from the task, because they have these names
    command_size: int = 2
    dt_s: float = 0.01

    @property
    def parameter_count(self):
        return self.command_size * self.state_size

    def unpack(self, parameters):
        return parameters.view(self.command_size, self.state_size)

    def initial_memory(self, weights, batch):
        return ()

    def step(self, weights, memory, observation, target, t, noise):
        return (), (target[:, : self.state_size] - observation) @ weights.T

    def rates(self, memory):
        return ()


nm.register("springs", Springs)
