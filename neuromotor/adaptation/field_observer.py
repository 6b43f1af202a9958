"""A Kalman filter that believes in a field, and a controller that acts on the belief.

Notation: w are the field's coefficients, of patterns E_k, so that its force is ``sum_k w_k E_k v``;
P is the covariance of the belief, Q what the coefficients drift from trial to trial, V their
variance about the mean (each trial has a field of its own), r the variance of a felt force::

    felt in a trial:  y[t] = sum_k w'_k E_k v[t] + noise of variance r,   w' = w + N(0, V)
    from trial to trial:  w <- a w + N(0, Q)

Source: the filter over trials is that of Izawa et al. (2008), whose subjects meet fields that vary;
field coefficients as its state follow Donchin, Francis & Shadmehr (2003).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_number, check_positive
from neuromotor.adaptation.practice import Addition, Outcome, Practice
from neuromotor.control import ILQG, BelievedField, Uncertainty
from neuromotor.plants.field import field_force
from neuromotor.tasks.fields import FIELDS, CurlField, HandField

__all__ = ["FieldBelief", "FieldObserver"]


@dataclass(frozen=True)
class FieldBelief:
    """What a `FieldObserver` believes.

    Attributes:
        mean: w of each subject, (R, p).
        covariance: P, (R, p, p).
        patterns: E as fields for each target, (p, K, 2, 5).
        commands: What holds the plan in each pattern, (p, K, T, m); None where the controller is
            designed anew.
        trial: Trials so far.
    """

    mean: Tensor
    covariance: Tensor
    patterns: Tensor
    commands: Tensor | None
    trial: int = 0


@dataclass(frozen=True)
class FieldObserver:
    """Believes in a field by what the hand felt, and compensates what it believes.

    Compensation is either added to a controller's commands, or left to optimal feedback control
    that is designed anew for the field and its uncertainty (`ilqg`), whose caution grows with the
    latter. Nothing can be felt of a field in a channel, so that the belief then only decays.

    Attributes:
        field: The field whose strength is believed in, where `pattern` is strength.
        pattern: `strength`, one coefficient, or `matrix`, the four of a force that is linear in the
            hand's velocity (N s/m).
        drift: Standard deviation of Q's step from trial to trial: of the strength, or of each
            number of the matrix (N s/m).
        field_deviation: That of V, from trial to trial about the mean.
        force_noise_n: Standard deviation (N) of the noise with which the force is felt in a step.
        retention: a.
        prior: Standard deviation of the belief before the first trial; its mean is no field.
        ilqg: Design of the controller for what is believed; None adds commands instead.
        uncertainty: What the design knows of noise beside the field.

    Raises:
        ValueError: A number is out of range, or a name unknown.
    """

    field: HandField = field(default_factory=CurlField, metadata={"registry": FIELDS})
    pattern: str = "strength"
    drift: float = 0.02
    field_deviation: float = 0.0
    force_noise_n: float = 5.0
    retention: float = 0.995
    prior: float = 0.1
    ilqg: ILQG | None = None
    uncertainty: Uncertainty | None = None

    def __post_init__(self) -> None:
        if self.pattern not in ("strength", "matrix"):
            raise ValueError(f"`pattern` must be strength or matrix, got {self.pattern!r}.")
        for name in ("drift", "field_deviation", "prior"):
            check_number(name, getattr(self, name), minimum=0.0)
        check_positive("force_noise_n", self.force_noise_n, "N")
        check_fraction("retention", self.retention)

    def begin(self, practice: Practice) -> FieldBelief:
        """Return the belief before the first trial; see `Learner.begin`."""
        if self.pattern == "strength":
            patterns = practice.field(self.field)[None]
        else:
            patterns = practice.start.new_zeros(4, len(practice.trials), 2, 5)
            for k in range(4):
                patterns[k, :, k // 2, 3 + k % 2] = 1.0
        commands = None
        if self.ilqg is None:
            commands = torch.stack([practice.holding(pattern) for pattern in patterns])
        count = len(patterns)
        mean = patterns.new_zeros(practice.subjects, count)
        covariance = self.prior**2 * torch.eye(count).to(mean).expand(practice.subjects, -1, -1)
        return FieldBelief(mean, covariance, patterns, commands)

    def before(self, practice: Practice, state: FieldBelief, target: Tensor) -> Addition:
        """Act on the belief; see `Learner.before`."""
        if state.commands is not None:
            chosen = state.commands[:, target]
            return Addition(torch.einsum("rp,prtm->rtm", state.mean, chosen))
        believed = torch.einsum("rp,prij->rij", state.mean, state.patterns[:, target])
        trials = practice.trials.subset(target)
        design = (self.ilqg or ILQG()).design(
            practice.task,
            trials,
            self.uncertainty or Uncertainty(),
            field=BelievedField.lasting(practice.task, believed, self.deviation(state)),
        )
        return Addition(None, design.controller, design.controller.unpack(design.parameters))

    def deviation(self, state: FieldBelief) -> Tensor:
        """Return the patterns of the field's deviation as it is believed in, (p, 2, 5).

        By a square root of the mean covariance of P + V over subjects.
        """
        own = self.field_deviation**2 * torch.eye(state.mean.shape[1]).to(state.mean)
        values, vectors = torch.linalg.eigh(state.covariance.mean(0) + own)
        root = vectors * values.clamp(min=0.0).sqrt()
        return torch.einsum("pr,pij->rij", root, state.patterns[:, 0])

    def after(self, practice: Practice, state: FieldBelief, outcome: Outcome) -> FieldBelief:
        """Learn from what was felt; see `Learner.after`."""
        mean, covariance = self.updated(
            state.mean, state.covariance, *self._felt(practice, state, outcome)
        )
        eye = torch.eye(mean.shape[1]).to(mean)
        return replace(
            state,
            mean=self.retention * mean,
            covariance=self.retention**2 * covariance + self.drift**2 * eye,
            trial=state.trial + 1,
        )

    def updated(
        self, mean: Tensor, covariance: Tensor, information: Tensor, score: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the belief (R, p), (R, p, p) after a trial.

        Args:
            mean: Before it.
            covariance: Before it.
            information: ``sum_t H' H / r`` of the forces ``H w``, (R, p, p).
            score: ``sum_t H' y / r``, (R, p).
        """
        eye = torch.eye(mean.shape[1]).to(mean)
        own = covariance + self.field_deviation**2 * eye  # of the trial's own field
        # the inverse of the surprise's covariance, in the form that stands no matter what is felt
        surprise = (score - (information @ mean.unsqueeze(-1)).squeeze(-1)).unsqueeze(-1)
        seen = torch.linalg.solve(eye + information @ own, torch.cat([surprise, information], -1))
        mean = mean + (covariance @ seen[..., :1]).squeeze(-1)
        covariance = covariance - covariance @ seen[..., 1:] @ covariance
        return mean, 0.5 * (covariance + covariance.mT)

    def _felt(
        self, practice: Practice, state: FieldBelief, outcome: Outcome
    ) -> tuple[Tensor, Tensor]:
        """Information and score of the forces of a trial, of which a channel gives none."""
        plant, states = practice.task.plant, outcome.trajectory.states[:, :-1]
        rows = [
            field_force(plant, states, pattern[outcome.target][:, None])
            for pattern in state.patterns
        ]
        h = torch.stack(rows, dim=-1)  # (R, T, 2, p)
        felt = torch.zeros_like(h[..., 0])
        if outcome.trials.field is not None:
            felt = field_force(plant, states, outcome.trials.field[:, None])
        draws = torch.Generator().manual_seed(state.trial)
        noise = torch.randn(felt.shape, generator=draws, dtype=torch.float64).to(felt)
        felt = felt + self.force_noise_n * noise
        free = (~outcome.clamped).to(h)[:, None]
        information = torch.einsum("rtdp,rtdq->rpq", h, h) / self.force_noise_n**2
        score = torch.einsum("rtdp,rtd->rp", h, felt) / self.force_noise_n**2
        return free[..., None] * information, free * score
