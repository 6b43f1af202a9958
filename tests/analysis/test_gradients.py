"""The gradient over time against finite differences."""

import numpy as np
import torch
from cases import noisy

from neuromotor import CenterOut, ContinuousTimeRNN
from neuromotor.analysis.gradients import sensitivity
from neuromotor.training.single import initial_parameters

TASK = CenterOut(directions=3, steps=10)
NET = ContinuousTimeRNN(layers=(6, 5), time_constant_s=0.05)
PARAMETERS = initial_parameters(NET, 0)


def test_sensitivity_against_finite_differences():
    trials = noisy(TASK.trials(), TASK.steps)
    found = sensitivity(TASK, NET, PARAMETERS, trials)
    assert found.shape == (3, 10)

    def losses(step, direction, size):
        weights = NET.unpack(PARAMETERS)
        state, memory = trials.initial_state, NET.initial_memory(weights, 3)
        states, commands = [state], []
        from neuromotor.closed_loop.dynamics import advance

        for t in range(TASK.steps):
            if t == step:
                memory = tuple(
                    m + size * d for m, d in zip(memory, direction.split([6, 5], -1), strict=True)
                )
            seen = states[t] + trials.sensory_noise[:, t]
            memory, command = NET.step(weights, memory, seen, trials.target, t, None)
            states.append(advance(TASK.plant, states[-1], command, trials, t))
            commands.append(command)
        return TASK.cost.losses(torch.stack(states, 1), torch.stack(commands, 1), trials)

    for step in (0, 7):
        gradient = torch.stack(
            [
                (losses(step, axis.expand(3, 11), 1e-5) - losses(step, axis.expand(3, 11), -1e-5))
                / 2e-5
                for axis in torch.eye(11).double()
            ],
            dim=-1,
        )
        np.testing.assert_allclose(found[:, step], gradient.norm(dim=-1), rtol=1e-5)
