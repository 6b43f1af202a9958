"""Problems give the sequences that their sources describe: answers worked out from the inputs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import generator

from neuromotor.problems import (
    PROBLEMS,
    AssociativeRetrieval,
    BouncingBalls,
    MarkedNumbers,
    Memorization,
    TemporalOrder,
)


def arrays(problem, count=300, seed=0):
    batch = problem.sequences(count, generator(seed))
    return (getattr(batch, name).numpy() for name in ("inputs", "targets", "counted", "judged"))


@pytest.mark.parametrize("operation", ["addition", "multiplication", "xor"])
def test_two_marked_numbers_make_the_answer(operation):
    inputs, targets, counted, judged = arrays(MarkedNumbers(operation, lag=50))
    assert inputs.shape == (300, 55, 2)
    numbers, marks = inputs[..., 0], inputs[..., 1]
    lengths = []
    for row in range(300):
        first, second = np.flatnonzero(marks[row])
        (last,) = np.flatnonzero(counted[row])
        length = last + 1
        lengths.append(length)
        assert 50 <= length <= 55
        assert first + 1 <= length // 10 < second + 1 <= length // 2
        a, b = numbers[row, first], numbers[row, second]
        expected = {"addition": (a + b) / 2, "multiplication": a * b, "xor": float(a != b)}
        assert targets[row, last, 0] == pytest.approx(expected[operation], abs=1e-15)
        assert (numbers[row, length:] == 0).all()
    assert set(lengths) == set(range(50, 56))
    assert (judged == (counted > 0)).all()
    assert operation != "xor" or set(np.unique(numbers)) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("operation", "mean"), [("addition", 0.5), ("multiplication", 0.25), ("xor", 0.0)]
)
def test_centered_numbers_and_results_have_no_mean(operation, mean):
    inputs, targets, counted, _ = arrays(MarkedNumbers(operation, lag=50))
    found, results, _, _ = arrays(MarkedNumbers(operation, lag=50, centered=True))
    at, inside = counted > 0, counted.argmax(1)[:, None] >= np.arange(55)
    assert (results[at] == targets[at] - mean).all()
    assert (found[..., 0] == np.where(inside, inputs[..., 0] - 0.5, 0.0)).all()
    assert (found[..., 1] == inputs[..., 1]).all()
    assert (results[~at] == 0).all()


@pytest.mark.parametrize("specials", [2, 3])
def test_the_order_of_special_symbols_is_the_answer(specials):
    inputs, targets, counted, _ = arrays(TemporalOrder(specials, lag=40))
    ranges = [(4, 8), (20, 24)] if specials == 2 else [(4, 8), (12, 16), (24, 28)]
    symbols = inputs.argmax(-1)
    for row in range(300):
        places = np.flatnonzero(symbols[row] < 2)
        assert len(places) == specials
        for place, (low, high) in zip(places, ranges, strict=True):
            assert low <= place + 1 <= high
        code = int("".join(str(symbol) for symbol in symbols[row, places]), 2)
        assert targets[row, -1].argmax() == code
    assert (counted.sum(1) == 1).all()
    assert set(np.unique(symbols)) == set(range(6))


def test_the_last_symbol_of_a_permutation_is_its_first():
    inputs, targets, counted, judged = arrays(replace(PROBLEMS["permutation"], lag=30))
    assert inputs.shape == targets.shape == (300, 29, 100)
    given, wanted = inputs.argmax(-1), targets.argmax(-1)
    assert (given[:, 1:] == wanted[:, :-1]).all()
    assert (wanted[:, -1] == given[:, 0]).all()
    assert set(np.unique(given[:, 0])) == {0, 1}
    assert given[:, 1:].min() == 2
    assert counted.all()
    assert (judged.sum(1) == 1).all()
    assert judged[:, -1].all()


@pytest.mark.parametrize(("symbols", "length"), [(2, 5), (5, 10)])
def test_memorised_symbols_are_wanted_after_the_signal(symbols, length):
    inputs, targets, counted, judged = arrays(Memorization(symbols, length, lag=12))
    steps = 12 + 2 * length
    given, wanted = inputs.argmax(-1), targets.argmax(-1)
    assert given.shape == ((32 if symbols == 2 else 300), steps)
    assert (wanted[:, -length:] == given[:, :length]).all()
    assert (wanted[:, :-length] == symbols).all()
    signals = np.argwhere(given == symbols + 1)
    assert (signals[:, 1] == steps - length - 1).all()  # the last step before the answers
    assert len(signals) == len(given)
    assert counted.all()
    assert (judged.sum(1) == length).all()
    if symbols == 2:
        assert len({tuple(row) for row in given[:, :length]}) == 32


def test_the_digit_after_the_letter_asked_for_is_the_answer():
    inputs, targets, counted, _ = arrays(AssociativeRetrieval(pairs=6))
    given = inputs.argmax(-1)
    for row in range(300):
        letters, digits = given[row, 0:12:2], given[row, 1:12:2]
        assert len(set(letters)) == 6
        assert letters.max() < 26 <= digits.min()
        assert (given[row, 12:14] == 36).all()
        place = list(letters).index(given[row, 14])
        assert targets[row, -1].argmax() == digits[place] - 26
    assert (counted.sum(1) == 1).all()


def test_balls_keep_energy_and_room_and_show_where_they_are():
    problem = BouncingBalls(balls=2, steps=40)
    places = problem.places(50, generator(1))
    assert places.min() > 1.2 - 0.06  # a tenth of a step beyond the wall at most
    assert places.max() < 8.8 + 0.06
    moved = (places[:, 1:] - places[:, :-1]).square().sum((-1, -2))
    free = moved[:, :-1] * 0 + 2 * 0.5**2
    share = torch.isclose(moved[:, :-1], free, rtol=1e-9).double().mean()
    assert (
        0.3 < share < 1.0
    )  # steps without a bounce keep the energy exactly, and there are bounces
    assert moved.max() <= 2 * 0.5**2 * (1 + 1e-9)
    gaps = (places[:, :, 0] - places[:, :, 1]).norm(dim=-1)
    assert gaps.min() > 2.4 - 0.11
    batch = problem.sequences(50, generator(1))
    pictures = batch.inputs[:, 0].view(50, 15, 15)
    brightest = pictures.flatten(1).argmax(1)
    pixel = torch.stack([brightest // 15, brightest % 15], dim=-1)
    centre = (pixel + 0.5) * 10 / 15
    nearest = (places[:, 0] - centre[:, None]).norm(dim=-1).min(dim=1).values
    assert nearest.max() < 0.5
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])


@pytest.mark.parametrize("name", PROBLEMS)
def test_one_seed_gives_one_batch(name):
    problem = PROBLEMS[name]
    one, two = (problem.sequences(5, generator(3), torch.float32) for _ in range(2))
    assert torch.equal(one.inputs, two.inputs)
    assert one.inputs.dtype == one.targets.dtype == one.counted.dtype == torch.float32
    assert one.inputs.shape[-1] == problem.input_size
    assert one.targets.shape[-1] == problem.output_size
    assert len(one.sample(3, generator(1))) == 3
    assert one.sample(99, generator(1)) is one


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="`lag` must be a whole number, 20 or more"):
        MarkedNumbers(lag=10)
    with pytest.raises(ValueError, match="unknown operation 'sum'"):
        MarkedNumbers("sum")
    with pytest.raises(ValueError, match="`specials` must be 2 or 3, got 4"):
        TemporalOrder(4)
    with pytest.raises(ValueError, match="`pairs` must be at most 26"):
        AssociativeRetrieval(27)
    with pytest.raises(ValueError, match="`radius` must leave the balls room"):
        BouncingBalls(radius=3.0)
