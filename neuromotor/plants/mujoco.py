"""A MuJoCo environment of Gymnasium as a plant: it can be run, and nobody gives its equations.

A step sets the environment's joints, applies loads, and calls the environment's own `step`. So
there are no derivatives of it: `LearnedPlant` has them.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor._extras import install_command, require
from neuromotor.plants.arm import UnreachableError
from neuromotor.plants.mechanical import MechanicalPlant
from neuromotor.plants.plant import Bounds, check_last_axis, within_bounds

__all__ = ["MujocoPlant", "is_environment"]

_NAME = re.compile(r"([\w.-]+/)?[\w.-]+-v\d+")  # how Gymnasium names environments
_TRIED = 20  # random steps that show which joints move, and whether equal steps are equal
_SEED = 0  # of these steps
_SINGULAR = 1e-3  # ratio of the hand's least to its largest movement with the joints
_ITERATIONS, _CLOSE_M = 200, 1e-10  # of the search for a configuration, and where it ends


def is_environment(name: str) -> bool:
    """Return whether a word could be the name of a Gymnasium environment."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True)
class MujocoPlant(MechanicalPlant):
    """A limb of a Gymnasium environment that MuJoCo simulates, such as `Reacher-v5`.

    States are the angles (rad) or positions (m) of the joints that move, and their velocities;
    commands are the environment's actions; loads act on the joints (N m or N). Joints that never
    move, such as those that hold a target in its place, stay where the environment has them.

    A step takes a state as it is given, so that it has no memory. It runs on the CPU in float64,
    trial by trial, and has no derivatives; a gradient through it is refused.

    Attributes:
        environment: Name of the environment.
        hand: Name of the body that is the hand; None is the last body that hangs from the last
            joint that moves.
        posture: Home configuration, a number for each joint that moves (rad or m). None is the
            environment's first one; if the hand cannot be moved along all its axes there, all
            joints but the first are bent by 90 degrees (ours).

    Raises:
        RuntimeError: MuJoCo is not installed.
        ValueError: There is no such environment; it is none of MuJoCo's; a joint is free or a ball;
            actuators have a state; equal steps give different states; or `hand` or `posture` does
            not fit.
    """

    environment: str = "Reacher-v5"
    hand: str | None = None
    posture: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        simulator = _simulator(self.environment)
        _ = self._hand_body
        if self.posture is not None and len(self.posture) != len(simulator.joints):
            raise ValueError(
                f"`posture` must have {len(simulator.joints)} numbers, one for each joint of "
                f"{self.environment} that moves ({', '.join(simulator.names)}), got "
                f"{self.posture!r}."
            )

    @property
    def own_type(self) -> str:
        """The name by which settings know it."""
        return self.environment

    # ---- what it says of itself ----

    @property
    def dt_s(self) -> float:  # type: ignore[override]
        """Step length (s), of the environment."""
        return float(_simulator(self.environment).env.dt)

    @property
    def home(self) -> tuple[float, ...]:
        """Joint positions (rad or m) at home; see `posture`."""
        return self._home

    @cached_property
    def _home(self) -> tuple[float, ...]:
        if self.posture is not None:
            return self.posture
        simulator = _simulator(self.environment)
        first = simulator.env.init_qpos[simulator.places]
        sizes = np.linalg.svd(self._at(first)[1], compute_uv=False)
        if sizes[-1] < _SINGULAR * sizes[0]:
            first = np.array([first[0], *(first[1:] + math.pi / 2)])
        return tuple(map(float, first))

    @property
    def state_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a state."""
        simulator = _simulator(self.environment)
        pairs = list(zip(simulator.names, simulator.units, strict=True))
        return (
            *(f"{name} position ({unit})" for name, unit in pairs),
            *(f"{name} velocity ({unit}/s)" for name, unit in pairs),
        )

    @property
    def command_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a command; a unit of MuJoCo's is not known."""
        size = len(self.command_bounds[0])
        return tuple(f"action {i + 1} (1)" for i in range(size))

    @property
    def load_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a load."""
        simulator = _simulator(self.environment)
        units = {"rad": "N m", "m": "N"}
        pairs = zip(simulator.names, simulator.units, strict=True)
        return tuple(f"{name} load ({units[unit]})" for name, unit in pairs)

    @property
    def command_bounds(self) -> Bounds:
        """Those of the environment's actions."""
        space = _simulator(self.environment).env.action_space
        return tuple(map(float, space.low)), tuple(map(float, space.high))

    @property
    def hand_size(self) -> int:
        """2 where the hand stays at one height, else 3."""
        return len(self._axes)

    @cached_property
    def _axes(self) -> list[int]:
        """Axes of the world along which the hand moves: x and y, and z where that changes."""
        simulator = _simulator(self.environment)
        draws = np.random.default_rng(_SEED).uniform(-1, 1, (_TRIED, len(simulator.joints)))
        first = simulator.env.init_qpos[simulator.places]
        heights = [self._kinematics(first + draw)[0][2] for draw in draws]
        return [0, 1] if np.ptp(heights) < 1e-9 else [0, 1, 2]

    # ---- mechanics ----

    def step(
        self,
        state: Tensor,
        command: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
        /,
    ) -> Tensor:
        """Return the state one step of the environment later, (..., n); arguments as `Plant.step`.

        Raises:
            ValueError: A last axis has the wrong size, or a gradient is wanted.
        """
        sizes = {
            "state": (state, self.state_size),
            "command": (command, self.command_size),
            "load": (load, self.load_size),
            "hand_force": (hand_force, self.hand_size),
        }
        given = [part for part, _ in sizes.values() if part is not None]
        for name, (part, size) in sizes.items():
            if part is not None:
                check_last_axis(name, part, size, self.environment)
        if torch.is_grad_enabled() and any(part.requires_grad for part in given):
            raise ValueError(
                f"{self.environment} has no derivatives; learn them by `neuromotor learn-plant "
                f"{self.environment} --out FILE`, and use that file as the plant."
            )
        shape = torch.broadcast_shapes(*(part.shape[:-1] for part in given))  # type: ignore[no-untyped-call]

        def rows(part: Tensor | None, size: int) -> NDArray[np.float64]:
            if part is None:
                return np.zeros((math.prod(shape), size))
            wide = part.detach().expand(*shape, size).reshape(-1, size)
            return wide.to(device="cpu", dtype=torch.float64).numpy()

        bounded = within_bounds(self, command)
        after = _simulator(self.environment).run(
            rows(state, self.state_size),
            rows(bounded, self.command_size),
            rows(load, self.load_size),
            rows(hand_force, self.hand_size),
            self._hand_body,
        )
        return torch.from_numpy(after).to(state).reshape(*shape, self.state_size)

    # ---- the hand ----

    def limb(self, state: Tensor) -> Tensor:
        """Return the joints that move, in their order, and the hand (m), (..., points, d)."""
        points = [
            torch.from_numpy(np.stack([*anchors, hand])[:, self._axes])
            for hand, _, anchors in self._kinematics_of(state)
        ]
        return torch.stack(points).to(state).reshape(*state.shape[:-1], -1, self.hand_size)

    def hand_position(self, state: Tensor) -> Tensor:
        """Return the hand's position (m), (..., d), of states or configurations.

        Its derivative by the configuration is MuJoCo's Jacobian.
        """
        found = self._kinematics_of(state)
        place = state[..., : len(self.home)]
        shape = state.shape[:-1]
        hand = torch.from_numpy(np.stack([hand[self._axes] for hand, _, _ in found])).to(state)
        slope = torch.from_numpy(np.stack([rows[self._axes] for _, rows, _ in found])).to(state)
        moved = (slope.reshape(*shape, *slope.shape[1:]) @ (place - place.detach())[..., None])[
            ..., 0
        ]
        return hand.reshape(*shape, -1) + moved

    def hand_velocity(self, state: Tensor) -> Tensor:
        """Return the hand's velocity (m/s), (..., d), of states (..., n)."""
        found = self._kinematics_of(state)
        slope = torch.from_numpy(np.stack([rows[self._axes] for _, rows, _ in found])).to(state)
        speed = state[..., self.state_parts["velocity"], None]
        velocity: Tensor = (slope.reshape(*state.shape[:-1], *slope.shape[1:]) @ speed)[..., 0]
        return velocity

    def configuration_at(self, hand_position: Tensor) -> Tensor:
        """Return the configuration (..., q), near home, with the hand at a position (m), (..., d).

        Raises:
            UnreachableError: The hand does not come there.
        """
        check_last_axis("hand_position", hand_position, self.hand_size, "coordinates of the hand")
        goals = hand_position.detach().cpu().double().reshape(-1, self.hand_size).numpy()
        found = torch.from_numpy(np.stack([self._reached(goal) for goal in goals]))
        return found.to(hand_position).reshape(*hand_position.shape[:-1], -1)

    def _reached(self, goal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a configuration (q,) with the hand at a goal, by damped Gauss-Newton steps."""
        place, damping = np.array(self.home), 1e-6
        hand, slope = self._at(place)
        for _ in range(_ITERATIONS):
            error = goal - hand
            if np.linalg.norm(error) < _CLOSE_M:
                return place
            square = slope @ slope.T + damping * np.eye(len(error))
            trial = place + slope.T @ np.linalg.solve(square, error)
            reached, along = self._at(trial)
            if np.linalg.norm(goal - reached) < np.linalg.norm(error):
                place, hand, slope, damping = trial, reached, along, damping / 3
            else:
                damping *= 10
        raise UnreachableError(
            f"the hand of {self.environment} does not reach {np.round(goal, 4).tolist()} m from "
            f"its home {np.round(self.home, 3).tolist()}: the nearest point found is "
            f"{np.linalg.norm(goal - hand):.3g} m away; choose nearer targets or another `posture`."
        )

    @cached_property
    def _hand_body(self) -> int:
        """Number of the hand's body."""
        simulator = _simulator(self.environment)
        model = simulator.env.model
        names = [model.body(i).name for i in range(model.nbody)]
        if self.hand is not None:
            if self.hand not in names:
                raise ValueError(
                    f"`hand` must be a body of {self.environment} ({', '.join(names[1:])}), "
                    f"got {self.hand!r}."
                )
            return names.index(self.hand)
        last = int(model.jnt_bodyid[simulator.joints[-1]])
        return max(body for body in range(model.nbody) if int(model.body_weldid[body]) == last)

    def _at(self, place: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the hand (d,) and its Jacobian (d, q) at a configuration (q,)."""
        hand, rows, _ = self._kinematics(place)
        return hand[self._axes], rows[self._axes]

    def _kinematics(self, place: NDArray[np.float64]) -> Any:
        return _simulator(self.environment).kinematics(place, self._hand_body)

    def _kinematics_of(self, state: Tensor) -> list[Any]:
        """Return hand, Jacobian and joints of each of states or configurations."""
        joints = len(_simulator(self.environment).joints)
        if state.shape[-1] not in (joints, 2 * joints):
            check_last_axis("state", state, 2 * joints, f"a state of {self.environment}")
        flat = state.detach().cpu().double().reshape(-1, state.shape[-1]).numpy()
        return [self._kinematics(row[:joints]) for row in flat]


class _Simulator:
    """One environment and what is known of it, for all plants of its name in this process."""

    def __init__(self, name: str) -> None:
        self.mujoco = require("mujoco", "mujoco")
        self.env: Any = _made(name)
        model = self.env.model
        kinds = {int(self.mujoco.mjtJoint.mjJNT_HINGE): "rad"}
        kinds[int(self.mujoco.mjtJoint.mjJNT_SLIDE)] = "m"
        if any(int(kind) not in kinds for kind in model.jnt_type):
            raise ValueError(
                f"{name} has a free joint or a ball, whose configuration is no list of angles; a "
                "plant needs hinges and slides."
            )
        if model.na:
            raise ValueError(
                f"{name} has actuators with a state of their own, which a plant's state lacks; "
                "choose an environment whose actuators have none."
            )
        self.joints = self._moving(name)
        self.places = model.jnt_qposadr[self.joints]
        self.speeds = model.jnt_dofadr[self.joints]
        self.names = [model.joint(int(i)).name or f"joint {i}" for i in self.joints]
        self.units = [kinds[int(model.jnt_type[i])] for i in self.joints]

    def step(
        self, where: Any, speed: Any, action: Any, load: Any = 0.0, force: Any = None, hand: int = 0
    ) -> NDArray[np.float64]:
        """Return all positions and velocities one step after those given.

        A hand force acts at the hand's place, with the torques that it has when the step begins.
        """
        data = self.env.data
        data.qacc_warmstart[:] = 0.0  # what else would remain of the step before
        data.time = 0.0
        data.qfrc_applied[:] = 0.0
        self.env.set_state(where, speed)
        if force is not None and force.any():
            at = data.xpos[hand].copy()
            self.mujoco.mj_applyFT(
                self.env.model, data, force, np.zeros(3), at, hand, data.qfrc_applied
            )
        data.qfrc_applied += load
        self.env.step(action)
        return np.concatenate([data.qpos, data.qvel])

    def run(
        self, states: Any, actions: Any, loads: Any, forces: Any, hand: int
    ) -> NDArray[np.float64]:
        """Return the states (N, n) one step after states, under actions, loads and hand forces."""
        env, count = self.env, len(self.joints)
        where, speed = env.init_qpos.copy(), np.zeros_like(env.init_qvel)
        load, force = np.zeros_like(speed), np.zeros(3)
        kept = [*self.places, *(len(where) + self.speeds)]
        rest = np.setdiff1d(np.arange(len(where) + len(speed)), kept)
        after: NDArray[np.float64] = np.empty_like(states)
        for i, state in enumerate(states):
            if not np.isfinite(state).all():
                after[i] = np.nan  # MuJoCo would begin anew instead
                continue
            where[self.places], speed[self.speeds] = state[:count], state[count:]
            load[self.speeds] = loads[i]
            force[: forces.shape[1]] = forces[i]
            whole = self.step(where, speed, actions[i], load, force, hand)
            if not np.array_equal(whole[rest], np.concatenate([where, speed])[rest]):
                raise ValueError(
                    f"a joint of {env.spec.id} that no action moved before has moved, so that its "
                    f"plant's state, {', '.join(self.names)}, is not the whole state; choose an "
                    "environment whose joints all move by its actions, or never."
                )
            after[i] = whole[kept]
        return after

    def kinematics(self, place: NDArray[np.float64], hand: int) -> Any:
        """Return hand (3,), its Jacobian (3, q) and the joints' places (q, 3)."""
        model, data = self.env.model, self.env.data
        data.qpos[:] = self.env.init_qpos
        data.qpos[self.places] = place
        self.mujoco.mj_kinematics(model, data)
        self.mujoco.mj_comPos(model, data)
        rows = np.zeros((3, model.nv))
        self.mujoco.mj_jacBody(model, data, rows, None, hand)
        return data.xpos[hand].copy(), rows[:, self.speeds], data.xanchor[self.joints].copy()

    def _moving(self, name: str) -> NDArray[np.int64]:
        """Return the joints that random actions move; refuse an environment of chance."""
        env, model = self.env, self.env.model
        env.reset(seed=_SEED)
        actions = np.random.default_rng(_SEED).uniform(
            env.action_space.low, env.action_space.high, (_TRIED, env.action_space.shape[0])
        )
        where, speed = env.init_qpos.copy(), np.zeros_like(env.init_qvel)
        visited = []
        for action in actions:
            after = self.step(where, speed, action)
            visited.append((where, speed, action, after))
            where, speed = after[: len(where)], after[len(where) :]
        for where, speed, action, after in reversed(visited):  # another order, the same numbers
            again = self.step(where, speed, action)
            if not np.array_equal(after, again):
                raise ValueError(
                    f"{name} gives different states from equal states and actions (they differ by "
                    f"{np.abs(after - again).max():.2g}), so it depends on chance or on its past; "
                    "a plant must be deterministic."
                )
        places = np.stack([after[: len(env.init_qpos)] for *_, after in visited])
        moved = np.ptp(places, axis=0) > 1e-12
        joints = np.flatnonzero(moved[model.jnt_qposadr])
        if not len(joints):
            raise ValueError(f"{name} has no joint that its actions move; choose another.")
        return joints


@lru_cache(maxsize=8)
def _simulator(name: str) -> _Simulator:
    return _Simulator(name)


def _made(name: str) -> Any:
    """Return an environment of MuJoCo, without the wrappers around it."""
    gymnasium = require("gymnasium", "mujoco")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Gymnasium's advice on its own environments
            env = gymnasium.make(name).unwrapped
    except ModuleNotFoundError as error:
        raise RuntimeError(f"{name} needs {error.name}: {install_command('mujoco')}.") from error
    except gymnasium.error.Error as error:
        raise ValueError(f"no environment {name!r} can be made: {error}") from error
    needed = ("model", "data", "set_state", "dt", "init_qpos", "init_qvel")
    missing = [part for part in needed if not hasattr(env, part)]
    if missing:
        raise ValueError(
            f"{name} is not simulated by MuJoCo (it has no {', '.join(missing)}); choose one of "
            "Gymnasium's MuJoCo environments, such as Reacher-v5."
        )
    return env
