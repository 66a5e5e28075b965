"""A probe that must arrive though its reply must not: what proves it, and what does not."""

from __future__ import annotations

import pytest

from harness.flow import Point, Ruling, Stage, Verdict
from harness.schedule import schedule
from tests.unit import faults
from tests.unit.labs import STRICT, cells_of
from tests.unit.play import Draft, Fault, judged

CELLS = cells_of(STRICT, Stage.ROUTED)
ONE_WAY = "routed-bbox6-to-bbox1-icmp"
CONTROL = "control/routed-bbox6-to-bbox3-icmp"
AT_BBOX1 = "bbox1:eth0 (in)"


def verdict(*wrong: Fault) -> Verdict:
    """The verdict of the one cell, played with faults."""
    return judged(STRICT, [CELLS[ONE_WAY]], *wrong)[ONE_WAY]


def test_it_arrives_and_a_later_reply_comes_back() -> None:
    """The control is of its class and has its source: it is the way back that it vouches for."""
    found = verdict()
    assert found.ruling is Ruling.PASS
    assert found.why == f"its reply did not come back, and that of {CONTROL} did"
    assert found.observation.arrived
    assert found.observation.answered
    assert found.proof.control == CONTROL
    assert (found.proof.left, found.proof.absent, found.proof.outcome) == (True, True, True)
    assert found.blocked
    assert not found.reached


def test_its_control_is_lent_and_no_beacon_stands_in() -> None:
    """One for all that its source sends of the class."""
    also = "routed-bbox6-to-bbox4-icmp"
    plan = schedule(STRICT, [CELLS[ONE_WAY], CELLS[also]], CELLS.values())
    sent = [probe["id"] for wave in plan["waves"] for probe in wave["probes"]]
    assert sent == [ONE_WAY, also, CONTROL]
    alone = schedule(STRICT, [CELLS[ONE_WAY]], [CELLS[ONE_WAY]])
    assert [probe["id"] for probe in alone["waves"][0]["probes"]] == [ONE_WAY]


def came_and_dropped(draft: Draft) -> None:
    """The reply comes back after all, and rules of the source's own drop it."""
    faults.answer_to(ONE_WAY, "02:6e:73:00:00:04")(draft)
    faults.unheard(ONE_WAY)(draft)


WRONG: dict[str, tuple[Fault, Ruling, str]] = {
    "it did not arrive": (
        faults.lost(ONE_WAY, AT_BBOX1), Ruling.FAIL,
        "it must arrive, but: it left, and nothing came back",
    ),
    "it arrived another way": (
        faults.hidden(ONE_WAY, "gw2:eth2.10 (out)"), Ruling.FAIL,
        ("it must arrive by way of gw2:eth2.10 (out), but:"
         " the token arrived, but no reply came back"),
    ),
    "its reply came back": (
        faults.answer_to(ONE_WAY, "02:6e:73:00:00:04"), Ruling.FAIL,
        "its reply must get lost, but: the token arrived and its reply came back",
    ),
    "its reply came back, and its source dropped it": (
        came_and_dropped, Ruling.FAIL,
        ("its reply must get lost, but: the token arrived and its reply came back to bbox6,"
         " but not to the socket that waits for it"),
    ),
    "it was refused": (
        faults.error(ONE_WAY, 3, 13, "172.16.30.2"), Ruling.FAIL,
        "its reply must get lost, but: ICMP type 3 code 13 from 172.16.30.2",
    ),
    "nobody replied": (
        faults.reply_lost(ONE_WAY), Ruling.UNPROVED,
        "it arrived, but no reply was seen leaving its destination",
    ),
    "its control has no reply": (
        faults.reply_lost(CONTROL), Ruling.UNPROVED,
        "no reply of class icmp came back to bbox6 after it",
    ),
    "its control came first": (
        faults.moved(CONTROL, -2 * 10**6), Ruling.UNPROVED,
        "no reply of class icmp came back to bbox6 after it",
    ),
    "it was not sent": (
        faults.refused(ONE_WAY, 1), Ruling.UNPROVED,
        "it could not be told: the source's kernel refused: EPERM (Operation not permitted)",
    ),
    "a tap lost frames": (
        faults.tap("gw2", "eth2", drops=1), Ruling.UNPROVED,
        "taps lost frames, went down or were not open: gw2:eth2",
    ),
    "it strayed": (
        faults.leaked(ONE_WAY, Point("host1", "eth1", "in")), Ruling.FAIL,
        "it was also seen where it must not be: host1:eth1 (in)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_one_way(name: str) -> None:
    """A failure where the network is wrong; unproved where nobody can tell."""
    fault, ruling, why = WRONG[name]
    found = verdict(fault)
    assert (found.ruling, found.why) == (ruling, why)
