"""Alignment of epochs whose subspaces are known."""

import numpy as np
import pytest

from neuromotor.analysis import make_recording
from neuromotor.analysis.alignment import Alignment, plot_alignment, subspace_alignment


@pytest.mark.parametrize(("shared", "low", "high"), [(True, 0.99, 1.01), (False, -0.01, 0.1)])
def test_alignment_of_shared_and_orthogonal_epochs(shared, low, high):
    generator = np.random.default_rng(0)
    basis = np.linalg.qr(generator.standard_normal((20, 4)))[0]
    late = basis[:, :2] if shared else basis[:, 2:]
    parts = [generator.standard_normal((10, 15, 2)) @ b.T for b in (basis[:, :2], late)]
    recording = make_recording(
        0.01 * np.arange(30), np.arange(10), {"rate": np.concatenate(parts, 1)}
    )
    found = subspace_alignment(recording, (0, 0.14), (0.15, 0.29), components=2, surrogates=50)
    assert low < found.index < high
    # Random planes of the shared plane are that plane; of four dimensions they share half.
    assert np.median(found.null) == pytest.approx(1.0 if shared else 0.5, abs=0.12)


def test_a_null_of_equal_indices_is_drawn():
    null = np.array([1 - 1e-16, 1.0, 1 + 9e-16])
    axes = plot_alignment(Alignment(1.0, null, 6)).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 3
