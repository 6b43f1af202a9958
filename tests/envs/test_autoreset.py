"""A policy with memory over two trials: the loop of docs/environments.md in each autoreset mode."""

import numpy as np
import pytest

from neuromotor.envs import ControllerPolicy, MotorVectorEnv

ARMS = 8


def second_losses(mode, begins):
    """Losses of a trained network in the second trial of each arm.

    `begins` is given which arms ended in the step before the last and in the last one, and returns
    which begin a trial with the observation at hand.
    """
    envs = MotorVectorEnv(ARMS, "center-out", autoreset_mode=mode, dtype="float64")
    policy = ControllerPolicy.from_file("center-out/lbfgs", envs.options)
    seen, _ = envs.reset(seed=0)
    memory, start, ended = None, np.ones(ARMS, dtype=bool), np.zeros(ARMS, dtype=bool)
    losses = []
    while len(losses) < 2:
        actions, memory = policy.predict(seen, memory, episode_start=start)
        ended_before = ended
        seen, _, terminated, truncated, infos = envs.step(actions)
        ended = terminated | truncated
        if ended.any():
            losses.append(infos.get("final_info", infos)["loss"])
        if mode == "Disabled" and ended.any():
            seen, _ = envs.reset(options={"reset_mask": ended})
        start = begins(ended_before, ended)
    return losses[1]


def right(mode):
    """Which observation begins a trial: under NextStep that of the step after the end."""
    return lambda before, now: before if mode == "NextStep" else now


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_the_right_loop_keeps_the_loss_and_wrong_ones_lose_it(mode):
    kept = second_losses(mode, right(mode))
    assert kept.max() < 1e-3  # the network's mean on all 64 reaches is 9.5e-5
    other = "SameStep" if mode == "NextStep" else "NextStep"
    for wrong in (right(other), lambda before, now: np.zeros(ARMS, dtype=bool)):
        assert second_losses(mode, wrong).mean() > 20 * kept.mean()
