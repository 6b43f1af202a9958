"""Tasks: batches of trials and what they cost."""

from neuromotor.tasks.center_out import CenterOut
from neuromotor.tasks.cost import QuadraticCost
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["TASKS", "CenterOut", "QuadraticCost", "Task", "Trials"]

TASKS: dict[str, Task] = {"center-out": CenterOut()}
