"""Modules declare their sections, and a report finds them."""

import numpy as np
from planted import SECTIONS

from neuromotor.analysis import RecordingError, make_recording
from neuromotor.analysis.section import Findings, Material, SectionSpec, report_sections

OWN = make_recording(0.1 * np.arange(5), [0, 1], {"rate": np.arange(20.0).reshape(2, 5, 2)})


def test_every_analysis_is_found_once_in_the_order_of_a_report():
    names = [spec.name for spec in report_sections()]
    assert len(set(names)) == len(names)
    assert tuple(name for name in names if name in SECTIONS) == SECTIONS


def test_a_section_that_needs_what_is_not_given_is_not_in_the_report():
    alone = {spec.name for spec in report_sections() if spec.wanted(Material(OWN))}
    both = {spec.name for spec in report_sections() if spec.wanted(Material(OWN, against=OWN))}
    assert (both - alone) & set(SECTIONS) == {"similarity"}
    assert alone.isdisjoint({"fixed-points", "jacobian", "sensitivity", "lesions"})


def test_a_section_says_why_it_was_skipped_under_its_own_title():
    def refuse(given):
        raise RecordingError("there is no moon.")

    section = SectionSpec("tides", "Tides", 5, refuse).section(Material(OWN))
    assert (section.title, section.skipped) == ("Tides", "there is no moon.")
    spec = SectionSpec("rates", "Rates", 5, lambda _: Findings("t", {}, {}), ("changing rates",))
    assert spec.section(Material(OWN)).text == "t"
    still = OWN.assign(rate=0 * OWN["rate"] + 2)
    reason = spec.section(Material(still)).skipped
    assert reason == "no unit ever changes its rate, 2 to 2 throughout."


def test_sizes_are_in_millions_of_rates():
    given = Material(OWN, surrogates=50)
    assert given.million_rates == 20e-6
    assert given.million_surrogate_rates == 50 * 20e-6
    assert all(spec.seconds(given) > 0 for spec in report_sections())
