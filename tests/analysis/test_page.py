"""The page opens with its contents, and a figure's CSV holds the numbers that it shows."""

import csv
import io
import re
from html.parser import HTMLParser

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from neuromotor.analysis import Report, Section, analyze, make_recording, write_report
from neuromotor.analysis.page import figure_numbers
from neuromotor.analysis.section import report_sections

mpl.use("Agg")


def test_a_figures_numbers_are_what_was_drawn():
    rng = np.random.default_rng(0)
    x, y, points, bars = rng.random(9), rng.random(9), rng.random((5, 2)), rng.random(4)
    figure, (left, right) = plt.subplots(1, 2)
    left.plot(x, y, label="a, b")
    left.scatter(*points.T)
    left.set(xlabel="time (ms)", ylabel="rate")
    right.bar(np.arange(4), bars, width=0.5)
    rows = list(csv.DictReader(io.StringIO(figure_numbers(figure))))
    plt.close(figure)

    def drawn(kind):
        own = [(float(r["x"]), float(r["y"])) for r in rows if r["kind"] == kind]
        return np.array(own)

    np.testing.assert_allclose(drawn("line"), np.stack([x, y], axis=1), rtol=1e-7)
    np.testing.assert_allclose(drawn("points"), points, rtol=1e-7)
    np.testing.assert_allclose(drawn("bar"), np.stack([np.arange(4), bars], axis=1), rtol=1e-7)
    assert {(r["panel"], r["label"]) for r in rows if r["kind"] == "line"} == {("0", "a, b")}
    assert rows[0]["x_label"] == "time (ms)"


def test_the_contents_lead_to_every_section(tmp_path):
    evil = "<script>alert(1)</script>"
    sections = (
        Section("one", evil, "Text.", {evil: evil}, {}),
        Section("two", "Two", "", skipped=f"no {evil}."),
    )
    write_report(Report(evil, sections), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert re.findall(r'<a[^>]*href="#([^"]*)"', page) == ["one", "two"]
    assert re.findall(r'<h2 id="([^"]*)"', page) == ["one", "two"]
    assert "<script" not in page
    assert page.index("<nav>") < page.index("<h2 ")


def test_each_figure_has_its_reading_and_its_null_in_one_sentence():
    for spec in report_sections():
        if spec.name == "data":  # numbers alone
            continue
        assert spec.reading.endswith("."), spec.name
        assert len(re.findall(r"\. ", spec.reading)) == 0, spec.name
        assert re.search("null|reference", spec.reading), spec.name
        assert len(spec.reading) < 200, spec.name


def test_names_from_a_file_are_text_and_nothing_else(tmp_path):
    """Areas, conditions, sources and notes come from files, and files from anybody."""
    evil = '<img src=x onerror="alert(1)">&"\''
    rng = np.random.default_rng(0)
    rate = rng.random((12, 8, 6)) + np.repeat(np.arange(3), 4)[:, None, None]
    recording = make_recording(
        0.01 * np.arange(8),
        [f"{evil}{i // 4}" for i in range(12)],
        {"rate": rate},
        layer=[f"{evil} M1"] * 3 + ["<script>PMd</script>"] * 3,
        units={"rate": f"{evil}/s"},
        attributes={"import_notes": evil, "source": evil, "lab": "<b>lab</b>"},
    )
    report = analyze(recording, source=evil, surrogates=2)
    said: list[str] = []
    write_report(report, tmp_path, warn=said.append)
    assert not said
    found: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append(tag)
            assert "onerror" not in dict(attrs)
            if tag == "img":
                assert dict(attrs)["src"].startswith("data:image/png;base64,")

    page = (tmp_path / "report.html").read_text()
    Tags().feed(page)
    assert "script" not in found
    assert "b" not in found
    figures = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert len(figures) == 3 * found.count("img") == 3 * found.count("figcaption") > 0
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in figures)
    assert {name.rsplit(".")[-1] for name in figures} == {"png", "pdf", "csv"}
    assert len(page) < 2e6  # light enough to be sent
