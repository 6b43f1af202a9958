"""The published numbers of monkeys, from a folder of the data (Kalidindi et al. 2021)."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from neuromotor.analysis import RecordingError
from neuromotor.analysis.posture_data import posture_recordings, posture_rotations
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
