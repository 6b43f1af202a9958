"""Target jumps, pushes and force fields: what reaches the controller, and what reaches the hand."""

import math
from dataclasses import replace

import pytest
import torch
from cases import PLANTS, arm_states, generator, noisy, normal

from neuromotor.closed_loop import ClosedLoop, advance, linearize_plant
from neuromotor.control import ILQR
from neuromotor.controllers import CommandTable, ContinuousTimeRNN
from neuromotor.plants import HUMAN, MONKEY, PointMass, TwoJointArm, field_force
from neuromotor.tasks import CenterOut, ForceField, Friction, PulsedReach, TargetJump, with_plant

REACH = CenterOut(directions=3, steps=12, delay_steps=2)
ALL_KINDS = ("field", "catch", "channel")
EXPERIMENTS = {
    "target jump": TargetJump(REACH, jump_step=5),
    "pulse": PulsedReach(REACH, onset_step=4, pulse_steps=3),
    "force field": ForceField(REACH, kinds=ALL_KINDS),
    "friction": Friction(REACH, factors=(0.5, 1.0), onset_step=4),
}
NETWORKS = {
    "two layers": ContinuousTimeRNN(layers=(6, 5)),
    "slow and noisy, no skips": ContinuousTimeRNN(
        layers=(4, 3),
        time_constant_s=0.03,
        private_noise=0.1,
        learn_initial_state=True,
        skip_inputs=False,
    ),
}


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_both_paths_agree(name, network, everything):
    task, net = EXPERIMENTS[name], NETWORKS[network]
    trials = task.trials()
    if everything:
        extra = noisy(trials, 12, units=net.noise_size)
        kept = {name: getattr(trials, name) for name in ("field", "field_on", "shown_target")}
        trials = replace(extra, **kept)
    elif net.noise_size:
        trials = trials.with_unit_noise(net.noise_size, generator(5), steps=12)
    theta = net.initial_parameters(generator(1)) + 0.05 * normal(net.parameter_count, seed=4)
    loop, direction = ClosedLoop(task, net), normal(net.parameter_count, seed=9)
    slow, fast = (loop.objective(trials, fast=fast) for fast in (False, True))
    value, gradient = slow.value_and_gradient(theta)
    got, fast_gradient = fast.value_and_gradient(theta)
    assert got == pytest.approx(value, rel=1e-10)
    assert (fast_gradient - gradient).norm() < 1e-10 * gradient.norm()
    one, two = fast.linearize(theta), slow.linearize(theta)
    for structural in (0.0, 0.5):
        expected = two.product(direction, structural)
        assert (one.product(direction, structural) - expected).norm() < 1e-10 * expected.norm()


def test_the_readouts_kronecker_block_sees_the_shown_target():
    """Its inputs' second moments are those of what a simulation shows, target included."""
    task, net = EXPERIMENTS["target jump"], NETWORKS["two layers"]
    trials, theta = task.trials(), NETWORKS["two layers"].initial_parameters(generator(1))
    loop = ClosedLoop(task, net)
    block = loop.objective(trials).kronecker_factors(theta, generator(2))[0]
    observed = loop.simulate(theta, trials).observations
    seen = torch.cat([observed, trials.shown_target], dim=-1).flatten(0, 1)
    expected = seen.T @ seen / len(seen)
    torch.testing.assert_close(block.columns[:8, :8], expected, rtol=1e-10, atol=1e-12)


def test_a_jump_is_shown_from_its_step_on_and_counts_at_the_end():
    task = TargetJump(CenterOut(directions=8, steps=20), jumps_deg=(-45.0, 0.0, 45.0), jump_step=7)
    trials = task.trials()
    assert len(trials) == 24
    plain = task.reach.trials().target
    for i in range(8):
        for j, jump in enumerate((-1, 0, 1)):
            trial = 3 * i + j
            new = plain[(i + jump) % 8]
            torch.testing.assert_close(trials.target[trial], new, rtol=0, atol=1e-12)
            before, after = trials.shown_target[trial, :7], trials.shown_target[trial, 7:]
            torch.testing.assert_close(before, plain[i].expand(7, 4), rtol=0, atol=1e-12)
            torch.testing.assert_close(after, new.expand(13, 4), rtol=0, atol=1e-12)
    # Two jumps to one place: a controller acts alike until the step at which they differ.
    net = NETWORKS["two layers"]
    states = ClosedLoop(task, net).simulate(net.initial_parameters(generator()), trials).states
    assert torch.equal(states[0, :8], states[2, :8])
    assert not torch.equal(states[0, 8], states[2, 8])


def test_a_push_lasts_as_long_as_it_says_and_comes_from_the_side():
    task = PulsedReach(CenterOut(directions=4, steps=30), onset_step=6, pulse_steps=4)
    trials = task.trials()
    force = trials.hand_force
    on = (force != 0).any(-1)
    assert on.sum(1).tolist() == [4, 0, 4] * 4
    assert on[0].nonzero().flatten().tolist() == [6, 7, 8, 9]
    hand = task.plant.hand_position
    reach = hand(trials.target) - hand(trials.initial_state)
    assert (force[:, 6] * reach).sum(-1).abs().max() < 1e-12
    turned = reach[:, 0] * force[:, 6, 1] - reach[:, 1] * force[:, 6, 0]
    assert torch.sign(turned).tolist() == [-1, 0, 1] * 4
    for plant, size in ((TwoJointArm(MONKEY), 0.1), (TwoJointArm(HUMAN), 1.0)):
        pushed = with_plant(task, plant).trials().hand_force
        assert float(pushed.norm(dim=-1).max()) == pytest.approx(size)


@pytest.mark.parametrize("plant", PLANTS)
def test_a_curl_field_does_no_work(plant):
    plant, state = PLANTS[plant], arm_states(200)
    field = ForceField(REACH, kinds=("field",)).trials().field[0]
    force, velocity = field_force(plant, state, field), plant.hand_velocity(state)
    assert ((force * velocity).sum(-1).abs() <= 1e-12 * (1 + velocity.norm(dim=-1) ** 2)).all()
    torch.testing.assert_close(force.norm(dim=-1), 5.0 * velocity.norm(dim=-1))
    left = velocity[:, 0] * force[:, 1] - velocity[:, 1] * force[:, 0]
    assert (left > 0).all()


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("plant", ["monkey-published", "viscous", "point-mass"])
def test_the_steps_derivative_against_finite_differences(plant, kind):
    task = with_plant(ForceField(REACH, kinds=(kind,)), PLANTS[plant])
    trials = task.trials()
    states, commands = arm_states(3)[:, None].repeat(1, 12, 1), normal(3, 12, 2)
    jacobians = linearize_plant(task.plant, trials, states, commands)
    h = 1e-5
    for column in range(6):
        step = torch.zeros(6, dtype=torch.float64)
        step[column] = h

        def moved(scale, step=step):
            return advance(
                task.plant, states[:, 0] + scale * step[:4], commands[:, 0] + scale * step[4:],
                trials, 0,
            )  # fmt: skip

        slope = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * h)
        got = jacobians[:, 0, :, column]
        torch.testing.assert_close(got, slope, rtol=1e-6, atol=1e-7)


def test_fields_catch_trials_and_channels_take_turns():
    task = ForceField(CenterOut(directions=8), kinds=("field", "catch", "channel", "field"))
    trials = task.trials()
    assert len(trials) == 32
    assert task.trials_of("catch", trials.condition).tolist() == list(range(1, 32, 4))
    assert not task.trials_of("catch", trials.field).any()
    assert len(task.trials_of("field", trials.field)) == 16
    # A channel leaves motion along the straight line alone, and resists what is across it.
    walls, plant = task.trials_of("channel", trials.field), task.plant
    start = plant.hand_position(trials.initial_state[0])
    angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
    along = torch.stack([torch.cos(angle), torch.sin(angle)], dim=-1)
    across = torch.stack([-torch.sin(angle), torch.cos(angle)], dim=-1)

    def force(offset, velocity):
        inputs = torch.cat([torch.ones(8, 1).double(), start + offset, velocity], dim=-1)
        return (walls @ inputs.unsqueeze(-1)).squeeze(-1)

    assert force(0.03 * along, 0.2 * along).abs().max() < 1e-12
    torch.testing.assert_close(force(0.001 * across, 0 * across), -0.5 * across)
    torch.testing.assert_close(force(0 * across, 0.1 * across), -1.5 * across)


@pytest.mark.parametrize("plant", [TwoJointArm(), TwoJointArm(MONKEY), TwoJointArm(HUMAN)])
def test_commands_that_cancel_the_field_press_against_a_channel_with_its_force(plant):
    """Adaptation by construction: torques that cancel the field on the way, added or not."""
    reach = CenterOut(plant=plant, directions=4, steps=60)
    catch, channel = (ForceField(reach, kinds=(kind,)) for kind in ("catch", "channel"))
    solution = ILQR().solve(catch, catch.trials())
    field = ForceField(reach, kinds=("field",)).trials().field[0]
    on_the_way = solution.states[:, :-1]
    cancel = -plant.joint_torque(on_the_way, field_force(plant, on_the_way, field))
    loop = ClosedLoop(channel, CommandTable(trials=4, steps=60))
    index = []
    for commands in (solution.commands, solution.commands + cancel):
        states = loop.simulate(commands.flatten(), channel.trials()).states
        index.append(channel.adaptation(channel.trials(), states))
        hand = plant.hand_position(states) - plant.hand_position(states[:, :1])
        side = hand[:, :, 1] * reach.angles.cos()[:, None]
        side = side - hand[:, :, 0] * reach.angles.sin()[:, None]
        assert side.abs().max() < 0.004  # the walls hold, and do not ring
    before, after = index
    # Not exact: the walls give way, within c / k = 30 ms, and a path that does is another one.
    torch.testing.assert_close(after - before, torch.ones_like(after), rtol=0, atol=0.15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TargetJump(jumps_deg=()), "`jumps_deg` must hold at least one"),
        (lambda: TargetJump(jump_step=60), "`jump_step` must be below the 60 steps"),
        (lambda: PulsedReach(pulse_steps=0), "`pulse_steps` must be"),
        (lambda: PulsedReach(force_n=-1.0), "`force_n` must be"),
        (lambda: PulsedReach(pushes=()), "`pushes` must hold at least one"),
        (lambda: ForceField(kinds=("curl",)), "unknown kind of trial 'curl'"),
        (lambda: ForceField(kinds=()), "`kinds` must name at least one"),
        (lambda: ForceField(stiffness_n_m=-1.0), "`stiffness_n_m` must be"),
        (
            lambda: ForceField().adaptation(CenterOut().trials(), torch.zeros(64, 2, 4)),
            "`trials` must be of this task, with a field and 40 of them, got 64 without",
        ),
    ],
)
def test_bad_settings_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_experiments_run_on_a_point_mass():
    for task in EXPERIMENTS.values():
        placed = with_plant(task, PointMass())
        assert placed.plant == PointMass()
        assert ILQR().solve(placed, placed.trials()).converged
