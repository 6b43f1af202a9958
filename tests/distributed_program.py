"""What test_distributed.py runs in several processes; not a test itself.

Run as a program it writes every number to a JSON file; imported, `numbers` gives those of one
process.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from cases import generator, noisy, normal

from neuromotor import (
    DDN,
    LBFGS,
    Adam,
    Budget,
    CenterOut,
    ClosedLoop,
    CommandTable,
    ContinuousTimeRNN,
    GatedCell,
    HessianFree,
    KroneckerLBFGS,
    Network,
    train,
)
from neuromotor.training import distributed

TASK = CenterOut(directions=5)  # shares of 3 and 2 trials
NET = ContinuousTimeRNN(layers=(9, 7), private_noise=0.05)
METHODS = {
    "lbfgs": (LBFGS(), Budget(calls=12), 0),
    "hf": (HessianFree(damping=10.0, structural=0.03, iterations=3), Budget(calls=40), 0),
    "hf-part": (
        HessianFree(damping=10.0, curvature_trials=4, seed=3, iterations=3),
        Budget(calls=40),
        0,
    ),
    "kron-lbfgs": (KroneckerLBFGS(), Budget(calls=12), 0),
    "adam-refreshed": (Adam(), Budget(calls=8), 2),
}


def numbers() -> dict[str, list[float]]:
    """Every kind of answer at one point, and short trainings."""
    loop = ClosedLoop(TASK, NET)
    trials = noisy(TASK.trials(), TASK.steps, units=NET.noise_size)
    objective = distributed.objective(loop, trials)
    theta = NET.initial_parameters(generator(1))
    vector = normal(len(theta), seed=2)
    value, gradient = objective.value_and_gradient(theta)
    model = objective.linearize(theta)
    factors = objective.kronecker_factors(theta, generator(3))
    found = {
        "value": [objective.value(theta), value, model.value],
        "gradient": gradient.tolist(),
        "linearized gradient": model.gradient.tolist(),
        "product": model.product(vector).tolist(),
        "damped product": model.product(vector, 0.2).tolist(),
        "rows": torch.cat([block.rows.flatten() for block in factors]).tolist(),
        "columns": torch.cat([block.columns.flatten() for block in factors]).tolist(),
        "places": torch.cat([block.places.flatten() for block in factors]).tolist(),
        "readout": [objective.readout.start],
        "part": objective.part(3, generator(4)).value_and_gradient(theta)[1].tolist(),
    }
    gated = Network(layers=(4,), cell=GatedCell())
    shared = distributed.objective(ClosedLoop(TASK, gated), TASK.trials())
    theta = gated.initial_parameters(generator(1))
    blocks = shared.kronecker_factors(theta, generator(3))
    found["gated rows"] = torch.cat([block.rows.flatten() for block in blocks]).tolist()
    found["gated readout"] = [shared.readout.start]
    for name, (optimizer, budget, refresh) in METHODS.items():
        task = DDN(pairs=5) if refresh else TASK
        net = replace(NET, private_noise=0.0)
        result = train(task, net, optimizer, budget=budget, refresh=refresh, seed=1)
        found[name] = [point.value for point in result.history]
        found[f"{name} parameters"] = result.parameters.tolist()
    return found


def refusals() -> list[str]:
    """What several processes cannot do, in words."""
    words = []
    task = CenterOut(directions=1)
    table = CommandTable(trials=1, steps=task.steps)
    for controller in (NET, table):
        try:
            distributed.objective(ClosedLoop(task, controller), task.trials())
        except ValueError as error:
            words.append(str(error))
    return words


def main() -> None:
    found = {"numbers": numbers(), "refusals": refusals()}
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    distributed.run(main)
