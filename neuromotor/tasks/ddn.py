"""The DDN task: reaches between random points under delay, a hidden disturbance, and noise.

Source: Sutskever (2013), sections 6.3, 6.5, 6.7.3. What it leaves open is a named parameter here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer, check_number
from neuromotor._showing import TableInNotebooks
from neuromotor.plants import PLANTS, Plant, TwoJointArm
from neuromotor.plants.plant import check_plant
from neuromotor.tasks.chance import (
    SensoryNoise,
    check_chance,
    check_delay,
    default_generator,
    with_noisy_senses,
)
from neuromotor.tasks.cost import QuadraticCost, check_weights, final_state_cost
from neuromotor.tasks.penalties import PENALTIES_FIELD, Penalties, check_penalties
from neuromotor.tasks.ranges import Range
from neuromotor.tasks.senses import SENSES, Senses, SensesInUse, check_senses
from neuromotor.tasks.trials import Trials

__all__ = ["DDN", "DISTURBANCE_NM"]

DISTURBANCE_NM = 0.2  # Sutskever (2013), section 6.7.3; we read Normal(0, 0.2) as its deviation


@dataclass(frozen=True)
class DDN(TableInNotebooks):
    """Random reaches under Delay, Disturbance and Noise; loss ``|x_T - x*|^2 / 2 + energy``.

    Each joint's disturbance is a torque drawn from N(0, `disturbance_nm`^2). It is switched on at a
    step that is uniform over the first half of the trial, and held to the end. The plant receives
    ``u (1 + xi) + d`` with xi from N(0, `noise`^2) for each joint and step. Registered variants:
    `ddn-delay` (no disturbance, no noise), `ddn-robust` (no noise), `ddn` (all three).

    Attributes:
        plant: What moves.
        pairs: Number of start-target pairs in a batch; 400 in the thesis.
        shoulder_deg: Lowest and highest shoulder angle (deg) of start and target, drawn uniformly;
            the thesis says "the typical workspace", the numbers are ours.
        elbow_deg: The same for the elbow.
        disturbance_nm: Standard deviation of each joint's disturbance (N m); None is 0.2 times the
            plant's `load_scale`, 0 is none.
        noise: Standard deviation of the signal-dependent noise, as a fraction of the command; 0 is
            none. The thesis gives no number; 0.1 is ours.
        sensory_noise: Standard deviation of the noise on what the controller observes, one number
            for all of a state (rad and rad/s) or one for each; none by default.
        steps: Number of steps; 60 of 10 ms in the thesis.
        delay_steps: Feedback delay in steps; 7 in the thesis.
        energy_weight: Weight of the time integral of the squared command (1/s); 1e-4 in the thesis.
        error_weight: Weight of the squared error of the final configuration (rad).
        velocity_weight: Weight of the squared error of the final velocity.
        senses: Channels that the controller senses, each with its own delay and noise
            (`tasks.senses`); None is the plant's state after `delay_steps`, with `sensory_noise`.
            Channels without a delay of their own have that of `delay_steps`.
        penalties: What a training pays for beside the movement (`tasks.penalties`): rates, weights,
            muscles and more; None is nothing.

    Raises:
        ValueError: A number is out of range, or the plant has no joints.

    Example:
        >>> task = DDN(pairs=8)
        >>> trials = task.trials(torch.Generator().manual_seed(1))
        >>> trials.load.shape
        torch.Size([8, 60, 2])
    """

    plant: Plant = field(default_factory=TwoJointArm, metadata={"registry": PLANTS})
    pairs: int = 400
    shoulder_deg: tuple[float, float] = (0.0, 90.0)
    elbow_deg: tuple[float, float] = (40.0, 130.0)
    disturbance_nm: float | None = field(default=None, metadata={"in_use": "disturbance_in_use"})
    noise: float = 0.1
    sensory_noise: SensoryNoise = 0.0
    steps: int = 60
    delay_steps: int = 7
    energy_weight: float = 1e-4
    error_weight: float = 1.0
    velocity_weight: float = 1.0
    senses: Senses | None = field(default=None, metadata={"registry": SENSES, "left_out": True})
    penalties: Penalties | None = field(default=None, metadata=PENALTIES_FIELD)

    def __post_init__(self) -> None:
        check_plant(self.plant)
        check_integer("pairs", self.pairs, minimum=1)
        for name in ("shoulder_deg", "elbow_deg"):
            low, high = getattr(self, name)
            check_number(name, low, "degrees")
            check_number(name, high, "degrees")
            if low > high:
                raise ValueError(f"`{name}` must be a lower and an upper angle, got {low}, {high}.")
        if self.disturbance_nm is not None:
            check_number("disturbance_nm", self.disturbance_nm, "N m", minimum=0.0)
        check_chance(self.noise, self.sensory_noise, 1, self.plant.state_size)
        check_integer("steps", self.steps, minimum=2)
        check_delay(self.delay_steps, self.steps, self.plant.dt_s)
        check_senses(self)
        check_penalties(self)
        check_weights(self)
        self._workspace()  # a plant without joints is refused here

    @property
    def disturbance_in_use(self) -> float:
        """Deviation of the disturbance (N m), the plant's scale in it unless one is given."""
        if self.disturbance_nm is not None:
            return self.disturbance_nm
        return DISTURBANCE_NM * self.plant.load_scale

    @property
    def cost(self) -> QuadraticCost:
        """Squared error of the final state and energy."""
        return final_state_cost(self)

    @property
    def random(self) -> bool:
        """True: start, target, disturbance and noise are drawn."""
        return True

    def ranges(self) -> dict[str, list[Range]]:
        """Return which angles are drawn, and up to which sizes; see `neuromotor.tasks.ranges`.

        Smaller disturbances and noise are within larger ones.
        """
        return {
            "shoulder_deg": [Range("shoulder_deg", *self.shoulder_deg)],
            "elbow_deg": [Range("elbow_deg", *self.elbow_deg)],
            "disturbance_nm": [Range("disturbance_nm", 0.0, self.disturbance_in_use)],
            "noise": [Range("noise", 0.0, self.noise)],
        }

    def at_difficulty(self, fraction: float) -> DDN:
        """Return the task with that fraction of its delay (in whole steps) and disturbance.

        For a curriculum: the thesis found that longer delays and larger disturbances make the
        optimisation harder (Sutskever 2013, section 6.7.3). Noise stays; at 1 the task is itself.

        Args:
            fraction: 0 to 1.

        Raises:
            ValueError: `fraction` is out of range.
        """
        check_fraction("fraction", fraction)
        if fraction == 1:
            return self
        return replace(
            self,
            delay_steps=round(fraction * self.delay_steps),
            disturbance_nm=fraction * self.disturbance_in_use,
        )

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return a batch of random trials.

        The same generator state gives the same pairs, onsets and unit draws whatever the sizes of
        disturbance and noise, so variants can be compared draw by draw.

        Args:
            generator: Source of all draws, on the CPU; None is a new one of seed 0.
            dtype: Dtype of all parts; draws are made in float64.
            device: Device of all parts.
        """
        generator = generator or default_generator()
        low, high = self._workspace()
        loads, commands = self.plant.load_size, self.plant.command_size
        ends = torch.rand(2, self.pairs, len(low), generator=generator, dtype=torch.float64)
        ends = self.plant.rest_state(low + (high - low) * ends)
        onset = torch.randint(self.steps // 2, (self.pairs,), generator=generator)
        size = torch.randn(self.pairs, loads, generator=generator, dtype=torch.float64)
        xi = torch.randn(self.pairs, self.steps, commands, generator=generator, dtype=torch.float64)
        on = torch.arange(self.steps) >= onset[:, None]  # (B, T)
        disturbance = self.disturbance_in_use
        trials = Trials(
            initial_state=ends[0],
            target=ends[1],
            load=disturbance * on[..., None] * size[:, None] if disturbance else None,
            command_noise=self.noise * xi if self.noise else None,
        )
        senses = SensesInUse.of(self)
        trials = with_noisy_senses(trials, self.steps, generator, self.sensory_noise, senses)
        return trials.to(dtype=dtype, device=device)

    def _workspace(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest joint angles (rad), (2,) each."""
        corners = zip(self.shoulder_deg, self.elbow_deg, strict=True)
        low, high = (self.plant.configuration(corner) for corner in corners)
        return torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64)
