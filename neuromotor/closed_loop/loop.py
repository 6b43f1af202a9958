"""A task and a controller joined: what users and optimizers hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from neuromotor._checks import declares
from neuromotor.closed_loop.autograd import AutogradObjective
from neuromotor.closed_loop.dynamics import check_trials
from neuromotor.closed_loop.expected import ExpectedObjective
from neuromotor.closed_loop.imitation import AutogradImitation, Lesson, check_lesson
from neuromotor.closed_loop.objective import LoopObjective
from neuromotor.closed_loop.penalties import penalties_of_run
from neuromotor.closed_loop.simulate import Trajectory, simulate
from neuromotor.compiled.availability import announce, availability
from neuromotor.controllers.controller import Controller, writes_tape
from neuromotor.controllers.network import RecurrentNetwork
from neuromotor.plants.plant import components_of
from neuromotor.tasks.cost import features_of
from neuromotor.tasks.penalties import network_penalties
from neuromotor.tasks.senses import SensesInUse
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

if TYPE_CHECKING:
    from neuromotor.closed_loop.compiled.machine import Machine

__all__ = ["ClosedLoop"]


class ClosedLoop:
    """A task's plant under a controller, with the task's delay and the trials' loads and noise.

    Example:
        >>> import torch
        >>> from neuromotor.controllers import ContinuousTimeRNN
        >>> from neuromotor.tasks import CenterOut
        >>> loop = ClosedLoop(CenterOut(directions=4), ContinuousTimeRNN(layers=(10,)))
        >>> theta = loop.controller.initial_parameters(torch.Generator().manual_seed(0))
        >>> loop.simulate(theta, loop.task.trials()).states.shape
        torch.Size([4, 41, 4])
    """

    def __init__(self, task: Task, controller: Controller) -> None:
        """Join a task and a controller.

        Raises:
            ValueError: Their step lengths or command sizes differ.
        """
        if controller.command_size != task.plant.command_size:
            raise ValueError(
                f"`controller` must give {task.plant.command_size} commands for this plant, got "
                f"{controller.command_size}; set its `command_size`."
            )
        if not math.isclose(controller.dt_s, task.plant.dt_s):
            raise ValueError(
                f"`controller` must have the plant's step of {task.plant.dt_s:g} s, got "
                f"{controller.dt_s:g} s; set its `dt_s`."
            )
        self.task = task
        self.controller = controller
        self._machines: dict[tuple[torch.dtype, bool], Machine] = {}  # as objectives need them

    def simulate(self, parameters: Tensor, trials: Trials) -> Trajectory:
        """Run every trial and return what happened; differentiable in `parameters`.

        Args:
            parameters: Controller parameters, (P,).
            trials: Batch with the plant's state size, of the dtype and device of `parameters`.

        Raises:
            ValueError: Shapes, dtype or device do not fit together.
        """
        return simulate(self.task, self.controller, parameters, trials)

    def losses(self, parameters: Tensor, trials: Trials) -> Tensor:
        """Return each trial's loss by the task's cost, (B,); differentiable in `parameters`.

        Penalties on the network are not in it; `penalties` gives them.
        """
        trajectory = self.simulate(parameters, trials)
        return self.task.cost.losses(trajectory.states, trajectory.commands, trials)

    def penalties(self, parameters: Tensor, trials: Trials) -> dict[str, Tensor]:
        """Return what each kind of penalty adds to each trial's loss, (B,), by kind.

        Those of the task's `penalties` that are on the network; there may be none. Differentiable
        in `parameters`.

        Raises:
            ValueError: Shapes, dtype or device do not fit together, or a penalty does not suit the
                controller.
        """
        return penalties_of_run(
            self.task, self.controller, parameters, self.simulate(parameters, trials)
        )

    def objective(self, trials: Trials, *, fast: bool | None = None) -> LoopObjective:
        """Return the mean loss over `trials`, penalties included, by the parameters.

        There are two ways to the same numbers, up to rounding: compiled loops on the CPU, for
        networks whose cell and plants whose physics have compiled pieces; and autograd, for
        anything.

        Args:
            trials: The batch.
            fast: Whether the loop runs compiled (True) or by autograd (False); by default it runs
                compiled where it can. `why_not_compiled` says what keeps it from that.

        Raises:
            ValueError: The trials do not fit the task, `fast` is True for a loop that does not run
                compiled, or the cost's residuals and losses contradict each other.
        """
        check_trials(self.task, trials)
        if not self._runs_compiled(trials, fast):
            return AutogradObjective(self.task, self.controller, trials)
        from neuromotor.closed_loop.compiled.objective import CompiledObjective  # needs numba

        return CompiledObjective(self._machine(trials), trials)

    def expected(
        self,
        trials: Trials,
        variances: Mapping[str, Tensor] | None = None,
        *,
        probes: int = 1,
        seed: int = 0,
        fast: bool | None = None,
    ) -> ExpectedObjective:
        """Return the mean loss over `trials` that is expected over their noise.

        That is exact where the loop answers to noise linearly; see `closed_loop.expected`. Noise of
        commands and plant runs compiled, where the loop does.

        Args:
            trials: The batch, with draws of the noise.
            variances: Variance of each number that is drawn, (k,), by the name of the part; those
                of the draws if None.
            probes: Vectors of random signs for each trial; 0 is exact, and slow.
            seed: Of the signs.
            fast: As for `objective`.

        Raises:
            ValueError: As for `objective`; `probes` is negative; or the task has penalties on the
                network.
        """
        drawn = self.objective(trials, fast=fast)
        kind = ExpectedObjective
        if self._runs_compiled(trials, fast):
            from neuromotor.closed_loop.compiled.expected import CompiledExpected  # needs numba

            if CompiledExpected.serves(drawn):
                kind = CompiledExpected
        return kind(drawn, variances, probes=probes, seed=seed)

    def imitation(self, lesson: Lesson, *, fast: bool | None = None) -> LoopObjective:
        """Return the mean loss of a lesson: by how much commands miss those that are wanted.

        Args:
            lesson: Observations, and the commands that are wanted there.
            fast: As for `objective`.

        Raises:
            ValueError: The lesson does not fit the task, the task has penalties on the network, or
                `fast` is True for a loop that does not run compiled.
        """
        check_trials(self.task, lesson.trials)
        check_lesson(self.task, lesson)
        if network_penalties(self.task):
            raise ValueError(
                "`task.penalties` on the network must be none for lessons, which have errors of "
                f"commands only, got {', '.join(network_penalties(self.task))}; give them to the "
                "training that follows."
            )
        if not self._runs_compiled(lesson.trials, fast):
            return AutogradImitation(self.task, self.controller, lesson)
        from neuromotor.closed_loop.compiled.imitation import CompiledImitation  # needs numba

        return CompiledImitation(self._machine(lesson.trials), lesson)

    def _machine(self, trials: Trials) -> Machine:
        """Return what runs such trials compiled; it is kept."""
        from neuromotor.closed_loop.compiled.machine import Machine  # needs numba

        kind = trials.dtype, trials.field is not None
        if kind not in self._machines:
            net = cast(RecurrentNetwork, self.controller)
            self._machines[kind] = Machine(self.task, net, *kind)
        return self._machines[kind]

    def _runs_compiled(self, trials: Trials, fast: bool | None) -> bool:
        """Return whether trials run compiled, as they can or as it is asked for."""
        reason = None if fast is False else self.why_not_compiled(trials)
        if fast and reason is not None:
            raise ValueError(
                f"`fast` must be left out or False for a loop that cannot run compiled: {reason}."
            )
        return fast is not False and reason is None

    def prepare(self, trials: Trials, *, products: bool = False) -> None:
        """Compile what training on such trials needs, so that no clock runs meanwhile.

        It takes some seconds the first time that this cell meets this plant on a machine; later
        programs find the loops on disk. Whoever listens is told (`neuromotor.compiled.heard`).

        Args:
            trials: A batch of the kind.
            products: Whether Gauss-Newton products are needed too.
        """
        reason = self.why_not_compiled(trials)
        if reason is not None:
            if reason == availability():
                times = 10 if products else 5  # 3.6 to 7, and 6 to 12, of 64 x 40 and 400 x 60
                announce(
                    f"not compiled, so that training takes about {times} times as long: {reason}"
                )
            return
        one = self.objective(trials.subset(slice(0, 1)))
        theta = torch.zeros(self.controller.parameter_count, dtype=trials.dtype)
        one.value_and_gradient(theta)
        if products:
            one.linearize(theta).product(theta)

    def why_not_compiled(self, trials: Trials | None = None) -> str | None:
        """Return why this loop does not run compiled, in words, or None where it does.

        Args:
            trials: The batch that it would run, or None for what holds for any.
        """
        cost = self.task.cost
        for what, part in (("controller", self.controller), ("cost", cost)):
            if not (declares(part, "follows_equations") or (part is cost and features_of(cost))):
                return f"the {what} ({type(part).__name__}) may override something"
        cell = self.controller.cell if isinstance(self.controller, RecurrentNetwork) else None
        if cell is None or not declares(cell, "compiled"):
            name = type(self.controller if cell is None else cell).__name__
            return f"{name} has no compiled pieces"
        if SensesInUse.of(self.task).entries is None:
            return "the task senses what is computed from the plant's state"
        plant, form = self.task.plant, components_of(self.task.plant)
        if form is None:
            return f"the plant ({type(plant).__name__}) has no functions on components"
        if trials is not None and trials.field is not None and not form.knows_fields:
            return f"the plant ({type(plant).__name__}) has no compiled pieces for a force field"
        if trials is not None and trials.channel is not None and bool(trials.channel.any()):
            return "a channel has no compiled pieces"
        if trials is not None and trials.device.type != "cpu":
            return f"the trials are on {trials.device}"
        return availability()

    @property
    def has_factors(self) -> bool:
        """Whether objectives have Kronecker factors: for networks of cells."""
        return writes_tape(self.controller)
