"""Recordings, and what is computed from them."""

from neuromotor.analysis.recording import (
    LAYOUT,
    RecordingError,
    check_recording,
    load_recording,
    make_recording,
    movement_onset,
    record,
    save_recording,
)

__all__ = [
    "LAYOUT",
    "RecordingError",
    "check_recording",
    "load_recording",
    "make_recording",
    "movement_onset",
    "record",
    "save_recording",
]
