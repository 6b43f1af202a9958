"""The report's section on rotations: units, and muscles, commands and kinematics beside them."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromotor.analysis.cutting import align
from neuromotor.analysis.layout import ACTUATOR, RecordingError
from neuromotor.analysis.rotation_fits import DIFFERENCES
from neuromotor.analysis.rotation_nulls import covariance_matched_test, downsampled_rotations
from neuromotor.analysis.rotation_validation import cross_validated_rotations
from neuromotor.analysis.rotations import (
    FEWEST_CONDITIONS,
    FEWEST_SIGNALS,
    Rotations,
    plot_rotations,
    rotational_dynamics,
)
from neuromotor.analysis.section import (
    Findings,
    Material,
    SectionSpec,
    by_layer,
    layers_of,
    median,
    span,
    with_reasons,
)

if TYPE_CHECKING:
    import xarray as xr

__all__: list[str] = []

_AFTER_ONSET_S = 0.3  # Churchland et al. 2012, Kalidindi et al. 2021
_COLUMNS = {"invert": "half_inverted", "maximum entropy": "null_maximum entropy"}
_JOINTS = ("joint_position", "joint_velocity")


def _others(recording: xr.Dataset) -> dict[str, tuple[str, ...]]:
    """Return the signals of a recording that are no units: variables by name."""
    found: dict[str, tuple[str, ...]] = {}
    if all(name in recording for name in _JOINTS):
        found["kinematics"] = _JOINTS
    for name in ("command", f"{ACTUATOR}activation"):
        if name in recording:
            found[name.removeprefix(ACTUATOR)] = (name,)
    return found


def _row(found: Rotations) -> dict[str, Any]:
    """Return the numbers of one population, or of other signals."""
    row: dict[str, Any] = {
        "r2_skew": found.r2_skew,
        "r2_unconstrained": found.r2_unconstrained,
        "p_skew": found.p_skew,
        "angle_deg": found.angle_deg,
        "first_plane_variance": found.plane_variance[0],
        "first_two_planes_variance": found.plane_variance[:2].sum(),
        "kept_variance": found.kept_variance,
    }
    row |= {f"frequency_{i + 1}_hz": hz for i, hz in enumerate(found.frequencies_hz)}
    for name, band in found.nulls.items():
        row[f"{_COLUMNS[name]}_median_r2_skew"] = np.median(band.skew)
        row[f"{_COLUMNS[name]}_median_r2_unconstrained"] = np.median(band.unconstrained)
    row |= {
        "difference": found.difference,
        "added_to_ranges": found.soft,
        "components": len(found.skew),
        "signals": found.signals,
    }
    return row


def _tests(part: xr.Dataset, given: Material, found: Rotations) -> dict[str, Any]:
    """Return cross-validation and the covariance-matched test of one population."""
    row: dict[str, Any] = {}
    with contextlib.suppress(RecordingError):
        held = cross_validated_rotations(
            part, soft=given.soft, difference=given.difference, seed=given.seed
        )
        row["held_out_r2_skew"] = held.r2_skew
        row["held_out_r2_unconstrained"] = held.r2_unconstrained
    if len(found.conditions) >= FEWEST_CONDITIONS:
        matched = covariance_matched_test(
            part,
            soft=given.soft,
            difference=given.difference,
            permutations=given.surrogates,
            seed=given.seed,
        )
        row["covariance_matched_p_ratio"] = matched.p_ratio
        row["covariance_matched_p_skew"] = matched.p_skew
        row["covariance_matched_median_r2_skew"] = median(matched.null.skew)
    return row


def _section(given: Material) -> Findings:
    """Rotations in the window that was given or after movement onset."""
    recording = given.activity
    times = f"{span(recording)}, as given"
    if given.window_s is None:
        times = f"{span(recording)}, the whole recording"
        with contextlib.suppress(RecordingError):
            aligned = align(recording, "movement_onset", 0.0, _AFTER_ONSET_S)
            times = (
                f"{span(aligned)}, in {aligned.sizes['trial']} of {recording.sizes['trial']} trials"
            )
            recording = aligned
    shared = partial(
        rotational_dynamics,
        difference=given.difference,
        surrogates=given.surrogates,
        seed=given.seed,
    )
    found: dict[str, Rotations] = {}
    reasons: list[str] = []
    numbers: dict[str, Any] = {}
    if "rate" in recording:
        found, reasons = by_layer(recording, partial(shared, soft=given.soft))
        parts = layers_of(recording)
        for layer, own in found.items():
            numbers[layer] = _row(own) | _tests(parts[layer], given, own)
    for name, variables in _others(recording).items():
        try:
            own = shared(recording, variables)
            row = _row(own)
            with contextlib.suppress(RecordingError):
                fewer = downsampled_rotations(
                    own, recording, soft=given.soft, draws=given.surrogates, seed=given.seed
                )
                row["as_many_units_median_r2_skew"] = median(fewer.band.skew)
                row["p_below_as_many_units"] = fewer.p_skew
            found[name], numbers[name] = own, row
        except RecordingError as error:
            reasons.append(f"{name}: {error}")
    if not found:
        raise RecordingError(" ".join(reasons) or "the recording lacks `rate`.")
    return Findings(
        with_reasons(_text(found, times, recording), reasons),
        numbers,
        {"rotations": partial(plot_rotations, found)},
    )


def _text(found: dict[str, Rotations], times: str, recording: xr.Dataset) -> str:
    """Return what the numbers are, and how to read them."""
    first = next(iter(found.values()))
    text = (
        f"jPCA of {times}. Derivatives are differences over a step, states those "
        f"{DIFFERENCES[first.difference]}. {_divided(found, recording)} "
    )
    if first.nulls:
        text += (
            "p compares the skew-symmetric fit with fits of maximum-entropy tensors that have the "
            "same covariances. Data in which half of the conditions are inverted are no null and "
            "give no p: most smooth noise without structure lies beyond them. The covariance-"
            "matched test exchanges conditions unit by unit and asks whether rotations, against "
            "any linear dynamics (ratio), need the units of one condition together. "
        )
    else:
        text += (
            f"No p: {len(first.conditions)} conditions are fewer than {FEWEST_CONDITIONS}, with "
            "which the null rejects structureless data too often. "
        )
    text += "Held-out R² is of conditions that the fit did not see."
    few = [name for name, own in found.items() if own.signals < FEWEST_SIGNALS]
    if few and first.nulls:
        text += (
            f" With fewer than {FEWEST_SIGNALS} signals ({', '.join(few)}) the maximum-entropy "
            "null is unreliable: look at R² beside that of as many units, and at p below as many "
            "units, which is small where the signals rotate less than units do."
        )
    return text


def _divided(found: dict[str, Rotations], recording: xr.Dataset) -> str:
    """Return what is added to the ranges, in words."""
    names = _others(recording)
    units = [own for name, own in found.items() if name not in names]
    others = [own for name, own in found.items() if name in names]
    text = ""
    if units:
        unit = str(recording["rate"].attrs.get("units", "1"))
        kind = "rates without a unit" if unit == "1" else unit
        text = f"Each unit is divided by its range plus {units[0].soft:g} ({kind})."
    if others:
        text += " " if text else ""
        text += f"Each other signal is divided by its range plus {others[0].soft:g}."
    return text


SECTION = SectionSpec(
    "rotations",
    "Rotational dynamics",
    70,
    _section,
    ("changing rates",),
    lambda given: 0.5 + 0.2 * given.million_surrogate_rates,
    gaps="averages",
    in_parts=True,
    reading="Lines that turn the same way are rotations, and the panel below shows whether their "
    "R² lies beyond the ticks of maximum-entropy surrogates, which are the null.",
)
