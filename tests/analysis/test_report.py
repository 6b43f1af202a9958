"""The page holds everything it shows, and says what it could not compute."""

import json
import re
from dataclasses import fields, replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from cases import noisy
from planted import SECTIONS, rotating

from neuromotor import CenterOut, ClosedLoop, ContinuousTimeRNN, Postural
from neuromotor.analysis import (
    RecordingError,
    Report,
    Section,
    align,
    analyze,
    behaviour,
    load_recording,
    make_recording,
    record,
    recorded_run,
    rotational_dynamics,
    save_recording,
    sensitivity,
    write_report,
)
from neuromotor.analysis.averages import SECTION as AVERAGES
from neuromotor.analysis.behaviour import SECTION as MOVEMENT
from neuromotor.analysis.components import SECTION as COMPONENTS
from neuromotor.analysis.gradients import SECTION as SENSITIVITY
from neuromotor.analysis.latencies import SECTION as LATENCY
from neuromotor.analysis.lesions import SECTION as LESIONS
from neuromotor.analysis.rotation_section import SECTION as ROTATIONS
from neuromotor.analysis.section import Material
from neuromotor.analysis.tuning import SECTION as TUNING
from neuromotor.analysis.unperturbed import check_controller, run_without_loads
from neuromotor.storage.files import safe_names
from neuromotor.training.single import initial_parameters
from neuromotor.zoo.saved_controller import SavedController

pytest.importorskip("sklearn")
mpl.use("Agg")
TASK = CenterOut(directions=8, steps=20)
NET = ContinuousTimeRNN(layers=(12, 9))
PARAMETERS = initial_parameters(NET, 0)
WINDOWS = ((0.05, 0.18), None)


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
    assert set(skipped) & set(SECTIONS) == {"speed-accuracy"}
    data = json.loads((folder / "analysis.json").read_text())
    assert list(data["sections"]) == [section.name for section in report.sections]
    assert set(SECTIONS) - set(data["sections"]) == {"similarity"}  # needs another recording
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
        document = (folder / "figures" / f"{name}.pdf").read_bytes()
        assert document.startswith(b"%PDF-")
        assert document.rstrip().endswith(b"%%EOF")
        picture = plt.imread(folder / "figures" / f"{name}.png")
        assert min(picture.shape[:2]) > 200
        assert 0.5 < picture.mean() < 0.999  # drawn on white paper


def test_a_figure_that_fails_costs_no_number(tmp_path):
    def fail():
        raise RuntimeError("no font\nat all")

    good = Section("good", "Good", "Text.", {"peak_speed_m_s": 0.5}, {"fine": plt.figure})
    bad = Section("bad", "Bad", "Text.", {"share": 0.25}, {"worse": fail})
    said = []
    told = []
    write_report(
        Report("test", (bad, good)),
        tmp_path,
        warn=said.append,
        progress=lambda *at: told.append(at),
    )
    assert said == ["warning: worse could not be drawn (RuntimeError: no font)."]
    numbers = json.loads((tmp_path / "analysis.json").read_text())["sections"]
    assert numbers == {"bad": {"share": 0.25}, "good": {"peak_speed_m_s": 0.5}}
    page = (tmp_path / "report.html").read_text()
    assert "worse could not be drawn" in page
    assert "peak speed (m/s)" in page
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "fine.csv",
        "fine.pdf",
        "fine.png",
    ]
    assert [words for words, _, _ in told] == ["figure 1 of 2", "figure 2 of 2"]


def test_an_analysis_says_how_far_it_is_and_how_long_it_takes():
    generator = np.random.default_rng(0)
    rate = generator.standard_normal((12, 25, 10)).cumsum(1)
    own = make_recording(0.02 * np.arange(25), np.repeat(["a", "b", "c"], 4), {"rate": rate})
    told = []
    report = analyze(own, surrogates=3, progress=lambda *at: told.append(at))
    assert [words.partition(" ")[0] for words, _, _ in told] == [s.name for s in report.sections]
    shares = [share for _, share, _ in told]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[-1] < 1  # the figures are still to come
    assert min(left for _, _, left in told) > 0


def test_the_tables_show_the_numbers_of_the_json(written):
    folder, _ = written
    page = (folder / "report.html").read_text()
    rows = json.loads((folder / "analysis.json").read_text())["sections"]["rotations"]
    assert f"{rows['layer 2']['r2_unconstrained']:.4g}" in page


def test_posture_has_preferred_load_directions_and_true_latencies():
    task = Postural(postures_deg=((30.0, 90.0),), steps=25, delay_steps=10)
    saved = SavedController(NET, PARAMETERS, task, {})
    recording = record(task, NET, PARAMETERS)
    tuned = TUNING.section(Material(recording, surrogates=3))
    assert list(tuned.numbers) == [
        *("layer 1, torque", "layer 2, torque", "layer 1, force", "layer 2, force")
    ]
    assert "Left out, hand: cosine tuning needs" in tuned.text
    latency = LATENCY.section(Material(recording, saved)).numbers["command"]
    assert latency["earliest_s"] == latency["median_s"] == pytest.approx(0.11)
    assert latency["against_same_trial"] == latency["perturbed_trials"] == 8
    aligned = align(recording, "perturbation_time", 0.0, 0.1)
    for other in (aligned, record(CenterOut(directions=2), NET, PARAMETERS)):
        assert run_without_loads(other, saved) is None
    alone = LATENCY.section(Material(recording))
    assert "nothing to hold the 8 perturbed trials against" in alone.skipped
    joint = record(replace(task, loads="joint"), NET, PARAMETERS)
    joint = TUNING.section(Material(joint, surrogates=3))
    assert list(joint.numbers)[2:] == ["layer 1, load", "layer 2, load"]


def test_lesions_are_tested_on_what_was_recorded(tmp_path):
    """Recorded at another distance than the file's task has; from a file too, and a part of it."""
    far = replace(TASK, radius_m=0.06)
    trials = far.trials()
    saved = SavedController(NET, PARAMETERS, TASK, {})
    save_recording(tmp_path / "far.nc", record(far, NET, PARAMETERS, trials))
    recording = load_recording(tmp_path / "far.nc")
    task, again = recorded_run(recording)
    assert task == far
    assert torch.equal(again.initial_state, trials.initial_state)
    assert torch.equal(again.target, trials.target)
    run = ClosedLoop(far, NET).simulate(PARAMETERS, trials)
    for part, kept in ((recording, slice(None)), (recording.isel(trial=[0, 3]), [0, 3])):
        numbers = LESIONS.section(Material(part, saved)).numbers
        error = far.plant.hand_position(run.states[kept, -1])
        error = error - far.plant.hand_position(trials.target[kept])
        wanted = 100 * float(error.norm(dim=-1).mean())
        assert numbers["layer 1"]["intact_error_cm"] == pytest.approx(wanted, rel=1e-9)
    numbers = LESIONS.section(Material(recording, saved)).numbers
    loss = far.cost.losses(run.states, run.commands, trials).mean()
    assert numbers["layer 2"]["intact_loss"] == pytest.approx(float(loss), rel=1e-9)
    wanted = float(np.median(sensitivity(far, NET, PARAMETERS, trials), axis=0)[0])
    section = SENSITIVITY.section(Material(recording, saved))
    assert section.numbers["first_step"] == pytest.approx(wanted, rel=1e-9)


def test_a_recorded_batch_is_the_batch_that_was_run():
    """Every part of the trials, noise draws among them, also where times were cut."""
    net = ContinuousTimeRNN(layers=(12, 9), private_noise=0.1)
    trials = noisy(TASK.trials(), TASK.steps)
    trials = trials.with_unit_noise(21, torch.Generator().manual_seed(1), steps=TASK.steps)
    recording = record(TASK, net, PARAMETERS, trials)
    _, again = recorded_run(recording.isel(time=slice(3, 9)))
    for part in fields(trials):
        if part.name != "condition" and getattr(trials, part.name) is not None:
            assert torch.equal(getattr(again, part.name), getattr(trials, part.name)), part.name
    check_controller(recording, SavedController(net, PARAMETERS, TASK, {}))


def test_another_controller_or_unknown_trials_are_refused():
    recording = record(TASK, NET, PARAMETERS)
    for net in (NET, ContinuousTimeRNN(layers=(4,))):
        other = SavedController(net, initial_parameters(net, 5), TASK, {})
        with pytest.raises(RecordingError, match="not the one that was recorded"):
            analyze(recording, saved=other, surrogates=2)
    check_controller(recording, SavedController(NET, PARAMETERS.float(), TASK, {}))
    saved = SavedController(NET, PARAMETERS, TASK, {})
    lost = recording.drop_vars([name for name in recording if str(name).startswith("trials_")])
    for unknown, reason in ((lost, "does not hold the trials"), (recording, "which task was run")):
        changed = unknown.assign_attrs(task='{"class": "Mine"}')
        for spec in (LESIONS, SENSITIVITY):
            assert reason in spec.section(Material(changed, saved)).skipped
        check_controller(changed, saved)  # there is nothing to hold it against


def test_the_words_say_the_window_that_was_given():
    recording = record(CenterOut(directions=8, steps=40), NET, PARAMETERS)
    reports = {window: analyze(recording, window_s=window, surrogates=2) for window in WINDOWS}
    for window, words in zip(WINDOWS, ("0.05 to 0.18 s", "0 to 0.39 s"), strict=True):
        texts = {section.name: section.text for section in reports[window].sections}
        for name in ("averages", "tuning", "components", "demixing", "alignment", "tangling"):
            assert words in texts[name]
    moved = "0 to 0.3 s from each trial's movement onset, in 8 of 8 trials"
    assert moved in texts["rotations"]  # without a window
    given = next(s for s in reports[0.05, 0.18].sections if s.name == "rotations")
    assert "0.05 to 0.18 s, as given" in given.text
    layer = recording.isel(unit=slice(0, 12))
    wanted = rotational_dynamics(layer, window_s=(0.05, 0.18), surrogates=0).r2_skew
    assert given.numbers["layer 1"]["r2_skew"] == pytest.approx(wanted, rel=1e-12)
    cut = align(recording, "go_time", 0.0, 0.2)
    assert "0 to 0.2 s from each trial's go time" in AVERAGES.section(Material(cut)).text


def test_the_report_says_how_many_trials_a_number_is_of():
    recording = record(CenterOut(directions=8, steps=40), NET, PARAMETERS)
    recording["movement_onset"].values[[1, 5]] = np.nan
    section = MOVEMENT.section(Material(recording))
    ended = np.isfinite(behaviour(recording).movement_time_s).sum()
    assert section.numbers["peak_speed_m_s"]["trials"] == 6
    assert section.numbers["end_error_m"]["trials"] == 8
    assert f"{ended} of 8 trials" in section.text


def test_few_conditions_get_no_p():
    generator = np.random.default_rng(0)
    rate = generator.standard_normal((4, 25, 10)).cumsum(1)
    own = make_recording(0.02 * np.arange(25), np.arange(4), {"rate": rate})
    section = ROTATIONS.section(Material(own, surrogates=2))
    assert "No p: 4 conditions are fewer than 8" in section.text
    assert np.isnan(section.numbers["all"]["p_skew"])


def test_a_small_area_does_not_hide_a_large_one():
    generator = np.random.default_rng(0)
    rate = generator.standard_normal((12, 25, 20)).cumsum(1)
    rate[..., 19] = 2.0
    layer = ["M1"] * 16 + ["S1"] * 3 + ["silent"]
    own = make_recording(0.02 * np.arange(25), np.arange(12), {"rate": rate}, layer=layer)
    rotations = ROTATIONS.section(Material(own, surrogates=2))
    assert list(rotations.numbers) == ["M1"]
    assert "Left out, S1: rotational dynamics need" in rotations.text
    assert "silent: " in rotations.text
    components = COMPONENTS.section(Material(own))
    assert list(components.numbers) == ["M1", "S1"]
    assert "Left out, silent: `rate` must vary" in components.text


def test_silent_units_and_single_samples_are_said_once_and_clearly():
    time, condition = 0.02 * np.arange(25), np.repeat(np.arange(8), 2)
    hand = np.random.default_rng(0).standard_normal((16, 25, 2)).cumsum(1)
    variables = {"rate": np.full((16, 25, 9), 2.0), "hand_position": hand}
    silent = analyze(make_recording(time, condition, variables), surrogates=2)
    skipped = {s.name: s.skipped for s in silent.sections}
    reason = "no unit ever changes its rate, 2 to 2 throughout."
    found = {name for name, why in skipped.items() if why == reason}
    assert found & set(SECTIONS) == {
        *("averages", "tuning", "components", "demixing", "rotations", "alignment"),
        *("tangling", "decoding"),
    }
    assert not skipped["movement"]
    variables["rate"] = np.random.default_rng(0).standard_normal((16, 25, 9))
    one = {name: values[:, :1] for name, values in variables.items()}
    report = analyze(make_recording(time[:1], condition, one), surrogates=2)
    skipped = {s.name: s.skipped for s in report.sections}
    assert skipped["movement"] == "a movement needs three times or more, the recording has 1."
    assert "three times" in skipped["rotations"]
    assert not skipped["averages"]


def test_own_data_without_movement_get_what_they_allow():
    generator = np.random.default_rng(0)
    rate = generator.standard_normal((12, 25, 10)).cumsum(1)
    own = make_recording(0.02 * np.arange(25), np.repeat(["a", "b", "c"], 4), {"rate": rate})
    report = analyze(own, surrogates=3)
    done = {section.name for section in report.sections if not section.skipped}
    assert done & set(SECTIONS) == {
        "averages",
        "components",
        "demixing",
        "rotations",
        "alignment",
        "tangling",
    }
    reasons = {section.name: section.skipped for section in report.sections if section.skipped}
    assert "hand_position" in reasons["movement"]
    assert "hand_position" in reasons["tuning"]
    with pytest.raises(RecordingError, match="window_s"):
        analyze(own, window_s=(3, 4))


def test_two_recordings_are_held_against_each_other(tmp_path):
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
    found = {s.name for s in report.sections if s.skipped and s.name in SECTIONS}
    assert skipped <= found
    assert (
        not found
        - skipped
        - {"decoding", "latency", "deviations", "components", "movement", "speed-accuracy"}
    )


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
    plt.close("all")  # what other tests left open would count against the many figures here
    report = analyze(own, surrogates=2)
    write_report(report, folder)
    everything = {path for path in tmp_path.rglob("*") if path.is_file()}
    figures = {path for path in everything if path.suffix in (".csv", ".pdf", ".png")}
    assert {path.parent for path in figures} == {folder / "figures"}
    assert everything - figures == {folder / "report.html", folder / "analysis.json"}
    assert len(figures) == 3 * sum(len(section.figures) for section in report.sections)
    parts = [path for path in figures if path.match("components*.pdf")]
    assert len(parts) == len(areas)
    page = (folder / "report.html").read_text()
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
