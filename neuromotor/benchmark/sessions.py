"""Measures how long a session of a lab takes: imported, analysed, and its rotations tested.

The session is made here: tuned Poisson units with 1 to 30 spikes/s, reaches in eight directions, a
hand at 1 kHz, written by pynwb as a lab would write it. Each stage is a process of its own, so that
its time and its peak of memory are those that a user meets.
"""

from __future__ import annotations

import datetime
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuromotor._checks import check_integer, check_positive
from neuromotor._extras import require

__all__ = ["SessionBenchmarkSettings", "SessionRow", "run_session_benchmark"]

_BETWEEN_S = 0.5  # trials
_HAND_HZ = 1000.0
_GO_S = 0.8  # after a trial's start
_MOVEMENT_S = 0.6
_MEGABYTE = 1024.0  # in units of Linux's peak, which counts kilobytes


@dataclass(frozen=True)
class SessionBenchmarkSettings:
    """What a benchmark of sessions measures.

    Attributes:
        units: Units of the session.
        trials: Its trials.
        seconds: Length of a trial (s), 2 or more.
        surrogates: Surrogates of the report.
        jpca_units: Units of the averages whose rotations are tested: 8 conditions, 30 times.
        jpca_surrogates: Surrogates of that test.
        large_trials: Trials of a recording of as many units, 200 times each, that is read in
            parts: 4,000 of 500 units are 1.6 GB. 0 leaves it out.
        seed: Random seed of the session.

    Raises:
        ValueError: A number is out of range.
    """

    units: int = 500
    trials: int = 600
    seconds: float = 2.0
    surrogates: int = 100
    jpca_units: int = 553
    jpca_surrogates: int = 1000
    large_trials: int = 4000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("units", "surrogates", "jpca_units", "jpca_surrogates"):
            check_integer(name, getattr(self, name), minimum=1)
        check_integer("trials", self.trials, minimum=8)
        check_integer("large_trials", self.large_trials, minimum=0)
        check_positive("seconds", self.seconds, "seconds")
        if self.seconds < _GO_S + 2 * _MOVEMENT_S:
            raise ValueError(f"`seconds` must be {_GO_S + 2 * _MOVEMENT_S:g} or more.")


@dataclass(frozen=True)
class SessionRow:
    """What one stage took.

    Attributes:
        stage: What was done.
        seconds: Wall-clock time.
        peak_mb: Its peak of memory (MB); None where it was below that of the benchmark's own
            process, which the system counts to those that it starts.
    """

    stage: str
    seconds: float
    peak_mb: float | None


def run_session_benchmark(
    settings: SessionBenchmarkSettings, progress: Callable[[str], None] | None = None
) -> list[SessionRow]:
    """Return what importing, reporting and testing for rotations take.

    Raises:
        RuntimeError: pynwb is not installed, or a stage failed.
    """
    tell = progress or (lambda _: None)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        tell("making the session")
        make_session(Path(folder) / "session.nwb", settings)
        neuromotor = [sys.executable, "-m", "neuromotor"]
        importing = [*neuromotor, "import", "session.nwb", "--condition", "angle"]
        reporting = [*neuromotor, "analyze", "whole.nc", "--out", "report"]
        window = ["--align", "go_cue_time", "--window", "-0.5", "1.19"]
        whole = ["--align", "start_time", "--window", "0", str(settings.seconds)]
        jpca = [
            sys.executable,
            "-c",
            _JPCA.format(units=settings.jpca_units, surrogates=settings.jpca_surrogates),
        ]
        stages: list[tuple[str, Sequence[str]]] = [
            (
                f"import {settings.units} units x {settings.trials} trials x "
                f"{settings.seconds:g} s",
                [*importing, "--out", "whole.nc", *whole],
            ),
            (
                "import the movement, smoothed",
                [*importing, "--out", "mine.nc", *window, "--smooth", "gaussian", "0.02"],
            ),
            (
                f"report the whole trials, {settings.surrogates} surrogates",
                [*reporting, "--surrogates", str(settings.surrogates)],
            ),
            (
                f"jPCA of {settings.jpca_units} units x 8 x 30, {settings.jpca_surrogates} "
                "surrogates",
                jpca,
            ),
        ]
        if settings.large_trials:
            gigabytes = settings.large_trials * _LARGE_TIMES * settings.units * 4 / 1e9
            size = f"{gigabytes:.2g} GB in parts"
            making = _LARGE.format(
                units=settings.units, trials=settings.large_trials, times=_LARGE_TIMES
            )
            report = ["analyze", "large.nc4", "--memory", "0.001", "--out", "large"]
            stages += [
                (f"write a recording of {size}", [sys.executable, "-c", making]),
                (
                    f"report a recording of {size}, {settings.surrogates} surrogates",
                    [*neuromotor, *report, "--surrogates", str(settings.surrogates)],
                ),
            ]
        for stage, command in stages:
            tell(stage)
            rows.append(_measured(stage, command, folder))
    return rows


_JPCA = """
import numpy as np
from neuromotor.analysis.rotations import rotations_of

rng = np.random.default_rng(0)
lag = np.subtract.outer(np.arange(30), np.arange(30))
smooth = np.linalg.cholesky(np.exp(-0.5 * (lag / 5.0) ** 2) + 1e-8 * np.eye(30))
white = rng.standard_normal((8, 30, {units}))
mean = 20 + np.einsum("st,ctn->csn", smooth, white @ rng.standard_normal(({units}, {units})))
rotations_of(mean, 0.01 * np.arange(30), soft=5.0, surrogates={surrogates})
"""


_LARGE_TIMES = 200
_LARGE = """
import numpy as np
from neuromotor.analysis import make_recording, save_in_parts

units, trials, times, most = {units}, {trials}, {times}, 50
time = 0.01 * np.arange(times)
preferred = np.random.default_rng(0).uniform(0, 2 * np.pi, units)
bump = np.exp(-0.5 * ((time - 1.0) / 0.2) ** 2)


def part(first):
    rng = np.random.default_rng(first + 1)
    condition = np.arange(first, min(first + most, trials)) % 8
    angle = condition * np.pi / 4
    depth = 1 + np.cos(angle[:, None] - preferred)
    mean = 5 + 10 * bump[:, None] * depth[:, None]
    rate = (rng.poisson(0.01 * mean) / 0.01).astype(np.float32)
    way = 0.1 / (1 + np.exp(-(time - 1.0) / 0.05))
    hand = way[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)[:, None]
    variables = dict(rate=rate, hand_position=hand)
    return make_recording(time, condition, variables, units=dict(rate="spikes/s"))


save_in_parts("large.nc4", (part(first) for first in range(0, trials, most)))
"""


def _measured(stage: str, command: Sequence[str], folder: str) -> SessionRow:
    """Run a stage and return what it took."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"the stage {stage!r} failed: {' '.join(last)}")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = usage.ru_maxrss / _MEGABYTE if usage.ru_maxrss > own else None
    return SessionRow(stage, elapsed, peak)


def make_session(path: Path, settings: SessionBenchmarkSettings) -> None:
    """Write the session as an NWB file."""
    pynwb: Any = require("pynwb", "nwb")
    rng = np.random.default_rng(settings.seed)
    nwb = pynwb.NWBFile(
        session_description="made for a benchmark",
        identifier="benchmark",
        session_start_time=datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    )
    count = settings.trials
    start = (settings.seconds + _BETWEEN_S) * np.arange(count) + _BETWEEN_S
    stop, go = start + settings.seconds, start + _GO_S
    angle = np.arange(count) % 8 * 45.0
    for name in ("go_cue_time", "angle"):
        nwb.add_trial_column(name=name, description=name)
    for row in range(count):
        nwb.add_trial(
            start_time=start[row], stop_time=stop[row], go_cue_time=go[row], angle=angle[row]
        )
    length = float(stop[-1] + _BETWEEN_S)
    nwb.add_unit_column(name="area", description="area")
    for unit in range(settings.units):
        base, preferred = rng.uniform(1, 20), rng.uniform(0, 2 * np.pi)
        times = [rng.uniform(0, length, rng.poisson(base * length))]
        depth = 0.5 * base * (1 + np.cos(np.radians(angle) - preferred))
        for begin, rate in zip(go, depth, strict=True):
            times.append(begin + rng.uniform(0.1, 0.7, rng.poisson(0.6 * rate)))
        nwb.add_unit(spike_times=np.sort(np.concatenate(times)), area="M1" if unit % 2 else "PMd")
    stamps = np.arange(int(length * _HAND_HZ)) / _HAND_HZ
    hand = np.zeros((len(stamps), 2))
    for begin, turn in zip(go + 0.2, np.radians(angle), strict=True):
        first = int(begin * _HAND_HZ)
        s = np.clip((stamps[first : first + 1500] - begin) / _MOVEMENT_S, 0, 2)
        s = np.where(s > 1, 2 - s, s)  # out and back
        reach = 0.1 * (10 * s**3 - 15 * s**4 + 6 * s**5)
        hand[first : first + len(s)] = reach[:, None] * [np.cos(turn), np.sin(turn)]
    series = pynwb.behavior.SpatialSeries(
        name="hand_pos", data=hand, unit="meters", rate=_HAND_HZ, reference_frame="the center"
    )
    module = nwb.create_processing_module(name="behavior", description="the hand")
    module.add(pynwb.behavior.Position(name="Position", spatial_series=series))
    with pynwb.NWBHDF5IO(str(path), mode="w") as file:
        file.write(nwb)
