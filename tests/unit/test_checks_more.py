"""What is no cause: readings that are not there, rules that do not divert; and rarer ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.causes import Code
from harness.diagnosis.place import Kind, Place
from harness.diagnosis.state import State
from harness.flow import Point
from tests.unit.labs import NO_DEFAULT_ROUTE, altered, shipped
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
    lab_of,
    link,
    named,
    place,
    policy,
    route,
    rule,
)
from tests.unit.test_checks import (
    BACK,
    LARGE,
    TO_GATEWAY,
    UNHEARD,
    match,
    nft,
    of_link,
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

    def change(readings: Readings) -> None:
        readings["bbox1", "rules"].append({**RULE, **changed})
        if "dst" not in changed:
            readings["bbox1", "tables"].append(route("default", None, "lo", table="100"))

    finding, _ = found(AT_SENDER, change)
    assert finding is None


WIRE_RULES: list[tuple[Any, Code]] = [
    (match(payload("ether", "daddr"), "03:88:b5:00:00:01"), Code.MULTICAST_LOST_TO_MACVLAN),
    (match({"meta": {"key": "pkttype"}}, "multicast"), Code.MULTICAST_LOST_TO_MACVLAN),
    (match(payload("ether", "type"), "arp"), Code.ARP_FILTERED),
    (match(payload("icmpv6", "type"), "nd-neighbor-solicit"), Code.NDP_FILTERED),
    (match({"meta": {"key": "l4proto"}}, "icmp"), Code.L4_FILTERED),
    (match({"meta": {"key": "length"}}, 20, ">"), Code.MTU_MISMATCH),
]
FLOWS: dict[Code, dict[str, Any]] = {
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


SAID: dict[str, tuple[Place, Change, Code | None]] = {
    "the gateway's MAC address was changed": (
        replace(TO_GATEWAY, flow=replace(TO_GATEWAY.flow, dst_mac="02:00:00:00:00:99")),
        of_link("gateway", "eth2.10", mac="02:00:00:00:00:99"),
        Code.DUPLICATE_MAC,
    ),
    "a carrier's leg is gone": (
        ASKING,
        lambda readings: readings["host2", "links"].remove(named(readings, "host2", "eth2.20")),
        Code.SUBINTERFACE_MISSING,
    ),
    "a question goes where a route leads": (
        replace(
            AT_SENDER, asker="bbox1", asked="gateway", next_hop="172.16.10.1",
            flow=replace(AT_SENDER.flow, family="arp"),
        ),
        put("bbox1", "tables", route("172.16.10.1/32", None, "lo")),
        Code.ROUTE_BLACKHOLE,
    ),
    "it went to who answers for others, and no entry tells so any more": (
        replace(ON_WIRE, flow=replace(ON_WIRE.flow, dst_mac="02:42:ac:10:14:0a")),
        lambda readings: readings["bbox2", "conf"].update(
            {"net.ipv4.conf.all.proxy_arp": "1"}
        ),
        Code.PROXY_ARP_LEAK,
    ),
    "it went to somebody who answers for nobody": (
        replace(ON_WIRE, flow=replace(ON_WIRE.flow, dst_mac="02:42:ac:10:14:0a")),
        lambda _: None, None,
    ),
    "somebody answers for others": (
        replace(AT_RECEIVER, flow=replace(AT_RECEIVER.flow, protocol="")),
        lambda readings: readings["bbox2", "conf"].update(
            {"net.ipv4.conf.all.proxy_arp": "1"}
        ),
        Code.PROXY_ARP_LEAK,
    ),
    "a queue as long as usual": (
        ON_WIRE,
        lambda readings: readings.update({("bbox4", "macvlan"): [{"name": "eth0", "queue": 1000}]}),
        None,
    ),
    "rp_filter where routes lead back": (
        AT_ROUTER,
        lambda readings: readings["gateway", "conf"].update({"net.ipv4.conf.all.rp_filter": "1"}),
        None,
    ),
    "no rule for this, and the policy is DROP": (
        AT_ROUTER,
        lambda readings: readings.update({("gateway", "firewall"): [
            policy("filter", "FORWARD", "DROP"),
            rule("filter", "-A FORWARD -m state --state ESTABLISHED -j ACCEPT"),
            rule("filter", "-A FORWARD -p udp -j DROP"),
        ]}),
        Code.FORWARD_RULE_MISSING,
    ),
    "large, out of an interface that the model does not have": (
        replace(LARGE, far=Point("gateway", "eth9", "out")),
        lambda readings: readings["gateway", "links"].append(link("eth9", 9, "", mtu=100)), None,
    ),
    "a route of the other IP version": (
        AT_SENDER, put("bbox1", "tables", route("2001:db8::/64", None, "lo", family=6)), None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_rarer_faults(case: str) -> None:
    """And what looks like one and is none."""
    at, change, code = SAID[case]
    finding, _ = found(at, change)
    assert (finding and finding.code) == code


def test_siblings_of_one_host_in_their_mode() -> None:
    """Both are as they must be."""
    at = replace(SIBLING, peer="bbox2", far=Point("bbox2", "eth0", "in"))
    assert found(at, lambda _: None, "bbox1-to-bbox2-icmp")[0] is None


def test_a_frame_needs_no_address() -> None:
    """Layer 2: an endpoint without its address sends it all the same."""
    assert found(FRAME, put("bbox1", "addresses"), "bbox1-to-bbox3-l2-unicast")[0] is None


def test_an_endpoint_without_a_gateway_gets_no_route() -> None:
    """VLAN 20 names none in this lab."""
    at = replace(ASKING, asker="bbox2", asked="bbox4")

    def change(readings: Readings) -> None:
        readings["bbox4", "links"] = []

    finding, _ = found(at, change, "bbox2-to-bbox4-icmp", topology=NO_DEFAULT_ROUTE)
    assert finding is not None
    assert finding.fix.endswith("ip -n bbox4 link set eth0 up")


def test_passthru_has_its_parents_mac_address() -> None:
    """No duplicate, though two interfaces have it."""
    lab = altered("macvlan-two-host", ("network: mac_net20", "network: mac_net20, mode: passthru"))
    own = of_link("bbox4", "eth0", mac="02:6e:73:00:00:02")
    assert found(ON_WIRE, own, topology=lab)[0] is None


def test_the_newest_reading_counts() -> None:
    """Before, after, and what was asked when something had failed."""
    (asked,) = [one for one in lab_of().state.evidence if one.name == "routed/bbox1/conf/asked"]
    older = [replace(asked, name=f"routed/bbox1/conf/{when}", parsed={"a": when})
             for when in ("after", "before")]  # fmt: skip
    assert State((older[0], asked, older[1])).cite("bbox1", "conf") == (asked.name,)
    assert State(tuple(older)).sysctl("bbox1", "a") == "after"
    assert State(tuple(older[::-1])).sysctl("bbox1", "a") == "after"


def made_of(kind: str) -> Change:
    """host2 has no leg in VLAN 20, and legs are links of this kind; of none, nobody has one."""

    def change(readings: Readings) -> None:
        for (_, reading), links in readings.items():
            if reading == "links":
                legs = [one for one in links if one.get("vlan_id") is not None]
                for leg in legs:
                    leg["kind"] = kind
                gone = [one for one in legs if not kind or one["name"] == "eth2.20"]
                links[:] = [one for one in links if one not in gone]

    return change


@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        ("vlan", "ip link add link eth2 name eth2.20 type vlan id 20 && "),
        ("veth", "python3 -m harness.worker.subinterface add eth2 eth2.20 20 1500 && "),
        ("", "ip link add link eth2 name eth2.20 type vlan id 20 && "),
    ],
)
def test_a_leg_is_made_of_what_the_others_are_made_of(kind: str, fix: str) -> None:
    """A kernel without 802.1Q links would refuse what is right on all others."""
    finding, _ = found(ON_WIRE, made_of(kind))
    assert finding is not None
    assert finding.code is Code.SUBINTERFACE_MISSING
    assert finding.fix.startswith(fix)
