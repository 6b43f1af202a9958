"""Components to plain data and back, and what is said about data that do not fit."""

import json
from dataclasses import dataclass, fields, replace

import pytest

from neuromotor.controllers import CONTROLLERS, ContinuousTimeRNN, EchoState
from neuromotor.optim import OPTIMIZERS
from neuromotor.plants import (
    ARM_PRESETS,
    HUMAN,
    INTEGRATORS,
    MONKEY,
    PLANTS,
    RK4,
    JointLimits,
    TwoJointArm,
)
from neuromotor.storage.components import SettingsError, decode, encode, with_times
from neuromotor.tasks import TASKS, CenterOut

COMPONENTS = [
    *((c, TASKS) for c in TASKS.values()),
    *((c, PLANTS) for c in PLANTS.values()),
    *((c, CONTROLLERS) for c in CONTROLLERS.values()),
    *((c, OPTIMIZERS) for c in OPTIMIZERS.values()),
    *((c, ARM_PRESETS) for c in ARM_PRESETS.values()),
    (ContinuousTimeRNN(layers=(3, 4), initializer=EchoState(spectral_radius=1.1)), CONTROLLERS),
    (
        CenterOut(
            plant=TwoJointArm(
                replace(HUMAN, mass_1=1.5),
                integrator=RK4(),
                viscosity=((0.1, 0.0), (0.0, 0.2)),
                limits=JointLimits(stiffness=2.0),
            ),
            center_posture_deg=(40.0, 80.0),
        ),
        TASKS,
    ),
]


@pytest.mark.parametrize(("component", "registry"), COMPONENTS)
def test_data_come_back_as_the_same_component(component, registry):
    data = json.loads(json.dumps(encode(component, registry)))
    assert decode(data, registry, "x") == component


def test_a_table_changes_a_preset():
    arm = decode(
        {"type": "monkey", "integrator": "rk4", "parameters": {"mass_1": 0.3}}, PLANTS, "p"
    )
    assert arm == TwoJointArm(replace(MONKEY, mass_1=0.3), integrator=INTEGRATORS["rk4"])
    assert decode({"limits": {"stiffness": 3.0}}, PLANTS, "p").limits == JointLimits(stiffness=3.0)


def test_the_word_none_stands_for_no_value_where_there_may_be_none():
    gd = decode({"type": "gd", "clip_norm": "none"}, OPTIMIZERS, "gd")
    assert gd == replace(OPTIMIZERS["gd"], clip_norm=None)
    task = decode({"type": "center-out", "senses": "none"}, TASKS, "task")
    assert task.senses is None
    with pytest.raises(SettingsError, match=r"learning_rate"):
        decode({"type": "gd", "learning_rate": "none"}, OPTIMIZERS, "gd")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("center-uot", "unknown task 'center-uot'; did you mean 'center-out'"),
        ({"type": "cneter-out"}, "unknown task 'cneter-out'; did you mean 'center-out'"),
        ({"radius": 0.05}, "unknown setting `task.radius`; did you mean 'radius_m'"),
        ({"radius_m": -1.0}, "in `task`: `radius_m` must be a positive number of metres, got -1.0"),
        ({"radius_m": "wide"}, "`task.radius_m` has the wrong type: .* got 'wide'"),
        ({"directions": 2.5}, "`task.directions` has the wrong type: .* got 2.5"),
        ({"radius_m": 3.0}, "in `task`: `hand_position` must lie between"),
        ({"plant": "monky"}, "unknown task.plant 'monky'; did you mean 'monkey'"),
        (
            {"plant": {"parameters": {"mas_1": 1}}},
            r"`task.plant.parameters.mas_1`; did you mean 'mass_1'",
        ),
        (7, "`task` must be a name or a table of settings, got 7"),
        ({"type": 7}, "`task.type` must be a name, got 7"),
    ],
)
def test_what_does_not_fit_is_named_with_the_way_out(spec, message):
    with pytest.raises(SettingsError, match=message):
        decode(spec, TASKS, "task")


def test_an_unregistered_class_cannot_be_written():
    with pytest.raises(SettingsError, match=r"RK4 cannot be written to a file: no instance .* RK4"):
        encode(RK4(), PLANTS)


def test_a_class_in_place_of_an_instance_is_said():
    registry = {**TASKS, "mine": OwnTask}
    for wrong in (lambda: encode(OwnTask(), registry), lambda: decode("mine", registry, "task")):
        with pytest.raises(SettingsError, match=r"'mine' is registered as the class OwnTask; .*()"):
            wrong()
    registry["mine"] = OwnTask()
    data = encode(OwnTask(pause_steps=7), registry)
    assert data["type"] == "mine"
    assert decode(data, registry, "task") == OwnTask(pause_steps=7)


def test_a_component_has_the_name_of_the_preset_that_it_differs_least_from():
    changed = TwoJointArm(replace(HUMAN, mass_1=1.5))
    data = encode(changed, PLANTS)
    assert (data["type"], data["parameters"]["type"]) == ("monkey-published", "human")
    assert encode(replace(TASKS["ddn-delay"], pairs=8), TASKS)["type"] == "ddn-delay"


@dataclass(frozen=True)
class OwnTask(CenterOut):
    """A task from outside, with times of its own."""

    pause_steps: int = 3
    bin_steps: tuple[int, ...] = (1, 2)


@pytest.mark.parametrize(
    ("times", "steps"),
    [
        ({"delay_s": 0.05}, {"delay_steps": 5}),
        ({"delay": "50 ms"}, {"delay_steps": 5}),
        ({"delay": "0.05s", "duration": "0.35 s"}, {"delay_steps": 5, "steps": 35}),
        ({"duration_s": 0.29, "pause": "1.2e2ms"}, {"steps": 29, "pause_steps": 12}),
        ({"bin_s": [0.1, 0.07]}, {"bin_steps": (10, 7)}),
        ({"bin": ["100 ms", ".07 s"]}, {"bin_steps": (10, 7)}),
        ({"delay_s": 0}, {"delay_steps": 0}),
    ],
)
def test_times_are_steps_of_the_plant(times, steps):
    task = OwnTask(directions=2)
    assert with_times(task, **times) == replace(task, **steps)
    halved = {
        key: tuple(2 * n for n in v) if isinstance(v, tuple) else 2 * v for key, v in steps.items()
    }
    data = {"plant": {"dt_s": 0.005}, **times}
    assert decode(data, {}, "task", task) == replace(
        task, plant=replace(task.plant, dt_s=0.005), **halved
    )


def test_every_number_of_steps_of_every_task_has_its_time():
    for task in TASKS.values():
        for one in {task, getattr(task, "reach", task)}:
            for field in fields(one):
                if "step" not in field.name:
                    continue
                name = field.name.replace("_steps", "").replace("_step", "")
                name = "duration" if name == "steps" else name
                now = getattr(one, field.name)
                if now is None:  # nothing to count
                    continue
                times = [0.01 * n for n in now] if isinstance(now, tuple) else 0.01 * now
                assert with_times(one, **{f"{name}_s": times}) == one


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ({"delay_s": 0.053}, r"whole number of steps of 0.01 s, got 0.053 s; .* 0.05 or 0.06 s"),
        ({"delay": 0.05}, r"must be a time with its unit, .* got 0.05; .* is `task.delay_s`"),
        ({"delay": "50"}, r"must be a time with its unit"),
        ({"delay_s": True}, r"`task.delay_s` must be a finite number of seconds, got True"),
        ({"delay_s": float("inf")}, r"`task.delay_s` must be a finite number of seconds"),
        ({"delay_s": -0.05}, r"`delay_steps` must be a whole number, 0 or more, got -5"),
        ({"delay_s": 0.05, "delay": "50 ms"}, r"`task.delay` and `task.delay_s` are the same"),
        ({"dealy_s": 0.05}, r"`dealy_s` is no time of OwnTask; did you mean 'delay_s'"),
        ({"radius_m": 0.05}, r"`radius_m` is no time of OwnTask"),
    ],
)
def test_a_time_that_is_none_is_said(times, message):
    with pytest.raises(SettingsError, match=message):
        with_times(OwnTask(directions=2), **times)


def test_a_time_among_steps_is_said():
    with pytest.raises(SettingsError, match=r"got '50ms'; a time goes into `task.delay_s`"):
        decode({"delay_steps": "50ms"}, TASKS, "task")
