"""A method of signs has the same path whatever the units of the objective are."""

import torch
from my_lab.optimizer import SignDescent

import neuromotor as nm


class Bowl:
    """``a |theta - 1|^2 / 2``."""

    def __init__(self, a):
        self.a = a

    def value_and_gradient(self, theta):
        away = theta - 1
        return float(self.a * away @ away / 2), self.a * away


def test_it_arrives_whatever_the_scale():
    start, budget = torch.zeros(3, dtype=torch.float64), nm.Budget(calls=400)
    ends = [SignDescent().minimize(Bowl(a), start, budget).parameters for a in (1.0, 1e6)]
    torch.testing.assert_close(ends[0], torch.ones(3).double(), rtol=0, atol=0.01)
    assert torch.equal(*ends)
