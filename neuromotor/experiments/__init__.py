"""Classic reaching experiments, which any controller can be put through, and what nature shows.

All of them share one set of conditions (`tasks.CursorReach`): limb, senses, delays, noise and
weights of the cost. An `Experiment` asks a `Subject` in a `Session` for movements, measures these,
and holds them against the ranges of people or monkeys.
"""

from neuromotor.experiments.experiment import EXPERIMENTS, Experiment, put_through
from neuromotor.experiments.findings import (
    VERDICTS,
    CannotBeAskedError,
    Findings,
    Judgement,
    Nature,
    judge,
    overall,
)
from neuromotor.experiments.force_fields import ForceFields
from neuromotor.experiments.gain_over_reach import GainOverReach
from neuromotor.experiments.long_latency import LongLatency
from neuromotor.experiments.minimal_intervention import MinimalIntervention
from neuromotor.experiments.session import Run, Session
from neuromotor.experiments.spontaneous_recovery import SpontaneousRecovery
from neuromotor.experiments.subjects import (
    SUBJECTS,
    OpenLoop,
    Optimal,
    OptimalForEver,
    Subject,
    Trained,
    beliefs,
    subject_of,
)
from neuromotor.experiments.target_jumps import TargetJumps
from neuromotor.experiments.time_to_target import TimeToTarget
from neuromotor.experiments.uncertain_fields import UncertainFields

__all__ = [
    "EXPERIMENTS",
    "SUBJECTS",
    "VERDICTS",
    "CannotBeAskedError",
    "Experiment",
    "Findings",
    "ForceFields",
    "GainOverReach",
    "Judgement",
    "LongLatency",
    "MinimalIntervention",
    "Nature",
    "OpenLoop",
    "Optimal",
    "OptimalForEver",
    "Run",
    "Session",
    "SpontaneousRecovery",
    "Subject",
    "TargetJumps",
    "TimeToTarget",
    "Trained",
    "UncertainFields",
    "beliefs",
    "judge",
    "overall",
    "put_through",
    "subject_of",
]
