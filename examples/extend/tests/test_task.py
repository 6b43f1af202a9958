"""Without commands, a load F moves a mass m by ``n (n - 1) / 2 F h^2 / m`` in n Euler steps."""

import torch
from my_lab.task import Hold

import neuromotor as nm
from neuromotor.controllers import FunctionController


def test_a_load_that_nobody_resists_moves_the_mass():
    task = Hold(load=0.5, steps=30)
    still = FunctionController(lambda seen, target, t: torch.zeros(4, 2).double())
    done = nm.ClosedLoop(task, still).simulate(torch.zeros(0).double(), task.trials())
    moved = 30 * 29 / 2 * 0.5 * 0.01**2
    expected = moved * torch.tensor([[1, 0], [0, 1], [-1, 0], [0, -1]]).double()
    torch.testing.assert_close(done.states[:, -1, :2], expected)
