"""Parameters of six lumped muscles on a two-joint arm, each number with unit and source.

Order: shoulder flexor and extensor, elbow flexor and extensor, two-joint flexor and extensor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from neuromotor._checks import check_number, check_positive
from neuromotor.extensions import Registry

__all__ = [
    "BROWN_1999",
    "HUMAN_MUSCLES",
    "MONKEY_MUSCLES",
    "MUSCLES",
    "MUSCLE_PRESETS",
    "MuscleParameters",
]

Six = tuple[float, float, float, float, float, float]

MUSCLES = (
    *(f"{joint} {kind}" for joint in ("shoulder", "elbow") for kind in ("flexor", "extensor")),
    "two-joint flexor",
    "two-joint extensor",
)

# Force factors of Brown, Cheng & Loeb (1999), fast fibres, as in Lillicrap & Scott (2013): beta,
# omega, rho / 2; vmax (L0/s), cv0, cv1; bv (L0/s), av0, av1, av2. The last number is ours: c of
# shortening is -0.9 at least, since below -1 (muscles shorter than 0.53 L0, where nothing was
# measured) its formula has a pole.
BROWN_1999 = (1.55, 0.81, 1.06, -7.39, -3.21, 4.17, 0.62, -3.12, 4.21, -2.67, -0.9)


@dataclass(frozen=True)
class MuscleParameters:
    """Strength and geometry of six muscles.

    A moment arm is positive where the muscle flexes the joint, and a linear function of that
    joint's angle: ``moment_arms + moment_arm_slopes q``. Lengths follow from it, since work at the
    joints is work of the muscles: ``dL/dq = -(moment arm)``.

    Raises:
        TypeError: A number is none.
        ValueError: A number is not finite, or a strength or an optimal length is not positive.
    """

    strength: Six  # N; at full activation, optimal length and rest
    optimal_length: Six  # m
    moment_arms: tuple[Six, Six]  # m; at shoulder and elbow, at joint angles of zero
    length_at_zero: Six  # optimal lengths; at joint angles of zero
    moment_arm_slopes: tuple[Six, Six] = ((0.0,) * 6, (0.0,) * 6)  # m/rad

    def __post_init__(self) -> None:
        for name, unit in (("strength", "newtons"), ("optimal_length", "metres")):
            for value in self._six_of(name, getattr(self, name)):
                check_positive(name, value, unit)
        for name in ("moment_arms", "moment_arm_slopes"):
            rows = getattr(self, name)
            if len(rows) != 2:
                raise ValueError(f"`{name}` must be 2 x 6 numbers, for both joints, got {rows!r}.")
            for row in rows:
                for value in self._six_of(name, row):
                    check_number(name, value, "metres")
        for value in self._six_of("length_at_zero", self.length_at_zero):
            check_number("length_at_zero", value, "optimal lengths")

    @staticmethod
    def _six_of(name: str, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(values) != 6:
            raise ValueError(f"`{name}` must have 6 numbers, one a muscle, got {values!r}.")
        return values


def _monkey() -> MuscleParameters:
    """Kalidindi et al. (2021), from Lillicrap & Scott (2013): one length is optimal at an angle."""
    arms = ((0.02, -0.02, 0.0, 0.0, 0.015, -0.02), (0.0, 0.0, 0.02, -0.02, 0.02, -0.015))  # m
    optimal = (0.0732, 0.0326, 0.064, 0.0426, 0.0595, 0.0404)  # m
    optimal_deg = ((15.0, 4.88, 0.0, 0.0, 4.5, 2.12), (0.0, 0.0, 80.86, 109.32, 92.96, 91.52))
    at_zero = [
        1 + (r1 * math.radians(q1) + r2 * math.radians(q2)) / length
        for r1, r2, q1, q2, length in zip(*arms, *optimal_deg, optimal, strict=True)
    ]
    return MuscleParameters(
        strength=(100.0,) * 6,  # their unit of force, with moment arms in cm
        optimal_length=optimal,
        moment_arms=arms,
        length_at_zero=_six(at_zero),
    )


def _human() -> MuscleParameters:
    """MotorNet's arm (Codol et al. 2024; paths after Nijhof & Kouwenhoven 2000).

    Each path's length is ``a0 + sum_k (a1_k d_k + a2_k d_k^2)``, d the angles from 90 degrees at
    the shoulder and 0 at the elbow, of which the muscle is what the tendon leaves.
    """
    a0 = (0.151, 0.2322, 0.2859, 0.2355, 0.3329, 0.2989)  # m
    shoulder = (-0.03, 0.03, 0.0, 0.0, -0.03, 0.03)  # m/rad, a1
    elbow = (0.0, 0.0, -0.014, 0.025, -0.016, 0.03)
    elbow_square = (0.0, 0.0, -4e-3, -2.2e-3, -5.7e-3, -3.2e-3)  # m/rad^2, a2
    tendon = (0.039, 0.066, 0.172, 0.187, 0.204, 0.217)  # m
    optimal = (0.134, 0.140, 0.092, 0.093, 0.137, 0.127)  # m
    at_zero = [
        (path - slope * math.pi / 2 - slack) / length
        for path, slope, slack, length in zip(a0, shoulder, tendon, optimal, strict=True)
    ]
    return MuscleParameters(
        strength=(838.0, 1207.0, 1422.0, 1549.0, 414.0, 603.0),
        optimal_length=optimal,
        moment_arms=(_six(-a for a in shoulder), _six(-a for a in elbow)),
        length_at_zero=_six(at_zero),
        moment_arm_slopes=((0.0,) * 6, _six(-2 * a for a in elbow_square)),
    )


def _six(values: Iterable[float]) -> Six:
    first, second, third, fourth, fifth, sixth = values
    return first, second, third, fourth, fifth, sixth


MONKEY_MUSCLES = _monkey()
HUMAN_MUSCLES = _human()

MUSCLE_PRESETS: Registry[MuscleParameters] = Registry(
    "muscle parameters",
    {"monkey": MONKEY_MUSCLES, "human": HUMAN_MUSCLES},
    members=("strength", "moment_arms", "optimal_length"),
)
