"""Puts observations on scales of order one, by what the task itself shows."""

from __future__ import annotations

import numpy as np
import torch

from neuromotor.envs.observation import Layout, Scales
from neuromotor.envs.options import EnvOptions
from neuromotor.envs.playing import play

__all__ = ["layout_of"]


def layout_of(options: EnvOptions) -> Layout:
    """Return the layout of observations, on scales of order one if the options ask for them.

    A number's centre and scale are its mean and standard deviation along the task's trials under
    linear feedback (`CostToGo.run`); what does not vary there keeps a scale of one.
    """
    plain = Layout(options)
    return Layout(options, _scales(options, plain)) if options.standardized else plain


@torch.no_grad()
def _scales(options: EnvOptions, layout: Layout) -> Scales:
    """Centres and scales of the numbers of a layout."""
    trials, _, commands = options.to_go.run()
    actions = options.actions
    middle, half = (commands.new_tensor(part) for part in (actions.middle, actions.half))
    given = iter(((commands - middle) / half).unbind(1))
    shown = play(lambda _: next(given), options, layout, trials).observations
    numbers = shown.flatten(0, 1).double().numpy()
    spread = numbers.std(axis=0)
    return Scales(numbers.mean(axis=0), np.where(spread > 1e-9, spread, 1.0))
