r"""A liquid state machine: spiking units with frozen weights and a linear read-out of traces.

    python examples/liquid_state_machine.py
    neuromotor fit-readout center-out --set controller.cell=spiking --out liquid.safetensors \
        --use examples/liquid_state_machine.py

The cell below is a leaky integrate-and-fire unit, which this file registers. Run as a program, it
fits one read-out to a problem of memory and one to the commands of iLQR (`--smoke`: at a tiny
size), and says what they can do.

Source: Maass, Natschlaeger & Markram (2002) for the idea; sizes and constants are our choice.
"""

import sys
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

import neuromotor as nm
from neuromotor.controllers import EchoState, Products, Reservoir
from neuromotor.problems import TemporalOrder, fitted, ridge_readout
from neuromotor.training.problems import answers


@dataclass(frozen=True)
class SpikingCell:
    """A leaky integrate-and-fire unit with a trace of its spikes.

    Notation: v membrane potential, s spike, r trace, xi private noise. A spike takes the threshold
    of 1 off the potential::

        v <- keep_v (v - s) + F I + U s + b + xi      s <- 1 if v >= 1, else 0
        r <- keep_r r + (1 - keep_r) s

    Attributes:
        keep_v: What is left of a potential after a step, exp(-step / time constant).
        keep_r: What is left of a trace after a step.
    """

    keep_v: float = 0.8
    keep_r: float = 0.9

    gates: ClassVar[int] = 1
    memory: ClassVar[int] = 3
    positive: ClassVar[bool] = True

    def step(
        self, products: Products, before: Tensor, inputs: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Return traces, potentials and spikes after a step, (B, 3 units)."""
        trace, potential, spike = before.chunk(3, dim=-1)
        drive = products(slice(0, 1), inputs, spike)
        if noise is not None:
            drive = drive + noise
        potential = self.keep_v * (potential - spike) + drive
        spike = (potential >= 1).to(drive)
        trace = self.keep_r * trace + (1 - self.keep_r) * spike
        return torch.cat([trace, potential, spike], dim=-1)

    def rates(self, memory: Tensor) -> Tensor:
        """Return the traces."""
        return memory.chunk(3, dim=-1)[0]

    def damped(self, memory: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return nothing: a spike has no derivative."""
        return ()


nm.register("spiking", SpikingCell())


def main(smoke: bool) -> None:
    """Fit both read-outs, and print what they can do."""
    units, count = (60, 100) if smoke else (800, 2000)
    weights = EchoState(spectral_radius=0.95, input_scale=0.6)
    liquid = Reservoir(layers=(units,), cell=SpikingCell(), initializer=weights, bias_scale=0.4)

    problem, draws = TemporalOrder(2, lag=20), torch.Generator().manual_seed(0)
    network = fitted(liquid, problem)
    some, others = problem.sequences(count, draws), problem.sequences(count, draws)
    theta = ridge_readout(problem, network, network.initial_parameters(draws), some, ridge=1e-5)
    wrong = answers(problem, network, theta, others).wrong
    print(f"order of two symbols, 20 steps: {100 * wrong:.1f} % of {count} new sequences wrong")

    task = nm.CenterOut(directions=4 if smoke else 16)
    found = nm.imitate(task, liquid, rounds=2 if smoke else 8, ridge=1e-5)
    best = found.rounds[found.best]
    print(f"center-out: loss {best.loss:.3g}, {best.loss / best.teacher_loss:.3g} x iLQR's")


if __name__ == "__main__":
    main("--smoke" in sys.argv[1:])
