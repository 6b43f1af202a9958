"""What trials follow each other in an experiment on adaptation: blocks, catch trials, channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer, check_number
from neuromotor.tasks.fields import FIELDS, HandField

__all__ = ["Block", "Kind", "Order", "Schedule"]


class Kind(IntEnum):
    """What the hand meets in a trial."""

    FIELD = 0  # the block's field, if it has one
    CATCH = 1  # no field, in a block that has one
    CHANNEL = 2  # walls along the straight line, and no field: the error is clamped


@dataclass(frozen=True)
class Block:
    """Some trials in a row under the same conditions.

    Attributes:
        name: Such as `baseline`, `field`, `washout`, `clamp`.
        trials: Number of trials.
        field: The field; None is no field.
        strength: Factor on it; -1 is the field that pushes the other way.
        spread: Standard deviation of that factor from trial to trial.
        catch: Share of the trials that are without the field.
        channel: Share of the trials that are in a channel; 1 clamps the error throughout.

    Raises:
        ValueError: A number is out of range, or there are more catch trials and channels than
            trials.
    """

    name: str
    trials: int = 1
    field: HandField | None = field(default=None, metadata={"registry": FIELDS})
    strength: float = 1.0
    spread: float = 0.0
    catch: float = 0.0
    channel: float = 0.0

    def __post_init__(self) -> None:
        check_integer("trials", self.trials, minimum=1)
        check_number("strength", self.strength)
        check_number("spread", self.spread, minimum=0.0)
        check_fraction("catch", self.catch)
        check_fraction("channel", self.channel)
        if self.catch + self.channel > 1:
            raise ValueError(
                "`catch` and `channel` must be at most 1 together, got "
                f"{self.catch + self.channel:g} in block {self.name!r}."
            )


@dataclass(frozen=True)
class Order:
    """The trials of a schedule, drawn for R subjects, N trials each.

    Attributes:
        block: Number of each trial's block, (N,).
        kind: A `Kind`, (N, R).
        strength: Factor on the block's field, (N, R).
        target: Number of the target, (N, R).
    """

    block: Tensor
    kind: Tensor
    strength: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.block)


@dataclass(frozen=True)
class Schedule:
    """Blocks of trials, one after the other.

    Within a block, catch trials and channels lie at random places, others for each subject, but not
    at the first trial of a block that has trials of another kind. Targets come in random order,
    each once before any comes again.

    Attributes:
        blocks: The blocks.

    Raises:
        ValueError: There is no block.

    Example:
        >>> adapt = Block("field", 40, FIELDS["curl"], channel=0.1)
        >>> len(Schedule((Block("baseline", 10), adapt)))
        50
    """

    blocks: tuple[Block, ...] = field(
        default=(
            Block("baseline", 20),
            Block("field", 80, FIELDS["curl"], channel=0.1),
            Block("washout", 20),
        ),
        metadata={"item": Block},
    )

    def __post_init__(self) -> None:
        if not self.blocks:
            raise ValueError("`blocks` must hold at least one block, got none.")

    def __len__(self) -> int:
        return sum(block.trials for block in self.blocks)

    @property
    def field(self) -> HandField | None:
        """The first field of the blocks, which adaptation is measured against."""
        return next((block.field for block in self.blocks if block.field is not None), None)

    def places(self, name: str) -> slice:
        """Return where the trials of a block lie.

        Raises:
            ValueError: No block has that name, or several have.
        """
        first, found = 0, []
        for block in self.blocks:
            if block.name == name:
                found.append(slice(first, first + block.trials))
            first += block.trials
        if len(found) != 1:
            known = ", ".join(block.name for block in self.blocks)
            raise ValueError(f"`name` must be that of one block ({known}), got {name!r}.")
        return found[0]

    def draw(self, targets: int, subjects: int, generator: torch.Generator) -> Order:
        """Return the trials of R subjects.

        Args:
            targets: Number K of targets.
            subjects: R.
            generator: Source of the order.
        """
        kinds, strengths = [], []
        for block in self.blocks:
            shape = (block.trials, subjects)
            kinds.append(_kinds(block, subjects, generator))
            noise = torch.randn(shape, generator=generator, dtype=torch.float64)
            strengths.append(block.strength + block.spread * noise)
        count = torch.tensor([block.trials for block in self.blocks])
        rounds = -(-len(self) // targets)
        order = [
            torch.cat([torch.randperm(targets, generator=generator) for _ in range(rounds)])
            for _ in range(subjects)
        ]
        return Order(
            block=torch.arange(len(self.blocks)).repeat_interleave(count),
            kind=torch.cat(kinds),
            strength=torch.cat(strengths),
            target=torch.stack(order, dim=1)[: len(self)],
        )


def _kinds(block: Block, subjects: int, generator: torch.Generator) -> Tensor:
    """Kinds of a block's trials, (trials, R)."""
    catch, channel = round(block.catch * block.trials), round(block.channel * block.trials)
    kinds = torch.full((block.trials, subjects), int(Kind.FIELD))
    mixed = catch + channel < block.trials
    for subject in range(subjects):
        places = torch.randperm(block.trials - mixed, generator=generator) + int(mixed)
        kinds[places[:catch], subject] = Kind.CATCH
        kinds[places[catch : catch + channel], subject] = Kind.CHANNEL
    return kinds
