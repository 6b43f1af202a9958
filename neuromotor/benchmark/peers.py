"""Does the work of one gradient as other toolkits do it, to compare times in one process.

jax computes the very numbers that `ClosedLoop` computes, from the same parameters and trials.
MotorNet (Codol et al. 2024, eLife 12:RP88591) has muscles and an arm of its own, so its gradient is
the nearest work it can do: the same layers, as many trials and steps, a two-joint arm.

Notation: o is the observation, x* the target, h[l] the rate and v[l] the activation of layer l, W
are the weights, and u is the command. The residuals r have ``loss = |r|^2 / 2``; over a batch of B
trials J = dr/dtheta and G = J^T J / B.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from neuromotor.closed_loop.simulate import check_inputs
from neuromotor.controllers.rnn import ContinuousTimeRNN
from neuromotor.plants.arm import TwoJointArm
from neuromotor.plants.plant import components_of
from neuromotor.tasks.center_out import CenterOut
from neuromotor.tasks.trials import Trials

__all__ = ["jax_operations", "motornet_gradient"]

# Steps that jax.lax.scan takes in one turn of its loop. Of 1, 2, 4, 8 and all 40, two gave the
# fastest gradient on a CPU; all 40 take half a minute to compile and are slower.
_UNROLL = 2

Operation = Callable[[], object]


def jax_operations(
    task: CenterOut,
    network: ContinuousTimeRNN,
    parameters: Tensor,
    trials: Trials,
    *,
    vector: Tensor | None = None,
) -> dict[str, Operation]:
    """Return the mean loss, its gradient and a Gauss-Newton product as compiled jax programs.

    Each operation runs on arrays that are already converted, waits for its result and returns jax
    arrays of the dtype of `parameters`; the first call compiles. jax's setting for 64-bit numbers
    is changed only within a call. The weights that act on what changes during a trial lie side by
    side, so that a layer is one product a step; the batch is the last axis, which is the faster
    layout on a CPU.

    Args:
        task: Delay, number of steps and cost; an arm without viscosity and limits, Euler steps.
        network: What commands the arm, without private noise.
        parameters: Its parameters, (P,); jax works on their kind of device.
        trials: Batch without loads and noise, of the dtype and device of `parameters`.
        vector: What the Gauss-Newton matrix is multiplied with, (P,); ones if left out.

    Returns:
        ``value``: the mean loss. ``gradient``: the mean loss and its gradient, (P,).
        ``gauss_newton``: G v, (P,), at a point that is linearized once, here, as
        `CompiledObjective.linearize` does it; a call is the tangent and the adjoint pass alone.

    Raises:
        ImportError: jax is not installed.
        ValueError: Task, network or trials have a part that is not written in jax here, or shapes,
            dtype or device do not fit together.
    """
    plant = _supported_arm(task, network, trials)
    check_inputs(task, parameters, trials)
    if vector is None:
        vector = torch.ones_like(parameters)
    jax = _require("jax")
    device = jax.devices(parameters.device.type)[0]
    double = parameters.dtype == torch.float64

    @contextmanager
    def settings() -> Iterator[None]:
        # A GPU would round the factors of a float32 product to 10 bits, which torch does not.
        with jax.enable_x64(double), jax.default_matmul_precision("highest"):
            yield

    def convert(tensor: Tensor) -> Any:
        return jax.numpy.array(tensor.detach().cpu().numpy(), device=device)  # a copy

    def operation(function: Any, *arguments: Any) -> Operation:
        def call() -> object:
            with settings():
                return jax.block_until_ready(function(*arguments))

        return call

    with settings():
        # A pytree's leaves come in the order of the flat vector, and None is no leaf.
        tree = jax.tree.map(convert, network.unpack(parameters))
        flat, unravel = _require("jax.flatten_util").ravel_pytree(tree)
        residuals = _jax_residuals(task, plant, network, trials, unravel, convert)
        batch = len(trials)

        def loss(theta: Any) -> Any:
            return jax.numpy.square(residuals(theta)).sum() / (2 * batch)

        def product(tangent: Any, direction: Any) -> Any:
            (adjoint,) = jax.linear_transpose(tangent, direction)(tangent(direction))
            return adjoint / batch

        # The tangent pass at `flat`: a pytree whose leaves are what it needs of the forward pass.
        tangent = jax.jit(lambda theta: jax.linearize(residuals, theta)[1])(flat)
        return {
            "value": operation(jax.jit(loss), flat),
            "gradient": operation(jax.jit(jax.value_and_grad(loss)), flat),
            "gauss_newton": operation(jax.jit(product), tangent, convert(vector)),
        }


def motornet_gradient(batch: int, steps: int, dtype: torch.dtype) -> Operation:
    """Return one gradient of a reach of MotorNet's two-joint arm with six muscles.

    A call resets `RandomTargetReach` with `RigidTendonArm26`, steps it under a network of 2 x 100
    tanh units with skips (`ContinuousTimeRNN`, sigmoid at the output) as MotorNet's training
    tutorial does, and pulls the squared error of the last fingertip position and the energy of the
    muscle commands back to the parameters. Every call does the same trials.

    The muscles are `ReluMuscle`, those of the tutorial and the cheapest there are, and the noise
    that can be left out is, so the time is a lower bound of what MotorNet's users wait for.

    Args:
        batch: Number of trials.
        steps: Number of steps, of 10 ms.
        dtype: Must be float32, the only one MotorNet works in.

    Returns:
        An operation that returns the mean loss, a scalar tensor.

    Raises:
        ImportError: MotorNet is not installed.
        ValueError: `dtype` is not float32.
    """
    if dtype != torch.float32:
        raise ValueError(f"`dtype` must be torch.float32, MotorNet's only one, got {dtype}.")
    motornet = _require("motornet")
    effector = motornet.effector.RigidTendonArm26(muscle=motornet.muscle.ReluMuscle())
    environment = motornet.environment.RandomTargetReach(
        effector=effector, max_ep_duration=steps * effector.dt
    )
    network = ContinuousTimeRNN(
        layers=(100, 100),
        input_size=environment.observation_space.shape[0],
        command_size=effector.n_muscles,
        dt_s=effector.dt,
        time_constant_s=effector.dt,
    )
    parameters = network.initial_parameters(torch.Generator().manual_seed(0), dtype=dtype)
    parameters[-effector.n_muscles :] = -5.0  # the tutorial's output bias: slack muscles at first
    parameters.requires_grad_(True)
    energy_weight = CenterOut().energy_weight * effector.dt

    def call() -> object:
        parameters.grad = None
        weights = network.unpack(parameters)
        memory = network.initial_memory(weights, batch)
        observation, info = environment.reset(
            seed=0, options={"batch_size": batch, "deterministic": True}
        )
        commands = []
        for t in range(steps):
            seen = observation  # its first two numbers are the target already
            memory, output = network.step(weights, memory, seen, seen[:, :0], t, None)
            command = torch.sigmoid(output)
            observation, _, _, _, info = environment.step(command, deterministic=True)
            commands.append(command)
        errors = info["states"]["fingertip"] - info["goal"]
        energy = torch.stack(commands).square().sum()
        loss = (errors.square().sum() + energy_weight * energy) / (2 * batch)
        loss.backward()
        return loss.detach()

    return call


def _require(name: str) -> Any:
    """Return a module of the `bench` extra."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"`{name.partition('.')[0]}` is needed for this comparison: use "
            "`pip install -c constraints.txt -e '.[bench]'`."
        ) from error


def _supported_arm(task: CenterOut, network: ContinuousTimeRNN, trials: Trials) -> TwoJointArm:
    """Return the task's arm; raise unless `_jax_residuals` computes all of this."""
    plant = task.plant
    if not isinstance(plant, TwoJointArm) or components_of(plant) is None or plant.viscosity:
        raise ValueError(
            "`task.plant` must be a TwoJointArm with Euler steps, without viscosity and limits, "
            f"for the jax program, got {plant!r}."
        )
    if network.noise_size:
        raise ValueError(
            f"`network.private_noise` must be 0 for the jax program, got {network.private_noise!r}."
        )
    if trials.steps is not None:
        raise ValueError(
            "`trials` must be without loads and noise for the jax program; use `task.trials()`."
        )
    return plant


def _jax_residuals(
    task: CenterOut,
    plant: TwoJointArm,
    network: ContinuousTimeRNN,
    trials: Trials,
    unravel: Callable[[Any], Any],
    convert: Callable[[Tensor], Any],
) -> Callable[[Any], Any]:
    """Return the residuals of all trials in one vector, as a function of the flat parameters."""
    jax = _require("jax")
    jnp = jax.numpy
    n = plant.state_size
    leak = network.dt_s / network.time_constant_s
    start, target = convert(trials.initial_state.T), convert(trials.target.T)  # (n, B)
    error_scale = convert(task.cost.state_weights[-1, :, None].to(trials.dtype).sqrt())  # (n, 1)
    energy_scale = task.cost.energy_weight**0.5

    def split(layer: Any, sees: bool) -> tuple[Any, Any]:
        """Return a layer's weights for [o, h[l-1], h[l]], and what it adds a step, (units, B)."""
        constant = jnp.broadcast_to(layer.bias[:, None], (len(layer.bias), len(trials)))
        if not sees:
            return jnp.concatenate([layer.feedforward, layer.recurrent], axis=1), constant
        observed, aimed, below = jnp.split(layer.feedforward, [n, 2 * n], axis=1)
        weights = jnp.concatenate([observed, below, layer.recurrent], axis=1)
        return weights, constant + aimed @ target

    def residuals(theta: Any) -> Any:
        weights = unravel(theta)
        sees = [i == 0 or network.skip_inputs for i in range(len(weights.layers))]
        parts = [split(layer, seen) for layer, seen in zip(weights.layers, sees, strict=True)]
        activations = tuple(
            jnp.zeros_like(constant)
            if layer.initial is None
            else jnp.broadcast_to(layer.initial[:, None], constant.shape)
            for layer, (_, constant) in zip(weights.layers, parts, strict=True)
        )

        def step(carry: Any, _: None) -> tuple[Any, Any]:
            states, activations, rates = carry  # states: the last delay + 1, oldest first
            after: list[Any] = []
            rate: list[Any] = []
            for i, (matrix, constant) in enumerate(parts):
                inputs = [states[0]] if sees[i] else []
                inputs += [*rate[-1:], rates[i]]
                drive = matrix @ jnp.concatenate(inputs) + constant
                before = activations[i]
                after.append(drive if leak == 1.0 else before + leak * (drive - before))
                rate.append(jnp.tanh(after[-1]))
            command = weights.output @ rate[-1] + weights.output_bias[:, None]
            states = (*states[1:], _jax_arm_step(jnp, plant, states[-1], command))
            return (states, tuple(after), tuple(rate)), command

        first = ((start,) * (task.delay_steps + 1), activations, tuple(map(jnp.tanh, activations)))
        (states, _, _), commands = jax.lax.scan(
            step, first, None, length=task.steps, unroll=_UNROLL
        )
        errors = error_scale * (states[-1] - target)
        return jnp.concatenate([errors.ravel(), energy_scale * commands.ravel()])

    return residuals


def _jax_arm_step(jnp: Any, arm: TwoJointArm, state: Any, torque: Any) -> Any:
    """Return `TwoJointArm.step` of states (4, B) and torques (2, B), by Euler, in jax."""
    a1, a2, a3 = arm.parameters.inertia_constants
    _, elbow, shoulder_rate, elbow_rate = state
    coupling = a2 * jnp.cos(elbow)
    bend = a2 * jnp.sin(elbow)
    shoulder_net = torque[0] + bend * elbow_rate * (2 * shoulder_rate + elbow_rate)
    elbow_net = torque[1] - bend * shoulder_rate * shoulder_rate
    m12 = a3 + coupling
    determinant = a3 * (a1 - a3) - coupling * coupling
    slopes = [
        shoulder_rate,
        elbow_rate,
        (a3 * shoulder_net - m12 * elbow_net) / determinant,
        ((a1 + 2 * coupling) * elbow_net - m12 * shoulder_net) / determinant,
    ]
    return state + arm.dt_s * jnp.stack(slopes)
