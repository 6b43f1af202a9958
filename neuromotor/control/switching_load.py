"""ILQG's feedback on the best estimate of a load that switches on once and stays.

ILQG's own filter is linear, with gains that are fixed before the trial. The best estimate is not:
which load is there depends on when it began, and how well a step shows it depends on the command of
that step, which the controller knows. Where the state is observed without noise, after its delay,
both are simple. Notation: u is the command, xi the noise in proportion to it, of deviation sigma,
and d the load, of deviation S at each joint, which begins at a step k that is uniform over some
steps. A step whose both states were seen shows the noisy torque of each joint,

    y[s] = d[s] + u[s] xi[s],    d[s] = d where s >= k, and 0 before.

For each k, d has a normal distribution, whose precision and mean are those of a regression on the
y[s] from k on with variances (sigma u[s])². The probabilities of the k follow from the densities of
all y (Bayes). The mean over k estimates the load of each step that was not seen yet; with it the
plant's own step moves the state from the last one that was seen to the present. The command is
ILQG's for this state and load.

The mean of the posterior has the smallest squared error of all estimates of the load. The feedback
is still that of the linear design.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor.control.linear_feedback import FeedbackWeights, LinearFeedback
from neuromotor.control.uncertainty import Uncertainty
from neuromotor.controllers.controller import ZeroStart
from neuromotor.plants import Plant
from neuromotor.tasks import SensesInUse, Task, Trials

__all__ = ["SwitchingLoadFeedback", "no_switching_load"]

_LEAST = 1e-14  # variance ((N m)²) of a step without a command, which would show the load exactly


def no_switching_load(task: Task, trials: Trials) -> str | None:
    """Say why the load of trials has no such estimate; None where it has."""
    plant = task.plant
    if not SensesInUse.of(task).whole_state or trials.sensory_noise is not None:
        return "its estimate needs the plant's state, observed without noise"
    if trials.signal_noise is not None or trials.plant_noise is not None:
        return "its estimate needs commands to be all that is noisy"
    if trials.load is None or trials.hand_force is not None or trials.command_noise is None:
        return "it estimates loads at the joints beside noise in commands, and one is not there"
    if not plant.load_size == plant.command_size == plant.state_size // 2:
        return "its estimate needs one command and one load for each joint, and nothing else"
    loads, commands = (_gains(plant, trials.initial_state, name) for name in ("load", "command"))
    if not torch.allclose(loads, commands):
        return "its estimate needs loads that act as commands do"
    return None


def _gains(plant: Plant, state: Tensor, what: str) -> Tensor:
    """Return how commands or loads change the velocity after a step, (B, m, m)."""
    m = plant.command_size
    none, columns = state.new_zeros(len(state), m), []
    base = plant.step(state, none, none)
    for unit in torch.eye(m, dtype=state.dtype, device=state.device):
        one = none + unit
        after = plant.step(state, one, none) if what == "command" else plant.step(state, none, one)
        columns.append((after - base)[:, plant.state_parts["velocity"]])
    return torch.stack(columns, dim=-1)


@dataclass(frozen=True)
class SwitchingLoadFeedback(ZeroStart):
    """`LinearFeedback` of ILQG, on the Bayesian estimate of a load that switches on once.

    Its memory are the estimated load (N m) and present state, the probabilities of the K first
    steps in logarithms, (B, K), the precision of the load for each, (B, K m), the same times its
    mean, the last commands, (B, (tau + 1) m), and the last observation. `unit_rates` are the first
    two.

    Attributes:
        feedback: ILQG's controller for the trials; its plant predicts.
        noise: sigma of each command, m of them.
        load: S at each joint (N m), m of them.
        onset_steps: First and last step at which the load may begin.

    Raises:
        ValueError: The controller has no plant, or does not know a load.
    """

    feedback: LinearFeedback
    noise: tuple[float, ...]
    load: tuple[float, ...]
    onset_steps: tuple[int, int]

    def __post_init__(self) -> None:
        if self.feedback.plant is None or not self.feedback.load or self.feedback.hand_force:
            raise ValueError(
                "`feedback` must have a plant and know a load at the joints alone; design it with "
                "`ILQG(extended=True)`."
            )

    @classmethod
    def of(cls, feedback: LinearFeedback, uncertainty: Uncertainty) -> SwitchingLoadFeedback:
        """Return it for what ILQG was designed for."""
        m = feedback.command_size
        like = torch.zeros(0, dtype=torch.float64)
        noise, load = (
            tuple(uncertainty.variances(name, like, m).sqrt().tolist())
            for name in ("command_noise", "load")
        )
        return cls(feedback, noise, load, uncertainty.onset_steps)

    @property
    def command_size(self) -> int:
        """Numbers m in a command."""
        return self.feedback.command_size

    @property
    def dt_s(self) -> float:
        """Step length (s)."""
        return self.feedback.dt_s

    @property
    def parameter_count(self) -> int:
        """Numbers in the tables of the feedback."""
        return self.feedback.parameter_count

    @property
    def plant(self) -> Plant:
        """What predicts."""
        assert self.feedback.plant is not None
        return self.feedback.plant

    def unpack(self, parameters: Tensor) -> FeedbackWeights:
        """Return the tables as views of the flat vector, (P,)."""
        return self.feedback.unpack(parameters)

    def initial_memory(self, weights: FeedbackWeights, batch: int) -> tuple[Tensor, ...]:
        """Return the memory before the first observation.

        Raises:
            ValueError: `batch` is not the number of trials of the tables.
        """
        self.feedback.initial_memory(weights, batch)
        start, m = weights.start, self.command_size
        first, last = self.onset_steps
        count = last - first + 1
        even = start.new_full((batch, count), 1 / count).log()
        prior = start.new_tensor(self.load).square().reciprocal().repeat(batch, count)
        commands = start.new_zeros(batch, (self.feedback.delay_steps + 1) * m)
        return (
            start.new_zeros(batch, m),
            start.clone(),
            even,
            prior,
            torch.zeros_like(prior),
            commands,
            start.clone(),
        )

    def step(
        self,
        weights: FeedbackWeights,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the memory after an observation, and the command (B, m)."""
        del target, noise
        chances, precision, weighted, commands, before = memory[2:]
        m, tau = self.command_size, self.feedback.delay_steps
        given = commands.view(-1, tau + 1, m)
        seen = t - tau  # the step whose state is observed
        if seen >= 1:
            torque = self._shown(before, observation, given[:, 0])
            now = chances, precision, weighted
            chances, precision, weighted = self._learnt(*now, torque, given[:, 0], seen - 1)
        means = (weighted / precision).view(*chances.shape, m) * chances.exp()[..., None]
        means = means.cumsum(dim=1)  # of the load, if it began at the latest at that step
        state = observation
        for step in range(max(seen, 0), t):
            state = self.plant.step(state, given[:, step - t], self._at(means, step))
        load = self._at(means, t)
        told = torch.cat([state, load], dim=-1)
        command = weights.offset[:, t] + (weights.feedback[:, t] @ told[..., None])[..., 0]
        commands = torch.cat([commands[:, m:], command], dim=-1)
        return (load, state, chances, precision, weighted, commands, observation), command

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the estimated load and state."""
        return memory[:2]

    def _at(self, means: Tensor, step: int) -> Tensor:
        """The expected load of a step, from means over onsets up to each."""
        first, last = self.onset_steps
        if step < first:
            return torch.zeros_like(means[:, 0])
        return means[:, min(step, last) - first]

    def _shown(self, state: Tensor, after: Tensor, command: Tensor) -> Tensor:
        """The torque beside a command that a step shows, y, (B, m)."""
        missed = (after - self.plant.step(state, command))[:, self.plant.state_parts["velocity"]]
        gain = _gains(self.plant, state, "command")
        torque: Tensor = torch.linalg.solve(gain, missed[..., None])[..., 0]
        return torque

    def _learnt(
        self,
        chances: Tensor,
        precision: Tensor,
        weighted: Tensor,
        torque: Tensor,
        command: Tensor,
        step: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Chances of onsets, and precisions and means times precisions, after what a step shows."""
        m = self.command_size
        spread = (command.new_tensor(self.noise) * command).square().clamp(min=_LEAST)[:, None]
        precise, weighed = (part.view(*chances.shape, m) for part in (precision, weighted))
        first, last = self.onset_steps
        began = torch.arange(first, last + 1, device=command.device)[:, None] <= step
        mean, variance = began * weighed / precise, began / precise + spread
        density = (torque[:, None] - mean).square() / variance + variance.log()
        chances = (chances - 0.5 * density.sum(dim=-1)).log_softmax(dim=-1)
        precise = precise + began / spread
        weighed = weighed + began * torque[:, None] / spread
        return chances, precise.flatten(1), weighed.flatten(1)
