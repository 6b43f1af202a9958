"""The differentiable mode: the environment's numbers, and gradients that differences confirm."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import noisy, normal, timed

from neuromotor import RK4, CenterOut, ClosedLoop, ContinuousTimeRNN, PointMass, TwoJointArm
from neuromotor.envs import MotorVectorEnv, rollout

TASK = CenterOut(directions=5, steps=12, delay_steps=3)
OPTIONS = {"observe": ("state", "hand", "time", "command", "target"), "dtype": "float64"}
SIZE = 4 + 4 + 1 + 2 + 4


def messy(task):
    """Every kind of load and noise that trials have."""
    trials = noisy(task.trials(), 12)
    shown = trials.target[:, None] + 0.1 * normal(5, 12, 4, seed=3)
    return replace(trials, field=0.5 * normal(5, 2, 5, seed=2), shown_target=shown)


def linear(weights):
    return lambda seen: seen @ weights


@pytest.mark.parametrize("own_times", [False, True])
@pytest.mark.parametrize("reward", ["loss", "dense"])
@pytest.mark.parametrize(
    "plant", [TwoJointArm(), TwoJointArm(integrator=RK4()), PointMass()], ids=["arm", "rk4", "mass"]
)
def test_the_numbers_are_the_environments(plant, reward, own_times):
    task = CenterOut(plant=plant, directions=5, steps=12, delay_steps=3)
    trials, options = messy(task), OPTIONS
    if own_times:
        trials = timed(trials, 12)
        options = {**OPTIONS, "observe": (*OPTIONS["observe"], "cue")}
    weights = 0.2 * normal(SIZE + own_times, 2)
    run = rollout(linear(weights), task, trials, reward=reward, **options)
    envs = MotorVectorEnv(5, task, reward=reward, **options)
    seen, _ = envs.reset(options={"trials": trials})
    for t in range(12):
        np.testing.assert_allclose(run.observations[:, t], seen, rtol=1e-9, atol=1e-12)
        seen, rewards, *_ = envs.step(seen @ weights.numpy())
        np.testing.assert_allclose(run.rewards[:, t], rewards, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(run.states[:, -1], envs.states, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("reward", ["loss", "dense"])
def test_the_gradient_is_that_of_differences(reward):
    trials = noisy(TASK.trials(), 12)
    weights = (0.05 * normal(SIZE, 2)).requires_grad_(True)

    def total(w):
        return rollout(linear(w), TASK, trials, reward=reward, **OPTIONS).returns.mean()

    (gradient,) = torch.autograd.grad(total(weights), weights)
    direction = normal(SIZE, 2, seed=1)
    with torch.no_grad():
        step = 1e-6
        difference = total(weights + step * direction) - total(weights - step * direction)
    assert float((gradient * direction).sum()) == pytest.approx(
        float(difference) / (2 * step), rel=1e-6
    )


def test_a_network_has_the_closed_loops_loss_and_gradient():
    net = ContinuousTimeRNN(layers=(6,))
    theta = (0.3 * net.initial_parameters(torch.Generator().manual_seed(0))).requires_grad_(True)
    trials = noisy(TASK.trials(), 12)
    weights = net.unpack(theta)
    memory = net.initial_memory(weights, 5)

    def policy(seen):
        nonlocal memory
        memory, command = net.step(weights, memory, seen[:, :4], seen[:, 4:8], 0, None)
        return command

    run = rollout(policy, TASK, trials, normalized=False, dtype="float64")
    (gradient,) = torch.autograd.grad(-run.returns.mean(), theta)
    value, expected = ClosedLoop(TASK, net).objective(trials).value_and_gradient(theta.detach())
    assert -float(run.returns.mean().detach()) == pytest.approx(value, rel=1e-10)
    torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-14)


def test_an_arm_at_rest_has_a_finite_gradient():
    weights = torch.zeros(9, 2, dtype=torch.float64, requires_grad=True)
    run = rollout(linear(weights), TASK, TASK.trials(), reward="dense")
    (gradient,) = torch.autograd.grad(run.returns.mean(), weights)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_what_does_not_fit_is_refused():
    trials = TASK.trials()
    with pytest.raises(ValueError, match="`goal` must be False"):
        rollout(linear(torch.zeros(8, 2)), TASK, trials, goal=True)
    with pytest.raises(ValueError, match=r"actions of shape \(5, 2\)"):
        rollout(lambda seen: seen, TASK, trials)
