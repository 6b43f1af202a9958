"""Dynamics of rotated copies are the same, those of other systems are not."""

import numpy as np
import pytest
from planted import rotating

from neuromotor.analysis import RecordingError, make_recording
from neuromotor.analysis.ceilings import compare_groups, plot_groups
from neuromotor.analysis.dynamical_similarity import (
    dynamical_similarity,
    dynamical_similarity_of,
)


def turned(hz, seed):
    """States of planes that turn at some frequencies, on random axes, from random starts."""
    generator = np.random.default_rng(seed)
    time = 0.01 * np.arange(50)
    parts = []
    for one in hz:
        start = generator.standard_normal(8) + 1j * generator.standard_normal(8)
        turn = start[:, None] * np.exp(2j * np.pi * one * time)
        parts += [turn.real, turn.imag]
    axes = np.linalg.qr(generator.standard_normal((2 * len(hz), 2 * len(hz))))[0]
    return np.stack(parts, axis=-1) @ axes


def test_what_cannot_be_compared_is_refused():
    one = turned((3.0, 1.2), 0)
    with pytest.raises(RecordingError, match="two populations or more"):
        dynamical_similarity_of({"a": one})
    with pytest.raises(ValueError, match="unknown measure 'cosine'"):
        dynamical_similarity_of({"a": one, "b": one}, measure="cosine")
    recordings = {
        name: make_recording(step * np.arange(50), np.arange(8), {"rate": one})
        for name, step in (("a", 0.01), ("b", 0.02))
    }
    with pytest.raises(RecordingError, match=r"the same step between samples, got 0\.01 and 0\.02"):
        dynamical_similarity(recordings, components=4, soft=0.0)


@pytest.mark.slow
def test_a_rotated_copy_has_the_same_dynamics_and_another_system_has_others():
    """The package takes a minute to load."""
    pytest.importorskip("DSA")
    one = turned((3.0, 1.2), 0)
    axes = np.linalg.qr(np.random.default_rng(9).standard_normal((4, 4)))[0]
    states = {"one": one, "copy": one @ axes, "starts": turned((3.0, 1.2), 1)}
    states["other"] = turned((6.0, 0.3), 2)
    for measure, near, far in (("wasserstein", 1e-4, 1e-2), ("angular", 0.05, 0.1)):
        distance = dynamical_similarity_of(states, measure=measure).distance
        assert distance[0, 1] < near
        assert distance[0, 2] < near
        assert distance[0, 3] > far
        np.testing.assert_allclose(distance, distance.T)


def test_groups_have_ceilings():
    """Three views of one system, two of another: alike within, less so across."""
    generator = np.random.default_rng(0)
    views = {}
    for name, hz, seed in (("one", [3.0, 1.5, 0.8], 0), ("two", [3.0, 1.5, 0.8], 3)):
        latent, time = rotating(hz, seed=seed)
        for i in range(3 if name == "one" else 2):
            weights = generator.standard_normal((40, 25))
            rate = latent @ weights
            views[f"{name} {i}"] = make_recording(time, np.arange(12), {"rate": rate})
    one = {name: own for name, own in views.items() if name.startswith("one")}
    two = {name: own for name, own in views.items() if name.startswith("two")}
    found = compare_groups(one, two, dynamics=False)
    assert len(found.pairs["correlation"]) == 6
    assert len(found.within_one["correlation"]) == 3
    assert len(found.within_two["correlation"]) == 1
    summary = found.summary()
    assert summary["correlation"]["within_one_least"] > 0.999
    assert summary["correlation"]["across_most"] < 0.999
    assert summary["procrustes_rad"]["across_least"] > summary["procrustes_rad"]["within_two_most"]
    assert plot_groups(found).axes[1].get_ylabel() == "mean canonical correlation"
    with pytest.raises(RecordingError, match="called 'one 0'"):
        compare_groups(one, one)
    with pytest.raises(RecordingError, match="same conditions"):
        compare_groups(one, {"x": two["two 0"].isel(trial=slice(4))}, dynamics=False)
