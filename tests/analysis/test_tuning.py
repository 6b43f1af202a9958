"""Planted preferred directions are found, and untuned units are rarely called tuned."""

import numpy as np
import pytest
from planted import reaches, tuned_units

from neuromotor.analysis import RecordingError, make_recording
from neuromotor.analysis.tuning import circular_summary, cosine_tuning, preferred_directions

PREFERRED = np.radians([-170.0, -60.0, 10.0, 75.0, 160.0])


def test_planted_preferred_directions_are_found():
    tuning = preferred_directions(tuned_units(PREFERRED), bootstraps=200, shuffles=200)
    np.testing.assert_allclose(tuning.direction_deg[:-1], np.degrees(PREFERRED), atol=3)
    np.testing.assert_allclose(tuning.depth[:-1], 0.5, atol=0.02)
    error = np.abs(tuning.direction_deg[:-1] - np.degrees(PREFERRED))
    assert (error < 2 * tuning.interval_deg[:-1]).all()
    assert tuning.tuned.tolist() == [True] * 5 + [False]
    assert np.isnan([tuning.direction_deg[-1], tuning.r2[-1], tuning.p[-1]]).all()


def test_torque_space_uses_the_commands():
    recording = tuned_units(PREFERRED)
    _, angle, _, _ = reaches()
    turned = angle + np.radians(40)
    torque = np.stack([np.cos(turned), np.sin(turned)], -1)[:, None] * np.ones((1, 30, 1))
    recording["command"] = (("trial", "time", "actuator"), torque)
    tuning = preferred_directions(recording, "torque", bootstraps=0, shuffles=0)
    expected = np.degrees(np.angle(np.exp(1j * (PREFERRED + np.radians(40)))))
    np.testing.assert_allclose(tuning.direction_deg[:-1], expected, atol=3)


@pytest.mark.parametrize("space", ["load", "force"])
def test_preferred_load_directions_are_found(space):
    """Planted from the load's onset on, in a posture where the hand goes nowhere."""
    time, angle, condition, _ = reaches()
    late = (time >= 0.1)[:, None]
    generator = np.random.default_rng(0)
    rate = 1 + 0.5 * np.cos(angle[:, None] - PREFERRED)[:, None] * late
    rate = rate + 0.05 * generator.standard_normal(rate.shape)
    load = 0.2 * np.stack([np.cos(angle), np.sin(angle)], -1)[:, None] * late
    name = {"load": "load", "force": "hand_force"}[space]
    still = np.zeros((len(angle), len(time), 2))
    variables = {"rate": rate, name: load, "hand_position": still}
    recording = make_recording(time, condition, variables)
    tuning = preferred_directions(recording, space, bootstraps=0, shuffles=100)
    np.testing.assert_allclose(tuning.direction_deg, np.degrees(PREFERRED), atol=3)
    np.testing.assert_allclose(tuning.depth, 0.5, atol=0.02)  # not thinned by what came before
    early = preferred_directions(recording, space, window_s=(0, 0.2), bootstraps=0, shuffles=0)
    np.testing.assert_allclose(early.depth, 0.5, atol=0.03)
    with pytest.raises(RecordingError, match="got 0 trials"):
        preferred_directions(recording, space, window_s=(0, 0.05), bootstraps=0, shuffles=0)
    with pytest.raises(ValueError, match="unknown space 'muscle'"):
        preferred_directions(recording, "muscle")


def test_untuned_units_are_rarely_called_tuned():
    _, angle, _, _ = reaches()
    rate = np.random.default_rng(2).standard_normal((len(angle), 400))
    tuning = cosine_tuning(angle, rate, bootstraps=0, shuffles=200)
    assert 0.02 < tuning.tuned.mean() < 0.09  # 5 % by construction


def test_an_axis_is_told_from_a_direction_and_from_neither():
    generator = np.random.default_rng(3)
    spread = np.radians(15) * generator.standard_normal(60)
    axis = circular_summary(np.radians(117) + spread + np.pi * (np.arange(60) % 2))
    assert axis.axis_deg == pytest.approx(117, abs=5)
    assert axis.axis_resultant == pytest.approx(np.exp(-2 * np.radians(15) ** 2), abs=0.06)
    assert axis.p_axis < 1e-6
    assert axis.p_direction > 0.5
    off, wide = [], []
    for _ in range(300):
        near = np.radians(20) * generator.standard_normal(40) + np.pi * (np.arange(40) % 2)
        found = circular_summary(np.radians(30) + near)
        off.append(abs(found.axis_deg - 30) < found.axis_interval_deg)
        wide.append(found.axis_interval_deg)
    assert np.mean(off) == pytest.approx(0.95, abs=0.04)
    assert max(wide) < 15
    p = [circular_summary(generator.uniform(0, 2 * np.pi, 50)).p_axis for _ in range(400)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("angles", [[0.0, 1.0, 2.0], [0.0, np.pi, 0.0, np.pi, np.pi]])
def test_too_few_directions_are_an_error(angles):
    with pytest.raises(RecordingError, match="span the plane"):
        cosine_tuning(np.array(angles), np.zeros((len(angles), 2)))
