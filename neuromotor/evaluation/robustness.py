"""What becomes of a controller when a setting of its task is not what it was trained on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_positive
from neuromotor.controllers.controller import Controller
from neuromotor.evaluation.performance import controller_runner, held_out, measure
from neuromotor.evaluation.references import no_reference, reference_trajectories
from neuromotor.storage.files import finite_data
from neuromotor.tasks import Task, Trials
from neuromotor.tasks.ranges import ignored, numbers

__all__ = ["CHANGE", "TRIALS", "Variation", "default_reference", "robustness", "variations"]

CHANGE = 0.2
TRIALS = 50  # held-out trials of a random task


@dataclass(frozen=True)
class Variation:
    """How a controller did with one setting of its task changed.

    Attributes:
        setting: Its name, with dots between levels; "" is the task as it is.
        usual: What it is in the task; None for the task as it is.
        value: What it was changed to.
        loss: Mean loss of the controller; infinite where a trial overflowed.
        reference_loss: Mean loss of the reference, which knows the change.
        error_cm: Mean distance (cm) of the hand from its target at the end.
        refused: Why there are no numbers, where the changed task cannot be made or run.
    """

    setting: str
    usual: float | None = None
    value: float | None = None
    loss: float | None = None
    reference_loss: float | None = None
    error_cm: float | None = None
    refused: str | None = None

    @property
    def ratio(self) -> float | None:
        """Loss divided by the reference's; None where one of the two is not there, or zero."""
        if self.loss is None or not self.reference_loss:
            return None
        return self.loss / self.reference_loss

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers by name, for tables and JSON; what is not finite is None."""
        found: dict[str, Any] = finite_data({**dataclasses.asdict(self), "ratio": self.ratio})
        return found


def variations(task: Task, change: float = CHANGE) -> Iterator[tuple[str, float, float]]:
    """Yield each number among a task's settings that can change: its name, value, changed value.

    Those of the plant are among them. Whole numbers are rounded; zero, whose fraction is zero, and
    what does not matter to a controller, as sizes of batches, are left out.

    Args:
        task: A dataclass, like every task of this package.
        change: Which fraction is taken away, then added.

    Example:
        >>> from neuromotor.tasks import CenterOut
        >>> [row for row in variations(CenterOut()) if row[0] == "steps"]
        [('steps', 40, 32), ('steps', 40, 48)]
    """
    check_positive("change", change)
    unmet = ignored(task)
    for name, value, count in numbers(task):
        if name.partition("[")[0] in unmet:
            continue
        for factor in (1 - change, 1 + change):
            changed = round(factor * value) if count else float(f"{factor * value:.12g}")
            if changed != value:
                yield name, value, changed


def robustness(
    task: Task,
    controller: Controller,
    parameters: Tensor,
    reference: str | None = None,
    *,
    change: float = CHANGE,
    trials: int = TRIALS,
    progress: Callable[[Variation], None] = lambda row: None,
) -> list[Variation]:
    """Return how a controller does as the task's settings change, one at a time, others kept.

    Args:
        task: What is wanted; the first row is of the task as it is.
        controller: What runs it.
        parameters: Its parameters, (P,).
        reference: What it is held against, anew in each row; None is ILQG where something disturbs
            the trials and it can be designed, else iLQR.
        change: Which fraction of a setting is taken away, then added.
        trials: How many held-out trials of a random task.
        progress: Called with each row.
    """
    check_integer("trials", trials, minimum=1)
    rows: list[Variation] = []
    parameters = parameters.double()

    def run(setting: str, usual: float | None, value: float | None) -> None:
        try:
            changed = task if value is None else _with(task, setting, value)
            batch = held_out(changed, controller, trials)
            states, commands = controller_runner(changed, controller, parameters)(batch)
            name = reference or default_reference(changed, batch)
            found = reference_trajectories(changed, batch, [name])[name]
        except ValueError as error:
            row = Variation(setting, usual, value, refused=str(error))
        else:
            own = measure(changed, batch, states, commands)
            loss = math.inf if math.isnan(own.loss) else own.loss
            best = float(found.losses.mean())
            row = Variation(setting, usual, value, loss, best, own.target_error_cm)
        rows.append(row)
        progress(row)

    with torch.no_grad():
        run("", None, None)
        for setting, usual, value in variations(task, change):
            run(setting, usual, value)
    return rows


def default_reference(task: Task, trials: Trials) -> str:
    """Return `ilqg` where something disturbs trials and its design knows that, else `ilqr`."""
    return "ilqg" if trials.disturbed and not no_reference(["ilqg"], task, trials) else "ilqr"


def _with(component: Any, setting: str, value: float) -> Any:
    """The component with one number changed, whose name is as `numbers` gives it."""
    own, _, rest = setting.partition(".")
    name, *places = own.replace("]", "").split("[")
    new = _with_place(getattr(component, name), list(map(int, places)), rest, value)
    return dataclasses.replace(component, **{name: new})


def _with_place(old: Any, places: list[int], rest: str, value: float) -> Any:
    """A tuple with one of its numbers changed, or a component; without both, the number itself."""
    if not places:
        return _with(old, rest, value) if rest else value
    items = list(old)
    items[places[0]] = _with_place(items[places[0]], places[1:], rest, value)
    return tuple(items)
