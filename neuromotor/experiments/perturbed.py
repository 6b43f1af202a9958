"""Perturbed reaches, each beside its twin: the same trial with the same draws, and undisturbed.

What differs between the two is what the perturbation caused. Each perturbation comes to either
side; the mean over both sides is free of what does not depend on the side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from neuromotor.analysis.measures import PairedResponses, paired_responses, response_in_window
from neuromotor.evaluation.bootstrap import Interval, bootstrap_interval
from neuromotor.experiments.session import Run, Session
from neuromotor.tasks import CursorReach, Trials

__all__ = [
    "HOLD_S",
    "SLIGHT",
    "VISUAL_WINDOW_S",
    "Probe",
    "Probed",
    "as_percentage",
    "joint_load",
    "jump",
    "push",
    "reach_away",
    "run_probes",
]

SLIGHT = 5.0  # per cent: effects that count as none, though pairs of one draw show the slightest
HOLD_S = 0.1  # after the arrival, so that the last news arrive
VISUAL_WINDOW_S = (0.18, 0.23)  # of involuntary responses to what is seen; Dimitriou et al. (2013)


@dataclass(frozen=True)
class Probe:
    """The same perturbation to either side, in B trials each.

    Attributes:
        sides: Trials perturbed to one side, and to the other.
        onset_s: When the perturbation begins (s).
        towards: Direction in which what corrects it goes on the first side, (2,); on the other side
            it is the opposite one.
    """

    sides: tuple[Trials, Trials]
    onset_s: float
    towards: Tensor


def reach_away(
    world: CursorReach,
    distance_m: float,
    arrival_s: float,
    shape: Tensor | None = None,
    *,
    stop: bool = True,
) -> tuple[CursorReach, Trials]:
    """Return the conditions, and one reach straight away from the body with home in its middle.

    Args:
        world: The conditions that all experiments share.
        distance_m: How far (m).
        arrival_s: In which time (s); `HOLD_S` follow.
        shape: Of the target, as `CursorReach.reaches` has it.
        stop: Whether the hand is to stop there, as in `CursorReach.reaches`.
    """
    dt_s = world.plant.dt_s
    task = replace(world, steps=round(arrival_s / dt_s) + round(HOLD_S / dt_s))
    half = torch.tensor([[0.0, distance_m / 2]], dtype=torch.float64)
    start, target = task.home - half, task.home + half
    reach = task.reaches(target, start=start, arrival_s=arrival_s, shape=shape, stop=stop)
    return task, reach


def jump(
    task: CursorReach, still: Trials, part: str, onset_s: float, shift: Sequence[float]
) -> Probe:
    """Return jumps of the target or of the cursor.

    Args:
        task: The conditions.
        still: B trials without perturbations.
        part: `target` or `displacement` (of the cursor).
        onset_s: When the screen first shows it (s), from the first step on.
        shift: How far (m), (2,).
    """
    vector = torch.tensor(shift, dtype=torch.float64)
    step = max(round(onset_s / task.plant.dt_s) - 1, 0)
    sides = (
        task.with_jump(_plain(task, still), part, step, vector),
        task.with_jump(_plain(task, still), part, step, -vector),
    )
    towards = vector if part == "target" else -vector
    return Probe(sides, (step + 1) * task.plant.dt_s, towards / towards.norm())


def push(
    task: CursorReach, still: Trials, onset_s: float, force: Sequence[float], lasting_s: float
) -> Probe:
    """Return pushes on the hand.

    Args:
        task: The conditions.
        still: B trials without perturbations.
        onset_s: When they begin (s).
        force: Force (N), (2,).
        lasting_s: For how long (s).
    """
    vector = torch.tensor(force, dtype=torch.float64)
    return _forced(task, still, "hand_force", onset_s, vector, lasting_s, -vector)


def joint_load(
    task: CursorReach, still: Trials, onset_s: float, torque: Tensor, towards: Sequence[float]
) -> Probe:
    """Return loads at the joints that stay on.

    Args:
        task: The conditions.
        still: B trials without perturbations.
        onset_s: When they begin (s).
        torque: Of shoulder and elbow (N m), (2,).
        towards: In which direction of the joints' space a correction counts, (2,).
    """
    direction = torch.tensor(towards, dtype=torch.float64)
    return _forced(task, still, "load", onset_s, torque, task.steps * task.plant.dt_s, direction)


def _forced(
    task: CursorReach,
    still: Trials,
    part: str,
    onset_s: float,
    size: Tensor,
    lasting_s: float,
    towards: Tensor,
) -> Probe:
    """Loads or forces of a size, to either side."""
    first = round(onset_s / task.plant.dt_s)
    last = first + round(lasting_s / task.plant.dt_s)
    plain = _plain(task, still)
    on = torch.zeros(len(still), task.steps, 2, dtype=torch.float64)
    on[:, first:last] = size
    sides = (replace(plain, **{part: on}), replace(plain, **{part: -on}))
    return Probe(sides, first * task.plant.dt_s, towards / towards.norm())


def _plain(task: CursorReach, still: Trials) -> Trials:
    """The same trials with zeros for all perturbations, so that they fit beside perturbed ones."""
    zeros = torch.zeros(len(still), task.steps, 2, dtype=torch.float64)
    whole = torch.zeros(len(still), task.steps, task.plant.state_size, dtype=torch.float64)
    return replace(still, load=zeros, hand_force=zeros, plant_noise=whole)


@dataclass(frozen=True)
class Probed:
    """Perturbed trials beside their twins; P probes of B trials.

    Attributes:
        run: What happened: B twins, then both sides of each probe.
        probes: The perturbations.
    """

    run: Run
    probes: tuple[Probe, ...]

    @property
    def count(self) -> int:
        """B."""
        return len(self.run.trials) // (1 + 2 * len(self.probes))

    @cached_property
    def force(self) -> Tensor:
        """Force (N) at the hand that the muscles' torques make, all trials, (., T + 1, 2).

        All trials have the postures of their twins for it, so that a difference is one of torques.
        """
        twins = self.run.states[: self.count, :, :4]
        lever = self.run.task.plant.arm.jacobian(twins).mT.repeat(1 + 2 * len(self.probes), 1, 1, 1)
        force: Tensor = torch.linalg.solve(lever, self.run.torque.unsqueeze(-1)).squeeze(-1)
        return force

    @cached_property
    def acceleration(self) -> Tensor:
        """The hand's acceleration (m/s2), all trials, (., T + 1, 2)."""
        (rate,) = torch.gradient(self.run.velocity, spacing=self.run.task.plant.dt_s, dim=1)
        return rate

    def twins(self, values: Tensor) -> Tensor:
        """Return the twins' part of values of all trials."""
        return values[: self.count]

    def paired(self, place: int, values: Tensor) -> tuple[PairedResponses, np.ndarray]:
        """Return the differences of a probe's 2 B pairs, and the directions of correction.

        Args:
            place: Which probe.
            values: Of all trials, (., S, 2), such as `run.hand` or `force`.
        """
        probe, sides = self.probes[place], self._sides(values)
        own = torch.cat([sides[1 + 2 * place], sides[2 + 2 * place]])
        onset = np.full(len(own), probe.onset_s)
        twins = torch.cat([sides[0], sides[0]])
        found = paired_responses(own.numpy(), twins.numpy(), onset, self.run.task.plant.dt_s)
        signs = torch.ones(len(own), 1, dtype=torch.float64)
        signs[self.count :] = -1.0
        return found, (signs * probe.towards).numpy()

    def responses(self, values: Tensor, window_s: tuple[float, float]) -> Tensor:
        """Return each probe's response in a window since its onset, mean of both sides, (P, B)."""
        found = []
        for place in range(len(self.probes)):
            pairs, directions = self.paired(place, values)
            both = response_in_window(pairs, directions, window_s)
            found.append(torch.from_numpy(both).reshape(2, self.count).mean(0))
        return torch.stack(found)

    def courses(self, values: Tensor) -> Tensor:
        """Return the responses over the trials' own time, mean of both sides, (P, B, S)."""
        towards = torch.stack([probe.towards for probe in self.probes])
        return (self.effects(values) * towards[:, None, None]).sum(-1)

    def effects(self, values: Tensor) -> Tensor:
        """Return what perturbations to the first side cause, mean of both sides, (P, B, S, 2)."""
        sides = self._sides(values)
        return (sides[1::2] - sides[2::2]) / 2

    def _sides(self, values: Tensor) -> Tensor:
        """Twins and sides apart, (1 + 2 P, B, S, 2)."""
        return values.reshape(1 + 2 * len(self.probes), self.count, *values.shape[1:])


def run_probes(
    session: Session, task: CursorReach, still: Trials, probes: Sequence[Probe]
) -> Probed:
    """Run perturbed trials beside their twins.

    Args:
        session: Who runs.
        task: The conditions.
        still: B trials without perturbations, of which the probes were made.
        probes: P of them.

    Raises:
        CannotBeAskedError: As `Session.run`.
    """
    sides = [side for probe in probes for side in probe.sides]
    run = session.run(task, Trials.concatenate([_plain(task, still), *sides]))
    return Probed(run, tuple(probes))


def as_percentage(values: Tensor, of: Tensor) -> Interval:
    """Return the mean of values as a percentage of the mean of others, from the same trials.

    There is none where the others' mean is not surely above zero: what does not respond at all does
    not respond more here than there.

    Args:
        values: (N,).
        of: (N,).
    """
    reference = bootstrap_interval(of)
    if reference.low is None or reference.low <= 0:
        return Interval(None, None, None)
    return bootstrap_interval(100 * values, divide_by=of)
