"""What networks and containers must look like, and what engines and kernels say that they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness import hoststate
from harness.flow import Stage
from harness.topology import Endpoint, Topology

XTABLES = frozenset(
    f"{family} {table}"
    for family in ("ip", "ip6", "arp", "bridge")
    for table in ("filter", "nat", "mangle", "raw", "security")
)
"""The tables of nftables that iptables-nft and its like have: those are read as iptables rules."""
BRIDGE = "bridge"
"""The mode of a macvlan network that was made without one (moby's drivers/macvlan)."""
COUNTED = re.compile(r"counter packets (\d+) bytes \d+")


@dataclass(frozen=True)
class NetworkState:
    """A network as people make it with `docker network create`."""

    driver: str
    parent: str
    mode: str
    subnet: str
    gateway: str | None
    """None for an internal network: its containers have no way out, whatever address Docker keeps
    for a gateway."""


@dataclass(frozen=True)
class ContainerState:
    """A leg of a container, to its engine and to the kernel in its namespace."""

    engine: tuple[str, str, str]
    """(network, address, MAC address) that `docker inspect` says."""
    link: tuple[str, str, int, str, str]
    """(kind, macvlan mode, index of the parent on the host, MAC address, state)."""
    addresses: tuple[str, ...]
    """IPv4, with prefix length."""
    gateways: tuple[str, ...]
    """Of its container's default routes."""


NO_LINK = ("none", "", 0, "", "")


def network(topology: Topology, vlan_id: int) -> NetworkState:
    """What the network of a VLAN must be."""
    vlan = topology.vlan(vlan_id)
    gateway = str(vlan.gateway) if vlan.gateway and not vlan.internal else None
    parent = topology.subinterface(vlan_id)
    return NetworkState("macvlan", parent, vlan.mode, str(vlan.subnet), gateway)


def network_said(inspected: dict[str, Any]) -> NetworkState:
    """What `docker network inspect` says of one."""
    pools = [pool for pool in inspected["IPAM"]["Config"] if ":" not in pool["Subnet"]]
    options, internal = inspected["Options"], inspected["Internal"]
    return NetworkState(
        inspected["Driver"],
        options.get("parent", ""),
        options.get("macvlan_mode", BRIDGE),
        ", ".join(pool["Subnet"] for pool in pools),
        None if internal else ", ".join(pool.get("Gateway", "") for pool in pools),
    )


def container(topology: Topology, end: Endpoint, parent: int) -> ContainerState:
    """What a container must be; `parent` is the index of its parent interface on its host."""
    vlan, default = topology.vlan(end.vlan), topology.default_leg(end)
    address = str(end.address)
    way_out = topology.vlan(default.vlan).way_out if default else None
    return ContainerState(
        engine=(vlan.network, address, end.mac),
        link=("macvlan", vlan.mode, parent, end.mac, "UP"),
        addresses=(f"{address}/{vlan.subnet.prefixlen}",),
        gateways=(str(way_out),) if way_out else (),
    )


def container_said(
    network_name: str, inspected: dict[str, Any], links: str, routes: str
) -> ContainerState:
    """What a container is on a network: by `docker inspect`, and by its kernel.

    `links` is what `ip -json -details address show` of its interface said, `routes` what `ip -json
    route show default` did; nothing where that could not be asked.
    """
    joined = inspected.get("NetworkSettings", {}).get("Networks", {}).get(network_name, {})
    shown = json.loads(links or "[]")
    link = _link(shown[0]) if shown else NO_LINK
    infos = [info for one in shown for info in one["addr_info"] if info["family"] == "inet"]
    return ContainerState(
        engine=(network_name, joined.get("IPAddress", ""), joined.get("MacAddress", "")),
        link=link,
        addresses=tuple(f"{info['local']}/{info['prefixlen']}" for info in infos),
        gateways=tuple(route["gateway"] for route in json.loads(routes or "[]")),
    )


def _link(shown: dict[str, Any]) -> tuple[str, str, int, str, str]:
    info = shown.get("linkinfo", {})
    mode = info.get("info_data", {}).get("mode", "")
    parent = shown.get("link_index", 0)
    return (info.get("info_kind", ""), mode, parent, shown["address"], shown["operstate"])


def index(links: str) -> int:
    """The index of the interface that `ip -json link show` said; 0 for none."""
    return int(json.loads(links)[0]["ifindex"]) if links else 0


@dataclass(frozen=True)
class Rule:
    """A rule of a packet filter, and how many packets have met it."""

    text: str
    packets: int


def imposed(
    topology: Topology, host: str, rules: Iterable[dict[str, Any]], ruleset: str
) -> tuple[Rule, ...]:
    """Every rule on a host that is not the topology's own: an engine's, or somebody else's.

    `rules` are what iptables-save said, parsed; `ruleset` is what `nft list ruleset` said. A policy
    that drops counts as a rule.
    """
    wanted = hoststate.expected(topology, host, Stage.ROUTED).rules
    own = {line for _, _, lines in wanted for line in lines}
    found = []
    for rule in rules:
        text = rule.get("rule") or f"-P {rule['chain']} {rule['policy']}"
        harmless = rule.get("policy") in ("ACCEPT", "-")
        if text not in own and not harmless:
            found.append(Rule(f"{rule['backend']} -t {rule['table']} {text}", rule["packets"]))
    return (*found, *_native(ruleset))


def _native(ruleset: str) -> Iterable[Rule]:
    """Tables of nftables itself, and their rules that count."""
    table = ""
    for line in ruleset.splitlines():
        counted = COUNTED.search(line)
        if line.startswith("table "):
            table = line.removeprefix("table ").rstrip(" {")
            if table not in XTABLES:
                yield Rule(f"nft table {table}", 0)
        elif counted and table not in XTABLES:
            yield Rule(f"nft table {table}: {line.strip()}", int(counted.group(1)))
