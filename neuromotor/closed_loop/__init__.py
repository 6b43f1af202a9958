"""The one place where controller and plant meet, and where the loop is differentiated."""

from neuromotor.closed_loop.autograd import AutogradLinearization, AutogradObjective
from neuromotor.closed_loop.dynamics import advance, channel_force, check_trials, linearize_plant
from neuromotor.closed_loop.imitation import Lesson
from neuromotor.closed_loop.loop import ClosedLoop
from neuromotor.closed_loop.objective import LoopObjective
from neuromotor.closed_loop.simulate import Trajectory, simulate

__all__ = [
    "AutogradLinearization",
    "AutogradObjective",
    "ClosedLoop",
    "Lesson",
    "LoopObjective",
    "Trajectory",
    "advance",
    "channel_force",
    "check_trials",
    "linearize_plant",
    "simulate",
]
