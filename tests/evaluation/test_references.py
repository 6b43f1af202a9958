"""All references on one batch, by name."""

import pytest
import torch
from cases import generator, normal, switched_on

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, ILQR, OnlineTrajectoryOptimization, Uncertainty
from neuromotor.evaluation.references import (
    REFERENCES,
    assess_references,
    default_references,
    no_reference,
    reference_trajectories,
)
from neuromotor.tasks import (
    DDN,
    CenterOut,
    ForceField,
    Friction,
    InstructedDelay,
    Interception,
    Postural,
    PulsedReach,
    ReachSequence,
    Swing,
    Tracking,
)

TASK = CenterOut(directions=4, delay_steps=5)


def disturbed(count=40):
    trials = TASK.trials().subset(torch.arange(count) % 4)
    trials = switched_on(trials, TASK.steps, "load", 0.1, 19)
    noise = 0.1 * normal(count, TASK.steps, 2, seed=3)
    return type(trials)(trials.initial_state, trials.target, load=trials.load, command_noise=noise)


@pytest.mark.slow
def test_what_each_knows_orders_their_losses():
    trials = disturbed()
    seen = []
    found = reference_trajectories(TASK, trials, REFERENCES, finished=seen.append)
    assert list(found) == list(REFERENCES) == [r.name for r in seen]
    losses = {name: float(r.losses.mean()) for name, r in found.items()}
    assert losses["ilqr"] < losses["ilqg"] < losses["online-predictive"] < losses["online"]
    assert losses["ilqg"] < 0.01 * losses["open-loop"]
    assert losses["ilqg"] < losses["lqg-infinite"] < losses["open-loop"]
    assert bool((found["ilqr"].losses <= found["ilqg"].losses).all())  # it is a lower bound
    for reference in found.values():
        again = ClosedLoop(TASK, reference.controller).losses(reference.parameters, trials)
        torch.testing.assert_close(again, reference.losses)
        assert reference.trajectory.states.shape == (40, 41, 4)
        assert reference.seconds > 0
        assert reference.converged
    torch.testing.assert_close(found["ilqr"].losses, ILQR().solve(TASK, trials).losses)
    design = ILQG().design(TASK, trials, Uncertainty.from_trials(trials))
    torch.testing.assert_close(found["ilqg"].predicted_losses, design.predicted_losses)
    assert found["online"].predicted_losses is None


def test_settings_reach_their_references():
    trials = disturbed(8)
    found = reference_trajectories(
        TASK,
        trials,
        ["online", "ilqg"],
        uncertainty=Uncertainty(command_noise=0.3),
        command_limit=0.2,
    )
    assert float(found["online"].trajectory.commands.abs().max()) == 0.2
    assert found["ilqg"].trajectory.memory[0].shape[-1] == 4 * 6  # no load in the estimate


def test_unknown_names_are_refused_before_anything_runs():
    with pytest.raises(ValueError, match="unknown reference 'ilgq'; did you mean"):
        reference_trajectories(TASK, TASK.trials(), ["ilgq"])


def test_trials_with_a_go_cue_are_designed_for_as_known_or_refused():
    task = InstructedDelay(repeats=1)
    trials = task.trials(generator(0))
    assert default_references(trials) == ("ilqg",)
    assert default_references(disturbed(4)) == ("ilqg", "online-predictive")
    assert default_references(TASK.trials()) == ()
    found = reference_trajectories(task, trials, ["ilqr", "ilqg", "open-loop"])
    losses = [float(reference.losses.mean()) for reference in found.values()]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-6)  # nothing but the go is unknown
    with pytest.raises(ValueError, match="does not know when it will; use 'ilqr' or 'ilqg'"):
        reference_trajectories(task, trials, ["online"])
    planner = OnlineTrajectoryOptimization(task)
    with pytest.raises(ValueError, match=r"`trials.cue` must be None for an online planner"):
        ClosedLoop(task, planner).simulate(torch.zeros(0, dtype=torch.float64), trials)


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (ForceField(TASK), "knows no force field"),
        (Friction(TASK), "knows no force field"),
        (Friction(TASK, factors=(0.0,)), None),
        (Tracking(TASK, hold_steps=5, move_steps=20), None),
        (PulsedReach(TASK), "stay once they are on, not a push that ends"),
        (ForceField(TASK, kinds=("catch",)), None),
        (PulsedReach(TASK, pulse_steps=40), None),  # to the end
        (DDN(pairs=20), None),
        (Postural(), None),
        (Postural(loads="joint", onset_step=30), None),
    ],
)
def test_ilqg_is_no_reference_for_what_its_design_leaves_out(task, reason):
    trials = task.trials()
    missing = no_reference(REFERENCES, task, trials)
    infinite = missing.pop("lqg-infinite", "")
    assert ("no force field" in infinite) == ("no force field" in (reason or ""))
    assert ("no time at which" in infinite) == isinstance(task, Tracking)
    assert ("ilqg" in missing) == bool(reason)
    assert set(missing) <= {"ilqg", "ilqg-bayes"}
    assert "ilqg" in default_references(trials)
    if reason:
        assert reason in missing["ilqg"]
        with pytest.raises(ValueError, match=f"`names` must be without 'ilqg' .*{reason}"):
            assess_references(task, trials, ["ilqg"], {})


MOVING = Tracking(TASK, hold_steps=5, move_steps=20)
DRAWN = ReachSequence(
    CenterOut(directions=4, steps=60, delay_steps=5),
    sequences=3,
    reach_steps=(10, 12),
    hold_steps=(0, 2),
    dwell_steps=2,
)


@pytest.mark.parametrize(
    "task",
    [Swing(TASK), Interception(TASK, change_step=10, window_steps=(30, 40)), MOVING, DRAWN],
    ids=lambda task: type(task).__name__,
)
def test_designs_that_know_a_moving_target_ahead_do_as_the_bound(task):
    """Nothing is random in a trial, so that feedback changes nothing but rounding."""
    trials = task.trials(generator(0))
    found = reference_trajectories(task, trials, ["ilqr", "ilqg"])
    bound, design = (reference.losses for reference in found.values())
    torch.testing.assert_close(design, bound, rtol=1e-4, atol=1e-12)


def test_planners_are_refused_where_the_goal_moves():
    assert default_references(MOVING.trials()) == ("ilqg",)
    with pytest.raises(ValueError, match="with a cue, or whose goal changes"):
        reference_trajectories(MOVING, MOVING.trials(), ["online"])
    swing = Swing(TASK)
    planned = reference_trajectories(swing, swing.trials(), ["ilqr", "online-predictive"])
    best, online = (float(reference.losses.mean()) for reference in planned.values())
    assert online == pytest.approx(best, rel=0.05)  # its target moves nowhere: it is a state
