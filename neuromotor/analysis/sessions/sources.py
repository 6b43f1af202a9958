"""A recording from any file that can be imported, told by the end of its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from neuromotor.analysis.sessions.file_reading import from_mat, from_npz
from neuromotor.analysis.sessions.neo_files import from_neo_file
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
    """Return a recording made from a file of NWB, MATLAB or numpy, or any that neo reads.

    Args:
        path: The file. Names that end in .nwb, .mat or .npz have readers of ours; neo takes others,
            and all where `options.reader` names one of its readers.
        options: How it becomes a recording.

    Raises:
        RecordingError: The file is of another kind, is damaged or lacks what is asked for.
        RuntimeError: What reads the format is not installed.
    """
    path, options = Path(path), options or ImportOptions()
    reader = from_neo_file if options.reader else READERS.get(path.suffix.lower(), from_neo_file)
    return reader(path, options)
