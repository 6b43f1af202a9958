"""Compiled loops against autograd and dense matrices, for every cell and squashing of commands."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from cases import generator, noisy, normal

from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.compiled.objective import CompiledObjective
from neuromotor.closed_loop.expected import ExpectedObjective
from neuromotor.controllers import (
    ContinuousTimeRNN,
    GatedCell,
    LeakyCell,
    LSTMCell,
    Network,
    TanhCell,
)
from neuromotor.plants import (
    HUMAN,
    HUMAN_VISCOSITY,
    RK4,
    CursorArm,
    MuscleArm,
    PointMass,
    TwoJointArm,
    point_mass_components,
)
from neuromotor.tasks import TASKS, CenterOut, Channel, CursorReach, Senses, SensesInUse
from neuromotor.tasks.cursor_cost import CursorCost
from neuromotor.tasks.penalties import Penalties, Penalty
from neuromotor.tasks.task import input_size

PLANTS = {
    "arm": TwoJointArm(HUMAN, viscosity=HUMAN_VISCOSITY, command_limit=(5.0, 3.0)),
    "mass": PointMass(damping=0.3),
}
NETWORKS = {
    "tanh": Network(cell=TanhCell(0.4), layers=(9, 4), private_noise=0.1),
    "gated": Network(cell=GatedCell(), layers=(7,)),
    "gated in layers": Network(
        cell=GatedCell(),
        layers=(6, 5),
        skip_inputs=False,
        private_noise=0.1,
        learn_initial_state=True,
    ),
    "gated, tanh": Network(cell=GatedCell(), layers=(5, 3), squash="tanh"),
    "reset after": Network(cell=GatedCell(reset_after=True), layers=(7,)),
    "reset after in layers": Network(
        cell=GatedCell(reset_after=True),
        layers=(6, 5),
        private_noise=0.1,
        learn_initial_state=True,
    ),
    "gated, told its commands": Network(cell=GatedCell(), layers=(6, 5), efference_copies=4),
    "tanh, told its last command": ContinuousTimeRNN(
        layers=(6, 5), skip_inputs=False, efference_copies=1
    ),
    "lstm, told more commands than steps": Network(
        cell=LSTMCell(), layers=(5, 4), squash="tanh", efference_copies=20
    ),
    "lstm": Network(cell=LSTMCell(), layers=(7,)),
    "lstm in layers": Network(
        cell=LSTMCell(forget_bias=0.5),
        layers=(6, 5),
        private_noise=0.1,
        learn_initial_state=True,
    ),
    "logistic": Network(layers=(5, 4), squash="logistic", learn_initial_state=True),
    "rectified": Network(layers=(5,), squash="rectified"),
    "leak on the rate": Network(
        layers=(6, 4),
        cell=LeakyCell(leak=(0.5,), leak_on="rate", noise_on="rate"),
        private_noise=0.3,
        learn_initial_state=True,
    ),
    **{
        f"leak on the rate, {kind}": Network(
            layers=(5,),
            cell=LeakyCell((kind,), leak=(0.3,), leak_on="rate", threshold=0.1),
            private_noise=0.1,
        )
        for kind in ("logistic", "rectified", "linear")
    },
}


def made(network, plant="arm", *, trials=5, steps=15, delay=2, dtype=torch.float64):
    task = CenterOut(plant=PLANTS[plant], directions=trials, steps=steps, delay_steps=delay)
    net = NETWORKS[network]
    batch = noisy(task.trials(), steps, units=net.noise_size).to(dtype=dtype)
    theta = net.initial_parameters(generator(1)) + 0.1 * normal(net.parameter_count, seed=4)
    return ClosedLoop(task, net), theta.to(dtype), batch


def relative(one, two):
    return float((one - two).norm() / two.norm())


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_cell_and_plant_equals_autograd(network, plant):
    loop, theta, trials = made(network, plant)
    fast, slow = loop.objective(trials), loop.objective(trials, fast=False)
    assert isinstance(fast, CompiledObjective)
    value, gradient = slow.value_and_gradient(theta)
    assert fast.value(theta) == pytest.approx(value, rel=1e-10)
    found = fast.value_and_gradient(theta)
    assert found[0] == pytest.approx(value, rel=1e-10)
    assert relative(found[1], gradient) < 1e-10
    one, two, direction = fast.linearize(theta), slow.linearize(theta), normal(len(theta), seed=9)
    assert relative(one.gradient, gradient) < 1e-10
    for structural in (0.0, 0.5):
        wanted = two.product(direction, structural)
        assert relative(one.product(direction, structural), wanted) < 1e-10


@pytest.mark.parametrize("plant", ["arm", "mass"])
def test_a_field_that_begins_within_a_trial_equals_autograd(plant):
    loop, theta, trials = made("tanh", plant)
    on = torch.linspace(-0.5, 1.5, 15).double().clamp(0, 1)[None, :, None].repeat(5, 1, 1)
    on[0] = 0.0  # never
    field = 2.0 * normal(5, 2, 5, seed=6)
    trials = replace(trials, field=field, field_on=on)
    assert loop.why_not_compiled(trials) is None
    fast, slow = loop.objective(trials, fast=True), loop.objective(trials, fast=False)
    value, gradient = slow.value_and_gradient(theta)
    found = fast.value_and_gradient(theta)
    assert found[0] == pytest.approx(value, rel=1e-10)
    assert relative(found[1], gradient) < 1e-10
    direction = normal(len(theta), seed=9)
    wanted = slow.linearize(theta).product(direction)
    assert relative(fast.linearize(theta).product(direction), wanted) < 1e-10


HAND = Senses((Channel("hand_position"),))
CHANNELS = {
    "hand": Senses(
        (
            Channel("hand_velocity", delay_steps=1, scale=2.0, noise=0.1),
            Channel("joint_position", delay_steps=4),
            Channel("hand_position", delay_steps=3, relative=True, signal_noise=0.2),
        ),
        target=(Channel("hand_position", delay_steps=3, relative=True),),
    ),
    "two delays": Senses(
        (
            Channel("joint_position", delay_steps=1, scale=2.0, relative=True),
            Channel("joint_velocity", delay_steps=6),
            Channel("joint_position", delay_steps=4, signal_noise=0.2),
        ),
        target=(Channel("hand_position", delay_steps=3, relative=True),),
    ),
    "with noise": Senses((Channel("state", noise=0.1, signal_noise=0.3, scale=0.5),)),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_equal_autograd(name):
    """Each with its own delay, noise and scale; targets may be told in any signal."""
    task = CenterOut(plant=PLANTS["arm"], directions=5, steps=15, senses=CHANNELS[name])
    plain = noisy(replace(task, senses=None).trials(), 15)
    draws = SensesInUse.of(task).draws
    trials = replace(
        plain,
        sensory_noise=1e-2 * normal(5, 15, draws, seed=2),
        signal_noise=0.2 * normal(5, 15, draws, seed=3),
        shown_target=plain.target[:, None] + 0.1 * normal(5, 15, 4, seed=5),
    )
    net = Network(layers=(6, 5), input_size=input_size(task, trials))
    loop, theta = ClosedLoop(task, net), normal(net.parameter_count, seed=4)
    fast, slow = loop.objective(trials, fast=True), loop.objective(trials, fast=False)
    value, gradient = slow.value_and_gradient(theta)
    found = fast.value_and_gradient(theta)
    assert found[0] == pytest.approx(value, rel=1e-10)
    assert relative(found[1], gradient) < 1e-10
    direction = normal(len(theta), seed=9)
    wanted = slow.linearize(theta).product(direction)
    assert relative(fast.linearize(theta).product(direction), wanted) < 1e-10


def test_a_hand_in_space_is_not_sensed_in_compiled_loops():
    task = replace(TASKS["spatial-reach"], senses=HAND)
    net = Network(layers=(4,), input_size=9, command_size=4)
    reason = ClosedLoop(task, net).why_not_compiled()
    assert reason == "the task senses what is computed from the plant's state"


@pytest.mark.slow
@pytest.mark.parametrize("factors", [False, True])
def test_what_muscles_and_the_hand_tell_equals_autograd(factors):
    plant = MuscleArm(force_length=factors, force_velocity=factors)
    signals = ("hand_position", "muscle_length", "hand_velocity", "muscle_velocity")
    senses = Senses(tuple(Channel(name, delay_steps=i) for i, name in enumerate(signals)))
    task = CenterOut(plant=plant, directions=5, steps=15, senses=senses)
    net = Network(layers=(6, 5), input_size=input_size(task, task.trials()), command_size=6)
    loop, theta = ClosedLoop(task, net), normal(net.parameter_count, seed=4)
    assert loop.why_not_compiled() is None
    trials = task.trials()
    fast, slow = loop.objective(trials, fast=True), loop.objective(trials, fast=False)
    value, gradient = slow.value_and_gradient(theta)
    found = fast.value_and_gradient(theta)
    assert found[0] == pytest.approx(value, rel=1e-10)
    assert relative(found[1], gradient) < 1e-10
    direction = normal(len(theta), seed=9)
    wanted = slow.linearize(theta).product(direction)
    assert relative(fast.linearize(theta).product(direction), wanted) < 1e-10


CURSOR = CursorReach(
    plant=CursorArm(rotation_deg=30.0, gain=1.3),
    steps=25,
    pairs=5,
    arrival_s=(0.1, 0.2),
    torque_rate_weight=1e-4,
    force_rate_weight=1e-7,
    work_weight=1e-2,
    bars=0.5,
    jumps=0.6,
    pushes=0.6,
)


def pushed(task, *, in_field=False):
    """Trials of a cursor with every kind of load and noise."""
    trials = task.trials(generator(3))
    batch, steps = len(trials), task.steps
    return replace(
        trials,
        hand_force=0.2 * normal(batch, steps, 2, seed=5),
        signal_noise=0.1 * normal(batch, steps, SensesInUse.of(task).draws, seed=6),
        field=2.0 * normal(batch, 2, 5, seed=7) if in_field else None,
    )


@pytest.mark.parametrize(
    "kind",
    ["tanh", "in a field", "penalised", "gated", pytest.param("lstm", marks=pytest.mark.slow)],
)
def test_a_cursor_that_is_seen_and_weighed_features_equal_autograd(kind):
    """Jumps, bars, pushes, work and force rates, or penalties in place of these."""
    task = CURSOR
    if kind == "penalised":
        terms = (Penalty("rates", 1e-3), Penalty("weights", 1e-4))
        task = replace(CURSOR, force_rate_weight=0.0, penalties=Penalties(terms))
    trials = pushed(task, in_field=kind == "in a field")
    cell = {"gated": GatedCell(), "lstm": LSTMCell()}.get(kind, TanhCell(0.4))
    net = Network(cell=cell, layers=(6, 5), input_size=input_size(task, trials))
    loop = ClosedLoop(task, net)
    theta = net.initial_parameters(generator(1)) + 0.1 * normal(net.parameter_count, seed=4)
    fast, slow = loop.objective(trials, fast=True), loop.objective(trials, fast=False)
    value, gradient = slow.value_and_gradient(theta)
    assert fast.value(theta) == pytest.approx(value, rel=1e-10)
    found = fast.value_and_gradient(theta)
    assert found[0] == pytest.approx(value, rel=1e-10)
    assert relative(found[1], gradient) < 1e-10
    direction = normal(len(theta), seed=9)
    wanted = slow.linearize(theta).product(direction)
    assert relative(fast.linearize(theta).product(direction), wanted) < 1e-10
    one, two = (objective.kronecker_factors(theta, generator(3)) for objective in (fast, slow))
    by_place = {tuple(block.places.flatten().tolist()): block for block in two}
    for block in one:
        other = by_place[tuple(block.places.flatten().tolist())]
        assert relative(block.rows, other.rows) < 1e-9
        assert relative(block.columns, other.columns) < 1e-9


def test_noise_that_is_expected_goes_the_general_way_where_features_are_weighed():
    trials = replace(CURSOR.trials(), sensory_noise=None, plant_noise=None)
    net = Network(layers=(6,), input_size=input_size(CURSOR, trials))
    loop = ClosedLoop(CURSOR, net)
    assert isinstance(loop.objective(trials), CompiledObjective)
    assert type(loop.expected(trials)) is ExpectedObjective


@pytest.mark.parametrize("network", ["gated", "reset after"])
def test_the_product_of_gated_units_is_that_of_the_dense_matrix(network):
    loop, theta, trials = made(network, steps=8, trials=3)
    cost = loop.task.cost

    def residuals(parameters):
        run = loop.simulate(parameters, trials)
        return cost.residuals(run.states, run.commands, trials).flatten()

    jacobian = torch.autograd.functional.jacobian(residuals, theta)
    dense = jacobian.T @ jacobian / len(trials)
    linear = loop.objective(trials).linearize(theta)
    for seed in range(3):
        direction = normal(len(theta), seed=seed)
        assert relative(linear.product(direction), dense @ direction) < 1e-9


@pytest.mark.parametrize("network", ["tanh", "gated in layers"])
def test_threads_change_rounding_at_most_and_repeats_change_nothing(network):
    loop, theta, trials = made(network, trials=70)
    direction, found = normal(len(theta), seed=9), {}
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            objective = loop.objective(trials)
            results = [
                (
                    objective.value_and_gradient(theta)[1],
                    objective.linearize(theta).product(direction),
                )
                for _ in range(2)
            ]
            for one, two in zip(*results, strict=True):
                assert torch.equal(one, two)
            found[threads] = results[0]
    finally:
        torch.set_num_threads(before)
    for threads in (2, 5):
        for one, two in zip(found[threads], found[1], strict=True):
            assert relative(one, two) < 1e-12


def test_objectives_of_one_loop_share_room_and_do_not_disturb_each_other():
    loop, theta, trials = made("tanh", trials=40)
    direction = normal(len(theta), seed=9)
    objectives = [loop.objective(trials.subset(slice(i, None, 2))) for i in range(2)]

    def results(objective):
        linear = objective.linearize(theta)
        for _ in range(20):
            value, gradient = objective.value_and_gradient(theta)
            product = linear.product(direction)
        return value, gradient, product

    alone = [
        results(ClosedLoop(loop.task, loop.controller).objective(one.trials)) for one in objectives
    ]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(results, objectives))
    for found, wanted in zip(together, alone, strict=True):
        assert found[0] == wanted[0]
        assert torch.equal(found[1], wanted[1])
        assert torch.equal(found[2], wanted[2])


@pytest.mark.parametrize("network", ["tanh", "gated"])
def test_single_precision_is_single_precision(network):
    loop, theta, trials = made(network)
    exact = loop.objective(trials).value_and_gradient(theta)
    rounded = loop.objective(trials.to(dtype=torch.float32)).value_and_gradient(theta.float())
    assert rounded[1].dtype == torch.float32
    assert rounded[0] == pytest.approx(exact[0], rel=1e-4)
    assert relative(rounded[1].double(), exact[1]) < 1e-3


@pytest.mark.parametrize("count", [1, 31, 33, 100])
def test_any_number_of_trials_is_divided_into_blocks(count):
    loop, theta, trials = made("tanh", trials=count)
    fast, slow = loop.objective(trials), loop.objective(trials, fast=False)
    one, two = fast.value_and_gradient(theta), slow.value_and_gradient(theta)
    assert one[0] == pytest.approx(two[0], rel=1e-10)
    assert relative(one[1], two[1]) < 1e-10


@pytest.mark.parametrize("network", NETWORKS)
def test_kronecker_factors_are_those_of_the_tape(network):
    loop, theta, trials = made(network)
    fast, slow = (
        objective.kronecker_factors(theta, generator(3))
        for objective in (loop.objective(trials), loop.objective(trials, fast=False))
    )
    by_place = {tuple(sorted(block.places.flatten().tolist())): block for block in slow}
    assert len(by_place) == len(fast)
    for block in fast:
        other = by_place[tuple(sorted(block.places.flatten().tolist()))]
        own, theirs = block.places[0].argsort(), other.places[0].argsort()
        assert torch.equal(block.places[:, own], other.places[:, theirs])
        assert relative(block.rows, other.rows) < 1e-9
        columns = block.columns[own][:, own]
        assert relative(columns, other.columns[theirs][:, theirs]) < 1e-9


def test_an_arm_that_flies_off_has_an_infinite_loss():
    loop, theta, trials = made("tanh", steps=200)
    assert loop.objective(trials).value(1e200 * theta) == float("inf")


class Dull(PointMass):
    """A mass whose functions on components know nothing of force fields."""

    @property
    def components(self):
        known = SimpleNamespace(
            **{name: getattr(point_mass_components, name) for name in ("step", "jacobian", "hand")}
        )
        return replace(super().components, functions=known)


def test_what_is_not_compiled_says_why():
    class Own(ContinuousTimeRNN):
        """May override anything."""

    task = CenterOut(directions=2, steps=5)
    assert ClosedLoop(task, ContinuousTimeRNN()).why_not_compiled() is None
    assert "(Own)" in ClosedLoop(task, Own()).why_not_compiled()
    field = replace(task.trials(), field=torch.zeros(2, 2, 5).double())
    assert ClosedLoop(task, ContinuousTimeRNN()).why_not_compiled(field) is None
    dull = replace(task, plant=Dull())
    assert ClosedLoop(dull, ContinuousTimeRNN()).why_not_compiled() is None
    assert "(Dull) has no compiled pieces for a force field" in ClosedLoop(
        dull, ContinuousTimeRNN()
    ).why_not_compiled(field)


def test_a_cost_that_weighs_features_otherwise_is_not_compiled():
    class Own(CursorCost):
        """May override anything."""

    task, net = CursorReach(), ContinuousTimeRNN()
    assert ClosedLoop(task, net).why_not_compiled() is None
    cost = task.cost
    own = SimpleNamespace(
        plant=task.plant,
        senses=task.senses,
        delay_steps=task.delay_steps,
        steps=task.steps,
        cost=Own(cost.state_weights, cost.energy_weight, cost.plant),
    )
    assert ClosedLoop(own, net).why_not_compiled() == "the cost (Own) may override something"
    late = replace(task, plant=CursorArm(TwoJointArm(integrator=RK4())))
    assert ClosedLoop(late, net).why_not_compiled() is not None
