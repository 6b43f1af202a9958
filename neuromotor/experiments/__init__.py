"""Classic reaching experiments, which any controller can be put through, and what nature shows.

All of them share one set of conditions (`tasks.CursorReach`): limb, senses, delays, noise and
weights of the cost. An `Experiment` asks a `Subject` in a `Session` for movements, measures these,
and holds them against the ranges of people or monkeys.
"""

from neuromotor.experiments.experiment import EXPERIMENTS, Experiment, put_through
from neuromotor.experiments.findings import (
    CannotBeAskedError,
    Findings,
    Judgement,
    Nature,
    judge,
    overall,
)
from neuromotor.experiments.session import Run, Session
from neuromotor.experiments.subjects import (
    SUBJECTS,
    OpenLoop,
    Optimal,
    Subject,
    Trained,
    beliefs,
    subject_of,
)
from neuromotor.experiments.target_jumps import TargetJumps

__all__ = [
    "EXPERIMENTS",
    "SUBJECTS",
    "CannotBeAskedError",
    "Experiment",
    "Findings",
    "Judgement",
    "Nature",
    "OpenLoop",
    "Optimal",
    "Run",
    "Session",
    "Subject",
    "TargetJumps",
    "Trained",
    "beliefs",
    "judge",
    "overall",
    "put_through",
    "subject_of",
]
