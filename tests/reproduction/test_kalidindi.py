"""The study of Kalidindi et al. (2021) again, at a size that says nothing about networks."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.io import savemat
from scipy.linalg import expm
from typer.testing import CliRunner

from neuromotor.analysis import make_recording, rotations_of
from neuromotor.cli.app import app
from neuromotor.controllers import CONTROLLERS
from neuromotor.optim import Adam, Budget
from neuromotor.optim.state import SnapshotError
from neuromotor.plants.muscles import MUSCLES
from neuromotor.reproduction.kalidindi import measure, results
from neuromotor.reproduction.kalidindi.figure import panels_of
from neuromotor.reproduction.kalidindi.likeness import likeness_rows
from neuromotor.reproduction.kalidindi.monkeys import Monkeys, monkeys_of
from neuromotor.reproduction.kalidindi.muscles import mean_angle, muscle_rows
from neuromotor.reproduction.kalidindi.networks import CONDITIONS, Effort, network, task_of
from neuromotor.reproduction.kalidindi.results import PAPER, reproduce
from neuromotor.tasks import CenterOut, PostureLoads
from neuromotor.training.single import train

TINY = Effort(seeds=1, units=8, calls=2, surrogates=2)


def test_every_published_row_belongs_to_a_condition_and_its_task_can_be_made():
    ours = {"point-mass", "posture-low-friction", "posture-no-rec-low-friction"}
    assert {name for name, _ in PAPER} == set(CONDITIONS) - ours
    for condition in CONDITIONS.values():
        task = task_of(condition)
        assert len(task.trials()) in (9, 33)
        assert condition.controller in CONTROLLERS


def test_behaviour_is_that_of_planted_courses():
    """A hand that is 3 cm away 350 ms after each load, a muscle that starts after 60 ms."""
    task = PostureLoads()
    steps = np.arange(task.steps + 1)
    since = np.clip((steps - 100) / 35, 0, None)
    course = 0.03 * since * np.exp(1 - since)  # largest, 3 cm, at step 135
    angles = task.angles.numpy()
    hand = course[None, :, None] * np.stack([np.cos(angles), np.sin(angles)], -1)[:, None]
    hand = np.concatenate([hand, np.zeros((1, task.steps + 1, 2))])
    muscles = np.zeros((9, task.steps, 6))
    muscles[:8, 105:, 0] = 1.0  # the state after step 105 is that of 60 ms after the load
    muscles += 0.01 * np.arange(task.steps)[:, None]  # a drift, loads or not, is no answer
    units = np.zeros((9, task.steps, 3))
    for unit, preferred in enumerate((30.0, 30.0, 210.0)):
        units[:8, 100:, unit] = np.cos(angles - math.radians(preferred))[:, None]
    found = measure.behaviour_of(task, hand, {"muscles": muscles, "output layer": units})
    assert found.displacement_cm == pytest.approx(3.0)
    assert found.reversal_ms == pytest.approx(350.0)
    assert found.muscles_ms == pytest.approx(60.0)
    assert found.axis_deg == pytest.approx(30.0)
    assert found.axis_strength == pytest.approx(1.0)


def test_planted_rotations_of_the_rates_are_found():
    """Three groups of units, each a plane of its own that turns from where the load sets it."""
    angles, time = PostureLoads().angles.numpy(), 0.01 * np.arange(30)
    groups = []
    for number, (hz, units) in enumerate(((2.0, 30), (1.2, 24), (0.6, 18)), start=1):
        phase = number * angles[:, None, None] + 2 * math.pi * hz * time[:, None]
        groups.append(np.cos(phase + 2 * math.pi * np.arange(units) / units))
    rates = np.concatenate(groups, axis=2)
    found = measure.rotations_in({"output layer": rates}, 0.01, surrogates=0)["output layer"]
    assert found.frequencies_hz == pytest.approx([2.0, 1.2, 0.6], rel=0.02)
    assert found.r2_skew > 0.99


@pytest.mark.slow  # compiles its loops
def test_tables_and_figure_are_written_and_trained_networks_are_used_again(tmp_path):
    out, nets = tmp_path / "out", tmp_path / "nets"
    about = {"command": "here"}
    told = []
    tables = reproduce(nets, out, about, conditions=["posture"], effort=TINY, progress=told.append)
    names = ["rotations", "behaviour", "muscles", "likeness"]
    assert [table.name for table in tables] == names
    assert not tables[3].rows  # without monkeys
    assert tables[0].rows[0]["skew, paper"] == "0.55"
    assert tables[0].rows[0]["units"] == "8 + 8"
    assert json.loads((out / "tables.json").read_text())["command"] == "here"
    assert (out / "rotations.png").stat().st_size > 1000
    assert any("updates" in words for words in told)
    told.clear()
    saved = network(CONDITIONS["posture"], 0, replace(TINY, calls=99), nets, told.append)
    assert not told
    assert saved.task == task_of(CONDITIONS["posture"])


@pytest.mark.slow  # compiles its loops
def test_a_checkpoint_of_another_training_is_named_and_kept(tmp_path):
    net = replace(CONTROLLERS["rnn"], layers=(4,))
    checkpoint = tmp_path / "posture-0.checkpoint.safetensors"
    train(CenterOut(directions=2), net, Adam(), budget=Budget(calls=2), checkpoint=checkpoint)
    before = checkpoint.read_bytes()
    with pytest.raises(SnapshotError, match=r"posture-0\.checkpoint.* Or remove the file"):
        network(CONDITIONS["posture"], 0, TINY, tmp_path, lambda words: None)
    assert checkpoint.read_bytes() == before


def test_an_unknown_condition_is_refused():
    result = CliRunner().invoke(app, ["reproduce", "kalidindi2021", "--conditions", "postures"])
    assert result.exit_code != 0
    assert "postures" in str(result.exception) or "postures" in result.output


def test_the_shipped_posture_network_turns_as_the_published_ones_do(tmp_path):
    """Output and input layer of Kalidindi et al. (2021): R², and the first two frequencies."""
    posture = CONDITIONS["posture"]
    saved = network(posture, 0, Effort(trains=False), tmp_path, print)
    assert not list(tmp_path.iterdir())  # where it would stand in the way of a training
    assert saved.task == task_of(posture)
    found = measure.measured(saved, saved.task, surrogates=0)
    for layer in ("output layer", "input layer"):
        skew, free, hz, _ = PAPER["posture", layer]
        own = found.rotations[layer]
        assert own.r2_skew == pytest.approx(skew, abs=0.1)
        assert own.r2_unconstrained == pytest.approx(free, abs=0.1)
        assert own.frequencies_hz[:2] == pytest.approx(hz, abs=0.5)
    assert 300 <= found.behaviour.reversal_ms <= 400
    assert found.behaviour.end_error_cm < 0.1


def test_without_training_the_package_stands_in_for_what_the_folder_lacks(tmp_path):
    effort = Effort(seeds=3, trains=False)
    posture, hand = CONDITIONS["posture"], CONDITIONS["posture-hand"]
    assert effort.seeds_of(posture, tmp_path) == [0, 2]  # come with the package
    assert effort.seeds_of(hand, tmp_path) == []
    assert Effort(seeds=3).seeds_of(hand, tmp_path) == [0, 1, 2]
    for name in ("posture-1", "posture-hand-1"):
        (tmp_path / f"{name}.safetensors").touch()
    assert effort.seeds_of(hand, tmp_path) == [1]
    assert effort.seeds_of(posture, tmp_path) == [1]  # sizes are not mixed
    assert Effort(seeds=1, trains=False).seeds_of(hand, tmp_path) == []


def test_a_signal_with_one_plane_has_one_frequency():
    angles, time = PostureLoads().angles.numpy(), 0.01 * np.arange(30)
    phase = angles[:, None] + 2 * math.pi * time
    courses = np.stack([np.cos(phase), np.sin(phase)], axis=-1)
    found = rotations_of(courses, time, components=2, soft=0.0, surrogates=0)
    row = results.row_of("posture", "kinematics", None, [found])
    assert row["Hz"] == "1.00"
    assert row["planes 1 + 2"] == "100 %"


def test_the_shipped_reach_network_is_analysed_over_near_and_far_targets(tmp_path):
    """All 32 reaches, as in the study; its first plane turns at 2.1 Hz. Senses are 50 ms late."""
    reach = CONDITIONS["reach"]
    saved = network(reach, 0, Effort(trains=False), tmp_path, print)
    found = measure.measured(saved, saved.task, surrogates=0)
    assert found.courses["output layer"].shape == (32, 30, 200)
    _, _, hz, _ = PAPER["reach", "output layer"]
    assert found.rotations["output layer"].frequencies_hz[0] == pytest.approx(hz[0], abs=0.5)
    states = np.pad(found.courses["kinematics"], ((0, 0), (0, 0), (0, 6)))  # muscles do not count
    speed = saved.task.plant.hand_velocity(torch.from_numpy(states)).norm(dim=-1).numpy()
    begun = 0.05 * speed.max(axis=1)
    assert (speed[:, 4] < begun).all()
    assert (speed[:, 5] >= begun).all()
    assert found.reach_muscles.r2.shape == (6,)


def test_no_command_lets_the_hand_go_three_centimetres_within_300_ms():
    """Linear dynamics of the arm about its posture: M q'' + B q' = load, by matrix exponential."""
    plant = PostureLoads().plant
    shoulder, elbow = np.radians(plant.home_deg)
    arm = plant.parameters
    a_2 = arm.mass_2 * arm.length_1 * arm.center_2
    a_3 = arm.inertia_2 + arm.mass_2 * arm.center_2**2
    a_1 = arm.inertia_1 + arm.mass_1 * arm.center_1**2 + arm.mass_2 * arm.length_1**2 + a_3
    off = a_3 + a_2 * math.cos(elbow)
    mass = np.array([[a_1 + 2 * a_2 * math.cos(elbow), off], [off, a_3]])
    both = shoulder + elbow
    low = np.array([-arm.length_2 * math.sin(both), arm.length_2 * math.cos(both)])
    high = low + arm.length_1 * np.array([-math.sin(shoulder), math.cos(shoulder)])
    moved = []
    for angle in PostureLoads().angles.numpy():
        system = np.zeros((5, 5))
        system[:2, 2:4] = np.eye(2)
        system[2:4, 2:4] = -np.linalg.solve(mass, np.array(plant.viscosity))
        system[2:4, 4] = np.linalg.solve(mass, 0.2 * np.array([math.cos(angle), math.sin(angle)]))
        joints = expm(0.3 * system)[:2, 4]
        moved.append(100 * np.linalg.norm(np.stack([high, low], axis=1) @ joints))
    assert np.mean(moved) == pytest.approx(1.8, abs=0.1)

    trials, onset = PostureLoads().trials(), PostureLoads().onset_step
    state = trials.initial_state[:8]
    start = plant.hand_position(state)
    for step in range(30):
        passive = torch.zeros(8, 6, dtype=torch.float64)
        state = plant.step(state, passive, trials.load[:8, onset + step])
    away = 100 * (plant.hand_position(state) - start).norm(dim=-1)
    assert float(away.mean()) == pytest.approx(np.mean(moved), rel=0.06)  # Euler is a step late


def planted(seed, turn=None):
    """Courses of two layers in six dimensions, and the same turned by a matrix."""
    generator = np.random.default_rng(seed)
    course = generator.standard_normal((8, 30, 6)).cumsum(1) @ np.diag([6.0, 5, 4, 3, 2, 1])
    return course if turn is None else course @ turn


def a_network(course, muscles=()):
    """What is measured of a network with planted courses."""
    answer = measure.Behaviour(1.0, 300.0, 60.0, 0.0, 120.0, 0.5, tuple(muscles))
    courses = {"output layer": course, "input layer": course}
    return measure.Measured({}, {}, answer, 0.0, courses)


def test_a_turned_copy_of_a_monkey_is_like_it_and_unrelated_networks_are_not():
    turn = np.linalg.qr(np.random.default_rng(9).standard_normal((6, 6)))[0]
    time = 0.01 * np.arange(30)
    cortex = {
        f"motor cortex {name}": make_recording(time, np.arange(8), {"rate": planted(seed)})
        for name, seed in (("A", 1), ("B", 2))
    }
    found = {"posture": [a_network(planted(1, turn)), a_network(planted(3))], "reach": []}
    rows = likeness_rows(found, cortex, lambda values, digits=2: list(values))
    assert all(row["condition"] != "reach" for row in rows)
    by = {(row["layer"], row["beside"]): row for row in rows}
    distance = by["output layer", "motor cortex A"]["Procrustes (rad)"]
    assert distance[0] == pytest.approx(0.0, abs=1e-6)
    assert distance[1] > 0.5
    assert by["output layer", "motor cortex A"]["canonical correlation"][0] == pytest.approx(1.0)
    assert by["output layer", "motor cortex B"]["Procrustes (rad)"][0] > 0.5
    assert min(by["output layer", "null: loads exchanged"]["Procrustes (rad)"]) > 0.5
    (ceiling,) = by["motor cortex", "monkey to monkey"]["Procrustes (rad)"]
    assert ceiling == pytest.approx(by["output layer", "motor cortex B"]["Procrustes (rad)"][0])
    assert by["output layer", "seed to seed"]["pairs"] == 1
    assert likeness_rows(found, {}, str) == ()


def test_what_a_folder_s_monkeys_do_is_what_was_planted(tmp_path):
    """Neurons, muscles named as in the files, and shoulders that turn back after 250 ms."""
    generator = np.random.default_rng(0)
    times, angles = np.arange(1.0, 301.0, 10.0), np.radians(45.0 * np.arange(8))
    inner = tmp_path / "monkey_posture"
    inner.mkdir()
    neurons = generator.standard_normal((8, 30, 8)).cumsum(1)
    active = np.cos(angles[:, None] - np.radians([110.0, 300.0, 20.0, 60.0, 70.0, 80.0]))
    muscles = active[:, None] + 0.01 * generator.standard_normal((8, 30, 6)).cumsum(1)
    names = ["TLat", "Brd", "A", "B", "C", "D"]
    joints = np.zeros((9, 111, 4)) + np.array([0.4, 1.4, 0.0, 0.0])
    turns = np.linspace(0.05, 0.15, 8)  # rad, a load each
    joints[:8, :, 0] += turns[:, None] * np.maximum(1 - np.abs(np.arange(111) - 25) / 25, 0)
    joints[:8, :, 1:] += generator.standard_normal((8, 111, 3)).cumsum(1) * [1e-6, 1.0, 1.0]
    long = np.arange(1.0, 1111.0, 10.0)
    for name, rows in (
        ("motor_cortex_A", [{"A": own, "times": times} for own in neurons]),
        ("emg_A", [{"A": own, "times": times, "Muscle_Group": names} for own in muscles]),
        ("joints_A", [{"A": own, "times": long} for own in joints]),
    ):
        savemat(inner / f"{name}.mat", {"Data_struct": rows})
    found = monkeys_of(tmp_path, surrogates=2)
    assert set(found.matched) == set(found.rotations)
    assert list(found.cortex) == ["motor cortex A"]
    arm = PostureLoads().plant.parameters
    reach = math.hypot(  # of the hand from the shoulder, with the elbow at 1.4 rad
        arm.length_1 + arm.length_2 * math.cos(1.4), arm.length_2 * math.sin(1.4)
    )
    displacement, reversal = found.hands["A"]
    assert displacement == pytest.approx(200 * reach * np.sin(turns / 2).mean(), rel=1e-3)
    assert reversal == pytest.approx(250.0)
    assert found.muscles["A"]["TLat"] == pytest.approx(110.0, abs=1.0)
    assert found.reach_muscles is None
    rows = muscle_rows({"posture": [a_network(neurons, range(6))]}, found, str)
    by = {row["quantity"]: row for row in rows}
    assert by[f"load that the {MUSCLES[3]} answers most (deg)"]["monkeys"] == "A: TLat 110"
    assert by[f"load that the {MUSCLES[2]} answers most (deg)"]["monkeys"] == "A: Brd 300"
    assert by[f"load that the {MUSCLES[0]} answers most (deg)"]["monkeys"] == "-"
    assert "monkeys:\nkinematics A" in panels_of({}, found)
    assert panels_of({}, Monkeys()) == {}


def test_the_mean_of_angles_goes_around():
    assert mean_angle([350.0, 10.0]) == "0 (within 10)"
    assert mean_angle([181.2]) == "181"


def test_a_muscle_s_preferred_load_is_the_cosine_s():
    angles = np.radians(45.0 * np.arange(8))
    values = 2 + np.cos(angles[:, None] - np.radians([30.0, -100.0]))
    assert measure.preferred_deg(values) == pytest.approx([30.0, -100.0])
