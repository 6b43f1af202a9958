"""One training over several processes or machines: trials are shared out, answers added up.

``torchrun`` starts the processes, and process 0 leads them. It runs the program and makes every
decision (line searches, clocks, draws), so that no decision can differ between processes. Each of
the others holds a share of the trials of every objective that the leader makes, and answers for it.
A call is one broadcast of the point and one reduction of the answers, where each answer is weighted
by its share of the trials; together they are an all-reduce. Sums are made in double precision.

Notation: N is the number of processes, B that of trials, and theta are the parameters, (P,). Sizes
of messages are counted in numbers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, TypeVar

import safetensors.torch
import torch
from torch import Tensor

from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.dynamics import check_trials
from neuromotor.closed_loop.objective import Place
from neuromotor.closed_loop.simulate import check_inputs
from neuromotor.controllers import CONTROLLERS
from neuromotor.controllers.controller import belongs_to_trials
from neuromotor.extensions.loading import use, used
from neuromotor.optim.objective import KroneckerBlock, Linearization, Objective
from neuromotor.storage.components import decode, encode
from neuromotor.tasks import TASKS, Trials
from neuromotor.training.messages import (
    TIMEOUT_VARIABLE,
    LostError,
    ProcessGroup,
    Question,
    bytes_as_tensor,
    launched,
)

__all__ = ["TIMEOUT_VARIABLE", "SharedObjective", "launched", "objective", "processes", "run"]

T = TypeVar("T")
_PATIENCE_S = 3.0  # of those that serve, before they speak in the leader's place


def run(program: Callable[[], T]) -> T:
    """Run a program in process 0, while all other processes answer it.

    Where there is only one process, it just runs the program.

    Within the program, `neuromotor.train`, `neuromotor.compare` and `objective` divide their
    trials among the processes. The other processes never return from here; they end with the
    program.

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
    group = ProcessGroup()
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


_group: ProcessGroup | None = None


@dataclass(frozen=True)
class _Share:
    """One process's part of an objective, whose answers are weighted by its share of the trials.

    Attributes:
        objective: Mean over the process's own trials.
        place: Where these trials lie in the whole batch.
        count: How many trials these are.
        size: Number of parameters, P.
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

    def __init__(self, group: ProcessGroup, loop: ClosedLoop, trials: Trials) -> None:
        """Share the trials out.

        Raises:
            ValueError: There are fewer trials than processes, or the controller belongs to its
                trials.
        """
        if belongs_to_trials(loop.controller):
            raise ValueError(
                "`controller` must suit any number of trials to be trained by several processes, "
                f"got a {type(loop.controller).__name__}, which belongs to its trials; start one "
                "process."
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
            "use": used(),
            "starts": starts,
            "device": trials.device.type,
            "threads": torch.get_num_threads(),
        }
        with group.asking(Question.MAKE, self._key, extra=json.dumps(making).encode()):
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
        with self._asking(Question.VALUE, parameters):
            return float(self._group.add_up(self._share.value(parameters)))

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the mean loss and its gradient, (P,)."""
        with self._asking(Question.GRADIENT, parameters):
            answer = self._group.add_up(self._share.gradient(parameters))
        return float(answer[-1]), answer[:-1].to(parameters.dtype)

    def linearize(self, parameters: Tensor) -> _SharedLinearization:
        """Return the loop at a point, for any number of Gauss-Newton products."""
        key = self._group.new_key()
        with self._asking(Question.LINEARIZE, parameters, number=key):
            model, answer = self._share.linearize(parameters)
            answer = self._group.add_up(answer)
        gradient = answer[:-1].to(parameters.dtype)
        return _SharedLinearization(
            self._group, self._share, key, model, float(answer[-1]), gradient
        )

    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator
    ) -> tuple[KroneckerBlock, ...]:
        """Return the Kronecker factors, with the residuals of one process.

        See `LoopObjective.kronecker_factors`.
        """
        state = generator.get_state().numpy().tobytes()
        with self._asking(Question.FACTORS, parameters, extra=state):
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

    @property
    def has_factors(self) -> bool:
        """Whether there are Kronecker factors; see `ClosedLoop.has_factors`."""
        return self.loop.has_factors

    def part(self, size: int, generator: torch.Generator) -> SharedObjective:
        """Return the mean loss over `size` random trials, or over all where there are no more."""
        return SharedObjective(self._group, self.loop, self.trials.sample(size, generator))

    @contextmanager
    def _asking(self, ask: Question, parameters: Tensor, **more: Any) -> Iterator[None]:
        """Ask about a point, after a check that finds what is wrong with it."""
        check_inputs(self.loop.task, parameters, self.trials)
        self.loop.controller.unpack(parameters)
        point = parameters.detach().contiguous()
        with self._group.asking(ask, self._key, vector=point, **more):
            yield


class _SharedLinearization:
    """One point's linearisation in every process."""

    def __init__(
        self,
        group: ProcessGroup,
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
        with self._group.asking(Question.PRODUCT, self._key, number=structural, vector=sent):
            answer = self._group.add_up(self._share.product(self._model, sent, structural))
        return answer.to(vector.dtype)


class _Servant:
    """A process that answers for its share of whatever the leader makes."""

    def __init__(self, group: ProcessGroup) -> None:
        self._group = group
        self._shares: dict[int, _Share] = {}
        self._models: dict[int, tuple[_Share, Linearization]] = {}

    def answer(self) -> bool:
        """Hear one question and answer it; return whether there may be more."""
        group = self._group
        ask, key, number, extra = group.hear()
        if ask in (Question.STOP, Question.NOTHING):
            return ask != Question.STOP
        if ask == Question.FORGET:
            self._shares.pop(key, None)
            self._models.pop(key, None)
        elif ask == Question.MAKE:
            self._shares[key] = self._made(json.loads(extra))
        elif ask == Question.PRODUCT:
            share, model = self._models[key]
            group.add_up(share.product(model, self._vector(share), number))
        else:
            group.add_up(self._at_a_point(ask, self._shares[key], int(number), extra))
        return True

    def _at_a_point(self, ask: Question, share: _Share, key: int, extra: bytes) -> Tensor:
        """An answer that needs the parameters."""
        theta = self._vector(share)
        if ask == Question.VALUE:
            return share.value(theta)
        if ask == Question.GRADIENT:
            return share.gradient(theta)
        if ask == Question.LINEARIZE:
            model, answer = share.linearize(theta)
            self._models[key] = share, model
            return answer
        generator = torch.Generator()
        generator.set_state(bytes_as_tensor(extra))
        return share.factors(theta, generator)[1]

    def _vector(self, share: _Share) -> Tensor:
        return self._group.hear_vector(share.like, share.size)

    def _made(self, making: dict[str, Any]) -> _Share:
        """A share of a new objective."""
        data = self._group.take()
        for name in making["use"]:  # what a file of settings named, which only the leader read
            use(name)
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


def _serve(group: ProcessGroup) -> None:
    """Answer questions until the leader ends, then end too; only the leader speaks to the user."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it is the leader who stops
    servant = _Servant(group)
    listening = True
    try:
        while listening:
            listening = servant.answer()
    except LostError as error:
        time.sleep(_PATIENCE_S)  # the leader speaks first, if it can
        if group.tell():
            print(f"error: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        group.confess(f"process {group.rank} of {group.size} failed: {words}")
        os._exit(1)  # closes every connection at once, so that nobody waits
    group.leave()
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
