"""Trainings on problems end when the problem is solved, and go on to the same numbers."""

from dataclasses import replace

import pytest
import torch
from cases import generator

from neuromotor import LBFGS, Adam, Budget, KroneckerLBFGS, Network, load_snapshot
from neuromotor.problems import PROBLEMS, Memorization, fitted
from neuromotor.problems.objective import outputs_of
from neuromotor.training.problems import answers, solve

SHORT = Memorization(length=2, lag=3)
NETWORK = fitted(Network(layers=(12,)), SHORT)


@pytest.mark.parametrize("optimizer", [LBFGS(), KroneckerLBFGS()])
def test_a_short_memory_is_solved(optimizer):
    found = solve(SHORT, NETWORK, optimizer, budget=Budget(calls=2000), test_calls=5)
    assert found.solved
    assert found.reason == "solved"
    assert found.counts.calls < 2000
    batch = SHORT.sequences(1, generator())
    said = outputs_of(found.controller, found.parameters, batch).argmax(-1)
    assert torch.equal(said[:, -2:], batch.targets.argmax(-1)[:, -2:])
    assert found.answers.wrong == found.answers.wrong_steps == 0.0
    assert found.row()["solved"] is True


def test_a_training_goes_on_to_the_same_numbers(tmp_path):
    problem = replace(PROBLEMS["addition"], lag=20)
    network = fitted(Network(layers=(6,)), problem)
    shared = {"sequences": 20, "held_out": 50, "seed": 3}
    whole = solve(problem, network, Adam(warmup=0.0), budget=Budget(calls=40), **shared)
    path = tmp_path / "half.safetensors"
    stop = {"budget": Budget(calls=40, interrupted=lambda: path.exists()), "checkpoint": path}
    solve(problem, network, Adam(warmup=0.0), **stop, checkpoint_s=1e-9, **shared)
    resume = load_snapshot(path)
    again = solve(
        problem, network, Adam(warmup=0.0), budget=Budget(calls=40), resume=resume, **shared
    )
    assert torch.equal(whole.parameters, again.parameters)
    assert whole.answers == again.answers
    assert not whole.solved
    with pytest.raises(FileExistsError):
        solve(problem, network, Adam(), checkpoint=path)


def test_films_have_no_right_or_wrong():
    problem = PROBLEMS["balls"]
    network = fitted(Network(layers=(3,)), problem)
    theta = network.initial_parameters(generator())
    found = answers(problem, network, theta, problem.sequences(3, generator()))
    assert found.wrong != found.wrong
    assert not found.solved
    assert found.loss > 0
