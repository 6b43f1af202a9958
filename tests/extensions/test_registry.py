"""One call gives a component its name everywhere, and refuses what can have none."""

from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import pytest
import torch

import neuromotor as nm
from neuromotor.analysis import analyze, make_recording
from neuromotor.analysis.section import Findings, SectionSpec, report_sections
from neuromotor.controllers import CommandTable
from neuromotor.extensions import ExtensionError, registries
from neuromotor.extensions.registry import source_of
from neuromotor.optim import OPTIMIZERS
from neuromotor.plants import ARM_PRESETS, INTEGRATORS, PLANTS
from neuromotor.runs.settings import _DEFAULTS, resolve
from neuromotor.storage.components import decode, encode, needs_of
from neuromotor.tasks import TASKS

report_sections()
PRESETS = [
    (kind, preset) for kind, registry in registries().items() for preset in registry.values()
]


@dataclass(frozen=True)
class Far(nm.CenterOut):
    """Reaches of six centimetres."""

    radius_m: float = 0.06


@pytest.mark.parametrize(("kind", "preset"), PRESETS)
def test_every_preset_is_found_to_be_of_its_own_kind(kind, preset):
    assert [one for one, registry in registries().items() if registry.fits(preset)] == [kind]


def test_a_task_is_known_to_settings_files_and_environments(tmp_path):
    assert nm.register("far", Far) == "task"
    settings = resolve({"task": {"type": "far", "directions": 4}, "optimizers": "lbfgs"})
    assert settings.task == Far(directions=4)
    net = nm.ContinuousTimeRNN(layers=(3,))
    theta = net.initial_parameters(torch.Generator().manual_seed(0))
    nm.save_controller(tmp_path / "a.safetensors", net, theta, task=settings.task)
    assert nm.load_controller(tmp_path / "a.safetensors").task == settings.task
    for env_id in ("neuromotor/Far-v0", "neuromotor/FarGoal-v0"):
        assert gymnasium.make(env_id).unwrapped.options.task == Far()


def test_a_preset_of_a_class_that_comes_with_neuromotor():
    slow = nm.Adam(learning_rate=1e-4)
    assert nm.register("slow-adam", slow) == "optimizer"
    assert nm.register("slow-adam", nm.Adam(learning_rate=1e-4)) == "optimizer"  # the same again
    settings = resolve({"optimizers": "slow-adam", "slow-adam": {"clip_norm": 0.5}})
    assert settings.optimizers["slow-adam"] == replace(slow, clip_norm=0.5)
    assert settings.as_dict()["needs"] == [{"use": __name__}]
    assert "needs" not in resolve({"optimizers": "adam"}).as_dict()


def test_arm_parameters_bring_their_arm():
    small = replace(nm.MONKEY, length_1=0.1)
    assert nm.register("small", small) == "arm parameters"
    assert PLANTS["small"] == nm.TwoJointArm(small)
    data = encode(nm.CenterOut(plant=PLANTS["small"], radius_m=0.03), TASKS)
    assert data["plant"]["type"] == data["plant"]["parameters"]["type"] == "small"
    assert needs_of((PLANTS["small"], PLANTS)) == [{"use": __name__}]


def test_an_integrator_and_an_initializer():
    @dataclass(frozen=True)
    class Heun:
        """Heun's method: Euler's slope and the one behind it, in equal parts."""

        order = 2

        def step(self, derivative, state, dt_s):
            first = derivative(state)
            return state + dt_s / 2 * (first + derivative(state + dt_s * first))

    assert nm.register("heun", Heun) == "integrator"
    arm = decode({"type": "point-mass", "integrator": "heun"}, PLANTS, "plant")
    end = arm.step(torch.zeros(4).double(), torch.tensor([1.0, 0.0]).double())
    assert end[0].item() == pytest.approx(0.01**2 / 2)  # exact under a constant force
    assert nm.register("dense", nm.Gaussian(gain=0.5)) == "initializer"
    assert resolve({"controller": {"initializer": "dense"}}).controller.initializer.gain == 0.5


def test_a_controller_gets_the_sizes_of_the_task():
    @dataclass(frozen=True)
    class Table(CommandTable):
        """A table with a field that no task knows."""

        steps: int = 1
        trials: int = 1
        gain: float = 3.0

    nm.register("table", Table)
    own = resolve({"task": {"directions": 5}, "controller": "table", "optimizers": "lbfgs"})
    assert own.controller == Table(trials=5, steps=own.task.steps, gain=3.0)


def test_a_reference_is_a_function():
    def rest(task, trials, settings):
        """Give no command at all."""
        table = CommandTable(trials=len(trials), steps=task.steps)
        return table, torch.zeros(table.parameter_count, dtype=torch.float64)

    assert nm.register("rest", rest) == "reference"
    task = nm.CenterOut(directions=3)
    found = nm.reference_trajectories(task, task.trials(), ["rest"])["rest"]
    assert not found.trajectory.commands.any()
    assert resolve({"references": "rest", "optimizers": "lbfgs"}).references == ("rest",)


def test_a_section_stands_in_the_report():
    def count(given):
        return Findings("How many.", {"trials": given.recording.sizes["trial"]}, {})

    section = SectionSpec("count", "Trials", 1, count)
    assert nm.register("count", section) == "report section"
    hand = np.linspace(0, 1, 11)[None, :, None] * np.ones((3, 1, 2))
    recording = make_recording(np.linspace(0, 1, 11), np.arange(3), {"hand_position": hand})
    report = analyze(recording, surrogates=2)
    assert report.as_dict()["sections"]["count"] == {"trials": 3}
    with pytest.raises(ExtensionError, match=r"must be the section's own, 'count'"):
        nm.register("counting", section)
    with pytest.raises(ExtensionError, match=r"'averages' is taken by the report section"):
        nm.register("averages", SectionSpec("averages", "Mine", 1, count))


def test_a_class_that_is_defined_anew_takes_the_place_of_the_old_one():
    def cell(radius):
        @dataclass(frozen=True)
        class Mine(nm.CenterOut):
            """A cell of a notebook that is run again and again."""

            radius_m: float = radius

        return Mine

    nm.register("mine", cell(0.02))
    nm.register("mine", cell(0.03))
    assert gymnasium.make("neuromotor/Mine-v0").unwrapped.options.task.radius_m == 0.03
    own = type(TASKS["mine"])
    with pytest.raises(ExtensionError, match=r"'mine' is taken by the task Mine"):
        nm.register("mine", own(radius_m=0.05))


@pytest.mark.parametrize(
    ("name", "component", "message"),
    [
        ("lbfgs", nm.LBFGS(history=3), r"'lbfgs' is taken by the optimizer LBFGS.* of neuromotor"),
        ("monkey", nm.HUMAN, r"'monkey' is taken by the arm parameters"),
        ("human", nm.PointMass(), r"'human' is taken by the plant"),
        ("my task", nm.CenterOut(), r"letters, digits, hyphens and underscores.* got 'my task'"),
        ("a.b", nm.CenterOut(), r"letters, digits"),
        (3, nm.CenterOut(), r"letters, digits.* got 3"),
        ("seed", nm.LBFGS(), r"must not be 'seed', which is a setting of every run"),
        ("ddn-Delay", nm.DDN(), r"environment would be neuromotor/DDN.*task 'ddn-delay'"),
        ("thing", object(), r"of a kind that neuromotor knows, .* a plant has state_size, .*step"),
        ("table", CommandTable, r"must be an instance where its class needs arguments .*trials"),
    ],
)
def test_what_cannot_be_registered_is_said(name, component, message):
    before = {kind: dict(registry) for kind, registry in registries().items()}
    with pytest.raises(ExtensionError, match=message):
        nm.register(name, component)
    assert before == {kind: dict(registry) for kind, registry in registries().items()}


def test_settings_need_a_dataclass():
    class Bare:
        order = 1

        def step(self, derivative, state, dt_s):
            return state

    with pytest.raises(ExtensionError, match=r"must be a dataclass.*@dataclass\(frozen=True\)"):
        nm.register("bare", Bare)


def test_what_could_be_two_kinds_needs_its_kind():
    @dataclass(frozen=True)
    class Both(nm.Euler):
        """It can do what an optimizer does too."""

        def minimize(self):
            """Do nothing."""

    with pytest.raises(ExtensionError, match="could be several kinds") as refused:
        nm.register("both", Both)
    for kind in ("integrator", "optimizer"):
        assert f"kind='{kind}'" in str(refused.value)
    assert nm.register("both", Both, kind="integrator") == "integrator"
    assert "both" in INTEGRATORS
    assert "both" not in OPTIMIZERS
    with pytest.raises(ExtensionError, match=r"`kind` must be one of .*plant.*, got 'limb'"):
        nm.register("both", Both, kind="limb")


def test_no_optimizer_can_have_the_name_of_a_setting():
    assert OPTIMIZERS.reserved >= {*_DEFAULTS, "ilqr", "others", "format_version", "needs", "use"}


def test_a_name_that_is_taken_away_leaves_nothing_behind():
    """Whoever writes a file asks all registries who brought its parts."""
    before = source_of(Far())
    nm.register("short-lived", Far)
    assert source_of(Far(), "short-lived", TASKS) is not None
    del TASKS["short-lived"]
    assert source_of(Far()) == before


def test_parameters_and_their_arm_are_registered_together_or_not_at_all():
    nm.register("taken", nm.PointMass)
    with pytest.raises(ExtensionError, match=r"'taken' is taken by the plant PointMass"):
        nm.register("taken", replace(nm.MONKEY, length_1=0.1))
    assert "taken" not in ARM_PRESETS
