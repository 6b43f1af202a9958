"""A plant whose derivatives were learned: a network that predicts changes of state.

Notation: x state, u command, d load, f hand force, z = [x, u, d, f] with mean m and scale s removed
and divided by; L, c the best linear prediction, e its error's scale::

    x[t + 1] - x[t] = L z + c + e * (W2 tanh(W1 tanh(W0 z + b0) + b1) + b2)

Source: Sutskever (2013), section 6.8: a network learns a plant's forward dynamics, and gives "the
approximate plant derivatives while using the correct forward trajectories".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neuromotor.plants.plant import Plant, check_last_axis, within_bounds
from neuromotor.storage.components import SettingsError, UnknownNameError, decode, encode, needs_of
from neuromotor.storage.files import parse_json
from neuromotor.storage.tensor_file import CheckpointError, read_tensor_file, write_tensor_file

__all__ = ["ChangeNetwork", "LearnedPlant", "check_new_plant", "save_learned"]

_FORMAT = "neuromotor.plant"
_MAX_BYTES = 1 << 28
_SLACK = 1e-9  # of a range, for rounding


class ChangeNetwork(torch.nn.Module):
    """Predicts the change of a state in one step; see the module's notation.

    Args:
        inputs: Numbers in state, command, load and hand force together.
        outputs: Numbers n in a state.
        layers: Units of each hidden layer.

    Attributes:
        mean: What is taken away from the inputs, (inputs,).
        scale: What the rest is divided by, (inputs,).
        linear: L, (n, inputs).
        offset: c, (n,).
        error: e, (n,); zeros leave the linear prediction alone.
        low: Least value of each input that it was trained on, (inputs,).
        high: Largest value, (inputs,).
    """

    mean: Tensor
    scale: Tensor
    linear: Tensor
    offset: Tensor
    error: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, inputs: int, outputs: int, layers: tuple[int, ...]) -> None:
        super().__init__()
        sizes = (inputs, *layers, outputs)
        parts = [torch.nn.Linear(one, two, dtype=torch.float64) for one, two in pairwise(sizes)]
        self.layers = torch.nn.ModuleList(parts)
        for name, value in (
            ("mean", torch.zeros(inputs)),
            ("scale", torch.ones(inputs)),
            ("linear", torch.zeros(outputs, inputs)),
            ("offset", torch.zeros(outputs)),
            ("error", torch.zeros(outputs)),
            ("low", torch.zeros(inputs)),
            ("high", torch.zeros(inputs)),
        ):
            self.register_buffer(name, value.double())

    def normalized(self, given: Tensor) -> Tensor:
        """Return z of state, command, load and hand force side by side, (..., inputs)."""
        return (given - self.mean) / self.scale

    def correction(self, z: Tensor) -> Tensor:
        """Return what is added to the linear prediction, in units of e, (..., n)."""
        *hidden, last = self.layers
        for layer in hidden:
            z = torch.tanh(layer(z))
        correction: Tensor = last(z)
        return correction

    def forward(self, given: Tensor) -> Tensor:
        """Return the change of state, (..., n), of (..., inputs)."""
        z = self.normalized(given)
        change = torch.nn.functional.linear(z, self.linear, self.offset)
        return change + self.error * self.correction(z) if bool(self.error.any()) else change


def _of_body(name: str, meaning: str) -> Any:
    """Return a property that is the body's."""
    return property(lambda plant: getattr(plant.body, name), doc=f"{meaning}; the body's.")


@dataclass(frozen=True)
class LearnedPlant:
    """A plant with derivatives that a network learned from another plant's trajectories.

    The plant that it was learned from is its body: sizes, bounds, hand and limb are the body's.
    With `true_forward` a step returns what the body does, to the bit, and only the derivatives are
    those of the network, at the body's state (Sutskever 2013, section 6.8). So losses are true,
    and whatever takes a plant takes bodies without derivatives too. Beyond the range of the
    training, derivatives are those at its border (our choice). Without `true_forward` a step is the
    network's, and a state, command or load beyond the range is refused: the prediction of a network
    there means nothing.

    Attributes:
        file: What `neuromotor learn-plant` or `save_learned` wrote (.safetensors).
        true_forward: Whether steps are the body's, or the network's.
        checksum: SHA-256 in the file; None takes the file as it is.

    Raises:
        CheckpointError: The file is missing, damaged, foreign, or another one than `checksum` says.
    """

    file: str
    true_forward: bool = True
    checksum: str | None = None

    def __post_init__(self) -> None:
        path = Path(self.file).absolute()
        *_, checksum = _contents(str(path), *_version(path))
        if self.checksum not in (None, checksum):
            raise CheckpointError(
                f"{path} is not the file that the settings mean: its checksum begins with "
                f"{checksum[:8]}, theirs with {str(self.checksum)[:8]}; use the old file, or leave "
                "`checksum` out."
            )
        object.__setattr__(self, "file", str(path))
        object.__setattr__(self, "checksum", checksum)

    @property
    def own_type(self) -> str:
        """The name by which settings know it: the file's."""
        return self.file

    @cached_property
    def _held(self) -> tuple[ChangeNetwork, Plant, dict[str, Any], str]:
        return _contents(self.file, *_version(Path(self.file)))

    @property
    def network(self) -> ChangeNetwork:
        """What predicts changes of state; float64, on the CPU."""
        return self._held[0]

    @property
    def body(self) -> Plant:
        """The plant that it was learned from."""
        return self._held[1]

    @property
    def info(self) -> dict[str, Any]:
        """How it was learned, and its held-out errors."""
        return self._held[2]

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self.file, "true_forward": self.true_forward, "checksum": self.checksum}

    # ---- what is the body's ----

    dt_s = _of_body("dt_s", "Step length (s)")
    state_size = _of_body("state_size", "Numbers n in a state")
    command_size = _of_body("command_size", "Numbers m in a command")
    load_size = _of_body("load_size", "Numbers k in a load")
    hand_size = _of_body("hand_size", "Numbers d in a position of the hand")
    state_labels = _of_body("state_labels", "Name and unit of each number of a state")
    command_labels = _of_body("command_labels", "Name and unit of each number of a command")
    load_labels = _of_body("load_labels", "Name and unit of each number of a load")
    state_parts = _of_body("state_parts", "Where the parts of a state lie")
    command_bounds = _of_body("command_bounds", "Lowest and highest commands")
    usual_command = _of_body("usual_command", "Largest command that movements need")
    feedback = _of_body("feedback", "Which numbers of a state a controller is given")
    state_limits = _of_body("state_limits", "Largest size of each number of a state")
    hand_limits = _of_body("hand_limits", "Largest coordinate (m) and speed (m/s) of the hand")
    home = _of_body("home", "A configuration in the middle of the workspace")
    load_scale = _of_body("load_scale", "How large loads are that suit it")
    configuration = _of_body("configuration", "The method with this name")
    configuration_at = _of_body("configuration_at", "The method with this name")
    rest_state = _of_body("rest_state", "The method with this name")
    hand_position = _of_body("hand_position", "The method with this name")
    hand_velocity = _of_body("hand_velocity", "The method with this name")
    limb = _of_body("limb", "The method with this name")
    # what a plant may lack; then this one lacks it too
    actuated = _of_body("actuated", "The method with this name")
    holding_command = _of_body("holding_command", "The method with this name")
    configuration_near = _of_body("configuration_near", "The method with this name")
    signals = _of_body("signals", "The method with this name")
    velocity_rates = _of_body("velocity_rates", "The method with this name")

    # ---- mechanics ----

    def step(
        self,
        state: Tensor,
        command: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
        /,
    ) -> Tensor:
        """Return the state one step later, (..., n); arguments as `Plant.step`.

        Raises:
            ValueError: A last axis has the wrong size, or, without `true_forward`, something is
                beyond the range of the training.
        """
        parts = (state, command, load, hand_force)
        sizes = (self.state_size, self.command_size, self.load_size, self.hand_size)
        for name, part, size in zip(_PARTS, parts, sizes, strict=True):
            if part is not None:
                check_last_axis(name, part, size, f"learned from {type(self.body).__name__}")
        wanted = torch.is_grad_enabled() and any(p is not None and p.requires_grad for p in parts)
        if not self.true_forward:
            return self._predicted(parts)
        with torch.no_grad():
            detached = [None if part is None else part.detach() for part in parts]
            after: Tensor = self.body.step(*detached)  # type: ignore[arg-type]
        if not wanted:
            return after
        guess = self._predicted(parts)
        return after + (guess - guess.detach())  # exactly `after`, with the network's derivatives

    def _predicted(self, parts: tuple[Tensor | None, ...]) -> Tensor:
        """Return what the network says of the next state, (..., n)."""
        state, command, load, hand_force = parts
        if state is None or command is None:  # which no step lacks
            raise TypeError("`state` and `command` must be tensors, got None.")
        acting = [
            state.new_zeros(size) if part is None else part
            for part, size in ((load, self.load_size), (hand_force, self.hand_size))
        ]
        rows = (state, within_bounds(self.body, command), *acting)
        shape = torch.broadcast_shapes(*(row.shape[:-1] for row in rows))  # type: ignore[no-untyped-call]
        given = torch.cat([row.expand(*shape, row.shape[-1]) for row in rows], dim=-1)
        network = self._network_for(state)
        if self.true_forward:  # values at the border, derivatives as if they were not
            given = given.detach().clamp(network.low, network.high) + (given - given.detach())
        else:
            self._check_range(network, given)
        change: Tensor = network(given)
        return state + change

    def _check_range(self, network: ChangeNetwork, given: Tensor) -> None:
        """Raise unless all inputs lie within the range of the training."""
        slack = _SLACK + (network.high - network.low) * _SLACK
        beyond = (given < network.low - slack) | (given > network.high + slack)
        beyond |= ~given.isfinite()
        if not bool(beyond.any()):
            return
        column = int(beyond.reshape(-1, beyond.shape[-1]).any(0).nonzero()[0])
        values = given[..., column].flatten()
        worst = values[beyond[..., column].flatten()][0]
        labels = [*self.state_labels, *self.command_labels, *self.load_labels]
        labels += [f"hand force {axis} (N)" for axis in "xyz"[: self.hand_size]]
        raise ValueError(
            f"`{labels[column]}` must lie between {float(network.low[column]):.4g} and "
            f"{float(network.high[column]):.4g}, where this plant was learned, got "
            f"{float(worst):.4g}; learn it on a wider range, or set `true_forward`."
        )

    def _network_for(self, like: Tensor) -> ChangeNetwork:
        """Return the network in a tensor's dtype and on its device."""
        if like.dtype == torch.float64 and like.device.type == "cpu":
            return self.network
        return _converted(self.file, self.checksum, like.dtype, str(like.device), self.network)


_PARTS = ("state", "command", "load", "hand_force")


def save_learned(
    path: Path | str,
    network: ChangeNetwork,
    body: Plant,
    *,
    info: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a network and the plant that it was learned from to a `.safetensors` file.

    Args:
        path: The file.
        network: What was learned.
        body: The plant, of a class that settings know.
        info: Anything else that JSON can hold.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        ValueError: The path does not end in `.safetensors`, or the plant's class is not registered.
    """
    from neuromotor.plants import PLANTS  # which know this class too

    path = check_new_plant(path, overwrite=overwrite)
    text = {
        "body": json.dumps(encode(body, PLANTS)),
        "layers": json.dumps([layer.out_features for layer in network.layers][:-1]),
        "info": json.dumps(info or {}, allow_nan=False),
        "needs": json.dumps(needs_of((body, PLANTS))),
    }
    tensors = {
        name: part.detach().cpu().contiguous() for name, part in network.state_dict().items()
    }
    write_tensor_file(path, _FORMAT, text, tensors)


def check_new_plant(path: Path | str, *, overwrite: bool) -> Path:
    """Return a path to which a learned plant can be written, or raise as `save_learned` does."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"`path` must end in .safetensors, got {path}.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or pass `overwrite=True`.")
    return path


def _version(path: Path) -> tuple[int, int]:
    """Return what changes when a file does: its time and its size; zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=32)
def _contents(file: str, *_version: int) -> tuple[ChangeNetwork, Plant, dict[str, Any], str]:
    """Return a file's network, body, information and checksum."""
    from neuromotor.extensions.registry import lacking
    from neuromotor.plants import PLANTS

    path = Path(file)
    found = read_tensor_file(path, _FORMAT, "a learned plant", _MAX_BYTES)
    try:
        body: Plant = decode(parse_json(found.text["body"]), PLANTS, "body")
        layers = parse_json(found.text["layers"])
        info = parse_json(found.text["info"])
        outputs, inputs = found.tensors["linear"].shape
        network = ChangeNetwork(inputs, outputs, tuple(layers))
        network.load_state_dict(found.tensors)
    except UnknownNameError as error:
        needs = lacking(found.text.get("needs"))
        raise CheckpointError(
            f"{path} is whole, but was learned from a plant that is not here: {error} {needs}"
        ) from error
    except (KeyError, RuntimeError, TypeError, ValueError, SettingsError) as error:
        raise CheckpointError(f"{path} does not agree with itself: {error}") from error
    size = body.state_size + body.command_size + body.load_size + body.hand_size
    if (inputs, outputs) != (size, body.state_size):
        raise CheckpointError(
            f"{path} does not agree with itself: its network has {inputs} inputs and {outputs} "
            f"outputs, its body {size} and {body.state_size}."
        )
    return network.requires_grad_(False), body, info, found.text["sha256"]


@lru_cache(maxsize=8)
def _converted(
    file: str, checksum: str | None, dtype: torch.dtype, device: str, network: ChangeNetwork
) -> ChangeNetwork:
    from copy import deepcopy

    return deepcopy(network).to(dtype=dtype, device=device)
