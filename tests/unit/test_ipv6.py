"""IPv6 beside IPv4: what is sent, found, observed and planned for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness import plan
from harness.commands import command
from harness.endpoints.namespace import NamespaceEndpoints
from harness.flow import Cell, Observation, Outcome, Point, Probe, Stage
from harness.frame import Frame, dissect
from harness.record import Neighbour
from harness.schedule import schedule
from harness.sightings import find
from harness.topology import Topology
from tests.unit import faults
from tests.unit.labs import TUTORIAL, cells_of, shipped
from tests.unit.play import Fault, Seen, error_at, judged, question
from tests.unit.wire import RST, SYN, Wire, mirror

DUAL = shipped("dual-stack")
ROUTED, DIRECT = "routed-bbox1-to-bbox4-udp6", "routed-bbox1-to-bbox3-udp6"
UNRESOLVED = "isolated-bbox1-to-bbox4-icmp6"
TOKEN = bytes(range(16))
ME, YOU = "02:42:ac:10:0a:0a", "02:42:ac:10:0a:0b"
ASKER, TARGET = "fe80::1:203:405:607", "2001:db8:10::11"
IP: dict[str, Any] = {"src_ip": "2001:db8:10::10", "dst_ip": TARGET, "src_port": 40000}
ASK = Wire("ndp", ME, "33:33:ff:00:00:11", token=TOKEN, src_ip=ASKER, dst_ip=TARGET)
PROBES = {
    "ndp": ASK,
    "icmp6": Wire("icmp", ME, YOU, token=TOKEN, icmp=(128, 0), **IP),
    "udp6": Wire("udp", ME, YOU, token=TOKEN, **IP),
    "tcp6": Wire("tcp", ME, YOU, token=TOKEN, **IP),
}


def frames(*wires: Wire, direction: str = "in") -> list[Frame]:
    """Frames at one tap, a nanosecond apart."""
    return [
        Frame("bbox1", "eth0", direction, number, wire.octets())
        for number, wire in enumerate(wires)
    ]


def legs(*wires: Wire) -> list[tuple[int, str]]:
    """The number and leg of each frame that is found to be the probe's."""
    found = find(frames(*wires), [TOKEN.hex()]).by_token.get(TOKEN.hex(), [])
    return [(seen.number, seen.leg.value) for seen in found]


def observed(cell_id: str, *wrong: Fault) -> Observation:
    """What is observed of a cell, played alone with its controls."""
    stage = Stage(cell_id.partition("-")[0])
    return judged(DUAL, [cells_of(DUAL, stage)[cell_id]], *wrong)[cell_id].observation


@pytest.mark.parametrize("tags", [(), (10,)])
@pytest.mark.parametrize("kind", PROBES)
def test_a_probe_and_its_answer(kind: str, tags: tuple[int, ...]) -> None:
    """Behind any tags, whichever frame came first."""
    probe = replace(PROBES[kind], tags=tags)
    answer = replace(mirror(PROBES[kind], YOU), tags=tags)
    assert legs(probe, answer) == [(0, "request"), (1, "reply")]
    assert sorted(legs(answer, probe)) == [(0, "reply"), (1, "request")]


@pytest.mark.parametrize(
    "change", [{"src_ip": "2001:db8:10::12"}, {"dst_ip": "fe80::1"}, {"dst_ip": "ff02::1"}]
)
def test_an_advertisement_ties_by_target_and_asker(change: dict[str, Any]) -> None:
    """One of another, to another or to all nodes says nothing of this probe."""
    assert legs(ASK, replace(mirror(ASK, YOU), **change)) == [(0, "request")]


def test_a_reset_ties_by_its_connection() -> None:
    """As over IPv4."""
    reset = replace(mirror(PROBES["tcp6"], YOU), flags=RST)
    assert legs(PROBES["tcp6"], reset) == [(0, "request"), (1, "reset")]
    assert legs(PROBES["tcp6"], replace(PROBES["tcp6"], token=b"")) == [
        (0, "request"), (1, "request"),
    ]  # fmt: skip
    assert PROBES["tcp6"].flags == SYN


@pytest.mark.parametrize("kind", ["icmp6", "udp6", "tcp6"])
def test_an_error_ties_by_what_it_quotes(kind: str) -> None:
    """ICMPv6 errors quote the whole probe, its token with it."""
    error = Wire("icmp", YOU, ME, icmp=(1, 4), quoted=PROBES[kind], **IP)
    assert legs(PROBES[kind], error) == [(0, "request"), (1, "error")]


def test_what_kernels_ask_and_hear() -> None:
    """Solicitations that leave a node, and advertisements that come in at it, by target."""
    ask = replace(ASK, token=b"", src_ip="2001:db8:10::10")
    answer = mirror(ask, YOU)
    out = find(frames(ask, answer, direction="out"), [])
    came = find(frames(ask, answer, direction="in"), [])
    assert (dict(out.asked), dict(out.answered)) == ({("bbox1", TARGET): [0]}, {})
    assert (dict(came.asked), dict(came.answered)) == ({}, {("bbox1", TARGET): [1]})


OUT2 = "gateway:eth2.20 (out)"


def said(cell_id: str, icmp: tuple[int, int], sender: str) -> Fault:
    """An ICMPv6 error comes in at the source instead of a reply."""

    def wrong(draft: Any) -> None:
        first: Seen = draft.of(cell_id)[0]
        draft.seen = [seen for seen in draft.seen if (seen.probe, seen.leg) != (cell_id, "reply")]
        draft.seen.append(error_at(first, icmp, sender, 8))

    return wrong


GATEWAY, BBOX4 = "2001:db8:10::1", "2001:db8:20::11"
ERRORS = [
    ((1, 0), GATEWAY, OUT2, "no-route"),
    ((1, 1), GATEWAY, OUT2, "rejected"),
    ((1, 3), GATEWAY, OUT2, "no-neighbour"),
    ((1, 4), GATEWAY, OUT2, "rejected"),
    ((1, 4), BBOX4, None, "refused"),
    ((1, 6), GATEWAY, OUT2, "rejected"),
    ((2, 0), GATEWAY, OUT2, "too-big"),
    ((3, 0), GATEWAY, OUT2, "rejected"),
]


@pytest.mark.parametrize(("icmp", "sender", "lost", "outcome"), ERRORS)
def test_an_error_says_what_became_of_a_probe(
    icmp: tuple[int, int], sender: str, lost: str | None, outcome: str
) -> None:
    """Type 3 code 0 is "no route" in ICMP, and a hop limit that ran out in ICMPv6."""
    wrong = (faults.lost(ROUTED, lost),) if lost else ()
    seen = observed(ROUTED, *wrong, said(ROUTED, icmp, sender))
    assert seen.outcome == outcome
    if outcome != "refused":
        assert seen.detail == f"ICMPv6 type {icmp[0]} code {icmp[1]} from {sender}"


def test_a_question_without_answer_is_no_neighbour() -> None:
    """The kernel solicited the gateway's address, and its entry stayed incomplete."""
    seen = observed(UNRESOLVED)
    assert (seen.outcome, seen.left, seen.path) == (Outcome.NO_NEIGHBOUR, True, ())
    assert seen.detail == "no answer to NDP for 2001:db8:10::1, entry INCOMPLETE"


def test_a_router_that_asks_in_vain_is_no_neighbour() -> None:
    """What it took ends there, for want of the destination's MAC address."""
    wrong = (
        faults.lost(ROUTED, OUT2),
        faults.reply_lost(ROUTED),
        asked("gateway", "eth2.20", BBOX4),
    )
    seen = observed(ROUTED, *wrong)
    assert (seen.outcome, seen.detail) == (
        "no-neighbour", f"no answer to gateway's NDP for {BBOX4}, entry INCOMPLETE",
    )  # fmt: skip


def asked(node: str, interface: str, address: str) -> Fault:
    """A node's kernel asks for an address in vain."""

    def wrong(draft: Any) -> None:
        shot = draft.shots[ROUTED]
        ask = question("02:6e:73:00:00:03", "fe80::1", address)
        draft.seen.append(Seen("", "kernel", Point(node, interface, "out"), shot.t_ns + 1, ask))
        key = (shot.wave, node, address)
        draft.neighbours[key] = Neighbour(node, address, None, "INCOMPLETE")

    return wrong


def test_a_router_that_says_nothing_is_silent() -> None:
    """Of IPv6 Linux says as often as it is let that no route leads there."""
    seen = observed(ROUTED, faults.lost(ROUTED, OUT2), faults.reply_lost(ROUTED))
    assert (seen.outcome, seen.detail) == ("silent", "it left, and nothing came back")


def test_a_path_has_hop_limits_and_the_true_source() -> None:
    """What TTL is to IPv4."""
    seen = observed(ROUTED)
    assert (seen.seen_ttl, seen.seen_source) == (63, "2001:db8:10::10")
    ask = observed("routed-bbox1-to-bbox3-ndp")
    assert (ask.seen_ttl, ask.seen_source) == (255, None)
    assert ask.path[0].dst_ip == TARGET


LONELY = replace(DUAL, endpoints=DUAL.endpoints[:3])
"""bbox2 is the only endpoint of VLAN 20: no endpoint can vouch for what must not reach it."""
BEACONS = {
    cell.id: cell
    for cell in cells_of(LONELY, Stage.ISOLATED).values()
    if cell.dst == "bbox2" and cell.probe.is_ipv6
}


@pytest.mark.parametrize("cell", BEACONS.values(), ids=BEACONS)
def test_a_beacon_stands_in_where_no_endpoint_can(cell: Cell) -> None:
    """The same class of frame, from `::`, with a hop limit at which nobody answers."""
    known = cells_of(LONELY, Stage.ISOLATED)
    sent = schedule(LONELY, [cell], list(known.values()))
    (wave,) = sent["waves"]
    probe, beacon = wave["probes"]
    assert (probe["id"], beacon["id"]) == (cell.id, f"beacon/{cell.id}")
    packet = dissect(beacon["frame"])
    assert (packet.vlans, packet.ethertype, packet.ttl) == ((20,), 0x86DD, 64)
    assert packet.src_ip == "::"
    if cell.probe.kind == "ndp":
        assert (packet.icmp_type, packet.nd_target) == (135, "2001:db8:20::10")
        assert (packet.dst_mac, packet.dst_ip) == ("33:33:ff:00:00:10", "ff02::1:ff00:10")
        assert (packet.nd_nonce or b"")[:16] == beacon["token"]
        return
    assert packet.dst_mac == "02:42:ac:10:14:0a"
    assert packet.dst_ip == "2001:db8:20::10"
    assert packet.ip_proto == {"icmp6": 58, "tcp6": 6, "udp6": 17}[cell.probe.kind]
    assert packet.payload == beacon["token"]
    assert (packet.dst_port or 7, packet.tcp_flags or 2, packet.icmp_type or 128) == (7, 2, 128)


def test_a_probe_has_the_address_of_its_kind() -> None:
    """And a responder both of its own."""
    known = cells_of(DUAL, Stage.ROUTED)
    ids = ("routed-bbox1-to-bbox4-icmp6:1453", "routed-bbox1-to-gateway-ndp",
           "routed-bbox1-to-bbox4-icmp:1472")  # fmt: skip
    sent = schedule(DUAL, [known[one] for one in ids], list(known.values()))
    found = {probe["id"]: probe for wave in sent["waves"] for probe in wave["probes"]}
    assert (found[ids[0]]["dst_ip"], found[ids[0]]["size"]) == ("2001:db8:20::11", 1453)
    assert (found[ids[1]]["dst_ip"], found[ids[1]]["size"]) == ("2001:db8:10::1", None)
    assert (found[ids[2]]["dst_ip"], found[ids[2]]["size"]) == ("172.16.20.11", 1472)
    want = sent["responders"][3]
    assert (want["address"], want["address6"]) == ("172.16.20.11", "2001:db8:20::11")


def sysctls(lab: Topology, node: str) -> dict[str, str]:
    """What a node's namespace is given."""
    steps = plan.build(lab, NamespaceEndpoints())
    (found,) = [step for step in steps if (step["do"], step["node"]) == ("sysctl", node)]
    values: dict[str, str] = found["values"] | found["optional"]
    return values


@pytest.mark.parametrize("node", ["bbox1", "gateway"])
def test_who_has_an_ipv6_address_has_ipv6_on(node: str) -> None:
    """It forwards nothing yet, listens to no advertisement and detects no duplicates."""
    given = sysctls(DUAL, node)
    for name in ("all", "default"):
        assert given[f"net.ipv6.conf.{name}.disable_ipv6"] == "0"
        assert given[f"net.ipv6.conf.{name}.forwarding"] == "0"
        assert given[f"net.ipv6.conf.{name}.accept_ra"] == "0"
        assert given[f"net.ipv6.conf.{name}.accept_dad"] == "0"
    assert given["net.ipv6.icmp.ratelimit"] == "0"


@pytest.mark.parametrize(("lab", "node"), [(DUAL, "host1"), (DUAL, "switch"), (TUTORIAL, "bbox1")])
def test_who_has_none_has_ipv6_off(lab: Topology, node: str) -> None:
    """Of IPv6 nothing else is set there."""
    given = sysctls(lab, node)
    assert {key: value for key, value in given.items() if "ipv6" in key} == {
        "net.ipv6.conf.all.disable_ipv6": "1",
        "net.ipv6.conf.default.disable_ipv6": "1",
    }


def test_an_endpoint_has_an_address_and_a_default_route_of_each() -> None:
    """IPv4 first."""
    steps = plan.build(DUAL, NamespaceEndpoints())
    found = [command(step) for step in steps
             if step["node"] == "bbox1" and step["do"] in ("address", "route")]  # fmt: skip
    assert found == [
        "bbox1# ip address add 172.16.10.10/24 dev eth0",
        "bbox1# ip address add 2001:db8:10::10/64 dev eth0",
        "bbox1# ip route add default via 172.16.10.1",
        "bbox1# ip route add default via 2001:db8:10::1",
    ]


def test_a_gateway_forwards_ipv6_by_the_same_rules() -> None:
    """With ip6tables, without NAT, and taken back in the stage after."""
    steps = plan.gateway(DUAL)
    commands = [command(step) for step in steps]
    assert commands.count("gateway# sysctl -w net.ipv6.conf.all.forwarding=1") == 1
    assert "gateway# ip address add 2001:db8:20::1/64 dev eth2.20" in commands
    (rules,) = [command for command in commands if "ip6tables" in command]
    assert rules.startswith("gateway# ip6tables -t filter -P FORWARD ACCEPT; ip6tables -t filter")
    assert "MASQUERADE" not in rules
    undone = [command(step) for step in plan.undo(steps)]
    assert undone[0].startswith("gateway# ip6tables -t filter -P FORWARD ACCEPT; ip6tables -t")
    assert " -D FORWARD " in undone[0]
    assert "gateway# sysctl -w net.ipv6.conf.all.forwarding=0" in undone
    assert not [step for step in plan.gateway(TUTORIAL) if step["do"] == "ip6tables"]


def test_the_lab_as_ipv6_sees_it() -> None:
    """What has no IPv6 address is not in it, and nothing is translated."""
    none = TUTORIAL.ipv6
    assert [*none.endpoints, *none.vlans, *none.gateways] == []
    assert DUAL.over(Probe("icmp")) is DUAL
    found = DUAL.over(Probe("icmp6"))
    assert [str(end.address) for end in found.endpoints][:2] == [
        "2001:db8:10::10", "2001:db8:20::10",
    ]  # fmt: skip
    assert found.gateways[0].masquerade == ()
    assert [node for node in DUAL.nodes if DUAL.has_ipv6(node)] == [
        "gateway", "bbox1", "bbox2", "bbox3", "bbox4",
    ]  # fmt: skip
