"""Files of any format that neo reads: Blackrock, Plexon, Spike2, NIX, Neuralynx and many others."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuromotor._checks import did_you_mean
from neuromotor._extras import require
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.sessions.object_reading import from_neo
from neuromotor.analysis.sessions.options import ImportOptions

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["from_neo_file"]

_NEVER = {"PickleIO", "ExampleRawIO"}  # a pickle may run anything
_OURS = {"NWBIO", "NeoMatlabIO"}  # suffixes that have a reader of ours


def from_neo_file(path: Path | str, options: ImportOptions | None = None) -> xr.Dataset:
    """Return a recording made from a file, or a folder, that neo reads.

    Its first block is read as `from_neo` reads it. Where neo can leave signals in the file, only
    those that `options.behaviour` names are read, so that raw voltages cost nothing.

    Args:
        path: The file. Its suffix, or `options.reader`, says which reader of neo takes it.
        options: How it becomes a recording.

    Raises:
        RecordingError: No reader knows the file, none can read it, or it lacks what is asked for.
        RuntimeError: neo is not installed.
    """
    options, path = options or ImportOptions(), Path(path)
    if not path.exists():
        raise RecordingError(f"{path} is not there; give the path of a file.")
    neo: Any = require("neo", "lab")
    reasons = []
    for reader in _readers(neo, path, options.reader):
        try:
            block = _block(reader, path, options)
        except RecordingError:
            raise
        except Exception as error:  # each reader raises its own where a file is not for it
            what = " ".join(str(error).split())[:160]
            reasons.append(f"{reader.__name__}: {type(error).__name__}: {what}")
            continue
        return from_neo(block, options, source=path.name)
    raise RecordingError(
        f"{path} cannot be read by neo ({'; '.join(reasons)}); name its reader by `reader`, or "
        "the file may be damaged."
    )


def _readers(neo: Any, path: Path, wanted: str) -> list[Any]:
    """Return the readers of neo that may take a file."""
    known = {io.__name__ for io in neo.io.iolist} - _NEVER
    if wanted:
        if wanted not in known:
            raise RecordingError(
                f"`reader` names {wanted!r}, which neo does not have here; "
                f"{did_you_mean(wanted, known)}."
            )
        named = [io for io in neo.io.iolist if io.__name__ == wanted]
        return sorted(dict.fromkeys(named), key=_rank)
    try:
        found = neo.io.list_candidate_ios(str(path))
    except ValueError:
        found = []
    own = [io for io in dict.fromkeys(found) if io.__name__ not in _NEVER | _OURS]
    if not own:
        raise RecordingError(
            f"{path} cannot be imported: no reader is for files like it. Readers are for .nwb, "
            ".mat, .npz and what neo reads; `reader` names one of neo's."
        )
    return sorted(own, key=_rank)


def _rank(reader: Any) -> bool:
    """Put readers with a mode, which give all names as they were written, before others."""
    return not _has_mode(reader)


def _has_mode(reader: Any) -> bool:
    return "mode" in inspect.signature(reader.__init__).parameters


def _block(reader: Any, path: Path, options: ImportOptions) -> Any:
    """Return the first block of a file with what is needed of it in memory."""
    more = {"mode": "ro"} if _has_mode(reader) else {}  # it would write otherwise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats that neo will drop, and of its numpy
        io = reader(str(path), **more)
        try:
            lazy = bool(getattr(io, "support_lazy", False))
            block = io.read_block(lazy=True) if lazy else io.read_block()
            return _loaded(block, options) if lazy else block
        finally:
            if more:
                io.close()


def _loaded(block: Any, options: ImportOptions) -> Any:
    """Return a block whose spikes, events and epochs are read, and of its signals those named."""
    wanted = {name.partition("[")[0] for name in (*options.behaviour.values(), options.rates)}
    wanted.discard("")
    signals: set[str] = set()
    for segment in block.segments:
        for kind in ("spiketrains", "events", "epochs"):
            setattr(segment, kind, [_read(part) for part in getattr(segment, kind)])
        kept = []
        for place, signal in enumerate(segment.analogsignals):
            name = str(signal.name or f"signal {place}")
            signals.add(name)
            if name in wanted:
                kept.append(_read(signal))
        segment.analogsignals = kept
        if not segment.spiketrains and not kept:
            raise RecordingError(
                "the file holds no sorted spikes; name a series by `behaviour`, or import the "
                "sorter's output."
            )
    lacking = sorted(wanted - signals)
    if lacking:
        raise RecordingError(
            f"`behaviour` names {lacking[0]!r}, which is no signal of the file; "
            f"{did_you_mean(lacking[0], signals) if signals else 'it has none'}."
        )
    return block


def _read(part: Any) -> Any:
    """Return a part of a segment in memory."""
    return part.load() if hasattr(part, "load") else part
