"""Recordings hold what the simulation did, keep it on disk, and refuse what is none."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from cases import noisy

from neuromotor import (
    CenterOut,
    Channel,
    ClosedLoop,
    ContinuousTimeRNN,
    CuedReach,
    InstructedDelay,
    MuscleArm,
    PointMass,
    Postural,
    Senses,
    TargetJump,
)
from neuromotor.analysis import (
    RecordingError,
    align,
    check_recording,
    load_recording,
    make_recording,
    movement_onset,
    record,
    save_recording,
)
from neuromotor.analysis.jacobians import network_step
from neuromotor.analysis.layout import told
from neuromotor.training.single import initial_parameters

TASK = CenterOut(directions=4, steps=12, delay_steps=2)
NET = ContinuousTimeRNN(layers=(5, 3))


@pytest.fixture(scope="module")
def recording():
    return record(TASK, NET, initial_parameters(NET, 0), noisy(TASK.trials(), TASK.steps))


def test_a_recording_is_the_simulation(recording):
    trials = noisy(TASK.trials(), TASK.steps)
    run = ClosedLoop(TASK, NET).simulate(initial_parameters(NET, 0), trials)
    np.testing.assert_array_equal(recording["activation"][..., 5:], run.memory[1])
    np.testing.assert_allclose(recording["rate"], np.tanh(recording["activation"]), rtol=1e-14)
    np.testing.assert_array_equal(recording["joint_velocity"], run.states[:, :-1, 2:])
    np.testing.assert_array_equal(recording["observation"], run.observations)
    np.testing.assert_array_equal(recording["load"], trials.load)
    np.testing.assert_allclose(recording["time"], 0.01 * np.arange(12))
    np.testing.assert_array_equal(recording["condition"], np.arange(4))
    assert list(recording["layer"].values) == ["layer 1"] * 5 + ["layer 2"] * 3
    assert recording["command"].attrs["units"] == "N m"
    end = TASK.plant.hand_position(run.states[:, -1])
    np.testing.assert_array_equal(recording["final_hand_position"], end)
    np.testing.assert_array_equal(recording["go_time"], np.zeros(4))


def test_an_instructed_delay_keeps_its_times_and_what_was_told(tmp_path):
    reach = CenterOut(directions=3, steps=30, delay_steps=2)
    times = {"target_step": 4, "hold_steps": (3, 9), "reach_steps": 10}
    task = InstructedDelay(reach, repeats=5, catch_fraction=0.3, **times)
    trials = task.trials(torch.Generator().manual_seed(3))
    net = ContinuousTimeRNN(layers=(5, 3), input_size=9)
    theta = initial_parameters(net, 0)
    save_recording(tmp_path / "x.nc", record(task, net, theta, trials))
    found = load_recording(tmp_path / "x.nc")
    caught = trials.condition.numpy() >= 3
    assert 0 < caught.sum() < 15
    np.testing.assert_allclose(found["target_time"], 0.04)
    go = np.where(caught, np.nan, 0.01 * trials.cue[..., 0].numpy().argmax(1))
    np.testing.assert_allclose(found["go_time"], go)
    center = task.plant.hand_position(trials.initial_state).numpy()
    np.testing.assert_allclose(found["target_position"][caught], center[caught])
    step = network_step(net, theta, found)  # what was told makes the recorded activations
    given = torch.from_numpy(told(found, range(15)))
    activation = torch.from_numpy(found["activation"].values)
    seen = torch.from_numpy(found["observation"].values)
    for t in range(1, 30):
        after = step(activation[:, t - 1], seen[:, t], given[:, t], t)
        torch.testing.assert_close(after, activation[:, t], rtol=1e-12, atol=1e-14)
    cut = align(found, "go_time", 0.03, 0.05)
    assert cut.sizes["trial"] == 15 - caught.sum()
    np.testing.assert_array_equal(
        cut["cue"][..., 0], np.tile([0] * 3 + [1] * 6, (len(cut.trial), 1))
    )


def test_a_target_that_jumps_appears_at_its_jump():
    task = TargetJump(CenterOut(directions=1, steps=9), jump_step=4)
    found = record(task, NET, initial_parameters(NET, 0))
    np.testing.assert_allclose(found["target_time"], [0.04, 0.0, 0.04])
    np.testing.assert_array_equal(found["go_time"], np.zeros(3))


def test_what_is_sensed_and_told_has_its_names(tmp_path):
    senses = Senses(
        (Channel("hand_position", delay_steps=3, noise=0.01), Channel("joint_velocity", scale=0.5)),
        target=(Channel("hand_position", delay_steps=2), Channel("joint_velocity")),
    )
    task = TargetJump(CenterOut(directions=1, steps=9, senses=senses), jump_step=4)
    net = replace(NET, input_size=8)
    found = record(task, net, initial_parameters(net, 0), task.trials())
    path = tmp_path / "senses.nc"
    save_recording(path, found)
    found = load_recording(path)
    assert found["state"].values.tolist() == [
        "hand x (m)",
        "hand y (m)",
        "0.5 x shoulder velocity (rad/s)",
        "0.5 x elbow velocity (rad/s)",
    ]
    assert found["told"].values.tolist()[:2] == ["hand x (m)", "hand y (m)"]
    noise = found["trials_sensory_noise"].values[:, 3:, :2]
    np.testing.assert_allclose(
        found["observation"].values[:, 3:, :2], found["hand_position"].values[:, :-3] + noise
    )
    now = np.repeat(found["target_position"].values[:, None], 3, axis=1)
    np.testing.assert_allclose(found["shown_target"].values[:, 6:, :2], now)
    step = network_step(net, initial_parameters(net, 0), found)
    after = step(
        torch.from_numpy(found["activation"].values[:, 4]),
        torch.from_numpy(found["observation"].values[:, 5]),
        torch.from_numpy(told(found, range(3))[:, 5]),
        5,
    )
    np.testing.assert_allclose(after.numpy(), found["activation"].values[:, 5], atol=1e-12)


def test_perturbations_start_with_the_first_load():
    trials = noisy(TASK.trials(), TASK.steps)
    load = torch.zeros_like(trials.load)
    load[1, 5:, 0] = 0.2
    still = torch.zeros_like(trials.hand_force)
    still[3, 0, 1] = 1.0
    parts = TASK.trials()
    parts = replace(parts, load=load, hand_force=still)
    onset = record(TASK, NET, initial_parameters(NET, 0), parts)["perturbation_time"].values
    np.testing.assert_array_equal(np.isnan(onset), [True, False, True, False])
    np.testing.assert_allclose(onset[[1, 3]], [0.05, 0.0])


def test_a_point_mass_has_its_own_units():
    task = CenterOut(plant=PointMass(), directions=2, steps=5)
    recording = record(task, NET, initial_parameters(NET, 0))
    assert recording["joint_position"].attrs["units"] == "m"
    assert recording["load"].attrs["units"] == "N"


def test_what_is_saved_is_read_again(recording, tmp_path):
    path = tmp_path / "recording.nc"
    save_recording(path, recording)
    again = load_recording(path)
    xr.testing.assert_equal(again, recording)
    assert again.attrs == recording.attrs
    assert path.read_bytes()[:3] == b"CDF"
    with pytest.raises(FileExistsError, match="overwrite"):
        save_recording(path, recording)
    assert [p.name for p in tmp_path.iterdir()] == ["recording.nc"]


def test_own_data_need_rates_times_and_conditions_only(tmp_path):
    rate = np.arange(24.0).reshape(2, 4, 3)
    own = make_recording([0, 0.1, 0.2, 0.3], ["left", "right"], {"rate": rate}, layer=["M1"] * 3)
    save_recording(tmp_path / "own.nc", own)
    again = load_recording(tmp_path / "own.nc")
    assert list(again["condition"].values) == ["left", "right"]
    np.testing.assert_array_equal(again["rate"], rate)


def test_velocity_and_onset_come_from_positions():
    time = np.linspace(0, 1, 101)
    s = np.clip((time - 0.2) / 0.5, 0, 1)
    path = 0.1 * (10 * s**3 - 15 * s**4 + 6 * s**5)  # minimum jerk, from 0.2 to 0.7 s
    hand = np.zeros((2, 101, 2))
    hand[0, :, 0] = path
    rate = np.zeros((2, 101, 1))
    own = make_recording(time, [0, 1], {"rate": rate, "hand_position": hand})
    assert own["hand_velocity"].values.max() == pytest.approx(1.875 * 0.1 / 0.5, rel=2e-3)
    # 30 s^2 (1 - s)^2 = 0.1 x 1.875 at s = 0.0859
    assert own["movement_onset"].values[0] == pytest.approx(0.2 + 0.5 * 0.0859, abs=0.011)
    assert np.isnan(own["movement_onset"].values[1])


def test_a_movement_under_way_has_no_onset():
    time = np.arange(5) * 0.1
    assert np.isnan(movement_onset(time, np.array([[1.0, 1.2, 0.8, 0.1, 0.0]]))).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r[["time", "condition"]], "lacks `rate`, and any other variable"),
        (lambda r: r.drop_vars("condition"), "coordinate `condition`"),
        (lambda r: r.drop_vars("time"), "coordinate `time`"),
        (lambda r: r.transpose("unit", "trial", "time", ...), "must have the axes"),
        (lambda r: r.assign(rate=r["rate"].where(r["trial"] > 0)), "96 NaN"),
        (lambda r: r.assign_coords(time=r["time"] ** 2), "even, increasing"),
        (lambda r: r.isel(trial=slice(0, 0)), "no entries along `trial`"),
        (lambda r: r["rate"], "must be an xarray.Dataset"),
    ],
)
def test_errors_name_what_is_wrong(recording, change, message):
    with pytest.raises(RecordingError, match=message):
        check_recording(change(recording))


def test_an_analysis_can_ask_for_more(recording):
    with pytest.raises(RecordingError, match="lacks `hand_velocity`"):
        check_recording(recording.drop_vars("hand_velocity"), needs=["hand_velocity"])


def test_trials_of_unequal_length_are_refused_in_words(recording):
    unequal = [np.zeros((12, 3)), np.zeros((10, 3))]
    with pytest.raises(RecordingError, match="cut trials of unequal length"):
        make_recording(0.1 * np.arange(12), [0, 1], {"rate": unequal})
    rate = recording["rate"].copy()
    rate[1, 9:], rate[3, 7:] = np.nan, np.nan
    with pytest.raises(RecordingError, match=r"2 of 4 trials end in them.*slice\(7\)"):
        check_recording(recording.assign(rate=rate))
    rate[1, 2] = np.nan  # a hole is no padding
    with pytest.raises(RecordingError, match="leave those trials or units out"):
        check_recording(recording.assign(rate=rate))


def test_foreign_files_are_refused(recording, tmp_path):
    text = tmp_path / "text.nc"
    text.write_text("not a recording")
    with pytest.raises(RecordingError, match="not a netCDF file"):
        load_recording(text)
    with pytest.raises(RecordingError, match="is not a file"):
        load_recording(tmp_path / "absent.nc")
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "other.nc", engine="scipy")
    with pytest.raises(RecordingError, match="lacks `rate`"):
        load_recording(tmp_path / "other.nc")
    recording.assign_attrs(format_version="2").to_netcdf(tmp_path / "new.nc", engine="scipy")
    with pytest.raises(RecordingError, match="version '2'"):
        load_recording(tmp_path / "new.nc")
    whole = tmp_path / "whole.nc"
    save_recording(whole, recording)
    (tmp_path / "cut.nc").write_bytes(whole.read_bytes()[:600])
    with pytest.raises(RecordingError, match="cannot be read"):
        load_recording(tmp_path / "cut.nc")


@pytest.mark.filterwarnings("ignore")  # of numpy and xarray, over what damage made of a header
def test_damage_of_any_kind_is_refused_or_harmless(recording, tmp_path):
    path = tmp_path / "recording.nc"
    save_recording(path, recording.isel(trial=[0, 1], time=slice(4)))
    whole, exact, choice = path.read_bytes(), load_recording(path), random.Random(0)
    for percent in range(100):
        path.write_bytes(whole[: len(whole) * percent // 100])
        with pytest.raises(RecordingError):
            load_recording(path)
    for number in range(200):
        damaged = bytearray(whole)
        damaged[choice.randrange(800 if number % 2 else len(whole))] ^= 1 << choice.randrange(8)
        path.write_bytes(damaged)
        try:
            found = load_recording(path)
        except RecordingError:
            continue
        assert found.equals(exact)  # the flip hid the checksum's own name


def test_a_dataset_that_was_read_can_be_changed_and_saved_by_xarray(recording, tmp_path):
    save_recording(tmp_path / "a.nc", recording)
    changed = 2 * load_recording(tmp_path / "a.nc").astype(float, keep_attrs=True)
    changed.attrs = load_recording(tmp_path / "a.nc").attrs
    changed["time"] = recording["time"]
    changed.to_netcdf(tmp_path / "b.nc", engine="scipy")
    np.testing.assert_array_equal(load_recording(tmp_path / "b.nc")["rate"], 2 * recording["rate"])


def test_muscles_are_recorded_with_lengths_and_velocities():
    task = CenterOut(plant=MuscleArm(dt_s=1e-3, activation_s=0.02), directions=2, steps=30)
    pull = torch.tensor([0.9, 0, 0.2, 0, 0, 0.1], dtype=torch.float64)
    recording = record(task, lambda seen, target, t: pull.expand(2, 6))
    activity = recording["actuator_activation"].values
    np.testing.assert_allclose(activity[0, :, 0], 0.9 * (1 - 0.95 ** np.arange(30)), rtol=1e-12)
    length, velocity = (recording[f"actuator_{name}"] for name in ("length", "velocity"))
    assert length["muscle"].values.tolist()[0] == "shoulder flexor"
    slope = np.diff(length.values, axis=1) / 1e-3  # angles move with the velocity before a step
    np.testing.assert_allclose(velocity.values[:, :-1], slope, rtol=1e-6, atol=1e-9)
    assert np.abs(slope).max() > 1e-3
    check_recording(recording)


def test_loads_of_earlier_recordings_lay_over_the_actuators(tmp_path):
    recording = record(Postural(loads="joint", steps=6, delay_steps=1, onset_step=2), "open-loop")
    old = recording.drop_vars(["load", "push_load", "load_axis"])
    old = old.assign_coords(actuator=recording["load_axis"].values)
    for name in ("load", "push_load"):
        dims = tuple("actuator" if d == "load_axis" else d for d in recording[name].dims)
        old[name] = (dims, recording[name].values, recording[name].attrs)
    path = tmp_path / "old.nc"
    old.to_netcdf(path)
    found = load_recording(path)
    for name in ("load", "push_load", "load_axis"):
        assert found[name].identical(recording[name])


def test_the_go_time_is_that_of_the_first_cue_and_not_of_symbols_before_it():
    reach = CenterOut(directions=3, steps=40, delay_steps=2)
    times = {"target_step": 4, "show_steps": 5, "hold_steps": (3, 9), "reach_steps": 10}
    task = CuedReach(reach, repeats=2, **times)
    trials = task.trials(torch.Generator().manual_seed(3))
    net = ContinuousTimeRNN(layers=(4,), input_size=trials.input_size)
    found = record(task, net, initial_parameters(net, 0), trials)
    np.testing.assert_allclose(found["target_time"], 0.04)
    np.testing.assert_allclose(found["go_time"], 0.01 * trials.cue[..., 0].numpy().argmax(1))
    assert (found["go_time"] > 0.01 * (4 + 2 * 5)).all()
