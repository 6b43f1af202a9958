"""Classic reaching experiments, which any controller can be put through, and what nature shows.

All of them share one set of conditions (`tasks.CursorReach`): limb, senses, delays, noise and
weights of the cost. An `Experiment` asks a `Subject` in a `Session` for movements, measures these,
and holds them against the ranges of people or monkeys.
"""

from neuromotor.experiments.amplitude import Amplitude
from neuromotor.experiments.endpoint_ellipses import EndpointEllipses
from neuromotor.experiments.experiment import (
    EXPERIMENTS,
    Experiment,
    put_through,
    what_is_found,
)
from neuromotor.experiments.findings import (
    VERDICTS,
    CannotBeAskedError,
    Findings,
    Judgement,
    Nature,
    judge,
    overall,
)
from neuromotor.experiments.fitts import Fitts
from neuromotor.experiments.force_fields import ForceFields
from neuromotor.experiments.force_rate import ForceRate
from neuromotor.experiments.gain_over_reach import GainOverReach
from neuromotor.experiments.inertial_anisotropy import InertialAnisotropy
from neuromotor.experiments.long_latency import LongLatency
from neuromotor.experiments.minimal_intervention import MinimalIntervention
from neuromotor.experiments.posture_units import PostureUnits
from neuromotor.experiments.power_law import TwoThirdsPowerLaw
from neuromotor.experiments.schmidt import Schmidt
from neuromotor.experiments.session import Run, Session
from neuromotor.experiments.spontaneous_recovery import SpontaneousRecovery
from neuromotor.experiments.straight_reaches import StraightReaches
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
from neuromotor.experiments.unstable_field import UnstableField

__all__ = [
    "EXPERIMENTS",
    "SUBJECTS",
    "VERDICTS",
    "Amplitude",
    "CannotBeAskedError",
    "EndpointEllipses",
    "Experiment",
    "Findings",
    "ForceFields",
    "Fitts",
    "ForceRate",
    "GainOverReach",
    "InertialAnisotropy",
    "Judgement",
    "LongLatency",
    "MinimalIntervention",
    "Nature",
    "OpenLoop",
    "Optimal",
    "OptimalForEver",
    "PostureUnits",
    "Run",
    "Schmidt",
    "Session",
    "SpontaneousRecovery",
    "StraightReaches",
    "Subject",
    "TargetJumps",
    "TimeToTarget",
    "Trained",
    "UncertainFields",
    "UnstableField",
    "TwoThirdsPowerLaw",
    "beliefs",
    "judge",
    "overall",
    "put_through",
    "subject_of",
    "what_is_found",
]
