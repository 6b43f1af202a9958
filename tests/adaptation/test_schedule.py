"""Which trials follow each other, and the fields that they are in."""

from __future__ import annotations

import pytest
import torch
from cases import generator, normal

from neuromotor.adaptation import Block, Kind, Schedule
from neuromotor.extensions import Registry
from neuromotor.storage.components import decode, encode
from neuromotor.tasks.fields import FIELDS, CurlField, DivergentField, LinearField, across

SCHEDULES = Registry("schedule under test", {"own": Schedule()}, members=("places", "draw"))


def force(field, direction, offset, velocity):
    start = normal(len(direction), 2, seed=5)
    matrix = field.matrix(start, direction)
    inputs = torch.cat([torch.ones(len(start), 1).double(), start + offset, velocity], dim=-1)
    return (matrix @ inputs[..., None]).squeeze(-1)


def test_fields_are_those_of_their_sources():
    direction = torch.nn.functional.normalize(normal(6, 2), dim=-1)
    still, velocity = torch.zeros(6, 2).double(), normal(6, 2, seed=1)
    curl = force(CurlField(13.0), direction, still, velocity)
    torch.testing.assert_close(curl, 13.0 * across(velocity))
    saddle = force(LinearField(), direction, still, velocity)
    d = torch.tensor([[-10.1, -11.2], [-11.2, 11.1]]).double()
    torch.testing.assert_close(saddle, velocity @ d.T)
    side = across(direction)
    for along in (-0.1, 0.2):  # nothing on the line, away from it beside
        offset = along * direction
        assert force(DivergentField(300.0), direction, offset, velocity).abs().max() < 1e-12
        pushed = force(DivergentField(300.0), direction, offset + 0.01 * side, velocity)
        torch.testing.assert_close(pushed, 3.0 * side)


def test_a_schedule_has_the_shares_that_it_says_in_random_places():
    schedule = Schedule(
        (
            Block("baseline", 12),
            Block("field", 50, CurlField(), catch=0.2, channel=0.1, spread=0.3),
            Block("counter", 5, CurlField(), strength=-1.0),
            Block("clamp", 9, channel=1.0),
        )
    )
    order = schedule.draw(8, 400, generator(1))
    assert order.kind.shape == order.strength.shape == order.target.shape == (76, 400)
    field = schedule.places("field")
    assert field == slice(12, 62)
    for kind, count in ((Kind.CATCH, 10), (Kind.CHANNEL, 5), (Kind.FIELD, 35)):
        assert ((order.kind[field] == kind).sum(0) == count).all()
    assert (order.kind[12] == Kind.FIELD).all()  # the first trial of a block is never a catch
    assert (order.kind[schedule.places("clamp")] == Kind.CHANNEL).all()
    share = (order.kind[13:62] == Kind.CATCH).double().mean(1)
    assert (share - 10 / 49).abs().max() < 0.1  # everywhere alike
    assert float(order.strength[field].mean()) == pytest.approx(1.0, abs=0.01)
    assert float(order.strength[field].std()) == pytest.approx(0.3, abs=0.01)
    assert (order.strength[schedule.places("counter")] == -1.0).all()
    for subject in range(3):
        assert sorted(order.target[:8, subject].tolist()) == list(range(8))
    again = schedule.draw(8, 400, generator(1))
    assert torch.equal(again.kind, order.kind)
    assert torch.equal(again.target, order.target)
    assert not torch.equal(schedule.draw(8, 400, generator(2)).kind, order.kind)


def test_schedules_are_read_from_tables_and_written_as_tables():
    table = {
        "blocks": [
            {"name": "baseline", "trials": 3},
            {"name": "field", "trials": 4, "field": {"type": "curl", "strength_ns_m": 15.0}},
            {"name": "other", "field": "saddle", "strength": -1.0, "channel": 0.5},
        ]
    }
    schedule = decode(table, SCHEDULES, "schedule")
    assert schedule.blocks[1] == Block("field", 4, CurlField(15.0))
    assert schedule.blocks[2].field == FIELDS["saddle"]
    assert schedule.field == CurlField(15.0)
    written = encode(schedule, SCHEDULES)
    assert written["blocks"][1]["field"] == {"type": "curl", "strength_ns_m": 15.0}
    assert decode(written, SCHEDULES, "schedule") == schedule


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Schedule(()), "`blocks` must hold at least one block"),
        (lambda: Block("a", 0), "`trials` must be"),
        (lambda: Block("a", 5, catch=0.6, channel=0.6), "at most 1 together, got 1.2 in block 'a'"),
        (lambda: Schedule().places("wash"), r"must be that of one block \(baseline, field, wash"),
        (lambda: LinearField((1.0, 2.0)), "`drag_ns_m` must have four numbers"),
        (lambda: DivergentField(-1.0), "`stiffness_n_m` must be"),
    ],
)
def test_bad_settings_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
