"""An experiment: at which share of a reach the hand is fastest."""

from dataclasses import dataclass, replace

import torch

import neuromotor as nm
from neuromotor.evaluation import bootstrap_interval
from neuromotor.experiments import Experiment, Findings, Nature


@dataclass(frozen=True)
class TimeOfPeak(Experiment):
    """Reaches to the right and to the left, over `distance_m` in `arrival_s`."""

    distance_m: float = 0.1
    arrival_s: float = 0.5
    repeats: int = 10

    title = "Time of peak speed"
    question = "At which share of a reach is the hand fastest?"
    nature = (
        Nature("peak", "time of the peak", "%", 40, 50, 100, "people", "Morasso 1981", about=True),
    )

    def conduct(self, session):
        steps = round(self.arrival_s / session.world.plant.dt_s)
        task = replace(session.world, steps=steps + 10)
        side = self.distance_m * torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double()
        reaches = task.reaches(task.home + side, arrival_s=self.arrival_s)
        run = session.run(task, task.with_noise(reaches, session.generator(), self.repeats))
        speed = run.velocity.norm(dim=-1)
        share = 100 * speed[:, : steps + 1].argmax(dim=1).double() / steps
        mean = speed.reshape(2, self.repeats, -1).mean(1)
        return Findings({"peak": bootstrap_interval(share)}, {"speed": mean.numpy()})

    def draw(self, found, figure):
        ax = figure.subplots()
        ax.plot(100 * found.data["speed"].T)
        ax.set(xlabel="step", ylabel="speed of the hand (cm/s)")


nm.register("time-of-peak", TimeOfPeak)
