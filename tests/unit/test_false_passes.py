"""What other harnesses let pass: each a record that must not."""

from __future__ import annotations

import errno

import pytest

from harness.flow import Family, Point, Ruling, Stage, Verdict
from harness.topology import Topology
from tests.unit import faults
from tests.unit.labs import (
    LONELY,
    NO_DEFAULT_ROUTE,
    ONE_WAY,
    SIBLINGS,
    TUTORIAL,
    cells_of,
    shipped,
)
from tests.unit.play import WAVE_NS, Fault, judged

GATEWAY_MAC = TUTORIAL.trunk_mac("gateway")
FAIL, UNPROVED = Ruling.FAIL, Ruling.UNPROVED

# A cell of each kind of negative, and cells that reach.
LAYER2 = "isolated-bbox1-to-bbox4-l2-unicast"
FLOODED = "isolated-bbox1-to-bbox4-l2-broadcast"
WHO_HAS = "isolated-bbox1-to-bbox4-arp"
UNRESOLVED = "isolated-bbox1-to-bbox4-icmp"
PARENT = "isolated-host1-to-bbox1-l2-unicast"
TAGGED = "isolated-bbox1-to-bbox4-l2-unicast:20"
BIG = "isolated-bbox1-to-bbox3-icmp:1473"
DIRECT = "isolated-bbox1-to-bbox3-icmp"
ROUTED = "routed-bbox1-to-bbox4-icmp"
ROUTED_TCP = "routed-bbox1-to-bbox4-tcp"
FILTERED = "routed-bbox4-to-bbox1-udp"
FILTERED_TCP = "routed-bbox4-to-bbox1-tcp"
NO_LEG = "routed-bbox1-to-bbox4-udp"
NO_ROUTE = "routed-bbox4-to-bbox1-icmp"

DUAL = shipped("dual-stack")
WHO_HAS6, HEARD6 = "isolated-bbox1-to-bbox4-ndp", "isolated-bbox1-to-bbox3-ndp"
UNRESOLVED6, ROUTED6 = "isolated-bbox1-to-bbox4-icmp6", "routed-bbox1-to-bbox4-udp6"

ACROSS = "isolated-bbox2-to-bbox1-l2-unicast"
IN4 = "bbox4:eth0 (in)"
LATE = 2 * WAVE_NS

ROWS: dict[str, tuple[Topology, str, tuple[Fault, ...], Ruling]] = {
    "the probe tool broke: no frame, no errno": (
        TUTORIAL, LAYER2, (faults.unsent(LAYER2),), UNPROVED,
    ),
    "the probe tool broke: an errno that says nothing of the network": (
        TUTORIAL, LAYER2, (faults.refused(LAYER2, errno.EPERM),), UNPROVED,
    ),
    "any error of the sender inverts to a pass": (
        TUTORIAL, UNRESOLVED, (faults.refused(UNRESOLVED, errno.ENOBUFS),), UNPROVED,
    ),
    "network is unreachable is taken for blocked": (
        TUTORIAL, UNRESOLVED, (faults.refused(UNRESOLVED, errno.ENETUNREACH),), FAIL,
    ),
    "no route to host is taken for a filter that drops": (
        ONE_WAY, FILTERED, (faults.refused(FILTERED, errno.EHOSTUNREACH),), FAIL,
    ),
    "the source has lost its own route where a router must have none": (
        NO_DEFAULT_ROUTE, NO_LEG, (faults.refused(NO_LEG, errno.ENETUNREACH),), UNPROVED,
    ),
    "a router says no route where the source must have none": (
        NO_DEFAULT_ROUTE, NO_ROUTE,
        (faults.accepted(NO_ROUTE), faults.stray_out(NO_ROUTE, "bbox4"),
         faults.error(NO_ROUTE, 3, 0, "172.16.20.1")), FAIL,
    ),
    "one lost ping satisfies a negative: the first of all, and its reply came": (
        TUTORIAL, DIRECT, (faults.reply_lost(DIRECT),), FAIL,
    ),
    "a lost reply of a cell that must reach": (
        TUTORIAL, ROUTED, (faults.reply_lost(ROUTED),), FAIL,
    ),
    "a dead capture: the destination's tap gets nothing": (
        TUTORIAL, LAYER2, (faults.blind("bbox4", "eth0"),), UNPROVED,
    ),
    "a dead capture: the destination's tap was never opened": (
        TUTORIAL, LAYER2, (faults.no_tap("bbox4", "eth0"),), UNPROVED,
    ),
    "a dead capture: a tap where a leak would show was never opened": (
        TUTORIAL, LAYER2, (faults.no_tap("host2", "eth2.20"),), UNPROVED,
    ),
    "a tap that lost frames": (TUTORIAL, LAYER2, (faults.tap("bbox4", "eth0", drops=1),), UNPROVED),
    "a tap elsewhere that lost frames": (
        TUTORIAL, LAYER2, (faults.tap("switch", "gateway", drops=1),), UNPROVED,
    ),
    "a tap whose interface went down": (
        TUTORIAL, LAYER2, (faults.tap("bbox4", "eth0", down=True),), UNPROVED,
    ),
    "a tap that lost frames, for a cell that reached": (
        TUTORIAL, DIRECT, (faults.tap("bbox3", "eth0", drops=3),), UNPROVED,
    ),
    "no control arrived": (TUTORIAL, LAYER2, (faults.no_control("bbox4", "l2-unicast"),), UNPROVED),
    "only a control of another class arrived": (
        TUTORIAL, FLOODED, (faults.no_control("bbox4", "l2-broadcast"),), UNPROVED,
    ),
    "only controls at another destination arrived": (
        TUTORIAL, UNRESOLVED, (faults.no_control("bbox4", "icmp"),), UNPROVED,
    ),
    "the control was sent before the probe": (
        TUTORIAL, LAYER2, (faults.moved(LAYER2, WAVE_NS // 2),), UNPROVED,
    ),
    "the control was sent at the same moment as the probe": (
        TUTORIAL, LAYER2, (faults.together(LAYER2),), UNPROVED,
    ),
    "the control came by way of another VLAN itself": (
        TUTORIAL, LAYER2, (faults.leaky_controls("bbox4", "l2-unicast"),), UNPROVED,
    ),
    "the control was sent in a later wave": (
        TUTORIAL, LAYER2, (faults.later_wave("bbox4", "l2-unicast"),), UNPROVED,
    ),
    "only a sibling's control arrived, which never crossed the trunk": (
        SIBLINGS, ACROSS, (faults.no_beacon("bbox1", "l2-unicast"),), UNPROVED,
    ),
    "the beacon did not arrive": (
        LONELY, "isolated-bbox1-to-bbox2-l2-unicast",
        (faults.no_control("bbox2", "l2-unicast"),), UNPROVED,
    ),
    "the token arrived": (
        TUTORIAL, LAYER2, (faults.leaked(LAYER2, Point("bbox4", "eth0", "in")),), FAIL,
    ),
    "the token arrived with a tag of its own": (
        TUTORIAL, TAGGED, (faults.leaked(TAGGED, Point("bbox4", "eth0", "in"), 20),), FAIL,
    ),
    "the token arrived, unanswered, at an endpoint of its own parent": (
        TUTORIAL, PARENT, (faults.leaked(PARENT, Point("bbox1", "eth0", "in")),), FAIL,
    ),
    "the token arrived after its wave": (
        TUTORIAL, UNRESOLVED,
        (faults.late_arrival(UNRESOLVED, LATE),), UNPROVED,
    ),
    "a layer-2 token arrived after its wave": (
        TUTORIAL, LAYER2, (faults.late_arrival(LAYER2, LATE),), UNPROVED,
    ),
    "the token left the VLAN on the trunk and went no further": (
        TUTORIAL, FLOODED, (faults.leaked(FLOODED, Point("switch", "host2", "out"), 20),), FAIL,
    ),
    "the token left its VLAN without a tag": (
        TUTORIAL, FLOODED, (faults.leaked(FLOODED, Point("host2", "eth2", "in")),), FAIL,
    ),
    "the token entered the other VLAN on the host, not the endpoint": (
        TUTORIAL, FLOODED, (faults.leaked(FLOODED, Point("host2", "eth2.20", "in")),), FAIL,
    ),
    "the token reached another endpoint of the other VLAN": (
        TUTORIAL, FLOODED, (faults.leaked(FLOODED, Point("bbox2", "eth0", "in")),), FAIL,
    ),
    "the token came out on the management network": (
        TUTORIAL, FLOODED, (faults.leaked(FLOODED, Point("host1", "eth1", "out")),), FAIL,
    ),
    "a node that has no part in it sent the token on": (
        TUTORIAL, FLOODED, (faults.leaked(FLOODED, Point("host2", "eth2.10", "out")),), FAIL,
    ),
    "the gateway forwarded what it must drop, and it was lost behind it": (
        ONE_WAY, FILTERED,
        (faults.leaked(FILTERED, Point("gateway", "eth2.10", "out"), ttl=63),), FAIL,
    ),
    "silence where nobody may answer for the next hop": (
        TUTORIAL, UNRESOLVED, (faults.stray_out(UNRESOLVED, "bbox1"),), FAIL,
    ),
    "a router answered that it found no neighbour, though there may be none": (
        TUTORIAL, UNRESOLVED,
        (faults.stray_out(UNRESOLVED, "bbox1"),
         faults.error(UNRESOLVED, 3, 1, "172.16.10.1")), FAIL,
    ),
    "nobody asked for the next hop": (TUTORIAL, UNRESOLVED, (faults.unasked("bbox1"),), UNPROVED),
    "the next hop answered": (
        TUTORIAL, UNRESOLVED, (faults.answered("bbox1", "172.16.10.1", GATEWAY_MAC),), UNPROVED,
    ),
    "the next hop is known": (
        TUTORIAL, UNRESOLVED,
        (faults.neighbour("bbox1", "172.16.10.1", "REACHABLE", GATEWAY_MAC),), UNPROVED,
    ),
    "the next hop has no entry": (
        TUTORIAL, UNRESOLVED, (faults.neighbour("bbox1", "172.16.10.1", None),), UNPROVED,
    ),
    "somebody else answered an ARP request that must not arrive": (
        TUTORIAL, WHO_HAS, (faults.answer_to(WHO_HAS, GATEWAY_MAC),), UNPROVED,
    ),
    "a SYN must be dropped, and a SYN-ACK came back": (
        ONE_WAY, FILTERED_TCP, (faults.reset(FILTERED_TCP, flags=0x12),), UNPROVED,
    ),
    "a SYN must be dropped, and a RST came back": (
        ONE_WAY, FILTERED_TCP, (faults.reset(FILTERED_TCP),), FAIL,
    ),
    "rejected is taken for silent": (
        ONE_WAY, FILTERED, (faults.error(FILTERED, 3, 13, "172.16.20.1"),), FAIL,
    ),
    "refused is taken for reached": (
        TUTORIAL, ROUTED_TCP, (faults.reply_lost(ROUTED_TCP), faults.reset(ROUTED_TCP)), FAIL,
    ),
    "a packet that is too big left all the same": (
        TUTORIAL, BIG, (faults.accepted(BIG), faults.stray_out(BIG, "bbox1")), FAIL,
    ),
    "a packet is too big for a router, not for its source": (
        TUTORIAL, BIG,
        (faults.accepted(BIG), faults.stray_out(BIG, "bbox1"),
         faults.error(BIG, 3, 4, "172.16.10.11")), FAIL,
    ),
    "a packet that is too big was never sent": (TUTORIAL, BIG, (faults.accepted(BIG),), UNPROVED),
    "it reached, but with the TTL of a bridged packet": (
        TUTORIAL, ROUTED, (faults.altered(ROUTED, IN4, ttl=64),), FAIL,
    ),
    "it reached, but through one router more": (
        TUTORIAL, ROUTED, (faults.altered(ROUTED, IN4, ttl=62),), FAIL,
    ),
    "it reached, but without source NAT": (
        TUTORIAL, ROUTED, (faults.altered(ROUTED, IN4, src_ip="172.16.10.10"),), FAIL,
    ),
    "it reached, but past the gateway": (
        TUTORIAL, ROUTED, (faults.hidden(ROUTED, "gateway:eth2.10 (in)"),), FAIL,
    ),
    "it reached, and went over the other VLAN unrouted as well": (
        TUTORIAL, ROUTED, (faults.leaked(ROUTED, Point("switch", "host2", "out"), 20),), FAIL,
    ),
    "it reached, but was not seen leaving": (
        TUTORIAL, DIRECT, (faults.hidden(DIRECT, "bbox1:eth0 (out)"),), FAIL,
    ),
    "the answer came, but the probe was not seen arriving": (
        TUTORIAL, DIRECT, (faults.hidden(DIRECT, "bbox3:eth0 (in)"),), UNPROVED,
    ),
    "it reached, but the answer came after the wave": (
        TUTORIAL, DIRECT, (faults.moved(DIRECT, LATE, "reply"),), UNPROVED,
    ),
    "the answer was seen on the way, but not at the source": (
        TUTORIAL, DIRECT, (faults.no_answer_at(DIRECT, "bbox1"),), FAIL,
    ),
    "ndp: the token arrived in another VLAN": (
        DUAL, WHO_HAS6, (faults.leaked(WHO_HAS6, Point("bbox4", "eth0", "in")),), FAIL,
    ),
    "ndp: no control arrived": (DUAL, WHO_HAS6, (faults.no_control("bbox4", "ndp"),), UNPROVED),
    "ndp: the probe tool broke": (DUAL, WHO_HAS6, (faults.unsent(WHO_HAS6),), UNPROVED),
    "ndp: heard, and not answered": (DUAL, HEARD6, (faults.reply_lost(HEARD6),), FAIL),
    "ipv6: only a ping of IPv4 arrived after it": (
        DUAL, UNRESOLVED6, (faults.no_control("bbox4", "icmp6"),), UNPROVED,
    ),
    "ipv6: nobody asked for the next hop": (
        DUAL, UNRESOLVED6, (faults.unasked("bbox1"),), UNPROVED,
    ),
    "ipv6: the next hop answered": (
        DUAL, UNRESOLVED6, (faults.answered("bbox1", "2001:db8:10::1", GATEWAY_MAC),), UNPROVED,
    ),
    "ipv6: the next hop is resolved": (
        DUAL, UNRESOLVED6,
        (faults.neighbour("bbox1", "2001:db8:10::1", "REACHABLE", GATEWAY_MAC),), UNPROVED,
    ),
    "ipv6: a source that was translated": (
        DUAL, ROUTED6, (faults.altered(ROUTED6, IN4, src_ip="2001:db8:20::1"),), FAIL,
    ),
    "ipv6: past the router": (DUAL, ROUTED6, (faults.altered(ROUTED6, IN4, ttl=64),), FAIL),
}  # fmt: skip


@pytest.mark.parametrize("sentence", ROWS)
def test_it_does_not_pass(sentence: str) -> None:
    """It is a failure where something wrong was seen, and unproved where it could not be."""
    lab, cell_id, wrong, ruling = ROWS[sentence]
    verdict = judge_one(lab, cell_id, *wrong)
    assert verdict.ruling is ruling, verdict.explain()


@pytest.mark.parametrize("sentence", ROWS)
def test_it_passes_when_nothing_is_wrong(sentence: str) -> None:
    """The same cell without the fault passes, so the fault is what tells."""
    lab, cell_id, _, _ = ROWS[sentence]
    verdict = judge_one(lab, cell_id)
    assert verdict.ok, verdict.explain()


def test_one_reply_of_ten_is_nine_failures() -> None:
    """Each probe is a cell of its own: nothing is averaged."""
    chosen = [
        cell
        for cell in cells_of(TUTORIAL, Stage.ISOLATED).values()
        if cell.family is Family.SAME_VLAN and cell.probe.kind in ("icmp", "udp", "tcp")
    ][:10]
    lost = [faults.reply_lost(cell.id) for cell in chosen[1:]]
    verdicts = judged(TUTORIAL, chosen, *lost)
    assert [one.ruling for one in verdicts.values()] == [Ruling.PASS] + [FAIL] * 9


def test_a_cell_that_was_not_sent_has_no_verdict() -> None:
    """What no longer runs is not among the results at all, so nobody can take it for a pass."""
    cells = list(cells_of(TUTORIAL, Stage.ISOLATED).values())
    verdicts = judged(TUTORIAL, cells, faults.unplayed(LAYER2))
    assert LAYER2 not in verdicts
    assert len(verdicts) == len(cells) - 1


def judge_one(lab: Topology, cell_id: str, *wrong: Fault) -> Verdict:
    """The verdict of one cell that was played with faults, among others to its destination."""
    known = cells_of(lab, Stage(cell_id.partition("-")[0]))
    cells = [cell for cell in known.values() if cell.dst == known[cell_id].dst]
    return judged(lab, cells, *wrong)[cell_id]
