"""Recordings of networks and limbs, and what is computed from them as from cortical data.

`neuromotor.analysis.figures` draws the results; it imports matplotlib, nothing else here does.
"""

from neuromotor.analysis.averages import ConditionAverages, align, condition_averages, window
from neuromotor.analysis.behaviour import (
    Behaviour,
    EndPoints,
    SpeedAccuracy,
    behaviour,
    end_points,
    speed_accuracy,
)
from neuromotor.analysis.decoding import Regression, decode, decode_each, encode_units
from neuromotor.analysis.demixing import DemixedComponents, DemixedPart, demixed_components
from neuromotor.analysis.deviations import HandDeviations, hand_deviations
from neuromotor.analysis.fixed_points import FixedPoints, find_fixed_points, network_fixed_points
from neuromotor.analysis.from_arrays import make_recording, movement_onset
from neuromotor.analysis.jacobians import JacobianSpectrum, jacobian_spectrum
from neuromotor.analysis.latencies import Latencies, response_latency
from neuromotor.analysis.layout import LAYOUT, RecordingError, check_recording
from neuromotor.analysis.lesions import (
    LesionEffect,
    lesion_effect,
    lesion_subspace,
    lesion_units,
    sensitivity,
)
from neuromotor.analysis.nulls import MaximumEntropy, fit_maximum_entropy
from neuromotor.analysis.nwb import save_nwb
from neuromotor.analysis.page import write_report
from neuromotor.analysis.recording import record, recorded_run
from neuromotor.analysis.recording_files import load_recording, save_recording
from neuromotor.analysis.report import Report, Section, analyze
from neuromotor.analysis.rotations import NullBand, Rotations, rotational_dynamics, rotations_of
from neuromotor.analysis.similarity import (
    Similarity,
    canonical_correlations,
    compare_populations,
    procrustes_distance,
)
from neuromotor.analysis.subspaces import (
    Alignment,
    PrincipalComponents,
    participation_ratio,
    principal_components,
    subspace_alignment,
)
from neuromotor.analysis.tangling import Tangling, tangling, tangling_of
from neuromotor.analysis.tuning import (
    CircularSummary,
    Tuning,
    circular_summary,
    cosine_tuning,
    preferred_directions,
)

__all__ = [
    # recordings
    "LAYOUT",
    "RecordingError",
    "check_recording",
    "load_recording",
    "make_recording",
    "movement_onset",
    "record",
    "recorded_run",
    "save_nwb",
    "save_recording",
    # averages and tuning
    "CircularSummary",
    "ConditionAverages",
    "Tuning",
    "align",
    "circular_summary",
    "condition_averages",
    "cosine_tuning",
    "preferred_directions",
    "window",
    # populations
    "Alignment",
    "DemixedComponents",
    "DemixedPart",
    "MaximumEntropy",
    "NullBand",
    "PrincipalComponents",
    "Regression",
    "Rotations",
    "Similarity",
    "Tangling",
    "canonical_correlations",
    "compare_populations",
    "decode",
    "decode_each",
    "demixed_components",
    "encode_units",
    "fit_maximum_entropy",
    "participation_ratio",
    "principal_components",
    "procrustes_distance",
    "rotational_dynamics",
    "rotations_of",
    "subspace_alignment",
    "tangling",
    "tangling_of",
    # networks
    "FixedPoints",
    "JacobianSpectrum",
    "LesionEffect",
    "find_fixed_points",
    "jacobian_spectrum",
    "lesion_effect",
    "lesion_subspace",
    "lesion_units",
    "network_fixed_points",
    "sensitivity",
    # behaviour
    "Behaviour",
    "EndPoints",
    "HandDeviations",
    "Latencies",
    "SpeedAccuracy",
    "behaviour",
    "end_points",
    "hand_deviations",
    "response_latency",
    "speed_accuracy",
    # reports
    "Report",
    "Section",
    "analyze",
    "write_report",
]
