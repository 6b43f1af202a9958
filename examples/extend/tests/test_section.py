"""A straight path has the length of the line between its ends."""

import numpy as np
import pytest
from my_lab.section import path_length_m

from neuromotor.analysis import make_recording


def test_a_straight_path_is_as_long_as_its_line():
    time_s = np.linspace(0, 1, 11)
    hand = np.array([3.0, 4.0]) * time_s[None, :, None] * np.ones((2, 1, 1))
    recording = make_recording(time_s, np.array([0, 1]), {"hand_position": hand})
    assert path_length_m(recording) == pytest.approx([5.0, 5.0])
