"""A recording from any file that can be imported, told by the end of its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.sessions.file_reading import from_mat, from_npz
from neuromotor.analysis.sessions.nwb_reading import from_nwb
from neuromotor.analysis.sessions.options import ImportOptions

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["READERS", "import_recording"]

READERS: dict[str, Callable[[Path, ImportOptions], xr.Dataset]] = {
    ".nwb": from_nwb,
    ".mat": from_mat,
    ".npz": from_npz,
}


def import_recording(path: Path | str, options: ImportOptions | None = None) -> xr.Dataset:
    """Return a recording made from a file of NWB, MATLAB or numpy.

    Args:
        path: The file; its name ends in .nwb, .mat or .npz.
        options: How it becomes a recording.

    Raises:
        RecordingError: The file is of another kind, is damaged or lacks what is asked for.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise RecordingError(
            f"{path} cannot be imported: its name must end in {', '.join(READERS)}. In Python, "
            "`from_neo`, `from_pynapple` and `from_spikes` take objects and arrays."
        )
    return reader(path, options or ImportOptions())
