"""Steps of one arm or of thousands by compiled code: what environments call once they go on long.

It does for all arms in one call what `ComponentTask`, `Trial` and `Layout` do one after another,
with the same numbers to rounding; `compiled_step.py` has the steps themselves. To load it takes
about a second, and some seconds the first time on a machine, when it is compiled. So environments
begin without it and take it from the first trial after `PATIENCE` calls of `step` on. That is a
count, and not whether the code lies on the disk, so that equal seeds give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.compiled.availability import availability
from neuromotor.envs.components import ComponentTask
from neuromotor.envs.observation import Layout, Observables
from neuromotor.plants.plant import components_of

__all__ = ["PATIENCE", "Arms"]

PATIENCE = 20_000  # calls of `step`
_SHOWN = ("shown_target", "cue", "wanted")  # parts with which it changes what is shown


class Arms:
    """Compiled steps of N arms, on arrays that an environment shares with them.

    Attributes:
        changing: Whether the targets or cue that are shown change within trials.
    """

    def __init__(self, physics: ComponentTask, layout: Layout, count: int) -> None:
        """Prepare steps of `count` arms; `wanted` says whether there are any."""
        options, plant = physics.options, physics.plant
        n, m, d = plant.state_size, plant.command_size, plant.hand_size
        self._physics, self._layout, self.changing = physics, layout, False
        c = options.cues
        starts = np.cumsum([0, n, n, 2 * d, d, d, 1, m, c, m, plant.load_size, d, n]).tolist()
        self._room = np.zeros((starts[-1], count))
        rows = [list(range(a, b)) for a, b in pairwise(starts)]
        seen, target, hand, hand_target, goal, time, command, cue = rows[:8]
        self._told = (target[0], hand_target[0], goal[0], cue[0])
        order = layout.order(
            Observables(
                sensed=[seen[i] for i in plant.feedback],
                told=[target[i] for i in plant.feedback],
                hand=lambda: hand,
                hand_target=hand_target,
                hand_goal=goal,
                time=time[0],
                command=command,
                cue=cue,
            )
        )
        form: Any = physics.form
        actions = options.actions
        limit = np.broadcast_to(-1.0 if form.limit is None else form.limit, m)
        self._scalars = (
            tuple(map(float, form.numbers)),
            float(physics.half_energy_weight),
            physics.delay,
            bool(set(order) & set(hand)),
        )
        self._picks = np.array(order)
        self._fixed = (
            np.array([actions.low, actions.high, actions.middle, actions.half, limit]),
            np.array(physics.bounds, dtype=np.float64),
            np.array(physics.weights, order="C"),
            np.ascontiguousarray(layout.ends),
            self._room,
        )
        n, m, d = plant.state_size, plant.command_size, plant.hand_size
        sizes = {"load": plant.load_size, "hand_force": d, "command_noise": m, "plant_noise": n}
        self._missing = {name: np.zeros((1, 1, size)) for name, size in sizes.items()}
        self._missing |= {"sensory_noise": np.zeros((1, 1, n)), "counted": np.ones((1, 1, n))}
        self._arrays: tuple[NDArray[np.float64], ...] = ()
        self._table = np.zeros((0, 4), dtype=np.int64)
        self._step: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
        self._shape, self._dtype = (count, len(order)), options.numpy_dtype
        self._load()

    @staticmethod
    def wanted(physics: ComponentTask, calls: int) -> bool:
        """Return whether an environment's next trial is to be compiled, after calls of `step`."""
        compiled = physics.options.compiled
        if compiled is False or (compiled is None and calls < PATIENCE):
            return False
        if physics.senses.own or physics.weighs_features or components_of(physics.plant) is None:
            return False
        return availability() is None

    @staticmethod
    def play(parts: Mapping[str, Any]) -> bool:
        """Return whether trials with these parts can be stepped.

        Those can that have no force field, and no noise in proportion to what is sensed.
        """
        return "field" not in parts and "signal_noise" not in parts

    def _load(self) -> None:
        from neuromotor.compiled.compose import PlantShape, composed

        plant, dtype = self._physics.plant, self._physics.options.dtype
        shape = PlantShape(plant.state_size, plant.command_size, plant.load_size, plant.hand_size)
        template = Path(__file__).with_name("compiled_step.py")
        form: Any = self._physics.form
        functions = form.functions
        # each kind of number that is shown has code of its own
        code = composed(template, functions, shape, f"float64-{dtype}", None)
        self._step_arms = code("step_arms")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_step_arms"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._load()
        arrays, self._arrays = self._arrays, ()
        self._point(arrays)

    def _point(self, arrays: tuple[NDArray[np.float64], ...]) -> None:
        """Write down where arrays lie, and their shapes: one table costs less to hand over."""
        old = self._arrays
        if len(old) != len(arrays):
            old, self._table = (), np.zeros((len(arrays), 4), dtype=np.int64)
        for k, array in enumerate(arrays):
            if old and array is old[k]:
                continue
            if array.dtype != np.float64 or not array.flags.c_contiguous:
                raise ValueError(f"arrays must be contiguous float64, got {array.dtype}.")
            self._table[k, 0] = array.__array_interface__["data"][0]
            self._table[k, 1 : 1 + array.ndim] = array.shape
        self._arrays = arrays
        self._arguments = (self._step, self._picks, self._table, *self._scalars)

    def begin(
        self,
        target: NDArray[np.float64],
        parts: Mapping[str, NDArray[np.float64]],
        past: NDArray[np.float64],
        step: NDArray[np.int64],
        action: NDArray[np.float64],
        effort: NDArray[np.float64],
    ) -> None:
        """Let trials begin, or some of them.

        Args:
            target: States to be reached, (n, N).
            parts: The other parts of the trials, (N, T, .) or (N, T + 1, .).
            past: The last states, (L, n, N), the present one at the clock's step modulo L.
            step: Commands given in each arm's trial, (N,); counted on here.
            action: The last actions, clipped, (m, N); written here.
            effort: Sums of squared commands, (N,); added to here.
        """

        def part(name: str) -> NDArray[np.float64]:
            found = parts.get(name)
            return self._missing[name] if found is None else np.ascontiguousarray(found)

        wanted = parts.get("wanted")
        goals = target.T[:, None] if wanted is None else wanted
        self._step = step
        self._point(
            (
                *self._fixed,
                part("counted"),
                np.ascontiguousarray(goals),
                part("load"),
                part("hand_force"),
                part("command_noise"),
                part("plant_noise"),
                part("sensory_noise"),
                past,
                action,
                effort,
            )
        )
        self.changing = any(name in parts for name in _SHOWN)

    def tell(self, target: Any, hand_target: Any, hand_goal: Any, cue: Any) -> None:
        """Take what is shown beside the arms: (n, N), (d, N), (d, N) and (c, N)."""
        for row, values in zip(self._told, (target, hand_target, hand_goal, cue), strict=True):
            self._room[row : row + len(values)] = values

    def advance(
        self,
        clock: int,
        asked: NDArray[np.float64],
        cost: NDArray[np.float64],
        failed: NDArray[np.bool_],
        shown: NDArray[Any] | None = None,
    ) -> int:
        """Advance all arms by one step; return how many failed, or -1 for actions not finite.

        Args:
            clock: Steps since the clock began.
            asked: Actions, (N, m).
            cost: Where the costs of the step go, (N,).
            failed: Where it goes whether plants have left their bounds, (N,).
            shown: Where observations go, as of `new`, if they are to be made at once.
        """
        show = shown is not None
        room = self.new() if shown is None else shown
        result: int = self._step_arms(
            True, show, clock, asked, cost, failed, room, *self._arguments
        )
        return result

    def show(self, clock: int) -> Any:
        """Return what is seen now, (N, ...)."""
        shown = self.new()
        count = self._shape[0]
        asked, cost = np.empty((count, 1)), np.empty(count)
        failed = np.empty(count, dtype=bool)
        self._step_arms(False, True, clock, asked, cost, failed, shown, *self._arguments)
        return self._layout.split(shown)

    def new(self) -> NDArray[Any]:
        """Return room for all observations, (N, k)."""
        return np.empty(self._shape, self._dtype)
