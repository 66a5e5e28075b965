"""Containers in several networks: their legs as stations, and what is expected of each of them."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address

import pytest
from click.testing import CliRunner

from harness import forwarding, path, topology, walk
from harness.cli import cli
from harness.commands import command
from harness.diagnosis import containers, leaks
from harness.diagnosis.scene import Lab, further
from harness.diagnosis.state import State
from harness.endpoints.docker import DockerEndpoints
from harness.endpoints.lab_host import LabHostEndpoints
from harness.errors import InputError
from harness.flow import Absent, Cell, Outcome, Point, Stage
from harness.frame import dissect
from harness.live import concerned
from harness.matrix import matrix
from harness.schedule import schedule
from harness.topology import Topology
from tests.unit.builders import reading
from tests.unit.faults import leaked
from tests.unit.labs import FILE, altered, cells_of, shipped, table, tabled
from tests.unit.play import judged
from tests.unit.test_matrix import L2, L3

LAB = shipped("two-legs")
IN_10 = "bbox1-bbox3 bbox3-bbox1 bbox1-bbox4.10 bbox4.10-bbox1 bbox3-bbox4.10 bbox4.10-bbox3"
IN_20 = "bbox1.20-bbox2 bbox2-bbox1.20 bbox1.20-bbox4 bbox4-bbox1.20 bbox2-bbox4 bbox4-bbox2"
SELF_10, SELF_20 = "bbox1-bbox1.20 bbox4.10-bbox4", "bbox1.20-bbox1 bbox4-bbox4.10"
"""From one leg of a container to its other, out of VLAN 10 and out of VLAN 20."""
TO_BOTH_10 = "bbox1-bbox4 bbox3-bbox4 bbox3-bbox1.20 bbox4.10-bbox1.20"
TO_BOTH_20 = "bbox2-bbox1 bbox4-bbox1 bbox1.20-bbox4.10 bbox2-bbox4.10"
"""To the leg in the other VLAN of a container that is in the sender's too."""
TO_ONE_10 = "bbox1-bbox2 bbox3-bbox2 bbox4.10-bbox2"
TO_ONE_20 = "bbox1.20-bbox3 bbox2-bbox3 bbox4-bbox3"
CROSS_10, CROSS_20 = f"{TO_BOTH_10} {TO_ONE_10} {SELF_10}", f"{TO_BOTH_20} {TO_ONE_20} {SELF_20}"
UNANSWERED = f"{TO_ONE_10} {TO_ONE_20} {SELF_10} {SELF_20}"
WITHOUT_ARP = "l2-unicast l2-broadcast l2-multicast"
DIRECT = "bbox4-bbox1 bbox1.20-bbox4.10"
"""Out of a leg that is not the default one, to an address that answers there."""
IN_VAIN = "bbox1.20-bbox3 bbox4-bbox3"
"""Likewise, to one that nobody has there."""
BY_GATEWAY = f"{TO_BOTH_10} {TO_ONE_10} bbox2-bbox1 bbox2-bbox4.10 bbox2-bbox3"
RELAYED = "bbox3-bbox1.20 bbox2-bbox1 bbox3-bbox4 bbox2-bbox4.10"
"""To the leg that a packet must not leave by which its container is handed at the other."""
OWN = "host1-bbox1 host1-bbox1.20 host1-bbox2 host2-bbox3 host2-bbox4 host2-bbox4.10"
OTHER = "host1-bbox3 host1-bbox4 host1-bbox4.10 host2-bbox1 host2-bbox1.20 host2-bbox2"
EVERYBODY = ("bbox1", "bbox1.20", "bbox2", "bbox3", "bbox4", "bbox4.10")
TO_GATEWAY = " ".join(f"{name}-gateway" for name in EVERYBODY)
FROM_GATEWAY = " ".join(f"gateway-{name}" for name in EVERYBODY)
ALWAYS = f"""
same-vlan       | {IN_10} {IN_20}             | {L2} {L3}                     | reached
mtu             | {IN_10} {IN_20} {DIRECT}    | icmp:1472                     | reached
mtu             | {IN_10} {IN_20} {DIRECT}    | icmp:1473                     | too-big
cross-vlan-l2   | {CROSS_10} {CROSS_20}       | {WITHOUT_ARP}                 | silent
cross-vlan-l2   | {TO_BOTH_10} {TO_BOTH_20}   | arp                           | reached
cross-vlan-l2   | {UNANSWERED}                | arp                           | silent
cross-vlan-l3   | {DIRECT}                    | {L3}                          | reached
cross-vlan-l3   | {RELAYED}                   | relay                         | silent
cross-vlan-l3   | {IN_VAIN}                   | {L3}                          | no-neighbour
parent          | {OWN}                       | l2-unicast l2-broadcast       | silent
parent          | {OTHER}                     | l2-unicast l2-broadcast       | reached
own-tag         | {IN_10}                     | l2-unicast:20 l2-broadcast:20 | reached
own-tag         | {IN_20}                     | l2-unicast:10 l2-broadcast:10 | reached
own-tag         | {CROSS_10}                  | l2-unicast:20 l2-broadcast:20 | silent
own-tag         | {CROSS_20}                  | l2-unicast:10 l2-broadcast:10 | silent
"""
BLOCKED = f"""
cross-vlan-l3   | {BY_GATEWAY}                | {L3}                          | no-neighbour
"""
ROUTED = f"""
cross-vlan-l3   | {BY_GATEWAY}                | {L3}                          | reached
mtu             | {BY_GATEWAY}                | icmp:1472                     | reached
mtu             | {BY_GATEWAY}                | icmp:1473                     | too-big
gateway-address | {TO_GATEWAY}                | arp icmp                      | reached
cold            | {FROM_GATEWAY}              | icmp                          | reached
"""


@pytest.mark.parametrize(("stage", "count"), [*zip(Stage, (314, 352, 314), strict=True)])
def test_two_legs(stage: Stage, count: int) -> None:
    """Each leg is asked for itself; nothing comes from VLAN to VLAN by who is in both."""
    found = tabled(LAB, stage)
    assert set(found) == table(ALWAYS + (ROUTED if stage is Stage.ROUTED else BLOCKED))
    assert len(found) == len(set(found)) == count


TOO = "bbox1 is in VLAN 20 too, and answers for 172.16.10.10 at bbox1.20"
NOBODY = (
    "bbox4 has no default route by bbox4, and takes 172.16.10.11 for a neighbour; "
    "nobody in VLAN 20 is"
)


def cell(name: str, stage: Stage = Stage.ROUTED, lab: Topology = LAB) -> Cell:
    """A cell of the lab."""
    return cells_of(lab, stage)[f"{stage}-{name}"]


def test_legs_are_stations_of_a_container() -> None:
    """A further leg is a node by another name: its container's namespace, eth1, its own MAC."""
    leg = LAB.endpoint("bbox1.20")
    assert (leg.container, leg.interface, leg.vlan, leg.host) == ("bbox1", "eth1", 20, "host1")
    assert leg.mac == "02:42:ac:10:14:1e"
    assert [end.name for end in LAB.containers] == ["bbox1", "bbox2", "bbox3", "bbox4"]
    assert [end.name for end in LAB.legs["bbox1.20"]] == ["bbox1", "bbox1.20"]
    assert LAB.nodes == (*LAB.namespaces, "bbox1.20", "bbox4.10")
    assert LAB.same_container("bbox1", "bbox1.20")
    assert not LAB.same_container("host1", "bbox1")
    assert not LAB.same_container("bbox1", "bbox4")


def test_a_container_does_not_ask_itself() -> None:
    """What it sends to itself never leaves it; that is said of each of its pairs."""
    said = matrix(LAB, (Stage.ROUTED,)).not_applicable
    why = "both are legs of bbox1, and what it sends to itself never leaves it"
    assert f"icmp, tcp, udp from bbox1 to bbox1.20: {why}" in said
    assert len(said) == 4


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bbox4-to-bbox1-icmp", TOO),
        ("bbox2-to-bbox1-arp", TOO),
        ("bbox4-to-bbox3-icmp", NOBODY),
    ],
)
def test_why(name: str, why: str) -> None:
    """What is expected of several addresses says its reason."""
    assert cell(name).expectation.why == why


def test_where_a_probe_arrives_that_another_leg_takes() -> None:
    """The path ends at the leg in the sender's VLAN, and needs no router."""
    points = [way.point for way in walk.path(LAB, cell("bbox4-to-bbox1-icmp"))]
    assert (points[0], points[-1]) == (
        Point("bbox4", "eth0", "out"),
        Point("bbox1.20", "eth1", "in"),
    )
    assert "gateway" not in {point.node for point in points}


def test_a_reply_leaves_by_the_leg_that_its_route_says() -> None:
    """Into VLAN 10 the source is true, so bbox1 answers bbox2 past the gateway; else by it."""
    asked = cell("bbox2-to-bbox1-icmp")
    assert path.answering(LAB, asked) == ("bbox1.20", (), (20,))
    back = [way.point for way in path.way_back(LAB, asked, walk.path(LAB, asked))]
    assert back == [Point("bbox1.20", "eth1", "out"), Point("bbox2", "eth0", "in")]
    assert path.answering(LAB, cell("bbox3-to-bbox1.20-icmp")) is None


DEFAULT = """
  30: {subnet: 172.16.30.0/24, gateway: 172.16.30.1}
"""
THIRD = altered(
    "two-legs",
    ("20: 172.16.20.1}\n  masquerade: [20]", "20: 172.16.20.1, 30: 172.16.30.1}"),
    ("\nhosts:", f"{DEFAULT}\nhosts:"),
    ("  bbox2:", "  bbox5: {host: host2, vlan: 30, address: 172.16.30.10}\n  bbox2:"),
)
"""A third VLAN, and no source NAT."""


def test_a_reply_to_nobodys_neighbour_leaves_by_the_default_leg() -> None:
    """bbox5 asks bbox1 in VLAN 20, and is answered by way of VLAN 10."""
    asked = cell("bbox5-to-bbox1.20-icmp", lab=THIRD)
    assert asked.expectation.vlans == (30, 20)
    assert path.answering(THIRD, asked) == ("bbox1", ("gateway",), (10, 30))
    verdicts = judged(THIRD, cells_of(THIRD, Stage.ROUTED).values()).values()
    assert [one.explain() for one in verdicts if not one.ok] == []


def test_the_default_route_is_by_the_first_network_that_has_one() -> None:
    """By name, whatever was connected first; an internal network has none, nor one's container."""
    assert LAB.default_leg(LAB.endpoint("bbox4")) == LAB.endpoint("bbox4.10")
    assert LAB.ways_out(LAB.endpoint("bbox4")) == ()
    assert LAB.ways_out(LAB.endpoint("bbox4.10")) == (IPv4Address("172.16.10.1"),)
    internal = altered(
        "two-legs", ("gateway: 172.16.10.1}", "gateway: 172.16.10.1, access: internal}")
    )
    assert internal.default_leg(internal.endpoint("bbox4.10")) == internal.endpoint("bbox4")
    both = altered(
        "two-legs",
        ("gateway: 172.16.10.1}", "gateway: 172.16.10.1, access: internal}"),
        ("gateway: 172.16.20.1}", "gateway: 172.16.20.1, access: internal}"),
    )
    assert both.default_leg(both.endpoint("bbox1")) is None
    lost = cell("bbox3-to-bbox1.20-icmp", lab=both).expectation
    assert (lost.outcome, lost.via) == (Outcome.NO_ROUTE, ())


def test_without_a_default_route_no_reply_leaves() -> None:
    """What comes from a third VLAN arrives, and the container has no way to answer it."""
    lab = topology.parse(
        FILE.with_name("two-legs.yaml").read_text()
        .replace("gateway: 172.16.10.1}", "gateway: 172.16.10.1, access: internal}")
        .replace("gateway: 172.16.20.1}", f"gateway: 172.16.20.1, access: internal}}{DEFAULT}")
        .replace("20: 172.16.20.1}\n  masquerade: [20]", "20: 172.16.20.1, 30: 172.16.30.1}")
        .replace("  bbox2:", "  bbox5: {host: host2, vlan: 30, address: 172.16.30.10}\n  bbox2:"),
        "variant.yaml",
    )  # fmt: skip
    found = cell("bbox5-to-bbox1.20-icmp", lab=lab).expectation
    assert (found.outcome, found.arrives, found.unanswered) == (Outcome.SILENT, True, True)
    assert found.why.endswith("no network of bbox1 gives it a default route by bbox1.20")


def test_ipv6_takes_nobody_for_a_neighbour() -> None:
    """Out of a leg without a route it is refused, and no leg answers for another's address."""
    text = (
        FILE.with_name("two-legs.yaml").read_text()
        .replace("gateway: 172.16.10.1}", "gateway: 172.16.10.1, subnet6: 'fd00:10::/64', "
                 "gateway6: 'fd00:10::1'}")
        .replace("gateway: 172.16.20.1}", "gateway: 172.16.20.1, subnet6: 'fd00:20::/64', "
                 "gateway6: 'fd00:20::1'}")
        .replace("  masquerade", "  addresses6: {10: 'fd00:10::1', 20: 'fd00:20::1'}\n  masquerade")
    )  # fmt: skip
    for vlan, last in ((10, 10), (20, 30), (20, 10), (10, 11), (20, 11), (10, 40)):
        written = f"address: 172.16.{vlan}.{last}"
        text = text.replace(f"{written}}}", f"{written}, address6: 'fd00:{vlan}::{last}'}}")
        text = text.replace(f"{written}, also", f"{written}, address6: 'fd00:{vlan}::{last}', also")
    lab = topology.parse(text, "variant.yaml")
    assert cell("bbox4-to-bbox1-icmp6", lab=lab).expectation.outcome is Outcome.NO_ROUTE
    assert cell("bbox4-to-bbox1-ndp", lab=lab).expectation.outcome is Outcome.SILENT
    assert lab.ways_out(lab.endpoint("bbox1")) == (
        IPv4Address("172.16.10.1"),
        IPv6Address("fd00:10::1"),
    )
    found = [one for one in cells_of(lab, Stage.ROUTED).values() if one.probe.is_ipv6]
    assert [one.explain() for one in judged(lab, found).values() if not one.ok] == []


def test_what_a_container_is_handed_for_another_stays_there() -> None:
    """A whole packet in a frame for its near leg; it arrives, and must not leave by the other."""
    asked = cell("bbox3-to-bbox1.20-relay", Stage.ISOLATED)
    assert asked.expectation.why == (
        "bbox1 does not forward what bbox3 hands it in VLAN 10 for 172.16.20.10 in VLAN 20"
    )
    assert walk.path(LAB, asked)[-1].point == Point("bbox1", "eth0", "in")
    stage = cells_of(LAB, Stage.ISOLATED).values()
    (probe,) = (
        one
        for wave in schedule(LAB, [asked], stage)["waves"]
        for one in wave["probes"]
        if one["id"] == asked.id
    )
    packet = dissect(probe["frame"])
    assert (packet.src_mac, packet.dst_mac) == ("02:42:ac:10:0a:0b", "02:42:ac:10:0a:0a")
    assert (packet.src_ip, packet.dst_ip, packet.ttl) == ("172.16.10.11", "172.16.20.10", 64)
    assert packet.payload.startswith(probe["token"])
    assert checksum(probe["frame"][14:34]) == checksum(probe["frame"][34:58]) == 0xFFFF
    assert (probe["node"], probe["interface"], probe["await"]) == ("bbox3", "eth0", False)


def checksum(octets: bytes) -> int:
    """The sum of RFC 1071 over words; all ones where a checksum in them is right."""
    total = sum(int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2))
    return total % 0xFFFF or 0xFFFF


def test_a_packet_that_is_passed_on_is_a_leak() -> None:
    """Seen leaving by the other leg; the control is an echo that the container answers there."""
    asked = cell("bbox3-to-bbox1.20-relay", Stage.ISOLATED)
    assert judged(LAB, [asked])[asked.id].proof.control == "control/isolated-bbox2-to-bbox1.20-icmp"
    leak = leaked(asked.id, Point("bbox1.20", "eth1", "out"))
    verdict = judged(LAB, [asked], leak)[asked.id]
    assert (verdict.ok, verdict.why) == (
        False,
        "it was also seen where it must not be: bbox1.20:eth1 (out)",
    )


def test_a_container_that_forwards_is_named() -> None:
    """By its sysctl, with the command that mends it."""
    asked = cell("bbox3-to-bbox1.20-relay", Stage.ISOLATED)
    verdict = judged(LAB, [asked], leaked(asked.id, Point("bbox1.20", "eth1", "out")))[asked.id]
    on = {"net.ipv4.ip_forward": "1"}
    entry = reading("isolated/bbox1/conf/asked", kind="conf", node="bbox1", parsed=on)
    found = leaks.reached(Lab(LAB, Stage.ISOLATED, State((entry,), further(LAB))), verdict)
    assert found is not None
    assert (found.node, found.fix) == ("bbox1", "sysctl -w net.ipv4.ip_forward=0")


def test_nobody_is_asked_to_pass_on_to_nobody() -> None:
    """Where the container is alone in a VLAN there is nobody to hand it anything."""
    alone = altered(
        "two-legs",
        ("  bbox2: {host: host1, vlan: 20, address: 172.16.20.10}\n", ""),
        (
            "vlan: 20, address: 172.16.20.11, also: {10: {address: 172.16.10.40}}",
            "vlan: 10, address: 172.16.10.40",
        ),
    )
    assert "relay" not in {one.probe.kind for one in cells_of(alone, Stage.ISOLATED).values()}


def test_who_answers_for_whom() -> None:
    """A leg in the sender's VLAN, but for the sender's own container's."""
    ends = {name: LAB.endpoint(name) for name in EVERYBODY}
    assert forwarding.other_leg(LAB, ends["bbox2"], ends["bbox1"]) == ends["bbox1.20"]
    assert forwarding.other_leg(LAB, ends["bbox1.20"], ends["bbox1"]) is None
    assert forwarding.other_leg(LAB, ends["bbox3"], ends["bbox1"]) is None


def test_a_container_that_is_gone_is_made_again_with_its_legs() -> None:
    """And one that is off one network is connected to that one."""
    code = "container-not-running"
    gone = tuple(Absent(name, code, "it is gone") for name in ("bbox4", "bbox4.10"))
    verdicts = judged(LAB, cells_of(LAB, Stage.ISOLATED).values(), absent=gone)
    found = containers.gone(
        Lab(LAB, Stage.ISOLATED, State(())), verdicts["isolated-bbox3-to-bbox4.10-icmp"]
    )
    assert found is not None
    assert (found.node, found.subject) == ("host2", "bbox4")
    assert found.fix == (
        "docker run --detach --name bbox4 --network mac_net20 --ip 172.16.20.11 --mac-address "
        "02:42:ac:10:14:0b IMAGE && docker network connect --ip 172.16.10.40 mac_net10 bbox4"
    )
    off = (Absent("bbox4.10", "network-missing", "it is off"),)
    verdicts = judged(LAB, cells_of(LAB, Stage.ISOLATED).values(), absent=off)
    found = containers.gone(
        Lab(LAB, Stage.ISOLATED, State(())), verdicts["isolated-bbox3-to-bbox4.10-icmp"]
    )
    assert found is not None
    assert found.fix.startswith("docker network connect --ip 172.16.10.40 mac_net10 bbox4 && ")
    assert verdicts["isolated-bbox2-to-bbox4-icmp"].ok


def test_a_container_is_connected_when_it_runs() -> None:
    """In docker(1)'s words; an engine that takes several networks at once is told all."""
    (step,) = DockerEndpoints().together(LAB)
    group = step["groups"][0]
    joined = next(one for one in group if one["do"] == "connect")
    assert command(joined) == "host1# docker network connect --ip 172.16.20.30 mac_net20 bbox1"
    made = next(one for one in group if one.get("name") == "bbox1")
    assert (made["do"], made["legs"]) == ("container", [joined])
    assert group.index(made) < group.index(joined)
    adopt, _ = DockerEndpoints().steps(LAB, LAB.endpoint("bbox1.20"))
    assert adopt == {"do": "adopt", "node": "bbox1.20", "host": "host1", "container": "bbox1"}


def test_what_is_read_of_a_container_is_of_its_legs() -> None:
    """A leg has no readings of its own, and an address is its holder's at the interface."""
    links = [{"name": "eth0", "index": 2, "mac": "a"}, {"name": "eth1", "index": 3, "mac": "b"}]
    addresses = [
        {"interface": "eth0", "address": "172.16.10.10/24", "scope": "global"},
        {"interface": 3, "address": "172.16.20.30/24", "scope": "global"},
    ]
    entries = (
        reading("isolated/bbox1/links/after", kind="links", node="bbox1", parsed=links),
        reading("isolated/bbox1/addresses/after", kind="addresses", node="bbox1", parsed=addresses),
    )
    state = State(entries, further(LAB))
    assert state.link("bbox1.20", "eth1") == links[1]
    assert state.cite("bbox1.20", "links") == ("isolated/bbox1/links/after",)
    assert state.knows("bbox1.20", "links")
    assert [node for node, _ in state.holders("172.16.20.30")] == ["bbox1.20"]
    assert state.holders("172.16.10.10") == (("bbox1", "eth0"),)


def test_a_pair_is_asked_with_the_whole_of_its_containers() -> None:
    """Of a large lab only what has a leg in the pair's VLANs is looked at."""
    kept = [end.name for end in concerned(THIRD, "bbox3", "bbox1").endpoints]
    assert kept == ["bbox1", "bbox1.20", "bbox3", "bbox4", "bbox4.10"]


def test_lab_hosts_have_one_leg() -> None:
    """A backend that cannot make further legs says so before it builds anything."""
    with pytest.raises(InputError) as caught:
        LabHostEndpoints().refuse(LAB)
    assert str(caught.value) == (
        "--backend ssh: bbox1 has several legs, which cannot be made on lab hosts yet; use "
        "--backend docker or netns, or leave `also` out"
    )


def test_the_command_shows_each_leg() -> None:
    """`harness topology --json` has the interface and the container of each."""
    done = CliRunner().invoke(cli, ["topology", str(FILE.with_name("two-legs.yaml")), "--json"])
    ends = {end["name"]: end for end in json.loads(done.output)["endpoints"]}
    assert (ends["bbox1.20"]["container"], ends["bbox1.20"]["interface"]) == ("bbox1", "eth1")
    assert (ends["bbox2"]["container"], ends["bbox2"]["interface"]) == ("bbox2", "eth0")
