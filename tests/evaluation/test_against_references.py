"""References are evaluated once, remembered, and told apart from those that are none."""

import pytest
import torch
from cases import generator

from neuromotor import ILQR, ContinuousTimeRNN
from neuromotor.evaluation.against_references import evaluate_ilqr, reference_rows
from neuromotor.evaluation.performance import controller_runner, held_out
from neuromotor.tasks import DDN, CenterOut, ForceField

NET = ContinuousTimeRNN(layers=(8,))
THETA = NET.initial_parameters(generator(0))


class Memory:
    """Known evaluations, and what was asked and learnt."""

    def __init__(self):
        self.known, self.learnt = {}, []

    def evaluation(self, reference):
        return self.known.get(reference)

    def evaluated(self, reference, evaluation):
        self.known[reference] = evaluation
        self.learnt.append(reference)


class Unable(ILQR):
    """A solver that must not be asked."""

    def solve(self, *arguments, **options):
        raise AssertionError("solved again")


def test_what_is_known_is_not_evaluated_again():
    task = DDN(pairs=4)
    trials = held_out(task, NET, 6)
    memory = Memory()
    first = evaluate_ilqr(task, trials, ILQR(), known=memory).with_others(["ilqg"], memory)
    assert memory.learnt == ["bound", "ilqg"]
    again = evaluate_ilqr(task, trials, Unable(), known=memory).with_others(["ilqg"], memory)
    assert memory.learnt == ["bound", "ilqg"]
    assert again.evaluations == first.evaluations
    assert list(first.evaluations) == ["clairvoyant", "ilqg"]


def test_ratios_to_all_references_are_those_of_the_mean_losses():
    task = DDN(pairs=4)
    trials = held_out(task, NET, 6)
    references = evaluate_ilqr(task, trials, ILQR()).with_others(["ilqg", "open-loop"])
    run = controller_runner(task, NET, THETA)
    found = references.assess(run)
    states, commands = run(trials)
    loss = task.cost.losses(states, commands, trials).mean()
    for name, reference in references.evaluations.items():
        ratio = float(loss / reference.losses.mean())
        assert found.ratios[name].value == pytest.approx(ratio, rel=1e-12)
    assert set(references.others["ilqg"].ratios) == {"clairvoyant"}


def test_a_solution_that_is_there_is_taken():
    task = DDN(pairs=4)
    trials = held_out(task, NET, 6)
    solution = ILQR().solve(task, trials)
    plain = evaluate_ilqr(task, trials, Unable(), solution=solution, responses=False)
    assert plain.ideal.response is None
    assert torch.equal(plain.ideal.losses, solution.losses)
    whole = evaluate_ilqr(task, trials, ILQR(), solution=solution)
    assert whole.ideal.response.trials == 6
    torch.testing.assert_close(whole.ideal.losses, solution.losses)


def test_references_that_are_none_have_a_row_with_the_reason():
    task = ForceField(CenterOut(directions=2, steps=20, delay_steps=3))
    trials = task.trials(generator(0))
    ilqr = evaluate_ilqr(task, trials, ILQR(), responses=False)
    references = ilqr.with_others(["ilqg", "open-loop"])
    assert list(references.others) == ["open-loop"]
    rows = reference_rows(references.others, references.reasons)
    assert [row["method"] for row in rows] == ["open-loop", "ilqg"]
    assert rows[0]["evaluation"] == references.others["open-loop"].as_dict()
    reason = "its design knows no force field"
    assert rows[1] == {"method": "ilqg", "evaluation": None, "reason": reason}
