"""Movements against the numbers of minimum jerk and other planted paths."""

import numpy as np
import pytest
from planted import minimum_jerk

from neuromotor.analysis import make_recording, record
from neuromotor.analysis.behaviour import behaviour, hand_course
from neuromotor.zoo.saved_controller import load_controller

ANGLES = np.radians([0, 45, 90, 200, 315])


def test_minimum_jerk_has_its_textbook_numbers():
    found = behaviour(minimum_jerk())
    np.testing.assert_allclose(found.peak_speed_m_s, 1.875 * 0.06 / 0.5, rtol=1e-3)
    np.testing.assert_allclose(found.peak_to_mean, 1.875, rtol=1e-3)
    np.testing.assert_allclose(found.symmetry, 0.5, atol=0.02)
    # From 10 % of peak speed on: s = 0.0859 to 0.9141, where 30 s^2 (1 - s)^2 = 0.1875.
    np.testing.assert_allclose(found.movement_time_s, 0.5 * 0.8282, atol=0.011)
    np.testing.assert_allclose(found.reaction_time_s, 0.5 * 0.0859, atol=0.006)
    np.testing.assert_allclose(found.path_ratio, 1, atol=1e-9)
    np.testing.assert_allclose(found.curvature, 0, atol=1e-9)
    np.testing.assert_allclose(found.end_error_m, 0.001, rtol=1e-9)


@pytest.mark.parametrize("step", [0.001, 0.005, 0.01])
def test_peak_and_mean_speed_are_of_the_whole_movement(step):
    """Minimum jerk, and a parabola of speed, 100 ms of rest before and behind half a second."""
    time = step * np.arange(round(0.7 / step) + 1)
    s = np.clip((time - 0.1) / 0.5, 0, 1)
    jerk = 10 * s**3 - 15 * s**4 + 6 * s**5, 30 * s**2 * (1 - s) ** 2, 1.875
    parabola = 3 * s**2 - 2 * s**3, 6 * s * (1 - s), 1.5
    for path, speed, ratio in (jerk, parabola):
        hand, velocity = np.zeros((2, 1, len(time), 2))
        hand[0, :, 0], velocity[0, :, 0] = 0.1 * path, 0.1 / 0.5 * speed
        variables = {"rate": np.zeros((1, len(time), 1)), "hand_position": hand}
        own = make_recording(time, [0], variables | {"hand_velocity": velocity})
        assert behaviour(own).peak_to_mean[0] == pytest.approx(ratio, rel=2e-3)
        half = own.isel(time=time < 0.5)
        assert np.isnan(behaviour(half).peak_to_mean[0])
        measured = behaviour(make_recording(time, [0], variables)).peak_to_mean[0]
        # Central differences turn the corner of a parabola one sample too early.
        loose = 2 * step / 0.5 if ratio == 1.5 else 5e-3
        assert measured == pytest.approx(ratio, rel=loose)


def test_the_state_after_the_last_step_ends_a_movement():
    """Minimum jerk that comes to rest just then: without that state it does not end."""
    steps, dt = 40, 0.01
    s = np.arange(steps + 1) / steps
    path = np.zeros((1, steps + 1, 2))
    path[0, :, 0] = 0.1 * (10 * s**3 - 15 * s**4 + 6 * s**5)
    velocity = np.zeros((1, steps + 1, 2))
    velocity[0, :, 0] = 0.1 / (steps * dt) * 30 * s**2 * (1 - s) ** 2
    first = 35  # the last sample, so that the hand is at 19 % of its peak speed there
    variables = {
        "rate": np.zeros((1, first, 1)),
        "hand_position": path[:, :first],
        "hand_velocity": velocity[:, :first],
    }
    cut = make_recording(dt * np.arange(first), [0], variables)
    assert np.isnan(behaviour(cut).movement_time_s[0])
    final = {
        "final_hand_position": path[:, -1],
        "final_hand_velocity": velocity[:, -1],
        "final_time": [first * dt],
    }
    whole = make_recording(dt * np.arange(first), [0], variables | final)
    assert behaviour(whole).movement_time_s[0] > 0.25
    time, hand, speed = hand_course(whole)
    assert time[-1] == pytest.approx(first * dt)
    np.testing.assert_array_equal(hand[:, -1], path[:, -1])
    np.testing.assert_array_equal(speed[:, -1], velocity[:, -1])
    assert len(hand_course(whole.isel(time=slice(20)))[0]) == 20  # the rest is not its next state


def test_every_reach_of_a_trained_network_ends():
    saved = load_controller("center-out/best")
    recording = record(saved.task, saved.controller, saved.parameters.double())
    found = behaviour(recording)
    assert np.isfinite(found.movement_time_s).all()
    assert np.isfinite(found.peak_to_mean).all()
    # Least squared torque within a fixed time: nearly a parabola of speed.
    assert np.median(found.peak_to_mean) == pytest.approx(1.5, abs=0.05)


def test_a_curved_path_is_measured():
    found = behaviour(minimum_jerk(curve=0.2))
    np.testing.assert_allclose(found.curvature, 0.2, rtol=0.06)
    assert (found.path_ratio > 1.05).all()


def test_a_trial_without_movement_has_no_measures():
    still = minimum_jerk()
    variables = {"rate": still["rate"], "hand_position": 0 * still["hand_position"]}
    found = behaviour(make_recording(still["time"], still["condition"], variables))
    assert np.isnan(found.movement_time_s).all()
    assert np.isnan(found.end_error_m).all()


def bowed(left_m, beyond_m, aside_m):
    """Minimum-jerk reaches of 10 cm that bow to one side and miss their targets by known parts."""
    time = np.linspace(0, 0.6, 61)
    s = np.clip((time - 0.05) / 0.5, 0, 1)
    profile = 10 * s**3 - 15 * s**4 + 6 * s**5
    along = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)
    left = np.stack([-np.sin(ANGLES), np.cos(ANGLES)], axis=-1)
    start = np.array([0.02, 0.3])
    bow = left_m * np.sin(np.pi * s) ** 2 + aside_m * profile
    hand = start + (0.1 + beyond_m) * profile[None, :, None] * along[:, None]
    hand = hand + bow[None, :, None] * left[:, None]
    parts = {"hand_position": hand, "target_position": start + 0.1 * along}
    return make_recording(time, np.arange(len(ANGLES)), parts)


@pytest.mark.parametrize("left", [0.02, -0.02])
def test_deviation_is_signed_to_the_left_of_the_reach_whatever_its_direction(left):
    found = behaviour(bowed(left, 0.0, 0.0))
    np.testing.assert_allclose(found.perpendicular_deviation_m, left, rtol=1e-3)
    np.testing.assert_allclose(found.lateral_error_m, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.along_error_m, 0.0, atol=1e-12)


def test_an_end_error_has_a_part_across_and_a_part_along():
    found = behaviour(bowed(0.0, -0.007, 0.003))
    np.testing.assert_allclose(found.lateral_error_m, 0.003, rtol=1e-9)
    np.testing.assert_allclose(found.along_error_m, -0.007, rtol=1e-9)
    np.testing.assert_allclose(found.end_error_m, np.hypot(0.003, 0.007), rtol=1e-9)


def test_what_does_not_move_or_has_no_target_has_no_deviation():
    reach = bowed(0.02, 0.0, 0.0)
    found = behaviour(reach.drop_vars("target_position"))
    assert np.isnan(found.perpendicular_deviation_m).all()
    assert np.isnan(found.lateral_error_m).all()
    still = reach.assign(target_position=reach["hand_position"][:, 0].drop_vars("time"))
    assert np.isnan(behaviour(still).along_error_m).all()
