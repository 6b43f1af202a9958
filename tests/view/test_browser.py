"""The page in a real browser: what a person does there, and what the page may not do.

It needs Playwright's Python package, and Chromium or Chrome on the machine (`apt-get install
chromium`, or its path in NEUROMOTOR_BROWSER).
"""

from __future__ import annotations

import csv
import io
import os
import shutil

import numpy as np
import pytest

from neuromotor.view import view
from neuromotor.zoo.saved_controller import load_controller

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser():
    found = os.environ.get("NEUROMOTOR_BROWSER") or next(
        filter(None, map(shutil.which, BROWSERS)), ""
    )
    if not found:
        pytest.skip("no Chromium or Chrome is on this machine")
    with playwright.sync_playwright() as running:
        one = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    saved = load_controller("ddn/best")
    page = view(
        saved.task, saved.controller, saved.parameters, title="ddn", shown=3, fixed_points=False
    )
    return page.save(tmp_path_factory.mktemp("view") / "page.html")


class Visit:
    """A page that is open, with all that it said and asked for."""

    def __init__(self, browser, file, link="", **options):
        self.context = browser.new_context(reduced_motion="reduce", **options)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri() + link)

    def steps(self, count):
        self.page.evaluate(f"for (let i = 0; i < {count}; i += 1) advance()")
        self.page.evaluate("show(frames.length - 1)")

    def states(self):
        return np.array(self.page.evaluate("frames.map((one) => Array.from(one.state))"))

    def until(self, expression):
        """Wait for something to be true; the page's policy forbids what Playwright would do."""
        while not self.page.evaluate(expression):
            self.page.wait_for_timeout(20)

    def saved(self, button):
        with self.page.expect_download() as download:
            self.page.click(button)
        return download.value


@pytest.fixture
def visit(browser, file):
    made = []

    def opened(link="", **options):
        made.append(Visit(browser, file, link, **options))
        return made[-1]

    yield opened
    for one in made:
        assert one.faults == []
        assert [url for url in one.requests if not url.startswith(("file:", "blob:"))] == []
        one.context.close()


def test_its_trials_are_those_of_python(visit):
    one = visit()
    assert float(one.page.get_attribute("#about", "data-worst")) < 1e-9
    one.steps(60)
    assert one.page.inner_text("#said").startswith("The trial has ended with a loss of")
    end = one.page.evaluate("Array.from(decoded(model.expected).data.subarray(0, 4))")
    assert np.allclose(one.states()[-1], end, rtol=1e-9)


def test_a_push_moves_the_hand(visit):
    one = visit()
    one.steps(60)
    before = one.states()
    one.page.click("#restart")
    box = one.page.locator("#limb").bounding_box()
    x, y = one.page.evaluate(
        "(() => { const c = byId('limb'); const h = frames[shown].hand;"
        " return limbView(c.clientWidth, c.clientHeight).to(h); })()"
    )
    one.page.mouse.move(box["x"] + x, box["y"] + y)
    one.page.mouse.down()
    one.page.mouse.move(box["x"] + x + 60, box["y"] + y)
    one.until("frames.length > 20")
    one.page.mouse.up()
    one.page.click("#play")  # pauses
    force = one.page.evaluate("frames[15].force")
    assert force[0] > 0.1
    assert np.abs(one.states()[20] - before[20]).max() > 1e-3


def test_a_unit_is_silenced_by_a_click_and_restored_by_another(visit):
    one = visit()
    box = one.page.locator("#units").bounding_box()
    place = {"x": 120, "y": 40}
    one.page.click("#units", position=place)
    assert one.page.evaluate("silent.size") == 1
    assert "silenced, nothing reads its rate" in one.page.inner_text("#said")
    assert "silent=" in one.page.url
    one.page.click("#units", position=place)
    assert one.page.evaluate("silent.size") == 0
    assert box["height"] > 100


def test_the_keyboard_is_enough(visit):
    one = visit()
    one.page.keyboard.press(".")
    assert one.page.evaluate("loop.t") == 1
    one.page.focus("#units")
    one.page.keyboard.press("ArrowDown")
    one.page.keyboard.press("Enter")
    assert one.page.evaluate("silent.has(model.order.units[1])")
    one.page.focus("#limb")
    one.page.keyboard.press("t")
    before = one.page.evaluate("loop.hand(Array.from(loop.target(world)))")
    one.page.keyboard.press("ArrowRight")
    after = one.page.evaluate("loop.hand(Array.from(loop.target(world)))")
    assert np.allclose(np.subtract(after, before)[:2], [0.005, 0], atol=1e-6)


def test_hand_and_target_are_dragged(visit):
    one = visit()
    box = one.page.locator("#limb").bounding_box()
    for tool, what in (("hand", "frames.at(-1).hand"), ("target", "loop.hand(world.target)")):
        one.page.check(f"input[value={tool}]")
        x, y = one.page.evaluate(
            "limbView(byId('limb').clientWidth, byId('limb').clientHeight).to([0.05, 0.25])"
        )
        one.page.mouse.move(box["x"] + x, box["y"] + y)
        one.page.mouse.down()
        one.page.mouse.up()
        one.page.evaluate("pause()")
        assert np.allclose(one.page.evaluate(what)[:2], [0.05, 0.25], atol=2e-3)


def test_a_link_brings_back_what_was_set(visit):
    one = visit("#trial=2&delay=4&noise=0&curl=3&silent=5,17&load=0.1,0&speed=9&stop=nonsense")
    world = one.page.evaluate("world")
    assert world["delay"] == 4
    assert world["noise"] == 0
    assert world["curl"] == 3
    assert world["load"] == [0.1, 0]
    assert one.page.evaluate("[condition, speed, stopsAtEnd, [...silent]]") == [
        2,
        1,
        False,
        [5, 17],
    ]
    link = one.page.evaluate("link()")
    assert visit(link).page.evaluate("link()") == link


def test_what_happened_is_saved(visit, tmp_path):
    one = visit()
    one.steps(12)
    one.saved("#csv").save_as(tmp_path / "it.csv")
    names, *rows = csv.reader(io.StringIO((tmp_path / "it.csv").read_text()))
    assert names[:2] == ["time (s)", "shoulder angle (rad)"]
    assert len(names) == 1 + 4 + 2 + 2 + 2 + 1 + 200
    assert len(rows) == 13
    assert np.allclose([[float(x) for x in row[1:5]] for row in rows], one.states())
    one.saved("#png").save_as(tmp_path / "it.png")
    assert (tmp_path / "it.png").read_bytes()[:4] == b"\x89PNG"


def test_a_replay_shows_what_happened_and_computes_nothing(visit):
    one = visit()
    one.steps(20)
    before = one.states()
    one.page.evaluate("speed = 1")
    one.page.click("#replay")
    one.until("byId('said').textContent === 'The replay has ended.'")
    assert np.array_equal(one.states(), before)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_everywhere_and_by_everyone(visit, width, scheme):
    one = visit(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    found = axe.Axe().run(one.page)
    assert found.violations_count == 0, found.generate_report()


def test_a_finger_is_enough(visit):
    one = visit(viewport={"width": 360, "height": 700}, has_touch=True)
    one.page.locator("#units").scroll_into_view_if_needed()
    box = one.page.locator("#units").bounding_box()
    one.page.touchscreen.tap(box["x"] + 150, box["y"] + 60)
    assert one.page.evaluate("silent.size") == 1
    one.page.check("input[value=target]")
    one.page.locator("#limb").scroll_into_view_if_needed()
    box = one.page.locator("#limb").bounding_box()
    one.page.touchscreen.tap(box["x"] + 100, box["y"] + 150)
    assert one.page.evaluate("world.target !== null")


def test_a_notebook_can_hold_it(browser, file, tmp_path):
    from neuromotor.view import Page

    cell = tmp_path / "cell.html"
    cell.write_text(f"<!doctype html><title>cell</title>{Page(file.read_text())._repr_html_()}")
    one = Visit(browser, cell)
    about = one.page.frame_locator("iframe").locator("#about")
    assert float(about.get_attribute("data-worst")) < 1e-9
    assert one.faults == []
    one.context.close()
