"""Tasks: batches of trials and what they cost."""

from neuromotor.tasks.center_out import CenterOut
from neuromotor.tasks.cost import QuadraticCost
from neuromotor.tasks.ddn import DDN
from neuromotor.tasks.postural import Postural
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["DDN", "TASKS", "CenterOut", "Postural", "QuadraticCost", "Task", "Trials"]

TASKS: dict[str, Task] = {
    "center-out": CenterOut(),
    "postural": Postural(),
    "ddn": DDN(),
    # The seed's other two settings (Sutskever 2013, section 6.7.3): the delay alone, and with the
    # disturbance, which is what its "robust RNN" was trained on.
    "ddn-delay": DDN(disturbance_nm=0.0, noise=0.0),
    "ddn-robust": DDN(noise=0.0),
}
