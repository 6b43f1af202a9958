"""Controller files: what is saved comes back, and nothing else is believed."""

import json
import pickle
import random
import struct
from dataclasses import dataclass, replace

import pytest
import torch
from cases import generator
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

from neuromotor import SettingsError
from neuromotor.controllers import (
    CommandTable,
    ContinuousTimeRNN,
    GatedCell,
    Network,
    Sparse,
    TanhCell,
)
from neuromotor.plants import MONKEY_PUBLISHED, PLANTS
from neuromotor.storage.snapshots import load_snapshot
from neuromotor.storage.tensor_file import seal
from neuromotor.tasks import TASKS, CenterOut, ForceField
from neuromotor.zoo.saved_controller import CheckpointError, load_controller, save_controller

NET = ContinuousTimeRNN(layers=(5, 4), learn_initial_state=True)
THETA = NET.initial_parameters(generator())


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "net.safetensors"
    save_controller(path, NET, THETA, task=CenterOut(directions=8), info={"loss": 0.5})
    return path


def rewrite(path, **changes):
    """The same file with other metadata, and a checksum that is right for them."""
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    header["__metadata__"] |= {"sha256": "0" * 64, **changes}
    text = json.dumps(header, separators=(",", ":")).encode()
    path.write_bytes(seal(struct.pack("<Q", len(text)) + text + raw[8 + size :]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip(tmp_path, dtype):
    path = tmp_path / "deep" / "net.safetensors"
    save_controller(path, NET, THETA.to(dtype), task=CenterOut(radius_m=0.05), info={"a": [1]})
    saved = load_controller(path)
    assert saved.controller == NET
    assert saved.task == CenterOut(radius_m=0.05)
    assert saved.info == {"a": [1]}
    assert saved.parameters.dtype == torch.float64  # whatever it was saved in, no digit lost
    assert torch.equal(saved.parameters, THETA.to(dtype).double())
    again = load_controller(path, dtype=dtype).parameters
    assert again.dtype == dtype
    assert torch.equal(again, THETA.to(dtype))
    assert [p.name for p in path.parent.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize(
    "net",
    [
        Network(layers=(3,), cell=GatedCell(), squash="logistic", initializer=Sparse()),
        Network(layers=(3, 2), cell=TanhCell(leak=0.25), private_noise=0.1),
    ],
)
def test_a_network_comes_back_with_its_cell(tmp_path, net):
    theta = net.initial_parameters(generator())
    save_controller(tmp_path / "net.safetensors", net, theta)
    saved = load_controller(tmp_path / "net.safetensors")
    assert saved.controller == net
    assert torch.equal(saved.parameters, theta)


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


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.int64]
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path, dtype):
    with pytest.raises(TypeError, match=r"`parameters` must have .* float32 or float64, got torch"):
        save_controller(tmp_path / "x.safetensors", NET, THETA.to(dtype))
    assert not list(tmp_path.iterdir())


def test_another_precision_in_a_file_is_refused(tmp_path, path):
    half = load_file(path)["parameters"].half()
    with safe_open(path, "pt") as file:
        metadata = file.metadata() | {"sha256": "0" * 64}
    path.write_bytes(seal(save({"parameters": half}, metadata)))
    with pytest.raises(CheckpointError, match=r"float32 or float64, got torch\.float16"):
        load_controller(path)
    with pytest.raises(TypeError, match=r"`dtype` must be torch\.float32 or torch\.float64"):
        load_controller(path, dtype=torch.float16)


@pytest.mark.parametrize("name", ["n" * 10_000, "n" * 10_000 + ".safetensors"])
def test_a_name_that_no_file_can_have_is_refused_in_one_line(tmp_path, name):
    for use in (
        lambda: save_controller(tmp_path / name, NET, THETA),
        lambda: load_controller(tmp_path / name),
        lambda: load_controller(name),
        lambda: load_snapshot(tmp_path / name),
    ):
        with pytest.raises(CheckpointError, match=r"letters\) is no file's name") as caught:
            use()
        assert len(str(caught.value)) < 200
    assert not list(tmp_path.iterdir())


def test_every_truncation_is_refused(path):
    raw = path.read_bytes()
    for percent in range(100):
        path.write_bytes(raw[: len(raw) * percent // 100])
        with pytest.raises(CheckpointError, match=r"damaged|not a safetensors"):
            load_controller(path)


def test_every_flipped_bit_is_refused(path):
    raw, choice = path.read_bytes(), random.Random(0)
    for _ in range(1000):
        damaged = bytearray(raw)
        damaged[choice.randrange(len(raw))] ^= 1 << choice.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_controller(path)


def test_bytes_behind_the_parts_are_refused(path):
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(CheckpointError, match="damaged"):
        load_controller(path)


def test_a_huge_file_is_refused_before_it_is_read(path, monkeypatch):
    with path.open("r+b") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that takes no room
    with pytest.raises(
        CheckpointError, match=r"1,099,511,627,776 bytes.*NEUROMOTOR_MAX_FILE_BYTES"
    ):
        load_controller(path)
    save_controller(path, NET, THETA, overwrite=True)
    with pytest.raises(CheckpointError, match="more than the 100 that"):
        load_controller(path, max_bytes=100)
    monkeypatch.setenv("NEUROMOTOR_MAX_FILE_BYTES", "1000000")
    assert torch.equal(load_controller(path, max_bytes=100).parameters, THETA)


def test_a_header_that_claims_to_be_huge_is_refused(path):
    raw = path.read_bytes()
    path.write_bytes(struct.pack("<Q", 1 << 62) + raw[8:])
    with pytest.raises(CheckpointError, match="header does not fit"):
        load_controller(path)


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
        ({"format_version": "1"}, "format version '1'.*update neuromotor"),
        ({"format_version": "9"}, "format version '9'.*update neuromotor"),
        ({"sha256": "0"}, "checksum"),
        ({"controller": "{"}, "does not agree with itself"),
        ({"controller": "[" * 100_000}, "nested more than 64 deep"),
        ({"info": '{"a": ' * 100 + "1" + "}" * 100}, "nested more than 64 deep"),
        ({"info": '{"a": NaN}'}, "NaN is not a number"),
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


def test_what_is_not_as_in_the_training_is_told(path):
    saved = load_controller(path)
    assert saved.differences(saved.task) == {}
    own = replace(saved.task, radius_m=0.06, plant=PLANTS["human"])
    assert saved.differences(own) == {
        "radius_m": (0.04463, 0.06),
        "plant": ("monkey-published", "human"),
    }
    heavy = replace(MONKEY_PUBLISHED, mass_1=1.0)
    own = replace(saved.task, plant=replace(saved.task.plant, parameters=heavy))
    mass = MONKEY_PUBLISHED.mass_1
    assert saved.differences(own) == {"plant.parameters.mass_1": (mass, 1.0)}
    reach = replace(saved.task, steps=60)
    assert saved.differences(ForceField(reach=reach)) == {
        "task": ("center-out", "force-field"),
        "steps": (40, 60),
    }


def test_without_a_task_nobody_knows_what_differs(tmp_path):
    save_controller(tmp_path / "net.safetensors", NET, THETA)
    assert load_controller(tmp_path / "net.safetensors").differences(CenterOut()) is None


@dataclass(frozen=True)
class Mine(CenterOut):
    """A task of one's own."""


def test_a_task_of_ones_own_is_saved_and_read_where_it_is_registered(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    with pytest.raises(SettingsError, match="Mine cannot be written to a file: no instance"):
        save_controller(path, NET, THETA, task=Mine())
    assert not path.exists()
    monkeypatch.setitem(TASKS, "mine", Mine())
    save_controller(path, NET, THETA, task=Mine(directions=3))
    assert load_controller(path).task == Mine(directions=3)
    monkeypatch.delitem(TASKS, "mine")
    with pytest.raises(CheckpointError, match=r"is whole, but needs .*unknown task 'mine'") as end:
        load_controller(path)
    assert f"pass `--use {__name__}`" in str(end.value)


def test_a_run_folder_offers_its_controllers(path):
    folder = path.parent / "run"
    for name in ("seed-0/controllers/adam", "controllers/lbfgs"):
        file = folder / f"{name}.safetensors"
        file.parent.mkdir(parents=True)
        file.write_bytes(path.read_bytes())
    with pytest.raises(CheckpointError, match="give one of the controllers in it") as end:
        load_controller(folder)
    for file in folder.rglob("*.safetensors"):
        assert str(file) in str(end.value)
