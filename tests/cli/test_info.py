"""`neuromotor info`, run as a user would."""

import json

from forked import neuromotor


def test_info_lists_and_explains():
    everything = json.loads(neuromotor("info", "--json").stdout)
    assert "neuromotor/CenterOutGoal-v0" in everything["environment"]
    assert "center-out" in everything["task"]
    assert everything["machine"]["cores"] >= 1
    one = json.loads(neuromotor("info", "center-out", "--json").stdout)
    assert one["settings"]["radius_m"] == 0.04463
    text = neuromotor("info", "monkey").stdout
    assert "monkey" in text
    assert "inertia_1" in text
    assert neuromotor("info").returncode == 0
    assert everything["cell"][:2] == ["tanh", "gated"]
    assert "memory-5bit" in everything["problem"]
    network = json.loads(neuromotor("info", "network", "--json").stdout)["settings"]
    assert network["cell"] == {"type": "tanh", "leak": 1.0}


def test_info_gives_the_path_of_every_setting():
    lines = neuromotor("info", "center-out").stdout.splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:3]] for line in lines if "│" in line]
    for row in (["radius_m", "0.04463"], ["plant.parameters.mass_1", "0.2108"]):
        assert row in rows
    assert ["plant", '"monkey-published"'] in rows
    done = neuromotor("info", "ddn")  # what is printed can be set
    assert "--set task.SETTING=VALUE" in done.stdout
    assert ["senses", "null"] in rows  # files leave this one out


def test_info_explains_settings_of_classes_above_and_of_algorithms():
    text = neuromotor("info", "recurrent-ppo").stdout
    for setting in ("memory_units:", "trace:", "command_limit:"):  # of itself and two above
        assert setting in text
    assert "--set recurrent-ppo.SETTING=VALUE" in text
    assert "clip_norm:" in neuromotor("info", "adam").stdout
    kinds = json.loads(neuromotor("info", "--json").stdout)
    assert kinds["algorithm"] == ["ppo", "recurrent-ppo", "sac", "td3", "her", "analytic"]
