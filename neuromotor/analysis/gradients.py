"""How strongly the loss of a trial depends on the network's activations at each step.

Notation: L is the loss of a trial, and v_t are the activations from which step t starts.

    sensitivity: |dL / dv_t| through network and limb, over the steps t of a trial

Where it shrinks or grows by orders of magnitude from the end of a trial to its beginning, the
gradient vanishes or explodes (Bengio et al. 1994).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor.analysis.recording import recorded_run
from neuromotor.analysis.section import Findings, Material, SectionSpec
from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.controllers import Controller
from neuromotor.tasks import Task, Trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_sensitivity", "sensitivity"]


@torch_threads()
def sensitivity(
    task: Task, controller: Controller, parameters: Tensor, trials: Trials | None = None
) -> NDArray[np.float64]:
    """Return |dL / dv_t| of each trial and step, (B, T): L a trial's loss, network and limb in it.

    v_t is the memory that step t starts from: activations of all layers, and copies of commands
    where a network is given some.
    """
    if trials is None:
        trials = task.trials(dtype=parameters.dtype, device=parameters.device)
    weights = controller.unpack(parameters.detach())
    memory = controller.initial_memory(weights, len(trials))
    if not memory:
        raise ValueError("`controller` must have memory to have a sensitivity; give a network.")
    probe = _Probed(controller, trials, task.steps, tuple(part.shape[-1] for part in memory))
    run = ClosedLoop(task, cast(Controller, probe)).simulate(parameters.detach(), trials)
    loss = task.cost.losses(run.states, run.commands, trials).sum()
    (gradient,) = torch.autograd.grad(loss, probe.nudge)
    values: NDArray[np.float64] = gradient.norm(dim=-1).T.double().cpu().numpy()
    return values


class _Probed:
    """A controller whose memory gets a nudge of zero before each step, to take gradients by."""

    def __init__(
        self, controller: Controller, trials: Trials, steps: int, sizes: tuple[int, ...]
    ) -> None:
        self.controller = controller
        self.sizes = sizes
        self.nudge = torch.zeros(
            steps, len(trials), sum(sizes), dtype=trials.dtype, device=trials.device
        ).requires_grad_(True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.controller, name)

    def step(self, weights, memory, observation, target, t, noise):  # type: ignore[no-untyped-def]
        """Step as the controller does, from the nudged memory."""
        nudges = torch.split(self.nudge[t], list(self.sizes), dim=-1)
        memory = tuple(part + nudge for part, nudge in zip(memory, nudges, strict=True))
        return self.controller.step(weights, memory, observation, target, t, noise)


def plot_sensitivity(time_s: NDArray[np.float64], values: NDArray[np.float64]) -> Figure:
    """Draw the gradient of the loss with respect to the activations over time, every trial."""
    from neuromotor.analysis.drawing import NULL_COLOR, panels
    from neuromotor.plotting import COLORS

    with panels(figsize=(3.8, 2.6)) as (figure, ax):
        ax.semilogy(1e3 * time_s, values.T, color=NULL_COLOR, linewidth=0.5)
        ax.semilogy(1e3 * time_s, np.median(values, axis=0), color=COLORS[0], label="median")
        ax.set(xlabel="time (ms)", ylabel="|d loss / d activation|")
        ax.legend()
    return figure


def _section(given: Material) -> Findings:
    """How strongly the loss depends on the activations over time."""
    network = given.network
    task, trials = recorded_run(given.recording)
    parameters = network.parameters.to(trials.initial_state)
    values = sensitivity(task, network.controller, parameters, trials)
    profile = np.median(values, axis=0)
    numbers = {
        "first_step": profile[0],
        "last_step": profile[-1],
        "first_over_last": profile[0] / profile[-1] if profile[-1] > 0 else np.nan,
        "largest_over_smallest": profile.max() / profile.min() if profile.min() > 0 else np.nan,
    }
    text = (
        "The gradient says how strongly the loss of a recorded trial depends on the activations "
        "from which each step starts."
    )
    times = np.asarray(task.plant.dt_s * np.arange(len(profile)), np.float64)
    return Findings(text, numbers, {"sensitivity": partial(plot_sensitivity, times, values)})


SECTION = SectionSpec(
    "sensitivity",
    "Gradient over time",
    160,
    _section,
    ("controller",),
    reading="The higher a line, the more the loss depends on activity at that moment; there is no "
    "null.",
)
