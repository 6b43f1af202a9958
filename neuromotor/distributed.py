"""One training over several processes or machines: trials are shared out, answers added up.

Started by ``torchrun``, process 0 leads: it runs the program, and every decision (line searches,
clocks, draws) is its own, so that none can differ between processes. The others serve: each holds
a share of the trials of every objective that the leader makes, and answers for it. A call is one
broadcast of the point and one reduction of the answers, each weighted by its share of the trials:
together an all-reduce. Sums are made in double precision.

Notation: N processes, B trials, theta parameters (P,), sizes of messages in numbers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import IntEnum, auto
from functools import lru_cache
from typing import Any, TypeVar

import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from neuromotor.closed_loop import ClosedLoop, FastObjective
from neuromotor.closed_loop.dynamics import check_trials
from neuromotor.closed_loop.passes import KroneckerBlock, Place
from neuromotor.closed_loop.simulate import check_inputs
from neuromotor.config import decode, encode
from neuromotor.controllers import CONTROLLERS, CommandTable
from neuromotor.optim.objective import Linearization, Objective
from neuromotor.tasks import TASKS, Trials

__all__ = ["TIMEOUT_VARIABLE", "SharedObjective", "launched", "objective", "processes", "run"]

T = TypeVar("T")
TIMEOUT_VARIABLE = "NEUROMOTOR_TIMEOUT_S"  # most seconds without a sign of life from a process
_TIMEOUT_S = 600.0
_PATIENCE_S = 3.0  # of those that serve, before they speak in the leader's place
_FAILURE, _TOLD = "neuromotor/failure", "neuromotor/told"  # keys in torchrun's store


class _Ask(IntEnum):
    """What the leader asks for."""

    STOP = auto()
    NOTHING = auto()  # a sign of life
    MAKE = auto()  # an objective
    FORGET = auto()  # an objective or a linearisation
    VALUE = auto()
    GRADIENT = auto()
    LINEARIZE = auto()
    PRODUCT = auto()
    FACTORS = auto()


def launched() -> bool:
    """Return whether torchrun started this process as one of several."""
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return all(name in os.environ for name in names) and int(os.environ["WORLD_SIZE"]) > 1


def run(program: Callable[[], T]) -> T:
    """Run a program in process 0, with all others at its service; alone, just run it.

    Within it, `neuromotor.train`, `neuromotor.compare` and `objective` share their trials out. The
    other processes never return from here; they end with the program.

    Args:
        program: What is to be done.

    Returns:
        What the program returned.

    Raises:
        RuntimeError: A process could not be reached, failed, or ended.

    Example:
        A file that `torchrun --nproc-per-node 2 FILE` runs in two processes:

        >>> from neuromotor import LBFGS, Budget, CenterOut, ContinuousTimeRNN, distributed, train
        >>> def program():
        ...     task, net = CenterOut(directions=4), ContinuousTimeRNN(layers=(10,))
        ...     return train(task, net, LBFGS(), budget=Budget(calls=5)).counts.calls >= 5
        >>> distributed.run(program)
        True
    """
    global _group
    if not launched() or _group is not None:
        return program()
    group = _Group()
    if group.rank != 0:
        _serve(group)
    _group = group
    try:
        return program()
    finally:
        _group = None
        group.close()


def objective(loop: ClosedLoop, trials: Trials) -> Objective:
    """Return a loop's mean loss over trials, shared out where `run` leads several processes.

    Args:
        loop: Task and controller, both registered (`TASKS`, `CONTROLLERS`) where it is shared.
        trials: The whole batch.

    Raises:
        ValueError: There are fewer trials than processes, or the controller belongs to its trials.
    """
    return loop.objective(trials) if _group is None else SharedObjective(_group, loop, trials)


def processes() -> int:
    """Return how many processes share what `objective` makes."""
    return 1 if _group is None else _group.size


class _LostError(RuntimeError):
    """Another process could not be reached."""


class _Group:
    """The processes, from torchrun's environment, and their messages."""

    def __init__(self) -> None:
        self.timeout_s = _timeout_s()
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        backend = "gloo"
        if torch.cuda.is_available() and dist.is_nccl_available():
            backend = "cpu:gloo,cuda:nccl"
            if self.local_rank < torch.cuda.device_count():
                torch.cuda.set_device(self.local_rank)
        timeout = timedelta(seconds=self.timeout_s)
        self.store, self.rank, self.size = next(rendezvous("env://", timeout=timeout))
        dist.init_process_group(
            backend, store=self.store, rank=self.rank, world_size=self.size, timeout=timeout
        )
        self._lock = threading.Lock()
        self._broken = False
        self._keys = 0
        self._dropped: list[int] = []
        self._spoke = time.monotonic()
        self._closing = threading.Event()
        if self.rank == 0:
            threading.Thread(target=self._show_life, daemon=True).start()

    def new_key(self) -> int:
        """Number of a new objective or linearisation."""
        self._keys += 1
        return self._keys

    def drop_with(self, owner: object, key: int) -> None:
        """Let the others forget what a key stands for when its owner is gone here."""
        weakref.finalize(owner, self._dropped.append, key)

    @contextmanager
    def asking(
        self,
        ask: _Ask,
        key: int = 0,
        *,
        number: float = 0.0,
        extra: bytes = b"",
        vector: Tensor | None = None,
    ) -> Iterator[None]:
        """Send a question; the block answers it here, and may `add_up` or `give`."""
        with self._lock:
            if self._broken:
                raise RuntimeError("the processes have lost each other; start again.")
            self._broken = True  # until the block ends well: nobody knows where the others are
            if ask in (_Ask.MAKE, _Ask.LINEARIZE):
                while self._dropped:
                    self._send(_Ask.FORGET, self._dropped.pop(), 0.0, b"", None)
            self._send(ask, key, number, extra, vector)
            yield
            self._broken = False
            self._spoke = time.monotonic()

    def _send(
        self, ask: _Ask, key: int, number: float, extra: bytes, vector: Tensor | None
    ) -> None:
        head = torch.tensor([ask, key, number, len(extra)], dtype=torch.float64)
        with self.speaking():
            dist.broadcast(head, 0)
            if extra:
                dist.broadcast(_as_tensor(extra), 0)
            if vector is not None:
                dist.broadcast(vector, 0)

    def give(self, data: bytes, rank: int) -> None:
        """Send bytes to one process."""
        with self.speaking():
            dist.send(torch.tensor([len(data)]), rank)
            dist.send(_as_tensor(data), rank)

    def take(self) -> bytes:
        """Receive what `give` sends."""
        size = torch.zeros(1, dtype=torch.int64)
        dist.recv(size, 0)
        data = torch.empty(int(size), dtype=torch.uint8)
        dist.recv(data, 0)
        return data.numpy().tobytes()

    def add_up(self, answer: Tensor) -> Tensor:
        """Return the sum over all processes, for the leader."""
        with self.speaking():
            dist.reduce(answer, 0)
        return answer

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Word what goes wrong between processes."""
        try:
            yield
        except RuntimeError as error:
            raise _LostError(self._explanation(error)) from error

    def tell(self) -> bool:
        """Claim the right to say what went wrong; return whether nobody had it."""
        with suppress(RuntimeError):
            return bool(self.store.add(_TOLD, 1) == 1)
        return True

    def _explanation(self, error: RuntimeError) -> str:
        if self.rank == 0:
            self.tell()
        with suppress(RuntimeError):
            if self.store.check([_FAILURE]):
                return str(self.store.get(_FAILURE), encoding="utf-8")
        if "imed out" in str(error):
            return (
                f"a process gave no sign of life for {self.timeout_s:g} s; where one call takes "
                f"longer, set {TIMEOUT_VARIABLE}. `--resume` goes on from the last checkpoint."
            )
        return (
            f"one of the {self.size} processes ended without a word (killed, or out of memory?); "
            "`--resume` goes on from the last checkpoint."
        )

    def _show_life(self) -> None:
        """Say something now and then while the leader is busy elsewhere."""
        while not self._closing.wait(self.timeout_s / 8):
            if time.monotonic() - self._spoke < self.timeout_s / 4 or self._broken:
                continue
            with suppress(RuntimeError), self.asking(_Ask.NOTHING):
                pass  # the program will notice

    def close(self) -> None:
        """Let the others end."""
        self._closing.set()
        if self._broken:
            self.tell()
            return
        with suppress(RuntimeError), self.asking(_Ask.STOP):
            pass
        dist.destroy_process_group()


_group: _Group | None = None


@dataclass(frozen=True)
class _Share:
    """One process's part of an objective; every answer is weighted by it.

    Attributes:
        objective: Mean over the process's own trials.
        place: Of those in the whole batch.
        count: Number of them.
        size: P.
        like: A tensor of the trials' dtype and device.
    """

    objective: Any
    place: Place
    count: int
    size: int
    like: Tensor

    @property
    def weight(self) -> float:
        return self.count / self.place.whole

    def value(self, theta: Tensor) -> Tensor:
        """Value, (1,)."""
        return self.weight * self.numbers([self.objective.value(theta)])

    def gradient(self, theta: Tensor) -> Tensor:
        """Gradient and value, (P + 1,)."""
        value, gradient = self.objective.value_and_gradient(theta)
        return self.weight * torch.cat([gradient.double(), self.numbers([value])])

    def linearize(self, theta: Tensor) -> tuple[Linearization, Tensor]:
        """The trials linearised, with gradient and value, (P + 1,)."""
        model: Linearization = self.objective.linearize(theta)
        return model, self.weight * torch.cat(
            [model.gradient.double(), self.numbers([model.value])]
        )

    def product(self, model: Linearization, vector: Tensor, structural: float) -> Tensor:
        """Gauss-Newton product, (P,)."""
        return self.weight * model.product(vector, structural).double()

    def factors(
        self, theta: Tensor, generator: torch.Generator
    ) -> tuple[tuple[KroneckerBlock, ...], Tensor]:
        """Kronecker factors, and all their numbers."""
        blocks = self.objective.kronecker_factors(theta, generator, self.place)
        parts = [part.double().flatten() for _, *both in blocks for part in both]
        return blocks, self.weight * torch.cat(parts)

    def numbers(self, values: list[float]) -> Tensor:
        """Numbers in double precision, on the trials' device."""
        return torch.tensor(values, dtype=torch.float64, device=self.like.device)


class SharedObjective:
    """Mean loss over trials that are shared out over processes; `objective` makes it."""

    def __init__(self, group: _Group, loop: ClosedLoop, trials: Trials) -> None:
        """Share the trials out.

        Raises:
            ValueError: There are fewer trials than processes, or the controller belongs to its
                trials.
        """
        if isinstance(loop.controller, CommandTable):
            raise ValueError(
                "`controller` must suit any number of trials to be trained by several processes, "
                "got a CommandTable, which belongs to its trials; start one process."
            )
        if len(trials) < group.size:
            raise ValueError(
                f"`trials` must be at least one for each of the {group.size} processes, got "
                f"{len(trials)}; start fewer processes (`torchrun --nproc-per-node`), or take more "
                "trials."
            )
        check_trials(loop.task, trials)
        self.loop, self.trials = loop, trials
        self._group, self._key = group, group.new_key()
        base, rest = divmod(len(trials), group.size)
        starts = [i * base + min(i, rest) for i in range(group.size + 1)]
        description = {
            "task": encode(loop.task, TASKS),
            "controller": encode(loop.controller, CONTROLLERS),
        }
        making = {
            "loop": json.dumps(description),
            "starts": starts,
            "device": trials.device.type,
            "threads": torch.get_num_threads(),
        }
        with group.asking(_Ask.MAKE, self._key, extra=json.dumps(making).encode()):
            for rank in range(1, group.size):
                part = trials.subset(slice(starts[rank], starts[rank + 1]))
                group.give(_trials_to_bytes(part), rank)
        group.drop_with(self, self._key)
        own = trials.subset(slice(0, starts[1]))
        self._share = _share(loop, own, Place(0, len(trials)))

    @property
    def readout(self) -> slice | None:
        """See `CountedObjective.readout`."""
        found: slice | None = getattr(self._share.objective, "readout", None)
        return found

    def value(self, parameters: Tensor) -> float:
        """Return the mean loss; infinity where the simulation overflows."""
        with self._asking(_Ask.VALUE, parameters):
            return float(self._group.add_up(self._share.value(parameters)))

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the mean loss and its gradient, (P,)."""
        with self._asking(_Ask.GRADIENT, parameters):
            answer = self._group.add_up(self._share.gradient(parameters))
        return float(answer[-1]), answer[:-1].to(parameters.dtype)

    def linearize(self, parameters: Tensor) -> _SharedLinearization:
        """Return the loop at a point, for any number of Gauss-Newton products."""
        key = self._group.new_key()
        with self._asking(_Ask.LINEARIZE, parameters, number=key):
            model, answer = self._share.linearize(parameters)
            answer = self._group.add_up(answer)
        gradient = answer[:-1].to(parameters.dtype)
        return _SharedLinearization(
            self._group, self._share, key, model, float(answer[-1]), gradient
        )

    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator
    ) -> tuple[KroneckerBlock, ...]:
        """Return the Kronecker factors, with the residuals of one process; none without a network.

        See `FastObjective.kronecker_factors`.
        """
        if not isinstance(self._share.objective, FastObjective):
            return ()
        state = generator.get_state().numpy().tobytes()
        with self._asking(_Ask.FACTORS, parameters, extra=state):
            blocks, answer = self._share.factors(parameters, generator)
            answer = self._group.add_up(answer).to(parameters.dtype)
        sizes = [part.numel() for _, *both in blocks for part in both]
        parts = iter(torch.split(answer, sizes))
        return tuple(
            KroneckerBlock(
                block.places,
                next(parts).view_as(block.rows),
                next(parts).view_as(block.columns),
            )
            for block in blocks
        )

    def part(self, size: int, generator: torch.Generator) -> SharedObjective:
        """Return the mean loss over `size` random trials, or over all where there are no more."""
        return SharedObjective(self._group, self.loop, self.trials.sample(size, generator))

    @contextmanager
    def _asking(self, ask: _Ask, parameters: Tensor, **more: Any) -> Iterator[None]:
        """Ask about a point; what is wrong with it shows before the others hear of it."""
        check_inputs(self.loop.task, parameters, self.trials)
        self.loop.controller.unpack(parameters)
        point = parameters.detach().contiguous()
        with self._group.asking(ask, self._key, vector=point, **more):
            yield


class _SharedLinearization:
    """One point's linearisation in every process."""

    def __init__(
        self,
        group: _Group,
        share: _Share,
        key: int,
        model: Linearization,
        value: float,
        gradient: Tensor,
    ) -> None:
        self._group, self._share, self._key, self._model = group, share, key, model
        self.value, self.gradient = value, gradient
        group.drop_with(self, key)

    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        """Return G v, (P,), of a vector (P,)."""
        sent = vector.detach().contiguous()
        with self._group.asking(_Ask.PRODUCT, self._key, number=structural, vector=sent):
            answer = self._group.add_up(self._share.product(self._model, sent, structural))
        return answer.to(vector.dtype)


class _Servant:
    """A process that answers for its share of whatever the leader makes."""

    def __init__(self, group: _Group) -> None:
        self._group = group
        self._shares: dict[int, _Share] = {}
        self._models: dict[int, tuple[_Share, Linearization]] = {}

    def answer(self) -> bool:
        """Hear one question and answer it; return whether there may be more."""
        group = self._group
        head = torch.zeros(4, dtype=torch.float64)
        with group.speaking():
            dist.broadcast(head, 0)
            ask, key, number = _Ask(int(head[0])), int(head[1]), float(head[2])
            extra = b""
            if size := int(head[3]):
                received = torch.empty(size, dtype=torch.uint8)
                dist.broadcast(received, 0)
                extra = received.numpy().tobytes()
        if ask in (_Ask.STOP, _Ask.NOTHING):
            return ask != _Ask.STOP
        if ask == _Ask.FORGET:
            self._shares.pop(key, None)
            self._models.pop(key, None)
        elif ask == _Ask.MAKE:
            self._shares[key] = self._made(json.loads(extra))
        elif ask == _Ask.PRODUCT:
            share, model = self._models[key]
            group.add_up(share.product(model, self._vector(share), number))
        else:
            group.add_up(self._at_a_point(ask, self._shares[key], int(number), extra))
        return True

    def _at_a_point(self, ask: _Ask, share: _Share, key: int, extra: bytes) -> Tensor:
        """An answer that needs the parameters."""
        theta = self._vector(share)
        if ask == _Ask.VALUE:
            return share.value(theta)
        if ask == _Ask.GRADIENT:
            return share.gradient(theta)
        if ask == _Ask.LINEARIZE:
            model, answer = share.linearize(theta)
            self._models[key] = share, model
            return answer
        generator = torch.Generator()
        generator.set_state(_as_tensor(extra))
        return share.factors(theta, generator)[1]

    def _vector(self, share: _Share) -> Tensor:
        vector = share.like.new_empty(share.size)
        with self._group.speaking():
            dist.broadcast(vector, 0)
        return vector

    def _made(self, making: dict[str, Any]) -> _Share:
        """A share of a new objective."""
        with self._group.speaking():
            data = self._group.take()
        torch.set_num_threads(making["threads"])
        device = torch.device(making["device"])
        if device.type == "cuda":
            if self._group.local_rank >= torch.cuda.device_count():
                raise RuntimeError("there is no GPU of its own for it; start fewer processes.")
            device = torch.device("cuda", self._group.local_rank)
        tensors = safetensors.torch.load(data)
        trials = Trials(**{name: part.to(device) for name, part in tensors.items()})
        starts = making["starts"]
        return _share(_loop(making["loop"]), trials, Place(starts[self._group.rank], starts[-1]))


def _serve(group: _Group) -> None:
    """Answer until the leader ends, and end then; the leader alone speaks to the user."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it is the leader who stops
    servant = _Servant(group)
    listening = True
    try:
        while listening:
            listening = servant.answer()
    except _LostError as error:
        time.sleep(_PATIENCE_S)  # the leader speaks first, if it can
        if group.tell():
            print(f"error: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    except Exception as error:
        words = f"process {group.rank} of {group.size} failed: {type(error).__name__}: {error}"
        with suppress(RuntimeError):
            group.store.set(_FAILURE, words)
        os._exit(1)  # closes every connection at once, so that nobody waits
    dist.destroy_process_group()
    sys.exit(0)


def _share(loop: ClosedLoop, trials: Trials, place: Place) -> _Share:
    size = loop.controller.parameter_count
    return _Share(loop.objective(trials), place, len(trials), size, trials.initial_state)


@lru_cache(maxsize=8)
def _loop(description: str) -> ClosedLoop:
    """The loop that the leader describes; parts of trials ask for the same one again and again."""
    data = json.loads(description)
    return ClosedLoop(
        decode(data["task"], TASKS, "task"), decode(data["controller"], CONTROLLERS, "controller")
    )


def _trials_to_bytes(trials: Trials) -> bytes:
    parts = {field.name: getattr(trials, field.name) for field in fields(trials)}
    return safetensors.torch.save(
        {name: part.cpu().contiguous() for name, part in parts.items() if part is not None}
    )


def _as_tensor(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _timeout_s() -> float:
    text = os.environ.get(TIMEOUT_VARIABLE, str(_TIMEOUT_S))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds >= 1:
        raise ValueError(f"{TIMEOUT_VARIABLE} must be seconds, 1 or more, got {text!r}.")
    return seconds
