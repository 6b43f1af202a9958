"""Measures of movements from plain arrays: of a recording, of a simulation, or of your own data.

Positions are (B, T, d) in metres, with the time between samples `dt_s` in seconds. What cannot be
measured in a trial is NaN, and input that cannot be measured at all is refused.
"""

from neuromotor.analysis.measures.adaptation import adaptation_index
from neuromotor.analysis.measures.courses import hand_speed
from neuromotor.analysis.measures.end_point_spread import (
    EndPointSpread,
    end_point_spread,
    movement_errors,
)
from neuromotor.analysis.measures.hand_stiffness import HandStiffness, hand_stiffness
from neuromotor.analysis.measures.lines import Line, fit_line, fitts_law, schmidt_law
from neuromotor.analysis.measures.movement_times import (
    EndRule,
    LeavesStart,
    Motion,
    MovementTimes,
    OnsetRule,
    PeakFraction,
    SpeedThreshold,
    StaysInTarget,
    movement_times,
)
from neuromotor.analysis.measures.paired_responses import (
    GainOverTime,
    PairedResponses,
    first_departure,
    gain_over_time,
    mean_departure,
    paired_responses,
    response_in_window,
)
from neuromotor.analysis.measures.paths import (
    deviation_at_peak_speed,
    largest_deviation,
    path_curvature,
)
from neuromotor.analysis.measures.power_law import PowerLaw, power_law
from neuromotor.analysis.measures.response_onset import response_onset
from neuromotor.analysis.measures.speed_profiles import (
    SpeedProfiles,
    profile_differences,
    speed_profiles,
)

__all__ = [
    # times
    "EndRule",
    "LeavesStart",
    "Motion",
    "MovementTimes",
    "OnsetRule",
    "PeakFraction",
    "SpeedThreshold",
    "StaysInTarget",
    "movement_times",
    # paths and speeds
    "PowerLaw",
    "SpeedProfiles",
    "deviation_at_peak_speed",
    "hand_speed",
    "largest_deviation",
    "path_curvature",
    "power_law",
    "profile_differences",
    "speed_profiles",
    # end points
    "EndPointSpread",
    "end_point_spread",
    "movement_errors",
    # lines
    "Line",
    "fit_line",
    "fitts_law",
    "schmidt_law",
    # perturbations and fields
    "GainOverTime",
    "HandStiffness",
    "PairedResponses",
    "adaptation_index",
    "first_departure",
    "gain_over_time",
    "hand_stiffness",
    "mean_departure",
    "paired_responses",
    "response_in_window",
    "response_onset",
]
