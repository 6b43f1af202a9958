"""What a design knows about chance: sizes of noise, and when a disturbance may come."""

from dataclasses import replace

import pytest
import torch
from cases import normal

from neuromotor import CenterOut, PointMass, Uncertainty

TASK = CenterOut(plant=PointMass(), directions=4, steps=12)


def test_a_batch_gives_its_root_mean_squares_and_onsets():
    """Against sums that are done by hand, on loads of 3 and 4 N that begin at steps 2 and 7."""
    noise = normal(4, 12, 2, seed=1)
    load = torch.zeros(4, 12, 2, dtype=torch.float64)
    load[0, 2:, 0], load[1, 7:, 1] = 3.0, 4.0
    found = Uncertainty.from_trials(replace(TASK.trials(), command_noise=noise, load=load))
    norms = [float(noise[..., index].norm()) for index in (0, 1)]
    assert found.command_noise == pytest.approx([norm / 48**0.5 for norm in norms])
    assert found.load == pytest.approx([(9 / 4) ** 0.5, (16 / 4) ** 0.5])
    assert found.onset_steps == (2, 7)
    assert found.hand_force == found.plant_noise == found.sensory_noise == 0.0
    assert Uncertainty.from_trials(TASK.trials()) == Uncertainty()


def test_the_random_walk_has_the_mean_and_covariance_of_a_disturbance_that_switches_on():
    """Its increments have the variance S p[k], so that the sum up to k is S P(on by k)."""
    chance = Uncertainty(load=(2.0, 0.5), onset_steps=(3, 6))
    steps = range(12)
    probability = [chance.onset_probability(k) for k in steps]
    assert sum(probability) == pytest.approx(1)
    variances = chance.variances("load", torch.zeros(1, dtype=torch.float64), 2)
    generator = torch.Generator().manual_seed(0)
    onset = torch.randint(3, 7, (200_000,), generator=generator)
    sizes = torch.randn(200_000, 2, generator=generator, dtype=torch.float64)
    for k in steps:
        disturbance = torch.tensor([2.0, 0.5]) * sizes * (onset <= k)[:, None]
        expected = variances * sum(probability[: k + 1])
        torch.testing.assert_close(disturbance.square().mean(0), expected, rtol=0.02, atol=1e-9)


def test_deviations_become_variances_of_a_dtype():
    like = torch.zeros(1)
    found = Uncertainty(sensory_noise=0.1).variances("sensory_noise", like, 3)
    torch.testing.assert_close(found, torch.full((3,), 0.01))
    with pytest.raises(ValueError, match="`plant_noise` must be one number or 4 for this plant"):
        Uncertainty(plant_noise=(0.1, 0.2)).variances("plant_noise", like, 4)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"load": -0.1}, "load"),
        ({"plant_noise": (0.1, -0.1)}, "plant_noise"),
        ({"onset_steps": (5, 4)}, "onset_steps"),
        ({"onset_steps": (-1, 4)}, "onset_steps"),
    ],
)
def test_what_is_no_deviation_is_named(wrong, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        Uncertainty(**wrong)
