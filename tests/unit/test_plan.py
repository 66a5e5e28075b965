"""The plan: what is done in which order, and that the way back is its mirror."""

from __future__ import annotations

from typing import Any

import pytest

from harness import plan
from harness.commands import command
from harness.endpoints.namespace import NamespaceEndpoints
from harness.worker import calls
from tests.unit.labs import (
    NO_DEFAULT_ROUTE,
    NO_GATEWAY,
    NO_MASQUERADE,
    ONE_WAY,
    TUTORIAL,
    altered,
    shipped,
    variant,
)

BUILT = plan.build(TUTORIAL, NamespaceEndpoints())
ROUTED = plan.gateway(TUTORIAL)


def of(kind: str, steps: tuple[plan.Step, ...] = BUILT) -> list[dict[str, Any]]:
    """The steps that do one thing."""
    return [step for step in steps if step["do"] == kind]


def test_every_node_is_a_namespace_with_all_its_sysctls() -> None:
    """Nothing is left to what a namespace inherits from the machine."""
    nodes = list(TUTORIAL.nodes)
    assert [step["node"] for step in of("namespace")] == nodes
    assert [step["node"] for step in of("sysctl")] == nodes
    for step in of("sysctl"):
        values = step["values"]
        assert values["net.ipv4.ip_forward"] == "0"
        assert (
            values["net.ipv4.conf.all.rp_filter"]
            == values["net.ipv4.conf.default.rp_filter"]
            == "0"
        )
        assert {"net.ipv4.conf.all.proxy_arp", "net.ipv4.conf.default.arp_ignore"} <= set(values)
        assert values["net.ipv4.icmp_ratelimit"] == values["net.ipv4.icmp_ratemask"] == "0"
        assert step["optional"]["net.bridge.bridge-nf-call-iptables"] == "0"
        assert not [key for key in values if "{" in key]
        assert "was" not in step


def test_a_host_has_a_management_link_and_a_trunk() -> None:
    """Two veth pairs into the switch, each with its MTU; the trunk has the host's MAC."""
    lab = variant(("mtu: 1500", "mtu: 9000"), ("host2", "a-long-host-name"))
    steps = plan.build(lab, NamespaceEndpoints())
    assert [(step["name"], step["mtu"]) for step in of("bridge", steps)] == [
        ("trunk", 9000), ("mgmt", 1500),
    ]  # fmt: skip
    links = [tuple(step[key] for key in ("node", "name", "mac", "mtu", "peer", "master"))
             for step in of("veth", steps)]  # fmt: skip
    assert links[2:4] == [
        ("a-long-host-name", "eth1", None, 1500, "port2-m", "mgmt"),
        ("a-long-host-name", "eth2", "02:6e:73:00:00:02", 9000, "port2", "trunk"),
    ]
    assert {step["peer_node"] for step in of("veth", steps)} == {"switch"}


def test_sub_interfaces_are_those_of_its_endpoints() -> None:
    """The gateway host has none until it routes."""
    found = [(step["node"], step["name"], step["parent"], step["id"]) for step in of("vlan")]
    assert found == [
        ("host1", "eth2.10", "eth2", 10), ("host1", "eth2.20", "eth2", 20),
        ("host2", "eth2.10", "eth2", 10), ("host2", "eth2.20", "eth2", 20),
    ]  # fmt: skip


def test_an_endpoint_is_a_macvlan_child_in_bridge_mode() -> None:
    """On its VLAN's sub-interface, with address, MAC and default route."""
    steps = [
        step
        for step in BUILT
        if step["node"] == "bbox4" and step["do"] not in ("namespace", "sysctl")
    ]
    assert steps == [
        {"do": "macvlan", "node": "bbox4", "name": "eth0", "mode": "bridge",
         "parent_node": "host2", "parent": "eth2.20", "mac": "02:42:ac:10:14:0b"},
        {"do": "address", "node": "bbox4", "link": "eth0", "cidr": "172.16.20.11/24",
         "stays": False},
        {"do": "route", "node": "bbox4", "dst": "default", "via": "172.16.20.1", "stays": False},
    ]  # fmt: skip
    assert NamespaceEndpoints().name == "netns"


def test_bare_namespaces_need_no_engine() -> None:
    """No step before or beside the endpoints' own, nothing to read, and plain calls to do it."""
    kind = NamespaceEndpoints()
    kind.refuse(TUTORIAL)
    assert not any((kind.ahead(TUTORIAL), kind.together(TUTORIAL)))
    assert not any((kind.readings(TUTORIAL), kind.engines(TUTORIAL)))
    assert (kind.apply, kind.evidence) == (calls.apply, calls.evidence)


def test_without_a_gateway_there_is_no_default_route() -> None:
    """An endpoint of a VLAN that names none has no way out."""
    routes = of("route", plan.build(NO_DEFAULT_ROUTE, NamespaceEndpoints()))
    assert [step["node"] for step in routes] == ["bbox1", "bbox3"]


def test_what_a_step_needs_is_there_before_it() -> None:
    """Namespaces before links, bridges before ports, parents before children."""
    made: set[tuple[str, str]] = set()
    nodes: set[str] = set()
    for step in BUILT:
        if step["do"] == "namespace":
            nodes.add(step["node"])
        assert step["node"] in nodes
        for node, name in (("parent_node", "parent"), ("peer_node", "master"), ("node", "link")):
            if name in step and node in step:
                assert (step[node], step[name]) in made
        if "name" in step:
            made.add((step["node"], step["name"]))


def test_the_gateway_routes_as_the_tutorial_has_it() -> None:
    """Forwarding, the two sub-interfaces with their addresses, NAT, replies, then what is new."""
    assert [command(step) for step in ROUTED] == [
        "gateway# sysctl -w net.ipv4.ip_forward=1",
        "gateway# ip link add link eth2 name eth2.10 mtu 1500 type vlan id 10",
        "gateway# ip address add 172.16.10.1/24 dev eth2.10",
        "gateway# ip link add link eth2 name eth2.20 mtu 1500 type vlan id 20",
        "gateway# ip address add 172.16.20.1/24 dev eth2.20",
        (
            "gateway# iptables -t nat -A POSTROUTING -o eth2.10 -j MASQUERADE; "
            "iptables -t nat -A POSTROUTING -o eth2.20 -j MASQUERADE"
        ),
        (
            "gateway# iptables -t filter -P FORWARD ACCEPT; "
            "iptables -t filter -A FORWARD -i eth2.10 -o eth2.20 "
            "-m state --state RELATED,ESTABLISHED -j ACCEPT; "
            "iptables -t filter -A FORWARD -i eth2.20 -o eth2.10 "
            "-m state --state RELATED,ESTABLISHED -j ACCEPT; "
            "iptables -t filter -A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT; "
            "iptables -t filter -A FORWARD -i eth2.20 -o eth2.10 -j ACCEPT"
        ),
    ]
    assert ROUTED[-1]["policies"] == {"FORWARD": "ACCEPT"}
    assert ROUTED[-2]["policies"] == {}


def test_one_direction_is_one_rule_and_its_replies() -> None:
    """What is new passes one way, replies the other, all else meets the policy."""
    rules = plan.gateway(ONE_WAY)[-1]
    assert rules["policies"] == {"FORWARD": "DROP"}
    assert rules["lines"] == (
        "-A FORWARD -i eth2.20 -o eth2.10 -m state --state RELATED,ESTABLISHED -j ACCEPT",
        "-A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT",
    )
    assert plan.gateway(NO_MASQUERADE)[-2]["lines"] == ()


def test_undone_is_the_mirror_of_routed() -> None:
    """The same rules by -D, the sub-interfaces deleted, forwarding as it was, in reverse order."""
    undone = plan.undo(ROUTED)
    assert [(step["do"], step.get("table", step.get("name", ""))) for step in undone] == [
        ("iptables", "filter"), ("iptables", "nat"),
        ("vlan-delete", "eth2.20"), ("vlan-delete", "eth2.10"), ("sysctl", ""),
    ]  # fmt: skip
    assert undone[0]["lines"] == tuple(
        line.replace("-A FORWARD", "-D FORWARD") for line in ROUTED[-1]["lines"]
    )
    assert undone[1]["lines"][0] == "-D POSTROUTING -o eth2.10 -j MASQUERADE"
    assert undone[-1]["values"] == {"net.ipv4.ip_forward": "0"}
    assert plan.undo(undone)[0]["values"] == {"net.ipv4.ip_forward": "1"}
    assert command(undone[2]) == "gateway# ip link delete eth2.20"


def test_undoing_a_policy_is_accept() -> None:
    """What the namespace had before."""
    assert plan.undo(plan.gateway(ONE_WAY))[0]["policies"] == {"FORWARD": "ACCEPT"}


def test_a_namespace_goes_with_everything_in_it() -> None:
    """Building has no undo of its own but for sub-interfaces."""
    assert {step["do"] for step in plan.undo(BUILT)} == {"vlan-delete"}


def test_without_a_gateway_host_nothing_routes() -> None:
    """No steps there, and no steps back."""
    assert plan.gateway(NO_GATEWAY) == plan.undo(()) == ()
    assert plan.subinterfaces(NO_GATEWAY, routed=True) == plan.subinterfaces(TUTORIAL, routed=False)


@pytest.mark.parametrize("routed", [False, True])
def test_sub_interfaces_by_stage(routed: bool) -> None:
    """Every (host, interface) that exists, the gateway's in `routed` only."""
    expected = [(host, link) for host in ("host1", "host2") for link in ("eth2.10", "eth2.20")]
    expected += [("gateway", "eth2.10"), ("gateway", "eth2.20")] if routed else []
    assert plan.subinterfaces(TUTORIAL, routed=routed) == tuple(expected)


@pytest.mark.parametrize("planned", [BUILT, ROUTED, plan.undo(ROUTED)], ids=["build", "go", "undo"])
def test_every_step_has_a_command(planned: tuple[plan.Step, ...]) -> None:
    """In the words of ip(8), sysctl(8) and iptables(8), each with its node."""
    for step in planned:
        text = command(step)
        assert step["node"] in text or step.get("parent_node", "?") in text


def test_steps_can_cross_to_a_worker() -> None:
    """Nothing but dicts, lists, tuples, text, numbers and None: what the call channel carries."""

    def plain(value: object) -> bool:
        if isinstance(value, dict):
            return all(plain(key) and plain(item) for key, item in value.items())
        if isinstance(value, (list, tuple)):
            return all(map(plain, value))
        return type(value) in (str, int, bool, type(None))

    assert all(map(plain, (*BUILT, *ROUTED)))


@pytest.mark.parametrize(
    ("node", "kind", "text"),
    [
        ("host1", "namespace", "ip netns add host1"),
        ("switch", "bridge", "switch# ip link add trunk type bridge"),
        ("host1", "veth", "host1# ip link add eth1 type veth peer host1-m netns switch"),
        ("bbox1", "macvlan", "host1# ip link add link eth2.10 name eth0 type macvlan mode bridge"),
        ("bbox1", "address", "bbox1# ip address add 172.16.10.10/24 dev eth0"),
        ("bbox1", "route", "bbox1# ip route add default via 172.16.10.1"),
    ],
)
def test_a_step_as_a_person_would_type_it(node: str, kind: str, text: str) -> None:
    """The first step of each kind."""
    assert command(next(step for step in of(kind) if step["node"] == node)) == text


def test_a_policy_alone_is_a_command_too() -> None:
    """A gateway without rules still sets its policy."""
    step = {
        "do": "iptables",
        "node": "gw",
        "table": "filter",
        "lines": (),
        "policies": {"FORWARD": "DROP"},
    }
    assert command(step) == "gw# iptables -t filter -P FORWARD DROP"


def typed(steps: tuple[plan.Step, ...]) -> list[str]:
    """The commands of steps, but for those of iptables."""
    return [command(step) for step in steps if step["do"] != "iptables"]


def test_several_gateways_are_made_one_after_the_other() -> None:
    """Each with its sysctls first; routes once the address is there through which they lead."""
    assert typed(plan.gateway(shipped("two-gateways"))) == [
        "gw1# sysctl -w net.ipv4.ip_forward=1",
        "gw1# sysctl -w net.ipv4.conf.all.rp_filter=1",
        "gw1# ip link add link eth2 name eth2.10 mtu 1500 type vlan id 10",
        "gw1# ip address add 172.16.10.1/24 dev eth2.10",
        "gw1# ip link add link eth2 name eth2.20 mtu 1500 type vlan id 20",
        "gw1# ip address add 172.16.20.1/24 dev eth2.20",
        "gw1# ip route add 172.16.30.0/24 via 172.16.20.2",
        "gw2# sysctl -w net.ipv4.ip_forward=1",
        "gw2# ip link add link eth2 name eth2.10 mtu 1500 type vlan id 10",
        "gw2# ip address add 172.16.10.2/24 dev eth2.10",
        "gw2# ip link add link eth2 name eth2.20 mtu 1500 type vlan id 20",
        "gw2# ip address add 172.16.20.2/24 dev eth2.20",
        "gw2# ip link add link eth2 name eth2.30 mtu 1500 type vlan id 30",
        "gw2# ip address add 172.16.30.2/24 dev eth2.30",
    ]


def test_several_gateways_are_taken_back_in_reverse() -> None:
    """Addresses and routes go with their links; rp_filter is what it was."""
    assert typed(plan.undo(plan.gateway(shipped("two-gateways")))) == [
        "gw2# ip link delete eth2.30",
        "gw2# ip link delete eth2.20",
        "gw2# ip link delete eth2.10",
        "gw2# sysctl -w net.ipv4.ip_forward=0",
        "gw1# ip link delete eth2.20",
        "gw1# ip link delete eth2.10",
        "gw1# sysctl -w net.ipv4.conf.all.rp_filter=0",
        "gw1# sysctl -w net.ipv4.ip_forward=0",
    ]


def test_a_gateway_that_carries_endpoints_leaves_their_parents() -> None:
    """Its sub-interfaces were there before it, so address and route are taken back one by one."""
    lab = altered(
        "two-gateways",
        ("  gw1: {management: 192.168.56.101}\n", ""),
        ("host: gw1", "host: host1"),
    )
    steps = tuple(step for step in plan.gateway(lab) if step["node"] == "host1")
    assert typed(steps) == [
        "host1# sysctl -w net.ipv4.ip_forward=1",
        "host1# sysctl -w net.ipv4.conf.all.rp_filter=1",
        "host1# ip address add 172.16.10.1/24 dev eth2.10",
        "host1# ip address add 172.16.20.1/24 dev eth2.20",
        "host1# ip route add 172.16.30.0/24 via 172.16.20.2",
    ]
    assert typed(plan.undo(steps)) == [
        "host1# ip route delete 172.16.30.0/24 via 172.16.20.2",
        "host1# ip address delete 172.16.20.1/24 dev eth2.20",
        "host1# ip address delete 172.16.10.1/24 dev eth2.10",
        "host1# sysctl -w net.ipv4.conf.all.rp_filter=0",
        "host1# sysctl -w net.ipv4.ip_forward=0",
    ]
    links = [one for one in plan.subinterfaces(lab, routed=True) if one[0] == "host1"]
    assert links == [("host1", "eth2.10"), ("host1", "eth2.20"), ("host1", "eth2.30")]


def test_an_external_router_is_there_from_the_start() -> None:
    """A stand-in: on the trunk only, made with the lab, and never taken back."""
    lab = shipped("external-router")
    steps = plan.build(lab, NamespaceEndpoints())
    assert [step["name"] for step in of("veth", steps) if step["node"] == "router"] == ["eth2"]
    assert typed(tuple(step for step in steps if step["node"] == "router"))[2:] == [
        "router# ip link add eth2 type veth peer router netns switch",
        "router# sysctl -w net.ipv4.ip_forward=1",
        "router# ip link add link eth2 name eth2.10 mtu 1500 type vlan id 10",
        "router# ip address add 172.16.10.1/24 dev eth2.10",
        "router# ip link add link eth2 name eth2.20 mtu 1500 type vlan id 20",
        "router# ip address add 172.16.20.1/24 dev eth2.20",
    ]
    assert plan.gateway(lab) == ()
    assert "router" not in dict(plan.subinterfaces(lab, routed=True))


def test_modes_and_hairpin_are_as_the_file_has_them() -> None:
    """A mode for each VLAN; hairpin on the one switch port, and on no management port."""
    steps = plan.build(shipped("macvlan-modes"), NamespaceEndpoints())
    modes = {(step["parent"], step["mode"]) for step in of("macvlan", steps)}
    assert modes == {
        ("eth2.10", "bridge"), ("eth2.20", "private"), ("eth2.30", "vepa"), ("eth2.40", "passthru"),
    }  # fmt: skip
    assert [step["peer"] for step in of("veth", steps) if step["hairpin"]] == ["host2"]


def test_an_interface_has_the_least_mtu_of_host_and_vlan() -> None:
    """The switch's side of each trunk has what the switch passes."""
    steps = plan.build(shipped("jumbo"), NamespaceEndpoints())
    trunks = [step for step in of("veth", steps) if step["name"] == "eth2"]
    assert [(step["node"], step["mtu"], step["peer_mtu"]) for step in trunks] == [
        ("host1", 9000, 9000), ("host2", 1500, 9000), ("host3", 9000, 9000),
        ("gateway", 9000, 9000),
    ]  # fmt: skip
    found = {(step["node"], step["name"]): step["mtu"] for step in of("vlan", steps)}
    assert found == {
        ("host1", "eth2.10"): 9000, ("host1", "eth2.20"): 1500, ("host2", "eth2.10"): 1500,
        ("host2", "eth2.20"): 1500, ("host3", "eth2.10"): 9000,
    }  # fmt: skip
