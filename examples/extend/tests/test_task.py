"""Without commands, a load F moves a mass m by ``n (n - 1) / 2 F h^2 / m`` in n Euler steps."""

import torch
from my_lab.controller import Springs
from my_lab.task import Hold

import neuromotor as nm


def test_a_load_that_nobody_resists_moves_the_mass():
    task = Hold(load=0.5, steps=30)
    springs = nm.ClosedLoop(task, Springs())
    with torch.no_grad():
        end = springs.simulate(torch.zeros(8).double(), task.trials()).states[:, -1]
    moved = 30 * 29 / 2 * 0.5 * 0.01**2
    expected = moved * torch.tensor([[1, 0], [0, 1], [-1, 0], [0, -1]]).double()
    torch.testing.assert_close(end[:, :2], expected)
