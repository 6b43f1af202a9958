"""The excess over ILQG taken apart, against closed forms and planted controllers."""

from dataclasses import replace

import pytest
import torch

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQR
from neuromotor.controllers import CommandTable, ContinuousTimeRNN, FunctionController
from neuromotor.evaluation.explain import explain
from neuromotor.evaluation.performance import held_out
from neuromotor.plants import PointMass
from neuromotor.tasks import DDN, CenterOut, Channel, Senses

NOTHING = torch.zeros(0, dtype=torch.float64)
REACH = CenterOut(plant=PointMass(), radius_m=0.1, directions=8, steps=10)
STILL = FunctionController(lambda seen, target, t: torch.zeros_like(seen[:, :2]))


def springs(seen, target, t):
    """Pull the joints towards the target, with damping (N m)."""
    return 1.0 * (target[:, :2] - seen[:, :2]) - 0.4 * seen[:, 2:4]


@pytest.fixture(scope="module")
def disturbed():
    task = DDN(pairs=16, steps=20, delay_steps=3)
    return task, held_out(task, FunctionController(springs), 16)


@pytest.fixture(scope="module")
def explained(disturbed):
    task, trials = disturbed
    return explain(task, FunctionController(springs), NOTHING, trials, handovers=4)


def test_a_hand_that_stays_costs_its_distance_and_no_energy():
    """The hand errs by the radius r: its loss is r^2 / 2, and iLQR's is the best there is."""
    found = explain(REACH, STILL, NOTHING, REACH.trials(), handovers=2)
    best = ILQR().solve(REACH, REACH.trials())
    one = found.conditions["as it is"]
    assert one.error == pytest.approx(0.1**2 / 2)
    assert one.energy == 0
    assert one.reference == pytest.approx(best.value, rel=1e-6)
    # Where nothing is random, all of the excess is the reach's.
    assert found.excess["reach"]["error"] + found.excess["reach"]["energy"] == pytest.approx(
        0.1**2 / 2 - best.value, rel=1e-6
    )
    assert found.excess["loads"] == found.excess["noise"] == {"error": 0.0, "energy": 0.0}
    # Its first command is zero, and departs from the best one by the whole of that.
    first = best.commands[:, 0].square().mean().sqrt()
    assert found.departure.total[0] == pytest.approx(float(first), rel=1e-5)
    assert found.departure.estimate is found.departure.gain is None


def test_the_parts_add_up_to_the_excess(explained):
    total = sum(sum(kinds.values()) for kinds in explained.excess.values())
    assert total == pytest.approx(explained.conditions["as it is"].excess, rel=1e-9)
    assert explained.excess["noise"]["error"] != 0
    assert explained.excess["loads"]["error"] != 0
    assert explained.handover_s == pytest.approx((0, 0.05, 0.1, 0.15, 0.2))


def test_without_delay_no_channel_has_one():
    """Joints by two channels of other delays; without them the springs see the present state."""
    channels = (Channel("joint_position", delay_steps=2), Channel("joint_velocity", delay_s=0.05))
    task = DDN(pairs=16, steps=12, senses=Senses(channels))
    trials = held_out(task, FunctionController(springs), 16)
    found = explain(task, FunctionController(springs), NOTHING, trials, handovers=1)
    for name, same in (("as it is", task), ("no delay", DDN(steps=12, delay_steps=0))):
        alone = ClosedLoop(same, FunctionController(springs)).losses(NOTHING, trials)
        assert found.conditions[name].loss == pytest.approx(float(alone.mean()), rel=1e-9)
        assert found.conditions[name].reference < found.conditions[name].loss


def test_handing_over_at_the_ends_is_one_controller_alone(explained, disturbed):
    task, trials = disturbed
    alone = ClosedLoop(task, FunctionController(springs)).losses(NOTHING, trials)
    assert explained.handover_loss[-1] == pytest.approx(float(alone.median()))
    assert explained.conditions["as it is"].loss == pytest.approx(float(alone.mean()))


def test_the_command_of_a_planted_offset_departs_by_just_that():
    """A controller that gives ILQG's commands plus a constant departs by the constant.

    Without noise and delay the optimal command of a point mass at one place is linear in its state
    and target; the commands of iLQR from that place on say which.
    """
    offset = 0.05

    def optimal(seen, target, t):
        rest = replace(REACH, steps=REACH.steps - t)
        start = replace(REACH.trials(), initial_state=seen, target=target)
        return ILQR().solve(rest, start).commands[:, 0] + offset

    found = explain(REACH, FunctionController(optimal), NOTHING, REACH.trials(), handovers=1)
    assert found.departure.total == pytest.approx([offset] * REACH.steps, rel=1e-4)


def test_units_are_read_out_on_trials_that_were_held_out():
    task = replace(REACH, directions=16)
    network = ContinuousTimeRNN(layers=(6,), command_size=2)
    theta = network.initial_parameters(torch.Generator().manual_seed(0))
    departure = explain(task, network, theta, task.trials(), handovers=1).departure
    # The best commands of reaches in opposite directions change with time, and the rates of a few
    # random units hardly: weights that change with time are what a read-out needs.
    assert set(departure.unread) == {"units", "clock", "state"}
    assert departure.unread["clock"] < 0.5 * departure.unread["units"]
    for whole, *parts in zip(departure.total, departure.estimate, departure.gain, strict=True):
        assert abs(parts[0] - parts[1]) - 1e-9 <= whole <= sum(parts) + 1e-9


def test_what_cannot_be_explained_is_refused():
    table = CommandTable(trials=8, steps=10, command_size=2, dt_s=0.01)
    theta = torch.zeros(table.parameter_count)
    with pytest.raises(ValueError, match="belongs to"):
        explain(REACH, table, theta, REACH.trials())
    with pytest.raises(ValueError, match="8 or more"):
        explain(REACH, STILL, NOTHING, REACH.trials().subset(slice(4)))
    with pytest.raises(ValueError, match="`handovers`"):
        explain(REACH, STILL, NOTHING, REACH.trials(), handovers=0)
    force = torch.zeros(8, 10, 2, dtype=torch.float64)
    force[:, 2:4] = 1.0  # a push that ends
    with pytest.raises(ValueError, match="stay once they are on"):
        explain(REACH, STILL, NOTHING, replace(REACH.trials(), load=force))
