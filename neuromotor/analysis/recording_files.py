"""Recordings as netCDF files, with a checksum of the whole file.

We write netCDF 3 through scipy: it needs no pickles and no further dependency, and MATLAB, R and
Julia read it. netCDF 4 files of the same layout are read where h5netcdf is installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from neuromotor.analysis.conform import conformed
from neuromotor.analysis.from_arrays import with_velocity
from neuromotor.analysis.layout import EVENTS, FORMAT, LAYOUT, RecordingError, check_recording
from neuromotor.storage.files import atomic_path

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["load_recording", "new_file", "save_recording"]

_SUM = "sha256"  # of the whole file, taken with `_BLANK` in its place
_BLANK = "checksum" * 8
_PART = 1 << 24  # bytes that are read at once


def save_recording(path: Path | str, recording: xr.Dataset, *, overwrite: bool = False) -> None:
    """Write a recording as netCDF, whole or not at all, with a checksum of the whole file.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        ValueError: The path does not end in `.nc`.
        RecordingError: The dataset is not a recording.
    """
    path = new_file(path, ".nc", "save_recording", overwrite=overwrite)
    check_recording(recording, gaps=True)
    own = {**FORMAT, _SUM: _BLANK}
    with atomic_path(path) as temporary:
        recording.assign_attrs(own).to_netcdf(temporary, engine="scipy", format="NETCDF3_64BIT")
        digits, place = _checksum(temporary, _BLANK.encode())
        with temporary.open("r+b") as file:
            file.seek(place)
            file.write(digits.encode())


def _checksum(path: Path, mark: bytes) -> tuple[str, int]:
    """Return the SHA-256 of a file with `_BLANK` in place of `mark`, and where that stands.

    Files are read in parts, since a recording may fill the memory.
    """
    with path.open("rb") as file:
        place, offset, tail = -1, 0, b""
        while place < 0 and (part := file.read(_PART)):
            found = (tail + part).find(mark)
            place = -1 if found < 0 else offset - len(tail) + found
            offset, tail = offset + len(part), (tail + part)[-len(mark) :]
        file.seek(0)
        total = hashlib.sha256(file.read(max(place, 0)))
        if place >= 0:
            total.update(_BLANK.encode())
            file.seek(place + len(mark))
        while part := file.read(_PART):
            total.update(part)
    return total.hexdigest(), place


def new_file(path: Path | str, suffix: str, writer: str, *, overwrite: bool) -> Path:
    """Return the path of a file that may be written.

    The name must end as the format does, so that nobody takes one format for another.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        ValueError: The name ends in another way.
    """
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise ValueError(f"`path` must end in {suffix} for `{writer}`, got {path.name!r}.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or pass `overwrite=True`.")
    return path


def load_recording(path: Path | str) -> xr.Dataset:
    """Read a recording from a netCDF file, ours or anybody's of the same layout.

    Where the file has a checksum, it must be right; it does not stay with the dataset. Units of the
    file (`units` of each variable) are converted to those of `LAYOUT`, axes in another order are
    brought into it, and times as dates count from the first sample. Velocities and onsets are
    computed as in `make_recording`.

    Raises:
        RecordingError: The file is missing, damaged, too new or no recording.
    """
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise RecordingError(f"{path} is not a file; give the path of a netCDF recording.")
    with path.open("rb") as file:
        start = file.read(4)
    if path.suffix.lower() == ".nwb":
        raise RecordingError(
            f"{path} is an NWB file; make a recording of it first, as with `neuromotor import "
            f"{path} --out mine.nc`."
        )
    engine = {b"CDF": "scipy", b"\x89HD": "h5netcdf"}.get(start[:3])
    if engine is None:
        raise RecordingError(
            f"{path} is not a netCDF file; give a file written by `neuromotor record`."
        )
    try:
        if engine == "h5netcdf" and importlib.util.find_spec(engine) is None:
            raise RecordingError(
                f"{path} is netCDF 4: `pip install h5netcdf`, or save it as netCDF 3."
            )
        with xr.open_dataset(path, engine=engine, decode_times=False) as file_data:
            recording = file_data.load()
    except RecordingError:
        raise
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
        raise RecordingError(f"{path} cannot be read ({error}); it may be damaged.") from error
    if _SUM in recording.attrs:
        digits = str(recording.attrs.pop(_SUM)).encode()
        if _checksum(path, digits)[0].encode() != digits:
            raise RecordingError(
                f"{path} is damaged: its checksum is wrong; use another copy. If you changed it "
                f"yourself, take its attribute `{_SUM}` away."
            )
    name, version = (recording.attrs.get(key, own) for key, own in FORMAT.items())
    if {"format": name, "format_version": version} != FORMAT:
        raise RecordingError(
            f"{path} has format {name!r} version {version!r}, this neuromotor reads "
            f"{FORMAT['format']!r} version {FORMAT['format_version']!r}."
        )
    try:
        recording = conformed(recording, LAYOUT, EVENTS)
        check_recording(recording, gaps=True)
    except ValueError as error:
        raise RecordingError(f"{path} is no recording: {error}") from error
    return with_velocity(recording)
