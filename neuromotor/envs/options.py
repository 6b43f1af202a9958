"""What can be chosen about an environment, checked once, the same for one arm and for thousands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, cast

import numpy as np

from neuromotor._checks import check_positive, did_you_mean, lookup
from neuromotor.envs.limits import Actions, Limits, limits_of
from neuromotor.envs.observation import PARTS
from neuromotor.storage.components import decode
from neuromotor.tasks import TASKS, SensesInUse, Task

__all__ = ["EnvOptions"]

_CHOICES = {
    "reward": ("loss", "dense", "sparse"),
    "horizon": ("terminated", "truncated"),
    "dtype": ("float32", "float64"),
}


@dataclass(frozen=True)
class EnvOptions:
    """Settings that `MotorEnv` and `MotorVectorEnv` share.

    Attributes:
        task: A task, a name in `TASKS`, or a table of settings such as
            ``{"type": "center-out", "radius_m": 0.06, "plant": "monkey"}``.
        observe: Parts of the observation, in order: ``state`` (delayed, with sensory noise; what
            the channels give of a task with senses of its own), ``target`` (state to be reached, in
            the signals of the senses), ``hand`` (delayed position and velocity of the hand),
            ``hand_target``, ``time`` (elapsed share of the trial), ``command`` (the last action),
            ``cue`` (the task's own, such as a go cue; without one 1 while the target shown is
            another than at first, as after a target jump). None is state and target, and the cue
            of a task that has its own.
        goal: Whether observations are dictionaries of ``observation`` (the parts that do not tell
            the target), ``achieved_goal`` (delayed hand position) and ``desired_goal`` (where the
            hand is to be now: the start while a task wants it held there).
        reward: ``loss``: minus the task's running cost, and at the end minus its final cost, so
            that the sum over a trial is minus the task's loss. ``dense``: minus the hand's mean
            distance from where it is to be, and at the end minus distance and speed, in units of
            the success bounds; with `goal`, minus the distance (m). ``sparse`` (only with `goal`):
            -1 unless the achieved goal is within `success_error_m` of the desired one. None is
            ``loss``, with `goal` ``sparse``.
        command_limit: Largest command of each actuator (N m or N); None is the plant's own
            `command_bounds`, or what `neuromotor.envs.limits` has for it.
        normalized: Whether actions are in [-1, 1], from the lowest to the highest command, or are
            the commands themselves.
        horizon: How the end of a trial is reported. ``terminated``: nothing is to be gained after
            the final cost, so that a learner must not bootstrap; ``truncated``: for tasks that one
            wants to hold beyond the horizon.
        dtype: Of observations.
        success_error_m: Largest distance of hand and target at the end of a success (m).
        success_speed_m_s: Largest speed of the hand at the end of a success (m/s), relative to its
            target where that moves.
        compiled: Whether steps are compiled (see `envs/arms.py`): True from the first trial on,
            False never, None from the first trial after `PATIENCE` calls of `step` on. Where they
            cannot be, they are not.

    Raises:
        TypeError: A setting has the wrong type.
        ValueError: A setting is unknown or out of range.
    """

    task: Task | str | Mapping[str, Any] = "center-out"
    observe: Sequence[str] | None = None
    goal: bool = False
    reward: str | None = None
    command_limit: float | None = None
    normalized: bool = True
    horizon: str = "terminated"
    dtype: str = "float32"
    success_error_m: float = 0.01
    success_speed_m_s: float = 0.05
    compiled: bool | None = None
    limits: Limits = field(init=False)
    senses: SensesInUse = field(init=False)
    cue_size: int = field(init=False)  # numbers of the part `cue`

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        if isinstance(self.task, str | Mapping):
            set_(self, "task", decode(self.task, TASKS, "task"))
        elif not all(hasattr(self.task, name) for name in ("plant", "cost", "trials")):
            raise TypeError(
                f"`task` must be a task, a name or a table of settings, got {self.task!r}; "
                f"{did_you_mean(str(self.task), TASKS)}."
            )
        cues = self.typed_task.trials().cue_size
        set_(self, "cue_size", max(1, cues))
        if self.observe is None:
            set_(self, "observe", ("state", "target", *(["cue"] if cues else [])))
        if isinstance(self.observe, str):
            set_(self, "observe", (self.observe,))
        set_(self, "observe", tuple(self.observe or ()))
        if not self.observe:
            raise ValueError("`observe` must name at least one part of the observation, got none.")
        for name in self.observe:
            lookup("part of `observe`", name, PARTS)
        set_(self, "senses", SensesInUse.of(self.typed_task))
        if self.senses.own and ("hand" in self.observe or self.goal):
            what = "`goal` must be False" if self.goal else "`observe` must be without 'hand'"
            raise ValueError(
                f"{what} for a task with senses of its own, which say how the hand is sensed; give "
                "it a channel of the signal `hand_position`."
            )
        if self.reward is None:
            set_(self, "reward", "sparse" if self.goal else "loss")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}.")
        if (self.reward == "loss" and self.goal) or (self.reward == "sparse" and not self.goal):
            way_out = "sparse or dense" if self.goal else "loss or dense"
            raise ValueError(
                f"`reward` must be {way_out} {'with' if self.goal else 'without'} `goal`, "
                f"got {self.reward!r}."
            )
        for name in ("goal", "normalized"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"`{name}` must be True or False, got {getattr(self, name)!r}.")
        if self.compiled not in (None, True, False):
            raise TypeError(f"`compiled` must be True, False or None, got {self.compiled!r}.")
        check_positive("success_error_m", self.success_error_m, "metres")
        check_positive("success_speed_m_s", self.success_speed_m_s, "metres per second")
        set_(self, "limits", limits_of(self.typed_task.plant, self.command_limit))

    @classmethod
    def of(cls, task: Any, options: Mapping[str, Any]) -> EnvOptions:
        """Return options from keyword arguments of an environment.

        Raises:
            TypeError: An option is unknown.
        """
        known = [f.name for f in fields(cls) if f.init and f.name != "task"]
        for name in options:
            if name not in known:
                # Python's own words, which Gymnasium and TorchRL look for
                raise TypeError(
                    f"got an unexpected keyword argument {name!r}; {did_you_mean(name, known)}."
                )
        return cls(task=task, **options)

    @property
    def typed_task(self) -> Task:
        """The task."""
        return cast(Task, self.task)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the observation."""
        return tuple(self.observe or ())

    @property
    def actions(self) -> Actions:
        """What actions mean."""
        return Actions.of(self.limits, self.normalized)

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of observations."""
        return np.dtype(self.dtype)
