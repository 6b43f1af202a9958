"""Demixed PCA: components of what all conditions share, and of what tells them apart.

Notation: X are the condition averages about their mean (units, samples), and X_p is one of the two
parts below; C is the noise covariance of single trials, m the ridge, D the decoder (k, units), and
F the encoder (units, k).

    X = X_time + X_condition   (mean over conditions at each time, and the rest)
    minimise |X_p - F D X|^2 + n tr(F D C D^T F^T) + m |F D|^2 over rank k, n samples
    A = X_p X^T (X X^T + n C + m I)^-1;  F the first k left singular vectors of A [X, sqrt(n) C^1/2,
    sqrt(m) I],  D = F^T A

(Kobak et al. 2016: reduced-rank regression in closed form, of the two marginalisations that one
label a trial allows; m = (ridge |X|)^2 as there, but fixed rather than
cross-validated, since conditions of a network often hold one trial.) Unlike those of PCA, decoders
and encoders differ, so that parts that overlap in the space of units can still be told apart.
PCA's components are the reference for purity. For the null, condition labels are permuted over
trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_positive
from neuromotor.analysis._arrays import by_sample, check_dimensions
from neuromotor.analysis.averages import condition_averages, means_of
from neuromotor.analysis.cutting import window
from neuromotor.analysis.layout import check_recording
from neuromotor.analysis.section import Findings, Material, SectionSpec, median, span

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["DemixedComponents", "DemixedPart", "demixed_components", "plot_demixed_components"]


@dataclass(frozen=True)
class DemixedPart:
    """Components of one part; C conditions, T times, N units, k components.

    Attributes:
        share: Share of the variance of condition averages in this part.
        null_share: The same with permuted labels, (S,); empty where each condition has one trial.
        explained: Share of all variance that each component alone explains, (k,).
        purity: Share of each component's variance that comes from this part, (k,).
        pca_purity: The same of the principal components: the largest share, of whichever part,
            averaged over the first k.
        scores: D X, (C, T, k).
        decoder: D, (k, N).
        encoder: F, orthonormal columns, (N, k).
    """

    share: float
    null_share: NDArray[np.float64]
    explained: NDArray[np.float64]
    purity: NDArray[np.float64]
    pca_purity: float
    scores: NDArray[np.float64]
    decoder: NDArray[np.float64]
    encoder: NDArray[np.float64]


@dataclass(frozen=True)
class DemixedComponents:
    """Components shared by all conditions (`time`), and those that differ (`condition`)."""

    time_s: NDArray[np.float64]
    conditions: NDArray[np.generic]
    time: DemixedPart
    condition: DemixedPart


def demixed_components(
    recording: xr.Dataset,
    variable: str = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    components: int = 3,
    ridge: float = 1e-3,
    shuffles: int = 20,
    seed: int = 0,
) -> DemixedComponents:
    """Return the demixed principal components of a recording.

    Args:
        recording: Trials.
        variable: What is demixed.
        window_s: First and last time (s); all times by default.
        components: Number of components of each part, k.
        ridge: Relative to the norm of the averages.
        shuffles: Permutations of the labels.
        seed: Random seed of the permutations.

    Raises:
        RecordingError: There are fewer conditions than two, or one part has too few dimensions.
    """
    check_integer("components", components, minimum=1)
    check_positive("ridge", ridge)
    part = window(recording, window_s)
    check_recording(part, [variable])
    averages = condition_averages(part, variable, shuffles=0)
    norm = float(np.linalg.norm(averages.mean))
    mean = averages.mean - averages.mean.mean((0, 1))
    parts = _parts(mean)
    for name, values in zip(("time", "condition"), parts, strict=True):
        check_dimensions(values, norm, components, f"the part `{name}`")
    values = part[variable].values.astype(np.float64)
    _, member = np.unique(part["condition"].values, return_inverse=True)
    left = by_sample(values - averages.mean[member])
    null: list[tuple[float, float]] = []
    if (averages.counts > 1).any():
        generator = np.random.default_rng(seed)
        for _ in range(shuffles):
            drawn = means_of(values, generator.permutation(member))
            null.append(_shares(drawn - drawn.mean((0, 1))))
    flat = by_sample(mean)
    loadings = np.linalg.svd(flat, full_matrices=False)[2][:components]
    pca = [_purity(loadings, one, mean) for one in parts]
    pca_purity = float(np.maximum(*pca).mean())
    inner = flat.T @ flat + len(flat) * left.T @ left / len(left)
    inner += (ridge * np.linalg.norm(flat)) ** 2 * np.eye(flat.shape[1])
    found = []
    for i, one in enumerate(parts):
        regression = np.linalg.solve(inner, flat.T @ by_sample(one)).T  # A
        # The left singular vectors of A inner^1/2, without the root.
        encoder = np.linalg.eigh(regression @ inner @ regression.T)[1][:, ::-1][:, :components]
        decoder = encoder.T @ regression
        guesses = [np.outer(flat @ d, f) for d, f in zip(decoder, encoder.T, strict=True)]
        found.append(
            DemixedPart(
                share=_shares(mean)[i],
                null_share=np.array([row[i] for row in null]),
                explained=np.array(
                    [1 - ((flat - guess) ** 2).sum() / (flat**2).sum() for guess in guesses]
                ),
                purity=_purity(decoder, one, mean),
                pca_purity=pca_purity,
                scores=mean @ decoder.T,
                decoder=decoder,
                encoder=encoder,
            )
        )
    return DemixedComponents(averages.time_s, averages.conditions, found[0], found[1])


def _parts(mean: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return time and condition part of centred averages, (C, T, N), orthogonal over samples."""
    shared = np.broadcast_to(mean.mean(0), mean.shape)
    return shared, mean - shared


def _shares(mean: NDArray[np.float64]) -> tuple[float, float]:
    """Return the shares of variance of both parts."""
    time, condition = (float((part**2).sum() / (mean**2).sum()) for part in _parts(mean))
    return time, condition


def _purity(
    decoder: NDArray[np.float64], part: NDArray[np.float64], mean: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of each component's variance that comes from a part, (k,)."""
    own = ((part @ decoder.T) ** 2).sum((0, 1))
    return np.asarray(own / ((mean @ decoder.T) ** 2).sum((0, 1)), np.float64)


def plot_demixed_components(found: DemixedComponents) -> Figure:
    """Draw the first component of what is shared and the first two of what differs, over time."""
    from neuromotor.analysis.drawing import add_condition_key, condition_colors, panels

    second = found.condition.scores.shape[2] > 1
    shown = [("shared", found.time, 0), ("condition", found.condition, 0)]
    shown += [("condition", found.condition, 1)] if second else []
    with panels(1, len(shown), figsize=(2.2 * len(shown), 2.3)) as (figure, axes):
        for ax, (name, part, place) in zip(axes, shown, strict=True):
            for trace, color in zip(
                part.scores[..., place], condition_colors(len(part.scores)), strict=True
            ):
                ax.plot(1e3 * found.time_s, trace, color=color, linewidth=0.8)
            ax.set(xlabel="time (ms)", ylabel="score")
            ax.set_title(
                f"{name} {place + 1}: {100 * part.explained[place]:.0f} % of variance,\n"
                f"{100 * part.purity[place]:.0f} % its own"
            )
        add_condition_key(figure, found.conditions)
    return figure


def _section(given: Material) -> Findings:
    """Demixed components of all layers together."""
    found = demixed_components(given.activity, seed=given.seed)
    numbers = {}
    for name, part in (("shared", found.time), ("condition", found.condition)):
        row = {"share": part.share, "null_share": median(part.null_share)}
        row |= {f"explained_{i + 1}": value for i, value in enumerate(part.explained)}
        row |= {f"purity_{i + 1}": value for i, value in enumerate(part.purity)}
        numbers[name] = row | {"pca_purity": part.pca_purity}
    text = (
        "The components show what all conditions share and what differs between them, "
        f"{span(given.activity)}. Purity is the share of a component's variance that belongs to "
        "its own part; the purity that principal components reach stands beside it. For the null, "
        "condition labels are permuted; there is no null where each condition has one trial."
    )
    return Findings(text, numbers, {"demixing": partial(plot_demixed_components, found)})


SECTION = SectionSpec(
    "demixing",
    "Demixed principal components",
    60,
    _section,
    ("changing rates",),
    lambda given: 0.2 + given.million_rates,
)
