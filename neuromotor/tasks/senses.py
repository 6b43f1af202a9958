"""What a controller senses: channels, each with its own signal, delay, noise and scale.

A channel with signal s, delay tau, origin c and scale k gives at step t::

    k ((s(x[t - tau]) - c) (1 + xi[t]) + omega[t])

of the states x; before step tau the first state counts. xi and omega are draws that lie in the
trials (`Trials.signal_noise` and `Trials.sensory_noise`). A task without senses of its own has one
channel: all of the plant's `feedback`, with the task's `delay_steps` and `sensory_noise`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, lookup, whole_steps
from neuromotor.extensions import Registry
from neuromotor.plants.plant import Plant
from neuromotor.plants.signals import Signal, signals_of
from neuromotor.tasks.clock import CLOCK_SIZE, ClockInUse, check_clock

if TYPE_CHECKING:
    from neuromotor.tasks.task import Task
    from neuromotor.tasks.trials import Trials

__all__ = [
    "SENSES",
    "Channel",
    "ChannelInUse",
    "Senses",
    "SensesInUse",
    "check_senses",
    "check_state_sensed",
]


@dataclass(frozen=True)
class Channel:
    """One signal of the plant as a controller senses it.

    Attributes:
        signal: Its name among the plant's signals (`plants.signals_of`): `joint_position`,
            `joint_velocity`, `hand_position`, `hand_velocity`, `state` (all of the plant's
            `feedback`), and for plants with muscles `muscle_length`, `muscle_velocity`,
            `muscle_activity`.
        delay_s: Delay (s), a whole number of the plant's steps. In tables it may also be
            `delay`, a text with its unit: "50 ms".
        delay_steps: The same in steps. With neither the delay is the task's own.
        noise: Standard deviation of the noise that is added, in the unit of the signal.
        signal_noise: Standard deviation of the noise that is proportional to the signal, as a
            fraction of its distance from the origin.
        scale: Factor on all that, noise included.
        relative: Whether the origin is the signal at rest in the plant's `home`; else it is zero.

    Raises:
        TypeError: A setting has the wrong type.
        ValueError: A number is out of range, or the delay is given twice.

    Example:
        >>> Channel("hand_position", delay_s=0.1, noise=0.002).delay_s
        0.1
    """

    signal: str
    delay_s: float | None = field(default=None, metadata={"text": "delay"})
    delay_steps: int | None = None
    noise: float = 0.0
    signal_noise: float = 0.0
    scale: float = 1.0
    relative: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.signal, str):
            raise TypeError(f"`signal` must be the name of a signal, got {self.signal!r}.")
        if self.delay_s is not None:
            check_number("delay_s", self.delay_s, "seconds", minimum=0.0)
        if self.delay_steps is not None:
            check_integer("delay_steps", self.delay_steps, minimum=0)
            if self.delay_s is not None:
                raise ValueError("`delay_s` and `delay_steps` are the same; give one of them.")
        check_number("noise", self.noise, minimum=0.0)
        check_number("signal_noise", self.signal_noise, minimum=0.0)
        check_number("scale", self.scale)
        if self.scale == 0:
            raise ValueError("`scale` must not be zero, or nothing is sensed; leave it out.")
        if not isinstance(self.relative, bool):
            raise TypeError(f"`relative` must be True or False, got {self.relative!r}.")


@dataclass(frozen=True)
class Senses:
    """Everything that a controller is given: what it senses, and what it is told of the target.

    Attributes:
        channels: What it senses, in order.
        target: In which signals it is told the target, in order. Their delay is that of the news
            where the target that is shown changes within a trial; without one there is none. A
            target is told without noise.

    Raises:
        ValueError: There are no channels, or the target has noise.

    Example:
        >>> eyes = Channel("hand_position", delay_s=0.1)
        >>> Senses(channels=(Channel("joint_position"), eyes)).target[0].signal
        'state'
    """

    channels: tuple[Channel, ...] = field(default=(Channel("state"),), metadata={"item": Channel})
    target: tuple[Channel, ...] = field(default=(Channel("state"),), metadata={"item": Channel})
    clock: str | None = field(default=None, metadata={"left_out": True})
    clock_size: int | None = field(default=None, metadata={"left_out": True})

    def __post_init__(self) -> None:
        check_clock(self.clock, self.clock_size)
        for name in ("channels", "target"):
            given = getattr(self, name)
            wrong = next((one for one in given if not isinstance(one, Channel)), None)
            if not isinstance(given, tuple) or wrong is not None:
                raise TypeError(f"`{name}` must be a tuple of `Channel`, got {given!r}.")
            if not given:
                raise ValueError(f"`{name}` must hold at least one channel, got none.")
        if any(one.noise or one.signal_noise for one in self.target):
            raise ValueError("`target` must be told without noise; leave it out there.")

    @property
    def own_delays(self) -> bool:
        """Whether no channel has the task's delay."""
        return all(one.delay_s is not None or one.delay_steps is not None for one in self.channels)

    def without_delays(self) -> Senses:
        """Return the same channels, each of which shows the present."""
        present = (replace(one, delay_s=None, delay_steps=0) for one in self.channels)
        return replace(self, channels=tuple(present))

    def with_delays(self, plant: Plant, delay_steps: int) -> Senses:
        """Return the same with every channel's delay in steps.

        Args:
            plant: What is sensed.
            delay_steps: Delay of channels that have none of their own.
        """
        delays = [_delay(one, plant, delay_steps) for one in self.channels]
        channels = (
            replace(one, delay_s=None, delay_steps=steps)
            for one, steps in zip(self.channels, delays, strict=True)
        )
        return replace(self, channels=tuple(channels))


@dataclass(frozen=True)
class ChannelInUse:
    """A channel on a plant.

    Attributes:
        signal: The plant's signal, k numbers.
        delay: Delay in steps.
        origin: What is subtracted, k numbers; None is nothing.
        scale: Factor.
    """

    signal: Signal
    delay: int
    origin: tuple[float, ...] | None
    scale: float

    @property
    def start(self) -> tuple[float, ...]:
        """What is subtracted, k numbers."""
        return (0.0,) * len(self.signal.labels) if self.origin is None else self.origin

    @property
    def labels(self) -> tuple[str, ...]:
        """Name and unit of each number."""
        factor = "" if self.scale == 1 else f"{self.scale:g} x "
        origin = "" if self.origin is None else " from home"
        parts = (label.rpartition(" (") for label in self.signal.labels)
        return tuple(f"{factor}{name}{origin}{gap}{unit}" for name, gap, unit in parts)

    @property
    def limits(self) -> tuple[float, ...]:
        """Largest size of each number, noise aside."""
        pairs = zip(self.signal.limits, self.start, strict=True)
        return tuple(abs(self.scale) * (limit + abs(start)) for limit, start in pairs)

    def read(self, state: Tensor) -> Tensor:
        """Return the signal from its origin, (..., k), of states (..., n), not yet scaled."""
        value = self.signal.of(state)
        return value if self.origin is None else value - value.new_tensor(self.origin)

    def told(self, state: Tensor) -> Tensor:
        """Return the same scaled, which is what is told of a target, (..., k)."""
        value = self.read(state)
        return value if self.scale == 1 else self.scale * value


@dataclass(frozen=True)
class SensesInUse:
    """A task's senses on its plant: the one place that knows what a controller is given.

    Attributes:
        channels: What it senses, f numbers.
        target: In which signals it is told the target, g numbers.
        noise: Standard deviation of each draw of `Trials.sensory_noise`.
        signal_noise: The same of `Trials.signal_noise`.
        columns: Which of these draws belong to the f numbers; None is all, in order.
        own: Whether the task has senses of its own.
        state_size: Numbers in a state of the plant.
        clock: How it is told the time that is left, or None.
    """

    channels: tuple[ChannelInUse, ...]
    target: tuple[ChannelInUse, ...]
    noise: tuple[float, ...]
    signal_noise: tuple[float, ...]
    columns: tuple[int, ...] | None
    own: bool
    state_size: int
    clock: ClockInUse | None = None

    @classmethod
    def of(cls, task: Task) -> SensesInUse:
        """Return the senses of a task.

        Raises:
            ValueError: The plant has no such signal, or a delay is no whole number of its steps.
        """
        return cls.on(task.plant, getattr(task, "senses", None), task.delay_steps, task)

    @classmethod
    def on(
        cls, plant: Plant, senses: Senses | None, delay_steps: int, task: object = None
    ) -> SensesInUse:
        """Return senses on a plant.

        Args:
            plant: What is sensed.
            senses: None is the plant's `feedback`.
            delay_steps: Delay of channels that have none of their own.
            task: Whose `sensory_noise` counts where `senses` are None, and whose `steps` a clock
                counts; without one there is no clock.

        Raises:
            ValueError: As `of`.
        """
        if senses is None:
            noise = getattr(task, "sensory_noise", 0.0)
            each = noise if isinstance(noise, tuple) else (noise,) * plant.state_size
            whole = tuple(plant.feedback) == tuple(range(plant.state_size))
            channel = _in_use(Channel("state", delay_steps=delay_steps), plant, 0)
            return cls(
                channels=(channel,),
                target=(replace(channel, delay=0),),
                noise=each,
                signal_noise=(0.0,) * plant.state_size,
                columns=None if whole else tuple(plant.feedback),
                own=False,
                state_size=plant.state_size,
            )
        channels = tuple(_in_use(one, plant, delay_steps) for one in senses.channels)
        sizes = [len(one.signal.labels) for one in channels]
        clock = None
        if senses.clock is not None and task is not None:
            size = CLOCK_SIZE if senses.clock_size is None else senses.clock_size
            clock = ClockInUse(senses.clock, size, cast("Task", task).steps, plant.dt_s)
        return cls(
            channels=channels,
            target=tuple(_in_use(one, plant, 0) for one in senses.target),
            noise=_repeated([one.noise for one in senses.channels], sizes),
            signal_noise=_repeated([one.signal_noise for one in senses.channels], sizes),
            columns=None,
            own=True,
            state_size=plant.state_size,
            clock=clock,
        )

    # ---- what it is in numbers ----

    @property
    def labels(self) -> tuple[str, ...]:
        """Name and unit of each number that is sensed, f of them.

        Where a signal is sensed after several delays, they are in its names.
        """
        labels = [label for one in self.channels for label in one.labels]
        delays = [one.delay for one in self.channels for _ in one.labels]
        return tuple(
            _after(label, delay) if labels.count(label) > 1 else label
            for label, delay in zip(labels, delays, strict=True)
        )

    @property
    def target_labels(self) -> tuple[str, ...]:
        """Name and unit of each number that is told of the target, g of them."""
        return tuple(label for one in self.target for label in one.labels)

    @property
    def clock_labels(self) -> tuple[str, ...]:
        """Name and unit of each number in which the time that is left is told."""
        return () if self.clock is None else self.clock.labels

    @property
    def draws(self) -> int:
        """How many numbers `Trials.sensory_noise` and `Trials.signal_noise` have in a step."""
        return len(self.noise)

    @property
    def noisy(self) -> bool:
        """Whether anything is sensed with noise."""
        return any(self.noise) or any(self.signal_noise)

    @property
    def delay(self) -> int:
        """The longest delay, in steps."""
        return max(one.delay for one in self.channels)

    @property
    def entries(self) -> tuple[int, ...] | None:
        """Which numbers of the state are sensed, f of them, for compiled loops.

        Behind those of the state stand the signals that the plant's components compute. None where
        there is one that they do not.
        """
        found: list[int] = []
        for one in self.channels:
            entries, behind = one.signal.entries, one.signal.compiled
            if entries is None and behind is None:
                return None
            found += entries or (self.state_size + i for i in behind or ())
        return tuple(found)

    @property
    def computed(self) -> bool:
        """Whether a signal is sensed that is computed from the state."""
        return any(one.signal.entries is None for one in self.channels)

    @property
    def scales(self) -> tuple[float, ...]:
        """Factor on each number that is sensed."""
        return tuple(one.scale for one in self.channels for _ in one.signal.labels)

    @property
    def whole_state(self) -> bool:
        """Whether what is sensed is the plant's state as it is, after one delay."""
        return _whole(self.channels, self.state_size)

    @property
    def whole_target(self) -> bool:
        """Whether what is told of the target is the state to be reached."""
        return _whole(self.target, self.state_size)

    # ---- what it does ----

    def sensed(
        self, past: Callable[[int], Tensor], draws: Callable[[str], Tensor | None]
    ) -> Tensor:
        """Return what a controller senses, (..., f).

        Args:
            past: Gives the states some steps ago, (..., n).
            draws: Gives the draws of the step by their name in `Trials`, (..., draws), or None.
        """
        seen = _joined([one.read(past(one.delay)) for one in self.channels])
        gain, noise = (self._draw(draws(name)) for name in ("signal_noise", "sensory_noise"))
        if gain is not None:
            seen = seen * (1 + gain)
        if noise is not None:
            seen = seen + noise
        scales = self.scales
        return seen * seen.new_tensor(scales) if any(k != 1 for k in scales) else seen

    def as_affine(self, trials: Trials) -> tuple[Tensor, Tensor | None]:
        """Return gains and offsets with which signals become what is sensed, (B or 1, T or 1, f).

        Offsets of None are zero.
        """
        like = trials.initial_state
        gain = like.new_tensor(self.scales)[None, None]
        proportional, added = (
            self._draw(getattr(trials, name)) for name in ("signal_noise", "sensory_noise")
        )
        factor = gain if proportional is None else gain * (1 + proportional)
        offset = None if added is None else gain * added
        shift = [-start for one in self.channels for start in one.start]
        if any(shift):
            moved = like.new_tensor(shift) * factor
            offset = moved if offset is None else moved + offset
        return factor, offset

    def told(self, target: Tensor) -> Tensor:
        """Return what is told of targets that do not change, (..., g) of states (..., n)."""
        return _joined([one.told(target) for one in self.target])

    def told_over_time(self, trials: Trials) -> Tensor | None:
        """Return what is told at every step, (B, T, g + c + k); None if constant.

        The target comes first, then the cues, then the clock.
        """
        shown, cues = trials.shown_target, [] if trials.cue is None else [trials.cue]
        if self.clock is not None:
            cues.append(self.clock.table().to(trials.target).expand(len(trials), -1, -1))
        if shown is not None:
            return _joined([*(one.told(_late(shown, one.delay)) for one in self.target), *cues])
        if not cues:
            return None
        same = self.told(trials.target)[:, None]
        return _joined([same.expand(-1, cues[0].shape[1], -1), *cues])

    def _draw(self, values: Tensor | None) -> Tensor | None:
        if values is None or self.columns is None:
            return values
        return values[..., list(self.columns)]


def check_senses(task: Task) -> None:
    """Raise unless a task's senses fit its plant, and its trials are longer than their delays."""
    senses = getattr(task, "senses", None)
    if senses is None:
        return
    if not isinstance(senses, Senses):
        raise TypeError(f"`senses` must be a `Senses`, got {type(senses).__name__}.")
    noise = getattr(task, "sensory_noise", 0.0)
    if any(noise) if isinstance(noise, tuple) else noise:
        raise ValueError(
            "`sensory_noise` is noise on the whole state and must be left out with `senses`, whose "
            f"channels have their own `noise`, got {noise!r}."
        )
    in_use = SensesInUse.of(task)
    longest = max(one.delay for one in (*in_use.channels, *in_use.target))
    if longest >= task.steps:
        raise ValueError(
            f"`senses` must have delays below the {task.steps} steps of a trial, or what such a "
            f"channel shows never changes, got {longest} steps."
        )


def check_state_sensed(task: Task, user: str) -> None:
    """Raise unless state and target are given as they are; `user` needs that, for the error."""
    senses = SensesInUse.of(task)
    if not (senses.whole_state and senses.whole_target):
        labels = senses.target_labels if senses.whole_state else senses.labels
        raise ValueError(
            f"`task` must let the plant's whole state be sensed, and the target be told as one, "
            f"for {user}, got {', '.join(labels)}."
        )


def _in_use(channel: Channel, plant: Plant, delay_steps: int) -> ChannelInUse:
    """A channel on a plant."""
    signals = signals_of(plant)
    signal = lookup(f"signal of a {type(plant).__name__}", channel.signal, signals)
    origin = None
    if channel.relative:
        home = torch.tensor(plant.home, dtype=torch.float64)
        origin = tuple(signal.of(plant.rest_state(home)).tolist())
    return ChannelInUse(signal, _delay(channel, plant, delay_steps), origin, channel.scale)


def _delay(channel: Channel, plant: Plant, delay_steps: int) -> int:
    """A channel's delay in steps."""
    if channel.delay_steps is not None:
        return channel.delay_steps
    if channel.delay_s is None:
        return delay_steps
    return whole_steps(f"delay_s of {channel.signal}", channel.delay_s, plant.dt_s)


def _whole(channels: tuple[ChannelInUse, ...], size: int) -> bool:
    """Whether channels are one that gives the state as it is."""
    one = channels[0]
    plain = len(channels) == 1 and one.origin is None and one.scale == 1
    return plain and one.signal.entries == tuple(range(size))


def _repeated(values: Sequence[float], sizes: Sequence[int]) -> tuple[float, ...]:
    return tuple(v for v, size in zip(values, sizes, strict=True) for _ in range(size))


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def _after(label: str, delay: int) -> str:
    """A label with its delay."""
    name, gap, unit = label.rpartition(" (")
    return f"{name}, {delay} steps ago{gap}{unit}"


def _late(shown: Tensor, delay: int) -> Tensor:
    """What was shown some steps earlier, (B, T, n); the first before that."""
    before = shown[:, :1].expand(-1, delay, -1)
    return torch.cat([before, shown], dim=1)[:, : shown.shape[1]]


SENSES: Registry[Any] = Registry(
    "senses",
    {
        # all of the plant's state, with the task's own delay, as without senses
        "whole-state": Senses(),
        # Proprioception of the joints after 50 ms, vision of the hand after 100 ms, which is more
        # exact (the contrast of Crevecoeur, Munoz & Scott 2016). The sizes of noise are ours.
        "proprioception-and-vision": Senses(
            channels=(
                Channel("joint_position", delay_s=0.05, noise=0.01),
                Channel("joint_velocity", delay_s=0.05, noise=0.1),
                Channel("hand_position", delay_s=0.1, noise=0.002),
                Channel("hand_velocity", delay_s=0.1, noise=0.02),
            ),
        ),
        # Joints and torques are felt after 50 ms; cursor and target of a `CursorArm` are seen after
        # 100 ms. Delays are of the order of responses of people to stretch and to what they see
        # (Pruszynski & Scott 2012; Dimitriou et al. 2013); noise and scales are ours.
        "eyes-and-joints": Senses(
            channels=(
                Channel("joint_position", delay_s=0.05, noise=0.01, relative=True),
                Channel("joint_velocity", delay_s=0.05, noise=0.1, scale=0.1),
                Channel("torque", delay_s=0.05, noise=0.05, scale=0.1),
                Channel("cursor_position", delay_s=0.1, noise=0.004, scale=5.0, relative=True),
                Channel("target_position", delay_s=0.1, noise=0.002, scale=5.0, relative=True),
            ),
            target=(Channel("target_position", scale=5.0, relative=True),),
        ),
        # Kalidindi et al. (2021): twelve inputs with the goal, feedback 50 ms late. The factors are
        # those of their published code for the posture task, the goal that of the reach task.
        "kalidindi-2021": Senses(
            channels=(
                Channel("joint_position", delay_s=0.05, scale=2.0, relative=True),
                Channel("joint_velocity", delay_s=0.05, scale=0.5),
                Channel("muscle_activity", delay_s=0.05),
            ),
            target=(Channel("joint_position", relative=True),),
        ),
        # The same study's variant that senses the hand in place of the joints; it does not give the
        # factors, which are ours.
        "kalidindi-2021-hand": Senses(
            channels=(
                Channel("hand_position", scale=10.0, relative=True),
                Channel("hand_velocity", scale=2.5),
                Channel("muscle_activity"),
            ),
            target=(Channel("hand_position", scale=5.0, relative=True),),
        ),
    },
    members=("channels", "target"),
)
