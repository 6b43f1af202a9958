"""Recordings as netCDF files, with a checksum of the whole file.

`.nc` is netCDF 3, written through scipy: it needs no pickles and no further dependency, and MATLAB,
R and Julia read it. A variable of it holds at most 4 GB. `.nc4` is netCDF 4, which is HDF5, through
h5netcdf: compressed, in chunks that each have a checksum, of any size, and one file that the same
programs read. `open_recording` leaves the values of such a file where they are, so that a recording
may be larger than the memory.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from neuromotor._extras import install_command, require
from neuromotor.analysis.chunked_files import with_plain_text, write_chunked
from neuromotor.analysis.conform import conformed
from neuromotor.analysis.from_arrays import with_velocity
from neuromotor.analysis.layout import EVENTS, FORMAT, LAYOUT, RecordingError, check_recording
from neuromotor.analysis.parts import pieces, unread
from neuromotor.storage.files import atomic_path

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "LARGE",
    "SUFFIXES",
    "load_recording",
    "new_file",
    "open_recording",
    "read_recording",
    "save_in_parts",
    "save_recording",
]

LARGE = ".nc4"  # what the name of a netCDF 4 recording ends in
SUFFIXES = (".nc", LARGE)
_NETCDF3_BYTES = (1 << 32) - 4  # of a variable
_LARGE_BYTES = 1 << 24  # of a variable that stays in its file

_SUM = "sha256"  # of the whole file, taken with `_BLANK` in its place
_BLANK = "checksum" * 8
_PART = 1 << 24  # bytes that are read at once


def save_recording(path: Path | str, recording: xr.Dataset, *, overwrite: bool = False) -> None:
    """Write a recording as netCDF, whole or not at all, with a checksum of the whole file.

    Args:
        path: `.nc` for netCDF 3, `.nc4` for netCDF 4, which is compressed and has no limit of size.
        recording: What is written.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        ValueError: The path ends in another way, or the recording is too large for netCDF 3.
        RecordingError: The dataset is not a recording.
        RuntimeError: The path ends in `.nc4` and h5netcdf is not installed.
    """
    path = _new_netcdf(path, "save_recording", overwrite=overwrite)
    check_recording(recording, gaps=True)
    own = recording.assign_attrs({**FORMAT, _SUM: _BLANK})
    if path.suffix.lower() == LARGE:
        require("h5netcdf", "lab")
        with atomic_path(path) as temporary:
            write_chunked(temporary, [own])
            _enter_checksum(temporary)
        return
    for name, values in recording.variables.items():
        if values.nbytes > _NETCDF3_BYTES:
            raise ValueError(
                f"`{name}` has {values.nbytes / 1e9:.1f} GB, and netCDF 3 holds 4 GB a variable; "
                f"choose a name that ends in {LARGE}."
            )
    with atomic_path(path) as temporary:
        own.to_netcdf(temporary, engine="scipy", format="NETCDF3_64BIT")
        _enter_checksum(temporary)


def save_in_parts(
    path: Path | str, parts: Iterable[xr.Dataset], *, overwrite: bool = False
) -> None:
    """Write a recording that comes in parts of its trials, one of which is in memory at a time.

    Args:
        path: The file, `.nc4`.
        parts: Recordings of the same units and times, whose trials follow one another. Attributes
            are those of the first.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        ValueError: The path ends in another way.
        RecordingError: There is no part, one is no recording, or they do not fit together.
        RuntimeError: h5netcdf is not installed.

    Example:
        >>> import numpy as np, tempfile
        >>> from pathlib import Path
        >>> from neuromotor.analysis import make_recording, open_recording
        >>> def part(number):
        ...     return make_recording([0.0, 0.01], ["a", "b"], {"rate": np.full((2, 2, 3), number)})
        >>> path = Path(tempfile.mkdtemp()) / "large.nc4"
        >>> save_in_parts(path, (part(number) for number in range(3)))
        >>> dict(open_recording(path)["rate"].sizes)
        {'trial': 6, 'time': 2, 'unit': 3}
    """
    path = _new_netcdf(path, "save_in_parts", overwrite=overwrite, suffixes=(LARGE,))
    require("h5netcdf", "lab")

    def checked() -> Iterator[xr.Dataset]:
        for place, part in enumerate(parts):
            try:
                check_recording(part, gaps=True)
            except RecordingError as error:
                raise RecordingError(f"part {place + 1}: {error}") from error
            yield part.assign_attrs({**FORMAT, _SUM: _BLANK})

    with atomic_path(path) as temporary:
        write_chunked(temporary, checked())
        _enter_checksum(temporary)


def _new_netcdf(
    path: Path | str, writer: str, *, overwrite: bool, suffixes: tuple[str, ...] = SUFFIXES
) -> Path:
    """Return the path of a netCDF file that may be written."""
    own = Path(path).suffix.lower()
    if own not in suffixes:
        raise ValueError(
            f"`path` must end in {' or '.join(suffixes)} for `{writer}`, got {Path(path).name!r}."
        )
    return new_file(path, own, writer, overwrite=overwrite)


def _enter_checksum(path: Path) -> None:
    """Put the checksum of a file in the place that was left for it."""
    digits, place = _checksum(path, _BLANK.encode())
    with path.open("r+b") as file:
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
    engine = _engine_of(path)
    try:
        with xr.open_dataset(path, engine=engine, decode_times=False) as file_data:
            recording = with_plain_text(file_data.load())
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        MemoryError,
        RuntimeError,
    ) as error:
        raise RecordingError(f"{path} cannot be read ({error}); it may be damaged.") from error
    if _SUM in recording.attrs:
        digits = str(recording.attrs.pop(_SUM)).encode()
        if _checksum(path, digits)[0].encode() != digits:
            raise RecordingError(
                f"{path} is damaged: its checksum is wrong; use another copy. If you changed it "
                f"yourself, take its attribute `{_SUM}` away."
            )
    _check_format(path, recording)
    try:
        recording = conformed(recording, LAYOUT, EVENTS)
        check_recording(recording, gaps=True)
    except ValueError as error:
        raise RecordingError(f"{path} is no recording: {error}") from error
    return with_velocity(recording)


def open_recording(path: Path | str) -> xr.Dataset:
    """Return a recording whose large variables stay in their file, for data beyond the memory.

    The whole file is read once, some trials at a time, and checked as `load_recording` checks it;
    in place of the checksum of the file that of each chunk counts. Averages, preferred directions
    and everything that is computed from averages then read it in parts. Any other access reads all
    of a variable, as does `.load()`. The file must stay where it is.

    Args:
        path: A `.nc4` file that was written by `save_recording` or `save_in_parts`.

    Raises:
        RecordingError: The file is missing, damaged, no recording, or netCDF 3.
        RuntimeError: h5netcdf is not installed.
    """
    import xarray as xr

    path = Path(path)
    if _engine_of(path) != "h5netcdf":
        raise RecordingError(
            f"{path} is netCDF 3, which is read as a whole; write it as {LARGE} first, as with "
            f"`neuromotor export {path} --out {path.with_suffix(LARGE)}`."
        )
    try:
        recording = xr.open_dataset(path, engine="h5netcdf", decode_times=False, cache=False)
        small = [name for name in recording.variables if not _is_large(recording, str(name))]
        for name in small:
            recording.variables[name].load()
        recording = with_plain_text(recording)
        recording.attrs.pop(_SUM, None)
        _check_format(path, recording)
        check_recording(recording, gaps=True)
        large = [name for name in recording.data_vars if unread(recording[name])]
        for name in large:
            for place, _ in pieces(recording[name], "trial"):
                part = recording[[name]].isel(trial=place).load()
                check_recording(part, gaps=True)
    except RecordingError as error:
        raise RecordingError(f"{path} is no recording: {error}") from error
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        MemoryError,
        RuntimeError,
    ) as error:
        raise RecordingError(f"{path} cannot be read ({error}); it may be damaged.") from error
    return recording


def _is_large(recording: xr.Dataset, name: str) -> bool:
    """Return whether a variable stays in its file."""
    values = recording.variables[name]
    return values.ndim == 3 and values.dtype.kind == "f" and values.nbytes > _LARGE_BYTES


def read_recording(path: Path | str, most_bytes: int | None = None) -> xr.Dataset:
    """Return a recording in memory, or opened in its file where its values take more bytes.

    Args:
        path: A netCDF file.
        most_bytes: What memory may hold; None for no limit.

    Raises:
        RecordingError: As `load_recording` and `open_recording` raise it; or the file is netCDF 3
            and larger.
    """
    import xarray as xr

    path = Path(path)
    if most_bytes is None:
        return load_recording(path)
    engine = _engine_of(path)
    size = path.stat().st_size
    if engine == "h5netcdf":
        try:
            with xr.open_dataset(path, engine=engine, decode_times=False) as found:
                size = int(found.nbytes)
        except (OSError, ValueError, TypeError, LookupError, RuntimeError) as error:
            raise RecordingError(f"{path} cannot be read ({error}); it may be damaged.") from error
    return load_recording(path) if size <= most_bytes else open_recording(path)


def _engine_of(path: Path) -> str:
    """Return what of xarray reads a file, as its first bytes tell."""
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
    if engine == "h5netcdf" and importlib.util.find_spec(engine) is None:
        raise RecordingError(
            f"{path} is netCDF 4: `{install_command('lab')}`, or save it as netCDF 3."
        )
    return engine


def _check_format(path: Path, recording: xr.Dataset) -> None:
    """Raise where a file says that it has another format than ours, or another version of it."""
    name, version = (recording.attrs.get(key, own) for key, own in FORMAT.items())
    if {"format": name, "format_version": version} != FORMAT:
        raise RecordingError(
            f"{path} has format {name!r} version {version!r}, this neuromotor reads "
            f"{FORMAT['format']!r} version {FORMAT['format_version']!r}."
        )
