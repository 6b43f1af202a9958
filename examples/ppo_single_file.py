"""PPO in one file, without a library of reinforcement learning; its loss in ratio to iLQR's.

    python examples/ppo_single_file.py

Proximal policy optimization (Schulman et al. 2017) on 256 arms that are stepped by one call, with
the shaped reward. `neuromotor rl` does the same with checkpoints, seeds and figures.
"""

from __future__ import annotations

import argparse
import math
import time

import gymnasium
import torch
from torch import nn

import neuromotor as nm
from neuromotor.envs import evaluate_policy

OPTIONS = {
    "reward": "shaped",
    "reward_unit": "task",
    "standardized": True,
    "command_limit": 0.55,  # N m
}


class Agent(nn.Module):
    """An actor and a critic of two layers each."""

    def __init__(self, inputs: int, actions: int) -> None:
        """Make both; the actor's first actions are near zero."""
        super().__init__()
        self.actor, self.critic = layers(inputs, actions), layers(inputs, 1)
        with torch.no_grad():
            self.actor[-1].weight.mul_(0.01)

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        """Return the mean actions, as `evaluate_policy` asks for them."""
        with torch.no_grad():
            return self.actor(torch.as_tensor(observation, dtype=torch.float32)).numpy(), state


def layers(inputs: int, outputs: int) -> nn.Sequential:
    """Return two hidden layers of 64 tanh units."""
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs)
    )


def main() -> None:
    """Learn center-out reaching."""
    parser = argparse.ArgumentParser(description="PPO on neuromotor/CenterOut-v0, in one file")
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--arms", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    torch.set_num_threads(1)
    task = nm.CenterOut()
    trials = task.trials()
    best = nm.ILQR().solve(task, trials).value
    envs = gymnasium.make_vec(
        "neuromotor/CenterOut-v0",
        num_envs=given.arms,
        task=task,
        arrays="torch",
        autoreset_mode="SameStep",
        **OPTIONS,
    )
    agent = Agent(envs.single_observation_space.shape[0], envs.single_action_space.shape[0])
    adam = torch.optim.Adam(agent.parameters(), lr=1e-3, eps=1e-5)
    seen, _ = envs.reset(seed=given.seed)
    size, begun, count = 1.0, time.perf_counter(), 0
    for update in range(given.updates):
        share = update / given.updates
        noise = 0.22 * (0.01 / 0.22) ** share  # of actions: it falls geometrically
        for group in adam.param_groups:
            group["lr"] = 1e-3 * (1 - 0.95 * share)
        # One trial of each arm; the time at which it ends is known, so all end together.
        steps = []
        for _ in range(task.steps):
            with torch.no_grad():
                mean, value = agent.actor(seen), agent.critic(seen)[:, 0]
            action = mean + noise * torch.randn_like(mean)
            after, reward, ended, _, _ = envs.step(action)
            steps.append((seen.clone(), action, mean, value, reward.float(), ended.clone()))
            seen = after
        states, actions, means, values, rewards, ends = map(torch.stack, zip(*steps, strict=True))
        # Rewards in units of the standard deviation of returns, which a running mean holds.
        returns = rewards.flip(0).cumsum(0).flip(0)
        count += 1
        size += (float(returns.std()) - size) / min(count, 20)
        rewards = rewards / size
        # Generalised advantages (Schulman et al. 2016), lambda 0.9; nothing follows an end.
        advantages, following = torch.zeros_like(rewards), torch.zeros(given.arms)
        next_value = torch.zeros(given.arms)
        for t in reversed(range(task.steps)):
            goes_on = (~ends[t]).float()
            delta = rewards[t] + goes_on * next_value - values[t]
            following = delta + 0.9 * goes_on * following
            advantages[t], next_value = following, values[t]
        aims = (advantages + values).flatten()
        flat = [x.flatten(0, 1) for x in (states, actions, means)]
        advantages = advantages.flatten()
        for _ in range(10):
            for part in torch.randperm(len(aims)).chunk(5):
                seen_then, action, mean = (x[part] for x in flat)
                gain = advantages[part]
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                off, was = action - agent.actor(seen_then), action - mean
                ratio = ((was.square() - off.square()).sum(1) / (2 * noise**2)).exp()
                clipped = ratio.clamp(0.8, 1.2)
                policy_loss = -torch.minimum(ratio * gain, clipped * gain).mean()
                value_loss = (agent.critic(seen_then)[:, 0] - aims[part]).square().mean()
                adam.zero_grad()
                (policy_loss + 0.5 * value_loss).backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                adam.step()
        if (update + 1) % max(1, given.updates // 20) == 0:
            run = evaluate_policy(agent, task, trials, reference_loss=best, **OPTIONS)
            done = (update + 1) * given.arms * task.steps
            print(
                f"{done} steps, {time.perf_counter() - begun:.0f} s: {run.ratio:.4g} x iLQR",
                flush=True,
            )
    assert math.isfinite(run.ratio)


if __name__ == "__main__":
    main()
