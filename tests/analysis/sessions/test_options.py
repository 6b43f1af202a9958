"""Options of an import come from plain data, and a lab's own can be registered."""

import pytest

from neuromotor.analysis import FileNames, ImportOptions
from neuromotor.analysis.sessions.options import IMPORTS
from neuromotor.extensions import register
from neuromotor.storage.components import SettingsError, decode


def test_plain_data_become_options():
    plain = {
        "align": "go_time",
        "window_s": [-0.2, 0.6],
        "conditions": ["direction"],
        "names": {"spikes": "a.b", "series": {"hand": "pos"}},
        "events": {"go_time": "cue"},
    }
    wanted = ImportOptions(
        align="go_time",
        window_s=(-0.2, 0.6),
        conditions=("direction",),
        names=FileNames(spikes="a.b", series={"hand": "pos"}),
        events={"go_time": "cue"},
    )
    assert decode(plain, IMPORTS, "import") == wanted
    with pytest.raises(SettingsError, match=r"unknown setting `import\.names\.spike`; did"):
        decode({"names": {"spike": "x"}}, IMPORTS, "import")
    with pytest.raises(SettingsError, match=r"`import\.bin_s` has the wrong type"):
        decode({"bin_s": "fast"}, IMPORTS, "import")


def test_a_lab_registers_its_own():
    register("our-lab", ImportOptions(align="go_time", bin_s=0.02))
    try:
        found = decode({"type": "our-lab", "window_s": [0, 0.5]}, IMPORTS, "import")
        assert found == ImportOptions(align="go_time", bin_s=0.02, window_s=(0.0, 0.5))
    finally:
        del IMPORTS["our-lab"]
