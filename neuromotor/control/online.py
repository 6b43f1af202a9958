"""Online trajectory optimisation plans anew at every step, from the present observation.

Source: Sutskever (2013), section 6.1. The method's weaknesses are kept on purpose, because it
serves as a reference: it takes the delayed observation as the present state, and ignores
disturbances. As the horizon shrinks, each plan corrects errors faster; under a delay this becomes
unstable.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_positive
from neuromotor.control.ilqr import ILQR
from neuromotor.controllers.controller import ZeroStart, check_parameters
from neuromotor.plants.plant import Plant, holding_command, within_bounds
from neuromotor.tasks.cost import QuadraticCost, quadratic
from neuromotor.tasks.senses import SensesInUse, check_state_sensed
from neuromotor.tasks.task import DerivedTask, Task
from neuromotor.tasks.trials import Trials

__all__ = ["OnlineTrajectoryOptimization"]


@dataclass(frozen=True)
class OnlineTrajectoryOptimization(ZeroStart):
    """A controller that re-solves iLQR over the remaining steps and gives the first command.

    It has no parameters and cannot be differentiated; run it in a `ClosedLoop` with an empty
    parameter vector. It plans for one target and refuses cues. Its memory is the plan, (B, T m),
    whose past steps hold the commands that were given; each plan starts from the last one.

    Attributes:
        task: Plant, cost and horizon.
        iterations: Largest number of iLQR iterations in a step; docs/references.md shows that 2 are
            enough.
        first_iterations: The same for the first step, which has no plan to start from.
        predictive: Whether the plant and the commands given since then first carry the observation
            forward to the present; this ignores disturbances too.
        command_limit: Largest size of each command (N m or N), which plans ignore; they keep to the
            `command_bounds` of a plant that has some. Without a limit an unstable loop may
            overflow; a trial that cannot be planned for gets zero commands.
        ilqr: Settings of the solver; its `iterations` are replaced.

    Raises:
        ValueError: A count is below 1, `command_limit` is not positive, or the task's cost is no
            plain `QuadraticCost`.
    """

    task: Task
    iterations: int = 2
    first_iterations: int = 100
    predictive: bool = False
    command_limit: float | None = None
    ilqr: ILQR = field(default_factory=ILQR)

    def __post_init__(self) -> None:
        quadratic(self.task.cost, "an online planner")
        check_state_sensed(self.task, "an online planner, which starts from it")
        check_integer("iterations", self.iterations, minimum=1)
        check_integer("first_iterations", self.first_iterations, minimum=1)
        if self.command_limit is not None:
            check_positive("command_limit", self.command_limit, "N m or N")

    @property
    def parameter_count(self) -> int:
        """0: a planner has no parameters."""
        return 0

    @property
    def dt_s(self) -> float:
        """Step length (s) of the task's plant."""
        return self.task.plant.dt_s

    @property
    def command_size(self) -> int:
        """Numbers in a command of the task's plant."""
        return self.task.plant.command_size

    def unpack(self, parameters: Tensor) -> Tensor:
        """Return the empty vector.

        Raises:
            ValueError: `parameters` is not empty.
        """
        check_parameters(parameters, 0)
        return parameters

    def initial_memory(self, weights: Tensor, batch: int) -> tuple[Tensor, ...]:
        """Return a plan of zeros, (B, T m)."""
        return (weights.new_zeros(batch, self.task.steps * self.command_size),)

    def step(
        self,
        weights: Tensor,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the new plan as memory, and its command for this step, (B, m).

        Raises:
            ValueError: The trials have cues, whose meaning a planner does not know.
        """
        del weights, noise
        clock = len(SensesInUse.of(self.task).clock_labels)  # it knows the time anyway
        target = target[..., : target.shape[-1] - clock]
        if target.shape[-1] != self.task.plant.state_size:
            raise ValueError(
                "`trials.cue` must be None for an online planner, which does not know when a cue "
                "will come; use `ILQG`, which takes the time of a go cue as known."
            )
        plan = memory[0].view(-1, self.task.steps, self.command_size)
        if self.predictive:
            start = max(t - SensesInUse.of(self.task).delay, 0)
            observation = _state_after(self.task.plant, observation, plan[:, start:t])
        ahead = plan[:, t:]
        if t == 0:  # no plan yet
            ahead = holding_command(self.task.plant, observation)[:, None].expand_as(ahead)
        lost = ~_stays_finite(self.task.plant, observation, ahead)
        if bool(lost.any()):
            ahead = torch.where(lost.view(-1, 1, 1), 0.0, ahead)
            lost &= ~_stays_finite(self.task.plant, observation, ahead)
            observation = torch.where(lost.view(-1, 1), target, observation)
        iterations = self.iterations if t else self.first_iterations
        solution = replace(self.ilqr, iterations=iterations).solve(
            _RemainingSteps(self.task, t), Trials(observation, target), ahead
        )
        none = within_bounds(self.task.plant, torch.zeros_like(solution.commands[:, 0]))
        command = torch.where(lost.view(-1, 1), none, solution.commands[:, 0])
        if self.command_limit is not None:
            command = command.clamp(-self.command_limit, self.command_limit)
        plan = torch.cat([plan[:, :t], command.unsqueeze(1), solution.commands[:, 1:]], dim=1)
        return (plan.flatten(1),), command

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the plan as it is."""
        return memory


def _state_after(plant: Plant, state: Tensor, commands: Tensor) -> Tensor:
    """Return the state (B, n) that commands (B, steps, m) lead to."""
    for command in commands.unbind(dim=1):
        state = plant.step(state, command)
    return state


def _stays_finite(plant: Plant, state: Tensor, commands: Tensor) -> Tensor:
    """Return whether the states stay finite, (B,)."""
    return torch.isfinite(_state_after(plant, state, commands).square().sum(-1))


@dataclass(frozen=True)
class _RemainingSteps(DerivedTask):
    """The steps of a task from `first` on."""

    whole: Task
    first: int

    @property
    def source(self) -> Task:
        return self.whole

    @property
    def steps(self) -> int:
        return self.whole.steps - self.first

    @property
    def cost(self) -> QuadraticCost:
        cost = self.whole.cost
        return QuadraticCost(cost.state_weights[self.first :], cost.energy_weight)

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        return self.whole.trials(generator, dtype=dtype, device=device)
