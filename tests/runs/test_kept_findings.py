"""What experiments found is kept, and taken only where everything is the same."""

from dataclasses import replace

import numpy as np

from neuromotor.evaluation.bootstrap import Interval
from neuromotor.experiments import Findings, OpenLoop, Session, TargetJumps
from neuromotor.runs.experiments import Plan, conduct
from neuromotor.runs.kept_findings import KeptFindings
from neuromotor.tasks import CursorReach

WORLD = CursorReach()
FOUND = Findings(
    {"early": Interval(1.0, 0.5, None)}, {"time_s": np.arange(3.0)}, ("so",), {"x": "y"}
)


def test_findings_come_back_as_they_were(tmp_path):
    kept, session = KeptFindings(tmp_path / "new"), Session(OpenLoop(), WORLD)
    assert kept.load("jumps", TargetJumps(), session) is None
    kept.save("jumps", TargetJumps(), session, FOUND)
    back = kept.load("jumps", TargetJumps(), session)
    assert isinstance(back, Findings)
    assert (back.measures, back.remarks, back.cannot) == (FOUND.measures, ("so",), {"x": "y"})
    np.testing.assert_array_equal(back.data["time_s"], FOUND.data["time_s"])
    kept.save("jumps", TargetJumps(), session, "it has no units.")
    assert kept.load("jumps", TargetJumps(), session) == "it has no units."


def test_other_settings_and_damaged_files_do_not_count(tmp_path):
    kept, session = KeptFindings(tmp_path), Session(OpenLoop(), WORLD)
    kept.save("jumps", TargetJumps(), session, FOUND)
    assert kept.load("jumps", TargetJumps(repeats=7), session) is None
    assert kept.load("jumps", TargetJumps(), replace(session, seed=1)) is None
    louder = replace(session, world=replace(WORLD, noise=0.3))
    assert kept.load("jumps", TargetJumps(), louder) is None
    (tmp_path / "jumps_open-loop.npz").write_bytes(b"nothing")
    assert kept.load("jumps", TargetJumps(), session) is None
    (tmp_path / "jumps_open-loop.json").write_text("{")
    assert kept.load("jumps", TargetJumps(), session) is None


def test_what_is_kept_is_not_made_again(tmp_path):
    kept = KeptFindings(tmp_path)
    todo = Plan({"target-jumps": TargetJumps()}, WORLD)
    kept.save("target-jumps", TargetJumps(), Session(OpenLoop(), WORLD), "it was not asked.")
    said = []
    (outcome,) = conduct(todo, ["open-loop"], say=said.append, kept=kept)
    assert outcome.judgements[0].reason == "it was not asked."
    assert said == []
