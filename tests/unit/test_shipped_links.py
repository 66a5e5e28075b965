"""What is expected of the shipped labs that differ in modes and MTUs, written out by hand."""

from __future__ import annotations

import pytest

from harness import walk
from harness.flow import Outcome, Stage
from harness.matrix import matrix
from tests.unit.labs import cells_of, shipped, table, tabled
from tests.unit.test_matrix import L2, L3

VLANS = {
    10: ["bridge1a", "bridge1b", "bridge2a", "bridge2b"],
    20: ["private1a", "private1b", "private2a", "private2b"],
    30: ["vepa1a", "vepa1b", "vepa2a", "vepa2b"],
    40: ["passthru1", "passthru2"],
}


def of_mode(vlan: int) -> str:
    """Every ordered pair of a VLAN whose endpoints are on different hosts."""
    members = VLANS[vlan]
    return " ".join(f"{a}-{b}" for a in members for b in members if ("1" in a) is not ("1" in b))


def across(*, to: int) -> str:
    """Every ordered pair from another VLAN to one."""
    others = [name for vlan, members in VLANS.items() if vlan != to for name in members]
    return " ".join(f"{a}-{b}" for a in others for b in VLANS[to])


BETWEEN = {vlan: of_mode(vlan) for vlan in VLANS}
HOSTS = " ".join(BETWEEN.values())
SIBLINGS = {
    f"{mode}{host}": f"{mode}{host}a-{mode}{host}b {mode}{host}b-{mode}{host}a"
    for mode in ("bridge", "private", "vepa")
    for host in "12"
}
EACH = {
    host: " ".join(f"{mode}{host}{which}" for mode in ("bridge", "private", "vepa")
                   for which in "ab") for host in "12"
}  # fmt: skip
FROM_1_TO_2 = " ".join(f"host1-{name}" for name in [*EACH["2"].split(), "passthru2"])
FROM_2_TO_1 = " ".join(f"host2-{name}" for name in [*EACH["1"].split(), "passthru1"])
OF_1 = " ".join(f"host1-{name}" for name in EACH["1"].split())
OF_2 = " ".join(f"host2-{name}" for name in EACH["2"].split())
EVERYWHERE = f"{across(to=10)} {across(to=20)} {across(to=30)} {across(to=40)}"
BRIDGE, VEPA2 = f"{SIBLINGS['bridge1']} {SIBLINGS['bridge2']}", SIBLINGS["vepa2"]
APART = f"{SIBLINGS['private1']} {SIBLINGS['vepa1']}"
PRIVATE2 = SIBLINGS["private2"]
MODES = f"""
same-vlan     | {HOSTS} {BRIDGE} {VEPA2}          | {L2} {L3}                         | reached
mtu           | {HOSTS} {BRIDGE} {VEPA2}          | icmp:1472                         | reached
mtu           | {HOSTS} {BRIDGE} {VEPA2}          | icmp:1473                         | too-big
same-vlan     | {APART}                           | {L2}                              | silent
same-vlan     | {APART}                           | {L3}                              | no-neighbour
same-vlan     | {PRIVATE2}                        | l2-unicast                        | reached
same-vlan     | {PRIVATE2}                        | arp l2-broadcast l2-multicast     | silent
same-vlan     | {PRIVATE2}                        | {L3}                              | no-neighbour
cross-vlan-l2 | {EVERYWHERE}                      | {L2}                              | silent
cross-vlan-l3 | {EVERYWHERE}                      | {L3}                              | no-route
parent        | {FROM_1_TO_2} {FROM_2_TO_1}       | l2-unicast l2-broadcast           | reached
parent        | {OF_1}                            | l2-unicast l2-broadcast           | silent
parent        | {OF_2}                            | l2-unicast l2-broadcast           | reached
own-tag       | {BETWEEN[10]} {BRIDGE}            | l2-unicast:20 l2-broadcast:20     | reached
own-tag       | {BETWEEN[20]}                     | l2-unicast:10 l2-broadcast:10     | reached
own-tag       | {BETWEEN[30]} {BETWEEN[40]}       | l2-unicast:10 l2-broadcast:10     | reached
own-tag       | {VEPA2}                           | l2-unicast:10 l2-broadcast:10     | reached
own-tag       | {APART}                           | l2-unicast:10 l2-broadcast:10     | silent
own-tag       | {PRIVATE2}                        | l2-unicast:10                     | reached
own-tag       | {PRIVATE2}                        | l2-broadcast:10                   | silent
own-tag       | {across(to=10)}                   | l2-unicast:10 l2-broadcast:10     | silent
own-tag       | {across(to=20)}                   | l2-unicast:20 l2-broadcast:20     | silent
own-tag       | {across(to=30)}                   | l2-unicast:30 l2-broadcast:30     | silent
own-tag       | {across(to=40)}                   | l2-unicast:40 l2-broadcast:40     | silent
"""


def test_macvlan_modes() -> None:
    """A switch port with hairpin tells private from vepa; without it they are alike."""
    lab = shipped("macvlan-modes")
    assert lab.stages == (Stage.ISOLATED,)
    found = tabled(lab, Stage.ISOLATED)
    assert set(found) == table(MODES)
    assert len(found) == len(set(found))
    assert matrix(lab, lab.stages).not_applicable == (
        "gateway-address: the topology has no gateway host",
        "cold: the topology has no gateway host",
    )


@pytest.mark.parametrize("cell", ["host1-to-passthru1", "host2-to-passthru2"])
def test_nobody_tells_a_passthru_endpoint_from_its_host(cell: str) -> None:
    """They have one MAC address, so nothing is asked between the two."""
    lab = shipped("macvlan-modes")
    assert [one for one in cells_of(lab, Stage.ISOLATED) if cell in one] == []
    assert lab.endpoint("passthru2").mac == lab.trunk_mac("host2") == "02:6e:73:00:00:02"


@pytest.mark.parametrize("pair", [*VEPA2.split(), *BETWEEN[20].split(), "passthru1-passthru2"])
def test_what_the_switch_sends_back_has_passed_no_router(pair: str) -> None:
    """TTL 64, and the true source."""
    src, dst = pair.split("-")
    lab = shipped("macvlan-modes")
    expected = cells_of(lab, Stage.ISOLATED)[f"isolated-{src}-to-{dst}-udp"].expectation
    source = str(lab.endpoint(src).address)
    assert (expected.via, expected.ttl, expected.seen_source) == ((), 64, source)


def test_siblings_that_a_mode_keeps_apart_meet_at_the_switch() -> None:
    """Their frames leave by the trunk and come back; those of mode bridge never leave."""
    lab = shipped("macvlan-modes")
    cells = cells_of(lab, Stage.ISOLATED)
    way = walk.path(lab, cells["isolated-vepa2a-to-vepa2b-icmp"])
    assert [f"{one.point} {one.vlan}" for one in way] == [
        "vepa2a:eth0 (out) 30", "host2:eth2.30 (out) 30", "host2:eth2 (out) 30",
        "switch:host2 (in) 30", "switch:host2 (out) 30",
        "host2:eth2 (in) 30", "host2:eth2.30 (in) 30", "vepa2b:eth0 (in) 30",
    ]  # fmt: skip
    way = walk.path(lab, cells["isolated-bridge2a-to-bridge2b-icmp"])
    assert [str(one.point) for one in way] == ["bridge2a:eth0 (out)", "bridge2b:eth0 (in)"]


def test_why_siblings_do_not_hear_each_other() -> None:
    """Either the switch returns nothing, or it is a broadcast that private takes from nobody."""
    cells = cells_of(shipped("macvlan-modes"), Stage.ISOLATED)
    apart = cells["isolated-vepa1a-to-vepa1b-l2-unicast"].expectation.why
    assert apart == ("both are in VLAN 30, but mode vepa hands nothing over on host1, and the"
                     " switch returns no frame on its port")  # fmt: skip
    deaf = cells["isolated-private2a-to-private2b-arp"].expectation.why
    assert deaf == ("both are in VLAN 20, but mode private hands nothing over on host2, nor a"
                    " broadcast that the switch sends back")  # fmt: skip
    unresolved = cells["isolated-private2a-to-private2b-icmp"].expectation
    assert (unresolved.next_hop, unresolved.why) == (
        "172.16.20.21", "mode private keeps private2a and private2b apart on host2",
    )  # fmt: skip


LARGE, FROM_LARGE = "bbox1-bbox5 bbox5-bbox1", "bbox1-bbox3 bbox5-bbox3"
FROM_SMALL = "bbox3-bbox1 bbox3-bbox5"
OF_20 = "bbox2-bbox4 bbox4-bbox2"
OF_10 = f"{LARGE} {FROM_LARGE} {FROM_SMALL}"
LARGE_UP = "bbox1-bbox2 bbox1-bbox4 bbox5-bbox2 bbox5-bbox4"
SMALL_UP = "bbox3-bbox2 bbox3-bbox4"
DOWN = "bbox2-bbox1 bbox2-bbox3 bbox2-bbox5 bbox4-bbox1 bbox4-bbox3 bbox4-bbox5"
TO_GATEWAY = " ".join(f"bbox{number}-gateway" for number in range(1, 6))
FROM_GATEWAY = " ".join(f"gateway-bbox{number}" for number in range(1, 6))
JUMBO = f"""
same-vlan     | {OF_10} {OF_20}                              | {L2} {L3}                     | reached
mtu           | {LARGE}                                      | icmp:8972                     | reached
mtu           | {LARGE}                                      | icmp:8973                     | too-big
mtu           | {FROM_LARGE}                                 | icmp:1472                     | reached
mtu           | {FROM_LARGE}                                 | icmp:8972                     | silent
mtu           | {FROM_LARGE}                                 | icmp:8973                     | too-big
mtu           | {FROM_SMALL} {OF_20}                         | icmp:1472                     | reached
mtu           | {FROM_SMALL} {OF_20}                         | icmp:1473                     | too-big
cross-vlan-l2 | {LARGE_UP} {SMALL_UP} {DOWN}                 | {L2}                          | silent
parent        | host1-bbox1 host1-bbox2                      | l2-unicast l2-broadcast       | silent
parent        | host2-bbox3 host2-bbox4 host3-bbox5          | l2-unicast l2-broadcast       | silent
parent        | host1-bbox3 host1-bbox4 host1-bbox5          | l2-unicast l2-broadcast       | reached
parent        | host2-bbox1 host2-bbox2 host2-bbox5          | l2-unicast l2-broadcast       | reached
parent        | host3-bbox1 host3-bbox3                      | l2-unicast l2-broadcast       | reached
own-tag       | {OF_10}                                      | l2-unicast:20 l2-broadcast:20 | reached
own-tag       | {OF_20}                                      | l2-unicast:10 l2-broadcast:10 | reached
own-tag       | {LARGE_UP} {SMALL_UP}                        | l2-unicast:20 l2-broadcast:20 | silent
own-tag       | {DOWN}                                       | l2-unicast:10 l2-broadcast:10 | silent
"""  # noqa: E501 - a table
JUMBO_BLOCKED = f"""
cross-vlan-l3 | {LARGE_UP} {SMALL_UP} {DOWN} | {L3} | no-neighbour
"""
JUMBO_ROUTED = f"""
cross-vlan-l3   | {LARGE_UP} {SMALL_UP} {DOWN}             | {L3}                          | reached
mtu             | {LARGE_UP} {SMALL_UP} {DOWN}             | icmp:1472                     | reached
mtu             | {LARGE_UP}                               | icmp:1473 icmp:8972 icmp:8973 | too-big
mtu             | {SMALL_UP} {DOWN}                        | icmp:1473                     | too-big
gateway-address | {TO_GATEWAY}                             | arp icmp                      | reached
cold            | {FROM_GATEWAY}                           | icmp                          | reached
"""


@pytest.mark.parametrize("stage", Stage)
def test_jumbo(stage: Stage) -> None:
    """9000 octets pass where all have so many; else the sender is told, or nobody."""
    found = tabled(shipped("jumbo"), stage)
    by_stage = JUMBO_ROUTED if stage is Stage.ROUTED else JUMBO_BLOCKED
    assert set(found) == table(JUMBO + by_stage)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("cell", "outcome", "via", "vlans", "who"),
    [
        ("bbox1-to-bbox2-icmp:8973", "too-big", (), (), "one octet more than the MTU of 9000"),
        ("bbox1-to-bbox4-icmp:8972", "too-big", ("gateway",), (10, 20),
         "gateway sends at most 1500 octets into VLAN 20"),
        ("bbox5-to-bbox2-icmp:1473", "too-big", ("gateway",), (10, 20),
         "gateway sends at most 1500 octets into VLAN 20"),
        ("bbox3-to-bbox2-icmp:1473", "too-big", (), (), "one octet more than the MTU of 1500"),
        ("bbox1-to-bbox3-icmp:8972", "silent", (), (), "bbox3 takes at most 1500 octets"),
        ("bbox2-to-bbox1-icmp:1473", "too-big", (), (), "one octet more than the MTU of 1500"),
    ],
)  # fmt: skip
def test_who_says_that_a_packet_is_too_big(
    cell: str, outcome: str, via: tuple[str, ...], vlans: tuple[int, ...], who: str
) -> None:
    """The source's kernel, the router before the smaller VLAN, or nobody at all."""
    expected = cells_of(shipped("jumbo"), Stage.ROUTED)[f"routed-{cell}"].expectation
    assert (expected.outcome, expected.via, expected.vlans) == (Outcome(outcome), via, vlans)
    assert expected.why.startswith(who)
