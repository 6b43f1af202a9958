"""Sessions with different units put together: a pseudo-population, trial by trial of a condition.

The k-th trial of a condition has units from one trial of that condition in each session, drawn
anew. What units of different sessions share beyond their condition is chance, so that correlations
of their noise mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_seed
from neuromotor.analysis.from_arrays import make_recording
from neuromotor.analysis.gaps import missing_samples
from neuromotor.analysis.layout import RecordingError, check_recording

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["pool_sessions"]


def pool_sessions(
    recordings: Sequence[xr.Dataset], names: Sequence[str] | None = None, *, seed: int = 0
) -> xr.Dataset:
    """Return one recording of the units of several sessions, matched by condition.

    Each condition has as many trials as the session that has fewest. Conditions that a session
    lacks are left out, as is what belongs to single sessions: movements and events. The attribute
    `import_notes` counts what was left out.

    Args:
        recordings: Sessions with rates at the same times and in the same unit.
        names: Names of the sessions, for the coordinate `unit_session`; numbers by default.
        seed: Random seed of the trials that are drawn.

    Raises:
        RecordingError: Times or units of rates differ, or no condition is in every session.
    """
    check_seed("seed", seed)
    if len(recordings) < 2:
        raise RecordingError("give two sessions or more.")
    labels = [str(name) for name in names or range(1, len(recordings) + 1)]
    if len(labels) != len(recordings):
        raise RecordingError(f"`names` has {len(labels)} names for {len(recordings)} sessions.")
    for own in recordings:
        check_recording(own, ["rate"], gaps=True)
    first = recordings[0]
    for name, own in zip(labels, recordings, strict=True):
        if own.sizes["time"] != first.sizes["time"] or not np.allclose(
            own["time"], first["time"], atol=1e-9
        ):
            raise RecordingError(
                f"session {name} has other times than {labels[0]}; import both with one "
                "`window_s` and `bin_s`."
            )
        units = [str(part["rate"].attrs.get("units", "1")) for part in (own, first)]
        if units[0] != units[1]:
            raise RecordingError(
                f"session {name} has rates in {units[0]}, {labels[0]} in {units[1]}."
            )
    conditions = [set(own["condition"].values.tolist()) for own in recordings]
    common = sorted(set.intersection(*conditions), key=str)
    if not common:
        raise RecordingError("no condition is in every session; name them alike.")
    notes = []
    lost = set.union(*conditions) - set(common)
    if lost:
        notes.append(f"{len(lost)} conditions are not in every session; they were left out.")
    generator = np.random.default_rng(seed)
    rows: list[list[NDArray[np.int64]]] = [[] for _ in recordings]
    condition: list[Any] = []
    for label in common:
        own_rows = [np.flatnonzero(own["condition"].values == label) for own in recordings]
        count = min(map(len, own_rows))
        condition += [label] * count
        for session, found in enumerate(own_rows):
            rows[session].append(generator.permutation(found)[:count])
    chosen = [np.concatenate(parts) for parts in rows]
    unused = sum(own.sizes["trial"] for own in recordings) - sum(map(len, chosen))
    if unused:
        notes.append(f"{unused} trials have no counterpart in every session; they were left out.")
    notes.append(
        f"{len(recordings)} sessions were put together by condition: correlations between the "
        "noise of units of different sessions mean nothing."
    )
    rate = np.concatenate(
        [own["rate"].values[trials] for own, trials in zip(recordings, chosen, strict=True)],
        axis=2,
    )
    sizes = [own.sizes["unit"] for own in recordings]
    pooled = make_recording(
        first["time"].values,
        condition,
        {"rate": rate},
        layer=[str(x) for own in recordings for x in _layers(own)],
        units={"rate": str(first["rate"].attrs.get("units", "1"))},
        attributes={
            "source": ", ".join(labels),
            "imported": "yes",
            "pooled": "units of several sessions, matched by condition",
            "import_notes": "\n".join(notes),
        },
        gaps=any("rate" in missing_samples(own) for own in recordings),
    )
    return pooled.assign_coords(unit_session=("unit", np.repeat(labels, sizes)))


def _layers(recording: xr.Dataset) -> list[Any]:
    if "layer" in recording.coords:
        return list(recording["layer"].values)
    return ["all"] * int(recording.sizes["unit"])
