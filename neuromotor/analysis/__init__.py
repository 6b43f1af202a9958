"""Recordings of networks and limbs, and what is computed from them as from cortical data.

Computing needs no matplotlib; the functions that begin with `plot_` import it when they are called.
Each analysis stands in a module of its own together with its figure and its section of the report.
"""

from neuromotor.analysis.alignment import Alignment, plot_alignment, subspace_alignment
from neuromotor.analysis.averages import ConditionAverages, condition_averages, plot_averages
from neuromotor.analysis.behaviour import Behaviour, behaviour, plot_movements
from neuromotor.analysis.binary import BinaryActivity, binarized
from neuromotor.analysis.bridges import export_recording, to_arrays, to_pynapple, to_table
from neuromotor.analysis.ceilings import GroupSimilarity, compare_groups, plot_groups
from neuromotor.analysis.components import (
    PrincipalComponents,
    participation_ratio,
    plot_principal_components,
    principal_components,
)
from neuromotor.analysis.corrections import false_discoveries, family
from neuromotor.analysis.currents import Currents, network_currents, plot_currents
from neuromotor.analysis.cutting import align, window
from neuromotor.analysis.decoding import (
    Regression,
    decode,
    decode_each,
    encode_units,
    plot_decoding,
)
from neuromotor.analysis.demixing import (
    DemixedComponents,
    DemixedPart,
    demixed_components,
    plot_demixed_components,
)
from neuromotor.analysis.deviations import HandDeviations, hand_deviations, plot_deviations
from neuromotor.analysis.drifting_tuning import (
    DriftingTuning,
    drifting_tuning,
    plot_drifting_tuning,
)
from neuromotor.analysis.driven import driven
from neuromotor.analysis.dynamical_similarity import (
    DynamicalSimilarity,
    dynamical_similarity,
    dynamical_similarity_of,
)
from neuromotor.analysis.ellipses import EndPoints, end_points, plot_end_points
from neuromotor.analysis.fixed_points import (
    FixedPoints,
    find_fixed_points,
    network_fixed_points,
    plot_fixed_points,
)
from neuromotor.analysis.from_arrays import make_recording, movement_onset
from neuromotor.analysis.gaps import complete_trials, complete_units, missing_samples
from neuromotor.analysis.geometry import (
    Geometry,
    GeometryComparison,
    compare_geometries,
    plot_geometries,
    representational_geometry,
)
from neuromotor.analysis.gradients import plot_sensitivity, sensitivity
from neuromotor.analysis.hopfield import (
    Attractors,
    RecallTest,
    attractors,
    check_symmetric,
    continuous_attractors,
    continuous_energy,
    energy,
    hebbian_weights,
    random_patterns,
    recall,
    recall_test,
    recurrent_part,
    relax,
)
from neuromotor.analysis.jacobians import (
    JacobianSpectrum,
    jacobian_spectrum,
    plot_jacobian_spectrum,
)
from neuromotor.analysis.lags import LagDecoding, decode_lags, plot_lags
from neuromotor.analysis.latencies import Latencies, plot_latency, response_latency
from neuromotor.analysis.layout import LAYOUT, RecordingError, check_recording
from neuromotor.analysis.lesions import (
    LesionEffect,
    lesion_effect,
    lesion_subspace,
    lesion_units,
    plot_lesions,
)
from neuromotor.analysis.loop_dynamics import (
    LoopDynamics,
    LoopModes,
    loop_dynamics,
    plot_loop_dynamics,
)
from neuromotor.analysis.monkey_data import (
    posture_answers,
    posture_recordings,
    posture_rotations,
    reach_muscle_tuning,
)
from neuromotor.analysis.nulls import MaximumEntropy, fit_maximum_entropy
from neuromotor.analysis.nwb import save_nwb
from neuromotor.analysis.overview import plot_recording
from neuromotor.analysis.page import write_report
from neuromotor.analysis.pooling import pool_sessions
from neuromotor.analysis.recording import record, recorded_run
from neuromotor.analysis.recording_files import (
    load_recording,
    open_recording,
    save_in_parts,
    save_recording,
)
from neuromotor.analysis.reliability import (
    Reliability,
    plot_reliability,
    split_half_reliability,
)
from neuromotor.analysis.report import Report, analyze
from neuromotor.analysis.rotation_fits import (
    NullBand,
    RotationFit,
    fit_rotations,
)
from neuromotor.analysis.rotation_locations import (
    LocationPlanes,
    location_planes,
    location_planes_of,
    plot_location_planes,
)
from neuromotor.analysis.rotation_nulls import (
    CovarianceMatched,
    DownsampledNull,
    covariance_matched_test,
    covariance_matched_test_of,
    downsampled_rotations,
)
from neuromotor.analysis.rotation_validation import (
    RotationValidation,
    cross_validated_rotations,
    cross_validated_rotations_of,
)
from neuromotor.analysis.rotations import (
    Rotations,
    plot_rotations,
    rotational_dynamics,
    rotations_of,
)
from neuromotor.analysis.section import Section
from neuromotor.analysis.sessions import (
    FileNames,
    ImportOptions,
    from_mat,
    from_neo,
    from_neo_file,
    from_npz,
    from_nwb,
    from_pynapple,
    from_spikes,
    import_recording,
)
from neuromotor.analysis.similarity import (
    Similarity,
    canonical_correlations,
    compare_populations,
    plot_similarity,
    procrustes_distance,
)
from neuromotor.analysis.speed_and_accuracy import (
    SpeedAccuracy,
    plot_speed_accuracy,
    speed_accuracy,
)
from neuromotor.analysis.spike_encoding import (
    SpikeEncoding,
    encode_spikes,
    plot_spike_encoding,
)
from neuromotor.analysis.spikes import draw_spikes, expected_fano
from neuromotor.analysis.tangling import Tangling, plot_tangling, tangling, tangling_of
from neuromotor.analysis.transport import (
    GradientTransport,
    gradient_transport,
    plot_transport,
)
from neuromotor.analysis.tuning import (
    CircularSummary,
    Tuning,
    circular_summary,
    cosine_tuning,
    plot_tuning,
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
    "open_recording",
    "record",
    "recorded_run",
    "save_in_parts",
    "save_nwb",
    "save_recording",
    # recordings for other tools
    "BinaryActivity",
    "binarized",
    "draw_spikes",
    "expected_fano",
    "export_recording",
    "to_arrays",
    "to_pynapple",
    "to_table",
    # recordings from elsewhere
    "FileNames",
    "ImportOptions",
    "complete_trials",
    "complete_units",
    "from_mat",
    "from_neo",
    "from_neo_file",
    "from_npz",
    "from_nwb",
    "from_pynapple",
    "from_spikes",
    "import_recording",
    "missing_samples",
    "pool_sessions",
    "posture_answers",
    "posture_recordings",
    "posture_rotations",
    "reach_muscle_tuning",
    # averages and tuning
    "CircularSummary",
    "ConditionAverages",
    "DriftingTuning",
    "Tuning",
    "align",
    "circular_summary",
    "condition_averages",
    "cosine_tuning",
    "drifting_tuning",
    "driven",
    "false_discoveries",
    "family",
    "preferred_directions",
    "window",
    # populations
    "Alignment",
    "Geometry",
    "GeometryComparison",
    "LagDecoding",
    "Reliability",
    "DemixedComponents",
    "DemixedPart",
    "MaximumEntropy",
    "NullBand",
    "PrincipalComponents",
    "Regression",
    "CovarianceMatched",
    "DownsampledNull",
    "LocationPlanes",
    "RotationFit",
    "RotationValidation",
    "Rotations",
    "DynamicalSimilarity",
    "GroupSimilarity",
    "Similarity",
    "SpikeEncoding",
    "Tangling",
    "canonical_correlations",
    "compare_geometries",
    "compare_groups",
    "compare_populations",
    "covariance_matched_test",
    "covariance_matched_test_of",
    "cross_validated_rotations",
    "cross_validated_rotations_of",
    "decode",
    "decode_each",
    "decode_lags",
    "split_half_reliability",
    "demixed_components",
    "encode_spikes",
    "downsampled_rotations",
    "dynamical_similarity",
    "dynamical_similarity_of",
    "encode_units",
    "fit_rotations",
    "location_planes",
    "location_planes_of",
    "fit_maximum_entropy",
    "participation_ratio",
    "principal_components",
    "procrustes_distance",
    "representational_geometry",
    "rotational_dynamics",
    "rotations_of",
    "subspace_alignment",
    "tangling",
    "tangling_of",
    # networks
    "Currents",
    "FixedPoints",
    "GradientTransport",
    "JacobianSpectrum",
    "LesionEffect",
    "LoopDynamics",
    "LoopModes",
    "find_fixed_points",
    "gradient_transport",
    "jacobian_spectrum",
    "lesion_effect",
    "lesion_subspace",
    "lesion_units",
    "loop_dynamics",
    "network_currents",
    "network_fixed_points",
    "sensitivity",
    # memories in symmetric weights
    "Attractors",
    "RecallTest",
    "attractors",
    "check_symmetric",
    "continuous_attractors",
    "continuous_energy",
    "energy",
    "hebbian_weights",
    "random_patterns",
    "recall",
    "recall_test",
    "recurrent_part",
    "relax",
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
    # figures
    "plot_alignment",
    "plot_averages",
    "plot_currents",
    "plot_decoding",
    "plot_demixed_components",
    "plot_deviations",
    "plot_drifting_tuning",
    "plot_end_points",
    "plot_fixed_points",
    "plot_groups",
    "plot_jacobian_spectrum",
    "plot_geometries",
    "plot_lags",
    "plot_latency",
    "plot_lesions",
    "plot_location_planes",
    "plot_loop_dynamics",
    "plot_movements",
    "plot_recording",
    "plot_principal_components",
    "plot_reliability",
    "plot_rotations",
    "plot_sensitivity",
    "plot_similarity",
    "plot_speed_accuracy",
    "plot_spike_encoding",
    "plot_tangling",
    "plot_transport",
    "plot_tuning",
    # reports
    "Report",
    "Section",
    "analyze",
    "write_report",
]
