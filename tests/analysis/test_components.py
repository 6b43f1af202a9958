"""Principal components and dimensions against closed forms."""

import numpy as np
import pytest
from planted import rotating

from neuromotor.analysis import make_recording
from neuromotor.analysis.components import participation_ratio, principal_components

pytest.importorskip("sklearn")


def test_participation_ratio_in_closed_form():
    assert participation_ratio(np.array([2.0, 2.0, 2.0])) == pytest.approx(3)
    assert participation_ratio(np.array([1.0, 0.0])) == pytest.approx(1)


def test_principal_components_find_the_planted_plane():
    mean, time = rotating([2.0])
    found = principal_components(make_recording(time, np.arange(12), {"rate": mean}))
    assert found.explained[:2].sum() == pytest.approx(1)
    assert found.participation_ratio < 2.001 < found.null_participation_ratio
    assert found.dimensions_90 == 2
    np.testing.assert_allclose(found.scores @ found.loadings, mean - mean.mean((0, 1)), atol=1e-10)
