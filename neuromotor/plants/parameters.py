"""Parameters of two-joint arms: frozen, checked when made, each number with unit and source.

Segment 1 is the upper arm, segment 2 is forearm and hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from neuromotor._checks import check_number, check_positive
from neuromotor.extensions import Registry

__all__ = [
    "ARM_PRESETS",
    "HUMAN",
    "HUMAN_VISCOSITY",
    "MONKEY",
    "MONKEY_PUBLISHED",
    "ArmParameters",
    "JointLimits",
    "usual_torque",
]

Viscosity = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class ArmParameters:
    """Geometry and inertia of a planar two-joint arm.

    Inertias are about each segment's own centre of mass. With positive masses, lengths and
    inertias the inertia matrix is positive definite at every elbow angle; the widely copied form
    that takes `inertia_2` for the inertia about the elbow is not (Agrawal 1991; Sutskever 2013,
    section 6.6), which is why the numbers are checked here.

    Raises:
        TypeError: A field is not a number.
        ValueError: A field is not finite or not positive, or the inertia matrix is singular or
            indefinite at some elbow angle.

    Example:
        >>> MONKEY.length_2
        0.284
    """

    length_1: float  # m; shoulder to elbow
    length_2: float  # m; elbow to hand
    mass_1: float  # kg
    mass_2: float  # kg
    center_1: float  # m; centre of mass from the shoulder
    center_2: float  # m; centre of mass from the elbow
    inertia_1: float  # kg m^2; about the segment's own centre of mass
    inertia_2: float  # kg m^2; about the segment's own centre of mass
    load_scale: float = (
        1.0  # loads of an experiment that suit the arm, 1 for MONKEY_PUBLISHED; ours
    )

    def __post_init__(self) -> None:
        for name, unit in (
            ("length_1", "metres"),
            ("length_2", "metres"),
            ("mass_1", "kilograms"),
            ("mass_2", "kilograms"),
        ):
            check_positive(name, getattr(self, name), unit)
        for name in ("center_1", "center_2"):
            check_number(name, getattr(self, name), "metres", minimum=0.0)
        check_positive("load_scale", self.load_scale)
        way_out = (
            "inertias are about the centre of mass; convert those about the proximal joint with "
            "`ArmParameters.from_proximal_inertia`"
        )
        for name in ("inertia_1", "inertia_2"):
            value = getattr(self, name)
            check_number(name, value, "kg m^2")
            if value <= 0:
                raise ValueError(
                    f"`{name}` must be a positive number of kg m^2, got {value!r}; {way_out}."
                )
        a1, a2, a3 = self.inertia_constants
        smallest = a3 * (a1 - a3) - a2 * a2
        if not smallest > 0:
            raise ValueError(
                "the inertia matrix must be positive definite at every elbow angle, got a "
                f"determinant of {smallest:.3g} with the arm straight; {way_out}."
            )

    @cached_property  # asked for at every step
    def inertia_constants(self) -> tuple[float, float, float]:
        """Constants a1, a2, a3 (kg m^2) of the inertia matrix.

        The matrix is ``[[a1 + 2 a2 cos(elbow), a3 + a2 cos(elbow)], [.., a3]]``.
        Source: Li & Todorov (2004), equation 3, with every term moved to the joint's axis.
        """
        a1 = (
            self.inertia_1
            + self.inertia_2
            + self.mass_1 * self.center_1**2
            + self.mass_2 * (self.length_1**2 + self.center_2**2)
        )
        a2 = self.mass_2 * self.length_1 * self.center_2
        a3 = self.inertia_2 + self.mass_2 * self.center_2**2
        return a1, a2, a3

    @property
    def reach(self) -> tuple[float, float]:
        """Smallest and largest distance (m) of the hand from the shoulder."""
        return abs(self.length_1 - self.length_2), self.length_1 + self.length_2

    @classmethod
    def from_proximal_inertia(
        cls,
        *,
        length_1: float,
        length_2: float,
        mass_1: float,
        mass_2: float,
        center_1: float,
        center_2: float,
        proximal_inertia_1: float,
        proximal_inertia_2: float,
        load_scale: float = 1.0,
    ) -> ArmParameters:
        """Make parameters from inertias (kg m^2) about each segment's proximal joint.

        The parallel-axis theorem moves them: ``I = I_proximal - m c^2``.

        Raises:
            ValueError: As the class; also where the inertia about the joint is smaller than
                ``m c^2``, which no body has.
        """
        for index, (inertia, mass, center) in enumerate(
            ((proximal_inertia_1, mass_1, center_1), (proximal_inertia_2, mass_2, center_2)),
            start=1,
        ):
            check_number(f"proximal_inertia_{index}", inertia, "kg m^2")
            if inertia <= mass * center**2:
                raise ValueError(
                    f"`proximal_inertia_{index}` must be above m c^2 = {mass * center**2:.4g} "
                    f"kg m^2 (mass times squared distance of its centre), got {inertia!r}."
                )
        return cls(
            length_1=length_1,
            length_2=length_2,
            mass_1=mass_1,
            mass_2=mass_2,
            center_1=center_1,
            center_2=center_2,
            inertia_1=proximal_inertia_1 - mass_1 * center_1**2,
            inertia_2=proximal_inertia_2 - mass_2 * center_2**2,
            load_scale=load_scale,
        )


@dataclass(frozen=True)
class JointLimits:
    """Soft joint limits: a spring that grows in smoothly beyond each limit.

    The torque is ``k w (softplus((lower - q) / w) - softplus((q - upper) / w))`` at each joint, so
    it has derivatives of every order; one width inside a limit it is already 0.31 k w. The form
    and the default numbers are ours: the limits of a monkey's planar reaching, a spring that a
    reaching torque bends by a few degrees.

    Raises:
        ValueError: A number is not finite, a limit pair is not in rising order, or stiffness or
            width is not positive.
    """

    lower: tuple[float, float] = (-0.7, 0.1)  # rad; shoulder, elbow
    upper: tuple[float, float] = (2.3, 2.7)  # rad; shoulder, elbow
    stiffness: float = 1.0  # N m / rad
    width: float = 0.03  # rad; over which the spring grows in

    def __post_init__(self) -> None:
        check_positive("stiffness", self.stiffness, "N m / rad")
        check_positive("width", self.width, "rad")
        for joint, low, high in zip(("shoulder", "elbow"), self.lower, self.upper, strict=True):
            check_number(f"lower ({joint})", low, "rad")
            check_number(f"upper ({joint})", high, "rad")
            if low >= high:
                raise ValueError(
                    f"`lower` must be below `upper` at the {joint}, got {low!r} and {high!r} rad."
                )


# As used in published monkey models (Lillicrap & Scott 2013; Kalidindi et al. 2021). The inertias
# are the human ones of Li & Todorov (2004): radii of gyration longer than the links, so read them
# as limb plus exoskeleton robot. iLQR's loss on center-out shows that they are the thesis's too.
MONKEY_PUBLISHED = ArmParameters(
    length_1=0.145,
    length_2=0.284,
    mass_1=0.2108,
    mass_2=0.1938,
    center_1=0.0749,
    center_2=0.0757,
    inertia_1=0.025,
    inertia_2=0.045,
)

# Physically consistent: masses and centres as above, inertias of Cheng & Scott (2000) as quoted by
# public models (Chan & Moran 2006, riglib, KINARM scaling) for an animal of 5.5 to 5.9 kg. Its
# inertia, and with it its torques in reaching, are a tenth of those above; so are its loads.
MONKEY = ArmParameters(
    length_1=0.145,
    length_2=0.284,
    mass_1=0.2108,
    mass_2=0.1938,
    center_1=0.0749,
    center_2=0.0757,
    inertia_1=2.7e-4,
    inertia_2=7.6e-4,
    load_scale=0.1,
)

# Li & Todorov (2004), whose inertias are about the proximal joint; the inertia matrix is of the
# order of MONKEY_PUBLISHED's, and the loads stay.
HUMAN = ArmParameters.from_proximal_inertia(
    length_1=0.30,
    length_2=0.33,
    mass_1=1.4,
    mass_2=1.0,
    center_1=0.11,
    center_2=0.16,
    proximal_inertia_1=0.025,
    proximal_inertia_2=0.045,
)

# N m s / rad; joint friction of Li & Todorov (2004), an option for HUMAN.
HUMAN_VISCOSITY: Viscosity = ((0.05, 0.025), (0.025, 0.05))

ARM_PRESETS: Registry[ArmParameters] = Registry(
    "arm parameters",
    {
        "monkey-published": MONKEY_PUBLISHED,
        "monkey": MONKEY,
        "human": HUMAN,
    },
    members=("length_1", "mass_1", "inertia_1"),
)

# iLQR's largest on reaches of 10 cm and on reaches between random postures is 1.9 N m, 0.15 N m
# (with which the second arm could not hold the tasks' loads of 0.2 N m) and 2.5 N m; ours.
_USUAL_TORQUES_NM = ((MONKEY_PUBLISHED, 2.0), (MONKEY, 0.5), (HUMAN, 5.0))


def usual_torque(parameters: ArmParameters) -> float | None:
    """Return the torque (N m) of a preset's reaches, rounded up; None for other parameters."""
    return next((nm for own, nm in _USUAL_TORQUES_NM if own == parameters), None)
