"""Tangling of curves with a closed form, and against surrogates."""

import numpy as np
import pytest
from planted import rotating

from neuromotor.analysis import make_recording
from neuromotor.analysis.tangling import tangling, tangling_of


def test_a_circle_is_untangled_and_an_eight_is_not():
    phase = np.linspace(0, 2 * np.pi, 100)
    circle = np.stack([np.cos(phase), np.sin(phase)], -1)[None]
    eight = np.stack([np.cos(phase), np.sin(2 * phase)], -1)[None]
    assert tangling_of(eight, 0.01).max() > 5 * tangling_of(circle, 0.01).max()
    # On a circle |x' - y'| = w |x - y|: at most w^2, for the farthest pair 4 w^2 / (4 + 0.1).
    speed = (phase[1] - phase[0]) / 0.01
    assert tangling_of(circle, 0.01).max() == pytest.approx(speed**2 * 4 / 4.1, rel=5e-3)


def test_rotations_are_less_tangled_than_their_surrogates():
    mean, time = rotating([3.0, 1.5])
    found = tangling(make_recording(time, np.arange(12), {"rate": mean}), surrogates=5)
    assert found.percentile_90 < found.null_percentile_90.min()
