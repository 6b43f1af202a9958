"""Findings of experiments in a folder, so that a command that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuromotor._version import __version__
from neuromotor.evaluation.bootstrap import Interval
from neuromotor.experiments import EXPERIMENTS, Experiment, Findings, Session, Trained
from neuromotor.storage.components import encode
from neuromotor.storage.files import atomic_path, parse_json, read_text, write_json
from neuromotor.tasks import TASKS

__all__ = ["KeptFindings", "file_label"]

_MAX_BYTES = 1 << 26


@dataclass(frozen=True)
class KeptFindings:
    """A folder of findings; those of other settings, controllers, seeds or versions do not count.

    Attributes:
        folder: It is made when something is kept.
    """

    folder: Path

    def load(self, name: str, experiment: Experiment, session: Session) -> Findings | str | None:
        """Return what was found, or why the controller cannot be asked; None where nothing is kept.

        Args:
            name: Of the experiment.
            experiment: With its settings.
            session: The controller, the conditions and the seed.
        """
        path = self._path(name, session)
        if not path.exists():
            return None
        try:
            kept = parse_json(read_text(path, max_bytes=_MAX_BYTES))
            if kept["asked"] != _asked(name, experiment, session):
                return None
            found = kept["found"]
            if isinstance(found, str):
                return found
            with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
                data = {key: arrays[key] for key in arrays.files}
            measures = {key: Interval(**value) for key, value in found["measures"].items()}
            return Findings(measures, data, tuple(found["remarks"]), found["cannot"])
        except (KeyError, OSError, TypeError, ValueError):
            return None  # a file that is damaged or foreign is made anew

    def save(
        self, name: str, experiment: Experiment, session: Session, found: Findings | str
    ) -> None:
        """Keep what was found; arguments as `load`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(name, session)
        written: Any = found
        if isinstance(found, Findings):
            arrays: dict[str, Any] = dict(found.data)
            with atomic_path(path.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, **arrays)
            written = {
                "measures": {key: value.as_dict() for key, value in found.measures.items()},
                "remarks": list(found.remarks),
                "cannot": dict(found.cannot),
            }
        write_json(path, {"asked": _asked(name, experiment, session), "found": written})

    def _path(self, name: str, session: Session) -> Path:
        return self.folder / f"{name}_{file_label(session.subject.name)}.json"


def file_label(controller: str) -> str:
    """Return a controller's name as it stands in names of files."""
    return controller.replace("/", "-").replace(" ", "-")


def _asked(name: str, experiment: Experiment, session: Session) -> dict[str, Any]:
    """All that findings depend on, as plain data."""
    subject, parameters = session.subject, None
    if isinstance(subject, Trained):
        numbers = subject.saved.parameters.detach().cpu().numpy()
        parameters = hashlib.sha256(numbers.tobytes()).hexdigest()
    asked = {
        "version": __version__,
        "experiment": {"name": name, **encode(experiment, EXPERIMENTS)},
        "world": encode(session.world, TASKS),
        "controller": subject.name,
        "parameters": parameters,
        "seed": session.seed,
    }
    plain: dict[str, Any] = json.loads(json.dumps(asked))  # tuples as lists, as they are read
    return plain
