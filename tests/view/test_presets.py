"""Every task, plant and controller that has a name runs in a page as in Python, or is refused."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from javascript import closed_loop, evaluated

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import CONTROLLERS, Network
from neuromotor.plants import PLANTS
from neuromotor.tasks import TASKS, CenterOut, Task
from neuromotor.tasks.task import input_size
from neuromotor.training.single import initial_parameters, make_trials
from neuromotor.view import ViewError, describe

RUN = {  # these are never refused
    *("center-out", "postural", "ddn", "target-jump", "force-field", "instructed-delay"),
    *("monkey", "human", "point-mass", "monkey-muscles", "human-muscles"),
    *("rnn", "network", "gated", "lstm", "constrained"),
}
CASES = [*TASKS, *PLANTS, *CONTROLLERS]


def parts(name: str) -> tuple[Task, Any]:
    """A task and a controller, one of which has, or is on, what has this name."""
    if name in CONTROLLERS:
        return CenterOut(directions=2, steps=8), CONTROLLERS[name]
    if name in TASKS:
        return TASKS[name], Network(layers=(8, 6))
    return CenterOut(plant=PLANTS[name], directions=2, steps=8), Network(layers=(8,))


@pytest.mark.parametrize("name", CASES)
def test_a_preset_runs_as_in_python_or_is_refused_by_name(name):
    task, controller = parts(name)
    trials = make_trials(task, controller, 1)
    trials = trials.subset(torch.tensor([0, len(trials) - 1]))
    if hasattr(controller, "input_size"):
        sizes = {"input_size": input_size(task, trials), "command_size": task.plant.command_size}
        own = {field.name for field in fields(controller)}
        controller = replace(controller, **{k: size for k, size in sizes.items() if k in own})
    theta = 0.3 * initial_parameters(controller, 1)
    quick = {"ilqr": False, "fixed_points": False}
    made, refusal = None, ""
    try:
        made = describe(task, controller, theta, trials, **quick)
    except ViewError as error:
        refusal = str(error)
    if made is None:
        assert name not in RUN, refusal
        assert re.search("`(controller|plant|task)[a-z.]*` must .* for a page", refusal)
        return
    found = evaluated(closed_loop(made), "[0, 1].map((i) => wholeTrial(loop, i))")
    with torch.no_grad():
        run = ClosedLoop(task, controller).simulate(theta, trials)
    losses = task.cost.losses(run.states, run.commands, trials).tolist()
    for one, states, loss in zip(found, run.states.numpy(), losses, strict=True):
        assert np.abs(np.array(one["states"]) - states).max() < 1e-9 * np.abs(states).max()
        assert one["loss"] == pytest.approx(loss, rel=1e-9)
