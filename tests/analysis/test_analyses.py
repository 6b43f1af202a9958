"""What holds for several analyses at once."""

import numpy as np
import pytest
from planted import rotating, tuned_units

from neuromotor import ContinuousTimeRNN, Postural
from neuromotor.analysis import RecordingError, make_recording, record
from neuromotor.analysis.alignment import subspace_alignment
from neuromotor.analysis.averages import condition_averages
from neuromotor.analysis.components import principal_components
from neuromotor.analysis.decoding import decode
from neuromotor.analysis.rotations import rotational_dynamics
from neuromotor.analysis.similarity import compare_populations
from neuromotor.analysis.tangling import tangling
from neuromotor.analysis.tuning import preferred_directions
from neuromotor.training.single import initial_parameters

PREFERRED = np.radians([-170.0, -60.0, 10.0, 75.0, 160.0])

pytest.importorskip("sklearn")


def test_the_constant_follows_the_unit_of_the_rates():
    """Silent units with a little noise must not rule over those that fire."""
    mean, time = rotating([3.0, 1.5, 0.8], noise=0.001)
    silent = 1e-3 * np.random.default_rng(0).standard_normal((*mean.shape[:2], 200))
    variables = {"rate": np.concatenate([50 * mean, silent], axis=-1)}
    spikes = make_recording(time, np.arange(12), variables, units={"rate": "spikes/s"})
    plain = make_recording(time, np.arange(12), variables)
    found = rotational_dynamics(spikes, surrogates=0)
    assert found.soft == 5
    assert found.r2_unconstrained > 0.9
    assert rotational_dynamics(plain, surrogates=0).soft == 5e-4
    assert rotational_dynamics(plain, surrogates=0).r2_unconstrained < 0.5
    by_hand = rotational_dynamics(plain, soft=5.0, surrogates=0)
    assert by_hand.r2_skew == pytest.approx(found.r2_skew, rel=1e-12)
    for analysis in (
        lambda r, **soft: tangling(r, surrogates=0, **soft).percentile_90,
        lambda r, **soft: subspace_alignment(r, (0, 0.1), (0.105, 0.29), **soft).index,
    ):
        assert analysis(spikes) == pytest.approx(analysis(plain, soft=5.0), rel=1e-12)
        assert abs(analysis(spikes) - analysis(plain)) > 1e-3


def test_one_trial_under_eight_labels_has_nothing_to_find():
    """What is left of equal trials after their mean is subtracted is rounding."""
    generator = np.random.default_rng(0)
    trial = generator.standard_normal((1, 40, 20)).cumsum(1) + 3.3
    recording = make_recording(0.01 * np.arange(40), np.arange(8), {"rate": trial.repeat(8, 0)})
    with pytest.raises(RecordingError, match="varies in 0 dimensions, 6 are needed"):
        rotational_dynamics(recording)
    with pytest.raises(RecordingError, match="varies in 0 dimensions, 6 are needed"):
        subspace_alignment(recording, (0, 0.19), (0.2, 0.39))
    assert len(tangling(recording).null_percentile_90) == 0
    same = np.full((8, 40, 20), 1 / 3) * np.linspace(1, 2, 20)
    constant = make_recording(0.01 * np.arange(40), np.arange(8), {"rate": same})
    for analysis in (tangling, principal_components, lambda r: compare_populations(r, r)):
        with pytest.raises(RecordingError, match=r"must vary|varies in 0"):
            analysis(constant)


@pytest.mark.parametrize(
    "analysis",
    [
        condition_averages,
        principal_components,
        decode,
        tangling,
        lambda r: preferred_directions(r, bootstraps=5, shuffles=5),
        lambda r: compare_populations(r, r, components=2, shuffles=2),
        lambda r: subspace_alignment(r, (0, 0.1), (0.11, 0.29), components=2, surrogates=2),
    ],
)
def test_no_analysis_changes_its_input_and_nan_is_refused(analysis):
    recording = tuned_units(PREFERRED)
    before = recording.copy(deep=True)
    analysis(recording)
    assert recording.identical(before)
    broken = recording.copy(deep=True)
    broken["rate"].values[0, 0, 0] = np.nan
    with pytest.raises(RecordingError, match="`rate` holds 1 NaN"):
        analysis(broken)


@pytest.mark.parametrize(
    ("loads", "other", "own"), [("hand", "load", "force"), ("joint", "force", "load")]
)
def test_a_space_without_anything_names_the_one_that_has(loads, other, own):
    task = Postural(loads=loads, steps=20)
    net = ContinuousTimeRNN(layers=(5,))
    recording = record(task, net, initial_parameters(net, 0))
    with pytest.raises(RecordingError, match=f"zero in every trial.*`space` '{own}'"):
        preferred_directions(recording, other)
    calm = record(task, net, initial_parameters(net, 0), task.trials().without_loads())
    with pytest.raises(RecordingError, match=r"zero in every trial, so there are no directions\.$"):
        preferred_directions(calm, other)


def test_no_result_depends_on_the_order_of_trials_or_units():
    mean, time = rotating([3.0, 1.5, 0.8], units=20, noise=0.01)
    rng = np.random.default_rng(0)
    condition = np.repeat(np.arange(12), 3)
    rate = 50 + 20 * mean[condition] + rng.standard_normal((36, len(time), 20))
    one = make_recording(time, condition, {"rate": rate}, units={"rate": "spikes/s"})
    trials, units = rng.permutation(36), rng.permutation(20)
    two = one.isel(trial=trials, unit=units)
    for analysis in (
        lambda r: rotational_dynamics(r, surrogates=0).r2_skew,
        lambda r: rotational_dynamics(r, surrogates=0).frequencies_hz,
        lambda r: principal_components(r, shuffles=0).explained[:5],
        lambda r: principal_components(r, shuffles=0).participation_ratio,
        lambda r: subspace_alignment(r, (0, 0.1), (0.105, 0.29), surrogates=0).index,
        lambda r: tangling(r, surrogates=0).percentile_90,
    ):
        np.testing.assert_allclose(analysis(one), analysis(two), rtol=1e-8)
    averages = [condition_averages(r, shuffles=0) for r in (one, two)]
    np.testing.assert_allclose(averages[0].explained[units], averages[1].explained, rtol=1e-8)
