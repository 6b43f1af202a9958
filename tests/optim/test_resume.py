"""A minimisation that goes on from a snapshot comes to the same numbers, to the bit."""

from dataclasses import replace
from math import nan

import pytest
import torch
from cases import SmallProblem, generator, rosenbrock

from neuromotor import CenterOut, ClosedLoop, ContinuousTimeRNN, train
from neuromotor.optim import LBFGS, OPTIMIZERS, Adam, Budget, HessianFree, KroneckerLBFGS, Resampled
from neuromotor.optim.state import SnapshotError
from neuromotor.tasks import DDN

NET = ContinuousTimeRNN(layers=(8, 6))


def assert_resumes(minimize, *places, calls):
    """Minimise in one go, and up to each of some iterations and on from there."""
    whole = minimize(budget=Budget(calls=calls))
    snapshots = {}

    def keep(progress):
        if progress.point.iteration in places:
            snapshots[progress.point.iteration] = progress.snapshot()

    # The rest of this run must not change the snapshot that was taken.
    minimize(budget=Budget(calls=calls), callback=keep)
    for place in places:
        assert_same(minimize(budget=Budget(calls=calls), resume=snapshots[place]), whole)


def assert_same(resumed, whole):
    assert torch.equal(resumed.parameters, whole.parameters)
    assert resumed.value == whole.value
    assert resumed.counts == whole.counts
    assert resumed.reason == whole.reason
    strip = [replace(point, seconds=0.0) for point in resumed.history]
    assert strip == [replace(point, seconds=0.0) for point in whole.history]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_resumes_to_the_bit(name):
    task = CenterOut(directions=4, steps=5)
    objective = ClosedLoop(task, NET).objective(task.trials())
    theta = NET.initial_parameters(generator(1))

    def minimize(**options):
        return OPTIMIZERS[name].minimize(objective, theta, **options)

    assert_resumes(minimize, 0, 2, calls=200)


@pytest.mark.parametrize(
    "optimizer",
    [
        LBFGS(calm_start=True),
        KroneckerLBFGS(refresh=3),
        Adam(),
        HessianFree(curvature_trials=3, iterations=5),
    ],
)
def test_with_draws_that_change_as_well(optimizer):
    task = DDN(pairs=6, steps=10)

    def minimize(**options):
        return train(task, NET, optimizer, seed=2, refresh=2, **options)

    assert_resumes(minimize, 3, calls=90)


def test_a_snapshot_belongs_to_its_optimizer_and_sizes():
    problem, start = SmallProblem(rosenbrock), torch.zeros(4, dtype=torch.float64)
    kept = []
    LBFGS().minimize(problem, start, Budget(calls=5), lambda p: kept.append(p.snapshot()))
    with pytest.raises(ValueError, match="`resume` must come from Adam, got a snapshot of LBFGS"):
        Adam().minimize(problem, start, resume=kept[0])
    with pytest.raises(ValueError, match="`resume` must hold 5 parameters"):
        LBFGS().minimize(problem, torch.zeros(5, dtype=torch.float64), resume=kept[0])
    broken = replace(kept[0], state={"theta": start})
    with pytest.raises(ValueError, match="`resume` must hold the fields"):
        LBFGS().minimize(problem, start, resume=broken)


def test_draws_change_between_iterations_and_never_within():
    """Each objective is a bowl somewhere else; a line search that mixed two would not be one."""
    made, seen = [], []

    class Bowl(SmallProblem):
        def __init__(self, number):
            super().__init__(lambda x: x - float(number))
            made.append(number)
            self.number = number

        def value_and_gradient(self, parameters):
            seen.append(self.number)
            return super().value_and_gradient(parameters)

    objective = Resampled(Bowl, every=3)
    result = LBFGS().minimize(
        objective,
        torch.full((2,), 10.0, dtype=torch.float64),
        Budget(calls=40),
    )
    assert made == sorted(set(made))
    assert seen == sorted(seen)
    assert len(result.history) - 1 in range(3 * made[-1], 3 * made[-1] + 4)
    last = SmallProblem(lambda x: x - float(made[-1]))
    assert result.value == pytest.approx(last.value(result.parameters), abs=1e-12)
    with pytest.raises(ValueError, match="`every` must be"):
        Resampled(Bowl, every=0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_interruption_within_an_iteration_changes_nothing(name):
    """A signal may come anywhere; the checkpoint that follows must be one of the whole run."""
    task = CenterOut(directions=4, steps=5)
    loop = ClosedLoop(task, NET).objective(task.trials())
    theta = NET.initial_parameters(generator(1))
    whole = OPTIMIZERS[name].minimize(loop, theta, Budget(calls=200))
    calls = [point.calls for point in whole.history]
    longest = max(range(1, len(calls)), key=lambda i: calls[i] - calls[i - 1])
    kept = []

    def keep(progress):
        kept.append(progress.snapshot())

    questions = []

    def interrupted():  # false where the longest iteration begins, true as soon as it is under way
        questions.append(len(kept))
        return len(kept) > longest or questions.count(longest) > 1

    OPTIMIZERS[name].minimize(loop, theta, Budget(calls=200, interrupted=interrupted), keep)
    assert len(kept) == longest + 1
    assert_same(OPTIMIZERS[name].minimize(loop, theta, Budget(calls=200), resume=kept[-1]), whole)


HOSTILE = {
    "text": lambda value: "text",
    "table": lambda value: {"a": 1},
    "list": lambda value: [[]],
    "NaN": lambda value: torch.full_like(value, nan) if floats(value) else nan,
    "negative": lambda value: -1 - value.abs() if torch.is_tensor(value) else -1,
    "huge": lambda value: 1e300 if isinstance(value, float) else 10**30,
    "less": lambda value: value[:-1] if torch.is_tensor(value) else -1e300,
}
# Where a number of either sign is as good as another: coordinates of points and directions.
ANY_SIGN = (
    *("theta", "best_parameters", "mean", "velocity", "warm", "update", "direction", "downhill"),
    *("pairs", "blocks", "last_slope", "reached", "before"),
)


def floats(value):
    return torch.is_tensor(value) and value.is_floating_point()


def places(tree, above=()):
    """Where each entry of plain data is; of a list of many, its first and last ones."""
    for key in (
        tree if isinstance(tree, dict) else sorted({0, len(tree) - 1} & set(range(len(tree))))
    ):
        yield (*above, key)
        if isinstance(tree[key], dict | list):
            yield from places(tree[key], (*above, key))


def with_entry(tree, place, change):
    """The data with one entry changed."""
    key, *rest = place
    new = with_entry(tree[key], rest, change) if rest else change(tree[key])
    if isinstance(tree, dict):
        return {**tree, key: new}
    return [*tree[:key], new, *tree[key + 1 :]] if key >= 0 else tree


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_entry_of_a_snapshot_can_be_replaced_unnoticed(name):
    """Whatever stands there instead, it is one clear error."""
    task = CenterOut(directions=2, steps=5)
    objective = ClosedLoop(task, ContinuousTimeRNN(layers=(4,))).objective(task.trials())
    theta = ContinuousTimeRNN(layers=(4,)).initial_parameters(generator(1))
    optimizer, kept = OPTIMIZERS[name], []

    def keep(progress):
        if progress.point.iteration <= 3:
            kept[:] = [progress.snapshot()]

    optimizer.minimize(objective, theta, Budget(calls=100), keep)
    whole = {"state": kept[0].state, "run": kept[0].run}
    cases = 0
    for place in [place for place in places(whole) if len(place) > 1]:
        for what, change in HOSTILE.items():
            if what == "negative" and place[1] in ANY_SIGN:
                continue
            tree = with_entry(whole, place, change)
            snapshot = replace(kept[0], state=tree["state"], run=tree["run"])
            with pytest.raises(SnapshotError, match=r"^`(resume|run)` (must|does not agree)"):
                optimizer.minimize(objective, theta, Budget(calls=100), resume=snapshot)
            cases += 1
    assert cases > 70
