"""The commands `generate` learn, measure, sample and denoise; each number is checked elsewhere."""

import json

import numpy as np
import pytest
from forked import neuromotor

from neuromotor.analysis import make_recording, save_recording


def told(*words):
    done = neuromotor("generate", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def balls_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generate") / "balls"
    words = ("--set", "data.size=6", "--set", "data.balls=1", "--set", "data.steps=8")
    return folder, told(
        "fit", "balls", "--models", "rtrbm,trbm", "--smoke", *words, "--out", folder
    )


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Units that fire in turn, as 20 trials of spike counts."""
    turn = (np.arange(20)[:, None] + np.arange(12)) % 3
    rate = 100.0 * (turn[..., None] == np.arange(3))
    path = tmp_path_factory.mktemp("recordings") / "turns.nc"
    made = make_recording(
        0.01 * np.arange(12), np.arange(20) % 2, {"rate": rate}, units={"rate": "spikes/s"}
    )
    save_recording(path, made)
    return path


def test_both_models_are_learned_and_measured(balls_run):
    folder, found = balls_run
    assert [row["model"] for row in found["models"]] == ["rtrbm", "trbm"]
    assert set(found["baselines"]) == {"last_frame_mse", "mean_frame_mse"}
    assert not found["interrupted"]
    for row in found["rows"]:
        assert 0 < row["prediction_mse"] < 0.5
        assert (folder / "models" / f"{row['model']}-0.safetensors").is_file()
        assert (folder / "figures" / f"{row['model']}-0.png").stat().st_size > 2000
    resumed = told("fit", "--resume", folder)  # everything is there already
    assert resumed["rows"] == found["rows"]


def test_a_model_is_used(balls_run, tmp_path):
    model = balls_run[0] / "models/rtrbm-0.safetensors"
    scored = told("score", model, "--count", 4, "--likelihood")
    assert scored["estimator"] == "enumeration"
    assert scored["log_likelihood_per_frame"] < 0
    out, figure = tmp_path / "new.npz", tmp_path / "new.png"
    told("sample", model, "--steps", 5, "--count", 2, "--out", out, "--figure", figure)
    with np.load(out) as arrays:
        assert arrays["frames"].shape == arrays["probabilities"].shape == (2, 5, 36)
        assert set(np.unique(arrays["frames"])) <= {0.0, 1.0}
    assert figure.stat().st_size > 2000
    cleaned = told("denoise", model, "--flips", 0.2, "--count", 3, "--out", tmp_path / "clean.npz")
    with np.load(tmp_path / "clean.npz") as arrays:
        mse = np.square(arrays["noisy"] - arrays["clean"]).mean()
    assert cleaned["noisy_mse"] == pytest.approx(mse, rel=1e-5)


def test_a_recording_is_learned(recording, tmp_path):
    folder = tmp_path / "run"
    words = ("--updates", 300, "--hidden", 6, "--set", "fitting.rate=0.3", "--held-out", 4)
    words += ("--set", "fitting.steps=[[0,3]]", "--set", "fitting.batch=4")
    found = told("fit", recording, *words, "--out", folder)
    (row,) = found["rows"]
    assert row["log_likelihood_per_frame"] > row["independent_log_likelihood_per_frame"] + 0.5
    assert row["prediction_mse"] < 0.5 * found["baselines"]["last_frame_mse"]
    scored = told("score", folder / "models/rtrbm-0.safetensors", recording)
    assert scored["prediction_mse"] == pytest.approx(row["prediction_mse"], rel=0.5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit",), "Missing argument 'DATA'"),
        (("fit", "balls", "--models", "rbm"), "`models` must be some of rtrbm, trbm"),
        (("fit", "balls", "--bin-ms", "5"), "are for recordings"),
        (("fit", "balls", "--set", "fitting.rates=1"), "did you mean"),
        (("fit", "balls", "--set", "data.radius=9"), "`radius` must leave the balls room"),
        (("fit", "missing.nc"), "missing.nc is not a file"),
        (("fit", "--resume", "nowhere"), "must be a folder with generative.json"),
        (("sample", "missing.safetensors", "--out", "a.txt"), "must end in .npz"),
        (("score", "missing.safetensors"), "is not a file"),
    ],
)
def test_bad_input_gets_one_clear_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = neuromotor("generate", *words)
    assert done.returncode not in (0, 1)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_finished_run_and_a_foreign_recording_are_refused(balls_run, recording):
    folder, _ = balls_run
    again = neuromotor("generate", "fit", "balls", "--smoke", "--out", folder)
    assert "holds a run already" in again.stderr
    other = neuromotor("generate", "score", folder / "models/trbm-0.safetensors", recording)
    assert "leave the recording out" in other.stderr
