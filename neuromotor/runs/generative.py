"""Trainings of generative models, over kinds and seeds, in one folder that can go on."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer, check_seed
from neuromotor.generative import (
    KINDS,
    Fitting,
    TemporalRBM,
    Training,
    begin,
    denoise,
    fit,
    flipped,
    independent_log_likelihood,
    load_model,
    load_training,
    log_likelihood,
    predict,
    save_model,
    save_training,
)
from neuromotor.generative.boltzmann import few_units
from neuromotor.generative.likelihood import MOST_STATES
from neuromotor.runs.drawing import drawing
from neuromotor.runs.execute import interruptible, machine, versions
from neuromotor.runs.generative_data import BALLS, SequenceData, open_data
from neuromotor.storage.claims import RunFolderError, claimed
from neuromotor.storage.components import SettingsError, UnknownSettingError, decode
from neuromotor.storage.files import parse_json, read_text, write_json

__all__ = [
    "GENERATIVE_FILE",
    "generative_settings",
    "likelihood_numbers",
    "measure",
    "over_seeds",
    "run_generative",
]

GENERATIVE_FILE = "generative.json"
_DEFAULTS: dict[str, Any] = {
    "data": {"type": BALLS},
    "models": ["rtrbm"],
    "hidden": 100,
    "fitting": {},
    "held_out": None,  # 100 films, or a fifth of the trials
    "gibbs_steps": 50,
    "flips": 0.1,
    "seed": 0,
    "seeds": 1,
}
_SMOKE: dict[str, Any] = {
    "hidden": 10,
    "fitting": {"updates": 100, "steps": [[0, 1]]},
    "held_out": 5,
}
_CHECKPOINT_S = 30.0
Tell = Callable[[str, float, float], None]


def generative_settings(raw: Mapping[str, Any], *, smoke: bool = False) -> dict[str, Any]:
    """Return whole settings as plain data; what is left open has its default.

    Args:
        raw: `data` (a table), `models` (kinds), `hidden` units, `fitting` (a table of `Fitting`),
            `held_out` sequences, `gibbs_steps` of predictions, `flips` (share of wrong numbers that
            is to be removed), `seed` and `seeds`.
        smoke: Whether the sizes that are not given are tiny.

    Raises:
        SettingsError: A key is unknown, or a value has the wrong type or range.
    """
    for key in raw:
        if key not in _DEFAULTS:
            raise UnknownSettingError(key, _DEFAULTS)
    given = {key: value for key, value in raw.items() if value is not None}
    settings = {**_DEFAULTS, **(_SMOKE if smoke else {}), **given}
    if smoke:
        settings["fitting"] = {**_SMOKE["fitting"], **settings["fitting"]}
    try:
        for name in ("hidden", "seeds"):
            check_integer(name, settings[name], minimum=1)
        check_integer("gibbs_steps", settings["gibbs_steps"], minimum=2)
        if settings["held_out"] is not None:
            check_integer("held_out", settings["held_out"], minimum=1)
        check_fraction("flips", settings["flips"])
        check_seed("seed", settings["seed"], count=settings["seeds"])
    except (TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error
    kinds = settings["models"]
    if isinstance(kinds, str):
        kinds = [word.strip() for word in kinds.split(",")]
    if not kinds or any(kind not in KINDS for kind in kinds) or len(set(kinds)) < len(kinds):
        raise SettingsError(f"`models` must be some of {', '.join(KINDS)}, got {kinds}.")
    data = settings["data"]
    fitting = _fitting(settings["fitting"], settings["seed"])
    plain = dataclasses.asdict(fitting)
    plain["steps"] = [list(pair) for pair in fitting.steps]
    del plain["seed"]
    return {
        **settings,
        "models": list(kinds),
        "data": {"type": data} if isinstance(data, str) else dict(data),
        "fitting": plain,
    }


def run_generative(
    settings: dict[str, Any],
    folder: Path,
    *,
    resume: bool = False,
    force: bool = False,
    say: Callable[[str], object],
    tell: Tell,
) -> dict[str, Any]:
    """Learn a model of each kind from each seed, measure it, and return what came of it.

    The folder gets generative.json (the settings), each model, summary.json and figures.

    Args:
        settings: From `generative_settings`.
        folder: Where to write.
        resume: Whether to go on with what is there.
        force: Whether a finished run may be replaced.
        say: Told one line for each model.
        tell: Told words, the share that is done, and the seconds left.

    Raises:
        RunFolderError: The folder holds something else.
    """
    data = open_data(settings["data"], settings["held_out"], settings["seed"])
    rows: list[dict[str, Any]] = []
    jobs = _jobs(settings)
    with claimed(folder), interruptible() as asked:
        _prepare(folder, settings, resume=resume, force=force)
        for job in jobs:
            path = folder / "models" / job.file
            if not path.is_file() and not _learn(settings, data, job, folder, asked, tell):
                break
            model, info = load_model(path)
            found = measure(model, data, settings["gibbs_steps"], settings["flips"], job.seed)
            row = {"model": job.kind, "seed": job.seed, **found, "seconds": info["seconds"]}
            rows.append(row)
            say(_sentence(row))
        interrupted = len(rows) < len(jobs)
        summary = {
            "data": data.name,
            "hidden": settings["hidden"],
            "updates": settings["fitting"]["updates"],
            "held_out": len(data.held_out),
            "baselines": baselines(data),
            "models": over_seeds(rows),
            "rows": rows,
            "interrupted": interrupted,
            "signal": asked.signal if interrupted else None,
            "machine": machine(),
            "versions": versions(),
        }
        if rows:
            with drawing(say):
                from neuromotor.plotting import save_figures
                from neuromotor.runs.generative_figures import plot_model

                figures = {}
                for row in rows:
                    name = f"{row['model']}-{row['seed']}"
                    model, _ = load_model(folder / "models" / f"{name}.safetensors")
                    figures[name] = plot_model(model, data, settings["flips"], row["seed"])
                save_figures(figures, folder / "figures")
        write_json(folder / "summary.json", summary)
    return summary


def measure(
    model: TemporalRBM, data: SequenceData, gibbs_steps: int, flips: float, seed: int
) -> dict[str, Any]:
    """Return how well a model predicts and denoises held-out sequences, and their likelihood.

    Likelihoods are given where they are exact; `likelihood_numbers` estimates others.
    """
    frames = data.held_out.to(model.visible_bias.dtype)
    generator = torch.Generator().manual_seed(seed)
    guess = predict(model, frames, gibbs_steps=gibbs_steps, generator=generator)
    dirty = flipped(frames, flips, generator)
    found: dict[str, Any] = {
        "prediction_mse": _square(guess - frames[:, 1:]),
        "noisy_mse": _square(dirty - frames),
        "denoised_mse": _square(denoise(model, dirty) - frames),
    }
    exact = (
        few_units(model.visible_hidden) if model.kind == "rtrbm" else model.hidden <= MOST_STATES
    )
    if data.binary and exact:
        found |= likelihood_numbers(model, data)
    return found


def likelihood_numbers(model: TemporalRBM, data: SequenceData, **options: Any) -> dict[str, Any]:
    """Return the log-likelihood a frame (nats) of binary held-out sequences, and the baseline's.

    Args:
        model: The model.
        data: Its held-out sequences.
        options: Of `log_likelihood`.

    Raises:
        ValueError: The sequences are not binary, or the model has too many units.
    """
    frames = data.held_out.double()
    found = log_likelihood(model.to(torch.float64), frames, **options)
    alone = independent_log_likelihood(frames, data.known.double())
    steps = frames.shape[1]
    return {
        "log_likelihood_per_frame": float(found.values.mean()) / steps,
        "standard_error_per_frame": float(found.standard_error.square().mean().sqrt())
        / (steps * math.sqrt(len(frames))),
        "independent_log_likelihood_per_frame": float(alone.mean()) / steps,
        "estimator": found.estimator,
    }


def baselines(data: SequenceData) -> dict[str, float]:
    """Return the mean squared errors of two predictions that need no model."""
    ahead, mean = data.held_out[:, 1:], data.known.mean((0, 1))
    return {
        "last_frame_mse": _square(ahead - data.held_out[:, :-1]),
        "mean_frame_mse": _square(ahead - mean),
    }


def over_seeds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each kind of model: medians and ranges over its seeds."""
    found = []
    for kind in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == kind]
        one: dict[str, Any] = {"model": kind, "seeds": len(own)}
        for name in ("prediction_mse", "denoised_mse", "log_likelihood_per_frame"):
            values = [row[name] for row in own if name in row]
            if values:
                one[name] = statistics.median(values)
                one[f"{name}_range"] = [min(values), max(values)]
        one["seconds"] = statistics.median(row["seconds"] for row in own)
        found.append(one)
    return found


class _Job(NamedTuple):
    """One model of a run."""

    kind: str
    seed: int
    number: int  # from 0
    total: int  # of all

    @property
    def file(self) -> str:
        """Name of its files."""
        return f"{self.kind}-{self.seed}.safetensors"


def _jobs(settings: Mapping[str, Any]) -> list[_Job]:
    """Return every model of a run."""
    seeds = range(settings["seed"], settings["seed"] + settings["seeds"])
    pairs = [(kind, seed) for seed in seeds for kind in settings["models"]]
    return [_Job(*pair, number, len(pairs)) for number, pair in enumerate(pairs)]


def _learn(
    settings: Mapping[str, Any],
    data: SequenceData,
    job: _Job,
    folder: Path,
    asked: Callable[[], bool],
    tell: Tell,
) -> bool:
    """Learn one model, from its checkpoint if there is one; return whether it was finished."""
    fitting = _fitting(settings["fitting"], job.seed)
    checkpoint = folder / "checkpoints" / job.file
    clock = checkpoint.with_suffix(".json")
    begun = checkpoint.is_file() and clock.is_file()
    before = float(parse_json(read_text(clock))["seconds"]) if begun else 0.0
    if begun:
        start = load_training(checkpoint)
    else:
        start = begin(job.kind, settings["hidden"], data.draw, fitting)
    began = saved = time.monotonic()

    def keep(training: Training) -> None:
        save_training(checkpoint, training)
        write_json(clock, {"seconds": before + time.monotonic() - began})

    def progress(training: Training) -> bool:
        nonlocal saved
        now = time.monotonic()
        done = training.updates / fitting.updates
        fresh = (training.updates - start.updates) / fitting.updates
        left_s = (now - began) * (job.total - job.number - done) / max(fresh, 1e-9)
        words = f"{job.kind}, seed {job.seed}: update {training.updates}, "
        words += f"rebuilt to {training.error:.3g}"
        tell(words, (job.number + done) / job.total, left_s)
        stop = asked()
        if stop or now - saved > _CHECKPOINT_S:
            keep(training)
            saved = now
        return stop

    training = fit(start, data.draw, fitting, progress)
    if training.updates < fitting.updates:
        return False
    seconds = before + time.monotonic() - began
    info = {"data": data.spec, "settings": dict(settings), "seed": job.seed, "seconds": seconds}
    save_model(folder / "models" / job.file, training.model, info, overwrite=True)
    for old in (checkpoint, clock):
        old.unlink(missing_ok=True)
    return True


def _fitting(table: Mapping[str, Any], seed: int) -> Fitting:
    """Return the settings of a training from plain data."""
    if "seed" in table:
        raise SettingsError("`fitting.seed` must be left out; the run has a `seed`.")
    found: Fitting = decode(dict(table), {"fitting": Fitting()}, "fitting")
    return dataclasses.replace(found, seed=seed)


def _prepare(folder: Path, settings: Mapping[str, Any], *, resume: bool, force: bool) -> None:
    """Write the settings into a new folder, or compare those that are there."""
    path = folder / GENERATIVE_FILE
    if resume:
        if not path.is_file():
            raise RunFolderError(
                f"`--resume` must be a folder with {GENERATIVE_FILE}, got {folder}."
            )
        return
    if path.is_file() and not force:
        raise RunFolderError(
            f"{folder} holds a run already; choose another `--out`, overwrite it with `--force`, "
            "or go on with it by `--resume`."
        )
    if not path.is_file() and any(folder.iterdir()):
        raise RunFolderError(f"{folder} holds other files; choose another `--out`.")
    for part in ("models", "checkpoints", "figures"):
        for old in (folder / part).glob("*"):
            old.unlink()
    (folder / "summary.json").unlink(missing_ok=True)
    write_json(path, settings)


def _sentence(row: Mapping[str, Any]) -> str:
    """Say what a model came to."""
    return (
        f"{row['model']}, seed {row['seed']}: squared error of predictions "
        f"{row['prediction_mse']:.4g}, of denoised frames {row['denoised_mse']:.4g} "
        f"(noisy {row['noisy_mse']:.4g}), {row['seconds']:.0f} s"
    )


def _square(difference: Tensor) -> float:
    return float(difference.square().mean())
