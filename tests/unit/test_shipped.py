"""The shipped topologies: what is expected of each, written out by hand."""

from __future__ import annotations

import pytest

from harness import walk
from harness.flow import Stage
from harness.matrix import matrix
from tests.unit.labs import FILE, cells_of, shipped, table, tabled
from tests.unit.play import judged
from tests.unit.test_matrix import by_hand

PINGS = ("icmp", "icmp6")

NAMES = sorted(path.stem for path in FILE.parent.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_what_it_is_for(name: str) -> None:
    """It is named as its lab is, and has its purpose in prose on top."""
    text = FILE.with_name(f"{name}.yaml").read_text()
    assert text.startswith("# ")
    assert shipped(name).name == name
    assert f"`{name}.yaml`" in FILE.with_name("README.md").read_text()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stage", Stage)
def test_a_lab_that_does_as_expected_passes(name: str, stage: Stage) -> None:
    """Every cell is proved, with a control where one is needed."""
    lab = shipped(name)
    if stage in lab.stages:
        verdicts = judged(lab, cells_of(lab, stage).values()).values()
        assert [one.explain() for one in verdicts if not one.ok] == []


@pytest.mark.parametrize("name", ["forward-policy-drop", "gateway-runs-docker"])
@pytest.mark.parametrize("stage", Stage)
def test_forward_policy_drop(name: str, stage: Stage) -> None:
    """The tutorial's table: all that goes through the gateway has its rule."""
    assert set(tabled(shipped(name), stage)) == by_hand(stage)


MEMBERS = {vlan: [f"h{host}v{vlan}{which}" for host in "123" for which in "ab"]
           for vlan in (10, 20, 30)}  # fmt: skip
L2, L3 = "arp l2-unicast l2-broadcast l2-multicast", "icmp tcp udp"


def ways(src: int, dst: int) -> str:
    """Every ordered pair from a VLAN of three-vlans.yaml to another, or within one."""
    return " ".join(f"{a}-{b}" for a in MEMBERS[src] for b in MEMBERS[dst] if a != b)


def from_hosts(*, own: bool) -> str:
    """Every pair of a host and an endpoint, of its own or of another's."""
    everybody = [name for members in MEMBERS.values() for name in members]
    return " ".join(f"host{host}-{name}" for host in "123" for name in everybody
                    if (name[1] == host) is own)  # fmt: skip


WITHIN = f"{ways(10, 10)} {ways(20, 20)} {ways(30, 30)}"
ROUTED = f"{ways(10, 20)} {ways(20, 10)}"
FROM_30, TO_30 = f"{ways(30, 10)} {ways(30, 20)}", f"{ways(10, 30)} {ways(20, 30)}"
OF_10_AND_20 = [*MEMBERS[10], *MEMBERS[20]]
THREE_VLANS = f"""
same-vlan     | {WITHIN}                           | {L2} {L3}                     | reached
mtu           | {WITHIN}                           | icmp:1472                     | reached
mtu           | {WITHIN}                           | icmp:1473                     | too-big
cross-vlan-l2 | {ROUTED} {FROM_30} {TO_30}         | {L2}                          | silent
parent        | {from_hosts(own=True)}             | l2-unicast l2-broadcast       | silent
parent        | {from_hosts(own=False)}            | l2-unicast l2-broadcast       | reached
own-tag       | {ways(10, 10)}                     | l2-unicast:20 l2-broadcast:20 | reached
own-tag       | {ways(20, 20)} {ways(30, 30)}      | l2-unicast:10 l2-broadcast:10 | reached
own-tag       | {ways(20, 10)} {ways(30, 10)}      | l2-unicast:10 l2-broadcast:10 | silent
own-tag       | {ways(10, 20)} {ways(30, 20)}      | l2-unicast:20 l2-broadcast:20 | silent
own-tag       | {ways(10, 30)} {ways(20, 30)}      | l2-unicast:30 l2-broadcast:30 | silent
cross-vlan-l3 | {FROM_30}                          | {L3}                          | no-neighbour
"""
THREE_VLANS_BLOCKED = f"""
cross-vlan-l3 | {ROUTED} {TO_30}                   | {L3}                          | no-neighbour
"""
THREE_VLANS_ROUTED = f"""
cross-vlan-l3   | {ROUTED}                                             | {L3}      | reached
cross-vlan-l3   | {TO_30}                                              | {L3}      | no-route
mtu             | {ROUTED}                                             | icmp:1472 | reached
mtu             | {ROUTED}                                             | icmp:1473 | too-big
gateway-address | {" ".join(f"{name}-gateway" for name in OF_10_AND_20)} | arp icmp  | reached
cold            | {" ".join(f"gateway-{name}" for name in OF_10_AND_20)} | icmp      | reached
"""


@pytest.mark.parametrize(("stage", "count"), [*zip(Stage, (3042, 3222, 3042), strict=True)])
def test_three_vlans(stage: Stage, count: int) -> None:
    """VLAN 30 resolves nobody in any stage; the gateway has no route to it."""
    lab = shipped("three-vlans")
    found = tabled(lab, stage)
    routed = stage is Stage.ROUTED
    by_stage = THREE_VLANS_ROUTED if routed else THREE_VLANS_BLOCKED
    assert set(found) == table(THREE_VLANS + by_stage)
    assert len(found) == len(set(found)) == count


def test_siblings_go_past_their_parent() -> None:
    """Unicast between two endpoints of one VLAN on one host is seen by nobody but the two."""
    lab = shipped("three-vlans")
    cell = cells_of(lab, Stage.ROUTED)["routed-h1v10a-to-h1v10b-icmp"]
    points = [str(way.point) for way in walk.path(lab, cell)]
    assert points == ["h1v10a:eth0 (out)", "h1v10b:eth0 (in)"]


SAME = "bbox1-bbox3 bbox3-bbox1 bbox2-bbox4 bbox4-bbox2"
ACROSS = ("bbox1-bbox2 bbox1-bbox4 bbox3-bbox2 bbox3-bbox4 "
          "bbox2-bbox1 bbox2-bbox3 bbox4-bbox1 bbox4-bbox3")  # fmt: skip
TO_GATEWAY = "bbox1-gateway bbox2-gateway bbox3-gateway bbox4-gateway"
FROM_GATEWAY = "gateway-bbox1 gateway-bbox2 gateway-bbox3 gateway-bbox4"
DUAL_STACK = f"""
same-vlan       | {SAME}         | ndp icmp6 tcp6 udp6 | reached
mtu             | {SAME}         | icmp6:1452          | reached
mtu             | {SAME}         | icmp6:1453          | too-big
cross-vlan-l2   | {ACROSS}       | ndp                 | silent
"""
DUAL_STACK_BLOCKED = f"""
cross-vlan-l3   | {ACROSS}       | icmp6 tcp6 udp6     | no-neighbour
"""
DUAL_STACK_ROUTED = f"""
cross-vlan-l3   | {ACROSS}       | icmp6 tcp6 udp6     | reached
mtu             | {ACROSS}       | icmp6:1452          | reached
mtu             | {ACROSS}       | icmp6:1453          | too-big
gateway-address | {TO_GATEWAY}   | ndp icmp6           | reached
cold            | {FROM_GATEWAY} | icmp6               | reached
"""


@pytest.mark.parametrize(("stage", "count"), [*zip(Stage, (188, 244, 188), strict=True)])
def test_dual_stack(stage: Stage, count: int) -> None:
    """IPv4 as in the tutorial; IPv6 beside it, through the gateway when that routes."""
    lab = shipped("dual-stack")
    found = tabled(lab, stage)
    by_stage = DUAL_STACK_ROUTED if stage is Stage.ROUTED else DUAL_STACK_BLOCKED
    assert set(found) == by_hand(stage) | table(DUAL_STACK + by_stage)
    assert len(found) == len(set(found)) == count


def test_ipv6_is_routed_with_its_true_source() -> None:
    """The gateway takes one off the hop limit, and translates nothing but IPv4."""
    cells = cells_of(shipped("dual-stack"), Stage.ROUTED)
    ping4, ping6 = (cells[f"routed-bbox1-to-bbox4-{kind}"].expectation for kind in PINGS)
    assert (ping4.ttl, ping4.seen_source) == (63, "172.16.20.1")
    assert (ping6.ttl, ping6.seen_source) == (63, "2001:db8:10::10")
    isolated = cells_of(shipped("dual-stack"), Stage.ISOLATED)
    assert isolated["isolated-bbox1-to-bbox4-udp6"].expectation.next_hop == "2001:db8:10::1"


PAIRS = {
    "same": "bbox1-bbox3 bbox3-bbox1 bbox2-bbox4 bbox4-bbox2",
    "up": "bbox1-bbox2 bbox1-bbox4 bbox3-bbox2 bbox3-bbox4",
    "down": "bbox2-bbox1 bbox2-bbox3 bbox4-bbox1 bbox4-bbox3",
    "arp": "bbox1-bbox2 bbox2-bbox1 bbox1-bbox4 bbox3-bbox4 bbox2-bbox3 bbox4-bbox3",
    "layer3": "bbox1-bbox4 bbox3-bbox4 bbox2-bbox3 bbox4-bbox3",
    "own": "host1-bbox1 host1-bbox2 host2-bbox3 host2-bbox4",
    "other": "host1-bbox3 host1-bbox4 host2-bbox1 host2-bbox2",
}
OVERLAPPING = """
same-vlan     | {same}                  | arp l2-unicast l2-broadcast l2-multicast | reached
same-vlan     | {same}                  | icmp tcp udp                             | reached
mtu           | {same}                  | icmp:1472                                | reached
mtu           | {same}                  | icmp:1473                                | too-big
cross-vlan-l2 | {arp}                   | arp                                      | silent
cross-vlan-l2 | {up} {down}             | l2-unicast l2-broadcast l2-multicast     | silent
cross-vlan-l3 | {layer3}                | icmp tcp udp                             | no-neighbour
parent        | {own}                   | l2-unicast l2-broadcast                  | silent
parent        | {other}                 | l2-unicast l2-broadcast                  | reached
own-tag       | bbox1-bbox3 bbox3-bbox1 | l2-unicast:20 l2-broadcast:20            | reached
own-tag       | bbox2-bbox4 bbox4-bbox2 | l2-unicast:10 l2-broadcast:10            | reached
own-tag       | {up}                    | l2-unicast:20 l2-broadcast:20            | silent
own-tag       | {down}                  | l2-unicast:10 l2-broadcast:10            | silent
"""


def test_overlapping_subnets() -> None:
    """Nobody resolves the other VLAN's addresses; what its own VLAN has too is not asked for."""
    lab = shipped("overlapping-subnets")
    found = tabled(lab, Stage.ISOLATED)
    assert set(found) == table(OVERLAPPING.format(**PAIRS))
    assert len(found) == len(set(found)) == 118
    cells = cells_of(lab, Stage.ISOLATED)
    assert cells["isolated-bbox3-to-bbox4-udp"].expectation.next_hop == "172.16.10.12"
    assert matrix(lab, (Stage.ISOLATED,)).not_applicable == (
        "gateway-address: the topology has no gateway host",
        "cold: the topology has no gateway host",
        "icmp, tcp, udp from bbox1 to bbox2: 172.16.10.10 is bbox1's in VLAN 10",
        "icmp, tcp, udp from bbox2 to bbox1: 172.16.10.10 is bbox2's in VLAN 20",
        "arp, icmp, tcp, udp from bbox3 to bbox2: 172.16.10.10 is bbox1's in VLAN 10",
        "arp, icmp, tcp, udp from bbox4 to bbox1: 172.16.10.10 is bbox2's in VLAN 20",
    )
