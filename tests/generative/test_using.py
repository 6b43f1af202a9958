"""Predictions, new sequences and files of a model."""

import numpy as np
import pytest
import torch
from small_models import frames, joint, logistic, model, numbers, side_by_side

from neuromotor import generative
from neuromotor.storage.tensor_file import CheckpointError


def second_frame(net, film):
    """E[v_2 | v_1] by definition."""
    weights, between, own, bias, initial = numbers(net)
    rate = logistic(weights @ film[0] + bias + between @ initial)
    _, v, table = joint(weights, own, bias + between @ rate)
    return table.sum(0) @ v


@pytest.mark.parametrize(("hidden", "visible"), [(4, 3), (3, 4)])
def test_predictions_are_means_of_the_next_frame(hidden, visible):
    net, film = model(hidden=hidden, visible=visible), frames(visible, steps=2, count=1)
    expected = second_frame(net, film[0].numpy())
    np.testing.assert_allclose(generative.predict(net, film)[0, 0], expected, rtol=1e-12)


def test_a_large_models_predictions_are_those_of_its_parts():
    """Fifteen units on each side: Gibbs chains, against the exact means of three parts."""
    parts = [model(hidden=5, visible=5, seed=seed, scale=0.6) for seed in range(3)]
    films = [frames(5, steps=2, count=1, seed=seed) for seed in range(3)]
    right = [second_frame(p, f[0].numpy()) for p, f in zip(parts, films, strict=True)]
    whole = torch.cat(films, dim=-1).expand(500, -1, -1)
    generator = torch.Generator().manual_seed(0)
    found = generative.predict(side_by_side(parts), whole, gibbs_steps=40, generator=generator)
    np.testing.assert_allclose(found.mean((0, 1)), np.concatenate(right), atol=0.02)


def test_new_sequences_follow_the_model():
    """Shares of the first and the second frame, against sums over all states."""
    net, count = model("trbm", hidden=2, visible=2), 40_000
    film = generative.sample(
        net, 2, count=count, gibbs_steps=30, generator=torch.Generator().manual_seed(0)
    )
    weights, between, own, bias, initial = numbers(net)
    h, _, table = joint(weights, own, bias + between @ initial)
    first = table.sum(0)
    second = sum(
        table.sum(1)[i] * joint(weights, own, bias + between @ before)[2].sum(0)
        for i, before in enumerate(h)
    )
    for t, expected in enumerate((first, second)):
        place = (film.frames[:, t] @ torch.tensor([2.0, 1.0]).double()).long()
        shares = np.bincount(place, minlength=4) / count
        assert np.abs(shares - expected).max() < 4.5 * 0.5 / count**0.5
    assert film.probabilities.shape == film.frames.shape


def test_a_sequence_goes_on_from_what_came_before():
    net, start = model(), frames(count=1).expand(20_000, -1, -1)
    film = generative.sample(
        net, 1, start=start[:, :1], gibbs_steps=30, generator=torch.Generator().manual_seed(0)
    )
    expected = second_frame(net, start[0].numpy())
    np.testing.assert_allclose(film.frames.mean((0, 1)), expected, atol=4.5 * 0.5 / 20_000**0.5)


def test_denoising_rebuilds_from_the_filter_alone():
    net, film = model(), frames(count=1)
    weights, between, own, bias, rate = numbers(net)
    for t, frame in enumerate(film[0].numpy()):
        rate = logistic(weights @ frame + bias + between @ rate)
        found = generative.denoise(net, film[:, : t + 1])[0, t]
        np.testing.assert_allclose(found, logistic(weights.T @ rate + own), rtol=1e-12)
    half = generative.flipped(torch.zeros(100, 100), 0.25, torch.Generator().manual_seed(0))
    assert float(half.mean()) == pytest.approx(0.25, abs=0.02)
    assert torch.equal(generative.flipped(film, 1.0), 1 - film)


def test_a_model_comes_back_from_its_file(tmp_path):
    net, path = model("trbm"), tmp_path / "net.safetensors"
    generative.save_model(path, net, {"of": "balls"})
    found, info = generative.load_model(path)
    assert (found.kind, info) == ("trbm", {"of": "balls"})
    for one, two in zip(found.parameters, net.parameters, strict=True):
        assert torch.equal(one, two)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        generative.save_model(path, net)
    with pytest.raises(CheckpointError, match="not an unfinished training"):
        generative.load_training(path)
    damaged = bytearray(path.read_bytes())
    damaged[-3] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(CheckpointError, match="damaged"):
        generative.load_model(path)


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match=r"`hidden_hidden` must have shape \(4, 4\)"):
        generative.TemporalRBM(
            "rtrbm", model().visible_hidden, torch.zeros(3, 3), *model().parameters[2:]
        )
    with pytest.raises(ValueError, match=r"`frames` must have shape \(\*, \*, 3\)"):
        generative.predict(model(), frames(4))
    with pytest.raises(ValueError, match="`kind` must be one of rtrbm, trbm, got 'rbm'"):
        model("rbm")
