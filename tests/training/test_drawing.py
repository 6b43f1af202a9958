"""Draws of trials: noise in pairs of opposite sign, batches that grow."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.optim import Adam, Budget
from neuromotor.runs.settings import resolve
from neuromotor.storage.components import SettingsError
from neuromotor.tasks import DDN, Channel, Senses
from neuromotor.training.drawing import (
    fresh_trials,
    initial_parameters,
    make_trials,
    mirrored,
)
from neuromotor.training.single import train

NET = ContinuousTimeRNN(layers=(8,), private_noise=0.1)


def test_every_draw_of_noise_has_its_opposite():
    senses = Senses(channels=(Channel("state", noise=0.1, signal_noise=0.2),))
    trials = make_trials(DDN(pairs=7, senses=senses), NET, 1)
    pairs = mirrored(trials)
    assert len(pairs) == 7
    for name in ("command_noise", "sensory_noise", "signal_noise", "unit_noise"):
        part = getattr(pairs, name)
        assert torch.equal(part[4:], -part[:3])
        assert torch.equal(part[:4], getattr(trials, name)[:4])
    for name in ("initial_state", "target", "load"):
        part = getattr(pairs, name)
        assert torch.equal(part[4:], part[:3])
    assert len(mirrored(trials.subset(slice(0, 1)))) == 1


def test_pairs_keep_the_mean_and_shrink_its_variance():
    task = DDN(pairs=2, steps=20, delay_steps=3, noise=0.2, disturbance_nm=0.0)
    net = ContinuousTimeRNN(layers=(8,))
    theta = initial_parameters(net, 0)
    one = task.trials(torch.Generator().manual_seed(0)).subset(slice(0, 1))
    noise = 0.2 * torch.randn(40000, 20, 2, generator=torch.Generator().manual_seed(1)).double()
    many = one.subset(torch.zeros(40000, dtype=torch.int64))
    trials = replace(many, command_noise=noise)
    loop = ClosedLoop(task, net)
    with torch.no_grad():
        plain = loop.losses(theta, trials)
        pairs = loop.losses(theta, mirrored(trials)).view(2, -1).mean(0)
    error = float((plain.var() / 40000 + pairs.var() / 20000).sqrt())
    assert abs(float(plain.mean() - pairs.mean())) < 4 * error
    # a mean over two independent trials has half the variance of one
    assert float(pairs.var()) < 0.5 * (0.5 * float(plain.var()))


def test_batches_grow_by_one_batch_of_the_task():
    task = DDN(pairs=3, steps=8, delay_steps=2)
    sizes = [len(fresh_trials(task, NET, 0, number, grow=4)) for number in (1, 3, 4, 7, 8, 40)]
    assert sizes == [3, 3, 6, 6, 9, 33]
    whole = fresh_trials(task, NET, 0, 8, grow=4)
    assert torch.equal(whole.subset(slice(0, 3)).target, fresh_trials(task, NET, 0, 8).target)
    assert len(whole.target.unique(dim=0)) == 9


def test_a_training_takes_both():
    task = DDN(pairs=4, steps=8, delay_steps=2)
    net = ContinuousTimeRNN(layers=(4,))
    seen = []

    class Listening(DDN):
        def trials(self, generator=None, **place):
            seen.append(super().trials(generator, **place))
            return seen[-1]

    listening = Listening(**{k: getattr(task, k) for k in task.__dataclass_fields__})
    with pytest.warns(UserWarning, match="save_controller"):
        train(
            listening,
            net,
            Adam(),
            budget=Budget(calls=5),
            refresh=1,
            grow=2,
            antithetic=True,
        )
    assert len(seen) == 1 + 1 + 2 + 2 + 3  # the first batch, then draws 1 to 4


def test_settings_name_both():
    settings = resolve({"task": "ddn", "refresh": 1, "grow": 100, "antithetic": True})
    assert (settings.grow, settings.antithetic) == (100, True)
    again = resolve(settings.as_dict())
    assert (again.grow, again.antithetic) == (100, True)
    assert not {"grow", "antithetic"} & resolve({"task": "ddn"}).as_dict().keys()
    with pytest.raises(SettingsError, match="antithetic"):
        resolve({"antithetic": 1})
    with pytest.raises(ValueError, match="refresh"):
        train(DDN(pairs=2), NET, Adam(), budget=Budget(calls=2), grow=3)
