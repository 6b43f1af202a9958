"""What can be put through experiments: optimal controllers, trained networks, one's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from neuromotor._checks import did_you_mean
from neuromotor.control import ILQG, ILQR, BelievedField, InfiniteHorizonLQG, Uncertainty
from neuromotor.control.linear_design import distinct
from neuromotor.controllers import CommandTable
from neuromotor.controllers.controller import Controller
from neuromotor.experiments.findings import CannotBeAskedError
from neuromotor.tasks import CursorReach, SensesInUse, Trials
from neuromotor.tasks.task import input_size
from neuromotor.zoo import names as zoo_names
from neuromotor.zoo.saved_controller import CheckpointError, SavedController, load_controller

__all__ = [
    "SUBJECTS",
    "OpenLoop",
    "Optimal",
    "OptimalForEver",
    "Subject",
    "Trained",
    "beliefs",
    "subject_of",
]


class Subject(ABC):
    """Something that decides on commands under the conditions of experiments.

    Attributes:
        own_time: Whether it takes its own time where time is free. Of who does not, experiments
            find the shortest time that is enough.
        has_clock: Whether it can move in a given time.
        takes_costs: Whether it does what another cost asks for.
    """

    own_time: ClassVar[bool] = True
    has_clock: ClassVar[bool] = True
    takes_costs: ClassVar[bool] = False

    has_units: ClassVar[bool] = False  # whether what it remembers are units, as of a network

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name in tables."""

    @abstractmethod
    def controller(self, task: CursorReach, trials: Trials) -> tuple[Controller, Tensor]:
        """Return a controller and its parameters (P,), which know start, target and time alone.

        Args:
            task: The conditions.
            trials: The batch, of which only what a controller may know is used.

        Raises:
            CannotBeAskedError: It cannot do this; the message says why.
        """

    def heeds(self, share: str) -> bool:
        """Return whether it acts on what the cues of `CursorReach` tell of some of its trials.

        Args:
            share: The share of these in its training, by its name there: `passes`, `paths` or
                `fields`.
        """
        return False

    def believing(
        self, task: CursorReach, trials: Trials, field: BelievedField
    ) -> tuple[Controller, Tensor]:
        """Return a controller that believes in a force field, and its parameters (P,).

        The cues of the trials tell of the same field (`CursorReach.knowing`).

        Raises:
            CannotBeAskedError: It is not designed for what it believes.
        """
        raise CannotBeAskedError(
            "it is not designed for a force field and its variance, which it would have to know."
        )


def beliefs(task: CursorReach) -> Uncertainty:
    """Return what an optimal controller believes of noise and disturbances in every experiment.

    Loads may come at any step and stay; target and cursor may be displaced at any step.
    """
    plant = task.plant
    jumps = [0.0] * plant.state_size
    for part in ("target", "displacement"):
        for i in range(plant.state_size)[plant.state_parts[part]]:
            jumps[i] = task.believed_jump_m
    senses = SensesInUse.of(task)
    return Uncertainty(
        command_noise=task.noise,
        load=task.believed_load_nm,
        onset_steps=(0, task.steps - 1),
        plant_noise=tuple(jumps),
        sensory_noise=senses.noise,
        signal_noise=senses.signal_noise,
    )


def _design() -> ILQG:
    """Settings that are exact enough for measures of movements."""
    return ILQG(
        rounds=20,
        tolerance=1e-3,
        relinearizations=0,
        ilqr=ILQR(iterations=100, tolerance=1e-6),
    )


@dataclass(frozen=True)
class Optimal(Subject):
    """Optimal feedback control with a finite horizon, designed anew for each start and target.

    Attributes:
        ilqg: The design.
    """

    ilqg: ILQG = field(default_factory=_design)

    own_time: ClassVar[bool] = False
    takes_costs: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Its name in tables."""
        return "ILQG"

    def controller(self, task: CursorReach, trials: Trials) -> tuple[Controller, Tensor]:
        """Return the design for the trials' starts, targets and times, as `Subject`."""
        return self._designed(task, trials, None)

    def believing(
        self, task: CursorReach, trials: Trials, field: BelievedField
    ) -> tuple[Controller, Tensor]:
        """Return the design for the field and its uncertainty, as `Subject`."""
        return self._designed(task, trials, field)

    def _designed(
        self, task: CursorReach, trials: Trials, field: BelievedField | None
    ) -> tuple[Controller, Tensor]:
        design = self.ilqg.design(task, trials, beliefs(task), field=field)
        return design.controller, design.parameters


@dataclass(frozen=True)
class OptimalForEver(Subject):
    """Infinite-horizon LQG: it has no clock, so that every movement takes its own time.

    Where a time is given, it does as where time is free.

    Attributes:
        lqg: The design.
    """

    lqg: InfiniteHorizonLQG = field(
        default_factory=lambda: InfiniteHorizonLQG(velocity_scale=1.0, rounds=20, tolerance=1e-3)
    )

    has_clock: ClassVar[bool] = False
    takes_costs: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Its name in tables."""
        return "infinite-horizon LQG"

    def controller(self, task: CursorReach, trials: Trials) -> tuple[Controller, Tensor]:
        """Return the design for the trials' targets, as `Subject`."""
        design = self.lqg.design(task, task.in_own_time(trials), beliefs(task))
        return design.controller, design.parameters


@dataclass(frozen=True)
class OpenLoop(Subject):
    """The best commands for an undisturbed trial, whatever happens: feedback is ignored.

    Attributes:
        ilqr: The solver.
    """

    ilqr: ILQR = field(default_factory=lambda: ILQR(iterations=100, tolerance=1e-6))

    own_time: ClassVar[bool] = False
    takes_costs: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Its name in tables."""
        return "open loop"

    def controller(self, task: CursorReach, trials: Trials) -> tuple[Controller, Tensor]:
        """Return a table of commands, as `Subject`."""
        quiet, index = distinct(trials.undisturbed())
        commands = self.ilqr.solve(task, quiet).commands[index]
        table = CommandTable(
            trials=len(trials),
            steps=task.steps,
            command_size=task.plant.command_size,
            dt_s=task.plant.dt_s,
        )
        return table, commands.flatten()


@dataclass(frozen=True)
class Trained(Subject):
    """A network or a policy from a file, trained on `cursor-reach`.

    Attributes:
        saved: What the file holds.
        label: Its name in tables.
    """

    saved: SavedController
    label: str

    has_units: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Its name in tables."""
        return self.label

    def controller(self, task: CursorReach, trials: Trials) -> tuple[Controller, Tensor]:
        """Return the network, as `Subject`."""
        own = self.saved.task
        if not isinstance(own, CursorReach):
            what = "nothing that its file says" if own is None else f"a {type(own).__name__}"
            raise CannotBeAskedError(
                f"it was trained on {what}, and sees no cursor; train one on cursor-reach."
            )
        if own.plant.arm != task.plant.arm or own.plant.lag_s != task.plant.lag_s:
            raise CannotBeAskedError("it was trained on another arm.")
        if (own.senses, own.delay_steps) != (task.senses, task.delay_steps):
            raise CannotBeAskedError("it was trained with other senses.")
        given = input_size(task, trials)
        takes = getattr(self.saved.controller, "input_size", given)
        if takes != given:
            raise CannotBeAskedError(
                f"it takes {takes} inputs, and the task gives {given}: it was trained with other "
                "cues; train it again."
            )
        return self.saved.controller, self.saved.parameters.to(trials.initial_state)

    def heeds(self, share: str) -> bool:
        """Return whether there were such trials in its training, as `Subject`."""
        return bool(getattr(self.saved.task, share, 0.0) > 0)

    def believing(
        self, task: CursorReach, trials: Trials, field: BelievedField
    ) -> tuple[Controller, Tensor]:
        """Return the network, which knows the field by the cues, as `Subject`."""
        if not self.heeds("fields"):
            raise CannotBeAskedError("it has practised in no force field.")
        return self.controller(task, trials)


SUBJECTS: dict[str, Any] = {
    "ilqg": Optimal,
    "lqg-infinite": OptimalForEver,
    "open-loop": OpenLoop,
}


def subject_of(name: str | Path) -> Subject:
    """Return a subject by name: one of `SUBJECTS`, a controller file, a name of the zoo.

    Raises:
        ValueError: There is no such subject.
    """
    text = str(name)
    if text in SUBJECTS:
        subject: Subject = SUBJECTS[text]()
        return subject
    try:
        saved = load_controller(text, dtype=torch.float64)
    except CheckpointError as error:
        if Path(text).suffix or Path(text).exists():
            raise
        known = [*SUBJECTS, *zoo_names()]
        raise ValueError(
            f"`controller` must be a controller file, a name of `neuromotor zoo`, or one of "
            f"{', '.join(SUBJECTS)}, got {text!r}; {did_you_mean(text, known)}."
        ) from error
    return Trained(saved, Path(text).stem if Path(text).suffix else text)
