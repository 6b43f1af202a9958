"""PPO of Stable-Baselines3 learns center-out reaching; its learning curve and its ratio to iLQR.

    pip install -c constraints.txt -e '.[rl]'
    python examples/rl_center_out.py --out runs/rl

Trains on the dense reward until the budget of steps is used, measures success (hand within 1 cm of
the target and slower than 5 cm/s at the end) on every target without exploration as it goes, and
then holds the policy against iLQR in the task's own loss.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from neuromotor import CenterOut
from neuromotor.envs import MotorVectorEnv, evaluate_policy
from neuromotor.plotting import STYLE

OBSERVE = ("state", "target", "time")
ARMS, STEPS_A_ROLLOUT = 32, 160


def test_success(model: PPO, arms: VecNormalize, task: CenterOut) -> dict[str, float]:
    """Return how the model does on every target, without exploration."""
    trials = task.trials()
    envs = MotorVectorEnv(len(trials), task, observe=OBSERVE)
    seen, _ = envs.reset(options={"trials": trials})
    for _ in range(task.steps):
        actions, _ = model.predict(arms.normalize_obs(seen), deterministic=True)
        seen, _, _, _, infos = envs.step(actions)
    names = ("is_success", "loss", "target_error_m", "hand_speed_m_s")
    return {name: float(infos[name].mean()) for name in names}


class LearningCurve(BaseCallback):
    """Measures success before every tenth rollout."""

    def __init__(self, task: CenterOut, arms: VecNormalize) -> None:
        """Start the clock."""
        super().__init__()
        self.points: list[dict[str, float]] = []
        self._task, self._arms = task, arms
        self._start = time.perf_counter()
        self._rollouts = 0

    def measure(self) -> None:
        """Add a point to the curve and print it."""
        point = {
            "steps": float(self.num_timesteps),
            "seconds": time.perf_counter() - self._start,
            **test_success(self.model, self._arms, self._task),
        }
        self.points.append(point)
        print(
            f"{point['steps']:9.0f} steps  {point['seconds']:6.0f} s  success "
            f"{point['is_success']:6.1%}  error {100 * point['target_error_m']:.2f} cm  speed "
            f"{100 * point['hand_speed_m_s']:.2f} cm/s  loss {point['loss']:.3g}",
            flush=True,
        )

    def _on_rollout_start(self) -> None:
        if self._rollouts % 10 == 0:
            self.measure()
        self._rollouts += 1

    def _on_step(self) -> bool:
        return True


def draw(points: list[dict[str, float]], path: Path) -> None:
    """Save the learning curve."""
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(3.4, 2.4), layout="constrained")
        ax.plot(
            [point["steps"] / 1e3 for point in points],
            [100 * point["is_success"] for point in points],
            color="#0072B2",
        )
        ax.axhline(90, color="0.6", linewidth=0.8, linestyle="--")
        ax.set(xlabel="steps of the arm (thousands)", ylabel="success (%)", ylim=(-3, 103))
        figure.savefig(path)
        plt.close(figure)


def main() -> None:
    """Train, measure, save."""
    parser = argparse.ArgumentParser(description="PPO on neuromotor/CenterOut-v0")
    parser.add_argument("--steps", type=int, default=500_000, help="steps of the arm in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="a few seconds, to see it run")
    parser.add_argument("--out", type=Path, default=Path("runs/rl"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    steps = ARMS * STEPS_A_ROLLOUT if arguments.smoke else arguments.steps

    task = CenterOut()
    settings = {"task": task, "reward": "dense", "observe": OBSERVE}
    arms = VecNormalize(
        make_vec_env(
            "neuromotor/CenterOut-v0", n_envs=ARMS, seed=arguments.seed, env_kwargs=settings
        )
    )
    model = PPO(
        "MlpPolicy",
        arms,
        n_steps=STEPS_A_ROLLOUT,
        batch_size=512,
        learning_rate=lambda left: 5e-4 * left,
        policy_kwargs={"net_arch": [64, 64], "log_std_init": -1.0},
        seed=arguments.seed,
        device="cpu",
    )
    curve = LearningCurve(task, arms)
    model.learn(steps, callback=curve)
    curve.measure()

    run = evaluate_policy(model, task, task.trials(), name="ppo", observe=OBSERVE)
    print(f"loss {run.performance.loss:.3g}, {run.ratio:.4g} x iLQR")
    arguments.out.mkdir(parents=True, exist_ok=True)
    report = {"seed": arguments.seed, "ratio_to_ilqr": run.ratio, "curve": curve.points}
    (arguments.out / "rl_center_out.json").write_text(json.dumps(report, indent=2) + "\n")
    draw(curve.points, arguments.out / "rl_center_out.png")
    print(f"Curve and numbers: {arguments.out}")


if __name__ == "__main__":
    main()
