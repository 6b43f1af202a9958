"""The sections of a report: each runs one analysis and says how to read its numbers and figures.

This module imports matplotlib; nothing imports it early.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromotor.analysis._arrays import null_p
from neuromotor.analysis.averages import align, condition_averages
from neuromotor.analysis.behaviour import (
    behaviour,
    end_points,
    response_latency,
    sham_latency,
    speed_accuracy,
)
from neuromotor.analysis.decoding import decode_each
from neuromotor.analysis.demixing import demixed_components
from neuromotor.analysis.figures import (
    plot_alignment,
    plot_averages,
    plot_decoding,
    plot_demixed_components,
    plot_latency,
    plot_movements,
    plot_principal_components,
    plot_rotations,
    plot_similarity,
    plot_speed_accuracy,
    plot_tangling,
    plot_tuning,
)
from neuromotor.analysis.recording import RecordingError
from neuromotor.analysis.rotations import rotational_dynamics
from neuromotor.analysis.section import Section, layers_of, median
from neuromotor.analysis.similarity import Similarity, compare_populations
from neuromotor.analysis.subspaces import principal_components, subspace_alignment
from neuromotor.analysis.tangling import tangling
from neuromotor.analysis.tuning import Tuning, preferred_directions

if TYPE_CHECKING:
    import xarray as xr

_WINDOW_S = 0.3  # after movement onset: Churchland et al. 2012, Kalidindi et al. 2021


def movement_section(recording: xr.Dataset) -> Section:
    """Hand paths, speeds and end points."""
    found = behaviour(recording)
    numbers: dict[str, Any] = {
        name: {
            "median": np.nanmedian(values),
            "lowest": np.nanmin(values),
            "highest": np.nanmax(values),
        }
        for name, values in vars(found).items()
        if np.isfinite(values).any()
    }
    if "target_position" in recording and recording.sizes["trial"] >= 3:
        ellipse = end_points(recording)
        numbers["end points"] = {
            "bias_x_m": ellipse.bias_m[0],
            "bias_y_m": ellipse.bias_m[1],
            "ellipse_long_m": ellipse.axes_m[0],
            "ellipse_short_m": ellipse.axes_m[1],
            "orientation_deg": ellipse.orientation_deg,
            "area_m2": ellipse.area_m2,
        }
    text = "Minimum jerk has peak / mean speed 1.875 and symmetry 0.5 over its whole duration."
    figures = {"movement": plot_movements(recording)}
    return Section("movement", "Movement", text, numbers, figures)


def speed_accuracy_section(recording: xr.Dataset, seed: int) -> Section:
    """Movement time against difficulty, spread against speed."""
    found = speed_accuracy(recording, seed=seed)
    numbers = {
        "conditions": len(found.conditions),
        "fitts_slope_s_per_bit": found.slope_s,
        "fitts_intercept_s": found.intercept_s,
        "fitts_r2": found.r2,
        "fitts_p": found.p_slope,
        "width_slope_s": found.width_slope_s,
        "width_r2": found.width_r2,
        "width_p": found.p_width_slope,
    }
    text = "Over conditions, with effective target widths; p: movement times permuted."
    figures = {"speed-accuracy": plot_speed_accuracy(found)}
    return Section("speed-accuracy", "Speed and accuracy", text, numbers, figures)


def averages_section(recording: xr.Dataset, seed: int) -> Section:
    """Condition averages and what conditions explain."""
    found = condition_averages(recording, shuffles=20, seed=seed)
    known = found.explained[np.isfinite(found.explained)]
    numbers = {
        "conditions": len(found.conditions),
        "fewest_trials": found.counts.min(),
        "units": recording.sizes["unit"],
        "constant_units": recording.sizes["unit"] - len(known),
        "median_variance_explained": np.median(known) if known.size else np.nan,
        "median_null_95": median(found.null_explained),
    }
    text = (
        "Units that vary most, averaged over the trials of each condition. Null: condition labels "
        "permuted (none where each condition has one trial)."
    )
    return Section(
        "averages", "Condition averages", text, numbers, {"averages": plot_averages(found)}
    )


def tuning_section(recording: xr.Dataset, surrogates: int, seed: int) -> Section:
    """Preferred directions of each layer in hand and torque space."""
    tunings: dict[str, Tuning] = {}
    for layer, part in layers_of(recording).items():
        for space in ("hand", "torque"):
            if space == "torque" and "command" not in recording:
                continue
            tunings[f"{layer}, {space}"] = preferred_directions(
                part, space, bootstraps=surrogates, shuffles=4 * surrogates, seed=seed
            )
    numbers = {
        name: {
            "tuned": tuning.population.count,
            "median_r2": median(tuning.r2),
            "median_interval_deg": median(tuning.interval_deg[tuning.tuned]),
            "axis_deg": tuning.population.axis_deg,
            "axis_resultant": tuning.population.axis_resultant,
            "p_axis": tuning.population.p_axis,
            "mean_deg": tuning.population.mean_deg,
            "resultant": tuning.population.resultant,
            "p_direction": tuning.population.p_direction,
        }
        for name, tuning in tunings.items()
    }
    text = (
        "Cosine fits to mean rates over the trial; preferred directions of tuned units and their "
        "axis, with Rayleigh's p. A linear limb gives an axis too."
    )
    return Section(
        "tuning", "Preferred directions", text, numbers, {"tuning": plot_tuning(tunings)}
    )


def components_section(recording: xr.Dataset, seed: int) -> Section:
    """Principal components and dimensionality of each layer."""
    found = {
        layer: principal_components(part, seed=seed) for layer, part in layers_of(recording).items()
    }
    numbers = {
        layer: {
            "participation_ratio": result.participation_ratio,
            "null_participation_ratio": result.null_participation_ratio,
            "dimensions_90": result.dimensions_90,
            "first_component": result.explained[0],
        }
        for layer, result in found.items()
    }
    figures = {
        f"components-{layer}": plot_principal_components(result) for layer, result in found.items()
    }
    text = "Null of the participation ratio: each unit's samples permuted by themselves."
    return Section("components", "Principal components", text, numbers, figures)


def demixing_section(recording: xr.Dataset, seed: int) -> Section:
    """Demixed components of all layers together."""
    found = demixed_components(recording, seed=seed)
    numbers = {}
    for name, part in (("shared", found.time), ("condition", found.condition)):
        row = {"share": part.share, "null_share": median(part.null_share)}
        row |= {f"explained_{i + 1}": value for i, value in enumerate(part.explained)}
        row |= {f"purity_{i + 1}": value for i, value in enumerate(part.purity)}
        numbers[name] = row | {"pca_purity": part.pca_purity}
    text = (
        "What all conditions share, and what differs. Purity: share of a component's variance that "
        "is of its own part, and what PCA's components reach. Null: labels permuted (none where "
        "each condition has one trial)."
    )
    figures = {"demixing": plot_demixed_components(found)}
    return Section("demixing", "Demixed principal components", text, numbers, figures)


def rotations_section(recording: xr.Dataset, surrogates: int, seed: int) -> Section:
    """JPCA of each layer after movement onset."""
    where = f"{1e3 * _WINDOW_S:.0f} ms from movement onset"
    try:
        cut = align(recording, "movement_onset", 0.0, _WINDOW_S)
    except RecordingError:
        cut, where = recording, "the whole recording"
    found = {
        layer: rotational_dynamics(part, surrogates=surrogates, seed=seed)
        for layer, part in layers_of(cut).items()
    }
    numbers = {}
    for layer, result in found.items():
        row = {
            "r2_skew": result.r2_skew,
            "r2_unconstrained": result.r2_unconstrained,
            "angle_deg": result.angle_deg,
            "first_plane_variance": result.plane_variance[0],
            "kept_variance": result.kept_variance,
        }
        row |= {f"frequency_{i + 1}_hz": hz for i, hz in enumerate(result.frequencies_hz)}
        for name, band in result.nulls.items():
            row[f"null_{name}_median_r2_skew"] = np.median(band.skew)
            row[f"null_{name}_median_r2_unconstrained"] = np.median(band.unconstrained)
            row[f"null_{name}_p"] = band.p_skew(result.r2_skew)
        numbers[layer] = row
    text = (
        f"jPCA of {where}, six components. Nulls: half of the conditions inverted, and tensors of "
        "maximum entropy with the same covariances; p is of the skew-symmetric fit."
    )
    return Section(
        "rotations", "Rotational dynamics", text, numbers, {"rotations": plot_rotations(found)}
    )


def similarity_section(
    recording: xr.Dataset, against: xr.Dataset, surrogates: int, seed: int
) -> Section:
    """Every layer of a recording held against every layer of another."""
    found: dict[tuple[str, str], Similarity] = {}
    reasons = []
    for (own, one), (other, two) in itertools.product(
        layers_of(recording).items(), layers_of(against).items()
    ):
        try:
            found[own, other] = compare_populations(one, two, shuffles=surrogates, seed=seed)
        except RecordingError as error:
            reasons.append(f"{own} and {other}: {error}")
    if not found:
        raise RecordingError(" ".join(dict.fromkeys(reasons)))
    numbers = {}
    for (own, other), result in found.items():
        row = {
            "procrustes_rad": result.distance_rad,
            "procrustes_null_median_rad": median(result.null_distance_rad),
            "procrustes_p": null_p(-result.distance_rad, -result.null_distance_rad),
        }
        for i, value in enumerate(result.correlations):
            row[f"correlation_{i + 1}"] = value
            row[f"correlation_{i + 1}_null_median"] = median(result.null_correlations[:, i])
        mean = result.null_correlations.mean(1)
        row["correlations_p"] = null_p(float(result.correlations.mean()), mean)
        numbers[f"{own} - {other}"] = row
    text = (
        "Layers of this recording and of the other: canonical correlations and Procrustes distance "
        "(0 alike, pi/2 unrelated) of six principal components. Null: conditions exchanged; "
        "p of the mean correlation and of the distance."
    )
    text = " ".join([text, *(f"Left out, {reason}" for reason in reasons)])
    figures = {"similarity": plot_similarity(found)}
    return Section("similarity", "Held against the other recording", text, numbers, figures)


def alignment_section(recording: xr.Dataset, surrogates: int, seed: int) -> Section:
    """Subspaces of the first and second half."""
    time = recording["time"].values
    middle = len(time) // 2
    if middle < 1:
        raise RecordingError("two epochs need two times or more.")
    found = subspace_alignment(
        recording,
        (time[0], time[middle - 1]),
        (time[middle], time[-1]),
        surrogates=4 * surrogates,
        seed=seed,
    )
    numbers = {
        "index": found.index,
        "null_5": np.quantile(found.null, 0.05),
        "null_median": np.median(found.null),
        "null_95": np.quantile(found.null, 0.95),
        "components": found.components,
    }
    text = "How far the first half of the recording shares the subspace of the second."
    figures = {"alignment": plot_alignment(found)}
    return Section("alignment", "Subspace alignment", text, numbers, figures)


def tangling_section(recording: xr.Dataset, seed: int) -> Section:
    """Tangling of rates and of commands."""
    found = {"rate": tangling(recording, seed=seed)}
    if "command" in recording and np.ptp(recording["command"].values) > 0:
        found["command"] = tangling(recording, "command", surrogates=0)
    numbers = {
        name: {"percentile_90": result.percentile_90, "null": median(result.null_percentile_90)}
        for name, result in found.items()
    }
    text = "Large where like states move differently; null: tensors of maximum entropy."
    figures = {"tangling": plot_tangling(found)}
    return Section("tangling", "Trajectory tangling", text, numbers, figures)


def decoding_section(recording: xr.Dataset, seed: int) -> Section:
    """Kinematics, torques and loads from rates."""
    names = (
        "hand_position",
        "hand_velocity",
        "joint_position",
        "joint_velocity",
        "command",
        "load",
    )
    present = [n for n in names if n in recording and np.ptp(recording[n].values) > 0]
    if not present:
        raise RecordingError("there is nothing to decode: no kinematics, torques or loads.")
    found = decode_each(recording, present, shuffles=2, seed=seed)
    numbers = {
        label: {"r2": result.r2[i], "null": np.median(result.null[:, i])}
        for result in found.values()
        for i, label in enumerate(result.labels)
    }
    text = "Ridge regression from all rates at one time; whole conditions held out."
    figures = {"decoding": plot_decoding(found)}
    return Section("decoding", "Decoding", text, numbers, figures)


def latency_section(recording: xr.Dataset) -> Section:
    """When torques and units respond to a load."""
    names = [name for name in ("command", "rate") if name in recording]
    found = {name: response_latency(recording, name) for name in names}
    if not any(np.isfinite(values).any() for values in found.values()):
        raise RecordingError("no trial responds to a perturbation.")
    sham = {name: sham_latency(recording, name) for name in names}
    perturbed = np.isfinite(recording["perturbation_time"].values)
    numbers = {
        name: {
            "median_s": median(values),
            "responses": np.isfinite(values[perturbed]).mean(),
            "false_alarms": np.isfinite(sham[name][perturbed]).mean(),
        }
        for name, values in found.items()
    }
    text = (
        "From the perturbation to the first response of any value of the variable; shares of the "
        "perturbed trials. False alarms (null): the same criterion before the perturbation."
    )
    figures = {"latency": plot_latency(found, sham)}
    return Section("latency", "Response to loads", text, numbers, figures)
