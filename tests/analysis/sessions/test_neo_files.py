"""Files that neo reads are imported by their names, and pickles are not."""

import numpy as np
import pytest
from forked import neuromotor
from planted_session import check_planted, planted

from neuromotor.analysis import ImportOptions, RecordingError, import_recording, load_recording

neo = pytest.importorskip("neo")
pq = pytest.importorskip("quantities")
pytest.importorskip("nixio")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
PLAN = planted(24, 3)


@pytest.fixture(scope="module")
def nix(tmp_path_factory):
    """The planted session as a NIX file: one segment with epochs."""
    block, segment = neo.Block(name="session"), neo.Segment()
    end = float(PLAN.time_s[-1] + 0.001)
    for unit, times in enumerate(PLAN.spikes):
        own = {"name": f"u{unit}", "area": PLAN.areas[unit]}
        segment.spiketrains.append(neo.SpikeTrain(times * pq.s, t_stop=end * pq.s, **own))
    hand = neo.AnalogSignal(PLAN.hand_m * 100 * pq.cm, sampling_rate=1000 * pq.Hz, name="hand")
    segment.analogsignals.append(hand)
    go = PLAN.trials["go_cue_time"]
    segment.events.append(neo.Event(go * pq.s, np.array(["go_time"] * len(go)), name="cues"))
    start, stop = PLAN.trials["start_time"], PLAN.trials["stop_time"]
    segment.epochs.append(
        neo.Epoch(
            start * pq.s,
            (stop - start) * pq.s,
            name="trials",
            array_annotations={"angle": PLAN.trials["angle"]},
        )
    )
    block.segments.append(segment)
    path = tmp_path_factory.mktemp("neo") / "session.nix"
    with neo.NixIO(str(path), mode="ow") as file:
        file.write_block(block)
    return path


def test_a_planted_session_comes_back_from_the_command_line(nix, tmp_path):
    before = nix.read_bytes()
    options = ("--align", "go_time", "--window", "-0.2", "0.6", "--condition", "angle")
    done = neuromotor("import", nix, *options, "--hand", "hand", "--out", "x.nc", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = load_recording(tmp_path / "x.nc")
    check_planted(found, PLAN)
    assert found["layer"].values.tolist() == PLAN.areas
    done = 0.7**3 * (10 - 15 * 0.7 + 6 * 0.7**2)  # 350 of 500 ms of a minimum-jerk reach of 10 cm
    np.testing.assert_allclose(np.abs(found["hand_position"]).max(), 0.1 * done, atol=1e-6)
    assert nix.read_bytes() == before


def test_spikes_of_a_format_that_stays_in_its_file(tmp_path):
    """neo's own example format: two segments of 10 s, and raw signals that are not read."""
    path = tmp_path / "mine.fake"
    path.write_bytes(b"")
    found = import_recording(path, ImportOptions(conditions=("seg_extra_info",), bin_s=0.07))
    grid = found["time"].values
    for row, segment in enumerate(neo.io.ExampleIO(str(path)).read_block().segments):
        train = segment.spiketrains[0]
        times = train.times.rescale("s").magnitude - float(segment.t_start.rescale("s"))
        counts = np.histogram(times, np.append(grid - 0.035, grid[-1] + 0.035))[0]
        known = ~np.isnan(found["rate"].values[row, :, 0])
        assert known.sum() > 130
        own = found["rate"].values[row, known, 0] * 0.07
        np.testing.assert_allclose(own, counts[known], atol=1e-5)
        assert times.size > 10
    with pytest.raises(RecordingError, match="no signal of the file"):
        import_recording(path, ImportOptions(behaviour={"hand_position": "hand"}))


def test_what_no_reader_takes_is_refused(tmp_path, nix):
    for name in ("x.pkl", "x.zzz"):
        (tmp_path / name).write_bytes(b"cos\nsystem\n")
        with pytest.raises(RecordingError, match="no reader is for files like it"):
            import_recording(tmp_path / name)
    with pytest.raises(RecordingError, match="neo does not have here"):
        import_recording(nix, ImportOptions(reader="PickleIO"))
    with pytest.raises(RecordingError, match="is not there"):
        import_recording(tmp_path / "y.plx")
    (tmp_path / "x.plx").write_bytes(b"nothing")
    with pytest.raises(RecordingError, match="cannot be read by neo"):
        import_recording(tmp_path / "x.plx")
    with pytest.raises(RecordingError, match="cannot be read by neo"):
        import_recording(nix, ImportOptions(reader="BlackrockIO"))
