"""Learns a plant: a network that predicts changes of state, from trajectories of any plant.

The network's best linear part is a closed form; what that leaves is trained with this package's own
optimizers, all transitions at once, in units of what is left.

Source: Sutskever (2013), section 6.8, which says that it works and not how; how is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive, check_seed
from neuromotor.optim import Budget, Callback, KroneckerLBFGS, ModuleObjective
from neuromotor.plants import ChangeNetwork, LearnedPlant, Plant, save_learned
from neuromotor.plants.learned import check_new_plant

__all__ = [
    "HorizonError",
    "PlantSampling",
    "Trajectories",
    "collect",
    "fit",
    "horizon_errors",
    "learn_plant",
]

_TINY = 1e-9  # of a change, below which what the linear part leaves is rounding
_HELD_OUT = 10  # every tenth trajectory is held out


@dataclass(frozen=True)
class PlantSampling:
    """From which trajectories a plant is learned; ranges are ours.

    Attributes:
        trajectories: How many, each from a state of its own; one in ten is held out.
        steps: Steps of each.
        position_range: Largest distance of a first configuration from home (rad or m).
        velocity_range: Largest first velocity of each joint (rad/s or m/s).
        command_range: Largest command (N m or N), in both directions; None is within the plant's
            bounds, or else its usual command.
        load_range: Largest load of each joint (N m or N), constant in a trajectory; 0 for none.
        force_range: Largest hand force along each axis (N), likewise.
        seed: Of all draws.

    Raises:
        ValueError: A number is out of range.
    """

    trajectories: int = 1000
    steps: int = 20
    position_range: float = 1.0
    velocity_range: float = 5.0
    command_range: float | None = None
    load_range: float = 0.0
    force_range: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer("trajectories", self.trajectories, minimum=_HELD_OUT)
        check_integer("steps", self.steps, minimum=1)
        check_positive("position_range", self.position_range, "rad or m")
        check_number("velocity_range", self.velocity_range, "rad/s or m/s", minimum=0.0)
        if self.command_range is not None:
            check_positive("command_range", self.command_range, "N m or N")
        check_number("load_range", self.load_range, "N m or N", minimum=0.0)
        check_number("force_range", self.force_range, "N", minimum=0.0)
        check_seed("seed", self.seed)


@dataclass(frozen=True)
class Trajectories:
    """What a plant did in N trajectories of T steps.

    Attributes:
        states: (N, T + 1, n).
        commands: (N, T, m).
        loads: (N, T, k).
        hand_forces: (N, T, d).

    Raises:
        ValueError: Sizes do not fit together, or a number is not finite.
    """

    states: Tensor
    commands: Tensor
    loads: Tensor
    hand_forces: Tensor

    def __post_init__(self) -> None:
        count, steps = self.commands.shape[:2]
        for name, part in vars(self).items():
            wanted = (count, steps + (name == "states"))
            if part.ndim != 3 or part.shape[:2] != wanted:
                raise ValueError(
                    f"`{name}` must be of {wanted[0]} trajectories and {wanted[1]} moments, as "
                    f"`commands` has them, got shape {tuple(part.shape)}."
                )
            if not bool(part.isfinite().all()):
                raise ValueError(
                    f"`{name}` must be finite, got infinite or NaN entries; draw from smaller "
                    "ranges, or take shorter steps."
                )

    def __len__(self) -> int:
        return len(self.commands)

    @property
    def inputs(self) -> Tensor:
        """State, command, load and hand force side by side, (N, T, .)."""
        acting = (self.commands, self.loads, self.hand_forces)
        return torch.cat([self.states[:, :-1], *acting], dim=-1)

    def split(self) -> tuple[Trajectories, Trajectories]:
        """Return nine of ten trajectories, and every tenth, which is held out."""
        held = torch.arange(len(self)) % _HELD_OUT == _HELD_OUT - 1
        rest, out = (
            Trajectories(*(part[chosen] for part in vars(self).values()))
            for chosen in (~held, held)
        )
        return rest, out


@dataclass(frozen=True)
class HorizonError:
    """How well a network predicts so many steps ahead, from the first state and the commands.

    Attributes:
        steps: The horizon.
        error: Root mean square error by part of the state, in the part's unit.
        change: Root mean square of the part's true change within the horizon, to compare.
    """

    steps: int
    error: dict[str, float]
    change: dict[str, float]


def collect(plant: Plant, sampling: PlantSampling) -> Trajectories:
    """Run a plant from random states, under random commands and loads.

    First states are uniform around home, activations uniform in [0, 1]. Commands are a constant of
    the trajectory and white noise in a proportion of the trajectory, both uniform.

    Raises:
        ValueError: It is not known how large commands are, or a state is not finite.
    """
    generator = torch.Generator().manual_seed(sampling.seed)
    count, steps = sampling.trajectories, sampling.steps

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    home = torch.tensor(plant.home, dtype=torch.float64)
    away = sampling.position_range * (2 * uniform(count, len(home)) - 1)
    state = plant.rest_state(home + away)
    for name, part in plant.state_parts.items():
        drawn = uniform(*state[:, part].shape)
        if name == "velocity":
            state[:, part] = sampling.velocity_range * (2 * drawn - 1)
        elif name != "position":
            state[:, part] = drawn
    low, high = _command_range(plant, sampling)
    mixture = uniform(count, 1, 1)
    draws = mixture * uniform(count, 1, len(low))
    draws = draws + (1 - mixture) * uniform(count, steps, len(low))
    commands = low + (high - low) * draws
    loads, forces = (
        (largest * (2 * uniform(count, 1, size) - 1)).expand(count, steps, size)
        for largest, size in (
            (sampling.load_range, plant.load_size),
            (sampling.force_range, plant.hand_size),
        )
    )
    states = [state]
    with torch.no_grad():
        for t in range(steps):
            acting = commands[:, t], loads[:, t], forces[:, t]
            states.append(plant.step(states[-1], *acting))
    return Trajectories(torch.stack(states, dim=1), commands, loads, forces)


def fit(
    data: Trajectories,
    *,
    layers: Sequence[int] = (64, 64),
    calls: int = 500,
    seed: int = 0,
    progress: Callback | None = None,
) -> ChangeNetwork:
    """Return a network that predicts the changes of state in trajectories.

    Args:
        data: Trajectories; all of them are learned from.
        layers: Units of each hidden layer.
        calls: Budget of the training, in calls.
        seed: Of the first weights.
        progress: Called with the training's progress, now and then.

    Raises:
        ValueError: A number is out of range.
    """
    for units in layers:
        check_integer("layers", units, minimum=1)
    check_integer("calls", calls, minimum=1)
    given = data.inputs.flatten(0, 1)
    change = (data.states[:, 1:] - data.states[:, :-1]).flatten(0, 1)
    with torch.random.fork_rng(devices=[]):  # torch draws first weights from the global generator
        torch.manual_seed(seed)
        network = ChangeNetwork(given.shape[1], change.shape[1], tuple(layers))
    spread = given.std(0)
    varies = spread > 0
    with torch.no_grad():
        network.mean.copy_(given.mean(0))
        network.scale.copy_(torch.where(varies, spread, 1.0))
        network.low.copy_(given.amin(0))
        network.high.copy_(given.amax(0))
        z = network.normalized(given)
        design = torch.cat([z[:, varies], torch.ones_like(z[:, :1])], dim=1)
        best = torch.linalg.lstsq(design, change, driver="gelsd").solution
        network.linear[:, varies] = best[:-1].T
        network.offset.copy_(best[-1])
        left = change - design @ best
        error = left.square().mean(0).sqrt()
        real = error > _TINY * change.square().mean(0).sqrt()
        network.error.copy_(torch.where(real, error, 0.0))
        network.layers.get_parameter("0.weight")[:, ~varies] = 0.0
        for last in network.layers[-1].parameters():
            last[~real] = 0.0
    if bool(real.any()):  # else the plant is linear
        _correct(network, z, left / error, real, calls, progress)
    return network.requires_grad_(False)


def _correct(
    network: ChangeNetwork,
    z: Tensor,
    wanted: Tensor,
    real: Tensor,
    calls: int,
    progress: Callback | None,
) -> None:
    """Train a network's correction towards what is wanted, of the outputs that are `real`."""

    def forward() -> tuple[Tensor, Tensor]:
        outputs = network.correction(z)[:, real]
        return outputs, 0.5 * (outputs - wanted[:, real]).square().sum(-1).mean()

    objective = ModuleObjective(network.parameters(), forward)
    result = KroneckerLBFGS().minimize(
        objective, objective.vector(), budget=Budget(calls=calls), callback=progress
    )
    objective.put(result.parameters)


def horizon_errors(
    network: ChangeNetwork, plant: Plant, data: Trajectories, horizons: Sequence[int] = ()
) -> list[HorizonError]:
    """Return how far predictions are from trajectories, by horizon.

    Args:
        network: What predicts, step after step from its own predictions.
        plant: The plant, whose parts of a state are told apart.
        data: Trajectories that the network was not trained on.
        horizons: Steps ahead; by default 1, 2, 5, 10 and so on, as far as trajectories go.

    Raises:
        ValueError: A horizon is longer than the trajectories.
    """
    steps = data.commands.shape[1]
    horizons = horizons or [h for h in (1, 2, 5, 10, 20, 50, 100) if h <= steps]
    for horizon in horizons:
        check_integer("horizons", horizon, minimum=1)
        if horizon > steps:
            raise ValueError(f"`horizons` must be {steps} steps at most, got {horizon}.")
    state, found = data.states[:, 0], []
    with torch.no_grad():
        for t in range(max(horizons)):
            rest = data.commands[:, t], data.loads[:, t], data.hand_forces[:, t]
            state = state + network(torch.cat([state, *rest], dim=-1))
            if t + 1 in horizons:
                off, moved = (
                    state - data.states[:, t + 1],
                    data.states[:, t + 1] - data.states[:, 0],
                )
                found.append(
                    HorizonError(
                        t + 1,
                        {name: _rms(off[:, part]) for name, part in plant.state_parts.items()},
                        {name: _rms(moved[:, part]) for name, part in plant.state_parts.items()},
                    )
                )
    return found


def learn_plant(
    plant: Plant,
    path: Path | str,
    sampling: PlantSampling | None = None,
    *,
    layers: Sequence[int] = (64, 64),
    calls: int = 500,
    overwrite: bool = False,
    progress: Callback | None = None,
) -> LearnedPlant:
    """Learn a plant, and write what was learned to a file that stands for a plant everywhere.

    Args:
        plant: What is learned: any plant, or a `MujocoPlant`.
        path: The file (.safetensors).
        sampling: From which trajectories.
        layers: Units of each hidden layer.
        calls: Budget of the training, in calls.
        overwrite: Whether an existing file may be replaced.
        progress: Called with the training's progress, now and then.

    Returns:
        The learned plant. Its `info` has the held-out errors.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        ValueError: A setting is out of range, or the plant can be neither run nor written.

    Example:
        >>> import tempfile, neuromotor as nm
        >>> file = tempfile.mkdtemp() + "/mass.safetensors"
        >>> mass = learn_plant(nm.PointMass(), file, PlantSampling(trajectories=50))
        >>> round(mass.info["errors"][0]["error"]["velocity"], 9)
        0.0
    """
    sampling = sampling or PlantSampling()
    path = check_new_plant(path, overwrite=overwrite)
    known, held_out = collect(plant, sampling).split()
    network = fit(known, layers=layers, calls=calls, seed=sampling.seed, progress=progress)
    errors = horizon_errors(network, plant, held_out)
    info = {
        "sampling": asdict(sampling),
        "layers": list(layers),
        "calls": calls,
        "errors": [asdict(one) for one in errors],
    }
    save_learned(path, network, plant, info=info, overwrite=overwrite)
    return LearnedPlant(str(path))


def _command_range(plant: Plant, sampling: PlantSampling) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest commands that are drawn, (m,) each."""
    size, largest = plant.command_size, sampling.command_range
    low, high = plant.command_bounds or ((-float("inf"),) * size, (float("inf"),) * size)
    if largest is None:
        largest = plant.usual_command
    if largest is None and not all(abs(bound) < float("inf") for bound in (*low, *high)):
        raise ValueError(
            f"`command_range` must say how large commands of a {type(plant).__name__} are, which "
            "has neither bounds nor a usual command, got None."
        )
    within = torch.tensor([low, high], dtype=torch.float64)
    if largest is not None:
        within = within.clamp(-largest, largest)
    return within[0], within[1]


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
