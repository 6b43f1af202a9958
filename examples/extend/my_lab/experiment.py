"""An experiment: at which share of a reach the hand is fastest."""

from dataclasses import dataclass, replace

import neuromotor as nm
from neuromotor.evaluation.bootstrap import bootstrap_interval
from neuromotor.experiments import Experiment, Findings, Nature


@dataclass(frozen=True)
class TimeOfPeak(Experiment):
    """Reaches of 10 cm, to the right and away from the body, in half a second."""

    repeats: int = 10

    title = "Time of peak speed"
    question = "At which share of a reach is the hand fastest?"
    nature = (Nature("peak", "time of the peak", "%", 40, 50, 100, "people", "Morasso 1981"),)

    def conduct(self, session):
        task = replace(session.world, steps=60)
        reach = task.reaches(task.home[None] + 0.07, arrival_s=0.5)
        run = session.run(task, task.with_noise(reach, session.generator(), self.repeats))
        speed = run.velocity.norm(dim=-1)
        peak = bootstrap_interval(2.0 * speed[:, :51].argmax(dim=1))  # of 50 steps, in per cent
        return Findings({"peak": peak}, {"speed": speed.numpy()})

    def draw(self, found, figure):
        ax = figure.subplots(subplot_kw={"xlabel": "step", "ylabel": "speed of the hand (cm/s)"})
        ax.plot(100 * found.data["speed"].T)


nm.register("time-of-peak", TimeOfPeak)
