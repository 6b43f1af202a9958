"""How much of a force field a controller compensates, from trials in channels.

Notation: L is the force by which the hand presses against a channel's wall, v its velocity, and f
the force that the field would have at that velocity, along the same direction across the reach.

    L = -a f, or o - a f;   a is the adaptation index (Smith, Ghazizadeh & Shadmehr 2006)

0 is no compensation, 1 the whole field. The offset o takes up a steady force, at a price: with it a
force that lags behind the velocity moves a.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromotor.analysis.measures.courses import check_array, one_each

__all__ = ["adaptation_index"]


def adaptation_index(
    pressed_n: ArrayLike,
    velocities: ArrayLike,
    fields_ns_m: ArrayLike,
    across: ArrayLike,
    *,
    offset: bool = False,
) -> NDArray[np.float64]:
    """Return each channel trial's adaptation index, (B,); NaN where the hand does not move.

    Args:
        pressed_n: Force of the hand on the walls along `across` (N), (B, T): minus that of the
            walls on the hand.
        velocities: Velocities of the hand (m/s), (B, T, 2).
        fields_ns_m: Matrix C of the field, whose force on the hand is C v (N s/m), (2, 2) or
            (B, 2, 2).
        across: Unit vectors across each reach, (2,) or (B, 2).
        offset: Whether a constant is fitted beside the index.

    Raises:
        ValueError: A shape does not fit, or a value is not finite.
    """
    velocity = check_array("velocities", velocities, (None, None, 2))
    count, samples, _ = velocity.shape
    pressed = check_array("pressed_n", pressed_n, (count, samples))
    field = one_each("fields_ns_m", fields_ns_m, count, (2, 2))
    line = one_each("across", across, count, (2,))
    ideal = -np.einsum("bi,bij,btj->bt", line, field, velocity)
    if offset:
        ideal = ideal - ideal.mean(1, keepdims=True)
    size = (ideal**2).sum(1)
    return np.asarray((pressed * ideal).sum(1) / np.where(size > 0, size, np.nan), np.float64)
