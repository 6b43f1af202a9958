"""Nothing depends on lesioned units."""

import pytest
import torch

from neuromotor import CenterOut, ClosedLoop, ContinuousTimeRNN
from neuromotor.analysis.lesions import lesion_effect, lesion_subspace, lesion_units
from neuromotor.training.single import initial_parameters

TASK = CenterOut(directions=3, steps=10)
NET = ContinuousTimeRNN(layers=(6, 5), time_constant_s=0.05)
PARAMETERS = initial_parameters(NET, 0)


@pytest.mark.parametrize("layer", [0, 1])
def test_nothing_depends_on_lesioned_units(layer):
    """Whatever drives a silenced unit, the limb moves the same."""
    silent = lesion_units(NET, PARAMETERS, [0, 3], layer)
    driven = silent.clone()
    NET.unpack(driven).layers[layer].bias[[0, 3]] += 5.0
    paths = [ClosedLoop(TASK, NET).simulate(p, TASK.trials()).states for p in (silent, driven)]
    assert torch.equal(*paths)
    intact = ClosedLoop(TASK, NET).simulate(PARAMETERS, TASK.trials()).states
    assert not torch.equal(paths[0], intact)
    axes = torch.eye(NET.layers[layer]).double()[:, [0, 3]]
    mixed = axes @ torch.tensor([[1.0, 2], [3, 4]]).double()
    same = lesion_subspace(NET, PARAMETERS, mixed, layer)
    torch.testing.assert_close(same, silent, atol=1e-12, rtol=0)


def test_a_lesion_is_held_against_random_ones():
    effect = lesion_effect(TASK, NET, PARAMETERS, [0, 1, 2, 3, 4], 1, surrogates=3)
    assert effect.lesioned["energy"] == 0  # nothing left to read: no torque
    assert effect.intact["energy"] > 0
    assert all(row == effect.lesioned for row in effect.null)  # the layer has no other five
    with pytest.raises(ValueError, match="below the layer's 5 units"):
        lesion_units(NET, PARAMETERS, [5], 1)
    with pytest.raises(ValueError, match="`layer`"):
        lesion_units(NET, PARAMETERS, [0], 2)
