"""What effort makes movements smooth: reaches under one cost at a time, and how long they take.

Of each cost alone, and no noise, the shape of speed over time is asked: squared torque, mechanical
work, squared rate of torque, and squared rate of this. Wong, Cluff & Kuo (2021) measured that
effort grows with the last, the rate of force per time, beside work: that of work alone, or of
squared force, movements would be abrupt (Nelson 1983). Together with a cost of time it says how
long a reach takes.

Sources: Wong, Cluff & Kuo (2021); peak over mean speed of people as in Flash & Hogan (1985);
durations over distance as in Gordon, Ghilardi, Cooper & Ghez (1994). Theirs is a cost of sizes;
ours is one of squares, as all costs of the conditions are, and work is smooth near zero power.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_numbers, check_positive
from neuromotor.analysis.measures import SpeedProfiles, speed_profiles
from neuromotor.control import ILQR, optimal_duration
from neuromotor.evaluation.bootstrap import Interval, bootstrap_interval
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import CannotBeAskedError, Findings, Nature
from neuromotor.experiments.perturbed import HOLD_S
from neuromotor.experiments.session import Session
from neuromotor.tasks import CursorReach, Task, Trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ForceRate", "one_cost"]

# Of each cost alone the weight does not change the shape, as long as it is small against that of
# errors; these make a reach of 10 cm in half a second about 1e-6 to 1e-5.
_WEIGHTS: dict[str, dict[str, Any]] = {
    "squared torque": {"torque_weight": 1e-5},
    "work": {"work_weight": 1e-3},
    "torque rate": {"torque_rate_weight": 1e-7},
    "force rate": {"force_rate_weight": 1e-9},
}
_NO_EFFORT: dict[str, Any] = {
    "torque_weight": 0.0,
    "torque_rate_weight": 0.0,
    "force_rate_weight": 0.0,
    "work_weight": 0.0,
    "energy_weight": 1e-9,  # of commands, which a cost of torques or work leaves free
}


@dataclass(frozen=True)
class ForceRate(Experiment):
    """Reaches in several directions under one cost at a time; then in the time that costs least.

    Attributes:
        distance_m: Of the targets whose speed is looked at (m).
        arrival_s: Time that is given for these (s).
        directions: How many of them.
        distances_m: Of the targets whose time is looked at (m), near to far.
        time_weight: Cost of a second beside that of force rate; ours is such that people's times
            come out for 10 cm.
        shortest_s: Shortest time that is tried (s).
        longest_s: Longest one (s).
        solver: For the times.
    """

    distance_m: float = 0.1
    arrival_s: float = 0.5
    directions: int = 4
    distances_m: tuple[float, ...] = (0.05, 0.1, 0.2)
    time_weight: float = 6e-5
    shortest_s: float = 0.2
    longest_s: float = 1.0
    solver: ILQR = field(default_factory=lambda: ILQR(iterations=100, tolerance=1e-6))

    title: ClassVar[str] = "Effort of force rate"
    question: ClassVar[str] = (
        "Reaches are made under one cost of effort at a time: squared torque, work, and rates of "
        "torque and force. Is speed bell-shaped under force rate, and how long does a reach take?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "bell", "peak over mean speed under a cost of force rate", "", 1.7, 2.0, 1.5, "people",
            "Flash & Hogan 1985; Wong et al. 2021", about=True,
        ),
        Nature(
            "duration", "time of the farthest over that of the nearest reach", "", 1.2, 1.8, 1,
            "people", "Gordon et al. 1994", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("distance_m", "arrival_s", "time_weight", "shortest_s", "longest_s"):
            check_positive(name, getattr(self, name))
        check_integer("directions", self.directions, minimum=1)
        check_numbers("distances_m", self.distances_m, "metres")
        for far in self.distances_m:
            check_positive("distances_m", far, "metres")
        if list(self.distances_m) != sorted(set(self.distances_m)) or len(self.distances_m) < 2:
            raise ValueError(
                f"`distances_m` must be two distances or more, near to far, got {self.distances_m}."
            )
        if self.longest_s <= self.shortest_s:
            raise ValueError(
                f"`longest_s` must be above `shortest_s`, {self.shortest_s:g} s, got "
                f"{self.longest_s:g}."
            )

    def quick(self) -> Self:
        """Return the same with two directions and distances."""
        return replace(
            self, directions=2, distances_m=self.distances_m[:: len(self.distances_m) - 1]
        )

    def conduct(self, session: Session) -> Findings:
        """Reach under each cost, then in the best time; see `Experiment.conduct`."""
        if not session.subject.takes_costs:
            raise CannotBeAskedError("it was made for one cost, and cannot be given another.")
        if not session.subject.has_clock:
            raise CannotBeAskedError("it has no clock, so that it cannot move in a given time.")
        profiles = {}
        for name in _WEIGHTS:
            session.say(f"force-rate: {name}")
            profiles[name] = self._profiles(session, name)
        session.say("force-rate: durations")
        times = self._times(session.world)
        bell = {name: one.peak_to_mean for name, one in profiles.items()}
        others = ", ".join(f"{np.nanmean(value):.2f} under {name}" for name, value in bell.items())
        growth = float(times[-1] / times[0])
        return Findings(
            measures={
                "bell": bootstrap_interval(torch.from_numpy(bell["force rate"])),
                "duration": Interval(growth, growth, growth),
            },
            data={
                **{name: one.scaled.mean(0) for name, one in profiles.items()},
                "distances_m": np.array(self.distances_m),
                "durations_s": times,
            },
            remarks=(f"peak over mean speed is {others}.",),
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw speed over time under each cost, and duration over distance."""
        left, right = figure.subplots(1, 2)
        for name in _WEIGHTS:
            speed = found.data[name]
            left.plot(np.linspace(0, 1, len(speed)), speed, label=name)
        left.set_xlabel("time / duration")
        left.set_ylabel("speed / mean speed")
        left.set_ylim(bottom=0)
        left.legend(frameon=False, fontsize=6)
        right.plot(100 * found.data["distances_m"], 1000 * found.data["durations_s"], "o-")
        right.set_ylim(bottom=0)
        right.set_xlabel("distance (cm)")
        right.set_ylabel("best duration (ms)")

    def _profiles(self, session: Session, name: str) -> SpeedProfiles:
        """Speed profiles in each direction under one cost."""
        angle = torch.arange(self.directions, dtype=torch.float64) * 2 * math.pi / self.directions
        half = 0.5 * self.distance_m * torch.stack([angle.cos(), angle.sin()], dim=-1)
        task, trials = one_cost(session.world, name, half, self.arrival_s)
        run = session.run(task, trials)
        speed = run.velocity.norm(dim=-1).numpy()
        return speed_profiles(run.hand.numpy(), task.plant.dt_s, speed=speed)

    def _times(self, world: CursorReach) -> NDArray[np.float64]:
        """Times (s) of least effort of force rate and time, one a distance."""
        half = torch.tensor([[0.0, far / 2] for far in self.distances_m], dtype=torch.float64)
        dt_s = world.plant.dt_s
        hold = round(HOLD_S / dt_s)

        def movement(steps: int) -> tuple[Task, Trials]:
            return one_cost(world, "force rate", half, (steps - hold) * dt_s)

        found = optimal_duration(
            movement,
            self.time_weight,
            round(self.shortest_s / dt_s) + hold,
            round(self.longest_s / dt_s) + hold,
            solver=self.solver,
        )
        return np.asarray(found.durations_s - HOLD_S, np.float64)


def one_cost(
    world: CursorReach, name: str, half: torch.Tensor, arrival_s: float
) -> tuple[CursorReach, Trials]:
    """Return conditions without noise and with one cost of effort, and reaches through home.

    Args:
        world: The conditions that all experiments share.
        name: Of the cost: `squared torque`, `work`, `torque rate` or `force rate`.
        half: From home to the targets (m), (B, 2); reaches begin as far on the other side.
        arrival_s: Time that is given (s).
    """
    dt_s = world.plant.dt_s
    task = replace(
        world,
        **{**_NO_EFFORT, **_WEIGHTS[name]},
        noise=0.0,
        believed_load_nm=0.0,
        believed_jump_m=0.0,
        steps=round(arrival_s / dt_s) + round(HOLD_S / dt_s),
    )
    trials = task.reaches(task.home + half, start=task.home - half, arrival_s=arrival_s)
    if trials.counted is None:
        return task, trials
    counted = trials.counted.clone()
    counted[..., task.plant.state_parts["torque"]] = 1.0  # from the start on
    return task, replace(trials, counted=counted)


EXPERIMENTS["force-rate"] = ForceRate()
