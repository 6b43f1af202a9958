"""The page holds everything it shows, and says what it could not compute."""

import json
import re

import matplotlib as mpl
import numpy as np
import pytest
from cases import noisy

from neuromotor import CenterOut, ContinuousTimeRNN
from neuromotor.analysis import RecordingError, analyze, make_recording, record, write_report
from neuromotor.storage.files import safe_names
from neuromotor.training.single import initial_parameters
from neuromotor.zoo.saved_controller import SavedController

pytest.importorskip("sklearn")
mpl.use("Agg")
TASK = CenterOut(directions=8, steps=20)
NET = ContinuousTimeRNN(layers=(12, 9))
PARAMETERS = initial_parameters(NET, 0)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    recording = record(TASK, NET, PARAMETERS, noisy(TASK.trials(), TASK.steps))
    before = recording.copy(deep=True)
    saved = SavedController(NET, PARAMETERS, TASK, {})
    report = analyze(recording, source="test", saved=saved, surrogates=3)
    assert recording.identical(before)
    write_report(report, folder)
    return folder, report


def test_every_analysis_of_a_network_is_there(written):
    folder, report = written
    skipped = {section.name: section.skipped for section in report.sections if section.skipped}
    # One trial a condition has no spread.
    assert list(skipped) == ["speed-accuracy"]
    data = json.loads((folder / "analysis.json").read_text())
    assert list(data["sections"]) == [section.name for section in report.sections]
    assert len(data["sections"]) == 15
    assert 0 < data["sections"]["rotations"]["layer 1"]["r2_skew"] < 1


def test_the_page_needs_no_other_file(written):
    folder, report = written
    page = (folder / "report.html").read_text()
    pictures = [name for section in report.sections for name in section.figures]
    assert re.findall(r'<img alt="([^"]*)"', page) == pictures
    assert all(
        source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)', page)
    )
    assert "http" not in page
    for name in safe_names(pictures):
        assert (folder / "figures" / f"{name}.pdf").read_bytes()[:5] == b"%PDF-"


def test_the_tables_show_the_numbers_of_the_json(written):
    folder, _ = written
    page = (folder / "report.html").read_text()
    rows = json.loads((folder / "analysis.json").read_text())["sections"]["rotations"]
    assert f"{rows['layer 2']['r2_unconstrained']:.4g}" in page


def test_own_data_without_movement_get_what_they_allow():
    generator = np.random.default_rng(0)
    rate = generator.standard_normal((12, 25, 10)).cumsum(1)
    own = make_recording(0.02 * np.arange(25), np.repeat(["a", "b", "c"], 4), {"rate": rate})
    report = analyze(own, surrogates=3)
    done = {section.name for section in report.sections if not section.skipped}
    assert done == {"averages", "components", "demixing", "rotations", "alignment", "tangling"}
    reasons = {section.name: section.skipped for section in report.sections if section.skipped}
    assert "hand_position" in reasons["movement"]
    assert "hand_position" in reasons["tuning"]
    with pytest.raises(RecordingError, match="window_s"):
        analyze(own, window_s=(3, 4))


def test_two_recordings_are_held_against_each_other(tmp_path):
    from planted import rotating

    latent, time = rotating([3.0, 1.5, 0.8], conditions=9)
    generator = np.random.default_rng(0)
    views = [latent @ generator.standard_normal((40, 16)) for _ in range(2)]
    views[0][..., 8:] = generator.standard_normal((9, 60, 8)).cumsum(1)  # nothing to do with it
    one, two = (
        make_recording(time, np.arange(9), {"rate": rate}, layer=layer)
        for rate, layer in zip(views, (["M1"] * 8 + ["V1"] * 8, ["net"] * 16), strict=True)
    )
    report = analyze(one, against=two, surrogates=39)
    write_report(report, tmp_path)
    found = json.loads((tmp_path / "analysis.json").read_text())["sections"]["similarity"]
    assert list(found) == ["M1 - net", "V1 - net"]
    alike, unlike = found.values()
    assert alike["correlation_6"] == pytest.approx(1, abs=1e-6)
    assert alike["procrustes_p"] == alike["correlations_p"] == pytest.approx(1 / 40)
    assert alike["procrustes_rad"] < alike["procrustes_null_median_rad"] - 0.3
    assert unlike["correlation_6"] < 0.8
    assert unlike["procrustes_p"] > 0.05
    assert (tmp_path / "figures/similarity.pdf").exists()
    report = analyze(one, against=two.isel(trial=slice(0, 4)), surrogates=2)
    (section,) = (s for s in report.sections if s.name == "similarity")
    assert "same conditions" in section.skipped


@pytest.mark.parametrize(
    ("part", "skipped"),
    [
        ({"trial": [0]}, {"tuning", "demixing", "rotations", "alignment", "decoding"}),
        ({"time": [0]}, {"demixing", "rotations", "alignment", "tangling"}),
        ({"unit": [0, 1]}, {"demixing", "rotations", "alignment"}),
    ],
)
def test_too_little_data_skip_what_they_cannot_have(part, skipped):
    recording = record(TASK, NET, PARAMETERS, noisy(TASK.trials(), TASK.steps)).isel(part)
    report = analyze(recording, surrogates=2)
    found = {section.name for section in report.sections if section.skipped}
    assert skipped <= found
    assert not found - skipped - {"decoding", "latency", "components", "movement", "speed-accuracy"}


def test_names_of_areas_are_no_paths_no_formulas_and_none_is_lost(tmp_path):
    rng = np.random.default_rng(0)
    areas = ["../../../../evil", "VISp2/3", "area 1", "area-1", "$x^{$", "_a", "a\nb", "<b>"]
    condition = np.repeat(np.arange(8), 2)
    angle = np.pi / 4 * condition
    course = np.sin(np.linspace(0, 3, 30))[None, :, None]
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=-1)[:, None]
    mixing = rng.standard_normal((2, 3 * len(areas)))
    rate = course * (unit @ mixing) + 0.1 * rng.standard_normal((16, 30, 3 * len(areas)))
    hand = 0.1 * np.cumsum(course, axis=1) / 20 * unit
    own = make_recording(
        0.01 * np.arange(30),
        condition,
        {"rate": rate, "hand_position": hand},
        layer=np.repeat(areas, 3),
    )
    folder = tmp_path / "deep" / "deeper" / "report"
    folder.mkdir(parents=True)
    report = analyze(own, surrogates=2)
    write_report(report, folder)
    everything = {path for path in tmp_path.rglob("*") if path.is_file()}
    figures = {path for path in everything if path.suffix == ".pdf"}
    assert {path.parent for path in figures} == {folder / "figures"}
    assert everything - figures == {folder / "report.html", folder / "analysis.json"}
    assert len(figures) == sum(len(section.figures) for section in report.sections)
    parts = [path for path in figures if path.name.startswith("components")]
    assert len(parts) == len(areas)
    page = (folder / "report.html").read_text()
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
