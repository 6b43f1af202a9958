"""Stiffness of the hand by a servo: of a limp limb, and of optimal control in a divergent field."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from matplotlib.figure import Figure

from neuromotor.control import BelievedField
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.experiments import (
    CannotBeAskedError,
    Optimal,
    Session,
    Trained,
    UnstableField,
    put_through,
    subject_of,
)
from neuromotor.experiments.practising import reaches_around
from neuromotor.tasks import CursorReach
from neuromotor.zoo.saved_controller import SavedController

SMALL = UnstableField(
    distance_m=0.08, arrival_s=0.4, directions=3, probes=(0.3, 0.4), stiffness_n_m=80.0
)


@dataclass(frozen=True)
class Limp:
    """A controller that never commands anything."""

    trials: int = 1

    def unpack(self, parameters):
        return self

    def of_trials(self, which):
        return self

    def initial_memory(self, weights, batch):
        return (torch.zeros(batch, 1).double(),)

    def step(self, weights, memory, observation, target, t, noise):
        return memory, torch.zeros(len(observation), 2).double()


def test_the_servo_feels_no_stiffness_where_nothing_answers():
    session = Session(Optimal(), CursorReach())
    task, reach = reaches_around(session, (90.0,), SMALL.distance_m, SMALL.arrival_s)
    still = torch.zeros(1, task.steps + 1, 12).double()
    still[:] = reach.initial_state[:, None]
    found = SMALL._stiffness(task, reach, still, Limp(), torch.zeros(0), 0.3)
    assert found.abs().max() < 1e-6  # at rest in the hold, no torques: nothing pulls back


@pytest.mark.slow
def test_optimal_control_stiffens_across_an_unstable_field_and_less_along():
    done, judged = put_through(SMALL, Session(Optimal(), CursorReach()))
    assert done.measures["across"].low > 120
    assert done.measures["selective"].low > 0
    assert {one.verdict for one in judged} <= {"inside", "same direction"}
    figure = Figure()
    SMALL.draw(done, figure)
    assert len(figure.axes) == 2


def test_network_is_asked_if_it_has_practised_in_fields():
    network = ContinuousTimeRNN(layers=(5,), input_size=28)
    parameters = torch.zeros(network.parameter_count).double()  # it commands nothing
    for task, fields in ((CursorReach(), 0.2), (CursorReach(fields=0.0), 0.0)):
        subject = Trained(SavedController(network, parameters, task, {}), "limp")
        assert subject.heeds("fields") == (fields > 0)
        session = Session(subject, CursorReach())
        conditions, reach = reaches_around(session, (90.0,), 0.08, 0.4)
        nothing = BelievedField(torch.zeros(1, 2, 5).double())
        if not fields:
            with pytest.raises(CannotBeAskedError, match="practised in no force field"):
                session.run(conditions, reach, nothing)
            continue
        states = session.run(conditions, reach, nothing).states
        arguments = (conditions, reach, states, network, parameters, 0.3)
        assert SMALL._stiffness(*arguments).abs().max() < 1e-6


def test_who_is_not_designed_for_a_field_cannot_be_asked():
    _, judged = put_through(SMALL, Session(subject_of("open-loop"), CursorReach()))
    assert {one.verdict for one in judged} == {"cannot be asked"}
    with pytest.raises(ValueError, match="`probes` must be shares"):
        UnstableField(probes=(1.5,))


def test_a_hand_that_leaves_the_way_is_refused_before_its_stiffness_is_asked():
    asked = UnstableField(distance_m=0.12)
    ahead = torch.linspace(0.0, 0.12, 5, dtype=torch.float64)
    way = torch.stack([0.0 * ahead, ahead], dim=-1)[None]
    asked._check(way, "null")
    for off in ((0.07, 0.0), (0.0, 0.07), (0.0, -0.2)):
        with pytest.raises(CannotBeAskedError, match="does not go to the target"):
            asked._check(way + torch.tensor(off, dtype=torch.float64), "null")
    with pytest.raises(CannotBeAskedError, match="drives its hand 7 cm aside"):
        asked._check(way + torch.tensor([0.07, 0.0], dtype=torch.float64), "divergent")
