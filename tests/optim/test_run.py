"""The bookkeeping of a minimisation: its best point, its end, and what a file says of it."""

import math
from dataclasses import replace

import pytest
import torch
from cases import SmallProblem, rosenbrock

from neuromotor.optim import LBFGS, Budget, Resampled
from neuromotor.optim.run import Run, check_run
from neuromotor.optim.state import SnapshotError

START = torch.tensor([-1.2, 1.0], dtype=torch.float64)


def begun(budget=None, callback=None, objective=None):
    return Run(objective or SmallProblem(rosenbrock), START, budget, callback)


def test_the_best_point_is_kept_or_the_last_one_of_changing_draws():
    points = [(3.0, START), (1.0, 2 * START), (2.0, 3 * START), (math.inf, 4 * START)]
    fixed, changing = begun(), begun(objective=Resampled(lambda k: SmallProblem(rosenbrock)))
    for run in (fixed, changing):
        for value, theta in points:
            run.record(theta, value, 1.0)
    assert torch.equal(fixed.result("end").parameters, 2 * START)
    assert fixed.result("end").value == 1.0
    assert torch.equal(changing.result("end").parameters, 3 * START)
    assert [point.value for point in fixed.result("end").history] == [value for value, _ in points]


def test_it_ends_where_its_budget_does():
    run = begun(Budget(calls=4))
    assert run.record(START, 1.0, 1.0) is None
    assert run.fraction_used == 0.0
    for used in (0.25, 0.5, 0.75, 1.0, 1.0):
        run.objective.value(START)
        assert run.fraction_used == used
    assert "4 calls" in run.record(START, 1.0, 1.0)
    assert "4 calls" in run.limit_reason()
    assert begun().fraction_used is None
    stopped = begun(Budget(interrupted=lambda: True))
    assert stopped.record(START, 1.0, 1.0) is not None
    assert stopped.limit_reason() is None  # an iteration is not left half-done


def test_a_start_without_a_finite_value_is_refused():
    with pytest.raises(ValueError, match="must give a finite objective to start from, got inf"):
        begun().record(START, math.inf, 1.0)


def test_what_is_packed_is_restored():
    run = begun()
    for value in (3.0, 1.0, 2.0):
        run.objective.value(START)
        run.record(value * START, value, 0.5)
    other = begun()
    other.restore(run.pack())
    ours, theirs = run.result("end"), other.result("end")
    assert torch.equal(ours.parameters, theirs.parameters)
    assert (ours.value, ours.counts, ours.history) == (theirs.value, theirs.counts, theirs.history)


def packed():
    kept = []
    LBFGS().minimize(
        SmallProblem(rosenbrock), START, Budget(calls=9), lambda at: kept.append(at.snapshot())
    )
    return dict(kept[-1].run)


def changed_history(column, row, value):
    def change(run):
        run["history"] = run["history"].clone()
        run["history"][row, column] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: run.pop("counts"), "must hold counts, seconds"),
        (lambda run: run.update(counts=[1, 2]), "3 values as `counts`"),
        (lambda run: run.update(counts=[0, -1, 0]), "as `counts`"),
        (lambda run: run.update(seconds=math.nan), "as `seconds`"),
        (lambda run: run.update(best_parameters=START[:1]), "2 numbers of torch.float64"),
        (lambda run: run.update(best_value=-1.0), "none of its values"),
        (lambda run: run.update(counts=[0, 1, 0]), "`counts` do not fit its calls"),
        (lambda run: run.update(seconds=0.0), "`seconds` do not fit its seconds"),
        (lambda run: run.update(history=run["history"][:, :4]), "a table of"),
        (lambda run: run.update(history=run["history"].float()), "no table"),
        (changed_history(0, 1, 7.0), "do not follow each other"),
        (changed_history(1, 0, math.inf), "numbers of no minimisation"),
        (changed_history(2, 1, -1.0), "numbers of no minimisation"),
        (changed_history(3, 1, 0.5), "calls"),
        (changed_history(4, 0, 1e6), "fall"),
    ],
)
def test_a_run_that_a_file_cannot_hold_is_refused(change, message):
    data = packed()
    check_run(data, START)
    change(data)
    with pytest.raises(SnapshotError, match=message):
        check_run(data, START)


def test_a_minimisation_refuses_a_broken_run_and_stays_unchanged():
    kept = []
    problem = SmallProblem(rosenbrock)
    LBFGS().minimize(problem, START, Budget(calls=9), lambda at: kept.append(at.snapshot()))
    broken = replace(kept[-1], run=kept[-1].run | {"best_value": math.nan})
    with pytest.raises(SnapshotError, match="best_value"):
        LBFGS().minimize(problem, START, resume=broken)
