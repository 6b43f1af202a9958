"""A unit without inputs forgets its activation by the leak, and its rate is never negative."""

import torch
from my_lab.cell import RectifiedCell

from neuromotor.controllers.cells import LayerWeights, Products


def test_an_activation_decays_and_rates_are_not_negative():
    nothing = LayerWeights(torch.zeros(2, 1), torch.zeros(2, 2), torch.zeros(2), None)
    memory = torch.tensor([[1.0, -1.0]])
    after = RectifiedCell(leak=0.25).step(
        Products(nothing, 2), memory, torch.zeros(1, 1), noise=None
    )
    torch.testing.assert_close(after, 0.75 * memory)
    torch.testing.assert_close(RectifiedCell().rates(after), torch.tensor([[0.75, 0.0]]))
