"""The example of a target that is seen: its images, its encoder's derivative, and its commands."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from cases import generator, normal
from forked import neuromotor

import neuromotor as nm
from neuromotor.envs import MotorEnv

SCRIPT = Path(__file__).parents[2] / "examples" / "visual_target.py"


@pytest.fixture(scope="module")
def example():
    """The script as a module, without its names in the registries of other tests."""
    spec = importlib.util.spec_from_file_location("visual_target_example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nm, "register", lambda *_: None)
        spec.loader.exec_module(module)
    return module


def test_an_image_has_its_spot_where_the_target_is(example):
    task = example.RetinaReach(nm.CenterOut(directions=5, steps=10), pixels=24, turn_deg=10.0)
    trials = task.trials()
    image = trials.cue[:, 0].view(5, 24, 24)
    side = (torch.arange(24).double() + 0.5) / 24 * 0.14 - 0.07
    weight = image / image.sum((1, 2), keepdim=True)
    center = torch.stack([(weight.sum(2) * side).sum(1), (weight.sum(1) * side).sum(1)], dim=-1)
    hand = task.plant.hand_position
    away = hand(trials.target) - hand(trials.initial_state)
    torch.testing.assert_close(center, away, rtol=0, atol=2e-3)  # tails are cut off at the edge
    assert torch.equal(trials.shown_target[:, 0], trials.initial_state)  # it tells nothing
    assert torch.equal(trials.cue[:, 0], trials.cue[:, -1])


def test_the_gradient_goes_through_the_encoder(example):
    task = example.RetinaReach(nm.CenterOut(directions=3, steps=6), pixels=4)
    net = example.RetinaRNN(units=5, features=3, channels=2, input_size=8 + 16)
    theta = net.initial_parameters(generator(1))
    assert theta.shape == (net.parameter_count,)
    objective = nm.ClosedLoop(task, net).objective(task.trials())
    encoding = net.parameter_count - net.network.parameter_count
    direction, h = torch.zeros_like(theta), 1e-5
    direction[:encoding] = normal(encoding, seed=2)
    up, down = (objective.value(theta + sign * h * direction) for sign in (1, -1))
    slope = float(objective.value_and_gradient(theta)[1] @ direction)
    assert slope == pytest.approx((up - down) / (2 * h), rel=1e-5)
    assert slope != 0


def test_what_does_not_fit_is_refused(example):
    with pytest.raises(ValueError, match="`input_size` must leave a square image"):
        example.RetinaRNN(input_size=8)


def test_an_environment_shows_the_image(example):
    task = example.RetinaReach(nm.CenterOut(directions=3, steps=10), pixels=4)
    trials = task.trials().subset(slice(1, 2))
    seen, _ = MotorEnv(task, observe=("cue",)).reset(options={"trials": trials})
    torch.testing.assert_close(torch.from_numpy(seen), trials.cue[0, 0].float())


def test_the_command_line_trains_it(tmp_path):
    words = ("train", "retina-reach", "--controller", "retina-rnn", "--use", SCRIPT, "--smoke")
    sizes = ("--set", "task.reach.directions=3", "--set", "task.reach.steps=10")
    run = tmp_path / "run"
    done = neuromotor(*words, *sizes, "--optimizer", "adam", "--no-figures", "--out", run)
    assert done.returncode == 0, done.stderr
    saved = run / "controllers" / "adam.safetensors"
    again = neuromotor("evaluate", saved, "--use", SCRIPT, "--smoke")
    assert again.returncode == 0, again.stderr
    assert "adam" in again.stdout
