from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser

import pytest
import torch
from javascript import evaluated

from neuromotor.controllers import CommandTable, Network, TanhCell
from neuromotor.controllers.rnn import ContinuousTimeRNN
from neuromotor.plants import RK4, JointLimits, TwoJointArm
from neuromotor.tasks import CenterOut, CursorReach
from neuromotor.training.single import initial_parameters
from neuromotor.view import Page, ViewError, describe, view
from neuromotor.view.page import written
from neuromotor.zoo.saved_controller import load_controller

TASK = CenterOut(directions=2, steps=8)
NETWORK = ContinuousTimeRNN(layers=(6,))


def small(title: str = "mine", task: CenterOut = TASK, network=NETWORK, **options) -> Page:
    return view(task, network, initial_parameters(network, 0), title=title, **options)


class Reader(HTMLParser):
    """What a page holds: scripts and styles, and every address in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.parts: dict[str, list[str]] = {}
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        given = dict(attrs)
        self.addresses += [given[name] for name in ("src", "href", "action") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        self._open = tag + (":json" if "json" in given.get("type", "") else "")

    def handle_data(self, data):
        self.parts.setdefault(self._open, []).append(data)
        self._open = ""


def test_the_page_asks_nothing_of_a_network_and_runs_its_own_script_only():
    page = Reader(small().html)
    assert page.addresses == []
    policy = dict(page.attributes).get("content", "")
    policies = [value for name, value in page.attributes if name == "content" and "src" in value]
    (policy,) = policies
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        (text,) = page.parts[tag]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
        assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|WebSocket", text)
    names = {name for name, _ in page.attributes}
    assert not any(name == "style" or name.startswith("on") for name in names)


def test_the_script_has_no_fault_of_syntax():
    (script,) = Reader(small().html).parts["script"]
    assert evaluated("", f"typeof new Function({json.dumps(script)})") == "function"


def test_a_page_of_the_standard_network_is_small():
    saved = load_controller("ddn/best")
    page = view(
        saved.task, saved.controller, saved.parameters, title="ddn/best", fixed_points=False
    )
    assert len(page.html.encode()) < 600_000


def test_labels_lead_to_what_is_there():
    page = Reader(small().html)
    assert len(set(page.ids)) == len(page.ids)
    wanted = {"for", "aria-labelledby", "aria-describedby"}
    assert {value for name, value in page.attributes if name in wanted} <= set(page.ids)


def test_a_title_cannot_bring_a_script():
    page = Reader(small("</script><script>alert(1)</script>").html)
    assert len(page.parts["script"]) == 1
    (model,) = page.parts["script:json"]
    assert json.loads(model)["title"] == "</script><script>alert(1)</script>"


def test_a_file_is_not_overwritten(tmp_path):
    page = small()
    path = page.save(tmp_path / "page.html")
    assert path.read_text() == page.html
    with pytest.raises(FileExistsError, match="exists; choose another name"):
        page.save(path)
    page.save(path, overwrite=True)


def test_a_notebook_shows_the_page_in_a_frame_that_is_shut_off():
    page = small()
    (frame,) = re.findall("<iframe[^>]*>", page._repr_html_())
    attributes = dict(Reader(page._repr_html_()).attributes)
    assert attributes["srcdoc"] == page.html
    assert attributes["sandbox"] == "allow-scripts allow-downloads"
    assert frame.count("<") == 1


@dataclass(frozen=True)
class OwnNetwork(ContinuousTimeRNN):
    """A subclass may do anything in its step."""

    def step(self, *arguments):
        return super().step(*arguments)


@dataclass(frozen=True)
class OwnCell(TanhCell):
    """So may one of a cell."""


@dataclass(frozen=True)
class OwnArm(TwoJointArm):
    """And one of a plant."""


@pytest.mark.parametrize(
    ("task", "controller", "words"),
    [
        (TASK, CommandTable(steps=8, trials=2), "network of cells .* got a CommandTable"),
        (TASK, OwnNetwork(layers=(6,)), "got a OwnNetwork, whose step the page does not know"),
        (TASK, Network((6,), cell=OwnCell()), "compiled pieces for a page.* got a OwnCell without"),
        (CenterOut(plant=TwoJointArm(integrator=RK4()), steps=8), NETWORK, "use Euler steps"),
        (CenterOut(plant=TwoJointArm(limits=JointLimits()), steps=8), NETWORK, "without joint"),
        (CenterOut(plant=OwnArm(), steps=8), NETWORK, "got a OwnArm"),
        (CursorReach(senses=None, pairs=2), NETWORK, "its target outside its state"),
    ],
)
def test_what_a_page_cannot_run_is_refused_by_name(task, controller, words):
    theta = torch.zeros(controller.parameter_count, dtype=torch.float64)
    with pytest.raises(ViewError, match=words):
        view(task, controller, theta)


def test_a_network_that_overflows_is_refused():
    theta = 1e200 * initial_parameters(NETWORK, 0)
    with pytest.raises(ViewError, match="overflows within a trial"):
        view(TASK, NETWORK, theta)


def test_only_a_page_that_is_asked_to_loads_itself_anew():
    made = describe(TASK, NETWORK, initial_parameters(NETWORK, 0), TASK.trials(), ilqr=False)
    assert 'http-equiv="refresh"' not in written(made).html
    assert '<meta http-equiv="refresh" content="2.5">' in written(made, refresh_s=2.5).html


def test_private_noise_beyond_what_a_page_holds_is_left_to_its_generator():
    network = Network(layers=(200, 200), private_noise=0.1)
    page = Reader(
        small(task=CenterOut(directions=3, steps=40), network=network, fixed_points=False).html
    )
    trials = json.loads(page.parts["script:json"][0])["trials"]
    assert trials["unit_noise"]["shape"] == [1, 40, 400]
    assert trials["initial_state"]["shape"][0] == 3
