"""A target that is seen: an image on a small retina, and an encoder of torch that looks at it.

    python examples/visual_target.py
    neuromotor train retina-reach --controller retina-rnn --use examples/visual_target.py

The controller is not told the joint angles of the target. It gets its own state, delayed, and an
image of `pixels` times `pixels` numbers in which the target is a bright spot around which it gets
darker. Run as a program, it trains for a while and says how near hands come to targets that were
in no training.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

import neuromotor as nm
from neuromotor.tasks.reach_experiments import REACHES, ReachExperiment


@dataclass(frozen=True)
class RetinaReach(ReachExperiment):
    """Center-out reaches whose targets the controller sees as images, which are its cues.

    Attributes:
        reach: The reach.
        pixels: Pixels along a side of the retina, whose middle is the hand's start.
        view_m: Width and height of what the retina sees (m).
        spot_m: Standard deviation of a spot's brightness, a Gaussian with 1 in its middle (m).
        turn_deg: Angle (deg) by which all targets are turned, for tests on others.
    """

    reach: nm.CenterOut = field(
        default_factory=lambda: nm.CenterOut(directions=16, steps=60, delay_steps=5),
        metadata={"registry": REACHES},
    )
    pixels: int = 8
    view_m: float = 0.14
    spot_m: float = 0.015
    turn_deg: float = 0.0

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> nm.Trials:
        """Return one trial a target. What is shown beside the image is the start."""
        plain = self.calm_reach.trials()
        start = plain.initial_state
        target = self.reach.target_at(self.reach.angles + math.radians(self.turn_deg))
        away = self.plant.hand_position(target) - self.plant.hand_position(start)
        image = self.image(away)
        trials = nm.Trials(
            initial_state=start,
            target=target,
            shown_target=start[:, None].repeat(1, self.steps, 1),
            cue=image[:, None].repeat(1, self.steps, 1),
            condition=plain.condition,
        )
        return self.reach.with_chance(trials, generator).to(dtype=dtype, device=device)

    def image(self, place: Tensor) -> Tensor:
        """Return images of spots, (B, pixels^2), at places from the middle (m), (B, 2)."""
        side = ((torch.arange(self.pixels) + 0.5) / self.pixels - 0.5) * self.view_m
        pixel = torch.cartesian_prod(side, side).to(place)
        distance = (place[:, None] - pixel).square().sum(-1)
        return torch.exp(-distance / (2 * self.spot_m**2))


@dataclass(frozen=True)
class RetinaRNN:
    """An encoder with a layer of convolutions, and a recurrent network that gets its features.

    Attributes:
        units: Units of the recurrent network.
        features: Numbers that the encoder makes of an image.
        channels: Filters of the layer of convolutions.
        input_size: Numbers in observation, target and image; from the task.
        state_size: Numbers in an observation; from the task.
        command_size: Numbers in a command; from the task.
        dt_s: Step length (s); from the task.
    """

    units: int = 50
    features: int = 8
    channels: int = 6
    input_size: int = 72
    state_size: int = 4
    command_size: int = 2
    dt_s: float = 0.01

    def __post_init__(self) -> None:
        pixels = self.input_size - 2 * self.state_size
        if pixels < 4 or self.pixels**2 != pixels:
            raise ValueError(
                "`input_size` must leave a square image beside observation and target, got "
                f"{self.input_size}, which leaves {pixels} numbers; use the task retina-reach."
            )

    @property
    def pixels(self) -> int:
        """Pixels along a side of the image."""
        return math.isqrt(max(self.input_size - 2 * self.state_size, 0))

    @property
    def network(self) -> nm.ContinuousTimeRNN:
        """The recurrent network: what it is told of the target are features."""
        return nm.ContinuousTimeRNN(
            layers=(self.units,),
            input_size=self.state_size + self.features,
            command_size=self.command_size,
            dt_s=self.dt_s,
        )

    @property
    def encoder(self) -> nn.Module:
        """An encoder on no device: its weights come from the flat vector."""
        half = (self.pixels + 1) // 2
        with torch.device("meta"):
            return nn.Sequential(
                nn.Conv2d(1, self.channels, 3, stride=2, padding=1),
                nn.Tanh(),
                nn.Flatten(),
                nn.Linear(self.channels * half**2, self.features),
                nn.Tanh(),
            )

    @property
    def noise_size(self) -> int:
        """No private noise."""
        return 0

    @property
    def parameter_count(self) -> int:
        """Those of the encoder, then those of the network."""
        return sum(p.numel() for p in self.encoder.parameters()) + self.network.parameter_count

    def initial_parameters(
        self,
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return normal weights, scaled by the number of inputs, and biases of zero."""
        parts = []
        for part in self.encoder.parameters():
            size = (part[0].numel() if part.ndim > 1 else math.inf) ** -0.5
            parts.append(size * torch.randn(part.numel(), generator=generator, dtype=torch.float64))
        parts.append(self.network.initial_parameters(generator))
        return torch.cat(parts).to(dtype=dtype, device=device)

    def unpack(self, parameters: Tensor) -> Any:
        """Return the encoder, its weights by name, and the network's."""
        encoder, weights, start = self.encoder, {}, 0
        for name, part in encoder.named_parameters():
            weights[name] = parameters[start : start + part.numel()].view(part.shape)
            start += part.numel()
        return encoder, weights, self.network.unpack(parameters[start:])

    def initial_memory(self, weights: Any, batch: int) -> tuple[Tensor, ...]:
        """Return the network's."""
        return self.network.initial_memory(weights[2], batch)

    def step(
        self,
        weights: Any,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Look at the image, and take a step of the network."""
        encoder, encoding, rest = weights
        image = target[:, self.state_size :].view(-1, 1, self.pixels, self.pixels)
        features = functional_call(encoder, encoding, (image,))
        return self.network.step(rest, memory, observation, features, t, noise)

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the rates of the network."""
        return self.network.rates(memory)


nm.register("retina-reach", RetinaReach)
nm.register("retina-rnn", RetinaRNN)


def main() -> None:
    """Train, and compare hands on targets of the training and on those between them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few calls")
    calls = 20 if parser.parse_args().smoke else 1500
    task, controller = RetinaReach(), RetinaRNN()
    result = nm.train(task, controller, nm.Adam(), budget=nm.Budget(calls=calls))
    between = RetinaReach(turn_deg=360 / task.reach.directions / 2)
    for words, seen in (("targets of the training", task), ("targets between them", between)):
        trials = seen.trials()
        run = nm.ClosedLoop(seen, controller).simulate(result.parameters, trials)
        found = nm.measure(seen, trials, run.states, run.commands)
        best = nm.ILQR().solve(seen, trials)
        print(
            f"{words}: {found.target_error_cm:.2f} cm from the target at the end, "
            f"loss {found.loss:.3g}, {found.loss / best.value:.3g} x iLQR"
        )


if __name__ == "__main__":
    main()
