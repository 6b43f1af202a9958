"""`neuromotor import`, run as a user would."""

import json

import numpy as np
from forked import neuromotor
from planted_session import check_planted, planted

from neuromotor.analysis import load_recording

TOML = """
align = "go_time"
window_s = [-0.2, 0.6]
conditions = ["direction"]

[names]
spikes = "times"
spike_units = "units"
start = "begin"
stop = "end"

[events]
go_time = "go"
"""


def test_a_file_becomes_a_recording(tmp_path):
    plan = planted()
    table = plan.trials
    np.savez(
        tmp_path / "session.npz",
        times=np.concatenate(plan.spikes),
        units=np.repeat(np.arange(8), [len(s) for s in plan.spikes]),
        **{"begin": table["start_time"], "end": table["stop_time"], "go": table["go_cue_time"]},
        direction=table["angle"],
    )
    (tmp_path / "lab.toml").write_text(TOML)
    arguments = ("import", "session.npz", "--config", "lab.toml", "--out", "mine.nc")
    done = neuromotor(*arguments, "--minimum-rate", "2", "--set", "bin_s=0.02", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "64 trials, 41 times, 6 units: mine.nc" in done.stdout
    assert "1 of 7 units fire less than 2 spikes/s" in done.stderr
    recording = load_recording(tmp_path / "mine.nc")
    check_planted(recording, plan, range(1, 7))
    again = neuromotor(*arguments, cwd=tmp_path)
    assert again.returncode == 2
    assert "mine.nc exists" in again.stderr
    done = neuromotor(*arguments, "--force", "--json", "--smooth", "causal", "0.03", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["unit"] == 7
    done = neuromotor("export", "mine.nc", "--out", "mine.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "mine.csv").read_text().splitlines()) == 1 + 64 * 81
    again = neuromotor("export", "mine.nc", "--out", "mine.csv", cwd=tmp_path)
    assert again.returncode == 2
    assert "mine.csv exists; choose another name, or overwrite it with `--force`" in again.stderr
    wrong = neuromotor("export", "mine.nc", "--out", "x.csv", "--layout", "samples", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "`--layout` is for .npz files" in wrong.stderr
    done = neuromotor("export", "mine.nc", "--out", "mine.npz", "--json", cwd=tmp_path)
    size = (tmp_path / "mine.npz").stat().st_size
    assert json.loads(done.stdout) == {"out": "mine.npz", "bytes": size}
    wrong = neuromotor("export", "mine.nc", "--out", "x.npz", "--layout", "rows", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "unknown layout 'rows'" in wrong.stderr
    both = ("import", "session.npz", *arguments[1:-1], "both.nc", "--seed", "1")
    done = neuromotor(*both, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {"trial": 64, "unit": 14}.items() <= json.loads(done.stdout).items()
    assert "2 sessions were put together by condition" in json.loads(done.stdout)["notes"][-1]
    wrong = neuromotor(*arguments, "--force", "--set", "aling=go", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "did you mean 'align'" in wrong.stderr
    wrong = neuromotor(*arguments, "--force", "--select", "direction > 'a'", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "compares text with numbers" in wrong.stderr


def test_info_lists_the_options():
    done = neuromotor("info", "import", "--json")
    assert done.returncode == 0, done.stderr
    settings = json.loads(done.stdout)["settings"]
    assert settings["bin_s"] == 0.01
    assert settings["names"]["axes"] == "trial time unit"
