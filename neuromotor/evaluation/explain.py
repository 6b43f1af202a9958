"""Takes apart by how much a controller's loss exceeds that of optimal feedback control.

The reference is ILQG, which knows what a controller can know. Three questions are asked on the
same trials. What does the excess come from: the reach itself, the loads or the noise, and is it
energy or error? When in a trial does it arise? And how does the controller's command depart from
the one that ILQG would give in its place: is its picture of the arm and load wrong, or what it
makes of that picture?
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.closed_loop import ClosedLoop, Trajectory
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.closed_loop.dynamics import check_trials
from neuromotor.control import ILQG, ILQGResult, LinearFeedback, Uncertainty
from neuromotor.control.linear_feedback import FeedbackWeights
from neuromotor.controllers import Controller
from neuromotor.controllers.controller import belongs_to_trials, unit_rates
from neuromotor.evaluation.references import no_reference
from neuromotor.storage.files import finite_data
from neuromotor.tasks import Senses, SensesInUse, Task, Trials
from neuromotor.tasks.task import DerivedTask

__all__ = ["CAUSES", "Departure", "Explanation", "Losses", "explain"]

CAUSES = ("reach", "loads", "noise")
KINDS = ("error", "energy")
_RIDGE = 1e-6  # of the largest eigenvalue; it only keeps a fit on few trials regular
_FEWEST = 8  # trials, half of which are held out


@dataclass(frozen=True)
class Losses:
    """Mean losses of the controller and of ILQG under one condition.

    Attributes:
        error: Part of the controller's loss that the states cost.
        energy: Part of the controller's loss that the commands cost.
        reference_error: The same of ILQG.
        reference_energy: The same of ILQG.
    """

    error: float
    energy: float
    reference_error: float
    reference_energy: float

    @property
    def loss(self) -> float:
        """The controller's loss."""
        return self.error + self.energy

    @property
    def reference(self) -> float:
        """ILQG's loss."""
        return self.reference_error + self.reference_energy

    @property
    def excess(self) -> float:
        """By how much the controller's loss is larger."""
        return self.loss - self.reference


@dataclass(frozen=True)
class Departure:
    """How commands depart from those that ILQG would give in the same place.

    ILQG's estimate runs along the controller's own trajectory: it has the same observations, and it
    knows the commands that were given. Each number is a root mean square over trials and actuators.

    Attributes:
        times_s: Start of each step (s), T of them.
        total: Of each step (N m or N), T of them.
        estimate: The part from the estimate: ILQG's gains on how the state and load that are read
            out of the units differ from ILQG's own estimate, T of them; None for a controller
            without units. What a linear read-out misses counts as wrong.
        gain: The rest: what the controller makes of that state and load.
        unread: What is left of ILQG's commands, over all steps, after a linear read-out of the
            units on trials that were held out, by what the read-out has beside the units: `units`
            has nothing more; the weights of `clock` change with time, as polynomials of degree
            two; `state` has the present state, and `load` the present load. Where one of these
            leaves much less than `units`, the units lack what it adds.
    """

    times_s: tuple[float, ...]
    total: tuple[float, ...]
    estimate: tuple[float, ...] | None
    gain: tuple[float, ...] | None
    unread: dict[str, float]


@dataclass(frozen=True)
class Explanation:
    """By how much a controller's loss exceeds ILQG's on a batch, and what makes up the excess.

    Attributes:
        trials: How many trials.
        conditions: Losses by condition: `as it is`; `no noise`; `no loads`; `no noise, no loads`,
            with the same controller and the same ILQG; and `no delay`, where both see the present
            state and ILQG is designed for that, which the controller was not.
        excess: Excess by cause and kind, such as ``excess["noise"]["energy"]``. The cause `reach`
            is what is left without loads and noise, `loads` what loads add, `noise` what noise adds
            to that. All numbers add up to the excess as it is.
        handover_s: Times (s) at which ILQG takes over from the controller.
        handover_loss: Median loss of trials where the controller acts before that time and ILQG
            from then on. The first is ILQG's own and the last the controller's; each difference is
            what the controller loses within that time and ILQG does not mend after it. They are
            medians, since ILQG is linear around its own trajectory and may fail in a trial that the
            controller has carried far from it.
        departure: How its commands depart from ILQG's.
    """

    trials: int
    conditions: dict[str, Losses]
    excess: dict[str, dict[str, float]]
    handover_s: tuple[float, ...]
    handover_loss: tuple[float, ...]
    departure: Departure

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers by name, for JSON; what is not finite is None."""
        data = dataclasses.asdict(self)
        for name, losses in self.conditions.items():
            data["conditions"][name].update(
                loss=losses.loss, reference=losses.reference, excess=losses.excess
            )
        finite: dict[str, Any] = finite_data(data)
        return finite


@torch.no_grad()
@torch_threads()
def explain(
    task: Task,
    controller: Controller,
    parameters: Tensor,
    trials: Trials,
    *,
    ilqg: ILQG | None = None,
    handovers: int = 12,
    progress: Callable[[str], None] = lambda words: None,
) -> Explanation:
    """Return what makes up the excess of a controller's loss over that of ILQG.

    Args:
        task: Plant, cost, number of steps and delay.
        controller: Any controller that runs these trials.
        parameters: Its parameters, (P,).
        trials: B trials, held out from training, with their loads and noise.
        ilqg: The design of the reference.
        handovers: At how many times, evenly spaced, ILQG takes over from the controller.
        progress: Called with what is done next, in words.

    Raises:
        ValueError: There is no ILQG for the task or trials, the controller belongs to other trials,
            or there are too few trials to hold half of them out.
    """
    check_integer("handovers", handovers, minimum=1)
    check_trials(task, trials)
    for reason in no_reference(["ilqg"], task, trials).values():
        raise ValueError(f"`trials` must suit ILQG, which they are held against: {reason}.")
    if belongs_to_trials(controller):
        raise ValueError(
            f"`controller` must run any trials, got a {type(controller).__name__}, which belongs "
            "to the trials that it was made for."
        )
    if len(trials) < _FEWEST:
        raise ValueError(
            f"`trials` must be {_FEWEST} or more, so that half of them can be held out from the "
            f"read-outs, got {len(trials)}."
        )
    trials = trials.to(dtype=torch.float64)
    weights = controller.unpack(parameters.double())
    design = ilqg or ILQG()
    progress("designing ILQG")
    optimal = design.design(task, trials)

    def ran(
        own_steps: int, batch: Trials, reference: ILQGResult = optimal, of: Task = task
    ) -> Trajectory:
        guide = reference.controller
        tables = guide.unpack(reference.parameters)
        return _ran(of, _Handover(controller, weights, guide, tables, own_steps), batch)

    # The two alone, on the trials as they are: a condition, the ends of the handover, the commands.
    progress("running trials, as it is")
    alone = {own_steps: ran(own_steps, trials) for own_steps in (task.steps, 0)}
    conditions = {"as it is": _held_against(task, alone[task.steps], alone[0], trials)}
    for name, batch in _conditions(trials).items():
        progress(f"running trials, {name}")
        both = ran(task.steps, batch), ran(0, batch)
        conditions[name] = _held_against(task, *both, batch)
    if SensesInUse.of(task).delay:
        progress("running trials, no delay")
        seen = _Undelayed(task)
        known = design.design(seen, trials, Uncertainty.from_trials(trials))
        both = ran(task.steps, trials, known, seen), ran(0, trials, known, seen)
        conditions["no delay"] = _held_against(seen, *both, trials)
    steps = sorted({round(k * task.steps / handovers) for k in range(handovers + 1)})
    handed = []
    for step in steps:
        progress(f"handing over at step {step} of {task.steps}")
        done = alone[step] if step in alone else ran(step, trials)
        each = task.cost.losses(done.states, done.commands, trials)
        handed.append(float(each.nan_to_num(nan=math.inf).median()))
    progress("comparing commands")
    tables = optimal.controller.unpack(optimal.parameters)
    pair = _Handover(controller, weights, optimal.controller, tables, task.steps)
    departure = _departure(task, pair, alone[task.steps], trials)
    return Explanation(
        trials=len(trials),
        conditions=conditions,
        excess=_by_cause(conditions),
        handover_s=tuple(task.plant.dt_s * step for step in steps),
        handover_loss=tuple(handed),
        departure=departure,
    )


def _conditions(trials: Trials) -> dict[str, Trials]:
    """The trials without noise, loads, or both."""
    noise: dict[str, Any] = {name: None for name in Trials.names() if name.endswith("_noise")}
    return {
        "no noise": replace(trials, **noise),
        "no loads": trials.without_loads(),
        "no noise, no loads": replace(trials.without_loads(), **noise),
    }


def _by_cause(conditions: dict[str, Losses]) -> dict[str, dict[str, float]]:
    """The excess by cause and kind: differences between conditions, which add up."""
    ladder = [conditions[name] for name in ("no noise, no loads", "no noise", "as it is")]
    levels = [
        {"error": one.error - one.reference_error, "energy": one.energy - one.reference_energy}
        for one in ladder
    ]
    below = [{"error": 0.0, "energy": 0.0}, *levels]
    return {
        cause: {kind: level[kind] - before[kind] for kind in KINDS}
        for cause, level, before in zip(CAUSES, levels, below, strict=False)
    }


def _ran(task: Task, pair: _Handover, trials: Trials) -> Trajectory:
    """What happens under a pair of controllers, whose weights are known already."""
    return ClosedLoop(task, pair).simulate(trials.initial_state.new_zeros(0), trials)


def _held_against(task: Task, own: Trajectory, reference: Trajectory, trials: Trials) -> Losses:
    """The losses of trials that both ran."""
    return Losses(*_split(task, own, trials), *_split(task, reference, trials))


def _split(task: Task, done: Trajectory, trials: Trials) -> tuple[float, float]:
    """The mean loss of trials that ran: what the states cost, and what the commands add."""
    whole = task.cost.losses(done.states, done.commands, trials).mean()
    states = task.cost.losses(done.states, torch.zeros_like(done.commands), trials).mean()
    return float(states), float(whole - states)


class _Undelayed(DerivedTask):
    """The same task with the present state as feedback."""

    def __init__(self, source: Task) -> None:
        self._source = source

    @property
    def source(self) -> Task:
        """The task with the delay."""
        return self._source

    @property
    def delay_steps(self) -> int:
        """0: no delay."""
        return 0

    @property
    def senses(self) -> Senses | None:
        """Those of the task with the delay, without delays."""
        own: Senses | None = getattr(self.source, "senses", None)
        return None if own is None else own.without_delays()

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return what the task with the delay draws."""
        return self.source.trials(generator, dtype=dtype, device=device)


@dataclass(frozen=True)
class _Handover:
    """A controller for its first steps and ILQG from then on; both see every step.

    Its memory is ILQG's estimate and the command that was given, what ILQG would have given, and
    the other controller's memory.
    """

    controller: Controller
    weights: Any
    guide: LinearFeedback
    tables: FeedbackWeights
    own_steps: int

    parameter_count = 0

    @property
    def dt_s(self) -> float:
        return self.controller.dt_s

    @property
    def command_size(self) -> int:
        return self.controller.command_size

    @property
    def noise_size(self) -> int:
        return self.controller.noise_size

    def initial_parameters(self, generator: torch.Generator, **place: Any) -> Tensor:
        del generator
        return torch.zeros(0, **place)

    def unpack(self, parameters: Tensor) -> None:
        del parameters

    def initial_memory(self, weights: None, batch: int) -> tuple[Tensor, ...]:
        del weights
        estimate, command = self.guide.initial_memory(self.tables, batch)
        own = self.controller.initial_memory(self.weights, batch)
        return (estimate, command, command, *own)

    def step(
        self,
        weights: None,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        del weights
        (estimate, wanted), _ = self.guide.step(
            self.tables, memory[:2], observation, target, t, None
        )
        own, given = self.controller.step(self.weights, memory[3:], observation, target, t, noise)
        command = given if t < self.own_steps else wanted
        return (estimate, command, wanted, *own), command

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return unit_rates(self.controller, memory[3:])


def _departure(task: Task, pair: _Handover, done: Trajectory, trials: Trials) -> Departure:
    """How the commands of a controller that acted throughout depart from ILQG's."""
    n, seen = task.plant.state_size, task.plant.state_size * pair.guide.delay_steps
    estimate, wanted = done.memory[0], done.memory[2]
    departure = done.commands - wanted
    times = tuple(task.plant.dt_s * t for t in range(task.steps))
    parts = pair.rates(done.memory) if done.memory[3:] else ()
    if not parts:
        return Departure(times, _by_step(departure), None, None, {})
    rates = torch.cat([part.flatten(2) for part in parts], dim=-1)
    present = torch.cat([estimate[..., :n], estimate[..., seen + n :]], dim=-1)
    wrong = pair.tables.feedback @ (_read_out(_timed(rates), present) - present).unsqueeze(-1)
    by_estimate = wrong.squeeze(-1)
    loads = [part for part in (trials.load, trials.hand_force) if part is not None]
    inputs = {"units": rates, "clock": _timed(rates)}
    inputs["state"] = torch.cat([rates, done.states[:, :-1]], dim=-1)
    if loads:
        inputs["load"] = torch.cat([rates, *loads], dim=-1)
    return Departure(
        times_s=times,
        total=_by_step(departure),
        estimate=_by_step(by_estimate),
        gain=_by_step(departure - by_estimate),
        unread={name: _rms(wanted - _read_out(one, wanted)) for name, one in inputs.items()},
    )


def _timed(rates: Tensor) -> Tensor:
    """Return rates (B, T, u), time, and their products up to the square of time."""
    time = torch.linspace(0, 1, rates.shape[1], dtype=rates.dtype, device=rates.device)
    whole = torch.cat([rates, torch.ones_like(rates[..., :1])], dim=-1)
    return torch.cat([rates, *(time[:, None] ** k * whole for k in (1, 2))], dim=-1)


def _by_step(values: Tensor) -> tuple[float, ...]:
    """Root mean square over trials and actuators of each step, of (B, T, m)."""
    return tuple(values.square().mean((0, 2)).sqrt().tolist())


def _rms(values: Tensor) -> float:
    """Root mean square of all numbers."""
    return float(values.square().mean().sqrt())


def _read_out(inputs: Tensor, wanted: Tensor) -> Tensor:
    """Return what a linear read-out of inputs says, fitted on other trials than it is read on.

    Args:
        inputs: (B, T, i).
        wanted: What it is fitted to, (B, T, j).
    """
    half = len(inputs) // 2
    read = torch.empty_like(wanted)
    for fit, use in ((slice(half, None), slice(half)), (slice(half), slice(half, None))):
        x, y = inputs[fit].flatten(0, -2), wanted[fit].flatten(0, -2)
        center, middle = x.mean(0), y.mean(0)
        x, y = x - center, y - middle
        size = x.square().mean(0).sqrt().clamp(min=1e-12)
        x = x / size
        square = x.mT @ x
        square.diagonal().add_(_RIDGE * square.diagonal().sum())
        weights = torch.linalg.solve(square, x.mT @ y)
        read[use] = (inputs[use] - center) / size @ weights + middle
    return read
