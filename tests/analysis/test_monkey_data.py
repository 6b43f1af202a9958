"""The published numbers of monkeys, from a folder of the data (Kalidindi et al. 2021)."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from neuromotor.analysis import RecordingError
from neuromotor.analysis.monkey_data import (
    posture_recordings,
    posture_rotations,
    reach_muscle_tuning,
)
from neuromotor.analysis.rotations import rotational_dynamics


def test_files_as_jpca_takes_them_become_recordings(tmp_path):
    generator = np.random.default_rng(0)
    times = np.arange(1.0, 301.0, 10.0)
    made = {}
    for name, signals, count in (("motor_cortex_A", 8, 8), ("emg_A", 6, 8), ("joints_A", 4, 9)):
        made[name] = generator.uniform(0, 9, (count, 30, signals))
        rows = [{"A": own, "times": times} for own in made[name]]
        savemat(tmp_path / f"{name}.mat", {"Data_struct": rows})
    found = posture_recordings(tmp_path)
    assert list(found) == ["motor cortex A", "muscles A", "kinematics A"]
    rate = found["motor cortex A"]["rate"]
    np.testing.assert_allclose(rate, made["motor_cortex_A"])
    assert rate.attrs["units"] == "spikes/s"
    np.testing.assert_allclose(found["muscles A"]["command"], made["emg_A"])
    joints = found["kinematics A"]
    np.testing.assert_allclose(joints["joint_velocity"], made["joints_A"][:8, :, 2:])
    np.testing.assert_allclose(np.diff(joints["time"]), 0.01)
    with pytest.raises(RecordingError, match=r"such as motor_cortex_P\.mat"):
        posture_recordings(tmp_path / "nothing")


@pytest.mark.skipif(
    "NEUROMOTOR_MONKEY_POSTURE" not in os.environ, reason="needs the folder of the data"
)
def test_published_numbers_of_monkeys_in_posture():
    """R² of single monkeys as published; all of the three together beside those of five."""
    folder = Path(os.environ["NEUROMOTOR_MONKEY_POSTURE"])
    found = posture_rotations(folder, surrogates=39)
    for monkey, neurons, skew in (("P", 162, 0.403), ("Pu", 92, 0.428), ("X", 67, 0.480)):
        own = found[f"motor cortex {monkey}"]
        assert own.signals == neurons
        assert own.r2_skew == pytest.approx(skew, abs=0.01)
        assert own.p_skew == pytest.approx(1 / 40)
    every = found["motor cortex, all"]
    assert every.signals == 321
    assert every.r2_skew == pytest.approx(0.41, abs=0.02)  # 553 neurons of five monkeys there
    assert every.r2_unconstrained == pytest.approx(0.50, abs=0.025)
    joints = [found[f"kinematics {monkey}"] for monkey in ("P", "Pu", "X")]
    skew = [own.r2_skew for own in joints]
    assert (min(skew), max(skew)) == (pytest.approx(0.38, abs=0.01), pytest.approx(0.54, abs=0.01))
    assert np.median([own.frequencies_hz[0] for own in joints]) == pytest.approx(1.4, abs=0.1)
    for monkey in ("P", "Pu", "X"):
        assert 0.01 < found[f"muscles {monkey}"].r2_skew < 0.1
    cortex = posture_recordings(folder)["motor cortex P"]
    middle = rotational_dynamics(cortex, difference="midpoints", surrogates=0)
    starts = found["motor cortex P"]
    assert 0.01 < middle.r2_unconstrained - starts.r2_unconstrained < 0.025


def test_muscles_get_the_directions_that_were_planted(tmp_path):
    angle = np.radians(45 * np.arange(8))
    wanted = np.array([30.0, -120.0])
    active = np.cos(angle - np.radians(wanted)[:, None])[:, None]
    emg = np.ones((2, 1000, 8))
    emg[:, 600:] += active
    savemat(tmp_path / "EMG.mat", {"all_EMG": emg})
    found = reach_muscle_tuning(tmp_path / "EMG.mat", window_s=(0.6, 1.0), shuffles=20)
    np.testing.assert_allclose(found.direction_deg, wanted)
    with pytest.raises(RecordingError, match="must lie in 0 to 1 s"):
        reach_muscle_tuning(tmp_path / "EMG.mat")
    with pytest.raises(ValueError, match="must have 8 numbers, got 2"):
        reach_muscle_tuning(tmp_path / "EMG.mat", window_s=(0.0, 1.0), directions_deg=(0, 90))


@pytest.mark.skipif(
    "NEUROMOTOR_MONKEY_EMG" not in os.environ, reason="needs the folder of the data"
)
def test_a_monkey_s_muscles_are_tuned_to_direction():
    found = reach_muscle_tuning(Path(os.environ["NEUROMOTOR_MONKEY_EMG"]) / "EMG.mat")
    assert found.r2.shape == (13,)
    assert np.median(found.r2) > 0.6
