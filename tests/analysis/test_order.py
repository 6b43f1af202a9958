"""What is computed does not depend on the order of trials, nor on that of units."""

import numpy as np
import pytest
from planted import reaches
from scipy.ndimage import gaussian_filter1d

from neuromotor.analysis import (
    behaviour,
    condition_averages,
    decode,
    demixed_components,
    drifting_tuning,
    encode_spikes,
    make_recording,
    preferred_directions,
    principal_components,
    rotational_dynamics,
    subspace_alignment,
    tangling,
)

UNITS = 12
TRIALS, PLACES = (np.random.default_rng(s).permutation(n) for s, n in ((1, 40), (2, UNITS)))


def made():
    """Counts of tuned units in eight directions, five trials each."""
    time, angle, condition, hand = reaches(repeats=5, steps=40)
    rng = np.random.default_rng(0)
    preferred = rng.uniform(0, 2 * np.pi, UNITS)
    course = gaussian_filter1d(rng.standard_normal((8, 40, UNITS)), 4, axis=1)[condition]
    drive = 0.6 * np.cos(angle[:, None, None] - preferred) + 2 * course
    counts = rng.poisson(0.5 * np.exp(drive))
    hand = hand * rng.uniform(0.8, 1.2, (40, 1, 1))
    variables = {"rate": counts / 0.01, "hand_position": hand}
    return make_recording(time, condition, variables, units={"rate": "spikes/s"})


def averages(recording, order):
    found = condition_averages(recording, shuffles=0)
    return [found.mean[..., order], found.standard_error[..., order], found.explained[order]]


def tuning(recording, order):
    found = preferred_directions(recording, bootstraps=0, shuffles=1)
    return [found.direction_deg[order], found.depth[order], found.r2[order]]


def turning(recording, order):
    found = drifting_tuning(recording, windows=4, shuffles=1)
    return [found.direction_deg[:, order], found.statistic[order], found.turn_deg[order]]


def components(recording, order):
    found = principal_components(recording, shuffles=1)
    return [found.explained, found.participation_ratio, np.abs(found.loadings[:3][:, order])]


def rotations(recording, order):
    found = rotational_dynamics(recording, surrogates=1)
    return [found.r2_skew, found.r2_unconstrained, found.frequencies_hz, found.plane_variance]


def subspaces(recording, order):
    return [subspace_alignment(recording, (0.0, 0.19), (0.2, 0.39), surrogates=1).index]


def tangled(recording, order):
    return [np.sort(tangling(recording, surrogates=1).q.ravel())]


def demixed(recording, order):
    found = demixed_components(recording, components=2, shuffles=0, exchanges=0)
    parts = found.parts.values()
    return [np.stack([p.explained for p in parts]), np.stack([p.purity for p in parts])]


def decoded(recording, order):
    return [decode(recording, shuffles=1).r2]


def encoded(recording, order):
    found = encode_spikes(recording, lags_s=(0.0, 0.05), folds=2, exchanges=1)
    return [found.weights[..., order], found.baseline[order]]


def movement(recording, order):
    found = behaviour(recording)
    return [np.sort(found.movement_time_s), np.sort(found.peak_speed_m_s)]


ANALYSES = [
    *(averages, tuning, turning, components, rotations, subspaces, tangled, demixed, decoded),
    *(encoded, movement),
]


@pytest.mark.parametrize("analysis", ANALYSES, ids=lambda analysis: analysis.__name__)
def test_results_do_not_depend_on_the_order_of_trials_or_units(analysis):
    recording = made()
    mixed = recording.isel(trial=TRIALS, unit=PLACES)
    back = np.argsort(PLACES)
    first, second = analysis(recording, np.arange(UNITS)), analysis(mixed, back)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-9)
