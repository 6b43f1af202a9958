"""Many trainings from one file: what to run, where, and what came of it."""

from neuromotor.sweep.launchers import Launcher, Local, Slurm, Watcher
from neuromotor.sweep.plan import Run, Sweep, load_sweep
from neuromotor.sweep.results import columns, rows, write_results
from neuromotor.sweep.runs import Outcome, execute, prepare, state_of

__all__ = [
    "Launcher",
    "Local",
    "Outcome",
    "Run",
    "Slurm",
    "Sweep",
    "Watcher",
    "columns",
    "execute",
    "load_sweep",
    "prepare",
    "rows",
    "state_of",
    "write_results",
]
