"""The sections of a report: each runs one analysis and says how to read its numbers and figures.

This module imports matplotlib; nothing imports it early.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromotor.analysis._arrays import null_p
from neuromotor.analysis.averages import align, condition_averages
from neuromotor.analysis.behaviour import behaviour, end_points, speed_accuracy
from neuromotor.analysis.decoding import decode_each
from neuromotor.analysis.demixing import demixed_components
from neuromotor.analysis.deviations import hand_deviations
from neuromotor.analysis.figures import (
    plot_alignment,
    plot_averages,
    plot_decoding,
    plot_demixed_components,
    plot_deviations,
    plot_latency,
    plot_movements,
    plot_principal_components,
    plot_rotations,
    plot_similarity,
    plot_speed_accuracy,
    plot_tangling,
    plot_tuning,
)
from neuromotor.analysis.latencies import response_latency
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.rotations import FEWEST_CONDITIONS, rotational_dynamics
from neuromotor.analysis.section import Section, by_layer, layers_of, median, span, with_reasons
from neuromotor.analysis.similarity import Similarity, compare_populations
from neuromotor.analysis.subspaces import principal_components, subspace_alignment
from neuromotor.analysis.tangling import tangling
from neuromotor.analysis.tuning import Tuning, preferred_directions
from neuromotor.evaluation.load_responses import TIMES_MS

if TYPE_CHECKING:
    import xarray as xr

_WINDOW_S = 0.3  # after movement onset: Churchland et al. 2012, Kalidindi et al. 2021


def movement_section(recording: xr.Dataset) -> Section:
    """Hand paths, speeds and end points."""
    found = behaviour(recording)
    count = recording.sizes["trial"]
    numbers: dict[str, Any] = {
        name: {
            "median": np.nanmedian(values),
            "lowest": np.nanmin(values),
            "highest": np.nanmax(values),
            "trials": np.isfinite(values).sum(),
        }
        for name, values in vars(found).items()
        if np.isfinite(values).any()
    }
    ended = int(np.isfinite(found.movement_time_s).sum())
    text = (
        "Minimum jerk has peak / mean speed 1.875 and symmetry 0.5; mean speed is from rest to "
        f"rest. {ended} of {count} trials have a movement that begins and ends; `trials` is how "
        "many a row is of."
    )
    figures = {"movement": partial(plot_movements, recording)}
    try:
        ellipses = end_points(recording)
    except RecordingError as error:
        text += f" No end-point ellipses: {error}"
        return Section("movement", "Movement", text, numbers, figures)
    with np.errstate(divide="ignore", invalid="ignore"):
        elongation = ellipses.axes_m[:, 0] / ellipses.axes_m[:, 1]
    numbers["end points"] = {
        "ellipses": len(ellipses.conditions),
        "trials_left_out": ellipses.left_out,
        "median_bias_m": median(np.linalg.norm(ellipses.bias_m, axis=-1)),
        "median_long_m": median(ellipses.axes_m[:, 0]),
        "median_short_m": median(ellipses.axes_m[:, 1]),
        "median_long_over_short": median(elongation),
        "median_turned_from_movement_deg": median(ellipses.turned_deg),
    }
    for i, label in enumerate(ellipses.conditions):
        x, y = 100 * ellipses.targets_m[i]
        numbers[f"end points, condition {label}, target ({x:.2f}, {y:.2f}) cm"] = {
            "trials": ellipses.counts[i],
            "bias_x_m": ellipses.bias_m[i, 0],
            "bias_y_m": ellipses.bias_m[i, 1],
            "long_m": ellipses.axes_m[i, 0],
            "short_m": ellipses.axes_m[i, 1],
            "orientation_deg": ellipses.orientation_deg[i],
            "turned_from_movement_deg": ellipses.turned_deg[i],
        }
    text += " End points: half axes of 95 % ellipses, one for each condition and target."
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
    figures = {"speed-accuracy": partial(plot_speed_accuracy, found)}
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
        f"Units that vary most, averaged over the trials of each condition, {span(recording)}. "
        "Null: condition labels permuted (none where each condition has one trial)."
    )
    return Section(
        "averages", "Condition averages", text, numbers, {"averages": partial(plot_averages, found)}
    )


def tuning_section(recording: xr.Dataset, surrogates: int, seed: int) -> Section:
    """Preferred directions of each layer in all spaces that the recording has."""
    tunings: dict[str, Tuning] = {}
    reasons = []
    for space, needed in (
        ("hand", "hand_position"),
        ("torque", "command"),
        ("load", "load"),
        ("force", "hand_force"),
    ):
        options: dict[str, Any] = {
            "space": space,
            "bootstraps": surrogates,
            "shuffles": 4 * surrogates,
            "seed": seed,
        }
        if space != "hand" and not (needed in recording and recording[needed].values.any()):
            continue
        try:
            found, left = by_layer(recording, functools.partial(preferred_directions, **options))
        except RecordingError as error:
            left, found = [str(error)], {}
        tunings |= {f"{layer}, {space}": tuning for layer, tuning in found.items()}
        reasons += [f"{space}: {reason}" for reason in left]
    if not tunings:
        raise RecordingError(" ".join(reasons))
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
        f"Cosine fits to mean rates, {span(recording)} (for loads and forces from their onset on); "
        "preferred directions of tuned units and their axis, with Rayleigh's p. A linear limb "
        "gives an axis too."
    )
    text = with_reasons(text, reasons)
    return Section(
        "tuning", "Preferred directions", text, numbers, {"tuning": partial(plot_tuning, tunings)}
    )


def components_section(recording: xr.Dataset, seed: int) -> Section:
    """Principal components and dimensionality of each layer."""
    found, reasons = by_layer(recording, lambda part: principal_components(part, seed=seed))
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
        f"components-{layer}": partial(plot_principal_components, result)
        for layer, result in found.items()
    }
    text = (
        f"Of condition averages, {span(recording)}. Null of the participation ratio: each unit's "
        "samples permuted by themselves."
    )
    text = with_reasons(text, reasons)
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
        f"What all conditions share, and what differs, {span(recording)}. Purity: share of a "
        "component's variance that is of its own part, and what PCA's components reach. Null: "
        "labels permuted (none where each condition has one trial)."
    )
    figures = {"demixing": partial(plot_demixed_components, found)}
    return Section("demixing", "Demixed principal components", text, numbers, figures)


def rotations_section(
    recording: xr.Dataset, surrogates: int, seed: int, *, cut: bool, soft: float | None
) -> Section:
    """JPCA of each layer: in the window that was given, else after movement onset."""
    times = f"{span(recording)}, as given"
    if not cut:
        times = f"{span(recording)}, the whole recording"
        with contextlib.suppress(RecordingError):
            aligned = align(recording, "movement_onset", 0.0, _WINDOW_S)
            times = (
                f"{span(aligned)}, in {aligned.sizes['trial']} of {recording.sizes['trial']} trials"
            )
            recording = aligned
    found, reasons = by_layer(
        recording,
        lambda part: rotational_dynamics(part, soft=soft, surrogates=surrogates, seed=seed),
    )
    numbers = {}
    for layer, result in found.items():
        row = {
            "r2_skew": result.r2_skew,
            "r2_unconstrained": result.r2_unconstrained,
            "p_skew": result.p_skew,
            "angle_deg": result.angle_deg,
            "first_plane_variance": result.plane_variance[0],
            "kept_variance": result.kept_variance,
        }
        row |= {f"frequency_{i + 1}_hz": hz for i, hz in enumerate(result.frequencies_hz)}
        for name, band in result.nulls.items():
            row[f"null_{name}_median_r2_skew"] = np.median(band.skew)
            row[f"null_{name}_median_r2_unconstrained"] = np.median(band.unconstrained)
        numbers[layer] = row
    first = next(iter(found.values()))
    unit = str(recording["rate"].attrs.get("units", "1"))
    text = (
        f"jPCA of {times}, six components; each unit over its range plus {first.soft:g} "
        f"({'rates without a unit' if unit == '1' else unit}). "
    )
    if first.nulls:
        text += (
            "p: skew-symmetric fits of tensors of maximum entropy with the same covariances. Half "
            "of the conditions inverted gives no p: most smooth noise lies beyond it."
        )
    else:
        text += (
            f"No p: {len(first.conditions)} conditions are fewer than {FEWEST_CONDITIONS}, with "
            "which the null rejects structureless data too often."
        )
    text = with_reasons(text, reasons)
    return Section(
        "rotations",
        "Rotational dynamics",
        text,
        numbers,
        {"rotations": partial(plot_rotations, found)},
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
    text = with_reasons(text, reasons)
    figures = {"similarity": partial(plot_similarity, found)}
    return Section("similarity", "Held against the other recording", text, numbers, figures)


def alignment_section(
    recording: xr.Dataset, surrogates: int, seed: int, *, soft: float | None
) -> Section:
    """Subspaces of the first and second half."""
    time = recording["time"].values
    middle = len(time) // 2
    if middle < 1:
        raise RecordingError("two epochs need two times or more.")
    found = subspace_alignment(
        recording,
        (time[0], time[middle - 1]),
        (time[middle], time[-1]),
        soft=soft,
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
    text = (
        f"How far {time[0]:g} to {time[middle - 1]:g} s shares the subspace of {time[middle]:g} to "
        f"{time[-1]:g} s: the halves of {span(recording)}."
    )
    figures = {"alignment": partial(plot_alignment, found)}
    return Section("alignment", "Subspace alignment", text, numbers, figures)


def tangling_section(recording: xr.Dataset, seed: int, *, soft: float | None) -> Section:
    """Tangling of rates and of commands."""
    found = {"rate": tangling(recording, soft=soft, seed=seed)}
    if "command" in recording and np.ptp(recording["command"].values) > 0:
        found["command"] = tangling(recording, "command", surrogates=0)
    numbers = {
        name: {"percentile_90": result.percentile_90, "null": median(result.null_percentile_90)}
        for name, result in found.items()
    }
    text = (
        f"Large where like states move differently, {span(recording)}; null: tensors of maximum "
        "entropy."
    )
    figures = {"tangling": partial(plot_tangling, found)}
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
    text = (
        f"Ridge regression from all rates at one time, {span(recording)}; whole conditions held "
        "out."
    )
    figures = {"decoding": partial(plot_decoding, found)}
    return Section("decoding", "Decoding", text, numbers, figures)


def deviation_section(recording: xr.Dataset, unperturbed: xr.Dataset | None) -> Section:
    """How far pushes take the hand off its reach."""
    found = hand_deviations(recording, unperturbed)
    size = found.distance_m
    numbers: dict[str, Any] = {
        f"median_after_{after}_ms_m": median(size[:, np.abs(found.time_s - after / 1e3).argmin()])
        for after in TIMES_MS
        if found.time_s[-1] >= after / 1e3 - 1e-9
    }
    numbers |= {
        "median_largest_m": median(np.nanmax(size, axis=1)),
        "pushed_trials": len(found.trials) + found.left_out,
        "against_same_trial": (found.against == "same trial").sum(),
        "against_unperturbed_trials": (found.against == "unperturbed trials").sum(),
        "against_posture": (found.against == "posture").sum(),
        "against_nothing": found.left_out,
    }
    text = (
        "The hand's position minus that of the same reach without its push, from when the push "
        "begins. The reach is that of the same trial, the mean of unperturbed trials with the same "
        "start and target, or the posture that was held; trials with none of them are left out."
    )
    figures = {"deviations": partial(plot_deviations, found)}
    return Section("deviations", "Deviation after a push", text, numbers, figures)


def latency_section(recording: xr.Dataset, unperturbed: xr.Dataset | None) -> Section:
    """When torques and units respond to a load."""
    names = [name for name in ("command", "rate") if name in recording]
    found = {name: response_latency(recording, name, unperturbed=unperturbed) for name in names}
    numbers = {
        name: {
            "median_s": median(result.seconds),
            "earliest_s": np.nanmin(result.seconds, initial=np.inf),
            "responses": np.isfinite(result.seconds[result.measured]).mean(),
            "perturbed_trials": (result.against != "").sum(),
            "against_same_trial": (result.against == "same trial").sum(),
            "against_unperturbed_trials": (result.against == "unperturbed trials").sum(),
            "against_baseline": (result.against == "baseline").sum(),
            "against_nothing": (result.against == "nothing").sum(),
            "not_quiet_before": (result.against == "not quiet").sum(),
        }
        for name, result in found.items()
    }
    text = (
        "From the perturbation to the first difference of any value of the variable from the same "
        "trial without it, from unperturbed trials, or from a baseline that was quiet; at 5 % "
        "false alarms a trial. Responses: share of the trials that were held against something; "
        "the others have no latency."
    )
    figures = {"latency": partial(plot_latency, found)}
    return Section("latency", "Response to loads", text, numbers, figures)
