"""`neuromotor record` and `analyze`, run as a user would."""

import base64
import json
import re

import pytest
from forked import neuromotor

PNG_END = b"IEND\xaeB`\x82"


@pytest.mark.slow
def test_record_and_analyze(smoke_run, tmp_path):
    pytest.importorskip("sklearn")
    folder, _ = smoke_run
    controller = folder / "controllers/kron-lbfgs.safetensors"
    file = tmp_path / "recording.nc"
    done = neuromotor("record", controller, "--out", file, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trial"] == 8
    again = neuromotor("record", controller, "--out", file)
    assert again.returncode == 2
    assert "exists" in again.stderr
    report = tmp_path / "report"
    arguments = ("--controller", controller, "--surrogates", "2", "--json", "--out", report)
    done = neuromotor("analyze", file, *arguments)
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
    assert numbers == json.loads((report / "analysis.json").read_text())
    assert "speed_1_s" in numbers["sections"]["fixed-points"]
    page = (report / "report.html").read_text()
    pictures = [base64.b64decode(text) for text in re.findall(r"image/png;base64,([^\"]+)", page)]
    assert len(pictures) == page.count("<img") > 3
    assert all(picture.startswith(b"\x89PNG") and picture.endswith(PNG_END) for picture in pictures)
    assert page.count("<h2 ") >= len(numbers["sections"])
    assert "similarity" not in numbers["sections"]
    pair = ("--against", file, "--surrogates", "2", "--json", "--out", tmp_path / "pair")
    done = neuromotor("analyze", file, *pair, "--soft", "0.1")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "pair/report.html").read_text()
    assert "Each unit is divided by its range plus 0.1" in page
    found = json.loads(done.stdout)["sections"]["similarity"]
    first = found["layer 1 - layer 1"]
    assert first["procrustes_rad"] < 1e-6 < first["procrustes_null_median_rad"]
    wrong = neuromotor("analyze", controller, "--out", tmp_path / "x")
    assert wrong.returncode == 2
    assert "not a netCDF file" in wrong.stderr


@pytest.mark.slow
def test_an_instructed_delay_goes_all_the_way(tmp_path):
    pytest.importorskip("sklearn")
    folder = tmp_path / "run"
    arguments = ("--optimizer", "kron-lbfgs", "--smoke", "--out", folder)
    done = neuromotor("train", "instructed-delay", *arguments)
    assert done.returncode == 0, done.stderr
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["controller"]["input_size"] == 9
    file = folder / "controllers/kron-lbfgs.safetensors"
    done = neuromotor("evaluate", file, "--set", "held_out=8", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["evaluation"]["ratios"]) == {"clairvoyant"}
    done = neuromotor("evaluate", file, "--set", "held_out=8", "--set", "references=online")
    assert done.returncode == 2
    assert "does not know when it will" in done.stderr
    recording = tmp_path / "x.nc"
    done = neuromotor("record", file, "--out", recording, "--set", "task.repeats=6")
    assert done.returncode == 0, done.stderr
    arguments = ("--controller", file, "--surrogates", "2", "--out", tmp_path / "report", "--json")
    done = neuromotor("analyze", recording, "--align", "go_time", "0.3", "0.5", *arguments)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "report/settings.json").read_text())["align"][0] == "go_time"
    wrong = neuromotor("analyze", recording, "--align", "gone", "0.3", "0.5")
    assert wrong.returncode == 2
    assert "`--align` must name one of target_time, go_time" in wrong.stderr


@pytest.mark.slow
def test_the_whole_loop_and_perturbations_go_all_the_way(tmp_path):
    pytest.importorskip("sklearn")
    folder = tmp_path / "run"
    smaller = ("--set", "task.delay_steps=2", "--set", "controller.layers=[8, 8]")
    arguments = ("--optimizer", "lbfgs", "--smoke", "--out", folder, *smaller)
    done = neuromotor("train", "center-out", *arguments)
    assert done.returncode == 0, done.stderr
    controller = folder / "controllers/lbfgs.safetensors"
    file, silent = tmp_path / "own.nc", tmp_path / "silent.nc"
    assert neuromotor("record", controller, "--out", file).returncode == 0
    perturb = ("--perturb", "silence 2 0-3 2 5", "--perturb", "scale 1 all 0 3 0.5 recurrent")
    done = neuromotor("record", controller, "--out", silent, *perturb)
    assert done.returncode == 0, done.stderr
    wrong = neuromotor("record", controller, "--out", tmp_path / "x.nc", "--perturb", "silence 2")
    assert wrong.returncode == 2
    assert "5 to 7 words" in wrong.stderr
    out = ("--out", tmp_path / "report", "--surrogates", "2", "--json")
    several = ("--against", file, "--against", silent)
    options = ("--controller", controller, "--loop", "--difference", "midpoints", *several)
    done = neuromotor("analyze", file, *options, *out)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["sections"]
    assert found["loop"]["mode 1"]["share_of_delay_line"] >= 0
    assert "sensory" in found["currents"]["layer 1"]
    assert found["rotations"]["layer 1"]["difference"] == "midpoints"
    assert 0.5 < found["groups"]["layer 1: correlation"]["across_most"] <= 1
    for wrong, words in (
        (("--loop",), "needs `--controller`"),
        (("--difference", "ends"), "must be starts or midpoints"),
        (("--beside", file), "needs `--against`"),
    ):
        done = neuromotor("analyze", file, *wrong, "--out", tmp_path / "y")
        assert done.returncode == 2
        assert words in done.stderr
