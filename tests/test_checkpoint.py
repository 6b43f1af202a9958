"""Controller files: what is saved comes back, and nothing else is believed."""

import json
import pickle
import struct

import pytest
import torch
from cases import generator
from safetensors.torch import save_file

from neuromotor.checkpoint import CheckpointError, load_controller, save_controller
from neuromotor.controllers import CommandTable, ContinuousTimeRNN
from neuromotor.tasks import CenterOut

NET = ContinuousTimeRNN(layers=(5, 4), learn_initial_state=True)
THETA = NET.initial_parameters(generator())


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "net.safetensors"
    save_controller(path, NET, THETA, task=CenterOut(directions=8), info={"loss": 0.5})
    return path


def rewrite(path, **changes):
    """The same file with other metadata, and its checksum as it was."""
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    header["__metadata__"] |= changes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + size :])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip(tmp_path, dtype):
    path = tmp_path / "deep" / "net.safetensors"
    save_controller(path, NET, THETA.to(dtype), task=CenterOut(radius_m=0.05), info={"a": [1]})
    saved = load_controller(path)
    assert saved.controller == NET
    assert saved.task == CenterOut(radius_m=0.05)
    assert saved.info == {"a": [1]}
    assert saved.parameters.dtype == dtype
    assert torch.equal(saved.parameters, THETA.to(dtype))
    assert [p.name for p in path.parent.iterdir()] == ["net.safetensors"]


def test_a_table_without_a_task_comes_back(tmp_path):
    table = CommandTable(trials=2, steps=3)
    save_controller(tmp_path / "t.safetensors", table, torch.zeros(12))
    saved = load_controller(str(tmp_path / "t.safetensors"))
    assert saved.controller == table
    assert saved.task is None


def test_nothing_is_overwritten_unasked(path):
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        save_controller(path, NET, 2 * THETA)
    assert path.read_bytes() == before
    save_controller(path, NET, 2 * THETA, overwrite=True)
    assert torch.equal(load_controller(path).parameters, 2 * THETA)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [(THETA[:-1], "must have shape"), (THETA * float("nan"), "must be finite")],
)
def test_bad_parameters_are_not_saved(tmp_path, parameters, message):
    with pytest.raises(ValueError, match=message):
        save_controller(tmp_path / "x.safetensors", NET, parameters)
    assert not list(tmp_path.iterdir())


def test_every_truncation_is_refused(path):
    raw = path.read_bytes()
    for percent in range(100):
        path.write_bytes(raw[: len(raw) * percent // 100])
        with pytest.raises(CheckpointError, match=r"damaged|not a safetensors"):
            load_controller(path)


def test_every_flipped_bit_is_refused_or_harmless(path):
    raw = path.read_bytes()
    for position in range(0, len(raw), 7):
        damaged = bytearray(raw)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:
            saved = load_controller(path)
        except CheckpointError:
            continue
        assert torch.equal(saved.parameters, THETA)  # the flip was in the description


def test_foreign_files_are_refused(tmp_path, path):
    foreign = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(3)}, foreign)
    with pytest.raises(CheckpointError, match="not a neuromotor controller"):
        load_controller(foreign)
    foreign.write_bytes(pickle.dumps({"parameters": [1.0]}))
    with pytest.raises(CheckpointError, match="damaged or not a safetensors file"):
        load_controller(foreign)
    with pytest.raises(CheckpointError, match="is not a file"):
        load_controller(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": "9"}, "format version '9'.*update neuromotor"),
        ({"sha256": "0"}, "checksum"),
        ({"controller": "{"}, "does not agree with itself"),
        ({"controller": '{"type": "rnn", "layers": [5, 5]}'}, "must have shape"),
        ({"controller": '{"type": "rnn", "layers": [1000000000]}'}, "must have shape"),
        ({"controller": '{"type": "transformer"}'}, "unknown controller 'transformer'"),
        ({"task": '{"type": "center-out", "radius_m": -1}'}, "`radius_m` must be"),
        ({"info": "[]"}, "`info` is not a table"),
    ],
)
def test_files_that_contradict_themselves_are_refused(path, changes, message):
    rewrite(path, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_controller(path)
