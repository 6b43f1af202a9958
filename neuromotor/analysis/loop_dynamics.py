"""Fixed points and modes of the whole loop: controller, feedback delay and limb together.

Notation: the loop's state w holds the controller's memory m, the limb's state x[t] and those of the
last tau steps, which the senses look back to, tau being the longest delay. G is one step under
inputs that are held; J = dG/dw at a fixed point has eigenvalues mu with right and left
eigenvectors v and u (u^H v = 1).

    w = [m, x[t], x[t - 1], ..., x[t - tau]]
    G: o = senses of w;  m, command = controller(m, o);  x = limb(x[t], command);  states move on
    mode: s = ln(mu) / dt; time constant -1 / Re s, frequency |Im s| / 2 pi,
          damping ratio -Re s / |s|
    participation of number i in a mode: |u_i v_i| over its sum

At a fixed point all past states are the present one, so points are searched in (m, x) alone, and J
is that of the whole w. Target, cues, load, force on the hand and field are held as they are in one
trial at one time; noise is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eig
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.analysis.fixed_points import FixedPoints, find_fixed_points
from neuromotor.analysis.jacobians import with_jacobian
from neuromotor.analysis.recording import recorded_run
from neuromotor.analysis.section import Findings, Material, SectionSpec
from neuromotor.closed_loop import ClosedLoop, check_trials
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.closed_loop.dynamics import advance
from neuromotor.controllers import Controller
from neuromotor.tasks import SensesInUse, Task, Trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LoopDynamics", "LoopModes", "loop_dynamics", "plot_loop_dynamics"]

_SHOWN = 6  # modes in a report
_NO_MODE = 1e-6  # moduli below are the delay line's shift, which is no mode


@dataclass(frozen=True)
class LoopModes:
    """Modes of the loop at one fixed point, slowest decay first; M modes, p parts.

    Modes that vanish within a few steps (|mu| below 1e-6), as those of the delay line, are left
    out. Of a pair of complex modes the one with positive frequency stands for both.

    Attributes:
        eigenvalues: mu, (M,).
        frequencies_hz: (M,).
        time_constants_s: Time to decay to 1/e, negative where a mode grows, (M,).
        damping_ratios: 1 without oscillation, 0 where it never decays, negative where it grows,
            (M,).
        participation: Share of each part in each mode, (M, p); rows sum to 1.
        parts: Names of the parts: layers, the limb's parts, the delay line.
        vectors: Right eigenvectors, (M, W).
    """

    eigenvalues: NDArray[np.complex128]
    frequencies_hz: NDArray[np.float64]
    time_constants_s: NDArray[np.float64]
    damping_ratios: NDArray[np.float64]
    participation: NDArray[np.float64]
    parts: tuple[str, ...]
    vectors: NDArray[np.complex128]


@dataclass(frozen=True)
class LoopDynamics:
    """Fixed points of the whole loop under held inputs; F points, W numbers in a state.

    Attributes:
        points: Memory, limb and delay line, (F, W), slowest first.
        speed: How far one step goes, over its length, in mixed units (1/s), (F,).
        converged: Whether a point is fixed, not only slow, (F,).
        stable: Whether every mode decays, (F,).
        hand_position: Hand at each point (m), (F, d).
        found_from: Starts that led to each, (F,).
        jacobians: J at each, (F, W, W).
        modes: Modes at each.
        dt_s: Step length (s).
    """

    points: NDArray[np.float64]
    speed: NDArray[np.float64]
    converged: NDArray[np.bool_]
    stable: NDArray[np.bool_]
    hand_position: NDArray[np.float64]
    found_from: NDArray[np.int64]
    jacobians: NDArray[np.float64]
    modes: tuple[LoopModes, ...]
    dt_s: float


@torch_threads()
def loop_dynamics(
    task: Task,
    controller: Controller,
    parameters: Tensor,
    trials: Trials | None = None,
    *,
    trial: int = 0,
    at_step: int | None = None,
    starts: int = 4,
    tolerance: float = 1e-6,
    iterations: int = 100,
) -> LoopDynamics:
    """Return the fixed points of controller, delay line and limb, and the modes around them.

    Args:
        task: Plant, senses and delay.
        controller: Anything that is differentiable; its private noise is left out.
        parameters: Its parameters, (P,).
        trials: The batch; the task's own by default.
        trial: Trial whose inputs are held.
        at_step: Step at which they are taken; the last by default. Loads that end before it are
            not held.
        starts: States that the trials visit to start from, at even times of all trials.
        tolerance: Speed (1/s) below which a point counts as fixed.
        iterations: Most Levenberg-Marquardt steps.

    Raises:
        ValueError: Trial or step does not exist, or the parts do not fit together.

    Example:
        >>> from neuromotor import load_controller
        >>> saved = load_controller("center-out/best")
        >>> found = loop_dynamics(saved.task, saved.controller, saved.parameters, starts=1)
        >>> bool(found.converged[0]), found.modes[0].parts[:2]
        (True, ('layer 1', 'layer 2'))
    """
    check_integer("starts", starts, minimum=1)
    theta = parameters.detach().double()
    if trials is None:
        trials = task.trials(dtype=torch.float64)
    trials = trials.to(dtype=torch.float64)
    check_trials(task, trials)
    at_step = task.steps - 1 if at_step is None else at_step
    for name, value, count in (("trial", trial, len(trials)), ("at_step", at_step, task.steps)):
        check_integer(name, value, minimum=0)
        if value >= count:
            raise ValueError(f"`{name}` must be below {count}, got {value}.")
    loop = ClosedLoop(task, controller)
    with torch.no_grad():
        run = loop.simulate(theta, trials)
    held = _Held(task, controller, theta, _without_noise(trials.subset(slice(trial, trial + 1))))
    step = held.step_at(at_step)
    visited = torch.cat([*run.memory, run.states[:, 1:]], dim=-1)
    visited = visited.reshape(-1, visited.shape[-1])
    chosen = torch.linspace(0, len(visited) - 1, starts).round().long()
    present = visited.shape[-1]
    reached = find_fixed_points(
        lambda w: step(held.filled(w))[:, :present],
        visited[chosen],
        task.plant.dt_s,
        tolerance=tolerance,
        iterations=iterations,
    )
    return _described(held, step, reached)


class _Held:
    """The loop's step with the inputs of one trial held."""

    def __init__(self, task: Task, controller: Controller, parameters: Tensor, one: Trials) -> None:
        self.task, self.controller, self.one = task, controller, one
        self.weights = controller.unpack(parameters)
        self.senses = SensesInUse.of(task)
        memory = controller.initial_memory(self.weights, 1)
        self.sizes = [part.shape[-1] for part in memory]
        self.memory = sum(self.sizes)
        self.limb = task.plant.state_size
        self.late = self.senses.delay

    def filled(self, present: Tensor) -> Tensor:
        """Return whole states (S, W) of memory and limb (S, m + n), the past being the present."""
        x = present[:, self.memory :]
        return torch.cat([present, x.repeat(1, self.late)], dim=-1)

    def step_at(self, t: int) -> Callable[[Tensor], Tensor]:
        """Return G, (S, W) to (S, W), each row by itself."""
        senses, plant = self.senses, self.task.plant
        told = senses.told_over_time(self.one)
        target = senses.told(self.one.target) if told is None else told[:, t]
        start, n = self.memory, self.limb

        def step(w: Tensor) -> Tensor:
            count = len(w)

            def ago(steps: int) -> Tensor:
                return w[:, start + steps * n : start + (steps + 1) * n]

            seen = senses.sensed(ago, lambda _: None)
            noise = w.new_zeros(count, self.controller.noise_size)
            memory, command = self.controller.step(
                self.weights,
                torch.split(w[:, :start], self.sizes, dim=-1) if self.sizes else (),
                seen,
                target.expand(count, -1),
                t,
                noise if self.controller.noise_size else None,
            )
            x = advance(plant, ago(0), command, _repeated(self.one, count), t)
            return torch.cat([*memory, x, w[:, start : start + n * self.late]], dim=-1)

        return step

    def parts(self) -> dict[str, NDArray[np.int64]]:
        """Return which numbers of a state belong to which part."""
        place = np.arange(self.memory + self.limb * (1 + self.late))
        layers = getattr(self.controller, "layers", ())
        word = "layer" if len(layers) == len(self.sizes) else "memory"
        found: dict[str, NDArray[np.int64]] = {}
        first = 0
        for i, size in enumerate(self.sizes):
            found[f"{word} {i + 1}"] = place[first : first + size]
            first += size
        for name, where in self.task.plant.state_parts.items():
            found[name] = place[self.memory : self.memory + self.limb][where]
        if self.late:
            found["delay line"] = place[self.memory + self.limb :]
        return found


def _without_noise(trials: Trials) -> Trials:
    """Return trials without draws: of commands, plant, senses and units."""
    return replace(
        trials,
        command_noise=None,
        plant_noise=None,
        sensory_noise=None,
        signal_noise=None,
        unit_noise=None,
    )


def _repeated(one: Trials, count: int) -> Trials:
    """Return one trial so many times."""
    return one.subset(torch.zeros(count, dtype=torch.long))


def _described(held: _Held, step: Callable[[Tensor], Tensor], reached: FixedPoints) -> LoopDynamics:
    """Return the points with the modes of the whole loop."""
    points = held.filled(torch.from_numpy(reached.points))
    _, jacobians = with_jacobian(step, points)
    dt_s, parts = held.task.plant.dt_s, held.parts()
    limb = points[:, held.memory : held.memory + held.limb]
    every = [_modes(own.numpy(), dt_s, parts) for own in jacobians]
    return LoopDynamics(
        points=points.numpy(),
        speed=reached.speed,
        converged=reached.converged,
        stable=np.array([bool((np.abs(own.eigenvalues) < 1).all()) for own in every]),
        hand_position=held.task.plant.hand_position(limb).numpy(),
        found_from=reached.found_from,
        jacobians=jacobians.numpy(),
        modes=tuple(every),
        dt_s=dt_s,
    )


def _modes(
    jacobian: NDArray[np.float64], dt_s: float, parts: dict[str, NDArray[np.int64]]
) -> LoopModes:
    """Return the modes of a Jacobian."""
    found: Any = eig(jacobian, left=True, right=True)
    mu, left, right = found
    kept = [i for i in np.argsort(-np.abs(mu)) if np.abs(mu[i]) > _NO_MODE and mu[i].imag >= 0]
    mu, left, right = mu[kept], left[:, kept], right[:, kept]
    shares = np.abs(left * right)
    shares = shares / shares.sum(0)
    s = np.log(mu.astype(np.complex128)) / dt_s
    with np.errstate(divide="ignore", invalid="ignore"):
        constants = -1 / s.real
        ratios = np.where(np.abs(s) > 0, -s.real / np.abs(s), 1.0)
    return LoopModes(
        eigenvalues=mu,
        frequencies_hz=np.abs(s.imag) / (2 * np.pi),
        time_constants_s=constants,
        damping_ratios=ratios,
        participation=np.stack([shares[own].sum(0) for own in parts.values()], axis=1),
        parts=tuple(parts),
        vectors=right.T,
    )


def plot_loop_dynamics(found: LoopDynamics, point: int = 0, modes: int = 8) -> Figure:
    """Draw the eigenvalues of the loop at a fixed point, and what takes part in its slowest modes.

    Args:
        found: Fixed points.
        point: Which of them.
        modes: How many modes are drawn.
    """
    from neuromotor.analysis.drawing import panels
    from neuromotor.analysis.fixed_points import draw_eigenvalues
    from neuromotor.plotting import COLORS

    own = found.modes[point]
    shown = min(modes, len(own.eigenvalues))
    with panels(1, 2, figsize=(7.2, 3.0), width_ratios=(1, 1.4)) as (figure, (left, right)):
        mu = own.eigenvalues
        draw_eigenvalues(left, np.concatenate([mu, mu.conj()]))
        left.set_title("eigenvalues of one step")
        before = np.zeros(shown)
        for i, part in enumerate(own.parts):
            share = own.participation[:shown, i]
            color = COLORS[i % len(COLORS)]
            right.barh(range(shown), share, left=before, color=color, label=part)
            before = before + share
        words = [
            f"{hz:.2g} Hz, {1e3 * constant:.3g} ms"
            for hz, constant in zip(
                own.frequencies_hz[:shown], own.time_constants_s[:shown], strict=True
            )
        ]
        right.set_yticks(range(shown), words, fontsize=6)
        right.invert_yaxis()
        right.set(xlabel="participation", xlim=(0, 1))
        right.set_title("slowest modes: frequency, time constant")
        figure.legend(loc="outside lower center", ncols=min(len(own.parts), 6), fontsize=6)
    return figure


def _section(given: Material) -> Findings:
    """Fixed points and modes of the loop at the end of the first recorded trial."""
    network = given.network
    task, trials = recorded_run(given.recording)
    found = loop_dynamics(task, network.controller, network.parameters, trials)
    modes = found.modes[0]
    numbers: dict[str, Any] = {
        "fixed_points": found.converged.sum(),
        "slow_points": (~found.converged).sum(),
        "speed_1_s": found.speed[0],
        "stable": bool(found.stable[0]),
        "hand_from_target_cm": 1e2 * _off_target(task, trials, found),
    }
    for i in range(min(_SHOWN, len(modes.eigenvalues))):
        row = {
            "frequency_hz": modes.frequencies_hz[i],
            "time_constant_ms": 1e3 * modes.time_constants_s[i],
            "damping_ratio": modes.damping_ratios[i],
        }
        row |= {
            f"share_of_{name.replace(' ', '_')}": share
            for name, share in zip(modes.parts, modes.participation[i], strict=True)
        }
        numbers[f"mode {i + 1}"] = row
    text = (
        "Network, feedback delay and limb as one system, with target and load held as they are at "
        "the end of the first trial. Numbers and figure describe the slowest point that was "
        "found. Modes are in order of their decay, slowest first; a share says how much of a part "
        "takes part in a mode."
    )
    return Findings(text, numbers, {"loop": partial(plot_loop_dynamics, found)})


def _off_target(task: Task, trials: Trials, found: LoopDynamics) -> float:
    """Return how far the hand of the first point is from the first trial's target (m)."""
    target = task.plant.hand_position(trials.end[:1].double()).numpy()[0]
    return float(np.linalg.norm(found.hand_position[0] - target))


SECTION = SectionSpec(
    "loop",
    "Fixed points and modes of the whole loop",
    142,
    _section,
    ("controller", "loop"),
    lambda _: 60.0,
    reading="Points near the circle are modes that fade slowly, and the circle is the reference, "
    "beyond which modes grow.",
)
