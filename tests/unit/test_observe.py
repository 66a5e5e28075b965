"""What happened to a probe, in an outcome and in words."""

from __future__ import annotations

import errno

import pytest

from harness.flow import Observation, Outcome, Point, Ruling, Stage
from harness.observe import address_of
from harness.record import Neighbour, Route
from harness.schedule import BROADCAST
from harness.topology import Topology
from tests.unit import faults
from tests.unit.labs import NO_DEFAULT_ROUTE, NO_GATEWAY, TUTORIAL, cells_of, shipped
from tests.unit.play import WAVE_NS, Draft, Fault, Seen, judged, mac_of
from tests.unit.wire import Wire

DIRECT = "isolated-bbox1-to-bbox3-icmp"
UDP, TCP = "isolated-bbox1-to-bbox3-udp", "isolated-bbox1-to-bbox3-tcp"
ROUTED = "routed-bbox1-to-bbox4-udp"
UNRESOLVED = "isolated-bbox1-to-bbox4-icmp"
LAYER2 = "isolated-bbox1-to-bbox4-l2-unicast"
WHO_HAS = "isolated-bbox1-to-bbox3-arp"
THERE, ROUTER = "172.16.10.11", "172.16.10.1"
IN3 = "bbox3:eth0 (in)"


def observed(cell_id: str, *wrong: Fault, lab: Topology = TUTORIAL) -> Observation:
    """What is observed of one cell that was played with faults."""
    known = cells_of(lab, Stage(cell_id.partition("-")[0]))
    return judged(lab, [known[cell_id]], *wrong)[cell_id].observation


OUTCOMES: dict[str, tuple[str, tuple[Fault, ...], str, str]] = {
    "reached": (DIRECT, (), "reached", "the token arrived and its reply came back"),
    "no reply": (
        DIRECT, (faults.reply_lost(DIRECT),), "silent", "the token arrived, but no reply came back",
    ),
    "reply kept from the socket": (
        DIRECT, (faults.unheard(DIRECT),), "silent",
        ("the token arrived and its reply came back to bbox1,"
         " but not to the socket that waits for it"),
    ),
    "lost": (DIRECT, (faults.lost(DIRECT, IN3),), "silent", "it left, and nothing came back"),
    "refused by RST": (
        TCP, (faults.reply_lost(TCP), faults.reset(TCP)), "refused",
        "the destination answered with a TCP RST",
    ),
    "rejected by RST": (
        TCP, (faults.lost(TCP, IN3), faults.reset(TCP)), "rejected",
        "a TCP RST came back though the probe never arrived",
    ),
    "refused by ICMP": (
        UDP, (faults.reply_lost(UDP), faults.error(UDP, 3, 3, THERE)), "refused",
        "ICMP type 3 code 3 from 172.16.10.11",
    ),
    "port unreachable, though it never arrived": (
        UDP, (faults.lost(UDP, IN3), faults.error(UDP, 3, 3, THERE)), "rejected",
        "ICMP type 3 code 3 from 172.16.10.11",
    ),
    "port unreachable from a router": (
        UDP, (faults.reply_lost(UDP), faults.error(UDP, 3, 3, ROUTER)), "rejected",
        "ICMP type 3 code 3 from 172.16.10.1",
    ),
    "no route, from a router": (
        UDP, (faults.lost(UDP, IN3), faults.error(UDP, 3, 0, ROUTER)), "no-route",
        "ICMP type 3 code 0 from 172.16.10.1",
    ),
    "no neighbour, from a router": (
        UDP, (faults.lost(UDP, IN3), faults.error(UDP, 3, 1, ROUTER)), "no-neighbour",
        "ICMP type 3 code 1 from 172.16.10.1",
    ),
    "too big, from a router": (
        UDP, (faults.lost(UDP, IN3), faults.error(UDP, 3, 4, ROUTER)), "too-big",
        "ICMP type 3 code 4 from 172.16.10.1",
    ),
    "prohibited": (
        UDP, (faults.lost(UDP, IN3), faults.error(UDP, 3, 13, ROUTER)), "rejected",
        "ICMP type 3 code 13 from 172.16.10.1",
    ),
    "its time ran out": (
        UDP, (faults.lost(UDP, IN3), faults.error(UDP, 11, 0, ROUTER)), "rejected",
        "ICMP type 11 code 0 from 172.16.10.1",
    ),
    "an error about TCP that quotes 8 octets": (
        TCP, (faults.lost(TCP, IN3), faults.error(TCP, 3, 13, ROUTER, quoted_octets=28)),
        "rejected",
        "ICMP type 3 code 13 from 172.16.10.1",
    ),
    "no route here": (
        UDP, (faults.refused(UDP, errno.ENETUNREACH),), "no-route",
        "the source's kernel refused: ENETUNREACH (Network is unreachable)",
    ),
    "no route to host here": (
        UDP, (faults.refused(UDP, errno.EHOSTUNREACH),), "no-route",
        "the source's kernel refused: EHOSTUNREACH (No route to host)",
    ),
    "too big here": (
        UDP, (faults.refused(UDP, errno.EMSGSIZE),), "too-big",
        "the source's kernel refused: EMSGSIZE (Message too long)",
    ),
    "not permitted here": (
        UDP, (faults.refused(UDP, errno.EPERM),), "not-sent",
        "the source's kernel refused: EPERM (Operation not permitted)",
    ),
    "nobody asked": (
        UNRESOLVED, (faults.unasked("bbox1"),), "inconclusive",
        "the probe was not seen leaving its source",
    ),
    "asked before the wave": (
        UNRESOLVED, (faults.asked_later("bbox1", -2 * 10**6),), "inconclusive",
        "the probe was not seen leaving its source",
    ),
    "asked after the wave": (
        UNRESOLVED, (faults.asked_later("bbox1", 2 * WAVE_NS),), "inconclusive",
        "the probe was not seen leaving its source",
    ),
    "seen on its way, but not leaving": (
        LAYER2, (faults.hidden(LAYER2, "bbox1:eth0 (out)"),), "inconclusive",
        "the probe was not seen leaving its source",
    ),
    "a layer-2 probe that is not seen": (
        LAYER2, (faults.unsent(LAYER2),), "inconclusive",
        "the probe was not seen leaving its source",
    ),
    "incomplete": (
        UNRESOLVED, (), "no-neighbour", "no answer to ARP for 172.16.10.1, entry INCOMPLETE",
    ),
    "failed": (
        UNRESOLVED, (faults.neighbour("bbox1", ROUTER, "FAILED"),), "no-neighbour",
        "no answer to ARP for 172.16.10.1, entry FAILED",
    ),
    "stale": (
        UNRESOLVED, (faults.neighbour("bbox1", ROUTER, "STALE"),), "inconclusive",
        "not seen leaving, though 172.16.10.1 is STALE",
    ),
    "absent": (
        UNRESOLVED, (faults.neighbour("bbox1", ROUTER, None),), "inconclusive",
        "not seen leaving, though 172.16.10.1 is absent",
    ),
    "answered at the end of the wave": (
        UNRESOLVED, (faults.answered("bbox1", ROUTER, "02:6e:73:00:00:03", WAVE_NS),),
        "inconclusive", "not seen leaving, though 172.16.10.1 is INCOMPLETE",
    ),
    "answered after the wave": (
        UNRESOLVED, (faults.answered("bbox1", ROUTER, "02:6e:73:00:00:03", WAVE_NS + 1),),
        "no-neighbour", "no answer to ARP for 172.16.10.1, entry INCOMPLETE",
    ),
    "answered before the probe was sent": (
        UNRESOLVED, (faults.answered("bbox1", ROUTER, "02:6e:73:00:00:03", 0),),
        "no-neighbour", "no answer to ARP for 172.16.10.1, entry INCOMPLETE",
    ),
    "somebody else was answered": (
        UNRESOLVED, (faults.answered("bbox3", ROUTER, "02:6e:73:00:00:03"),),
        "no-neighbour", "no answer to ARP for 172.16.10.1, entry INCOMPLETE",
    ),
    "the neighbour itself": (
        DIRECT,
        (faults.unsent(DIRECT), faults.neighbour("bbox1", THERE, "FAILED"),
         faults.unanswered("bbox1")), "no-neighbour",
        "no answer to ARP for 172.16.10.11, entry FAILED",
    ),
    "late": (
        DIRECT, (faults.moved(DIRECT, 2 * WAVE_NS, "reply"),), "inconclusive",
        "8 sightings came after the wave's end",
    ),
    "a reply to nothing": (
        DIRECT, (faults.hidden(DIRECT, IN3),), "inconclusive",
        "a reply came back from 02:42:ac:10:0a:0b, but no tap saw it arrive",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_outcome_and_what_it_rests_on(name: str) -> None:
    """A reply that does not come has many reasons; each is told from the others."""
    cell_id, wrong, outcome, detail = OUTCOMES[name]
    seen = observed(cell_id, *wrong)
    assert (seen.outcome, seen.detail) == (outcome, detail)


def test_a_path_is_every_point_in_order() -> None:
    """With the addresses, tag and TTL that were on the wire there."""
    seen = observed(ROUTED)
    assert (seen.left, seen.arrived, seen.missing, seen.strays) == (True, True, (), ())
    assert seen.lost_at is None
    assert [(hop.point.node, hop.vlan, hop.src_ip, hop.ttl) for hop in seen.path[3:10]] == [
        ("switch", 10, "172.16.10.10", 64),
        ("switch", 10, "172.16.10.10", 64),
        ("gateway", 10, "172.16.10.10", 64),
        ("gateway", None, "172.16.10.10", 64),
        ("gateway", None, "172.16.20.1", 63),
        ("gateway", 20, "172.16.20.1", 63),
        ("switch", 20, "172.16.20.1", 63),
    ]
    assert (seen.seen_source, seen.seen_ttl, seen.rtt_ms) == ("172.16.20.1", 63, 0.027)
    first, last = seen.path[0], seen.path[-1]
    assert (first.src_mac, first.dst_mac) == ("02:42:ac:10:0a:0a", "02:6e:73:00:00:03")
    assert (last.src_mac, last.dst_mac) == ("02:6e:73:00:00:03", "02:42:ac:10:14:0b")
    assert (last.dst_ip, str(last.point)) == ("172.16.20.11", "bbox4:eth0 (in)")


def test_a_lost_probe_was_lost_somewhere() -> None:
    """The first point where it was not seen, and all that are missing."""
    seen = observed(ROUTED, faults.lost(ROUTED, "gateway:eth2.20 (out)"))
    assert seen.lost_at == Point("gateway", "eth2.20", "out")
    assert [str(point) for point in seen.missing] == [
        "gateway:eth2.20 (out)", "gateway:eth2 (out)", "switch:gateway (in)",
        "switch:host2 (out)", "host2:eth2 (in)", "host2:eth2.20 (in)", "bbox4:eth0 (in)",
    ]  # fmt: skip
    assert (len(seen.path), seen.arrived, seen.seen_ttl, seen.rtt_ms) == (7, False, None, None)


def test_a_probe_that_arrived_was_not_lost() -> None:
    """Though one of its points is missing."""
    seen = observed(ROUTED, faults.hidden(ROUTED, "host2:eth2 (in)"))
    assert (seen.lost_at, [str(one) for one in seen.missing]) == (None, ["host2:eth2 (in)"])


def test_a_reply_that_its_socket_does_not_get_was_lost_before_it() -> None:
    """The last place on its way, behind every interface."""
    assert str(observed(DIRECT, faults.unheard(DIRECT)).lost_at) == "bbox1:socket (in)"
    lost = observed(DIRECT, faults.reply_lost(DIRECT), faults.unheard(DIRECT)).lost_at
    assert str(lost) == "bbox3:eth0 (out)"


def test_an_arp_probe_has_no_source_of_its_own() -> None:
    """0.0.0.0 is in it on purpose; its addresses stand in the path."""
    seen = observed(WHO_HAS)
    assert (seen.seen_source, seen.seen_ttl, seen.outcome) == (None, None, Outcome.REACHED)
    assert (seen.path[0].src_ip, seen.path[0].dst_ip) == ("0.0.0.0", "172.16.10.11")  # noqa: S104


def test_a_question_for_the_next_hop_is_how_an_unresolved_probe_leaves() -> None:
    """It was asked, the probe itself never left."""
    seen = observed(UNRESOLVED)
    assert (seen.left, seen.path, seen.arrived) == (True, (), False)
    assert not observed(LAYER2, faults.unsent(LAYER2)).left


def test_an_arrival_in_another_vlan_is_a_stray_too() -> None:
    """However the frame is tagged there."""
    seen = observed(LAYER2, faults.leaked(LAYER2, Point("bbox4", "eth0", "in"), 7))
    assert seen.arrived
    assert [str(hop.point) for hop in seen.strays] == ["bbox4:eth0 (in)"]


@pytest.mark.parametrize(
    ("lab", "node", "other", "address"),
    [
        (TUTORIAL, "bbox3", "bbox1", "172.16.10.11"),
        (TUTORIAL, "bbox3", "host1", "172.16.10.11"),
        (TUTORIAL, "gateway", "bbox1", "172.16.10.1"),
        (TUTORIAL, "gateway", "bbox4", "172.16.20.1"),
        (TUTORIAL, "gateway", "host1", None),
        (TUTORIAL, "host1", "bbox4", None),
        (NO_GATEWAY, "gateway", "bbox4", None),
        (NO_DEFAULT_ROUTE, "gateway", "bbox4", None),
    ],
)
def test_the_address_of_a_node(lab: Topology, node: str, other: str, address: str | None) -> None:
    """An endpoint's own, the gateway's in the VLAN of the other; a Docker host has none."""
    assert address_of(lab, node, other) == address


def test_a_vlan_without_a_gateway_has_no_next_hop() -> None:
    """A probe that left no trace there is inconclusive, not unresolved."""
    cell_id = "isolated-bbox4-to-bbox1-udp"
    seen = observed(cell_id, faults.accepted(cell_id), lab=NO_DEFAULT_ROUTE)
    assert seen.outcome is Outcome.INCONCLUSIVE


NO_LEG = [f"routed-h1v10a-to-{dst}-{kind}"
          for dst in ("h1v30a", "h2v30b") for kind in ("icmp", "tcp", "udp")]  # fmt: skip
UNSAID = "routed-h1v10a-to-h2v30b-udp"


THERE30, HERE30 = "172.16.30.21", "172.16.30.10"
"""The addresses of h2v30b and h1v30a."""
TAKEN = "gateway took it, and"
COUNTED = "gateway has no route for it, and ended {} of {} such packets for that"


@pytest.mark.parametrize(
    ("wrong", "outcome", "detail"),
    [
        ((), "no-route", COUNTED.format(6, 6)),
        ((faults.lost(UNSAID, "gateway:eth2.10 (in)"),), "silent",
         "it left, and nothing came back"),
        ((faults.lost(UNSAID, "gateway:eth2 (in)"),), "silent", "it left, and nothing came back"),
        ((faults.routed(THERE30, None),), "inconclusive", f"{TAKEN} was not asked for its route"),
        ((faults.routed(THERE30, "EINVAL"),), "silent", f"{TAKEN} its route for it is: EINVAL"),
        ((faults.routed(THERE30, "EHOSTUNREACH"),), "silent",
         f"{TAKEN} its route for it is: EHOSTUNREACH"),
        ((faults.routed(THERE30, "unicast"),), "silent", f"{TAKEN} its route for it is: unicast"),
        ((faults.routed(THERE30, "ENETUNREACH"),), "inconclusive", COUNTED.format(3, 6)),
        ((faults.routed(THERE30, "ENETUNREACH"), faults.routed(HERE30, "ENETUNREACH")), "silent",
         COUNTED.format(0, 6)),
        ((faults.altered(NO_LEG[0], "gateway:eth2.10 (in)", dst_mac="02:6e:73:00:00:01"),),
         "no-route", COUNTED.format(6, 5)),
        ((faults.moved(NO_LEG[0], -2 * 10**7),), "no-route", COUNTED.format(6, 5)),
    ],
    ids=["counted", "not at the router", "on its trunk", "not asked", "blackhole", "unreachable",
         "a route", "not all counted", "none counted", "to another MAC address",
         "before the wave"],
)  # fmt: skip
def test_a_router_that_says_nothing_is_asked(
    wrong: tuple[Fault, ...], outcome: str, detail: str
) -> None:
    """No route is what it answers and has counted, whether or not it told the source."""
    found = unsaid_of(NO_LEG, (UNSAID,), *wrong)
    assert (found.outcome, found.detail) == (outcome, detail)


def test_a_host_has_its_endpoints_for_next_hops() -> None:
    """What the gateway sends to one and what never left is told by that one's entry."""
    cold = "routed-gateway-to-bbox1-icmp"
    found = observed(cold, faults.unsent(cold))
    assert (found.outcome, found.detail) == (
        "inconclusive", "not seen leaving, though 172.16.10.10 is REACHABLE",
    )  # fmt: skip


def test_a_router_that_lost_a_route_is_not_excused_by_its_silence() -> None:
    """What must reach and ends at a router was lost there, whatever else that router says."""
    lost = "routed-h1v10a-to-h2v20a-udp"
    fault = faults.lost(lost, "gateway:eth2.20 (out)")
    lab = shipped("three-vlans")
    known = cells_of(lab, Stage.ROUTED)
    verdict = judged(lab, [known[one] for one in (*NO_LEG, lost)], fault, faults.reply_lost(lost))
    assert verdict[lost].ruling is Ruling.FAIL


def unsaid_of(asked: list[str], unsaid: tuple[str, ...], *wrong: Fault) -> Observation:
    """What is observed of a probe when the gateway says nothing of some."""
    lab = shipped("three-vlans")
    known = cells_of(lab, Stage.ROUTED)
    silence = [faults.reply_lost(one, "error") for one in unsaid]
    verdicts = judged(lab, [known[one] for one in asked], *silence, *wrong)
    return verdicts[UNSAID].observation


FAR = "routed-bbox1-to-bbox6-icmp"


def in_vain(draft: Draft) -> None:
    """gw1 asks for gw2, and nobody answers."""
    at, to = "gw1", "172.16.20.2"
    t_ns = next(iter(draft.opened_ns.values())) + 2 * 10**6
    ask = Wire("arp", mac_of(draft.topology, at), BROADCAST, src_ip="172.16.20.1", dst_ip=to)
    draft.seen.append(Seen("", "kernel", Point(at, "eth2.20", "out"), t_ns, ask))
    draft.neighbours["main", at, to] = Neighbour(at, to, None, "FAILED")


@pytest.mark.parametrize(
    ("wrong", "outcome", "detail"),
    [
        ((faults.lost(FAR, "gw1:eth2.20 (out)"), in_vain), "no-neighbour",
         "no answer to gw1's ARP for 172.16.20.2, entry FAILED"),
        ((faults.lost(FAR, "gw1:eth2.20 (out)"),), "silent", "it left, and nothing came back"),
        ((faults.lost(FAR, "gw2:eth2.30 (out)"), in_vain), "silent",
         "it left, and nothing came back"),
        ((faults.lost(FAR, "gw1:eth2 (out)"), in_vain), "silent",
         "it left, and nothing came back"),
    ],
    ids=["asked in vain", "not asked", "lost at the next router", "sent on all the same"],
)  # fmt: skip
def test_a_router_that_does_not_find_the_next_one(
    wrong: tuple[Fault, ...], outcome: str, detail: str
) -> None:
    """Its own question for the next router tells it, if that is where the probe ended."""
    seen = observed(FAR, *wrong, lab=shipped("two-gateways"))
    assert (seen.outcome, seen.detail) == (outcome, detail)


@pytest.mark.parametrize(
    ("answer", "outcome"), [("unicast", "no-neighbour"), ("EHOSTUNREACH", "silent")]
)
def test_a_router_that_does_not_forward_asks_on_its_own_account(answer: str, outcome: str) -> None:
    """Its own pings ask for the same address; that excuses nothing that it should hand on."""
    cell = "routed-bbox3-to-bbox2-icmp"
    flow = Route("host1", "eth2.10", "172.16.10.11", "172.16.20.10", answer)

    def answers(draft: Draft) -> None:
        draft.routes["main", flow] = 0

    found = observed(cell, answers, lab=shipped("gateway-on-host1"))
    assert found.outcome == outcome
