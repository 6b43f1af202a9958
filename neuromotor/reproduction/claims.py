"""What the thesis says in words, beside our numbers; each verdict is computed from these.

Source: Sutskever (2013), chapter 6. A claim whose numbers are not there is left out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from neuromotor.reproduction.tables import Table, Value

__all__ = ["AWAY", "claims", "slowest_share"]

AWAY = "largest distance from iLQR's path (cm)"
KINK = 2.0  # a quarter of a decade that takes so many times its share is a kink
FAILED = 10.0  # times iLQR's loss
_DISTURBED = "median error, disturbed (cm)"
_START = "correction starts (ms)"
_AFTER = "after {:,} and {:,} calls"
_WORSE = ("gd", "pcg", "newton")  # gradient descent, NPCG and PHF0 of section 6.7.1
_OLDER = (*_WORSE, "hf", "lbfgs")

Verdict = bool | str  # whether a claim holds, or `open`
Judge = Callable[..., tuple[str, Verdict]]  # rows to our numbers in words, and the verdict
Found = tuple[str, str, Verdict]  # the claim before these
Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class _Facts:
    """Everything that claims are judged by.

    Attributes:
        tables: Rows by their first column, by name of the table.
        curves: As `convergence_data` returns them.
        evidence: Rows of `run_evidence`.
        histories: Columns `calls` and `loss` of trained networks, by name.
        seeds: As `seed_rows` returns them.
    """

    tables: Mapping[str, Mapping[str, Mapping[str, Any]]]
    curves: Mapping[str, Any]
    evidence: Sequence[Mapping[str, Any]] = ()
    histories: Mapping[str, Columns] = field(default_factory=dict)
    seeds: Sequence[Mapping[str, Any]] = ()

    def judge(
        self, claim: str, table: str, names: tuple[str, ...], judge: Judge
    ) -> Iterator[Found]:
        """Yield a claim about rows of one table if they are all there."""
        rows = [self.tables.get(table, {}).get(name) for name in names]
        if all(row is not None for row in rows):
            yield (claim, *judge(*rows))

    def about(self, what: str) -> list[Mapping[str, Any]]:
        """Return the rows of evidence about something."""
        return [row for row in self.evidence if row["about"] == what]

    def median(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a network's row with the median loss of all seeds, and `of`, their number."""
        own = [
            one["loss"]
            for one in self.seeds
            if one["network"] == row["controller"] and one["calls"] == round(row["calls"], -2)
        ]
        return {**row, "loss": statistics.median(own or [row["loss"]]), "of": len(own) or 1}

    def method(self, name: str) -> Mapping[str, Any] | None:
        """Return the curves of a method, the one with settings of its own where there is one."""
        methods = self.curves.get("methods", {})
        own = [label for label in methods if label.startswith(f"{name} (")]
        found: Mapping[str, Any] | None = methods.get(own[0] if own else name)
        return found


def claims(
    tables: Sequence[Table],
    curves: Mapping[str, Any],
    evidence: Mapping[str, Any],
    histories: Mapping[str, Columns] | None = None,
    seeds: Sequence[Mapping[str, Any]] = (),
) -> Table:
    """Return the thesis's claims beside our numbers; what was not measured is left out.

    Args:
        tables: The other tables of the chapter.
        curves: Data of figure 6.2.
        evidence: Data of `run_evidence`.
        histories: Columns `calls` and `loss` of the trained networks, by name.
        seeds: Rows of `seed_rows`.
    """
    by: dict[str, dict[str, Mapping[str, Any]]] = {}
    for table in tables:
        by[table.name] = {str(next(iter(row.values()))): row for row in table.rows}
        if table.name == "sensitivity":
            by[table.name] = {f"{row['choice']}, {row['value']}": row for row in table.rows}
    facts = _Facts(by, curves, evidence.get("rows", ()), histories or {}, seeds)
    makers = (_center_out, _optimizers, _postural, _ddn, _choices)
    rows: tuple[dict[str, Value], ...] = tuple(
        {"claim": claim, "ours": ours, "holds": holds}
        for make in makers
        for claim, ours, holds in make(facts)
    )
    note = (
        f"Kink: a quarter of a decade of loss between 3e-2 and 2e-3 that takes more than {KINK:g} "
        "times its share of the logarithm of calls. Failed: more than "
        f"{FAILED:g} times iLQR's loss at the end of the budget. Open: too few trainings or calls "
        "to tell."
    )
    return Table("claims", "What the source says in words", rows, note if rows else "")


def _ordered(key: str, factor: float = 1.0) -> Judge:
    """Return the judge that the first row's number is so many times below the second's."""
    return lambda a, b: (f"{a[key]:.4g} against {b[key]:.4g}", factor * a[key] < b[key])


def _short(number: float) -> str:
    return f"{number:.5f}" if number > 0.9 else f"{number:.4g}"


def _ends_below(a: Mapping[str, Any], b: Mapping[str, Any], key: str) -> tuple[str, Verdict]:
    """Return both losses, after how many calls, and whether the first is lower.

    Where it is, but the second had far fewer calls than the first, and than the source gave it, the
    claim is open.
    """
    words = f"{_short(a[key])} against {_short(b[key])} " + _AFTER.format(a["calls"], b["calls"])
    if max(seeds := (a.get("of", 1), b.get("of", 1))) > 1:
        words += f" (medians of {seeds[0]} and {seeds[1]} seeds)"
    due = min(a["calls"], b.get("source: calls") or math.inf)
    return words, "open" if a[key] < b[key] and b["calls"] < 0.9 * due else a[key] < b[key]


def _center_out(facts: _Facts) -> Iterator[Found]:
    ratio = "ratio to iLQR"
    pair = ("center-out/ahf", "center-out/lbfgs")
    yield from facts.judge(
        "center-out: AHF comes within 1.0011 of iLQR",
        "center-out",
        pair[:1],
        lambda a: (f"{a[ratio]:.5f}", a[ratio] <= 1.0011),
    )
    long = next(iter(facts.about("long")), None)
    rival = {} if long is None else {ratio: long["ratio"], "calls": long["calls"]}
    yield from facts.judge(
        "center-out: AHF ends below L-BFGS",
        "center-out",
        pair,
        lambda a, b: _ends_below(a, {**b, **rival}, ratio),
    )
    if long is not None:
        words = f"{long['early']:.5f} after a quarter of the calls, {long['ratio']:.5f} at the end"
        stuck = long["ratio"] - 1 > 0.9 * (long["early"] - 1)
        yield "center-out: L-BFGS soon reaches a point beyond which it cannot improve", words, stuck
    yield from facts.judge(
        "center-out: AHF's hand paths are nearer to iLQR's than those of figure 6.1's L-BFGS",
        "center-out",
        pair,
        _ordered(AWAY),
    )
    energy = "energy (N² m² s)"
    yield from facts.judge(
        "center-out: AHF spends slightly less energy (up to 10 %)",
        "center-out",
        pair,
        lambda a, b: (
            f"{a[energy]:.4g} against {b[energy]:.4g}",
            a[energy] < b[energy] <= 1.1 * a[energy],
        ),
    )
    for row in facts.about("command table"):
        words = f"loss {1 + row['excess']:.9f} of iLQR's, hand at most {row['away_cm']:.1g} cm away"
        found = abs(row["excess"]) < 1e-6 and row["away_cm"] < 1e-3
        yield "HF on a table of commands finds iLQR's trajectories", words, found


def _optimizers(facts: _Facts) -> Iterator[Found]:
    lbfgs, ahf = facts.method("lbfgs"), facts.method("ahf")
    if lbfgs and ahf:
        level = 10 * facts.curves["reference"]
        first, second = _median_calls(lbfgs, level), _median_calls(ahf, level)
        late = f"more than {ahf['calls'][-1]:,}" if math.isinf(second) else f"{second:,.0f}"
        words = f"{first:,.0f} against {late} calls to ten times iLQR's loss"
        yield "center-out: L-BFGS falls much faster than AHF at first", words, 2 * first <= second
    yield from _kinks(facts)
    yield from _degraded(facts)
    yield from _failures(facts)


def _kinks(facts: _Facts) -> Iterator[Found]:
    """Yield the claim that only AHF does not slow down near a loss of 1e-2."""
    own = facts.histories.get("center-out/ahf")
    ahf = None if own is None else slowest_share(own["calls"], own["loss"])
    others = {}
    for name in _OLDER:
        found = facts.method(name)
        shares = [slowest_share(found["calls"], loss) for loss in found["loss"]] if found else []
        known = [share for share in shares if share is not None]
        if known:
            others[name] = statistics.median(known)
    if ahf is not None and others:
        rest = ", ".join(f"{name} {share:.2g}" for name, share in others.items())
        holds = ahf <= KINK < min(others.values())
        yield (
            "center-out: only AHF does not slow down (a kink) near a loss of 1e-2",
            f"slowest quarter of a decade, times its share: ahf {ahf:.2g}, {rest}",
            holds,
        )


def slowest_share(
    calls: Sequence[float], losses: Sequence[float | None], *, last: float = 10**-3.25
) -> float | None:
    """Return how slow a descent is where it is slowest near a loss of 1e-2.

    Args:
        calls: Number of calls at each point.
        losses: Loss there; None where it is not finite.
        last: Loss at which the descent counts as over.

    Returns:
        Of the quarters of a decade between 10^-1.5 and 10^-2.75 the one that takes most of the
        logarithm of calls, divided by the mean of those from 10^-1 to `last`. None for a descent
        that does not come so far.
    """
    levels: NDArray[np.float64] = 10.0 ** np.arange(-1, math.log10(last) - 1e-9, -0.25)
    known = np.array([math.inf if loss is None else loss for loss in losses], dtype=np.float64)
    best = np.minimum.accumulate(known)
    if not best[-1] <= last:
        return None
    reached = np.log([calls[int(np.argmax(best <= level))] for level in levels])
    steps = np.diff(reached)
    if not steps.sum() > 0:
        return None
    near = (levels[1:] < 10**-1.5) & (levels[1:] > 10**-2.8)
    return float(steps[near].max() / steps.mean())


def _degraded(facts: _Facts) -> Iterator[Found]:
    """Yield the claim that the trajectories of the other methods are worse."""
    known = {name: facts.method(name) for name in (*_WORSE, "lbfgs")}
    away = {
        name: statistics.median(found["away_cm"])
        for name, found in known.items()
        if found and found.get("away_cm")
    }
    if len(away) == len(known):
        level = away.pop("lbfgs")
        words = ", ".join(f"{name} {cm:.2g}" for name, cm in away.items())
        yield (
            "center-out: the hand paths of GD, NPCG and PHF0 are obviously worse (twice as far "
            "from iLQR's as L-BFGS's, or more)",
            f"{words} against {level:.2g} cm from iLQR's",
            min(away.values()) >= 2 * level,
        )


def _failures(facts: _Facts) -> Iterator[Found]:
    """Yield the claim that AHF fails less often than HF, counted over all arms.

    Where it does, but an exact test (5 %) calls that chance, the claim is open.
    """
    rows = facts.about("failures")
    failed: dict[tuple[str, str], list[bool]] = {(row["method"], row["arm"]): [] for row in rows}
    for row in rows:
        ratio = math.inf if row["ratio"] is None else row["ratio"]
        failed[row["method"], row["arm"]].append(not ratio <= FAILED)
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    counts, words = [], []
    for name in ("ahf", "hf"):
        own = [failed.get((name, arm), []) for arm in arms]
        if not any(own):
            return
        counts.append([(sum(one), len(one)) for one in own])
        words.append(f"{name} {' and '.join(f'{sum(one)} of {len(one)}' for one in own)}")
    chance = _as_few(*counts)
    calls = max(row["budget"] for row in rows)
    ours = (
        f"failures after {calls:,} calls, {' and '.join(arms)} arm: {', '.join(words)} "
        f"(p = {chance:.2g})"
    )
    ahf, hf = (sum(some for some, _ in own) / sum(of for _, of in own) for own in counts)
    if ahf >= hf:
        yield "AHF fails less often than HF", ours, False
    else:
        yield "AHF fails less often than HF", ours, True if chance < 0.05 else "open"


def _as_few(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> float:
    """Return the probability of as few failures of the first, were both as likely to fail.

    Of Fisher's exact test over several arms, each with its own chance of failing (Birch 1964, The
    detection of partial association, J. R. Stat. Soc. B 26): given how many fail in each arm.

    Args:
        one: Failures and trainings of the first method in each arm.
        other: The same of the second.
    """
    likely = np.ones(1)
    for (a, of_a), (b, of_b) in zip(one, other, strict=True):
        fewer = hypergeom(of_a + of_b, a + b, of_a).pmf(np.arange(of_a + 1))
        likely = np.convolve(likely, fewer)
    return float(likely[: sum(a for a, _ in one) + 1].sum())


def _postural(facts: _Facts) -> Iterator[Found]:
    pair = ("postural/ahf", "postural/lbfgs")
    yield from facts.judge(
        "postural: AHF ends below L-BFGS",
        "postural",
        pair,
        lambda a, b: _ends_below(facts.median(a), facts.median(b), "loss"),
    )
    for name, title in ((pair[0], "AHF"), (pair[1], "L-BFGS"), ("postural/best", "our best")):
        yield from facts.judge(
            f"postural: no ringing with {title} (at most one swing beyond 5 % of the peak)",
            "postural",
            (name,),
            lambda a: (f"{a['swings']:.2g} swings", a["swings"] <= 1),
        )
    reach = facts.tables.get("center-out", {}).get("center-out/ahf")
    hold = facts.tables.get("postural", {}).get("postural/ahf")
    if reach and hold and hold["ratio to ILQG"] is not None:
        words = (
            f"{hold['ratio to ILQG']:.3g} times ILQG's loss against "
            f"{reach['ratio to iLQR']:.5f} times iLQR's"
        )
        easier = hold["ratio to ILQG"] < reach["ratio to iLQR"]
        yield "postural: easier than center-out (AHF comes nearer to the reference)", words, easier
    error = "error (cm)"
    yield from facts.judge(
        "postural: online trajectory optimisation, which ignores the load, errs five times as far",
        "postural",
        ("postural/best", "postural: online planner"),
        lambda a, b: (f"{b[error]:.3g} against {a[error]:.3g} cm", 5 * a[error] <= b[error]),
    )


def _ddn(facts: _Facts) -> Iterator[Found]:
    pair = ("ddn/ahf", "ddn/lbfgs")
    yield from facts.judge(
        "DDN: AHF ends below L-BFGS",
        "ddn",
        pair,
        lambda a, b: _ends_below(facts.median(a), facts.median(b), "loss"),
    )
    own = facts.histories.get("ddn/lbfgs")
    if own and own["calls"][-1] >= 20_000:  # the source's ran for 25,000
        end = own["calls"][-1]
        before = float(np.interp(0.8 * end, own["calls"], own["loss"]))
        last = own["loss"][-1]
        words = f"training loss {before:.3g} at {0.8 * end:,.0f} calls, {last:.3g} at {end:,}"
        yield "DDN: L-BFGS stops making progress", words, last > 0.95 * before
    yield from facts.judge(
        "DDN networks on center-out: AHF's ends nearer than L-BFGS's",
        "transfer",
        pair,
        _ordered("error (cm)"),
    )
    yield from facts.judge(
        "disturbances: the network trained without them errs five times as far or more",
        "robustness",
        ("ddn-robust/best", "ddn-delay/best"),
        lambda a, b: (
            f"{a[_DISTURBED]:.3g} against {b[_DISTURBED]:.3g} cm",
            5 * a[_DISTURBED] <= b[_DISTURBED],
        ),
    )
    yield from facts.judge(
        "disturbances: the correction starts after about 7 steps (70 to 90 ms)",
        "robustness",
        ("ddn-robust/best",),
        lambda a: (f"{a[_START]:.0f} ms", 70 <= a[_START] <= 90),
    )
    effects = {row["delay"]: row for row in facts.about("feedback")}
    if len(effects) > 1:
        none, some = effects[min(effects)], effects[max(effects)]
        words = (
            f"largest effect on the hand {none['network_cm']:.2g} against "
            f"{some['network_cm']:.2g} cm (network), {none['ilqg_cm']:.2g} against "
            f"{some['ilqg_cm']:.2g} cm (ILQG)"
        )
        holds = all(5 * none[key] <= some[key] for key in ("network_cm", "ilqg_cm"))
        yield "without a delay a disturbance hardly shows (a fifth or less)", words, holds


def _choices(facts: _Facts) -> Iterator[Found]:
    ratio = "loss / iLQR's"
    for what, claim in (("delay", "longer delays"), ("disturbance", "larger disturbances")):
        rows = [
            row for row in facts.tables.get("sensitivity", {}).values() if row["choice"] == what
        ]
        if len(rows) > 1:
            words = ", ".join(f"{row[ratio]:.3g} at {row['value']}" for row in rows)
            numbers = [row[ratio] for row in rows]
            yield f"DDN: {claim} are harder (loss / iLQR's)", words, numbers == sorted(numbers)
    energy = "energy / iLQR's"
    yield from facts.judge(
        "smaller networks reach, but spend more energy",
        "sensitivity",
        ("network size, 1 x 5", "network size, 2 x 100 (ours)"),
        lambda a, b: (
            f"{a[energy]:.4f} against {b[energy]:.4f} of iLQR's energy (1 x 5, 2 x 100)",
            a[energy] > b[energy],
        ),
    )


def _median_calls(method: Mapping[str, Any], level: float) -> float:
    """Return the median over seeds of the calls to a loss, infinite where it is not reached."""
    found = []
    for losses in method["loss"]:
        below = [
            count for count, loss in zip(method["calls"], losses, strict=True) if loss <= level
        ]
        found.append(float(below[0]) if below else math.inf)
    return statistics.median(found)
