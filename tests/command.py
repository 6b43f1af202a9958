"""The installed command, run in a process of its own as a user would."""

import subprocess
import sys
from pathlib import Path

COMMAND = str(Path(sys.executable).parent / "neuromotor")


def neuromotor(*arguments, cwd=None):
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False
    )
