"""One spring in x and one damper in y: the command is written down by hand."""

import torch
from my_lab.controller import Springs


def test_the_command_is_stiffness_and_damping_times_the_distance():
    springs = Springs()
    gains = springs.unpack(torch.tensor([3.0, 0, 0, 0, 0, 0, 0, 0.5]))  # N/m in x, N s/m in y
    observation, target = torch.tensor([[0.1, 0, 0, 2.0]]), torch.tensor([[0.3, 0, 0, 0.0]])
    _, command = springs.step(gains, (), observation, target, 0, None)
    torch.testing.assert_close(command, torch.tensor([[0.6, -1.0]]))
