"""The processes that torchrun started, and how they send messages to each other.

`neuromotor.training.distributed` says what the messages mean.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from enum import IntEnum, auto

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = [
    "TIMEOUT_VARIABLE",
    "Question",
    "ProcessGroup",
    "LostError",
    "bytes_as_tensor",
    "launched",
]

TIMEOUT_VARIABLE = "NEUROMOTOR_TIMEOUT_S"  # most seconds without a sign of life from a process
_TIMEOUT_S = 600.0
_FAILURE, _TOLD = "neuromotor/failure", "neuromotor/told"  # keys in torchrun's store


class Question(IntEnum):
    """What the leader asks the other processes for."""

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


class LostError(RuntimeError):
    """Another process could not be reached."""


class ProcessGroup:
    """The processes, from torchrun's environment, and their messages."""

    def __init__(self) -> None:
        """Connect to the other processes.

        Raises:
            ValueError: The limit of time in the environment is not a number of seconds.
        """
        from torch.distributed.rendezvous import rendezvous  # not in every build of torch

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
        """Return the number of a new objective or linearisation."""
        self._keys += 1
        return self._keys

    def drop_with(self, owner: object, key: int) -> None:
        """Let the others forget what a key stands for when its owner is gone here."""
        weakref.finalize(owner, self._dropped.append, key)

    @contextmanager
    def asking(
        self,
        ask: Question,
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
            if ask in (Question.MAKE, Question.LINEARIZE):
                while self._dropped:
                    self._send(Question.FORGET, self._dropped.pop(), 0.0, b"", None)
            self._send(ask, key, number, extra, vector)
            yield
            self._broken = False
            self._spoke = time.monotonic()

    def _send(
        self, ask: Question, key: int, number: float, extra: bytes, vector: Tensor | None
    ) -> None:
        head = torch.tensor([ask, key, number, len(extra)], dtype=torch.float64)
        with self.speaking():
            dist.broadcast(head, 0)
            if extra:
                dist.broadcast(bytes_as_tensor(extra), 0)
            if vector is not None:
                dist.broadcast(vector, 0)

    def hear(self) -> tuple[Question, int, float, bytes]:
        """Receive all of a question but its vector: what is asked, key, number and extra."""
        head = torch.zeros(4, dtype=torch.float64)
        with self.speaking():
            dist.broadcast(head, 0)
            extra = torch.empty(int(head[3]), dtype=torch.uint8)
            if len(extra):
                dist.broadcast(extra, 0)
        return Question(int(head[0])), int(head[1]), float(head[2]), extra.numpy().tobytes()

    def hear_vector(self, like: Tensor, size: int) -> Tensor:
        """Receive a question's vector, (size,), of the dtype and device of `like`."""
        vector = like.new_empty(size)
        with self.speaking():
            dist.broadcast(vector, 0)
        return vector

    def give(self, data: bytes, rank: int) -> None:
        """Send bytes to one process."""
        with self.speaking():
            dist.send(torch.tensor([len(data)]), rank)
            dist.send(bytes_as_tensor(data), rank)

    def take(self) -> bytes:
        """Receive what `give` sends."""
        size = torch.zeros(1, dtype=torch.int64)
        with self.speaking():
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
        """Turn an error between processes into one that says what happened."""
        try:
            yield
        except RuntimeError as error:
            raise LostError(self._explanation(error)) from error

    def confess(self, words: str) -> None:
        """Tell the leader what went wrong in this process."""
        with suppress(RuntimeError):
            self.store.set(_FAILURE, words)

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
        """Send a sign of life now and then while the leader computes something else."""
        while not self._closing.wait(self.timeout_s / 8):
            if time.monotonic() - self._spoke < self.timeout_s / 4 or self._broken:
                continue
            with suppress(RuntimeError), self.asking(Question.NOTHING):
                pass  # the program will notice

    def close(self) -> None:
        """Let the others end."""
        self._closing.set()
        if self._broken:
            self.tell()
            return
        with suppress(RuntimeError), self.asking(Question.STOP):
            pass
        self.leave()

    def leave(self) -> None:
        """End this process's part."""
        dist.destroy_process_group()


def bytes_as_tensor(data: bytes) -> Tensor:
    """Return bytes as a tensor of 8-bit numbers, (len(data),), as messages carry them."""
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
