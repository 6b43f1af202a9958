"""Fixed points, lesions, sensitivities and behaviour against planted truth."""

import numpy as np
import pytest
import torch
from cases import noisy
from planted import reaches

from neuromotor import CenterOut, ClosedLoop, ContinuousTimeRNN
from neuromotor.analysis import RecordingError, make_recording, record
from neuromotor.analysis.behaviour import behaviour, hand_course
from neuromotor.analysis.ellipses import end_points
from neuromotor.analysis.fixed_points import find_fixed_points, network_fixed_points
from neuromotor.analysis.gradients import sensitivity
from neuromotor.analysis.jacobians import jacobian_spectrum
from neuromotor.analysis.lesions import lesion_effect, lesion_subspace, lesion_units
from neuromotor.analysis.speed_and_accuracy import speed_accuracy
from neuromotor.training.single import initial_parameters
from neuromotor.zoo.saved_controller import load_controller

TASK = CenterOut(directions=3, steps=10)
NET = ContinuousTimeRNN(layers=(6, 5), time_constant_s=0.05)
PARAMETERS = initial_parameters(NET, 0)


def test_the_known_fixed_points_of_a_bistable_unit():
    """v' = (-v + 2 tanh v) / tau: fixed at 0 (unstable) and at v = 2 tanh v (stable)."""
    from scipy.optimize import brentq

    dt, tau = 0.01, 0.05
    root = brentq(lambda v: v - 2 * np.tanh(v), 1, 3)
    found = find_fixed_points(
        lambda v: v + dt / tau * (2 * torch.tanh(v) - v),
        torch.tensor([[-3.0], [-1.5], [0.02], [-0.01], [1.0], [2.5]]).double(),
        dt,
    )
    order = np.argsort(found.points[:, 0])
    np.testing.assert_allclose(found.points[order, 0], [-root, 0, root], atol=1e-8)
    assert found.converged.all()
    assert found.stable[order].tolist() == [True, False, True]
    assert found.found_from.sum() == 6
    slope = 1 + dt / tau * (2 / np.cosh(root) ** 2 - 1)
    np.testing.assert_allclose(found.eigenvalues[order[0], 0], slope, rtol=1e-6)
    np.testing.assert_allclose(found.time_constants_s[order[0], 0], -dt / np.log(slope), rtol=1e-6)


def test_the_spectrum_of_a_linear_spiral():
    dt = 0.01
    turn = np.exp(dt * (-4 + 2j * np.pi * 1.5))
    matrix = torch.tensor([[turn.real, -turn.imag], [turn.imag, turn.real]]).double()
    found = find_fixed_points(lambda v: v @ matrix.T + 0.1, torch.ones(2, 2).double(), dt)
    expected = np.linalg.solve(np.eye(2) - matrix.numpy(), [0.1, 0.1])
    np.testing.assert_allclose(found.points, expected[None], rtol=1e-9)
    np.testing.assert_allclose(found.frequencies_hz, 1.5, rtol=1e-9)
    np.testing.assert_allclose(found.time_constants_s, 0.25, rtol=1e-9)


def test_a_map_without_fixed_points_has_slow_ones_only():
    found = find_fixed_points(lambda v: v + 0.01 * (1 + v**2), torch.ones(1, 1).double(), 0.01)
    assert not found.converged.any()
    assert found.points[0, 0] == pytest.approx(0, abs=1e-2)


def test_the_spectrum_along_a_trajectory_in_closed_form():
    """One layer feeds the next within a step: eigenvalues are those of both diagonal blocks."""
    recording = record(TASK, NET, PARAMETERS, noisy(TASK.trials(), TASK.steps))
    before = recording.copy(deep=True)
    found = jacobian_spectrum(NET, PARAMETERS, recording, [0, 2])
    assert recording.identical(before)
    assert found.eigenvalues.shape == (2, 9, 11)
    np.testing.assert_allclose(found.time_s, 0.01 * np.arange(1, 10))
    layers = NET.unpack(PARAMETERS).layers
    share = 0.01 / 0.05
    for place, trial in enumerate((0, 2)):
        for t in (1, 6):
            rate = recording["rate"].values[trial, t - 1]
            expected = np.concatenate(
                [
                    np.linalg.eigvals(
                        (1 - share) * np.eye(len(h)) + share * layer.recurrent.numpy() * (1 - h**2)
                    )
                    for layer, h in zip(layers, (rate[:6], rate[6:]), strict=True)
                ]
            )
            mu = found.eigenvalues[place, t - 1]
            np.testing.assert_allclose(np.sort_complex(mu), np.sort_complex(expected), atol=1e-10)
            assert (np.diff(np.abs(mu)) <= 1e-12).all()
            assert found.norm[place, t - 1] >= np.abs(mu[0]) - 1e-12
    with pytest.raises(ValueError, match="`trials` must be below 3, got 3"):
        jacobian_spectrum(NET, PARAMETERS, recording, [3])
    with pytest.raises(RecordingError, match="two times"):
        jacobian_spectrum(NET, PARAMETERS, recording.isel(time=[0]))


def test_the_norm_of_a_steps_jacobian_by_finite_differences():
    recording = record(TASK, NET, PARAMETERS)
    weights = NET.unpack(PARAMETERS)
    seen = torch.from_numpy(recording["observation"].values[:1, 4]).expand(22, -1)
    target = torch.from_numpy(recording["target"].values[:1]).expand(22, -1)
    axes = 1e-6 * torch.cat([torch.eye(11), -torch.eye(11)]).double()
    start = torch.from_numpy(recording["activation"].values[:1, 3]) + axes
    after = torch.cat(NET.step(weights, start.split([6, 5], -1), seen, target, 4, None)[0], -1)
    jacobian = ((after[:11] - after[11:]) / 2e-6).numpy().T
    found = jacobian_spectrum(NET, PARAMETERS, recording)
    assert found.norm[0, 3] == pytest.approx(np.linalg.norm(jacobian, 2), rel=1e-7)


def test_fixed_points_of_a_network_stay_where_they_are():
    recording = record(TASK, NET, PARAMETERS)
    before = recording.copy(deep=True)
    found = network_fixed_points(NET, PARAMETERS, recording, starts=4)
    assert recording.identical(before)
    assert found.converged[0]
    weights = NET.unpack(PARAMETERS)
    memory = torch.from_numpy(found.points[:1]).split([6, 5], dim=-1)
    seen = torch.from_numpy(recording["observation"].values[:1, -1])
    target = torch.from_numpy(recording["target"].values[:1])
    for _ in range(3):
        memory, _ = NET.step(weights, memory, seen, target, 0, None)
    np.testing.assert_allclose(torch.cat(memory, -1), found.points[:1], atol=1e-9)
    with pytest.raises(RecordingError, match="11 units"):
        network_fixed_points(ContinuousTimeRNN(layers=(4,)), torch.zeros(62), recording)


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


def test_sensitivity_against_finite_differences():
    trials = noisy(TASK.trials(), TASK.steps)
    found = sensitivity(TASK, NET, PARAMETERS, trials)
    assert found.shape == (3, 10)

    def losses(step, direction, size):
        weights = NET.unpack(PARAMETERS)
        state, memory = trials.initial_state, NET.initial_memory(weights, 3)
        states, commands = [state], []
        from neuromotor.closed_loop.dynamics import advance

        for t in range(TASK.steps):
            if t == step:
                memory = tuple(
                    m + size * d for m, d in zip(memory, direction.split([6, 5], -1), strict=True)
                )
            seen = states[t] + trials.sensory_noise[:, t]
            memory, command = NET.step(weights, memory, seen, trials.target, t, None)
            states.append(advance(TASK.plant, states[-1], command, trials, t))
            commands.append(command)
        return TASK.cost.losses(torch.stack(states, 1), torch.stack(commands, 1), trials)

    for step in (0, 7):
        gradient = torch.stack(
            [
                (losses(step, axis.expand(3, 11), 1e-5) - losses(step, axis.expand(3, 11), -1e-5))
                / 2e-5
                for axis in torch.eye(11).double()
            ],
            dim=-1,
        )
        np.testing.assert_allclose(found[:, step], gradient.norm(dim=-1), rtol=1e-5)


# ---- behaviour ----


def minimum_jerk(curve=0.0):
    time, angle, condition, hand = reaches(directions=4, repeats=1, steps=101, dt=0.005)
    tau = time / time[-1]
    side = np.stack([-np.sin(angle), np.cos(angle)], -1)
    hand = hand + curve * 0.06 * np.sin(np.pi * tau)[None, :, None] ** 2 * side[:, None]
    target = 0.06 * np.stack([np.cos(angle), np.sin(angle)], -1)
    variables = {
        "rate": np.zeros((4, 101, 1)),
        "hand_position": hand,
        "target_position": target + np.array([0.001, 0.0]),
        "go_time": np.zeros(4),
    }
    return make_recording(time, condition, variables)


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


def test_the_ellipse_of_known_end_points():
    draws = np.random.default_rng(0).standard_normal((4000, 2)) * [0.004, 0.001]
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    hand = (draws @ np.array([[c, s], [-s, c]]))[:, None] * np.array([0.0, 1.0])[:, None]
    target = np.zeros((4000, 2))
    recording = make_recording(
        [0, 0.1],
        np.zeros(4000),
        {"rate": np.zeros((4000, 2, 1)), "hand_position": hand, "target_position": target},
    )
    found = end_points(recording)
    np.testing.assert_allclose(found.axes_m, np.array([[0.004, 0.001]]) * 2.4477, rtol=0.05)
    assert found.orientation_deg == pytest.approx([30], abs=1)
    assert np.isnan(found.turned_deg).all()  # the target is where the hand starts
    with pytest.raises(RecordingError, match="three trials or more of one condition"):
        end_points(recording.isel(trial=[0, 1]))


def test_ellipses_of_eight_directions_are_not_pooled():
    """3:1 along each of eight movements: pooled, they would add up to a circle."""
    generator = np.random.default_rng(0)
    angle = np.repeat(np.arange(8) * np.pi / 4, 500)
    along = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    draws = generator.standard_normal((len(angle), 2, 1)) * np.array([0.006, 0.002])[:, None]
    target = 0.08 * along
    end = target + draws[:, 0] * along + draws[:, 1] * across
    variables = {
        "rate": np.zeros((len(angle), 2, 1)),
        "hand_position": np.stack([0 * end, end], axis=1),
        "target_position": target,
    }
    # One label for all: the targets alone tell the directions apart.
    for labels in (np.repeat(np.arange(8), 500), np.zeros(len(angle))):
        found = end_points(make_recording([0, 0.1], labels, variables))
        assert len(found.conditions) == 8
        np.testing.assert_allclose(found.axes_m[:, 0] / found.axes_m[:, 1], 3, rtol=0.12)
        np.testing.assert_allclose(found.turned_deg, 0, atol=4)
        np.testing.assert_array_equal(found.counts, 500)
    few = end_points(make_recording([0, 0.1], labels, variables).isel(trial=slice(0, 502)))
    assert (few.left_out, len(few.conditions)) == (2, 1)


def fitts(slope=0.12, constant=True, seed=0):
    """Minimum-jerk reaches whose duration follows from distance and spread of the end points."""
    generator = np.random.default_rng(seed)
    time, paths, targets, labels = 0.002 * np.arange(600), [], [], []
    for label, (far, spread) in enumerate(
        [(0.04, 0.004), (0.08, 0.004), (0.12, 0.003), (0.16, 0.003), (0.2, 0.002), (0.2, 0.001)]
    ):
        draws = generator.standard_normal(8)
        draws = spread * (draws - draws.mean()) / draws.std(ddof=1)
        bits = np.log2(far / (4.133 * spread) + 1)
        duration = 0.3 + slope * bits if constant else generator.uniform(0.4, 1.0)
        s = np.clip((time - 0.05) / duration, 0, 1)
        profile = 10 * s**3 - 15 * s**4 + 6 * s**5
        unit = np.array([np.cos(label), np.sin(label)])
        paths += [(far + draw) * profile[:, None] * unit for draw in draws]
        targets += [far * unit] * 8
        labels += [label] * 8
    rate = np.zeros((len(labels), len(time), 1))
    variables = {"rate": rate, "hand_position": paths, "target_position": targets}
    return make_recording(time, labels, variables)


def test_a_planted_speed_accuracy_relation_is_found():
    found = speed_accuracy(fitts())
    # From 10 % of peak speed to 10 %: .8282 of the whole duration.
    assert found.slope_s == pytest.approx(0.8282 * 0.12, rel=0.02)
    assert found.intercept_s == pytest.approx(0.8282 * 0.3, rel=0.04)
    assert found.r2 > 0.999
    assert found.p_slope < 0.02
    spread = np.array([0.004, 0.004, 0.003, 0.003, 0.002, 0.001])
    np.testing.assert_allclose(found.width_m, 4.133 * spread, rtol=1e-6)


def test_times_that_do_not_follow_difficulty_are_in_the_null():
    p = [speed_accuracy(fitts(constant=False, seed=s), permutations=99).p_slope for s in range(8)]
    assert 0.1 < np.median(p) < 0.95
    with pytest.raises(RecordingError, match="three conditions"):
        speed_accuracy(minimum_jerk())


def test_a_trial_without_movement_has_no_measures():
    still = minimum_jerk()
    variables = {"rate": still["rate"], "hand_position": 0 * still["hand_position"]}
    found = behaviour(make_recording(still["time"], still["condition"], variables))
    assert np.isnan(found.movement_time_s).all()
    assert np.isnan(found.end_error_m).all()
