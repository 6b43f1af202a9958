"""How a session becomes a recording: the options of every import."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from neuromotor._checks import check_integer, check_number, check_positive, lookup
from neuromotor.analysis.layout import EVENTS
from neuromotor.extensions import Registry

__all__ = ["COURSES", "IMPORTS", "KNOWN_EVENTS", "FileNames", "ImportOptions"]

COURSES = (  # variables that a series of a session may become
    *("hand_position", "hand_velocity", "joint_position", "joint_velocity"),
    *("command", "load", "hand_force"),
)
KNOWN_EVENTS = {  # names of columns that are taken for an event without being asked for
    "target_time": ("target_time", "target_on_time", "target_onset_time", "tgtOnTime", "tgt_on"),
    "go_time": ("go_time", "go_cue_time", "goCue", "goCueTime", "go_cue", "gocue_time", "goTime"),
    "perturbation_time": ("perturbation_time", "perturbation_onset", "bump_time", "bumpTime"),
    "movement_onset": ("movement_onset", "move_onset_time", "movement_onset_time", "moveOnset"),
}
_UNITS = ("time", "target", "angle", "rate", *COURSES)
_KERNELS = {"none": 0, "gaussian": 1, "causal": 2}
_LENGTHS = {"mask": 0, "shortest": 1}
_GAPS = {"keep": 0, "trials": 1, "units": 2, "refuse": 3}
_NORMALISED = {"none": 0, "sqrt": 1, "soft": 2}


@dataclass(frozen=True)
class FileNames:
    """Where things stand in a MATLAB or numpy file, as paths with dots through its structures.

    Attributes:
        trials: The trials: a struct array with one entry a trial, whose fields the other names
            then are; or one structure of columns, or a matrix whose columns `columns` names. Empty
            where the file's own arrays are the trials' columns.
        columns: Names of the matrix's columns; or, without `trials`, the arrays that are columns.
            By default every array with one entry a trial is one.
        start: Column that says when each trial starts.
        stop: Column that says when it ends.
        spikes: Spike times: a cell or list a unit (in each trial, where trials are structs), or
            one array for all units, with `spike_units`.
        spike_units: For one array of spike times: which unit each spike is of.
        counts: Counts of spikes in bins, (time, unit) or (trial, time, unit).
        rates: Rates, with the same axes.
        axes: Order of the axes of `counts` and `rates` where they hold all trials.
        time: Times of the samples of counts, rates and series, or of their bins' centres.
        bin: Width of their bins, in place of `time`, in the unit of time: a number or a name.
        first: Time of the first of those bins on each trial's own clock, in the unit of time.
        series: What else was measured, by name: `{hand = "pos"}`.
        series_time: Times of those series where `time` is not theirs.
        units: Columns of the units, by name: `{area = "unit_area"}`.
        moments: Further columns of trials that are times, beside those that other options name.
        samples: Whether such columns are numbers of samples, not times.
        first_sample: Number of the first sample: 1 in MATLAB, 0 in Python.
        own_clock: Whether they count from each trial's own start, in a file with one session clock.
    """

    trials: str = ""
    columns: tuple[str, ...] = ()
    start: str = ""
    stop: str = ""
    spikes: str = ""
    spike_units: str = ""
    counts: str = ""
    rates: str = ""
    axes: str = "trial time unit"
    time: str = ""
    bin: str = ""
    first: float = 0.0
    series: dict[str, str] = field(default_factory=dict)
    series_time: str = ""
    units: dict[str, str] = field(default_factory=dict)
    moments: tuple[str, ...] = ()
    samples: bool = False
    first_sample: int = 1
    own_clock: bool = False


@dataclass(frozen=True)
class ImportOptions:
    """How a session becomes a recording.

    Attributes:
        align: Event that every trial's times count from: an event of `LAYOUT`, a column of the
            trials, or `start_time`.
        window_s: First and last time about that event (s); None keeps each trial from its start to
            its end.
        bin_s: Step between samples (s). A sample at t counts spikes from half a step before t to
            half a step after it.
        smooth: `none`, `gaussian`, or `causal`: half a Gaussian, of spikes that were before.
        smooth_s: Standard deviation of the Gaussian (s).
        conditions: Columns whose values together are a trial's condition. By default the column
            `condition`, or one condition for all.
        angle_bins: Conditions from the direction of the target in so many bins, the first about
            0 degrees. With `conditions` both together make them.
        target: Column, or two or three columns, with the target's position.
        angle: Column with the target's direction, in place of `target`.
        center: Where directions to the target are taken from (in the unit of `target`); by default
            the hand's first position in the trial, or 0 where there is no hand.
        events: Columns that are events: `{go_time = "cue"}`.
        select: Trials that count, as an expression over columns: `result == 'R' and rt < 0.5`.
        select_units: Units that count, as an expression over their columns: `quality == 'good'`.
        area: Column of the units that says their area; by default `area`, `location` and the like,
            or where their electrodes are.
        areas: Areas that count; all by default.
        minimum_rate_hz: Units that fire less over the recording (spikes/s) are left out.
        normalise: `none`, `sqrt` (square root of the rates) or `soft` (over the range of the
            condition averages plus 5 spikes/s).
        lengths: Without a window, trials differ in length: `mask` keeps all times, those after a
            trial's end being missing; `shortest` keeps the times that all trials have.
        warp: Two or more events between which time is stretched so that all trials have the same
            length, each part that of its median. In place of `align` and `window_s`.
        gaps: Samples that are missing, as where a unit was not recorded, are kept as missing
            (`keep`); or their `trials` or `units` are left out; or they are refused (`refuse`).
        widest_gap_s: Widest gap (s) of a series that is bridged by a straight line; None for two
            and a half of its median steps.
        behaviour: Series that become variables of the recording: `{hand_position = "cursor"}`, or
            some columns of them, counted from 0: `{hand_velocity = "kinematics[2,3]"}`.
        find_onset: Whether the onset of movement is found from the hand's speed where no column
            says it.
        rates: Series that holds the units' rates, in a file without spikes.
        trials: Table of the trials, where it is not the usual one.
        units: Units of `time`, `target`, `angle`, `rate` and of series, where the file does not
            say them: `{hand_position = "cm", angle = "deg"}`.
        names: Where things stand in a MATLAB or numpy file.
        reader: Reader of neo that takes the file, such as `BlackrockIO`, where its name does not
            say.
        about: Anything worth keeping as text: `{subject_id = "J", species = "Macaca mulatta"}`.
    """

    align: str = "start_time"
    window_s: tuple[float, float] | None = None
    bin_s: float = 0.01
    smooth: Literal["none", "gaussian", "causal"] = "none"
    smooth_s: float = 0.02
    conditions: tuple[str, ...] = ()
    angle_bins: int | None = None
    target: tuple[str, ...] = ()
    angle: str = ""
    center: tuple[float, ...] = ()
    events: dict[str, str] = field(default_factory=dict)
    select: str = ""
    select_units: str = ""
    area: str = ""
    areas: tuple[str, ...] = ()
    minimum_rate_hz: float = 0.0
    normalise: Literal["none", "sqrt", "soft"] = "none"
    lengths: Literal["mask", "shortest"] = "mask"
    warp: tuple[str, ...] = ()
    gaps: Literal["keep", "trials", "units", "refuse"] = "keep"
    widest_gap_s: float | None = None
    behaviour: dict[str, str] = field(default_factory=dict)
    find_onset: bool = True
    rates: str = ""
    trials: str = ""
    units: dict[str, str] = field(default_factory=dict)
    names: FileNames = field(
        default_factory=FileNames, metadata={"registry": {"names": FileNames()}}
    )
    reader: str = ""
    about: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_positive("bin_s", self.bin_s, "seconds")
        check_positive("smooth_s", self.smooth_s, "seconds")
        check_number("minimum_rate_hz", self.minimum_rate_hz, "spikes/s", minimum=0.0)
        if self.widest_gap_s is not None:
            check_positive("widest_gap_s", self.widest_gap_s, "seconds")
        for name, table in (
            ("smooth", _KERNELS),
            ("lengths", _LENGTHS),
            ("gaps", _GAPS),
            ("normalise", _NORMALISED),
        ):
            lookup(f"`{name}`", getattr(self, name), table)
        for name, known in (("events", EVENTS), ("behaviour", COURSES), ("units", _UNITS)):
            for key in getattr(self, name):
                lookup(f"entry of `{name}`", key, dict.fromkeys(known, 0))
        if self.angle_bins is not None:
            check_integer("angle_bins", self.angle_bins, minimum=2)
            if not (self.target or self.angle):
                raise ValueError("`angle_bins` needs `target` or `angle`: columns of the trials.")
        if self.target and self.angle:
            raise ValueError("`target` and `angle` both say where the target is; give one.")
        if len(self.target) > 3:
            raise ValueError(f"`target` must be 1 to 3 columns, got {len(self.target)}.")
        self._check_times()

    def _check_times(self) -> None:
        """Raise unless window and warp make sense."""
        window: Any = self.window_s
        if self.warp:
            if len(self.warp) < 2:
                raise ValueError("`warp` must name two events or more, such as go_time, stop_time.")
            if window is not None or self.align != "start_time":
                raise ValueError("`warp` stands in place of `align` and `window_s`; give one.")
        if window is None:
            return
        check_number("window_s", window[0], "seconds")
        check_number("window_s", window[1], "seconds")
        if window[1] < window[0]:
            raise ValueError(
                f"`window_s` must be the first and last time about the event, got {window}; times "
                "before the event are negative."
            )


IMPORTS: Registry[ImportOptions] = Registry(
    "import", {"import": ImportOptions()}, members=("align", "window_s", "bin_s", "smooth")
)
