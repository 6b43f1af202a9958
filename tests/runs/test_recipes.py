"""Settings become a command that means them."""

import shlex
from dataclasses import dataclass, replace

import pytest
from recipe_words import settings_of

import neuromotor as nm
from neuromotor.optim import OPTIMIZERS
from neuromotor.runs.recipes import find_stages, training_command
from neuromotor.runs.settings import resolve


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no finished run"):
        find_stages(tmp_path, "lbfgs", "out")


@pytest.mark.parametrize(
    "raw",
    [
        {"task": "center-out", "optimizers": "kron-lbfgs", "budget": 40_000, "seed": 3},
        {"task": "ddn-robust", "optimizers": "adam", "refresh": 1, "dtype": "float32"},
        {
            "task": {"type": "center-out", "plant": {"type": "monkey", "dt_s": 0.005}, "steps": 80},
            "optimizers": "adam",
            "adam": {"learning_rate": 1e-5, "clip_norm": 1.0},
            "controller": {"layers": [30], "initializer": {"type": "gaussian", "output_gain": 0.2}},
            "seconds": 3.5,
        },
        {"task": "force-field", "plant": "monkey", "optimizers": "lbfgs", "references": "ilqg"},
        {"task": "center-out", "plant": "human", "optimizers": "hf", "threads": 2, "device": "cpu"},
        {
            "task": {"type": "pulsed-reach", "reach": {"plant": {"type": "point-mass"}}},
            "optimizers": "hf",
            "ilqr": {"iterations": 7},
        },
        {"task": "center-out", "optimizers": "gd", "gd": {"clip_norm": None}},
        {
            "task": "center-out",
            "optimizers": "kron-lbfgs",
            "controller": {"type": "gated", "layers": [9], "squash": "tanh"},
        },
        {
            "task": "center-out",
            "optimizers": "kron-lbfgs",
            "controller": {"type": "network", "cell": {"type": "tanh", "leak": 0.25}},
        },
        {
            "task": "center-out",
            "optimizers": "kron-lbfgs",
            "controller": {"type": "network", "cell": "gated"},
        },
    ],
)
def test_settings_become_a_command_that_means_them(raw):
    settings = resolve(raw)
    command = training_command(settings, "runs/x", None)
    assert settings_of(command) == settings.as_dict()


def test_a_preset_takes_one_word():
    settings = resolve({"task": "center-out", "plant": "human", "optimizers": "adam"})
    words = shlex.split(training_command(settings, "runs/x", None))
    assert words[words.index("--set") + 1] == 'task.plant.type="human"'
    assert words.count("--set") == 1


def test_what_no_option_expresses_is_said(monkeypatch):
    @dataclass(frozen=True)
    class Labelled(nm.LBFGS):
        label: str | None = "one"  # a text, of which `none` is one too

    monkeypatch.setitem(OPTIMIZERS, "labelled", Labelled())
    settings = resolve({"task": "center-out", "optimizers": "labelled"})
    settings = replace(settings, optimizers={"labelled": Labelled(label=None)})
    with pytest.raises(nm.SettingsError, match=r"no option expresses `labelled.label` = None"):
        training_command(settings, "runs/x", None)


def test_a_start_and_odd_names_survive_the_shell():
    settings = resolve({"task": "center-out", "optimizers": "adam"})
    command = training_command(settings, "my runs/x", "a'b.safetensors")
    words = shlex.split(command)
    assert words[words.index("--start") + 1] == "a'b.safetensors"
    assert words[-2:] == ["--out", "my runs/x"]
    assert settings_of(command) == settings.as_dict()
