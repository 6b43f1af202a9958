"""The page opens with its contents, and a figure's CSV holds the numbers that it shows."""

import csv
import io
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from neuromotor.analysis import Report, Section, write_report
from neuromotor.analysis.page import figure_numbers

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
