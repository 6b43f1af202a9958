"""What a network was trained on, as ranges of settings, and what lies outside."""

import pytest

from neuromotor.plants import MONKEY, PointMass, TwoJointArm
from neuromotor.tasks import (
    DDN,
    TASKS,
    CenterOut,
    Channel,
    ForceField,
    Postural,
    ReachSequence,
    Senses,
)
from neuromotor.tasks.ranges import outside, ranges

BROAD = Postural(
    draws=4, loads="mixed", load_factors=(0.0, 1.5), onset_range_steps=(0, 30), grid_spacing_m=0.08
)


def words(task, name):
    return [str(item) for item in ranges(task) if item.name == name]


@pytest.mark.parametrize("name", list(TASKS))
def test_a_task_lies_within_itself(name):
    assert outside(TASKS[name], TASKS[name]) == []


def test_ranges_are_what_is_drawn():
    assert words(Postural(), "load_size") == ["0.7 N"]
    assert words(BROAD, "load_size") == ["0 to 1.05 N", "0 to 0.3 N m"]
    assert words(BROAD, "onset_step") == ["0 to 30"]
    assert words(BROAD, "grid_spacing_m") == ["0 to 0.08"]
    assert words(DDN(elbow_deg=(50.0, 100.0)), "elbow_deg") == ["50 to 100"]
    assert words(DDN(), "pairs") == words(ReachSequence(), "sequences") == []
    assert words(ReachSequence(), "reach_steps") == ["35 to 45"]
    assert words(CenterOut(), "plant.parameters.mass_1") == ["0.2108"]


@pytest.mark.parametrize(
    "task",
    [
        Postural(),
        Postural(directions=5, loads="joint"),
        Postural(onset_step=20, load_size=1.0),
        Postural(loads="mixed", draws=9),
        Postural(postures_deg=((30.0, 90.0), (32.0, 95.0))),
    ],
)
def test_what_a_broad_training_met_is_not_outside(task):
    assert outside(BROAD, task) == []


@pytest.mark.parametrize(
    ("trained", "task", "named"),
    [
        (Postural(), Postural(load_size=1.0), ["`load_size` is 1 N; this network was trained at"]),
        (ReachSequence(), ReachSequence(reach_steps=(38, 40), sequences=3), []),
        (
            ReachSequence(),
            ReachSequence(reach_steps=(30, 40)),
            ["`reach_steps` is 30 to 40; this network was trained at 35 to 45."],
        ),
        (Postural(), Postural(loads="joint"), ["`load_size` is 0.2 N m; "]),
        (Postural(), Postural(onset_step=20), ["`onset_step` is 20; "]),
        (Postural(), Postural(draws=10), ["`grid_spacing_m` is 0 to 0.06; "]),
        (Postural(), Postural(delay_steps=12), ["`delay_steps` is 12; "]),
        (BROAD, Postural(load_size=1.2), ["trained at 0 to 1.05 N or 0 to 0.3 N m."]),
        (BROAD, Postural(loads="joint", load_size=0.5), ["`load_size` is 0.5 N m; "]),
        (BROAD, Postural(postures_deg=((90.0, 40.0),)), ["`grid_spacing_m` is"]),
        (DDN(noise=0.0), DDN(), ["`noise` is 0 to 0.1; this network was trained at 0."]),
        (CenterOut(), CenterOut(radius_m=0.06), ["`radius_m` is 0.06; "]),
        (
            CenterOut(),
            CenterOut(plant=PointMass()),
            ["`plant` is PointMass; this network was trained with TwoJointArm."],
        ),
        (ForceField(), ForceField(kinds=("catch",)), ["`kinds` is catch; "]),
        (DDN(), DDN(senses=Senses()), ["`senses` is Senses; this network was trained with none."]),
        (
            DDN(senses=Senses((Channel("hand_position", delay_s=0.1),))),
            DDN(senses=Senses((Channel("joint_position", delay_s=0.12),))),
            [
                "`senses.channels[0].delay_s` is 0.12; this network was trained at 0.1.",
                "`senses.channels[0].signal` is joint_position; ",
            ],
        ),
        (CenterOut(), DDN(), ["The task is DDN; this network was trained on CenterOut."]),
    ],
)
def test_what_lies_outside_is_named(trained, task, named):
    said = outside(trained, task)
    assert len(said) == len(named)
    for sentence, part in zip(said, named, strict=True):
        assert part in sentence


def test_smaller_disturbances_and_noise_are_within_larger_ones():
    assert outside(DDN(), DDN(noise=0.05, disturbance_nm=0.1, shoulder_deg=(10.0, 20.0))) == []
    assert len(outside(DDN(), DDN(noise=0.2, disturbance_nm=0.3))) == 2


def test_many_directions_stand_for_those_between():
    assert outside(CenterOut(), CenterOut(directions=100)) == []
    few = outside(CenterOut(directions=8), CenterOut(directions=9))
    assert few == ["`directions` is 9; this network was trained at 8."]


def test_another_arm_is_named_by_its_parameters():
    said = outside(CenterOut(), CenterOut(plant=TwoJointArm(MONKEY)))
    assert any("`plant.parameters.inertia_1`" in sentence for sentence in said)
