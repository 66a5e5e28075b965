"""Endpoints that are not there: what fails for want of them, what proves nothing, what stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.flow import Absent, Outcome, Point, Ruling, Stage
from harness.record import BEACON, CONTROL, TapCount
from harness.schedule import schedule, taps
from tests.unit import faults
from tests.unit.labs import ONE_WAY, STRICT, TUTORIAL, cells_of, shipped
from tests.unit.play import Draft, Fault, judged

STOPPED = Absent("bbox1", "container-not-running", "the container bbox1 on host1 does not run")
NOBODY = frozenset({"bbox1"})
HERE, THERE = "isolated-bbox1-to-bbox3-icmp", "isolated-bbox3-to-bbox1-icmp"


def did_not_stay(draft: Draft) -> None:
    """Its tap was open, and went with it."""
    draft.absent = (STOPPED,)
    draft.taps["bbox1", "eth0"] = TapCount("bbox1", "eth0", 100, 0, down=True)


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("name", ["macvlan-two-host", "three-vlans", "gateway-on-host1"])
def test_only_what_ends_at_it_is_red(name: str, stage: Stage) -> None:
    """What must reach it or come from it fails, what must not is unproved, all else is proved."""
    lab = shipped(name)
    if stage not in lab.stages:
        pytest.skip(f"{name} has no stage {stage}")
    verdicts = judged(lab, cells_of(lab, stage).values(), absent=(STOPPED,))
    assert verdicts.keys() == cells_of(lab, stage).keys()
    for found in verdicts.values():
        expected = Ruling.PASS
        if "bbox1" in (found.cell.src, found.cell.dst):
            must = found.cell.expectation.outcome is Outcome.REACHED
            expected = Ruling.FAIL if must else Ruling.UNPROVED
            assert STOPPED.why in found.why
        assert found.ruling is expected, found.explain()


def test_the_verdict_knows_who_was_not_there() -> None:
    """Which of the ends, and the cause that it is; of a source also that it sent nothing."""
    verdicts = judged(TUTORIAL, cells_of(TUTORIAL, Stage.ISOLATED).values(), absent=(STOPPED,))
    assert verdicts[HERE].observation.gone == verdicts[THERE].observation.gone == (STOPPED,)
    assert verdicts[HERE].observation.outcome is Outcome.NOT_SENT
    assert verdicts[HERE].observation.detail == STOPPED.why
    assert verdicts["isolated-bbox2-to-bbox4-icmp"].observation.gone == ()


@pytest.mark.parametrize(
    ("cell", "breaks", "ruling"),
    [
        (HERE, (), Ruling.UNPROVED),
        (HERE, (faults.reply_lost(HERE),), Ruling.FAIL),
        (THERE, (faults.lost(THERE, "bbox1:eth0 (in)"),), Ruling.FAIL),
        ("isolated-bbox2-to-bbox1-l2-unicast", (), Ruling.UNPROVED),
        (
            "isolated-bbox2-to-bbox1-l2-unicast",
            (faults.leaked("isolated-bbox2-to-bbox1-l2-unicast", Point("bbox1", "eth0", "in")),),
            Ruling.FAIL,
        ),
        ("isolated-bbox2-to-bbox3-l2-unicast", (), Ruling.PASS),
    ],
)
def test_one_that_did_not_stay(cell: str, breaks: tuple[Fault, ...], ruling: Ruling) -> None:
    """Nothing of it passes; what its end has not touched is what it was."""
    cells = cells_of(TUTORIAL, Stage.ISOLATED)
    found = judged(TUTORIAL, cells.values(), *breaks, did_not_stay)[cell]
    assert found.ruling is ruling, found.explain()


def test_a_tap_that_lost_frames_before_it_went_proves_nothing_to_anybody() -> None:
    """That its endpoint went is no excuse for what it lost while it was there."""

    def lossy(draft: Draft) -> None:
        did_not_stay(draft)
        draft.taps["bbox1", "eth0"] = TapCount("bbox1", "eth0", 100, 1, down=True)

    cells = cells_of(TUTORIAL, Stage.ISOLATED)
    found = judged(TUTORIAL, cells.values(), lossy)["isolated-bbox2-to-bbox3-l2-unicast"]
    assert found.ruling is Ruling.UNPROVED
    assert "taps lost frames" in found.why


def test_a_tap_that_went_down_under_an_endpoint_that_is_there_excuses_nothing() -> None:
    """Nor does one that is absent elsewhere."""
    cells = cells_of(TUTORIAL, Stage.ISOLATED)
    down = TapCount("bbox3", "eth0", 100, 0, down=True)

    def fault(draft: Draft) -> None:
        did_not_stay(draft)
        draft.taps["bbox3", "eth0"] = down

    found = judged(TUTORIAL, cells.values(), fault)["isolated-bbox2-to-bbox4-icmp"]
    assert found.ruling is Ruling.UNPROVED
    assert "bbox3:eth0" in found.why


@pytest.mark.parametrize(("stays", "ruling"), [(False, Ruling.FAIL), (True, Ruling.UNPROVED)])
def test_what_must_arrive_without_a_reply(stays: bool, ruling: Ruling) -> None:
    """It fails for want of its destination; if that was there for a while, nothing is proved."""
    cells = cells_of(STRICT, Stage.ROUTED)
    cell = next(one for one in cells.values() if one.expectation.arrives)
    gone = replace(STOPPED, node=cell.dst)

    def went(draft: Draft) -> None:
        draft.absent = (gone,)

    some = (went,) if stays else ()
    found = judged(STRICT, cells.values(), *some, absent=() if stays else (gone,))[cell.id]
    assert (found.ruling, found.cell.expectation.outcome) == (ruling, Outcome.SILENT)


def test_it_is_left_out_of_the_plan() -> None:
    """No tap, no responder, no neighbour table of it, nothing to wait for; its probes refused."""
    cells = cells_of(TUTORIAL, Stage.ISOLATED)
    plan = schedule(TUTORIAL, cells.values(), cells.values(), NOBODY)
    assert "bbox1" not in plan["nodes"]
    assert "bbox1" not in [one["node"] for one in plan["responders"]]
    assert ("bbox1", "eth0") not in taps(TUTORIAL, (), NOBODY)
    probes = [probe for wave in plan["waves"] for probe in wave["probes"]]
    by_id = {probe["id"]: probe for probe in probes}
    assert by_id[HERE]["absent"]
    assert not by_id[THERE]["absent"]
    assert not by_id[HERE]["await"]
    assert not by_id[THERE]["await"]
    others = [probe for probe in probes if probe["node"] != "bbox1"]
    assert not any(probe["absent"] for probe in others)


def test_others_vouch_in_its_place() -> None:
    """A control comes from who is there, or a beacon does; none is sent by it or to it."""
    cells = cells_of(TUTORIAL, Stage.ISOLATED)
    blocked = cells["isolated-bbox2-to-bbox3-icmp"]
    for absent, stands_in in ((frozenset[str](), CONTROL), (NOBODY, BEACON)):
        plan = schedule(TUTORIAL, [blocked], cells.values(), absent)
        ids = [probe["id"] for wave in plan["waves"] for probe in wave["probes"]]
        assert [one.startswith(stands_in) for one in ids] == [False, True]
    plan = schedule(TUTORIAL, [cells[HERE], cells[THERE]], cells.values(), NOBODY)
    assert len(plan["waves"][0]["probes"]) == 2


def test_what_the_gateway_filters_is_judged_without_it() -> None:
    """A lab whose rules let one way pass only."""
    verdicts = judged(ONE_WAY, cells_of(ONE_WAY, Stage.ROUTED).values(), absent=(STOPPED,))
    others = [one for one in verdicts.values() if not one.observation.gone]
    assert others
    assert all(one.ok for one in others), [one.explain() for one in others if not one.ok]
