"""What is expected of the shipped labs that differ in their routers, written out by hand."""

from __future__ import annotations

import pytest

from harness import walk
from harness.flow import Expectation, Outcome, Stage
from harness.matrix import matrix
from tests.unit.labs import cells_of, shipped, table, tabled
from tests.unit.test_matrix import ALWAYS, BLOCKED, DOWN, L2, L3, UP

ON_HOST1 = f"""
cross-vlan-l3   | bbox3-bbox4 bbox4-bbox3                         | {L3}      | reached
mtu             | bbox3-bbox4 bbox4-bbox3                         | icmp:1472 | reached
mtu             | bbox3-bbox4 bbox4-bbox3                         | icmp:1473 | too-big
cross-vlan-l3   | bbox1-bbox2 bbox1-bbox4 bbox2-bbox1 bbox2-bbox3 | {L3}      | no-neighbour
cross-vlan-l3   | bbox3-bbox2 bbox4-bbox1                         | {L3}      | no-neighbour
gateway-address | bbox3-host1 bbox4-host1                         | arp icmp  | reached
cold            | host1-bbox3 host1-bbox4                         | icmp      | reached
parent          | bbox1-host1 bbox2-host1                         | arp       | silent
parent          | bbox1-host1 bbox2-host1                         | icmp      | no-neighbour
parent          | host1-bbox1 host1-bbox2                         | icmp      | no-neighbour
"""


@pytest.mark.parametrize(("stage", "count"), [*zip(Stage, (132, 148, 132), strict=True)])
def test_gateway_on_host1(stage: Stage, count: int) -> None:
    """Parent and child do not hear each other, whether the parent's host routes or not."""
    lab = shipped("gateway-on-host1")
    found = tabled(lab, stage)
    assert set(found) == table(ALWAYS + (ON_HOST1 if stage is Stage.ROUTED else BLOCKED))
    assert len(found) == len(set(found)) == count


@pytest.mark.parametrize(
    ("cell", "via", "next_hop"),
    [
        ("bbox1-to-bbox2-icmp", (), "172.16.10.1"),
        ("bbox1-to-bbox4-tcp", (), "172.16.10.1"),
        ("bbox2-to-bbox3-udp", (), "172.16.20.1"),
        ("bbox3-to-bbox2-icmp", ("host1",), "172.16.20.10"),
        ("bbox4-to-bbox1-udp", ("host1",), "172.16.10.10"),
        ("bbox1-to-host1-icmp", (), "172.16.10.1"),
        ("host1-to-bbox2-icmp", (), "172.16.20.10"),
    ],
)
def test_whose_address_host1_and_its_children_ask_for_in_vain(
    cell: str, via: tuple[str, ...], next_hop: str
) -> None:
    """The children for their gateway's; the router for theirs, when a packet for them comes."""
    expected = of("gateway-on-host1", cell)
    assert (expected.outcome, expected.via, expected.next_hop) == (
        Outcome.NO_NEIGHBOUR, via, next_hop,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "source"), [("bbox3-to-bbox4", "172.16.20.1"), ("bbox4-to-bbox3", "172.16.10.1")]
)
def test_host1_routes_for_others(cell: str, source: str) -> None:
    """As the tutorial's gateway does: one hop, with its own address of the leaving VLAN."""
    expected = of("gateway-on-host1", f"{cell}-tcp")
    assert (expected.via, expected.ttl, expected.seen_source) == (("host1",), 63, source)


EXTERNAL = f"""
cross-vlan-l3   | {UP} {DOWN}                                         | {L3}      | reached
mtu             | {UP} {DOWN}                                         | icmp:1472 | reached
mtu             | {UP} {DOWN}                                         | icmp:1473 | too-big
gateway-address | bbox1-router bbox2-router bbox3-router bbox4-router | arp icmp  | reached
"""


def test_external_router() -> None:
    """One stage; all that an endpoint can ask, and nothing that the router itself would send."""
    lab = shipped("external-router")
    assert lab.stages == (Stage.ROUTED,)
    found = tabled(lab, Stage.ROUTED)
    assert set(found) == table(ALWAYS + EXTERNAL)
    assert len(found) == len(set(found)) == 156
    assert matrix(lab, lab.stages).not_applicable == (
        "cold: nothing can be sent from an external router",
    )


@pytest.mark.parametrize("pair", f"{UP} {DOWN}".split())
def test_the_external_router_does_no_nat(pair: str) -> None:
    """One hop, and the true source."""
    src, dst = pair.split("-")
    expected = of("external-router", f"{src}-to-{dst}-udp")
    source = str(shipped("external-router").endpoint(src).address)
    assert (expected.via, expected.ttl, expected.seen_source) == (("router",), 63, source)
    assert expected.why.endswith("with the true source")


def test_of_the_external_router_only_its_switch_port_is_seen() -> None:
    """In VLAN 10 going in, in VLAN 20 coming out."""
    lab = shipped("external-router")
    cell = cells_of(lab, Stage.ROUTED)["routed-bbox1-to-bbox4-icmp"]
    points = [f"{way.point} {way.vlan}" for way in walk.path(lab, cell)]
    assert points[3:7] == [
        "switch:host1 (in) 10", "switch:router (out) 10",
        "switch:router (in) 20", "switch:host2 (out) 20",
    ]  # fmt: skip
    assert not [one for one in points if one.startswith("router")]


WITHIN = "bbox1-bbox4 bbox4-bbox1 bbox2-bbox5 bbox5-bbox2 bbox3-bbox6 bbox6-bbox3"
ACROSS = {
    "10-20": "bbox1-bbox2 bbox1-bbox5 bbox4-bbox2 bbox4-bbox5",
    "20-10": "bbox2-bbox1 bbox5-bbox1 bbox2-bbox4 bbox5-bbox4",
    "10-30": "bbox1-bbox3 bbox1-bbox6 bbox4-bbox3 bbox4-bbox6",
    "30-10": "bbox3-bbox1 bbox6-bbox1 bbox3-bbox4 bbox6-bbox4",
    "20-30": "bbox2-bbox3 bbox2-bbox6 bbox5-bbox3 bbox5-bbox6",
    "30-20": "bbox3-bbox2 bbox6-bbox2 bbox3-bbox5 bbox6-bbox5",
}
ALL_ACROSS = " ".join(ACROSS.values())
TO_10, TO_20, TO_30 = (
    f"{ACROSS[one]} {ACROSS[other]}"
    for one, other in (("20-10", "30-10"), ("10-20", "30-20"), ("10-30", "20-30"))
)
OWN = "host1-bbox1 host1-bbox2 host1-bbox3 host2-bbox4 host2-bbox5 host2-bbox6"
OTHER = "host1-bbox4 host1-bbox5 host1-bbox6 host2-bbox1 host2-bbox2 host2-bbox3"
TWO_GATEWAYS = f"""
same-vlan     | {WITHIN}                                        | {L2} {L3}                     | reached
mtu           | {WITHIN}                                        | icmp:1472                     | reached
mtu           | {WITHIN}                                        | icmp:1473                     | too-big
cross-vlan-l2 | {ALL_ACROSS}                                    | {L2}                          | silent
parent        | {OWN}                                           | l2-unicast l2-broadcast       | silent
parent        | {OTHER}                                         | l2-unicast l2-broadcast       | reached
own-tag       | bbox1-bbox4 bbox4-bbox1                         | l2-unicast:20 l2-broadcast:20 | reached
own-tag       | bbox2-bbox5 bbox5-bbox2 bbox3-bbox6 bbox6-bbox3 | l2-unicast:10 l2-broadcast:10 | reached
own-tag       | {TO_10}                                         | l2-unicast:10 l2-broadcast:10 | silent
own-tag       | {TO_20}                                         | l2-unicast:20 l2-broadcast:20 | silent
own-tag       | {TO_30}                                         | l2-unicast:30 l2-broadcast:30 | silent
"""  # noqa: E501 - a table
TWO_BLOCKED = f"""
cross-vlan-l3 | {ALL_ACROSS} | {L3} | no-neighbour
"""
TWO_ROUTED = f"""
cross-vlan-l3   | {ALL_ACROSS}                                    | {L3}      | reached
mtu             | {ALL_ACROSS}                                    | icmp:1472 | reached
mtu             | {ALL_ACROSS}                                    | icmp:1473 | too-big
gateway-address | bbox1-gw1 bbox2-gw1 bbox4-gw1 bbox5-gw1         | arp icmp  | reached
gateway-address | bbox1-gw2 bbox2-gw2 bbox3-gw2                   | arp icmp  | reached
gateway-address | bbox4-gw2 bbox5-gw2 bbox6-gw2                   | arp icmp  | reached
cold            | gw1-bbox1 gw1-bbox2 gw1-bbox4 gw1-bbox5         | icmp      | reached
cold            | gw2-bbox1 gw2-bbox2 gw2-bbox3                   | icmp      | reached
cold            | gw2-bbox4 gw2-bbox5 gw2-bbox6                   | icmp      | reached
"""


@pytest.mark.parametrize(("stage", "count"), [*zip(Stage, (306, 384, 306), strict=True)])
def test_two_gateways(stage: Stage, count: int) -> None:
    """Routed, everything reaches; layer 2 stays as separate as it was."""
    found = tabled(shipped("two-gateways"), stage)
    by_stage = TWO_ROUTED if stage is Stage.ROUTED else TWO_BLOCKED
    assert set(found) == table(TWO_GATEWAYS + by_stage)
    assert len(found) == len(set(found)) == count


BOTH = ("gw1", "gw2")
WAYS = {
    "10-20": (("gw1",), (10, 20)),
    "20-10": (("gw1",), (20, 10)),
    "10-30": (BOTH, (10, 20, 30)),
    "30-10": (("gw2",), (30, 10)),
    "20-30": (BOTH, (20, 20, 30)),
    "30-20": (("gw2",), (30, 20)),
}
"""(routers, VLAN of each segment) by the VLANs of source and destination."""


@pytest.mark.parametrize(("vlans", "pair"), [(k, p) for k, v in ACROSS.items() for p in v.split()])
def test_a_hop_for_each_gateway(vlans: str, pair: str) -> None:
    """TTL 63 after one, 62 after two; the source is the true one everywhere."""
    src, dst = pair.split("-")
    expected = of("two-gateways", f"{src}-to-{dst}-tcp")
    via, segments = WAYS[vlans]
    assert (expected.via, expected.vlans) == (via, segments)
    assert expected.ttl == {1: 63, 2: 62}[len(via)]
    assert expected.seen_source == str(shipped("two-gateways").endpoint(src).address)


def test_a_packet_comes_back_into_the_vlan_that_it_came_from() -> None:
    """From 20 to 30 it crosses VLAN 20 twice: to gw1, and from there to gw2."""
    lab = shipped("two-gateways")
    cell = cells_of(lab, Stage.ROUTED)["routed-bbox2-to-bbox6-icmp"]
    points = [f"{way.point} {way.vlan}" for way in walk.path(lab, cell)]
    assert points == [
        "bbox2:eth0 (out) 20", "host1:eth2.20 (out) 20", "host1:eth2 (out) 20",
        "switch:host1 (in) 20", "switch:gw1 (out) 20", "gw1:eth2 (in) 20", "gw1:eth2.20 (in) 20",
        "gw1:eth2.20 (out) 20", "gw1:eth2 (out) 20", "switch:gw1 (in) 20",
        "switch:gw2 (out) 20", "gw2:eth2 (in) 20", "gw2:eth2.20 (in) 20",
        "gw2:eth2.30 (out) 30", "gw2:eth2 (out) 30", "switch:gw2 (in) 30",
        "switch:host2 (out) 30", "host2:eth2 (in) 30", "host2:eth2.30 (in) 30",
        "bbox6:eth0 (in) 30",
    ]  # fmt: skip


def of(name: str, cell: str) -> Expectation:
    """What is expected of a routed cell of a shipped lab."""
    return cells_of(shipped(name), Stage.ROUTED)[f"routed-{cell}"].expectation
