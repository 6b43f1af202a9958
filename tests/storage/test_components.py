"""Components to plain data and back, and what is said about data that do not fit."""

import json
from dataclasses import replace

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
from neuromotor.storage.components import SettingsError, decode, encode
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
    with pytest.raises(SettingsError, match="RK4 cannot be written to a file"):
        encode(RK4(), PLANTS)
