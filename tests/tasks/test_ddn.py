"""The DDN task's draws, against the distributions that it promises."""

import math
from dataclasses import replace

import pytest
import torch
from cases import generator, normal

from neuromotor.closed_loop import ClosedLoop, advance
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.plants import MONKEY, PointMass, TwoJointArm
from neuromotor.tasks import DDN, TASKS

MANY = 20_000  # trials; bounds below are four standard errors of a correct sampler


@pytest.fixture(scope="module")
def many():
    return DDN(pairs=MANY).trials(generator(11))


def test_disturbances_have_the_stated_deviation_and_are_independent(many):
    size = many.load[:, -1]
    assert size.mean(0).abs().max() < 4 * 0.2 / math.sqrt(MANY)
    assert (size.std(dim=0) - 0.2).abs().max() < 4 * 0.2 / math.sqrt(2 * MANY)
    assert abs(float(torch.corrcoef(size.T)[0, 1])) < 4 / math.sqrt(MANY)
    # Normal, not merely of that variance: its fourth moment is three squared variances.
    fourth = (size / 0.2).pow(4).mean(0)
    assert (fourth - 3).abs().max() < 4 * math.sqrt(96 / MANY)


def test_a_disturbance_starts_in_the_first_half_and_stays(many):
    on = (many.load != 0).all(-1)
    onset = on.int().argmax(dim=1)
    assert on[torch.arange(MANY), onset].all()
    assert torch.equal(on, torch.arange(60) >= onset[:, None])
    assert torch.equal(many.load[on], many.load[:, -1:].expand(-1, 60, -1)[on])
    counts = torch.bincount(onset, minlength=30).double()
    assert len(counts) == 30
    expected = MANY / 30
    chi_square = float(((counts - expected).square() / expected).sum())
    assert chi_square < 29 + 4 * math.sqrt(2 * 29)


def test_noise_has_the_stated_deviation_and_is_independent_per_joint_and_step(many):
    xi = many.command_noise
    count = xi.numel()
    assert abs(float(xi.mean())) < 4 * 0.1 / math.sqrt(count)
    assert abs(float(xi.std()) - 0.1) < 4 * 0.1 / math.sqrt(2 * count)
    bound = 4 * 0.01 / math.sqrt(MANY * 60)
    assert abs(float((xi[..., 0] * xi[..., 1]).mean())) < bound
    assert abs(float((xi[:, 1:] * xi[:, :-1]).mean())) < bound


def test_noise_at_the_joints_is_proportional_to_the_command():
    task = DDN(pairs=50, disturbance_nm=0.0)
    trials = task.trials(generator(3))
    state, arm = trials.initial_state, task.plant
    quiet = replace(trials, command_noise=None)
    inertia = arm.inertia_matrix(state)

    def torque_noise(command):  # of the first step, back from the change of velocity
        change = advance(arm, state, command, trials, 0) - advance(arm, state, command, quiet, 0)
        return (inertia @ change[:, 2:, None]).squeeze(-1) / arm.dt_s

    command = normal(50, 2)
    once = torque_noise(command)
    torch.testing.assert_close(once, command * trials.command_noise[:, 0], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(torque_noise(-3 * command), -3 * once, rtol=1e-9, atol=1e-12)
    one_joint = torque_noise(command * torch.tensor([1.0, 0.0]).double())
    assert one_joint[:, 1].abs().max() < 1e-12  # each joint has its own


def test_starts_and_targets_fill_the_workspace(many):
    degrees = torch.rad2deg(torch.cat([many.initial_state, many.target])[:, :2])
    low, high = degrees.min(0).values, degrees.max(0).values
    torch.testing.assert_close(low, torch.tensor([0.0, 40.0]).double(), rtol=0, atol=0.1)
    torch.testing.assert_close(high, torch.tensor([90.0, 130.0]).double(), rtol=0, atol=0.1)
    middle = torch.tensor([45.0, 85.0]).double()
    assert (degrees.mean(0) - middle).abs().max() < 4 * 90 / math.sqrt(12 * 2 * MANY)
    assert not many.initial_state[:, 2:].any()
    assert not many.target[:, 2:].any()


def test_variants_share_their_draws():
    whole = TASKS["ddn"].trials(generator(2))
    robust, delay = (
        TASKS["ddn-robust"].trials(generator(2)),
        TASKS["ddn-delay"].trials(generator(2)),
    )
    assert torch.equal(robust.load, whole.load)
    assert robust.command_noise is None
    assert delay.load is None
    assert delay.command_noise is None
    assert torch.equal(delay.target, whole.target)
    again = TASKS["ddn"].trials(generator(2))
    assert torch.equal(again.load, whole.load)
    assert torch.equal(again.command_noise, whole.command_noise)
    other = TASKS["ddn"].trials(generator(3))
    assert not torch.equal(other.load, whole.load)
    single = TASKS["ddn"].trials(generator(2), dtype=torch.float32)
    assert torch.equal(single.load, whole.load.float())


def test_the_light_arm_gets_a_tenth_of_the_disturbance():
    heavy, light = (DDN(plant=p).trials(generator(1)) for p in (TwoJointArm(), TwoJointArm(MONKEY)))
    torch.testing.assert_close(light.load, 0.1 * heavy.load)
    given = DDN(plant=TwoJointArm(MONKEY), disturbance_nm=0.2).trials(generator(1))
    assert torch.equal(given.load, heavy.load)


@pytest.mark.parametrize(
    ("fraction", "delay", "size"), [(0.0, 0, 0.0), (0.5, 4, 0.1), (1.0, 7, 0.2)]
)
def test_the_curriculum_scales_delay_and_disturbance(fraction, delay, size):
    task = DDN()
    easier = task.at_difficulty(fraction)
    assert easier.delay_steps == delay
    assert easier.disturbance_in_use == pytest.approx(size)
    assert replace(easier, delay_steps=7, disturbance_nm=None) == task
    full, part = task.trials(generator(4)), easier.trials(generator(4))
    assert torch.equal(part.command_noise, full.command_noise)
    if fraction:
        torch.testing.assert_close(part.load, fraction * full.load)
    with pytest.raises(ValueError, match="`fraction` must be"):
        task.at_difficulty(1.5)


def test_the_same_draws_give_the_same_numbers_on_both_paths():
    task = DDN(pairs=5)
    net = ContinuousTimeRNN(layers=(6, 5))
    theta = 0.3 * net.initial_parameters(generator(1))
    loop, direction = ClosedLoop(task, net), normal(net.parameter_count)
    found = []
    for fast in (False, True, True):
        objective = loop.objective(task.trials(generator(8)), fast=fast)
        value, gradient = objective.value_and_gradient(theta)
        product = objective.linearize(theta).product(direction)
        found.append((value, gradient, product))
    slow, fast, again = found
    assert fast[0] == pytest.approx(slow[0], rel=1e-10)
    for i in (1, 2):
        assert (fast[i] - slow[i]).norm() < 1e-10 * slow[i].norm()
        assert torch.equal(fast[i], again[i])
    other = loop.objective(task.trials(generator(9))).value(theta)
    assert other != pytest.approx(fast[0], rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pairs": 0}, "`pairs` must be"),
        ({"shoulder_deg": (50.0, 10.0)}, "`shoulder_deg` must be a lower and an upper"),
        ({"noise": -0.1}, "`noise` must be"),
        ({"disturbance_nm": math.inf}, "`disturbance_nm` must be"),
        ({"steps": 1}, "`steps` must be"),
        ({"plant": PointMass()}, "has no joints"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        DDN(**settings)
