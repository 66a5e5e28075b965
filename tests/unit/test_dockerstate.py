"""What networks and containers must be, and what is read of engines' and kernels' answers."""

from __future__ import annotations

import json
from typing import Any

from harness import dockerstate
from harness.dockerstate import NO_LINK, ContainerState, NetworkState, Rule
from tests.unit.labs import NO_DEFAULT_ROUTE, TUTORIAL, shipped

INSPECTED_NETWORK = {
    "Name": "mac_net10",
    "Driver": "macvlan",
    "Internal": False,
    "IPAM": {
        "Config": [
            {"Subnet": "fd00:10::/64", "Gateway": "fd00:10::1"},
            {"Subnet": "172.16.10.0/24", "Gateway": "172.16.10.1"},
        ]
    },
    "Options": {"macvlan_mode": "bridge", "parent": "eth2.10"},
}
"""As 20.10 says it, shortened."""
INSPECTED = {
    "NetworkSettings": {
        "Networks": {
            "mac_net10": {"IPAddress": "172.16.10.10", "MacAddress": "02:42:ac:10:0a:0a"},
            "other": {"IPAddress": "172.16.30.10", "MacAddress": "02:42:ac:10:1e:0a"},
        }
    }
}
SHOWN: list[dict[str, Any]] = [
    {
        "ifname": "eth0",
        "link_index": 5,
        "operstate": "UP",
        "address": "02:42:ac:10:0a:0a",
        "linkinfo": {"info_kind": "macvlan", "info_data": {"mode": "bridge", "nopromisc": False}},
        "addr_info": [
            {"family": "inet", "local": "172.16.10.10", "prefixlen": 24},
            {"family": "inet6", "local": "fe80::42:acff:fe10:a0a", "prefixlen": 64},
        ],
    }
]
"""As `ip -json -details address show dev eth0` of iproute2 6.1 says it, shortened."""
ROUTES = [{"dst": "default", "gateway": "172.16.10.1", "dev": "eth0", "flags": []}]
BBOX1 = TUTORIAL.endpoint("bbox1")


def test_a_network_as_it_must_be_and_is() -> None:
    """What was asked for and what is inspected are the same values; IPv6 pools are not compared."""
    wanted = NetworkState("macvlan", "eth2.10", "bridge", "172.16.10.0/24", "172.16.10.1")
    assert dockerstate.network(TUTORIAL, 10) == wanted
    assert dockerstate.network_said(INSPECTED_NETWORK) == wanted


def test_an_internal_network_has_no_gateway() -> None:
    """Whatever address Docker keeps for one."""
    assert dockerstate.network(NO_DEFAULT_ROUTE, 20).gateway is None
    assert dockerstate.network_said({**INSPECTED_NETWORK, "Internal": True}).gateway is None


def test_a_network_that_is_another_shows() -> None:
    """A parent that nobody gave is empty, a mode Docker's own; two subnets are both told."""
    pools = [{"Subnet": "172.16.10.0/24"}, {"Subnet": "172.16.11.0/24"}]
    said = dockerstate.network_said({**INSPECTED_NETWORK, "Options": {}, "IPAM": {"Config": pools}})
    assert said == NetworkState("macvlan", "", "bridge", "172.16.10.0/24, 172.16.11.0/24", ", ")


def test_a_container_as_it_must_be_and_is() -> None:
    """To its engine and to its kernel, whose parent is known by its index on the host."""
    wanted = ContainerState(
        ("mac_net10", "172.16.10.10", "02:42:ac:10:0a:0a"),
        ("macvlan", "bridge", 5, "02:42:ac:10:0a:0a", "UP"),
        ("172.16.10.10/24",),
        ("172.16.10.1",),
    )
    found = dockerstate.container_said(
        "mac_net10", INSPECTED, json.dumps(SHOWN), json.dumps(ROUTES)
    )
    assert found == wanted == dockerstate.container(TUTORIAL, BBOX1, 5)


def test_a_container_without_a_way_out() -> None:
    """No default route where its VLAN has no gateway."""
    end = NO_DEFAULT_ROUTE.endpoint("bbox2")
    assert dockerstate.container(NO_DEFAULT_ROUTE, end, 7).gateways == ()


def test_a_container_that_is_not_there_is_nothing() -> None:
    """Nothing inspected, no namespace to ask: nothing that could be taken for what is wanted."""
    found = dockerstate.container_said("mac_net10", {}, "", "")
    assert found == ContainerState(("mac_net10", "", ""), NO_LINK, (), ())
    bare = [{**SHOWN[0], "linkinfo": {}, "link_index": 0}]
    found = dockerstate.container_said("mac_net10", {}, json.dumps(bare), "[]")
    assert found.link == ("", "", 0, "02:42:ac:10:0a:0a", "UP")


def test_an_interfaces_index() -> None:
    """As `ip -json link show` says it; 0, which no interface has, where there is none."""
    assert dockerstate.index('[{"ifindex": 5, "ifname": "eth2.10"}]') == 5
    assert dockerstate.index("") == 0


def rule(line: str, **more: Any) -> dict[str, Any]:
    """A rule as the worker parses it."""
    named = {"backend": "iptables-nft", "table": "filter", "chain": "FORWARD", "packets": 7}
    return {**named, "octets": 1, "rule": line, **more}


POLICY = {"backend": "iptables-nft", "table": "filter", "chain": "FORWARD", "packets": 9}
OWN = "-A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT"


def test_rules_that_are_not_the_topologys() -> None:
    """Each with its count; a policy that drops counts, chains and one that accepts do not."""
    engines = rule("-A FORWARD -j DOCKER-USER", backend="iptables-legacy", packets=0)
    chain = {**POLICY, "chain": "DOCKER", "policy": "-"}
    found = [engines, chain, {**POLICY, "policy": "ACCEPT"}, {**POLICY, "policy": "DROP"}]
    assert dockerstate.imposed(TUTORIAL, "host1", found, "") == (
        Rule("iptables-legacy -t filter -A FORWARD -j DOCKER-USER", 0),
        Rule("iptables-nft -t filter -P FORWARD DROP", 9),
    )


def test_a_router_may_have_its_own_rules() -> None:
    """Those of the topology, where a host of containers is the gateway host too."""
    lab = shipped("gateway-on-host1")
    assert dockerstate.imposed(lab, "host1", [rule(OWN)], "") == ()
    assert len(dockerstate.imposed(TUTORIAL, "host1", [rule(OWN)], "")) == 1


def test_rules_of_nftables_itself() -> None:
    """Every table that is not iptables-nft's own, and each of its rules that counts."""
    ruleset = (
        "table ip filter {\n\tchain FORWARD {\n"
        "\t\tcounter packets 3 bytes 252 jump DOCKER-USER\n\t}\n}\n"
        "table ip docker-bridges {\n\tchain raw-PREROUTING {\n"
        '\t\tip daddr 172.16.10.10 counter packets 4 bytes 336 drop comment "x"\n\t}\n}\n'
    )
    table, counted = dockerstate.imposed(TUTORIAL, "host1", [], ruleset)
    assert table == Rule("nft table ip docker-bridges", 0)
    assert (counted.packets, counted.text.split(":")[0]) == (4, table.text)
