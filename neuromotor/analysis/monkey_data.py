"""Monkeys' public data as this package reads them; nothing of these data comes with it.

**Posture** (Kalidindi et al. 2021): loads on an arm that holds a posture. Each file is a MATLAB
file with one structure a load, as jPCA takes it: `A` (time, signal) and `times` (ms). Cortex and
muscles cover 300 ms from 70 ms after the load, joints 1.1 s from the load on. A ninth structure of
the joints, without a load, is left out. The files do not name the loads. We read them as 0, 45, and
so on to 315 degrees in the plane of shoulder and elbow torque: so the joints begin to move.

**Reaching muscles** (Liang et al. 2023): `EMG.mat` has the EMG of 13 arm muscles in centre-out
reaches, `all_EMG` (muscle, ms, direction). The file names neither muscles nor directions; that the
eight directions follow each other by 45 degrees is our reading, with which cosines explain most of
what muscles do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.pooling import pool_sessions
from neuromotor.analysis.rotations import Rotations, rotational_dynamics
from neuromotor.analysis.sessions import FileNames, ImportOptions, from_mat
from neuromotor.analysis.sessions.trees import read_tree
from neuromotor.analysis.tuning import Tuning, cosine_tuning

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "PostureAnswer",
    "posture_answers",
    "posture_recordings",
    "posture_rotations",
    "reach_muscle_tuning",
]

_STRUCTS = FileNames(trials="Data_struct", time="times")
_OPTIONS = ImportOptions(
    conditions=("trial",), units={"time": "ms"}, find_onset=False, names=_STRUCTS
)
_UNITS = replace(
    _OPTIONS,
    units={"time": "ms", "rate": "spikes/s"},
    names=replace(_STRUCTS, rates="A"),
)
_MUSCLES = replace(
    _OPTIONS,
    units={"time": "ms", "command": "1"},
    behaviour={"command": "signals"},
    names=replace(_STRUCTS, series={"signals": "A"}),
)
_JOINTS = replace(
    _OPTIONS,
    units={"time": "ms", "joint_position": "rad", "joint_velocity": "rad/s"},
    behaviour={"joint_position": "signals[0,1]", "joint_velocity": "signals[2,3]"},
    select="trial < 8",
    window_s=(0.0, 0.29),  # the 30 samples that the paper's own analysis takes
    names=replace(_STRUCTS, series={"signals": "A"}),
)
_KINDS = {
    "motor_cortex": ("motor cortex", _UNITS),
    "area5": ("area 5", _UNITS),
    "emg": ("muscles", _MUSCLES),
    "joints": ("kinematics", _JOINTS),
}
_JOINT_STATE = ("joint_position", "joint_velocity")


def posture_recordings(folder: Path | str) -> dict[str, xr.Dataset]:
    """Return the recordings in a folder by name, such as `motor cortex P` or `muscles X`.

    Units of motor cortex have rates in spikes/s; muscles are `command`, without a unit; kinematics
    are joint angles and velocities. Times count from the first sample. Where there are several
    monkeys, `motor cortex, all` has the neurons of all of them.

    Args:
        folder: Holds `motor_cortex_P.mat`, `area5_P.mat`, `emg_P.mat`, `joints_P.mat` and the same
            of other monkeys, itself or in folders within.

    Raises:
        RecordingError: The folder holds none of these files, or one is damaged.
    """
    found: dict[str, xr.Dataset] = {}
    for kind, monkey, path in _files(Path(folder)):
        words, options = _KINDS[kind]
        found[f"{words} {monkey}"] = from_mat(path, options)
    if not found:
        raise RecordingError(
            f"`folder` must hold files such as motor_cortex_P.mat, of {', '.join(_KINDS)}; "
            f"{folder} holds none."
        )
    cortex = {name: own for name, own in found.items() if name.startswith("motor cortex")}
    if len(cortex) > 1:
        found["motor cortex, all"] = pool_sessions(list(cortex.values()), list(cortex))
    return found


def posture_rotations(
    folder: Path | str, *, surrogates: int = 50, seed: int = 0
) -> dict[str, Rotations]:
    """Return jPCA of every recording in the folder, with the settings of the published numbers.

    Six components of neurons and of muscles, four of kinematics: so many give the published R^2 of
    single monkeys. States are those at the start of each difference.

    Args:
        folder: As in `posture_recordings`.
        surrogates: Surrogates of each null.
        seed: Random seed of the surrogates.

    Raises:
        RecordingError: The folder holds none of the files, or one is damaged.
    """
    found = {}
    for name, recording in posture_recordings(folder).items():
        variable: str | tuple[str, ...] = "rate"
        components = 6
        if name.startswith("muscles"):
            variable = "command"
        elif name.startswith("kinematics"):
            variable, components = _JOINT_STATE, 4
        found[name] = rotational_dynamics(
            recording, variable, components=components, surrogates=surrogates, seed=seed
        )
    return found


@dataclass(frozen=True)
class PostureAnswer:
    """How one monkey's joints and muscles answer the loads.

    Attributes:
        joints: Angles (rad) of shoulder and elbow from the load on, (loads, T, 2); None without
            such a file.
        step_s: Step between two times of `joints` (s).
        muscles: Names of the muscles.
        activity: Mean activity of each muscle from 70 to 370 ms after each load, (loads, muscles).
    """

    joints: NDArray[np.float64] | None
    step_s: float
    muscles: tuple[str, ...]
    activity: NDArray[np.float64]


def posture_answers(folder: Path | str) -> dict[str, PostureAnswer]:
    """Return how each monkey's joints and muscles answer the loads, by the monkey's name.

    Args:
        folder: As in `posture_recordings`.

    Raises:
        RecordingError: A file is damaged.
    """
    joints: dict[str, xr.Dataset] = {}
    muscles: dict[str, tuple[tuple[str, ...], xr.Dataset]] = {}
    for kind, monkey, path in _files(Path(folder)):
        if kind == "joints":
            joints[monkey] = from_mat(path, replace(_JOINTS, window_s=None))
        if kind == "emg":
            first = read_tree(path)["Data_struct"][0]
            names = tuple(str(one).strip() for one in first.get("Muscle_Group", ()))
            muscles[monkey] = names, from_mat(path, _MUSCLES)
    found = {}
    for monkey in sorted({*joints, *muscles}):
        names, active = muscles.get(monkey, ((), None))
        moved = joints.get(monkey)
        time = None if moved is None else moved["time"].values
        found[monkey] = PostureAnswer(
            joints=None if moved is None else np.asarray(moved["joint_position"], np.float64),
            step_s=float("nan") if time is None else float(time[1] - time[0]),
            muscles=names,
            activity=np.zeros((0, 0))
            if active is None
            else np.asarray(active["command"].mean("time"), np.float64),
        )
    return found


def reach_muscle_tuning(
    path: Path | str,
    *,
    window_s: tuple[float, float] = (0.6, 1.2),
    directions_deg: Sequence[float] | None = None,
    shuffles: int = 500,
    seed: int = 0,
) -> Tuning:
    """Return the preferred directions of a monkey's arm muscles in reaching.

    Hold them against those of a model's muscles, `preferred_directions(recording, "hand",
    "actuator_activation")`.

    Args:
        path: `EMG.mat`.
        window_s: First and last time (s) from the first sample; by default the first 0.6 s in which
            muscles are active.
        directions_deg: Direction of each condition; by default 0, 45, ..., 315 degrees.
        shuffles: Permutations of directions for p.
        seed: Random seed of these.

    Raises:
        RecordingError: The file does not hold these data, or the window misses them.
        ValueError: There are not as many directions as conditions.
    """
    tree = read_tree(Path(path))
    values = np.asarray(tree.get("all_EMG", np.zeros(0)))
    if values.ndim != 3 or values.dtype.kind != "f":
        raise RecordingError(
            f"`path` must be a file with `all_EMG` (muscle, ms, direction), {Path(path).name} "
            f"holds {', '.join(sorted(tree)) or 'nothing'}."
        )
    first, last = (round(1e3 * moment) for moment in window_s)
    if not 0 <= first < last <= values.shape[1]:
        raise RecordingError(
            f"`window_s` must lie in 0 to {1e-3 * values.shape[1]:g} s, got {window_s}."
        )
    count = values.shape[2]
    angles = np.arange(count) * 360 / count if directions_deg is None else np.array(directions_deg)
    if angles.shape != (count,):
        raise ValueError(f"`directions_deg` must have {count} numbers, got {angles.size}.")
    mean = values[:, first:last].mean(1).T
    return cosine_tuning(np.radians(angles), mean, bootstraps=0, shuffles=shuffles, seed=seed)


def _files(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield kind, monkey and path of each file, kinds in their order."""
    for kind in _KINDS:
        for path in sorted(folder.rglob(f"{kind}_*.mat")):
            yield kind, path.stem.removeprefix(f"{kind}_"), path
