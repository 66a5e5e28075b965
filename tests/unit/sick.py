"""Readings of a lab in which all is well, to be made sick; and places where something was lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.diagnosis.checks import FIRST, THEN
from harness.diagnosis.filtering import Flow
from harness.diagnosis.outcomes import flow_of
from harness.diagnosis.place import Kind, Place
from harness.diagnosis.scene import Finding, Lab, Scene, first
from harness.diagnosis.state import State
from harness.flow import Point, Stage, Verdict
from harness.report.model import Evidence
from harness.topology import Topology
from tests.unit.builders import failed
from tests.unit.labs import TUTORIAL, cells_of

Readings = dict[tuple[str, str], Any]
"""Parsed readings by node and kind."""
Change = Callable[[Readings], Any]

RULES = (
    ("nat", "-A POSTROUTING -o eth2.10 -j MASQUERADE"),
    ("nat", "-A POSTROUTING -o eth2.20 -j MASQUERADE"),
    ("filter", "-A FORWARD -i eth2.10 -o eth2.20 -m state --state RELATED,ESTABLISHED -j ACCEPT"),
    ("filter", "-A FORWARD -i eth2.20 -o eth2.10 -m state --state RELATED,ESTABLISHED -j ACCEPT"),
    ("filter", "-A FORWARD -i eth2.10 -o eth2.20 -j ACCEPT"),
    ("filter", "-A FORWARD -i eth2.20 -o eth2.10 -j ACCEPT"),
)


def rule(table: str, text: str, packets: int = 0) -> dict[str, Any]:
    """A rule as `firewall` has it."""
    chain = text.split()[1]
    return {"backend": "iptables-nft", "table": table, "chain": chain, "rule": text,
            "packets": packets, "octets": 0}  # fmt: skip


def policy(table: str, chain: str, word: str) -> dict[str, Any]:
    """A chain as `firewall` has it."""
    return {"backend": "iptables-nft", "table": table, "chain": chain, "policy": word,
            "packets": 0, "octets": 0}  # fmt: skip


def link(name: str, index: int, mac: str, **more: Any) -> dict[str, Any]:
    """An interface as `links` has it."""
    values = {"kind": "veth", "mtu": 1500, "state": "UP", "up": True, "arp": True, "master": None}
    return {"name": name, "index": index, "mac": mac, **values, **more}


def route(dst: str, via: str | None, interface: str, **more: Any) -> dict[str, Any]:
    """A route as `tables` has it."""
    values = {"table": "main", "type": "unicast", "family": 4, "metric": 0, "source": None}
    return {"dst": dst, "via": via, "interface": interface, **values, **more}


def healthy(topology: Topology = TUTORIAL, stage: Stage = Stage.ROUTED) -> Readings:
    """What is read of a lab in which nothing is wrong."""
    lab = Lab(topology, stage, State(()))
    found: Readings = {}
    for node in topology.nodes:
        found |= {(node, kind): [] for kind in ("links", "addresses", "tables", "tc", "firewall")}
        found |= {(node, kind): [] for kind in ("nftables", "neighbours")}
        found[node, "rules"] = [
            {"priority": 0, "family": 4, "table": "local"},
            {"priority": 32766, "family": 4, "table": "main"},
        ]
        found[node, "conf"] = {"net.ipv4.ip_forward": "0", "net.ipv4.ip_default_ttl": "64"}
        found[node, "counters"] = {}
    for host in topology.hosts:
        _host(found, lab, host.name)
    for end in topology.endpoints:
        vlan = topology.vlan(end.vlan)
        mode = {"macvlan_mode": vlan.mode, "parent_index": end.vlan}
        found[end.name, "links"].append(link("eth0", 2, end.mac, kind="macvlan", **mode))
        _addressed(found, lab, end.name, end.vlan, "eth0")
        found[end.name, "tables"].append(route("default", str(vlan.gateway), "eth0"))
    return found


def _host(found: Readings, lab: Lab, host: str) -> None:
    topology, router = lab.topology, lab.router(host)
    port = link(topology.port(host), 5, "0a:00:00:00:00:01", master="trunk", port_state=3)
    found["switch", "links"].append(port)
    if topology.host(host).external:
        return
    mac = topology.trunk_mac(host)
    found[host, "links"].append(link("eth2", 3, mac))
    legs = [vlan for vlan, _ in router.addresses] if router else []
    for vlan in dict.fromkeys((*topology.vlans_of_host(host), *legs)):
        name = topology.subinterface(vlan)
        found[host, "links"].append(link(name, vlan, mac, kind="vlan", vlan_id=vlan))
        _addressed(found, lab, host, vlan, name)
    if router:
        found[host, "conf"]["net.ipv4.ip_forward"] = "1"
        rules = [rule(table, text) for table, text in RULES]
        found[host, "firewall"] = [policy("filter", "FORWARD", "ACCEPT"), *rules]


def _addressed(found: Readings, lab: Lab, node: str, vlan: int, name: str) -> None:
    cidr = lab.expected(node, vlan)
    if cidr:
        found[node, "addresses"].append({"interface": name, "address": cidr, "scope": "global"})
        subnet = str(lab.topology.vlan(vlan).subnet)
        found[node, "tables"].append(route(subnet, None, name))


def lab_of(
    change: Change = lambda _: None, topology: Topology = TUTORIAL, stage: Stage = Stage.ROUTED
) -> Lab:
    """The lab after a change of what is read of it."""
    found = healthy(topology, stage)
    change(found)
    entries = tuple(
        Evidence(f"{stage}/{node}/{kind}/asked", node, str(stage), kind, "", parsed, "")
        for (node, kind), parsed in found.items()
    )
    return Lab(topology, stage, State(entries))


def place(kind: Kind, node: str, peer: str, **more: Any) -> Place:
    """A place; by default of an ICMP probe of bbox1 to bbox4."""
    lab = lab_of()
    cell = cells_of(TUTORIAL, Stage.ROUTED)["routed-bbox1-to-bbox4-icmp"]
    known = {"src_mac": "02:42:ac:10:0a:0a", "dst_mac": lab.mac(peer), **more.pop("flow", {})}
    flow = replace(flow_of(lab, cell), **known)
    values = {"vlan": 10, "flow": flow, **more}
    return Place(kind, node, peer, **values)


AT_SENDER = place(Kind.SENDER, "bbox1", "gateway", far=Point("bbox1", "eth0", "out"))
AT_ROUTER = place(
    Kind.ROUTER, "gateway", "bbox4", vlan=20, near=Point("gateway", "eth2.10", "in"),
    far=Point("gateway", "eth2.20", "out"), flow={"dst_mac": "02:6e:73:00:00:03"},
)  # fmt: skip
AT_RECEIVER = place(
    Kind.RECEIVER, "bbox4", "gateway", vlan=20, near=Point("bbox4", "eth0", "in"),
    flow={"dst_mac": "02:42:ac:10:14:0b", "src": "172.16.20.1"},
)  # fmt: skip
ON_WIRE = place(
    Kind.WIRE, "host2", "bbox4", vlan=20, near=Point("host2", "eth2.20", "in"),
    far=Point("bbox4", "eth0", "in"),
)  # fmt: skip
ARP = Flow("arp", "172.16.20.1", "172.16.20.11", "", src_mac="02:6e:73:00:00:03",
           dst_mac="ff:ff:ff:ff:ff:ff")  # fmt: skip
ASKING = replace(
    place(Kind.WIRE, "switch", "bbox4", vlan=20, near=Point("switch", "gateway", "in"),
          far=Point("switch", "host2", "out")),
    flow=ARP, asker="gateway", asked="bbox4", next_hop="172.16.20.11",
)  # fmt: skip
"""The gateway's question for bbox4 does not come out of the switch."""
ASKED = replace(
    ASKING, kind=Kind.RECEIVER, node="bbox4", near=Point("bbox4", "eth0", "in"), far=None
)
"""It comes in at bbox4, and is not answered."""


def verdict_of(cell: str = "bbox1-to-bbox4-icmp", topology: Topology = TUTORIAL) -> Verdict:
    """A failure of a cell of the routed stage."""
    return failed(cells_of(topology, Stage.ROUTED)[f"routed-{cell}"])


def found(
    at: Place, change: Change, cell: str = "bbox1-to-bbox4-icmp", **more: Any
) -> tuple[Finding | None, Lab]:
    """What is found at a place of a lab after a change, and that lab."""
    topology: Topology = more.pop("topology", TUTORIAL)
    lab = lab_of(change, topology)
    values: dict[str, Any] = {"counted": {}, "passed": frozenset(), "lost": frozenset(), **more}
    scene = Scene(lab, verdict_of(cell, topology), at, **values)
    return first(scene, (*FIRST[at.kind], *THEN[at.kind])), lab


def named(readings: Readings, node: str, name: str) -> dict[str, Any]:
    """An interface of a node."""
    return next(one for one in readings[node, "links"] if one["name"] == name)


__all__ = [
    "ARP", "ASKED", "ASKING", "AT_RECEIVER", "AT_ROUTER", "AT_SENDER", "ON_WIRE", "found",
    "healthy", "lab_of", "link", "named", "place", "policy", "route", "rule", "verdict_of",
]  # fmt: skip
