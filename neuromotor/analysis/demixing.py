"""Demixed PCA: components of what all trials share, and of what each of their labels adds.

Notation: X are the averages of each group of trials about their mean (units, samples), and X_p is
one of its parts; C is the noise covariance of single trials, m the ridge, D the decoder (k,
units), and F the encoder (units, k).

    X = X_time + X_a + X_b + X_ab   (mean over groups at each time, what label a adds, ...)
    minimise |X_p - F D X|^2 + n tr(F D C D^T F^T) + m |F D|^2 over rank k, n samples
    A = X_p X^T (X X^T + n C + m I)^-1;  F the first k left singular vectors of A [X, sqrt(n) C^1/2,
    sqrt(m) I],  D = F^T A

(Kobak et al. 2016: reduced-rank regression in closed form; a label's part holds how it acts over
time; m = (ridge |X|)^2 as there, but fixed rather than cross-validated, since conditions of a
network often hold one trial.) Unlike those of PCA, decoders and encoders differ, so that parts that
overlap in the space of units can still be told apart. PCA's components are the reference for
purity.

For the null of shares, groups are permuted over trials. Whether a component means something is
tested on trials that it was not fitted to: half of the trials of each group are held out, and the
statistic is the sum over groups and times of the part's score in both halves. For its null the
label is exchanged between held-out trials that are alike in all other labels, so that the test is
exact. (Kobak et al. classify held-out trials, and refit for every shuffle.) What two labels add
together has no such test: no exchange takes it away and leaves what each of them adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_positive, check_seed
from neuromotor.analysis._arrays import by_sample, check_dimensions
from neuromotor.analysis.averages import means_of
from neuromotor.analysis.corrections import family
from neuromotor.analysis.cutting import window
from neuromotor.analysis.factors import Factors
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.section import Findings, Material, SectionSpec, median, span

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["DemixedComponents", "DemixedPart", "demixed_components", "plot_demixed_components"]

_SHOWN = 4  # parts of a figure


@dataclass(frozen=True)
class DemixedPart:
    """Components of one part; C groups, T times, N units, k components.

    Attributes:
        share: Share of the variance of the averages in this part.
        null_share: The same with permuted groups, (S,); empty where each group has one trial.
        explained: Share of all variance that each component alone explains, (k,).
        purity: Share of each component's variance that comes from this part, (k,).
        pca_purity: The same of the principal components: the largest share, of whichever part,
            averaged over the first k.
        held_out: Correlation of each component's part between the trials that it was fitted to and
            those that were held out, (k,); NaN where there is no test.
        p: Share of exchanges of the label, among held-out trials, that reach it, (k,); NaN for
            `time`, for what several labels add together, and where a group has one trial.
        scores: D X, (C, T, k).
        decoder: D, (k, N).
        encoder: F, orthonormal columns, (N, k).
    """

    share: float
    null_share: NDArray[np.float64]
    explained: NDArray[np.float64]
    purity: NDArray[np.float64]
    pca_purity: float
    held_out: NDArray[np.float64]
    p: NDArray[np.float64]
    scores: NDArray[np.float64]
    decoder: NDArray[np.float64]
    encoder: NDArray[np.float64]


@dataclass(frozen=True)
class DemixedComponents:
    """Components shared by all groups of trials, and those of each label.

    Attributes:
        time_s: Times (s), (T,).
        conditions: The groups in words, (C,).
        parts: Parts by name: `time`, each label, and `a x b` for what labels add together.
    """

    time_s: NDArray[np.float64]
    conditions: NDArray[np.generic]
    parts: dict[str, DemixedPart]

    @property
    def time(self) -> DemixedPart:
        """What all groups share."""
        return self.parts["time"]

    @property
    def condition(self) -> DemixedPart:
        """What differs between conditions, where these are the only label."""
        return self.parts["condition"]


def demixed_components(
    recording: xr.Dataset,
    variable: str = "rate",
    *,
    labels: Sequence[str] = (),
    window_s: tuple[float, float] | None = None,
    components: int = 3,
    ridge: float = 1e-3,
    shuffles: int = 20,
    exchanges: int = 199,
    seed: int = 0,
) -> DemixedComponents:
    """Return the demixed principal components of a recording.

    Args:
        recording: Trials.
        variable: What is demixed.
        labels: Labels of the trials: variables over `trial`, or columns of the lab's table, as
            `target` and `load`; every combination of their values needs a trial. By default the
            condition is the only one.
        window_s: First and last time (s); all times by default.
        components: Number of components of each part, k.
        ridge: Relative to the norm of the averages.
        shuffles: Permutations of the groups, for shares.
        exchanges: Exchanges of each label among held-out trials, for p, which is at least
            1 / (exchanges + 1).
        seed: Random seed of them all.

    Raises:
        RecordingError: A label is not there, some combination of labels has no trial, there are
            fewer groups than two, or one part has too few dimensions.

    Example:
        >>> import numpy as np
        >>> from neuromotor.analysis import make_recording
        >>> rng = np.random.default_rng(0)
        >>> goal, push = np.repeat([0, 1, 2, 0, 1, 2], 9), np.repeat([0, 0, 0, 1, 1, 1], 9)
        >>> rate = rng.standard_normal((54, 12, 9))
        >>> rate[:, 6:, :3] += 2.0 * goal[:, None, None]
        >>> made = make_recording(0.01 * np.arange(12), goal, {"rate": rate})
        >>> made = made.assign(goal=("trial", goal), push=("trial", push))
        >>> found = demixed_components(made, labels=("goal", "push"), components=1)
        >>> [(name, bool(part.p[0] < 0.05)) for name, part in found.parts.items()][1:3]
        [('goal', True), ('push', False)]
    """
    check_integer("components", components, minimum=1)
    check_integer("exchanges", exchanges, minimum=0)
    check_positive("ridge", ridge)
    check_seed("seed", seed)
    part = window(recording, window_s)
    check_recording(part, [variable])
    if part[variable].ndim != 3:
        raise RecordingError(f"`{variable}` must vary over trial, time and one more axis.")
    values = part[variable].values.astype(np.float64)
    factors = Factors.of(part, labels)
    average = means_of(values, factors.member)
    norm = float(np.linalg.norm(average))
    mean = average - average.mean((0, 1))
    parts = factors.parts(mean)
    for name, own in parts.items():
        check_dimensions(own, norm, components, f"the part `{name}`")
    left = by_sample(values - average[factors.member])
    fits = _fits(mean, parts, left.T @ left / len(left), ridge, components)
    counts = np.bincount(factors.member)
    null: list[dict[str, float]] = []
    if (counts > 1).any():
        generator = np.random.default_rng(seed)
        for _ in range(shuffles):
            drawn = means_of(values, generator.permutation(factors.member))
            drawn = drawn - drawn.mean((0, 1))
            null.append(_shares(drawn, factors.parts(drawn)))
    flat = by_sample(mean)
    loadings = np.linalg.svd(flat, full_matrices=False)[2][:components]
    pca = [_purity(loadings, one, mean) for one in parts.values()]
    tests = {}
    if exchanges and counts.min() > 1:
        tests = _tests(values, factors, ridge, components, exchanges, seed)
    unknown = np.full(components, np.nan)
    shares = _shares(mean, parts)
    found = {}
    for name, (encoder, decoder) in fits.items():
        guesses = [np.outer(flat @ d, f) for d, f in zip(decoder, encoder.T, strict=True)]
        held_out, p = tests.get(name, (unknown, unknown))
        found[name] = DemixedPart(
            share=shares[name],
            null_share=np.array([row[name] for row in null]),
            explained=np.array(
                [1 - ((flat - guess) ** 2).sum() / (flat**2).sum() for guess in guesses]
            ),
            purity=_purity(decoder, parts[name], mean),
            pca_purity=float(np.max(pca, axis=0).mean()),
            held_out=held_out,
            p=p,
            scores=mean @ decoder.T,
            decoder=decoder,
            encoder=encoder,
        )
    names = np.array(factors.words()) if labels else factors.levels[0]
    return DemixedComponents(part["time"].values, names, found)


_Fit = tuple[NDArray[np.float64], NDArray[np.float64]]  # encoder, decoder


def _fits(
    mean: NDArray[np.float64],
    parts: dict[str, NDArray[np.float64]],
    covariance: NDArray[np.float64],
    ridge: float,
    components: int,
) -> dict[str, _Fit]:
    """Return encoder and decoder of each part of centred averages (C, T, N)."""
    flat = by_sample(mean)
    inner = flat.T @ flat + len(flat) * covariance
    inner += (ridge * np.linalg.norm(flat)) ** 2 * np.eye(flat.shape[1])
    found = {}
    for name, one in parts.items():
        regression = np.linalg.solve(inner, flat.T @ by_sample(one)).T  # A
        # The left singular vectors of A inner^1/2, without the root.
        encoder = np.linalg.eigh(regression @ inner @ regression.T)[1][:, ::-1][:, :components]
        found[name] = (encoder, encoder.T @ regression)
    return found


def _tests(
    values: NDArray[np.float64],
    factors: Factors,
    ridge: float,
    components: int,
    exchanges: int,
    seed: int,
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return correlations with held-out trials and their p for each label, (k,) each."""
    generator = np.random.default_rng([seed, 1])
    first = np.zeros(len(values), dtype=bool)
    for group in range(int(factors.member.max()) + 1):
        own = generator.permutation(np.flatnonzero(factors.member == group))
        first[own[: (len(own) + 1) // 2]] = True
    member = factors.member[first]
    average = means_of(values[first], member)
    mean = average - average.mean((0, 1))
    left = by_sample(values[first] - average[member])
    parts = factors.parts(mean)
    fits = _fits(mean, parts, left.T @ left / len(left), ridge, components)
    rows = np.flatnonzero(~first)
    found = {}
    for name in factors.names:
        decoder = fits[name][1]
        fitted = factors.parts(mean @ decoder.T)[name]  # (C, T, k)
        single = values[rows] @ decoder.T
        held = factors.parts(means_of(single, factors.member[rows]))[name]
        size = np.sqrt((fitted**2).sum((0, 1)) * (held**2).sum((0, 1)))
        shared = (fitted * held).sum((0, 1))
        reached = np.zeros(components)
        for _ in range(exchanges):
            drawn = means_of(single, factors.exchanged(name, rows, generator))
            other = (fitted * factors.parts(drawn)[name]).sum((0, 1))
            reached += other >= shared * (1 - 1e-12)
        found[name] = (shared / np.maximum(size, 1e-300), (1 + reached) / (1 + exchanges))
    return found


def _shares(mean: NDArray[np.float64], parts: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """Return each part's share of variance."""
    total = (mean**2).sum()
    return {name: float((part**2).sum() / total) for name, part in parts.items()}


def _purity(
    decoder: NDArray[np.float64], part: NDArray[np.float64], mean: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of each component's variance that comes from a part, (k,)."""
    own = ((part @ decoder.T) ** 2).sum((0, 1))
    return np.asarray(own / ((mean @ decoder.T) ** 2).sum((0, 1)), np.float64)


def plot_demixed_components(found: DemixedComponents) -> Figure:
    """Draw the first component of each part over time, and the second of a lone label."""
    from neuromotor.analysis.drawing import add_condition_key, condition_colors, panels, plain

    shown = [(name, part, 0) for name, part in found.parts.items()][:_SHOWN]
    if len(found.parts) == 2 and found.time.scores.shape[2] > 1:
        name, part, _ = shown[-1]
        shown.append((name, part, 1))
    with panels(1, len(shown), figsize=(2.2 * len(shown), 2.3)) as (figure, axes):
        for ax, (name, part, place) in zip(axes, shown, strict=True):
            for trace, color in zip(
                part.scores[..., place], condition_colors(len(part.scores)), strict=True
            ):
                ax.plot(1e3 * found.time_s, trace, color=color, linewidth=0.8)
            ax.set(xlabel="time (ms)", ylabel="score")
            p = part.p[place]
            ax.set_title(
                f"{plain('shared' if name == 'time' else name)} {place + 1}: "
                f"{100 * part.explained[place]:.0f} % of variance,\n"
                f"{100 * part.purity[place]:.0f} % its own"
                + (f", p {p:.2g}" if np.isfinite(p) else "")
            )
        add_condition_key(figure, found.conditions)
    return figure


def _section(given: Material) -> Findings:
    """Demixed components of all layers together."""
    exchanges = max(199, given.surrogates)
    found = demixed_components(
        given.activity, labels=given.labels, exchanges=exchanges, seed=given.seed
    )
    stands = family([p for part in found.parts.values() for p in part.p])
    numbers: dict[str, Any] = {}
    for place, (name, part) in enumerate(found.parts.items()):
        row: dict[str, Any] = {"share": part.share, "null_share": median(part.null_share)}
        row |= {f"explained_{i + 1}": value for i, value in enumerate(part.explained)}
        row |= {f"purity_{i + 1}": value for i, value in enumerate(part.purity)}
        row["pca_purity"] = part.pca_purity
        row |= {f"held_out_correlation_{i + 1}": value for i, value in enumerate(part.held_out)}
        row |= {f"p_{i + 1}": value for i, value in enumerate(part.p)}
        own = stands[place * len(part.p) : (place + 1) * len(part.p)]
        row["components_that_stand"] = int(own.sum()) if np.isfinite(part.p).any() else np.nan
        numbers["shared" if name == "time" else name] = row
    text = (
        "The components show what all trials share and what "
        f"{' and '.join(given.labels) or 'the condition'} adds, {span(given.activity)}. Purity is "
        "the share of a component's variance that belongs to its own part; the purity that "
        "principal components reach stands beside it. For the null of shares, labels are permuted; "
        "there is no null where each group has one trial. p tests a component on the half of the "
        "trials that it was not fitted to, against exchanges of its label among them; how many "
        "stand is corrected for all components by Holm's method. What labels add together has no "
        "test."
    )
    return Findings(text, numbers, {"demixing": partial(plot_demixed_components, found)})


SECTION = SectionSpec(
    "demixing",
    "Demixed principal components",
    60,
    _section,
    ("changing rates",),
    lambda given: 0.3 + 1.5 * given.million_rates,
    reading="Each panel is the component that holds most of what one label adds, a line a group of "
    "trials; exchanges of that label among held-out trials are the null of p.",
)
