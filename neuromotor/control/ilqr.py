"""Iterative LQR finds every trial's optimal open-loop commands; all trials are solved together.

Commands keep to the plant's `command_bounds`, if it has some: each step of the backward pass is a
quadratic program in the box that they leave, and feedback does not move commands that are clamped
to a bound.

The solver knows the trials' future loads, noise draws and cues, so that under disturbances its
loss is a clairvoyant lower bound.

Notation: x is the state, u the command, and x' = f(x, u) a step, with A = df/dx and B = df/du. V(x)
is the cost-to-go, and Q(x, u) what the step and the cost-to-go after it cost together. k are the
open-loop gains, K the feedback gains, mu is the regulariser and a the step size.

Source: Li & Todorov (2004) and Tassa, Erez & Todorov (2012), equations 5 to 13, whose parallel step
sizes and schedule of the regulariser serve each trial by itself here. Bounds are those of Tassa,
Mansard & Todorov (2014), section IV. A step is accepted by the ratio of true to expected
improvement, as in Crocoddyl (Mastalli et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.closed_loop.dynamics import advance, check_trials, linearize_plant, roll_out
from neuromotor.control.box_qp import solve_box_qp
from neuromotor.optim.result import Counts, Stopwatch
from neuromotor.plants.plant import Plant, holding_command, within_bounds
from neuromotor.tasks.cost import Expansion, expandable
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["ILQR", "ILQRResult"]


@dataclass(frozen=True)
class ILQRResult:
    """Optimal trajectories of a batch of B trials.

    Attributes:
        states: (B, T + 1, n).
        commands: (B, T, m).
        gains: Feedback gains K around them, (B, T, m, n); zero for commands at a bound.
        losses: Each trial's loss, (B,).
        trial_converged: Whether each trial met the tolerance, (B,). A trial that blew up did not;
            the plant's step is then too long for the trial's forces.
        reason: Why the solver stopped, in words.
        iterations: Number of backward passes.
        counts: Number of batches rolled out (`values`) and linearised (`gradients`).
        seconds: Wall-clock time.
        history: Mean loss at the start and after each iteration.
    """

    states: Tensor
    commands: Tensor
    gains: Tensor
    losses: Tensor
    trial_converged: Tensor
    reason: str
    iterations: int
    counts: Counts
    seconds: float
    history: tuple[float, ...]

    @property
    def value(self) -> float:
        """Mean loss over the trials."""
        return float(self.losses.mean())

    @property
    def converged(self) -> bool:
        """Whether every trial met the tolerance."""
        return bool(self.trial_converged.all())


@dataclass(frozen=True)
class _Model:
    """Result of a backward pass: gains, and the change that the model expects of a full step."""

    open_loop: Tensor  # k (B, T, m)
    gains: Tensor  # K (B, T, m, n)
    linear: Tensor  # first-order change of the loss at step size 1, (B,)
    quadratic: Tensor  # second-order change of the loss at step size 1, (B,)
    failed: Tensor  # Q_uu was not positive definite, (B,)


@dataclass(frozen=True)
class ILQR:
    """Batched iLQR with a regulariser and a step size for each trial.

    Attributes:
        iterations: Largest number of backward passes.
        tolerance: A trial has converged when a full step is expected to lower its loss by less
            than this fraction of it.
        regularizer_max: A trial has failed when its regulariser is larger than this.
        acceptance: Smallest ratio of true to expected improvement that is accepted.
        step_sizes: Number of step sizes tried side by side: 1.1^(-i^2) for i = 0, 1, ...

    Raises:
        ValueError: A setting is out of range.

    Example:
        >>> from neuromotor.tasks import CenterOut
        >>> task = CenterOut(directions=8)
        >>> ILQR().solve(task, task.trials()).converged
        True
    """

    iterations: int = 500
    tolerance: float = 1e-12
    regularizer_max: float = 1e10
    acceptance: float = 1e-4
    step_sizes: int = 10

    def __post_init__(self) -> None:
        check_integer("iterations", self.iterations, minimum=1)
        check_positive("tolerance", self.tolerance)
        check_positive("regularizer_max", self.regularizer_max)
        check_number("acceptance", self.acceptance, minimum=0.0)
        check_integer("step_sizes", self.step_sizes, minimum=1)

    @torch.no_grad()
    @torch_threads()
    def solve(
        self,
        task: Task,
        trials: Trials,
        commands: Tensor | None = None,
        callback: Callable[[int, float], None] | None = None,
    ) -> ILQRResult:
        """Minimise every trial's loss over its own commands.

        Args:
            task: Plant, cost and number of steps; its delay does not matter to open-loop commands.
            trials: B trials.
            commands: Commands to start from, (B, T, m); if absent those that hold the plant still
                at its start, or zeros for a plant without `holding_command`. Those beyond the
                plant's bounds start at the bound.
            callback: Called after each iteration with its number and the mean loss.

        Raises:
            ValueError: The trials do not fit the task, `commands` has the wrong shape, the first
                trajectory is not finite, or the task's cost does not say what it is to second
                order (`QuadraticCost.expansion`).
        """
        check_trials(task, trials)
        watch = Stopwatch()
        plant, cost = task.plant, expandable(task.cost, "iLQR")
        start = trials.initial_state
        shape = (len(trials), task.steps, plant.command_size)
        if commands is None:
            commands = holding_command(plant, start)[:, None].expand(shape)
        if commands.shape != shape:
            raise ValueError(f"`commands` must have shape {shape}, got {tuple(commands.shape)}.")
        commands = within_bounds(plant, commands.to(start)).clone()
        states = roll_out(plant, trials, commands)
        losses = cost.losses(states, commands, trials)
        if not bool(torch.isfinite(losses).all()):
            raise ValueError(
                "`commands` must give a finite trajectory to start from; start from zeros, from "
                f"smaller commands, or use steps shorter than the plant's `dt_s` of {plant.dt_s:g} "
                "s (and more of them)."
            )

        steps = 1.1 ** -torch.arange(self.step_sizes, dtype=start.dtype).square().to(start.device)
        steps = steps.view(-1, 1)  # (S, 1)
        regularizer = start.new_zeros(len(trials))
        growth = start.new_ones(len(trials))
        converged = torch.zeros(len(trials), dtype=torch.bool, device=start.device)
        failed = converged.clone()
        gains = start.new_zeros(*shape, plant.state_size)
        history = [float(losses.mean())]
        rollouts, linearizations, iteration = 1, 0, 0
        while iteration < self.iterations and bool((active := ~(converged | failed)).any()):
            iteration += 1
            # Only trials that have not ended are worked on.
            rows = active.nonzero().squeeze(-1)
            some = trials if len(rows) == len(trials) else trials.subset(rows)
            x, u, before, damping = states[rows], commands[rows], losses[rows], regularizer[rows]
            jacobians = linearize_plant(plant, some, x[:, :-1], u)
            a, b = torch.split(jacobians, [plant.state_size, plant.command_size], dim=-1)
            linearizations += 1
            model = _backward(cost.expansion(x, u, some), u, a, b, damping, plant)
            expected = -(model.linear + model.quadratic)
            solved = ~model.failed & (expected <= self.tolerance * before)
            gains[rows] = torch.where(model.failed.view(-1, 1, 1, 1), gains[rows], model.gains)

            new_states, new_commands = _search(plant, some, x, u, model, steps)
            rollouts += self.step_sizes
            new_losses = cost.losses(new_states, new_commands, some)  # (S, B)
            new_losses = new_losses.nan_to_num(nan=math.inf)
            best_losses, best = new_losses.min(dim=0)
            scale = steps[best, 0]
            promised = -(scale * model.linear + scale.square() * model.quadratic)
            accept = ~model.failed & (before - best_losses > self.acceptance * promised)
            accept &= promised > 0

            trial = torch.arange(len(rows), device=start.device)
            pick = accept.view(-1, 1, 1)
            states[rows] = torch.where(pick, new_states[best, trial], x)
            commands[rows] = torch.where(pick, new_commands[best, trial], u)
            losses[rows] = torch.where(accept, best_losses, before)
            # Near the optimum rounding decides whether a step helps; the trial stops there, too.
            ended = solved & ((damping < 1e-6) | ~accept)
            converged[rows] = ended
            damping, growth[rows] = _update_regularizer(damping, growth[rows], accept)
            regularizer[rows] = damping
            failed[rows] = ~ended & (damping > self.regularizer_max)
            history.append(float(losses.mean()))
            if callback is not None:
                callback(iteration, history[-1])

        blown = _blown_up(plant, states)
        converged &= ~blown
        if bool(blown.any()):
            reason = (
                f"{int(blown.sum())} of {len(trials)} trials blew up: they move by more than half "
                f"a turn (or {math.pi:.3g} m) within one step; use steps shorter than the plant's "
                f"`dt_s` of {plant.dt_s:g} s (and more of them), or weaker fields and loads"
            )
        elif bool(converged.all()):
            reason = f"every trial converged to a relative {self.tolerance:g}"
        elif bool(failed.any()):
            reason = (
                f"{int(failed.sum())} of {len(trials)} trials found no step that lowers the loss"
            )
        else:
            left = int((~converged).sum())
            reason = f"{left} of {len(trials)} trials unfinished after {iteration} iterations"
        return ILQRResult(
            states=states,
            commands=commands,
            gains=gains,
            losses=losses,
            trial_converged=converged,
            reason=reason,
            iterations=iteration,
            counts=Counts(values=rollouts, gradients=linearizations),
            seconds=watch.seconds,
            history=tuple(history),
        )


def _blown_up(plant: Plant, states: Tensor) -> Tensor:
    """Return whether a configuration changes by more than pi (rad or m) within a step, (B,).

    No limb does that, so that such numbers come from an unstable integration.
    """
    path = states[..., plant.state_parts["position"]]
    return (path[:, 1:] - path[:, :-1]).abs().flatten(1).amax(dim=1) > math.pi


def _search(
    plant: Plant, trials: Trials, states: Tensor, commands: Tensor, model: _Model, steps: Tensor
) -> tuple[Tensor, Tensor]:
    """Return states (S, B, T + 1, n) and commands (S, B, T, m) for every step size (S, 1)."""
    state = states[:, 0].expand(len(steps), -1, -1)
    new_states, new_commands = [state], []
    for t in range(commands.shape[1]):
        feedback = model.gains[:, t] @ (state - states[:, t]).unsqueeze(-1)
        change = steps.unsqueeze(-1) * model.open_loop[:, t] + feedback.squeeze(-1)
        command = within_bounds(plant, commands[:, t] + change)
        state = advance(plant, state, command, trials, t)
        new_states.append(state)
        new_commands.append(command)
    return torch.stack(new_states, dim=2), torch.stack(new_commands, dim=2)


def _backward(
    cost: Expansion, commands: Tensor, a: Tensor, b: Tensor, regularizer: Tensor, plant: Plant
) -> _Model:
    """Run the Riccati recursion from the last step to the first, with ``Q_uu + mu I``."""
    batch, steps, m = commands.shape
    n = a.shape[-1]
    l_x = cost.state.expand(batch, steps + 1, n).unsqueeze(-1)
    l_xx = cost.state_curvature.expand(batch, steps + 1, n, n)
    l_u = cost.command.expand(batch, steps, m).unsqueeze(-1)
    l_uu = cost.command_curvature.expand(batch, steps, m, m)
    eye = torch.eye(m, dtype=commands.dtype, device=commands.device)
    damping = regularizer.view(-1, 1, 1) * eye
    v_x, v_xx = l_x[:, -1], l_xx[:, -1]
    linear, quadratic = commands.new_zeros(batch), commands.new_zeros(batch)
    failed = torch.zeros(batch, dtype=torch.bool, device=commands.device)
    k = commands.new_zeros(batch, m, 1)
    open_loop, gains = [], []
    for t in reversed(range(steps)):
        a_t, b_t = a[:, t], b[:, t]
        q_x = l_x[:, t] + a_t.mT @ v_x
        q_u = l_u[:, t] + b_t.mT @ v_x
        q_xx = l_xx[:, t] + a_t.mT @ v_xx @ a_t
        q_ux = b_t.mT @ v_xx @ a_t
        if cost.mixed_curvature is not None:
            q_ux = q_ux + cost.mixed_curvature.expand(batch, steps, m, n)[:, t]
        q_uu = l_uu[:, t] + b_t.mT @ v_xx @ b_t
        damped = q_uu + damping
        factor, info = torch.linalg.cholesky_ex(damped)
        bad = info != 0
        failed |= bad
        if plant.command_bounds is None:
            factor = torch.where(bad.view(-1, 1, 1), eye, factor)
            solution = -torch.cholesky_solve(torch.cat([q_u, q_ux], dim=-1), factor)
            k, gain = solution[..., :1], solution[..., 1:]
        else:
            damped = torch.where(bad.view(-1, 1, 1), eye, damped)
            low, high = (
                commands.new_tensor(bound) - commands[:, t] for bound in plant.command_bounds
            )
            box = solve_box_qp(damped, q_u.squeeze(-1), low, high, k.squeeze(-1))
            k = box.point.unsqueeze(-1)
            gain = -torch.cholesky_solve(box.free.unsqueeze(-1) * q_ux, box.factor)
        linear += (k.mT @ q_u).flatten()
        quadratic += 0.5 * (k.mT @ q_uu @ k).flatten()
        v_x = q_x + gain.mT @ (q_uu @ k + q_u) + q_ux.mT @ k
        v_xx = q_xx + gain.mT @ (q_uu @ gain + q_ux) + q_ux.mT @ gain
        v_xx = 0.5 * (v_xx + v_xx.mT)
        open_loop.append(k.squeeze(-1))
        gains.append(gain)
    return _Model(
        open_loop=torch.stack(open_loop[::-1], dim=1),
        gains=torch.stack(gains[::-1], dim=1),
        linear=linear,
        quadratic=quadratic,
        failed=failed,
    )


def _update_regularizer(
    regularizer: Tensor, growth: Tensor, accept: Tensor
) -> tuple[Tensor, Tensor]:
    """Follow the quadratic schedule of Tassa et al. (2012), section II-F: factor 2, floor 1e-10."""
    factor, floor = 2.0, 1e-10
    shrink = torch.clamp(growth / factor, max=1 / factor)
    grow = torch.clamp(growth * factor, min=factor)
    growth = torch.where(accept, shrink, grow)
    regularizer = torch.where(
        accept, regularizer * shrink, torch.clamp(regularizer * grow, min=floor)
    )
    return torch.where(accept & (regularizer < floor), 0.0, regularizer), growth
