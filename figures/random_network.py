"""Units of a random network through which a limb is controlled: what they know before a movement.

    neuromotor record ilqg --task instructed-delay --set task.reach.directions=16 \
        --set 'task.reach.plant={type="random-network"}' --set task.repeats=1 \
        --set 'task.hold_steps=[40, 40]' --out random-network.nc
    python figures/random_network.py random-network.nc
    python figures/random_network.py --smoke --out /tmp/figures

Prints the numbers of docs/references.md and draws random_network.png beside itself or in `--out`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis import (
    cosine_tuning,
    load_recording,
    recorded_run,
    rotational_dynamics,
)

MOVEMENT_S = 0.3  # from the go cue on
TIMES_S = (-0.3, -0.1, 0.0, 0.1)

Array = NDArray[Any]


def size(values: Array) -> Array:
    """Root mean square over conditions and signals, about the mean condition, (T,)."""
    result: Array = np.sqrt(np.square(values - values.mean(0)).mean((0, 2)))
    return result


def tiny(folder: str) -> Path:
    """Record the same with few units, targets and steps, and return the file."""
    path = Path(folder) / "tiny.nc"
    settings = (
        "task.reach.directions=8",
        "task.reach.steps=60",
        'task.reach.plant={type="random-network", units=10}',
        "task.repeats=1",
        "task.target_step=5",
        "task.hold_steps=[15, 15]",
        "task.reach_steps=30",
    )
    given = [word for text in settings for word in ("--set", text)]
    words = ["record", "ilqg", "--task", "instructed-delay", *given, "--out", str(path)]
    subprocess.run([sys.executable, "-m", "neuromotor", *words], check=True)
    return path


def main() -> None:
    """Print the numbers and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recording", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--smoke", action="store_true", help="record a tiny version first")
    options = parser.parse_args()
    if not (options.recording or options.smoke):
        parser.error("give a recording; the first lines of this file say how to make one")
    with tempfile.TemporaryDirectory() as folder:
        shown(options.recording or [tiny(folder)], options.out)


def shown(recordings: list[Path], out: Path) -> None:
    """Print the numbers of recordings, and draw the last one."""
    for path in recordings:
        recording = load_recording(path)
        go = float(recording["go_time"][0])
        time_s, rates = recording["time"].values - go, recording["rate"].values
        weights = recorded_run(recording)[0].plant.network.exit.numpy()
        torque, angles = rates @ weights.T, np.radians(recording["target_angle"].values)
        chance = size(rates) * np.sqrt((weights**2).sum(1).mean())
        for at in TIMES_S:
            i = int(np.abs(time_s - at).argmin())
            share = np.median(cosine_tuning(angles, rates[:, i], bootstraps=0, shuffles=0).r2)
            print(
                f"{path.name}: {at:+.1f} s: rates {size(rates)[i]:.3f}, cosine {share:.2f}, torque "
                f"{size(torque)[i]:.5f} N m, chance {chance[i]:.4f} N m"
            )
        window = (go, go + MOVEMENT_S)
        found = rotational_dynamics(recording, window_s=window)
        null = np.median(found.nulls["maximum entropy"].skew)
        print(
            f"{path.name}: rotations R2 {found.r2_skew:.2f}, any linear dynamics "
            f"{found.r2_unconstrained:.2f}, surrogates {null:.2f}, p {found.p_skew:.2f}"
        )
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    left.plot(time_s, size(rates), label="rates of the units")
    left.plot(time_s, size(torque), label="torque that they give (N m)")
    left.axvline(0, color="0.7", lw=0.8)
    left.set(xlabel="time from the go cue (s)", ylabel="spread over targets", ylim=(0, 0.19))
    left.legend(frameon=False, fontsize=8, loc="upper left")
    plane = max(range(len(found.plane_variance)), key=lambda k: found.plane_variance[k])
    colors = plt.get_cmap("hsv")(angles / (2 * np.pi))
    for path_, color in zip(found.projections[plane], colors, strict=True):
        right.plot(*path_.T, color=color, lw=1)
        right.plot(*path_[0], "o", color=color, ms=3)
    share = found.plane_variance[plane]
    right.set(title=f"rotation plane, {share:.0%} of the variance", aspect="equal")
    right.set(xticks=[], yticks=[])
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "random_network.png", dpi=150)
    print(f"wrote {out / 'random_network.png'}")


if __name__ == "__main__":
    main()
