"""Parameters are checked when they are made."""

import math
from dataclasses import replace

import pytest

from neuromotor.plants import (
    ARM_PRESETS,
    HUMAN,
    MONKEY,
    MONKEY_PUBLISHED,
    ArmParameters,
    JointLimits,
)


@pytest.mark.parametrize(
    "field", ["length_1", "length_2", "mass_1", "mass_2", "inertia_1", "inertia_2"]
)
@pytest.mark.parametrize("value", [0.0, -0.1, math.nan, math.inf])
def test_numbers_that_no_arm_has_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"`{field}` must be a"):
        replace(MONKEY, **{field: value})


def test_text_instead_of_a_number_is_refused():
    with pytest.raises(TypeError, match="`mass_1` must be a finite number of kilograms"):
        replace(MONKEY, mass_1="heavy")


def test_the_copied_form_of_the_inertia_matrix_is_refused():
    """Inertia about the elbow below m c^2, taken for one about the centre: the singular matrix."""
    elbow_inertia = 7.6e-4
    with pytest.raises(
        ValueError, match=r"`inertia_2` must be a positive number.*from_proximal_inertia"
    ):
        replace(MONKEY, inertia_2=elbow_inertia - MONKEY.mass_2 * MONKEY.center_2**2)
    with pytest.raises(ValueError, match="`proximal_inertia_2` must be above m c"):
        ArmParameters.from_proximal_inertia(
            length_1=0.145,
            length_2=0.284,
            mass_1=0.2108,
            mass_2=0.1938,
            center_1=0.0749,
            center_2=0.0757,
            proximal_inertia_1=0.0025,
            proximal_inertia_2=elbow_inertia,
        )


def test_an_inertia_lost_in_rounding_is_refused():
    with pytest.raises(ValueError, match="positive definite"):
        replace(MONKEY, inertia_1=1e-30, inertia_2=1e-30, center_1=0.0)


def test_human_inertias_were_moved_from_the_joint():
    assert HUMAN.inertia_1 + HUMAN.mass_1 * HUMAN.center_1**2 == pytest.approx(0.025)
    assert HUMAN.inertia_2 + HUMAN.mass_2 * HUMAN.center_2**2 == pytest.approx(0.045)


def test_presets_carry_the_published_geometry():
    for p in (MONKEY_PUBLISHED, MONKEY):
        assert (p.length_1, p.length_2, p.mass_1, p.mass_2) == (0.145, 0.284, 0.2108, 0.1938)
    assert MONKEY_PUBLISHED.reach == pytest.approx((0.139, 0.429))
    assert set(ARM_PRESETS) == {"monkey-published", "monkey", "human"}


def test_joint_limits_must_rise():
    with pytest.raises(ValueError, match="`lower` must be below `upper` at the elbow"):
        JointLimits(lower=(-1.0, 2.0), upper=(1.0, 1.5))
