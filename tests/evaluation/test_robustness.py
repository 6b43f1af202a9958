"""A controller under changed settings, against closed forms."""

from dataclasses import replace

import pytest
import torch

from neuromotor.control import ILQR
from neuromotor.controllers import CommandTable
from neuromotor.controllers.function import FunctionController
from neuromotor.evaluation.robustness import robustness, variations
from neuromotor.plants import PointMass
from neuromotor.tasks import DDN, CenterOut, Channel, Postural, Senses

TASK = CenterOut(plant=PointMass(), radius_m=0.1, directions=4, steps=10)


@pytest.fixture(scope="module")
def rows():
    """Of a controller that does nothing, so that the hand stays where it was."""
    table = CommandTable(trials=4, steps=10, command_size=2, dt_s=0.01)
    found = robustness(TASK, table, torch.zeros(table.parameter_count))
    return {(row.setting, row.value): row for row in found}


def test_losses_are_those_of_the_changed_task(rows):
    """A hand that stays at the start errs by the radius r: the loss is w r^2 / 2."""
    for setting, value, radius, weight in (
        ("", None, 0.1, 1.0),
        ("radius_m", 0.08, 0.08, 1.0),
        ("radius_m", 0.12, 0.12, 1.0),
        ("error_weight", 0.8, 0.1, 0.8),
        ("error_weight", 1.2, 0.1, 1.2),
    ):
        row = rows[setting, value]
        assert row.loss == pytest.approx(weight * radius**2 / 2)
        assert row.error_cm == pytest.approx(100 * radius)
        assert row.refused is None


def test_the_reference_knows_the_change(rows):
    for mass in (0.8, 1.2):
        task = replace(TASK, plant=PointMass(mass=mass))
        row = rows["plant.mass", mass]
        best = ILQR().solve(task, task.trials()).value
        assert row.reference_loss == pytest.approx(best, rel=1e-6)
        assert row.ratio == pytest.approx(row.loss / best, rel=1e-6)


def test_what_cannot_be_run_says_why(rows):
    for setting, value in (("steps", 12), ("directions", 5), ("plant.dt_s", 0.012)):
        row = rows[setting, value]
        assert row.refused
        assert row.loss is row.ratio is row.as_dict()["error_cm"] is None


def test_a_setting_of_a_channel_is_changed_in_its_place():
    """The command is what the channel shows, so that the energy goes with its scale squared."""
    senses = Senses((Channel("joint_velocity"), Channel("hand_position", scale=1e-3)))
    settings = {"directions": 2, "steps": 4, "error_weight": 0.0, "velocity_weight": 0.0}
    task = CenterOut(senses=senses, **settings)
    show = FunctionController(lambda seen, target, t: seen[:, 2:])
    rows = robustness(task, show, torch.zeros(0), "ilqr")
    plain = rows[0].loss
    found = {row.value: row.loss for row in rows if row.setting == "senses.channels[1].scale"}
    assert plain > 0
    assert found[0.0008] == pytest.approx(0.64 * plain, rel=1e-3)
    assert found[0.0012] == pytest.approx(1.44 * plain, rel=1e-3)


def test_every_number_is_changed_down_and_up_but_zeros_and_sizes_of_batches():
    found = list(variations(DDN()))
    assert ("delay_steps", 7, 6) in found
    assert ("delay_steps", 7, 8) in found
    assert ("elbow_deg[0]", 40.0, 32.0) in found
    assert ("disturbance_nm", 0.2, 0.24) in found  # what None means
    assert ("plant.parameters.mass_1", 0.2108, 0.25296) in found
    names = {name for name, _, _ in found}
    assert not names & {"pairs", "shoulder_deg[0]"}
    posture = {name for name, _, _ in variations(Postural())}
    assert "load_size" in posture
    assert not posture & {"onset_step", "load_factors[0]", "draws"}
    eyes = list(variations(DDN(senses=Senses((Channel("hand_position", delay_s=0.1),)))))
    assert ("senses.channels[0].delay_s", 0.1, 0.12) in eyes
    assert not [row for row in eyes if row[0] == "delay_steps"]  # which no channel has
    with pytest.raises(ValueError, match="`change` must be a positive number"):
        list(variations(DDN(), change=0.0))
