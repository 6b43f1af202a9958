"""Every p: at most 5 % of structureless data lie below 0.05, and planted structure does.

The noise is not white: trials share a time course, have offsets of their own, and go on from sample
to sample; hands move by other amounts in each trial. 200 repeats of noise are allowed as many
findings as a test of level 0.05 exceeds once in a thousand times.
"""

import numpy as np
import pytest
from planted import reaches, rotating, smooth_noise
from scipy.ndimage import gaussian_filter1d
from scipy.stats import binom

from neuromotor.analysis import (
    circular_summary,
    compare_geometries,
    compare_populations,
    decode_lags,
    demixed_components,
    drifting_tuning,
    encode_spikes,
    make_recording,
    preferred_directions,
    representational_geometry,
    rotations_of,
    speed_accuracy,
    split_half_reliability,
)
from neuromotor.analysis._arrays import null_p

pytestmark = pytest.mark.slow
REPEATS, LEVEL = 200, 0.05
ALLOWED = int(binom.ppf(0.999, REPEATS, LEVEL))  # 21
SHUFFLES = 39  # so that p can be 0.05 exactly
UNITS, STEPS = 4, 16


def session(seed, tuning=0.0, drift_deg=0.0, over="time", repeats=5):
    """Reaches in eight directions with units that are tuned, or are not, and a common course."""
    time, angle, condition, hand = reaches(repeats=repeats, steps=STEPS)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(angle))
    angle, condition = angle[order], condition[order]
    hand = hand[order] * rng.uniform(0.5, 1.5, (len(angle), 1, 1))
    noise = gaussian_filter1d(rng.standard_normal((len(angle), STEPS, UNITS)), 2, axis=1)
    noise = noise / noise.std() + rng.standard_normal((len(angle), 1, UNITS))
    share = np.linspace(0, 1, STEPS)[None, :] if over == "time" else np.linspace(0, 1, len(angle))
    share = np.broadcast_to(share if over == "time" else share[:, None], (len(angle), STEPS))
    preferred = rng.uniform(0, 2 * np.pi, UNITS) + np.radians(drift_deg) * share[..., None]
    course = 5 * np.sin(np.pi * time / time[-1])[:, None]
    rate = 20 + course + tuning * np.cos(angle[:, None, None] - preferred) + noise
    made = make_recording(time, condition, {"rate": rate, "hand_position": hand})
    return made.assign(first=("trial", condition // 4), second=("trial", condition % 4))


def reliability(seed, planted):
    made = session(seed, 3.0 * planted)
    return split_half_reliability(made, shuffles=SHUFFLES, splits=2, seed=seed).population_p


def reliability_of_a_unit(seed, planted):
    made = session(seed, 3.0 * planted)
    return split_half_reliability(made, shuffles=SHUFFLES, splits=2, seed=seed).p[0]


def tuning(seed, planted):
    made = session(seed, 3.0 * planted)
    return preferred_directions(made, bootstraps=0, shuffles=SHUFFLES, seed=seed).p[0]


def axis(seed, planted):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(0, 2 * np.pi, 30)
    if planted:
        angles = np.pi * (angles > np.pi) + 0.3 * rng.standard_normal(30)
    return circular_summary(angles).p_axis


def one_direction(seed, planted):
    rng = np.random.default_rng(seed)
    angles = rng.normal(1.0, 0.5, 30) if planted else rng.uniform(0, 2 * np.pi, 30)
    return circular_summary(angles).p_direction


def drift_over_time(seed, planted):
    made = session(seed, 3.0, 150.0 * planted, repeats=6)
    return drifting_tuning(made, windows=4, shuffles=SHUFFLES, seed=seed).p[0]


def drift_over_trials(seed, planted):
    made = session(seed, 3.0, 150.0 * planted, over="trials", repeats=9)
    return drifting_tuning(made, over="trials", windows=3, shuffles=SHUFFLES, seed=seed).p[0]


def drift_of_untuned_units(seed, planted):
    made = session(seed, 5.0 * planted, 150.0, repeats=6)
    return drifting_tuning(made, windows=4, shuffles=SHUFFLES, seed=seed).p[0]


def demixed(seed, planted):
    made = session(seed, 3.0 * planted)
    found = demixed_components(made, components=1, shuffles=0, exchanges=SHUFFLES, seed=seed)
    return found.condition.p[0]


def demixed_by_one_of_two_labels(seed, planted):
    """The other label acts strongly."""
    made = session(seed)
    rate = made["rate"].values + 8.0 * made["second"].values[:, None, None]
    rate = rate + 3.0 * planted * made["first"].values[:, None, None] * np.array([1, -1, 1, -1])
    made = made.assign(rate=(made["rate"].dims, rate))
    options = {"components": 1, "shuffles": 0, "exchanges": SHUFFLES, "seed": seed}
    return demixed_components(made, labels=("first", "second"), **options).parts["first"].p[0]


def rotation(seed, planted):
    if planted:
        sizes = {"units": 12, "conditions": 10, "steps": 40}
        mean, _ = rotating([2.5, 1.5, 0.8], noise=0.02, seed=seed, **sizes)
    else:
        mean = smooth_noise(conditions=10, steps=40, units=12, seed=seed)
    time = 0.01 * np.arange(40)
    return rotations_of(mean, time, soft=0.0, surrogates=SHUFFLES, seed=seed).p_skew


def correlations(seed, planted):
    return np.nan_to_num(null_p(*_alike(seed, planted)[0]))


def procrustes(seed, planted):
    return np.nan_to_num(null_p(*_alike(seed, planted)[1]))


def _alike(seed, planted):
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((2, 8, 6, 3 if planted else 7)).cumsum(2)
    latent[1] = latent[0] if planted else latent[1]
    one, two = (
        make_recording(
            0.01 * np.arange(6), np.arange(8), {"rate": own @ rng.normal(size=(own.shape[-1], 7))}
        )
        for own in latent
    )
    found = compare_populations(one, two, components=3, shuffles=SHUFFLES, seed=seed)
    return (
        (found.correlations.mean(), found.null_correlations.mean(1)),
        (-found.distance_rad, -found.null_distance_rad),
    )


def lags(seed, planted):
    made = session(seed)
    if planted:
        rate = made["rate"].values + 40 * made["hand_velocity"].values[..., :1]
        made = made.assign(rate=(made["rate"].dims, rate))
    return decode_lags(made, (0.0, 0.02), shuffles=SHUFFLES, seed=seed).p[0]


def encoding(seed, planted):
    made = session(seed)
    rng = np.random.default_rng(seed + 10**6)
    gain = rng.gamma(4, 0.25, (made.sizes["trial"], 1, UNITS))  # more varied than Poisson
    drive = planted * 6.0 * made["hand_velocity"].values[..., :1]
    course = np.sin(np.pi * np.linspace(0, 1, STEPS))[:, None]
    counts = rng.poisson(0.5 * (0.5 + course) * gain * np.exp(drive))
    attributes = {"units": "spikes/s"}
    made = made.assign(rate=(made["rate"].dims, counts / 0.01, attributes))
    return encode_spikes(made, folds=3, exchanges=SHUFFLES, seed=seed).p[0]


def geometry(seed, planted):
    rng = np.random.default_rng(seed)
    patterns = rng.standard_normal((2, 8, 12))
    if planted:
        patterns[1] = patterns[0] @ np.linalg.qr(rng.normal(size=(12, 12)))[0]
    sides = []
    for own in patterns:
        rate = np.repeat(own, 3, 0)[:, None] + 0.5 * rng.standard_normal((24, 5, 12))
        made = make_recording(0.01 * np.arange(5), np.repeat(np.arange(8), 3), {"rate": rate})
        sides.append(representational_geometry(made, soft=3.0, seed=seed))
    return compare_geometries(*sides, permutations=SHUFFLES, seed=seed).p


def fitts(seed, planted):
    """Ten conditions whose distances differ, and durations that follow them or do not."""
    rng = np.random.default_rng(seed)
    far = np.geomspace(0.03, 0.3, 10)
    drawn = far if planted else rng.permutation(far)
    length = np.repeat(0.3 + 0.5 * np.log2(drawn / 0.02) / 5, 4) * rng.uniform(0.97, 1.03, 40)
    time = 0.01 * np.arange(140)
    s = np.clip((time - 0.1) / length[:, None], 0, 1)
    profile = 10 * s**3 - 15 * s**4 + 6 * s**5
    end = np.repeat(far, 4) + 0.003 * rng.standard_normal(40)
    hand = np.stack([profile * end[:, None], np.zeros_like(profile)], axis=-1)
    target = np.stack([np.repeat(far, 4), np.zeros(40)], axis=-1)
    variables = {"hand_position": hand, "target_position": target, "go_time": np.zeros(40)}
    made = make_recording(time, np.repeat(np.arange(10), 4), variables)
    return speed_accuracy(made, permutations=SHUFFLES, seed=seed).p_slope


TESTS = [
    *(reliability, reliability_of_a_unit, tuning, axis, one_direction),
    *(drift_over_time, drift_over_trials, drift_of_untuned_units),
    *(demixed, demixed_by_one_of_two_labels, rotation, correlations, procrustes),
    *(lags, encoding, geometry, fitts),
]


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__)
def test_noise_is_called_structure_as_rarely_as_is_said(test):
    if test is geometry:
        pytest.importorskip("rsatoolbox")
    p = np.array([test(seed, False) for seed in range(REPEATS)])
    assert (p <= LEVEL + 1e-9).sum() <= ALLOWED, np.sort(p)[:40]


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__)
def test_planted_structure_is_found(test):
    if test is geometry:
        pytest.importorskip("rsatoolbox")
    p = np.array([test(seed, True) for seed in range(20)])
    assert (p <= LEVEL + 1e-9).sum() >= 18, np.sort(p)
