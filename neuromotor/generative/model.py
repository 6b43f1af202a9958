"""Temporal restricted Boltzmann machines: their parameters, and how they filter a sequence.

Notation: v_t are the V visible units of frame t, h_t the H hidden units, sigma the logistic
function, W, W', b_v, b_h and h_0 the parameters, and r_t the filtered hidden units::

    P(v_t, h_t | r_{t-1}) ~ exp(v_t.b_v + h_t.W v_t + h_t.c_t)      c_t = b_h + W' r_{t-1}
    r_t = sigma(W v_t + c_t)                                        r_0 = h_0

Source: Sutskever (2013), equations 3.14 to 3.20; Sutskever & Hinton (2007) for the TRBM, Sutskever,
Hinton & Taylor (2009) for the RTRBM. There are no connections from earlier frames to the visible
units, as in the source's section 3.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from neuromotor._checks import check_finite_tensor, check_integer, check_positive

__all__ = ["KINDS", "TemporalRBM", "check_frames", "new_model"]

KINDS = ("rtrbm", "trbm")


@dataclass(frozen=True)
class TemporalRBM:
    """An RTRBM or a TRBM with its parameters.

    Both have the same parameters and the same distribution of a frame given the hidden units of the
    one before. In the RTRBM these are real numbers, the r_t above, so that its likelihood and the
    likelihood's gradient go through them. In the TRBM they are binary and random, and r_t is the
    mean-field approximation of their filtering distribution, which learning takes as given.

    Attributes:
        kind: "rtrbm" or "trbm".
        visible_hidden: W, (H, V).
        hidden_hidden: W', (H, H).
        visible_bias: b_v, (V,).
        hidden_bias: b_h, (H,).
        initial: h_0, (H,); a parameter like the others, which no function bounds.

    Raises:
        TypeError: A parameter is no tensor of floating-point numbers.
        ValueError: `kind` is unknown, or a shape does not fit.
    """

    kind: str
    visible_hidden: Tensor
    hidden_hidden: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    initial: Tensor

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"`kind` must be one of {', '.join(KINDS)}, got {self.kind!r}.")
        check_finite_tensor("visible_hidden", self.visible_hidden, (None, None))
        hidden, visible = self.visible_hidden.shape
        check_finite_tensor("hidden_hidden", self.hidden_hidden, (hidden, hidden))
        check_finite_tensor("visible_bias", self.visible_bias, (visible,))
        check_finite_tensor("hidden_bias", self.hidden_bias, (hidden,))
        check_finite_tensor("initial", self.initial, (hidden,))

    @property
    def hidden(self) -> int:
        """Number H of hidden units."""
        return self.visible_hidden.shape[0]

    @property
    def visible(self) -> int:
        """Number V of visible units."""
        return self.visible_hidden.shape[1]

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """W, W', b_v, b_h and h_0."""
        return (
            self.visible_hidden,
            self.hidden_hidden,
            self.visible_bias,
            self.hidden_bias,
            self.initial,
        )

    def with_parameters(self, parameters: tuple[Tensor, ...]) -> TemporalRBM:
        """Return a model of this kind with other parameters, in the order of `parameters`."""
        return TemporalRBM(self.kind, *parameters)

    def to(self, dtype: torch.dtype) -> TemporalRBM:
        """Return the model in another precision."""
        return self.with_parameters(tuple(part.to(dtype) for part in self.parameters))

    def as_kind(self, kind: str) -> TemporalRBM:
        """Return these parameters as a model of another kind."""
        return replace(self, kind=kind)

    def filtered(self, frames: Tensor) -> Tensor:
        """Return r_0 to r_T, (B, T + 1, H), of frames (B, T, V)."""
        drive = frames @ self.visible_hidden.T + self.hidden_bias
        rate = self.initial.expand(len(frames), -1)
        rates = [rate]
        for part in drive.unbind(1):
            rate = torch.sigmoid(torch.addmm(part, rate, self.hidden_hidden.T))
            rates.append(rate)
        return torch.stack(rates, dim=1)

    def biases(self, rates: Tensor) -> Tensor:
        """Return the hidden units' biases c_{t+1}, (..., H), after filtered units r_t (..., H)."""
        return self.hidden_bias + rates @ self.hidden_hidden.T

    def reconstructed(self, rates: Tensor) -> Tensor:
        """Return sigma(W^T h + b_v), the chance of a one of each visible unit, of h (..., H)."""
        return torch.sigmoid(rates @ self.visible_hidden + self.visible_bias)


def new_model(
    kind: str,
    visible: int,
    hidden: int,
    generator: torch.Generator,
    *,
    spread: float = 0.005,
    dtype: torch.dtype = torch.float64,
) -> TemporalRBM:
    """Return a model whose parameters are normal draws with a standard deviation of `spread`.

    Source: Sutskever (2013), section 3.11.3, for W' and the biases; it does not say how W starts
    before its static training, nor h_0: they are drawn likewise.

    Raises:
        ValueError: A size or `spread` is out of range, or `kind` is unknown.
    """
    check_integer("visible", visible, minimum=1)
    check_integer("hidden", hidden, minimum=1)
    check_positive("spread", spread)

    def draws() -> Iterator[Tensor]:
        for shape in ((hidden, visible), (hidden, hidden), (visible,), (hidden,), (hidden,)):
            yield spread * torch.randn(shape, generator=generator, dtype=dtype)

    return TemporalRBM(kind, *draws())


def check_frames(frames: object, visible: int | None, *, binary: bool = False) -> Tensor:
    """Return frames (B, T, V), or raise where they are none.

    Args:
        frames: Numbers from 0 to 1; those between are probabilities of a one.
        visible: V, None for any.
        binary: Whether every number must be 0 or 1.

    Raises:
        TypeError: They are no tensor of floating-point numbers.
        ValueError: The shape or a number is wrong.
    """
    check_finite_tensor("frames", frames, (None, None, visible))
    found = cast(Tensor, frames)
    if min(found.shape) == 0:
        raise ValueError(f"`frames` must hold numbers, got shape {tuple(found.shape)}.")
    low, high = float(found.min()), float(found.max())
    if low < 0 or high > 1:
        raise ValueError(
            f"`frames` must lie between 0 and 1, got {low:g} to {high:g}; make them binary first, "
            "as `binarized` does with a recording."
        )
    if binary and bool(((found != 0) & (found != 1)).any()):
        share = float(((found != 0) & (found != 1)).double().mean())
        raise ValueError(
            f"`frames` must hold zeros and ones alone, since the model gives probabilities to "
            f"nothing else; {100 * share:.3g} % of them lie between. Draw them first, as "
            "`torch.bernoulli(frames)` does."
        )
    return found
