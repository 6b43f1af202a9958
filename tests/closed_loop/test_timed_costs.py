"""Trials with a cost and cues of their own: derivatives, and the step at which a cue arrives."""

from dataclasses import dataclass, replace

import pytest
import torch
from cases import PLANTS, generator, noisy, normal, timed, uniform

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQR
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.envs import MotorEnv, MotorVectorEnv
from neuromotor.plants import TwoJointArm
from neuromotor.tasks import CenterOut, QuadraticCost, Trials


@dataclass(frozen=True)
class Weighted:
    """A center-out reach in which other states count at some steps, and none at others."""

    plant: object = TwoJointArm()
    steps: int = 8
    delay_steps: int = 2

    @property
    def cost(self):
        weights = uniform(0.0, 2.0, self.steps + 1, 4, seed=5)
        weights[3] = 0.0
        return QuadraticCost(weights, 0.01)

    def trials(self, *_, **__):
        return CenterOut(plant=self.plant, directions=3, steps=self.steps).trials()


def loop_and_trials(plant="monkey-published", skip_inputs=True, cues=1, shown=False):
    task = Weighted(PLANTS[plant])
    trials = timed(noisy(task.trials(), task.steps), task.steps, cues)
    if shown:
        moved = trials.target[:, None] + normal(3, task.steps, 4, seed=8)
        trials = replace(trials, shown_target=moved)
    net = ContinuousTimeRNN((6, 5), input_size=8 + cues, skip_inputs=skip_inputs)
    assert trials.input_size == net.input_size
    theta = net.initial_parameters(generator(1)) + 0.05 * normal(net.parameter_count, seed=4)
    return ClosedLoop(task, net), (0.05 if plant == "monkey" else 1.0) * theta, trials


def test_losses_are_the_written_sum():
    task = Weighted()
    trials = timed(task.trials(), 8)
    states, commands = normal(3, 9, 4), normal(3, 8, 2, seed=1)
    weights = task.cost.state_weights
    for b, loss in enumerate(task.cost.losses(states, commands, trials)):
        total = 0.0
        for t in range(9):
            for i in range(4):
                error = float(states[b, t, i] - trials.wanted[b, t, i])
                total += 0.5 * float(weights[t, i] * trials.counted[b, t, i]) * error**2
        for t in range(8):
            total += 0.5 * 0.01 * float(commands[b, t, 0] ** 2 + commands[b, t, 1] ** 2)
        assert float(loss) == pytest.approx(total, rel=1e-12)
        residuals = task.cost.residuals(states, commands, trials)[b]
        assert 0.5 * float(residuals.square().sum()) == pytest.approx(total, rel=1e-12)


def test_every_form_of_the_cost_is_the_same_number_with_the_same_derivatives():
    """`QuadraticCost`, the compiled loops and the environments: one and many, in any order."""
    task, net = Weighted(), ContinuousTimeRNN((4,), input_size=9)
    trials = timed(task.trials(), 8)
    theta = net.initial_parameters(generator(2))
    loop = ClosedLoop(task, net)
    run = loop.simulate(theta, trials)
    losses = task.cost.losses(run.states, run.commands, trials)
    value, gradient = loop.objective(trials, fast=True).value_and_gradient(theta)
    assert value == pytest.approx(float(losses.mean()), rel=1e-12)

    at = theta.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(loop.losses(at, trials).mean(), at)
    torch.testing.assert_close(gradient, wanted, rtol=1e-10, atol=1e-13)

    options = {"normalized": False, "command_limit": 100.0}
    many = MotorVectorEnv(3, task, **options)
    many.reset(options={"trials": trials})
    rewards = [many.step(run.commands[:, t].detach().numpy())[1] for t in range(8)]
    torch.testing.assert_close(-torch.tensor(sum(rewards)), losses)
    one = MotorEnv(task=task, **options)
    one.reset(options={"trials": trials.subset(slice(1, 2))})
    total = sum(one.step(run.commands[1, t].detach().numpy())[1] for t in range(8))
    assert -total == pytest.approx(float(losses[1]), rel=1e-10)


CASES = [
    {},
    {"plant": "monkey"},
    {"plant": "point-mass"},
    {"skip_inputs": False},
    {"cues": 3},
    {"shown": True, "cues": 2},
]


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_gradient_and_product_against_finite_differences(case, fast):
    loop, theta, trials = loop_and_trials(**case)
    objective = loop.objective(trials, fast=fast)
    direction = normal(len(theta), seed=3)
    direction /= direction.norm()
    h = 1e-5

    def change(f):  # central differences, fourth order
        near, far = f(h) - f(-h), f(2 * h) - f(-2 * h)
        return (8 * near - far) / (12 * h)

    def residuals(a):
        run = loop.simulate(theta + a * direction, trials)
        errors = (run.states - trials.wanted).square() * trials.counted
        roots = (errors * loop.task.cost.state_weights).sqrt() * (run.states - trials.wanted).sign()
        return torch.cat([roots.flatten(), 0.1 * run.commands.flatten()])

    value, gradient = objective.value_and_gradient(theta)
    assert value == pytest.approx(float(residuals(0.0).square().sum()) / 6, rel=1e-12)
    assert objective.value(theta) == pytest.approx(value, rel=1e-12)
    slope = change(lambda a: float(residuals(a).square().sum()) / 6)
    assert float(gradient @ direction) == pytest.approx(slope, rel=1e-6, abs=1e-9 * value)
    linear = objective.linearize(theta)
    curvature = float(change(residuals).square().sum()) / 3
    assert float(direction @ linear.product(direction)) == pytest.approx(curvature, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_both_paths_give_one_gradient_and_product(case):
    loop, theta, trials = loop_and_trials(**case)
    fast, slow = (loop.objective(trials, fast=fast).linearize(theta) for fast in (True, False))
    vector = normal(len(theta), seed=6)
    torch.testing.assert_close(fast.gradient, slow.gradient, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(
        fast.product(vector, 0.3), slow.product(vector, 0.3), rtol=1e-10, atol=1e-13
    )


@pytest.mark.parametrize("fast", [False, True])
def test_parts_that_say_nothing_change_no_bit(fast):
    """Factors of one and the target at every step are None, without tolerance."""
    loop, _, trials = loop_and_trials()
    net = ContinuousTimeRNN((6, 5))
    loop = ClosedLoop(loop.task, net)
    theta = net.initial_parameters(generator(1))
    plain = replace(trials, cue=None, wanted=None, counted=None)
    same = replace(
        plain,
        wanted=plain.target[:, None].repeat(1, 9, 1),
        counted=torch.ones(3, 9, 4, dtype=torch.float64),
    )
    vector = normal(len(theta))
    one, two = (loop.objective(batch, fast=fast) for batch in (plain, same))
    assert one.value(theta) == two.value(theta)
    linear, again = one.linearize(theta), two.linearize(theta)
    assert torch.equal(linear.gradient, again.gradient)
    assert torch.equal(linear.product(vector, 0.1), again.product(vector, 0.1))
    assert torch.equal(loop.losses(theta, plain), loop.losses(theta, same))
    if fast:
        blocks, others = (part.kronecker_factors(theta, generator(2)) for part in (one, two))
        for block, other in zip(blocks, others, strict=True):
            assert torch.equal(block.rows, other.rows)
            assert torch.equal(block.columns, other.columns)
    best, other = (ILQR(iterations=3).solve(loop.task, batch) for batch in (plain, same))
    assert torch.equal(best.commands, other.commands)
    assert torch.equal(best.losses, other.losses)


@pytest.mark.parametrize("delay", [0, 3])
def test_a_cue_arrives_at_its_very_step(delay):
    """Units that hear the cue alone; feedback's delay is none of it."""
    task = Weighted(delay_steps=delay)
    net = ContinuousTimeRNN((1,), input_size=9)
    theta = torch.zeros(net.parameter_count, dtype=torch.float64)
    weights = net.unpack(theta)
    weights.layers[0].feedforward[0, 8] = 1.0
    weights.output[:] = 0.1
    cue = torch.zeros(3, 8, 1, dtype=torch.float64)
    for trial, step in enumerate((0, 4, 7)):
        cue[trial, step] = 1.0
    trials = replace(task.trials(), cue=cue)
    loop = ClosedLoop(task, net)
    commands = loop.simulate(theta, trials).commands
    expected = 0.1 * torch.tanh(cue).expand(-1, -1, 2)
    torch.testing.assert_close(commands, expected, rtol=1e-12, atol=0)
    mean = float(loop.losses(theta, trials).mean())
    assert loop.objective(trials, fast=True).value(theta) == pytest.approx(mean, rel=1e-12)


def test_a_network_without_an_input_for_the_cue_is_refused():
    loop, _, trials = loop_and_trials()
    net = ContinuousTimeRNN((4,))
    theta = net.initial_parameters(generator(0))
    loop = ClosedLoop(loop.task, net)
    with pytest.raises(ValueError, match=r"has 8 inputs.* are 9 numbers.*`input_size` to 9"):
        loop.simulate(theta, trials)
    with pytest.raises(ValueError, match=r"has 8 inputs"):
        loop.objective(trials)


def test_parts_that_do_not_fit_are_refused():
    trials = timed(Weighted().trials(), 8)
    state = trials.initial_state
    with pytest.raises(ValueError, match="`counted` must be zero or more"):
        replace(trials, counted=-trials.counted)
    with pytest.raises(ValueError, match="`wanted` must have shape"):
        replace(trials, wanted=trials.wanted[:, 1:])  # as many states as steps
    with pytest.raises(ValueError, match="cover the task's 7 steps"):
        ClosedLoop(Weighted(steps=7), ContinuousTimeRNN((4,))).objective(
            Trials(state, trials.target, counted=trials.counted)
        )
