"""Optimal control, which shows how good a controller can be."""

from neuromotor.control.believed_field import BelievedField
from neuromotor.control.duration import DurationResult, lasting, optimal_duration
from neuromotor.control.ilqg import ILQG, ILQGResult
from neuromotor.control.ilqr import ILQR, ILQRResult
from neuromotor.control.infinite_horizon import InfiniteHorizonLQG, InfiniteHorizonResult
from neuromotor.control.inverse import Inference, infer, log_likelihood
from neuromotor.control.linear_feedback import FeedbackWeights, LinearFeedback
from neuromotor.control.lqg import LQG
from neuromotor.control.online import OnlineTrajectoryOptimization
from neuromotor.control.switching_load import SwitchingLoadFeedback
from neuromotor.control.uncertainty import Uncertainty
from neuromotor.controllers import CONTROLLERS

__all__ = [
    "BelievedField",
    "ILQG",
    "ILQR",
    "LQG",
    "DurationResult",
    "FeedbackWeights",
    "ILQGResult",
    "ILQRResult",
    "Inference",
    "InfiniteHorizonLQG",
    "InfiniteHorizonResult",
    "LinearFeedback",
    "OnlineTrajectoryOptimization",
    "SwitchingLoadFeedback",
    "Uncertainty",
    "infer",
    "lasting",
    "log_likelihood",
    "optimal_duration",
]

CONTROLLERS["linear-feedback"] = LinearFeedback(trials=64, steps=40)
