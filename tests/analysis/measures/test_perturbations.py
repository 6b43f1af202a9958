"""Planted corrective responses, gains, stiffness and adaptation are found."""

import numpy as np
import pytest

from neuromotor.analysis.measures import (
    adaptation_index,
    first_departure,
    gain_over_time,
    hand_stiffness,
    mean_departure,
    paired_responses,
    response_in_window,
)
from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQR
from neuromotor.controllers import CommandTable
from neuromotor.plants import field_force
from neuromotor.tasks import CenterOut, ForceField

DT = 0.005
ONSETS = np.array([0.2, 0.3, 0.45])
LATENCY = 0.12


def answered(gain=1.0, noise=0.0, pairs=1, seed=0):
    """Trials that answer a perturbation after 120 ms with a ramp along (0, 1), and their twins."""
    generator = np.random.default_rng(seed)
    time, onsets = DT * np.arange(200), np.tile(ONSETS, pairs)
    twins = np.cumsum(generator.standard_normal((len(onsets), 200, 2)), axis=1)
    since = time - onsets[:, None] - LATENCY
    ramp = gain * np.clip(since, 0, 0.2)[..., None] * np.array([0.0, 1.0])
    noisy = noise * generator.standard_normal(twins.shape)
    return twins + ramp + noisy, twins, onsets


def test_the_planted_latency_is_found_in_every_pair():
    found = paired_responses(*answered(), DT)
    # The ramp is zero at 120 ms and exceeds the smallest number one sample later.
    late = first_departure(found, threshold=1e-9)
    np.testing.assert_allclose(late, LATENCY + DT, atol=DT + 1e-9)
    assert (late > LATENCY).all()
    share = first_departure(found, share=0.05)  # of a ramp of 200 ms
    np.testing.assert_allclose(share, LATENCY + 0.01, atol=DT + 1e-9)


def test_noise_wants_the_test_over_pairs():
    found = paired_responses(*answered(noise=0.002, pairs=20), DT)
    late = mean_departure(found, [0.0, 1.0])
    assert LATENCY - 1e-9 <= late <= LATENCY + 3 * DT
    none = [
        mean_departure(paired_responses(*answered(0.0, 0.002, 5, seed=s), DT), [0, 1.0])
        for s in range(40)
    ]
    assert np.isfinite(none).mean() < 0.1  # twins swapped or no answer: no latency
    assert np.isnan(mean_departure(paired_responses(*answered(0.0), DT), [0, 1.0]))


def test_a_response_before_its_perturbation_is_not_its_answer():
    perturbed, twins, onsets = answered(0.0)
    perturbed[:, 5] += 1.0
    assert np.isnan(first_departure(paired_responses(perturbed, twins, onsets, DT))).all()


def test_windows_and_gains_over_time():
    """Responses per displacement that rise and fall again over the times of perturbation."""
    generator = np.random.default_rng(0)
    times = np.repeat([0.1, 0.2, 0.3], 40)
    gains = np.repeat([0.5, 2.0, 1.0], 40)
    moved = generator.choice([-0.01, 0.01, 0.02], len(times))
    answers = gains * moved + 0.002 * generator.standard_normal(len(times))
    found = gain_over_time(times, moved, answers)
    np.testing.assert_allclose(found.values, [0.5, 2.0, 1.0], atol=0.1)
    np.testing.assert_array_equal(found.counts, 40)
    shuffled = gain_over_time(times, generator.permutation(moved), generator.permutation(answers))
    near = [one.low < 0.6 for one in shuffled.gain]
    assert all(near)
    pairs = paired_responses(*answered(3.0), DT)
    ramp = response_in_window(pairs, [0.0, 2.0], (0.18, 0.23))
    np.testing.assert_allclose(ramp, 3 * (0.205 - LATENCY), rtol=1e-6)
    with pytest.raises(ValueError, match="must hold samples"):
        response_in_window(pairs, [0.0, 1.0], (5.0, 6.0))


def test_bad_pairs_are_refused():
    perturbed, twins, onsets = answered()
    with pytest.raises(ValueError, match="`onset_s` must lie within"):
        paired_responses(perturbed, twins, onsets + 2, DT)
    with pytest.raises(ValueError, match="`twins` must have shape"):
        paired_responses(perturbed, twins[:1], onsets, DT)
    with pytest.raises(ValueError, match="`directions` must have a length"):
        paired_responses(perturbed, twins, onsets, DT).along([0.0, 0.0])
    with pytest.raises(ValueError, match="must not be zero"):
        gain_over_time([0.0, 0.0], [0.0, 0.0], [1.0, 1.0])


def test_planted_stiffness_is_found():
    turn = np.radians(30)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    stiffness = axes @ np.diag([400.0, 100.0]) @ axes.T + np.array([[0, 20.0], [-20.0, 0]])
    angle = np.arange(8) * np.pi / 4
    moved = 0.008 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    generator = np.random.default_rng(0)
    found = hand_stiffness(moved, np.array([1.0, -2.0]) - moved @ stiffness.T)
    np.testing.assert_allclose(found.matrix_n_m, stiffness, rtol=1e-9)
    np.testing.assert_allclose(found.rest_force_n, [1, -2], rtol=1e-9)
    np.testing.assert_allclose(found.axes_n_m, [400, 100], rtol=1e-9)
    assert found.orientation_deg == pytest.approx(30)
    assert (found.shape, found.curl_n_m) == pytest.approx((4, -20))
    assert found.area_n2_m2 == pytest.approx(np.pi * 40_000)
    assert found.r2 == pytest.approx(1)
    many = np.tile(moved, (25, 1))
    noisy = -many @ stiffness.T + 0.1 * generator.standard_normal(many.shape)
    again = hand_stiffness(many, noisy)
    assert (np.abs(again.matrix_n_m - stiffness) < 4 * again.standard_error_n_m).all()
    # Closed form: displacements in all directions have variance r^2 / 2 along each axis.
    error = 0.1 / np.sqrt(200 * 0.008**2 / 2)
    np.testing.assert_allclose(again.standard_error_n_m, error, rtol=0.15)
    none = hand_stiffness(many, generator.permutation(noisy))
    assert none.r2 < 0.05
    with pytest.raises(ValueError, match="span the plane"):
        hand_stiffness(moved[[0, 4, 0, 4]], moved[:4])


def test_planted_adaptation_is_found():
    generator = np.random.default_rng(0)
    field = np.array([[0.0, 13.0], [-13.0, 0.0]])
    angle = np.array([0.3, 1.2, 4.0])
    along = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    across = np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
    s = np.linspace(0, 1, 101)
    velocity = (0.5 * s**2 * (1 - s) ** 2)[:, None] * along[:, None]
    ideal = -np.einsum("bi,ij,btj->bt", across, field, velocity)
    learnt = np.array([0.0, 0.4, 1.0])
    pressed = learnt[:, None] * ideal + 0.3
    np.testing.assert_allclose(
        adaptation_index(pressed, velocity, field, across, offset=True), learnt, atol=1e-9
    )
    same = adaptation_index(pressed - 0.3, velocity, field, across)
    np.testing.assert_allclose(same, learnt, atol=1e-9)
    shuffled = generator.permuted(pressed, axis=1)
    assert np.abs(adaptation_index(shuffled, velocity, field, across, offset=True)).max() < 0.4
    assert np.isnan(adaptation_index(pressed, 0 * velocity, field, across)).all()


def test_torques_that_cancel_a_field_press_against_a_channel_with_its_force():
    """Adaptation by construction, from a simulation: the index is also the task's own."""
    reach = CenterOut(directions=2, steps=60)
    task = ForceField(reach, kinds=("channel",))
    found = ILQR().solve(reach, reach.trials())
    on_the_way = found.states[:, :-1]
    curl = ForceField(reach, kinds=("field",)).trials().field[0]
    cancel = -task.plant.joint_torque(on_the_way, field_force(task.plant, on_the_way, curl))
    loop, trials = ClosedLoop(task, CommandTable(trials=2, steps=60)), task.trials()
    angle = reach.angles.numpy()
    across = np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
    index = []
    for commands in (found.commands, found.commands + cancel):
        states = loop.simulate(commands.flatten(), trials).states
        walls = field_force(task.plant, states, trials.field[:, None]).numpy()
        pressed = -(walls * across[:, None]).sum(-1)
        velocity = task.plant.hand_velocity(states).numpy()
        index.append(adaptation_index(pressed, velocity, curl[:, 3:].numpy(), across))
        own = task.adaptation(trials, states).numpy()  # by speed, not by its part along the reach
        np.testing.assert_allclose(index[-1], own, atol=0.02)
    # Not exact: the walls give way, and a path that does is another one.
    np.testing.assert_allclose(index[1] - index[0], 1, atol=0.15)
