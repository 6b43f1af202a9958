"""What every task can add to its trials: repeats of each, noise on commands and on what is seen."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from neuromotor._checks import check_integer, check_number
from neuromotor.tasks.senses import SensesInUse
from neuromotor.tasks.trials import Trials

__all__ = [
    "SensoryNoise",
    "check_chance",
    "check_delay",
    "default_generator",
    "in_plane",
    "noisy_senses",
    "with_chance",
    "with_noisy_senses",
]

SensoryNoise = float | tuple[float, ...]


def default_generator() -> torch.Generator:
    """Return a new generator of seed 0, which stands for one that is not given."""
    return torch.Generator().manual_seed(0)


def in_plane(vectors: Tensor, size: int) -> Tensor:
    """Return vectors (..., 2) along the first two of `size` axes, (..., size)."""
    return pad(vectors, (0, size - 2))


def check_delay(delay_steps: object, steps: int, dt_s: float) -> None:
    """Raise unless a feedback delay is a number of steps that is shorter than the trial."""
    check_integer("delay_steps", delay_steps, minimum=0)
    if isinstance(delay_steps, int) and delay_steps >= steps:
        raise ValueError(
            f"`delay_steps` must be below the {steps} steps of a trial, or nothing that happens in "
            f"it is ever seen, got {delay_steps}; it counts steps of {1e3 * dt_s:g} ms, not "
            "milliseconds."
        )


def check_chance(noise: object, sensory_noise: SensoryNoise, repeats: object, size: int) -> None:
    """Raise unless sizes of noise and the number of repeats are in range; `size` of a state."""
    check_number("noise", noise, minimum=0.0)
    numbers = sensory_noise if isinstance(sensory_noise, tuple) else (sensory_noise,)
    for number in numbers:
        check_number("sensory_noise", number, minimum=0.0)
    if isinstance(sensory_noise, tuple) and len(sensory_noise) != size:
        raise ValueError(
            f"`sensory_noise` must be one number or {size}, one for each number of a state, got "
            f"{len(sensory_noise)}."
        )
    check_integer("repeats", repeats, minimum=1)


def noisy_senses(sensory_noise: SensoryNoise) -> bool:
    """Return whether any number of a state is seen with noise."""
    return any(sensory_noise) if isinstance(sensory_noise, tuple) else sensory_noise > 0


def with_chance(
    trials: Trials,
    steps: int,
    commands: int,
    generator: torch.Generator | None,
    *,
    noise: float = 0.0,
    sensory_noise: SensoryNoise = 0.0,
    senses: SensesInUse | None = None,
    repeats: int = 1,
) -> Trials:
    """Return each trial `repeats` times in a row, every one with draws of its own.

    Without noise nothing is drawn. With noise of one kind or both, the draws of the commands come
    first, so that variants can be compared draw by draw.

    Args:
        trials: B trials in float64 on the CPU, without noise.
        steps: T.
        commands: Numbers in a command.
        generator: Source of the draws; None is a new one of seed 0.
        noise: Standard deviation of the signal-dependent noise, as a fraction of the command.
        sensory_noise: Standard deviation of the noise on what is observed, one for all numbers of
            a state or one for each.
        senses: Senses with noise of their own, in place of `sensory_noise`.
        repeats: Number of times that each trial is there.
    """
    if repeats > 1:
        trials = trials.subset(torch.arange(len(trials)).repeat_interleave(repeats))
    noisy = noisy_senses(sensory_noise) if senses is None else senses.noisy
    if not (noise or noisy):
        return trials
    generator = generator or default_generator()
    count = len(trials)
    xi = torch.randn(count, steps, commands, generator=generator, dtype=torch.float64)
    if noise:
        trials = replace(trials, command_noise=noise * xi)
    if noisy:
        trials = with_noisy_senses(trials, steps, generator, sensory_noise, senses)
    return trials


def with_noisy_senses(
    trials: Trials,
    steps: int,
    generator: torch.Generator,
    sensory_noise: SensoryNoise,
    senses: SensesInUse | None = None,
) -> Trials:
    """Return trials with draws of noise on what is observed, if there is any."""
    size = trials.initial_state.shape[1]
    sizes = {
        "sensory_noise": sensory_noise
        if isinstance(sensory_noise, tuple)
        else (sensory_noise,) * size
    }
    if senses is not None:
        sizes = {"sensory_noise": senses.noise, "signal_noise": senses.signal_noise}
    drawn = {}
    for name, deviations in sizes.items():
        if any(deviations):
            scale = torch.tensor(deviations, dtype=torch.float64)
            shape = (len(trials), steps, len(scale))
            drawn[name] = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
    return replace(trials, **drawn)
