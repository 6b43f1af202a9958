"""How far two epochs share a subspace.

Notation: C_a and C_b are the covariances of both epochs, lambda_b are the eigenvalues of C_b, and
D_a are the first k eigenvectors of C_a.

    alignment of epoch a with b: tr(D_a^T C_b D_a) / (sum of the k largest lambda_b)

(Elsayed et al. 2016, with their null: two random subspaces drawn from the covariance of both epochs
together.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis._arrays import (
    by_sample,
    check_dimensions,
    in_own_space,
    soft_constant,
    soft_normalised,
)
from neuromotor.analysis.averages import condition_averages
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.section import Findings, Material, SectionSpec, span

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Alignment", "plot_alignment", "subspace_alignment"]


@dataclass(frozen=True)
class Alignment:
    """Alignment index of two epochs, from 0 (orthogonal) to 1 (the same subspace).

    Attributes:
        index: Share of epoch b's variance that epoch a's subspace catches, of the most k can.
        null: Indices of random subspaces, (S,).
        components: Dimensions k.
    """

    index: float
    null: NDArray[np.float64]
    components: int


def subspace_alignment(
    recording: xr.Dataset,
    first_s: tuple[float, float],
    second_s: tuple[float, float],
    *,
    components: int = 6,
    soft: float | None = None,
    surrogates: int = 200,
    seed: int = 0,
) -> Alignment:
    """Return how far the activity of one epoch, such as preparation, lies in that of another.

    Units are soft-normalised by their range over both epochs, and the mean over
    conditions is subtracted, as in `rotations`.

    Args:
        recording: Trials.
        first_s: First and last time of epoch a (s).
        second_s: First and last time of epoch b (s).
        components: Dimensions k of each subspace.
        soft: Added to each unit's range; see `rotational_dynamics`.
        surrogates: Random subspaces of the null.
        seed: Random seed of the null.

    Raises:
        RecordingError: An epoch does not span so many dimensions.
    """
    epochs = [
        condition_averages(recording, window_s=span, shuffles=0).mean
        for span in (first_s, second_s)
    ]
    constant = soft_constant(recording, "rate", soft)
    both = in_own_space(soft_normalised(np.concatenate(epochs, axis=1), constant))
    centered = both - both.mean(0)
    steps = epochs[0].shape[1]
    flat = [by_sample(part) for part in (centered[:, :steps], centered[:, steps:])]
    for name, part in zip(("first_s", "second_s"), flat, strict=True):
        check_dimensions(
            part,
            float(np.linalg.norm(both)),
            components,
            f"the epoch `{name}`, beyond its mean over conditions,",
            "use fewer `components` or a longer epoch",
        )
    covariance = [part.T @ part / len(part) for part in flat]
    basis = np.linalg.eigh(covariance[0])[1][:, -components:]
    best = np.linalg.eigvalsh(covariance[1])[-components:].sum()
    index = np.trace(basis.T @ covariance[1] @ basis) / best
    values, vectors = np.linalg.eigh(np.cov(np.concatenate(flat).T))
    root = vectors * np.sqrt(np.maximum(values, 0))
    generator = np.random.default_rng(seed)
    null = []
    for _ in range(surrogates):
        one, two = (
            np.linalg.svd(root @ generator.standard_normal((len(values), components)), False)[0]
            for _ in range(2)
        )
        null.append(((one.T @ two) ** 2).sum() / components)
    return Alignment(float(index), np.array(null), components)


def plot_alignment(found: Alignment) -> Figure:
    """Draw the alignment index among those of random subspaces."""
    from neuromotor.analysis.drawing import NULL_COLOR, panels
    from neuromotor.plotting import COLORS

    with panels(figsize=(3.2, 2.3)) as (figure, ax):
        bins = np.linspace(0, 1.02, 52)
        ax.hist(found.null, bins=bins, color=NULL_COLOR, label="random subspaces")
        ax.axvline(found.index, color=COLORS[1], label="recording")
        ax.set(xlabel="alignment index", ylabel="count", xlim=(0, 1.02))
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _section(given: Material) -> Findings:
    """Subspaces of the first and second half."""
    recording = given.activity
    time = recording["time"].values
    middle = len(time) // 2
    if middle < 1:
        raise RecordingError("two epochs need two times or more.")
    found = subspace_alignment(
        recording,
        (time[0], time[middle - 1]),
        (time[middle], time[-1]),
        soft=given.soft,
        surrogates=4 * given.surrogates,
        seed=given.seed,
    )
    numbers = {
        "index": found.index,
        "null_5": np.quantile(found.null, 0.05),
        "null_median": np.median(found.null),
        "null_95": np.quantile(found.null, 0.95),
        "components": found.components,
    }
    text = (
        f"The index says how far the activity from {time[0]:g} to {time[middle - 1]:g} s shares "
        f"the subspace of {time[middle]:g} to {time[-1]:g} s, the two halves of {span(recording)}."
    )
    return Findings(text, numbers, {"alignment": partial(plot_alignment, found)})


SECTION = SectionSpec(
    "alignment",
    "Subspace alignment",
    80,
    _section,
    ("changing rates",),
    gaps="averages",
    in_parts=True,
    reading="The further right the line, the more of its variance the second half keeps in the "
    "subspace of the first; the grey bars are random subspaces, which are the null.",
)
