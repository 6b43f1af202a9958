"""Experiments on feedback find the responses that are planted, and none where there are none."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from reflexes import SHAPE, TIME_LEFT, Planted

from neuromotor.analysis.measures import gain_over_time, paired_responses, response_in_window
from neuromotor.experiments import (
    EXPERIMENTS,
    GainOverReach,
    LongLatency,
    MinimalIntervention,
    OpenLoop,
    Optimal,
    Session,
    TimeToTarget,
    beliefs,
    put_through,
)
from neuromotor.experiments.long_latency import loads_nm
from neuromotor.experiments.perturbed import as_percentage, jump, reach_away, run_probes
from neuromotor.experiments.time_to_target import explained_by_columns
from neuromotor.tasks import CursorReach

WORLD = CursorReach()
SIDE = torch.tensor([1.0, 0.0]).double()  # only what is across the reach is answered


def asked(experiment, subject):
    found, judged = put_through(experiment, Session(subject, WORLD))
    assert found is not None
    return found, {one.nature.measure: one for one in judged}


@pytest.mark.parametrize(
    "experiment",
    [
        GainOverReach(arrival_s=0.5, times_s=(0.1, 0.2, 0.3), repeats=2),
        LongLatency(onset_s=0.05, repeats=2),
        MinimalIntervention(arrival_s=0.5, repeats=2),
        TimeToTarget(distances_m=(0.1, 0.15), arrivals_s=(0.4, 0.4), left_s=(0.3, 0.25), repeats=2),
    ],
    ids=lambda one: type(one).__name__,
)
def test_who_ignores_feedback_shows_nothing(experiment):
    found, judged = asked(experiment, OpenLoop())
    assert {one.verdict for one in judged.values()} == {"absent"}
    assert all(np.isfinite(values).all() for values in found.data.values())


def test_planted_gains_over_a_reach_are_found():
    """Each window of a response lies within the time in which one gain holds."""

    def gain(told, t):
        return (10 if t < 35 else 20 if t < 55 else 5) * SIDE

    ask = GainOverReach(times_s=(0.1, 0.3, 0.5), arrival_s=0.7, repeats=3)
    found, judged = asked(ask, Planted(gain))
    gain_n_m = found.data["cursor_n_per_m"]
    np.testing.assert_allclose(gain_n_m[1] / gain_n_m[0], 2.0, atol=0.1)
    np.testing.assert_allclose(gain_n_m[2] / gain_n_m[1], 0.25, atol=0.03)
    assert judged["rises"].verdict == judged["falls"].verdict == "inside"
    _, judged = asked(ask, Planted(lambda told, t: 10 * SIDE))
    assert judged["rises"].verdict == "absent"
    assert judged["falls"].verdict == "absent"
    assert judged["push rises"].verdict == "absent"


def test_gain_over_time_is_that_of_riccati():
    """A mass with friction that is to be at rest at the end; jumps of its position at five times.

    The gains of the finite horizon come from the Riccati recursion, backward in time.
    """
    dt, steps = 0.01, 70
    a, b = np.array([[1.0, dt], [0.0, 1 - 0.2 * dt]]), np.array([[0.0], [dt]])
    cost, gains = np.diag([1000.0, 20.0]), []
    for _ in range(steps):
        gain = np.linalg.solve(1e-3 + b.T @ cost @ b, b.T @ cost @ a)
        cost = a.T @ cost @ (a - b @ gain)
        gains.insert(0, gain[0])
    generator = np.random.default_rng(0)
    onsets, sizes = np.repeat([0.1, 0.2, 0.3, 0.4, 0.5], 6), np.tile([-0.02, -0.01, 0.01], 10)

    def commands(shift):
        x, found = np.tile([-0.2, 0.0], (len(onsets), 1)), []
        noise = np.random.default_rng(1).normal(scale=0.5, size=(len(onsets), steps))
        for t in range(steps):
            x[:, 0] += shift * (np.rint(onsets / dt) == t)
            found.append(-x @ gains[t])
            x = x @ a.T + (found[-1] + noise[:, t])[:, None] * b[:, 0]
        return np.stack(found, axis=1)[..., None]

    pairs = paired_responses(commands(sizes), commands(0 * sizes), onsets, dt)
    answer = -response_in_window(pairs, [1.0], (0.0, 0.0))
    found = gain_over_time(onsets, sizes, answer)
    np.testing.assert_allclose(found.values, [gains[t][0] for t in (10, 20, 30, 40, 50)])
    shuffled = gain_over_time(generator.permutation(onsets), sizes, answer)
    assert np.ptp(shuffled.values) < 0.5 * np.ptp(found.values)


def test_time_left_explains_responses_that_follow_it_and_no_others():
    ask = TimeToTarget(
        distances_m=(0.1, 0.2, 0.15), arrivals_s=(0.5, 0.5, 0.6), left_s=(0.4, 0.3), repeats=2
    )

    def by_time_left(told, t):
        return (8 / (0.2 + told[..., TIME_LEFT : TIME_LEFT + 1])) * SIDE

    _, judged = asked(ask, Planted(by_time_left))
    assert judged["time left"].verdict == "inside"
    assert judged["urgency"].verdict == "inside"
    # the same response at all times, and one that depends on the time since the beginning
    _, judged = asked(ask, Planted(lambda told, t: 20 * SIDE))
    assert {one.verdict for one in judged.values()} == {"absent"}


def test_variance_explained_is_corrected_for_chance():
    generator = torch.Generator().manual_seed(0)
    columns = torch.tensor([0.5, 0.9, 1.0, 0.2]).double()
    table = columns[None, :, None].expand(5, 4, 400).clone()
    assert explained_by_columns(table).allclose(torch.ones(400).double())
    noisy = table + 0.1 * torch.randn(table.shape, generator=generator).double()
    # variance of the columns over that of all, in expectation
    spread = float(columns.var(correction=0))
    share = float(explained_by_columns(noisy).mean())
    assert share == pytest.approx(spread / (spread + 0.01), abs=0.03)
    order = torch.rand(20, 400, generator=generator).argsort(0)
    shuffled = explained_by_columns(table.reshape(20, 400).gather(0, order).reshape(table.shape))
    assert abs(float(shuffled.mean())) < 3 * float(shuffled.std()) / 20
    assert explained_by_columns(torch.zeros(5, 4, 2)).isnan().all()


def test_bars_weaken_what_is_planted_so():
    ask = MinimalIntervention(distance_m=0.1, arrival_s=0.5, repeats=2)
    _, judged = asked(ask, Planted(lambda told, t: 4.0 * told[..., SHAPE] ** (1 / 6)))
    assert judged["soon"].found.value == pytest.approx(50, abs=3)  # (1 / 64)^(1 / 6)
    assert judged["cursor"].found.value == pytest.approx(50, abs=5)
    _, judged = asked(ask, Planted(lambda told, t: 4 * torch.ones(2).double()))
    assert judged["cursor"].verdict == judged["soon"].verdict == "absent"


def test_bars_are_let_go_along_themselves():
    """Along a line the optimal gain is zero: neither target nor cursor move the command along."""
    task, reach = reach_away(WORLD, 0.1, 0.35, shape=torch.tensor([0.0, 1.0]))
    subject = Optimal()
    design = subject.ilqg.design(task, replace(reach.undisturbed()), beliefs(task))
    gains = design.controller.unpack(design.parameters).feedback[0]
    parts = task.plant.state_parts
    aside = [parts["target"].start, parts["displacement"].start]
    ahead = [parts["target"].start + 1, parts["displacement"].start + 1]
    assert gains[:, :, aside].abs().max() < 1e-6 * gains[:, :, ahead].abs().max()
    still = task.with_noise(reach, torch.Generator().manual_seed(0), 2)
    jumps = [jump(task, still, "target", 0.1, shift) for shift in ((0.01, 0.0), (0.0, 0.01))]
    found = run_probes(Session(subject, WORLD), task, still, jumps)
    end = found.courses(found.run.hand)[..., -1].mean(1) / 0.01
    np.testing.assert_allclose(end, [0, 1], atol=0.05)


def test_loads_move_one_joint_or_the_shoulder_alike():
    inertia = WORLD.plant.arm.inertia_matrix(torch.tensor([0.4, 1.3]).double())
    moved = {name: torch.linalg.solve(inertia, load) for name, load in loads_nm(inertia, 2).items()}
    assert abs(float(moved["elbow moves"][0])) < 1e-12 < float(moved["elbow moves"][1])
    assert abs(float(moved["shoulder moves"][1])) < 1e-12 < float(moved["shoulder moves"][0])
    alike = [float(moved[name][0]) for name in ("shoulder torque", "elbow torque")]
    assert alike[0] == pytest.approx(alike[1])


def test_reflexes_of_a_joint_and_of_the_limb_differ():
    """Stretch of the shoulder alone, or the torques that the motion of both joints shows."""
    ask = LongLatency(onset_s=0.05, repeats=3)
    local = torch.tensor([[5.0, 0.0], [0.0, 5.0]]).double()
    _, judged = asked(ask, Planted(stiffness=local))
    assert {one.verdict for one in judged.values()} == {"absent"}
    assert judged["same motion"].found.value == pytest.approx(100, abs=3)
    home = torch.tensor(WORLD.plant.home).double()
    model = 20 * WORLD.plant.arm.inertia_matrix(home)
    _, judged = asked(ask, Planted(stiffness=model))
    assert {one.verdict for one in judged.values()} == {"inside"}
    assert judged["elbow moves"].found.value == pytest.approx(100, abs=5)


def test_percentages_need_something_to_compare_with():
    twice = as_percentage(torch.tensor([2.0, 2.2, 1.8]), torch.tensor([1.0, 1.1, 0.9]))
    assert twice.value == pytest.approx(200)
    noise = torch.randn(40, generator=torch.Generator().manual_seed(0))
    assert as_percentage(noise + 3, noise - noise.mean()).value is None
    assert as_percentage(torch.zeros(3), torch.zeros(3)).value is None


@pytest.mark.parametrize(
    ("name", "wrong", "says"),
    [
        ("gain-over-reach", {"times_s": (0.1, 0.2)}, "`times_s` must be three"),
        ("time-to-target", {"left_s": (0.6, 0.3)}, "`left_s` must be two times or more below 0.55"),
        ("time-to-target", {"distances_m": (0.1,)}, "`arrivals_s` must have a time for each"),
        ("minimal-intervention", {"bar_m": (0.1, 0.01)}, "`bar_m` must be a width and a length"),
        ("long-latency", {"load_nm": 0.0}, "`load_nm` must be a positive number of N m"),
    ],
)
def test_wrong_conditions_are_refused(name, wrong, says):
    with pytest.raises(ValueError, match=says):
        replace(EXPERIMENTS[name], **wrong)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["gain-over-reach", "long-latency", "minimal-intervention", "time-to-target"]
)
def test_optimal_control_responds_as_people_do(name, tmp_path):
    from matplotlib.figure import Figure

    experiment = EXPERIMENTS[name].quick()
    found, judged = asked(experiment, Optimal())
    assert {one.verdict for one in judged.values()} <= {"inside", "same direction"}
    figure = Figure()
    experiment.draw(found, figure)
    assert figure.axes
