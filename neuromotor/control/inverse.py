"""Inverse optimal control: which settings of a task make measured movements the likeliest.

Whoever moved is taken for an optimal feedback controller (`ILQG`) of the task with other cost
weights, sizes of noise or other settings. These are found by maximum likelihood
(`control.likelihood`) of the logarithms of the settings; intervals come from the curvature there.

Weights of a cost that are multiplied by one factor change no movement, so that one of them must be
left as it is. A plant that is not linear is linearised along the mean trajectories of the settings
found last.

Source: Schultheis, Straub & Rothkopf (2021).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize, stats
from torch import Tensor

from neuromotor._checks import check_finite_tensor, check_integer, check_positive, lookup
from neuromotor._showing import TableInNotebooks
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.closed_loop.dynamics import roll_out
from neuromotor.control.ilqr import ILQR
from neuromotor.control.likelihood import Measurement, log_likelihoods
from neuromotor.control.linear_design import (
    check_design,
    distinct,
    gains_in_turn,
    jacobians,
    linearized,
)
from neuromotor.control.lqg import LQG
from neuromotor.control.uncertainty import Uncertainty
from neuromotor.optim.result import Stopwatch
from neuromotor.plants.signals import signals_of
from neuromotor.tasks.senses import SensesInUse
from neuromotor.tasks.task import DerivedTask, Task
from neuromotor.tasks.trials import Trials

__all__ = ["Inference", "Profile", "infer", "log_likelihood"]

_FLOOR = 1e-6  # least standard deviation of sensory noise that the agent assumes, as `ILQG` has it
_ROUNDS = 200  # of feedback and filter gains
_SETTLED = 1e-10  # fraction by which expected losses change in the last of them
_STEP = 2e-3  # of a logarithm, for differences of the log-likelihood
_FLAT = 1e-2  # derivative of the log-likelihood below which nothing is left to climb
_GAIN = 1e-4  # twice what a Newton step would add to the log-likelihood at its maximum
_LINEARIZATIONS = 5
_MOVED = 1e-3  # of a logarithm; a new linearisation that moves the maximum by less is the last
_RANGE = math.log(1e4)  # how far logarithms are searched to both sides of the start
_SCATTER = math.log(4)  # how far starts are scattered
_WIDE = math.log(100)  # half an interval above which a setting counts as not identified
_AT_ONCE = 1 << 22  # numbers in the covariances of all trials that are computed side by side

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Profile:
    """The log-likelihood of one setting's values, with all other settings the best for each."""

    values: tuple[float, ...]
    log_likelihoods: tuple[float, ...]


@dataclass(frozen=True)
class Inference(TableInNotebooks):
    """Settings that were inferred from movements.

    Attributes:
        values: The likeliest value of each setting.
        intervals: Their intervals of the chosen level; None where a setting is not identified.
        log_likelihood: Of all trials at these values.
        converged: Whether the search met its tolerance.
        reason: Why it ended, and which settings are not identified, in words.
        trials: Number of trials.
        measurements: Numbers that were measured in all trials.
        evaluations: For how many settings control was designed.
        seconds: Wall-clock time.
        level: Probability with which an interval holds the true value.
        profiles: By setting, where they were asked for.
    """

    values: dict[str, float]
    intervals: dict[str, tuple[float, float] | None]
    log_likelihood: float
    converged: bool
    reason: str
    trials: int
    measurements: int
    evaluations: int
    seconds: float
    level: float = 0.95
    profiles: dict[str, Profile] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return dataclasses.asdict(self)


@torch.no_grad()
@torch_threads()
def log_likelihood(
    task: Task,
    trials: Trials,
    measured: Tensor,
    *,
    signals: Sequence[str] = ("state",),
    measurement_noise: float = 1e-6,
) -> Tensor:
    """Return the log of the density of each trial's movement under optimal control of a task, (B,).

    Args:
        task: As for `infer`.
        trials: As for `infer`.
        measured: As for `infer`.
        signals: As for `infer`.
        measurement_noise: As for `infer`.

    Raises:
        ValueError: See `infer`.
    """
    data = _Data.checked(task, trials, measured, (), signals, measurement_noise)
    found: Tensor = data.assess([()], data.commands(()))[0]
    return found


@torch.no_grad()
@torch_threads()
def infer(
    task: Task,
    trials: Trials,
    measured: Tensor,
    names: Sequence[str],
    *,
    start: Mapping[str, float] | None = None,
    signals: Sequence[str] = ("state",),
    measurement_noise: float = 1e-6,
    level: float = 0.95,
    profile_points: int = 0,
    starts: int = 3,
    iterations: int = 100,
    progress: Progress = lambda words: None,
) -> Inference:
    """Return the settings of a task under which movements are the likeliest, with intervals.

    The agent that moved knows start, target, plant, delay and the sizes of noise and loads, as
    `ILQG` does. Sizes of noise are those of the task where it has them, else the root mean squares
    of the trials' draws, which are not used otherwise. Loads count as known to whoever measures.

    Args:
        task: What was done; whatever is not inferred must be right.
        trials: B trials: starts, targets and loads.
        measured: Signals before each step, from the start on, (B, S, k) with S up to T + 1. The
            first are not used, since the start is known.
        names: Settings of the task, such as `energy_weight`, `noise` or `plant.damping`, each a
            number above zero. One weight of the cost must be left out.
        start: Where the search begins, by name; the task's own values by default.
        signals: Which signals of the plant were measured, in order (`plants.signals_of`), such as
            `state`, all of it, or `hand_position`.
        measurement_noise: Standard deviation of noise that the measurement adds to each number (in
            its unit). It must be above zero: it keeps densities regular where the plant moves
            without noise.
        level: Probability of the intervals.
        profile_points: Points of each setting's profile, over three standard errors to both sides;
            0 makes none.
        starts: From how many points the search begins: `start`, and the likeliest of some that are
            scattered around it by factors up to 4. The best end counts. Densities of movements have
            several maxima where noise grows with commands.
        iterations: Largest number of iterations of a search, for each linearisation.
        progress: Called with what is going on, in words.

    Raises:
        TypeError: A part is of the wrong type.
        ValueError: Something does not fit, a setting is no number above zero, a force field acts,
            or there is no design of ILQG for the task.

    Example:
        >>> from neuromotor.closed_loop import ClosedLoop
        >>> from neuromotor.control import ILQG
        >>> from neuromotor.plants import PointMass
        >>> from neuromotor.tasks import CenterOut
        >>> task = CenterOut(
        ...     PointMass(dt_s=0.02), 0.1, 1, steps=12, noise=0.2, sensory_noise=0.01, repeats=20
        ... )
        >>> trials = task.trials()
        >>> agent = ILQG().design(task, trials)
        >>> moved = ClosedLoop(task, agent.controller).simulate(agent.parameters, trials)
        >>> found = infer(task, trials, moved.states, ["noise"], start={"noise": 0.4})
        >>> low, high = found.intervals["noise"]
        >>> low < 0.2 < high
        True
    """
    check_integer("starts", starts, minimum=1)
    check_integer("iterations", iterations, minimum=1)
    check_integer("profile_points", profile_points, minimum=0)
    if not 0 < level < 1:
        raise ValueError(f"`level` must be between 0 and 1, got {level!r}.")
    if not names:
        raise ValueError("`names` must hold at least one setting, got none.")
    data = _Data.checked(task, trials, measured, tuple(names), signals, measurement_noise)
    unknown = [name for name in start or {} if name not in data.names]
    if unknown:
        raise ValueError(
            f"`start` must give values for settings of `names`, {', '.join(names)}, got "
            f"{', '.join(unknown)}."
        )
    watch = Stopwatch()
    search = _Search(data, progress)
    first = search.begin({**data.settings(), **(start or {})})
    met, end = search.best(first, starts, iterations)
    hessian = search.hessian(end)
    edge = [name for name, far in zip(data.names, _beyond(end, first), strict=True) if far]
    z = float(stats.norm.ppf(0.5 + level / 2))
    errors, flat = _standard_errors(hessian, _WIDE / z)
    lost = [n for n, is_flat in zip(data.names, flat, strict=True) if is_flat or n in edge]
    values = {name: math.exp(x) for name, x in zip(data.names, end, strict=True)}
    intervals = {
        name: None if name in lost else (math.exp(x - z * error), math.exp(x + z * error))
        for name, x, error in zip(data.names, end, errors, strict=True)
    }
    profiles = None
    if profile_points:
        widths = np.where(np.isfinite(errors), np.minimum(3 * errors, _WIDE), _WIDE)
        profiles = search.profiles(end, hessian, widths, profile_points)
    reasons = [
        "the log-likelihood is at its maximum"
        if met
        else f"the search was not at its end after {iterations} iterations"
    ]
    if edge:
        reasons.append(f"{_listed(edge)} ran to the edge of the search, 10,000 times the start")
    weak = [name for name in lost if name not in edge]
    if weak:
        reasons.append(
            f"{_listed(weak)} not identified: the log-likelihood hardly changes with "
            f"{'it' if len(weak) == 1 else 'them together'}, so that there is no interval; "
            "leave a setting out, as one weight of a cost must be, or measure more trials"
        )
    return Inference(
        values=values,
        intervals=intervals,
        log_likelihood=-search.expansion(tuple(end))[0],
        converged=met and not edge,
        reason="; ".join(reasons),
        trials=len(trials),
        measurements=data.measured[:, 1:].numel(),
        evaluations=search.evaluations,
        seconds=watch.seconds,
        level=level,
        profiles=profiles,
    )


@dataclass(frozen=True)
class _Data:
    """Movements, and what is known of whoever made them."""

    task: Task
    trials: Trials
    quiet: Trials  # the G trials that differ
    index: Tensor  # which of these each trial is, (B,)
    measured: Tensor
    names: tuple[str, ...]
    signals: tuple[str, ...]
    measurement_noise: float

    @classmethod
    def checked(
        cls,
        task: Task,
        trials: Trials,
        measured: Tensor,
        names: tuple[str, ...],
        signals: Sequence[str],
        measurement_noise: float,
    ) -> _Data:
        """Return the data, or raise where something does not fit."""
        check_design(task, trials, True, "inverse optimal control")
        if trials.field is not None and bool((trials.field != 0).any()):
            raise ValueError(
                "`trials.field` must be None for inverse optimal control, whose agent knows no "
                "force field."
            )
        check_positive("measurement_noise", measurement_noise)
        known = signals_of(task.plant)
        for name in signals:
            lookup(f"signal of a {type(task.plant).__name__}", name, known)
        size = sum(len(known[name].labels) for name in signals)
        what = f"Axes: trial, time, numbers of {', '.join(signals)}."
        check_finite_tensor("measured", measured, (len(trials), None, size), hint=what)
        if not 2 <= measured.shape[1] <= task.steps + 1:
            raise ValueError(
                f"`measured` must cover 2 to {task.steps + 1} times, one before each step of the "
                f"task and one after the last, got {measured.shape[1]}."
            )
        if len(set(names)) < len(names):
            raise ValueError(f"`names` must differ from each other, got {', '.join(names)}.")
        trials = trials.to(dtype=torch.float64, device="cpu")
        quiet, index = distinct(trials.undisturbed())
        told = (names, tuple(signals), measurement_noise)
        return cls(task, trials, quiet, index, measured.double().cpu(), *told)

    def settings(self) -> dict[str, float]:
        """Return the task's own values by name."""
        return {name: _setting(self.task, name) for name in self.names}

    def changed(self, values: Sequence[float]) -> Task:
        """Return the task with other settings."""
        task: Any = self.task
        for name, value in zip(self.names, values, strict=True):
            task = _with(task, name.split("."), value)
        changed: Task = task
        return changed

    def commands(self, values: Sequence[float]) -> Tensor:
        """Return the mean commands of optimal control, (G, T, m)."""
        task = self.changed(values)
        nominal = ILQR().solve(task, self.quiet)
        problem = self._problem(task, nominal.states, nominal.commands)
        return gains_in_turn(problem, _ROUNDS, _SETTLED, lambda losses: None).means

    def assess(self, settings: Sequence[Sequence[float]], commands: Tensor) -> Tensor:
        """Return the log-likelihood of each trial under P settings, (P, B).

        Args:
            settings: Values of the settings.
            commands: Along whose trajectories the plant is linearised, (G, T, m).
        """
        size = 2 * self.task.plant.state_size * (SensesInUse.of(self.task).delay + 1)
        count = max(1, _AT_ONCE // (len(self.trials) * size**2))
        parts = [
            self._together(settings[i : i + count], commands)
            for i in range(0, len(settings), count)
        ]
        return torch.cat(parts)

    def _together(self, settings: Sequence[Sequence[float]], commands: Tensor) -> Tensor:
        problems, measurements = [], []
        for values in settings:
            task = self.changed(values)
            states = roll_out(task.plant, self.quiet, commands)
            problems.append(self._problem(task, states, commands))
            measurements.append(self._measurement(task, states, commands))
        problem, count = LQG.joined(problems), len(self.quiet)
        gains = gains_in_turn(problem, _ROUNDS, _SETTLED, lambda losses: None)
        index = torch.cat([self.index + i * count for i in range(len(settings))])
        pushes = [one.pushes for one in measurements if one.pushes is not None]
        measured = Measurement(
            torch.cat([one.values for one in measurements]),
            torch.cat([one.jacobian for one in measurements]),
            measurements[0].variance,
            torch.cat(pushes) if pushes else None,
        )
        found = log_likelihoods(problem, gains.feedback, gains.correction, index, measured)
        return found.view(len(settings), -1)

    def _problem(self, task: Task, states: Tensor, commands: Tensor) -> LQG:
        uncertainty = _sizes(task, self.trials)
        return linearized(task, self.quiet, states, commands, uncertainty, _FLOOR)

    def _measurement(self, task: Task, states: Tensor, commands: Tensor) -> Measurement:
        """Return what was measured as deviations from trajectories (G, T + 1, n)."""
        known = signals_of(task.plant)
        times = self.measured.shape[1]
        seen = states[:, :times]

        def told(state: Tensor) -> Tensor:
            return torch.cat([known[name].of(state) for name in self.signals], dim=-1)

        variance = torch.full_like(self.measured[0, 0], self.measurement_noise**2)
        return Measurement(
            values=self.measured - told(seen)[self.index],
            jacobian=jacobians(told, seen)[self.index],
            variance=variance,
            pushes=self._pushes(task, states[self.index], commands[self.index]),
        )

    def _pushes(self, task: Task, states: Tensor, commands: Tensor) -> Tensor | None:
        """Return what loads do to the next states, (B, T, n)."""
        load, force = self.trials.load, self.trials.hand_force
        if load is None and force is None:
            return None
        before = states[:, :-1]
        return task.plant.step(before, commands, load, force) - states[:, 1:]


class _Search:
    """The search for the likeliest logarithms of settings."""

    def __init__(self, data: _Data, progress: Progress) -> None:
        self.data = data
        self.progress = progress
        self.evaluations = 0
        self.commands = torch.empty(0)
        self.expansion = functools.cache(self.expand)

    def begin(self, values: Mapping[str, float]) -> NDArray[Any]:
        """Return the logarithms of a start."""
        for name in self.data.names:
            if not 0 < float(values[name]) < math.inf:
                raise ValueError(
                    f"`{name}` must begin above zero, got {values[name]!r}; give another value in "
                    "`start`."
                )
        return np.log([float(values[name]) for name in self.data.names])

    def assess(self, points: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Return the log-likelihoods at points."""
        self.evaluations += len(points)
        settings = [tuple(np.exp(point).tolist()) for point in points]
        found: NDArray[Any] = self.data.assess(settings, self.commands).sum(1).numpy()
        return found

    def best(self, first: NDArray[Any], starts: int, iterations: int) -> tuple[bool, NDArray[Any]]:
        """Return the best of several searches: whether it met its tolerance, and where it ended."""
        self.commands = self.data.commands(np.exp(first).tolist())
        points = [first]
        if starts > 1:
            draws = stats.qmc.Halton(len(first), seed=0).random(max(8, 4 * starts) * len(first))
            scattered = first + _SCATTER * (2 * draws - 1)
            self.progress(f"{len(scattered)} points around the start")
            order = np.argsort(-self.assess(list(scattered)))
            points += list(scattered[order[: starts - 1]])
        ends = []
        for number, point in enumerate(points):
            if starts > 1:
                self.progress(f"search {number + 1} of {starts}")
            met, end = self.run(point, first, iterations)
            ends.append((-self.expansion(tuple(end))[0], number, met, end, self.commands))
        _, _, met, end, self.commands = max(ends, key=lambda found: found[:2])
        self.expansion.cache_clear()
        return met, end

    def run(
        self, point: NDArray[Any], first: NDArray[Any], iterations: int
    ) -> tuple[bool, NDArray[Any]]:
        """Return whether a search met its tolerance, and where it ended."""

        def look(point: NDArray[Any]) -> None:
            if self.at_maximum(point) or _beyond(point, first).any():
                raise StopIteration

        minimize: Any = optimize.minimize  # its stubs cannot tell what these functions return
        for _ in range(_LINEARIZATIONS):
            self.commands = self.data.commands(np.exp(point).tolist())
            self.expansion.cache_clear()
            found: Any = minimize(
                lambda x: self.expansion(tuple(x))[0],
                point,
                jac=lambda x: self.expansion(tuple(x))[1],
                hess=lambda x: self.expansion(tuple(x))[2],
                method="trust-exact",
                callback=look,
                options={
                    "maxiter": iterations,
                    "gtol": _FLAT,
                    "initial_trust_radius": 0.25,
                    "max_trust_radius": 0.5,
                },
            )
            moved, point = np.abs(found.x - point).max(), found.x
            met = self.at_maximum(point)
            if not met or moved < _MOVED:
                return met, point
        return False, point

    def at_maximum(self, point: NDArray[Any]) -> bool:
        """Return whether a Newton step would raise the log-likelihood by next to nothing."""
        _, slope, hessian = self.expansion(tuple(point))
        if np.abs(slope).max() < _FLAT:
            return True
        bends, directions = np.linalg.eigh(hessian)
        return bool(bends[0] > 0 and ((slope @ directions) ** 2 / bends).sum() < _GAIN)

    def expand(self, point: tuple[float, ...]) -> tuple[float, NDArray[Any], NDArray[Any]]:
        """Return minus the log-likelihood, its gradient and its Hessian."""
        found = self.stencil(np.array(point), np.full(len(point), _STEP))
        words = ", ".join(
            f"{name} {math.exp(x):.4g}" for name, x in zip(self.data.names, point, strict=True)
        )
        self.progress(f"{words}: log-likelihood {-found[0]:.6g}")
        return found

    def stencil(
        self, point: NDArray[Any], widths: NDArray[Any]
    ) -> tuple[float, NDArray[Any], NDArray[Any]]:
        """Return the same by central differences of these widths, (p,)."""
        size, steps = len(point), np.diag(widths)
        pairs = [(i, j) for i in range(size) for j in range(i)]
        both = [sign * (steps[i] + steps[j]) for i, j in pairs for sign in (1, -1)]
        points = [point, *(point + steps), *(point - steps), *(point + step for step in both)]
        values = -self.assess(points)
        here, up, down, rest = np.split(values, [1, 1 + size, 1 + 2 * size])
        hessian = np.diag((up - 2 * here + down) / widths**2)
        for (i, j), ahead in zip(pairs, rest.reshape(-1, 2).sum(1), strict=True):
            mixed = ahead - up[i] - down[i] - up[j] - down[j] + 2 * here[0]
            hessian[i, j] = hessian[j, i] = mixed / (2 * widths[i] * widths[j])
        return float(here[0]), (up - down) / (2 * widths), hessian

    def hessian(self, point: NDArray[Any]) -> NDArray[Any]:
        """Return the Hessian with widths of half a standard error, had each setting none beside."""
        bends = self.expansion(tuple(point))[2].diagonal()
        return self.stencil(point, np.clip(0.5 / np.sqrt(np.maximum(bends, 1e-9)), 1e-3, 0.2))[2]

    def profiles(
        self, best: NDArray[Any], hessian: NDArray[Any], widths: NDArray[Any], count: int
    ) -> dict[str, Profile]:
        """Return each setting's profile; the others follow by Newton steps of one Hessian."""
        found, size = {}, len(best)
        for i, name in enumerate(self.data.names):
            self.progress(f"profile of {name}")
            others = [j for j in range(size) if j != i]
            shifts = np.linspace(-widths[i], widths[i], count)
            points = np.repeat(best[None], count, axis=0)
            points[:, i] += shifts
            inverse = np.linalg.pinv(hessian[np.ix_(others, others)], rcond=1e-6)
            points[:, others] -= shifts[:, None] * (inverse @ hessian[others, i])
            values = self.assess(list(points))
            for _ in range(2 if others else 0):
                steps = _STEP * np.eye(size)[others]
                near = [p + sign * step for p in points for step in steps for sign in (1, -1)]
                around = self.assess(near).reshape(count, len(others), 2)
                slopes = (around[..., 0] - around[..., 1]) / (2 * _STEP)
                tried = points.copy()
                tried[:, others] += np.clip(slopes @ inverse, -1, 1)
                after = self.assess(list(tried))
                better = after > values
                points[better], values = tried[better], np.maximum(after, values)
            found[name] = Profile(
                tuple(np.exp(points[:, i]).tolist()), tuple(float(v) for v in values)
            )
        return found


def _beyond(point: NDArray[Any], start: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which logarithms have left the range that is searched."""
    far: NDArray[np.bool_] = np.abs(point - start) > _RANGE
    return far


def _standard_errors(
    hessian: NDArray[Any], largest: float
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return standard errors of logarithms, and which of them have no say of their own.

    Directions in which the standard error would be above `largest` are flat; a setting with a share
    in one of them is not identified.
    """
    bends, directions = np.linalg.eigh(hessian)
    flat = bends < largest**-2
    part = directions[:, ~flat]
    errors = np.sqrt((part**2 / bends[~flat]).sum(1))
    lost = (np.abs(directions[:, flat]) > 0.1).any(1)
    return np.where(lost, np.inf, errors), lost


def _sizes(task: Task, trials: Trials) -> Uncertainty:
    """Return sizes of noise as the task says, where it does, and of loads as the trials have."""
    sizes = Uncertainty.from_trials(trials)
    inner = task
    while isinstance(inner, DerivedTask):
        inner = inner.source
    senses = SensesInUse.of(task)
    changes: dict[str, Any] = {}
    if hasattr(inner, "noise"):
        changes["command_noise"] = float(inner.noise)
    if senses.noisy or trials.sensory_noise is None:
        changes["sensory_noise"] = senses.noise
        changes["signal_noise"] = senses.signal_noise
    return replace(sizes, **changes)


def _setting(task: Any, name: str) -> float:
    """Return a number of a task by its name with dots."""
    value = task
    for word in name.split("."):
        names = [f.name for f in dataclasses.fields(value)] if _has_fields(value) else []
        if word not in names:
            raise ValueError(
                f"`names` must be settings of the task, got {name!r}; {type(value).__name__} has "
                f"{', '.join(names) or 'none'}."
            )
        value = getattr(value, word)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"`{name}` must be one number to be inferred, got {value!r}.")
    return float(value)


def _has_fields(value: object) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _with(component: Any, path: Sequence[str], value: float) -> Any:
    """Return a component with another number at the end of a path."""
    first, *rest = path
    inner = _with(getattr(component, first), rest, value) if rest else value
    return replace(component, **{first: inner})


def _listed(words: Sequence[str]) -> str:
    """Return words with commas and an `and`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
