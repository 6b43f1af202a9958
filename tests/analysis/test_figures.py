"""What is drawn can be read: labels apart, colours for white paper with their key, units."""

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from planted import reaches, rotating
from scipy.stats import chi2

from neuromotor import CenterOut, ContinuousTimeRNN
from neuromotor.analysis import (
    LesionEffect,
    condition_averages,
    end_points,
    make_recording,
    plot_end_points,
    plot_rotations,
    preferred_directions,
    record,
    rotations_of,
)
from neuromotor.analysis.averages import plot_averages
from neuromotor.analysis.behaviour import plot_movements
from neuromotor.analysis.lesions import plot_lesions
from neuromotor.analysis.tuning import plot_tuning
from neuromotor.plotting import with_unit
from neuromotor.tasks import PulsedReach
from neuromotor.training.single import initial_parameters

mpl.use("Agg")
NET = ContinuousTimeRNN(layers=(12,))
PARAMETERS = initial_parameters(NET, 0)


@pytest.fixture(scope="module")
def recording():
    return record(CenterOut(directions=16, steps=20), NET, PARAMETERS)


def boxes(figure, labels):
    """Where texts are drawn, in pixels."""
    figure.canvas.draw()
    shown = [label for label in labels if label.get_text() and label.get_visible()]
    return [label.get_window_extent() for label in shown]


def overlapping(rectangles):
    pairs = itertools.combinations(rectangles, 2)
    return sum(one.overlaps(other) for one, other in pairs)


@pytest.mark.parametrize("most", [0.08, 0.5, 12.0, 4000.0])
def test_labels_of_lesions_do_not_overlap(most):
    errors = np.geomspace(0.067, most, 6)
    rows = [{"target_error_cm": error} for error in errors]
    figure = plot_lesions({"layer 1": LesionEffect(rows[0], rows[-1], tuple(rows[1:]))})
    axis = figure.axes[0].yaxis
    labels = [*axis.get_ticklabels(), *axis.get_ticklabels(minor=True)]
    found = boxes(figure, labels)
    inside = [box for box in found if figure.bbox.y0 <= box.y0 <= figure.bbox.y1]
    assert len(inside) >= 2
    assert overlapping(inside) == 0


def test_radial_labels_of_tuning_do_not_overlap(recording):
    tuned = preferred_directions(recording, "hand", bootstraps=2, shuffles=40)
    none = preferred_directions(recording, "hand", bootstraps=2, shuffles=2)
    figure = plot_tuning({"tuned": tuned, "none": none})
    for ax in figure.axes:
        found = boxes(figure, [*ax.get_yticklabels(), *ax.get_xticklabels()])
        assert overlapping(found) == 0
    assert "nan" not in figure.axes[1].get_title()


def test_every_condition_has_a_colour_that_shows_on_white_and_a_key(recording):
    figure = plot_averages(condition_averages(recording, shuffles=2), units=2)
    *panels, key = figure.axes
    colors = [mpl.colors.to_rgb(line.get_color()) for line in panels[0].lines]
    assert len(set(colors)) == 16
    linear = np.where(np.array(colors) <= 0.04045, np.array(colors) / 12.92, 0)
    linear += np.where(linear == 0, ((np.array(colors) + 0.055) / 1.055) ** 2.4, 0)
    luminance = linear @ [0.2126, 0.7152, 0.0722]  # WCAG 2
    assert (1.05 / (luminance + 0.05)).min() > 2  # white has 1
    assert key.get_xlabel() == "condition"
    assert [text.get_text() for text in key.get_xticklabels()][:2] == ["0", "2"]


def test_pushes_are_seen_and_named_in_recordings():
    task = PulsedReach(reach=CenterOut(directions=2, steps=30))
    trials = task.trials()
    figure = plot_movements(record(task, NET, PARAMETERS, trials))
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["target", "while loaded", "push, where it begins"]
    pushed = int((trials.hand_force != 0).any(-1).any(-1).sum())
    assert len(figure.axes[0].texts) == pushed


def test_ellipses_of_end_points_are_drawn_where_the_hand_ends():
    """Three trials to one target: the ellipse has the mean, the axes and the turn of their ends."""
    ends = np.array([[0.1, 0.0], [0.104, 0.004], [0.102, -0.001], [0.098, 0.002]])
    hand = np.linspace(0, 1, 11)[:, None] * ends[:, None]
    target = np.tile([0.1, 0.0], (4, 1))
    parts = {"hand_position": hand, "target_position": target}
    own = make_recording(0.05 * np.arange(11), ["right"] * 4, parts)
    figure = plot_movements(own, end_points(own))
    values, vectors = np.linalg.eigh(np.cov(1e2 * ends.T))
    for patch in figure.axes[0].patches:
        np.testing.assert_allclose(patch.center, 1e2 * ends.mean(0))
        size = 2 * np.sqrt(values[::-1] * chi2(2).ppf(0.95))
        np.testing.assert_allclose([patch.width, patch.height], size)
        turn = np.degrees(np.arctan2(*vectors[::-1, 1])) % 180
        assert patch.angle == pytest.approx(turn)
    assert len(figure.axes[0].patches) == 2  # a black one under the coloured one
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["target", "95 % of end points"]
    assert not plot_movements(own).axes[0].patches


def test_inverted_conditions_are_not_called_a_null():
    mean, time = rotating([3.0, 1.5, 0.8], noise=0.01)
    figure = plot_rotations({"all": rotations_of(mean, time, soft=0.0, surrogates=3)})
    rows = [text.get_text() for text in figure.axes[1].get_yticklabels()]
    assert sorted(rows) == ["not a null:\nhalf inverted", "null:\nmaximum entropy"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("peak_speed_m_s", "peak_speed (m/s)"),
        ("end_speed_cm_s", "end_speed (cm/s)"),
        ("area_m2", "area (m²)"),
        ("fitts_slope_s_per_bit", "fitts_slope (s/bit)"),
        ("frequency_1_hz", "frequency_1 (Hz)"),
        ("units", "units"),
        ("r2", "r2"),
        ("participation_ratio", "participation_ratio"),
    ],
)
def test_names_show_their_units(name, words):
    assert with_unit(name) == words


def test_a_reference_lies_in_grey_behind_the_movements(recording):
    figure = plot_movements(recording, behind=recording.isel(trial=slice(3)))
    for ax in figure.axes[:2]:
        shades = [line.get_color() for line in ax.lines]
        assert [str(shade) == "0.6" for shade in shades] == [True] * 3 + [False] * 16
    grey, colored = figure.axes[0].lines[0], figure.axes[0].lines[3]
    np.testing.assert_array_equal(grey.get_xydata(), colored.get_xydata())
    (legend,) = figure.legends
    assert "reference, behind" in [text.get_text() for text in legend.get_texts()]


def test_ellipses_of_end_points_hold_what_they_say():
    """95 % of normal errors lie within, drawn as large and as far off the target as was asked."""
    count, target, bias = 4000, np.array([0.06, -0.02]), np.array([0.004, 0.001])
    errors = np.random.default_rng(0).normal(size=(count, 2)) * [0.003, 0.001] + bias
    hand = np.stack([np.zeros((count, 2)), 0.5 * (target + errors), target + errors], axis=1)
    made = {"hand_position": hand, "target_position": np.tile(target, (count, 1))}
    points = end_points(make_recording([0.0, 0.1, 0.2], np.zeros(count, int), made))
    ax = plot_end_points({"planted": points}, magnified=5).axes[0]
    (ellipse,) = ax.patches
    drawn = 100 * (target + 5 * errors)
    inside = ellipse.contains_points(ax.transData.transform(drawn), radius=0)
    assert inside.mean() == pytest.approx(0.95, abs=0.015)
    assert ellipse.get_center() == pytest.approx(100 * (target + 5 * bias), abs=0.05)
    with pytest.raises(ValueError, match="one recording or more"):
        plot_end_points({})
    with pytest.raises(ValueError, match="`magnified` must be a positive number"):
        plot_end_points({"planted": points}, magnified=0)


def test_a_figure_of_many_trials_draws_some_and_says_so():
    time, _, condition, hand = reaches(repeats=60)
    figure = plot_movements(make_recording(time, condition, {"hand_position": hand}))
    assert len(figure.axes[1].get_lines()) == 400
    assert figure.axes[1].get_title() == "400 of 480 trials"
    plt.close(figure)
