"""What a design knows about chance in advance: the sizes of noise and disturbances, no draws."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer, check_number
from neuromotor.tasks.trials import Trials

__all__ = ["Uncertainty"]

Deviations = float | tuple[float, ...]


@dataclass(frozen=True)
class Uncertainty:
    """Standard deviations of noise and of a disturbance that switches on once and stays.

    A disturbance d of covariance S that switches on at a step k of probability p[k] has increments
    of covariance p[k] S, and no two of them are correlated, since only one of them is not zero.
    So a random walk with these increments has exactly its mean and covariance. The expected cost of
    a linear controller depends on no other moments, so that the random walk can replace the
    disturbance.

    One that ends again at each step with probability ``1 - phi`` has ``phi`` left of it after a
    step on average. Then ``d' = phi d + w`` has its mean and covariance, with w of covariance
    ``(p[k] + phi (1 - phi) P[k - 1]) S``, where ``P[k] = phi P[k - 1] + p[k]`` is the probability
    that it is on.

    Each deviation is one number for all components, or one number for each.

    Attributes:
        command_noise: Deviation of the signal-dependent noise xi of each command; 0.1 is ten per
            cent.
        load: Deviation of a load (N m or N), in the plant's coordinates of loads.
        hand_force: Deviation of a force on the hand (N) along each axis.
        onset_steps: First and last step at which load and hand force may switch on; every step
            between them is equally likely.
        late_onset: Probability of a switch at each step after the last of these. Where it is zero,
            and noise grows with the command alone, ILQG gives no command at that last step: what
            it sees then shows the load exactly and for good. A little probability, such as 1e-4,
            spares a controller that cannot do that.
        lasting_steps: Steps that load and hand force last on average, once they are on, if they
            end at any step with the same probability; None is to the end of the trial.
        plant_noise: Deviation of the noise that is added to each component of the next state.
        sensory_noise: Deviation of the noise that is added to each component of an observation.
        signal_noise: Deviation of the noise that is proportional to what a channel senses, as a
            fraction of it; see `tasks.senses`.

    Raises:
        ValueError: A deviation is negative, or `onset_steps` is not in rising order.
    """

    command_noise: Deviations = 0.0
    load: Deviations = 0.0
    hand_force: Deviations = 0.0
    onset_steps: tuple[int, int] = (0, 0)
    late_onset: float = 0.0
    plant_noise: Deviations = 0.0
    sensory_noise: Deviations = 0.0
    signal_noise: Deviations = 0.0
    lasting_steps: float | None = None

    def __post_init__(self) -> None:
        names = ("command_noise", "load", "hand_force", "plant_noise")
        for name in (*names, "sensory_noise", "signal_noise"):
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                check_number(name, number, minimum=0.0)
        first, last = self.onset_steps
        check_integer("onset_steps", first, minimum=0)
        check_integer("onset_steps", last, minimum=first)
        check_fraction("late_onset", self.late_onset)
        if self.lasting_steps is not None:
            check_number("lasting_steps", self.lasting_steps, minimum=1.0)

    @classmethod
    def from_trials(cls, trials: Trials) -> Uncertainty:
        """Return the root mean squares of a batch's draws.

        A disturbance counts with its size at its first step; trials without one count as zeros.
        """
        parts = [part for part in (trials.load, trials.hand_force) if part is not None]
        onsets = [onset for part in parts for onset in _onsets(part)]
        return cls(
            command_noise=_root_mean_square(trials.command_noise),
            load=_at_onset(trials.load),
            hand_force=_at_onset(trials.hand_force),
            onset_steps=(min(onsets), max(onsets)) if onsets else (0, 0),
            plant_noise=_root_mean_square(trials.plant_noise),
            sensory_noise=_root_mean_square(trials.sensory_noise),
            signal_noise=_root_mean_square(trials.signal_noise),
        )

    def variances(self, name: str, like: Tensor, size: int) -> Tensor:
        """Return the variances of a part by name, (size,), of the dtype and device of `like`.

        Raises:
            ValueError: The part has another number of deviations.
        """
        value = getattr(self, name)
        if not isinstance(value, tuple):
            value = (value,) * size
        if len(value) != size:
            raise ValueError(
                f"`{name}` must be one number or {size} for this plant, got {len(value)}."
            )
        return torch.tensor(value, dtype=like.dtype, device=like.device).square()

    @property
    def retention(self) -> float:
        """What is left of a disturbance after a step on average: phi."""
        return 1.0 if self.lasting_steps is None else 1 - 1 / self.lasting_steps

    def fresh_shares(self, steps: int) -> list[float]:
        """Return the covariance of w as a share of the disturbance's own, step by step."""
        phi, on, shares = self.retention, 0.0, []
        for step in range(steps):
            onset = self.onset_probability(step)
            shares.append(onset + phi * (1 - phi) * on)
            on = phi * on + onset
        return shares

    def onset_probability(self, step: int) -> float:
        """Return the probability that a disturbance switches on at a step."""
        first, last = self.onset_steps
        if step > last:
            return self.late_onset
        return 1 / (last - first + 1) if first <= step else 0.0


def _root_mean_square(draws: Tensor | None) -> Deviations:
    """Return the root mean square of each component over trials and steps."""
    if draws is None:
        return 0.0
    return tuple(draws.double().square().mean(dim=(0, 1)).sqrt().tolist())


def _active(disturbance: Tensor) -> Tensor:
    """Return whether a disturbance acts, (B, T)."""
    return (disturbance != 0).any(dim=-1)


def _onsets(disturbance: Tensor) -> list[int]:
    """Return the first step of a disturbance in each trial that has one."""
    active = _active(disturbance)
    onsets: list[int] = active.int().argmax(dim=1)[active.any(dim=1)].tolist()
    return onsets


def _at_onset(disturbance: Tensor | None) -> Deviations:
    """Return the root mean square of each component at its onset, over all trials."""
    if disturbance is None:
        return 0.0
    first = _active(disturbance).int().argmax(dim=1)
    sizes = disturbance[torch.arange(len(first), device=first.device), first]
    return tuple(sizes.double().square().mean(dim=0).sqrt().tolist())
