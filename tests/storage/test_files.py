"""Run folders are never overwritten by accident, and files are whole or absent."""

import json
import re

import pytest

from neuromotor.runs.create import create_run_folder
from neuromotor.storage.claims import (
    FolderVanished,
    RunFolderError,
    claimed,
    folder_in_use,
    make_folder,
)
from neuromotor.storage.files import atomic_path, safe_names, write_json


def test_an_existing_run_is_kept_unless_forced(tmp_path):
    folder = tmp_path / "run"
    create_run_folder(folder, {"seed": 1}, force=False)
    write_json(folder / "summary.json", {"loss": 1.0})
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="--force"):
        create_run_folder(folder, {"seed": 2}, force=False)
    assert json.loads((folder / "settings.json").read_text()) == {"seed": 1}
    create_run_folder(folder, {"seed": 2}, force=True)
    assert json.loads((folder / "settings.json").read_text()) == {"seed": 2}
    assert not (folder / "summary.json").exists()
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_folder_that_is_no_run_is_never_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunFolderError, match="not a neuromotor run"):
        create_run_folder(tmp_path, {}, force=True)
    with pytest.raises(RunFolderError, match="must be a folder"):
        create_run_folder(tmp_path / "thesis.tex", {}, force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def half_write(path):
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "data.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(RuntimeError, match="stop"):
        half_write(path)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["data.json"]


def test_names_from_outside_become_safe_and_unique_file_names():
    names = ["../../etc", "a/b", "a b", "a-b", "A b", "", "..", "/", "x" * 300, "[/foo]", "ü\0\n$"]
    safe = safe_names(names)
    assert safe[:4] == ["etc", "a-b", "a-b-2", "a-b-3"]
    assert len({name.lower() for name in safe}) == len(names)
    for name in safe:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name), name
    assert safe_names(["components-layer 1", "movement"]) == ["components-layer-1", "movement"]


def vanish_while_written(folder, away):
    with atomic_path(folder / "results" / "data.json") as temporary:
        folder.rename(away)
        temporary.write_text("half")


def test_a_claimed_folder_that_vanishes_is_never_made_anew(tmp_path):
    folder, away = tmp_path / "runs" / "run", tmp_path / "away"
    with claimed(folder):
        write_json(folder / "checkpoints" / "data.json", {"a": 1})
        folder.rename(away)
        for name in ("summary.json", "checkpoints/data.json", "figures/new/data.json"):
            with pytest.raises(FolderVanished, match="was removed while the run wrote into it"):
                write_json(folder / name, {"a": 2})
        with pytest.raises(FolderVanished):
            make_folder(folder)
        assert not folder.exists()
        away.rename(folder)
        write_json(folder / "checkpoints" / "data.json", {"a": 3})
        with pytest.raises(FolderVanished):
            vanish_while_written(folder, away)
        assert not folder.exists()
        folder.mkdir()  # another run's, in the same place
        with pytest.raises(FolderVanished):
            write_json(folder / "summary.json", {"a": 4})
        assert not list(folder.iterdir())
    assert json.loads((away / "checkpoints" / "data.json").read_text()) == {"a": 3}
    write_json(folder / "summary.json", {"a": 5})  # nobody's claim any more


def test_a_claim_leaves_nothing_where_nothing_was_written(tmp_path):
    (tmp_path / "mine").mkdir()
    for name in ("new", "mine"):
        with claimed(tmp_path / name), claimed(tmp_path / name):
            assert folder_in_use(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    assert not folder_in_use(tmp_path / "mine")
