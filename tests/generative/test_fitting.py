"""What is learned from sequences whose structure was planted."""

import numpy as np
import pytest
import torch
from small_models import two_and_two

from neuromotor import generative
from neuromotor.generative import Fitting, begin, fit, load_training, save_training, taken_from

FLIPS = 0.05


def noisy(count, generator):
    return two_and_two(count, 12, generator, FLIPS)


def learned(kind, updates=1500):
    fitting = Fitting(updates=updates, rate=0.3, batch=10, steps=((0, 5),), spread=0.1)
    return fit(begin(kind, 8, noisy, fitting, dtype=torch.float64), noisy, fitting).model


def forward_entropy(films):
    """Log-likelihoods under the process that made the sequences, by its forward algorithm."""
    totals = []
    for film in films.numpy():
        belief = np.full(4, 0.25)
        total = 0.0
        for frame in film:
            first = np.array([1.0, 1.0, 0.0, 0.0])
            clean = np.stack([first, 1 - first], axis=-1)
            right = np.where(clean == frame, 1 - FLIPS, FLIPS).prod(-1)
            total += np.log(belief @ right)
            belief = np.roll(belief * right / (belief @ right), 1)
        totals.append(total)
    return np.array(totals)


def test_a_planted_order_is_learned_nearly_to_its_entropy():
    """No model can do better on average than the process itself; one without memory is far off."""
    films = noisy(300, torch.Generator().manual_seed(77))
    best = forward_entropy(films).mean()
    found = float(generative.log_likelihood(learned("rtrbm"), films).values.mean())
    alone = float(generative.independent_log_likelihood(films, films).mean())
    assert best - 1.5 < found < best + 0.1
    assert alone < best - 8
    clean = two_and_two(50, 12, torch.Generator().manual_seed(5))
    net = learned("rtrbm")
    guess = generative.predict(net, clean)[:, 2:]  # the order is known after three frames
    assert float((guess - clean[:, 3:]).square().mean()) < 0.05
    dirty = generative.flipped(clean, 0.1, torch.Generator().manual_seed(6))
    cleaned = generative.denoise(net, dirty)
    before, after = ((x - clean)[:, 4:].square().mean() for x in (dirty, cleaned))
    assert float(after) < 0.7 * float(before)


def test_a_training_goes_on_where_it_stopped(tmp_path):
    fitting = Fitting(updates=250, rate=0.1, steps=((0, 1), (150, 2)))
    start = begin("trbm", 3, noisy, fitting)
    whole = fit(start, noisy, fitting)
    half = fit(start, noisy, fitting, lambda at: at.updates >= 100)
    assert half.updates == 100
    save_training(tmp_path / "half.safetensors", half)
    resumed = fit(load_training(tmp_path / "half.safetensors"), noisy, fitting)
    assert resumed.updates == whole.updates == 250
    for one, two in zip(resumed.model.parameters, whole.model.parameters, strict=True):
        assert torch.equal(one, two)


def test_pieces_are_drawn_from_sequences():
    films = torch.arange(40.0).view(2, 20, 1) / 40
    pieces = taken_from(films, 5)(200, torch.Generator().manual_seed(0)) * 40
    assert pieces.shape == (200, 5, 1)
    torch.testing.assert_close(pieces.diff(dim=1), torch.ones(200, 4, 1))
    starts = pieces[:, 0, 0].round().unique().tolist()
    assert set(starts) == {*range(16), *range(20, 36)}


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="`steps` must be pairs"):
        Fitting(steps=((5, 1),))
    with pytest.raises(ValueError, match="`rate` must be a positive number"):
        Fitting(rate=0.0)
    with pytest.raises(ValueError, match="between 0 and 1, got 0 to 2"):
        taken_from(torch.tensor([[[0.0], [2.0]]]))
    with pytest.raises(ValueError, match="at most the 2 frames"):
        taken_from(torch.zeros(1, 2, 1), 3)
    fitting = Fitting(updates=100, rate=1e38, steps=((0, 1),))
    with pytest.raises(FloatingPointError, match="choose a smaller `rate`"):
        fit(begin("rtrbm", 3, noisy, fitting), noisy, fitting)
