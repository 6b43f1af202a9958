"""Channels of feedback: what each shows, when it shows it, with which noise, and how it is set."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import generator, normal

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import AlteredFeedback, ContinuousTimeRNN, FeedbackChange
from neuromotor.controllers.function import FunctionController
from neuromotor.plants import PLANTS, MuscleArm, PointMass, TwoJointArm, signals_of
from neuromotor.runs.settings import gather, resolve
from neuromotor.storage.components import SettingsError, decode, encode
from neuromotor.tasks import (
    DDN,
    SENSES,
    TASKS,
    CenterOut,
    Channel,
    Postural,
    Senses,
    SensesInUse,
    TargetJump,
)
from neuromotor.tasks.task import input_size

MUSCLES = MuscleArm()


def reach(*channels, plant=None, **settings):
    senses = Senses(channels) if channels else None
    plant = TwoJointArm() if plant is None else plant
    return CenterOut(plant=plant, directions=2, steps=30, senses=senses, **settings)


def under(task, commands, trials):
    """What happens under given commands, (T, m)."""
    m = task.plant.command_size
    controller = FunctionController(lambda seen, target, t: commands[t].expand(len(seen), m), m)
    nothing = torch.zeros(0, dtype=torch.float64)
    return ClosedLoop(task, controller).simulate(nothing, trials)


def calm(task):
    return torch.zeros(task.steps, task.plant.command_size, dtype=torch.float64)


# An impulse at step 10 changes velocities and activations at step 11, positions at step 12 (Euler).
FIRST = {
    "joint_velocity": 11,
    "hand_velocity": 11,
    "joint_position": 12,
    "hand_position": 12,
    "muscle_velocity": 11,
    "muscle_length": 12,
    "state": 11,
}


@pytest.mark.parametrize("signal", FIRST)
def test_each_channel_shows_an_impulse_after_its_own_delay(signal):
    delays = (0, 3, 7)
    task = reach(*(Channel(signal, delay_steps=delay) for delay in delays), plant=MUSCLES)
    trials = task.trials()
    load = torch.zeros(2, task.steps, 2, dtype=torch.float64)
    load[:, 10] = 0.3
    seen = under(task, calm(task), replace(trials, load=load)).observations
    for delay, part in zip(delays, seen.chunk(3, dim=-1), strict=True):
        changed = (part != part[:, :1]).any(-1)[0].int()
        assert SensesInUse.of(task).labels[part.shape[-1]].count(", 3 steps ago (") == 1
        assert int(changed.argmax()) == FIRST[signal] + delay


def test_muscle_activity_shows_a_command_after_its_own_delay():
    task = reach(
        Channel("muscle_activity", delay_steps=4), Channel("joint_position"), plant=MUSCLES
    )
    commands = calm(task)
    commands[10, 3] = 1.0
    seen = under(task, commands, task.trials()).observations
    assert seen[0, :15, 3].abs().max() == 0
    # the first-order lag of 50 ms at steps of 10 ms, Kalidindi et al. (2021)
    np.testing.assert_allclose(seen[0, 15:18, 3].numpy(), [0.2, 0.16, 0.128], rtol=1e-12)


def test_signals_are_what_geometry_says():
    q, v = np.array([0.4, 1.3]), np.array([0.7, -1.1])
    state = torch.tensor([*q, *v, *np.linspace(0, 1, 6)], dtype=torch.float64)
    one, two = 0.145, 0.284  # m, the monkey's segments
    x = [one * np.cos(q[0]) + two * np.cos(q.sum()), one * np.sin(q[0]) + two * np.sin(q.sum())]
    jacobian = np.array([[-x[1], -two * np.sin(q.sum())], [x[0], two * np.cos(q.sum())]])
    shown = {name: signal.of(state).numpy() for name, signal in signals_of(MUSCLES).items()}
    np.testing.assert_allclose(shown["joint_position"], q)
    np.testing.assert_allclose(shown["joint_velocity"], v)
    np.testing.assert_allclose(shown["hand_position"], x, rtol=1e-12)
    np.testing.assert_allclose(shown["hand_velocity"], jacobian @ v, rtol=1e-12)
    np.testing.assert_allclose(shown["muscle_activity"], np.linspace(0, 1, 6))
    small = 1e-6
    ahead, behind = (
        MUSCLES.muscle_lengths(torch.tensor(q + sign * small * v)).numpy() for sign in (1, -1)
    )
    np.testing.assert_allclose(shown["muscle_velocity"], (ahead - behind) / (2 * small), rtol=1e-8)


@pytest.mark.parametrize("name", PLANTS)
def test_signals_stay_within_their_limits(name):
    plant = PLANTS[name]
    limits = torch.tensor(plant.state_limits, dtype=torch.float64).clamp(max=1e3)
    states = limits * (2 * torch.rand(500, plant.state_size, generator=generator(1)) - 1)
    for key, signal in signals_of(plant).items():
        values = signal.of(states)
        assert values.shape == (500, len(signal.labels)), key
        assert bool((values.abs() <= torch.tensor(signal.limits)).all()), key


def test_noise_has_its_moments_and_every_number_draws_its_own():
    """At rest, where signals stay what they are: four standard errors."""
    channels = (
        Channel("joint_position", noise=0.03, signal_noise=0.1, scale=2.0),
        Channel("joint_velocity", noise=0.2),
        Channel("hand_position", signal_noise=0.05, relative=True),
    )
    task = replace(reach(*channels, plant=PointMass()), repeats=200, center_posture_deg=None)
    assert task.random
    trials = task.trials(generator(5))
    start = torch.tensor([[0.3, -0.4, 0.0, 0.0]], dtype=torch.float64)
    trials = replace(trials, initial_state=start.repeat(len(trials), 1))
    seen = under(task, calm(task), trials).observations.flatten(0, 1).numpy()
    mean = np.array([0.6, -0.8, 0, 0, 0.3, -0.4])
    deviation = np.array(
        [
            2 * np.hypot(0.03, 0.1 * 0.3),
            2 * np.hypot(0.03, 0.1 * 0.4),
            0.2,
            0.2,
            0.05 * 0.3,
            0.05 * 0.4,
        ]
    )
    count = len(seen)
    assert (np.abs(seen.mean(0) - mean) < 4 * deviation / count**0.5).all()
    np.testing.assert_allclose(seen.std(0), deviation, rtol=4 / (2 * count) ** 0.5)
    correlations = np.corrcoef(seen.T) - np.eye(6)
    assert np.abs(correlations).max() < 4.5 / count**0.5
    later = np.corrcoef(seen[1:, 0], seen[:-1, 0])[0, 1]
    assert abs(later) < 4 / count**0.5


def test_the_published_inputs_are_twelve_numbers():
    """Kalidindi et al. (2021): goal 2, angles x 2 and velocities x .5 from home, six muscles."""
    task = reach(plant=MUSCLES)
    task = replace(task, senses=SENSES["kalidindi-2021"])
    trials = task.trials()
    assert input_size(task, trials) == 12
    commands = 0.3 * normal(task.steps, 6, seed=2).abs()
    told = []

    def controller(seen, target, t):
        told.append(target)
        return commands[t].expand(2, 6)

    nothing = torch.zeros(0, dtype=torch.float64)
    run = ClosedLoop(task, FunctionController(controller, 6)).simulate(nothing, trials)
    home = torch.tensor(MUSCLES.home, dtype=torch.float64)
    for t in range(task.steps):
        x = run.states[:, max(t - 5, 0)]
        expected = torch.cat([2 * (x[:, :2] - home), 0.5 * x[:, 2:4], x[:, 4:]], dim=-1)
        torch.testing.assert_close(run.observations[:, t], expected)
        torch.testing.assert_close(told[t], trials.target[:, :2] - home)


@pytest.mark.parametrize("plant", [TwoJointArm(), MuscleArm(feedback=(0, 1, 5, 7))])
def test_the_single_delay_of_the_state_is_one_such_list(plant):
    plain = reach(plant=plant, delay_steps=4)
    listed = replace(plain, senses=SENSES["whole-state"])
    trials = plain.trials()
    net = ContinuousTimeRNN(
        layers=(6,), input_size=input_size(plain, trials), command_size=plant.command_size
    )
    theta = net.initial_parameters(generator(1))
    one, other = (ClosedLoop(task, net).simulate(theta, trials) for task in (plain, listed))
    assert torch.equal(one.states, other.states)
    assert torch.equal(one.observations, other.observations)


def test_feedback_by_channels_is_altered_as_any_other():
    task = reach(Channel("hand_position", delay_steps=2), Channel("joint_velocity"))
    net = ContinuousTimeRNN(layers=(6,), input_size=8)
    theta = net.initial_parameters(generator(1))
    altered = AlteredFeedback(net, FeedbackChange("delay", 10, 14, delay_steps=3))
    run = ClosedLoop(task, altered).simulate(theta, task.trials())
    _, seen = altered.controller_memory(run.memory)
    assert torch.equal(seen[:, 10:15], run.observations[:, 7:12])
    assert torch.equal(seen[:, 15:], run.observations[:, 15:])


def test_a_new_target_is_told_in_the_coordinates_and_with_the_delay_of_the_senses():
    senses = Senses(target=(Channel("hand_position", delay_steps=6), Channel("joint_velocity")))
    task = TargetJump(reach(), jump_step=10)
    task = replace(task, reach=replace(task.reach, senses=senses))
    trials = task.trials()
    told = SensesInUse.of(task).told_over_time(trials)
    hand = task.plant.hand_position(trials.shown_target)
    assert told.shape[-1] == 4
    assert not torch.equal(hand[:, 9], hand[:, 10])
    torch.testing.assert_close(told[:, :16, :2], hand[:, :1].expand(-1, 16, -1))
    torch.testing.assert_close(told[:, 16:, :2], hand[:, 10:-6])


@pytest.mark.parametrize("name", TASKS)
def test_every_registered_task_takes_channels(name):
    task, senses = TASKS[name], SENSES["proprioception-and-vision"]
    if hasattr(task, "reach"):
        own = replace(task, reach=replace(task.reach, senses=senses))
    else:
        own = replace(task, senses=senses)
    trials, plain = own.trials(generator(2)), task.trials(generator(2))
    sizes = torch.tensor(SensesInUse.of(own).noise)
    draws = trials.sensory_noise
    assert draws.shape == (len(plain), own.steps, len(sizes))
    spread = draws.flatten(0, 1).std(0) / sizes
    assert float((spread - 1).abs().max()) < 4.5 / (2 * draws[..., 0].numel()) ** 0.5
    assert torch.equal(trials.target, plain.target)


@pytest.mark.parametrize("task", [DDN(pairs=3), Postural(directions=2), reach()])
def test_every_task_takes_channels_with_noise(task):
    noisy = replace(task, senses=SENSES["proprioception-and-vision"])
    trials = noisy.trials(generator(2))
    assert noisy.random
    assert trials.sensory_noise.shape == (len(trials), task.steps, 8)
    assert trials.signal_noise is None
    assert SensesInUse.of(noisy).labels[4:] == (
        "hand x (m)",
        "hand y (m)",
        "hand x velocity (m/s)",
        "hand y velocity (m/s)",
    )
    net = ContinuousTimeRNN(layers=(5,), input_size=input_size(noisy, trials))
    theta = net.initial_parameters(generator(3))
    objective = ClosedLoop(noisy, net).objective(trials)
    assert float(objective.value_and_gradient(theta)[1].norm()) > 0
    with pytest.raises(ValueError, match=r"`trials\.sensory_noise` must have 8 numbers a step"):
        ClosedLoop(noisy, net).simulate(
            theta, replace(trials, sensory_noise=trials.sensory_noise[..., :4])
        )


def test_they_are_set_by_name_by_list_and_by_table_and_come_back_from_files():
    task = resolve(
        gather(
            None,
            {"task": "ddn"},
            [
                'task.senses=[{signal="joint_position", delay="50 ms", noise=0.01}, '
                '"hand_velocity"]',
                'task.senses.target=["hand_position"]',
            ],
            smoke=False,
        )
    )
    own = Senses(
        (Channel("joint_position", delay_s=0.05, noise=0.01), Channel("hand_velocity")),
        (Channel("hand_position"),),
    )
    assert task.task.senses == own
    assert task.controller.input_size == 6
    assert decode(encode(task.task, TASKS), TASKS, "task") == task.task
    named = decode({"type": "center-out", "senses": "whole-state"}, TASKS, "task")
    assert named.senses == Senses()
    assert "senses" not in encode(DDN(), TASKS)  # files of other tasks stay as they were


@pytest.mark.parametrize(
    ("senses", "message"),
    [
        ([{"signal": "joint_pos"}], "did you mean 'joint_position'"),
        (["muscle_length"], "unknown signal of a TwoJointArm 'muscle_length'"),
        ([{"delay_s": 0.1}], "must have `signal`"),
        ([{"signal": "state", "delays": 3}], "unknown setting `task.senses.channels.0..delays`"),
        ([{"signal": "state", "delay": 5}], "must be a time with its unit"),
        ([{"signal": "state", "delay": "13 ms"}], "whole number of steps of 0.01 s"),
        ([{"signal": "state", "delay": "50 ms", "delay_steps": 5}], "give one of them"),
        ([{"signal": "state", "delay_steps": 60}], "below the 60 steps"),
        ({"target": [{"signal": "state", "delay_steps": 60}]}, "below the 60 steps"),
        ([{"signal": "state", "scale": 0}], "`scale` must not be zero"),
        ([{"signal": "state", "noise": -1}], "`noise` must be"),
        ([], "at least one channel"),
        ({"target": [{"signal": "state", "noise": 0.1}]}, "without noise"),
        (5, "must be a name or a table"),
    ],
)
def test_bad_senses_are_refused(senses, message):
    with pytest.raises(SettingsError, match=message):
        decode({"type": "ddn", "senses": senses}, TASKS, "task")


def test_noise_of_the_state_beside_senses_is_refused():
    with pytest.raises(ValueError, match="`sensory_noise` is noise on the whole state"):
        DDN(sensory_noise=0.1, senses=Senses())
