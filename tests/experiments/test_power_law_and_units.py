"""The power law of traced ellipses, and load directions of units, planted and flat."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from neuromotor.closed_loop.dynamics import roll_out
from neuromotor.control import ILQR
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.experiments import (
    OpenLoop,
    PostureUnits,
    Session,
    Trained,
    TwoThirdsPowerLaw,
    judge,
    put_through,
    subject_of,
)
from neuromotor.experiments.tracing import EllipseTracing
from neuromotor.tasks import CursorReach
from neuromotor.zoo.saved_controller import SavedController

mpl.use("Agg")
DT = 0.01
LAPS = TwoThirdsPowerLaw(laps=3, repeats=4)
UNITS = PostureUnits(repeats=4)


def verdicts(experiment, found):
    """Verdict of each measure; the figure is drawn too."""
    experiment.draw(found, Figure(figsize=(4.2, 3.2)))
    return {one.nature.measure: one.verdict for one in judge(experiment.nature, found)}


def laps(exponent):
    """Three laps of an ellipse (4, T, 2) with speed as curvature^exponent, other starts each."""
    angle = np.linspace(0, 6 * np.pi, 30_001)
    stretch = np.hypot(0.08 * np.sin(angle), 0.03 * np.cos(angle))
    rate = stretch * (0.08 * 0.03 / stretch**3) ** -exponent
    clock = np.concatenate([[0], np.cumsum(0.5 * (rate[1:] + rate[:-1]))])
    when = np.arange(301) / 300
    place = np.interp((when + 0.01 * np.arange(4)[:, None]) % 1 * clock[-1], clock, angle)
    return np.stack([0.08 * np.cos(place), 0.03 * np.sin(place)], axis=-1)


def test_planted_power_law_is_found_and_constant_speed_has_none():
    found = LAPS.measured(laps(-1 / 3), DT)
    assert found.measures["exponent"].value == pytest.approx(-1 / 3, abs=0.01)
    assert set(verdicts(LAPS, found).values()) == {"inside"}
    flat = verdicts(LAPS, LAPS.measured(laps(0.0), DT))
    assert flat["exponent"] in ("absent", "same direction")
    assert abs(LAPS.measured(laps(0.0), DT).measures["exponent"].value) < 0.01
    still = verdicts(LAPS, LAPS.measured(np.zeros((4, 301, 2)), DT))
    assert set(still.values()) == {"absent"}


def test_distance_from_the_path_is_that_of_its_nearest_point():
    """Against the nearest of many points of the ellipse; the first order is good near it."""
    task = EllipseTracing.of(CursorReach(), (0.08, 0.03), 30.0, 1.0, 1)
    angle = np.linspace(0, 2 * np.pi, 20_001)
    turn = np.radians(30)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    ellipse = np.stack([0.08 * np.cos(angle), 0.03 * np.sin(angle)], axis=-1) @ axes
    ellipse += np.asarray(task.home)
    near = ellipse[::400] + 0.001 * np.random.default_rng(0).standard_normal((51, 2))
    nearest = np.linalg.norm(near[:, None] - ellipse, axis=-1).min(1)
    found = np.abs(task.cost.off_path(torch.from_numpy(near)).numpy())
    np.testing.assert_allclose(found, nearest, atol=2e-4)
    np.testing.assert_allclose(task.cost.off_path(torch.from_numpy(ellipse)), 0, atol=1e-12)


def test_expansion_of_the_tracing_cost_is_that_of_its_losses():
    """Gradients against central differences, and the residuals' half squared norm."""
    task = EllipseTracing.of(CursorReach(), (0.06, 0.03), 45.0, 0.2, 1)
    generator = torch.Generator().manual_seed(0)
    trials = task.traced(2)
    states = trials.initial_state[:, None].repeat(1, task.steps + 1, 1)
    states = states + 0.05 * torch.randn(states.shape, generator=generator, dtype=torch.float64)
    commands = torch.randn(2, task.steps, 2, generator=generator, dtype=torch.float64)
    cost = task.cost
    losses = cost.losses(states, commands, trials)
    residuals = cost.residuals(states, commands, trials)
    torch.testing.assert_close(losses, 0.5 * residuals.square().sum(-1))
    way = torch.randn(states.shape, generator=generator, dtype=torch.float64)
    step = 1e-6
    rise = (
        cost.losses(states + step * way, commands, trials)
        - cost.losses(states - step * way, commands, trials)
    ) / (2 * step)
    slope = (cost.expansion(states, commands, trials).state * way).sum((-2, -1))
    torch.testing.assert_close(slope, rise, rtol=1e-6, atol=1e-8)


def test_optimal_commands_trace_the_ellipse_by_the_law():
    experiment = TwoThirdsPowerLaw(turns_deg=(45.0,), lap_s=0.8, laps=2, repeats=1)
    found, judged = put_through(experiment, Session(OpenLoop(), CursorReach(noise=0.0)))
    assert {one.verdict for one in judged} == {"inside"}
    task = EllipseTracing.of(CursorReach(), experiment.half_axes_m, 45.0, 0.8, 2)
    off = task.cost.off_path(torch.from_numpy(found.data["paths_m"]))
    assert float(off.abs().max()) < 0.01
    _, judged = put_through(experiment, Session(subject_of("center-out/best"), CursorReach()))
    assert {one.reason for one in judged} == {"it is told of a target, and of no path."}
    _, judged = put_through(experiment, Session(subject_of("lqg-infinite"), CursorReach()))
    assert {one.reason for one in judged} == {"it has no clock, by which laps are traced."}


def test_cheapest_way_through_points_in_time_follows_the_law():
    """As minimum jerk does (Viviani & Flash 1995); the points alone favour no law."""
    task = EllipseTracing.of(CursorReach(), (0.08, 0.03), 45.0, 0.8, 2)
    trials = task.by_points()
    plain = CursorReach(steps=task.steps)
    commands = ILQR(iterations=60, tolerance=1e-6).solve(plain, trials).commands
    hand = task.plant.hand_position(roll_out(task.plant, trials, commands))
    assert float(task.cost.off_path(hand).abs().max()) < 0.015
    experiment = TwoThirdsPowerLaw(lap_s=0.8, laps=2)
    found = experiment.measured(hand.numpy(), DT)
    assert found.measures["exponent"].value == pytest.approx(-1 / 3, abs=0.05)


def test_network_is_told_points_if_it_has_practised_them():
    network = ContinuousTimeRNN(layers=(5,), input_size=28)
    parameters = network.initial_parameters(torch.Generator().manual_seed(0)).double()
    experiment = TwoThirdsPowerLaw(turns_deg=(45.0,), lap_s=0.4, laps=2, repeats=2)
    saved = SavedController(network, parameters, CursorReach(), {})
    found, _ = put_through(experiment, Session(Trained(saved, "untrained"), CursorReach()))
    assert found.data["paths_m"].shape == (2, 81, 2)
    saved = SavedController(network, parameters, CursorReach(paths=0.0), {})
    _, judged = put_through(experiment, Session(Trained(saved, "untrained"), CursorReach()))
    assert {one.reason for one in judged} == {"it is told of a target, and of no path."}
    older = ContinuousTimeRNN(layers=(5,), input_size=16)
    saved = SavedController(older, torch.zeros(older.parameter_count).double(), CursorReach(), {})
    _, judged = put_through(experiment, Session(Trained(saved, "older"), CursorReach()))
    assert {"it takes 16 inputs, and the task gives 28" in one.reason for one in judged} == {True}


def test_bad_laps_are_refused():
    with pytest.raises(ValueError, match="`steps` must be those of 4 laps"):
        EllipseTracing(steps=100)
    with pytest.raises(ValueError, match="`half_axes_m` must be a positive"):
        EllipseTracing.of(CursorReach(), (0.1, 0.0), 0.0, 1.0, 1)
    with pytest.raises(ValueError, match="`turns_deg` must hold"):
        TwoThirdsPowerLaw(turns_deg=())


def rates(preferred_deg, noise=0.2, shuffled=False):
    """Directions of loads, and rates of units with known preferred loads."""
    generator = np.random.default_rng(0)
    angle = (2 * np.pi / 8 * np.arange(8)).repeat(4)
    rate = np.cos(angle[:, None] - np.radians(preferred_deg))
    rate = rate + noise * generator.standard_normal(rate.shape)
    return angle, generator.permutation(rate) if shuffled else rate


def test_two_clusters_of_preferred_loads_are_found():
    generator = np.random.default_rng(1)
    two = 120 + 180 * (np.arange(60) % 2) + 25 * generator.standard_normal(60)
    found = UNITS.measured(*rates(two))
    assert set(verdicts(UNITS, found).values()) == {"inside"}
    assert found.data["axis_deg"][0] == pytest.approx(120, abs=10)
    across = UNITS.measured(*rates(two - 90))
    assert verdicts(UNITS, across) == {"two clusters": "inside", "axis": "absent"}


def test_even_loads_one_cluster_of_noise_and_no_units_are_absent():
    even = UNITS.measured(*rates(np.arange(0, 360, 6.0)))
    assert set(verdicts(UNITS, even).values()) == {"absent"}
    shuffled = UNITS.measured(*rates(np.full(60, 120.0), shuffled=True))
    assert set(verdicts(UNITS, shuffled).values()) == {"absent"}
    _, judged = put_through(
        PostureUnits(duration_s=0.3, onset_s=0.1, settled_s=0.1, repeats=1),
        Session(subject_of("open-loop"), CursorReach()),
    )
    assert {one.reason for one in judged} == {"it has no units."}
    with pytest.raises(ValueError, match="`duration_s` must be longer"):
        PostureUnits(duration_s=0.5)


def test_units_of_a_network_are_asked_under_the_conditions_of_its_training():
    """Of an untrained network: its units feel the loads, so that most of them are tuned."""
    task = CursorReach()
    network = ContinuousTimeRNN(layers=(30,), input_size=28)
    parameters = network.initial_parameters(torch.Generator().manual_seed(0)).double()
    subject = Trained(SavedController(network, parameters, task, {}), "untrained")
    experiment = PostureUnits(duration_s=0.5, onset_s=0.1, settled_s=0.2, repeats=2)
    found, judged = put_through(experiment, Session(subject, task))
    assert found is not None
    assert {one.verdict for one in judged} <= {"inside", "same direction", "absent"}
    assert len(found.data["preferred_rad"]) > 15
    assert "units are tuned to the load" in found.remarks[0]
    verdicts(experiment, found)
