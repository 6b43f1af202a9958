"""Verdicts on the thesis's words follow from planted numbers, in the right direction."""

import math
from itertools import combinations

import pytest

from neuromotor.reproduction.claims import AWAY, claims, slowest_share
from neuromotor.reproduction.tables import Table


def verdicts(tables, curves=None, evidence=(), histories=None, seeds=()):
    """Claims by their words, each with our numbers and its verdict."""
    rows = claims(tables, curves or {}, {"rows": list(evidence)}, histories, seeds).rows
    return {row["claim"]: (row["ours"], row["holds"]) for row in rows}


def the_one(found, words):
    """The only claim that contains some words."""
    (claim,) = [name for name in found if words in name]
    return found[claim]


def test_claims_without_numbers_are_left_out():
    assert claims([], {}, {}).rows == ()


def test_disturbances_and_sizes():
    def robust(name, error, late):
        return {
            "controller": name,
            "median error, disturbed (cm)": error,
            "correction starts (ms)": late,
        }

    rows = (robust("ddn-robust/best", 1.0, 80.0), robust("ddn-delay/best", 4.9, 80.0))
    size = [("1 x 5", 1.05), ("2 x 100 (ours)", 1.01)]
    energies = Table(
        "sensitivity",
        "",
        tuple({"choice": "network size", "value": v, "energy / iLQR's": e} for v, e in size),
    )
    found = verdicts([Table("robustness", "", rows), energies])
    assert the_one(found, "trained without them") == ("1 against 4.9 cm", False)
    assert the_one(found, "about 7 steps")[1]
    assert the_one(found, "smaller networks")[1]


@pytest.mark.parametrize(("losses", "harder"), [((3.0, 4.0, 9.0), True), ((3.0, 2.9, 9.0), False)])
def test_harder_means_a_larger_ratio_at_every_step(losses, harder):
    rows = tuple(
        {"choice": "delay", "value": f"{10 * k} ms", "loss / iLQR's": loss}
        for k, loss in enumerate(losses)
    )
    assert the_one(verdicts([Table("sensitivity", "", rows)]), "longer delays")[1] is harder


def descent(slow=1.0):
    """A loss that falls as calls to the power of -2, and near 3e-3 so many times slower."""
    calls, losses, at = [], [], 0.0
    for place in range(0, 400):
        level = -place / 100  # of the loss, in decades
        at += 0.005 * (slow if -2.5 <= level < -2.25 else 1.0)
        calls.append(10**at)
        losses.append(10**level)
    return calls, losses


def test_a_planted_kink_is_measured():
    assert slowest_share(*descent()) == pytest.approx(1.0, abs=0.05)
    # one of nine quarters of a decade takes four times as long: 4 / (12 / 9) of the mean
    assert slowest_share(*descent(4.0)) == pytest.approx(3.0, abs=0.1)
    calls, losses = descent()
    assert slowest_share(calls[:200], losses[:200]) is None


@pytest.mark.parametrize(("own", "holds"), [(1.0, True), (4.0, False)])
def test_only_ahf_without_a_kink(own, holds):
    calls, losses = descent(4.0)
    curves = {"reference": 1e-6, "methods": {"lbfgs": {"calls": calls, "loss": [losses]}}}
    calls, losses = descent(own)
    history = {"center-out/ahf": {"calls": calls, "loss": losses}}
    assert the_one(verdicts([], curves, histories=history), "kink")[1] is holds


def test_who_falls_first_and_whose_paths_are_worse():
    def curve(first, away):
        return {"calls": [1, 10, 100], "loss": [[1.0, first, 0.01]] * 3, "away_cm": [away] * 3}

    methods = {
        "lbfgs": curve(0.5, 0.1),
        "ahf": curve(0.6, 0.1),
        "gd": curve(0.6, 0.1),
        "gd (clip_norm none)": curve(0.6, 0.9),
        "pcg": curve(0.6, 0.2),
        "newton": curve(0.6, 0.3),
    }
    found = verdicts([], {"reference": 0.05, "methods": methods})
    assert the_one(found, "falls much faster") == (
        "10 against 100 calls to ten times iLQR's loss",
        True,
    )
    assert the_one(found, "hand paths of GD") == (
        "gd 0.9, pcg 0.2, newton 0.3 against 0.1 cm from iLQR's",
        True,
    )
    methods["pcg"] = curve(0.6, 0.19)
    assert not the_one(verdicts([], {"reference": 0.05, "methods": methods}), "hand paths")[1]
    methods["ahf"] = {"calls": [1, 7], "loss": [[1.0, 0.9]] * 3}
    words, holds = the_one(verdicts([], {"reference": 0.05, "methods": methods}), "falls much")
    assert (words, holds) == ("10 against more than 7 calls to ten times iLQR's loss", True)


def test_evidence():
    def failure(method, ratio):
        row = {"about": "failures", "arm": "light", "method": method}
        return {**row, "ratio": ratio, "budget": 50}

    def feedback(delay, network, ilqg):
        return {"about": "feedback", "delay": delay, "network_cm": network, "ilqg_cm": ilqg}

    table = {"about": "command table", "excess": 1e-9, "away_cm": 1e-6}
    rows = [failure("ahf", 1.0)] * 9 + [failure("ahf", 20.0), failure("hf", 1.0)]
    rows += [failure("hf", math.inf)] * 8 + [failure("hf", None)]  # weights that cannot be trained
    rows += [feedback(0, 0.1, 0.1), feedback(7, 1.0, 0.6), table]
    found = verdicts([], evidence=rows)
    # of the tables with these margins, 1 + 10 * 10 of binomial(20, 10) are as far or farther
    assert the_one(found, "fails less") == (
        f"failures after 50 calls, light arm: ahf 1 of 10, hf 9 of 10 (p = {101 / 184756:.2g})",
        True,
    )
    few = verdicts([], evidence=[failure("ahf", 1.0), failure("hf", 99.0)])
    assert the_one(few, "fails less")[1] == "open"
    assert the_one(found, "without a delay")[1]
    assert the_one(found, "table of commands")[1]
    rows = [failure("ahf", 20.0), failure("hf", 20.0), feedback(0, 0.1, 0.2), feedback(7, 1.0, 0.6)]
    rows.append({**table, "away_cm": 0.1})
    assert not any(holds for _, holds in verdicts([], evidence=rows).values())


def test_failures_are_counted_within_each_arm():
    def failures(arm, method, failed):
        ratios = [99.0 if one else 1.0 for one in failed]
        row = {"about": "failures", "arm": arm, "method": method, "budget": 50}
        return [{**row, "ratio": ratio} for ratio in ratios]

    light, heavy = (3, 3, 1, 3), (4, 4, 0, 2)  # trainings of AHF and HF, failures of both
    rows = []
    for arm, (of_ahf, of_hf, ahf, hf) in {"light": light, "heavy": heavy}.items():
        rows += failures(arm, "ahf", [i < ahf for i in range(of_ahf)])
        rows += failures(arm, "hf", [i < hf for i in range(of_hf)])
    words, holds = the_one(verdicts([], evidence=rows), "fails less")
    # All ways to deal the failures of an arm to its trainings are as likely.
    dealt = [
        sum(one < 3 for one in a) + sum(one < 4 for one in b)
        for a in combinations(range(6), 4)
        for b in combinations(range(8), 2)
    ]
    chance = sum(of_ahf <= 1 for of_ahf in dealt) / len(dealt)
    assert words.endswith(f"ahf 1 of 3 and 0 of 4, hf 3 of 3 and 2 of 4 (p = {chance:.2g})")
    assert holds == ("open" if chance >= 0.05 else True)


def test_long_runs_and_reaches():
    def reach(name, ratio, away, energy):
        row = {"controller": name, "ratio to iLQR": ratio, "calls": 10, AWAY: away}
        return {**row, "energy (N² m² s)": energy}

    rows = (reach("center-out/ahf", 1.001, 0.1, 1.0), reach("center-out/lbfgs", 1.06, 0.2, 1.05))
    long = {"about": "long", "ratio": 1.03, "early": 1.031, "calls": 20}
    found = verdicts([Table("center-out", "", rows)], evidence=[long])
    assert all(holds for _, holds in found.values())
    assert len(found) == 5
    better = {**long, "ratio": 1.0001}
    found = verdicts([Table("center-out", "", rows)], evidence=[better])
    assert not the_one(found, "AHF ends below")[1]
    assert not the_one(found, "beyond which")[1]


def test_a_rival_with_few_calls_leaves_the_order_open():
    def verdict(calls, given, loss=0.03):
        rows = (
            {"controller": "ddn/ahf", "loss": 0.02, "calls": 1000, "source: calls": 5000},
            {"controller": "ddn/lbfgs", "loss": loss, "calls": calls, "source: calls": given},
        )
        return the_one(verdicts([Table("ddn", "", rows)]), "ends below")[1]

    assert verdict(400, None) == "open"
    assert verdict(400, 500) == "open"
    assert verdict(500, 500) is True
    assert verdict(999, 9000) is True
    assert verdict(400, 500, loss=0.01) is False


def test_postural_and_ddn():
    def hold(name, loss, swings, error=0.1):
        row = {"controller": name, "loss": loss, "swings": swings, "error (cm)": error}
        return {**row, "calls": 10, "ratio to ILQG": 50 * loss}

    rows = (hold("postural/ahf", 0.02, 0.5), hold("postural/lbfgs", 0.03, 1.5))
    rows += (hold("postural/best", 0.01, 0.0), hold("postural: online planner", 6.0, 0.0, 5.0))
    reach = {"controller": "center-out/ahf", "ratio to iLQR": 1.001, "calls": 10, AWAY: 0.1}
    tables = [Table("postural", "", rows), Table("center-out", "", (reach,))]
    tables.append(Table("ddn", "", (hold("ddn/ahf", 0.3, 0), hold("ddn/lbfgs", 0.2, 0))))
    stuck = {"ddn/lbfgs": {"calls": [1, 16_000, 20_000], "loss": [1.0, 0.2, 0.199]}}
    found = verdicts(tables, histories=stuck)
    assert the_one(found, "postural: AHF ends below") == (
        "0.02 against 0.03 after 10 and 10 calls",
        True,
    )
    assert the_one(found, "ringing with AHF")[1]
    assert not the_one(found, "ringing with L-BFGS")[1]
    assert the_one(found, "easier than center-out")[1]
    assert the_one(found, "online trajectory")[1]
    assert not the_one(found, "DDN: AHF ends")[1]
    assert the_one(found, "stops making progress")[1]


def test_several_seeds_are_judged_by_their_medians():
    def row(name, loss, calls):
        return {"controller": name, "loss": loss, "calls": calls, "source: calls": calls}

    rows = (row("ddn/ahf", 3.0, 100_003), row("ddn/lbfgs", 4.0, 25_001))
    seeds = [
        {"network": "ddn/lbfgs", "calls": 25_000, "seed": seed, "loss": loss}
        for seed, loss in enumerate((4.0, 1.0, 2.0))
    ]
    other = [{"network": "ddn/ahf", "calls": 40_000, "seed": 0, "loss": 0.1}]  # of other calls
    words, holds = the_one(verdicts([Table("ddn", "", rows)], seeds=seeds + other), "AHF ends")
    assert (
        words == "3.00000 against 2.00000 after 100,003 and 25,001 calls (medians of 1 and 3 seeds)"
    )
    assert holds is False
    words, holds = the_one(verdicts([Table("ddn", "", rows)]), "AHF ends")
    assert holds is True
    assert "medians" not in words
