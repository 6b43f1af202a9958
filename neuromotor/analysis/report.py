"""Every analysis of a recording in one page: numbers, figures, and what could not be computed."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromotor.analysis.averages import align, condition_averages, window
from neuromotor.analysis.behaviour import behaviour, end_points, response_latency
from neuromotor.analysis.decoding import decode
from neuromotor.analysis.fixed_points import network_fixed_points
from neuromotor.analysis.lesions import lesion_effect, sensitivity
from neuromotor.analysis.recording import RecordingError, check_recording
from neuromotor.analysis.rotations import rotational_dynamics
from neuromotor.analysis.subspaces import principal_components, subspace_alignment
from neuromotor.analysis.tangling import tangling
from neuromotor.analysis.tuning import Tuning, preferred_directions
from neuromotor.checkpoint import SavedController
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.files import atomic_path, write_json

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Report", "Section", "analyze", "write_report"]

_WINDOW_S = 0.3  # after movement onset: Churchland et al. 2012, Kalidindi et al. 2021


@dataclass(frozen=True)
class Section:
    """One analysis.

    Attributes:
        name: Short name, of its figure's file too.
        title: What it is.
        text: How to read it.
        numbers: By name; a table of tables where there are several populations.
        figures: By name.
        skipped: Why it was not computed, or empty.
    """

    name: str
    title: str
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    skipped: str = ""


@dataclass(frozen=True)
class Report:
    """All sections, and what they are of."""

    source: str
    sections: tuple[Section, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return every number by section, for JSON; what is not finite is None."""
        parts = {
            section.name: {"skipped": section.skipped} if section.skipped else section.numbers
            for section in self.sections
        }
        return {"source": self.source, "sections": _plain(parts)}


def analyze(
    recording: xr.Dataset,
    *,
    source: str = "",
    saved: SavedController | None = None,
    window_s: tuple[float, float] | None = None,
    surrogates: int = 50,
    seed: int = 0,
) -> Report:
    """Run every analysis that a recording allows; those it does not are listed with the reason.

    Args:
        recording: Any dataset of the layout.
        source: What it is, for the title.
        saved: The controller that was recorded, for fixed points, sensitivity and lesions.
        window_s: First and last time (s) of the units' activity that counts, for instance without
            the transient of a network that starts at zero; all by default.
        surrogates: Size of the nulls.
        seed: Of the nulls.

    Raises:
        RecordingError: The dataset is no recording, or the window misses it.
    """
    import matplotlib.pyplot as plt

    check_recording(recording)
    cut = window(recording, window_s)
    parts: dict[str, Callable[[], Section]] = {
        "movement": lambda: _movement(recording),
        "averages": lambda: _averages(cut, seed),
        "tuning": lambda: _tuning(cut, surrogates, seed),
        "components": lambda: _components(cut, seed),
        "rotations": lambda: _rotations(cut, surrogates, seed),
        "alignment": lambda: _alignment(cut, surrogates, seed),
        "tangling": lambda: _tangling(cut, seed),
        "decoding": lambda: _decoding(cut, seed),
        "latency": lambda: _latency(recording),
    }
    if saved is not None:
        network = saved
        parts |= {
            "fixed-points": lambda: _fixed_points(recording, network),
            "sensitivity": lambda: _sensitivity(network),
            "lesions": lambda: _lesions(recording, network, seed),
        }
    sections = []
    for name, compute in parts.items():
        try:
            section = compute()
            for figure in section.figures.values():
                plt.close(figure)  # pyplot forgets it; it can still be saved
            sections.append(section)
        except RecordingError as error:
            sections.append(Section(name, name.capitalize(), "", skipped=str(error)))
    return Report(source, tuple(sections))


def write_report(report: Report, folder: Path) -> None:
    """Write report.html (self-contained), analysis.json and figures/NAME.pdf into a folder."""
    import matplotlib as mpl

    from neuromotor.plotting import STYLE

    write_json(folder / "analysis.json", report.as_dict())
    body = []
    for section in report.sections:
        body.append(f"<h2>{html.escape(section.title)}</h2>")
        if section.skipped:
            body.append(f"<p class=skipped>Not computed: {html.escape(section.skipped)}</p>")
            continue
        body.append(f"<p>{html.escape(section.text)}</p>")
        for name, figure in section.figures.items():
            picture = io.BytesIO()
            figure.savefig(picture, format="png", dpi=160)
            data = base64.b64encode(picture.getvalue()).decode()
            body.append(f'<img alt="{html.escape(name)}" src="data:image/png;base64,{data}">')
            path = folder / "figures" / f"{name}.pdf"
            with atomic_path(path) as temporary, mpl.rc_context(STYLE):
                figure.savefig(temporary)
        body.append(_table(_plain(section.numbers)))
    title = html.escape(f"Analysis of {report.source}" if report.source else "Analysis")
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>{_CSS}"
    page += f"<h1>{title}</h1>" + "\n".join(body) + "</html>\n"
    with atomic_path(folder / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")


# ---- sections ----


def _movement(recording: xr.Dataset) -> Section:
    from neuromotor.analysis.figures import plot_movements

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


def _averages(recording: xr.Dataset, seed: int) -> Section:
    from neuromotor.analysis.figures import plot_averages

    found = condition_averages(recording, shuffles=20, seed=seed)
    known = found.explained[np.isfinite(found.explained)]
    numbers = {
        "conditions": len(found.conditions),
        "fewest_trials": found.counts.min(),
        "units": recording.sizes["unit"],
        "constant_units": recording.sizes["unit"] - len(known),
        "median_variance_explained": np.median(known) if known.size else np.nan,
        "median_null_95": _median(found.null_explained),
    }
    text = (
        "Units that vary most, averaged over the trials of each condition. Null: condition labels "
        "permuted (none where each condition has one trial)."
    )
    return Section(
        "averages", "Condition averages", text, numbers, {"averages": plot_averages(found)}
    )


def _tuning(recording: xr.Dataset, surrogates: int, seed: int) -> Section:
    from neuromotor.analysis.figures import plot_tuning

    tunings: dict[str, Tuning] = {}
    for layer, part in _layers(recording).items():
        for space in ("hand", "torque"):
            if space == "torque" and "command" not in recording:
                continue
            tunings[f"{layer}, {space}"] = preferred_directions(
                part, space, bootstraps=surrogates, shuffles=4 * surrogates, seed=seed
            )
    numbers = {
        name: {
            "tuned": tuning.population.count,
            "median_r2": _median(tuning.r2),
            "median_interval_deg": _median(tuning.interval_deg[tuning.tuned]),
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


def _components(recording: xr.Dataset, seed: int) -> Section:
    from neuromotor.analysis.figures import plot_principal_components

    found = {
        layer: principal_components(part, seed=seed) for layer, part in _layers(recording).items()
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
        f"components-{layer}".replace(" ", "-"): plot_principal_components(result)
        for layer, result in found.items()
    }
    text = "Null of the participation ratio: each unit's samples permuted by themselves."
    return Section("components", "Principal components", text, numbers, figures)


def _rotations(recording: xr.Dataset, surrogates: int, seed: int) -> Section:
    from neuromotor.analysis.figures import plot_rotations

    where = f"{1e3 * _WINDOW_S:.0f} ms from movement onset"
    try:
        cut = align(recording, "movement_onset", 0.0, _WINDOW_S)
    except RecordingError:
        cut, where = recording, "the whole recording"
    found = {
        layer: rotational_dynamics(part, surrogates=surrogates, seed=seed)
        for layer, part in _layers(cut).items()
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


def _alignment(recording: xr.Dataset, surrogates: int, seed: int) -> Section:
    from neuromotor.analysis.figures import plot_alignment

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


def _tangling(recording: xr.Dataset, seed: int) -> Section:
    from neuromotor.analysis.figures import plot_tangling

    found = {"rate": tangling(recording, seed=seed)}
    if "command" in recording and np.ptp(recording["command"].values) > 0:
        found["command"] = tangling(recording, "command", surrogates=0)
    numbers = {
        name: {"percentile_90": result.percentile_90, "null": _median(result.null_percentile_90)}
        for name, result in found.items()
    }
    text = "Large where like states move differently; null: tensors of maximum entropy."
    figures = {"tangling": plot_tangling(found)}
    return Section("tangling", "Trajectory tangling", text, numbers, figures)


def _decoding(recording: xr.Dataset, seed: int) -> Section:
    from neuromotor.analysis.figures import plot_decoding

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
    found = {name: decode(recording, name, shuffles=2, seed=seed) for name in present}
    numbers = {
        label: {"r2": result.r2[i], "null": np.median(result.null[:, i])}
        for result in found.values()
        for i, label in enumerate(result.labels)
    }
    text = "Ridge regression from all rates at one time; whole conditions held out."
    figures = {"decoding": plot_decoding(found)}
    return Section("decoding", "Decoding", text, numbers, figures)


def _latency(recording: xr.Dataset) -> Section:
    found = {
        name: response_latency(recording, name) for name in ("command", "rate") if name in recording
    }
    numbers = {name: {"median_s": _median(values)} for name, values in found.items()}
    if not any(np.isfinite(values).any() for values in found.values()):
        raise RecordingError("no trial has a perturbation.")
    text = "From the perturbation to the first response, of any value of the variable."
    return Section("latency", "Response to loads", text, numbers)


def _fixed_points(recording: xr.Dataset, saved: SavedController) -> Section:
    from neuromotor.analysis.figures import plot_fixed_points

    found = network_fixed_points(saved.controller, saved.parameters, recording)
    constants = found.time_constants_s[0][np.abs(found.eigenvalues[0]) < 1]
    numbers = {
        "fixed_points": found.converged.sum(),
        "slow_points": (~found.converged).sum(),
        "speed_1_s": found.speed[0],
        "stable": bool(found.stable[0]),
        "largest_eigenvalue": np.abs(found.eigenvalues[0, 0]),
        "longest_time_constant_s": constants.max() if constants.size else np.nan,
        "frequency_of_first_mode_hz": found.frequencies_hz[0, 0],
    }
    text = "Input held as at the end of the first trial; numbers and figure of the slowest point."
    figures = {"fixed-points": plot_fixed_points(found, saved.controller.dt_s)}
    return Section("fixed-points", "Fixed points", text, numbers, figures)


def _sensitivity(saved: SavedController) -> Section:
    from neuromotor.analysis.figures import plot_sensitivity

    if saved.task is None:
        raise RecordingError("the controller's file names no task.")
    values = sensitivity(saved.task, saved.controller, saved.parameters)
    profile = np.median(values, axis=0)
    numbers = {
        "first_step": profile[0],
        "last_step": profile[-1],
        "first_over_last": profile[0] / profile[-1] if profile[-1] > 0 else np.nan,
        "largest_over_smallest": profile.max() / profile.min() if profile.min() > 0 else np.nan,
    }
    text = "How far the loss feels the activations that each step starts from."
    times = np.asarray(saved.task.plant.dt_s * np.arange(len(profile)), np.float64)
    figures = {"sensitivity": plot_sensitivity(times, values)}
    return Section("sensitivity", "Gradient over time", text, numbers, figures)


def _lesions(recording: xr.Dataset, saved: SavedController, seed: int) -> Section:
    if saved.task is None or not isinstance(saved.controller, ContinuousTimeRNN):
        raise RecordingError("lesions need a recurrent network and its task.")
    numbers: dict[str, Any] = {}
    deviation = recording["rate"].values.std((0, 1))
    start = 0
    for layer, size in enumerate(saved.controller.layers):
        own = deviation[start : start + size]
        start += size
        units = np.argsort(-own)[: max(1, size // 20)].tolist()
        effect = lesion_effect(
            saved.task, saved.controller, saved.parameters, units, layer, surrogates=10, seed=seed
        )
        numbers[f"layer {layer + 1}"] = {
            "units_silenced": len(units),
            "intact_error_cm": effect.intact["target_error_cm"],
            "lesioned_error_cm": effect.lesioned["target_error_cm"],
            "null_median_error_cm": np.median([row["target_error_cm"] for row in effect.null]),
            "intact_loss": effect.intact["loss"],
            "lesioned_loss": effect.lesioned["loss"],
            "null_median_loss": np.median([row["loss"] for row in effect.null]),
        }
    text = "The most active twentieth of each layer silenced; null: as many random units of it."
    return Section("lesions", "Lesions", text, numbers)


# ---- helpers ----


def _layers(recording: xr.Dataset) -> dict[str, xr.Dataset]:
    """The recording of each layer's units alone."""
    if "layer" not in recording.coords:
        return {"all": recording}
    labels = recording["layer"].values
    return {
        str(label): recording.isel(unit=np.flatnonzero(labels == label))
        for label in dict.fromkeys(labels.tolist())
    }


def _median(values: Any) -> float:
    known = np.asarray(values)[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _plain(value: Any) -> Any:
    """Numbers and tables as JSON has them."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value


def _table(numbers: dict[str, Any]) -> str:
    """A table of numbers, or one row for each table within."""
    flat = {key: value for key, value in numbers.items() if not isinstance(value, dict)}
    nested = {key: value for key, value in numbers.items() if isinstance(value, dict)}
    parts = []
    if flat:
        rows = "".join(f"<tr><th>{_words(k)}<td>{_number(v)}" for k, v in flat.items())
        parts.append(f"<table>{rows}</table>")
    groups: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    for key, row in nested.items():
        groups.setdefault(tuple(row), {})[key] = row
    for names, table in groups.items():
        if len(names) > len(table):  # the longer side downwards
            head = "".join(f"<th>{_words(key)}" for key in table)
            rows = "".join(
                f"<tr><th>{_words(name)}"
                + "".join(f"<td>{_number(row[name])}" for row in table.values())
                for name in names
            )
        else:
            head = "".join(f"<th>{_words(name)}" for name in names)
            rows = "".join(
                f"<tr><th>{_words(key)}" + "".join(f"<td>{_number(v)}" for v in row.values())
                for key, row in table.items()
            )
        parts.append(f"<table><tr><th>{head}{rows}</table>")
    return "".join(parts)


def _words(name: str) -> str:
    return html.escape(name.replace("_", " "))


def _number(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else html.escape(json.dumps(value))


_CSS = """<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
img { max-width: 100%; display: block; margin: .6rem 0 }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .15rem .9rem .15rem 0; border-bottom: 1px solid #ddd }
th { font-weight: 500 } .skipped { color: #777 }
</style>
"""
