"""The gradient against finite differences of the enumerated likelihood, autograd, and CD's bias."""

import numpy as np
import pytest
import torch
from small_models import frames, joint, log_likelihood, logistic, model, numbers

from neuromotor.generative import ContrastiveDivergence, Enumeration, gradient


def test_the_gradient_is_that_of_the_enumerated_likelihood():
    """Central differences of equation 3.22 at 4 hidden units, every parameter."""
    net, films = model(), frames()
    found = gradient(net, films, Enumeration())
    parameters = numbers(net)
    for which, slope in enumerate(found):
        expected = np.zeros(slope.shape)
        for place in np.ndindex(*slope.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [part.copy() for part in parameters]
                moved[which][place] += step
                ends.append(np.mean([log_likelihood(moved, film) for film in films.numpy()]))
            expected[place] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(slope.numpy(), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("hidden", "visible"), [(3, 5), (5, 3)])
@pytest.mark.parametrize("kind", ["rtrbm", "trbm"])
def test_the_path_through_the_filtered_units_is_autograds(kind, hidden, visible):
    """Autograd through the filter of an RTRBM; a TRBM takes what it filtered as given."""
    net, films = model(kind, hidden, visible), frames(visible, steps=6, count=3)
    parts = [part.clone().requires_grad_(True) for part in net.parameters]
    weights, between, own, bias, initial = parts
    every = torch.tensor(list(np.ndindex(*(2,) * visible)), dtype=torch.float64)
    rate, total = initial.expand(3, -1), torch.zeros(())
    for t in range(6):
        drive = bias + rate @ between.T

        def unnormalized(v, drive=drive):
            return v @ own + torch.logaddexp(v @ weights.T + drive, torch.zeros(())).sum(-1)

        constant = torch.logsumexp(torch.stack([unnormalized(v) for v in every]), dim=0)
        total = total + (unnormalized(films[:, t]) - constant).sum()
        rate = torch.sigmoid(films[:, t] @ weights.T + drive)
        rate = rate if kind == "rtrbm" else rate.detach()
    expected = torch.autograd.grad(total / 3, parts)
    for slope, right in zip(gradient(net, films, Enumeration()), expected, strict=True):
        torch.testing.assert_close(slope, right, rtol=1e-9, atol=1e-11)


def cd_mean(net, film, steps):
    """Mean of CD-k's gradient of W and b_v for one frame: the chain's transition matrix by hand."""
    weights, _, own, bias, initial = numbers(net)
    bias = bias + net.hidden_hidden.numpy() @ initial
    _, v, table = joint(weights, own, bias)
    to_hidden, to_visible = (table / table.sum(0)).T, table / table.sum(1, keepdims=True)
    chance = (v == film).all(1).astype(float)
    for _ in range(steps):
        chance = chance @ to_hidden @ to_visible
    on = logistic(v @ weights.T + bias)
    positive = np.outer(logistic(weights @ film + bias), film)
    return positive - (on * chance[:, None]).T @ v, film - chance @ v


def test_contrastive_divergence_has_the_bias_of_its_chain_which_falls_with_k():
    """The mean over many chains is that of the chain's own transition matrix, so that its bias
    against the exact gradient is that chain's; it falls from 1 to 2 to 4 steps."""
    net, film = model(scale=2.0), np.zeros(3)  # strong weights, where chains forget slowly
    exact = gradient(net, torch.tensor(film)[None, None], Enumeration()).visible_hidden
    copies, biases = 40_000, []
    noise = 4.5 * 0.5 / copies**0.5  # of a mean whose entries deviate by one half at most
    for steps in (1, 2, 4):
        negative = ContrastiveDivergence(steps, torch.Generator().manual_seed(3))
        found = gradient(net, torch.tensor(film).expand(copies, 1, 3), negative)
        products, visible = cd_mean(net, film, steps)
        assert np.abs(found.visible_hidden.numpy() - products).max() < noise
        assert np.abs(found.visible_bias.numpy() - visible).max() < noise
        biases.append(float((found.visible_hidden - exact).abs().max()))
    assert biases[0] > 2 * biases[1] > 6 * biases[2] > 6 * noise


def test_what_cannot_be_summed_over_is_refused():
    net = model(hidden=15, visible=15)
    with pytest.raises(ValueError, match="at most 14 hidden or visible units, got 15 and 15"):
        gradient(net, frames(15), Enumeration())
    with pytest.raises(ValueError, match="`steps` must be a whole number, 1 or more"):
        ContrastiveDivergence(0)
