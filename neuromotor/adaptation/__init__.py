"""Learning from trial to trial: learners with one interface, schedules, force fields, channels."""

from neuromotor.adaptation.course import Course, practise
from neuromotor.adaptation.error_feedback import ErrorFeedback
from neuromotor.adaptation.field_observer import FieldBelief, FieldObserver
from neuromotor.adaptation.gradient_steps import GradientSteps
from neuromotor.adaptation.learner import LEARNERS, Learner, Unlearning
from neuromotor.adaptation.practice import Addition, Outcome, Practice
from neuromotor.adaptation.schedule import Block, Kind, Order, Schedule
from neuromotor.adaptation.two_rate import TwoRate

__all__ = [
    "LEARNERS",
    "Addition",
    "Block",
    "Course",
    "ErrorFeedback",
    "FieldBelief",
    "FieldObserver",
    "GradientSteps",
    "Kind",
    "Learner",
    "Order",
    "Outcome",
    "Practice",
    "Schedule",
    "TwoRate",
    "Unlearning",
    "practise",
]

LEARNERS.update(
    {
        "none": Unlearning(),
        "two-rate": TwoRate(),
        "error-feedback": ErrorFeedback(),
        "field-observer": FieldObserver(),
        "gradient-steps": GradientSteps(),
    }
)
