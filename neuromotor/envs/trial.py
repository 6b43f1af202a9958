"""A trial in play: what it shows, where the hand is to be, what it costs, and how it went."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.envs.components import Components, ComponentTask
from neuromotor.envs.observation import Observables
from neuromotor.tasks.trials import TRIAL_PARTS

__all__ = ["BY_TRIAL", "Trial", "TrialsApart"]

Floats = NDArray[np.float64]

# Parts that are not kept by the clock's step.
BY_TRIAL = tuple(name for name, part in TRIAL_PARTS.items() if part.axis != "step")


class Trial:
    """One arm's trial in floats, or trials in tensors that are all at the same step.

    `TrialsApart` is the same for many arms at their own steps.

    Attributes:
        task: Plant and cost on components.
        target: State to be reached, n components.
        hand_target: Where the hand is then (m), d components.
        parts: The other parts of `Trials` by name, (T, .) or (T + 1, n), the arms' axis last; a
            part that is missing has its default.
        step: Commands given so far; each arm's own where arms are apart.
    """

    def __init__(self, task: ComponentTask, target: Components, parts: dict[str, Any]) -> None:
        """Begin at step 0."""
        self.task, self.target, self.parts = task, target, parts
        self.hand_target: Components = task.place(target)
        self.step: Any = 0

    # ---- where parts lie ----

    def part(self, name: str) -> Any:
        """Return a part at the present step, after the last command at the last; None if absent."""
        part = self.parts.get(name)
        if part is None or TRIAL_PARTS[name].axis == "trial":
            return part
        return part[min(self.step, self.task.steps - 1)]

    def first(self, name: str) -> Any:
        """Return a part at the first step of the trial."""
        return self.parts[name][0]

    def shown_before(self, steps: int) -> Components:
        """Return the target that was shown some steps ago, the first one before that."""
        shown = self.parts.get("shown_target")
        if shown is None:
            return self.target
        return shown[max(min(self.step, self.task.steps - 1) - steps, 0)]

    def at_state(self, name: str, step: Any) -> Any:
        """Return a part of a state, from 0 before the first command to T; None if absent."""
        part = self.parts.get(name)
        return None if part is None else part[step]

    # ---- what is shown ----

    def shown(self) -> tuple[Components, Components, Any]:
        """Return the target that is shown now, as a state and as the hand's place, and the cues."""
        if "shown_target" not in self.parts and "cue" not in self.parts:
            return self.target, self.hand_target, (0.0,)
        target, cue = self.part("shown_target"), self.part("cue")
        if target is None:
            return self.target, self.hand_target, cue
        if cue is None:
            first = self.first("shown_target")
            cue = (reduce(or_, (now != then for now, then in zip(target, first, strict=True))),)
        return target, self.task.place(target), cue

    def observables(self, past: Callable[[int], Components], action: Components) -> Observables:
        """Return what an observation is put together from.

        Args:
            past: Gives the state some steps ago, the first one before that.
            action: The last action.
        """
        _, hand_target, cue = self.shown()
        return Observables(
            sensed=self.task.sensed(past, self.draws),
            told=self.task.told(self.shown_before),
            hand=lambda: self.hand_seen(past(self.task.delay)),
            hand_target=hand_target,
            hand_goal=self.hand_goal(self.step) if "wanted" in self.parts else hand_target,
            time=self.step / self.task.steps,
            command=action,
            cue=cue,
        )

    def draws(self, name: str) -> Components | None:
        """Return draws for the senses, of which there are none after the last command."""
        return None if self.step == self.task.steps else self.part(name)

    def hand_seen(self, state: Components) -> Components:
        """Return position and velocity of the hand of a delayed state with its sensory noise."""
        gain, noise = self.draws("signal_noise"), self.draws("sensory_noise")
        if gain is not None:
            state = [x * (1 + draw) for x, draw in zip(state, gain, strict=True)]
        if noise is not None:
            state = [x + draw for x, draw in zip(state, noise, strict=True)]
        return self.task.hand(state)

    # ---- what is wanted, and what it costs ----

    def goal(self, step: Any) -> Components:
        """Return the state to be in at a step."""
        wanted = self.at_state("wanted", step)
        return self.target if wanted is None else wanted

    def hand_goal(self, step: Any) -> Components:
        """Return where the hand is to be at a step."""
        return self.task.place(self.goal(step)) if "wanted" in self.parts else self.hand_target

    def cost(self, step: int, before: Components, effort: Any, after: Components) -> Any:
        """Return what a step costs after which `step` commands are given; `effort` is its own."""
        cost = self.task.half_energy_weight * effort + self.charge(step, after)
        return cost + self.charge(0, before) if step == 1 else cost

    def charge(self, step: int, state: Components) -> Any:
        """Return what the state costs at a step, the same for all arms."""
        terms = self.task.rows[step]
        if "counted" in self.parts:
            factors = self.at_state("counted", step)
            terms = [(i, weight * factors[i]) for i, weight in terms]
        return self.task.state_cost(terms, state, self.goal(step))

    def left_to_pay(self, state: Components) -> Any:
        """Return what is left to pay if the state stayed as it is."""
        if "wanted" in self.parts or "counted" in self.parts:
            return sum(self.charge(t, state) for t in range(self.step + 1, self.task.steps + 1))
        terms = self.task.terms(self.task.rest[self.step])
        return self.task.state_cost(terms, state, self.target)

    def summary(self, state: Components, loss: Any, effort: Any, failed: Any) -> dict[str, Any]:
        """Return how the trial went; `effort` is the sum of its squared commands."""
        return self.task.summary(state, self.goal(-1), loss, effort, failed)


class TrialsApart(Trial):
    """One trial each of N arms, each at its own step; components are arrays (N,).

    Attributes:
        parts: (N, T, .) by the clock's step, so that arms that began apart are read at one place;
            those of `BY_TRIAL` as in `Trials`.
        step: Of each arm, (N,).
        clock: Steps since all arms began.
        together: Whether all arms are at the same step.
    """

    def __init__(self, task: ComponentTask, target: Floats, parts: dict[str, Floats]) -> None:
        """Begin all at step 0."""
        super().__init__(task, target, parts)
        self.hand_target = np.stack(self.hand_target)
        self.step = np.zeros(target.shape[1], dtype=np.int64)
        self.clock, self.together = 0, True
        self._index = np.arange(target.shape[1])

    def part(self, name: str) -> Any:
        """Return a part now, (., N); of arms at rest what comes next, which nothing uses."""
        part = self.parts.get(name)
        if part is None:
            return None
        if TRIAL_PARTS[name].axis == "trial":
            return np.moveaxis(part, 0, -1)
        if name in ("shown_target", "cue"):  # nothing new is shown after the last command
            over = self.step == self.task.steps
            return part[self._index, (self.clock - over) % self.task.steps].T
        return part[:, self.clock % part.shape[1]].T

    def first(self, name: str) -> Any:
        """Return a part at each arm's first step, (., N)."""
        return self.parts[name][self._index, (self.clock - self.step) % self.task.steps].T

    def at_state(self, name: str, step: Any) -> Any:
        """Return a part of the states at a step, or at one step each, (n, N)."""
        part = self.parts.get(name)
        return None if part is None else part[self._index, step].T

    def draws(self, name: str) -> Components | None:
        """Return draws for the senses, which are zero after the last command."""
        part = self.part(name)
        return None if part is None else part * (self.step < self.task.steps)

    def shown_before(self, steps: int) -> Components:
        """Return the target that was shown some steps ago, of each arm, (n, N)."""
        shown = self.parts.get("shown_target")
        if shown is None:
            return self.target
        now = np.minimum(self.step, self.task.steps - 1)
        first = self.clock - self.step  # the clock at each arm's first step
        return shown[self._index, (first + np.maximum(now - steps, 0)) % self.task.steps].T

    def hand_goal(self, step: Any) -> Components:
        """Return where the hands are to be, (d, N)."""
        return np.stack(super().hand_goal(step)) if "wanted" in self.parts else self.hand_target

    def charge_apart(self, before: Components, after: Components) -> Any:
        """Return what the states cost where arms are at different steps of their trials."""
        task, total = self.task, 0.0
        for row, state in ((self.step, after), (np.where(self.step == 1, 0, -1), before)):
            if task.counted[row].any():
                weights = task.counted_weights[row].T
                factors = self.at_state("counted", row)
                if factors is not None:
                    weights = weights * factors
                total = total + task.state_cost(list(enumerate(weights)), state, self.goal(row))
        return total

    def left_for(self, failed: NDArray[np.bool_], state: Floats) -> Floats:
        """Return what is left to pay by arms that failed, if their states stay, (N,)."""
        if "wanted" not in self.parts and "counted" not in self.parts:
            weights = (self.task.rest[self.step] * failed[:, None]).T
            total: Floats = self.task.state_cost(list(enumerate(weights)), state, self.target)
            return total
        total = np.zeros(len(failed))
        for arm in np.flatnonzero(failed):
            own = {name: part[arm] for name, part in self.parts.items() if name in BY_TRIAL}
            trial = Trial(self.task, self.target[:, arm], own)
            trial.step = self.step[arm]
            total[arm] = trial.left_to_pay(state[:, arm])
        return total
