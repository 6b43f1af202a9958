"""The same work done by jax, and the nearest work that MotorNet can do, as callables to be timed.

Both are extras (`pip install -c constraints.txt -e '.[bench]'`); nothing here imports them early.

Notation: as `neuromotor.closed_loop.passes`; the jax loss is written the way a careful jax user
would: one `lax.scan` over steps, a layer one product with stacked weights, the target's drive
computed once.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuromotor.controllers.rnn import ContinuousTimeRNN
from neuromotor.plants.arm import TwoJointArm
from neuromotor.tasks.center_out import CenterOut
from neuromotor.tasks.trials import Trials

__all__ = ["jax_operations", "motornet_gradient"]

Operation = Callable[[], Any]


def jax_operations(
    task: CenterOut, network: ContinuousTimeRNN, parameters: Tensor, trials: Trials
) -> dict[str, Operation]:
    """Return value, gradient and Gauss-Newton product of the mean loss, compiled by `jax.jit`.

    Args:
        task: Center-out with an Euler arm without viscosity and limits, without delay.
        network: Two or any number of layers that all see the input, time constant of one step.
        parameters: Where, (P,); its dtype is used throughout.
        trials: The task's trials, without loads and noise.

    Returns:
        By operation, a callable that returns when the result is there: the value, value and
        gradient (P,), and ``J^T J p / B`` (P,) with p the parameters themselves.

    Raises:
        ImportError: jax is not installed.
        ValueError: The task or network is beyond what is written here.
    """
    plant = task.plant
    if not isinstance(plant, TwoJointArm) or not plant.has_numpy_step or task.delay_steps:
        raise ValueError("`task` must have a plain Euler arm and no delay for the jax comparison.")
    if network.time_constant_s != network.dt_s or not network.skip_inputs or network.noise_size:
        raise ValueError("`network` must be the discrete one with skip inputs and without noise.")
    jax = _imported("jax")
    jnp, lax = jax.numpy, jax.lax
    # Without it jax makes float32 of float64; arrays that are float32 stay so.
    jax.config.update("jax_enable_x64", True)

    weights = network.unpack(parameters)
    shapes = [
        tuple(part.shape) for layer in weights.layers for part in layer[:3] if part is not None
    ]
    shapes += [tuple(weights.output.shape), tuple(weights.output_bias.shape)]
    start, target = (jnp.asarray(x.numpy()) for x in (trials.initial_state, trials.target))
    # The weights of this task's cost are those of the final state alone.
    final_weights = jnp.asarray(task.cost.state_weights[-1].sqrt().to(parameters.dtype).numpy())
    alpha_root = float(task.cost.energy_weight) ** 0.5
    a1, a2, a3 = plant.parameters.inertia_constants
    n, batch, dt = plant.state_size, len(trials), plant.dt_s

    def unflatten(theta: Any) -> list[Any]:
        pieces, place = [], 0
        for shape in shapes:
            size = int(np.prod(shape))
            pieces.append(theta[place : place + size].reshape(shape))
            place += size
        return pieces

    def step(x: Any, u: Any) -> Any:
        elbow, shoulder_rate, elbow_rate = x[:, 1], x[:, 2], x[:, 3]
        coupling, bend = a2 * jnp.cos(elbow), a2 * jnp.sin(elbow)
        net1 = u[:, 0] + bend * elbow_rate * (2 * shoulder_rate + elbow_rate)
        net2 = u[:, 1] - bend * shoulder_rate * shoulder_rate
        m12 = a3 + coupling
        determinant = a3 * (a1 - a3) - coupling * coupling
        acc1 = (a3 * net1 - m12 * net2) / determinant
        acc2 = ((a1 + 2 * coupling) * net2 - m12 * net1) / determinant
        return x + dt * jnp.stack([shoulder_rate, elbow_rate, acc1, acc2], axis=1)

    def residuals(theta: Any) -> Any:
        *pieces, out, out_bias = unflatten(theta)
        stacked, drives = [], []
        for i in range(len(network.layers)):
            w_in, w_rec, bias = pieces[3 * i : 3 * i + 3]
            stacked.append(jnp.concatenate([w_in[:, :n], w_in[:, 2 * n :], w_rec], axis=1).T)
            drives.append(target @ w_in[:, n : 2 * n].T + bias)

        def body(carry: Any, _: Any) -> Any:
            x, rates = carry
            after: list[Any] = []
            for i, rate in enumerate(rates):
                below = [after[-1]] if i else []
                inputs = jnp.concatenate([x, *below, rate], axis=1)
                after.append(jnp.tanh(inputs @ stacked[i] + drives[i]))
            u = after[-1] @ out.T + out_bias
            return (step(x, u), after), u

        rest = [jnp.zeros((batch, units), start.dtype) for units in network.layers]
        (x, _), commands = lax.scan(body, (start, rest), None, length=task.steps)
        errors = final_weights * (x - target)
        return jnp.concatenate([errors.ravel(), alpha_root * commands.ravel()])

    def loss(theta: Any) -> Any:
        return 0.5 * jnp.sum(residuals(theta) ** 2) / batch

    def product(theta: Any, vector: Any) -> Any:
        _, tangent = jax.jvp(residuals, (theta,), (vector,))
        _, pull_back = jax.vjp(residuals, theta)
        return pull_back(tangent)[0] / batch

    theta = jnp.asarray(parameters.numpy())
    value, gradient = jax.jit(loss), jax.jit(jax.value_and_grad(loss))
    gauss_newton = jax.jit(product)
    return {
        "value": lambda: jax.block_until_ready(value(theta)),
        "gradient": lambda: jax.block_until_ready(gradient(theta)),
        "gauss_newton": lambda: jax.block_until_ready(gauss_newton(theta, theta)),
    }


def motornet_gradient(batch: int, steps: int) -> Operation:
    """Return one gradient of MotorNet's own reaching task, as its tutorials train it.

    Its two-joint arm with six muscles (`RigidTendonArm26` with `MujocoHillMuscle`, Euler, 10 ms)
    under a plain torch network of the same two layers of 100 tanh units with skip inputs and six
    sigmoid outputs; the loss is the hand's mean distance from its target. Its arithmetic is
    float32, and its arm has muscles: nearest work, not the same.

    Args:
        batch: Trials.
        steps: Steps a trial.

    Returns:
        A callable that runs the trials and returns the loss with gradients computed.

    Raises:
        ImportError: MotorNet is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about its own observation sizes when imported
        motornet = _imported("motornet")
        effector = motornet.effector.RigidTendonArm26(
            muscle=motornet.muscle.MujocoHillMuscle(), timestep=0.01
        )
        environment = motornet.environment.RandomTargetReach(
            effector=effector, max_ep_duration=0.01 * steps
        )
        observation, _ = environment.reset(seed=0, options={"batch_size": batch})
    inputs, units, muscles = observation.shape[1], 100, environment.n_muscles
    torch.manual_seed(0)
    layer_1 = torch.nn.Linear(inputs + units, units)
    layer_2 = torch.nn.Linear(inputs + 2 * units, units)
    output = torch.nn.Linear(units, muscles)
    module = torch.nn.ModuleList([layer_1, layer_2, output])

    def gradient() -> Tensor:
        module.zero_grad()
        seen, info = environment.reset(options={"batch_size": batch})
        rate_1 = rate_2 = torch.zeros(batch, units)
        distances = []
        for _ in range(steps):
            rate_1 = torch.tanh(layer_1(torch.cat([seen, rate_1], dim=1)))
            rate_2 = torch.tanh(layer_2(torch.cat([seen, rate_1, rate_2], dim=1)))
            action = torch.sigmoid(output(rate_2))
            seen, _, _, _, info = environment.step(action=action)
            distances.append((info["states"]["fingertip"][:, :2] - info["goal"]).abs().sum(-1))
        loss = torch.stack(distances).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return gradient


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{name} is needed for this comparison: pip install -c constraints.txt -e '.[bench]'"
        ) from error
