"""Where a packet was lost: the probe, its reply, or the question for its next hop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.diagnosis.place import Kind, Place, Places
from harness.flow import Point, Stage
from harness.record import Neighbour
from harness.sightings import find
from harness.topology import Topology
from harness.verdict import judge
from tests.unit import faults
from tests.unit.labs import TUTORIAL, cells_of, shipped
from tests.unit.play import HOP_NS, Draft, Fault, Seen, kernel_reply, play, question

ROUTED, DIRECT = "routed-bbox1-to-bbox4-icmp", "routed-bbox1-to-bbox3-icmp"
ARP = "routed-bbox1-to-bbox3-arp"
IPV6 = "routed-bbox1-to-bbox3-icmp6"
GW, GW_MAC, BBOX3 = "172.16.10.1", "02:6e:73:00:00:03", "172.16.10.11"
BBOX1_MAC, BBOX3_MAC = "02:42:ac:10:0a:0a", "02:42:ac:10:0a:0b"


def lost_place(cell_id: str, *wrong: Fault, lab: Topology = TUTORIAL) -> Place | None:
    """The place of one cell that was played with faults."""
    known = cells_of(lab, Stage.ROUTED)
    record = play(lab, [known[cell_id]], *wrong)
    sightings = find(record.frames, record.tokens)
    verdicts = [one for one in judge(lab, record, sightings, known.values()) if not one.ok]
    return Places(lab, record, sightings).of(verdicts).get(cell_id)


def reply_lost_at(probe: str, at: str) -> Fault:
    """The reply is not seen at a point, nor after it."""

    def fault(draft: Draft) -> None:
        points = [str(seen.point) for seen in draft.of(probe, "reply")]
        gone = draft.of(probe, "reply")[points.index(at) :]
        draft.seen = [seen for seen in draft.seen if seen not in gone]

    return fault


def in_vain(node: str, address: str, *points: tuple[str, str, str], answer: int = -1) -> Fault:
    """A kernel asks for an address: seen at these points, answered from the last so far back."""

    def fault(draft: Draft) -> None:
        wave = "main"
        draft.neighbours[wave, node, address] = Neighbour(node, address, None, "INCOMPLETE")
        own = BBOX1_MAC if node == "bbox1" else GW_MAC
        ask = question(own, "172.16.10.10", address)
        t_ns = draft.opened_ns[wave] + HOP_NS
        draft.seen = [
            seen for seen in draft.seen if not (seen.leg == "kernel" and seen.wire.kind == "arp")
        ]
        for point in points:
            tags = (10,) if point[0] == "switch" or point[1] == "eth2" else ()
            draft.seen.append(Seen("", "kernel", Point(*point), t_ns, replace(ask, tags=tags)))
        for node_, interface, direction in points[::-1][: answer + 1]:
            back = Point(node_, interface, "out" if direction == "in" else "in")
            seen = kernel_reply(back, address, BBOX3_MAC, own, t_ns + HOP_NS)
            tags = (10,) if node_ == "switch" or interface == "eth2" else ()
            draft.seen.append(replace(seen, wire=replace(seen.wire, tags=tags)))

    return fault


WAY = (
    ("bbox1", "eth0", "out"), ("host1", "eth2.10", "out"), ("host1", "eth2", "out"),
    ("switch", "host1", "in"), ("switch", "host2", "out"), ("host2", "eth2", "in"),
    ("host2", "eth2.10", "in"), ("bbox3", "eth0", "in"),
)  # fmt: skip
NOT_SENT = faults.lost(DIRECT, "bbox1:eth0 (out)")

PLACES: dict[str, tuple[str, tuple[Fault, ...], Kind, str, str]] = {
    "never left": (
        ARP, (faults.lost(ARP, "bbox1:eth0 (out)"),), Kind.SENDER, "bbox1",
        "the probe was not seen leaving bbox1",
    ),
    "not on the trunk": (
        DIRECT, (faults.lost(DIRECT, "host1:eth2 (out)"),), Kind.WIRE, "host1",
        "the probe was lost between host1:eth2.10 (out) and host1:eth2 (out)",
    ),
    "not out of the switch": (
        ROUTED, (faults.lost(ROUTED, "switch:gateway (out)"),), Kind.WIRE, "switch",
        "the probe was lost between switch:host1 (in) and switch:gateway (out)",
    ),
    "in at the gateway, not out": (
        ROUTED, (faults.lost(ROUTED, "gateway:eth2.20 (out)"),), Kind.ROUTER, "gateway",
        "the probe came in at gateway:eth2.10 (in), and was not seen at gateway:eth2.20 (out)",
    ),
    "at the parent, not in the endpoint": (
        ROUTED, (faults.lost(ROUTED, "bbox4:eth0 (in)"),), Kind.WIRE, "host2",
        "the probe was lost between host2:eth2.20 (in) and bbox4:eth0 (in)",
    ),
    "it arrived, and no reply left": (
        ROUTED, (faults.reply_lost(ROUTED),), Kind.RECEIVER, "bbox4",
        "the probe came in at bbox4:eth0 (in), and nothing came of it",
    ),
    "the reply was lost on the wire": (
        ROUTED, (reply_lost_at(ROUTED, "switch:host2 (in)"),), Kind.WIRE, "host2",
        "the reply was lost between host2:eth2 (out) and switch:host2 (in)",
    ),
    "the reply was lost in the gateway": (
        ROUTED, (reply_lost_at(ROUTED, "gateway:eth2.10 (out)"),), Kind.ROUTER, "gateway",
        "the reply came in at gateway:eth2.20 (in), and was not seen at gateway:eth2.10 (out)",
    ),
    "the question was lost": (
        DIRECT, (NOT_SENT, in_vain("bbox1", BBOX3, *WAY[:5])), Kind.WIRE, "switch",
        (f"the question of bbox1 for {BBOX3} was lost between switch:host2 (out) and "
        "host2:eth2 (in)"),
    ),
    "the question was not answered": (
        DIRECT, (NOT_SENT, in_vain("bbox1", BBOX3, *WAY)), Kind.RECEIVER, "bbox3",
        f"the question of bbox1 for {BBOX3} came in at bbox3:eth0 (in), and nothing came of it",
    ),
    "the answer was lost": (
        DIRECT, (NOT_SENT, in_vain("bbox1", BBOX3, *WAY, answer=2)), Kind.WIRE, "host2",
        (f"the answer to the question of bbox1 for {BBOX3} was lost between host2:eth2 (out) and "
        "switch:host2 (in)"),
    ),
    "the answer was not heard": (
        DIRECT, (NOT_SENT, in_vain("bbox1", BBOX3, *WAY, answer=7)), Kind.RECEIVER, "bbox1",
        (f"the answer to the question of bbox1 for {BBOX3} came in at bbox1:eth0 (in), and nothing "
        "came of it"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PLACES)
def test_a_place_is_where_it_was_seen_last(case: str) -> None:
    """Of the probe first, then of its reply; of a question where one had to come first."""
    cell, wrong, kind, node, said = PLACES[case]
    found = lost_place(cell, *wrong)
    assert found is not None
    assert (found.kind, found.node, str(found)) == (kind, node, said)


def test_a_reply_may_be_lost_at_its_source() -> None:
    """It came in there, and the socket that asked did not get it."""
    found = lost_place(ROUTED, faults.unheard(ROUTED))
    assert found
    assert (found.kind, found.node, found.vlan) == (Kind.RECEIVER, "bbox1", 10)
    assert found.flow.is_reply
    assert (found.flow.src, found.flow.dst) == ("172.16.20.11", "172.16.10.10")
    assert str(found) == "the reply came in at bbox1:eth0 (in), and nothing came of it"


def test_a_frame_in_another_vlan_is_not_in_its_place() -> None:
    """The question came out of the switch, but with the tag of another VLAN."""
    retag = faults.altered("", "switch:host2 (out)", "kernel", tags=(20,))
    found = lost_place(DIRECT, NOT_SENT, in_vain("bbox1", BBOX3, *WAY), retag)
    assert found is not None
    assert str(found.far) == "switch:host2 (out)"


def test_an_external_router_is_between_its_switch_ports() -> None:
    """Nobody looks into it: between A and B is all that can be said."""
    lab = shipped("external-router")
    found = lost_place(ROUTED, faults.lost(ROUTED, "switch:router (in)"), lab=lab)
    assert found is not None
    assert (found.kind, str(found)) == (
        Kind.WIRE,
        "the probe was lost between switch:router (out) and switch:router (in)",
    )


def test_questions_of_ipv6_are_followed_too() -> None:
    """A neighbour solicitation that nobody answers."""
    lab = shipped("dual-stack")
    address = str(lab.ipv6.endpoint("bbox3").address)

    def unanswered(draft: Draft) -> None:
        draft.neighbours["main", "bbox1", address] = Neighbour("bbox1", address, None, "FAILED")
        draft.seen = [
            seen
            for seen in draft.seen
            if seen.probe != IPV6 and not (seen.leg == "kernel" and seen.wire.operation == 2)
        ]

    found = lost_place(IPV6, unanswered, lab=lab)
    assert found is not None
    assert (found.flow.family, found.flow.protocol, found.asker) == ("ip6", "ndp", "bbox1")


def test_an_advertisement_that_was_not_heard() -> None:
    """It came in at who asked, and the entry does not have it."""
    lab = shipped("dual-stack")
    address = str(lab.ipv6.endpoint("bbox3").address)

    def unheard(draft: Draft) -> None:
        draft.neighbours["main", "bbox1", address] = Neighbour("bbox1", address, None, "FAILED")
        draft.seen = [seen for seen in draft.seen if seen.probe != IPV6]

    found = lost_place(IPV6, unheard, lab=lab)
    assert found is not None
    assert (found.kind, found.node, found.flow.is_reply) == (Kind.RECEIVER, "bbox1", True)


def test_a_probe_that_asks_is_no_kernels_question() -> None:
    """A solicitation of the harness has a nonce."""
    cell = "routed-bbox1-to-bbox3-ndp"
    lost = faults.lost(cell, "switch:host2 (out)")
    found = lost_place(cell, lost, lab=shipped("dual-stack"))
    assert found is not None
    assert (found.asker, str(found.far)) == ("", "switch:host2 (out)")


def test_what_passed_and_what_must_not_reach_has_no_place() -> None:
    """Only what must arrive, or be answered, can be lost."""
    blocked = "routed-bbox1-to-bbox4-l2-unicast"
    assert lost_place(ROUTED) is None
    assert lost_place(blocked, faults.leaked(blocked, Point("bbox4", "eth0", "in"))) is None
