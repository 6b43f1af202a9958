"""Reference controllers under delay, random load and signal-dependent noise: table and figure.

    python figures/references.py                 # about a minute
    python figures/references.py --iterations    # how many iLQR iterations online planning needs
    python figures/references.py --smoke --out /tmp/figures

Prints the table of docs/references.md and writes references.png beside itself, or into `--out`.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from neuromotor import CenterOut, ClosedLoop
from neuromotor.control import ILQR, OnlineTrajectoryOptimization, Uncertainty
from neuromotor.evaluation.references import Reference, reference_trajectories
from neuromotor.tasks import Trials

CHANCE = Uncertainty(command_noise=0.1, load=0.2, onset_steps=(0, 29))
DIRECTIONS = 16
LIMIT = 1.0  # N m, for the online planner that is held back
LABELS = {
    "ilqr": "clairvoyant iLQR",
    "ilqg": "ILQG",
    "online-predictive": "online, predictive",
    "online": "online",
    f"online, at most {LIMIT:g} N m": f"online, at most {LIMIT:g} N m",
    "open-loop": "iLQR open loop",
}


def disturbed(task: CenterOut, count: int, seed: int) -> Trials:
    """Reaches to all targets in turn, with a load from a random step on and noise."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    trials = task.trials().subset(torch.arange(count) % task.directions)
    first, last = CHANCE.onset_steps
    onset = torch.randint(first, last + 1, (count, 1, 1), generator=generator)
    active = torch.arange(task.steps).view(1, -1, 1) >= onset
    return replace(
        trials,
        load=CHANCE.load * normal(count, 1, 2) * active,
        command_noise=CHANCE.command_noise * normal(count, task.steps, 2),
    )


def run(task: CenterOut, trials: Trials) -> dict[str, Reference]:
    """Every reference, and the online planner once more with limited commands."""
    found = reference_trajectories(
        task,
        trials,
        ("ilqr", "ilqg", "online-predictive", "online", "open-loop"),
        uncertainty=CHANCE,
    )
    held = reference_trajectories(task, trials, ["online"], command_limit=LIMIT)
    found[f"online, at most {LIMIT:g} N m"] = held["online"]
    return {name: found[name] for name in LABELS}


def print_table(task: CenterOut, trials: Trials, found: dict[str, Reference]) -> None:
    """Mean loss with its bootstrap interval, median, ratio, hand error, seconds; in markdown."""
    generator = torch.Generator().manual_seed(1)
    draws = torch.randint(len(trials), (10_000, len(trials)), generator=generator)
    goal = task.plant.hand_position(trials.target)
    floor = float(found["ilqr"].losses.mean())
    print("| reference | loss | 95 % | median | mean / clairvoyant | end error (cm) | seconds |")
    print("|---|---|---|---|---|---|---|")
    for name, reference in found.items():
        losses = reference.losses
        spread = losses[draws].mean(dim=1).quantile(torch.tensor([0.025, 0.975]).double())
        error = task.plant.hand_position(reference.trajectory.states[:, -1]) - goal
        print(
            f"| {LABELS[name]} | {losses.mean():.3g} | {spread[0]:.3g} to {spread[1]:.3g} "
            f"| {losses.median():.3g} | {float(losses.mean()) / floor:.3g} "
            f"| {100 * float(error.norm(dim=-1).mean()):.3g} | {reference.seconds:.1f} |"
        )
    predicted = found["ilqg"].predicted_losses
    if predicted is not None:
        print(f"\nILQG's design expects {predicted.mean():.3g}.")


def print_iterations(task: CenterOut, trials: Trials) -> None:
    """What online planning comes to with 1, 2, ... iLQR iterations a step."""
    empty = trials.initial_state.new_zeros(0)
    settings = {"as seen": {}, "predictive": {"predictive": True}}
    print("| planner | iterations | loss | largest difference of a command (N m) | seconds |")
    print("|---|---|---|---|---|")
    for label, options in settings.items():
        best = None
        for iterations in (20, 3, 2, 1):
            planner = OnlineTrajectoryOptimization(task, iterations=iterations, **options)
            start = time.perf_counter()
            trajectory = ClosedLoop(task, planner).simulate(empty, trials)
            seconds = time.perf_counter() - start
            losses = task.cost.losses(trajectory.states, trajectory.commands, trials)
            best = trajectory if best is None else best
            change = float((trajectory.commands - best.commands).abs().max())
            print(
                f"| {label} | {iterations} | {losses.mean():.6g} | {change:.2g} | {seconds:.1f} |"
            )


def draw(task: CenterOut, trials: Trials, found: dict[str, Reference], path: Path) -> None:
    """Hand paths of one trial a target, and distance from the undisturbed optimum over time."""
    import matplotlib.pyplot as plt

    from neuromotor.plotting import COLORS, REFERENCE_COLOR, STYLE

    plant = task.plant
    calm = ILQR().solve(task, Trials(trials.initial_state, trials.target)).states
    planned = 100 * plant.hand_position(calm)
    center = planned[0, 0]
    shown = ("ilqg", "online-predictive", "online", "open-loop")
    colors = dict(zip(("ilqr", *shown), (REFERENCE_COLOR, *COLORS), strict=False))
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(7.2, 4.6), layout="constrained")
        grid = figure.add_gridspec(2, len(shown))
        axes = [figure.add_subplot(grid[0, i]) for i in range(len(shown))]
        for ax, name in zip(axes, shown, strict=False):
            hand = 100 * plant.hand_position(found[name].trajectory.states)
            for trial in range(0, task.directions, 2):
                ax.plot(*(planned[trial] - center).T, color=REFERENCE_COLOR, lw=0.6)
                ax.plot(*(hand[trial] - center).T, color=colors[name], lw=0.9)
                ax.plot(*(planned[trial, -1] - center), "o", color="black", ms=2)
            ax.set(title=LABELS[name], xlim=(-10, 10), ylim=(-10, 10), aspect="equal")
            ax.set_xlabel("x from centre (cm)")
        axes[0].set_ylabel("y from centre (cm)")
        time_s = plant.dt_s * torch.arange(task.steps + 1)
        ax = figure.add_subplot(grid[1, :])
        for name, color in colors.items():
            hand = 100 * plant.hand_position(found[name].trajectory.states)
            away = (hand - planned).norm(dim=-1).clamp(min=1e-4)
            middle = away.median(dim=0).values
            low, high = away.quantile(torch.tensor([0.1, 0.9]).double(), dim=0)
            ax.plot(time_s[1:], middle[1:], color=color, label=LABELS[name])
            ax.fill_between(time_s[1:], low[1:], high[1:], color=color, alpha=0.15, lw=0)
        ax.set(yscale="log", ylim=(1e-3, 100), xlabel="time (s)")
        ax.set_ylabel("hand's distance from its\nundisturbed optimum (cm)")
        ax.set_title(f"median and 10 to 90 % of {len(trials)} trials")
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=5)
        figure.savefig(path)
        plt.close(figure)


def main() -> None:
    """Run the references, print their table and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", action="store_true", help="table of iterations instead")
    parser.add_argument("--smoke", action="store_true", help="a tiny version, within a minute")
    arguments = parser.parse_args()
    # Horizon, delay and energy weight of Sutskever's (2013) DDN task, on center-out's targets.
    task = CenterOut(directions=DIRECTIONS, steps=60, delay_steps=7, energy_weight=1e-4)
    count = DIRECTIONS if arguments.smoke else arguments.trials
    trials = disturbed(task, count, arguments.seed)
    if arguments.iterations:
        print_iterations(task, trials)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = run(task, trials)
    print_table(task, trials, found)
    draw(task, trials, found, arguments.out / "references.png")


if __name__ == "__main__":
    main()
