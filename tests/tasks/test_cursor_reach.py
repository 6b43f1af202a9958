"""Reaches with a cursor: their cost against finite differences, and what trials tell and count."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuromotor.closed_loop.dynamics import roll_out
from neuromotor.plants import TwoJointArm, UnreachableError
from neuromotor.tasks import CursorReach, Trials
from neuromotor.tasks.cost import features_of

TASK = CursorReach(
    steps=30, pairs=6, torque_rate_weight=1e-4, force_rate_weight=1e-8, work_weight=1e-3
)


def batch():
    target = TASK.home + torch.tensor([[0.1, 0.0], [0.0, -0.1]], dtype=torch.float64)
    shape = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    trials = TASK.reaches(target, arrival_s=torch.tensor([0.2, 0.25]), shape=shape)
    generator = torch.Generator().manual_seed(1)
    commands = torch.randn(2, TASK.steps, 2, generator=generator, dtype=torch.float64)
    return trials, roll_out(TASK.plant, trials, commands), commands


def test_losses_are_half_the_squared_residuals():
    trials, states, commands = batch()
    residuals = TASK.cost.residuals(states, commands, trials)
    torch.testing.assert_close(
        0.5 * residuals.square().sum(1), TASK.cost.losses(states, commands, trials)
    )


def test_loss_is_the_integral_of_what_the_class_says():
    trials, states, commands = batch()
    plant, time = TASK.plant, torch.arange(TASK.steps + 1)
    arrival = torch.tensor([20, 25])
    on = (time >= arrival[:, None]).double()
    away = plant.cursor(states) - states[..., 8:10]
    away[0, :, 1] = 0  # its target is a line along y
    rate = (states[..., 6:8] - states[..., 4:6]) / plant.lag_s
    speed = plant.hand_velocity(states)
    at_end = (
        TASK.error_weight * away.square().sum(-1)
        + TASK.velocity_weight * speed.square().sum(-1)
        + TASK.torque_weight * states[..., 4:6].square().sum(-1)
    )
    running = TASK.torque_rate_weight * rate.square().sum((-1, -2))
    running = running + TASK.energy_weight * commands.square().sum((-1, -2))
    torque, drive = states[..., 4:6], states[..., 6:8]
    after = torque[:, -1:] + plant.dt_s / plant.lag_s * (drive - torque)[:, -1:]
    jerky = torch.cat([torque, after], dim=1).diff(n=2, dim=1) / plant.dt_s**2
    running = running + TASK.force_rate_weight * jerky.square().sum((-1, -2))
    power = torque * states[..., 2:4]
    size = 2 * power.square() / ((power.square() + 0.01**2).sqrt() + 0.01)
    running = running + TASK.work_weight * size.sum((-1, -2))
    expected = 0.5 * plant.dt_s * ((on * at_end).sum(-1) + running)
    torch.testing.assert_close(TASK.cost.losses(states, commands, trials), expected)


def test_expansion_agrees_with_finite_differences():
    trials, states, commands = batch()
    found = TASK.cost.expansion(states, commands, trials)
    generator = torch.Generator().manual_seed(2)
    for _ in range(4):
        way = torch.randn(states.shape, generator=generator, dtype=torch.float64)
        h = 1e-6
        up, down = (TASK.cost.losses(states + sign * h * way, commands, trials) for sign in (1, -1))
        torch.testing.assert_close(
            (up - down) / (2 * h), (found.state * way).sum((1, 2)), rtol=1e-6, atol=1e-9
        )
        way = torch.randn(commands.shape, generator=generator, dtype=torch.float64)
        up, down = (TASK.cost.losses(states, commands + sign * h * way, trials) for sign in (1, -1))
        torch.testing.assert_close(
            (up - down) / (2 * h), (found.command * way).sum((1, 2)), rtol=1e-6, atol=1e-9
        )


def test_curvature_is_exact_where_features_are_linear():
    """As all are but work and what depends on the joint angles: so far Gauss-Newton is Newton."""
    trials, states, commands = batch()
    task = replace(TASK, work_weight=0.0)
    found = task.cost.expansion(states, commands, trials)
    generator = torch.Generator().manual_seed(2)
    linear = torch.zeros_like(states)
    linear[..., 4:] = torch.randn(states[..., 4:].shape, generator=generator, dtype=torch.float64)
    pushed = torch.randn(commands.shape, generator=generator, dtype=torch.float64)
    base, up, down = (
        task.cost.losses(states + sign * linear, commands + sign * pushed, trials)
        for sign in (0, 1, -1)
    )
    x, u = linear.unsqueeze(-1), pushed.unsqueeze(-1)
    curved = (x.mT @ found.state_curvature @ x).sum((1, 2, 3))
    curved = curved + (u.mT @ found.command_curvature @ u).sum((1, 2, 3))
    curved = curved + 2 * (u.mT @ found.mixed_curvature @ x[:, :-1]).sum((1, 2, 3))
    torch.testing.assert_close(up + down - 2 * base, curved)


def test_work_is_the_size_of_the_power_over_time():
    task = replace(TASK, work_weight=1.0)
    trials, states, commands = batch()
    less = replace(task, work_weight=0.0).cost.losses(states, commands, trials)
    work = (states[..., 2:4] * states[..., 4:6]).abs().sum((1, 2)) * task.plant.dt_s
    torch.testing.assert_close(
        task.cost.losses(states, commands, trials) - less, work, rtol=0.05, atol=0.01
    )


def test_features_on_components_and_their_slopes_are_those_of_the_cost():
    _, states, commands = batch()
    cost, form = TASK.cost, features_of(TASK.cost)
    at = (
        states + 0.1 * torch.randn(states.shape, generator=torch.Generator().manual_seed(4))
    ).flatten(0, 1)
    x = at.unbind(-1)
    found = torch.stack(form.functions.features(form.numbers, x), dim=-1)
    torch.testing.assert_close(found, cost.features(at), rtol=1e-11, atol=1e-12)
    rows = form.functions.feature_slopes(form.numbers, x)
    slopes = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    wanted = torch.func.vmap(torch.func.jacrev(cost.features))(at)
    torch.testing.assert_close(slopes, wanted, rtol=1e-10, atol=1e-11)
    jerky = form.drives(states, commands) / TASK.plant.lag_s**2
    torch.testing.assert_close(jerky, cost.accelerations(states, commands))
    rows = form.functions.offset_slopes(form.numbers, x)
    slopes = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    moved = torch.randn(at.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    far, near = (
        torch.stack(form.functions.offsets(form.numbers, point.unbind(-1)), dim=-1)
        for point in (at + moved, at)
    )
    torch.testing.assert_close((slopes @ moved[..., None])[..., 0], far - near)


def test_jump_moves_the_target_after_its_step_and_nothing_else():
    target = TASK.home[None] + 0.05
    trials = TASK.reaches(target, arrival_s=0.2)
    moved = TASK.with_jump(trials, "target", 7, torch.tensor([0.02, -0.01]))
    moved = TASK.with_jump(moved, "displacement", 9, torch.tensor([0.0, 0.03]))
    commands = torch.zeros(1, TASK.steps, 2, dtype=torch.float64)
    states, before = (roll_out(TASK.plant, one, commands)[0] for one in (moved, trials))
    torch.testing.assert_close(states[:8], before[:8])
    torch.testing.assert_close(
        states[8:, 8:10] - before[8:, 8:10], target.new_tensor([[0.02, -0.01]]).expand(23, 2)
    )
    cursor = TASK.plant.cursor(states) - TASK.plant.hand_position(states)
    assert cursor[:10].abs().max() < 1e-15
    torch.testing.assert_close(cursor[10:], target.new_tensor([[0.0, 0.03]]).expand(21, 2))


def test_cues_tell_time_and_shape_and_factors_say_when_errors_count():
    target = TASK.home[None] + 0.05
    timed = TASK.reaches(target, arrival_s=0.2, shape=torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(timed.cue[0, :3, 1], target.new_tensor([0.2, 0.19, 0.18]))
    assert timed.cue[0, -1, :5].tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]
    torch.testing.assert_close(timed.cue[0, 0, 5:7], 5 * (target[0] - TASK.home))
    assert timed.cue[..., 7:10].eq(0).all()
    # bell curves of log(left + 30 ms) whose centres lie evenly from 0 to 1 s, as far apart as wide
    centres = np.linspace(np.log(0.03), np.log(1.03), 6)
    bells = np.exp(-0.5 * ((np.log(0.23) - centres) / (centres[1] - centres[0])) ** 2)
    np.testing.assert_allclose(timed.cue[0, 0, 10:], bells, rtol=1e-12)
    assert timed.counted[0, :, 8].sum() == 0
    assert timed.counted[0, :20, 9].sum() == 0
    assert timed.counted[0, 20:, 9].eq(1).all()
    free = TASK.reaches(target)
    assert free.cue[0, :, 0].eq(1).all()
    assert free.cue[0, :, 10:].eq(0).all()
    assert free.counted[0, :, 8].eq(TASK.free_share).all()


def test_target_that_is_passed_counts_once_and_as_much():
    target = TASK.home[None] + 0.05
    stop, go = (TASK.reaches(target, arrival_s=0.2, stop=stop) for stop in (True, False))
    assert go.cue[0, 0, 4] == 0
    assert go.counted[0, :, 2:6].eq(0).all()  # neither speed nor torque
    assert go.counted[0, :, 8].nonzero().tolist() == [[20]]
    torch.testing.assert_close(go.counted[0, :, 8].sum(), stop.counted[0, :, 8].sum())
    with pytest.raises(ValueError, match="`stop` must be True where time is free"):
        TASK.reaches(target, stop=False)


def test_points_on_the_way_are_shown_one_after_another_and_count_when_they_are_passed():
    away = torch.tensor([[0.0, 0.0], [0.05, 0.0], [0.05, 0.05], [0.0, 0.05]], dtype=torch.float64)
    trials = TASK.through((TASK.home + away)[None], torch.tensor([[8, 15, 40]]))
    commands = torch.zeros(1, TASK.steps, 2, dtype=torch.float64)
    states = roll_out(TASK.plant, trials, commands)[0]
    goal = states[:, 8:10] - TASK.home
    number = np.array([1] * 9 + [2] * 7 + [3] * 15)  # before each step, and after the last
    torch.testing.assert_close(goal, away[number])
    torch.testing.assert_close(trials.shown_target[0, :, 8:10], states[:-1, 8:10])
    torch.testing.assert_close(trials.cue[0, :, 5:7], 5 * away[np.minimum(number + 1, 3)][:-1])
    torch.testing.assert_close(
        trials.cue[0, [0, 8, 9, 29], 1], goal.new_tensor([0.08, 0, 0.06, 0.11])
    )
    # the hand stays where it began: 1 / 2 of the weight, times the squared distance, for 100 ms
    plain = replace(TASK, energy_weight=0.0, torque_rate_weight=0.0, work_weight=0.0)
    plain = replace(plain, force_rate_weight=0.0)
    expected = 0.5 * 0.1 * TASK.error_weight * (0.05**2 + 2 * 0.05**2)
    assert float(plain.cost.losses(states[None], commands, trials)) == pytest.approx(expected)
    with pytest.raises(ValueError, match="`step` must hold growing steps"):
        TASK.through((TASK.home + away)[None], torch.tensor([[8, 8, 40]]))


def test_fields_of_the_mixture_are_those_that_the_cues_tell_of():
    task = CursorReach(pairs=400, fields=0.5, paths=0.3)
    trials = task.trials(torch.Generator().manual_seed(4))
    mean, spread, stiffness = (trials.cue[:, 0, 7:10] * torch.tensor([10.0, 10.0, 100.0])).T
    strength = trials.field[:, 1, 3]
    sure = (spread == 0) & (stiffness == 0)
    torch.testing.assert_close(strength[sure], mean[sure])
    unsure = (strength - mean)[spread > 0] / spread[spread > 0]
    assert len(unsure) > 50
    assert abs(float(unsure.square().mean()) - 1) < 4 * (2 / len(unsure)) ** 0.5
    # a divergent field is zero on the straight line, and pushes away from it k times the distance
    apart = stiffness > 0
    assert 10 < apart.sum() < 120
    field, start = trials.field[apart], task.plant.hand_position(trials.initial_state[apart])
    way = torch.nn.functional.normalize(trials.target[apart, 8:10] - start, dim=-1)
    side = torch.stack([-way[:, 1], way[:, 0]], dim=-1)
    place = start + 0.03 * way + 0.01 * side
    force = field[:, :, 0] + (field[:, :, 1:3] @ place[..., None]).squeeze(-1)
    torch.testing.assert_close(force, 0.01 * stiffness[apart, None] * side, atol=1e-9, rtol=1e-9)
    paths = (trials.shown_target != trials.target[:, None]).any(-1).any(-1)
    assert abs(paths.double().mean() - task.paths) < 0.1
    assert trials.field[paths].eq(0).all()


def test_mixture_is_drawn_with_all_conditions():
    task = CursorReach(pairs=300, paths=0.0)
    trials = task.trials(torch.Generator().manual_seed(3))
    assert isinstance(trials, Trials)
    share = (trials.cue[:, 0, 0] == 1).double().mean()
    assert abs(share - task.free) < 0.1  # four standard deviations
    jumped = trials.plant_noise[..., 8:10].abs().sum((1, 2)) > 0
    assert abs(jumped.double().mean() - task.jumps) < 0.1
    assert trials.plant_noise[..., :8].abs().max() == 0
    away = (trials.initial_state[:, 8:10] - task.plant.hand_position(trials.initial_state)).norm(
        dim=1
    )
    assert 0.15 < away.max() <= task.distance_m[1] + 1e-12


def test_what_cannot_be_is_refused():
    with pytest.raises(TypeError, match="must be a CursorArm"):
        replace(TASK, plant=TwoJointArm())
    with pytest.raises(ValueError, match=r"`arrival_s` must lie within the trial of 0\.3 s"):
        TASK.reaches(TASK.home[None], arrival_s=0.5)
    with pytest.raises(ValueError, match="target or displacement"):
        TASK.with_jump(TASK.reaches(TASK.home[None]), "hand", 3, torch.zeros(2))
    with pytest.raises(UnreachableError):
        TASK.reaches(TASK.home[None] + 1.0)


def test_cues_of_the_mixture_lie_in_their_ranges():
    low, high = torch.tensor(list(CursorReach(pairs=1).cue_ranges.values()), dtype=torch.float64).T
    cue = CursorReach(pairs=300, fields=0.5, paths=0.3).trials().cue
    assert cue.shape[2] == len(low)
    assert bool(((low <= cue) & (cue <= high)).all())
