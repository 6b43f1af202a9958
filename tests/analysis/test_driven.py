"""A network that a recording drives: its equations by hand, and memory that decoding lacks."""

import numpy as np
import pytest
import torch

from neuromotor.analysis import RecordingError, decode, driven, make_recording
from neuromotor.controllers import ContinuousTimeRNN, EchoState, Reservoir

UNITS = 60


def delayed(delay, trials=12, steps=120, seed=0):
    """A unit of white noise, and a hand that repeats it `delay` samples later."""
    noise = np.random.default_rng(seed).standard_normal((trials, steps, 1))
    late = np.roll(noise, delay, axis=1)
    late[:, :delay] = 0
    hand = 0.01 * np.concatenate([late, -late], axis=-1)
    return make_recording(
        0.01 * np.arange(steps),
        np.arange(trials),
        {"rate": 3 + 2 * noise, "hand_position": hand},
        attributes={"controller": "{}", "session": "a"},
    )


def test_rates_follow_the_reservoirs_equation_from_scaled_inputs():
    recording = delayed(5, trials=3, steps=7)
    network = Reservoir(layers=(UNITS,), input_size=3)
    found = driven(recording, network, inputs=("rate", "hand_position"))
    given = np.concatenate([recording["rate"], recording["hand_position"]], axis=-1)
    given = (given - given.mean((0, 1))) / given.std((0, 1))
    weights = network.unpack(torch.zeros(network.parameter_count, dtype=torch.float64)).layers[0]
    rate = np.zeros((3, UNITS))
    for step in range(7):
        drive = given[:, step] @ weights.feedforward.numpy().T
        rate = np.tanh(drive + rate @ weights.recurrent.numpy().T + weights.bias.numpy())
        np.testing.assert_allclose(found["rate"][:, step], rate, atol=1e-12)
    assert set(found["layer"].values) == {"layer 1"}
    assert found.attrs["session"] == "a"
    assert "controller" not in found.attrs
    assert (found["hand_position"] == recording["hand_position"]).all()


def test_a_reservoir_decodes_what_drove_it_five_samples_ago():
    recording = delayed(5)
    start = EchoState(spectral_radius=0.95, input_scale=0.05)  # small: nearly linear, remembers
    network = Reservoir(layers=(UNITS,), initializer=start)
    now = decode(recording, "hand_position", shuffles=0).r2
    then = decode(driven(recording, network), "hand_position", shuffles=0).r2
    assert (now < 0.05).all()
    assert (then > 0.9).all()


def test_what_does_not_fit_is_named():
    recording = delayed(2, trials=2, steps=9)
    network = ContinuousTimeRNN(layers=(5,))
    with pytest.raises(ValueError, match="as many inputs as rate have numbers, 1, got 8"):
        driven(recording, network, torch.zeros(network.parameter_count))
    with pytest.raises(ValueError, match="`parameters` must be given"):
        driven(recording, ContinuousTimeRNN(layers=(5,), input_size=1))
    with pytest.raises(RecordingError, match="lacks `command`"):
        driven(recording, inputs=("command",))
    with pytest.raises(ValueError, match="one variable or more"):
        driven(recording, inputs=())
