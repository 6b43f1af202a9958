"""Center-out reaching: hand paths, one reach, and loss against calls, all against iLQR.

    python figures/center_out.py                      # trains anew: about three minutes
    python figures/center_out.py --run runs/compare-center-out-...  # draws a finished run
    python figures/center_out.py --smoke --out /tmp/figures

Writes center_out_hand_paths.png, center_out_reach.png and center_out_convergence.png beside itself,
or into `--out`.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("hand_paths", "reach", "convergence")


def main() -> None:
    """Train or take a run, and copy its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="run folder of `neuromotor compare center-out`")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--smoke", action="store_true", help="a tiny version, within a minute")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        run = arguments.run
        if run is None:
            run = Path(scratch) / "run"
            command = [sys.executable, "-m", "neuromotor", "compare", "center-out", "--out", run]
            subprocess.run([*command, *(["--smoke"] if arguments.smoke else [])], check=True)
        for name in NAMES:
            shutil.copyfile(
                run / "figures" / f"{name}.png", arguments.out / f"center_out_{name}.png"
            )


if __name__ == "__main__":
    main()
