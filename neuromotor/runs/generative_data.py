"""What generative models learn from: films of bouncing balls, or a recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neuromotor.generative import Draw, taken_from
from neuromotor.problems import PROBLEMS, BouncingBalls
from neuromotor.storage.components import SettingsError, decode, encode

if TYPE_CHECKING:
    from neuromotor.analysis import BinaryActivity

__all__ = ["BALLS", "SequenceData", "balls_data", "data_for", "open_data", "recording_data"]

BALLS = "balls"
_HELD_OUT_SEED = 1_000_003  # of films on which models are measured; trainings use others
_HELD_OUT_SHARE = 0.2  # of a recording's trials


@dataclass(frozen=True)
class SequenceData:
    """Sequences to learn from, and others to measure by.

    Attributes:
        name: What they are.
        draw: Gives sequences to learn from.
        held_out: Others, (B, T, V).
        known: Some of those to learn from, whose means are the baseline's, (B', T, V).
        frame_s: Time from one frame to the next (s); None where there is none.
        picture: Rows and columns of a frame that is a picture.
        spec: What opens them again, as plain data.
    """

    name: str
    draw: Draw
    held_out: Tensor
    known: Tensor
    frame_s: float | None
    picture: tuple[int, int] | None
    spec: dict[str, Any]

    @property
    def binary(self) -> bool:
        """Whether all held-out numbers are zeros and ones."""
        return bool(((self.held_out == 0) | (self.held_out == 1)).all())


def open_data(spec: Mapping[str, Any], held_out: int | None, seed: int) -> SequenceData:
    """Return what settings describe.

    Args:
        spec: A table with `type`: "balls" with the settings of `BouncingBalls`, or "recording" with
            `file`, `bin_s` and `threshold`.
        held_out: Sequences to measure by; 100 films, or a fifth of the trials, if None.
        seed: Of the choice of trials.

    Raises:
        SettingsError: A setting is unknown or out of range.
        RecordingError: The file is no recording that can be used.
    """
    table = dict(spec)
    kind = table.pop("type", BALLS)
    if kind == BALLS:
        problem = decode({"type": BALLS, **table}, PROBLEMS, "data")
        return balls_data(problem, 100 if held_out is None else held_out)
    if kind != "recording":
        raise SettingsError(f"`data.type` must be {BALLS} or recording, got {kind!r}.")
    for key in table:
        if key not in ("file", "bin_s", "threshold"):
            raise SettingsError(
                f"unknown setting `data.{key}`; a recording has `file`, `bin_s` and `threshold`."
            )
    path = Path(str(table.get("file", "")))
    return recording_data(path, table.get("bin_s"), table.get("threshold"), held_out, seed)


def balls_data(problem: BouncingBalls, held_out: int) -> SequenceData:
    """Return new films for every update, and others to measure by."""

    def draw(count: int, generator: torch.Generator) -> Tensor:
        given = problem.sequences(count, generator)
        return torch.cat([given.inputs, given.targets[:, -1:]], dim=1)

    generator = torch.Generator().manual_seed(_HELD_OUT_SEED)
    films = draw(2 * held_out, generator)
    return SequenceData(
        name=f"{problem.balls} ball{'s' * (problem.balls > 1)}, {problem.size} x {problem.size}",
        draw=draw,
        held_out=films[:held_out],
        known=films[held_out:],
        frame_s=None,
        picture=(problem.size, problem.size),
        spec=encode(problem, PROBLEMS),
    )


def recording_data(
    path: Path, bin_s: float | None, threshold: Any, held_out: int | None, seed: int
) -> SequenceData:
    """Return a recording's trials, some of them held out."""
    found = _binary(path, bin_s, threshold)
    trials = len(found.frames)
    aside = round(_HELD_OUT_SHARE * trials) if held_out is None else held_out
    if not 1 <= aside < trials:
        raise SettingsError(
            f"`held_out` must leave trials on both sides, got {aside} of the {trials} in {path}."
        )
    order = np.random.default_rng(seed).permutation(trials)
    frames = torch.from_numpy(found.frames)
    known = frames[np.sort(order[aside:])]
    return SequenceData(
        name=path.name,
        draw=taken_from(known),
        held_out=frames[np.sort(order[:aside])],
        known=known,
        frame_s=found.bin_s,
        picture=None,
        spec={
            "type": "recording",
            "file": str(path),
            "bin_s": found.bin_s,
            "threshold": found.thresholds.tolist(),
        },
    )


def data_for(info: Mapping[str, Any], recording: Path | None, count: int) -> SequenceData:
    """Return sequences to use a saved model on: new films, or all trials of a recording.

    Args:
        info: What the model's file says of it.
        recording: A recording of the same units, which a model of a recording needs.
        count: Films to draw.

    Raises:
        SettingsError: The model's file does not say what it learned from, or the recording is
            missing or not needed.
        RecordingError: The recording has other units.
    """
    spec = dict(info.get("data", {}))
    if spec.get("type") == BALLS:
        if recording is not None:
            raise SettingsError("this model learned films of balls; leave the recording out.")
        return balls_data(decode(spec, PROBLEMS, "data"), count)
    if spec.get("type") != "recording":
        raise SettingsError("the model's file does not say what it learned from.")
    from neuromotor.analysis import RecordingError

    if recording is None:
        raise SettingsError(
            f"name a recording of the same units: this model learned from {spec['file']}."
        )
    try:
        found = _binary(recording, spec["bin_s"], spec["threshold"])
    except ValueError as error:
        raise RecordingError(f"{recording} does not fit this model: {error}") from error
    frames = torch.from_numpy(found.frames)
    return SequenceData(recording.name, taken_from(frames), frames, frames, found.bin_s, None, spec)


def _binary(path: Path, bin_s: float | None, threshold: Any) -> BinaryActivity:
    """Return a recording's binary activity."""
    from neuromotor.analysis import binarized, load_recording

    return binarized(load_recording(path), bin_s=bin_s, threshold=threshold)
