"""Likelihoods against sums over all sequences, and against models that fall into parts."""

import itertools

import numpy as np
import pytest
import torch
from small_models import (
    bits,
    frames,
    joint,
    log_likelihood,
    logistic,
    model,
    numbers,
    side_by_side,
)

from neuromotor import generative
from neuromotor.generative.boltzmann import annealed_log_partition, gibbs, log_partition


@pytest.mark.parametrize("kind", ["rtrbm", "trbm"])
def test_all_sequences_together_have_a_chance_of_one(kind):
    net = model(kind, hidden=3, visible=2)
    every = torch.tensor(bits(6)).view(64, 3, 2)
    found = generative.log_likelihood(net, every)
    assert float(found.values.exp().sum()) == pytest.approx(1, abs=1e-12)
    assert found.estimator == {"rtrbm": "enumeration", "trbm": "forward algorithm"}[kind]


def test_an_rtrbms_likelihood_is_its_definition():
    net, films = model(), frames()
    expected = [log_likelihood(numbers(net), film) for film in films.numpy()]
    np.testing.assert_allclose(generative.log_likelihood(net, films).values, expected, rtol=1e-12)


def test_a_trbms_likelihood_sums_over_all_hidden_sequences():
    net, film = model("trbm", hidden=2, visible=3), frames(steps=4, count=1)
    weights, between, own, bias, initial = numbers(net)
    total = 0.0
    for hidden in itertools.product(range(4), repeat=4):
        chance, before = 1.0, initial
        for place, frame in zip(hidden, film[0].numpy(), strict=True):
            h, v, table = joint(weights, own, bias + between @ before)
            chance *= table[place, (v == frame).all(1)][0]
            before = h[place]
        total += chance
    assert float(generative.log_likelihood(net, film).values) == pytest.approx(np.log(total))


@pytest.mark.parametrize(("hidden", "visible"), [(3, 6), (6, 3)])
def test_partition_functions(hidden, visible):
    """By sums over both sides; the annealed estimate lies within its own errors of them."""
    net = model(hidden=hidden, visible=visible, scale=1.0)
    biases = torch.tensor(np.random.default_rng(2).normal(size=(3, hidden)))
    h, v = bits(hidden), bits(visible)
    weights, _, own, _, _ = numbers(net)
    expected = [
        np.log(np.exp(h @ weights @ v.T + v @ own + (h @ bias.numpy())[:, None]).sum())
        for bias in biases
    ]
    exact = log_partition(net.visible_hidden, net.visible_bias, biases)
    np.testing.assert_allclose(exact, expected, rtol=1e-12)
    found = annealed_log_partition(
        *(net.visible_hidden, net.visible_bias, biases, torch.zeros(visible).double()),
        torch.Generator().manual_seed(0),
        temperatures=300,
        chains=200,
    )
    error = (found.log_partition - exact).abs()
    assert bool((error < 4 * found.standard_error).all())
    assert bool((found.standard_error < 0.1).all())


def test_a_large_models_likelihood_is_the_sum_of_its_parts():
    """Fifteen units on each side, in three parts whose likelihoods are exact."""
    parts = [model(hidden=5, visible=5, seed=seed, scale=0.6) for seed in range(3)]
    films = [frames(5, steps=3, count=2, seed=seed) for seed in range(3)]
    right = sum(
        generative.log_likelihood(part, film).values
        for part, film in zip(parts, films, strict=True)
    )
    found = generative.log_likelihood(
        side_by_side(parts), torch.cat(films, dim=-1), temperatures=300, chains=100
    )
    assert found.estimator == "annealed importance sampling"
    assert bool(((found.values - right).abs() < 4 * found.standard_error).all())
    assert bool((found.standard_error < 0.2).all())


def test_a_chain_comes_to_the_models_own_distribution():
    net = model(hidden=3, visible=3)
    weights, _, own, bias, _ = numbers(net)
    _, _, table = joint(weights, own, bias)
    start = torch.zeros(40_000, 3, dtype=torch.float64)
    seen, chance = gibbs(
        *(net.visible_hidden, net.visible_bias, net.hidden_bias, start, 30),
        torch.Generator().manual_seed(0),
    )
    numbers_seen = (seen @ torch.tensor([4.0, 2.0, 1.0]).double()).long()
    shares = np.bincount(numbers_seen, minlength=8) / len(seen)
    assert np.abs(shares - table.sum(0)).max() < 4.5 * 0.5 / len(seen) ** 0.5
    torch.testing.assert_close(
        chance, torch.tensor(logistic(seen.numpy() @ weights.T + bias)), rtol=1e-12, atol=0
    )


def test_independent_units_have_binomial_likelihoods():
    film = torch.tensor([[[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]).double()
    first, second = 3 / 5, 2 / 5  # two of three and one of three, with one more of each
    expected = np.log(first**2 * (1 - first) * second * (1 - second) ** 2)
    found = generative.independent_log_likelihood(film, film)
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_what_has_no_likelihood_is_refused():
    with pytest.raises(ValueError, match="zeros and ones alone"):
        generative.log_likelihood(model(), 0.5 * frames())
    with pytest.raises(ValueError, match="at most 10 of them, got 11"):
        generative.log_likelihood(model("trbm", hidden=11), frames())
