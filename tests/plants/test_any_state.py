"""An arm with muscles, a mass and an arm in space run through whatever takes a plant."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import generator, normal
from gymnasium.utils.env_checker import check_env
from limbs import SpaceMass
from typer.testing import CliRunner

from neuromotor import LBFGS, Budget, train
from neuromotor.analysis import behaviour, load_recording, record, recorded_run, save_recording
from neuromotor.analysis.layout import RecordingError
from neuromotor.cli.app import app
from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQG, ILQR
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.envs import ControllerPolicy, MotorEnv, MotorVectorEnv, rollout
from neuromotor.evaluation.performance import assess, controller_runner
from neuromotor.plants import PLANTS, MuscleArm, PointMass, SpatialArm, TwoJointArm
from neuromotor.plants.plant import by_part, views_of
from neuromotor.plotting import comparison_figures, plot_hand_paths
from neuromotor.tasks import (
    DDN,
    CenterOut,
    ForceField,
    Friction,
    InstructedDelay,
    Interception,
    Postural,
    PulsedReach,
    ReachSequence,
    Swing,
    Tracking,
)
from neuromotor.tasks.task import input_size
from neuromotor.training.comparison import compare

MUSCLES = CenterOut(plant=MuscleArm(), directions=3, radius_m=0.005, steps=10, delay_steps=2)
SPACE = CenterOut(plant=SpaceMass(), directions=3, radius_m=0.05, steps=8, delay_steps=1)
SPATIAL = CenterOut(
    plant=SpatialArm(), directions=3, radius_m=0.05, steps=8, delay_steps=1, targets="sphere"
)
TASKS = {"muscles": MUSCLES, "space": SPACE, "spatial": SPATIAL}
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def network(task):
    plant = task.plant
    sizes = {"input_size": input_size(task, task.trials()), "command_size": plant.command_size}
    net = ContinuousTimeRNN(layers=(5,), **sizes)
    return net, 0.3 * net.initial_parameters(generator(1))


def loaded(task, seed=0):
    """The task's trials with a load and a force on the hand from step 3 on, and noise."""
    trials, plant = task.trials(), task.plant
    batch, on = len(trials), (torch.arange(task.steps) >= 3)[None, :, None]
    return replace(
        trials,
        load=0.01 * on * normal(batch, 1, plant.load_size, seed=seed),
        hand_force=0.02 * on * normal(batch, 1, plant.hand_size, seed=seed + 1),
        command_noise=0.1 * normal(batch, task.steps, plant.command_size, seed=seed + 2),
        plant_noise=1e-4 * normal(batch, task.steps, plant.state_size, seed=seed + 3),
        sensory_noise=1e-3 * normal(batch, task.steps, plant.state_size, seed=seed + 4),
    )


# ---- what plants say of themselves ----


def test_defaults_are_those_of_mechanics():
    for plant in (TwoJointArm(), PointMass()):
        assert (plant.state_size, plant.command_size, plant.load_size) == (4, 2, 2)
        assert dict(plant.state_parts) == {"position": slice(0, 2), "velocity": slice(2, 4)}
        assert plant.command_bounds is None
        assert plant.feedback == (0, 1, 2, 3)
        assert plant.load_labels == plant.command_labels
        assert plant.rest_state(torch.tensor([0.3, 0.4])).tolist()[2:] == [0.0, 0.0]
    arm = TwoJointArm()
    assert arm.hand_limits == pytest.approx((0.145 + 0.284, 100 * (0.145 + 0.284)))
    assert PointMass().state_limits == (2.0, 2.0, 20.0, 20.0)


def test_a_part_beyond_mechanics_is_the_actuators():
    plant = MuscleArm()
    assert dict(plant.state_parts)["activation"] == slice(4, 10)
    assert by_part(plant, position=2.0, velocity=3.0).tolist() == [2, 2, 3, 3, *[0] * 6]
    rest = plant.rest_state(torch.tensor([[0.3, 0.4]]))
    assert rest.shape == (1, 10)
    assert not rest[:, 2:].any()


def test_the_hands_velocity_follows_from_its_position():
    arm, states = MuscleArm(), torch.cat([normal(5, 4), 0.5 * torch.ones(5, 6)], dim=-1).double()
    expected = TwoJointArm().hand_velocity(states[:, :4])
    torch.testing.assert_close(arm.hand_velocity(states), expected)
    assert arm.hand_limits[0] == pytest.approx(0.429)


class Pulling(MuscleArm):
    """Muscles that are never slack."""

    command_bounds = ((0.1,) * 6, (1.0,) * 6)


def test_a_plant_that_lacks_something_is_refused_by_name():
    class Bare:
        dt_s, home = 0.01, (0.0, 0.0)

    with pytest.raises(TypeError, match=r"got a Bare without command_bounds.*`MechanicalPlant`"):
        CenterOut(plant=Bare())

    class Upside(MuscleArm):
        command_bounds = ((1.0,) * 6, (0.0,) * 6)

    with pytest.raises(ValueError, match="`command_bounds` must be 6 lowest and as many higher"):
        CenterOut(plant=Upside())


# ---- tasks ----


@pytest.mark.parametrize("plant", [MuscleArm(), SpaceMass(), SpatialArm()])
@pytest.mark.parametrize(
    "task",
    [
        Postural(loads="joint", steps=12, delay_steps=2, noise=0.1),
        Postural(loads="hand", draws=4, steps=12, delay_steps=2, sensory_noise=0.01),
        PulsedReach(CenterOut(directions=2, steps=15)),
        ForceField(CenterOut(directions=2, steps=15, radius_m=0.02), kinds=("channel",)),
        InstructedDelay(),
        Swing(CenterOut(directions=2, steps=15)),
        Interception(CenterOut(directions=2, steps=15), change_step=5, window_steps=(9, 15)),
        Tracking(CenterOut(directions=2, steps=15), hold_steps=2, move_steps=10),
        ReachSequence(CenterOut(directions=2, steps=80), sequences=2, reach_steps=(11, 12)),
        Friction(CenterOut(directions=2, steps=15), factors=(0.0,), onset_step=5),
    ],
    ids=lambda task: type(task).__name__,
)
def test_tasks_of_the_package_take_it(task, plant):
    if hasattr(task, "reach"):
        task = replace(task, reach=replace(task.reach, plant=plant))
        if isinstance(task, ForceField):
            task = replace(task, damping_ns_m=0.0)
    else:
        task = replace(task, plant=plant, grid_spacing_m=0.02)
    trials = task.trials(generator(0))
    net, theta = network(task)
    run = ClosedLoop(task, net).simulate(theta, trials)
    assert run.states.shape[2] == plant.state_size
    assert torch.isfinite(task.cost.losses(run.states, run.commands, trials)).all()
    weights = task.cost.state_weights
    parts = plant.state_parts
    assert weights[-1, parts["position"]].tolist() == [1.0] * len(plant.home)
    assert not weights[:, 2 * len(plant.home) :].any()


def test_two_joints_are_needed_for_angles_of_two():
    assert DDN(plant=MuscleArm(), pairs=3).trials().load.shape == (3, 60, 2)
    assert DDN(plant=MuscleArm(), pairs=3).trials().command_noise.shape == (3, 60, 6)
    with pytest.raises(ValueError, match="`posture_deg` must have 3 angles"):
        DDN(plant=SpaceMass())


def test_trials_of_other_sizes_are_refused_by_name():
    trials = MUSCLES.trials()
    net, theta = network(MUSCLES)
    for name, size, wanted in (("load", 6, 2), ("hand_force", 3, 2), ("command_noise", 2, 6)):
        wrong = replace(trials, **{name: torch.zeros(3, 10, size, dtype=torch.float64)})
        with pytest.raises(ValueError, match=rf"`trials.{name}` must have {wanted} numbers a step"):
            ClosedLoop(MUSCLES, net).simulate(theta, wrong)
    field = replace(trials, field=torch.zeros(3, 3, 7, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"`trials.field` must have 2 rows"):
        ClosedLoop(MUSCLES, net).simulate(theta, field)


# ---- loops, training, references ----


@each_task
def test_loops_and_their_gradients(task):
    net, theta = network(task)
    loop, trials = ClosedLoop(task, net), loaded(task)
    value, gradient = loop.objective(trials).value_and_gradient(theta)
    assert value == pytest.approx(float(loop.losses(theta, trials).mean()), rel=1e-12)
    direction, h = normal(len(theta), seed=3), 1e-5
    ahead, behind = (float(loop.losses(theta + a * direction, trials).mean()) for a in (h, -h))
    assert float(gradient @ direction) == pytest.approx((ahead - behind) / (2 * h), rel=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning")
@each_task
def test_training_and_comparison(task):
    net, _ = network(task)
    result = train(task, net, LBFGS(), budget=Budget(calls=6))
    assert result.value < result.history[0].value
    found = compare(task, net, {"lbfgs": LBFGS()}, budget=Budget(calls=6))
    assert found.runs[0].ratio >= 1.0
    names = set(comparison_figures(found))
    assert names == {"hand_paths", "reach", "convergence"}
    axes = plot_hand_paths(found).axes
    seen = ["x (cm)"] if task is MUSCLES else ["x (cm), from above", "y (cm), from the right"]
    assert [ax.get_xlabel() for ax in axes] == [name for name in seen for _ in range(2)]
    upwards = ["y (cm)"] if task is MUSCLES else ["y (cm)", "z (cm)"]
    assert [ax.get_ylabel() for ax in axes] == [name for name in upwards for _ in range(2)]
    assert [bool(ax.get_title()) for ax in axes] == [True, True] + [False] * (len(axes) - 2)


def test_a_mass_in_space_has_ilqrs_and_ilqgs_optimum():
    """Undisturbed and without delay, both are the optimum of a linear plant."""
    task = replace(SPACE, delay_steps=0)
    best = ILQR().solve(task, task.trials())
    design = ILQG().design(task, task.trials())
    loop = ClosedLoop(task, design.controller)
    losses = loop.losses(design.parameters, task.trials())
    torch.testing.assert_close(losses, best.losses, rtol=1e-6, atol=0)


def test_ilqg_estimates_loads_and_forces_in_space():
    task = SPACE
    trials = replace(loaded(task), command_noise=None, plant_noise=None, sensory_noise=None)
    design = ILQG().design(task, trials)
    assert design.controller.disturbance_size == 6
    run = ClosedLoop(task, design.controller).simulate(design.parameters, trials)
    assert torch.isfinite(run.commands).all()


@each_task
def test_load_responses(task):
    net, theta = network(task)
    found = assess(task, loaded(task), controller_runner(task, net, theta))
    assert found.response.trials == 3
    assert found.response.peak_cm > 0


# ---- environments ----


@each_task
def test_environments_pass_gymnasiums_checks(task):
    extra = {"command_limit": 2.0} if task is SPACE else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(MotorEnv(task, **extra), skip_render_check=True)
        check_env(MotorEnv(task, goal=True, **extra), skip_render_check=True)
    envs = MotorVectorEnv(3, task, **extra)
    observations, _ = envs.reset(seed=0)
    assert observations.shape == (3, 2 * task.plant.state_size + 1)
    assert envs.observation_space.contains(observations)


def test_actions_fill_the_bounds_of_commands():
    env = MotorEnv(MUSCLES, dtype="float64", observe=("state", "command"))
    assert env.action_space.shape == (6,)
    env.reset(seed=0)
    action = np.array([-1.0, 1.0, 0.0, 0.5, -7.0, 7.0])
    env.step(action)
    commands = np.array([0.0, 1.0, 0.5, 0.75, 0.0, 1.0])
    np.testing.assert_allclose(env.state[4:], 0.2 * commands, rtol=1e-12)
    plain = MotorEnv(MUSCLES, normalized=False)
    assert (plain.action_space.low.tolist(), plain.action_space.high.tolist()) == ([0] * 6, [1] * 6)
    with pytest.raises(ValueError, match="`command_limit` must leave room within"):
        MotorEnv(replace(MUSCLES, plant=Pulling()), command_limit=0.05)
    halved = MotorEnv(MUSCLES, normalized=False, command_limit=0.5)
    assert (halved.action_space.low.tolist(), halved.action_space.high.tolist()) == (
        [0] * 6,
        [0.5] * 6,
    )


@each_task
def test_one_many_and_rollouts_are_the_same_and_cost_what_the_task_says(task):
    observe = ("state", "target", "hand", "hand_target", "command")
    options = {"observe": observe, "dtype": "float64", "command_limit": 1.0}
    trials = task.trials().subset(slice(2))
    one, many = MotorEnv(task, **options), MotorVectorEnv(2, task, **options)
    actions = 0.5 * torch.tanh(normal(task.steps, 2, task.plant.command_size))
    seen, _ = many.reset(seed=0, options={"trials": trials})
    batch, total = [seen], 0.0
    for t in range(task.steps):
        seen, reward, *_ = many.step(actions[t].numpy())
        batch.append(seen)
        total = total + reward
    single = [one.reset(seed=0, options={"trials": trials.subset(slice(1))})[0]]
    single += [one.step(action[0].numpy())[0] for action in actions]
    np.testing.assert_allclose(np.array(single), np.array(batch)[:, 0], rtol=1e-10, atol=1e-12)
    steps = iter(actions)
    found = rollout(lambda seen: next(steps), task, trials, **options)
    np.testing.assert_allclose(found.returns.numpy(), total, rtol=1e-10)
    bounds = many.options.actions
    commands = torch.tensor(bounds.middle) + torch.tensor(bounds.half) * found.actions
    losses = task.cost.losses(found.states, commands.double(), trials)
    torch.testing.assert_close(-found.returns, losses, rtol=1e-6, atol=0)


def drawn(task, **options):
    env = MotorEnv(task, render_mode="rgb_array", command_limit=1.0)
    env.reset(seed=0, options=options)
    env.step(np.zeros(task.plant.command_size))
    return env.render()


@pytest.mark.parametrize("task", [SPACE, SPATIAL])
def test_a_hand_in_space_is_drawn_from_above_and_from_the_right(task):
    plain = drawn(task)
    assert plain.shape == (400, 800, 3)
    size = task.plant.hand_size
    start = task.plant.hand_position(task.trials().initial_state[0])
    above = start + torch.tensor([0.0, 0.0, 0.04])
    ahead = start + torch.tensor([0.0, 0.04, 0.0])
    up, forth = (drawn(task, target=place.tolist()) for place in (above, ahead))
    here = drawn(task, target=start.tolist())
    left, right = slice(0, 400), slice(400, 800)
    assert size == 3
    assert (up[:, left] == here[:, left]).all()  # seen from above, only the height differs
    assert (up[:, right] != here[:, right]).any()
    for half in (left, right):
        assert (forth[:, half] != here[:, half]).any()
    load = [0.0] * (task.plant.load_size - 1) + [0.3]
    assert (drawn(task, disturbance=load) != plain).any()


def test_a_hand_that_moves_elsewhere_is_not_drawn():
    class Line(SpaceMass):
        hand_size = 1

    with pytest.raises(ValueError, match="in a plane or in space for pictures, got Line"):
        views_of(Line(), "pictures")


def test_loads_are_drawn_with_an_arrow():
    env = MotorEnv(MUSCLES, render_mode="rgb_array")
    env.reset(seed=0, options={"disturbance": [0.1, 0.0]})
    env.step(np.zeros(6))
    plain = MotorEnv(MUSCLES, render_mode="rgb_array")
    plain.reset(seed=0)
    plain.step(np.zeros(6))
    assert (env.render() != plain.render()).any()


def test_a_controller_runs_in_an_environment_as_in_the_loop():
    task = replace(MUSCLES, plant=MuscleArm(feedback=(1, 0, 3, 2)))
    net, theta = network(task)
    theta = theta.clone()
    theta[-6:] += 0.3  # within the bounds at first
    trials = task.trials().subset(slice(1))
    env = MotorEnv(task, dtype="float64")
    policy, memory = ControllerPolicy(net, theta, env.options), None
    seen, _ = env.reset(seed=0, options={"trials": trials})
    states = [env.state]
    for _ in range(task.steps):
        action, memory = policy.predict(seen, memory)
        seen, *_ = env.step(action)
        states.append(env.state)
    run = ClosedLoop(task, net).simulate(theta, trials)
    assert 0 < run.commands.min() < run.commands.max() < 1
    np.testing.assert_allclose(np.array(states), run.states[0].detach().numpy(), atol=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_policy_for_muscles_is_recorded_as_its_environment_runs_it():
    class Middle:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.zeros((len(observation), 6), np.float32), None

    recording = record(MUSCLES, Middle())
    np.testing.assert_allclose(recording["command"].values, 0.5)


# ---- recordings ----


@each_task
def test_recordings_hold_the_state_by_part(task, tmp_path):
    net, theta = network(task)
    trials = loaded(task)
    recording = record(task, net, theta, trials)
    run = ClosedLoop(task, net).simulate(theta, trials)
    joints = len(task.plant.home)
    before = run.states[:, :-1].detach().numpy()
    np.testing.assert_array_equal(recording["joint_position"].values, before[..., :joints])
    np.testing.assert_array_equal(
        recording["joint_velocity"].values, before[..., joints : 2 * joints]
    )
    np.testing.assert_array_equal(recording["load"].values, trials.load.numpy())
    assert recording["command"].shape[2] == task.plant.command_size
    if task is MUSCLES:
        np.testing.assert_array_equal(recording["actuator_activation"].values, before[..., 4:])
        assert recording["activation_axis"].values[0] == "shoulder flexor activation"
        assert recording["actuator_activation"].attrs["units"] == "1"
        assert np.isfinite(behaviour(recording).end_error_m).all()
    else:
        assert recording["axis"].values.tolist() == ["x", "y", "z"]
        with pytest.raises(RecordingError, match="`axis` must be x and y for an analysis in the"):
            behaviour(recording)
    path = tmp_path / "recording.nc"
    save_recording(path, recording)
    again = load_recording(path)
    np.testing.assert_array_equal(again["load"].values, recording["load"].values)
    if task is not SPACE:
        assert recorded_run(again)[0].plant == task.plant
    else:
        with pytest.raises(RecordingError, match="does not say which task was run"):
            recorded_run(again)  # this plant is in no registry


# ---- a plant that is observed in part ----


def test_a_controller_gets_the_feedback_alone():
    plant = MuscleArm(feedback=(1, 0, 3, 2))
    task = replace(MUSCLES, plant=plant)
    trials = loaded(task)
    assert input_size(task, trials) == 8
    net, theta = network(task)
    loop = ClosedLoop(task, net)
    run = loop.simulate(theta, trials)
    past = torch.clamp(torch.arange(10) - 2, min=0)
    noisy = run.states[:, past] + trials.sensory_noise
    torch.testing.assert_close(run.observations, noisy[..., [1, 0, 3, 2]], rtol=0, atol=0)
    fast, slow = (loop.objective(trials, fast=fast).value_and_gradient(theta) for fast in (1, 0))
    assert slow[1].abs().sum() > 0
    torch.testing.assert_close(fast[1], slow[1])
    shown = replace(trials, shown_target=trials.target[:, None].expand(-1, 10, -1).contiguous())
    torch.testing.assert_close(loop.simulate(theta, shown).states, run.states)
    env = MotorEnv(task, dtype="float64")
    assert env.observation_labels[0] == "elbow angle (rad)"
    seen, _ = env.reset(seed=0)
    np.testing.assert_allclose(seen[:4], env.state[[1, 0, 3, 2]], rtol=1e-12)
    np.testing.assert_allclose(seen[4:8], env.target[[1, 0, 3, 2]], rtol=1e-12)
    recording = record(task, net, theta, trials)
    assert recording["observation"].shape[2] == recording["target"].shape[1] == 4
    assert recording["state"].values.tolist()[0] == "elbow angle"
    with pytest.raises(ValueError, match=r"whole state be sensed.*for an online planner"):
        record(task, "online", trials=trials)


# ---- the command line ----


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "plant"),
    [("monkey-muscles", MuscleArm()), ("human-spatial", SpatialArm())],
)
def test_the_command_line_compares_records_and_analyses_it(name, plant, monkeypatch, tmp_path):
    monkeypatch.setitem(PLANTS, name, plant)

    def run(*words):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        return done.output

    small = ("--set", "controller.layers=[5]", "--set", "task.directions=4")
    small += ("--set", "task.steps=8", "--set", "task.radius_m=0.005")
    words = ("--optimizers", "lbfgs", "--budget", "6", "--out", tmp_path / "run")
    run("compare", "center-out", "--plant", name, *small, *words)
    pictures = {path.stem for path in (tmp_path / "run" / "figures").glob("*.png")}
    assert "hand_paths" in pictures
    controller = tmp_path / "run" / "controllers" / "lbfgs.safetensors"
    run("evaluate", controller)
    run("record", controller, "--out", tmp_path / "recording.nc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run("analyze", tmp_path / "recording.nc", "--out", tmp_path / "report")
    recording = load_recording(tmp_path / "recording.nc")
    task, trials = recorded_run(recording)
    assert task.plant == plant
    assert ("actuator_activation" in recording) == (name == "monkey-muscles")
    assert trials.initial_state.shape == (4, plant.state_size)
