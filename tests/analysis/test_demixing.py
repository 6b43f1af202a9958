"""Demixed components of planted parts, against a numerical optimum."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.optimize import minimize

from neuromotor.analysis import RecordingError, demixed_components, make_recording
from neuromotor.analysis.demixing import SECTION
from neuromotor.analysis.factors import Factors
from neuromotor.analysis.section import Material

mpl.use("Agg")
TIME = 0.01 * np.arange(40)
SHARED = np.sin(2 * np.pi * 2 * TIME)
BUMP = np.exp(-(((TIME - 0.2) / 0.08) ** 2))
CONDITION = np.linspace(-1, 1, 6)
AXES = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 2)))[0].T
OVERLAP = (AXES[0] + AXES[1]) / np.sqrt(2)  # 45 degrees from the shared axis


def planted(trials=8, noise=0.05, different=1.0):
    """All conditions go along one axis together, and each by its own amount along another."""
    generator = np.random.default_rng(1)
    mean = SHARED[None, :, None] * AXES[0]
    mean = mean + different * (CONDITION[:, None] * BUMP)[:, :, None] * OVERLAP
    rate = np.repeat(mean, trials, 0)
    rate = rate + noise * generator.standard_normal(rate.shape)
    return make_recording(TIME, np.repeat(np.arange(6), trials), {"rate": rate})


def test_parts_that_overlap_are_told_apart():
    found = demixed_components(planted(), components=1)
    assert found.time.purity[0] > 0.99
    assert found.condition.purity[0] > 0.99
    assert found.time.pca_purity < 0.95
    assert abs(found.time.encoder[:, 0] @ AXES[0]) > 0.99
    assert abs(found.condition.encoder[:, 0] @ OVERLAP) > 0.99
    shared = found.time.scores[..., 0].mean(0)
    assert abs(np.corrcoef(shared, SHARED)[0, 1]) > 0.999
    total = (SHARED - SHARED.mean()).var() + CONDITION.var() * (BUMP**2).mean()
    expected = CONDITION.var() * (BUMP**2).mean() / total
    assert found.condition.share == pytest.approx(expected, abs=0.02)
    assert found.condition.share > found.condition.null_share.max()
    assert found.time.share + found.condition.share == pytest.approx(1)


def test_the_closed_form_is_the_minimum():
    """Against L-BFGS on the objective itself, from random starts."""
    recording = planted(trials=3, noise=0.3)
    ridge = 0.05
    found = demixed_components(recording, components=2, ridge=ridge, shuffles=0)
    values = recording["rate"].values
    average = values.reshape(6, 3, 40, 20).mean(1)
    left = (values - np.repeat(average, 3, 0)).reshape(-1, 20)
    mean = average - average.mean((0, 1))
    flat, part = mean.reshape(-1, 20), (mean - mean.mean(0)).reshape(-1, 20)
    covariance = left.T @ left / len(left)

    def objective(numbers):
        decoder, encoder = numbers[:40].reshape(2, 20), numbers[40:].reshape(20, 2)
        both = encoder @ decoder
        error = ((part - flat @ both.T) ** 2).sum()
        noise = len(flat) * np.trace(both @ covariance @ both.T)
        return error + noise + ridge**2 * (flat**2).sum() * (both**2).sum()

    own = objective(
        np.concatenate([found.condition.decoder.ravel(), found.condition.encoder.ravel()])
    )
    generator = np.random.default_rng(2)
    reached = [
        minimize(objective, 0.3 * generator.standard_normal(80), options={"maxiter": 300}).fun
        for _ in range(2)
    ]
    assert own == pytest.approx(min(reached), rel=1e-4)
    assert own <= min(reached) * (1 + 1e-9)


def test_conditions_that_do_not_differ_stay_inside_the_null():
    shares = demixed_components(planted(different=0.0), components=1, shuffles=40).condition
    assert shares.null_share.min() <= shares.share <= shares.null_share.max()


def test_too_few_dimensions_and_lone_trials():
    noiseless = planted(trials=1, noise=0.0)
    assert demixed_components(noiseless, components=1).time.null_share.size == 0
    with pytest.raises(RecordingError, match="`time` varies in 1 dimensions"):
        demixed_components(noiseless, components=2)
    with pytest.raises(RecordingError, match="`condition` varies in 0"):
        demixed_components(noiseless.isel(trial=[0]), components=1)
    with pytest.raises(ValueError, match="`ridge`"):
        demixed_components(noiseless, ridge=-1.0)


def crossed(trials=6, noise=0.5, both=0.0, load=1.0, seed=3):
    """Targets act along one axis, loads along another, and both together along a third."""
    generator = np.random.default_rng(seed)
    axes = np.linalg.qr(generator.standard_normal((15, 4)))[0].T
    target, push = (x.ravel() for x in np.meshgrid(np.arange(4), np.arange(3), indexing="ij"))
    target, push = np.repeat(target, trials), np.repeat(push, trials)
    late = (TIME > 0.2).astype(float)
    course = 2 * SHARED[:, None] * axes[0] + (target - 1.5)[:, None, None] * np.outer(BUMP, axes[1])
    course = course + load * (push - 1)[:, None, None] * np.outer(late, axes[2])
    course = course + both * ((target - 1.5) * (push - 1))[:, None, None] * np.outer(BUMP, axes[3])
    rate = course + noise * generator.standard_normal(course.shape)
    made = make_recording(TIME, np.arange(len(rate)) // trials, {"rate": rate})
    return made.assign(table_target=("trial", target), table_load=("trial", push.astype(str))), axes


def test_labels_that_cross_are_told_apart():
    recording, axes = crossed(both=1.0)
    found = demixed_components(recording, labels=("target", "load"), components=1)
    assert list(found.parts) == ["time", "target", "load", "target x load"]
    assert found.conditions[1] == "target 0, load 1"
    for axis, part in zip(axes, found.parts.values(), strict=True):
        assert abs(part.encoder[:, 0] @ axis) > 0.97
        assert part.purity[0] > 0.9
    assert sum(part.share for part in found.parts.values()) == pytest.approx(1)
    assert found.parts["target"].p[0] == pytest.approx(1 / 200)
    assert found.parts["load"].p[0] == pytest.approx(1 / 200)
    assert found.parts["load"].held_out[0] > 0.9
    assert np.isnan(found.parts["time"].p[0])
    assert np.isnan(found.parts["target x load"].p[0])


def test_parts_are_those_of_an_analysis_of_variance():
    """Against sums of squares by explicit means."""
    recording, _ = crossed(trials=2)
    found = demixed_components(recording, labels=("target", "load"), components=1, shuffles=0)
    mean = recording["rate"].values.reshape(4, 3, 2, 40, 15).mean(2)
    mean = mean - mean.mean((0, 1, 2))
    total, time = (mean**2).sum(), mean.mean((0, 1))
    target, load = mean.mean(1) - time, mean.mean(0) - time
    rest = mean - time - target[:, None] - load
    sums = [12 * (time**2).sum(), 3 * (target**2).sum(), 4 * (load**2).sum(), (rest**2).sum()]
    shares = [part.share for part in found.parts.values()]
    np.testing.assert_allclose(shares, np.array(sums) / total, rtol=1e-10)


def test_components_are_those_of_the_authors_package():
    """With one trial a group there is no noise covariance, as in a fit of averages there."""
    pytest.importorskip("numexpr")
    package = pytest.importorskip("dPCA.dPCA")
    recording, _ = crossed(trials=1, both=0.5)
    ridge = 0.02
    found = demixed_components(
        recording, labels=("target", "load"), components=2, ridge=ridge, shuffles=0
    )
    data = recording["rate"].values.reshape(4, 3, 40, 15).transpose(3, 0, 1, 2)
    data = data - data.mean((1, 2, 3), keepdims=True)
    join = {"at": ["a", "at"], "bt": ["b", "bt"], "abt": ["ab", "abt"]}
    model = package.dPCA("abt", join, 2, ridge / np.linalg.norm(data), n_iter=20)
    model.debug = 0
    model.fit(data)
    names = {"t": "time", "at": "target", "bt": "load", "abt": "target x load"}
    for theirs, ours in names.items():
        part = found.parts[ours]
        for k in range(2):
            assert abs(model.P[theirs][:, k] @ part.encoder[:, k]) == pytest.approx(1, abs=1e-6)
            np.testing.assert_allclose(
                model.D[theirs][:, k] * np.sign(model.P[theirs][:, k] @ part.encoder[:, k]),
                part.decoder[k],
                atol=1e-6,
            )


def test_labels_that_are_not_there_or_not_crossed_are_refused():
    recording, _ = crossed(trials=2)
    with pytest.raises(RecordingError, match="did you mean 'target'"):
        demixed_components(recording, labels=("targt",))
    with pytest.raises(RecordingError, match=r"no trial has target 3, load 2, and 1 of 12"):
        demixed_components(recording.isel(trial=slice(0, 22)), labels=("target", "load"))
    with pytest.raises(RecordingError, match="must differ"):
        demixed_components(recording, labels=("target", "target"))


@pytest.mark.parametrize("label", ["target", "load"])
def test_an_exchange_leaves_the_other_labels_where_they_are(label):
    recording, _ = crossed(trials=2)
    factors = Factors.of(recording, ("target", "load"))
    rows = np.arange(3, 20)
    drawn = factors.exchanged(label, rows, np.random.default_rng(0))
    old, new = (np.stack(np.unravel_index(x, (4, 3))) for x in (factors.member[rows], drawn))
    kept = 1 if label == "target" else 0
    np.testing.assert_array_equal(old[kept], new[kept])
    assert (old[1 - kept] != new[1 - kept]).any()
    np.testing.assert_array_equal(np.bincount(drawn), np.bincount(factors.member[rows]))


def test_the_section_names_its_labels_and_what_stands():
    recording, _ = crossed(noise=0.3)
    section = SECTION.section(Material(recording, labels=("target", "load")))
    assert not section.skipped
    assert "target and load adds" in section.text
    assert list(section.numbers) == ["shared", "target", "load", "target x load"]
    assert section.numbers["target"]["components_that_stand"] >= 1
    assert np.isnan(section.numbers["shared"]["components_that_stand"])
    figure = section.figures["demixing"]()
    assert len([ax for ax in figure.axes if ax.get_ylabel() == "score"]) == 4
    plt.close(figure)
