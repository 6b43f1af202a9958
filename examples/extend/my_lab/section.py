"""A section of the report: how long the path of the hand was."""

import numpy as np

import neuromotor as nm
from neuromotor.analysis import check_recording
from neuromotor.analysis.section import Findings, SectionSpec


def path_length_m(recording):
    """Return the length (m) of each trial's path, (B,)."""
    check_recording(recording, ["hand_position"])
    steps = np.diff(recording["hand_position"].values, axis=1)
    return np.linalg.norm(steps, axis=-1).sum(axis=1)


def _section(given):
    length = path_length_m(given.recording)
    numbers = {"mean_m": length.mean(), "longest_m": length.max()}
    return Findings("How far the hand went in each trial.", numbers, {})


nm.register("path-length", SectionSpec("path-length", "Path length", 21, _section))
