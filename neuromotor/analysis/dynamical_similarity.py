"""Dynamical similarity: do two populations obey like dynamics, whatever their axes and states?

Notation: X are the states of k principal components with their last delays (samples, k delays), and
A is the matrix of the linear dynamics X[t + 1] = X[t] A of one population.

    wasserstein   distance between the eigenvalues of two A, one matched to the other
    angular       angle (rad) between A and C B C^T, least over orthogonal matrices C

(Ostrow et al. 2023; their package `dsa-metric` computes both, extra `dsa`.) Both are zero where one
population is a rotated copy of the other. `angular` is found by gradient descent and takes seconds
to minutes a pair; `wasserstein` takes milliseconds and knows nothing of how eigenvectors lie to
each other.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, lookup
from neuromotor._extras import require
from neuromotor.analysis._arrays import reduced
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.rotation_fits import centred, signals_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MEASURES", "DynamicalSimilarity", "dynamical_similarity", "dynamical_similarity_of"]

MEASURES = {
    "wasserstein": "between the eigenvalues of both",
    "angular": "between their matrices after the best rotation (rad)",
}


@dataclass(frozen=True)
class DynamicalSimilarity:
    """Distances between the dynamics of populations.

    Attributes:
        names: Names of the populations.
        distance: Distance of each pair, (n, n); 0 on the diagonal.
        measure: `wasserstein` or `angular`.
    """

    names: tuple[str, ...]
    distance: NDArray[np.float64]
    measure: str


def dynamical_similarity(
    recordings: Mapping[str, xr.Dataset],
    variable: str | Sequence[str] = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    components: int = 6,
    delays: int = 1,
    soft: float | None = None,
    measure: str = "wasserstein",
) -> DynamicalSimilarity:
    """Return how far the dynamics of several recordings are from each other.

    Args:
        recordings: By name; conditions and their number may differ, the step between samples not.
        variable: Variable, or several side by side.
        window_s: First and last time (s).
        components: Principal components, even.
        delays: How many samples in a row make a state.
        soft: Added to each signal's range; see `rotational_dynamics`.
        measure: `wasserstein` or `angular`.

    Raises:
        RecordingError: There are fewer than two recordings, their steps differ, or one is too
            small.
        RuntimeError: `dsa-metric` is not installed.
    """
    states: dict[str, NDArray[np.float64]] = {}
    steps: dict[str, float] = {}
    for name, recording in recordings.items():
        own = signals_of(recording, variable, window_s=window_s, components=components, soft=soft)
        data = centred(own.mean, components, own.soft, "starts")
        states[name] = reduced(data, components)[0]
        steps[name] = float(own.time_s[1] - own.time_s[0])
    first = next(iter(steps.values()), 0.0)
    for name, step in steps.items():
        if not np.isclose(step, first):
            raise RecordingError(
                f"all recordings need the same step between samples, got {first:g} and {step:g} s "
                f"({name}); resample them, as with `.interp(time=...)`."
            )
    return dynamical_similarity_of(states, delays=delays, measure=measure)


def dynamical_similarity_of(
    states: Mapping[str, NDArray[np.float64]], *, delays: int = 1, measure: str = "wasserstein"
) -> DynamicalSimilarity:
    """Return `dynamical_similarity` of states (C, T, k) by name, all of the same step."""
    lookup("measure", measure, MEASURES)
    check_integer("delays", delays, minimum=1)
    if len(states) < 2:
        raise RecordingError(
            f"dynamics of two populations or more are compared, got {len(states)}."
        )
    ranks = {name: own.shape[2] * delays for name, own in states.items()}
    for name, own in states.items():
        if own.shape[1] < delays + 2:
            raise RecordingError(f"{name} has {own.shape[1]} times, {delays + 2} are needed.")
    # The package warns of packages that it does not find, and of its own defaults.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = require("DSA", "dsa")
        found = package.DSA(
            [
                own / np.linalg.norm(own) * np.sqrt(own.shape[0] * own.shape[1])
                for own in states.values()
            ],
            n_delays=delays,
            rank=min(ranks.values()),
            score_method=measure,
        )
        distance = np.asarray(found.fit_score(), np.float64)
    return DynamicalSimilarity(tuple(states), distance.reshape(len(states), -1), measure)
