"""Linear feedback: its recursion written out, its tables, its gradient."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import noisy, normal
from typer.testing import CliRunner

from neuromotor.analysis import load_recording
from neuromotor.cli.app import app
from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, FeedbackWeights, LinearFeedback, Uncertainty
from neuromotor.plants import PointMass
from neuromotor.runs.settings import resolve
from neuromotor.tasks import CenterOut, Channel, Senses
from neuromotor.zoo.saved_controller import load_controller, save_controller

TASK = CenterOut(plant=PointMass(), directions=3, radius_m=0.1, steps=6, delay_steps=2)
NAME = "linear-feedback"
SHAPE = LinearFeedback(trials=3, steps=6, delay_steps=2, load=True, hand_force=True)


def test_it_is_the_recursion_in_its_docstring():
    """Trial by trial, the states of the past kept in a list."""
    parameters = 0.1 * normal(SHAPE.parameter_count)
    trials = noisy(TASK.trials(), TASK.steps)
    run = ClosedLoop(TASK, SHAPE).simulate(parameters, trials)
    w = SHAPE.unpack(parameters)
    for trial in range(3):
        past = [w.start[trial]] * 3
        disturbance, command = torch.zeros(4, dtype=torch.float64), None
        for t in range(6):
            if t:
                after = w.state[trial, t - 1] @ past[0] + w.command[trial, t - 1] @ command
                after = after + w.disturbance[trial, t - 1] @ disturbance + w.drift[trial, t - 1]
                past = [after, *past[:2]]
            surprise = run.observations[trial, t] - past[2]
            change = w.correction[trial, t] @ surprise
            past = [state + change[4 * i : 4 * i + 4] for i, state in enumerate(past)]
            disturbance = disturbance + change[12:]
            command = w.offset[trial, t] + w.feedback[trial, t] @ torch.cat([past[0], disturbance])
            torch.testing.assert_close(run.commands[trial, t], command)
            torch.testing.assert_close(run.memory[0][trial, t], torch.cat([*past, disturbance]))
            torch.testing.assert_close(run.memory[1][trial, t], command)


def test_a_plant_predicts_as_its_own_linear_tables_do():
    plant = TASK.plant
    parameters = 0.1 * normal(SHAPE.parameter_count)
    tables = {name: one.clone() for name, one in SHAPE.unpack(parameters).tables().items()}
    eye = torch.eye(4, dtype=torch.float64)
    tables["state"][:] = plant.step(eye, torch.zeros(4, 2, dtype=torch.float64)).mT
    force = torch.cat([torch.zeros(2, 2), 0.01 * torch.eye(2)]).double()
    tables["command"][:] = force
    tables["disturbance"][:] = torch.cat([force, force], dim=1)
    tables["drift"][:] = 0
    flat = FeedbackWeights(**tables).flatten()
    trials = noisy(TASK.trials(), TASK.steps)
    linear = ClosedLoop(TASK, SHAPE).simulate(flat, trials)
    extended = LinearFeedback(
        trials=3, steps=6, delay_steps=2, load=True, hand_force=True, plant=plant
    )
    with_plant = ClosedLoop(TASK, extended).simulate(flat, trials)
    torch.testing.assert_close(with_plant.states, linear.states)
    torch.testing.assert_close(with_plant.memory, linear.memory)


def test_tables_go_through_the_flat_vector_and_back():
    parameters = normal(SHAPE.parameter_count)
    torch.testing.assert_close(SHAPE.unpack(parameters).flatten(), parameters)
    assert SHAPE.disturbance_size == 4
    assert SHAPE.estimate_size == 16
    assert SHAPE.initial_parameters(torch.Generator()).count_nonzero() == 0


def test_its_gradient_is_that_of_finite_differences():
    parameters = 0.1 * normal(SHAPE.parameter_count)
    trials = noisy(TASK.trials(), TASK.steps)
    objective = ClosedLoop(TASK, SHAPE).objective(trials)
    _, gradient = objective.value_and_gradient(parameters)
    direction = normal(SHAPE.parameter_count, seed=5)
    ahead, behind = (objective.value(parameters + e * direction) for e in (1e-6, -1e-6))
    assert float(gradient @ direction) == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)


def test_what_does_not_fit_is_refused():
    parameters = SHAPE.initial_parameters(torch.Generator())
    with pytest.raises(ValueError, match="for 3 trials cannot run 2"):
        ClosedLoop(TASK, SHAPE).simulate(parameters, TASK.trials().subset(slice(0, 2)))
    longer = CenterOut(plant=PointMass(), directions=3, radius_m=0.1, steps=7)
    with pytest.raises(ValueError, match="has no step 6"):
        ClosedLoop(longer, SHAPE).simulate(parameters, longer.trials())
    with pytest.raises(ValueError, match="must have shape"):
        SHAPE.unpack(parameters[1:])
    hand = replace(TASK, senses=Senses((Channel("hand_position"),)))
    with pytest.raises(ValueError, match="for 4 observed numbers cannot take 2"):
        ClosedLoop(hand, SHAPE).simulate(parameters, hand.trials())
    with pytest.raises(ValueError, match="delay_steps"):
        LinearFeedback(trials=3, steps=6, delay_steps=-1)
    for name, wrong in (("state_size", 6), ("command_size", 3), ("dt_s", 0.02)):
        with pytest.raises(ValueError, match=f"`{name}` must be that of `plant`"):
            replace(SHAPE, plant=PointMass(), **{name: wrong})


@pytest.fixture(params=[False, True], ids=["linear", "extended"])
def designed(request, tmp_path):
    """An optimal feedback controller in a file, its design, and its task."""
    chance = Uncertainty(command_noise=0.1, load=0.2)
    design = ILQG(extended=request.param).design(TASK, TASK.trials(), chance)
    path = tmp_path / "ilqg.safetensors"
    save_controller(path, design.controller, design.parameters, task=TASK)
    return path, design


def test_a_saved_design_runs_as_before(designed):
    path, design = designed
    saved = load_controller(path)
    assert saved.controller == design.controller
    trials = noisy(TASK.trials(), TASK.steps)
    before = ClosedLoop(TASK, design.controller).simulate(design.parameters, trials)
    after = ClosedLoop(saved.task, saved.controller).simulate(saved.parameters, trials)
    for name in ("states", "commands", "observations"):
        assert torch.equal(getattr(after, name), getattr(before, name))
    assert all(map(torch.equal, after.memory, before.memory))


def test_a_saved_design_is_evaluated_and_recorded_by_the_command_line(designed):
    path, design = designed
    run = ClosedLoop(TASK, design.controller).simulate(design.parameters, TASK.trials())
    found = CliRunner().invoke(app, ["evaluate", str(path), "--json"])
    losses = TASK.cost.losses(run.states, run.commands, TASK.trials())
    assert json.loads(found.output)["loss"] == pytest.approx(float(losses.mean()), rel=1e-12)
    other = CliRunner().invoke(app, ["evaluate", str(path), "--set", "task.directions=4"])
    assert "linear feedback for 3 trials cannot run 4" in str(other.exception)
    recording = path.with_suffix(".nc")
    done = CliRunner().invoke(app, ["record", str(path), "--out", str(recording)])
    assert done.exit_code == 0, done.output
    data = load_recording(recording)
    np.testing.assert_array_equal(data["command"].values, run.commands.numpy())


def test_settings_give_it_the_sizes_of_the_task():
    settings = resolve({"task": {"type": "center-out", "delay_s": 0.03}, "controller": NAME})
    expected = LinearFeedback(trials=64, steps=40, delay_steps=3, load_size=2)
    assert settings.controller == expected
