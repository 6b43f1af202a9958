"""Small models, and what their definitions say of them, by sums over all states in numpy."""

import itertools

import numpy as np
import torch

from neuromotor.generative import TemporalRBM


def model(kind="rtrbm", hidden=4, visible=3, seed=0, scale=0.8):
    draw = np.random.default_rng(seed)
    shapes = ((hidden, visible), (hidden, hidden), (visible,), (hidden,), (hidden,))
    return TemporalRBM(kind, *(torch.tensor(scale * draw.normal(size=shape)) for shape in shapes))


def frames(visible=3, steps=5, count=2, seed=1):
    draw = np.random.default_rng(seed)
    return torch.tensor(draw.integers(0, 2, (count, steps, visible)).astype(float))


def bits(units):
    return np.array(list(itertools.product([0.0, 1.0], repeat=units)))


def joint(weights, own, bias):
    """P(v, h) of one frame as a table, with its states: rows h, columns v."""
    h, v = bits(len(weights)), bits(len(own))
    table = np.exp(h @ weights @ v.T + v @ own + (h @ bias)[:, None])
    return h, v, table / table.sum()


def logistic(x):
    return 1 / (1 + np.exp(-x))


def log_likelihood(parameters, sequence):
    """Equation 3.22 of an RTRBM, frame by frame, for parameters in numpy and a sequence (T, V)."""
    weights, between, own, bias, rate = parameters
    total = 0.0
    for frame in sequence:
        _, v, table = joint(weights, own, bias + between @ rate)
        total += np.log(table.sum(0)[(v == frame).all(1)][0])
        rate = logistic(weights @ frame + bias + between @ rate)
    return total


def numbers(of):
    return tuple(part.numpy() for part in of.parameters)


def side_by_side(parts):
    """Return a model of hidden and visible units that fall into parts without connections."""
    blocks = [
        torch.block_diag(*(getattr(part, name) for part in parts))
        for name in ("visible_hidden", "hidden_hidden")
    ]
    rest = [
        torch.cat([getattr(part, name) for part in parts])
        for name in ("visible_bias", "hidden_bias", "initial")
    ]
    return TemporalRBM("rtrbm", *blocks, *rest)


def two_and_two(count, steps, generator, noise=0.0):
    """Sequences A A B B A A ... from a random place on, A = 10 and B = 01, with flipped bits.

    A frame does not tell the next one: that takes the one before it too.
    """
    place = torch.randint(4, (count, 1), generator=generator) + torch.arange(steps)
    first = ((place % 4) < 2).double()
    clean = torch.stack([first, 1 - first], dim=-1)
    flips = (torch.rand(clean.shape, generator=generator) < noise).double()
    return (clean - flips).abs()
