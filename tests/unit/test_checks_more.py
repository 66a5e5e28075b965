"""What is no cause: readings that are not there, rules that do not divert; and rarer ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.causes import Code
from harness.diagnosis.place import Kind, Place
from harness.flow import Point
from tests.unit.labs import shipped
from tests.unit.sick import (
    ASKED,
    ASKING,
    AT_RECEIVER,
    AT_ROUTER,
    AT_SENDER,
    ON_WIRE,
    Change,
    Readings,
    found,
    named,
    place,
    route,
)
from tests.unit.test_checks import (
    BACK,
    LARGE,
    TO_GATEWAY,
    UNHEARD,
    match,
    nft,
    payload,
    put,
)

PLACES = [AT_SENDER, AT_ROUTER, BACK, AT_RECEIVER, ON_WIRE, ASKING, ASKED, UNHEARD, LARGE]
RULE = {
    "priority": 50, "family": 4, "action": "lookup", "table": "100", "src": None, "dst": None,
    "iif": None, "oif": None, "mark": None, "protocol": None, "inverted": False,
}  # fmt: skip
FRAME = replace(AT_SENDER, flow=replace(AT_SENDER.flow, family="", protocol="", dst=None))
BLIND = replace(ON_WIRE, far=None)
SIBLING = place(
    Kind.WIRE, "bbox1", "bbox3", near=Point("bbox1", "eth0", "out"),
    far=Point("bbox3", "eth0", "in"),
)  # fmt: skip


@pytest.mark.parametrize("at", [*PLACES, FRAME, BLIND, SIBLING, TO_GATEWAY])
def test_without_readings_nothing_is_named(at: Place) -> None:
    """A cause without its evidence would be a guess."""
    finding, _ = found(at, lambda readings: readings.clear())
    assert finding is None


@pytest.mark.parametrize(
    "changed",
    [
        {"mark": 7}, {"protocol": 6}, {"src": "10.0.0.0/8"}, {"iif": "eth9"}, {"oif": "eth9"},
        {"inverted": True}, {"dst": "172.16.20.0/24"},
    ],
)  # fmt: skip
def test_a_policy_rule_that_does_not_divert_is_no_cause(changed: dict[str, Any]) -> None:
    """It asks for another packet, or its table leads nowhere, and the next rule is asked."""
    finding, _ = found(AT_SENDER, put("bbox1", "rules", {**RULE, **changed}))
    assert finding is None


WIRE_RULES: list[tuple[Any, Code]] = [
    (match(payload("ether", "daddr"), "03:88:b5:00:00:01"), Code.MULTICAST_LOST_TO_MACVLAN),
    (match({"meta": {"key": "pkttype"}}, "multicast"), Code.MULTICAST_LOST_TO_MACVLAN),
    (match(payload("ether", "type"), "arp"), Code.ARP_FILTERED),
    (match(payload("icmpv6", "type"), "nd-neighbor-solicit"), Code.NDP_FILTERED),
    (match({"meta": {"key": "l4proto"}}, "icmp"), Code.L4_FILTERED),
    (match({"meta": {"key": "length"}}, 20, ">"), Code.MTU_MISMATCH),
]
FLOWS = {
    Code.MULTICAST_LOST_TO_MACVLAN: {"dst_mac": "03:88:b5:00:00:01"},
    Code.ARP_FILTERED: {"family": "arp"},
    Code.NDP_FILTERED: {"family": "ip6", "protocol": "ndp"},
}


@pytest.mark.parametrize(("condition", "code"), WIRE_RULES)
def test_a_rule_on_the_wire_is_named_by_what_it_asks(condition: Any, code: Code) -> None:
    """Below IP there are no chains of input and output: what is dropped is what tells."""
    flow = replace(ON_WIRE.flow, **FLOWS.get(code, {}))
    at = replace(ON_WIRE, flow=flow)
    if flow.family != "ip":
        at = replace(at, asker="gateway", asked="bbox4")
    rules = nft("netdev", "ingress", condition, {"drop": None}, dev="eth2.20")
    finding, _ = found(at, put("host2", "nftables", *rules))
    assert finding is not None
    assert finding.code is code


def test_a_container_that_does_not_run_is_asked_first() -> None:
    """What its engine says comes before what its interface says."""

    def change(readings: Readings) -> None:
        readings["host1", "docker-containers"] = []
        named(readings, "bbox1", "eth0")["up"] = False

    finding, _ = found(AT_SENDER, change)
    assert finding is not None
    assert finding.code is Code.CONTAINER_NOT_RUNNING


def test_a_router_that_does_no_arp() -> None:
    """It has no neighbour entries of itself to flush."""
    asked = replace(ASKED, node="gateway", near=Point("gateway", "eth2.20", "in"))
    finding, _ = found(
        asked, lambda readings: named(readings, "gateway", "eth2.20").update(arp=False)
    )
    assert finding is not None
    assert (finding.code, finding.fix) == (Code.ARP_DISABLED, "ip link set eth2.20 arp on")


def test_a_router_s_own_route_is_given_back() -> None:
    """What leads to another VLAN by way of another router is replaced, not deleted."""
    lab = shipped("two-gateways")
    at = replace(
        AT_ROUTER, node="gw1", peer="gw2", vlan=20, near=Point("gw1", "eth2.10", "in"),
        far=Point("gw1", "eth2.20", "out"),
        flow=replace(AT_ROUTER.flow, dst="172.16.30.10", dst_mac=lab.trunk_mac("gw1")),
    )  # fmt: skip

    def change(readings: Readings) -> None:
        readings["gw1", "firewall"] = []
        readings["gw1", "tables"].append(route("172.16.30.0/24", "172.16.20.77", "eth2.20"))

    finding, _ = found(at, change, "bbox1-to-bbox3-icmp", topology=lab)
    assert finding is not None
    assert finding.fix == "ip route replace 172.16.30.0/24 via 172.16.20.2"


def test_a_host_sends_into_vlans_where_it_is_no_router() -> None:
    """Nothing is known of where it must send what is not in any VLAN."""
    at = replace(AT_SENDER, node="host1", peer="bbox4")
    change: Change = lambda readings: readings["host1", "tables"].append(  # noqa: E731
        route("172.16.20.0/24", None, "eth2.20")
    )
    finding, _ = found(at, change)
    assert finding is None
