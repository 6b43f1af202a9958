"""Second-order training of ordinary torch modules: a regression and a classification.

    python examples/torch_modules.py

Prints the loss after each step of Hessian-free training, next to torch's Adam at as many calls.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn

from neuromotor import HessianFree


def main() -> None:
    """Train both modules by both methods, and print the losses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="few steps")
    steps = 3 if parser.parse_args().smoke else 40
    for name, make in (("regression", regression), ("classification", classification)):
        module, loss = make()
        ours, calls = hessian_free(module, loss, steps)
        module, loss = make()
        theirs = adam(module, loss, calls)
        print(f"{name}: after {calls} calls, Hessian-free {ours:.3g}, Adam {theirs:.3g}")


def regression() -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """Return a network for a product of sines, and its loss."""
    torch.manual_seed(0)
    x = 2 * torch.rand(256, 2) - 1
    y = torch.sin(4 * x[:, :1]) * torch.sin(3 * x[:, 1:])
    module = Problem(x, nn.Sequential(nn.Linear(2, 40), nn.Tanh(), nn.Linear(40, 1)))
    return module, lambda outputs: nn.functional.mse_loss(outputs, y)


def classification() -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """Return a network for three spiral arms, and its loss."""
    torch.manual_seed(0)
    radius = torch.linspace(0.1, 1, 100).repeat(3)
    arm = torch.arange(3).repeat_interleave(100)
    angle = 5 * radius + arm * 2 * torch.pi / 3 + 0.15 * torch.randn(300)
    x = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)
    layers = nn.Sequential(nn.Linear(2, 30), nn.Tanh(), nn.Linear(30, 30), nn.Tanh())
    module = Problem(x, nn.Sequential(layers, nn.Linear(30, 3)))
    return module, lambda outputs: nn.functional.cross_entropy(outputs, arm)


class Problem(nn.Module):
    """A network with the inputs it is trained on."""

    def __init__(self, inputs: Tensor, network: nn.Module) -> None:
        super().__init__()
        self.inputs, self.network = inputs, network

    def forward(self) -> Tensor:
        """Return the network's outputs."""
        outputs: Tensor = self.network(self.inputs)
        return outputs


def hessian_free(
    module: nn.Module, loss: Callable[[Tensor], Tensor], steps: int
) -> tuple[float, int]:
    """Train; return the loss, and how many values, gradients and products it took."""
    trainer = HessianFree().over(module.parameters())

    def forward() -> tuple[Tensor, Tensor]:
        outputs = module()
        return outputs, loss(outputs)

    for _ in range(steps):
        trainer.step(forward)
    return float(forward()[1].detach()), trainer.counts.calls


def adam(module: nn.Module, loss: Callable[[Tensor], Tensor], calls: int) -> float:
    """Train by as many gradients of torch's Adam, the learning rate falling to zero."""
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, calls)
    for _ in range(calls):
        optimizer.zero_grad()
        loss(module()).backward()
        optimizer.step()
        schedule.step()
    return float(loss(module()).detach())


if __name__ == "__main__":
    main()
