"""Snapshots in files: exact, whole or not at all, and damage is noticed."""

import random
from dataclasses import replace

import pytest
import torch
from cases import generator

from neuromotor import LBFGS, CenterOut, CheckpointError, ClosedLoop, ContinuousTimeRNN
from neuromotor.optim import OPTIMIZERS, Budget
from neuromotor.storage.snapshots import load_snapshot, save_snapshot

TASK = CenterOut(directions=3, steps=8)
NET = ContinuousTimeRNN(layers=(5, 4))
OBJECTIVE = ClosedLoop(TASK, NET).objective(TASK.trials())
THETA = NET.initial_parameters(generator(1))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_file_goes_on_to_the_same_numbers(name, tmp_path):
    path, method = tmp_path / "run.safetensors", OPTIMIZERS[name]

    def keep(progress):
        if progress.point.iteration == 2:
            save_snapshot(path, progress.snapshot())

    whole = method.minimize(OBJECTIVE, THETA, Budget(calls=150), keep)
    resumed = method.minimize(OBJECTIVE, THETA, Budget(calls=150), resume=load_snapshot(path))
    assert torch.equal(resumed.parameters, whole.parameters)
    assert resumed.counts == whole.counts
    strip = [replace(point, seconds=0.0) for point in resumed.history]
    assert strip == [replace(point, seconds=0.0) for point in whole.history]


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "run.safetensors"
    LBFGS().minimize(OBJECTIVE, THETA, Budget(calls=8), lambda p: save_snapshot(path, p.snapshot()))
    return path


def test_every_truncation_is_refused(written, tmp_path):
    content = written.read_bytes()
    cut = tmp_path / "cut.safetensors"
    for percent in range(100):
        cut.write_bytes(content[: len(content) * percent // 100])
        with pytest.raises(CheckpointError, match="damaged"):
            load_snapshot(cut)


def test_every_flipped_bit_is_refused(written, tmp_path):
    content = written.read_bytes()
    choice, flipped = random.Random(0), tmp_path / "flipped.safetensors"
    for _ in range(1000):
        damaged = bytearray(content)
        damaged[choice.randrange(len(damaged))] ^= 1 << choice.randrange(8)
        flipped.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_snapshot(flipped)


def test_wrong_files_are_named(written, tmp_path):
    with pytest.raises(CheckpointError, match="is not a file"):
        load_snapshot(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_snapshot(tmp_path / "text.safetensors")
    from neuromotor import load_controller, save_controller

    with pytest.raises(CheckpointError, match="not a neuromotor controller"):
        load_controller(written)
    save_controller(tmp_path / "c.safetensors", NET, THETA)
    with pytest.raises(CheckpointError, match="not a neuromotor snapshot"):
        load_snapshot(tmp_path / "c.safetensors")
    with pytest.raises(FileExistsError, match="exists"):
        save_snapshot(written, load_snapshot(written), overwrite=False)
