"""The JSON Schema of the topology format, for editors; made from the models that read it.

What the models cannot say (names that refer to each other, addresses in their subnets) only
reading tells.
"""

from __future__ import annotations

import json
from typing import Any

from harness.topology.shape import File

ID = "urn:harness:topology:1"
TITLE = "topology of a macvlan lab"
VLAN_KEY = "^([1-9][0-9]{0,2}|[1-3][0-9]{3}|40[0-8][0-9]|409[0-4])$"
"""1 to 4094 as text: the keys of a JSON object always are."""
BY_VLAN = ("vlans", "addresses", "addresses6", "routes", "also")
"""Sections whose keys are VLAN ids."""

DESCRIPTIONS = {
    "File": "One lab. topologies/README.md explains the format by example.",
    "File.name": "The lab's name: a-z, 0-9 and -, at most 31 characters.",
    "File.purpose": "One line for reports.",
    "File.trunk": "Every host's end of the 802.1Q trunk.",
    "File.management": "The network by which the hosts are reached; no lab traffic crosses it.",
    "File.vlans": "VLANs by IEEE 802.1Q id, 1 to 4094.",
    "File.hosts": "Docker hosts and gateway hosts by name, at most 200.",
    "File.endpoints": "Containers by name, each with a macvlan interface, eth0, or several.",
    "File.gateway": "The host that routes in the stage `routed`, or a list of such; without it "
    "there is only the stage `isolated`.",
    "Trunk.interface": "The trunk interface of every host.",
    "Trunk.mtu": "Octets of an IP packet on the trunk, the tag not counted.",
    "Trunk.floor_ms": "For `--backend ssh`: milliseconds that a probe has at least to arrive, "
    "before it counts as lost.",
    "Management.interface": "The management interface of every host.",
    "Management.subnet": "The subnet in which each host has its management address.",
    "Vlan.subnet": "The IPv4 subnet of the VLAN, as 172.16.10.0/24.",
    "Vlan.gateway": "The default route of its endpoints, whether or not a host holds the address; "
    "of no endpoint where `access` is `internal`.",
    "Vlan.subnet6": "The IPv6 subnet of the VLAN, as fd00:10::/64; each of its endpoints then has "
    "an `address6`.",
    "Vlan.gateway6": "As `gateway`, in `subnet6`.",
    "Vlan.mode": "The macvlan mode of its endpoints, as ip-link(8) has it.",
    "Vlan.mtu": "Octets of an IP packet in the VLAN; at most, and by default, the trunk's.",
    "Vlan.network": "The name of its Docker network; default `mac_net` and the id.",
    "Vlan.access": "`internal` for a Docker network that gives its containers no default route.",
    "Vlan.parent": "`engine` where each Docker engine makes its 802.1Q sub-interface itself; bare "
    "namespaces get one from the harness all the same.",
    "Vlan.ip_ranges": "By host, the part of the subnet from which its engine gives addresses to "
    "containers that ask for none.",
    "Vlan.aux_addresses": "By a name of your own, addresses of other things in the VLAN, which no "
    "engine gives to a container.",
    "Vlan.overlap": "`intended` where its subnet overlaps that of a VLAN above it.",
    "Host.management": "The host's address in the management subnet.",
    "Host.mtu": "Octets of an IP packet on its end of the trunk; at most, and by default, the "
    "trunk's.",
    "Host.port": "`hairpin` where its switch port sends a frame back out of where it came from.",
    "Host.role": "`external` for somebody else's router, which is neither configured nor looked "
    "into; it has no `management`.",
    "Host.ssh": "Where its machine is, for `--backend ssh`: what ssh(1) takes as destination, "
    "an alias of ssh_config(5) included. No other backend minds it.",
    "Host.become": "`sudo` where the login is not root.",
    "Host.python": "The path of its python3; default the one that ssh finds.",
    "Host.docker": "The socket of its Docker engine; default /var/run/docker.sock.",
    "Host.may": "What the harness may do there: `build` (default), or `observe`, which tests what "
    "is there and changes nothing.",
    "Host.endpoints": "What its endpoints are there: `container` (default) or `namespace`.",
    "Endpoint.host": "The host that carries it: a key of `hosts`.",
    "Endpoint.vlan": "The VLAN that it is in: a key of `vlans`.",
    "Endpoint.address": "Its address in the VLAN's subnet, without a prefix length.",
    "Endpoint.address6": "Its address in the VLAN's IPv6 subnet, without a prefix length.",
    "Endpoint.mac": "Its unicast MAC address in lower case; default 02:42 and the address, as "
    "Docker has it.",
    "Endpoint.also": "Further networks that it is in, by VLAN id, in the order in which it is "
    "connected: its interfaces eth1, eth2, ...; in VLAN 20 it is called by its name and `.20`.",
    "Leg.address": "Its address in that VLAN's subnet, without a prefix length.",
    "Leg.address6": "Its address in that VLAN's IPv6 subnet, without a prefix length.",
    "Leg.mac": "The unicast MAC address of that interface in lower case; default 02:42 and the "
    "address.",
    "Gateway.host": "The gateway host: a key of `hosts`.",
    "Gateway.addresses": "Its address in each VLAN that it routes, by VLAN id; one router of each "
    "VLAN has the address that `gateway` of the VLAN says.",
    "Gateway.addresses6": "Its IPv6 address in each VLAN that it routes, by VLAN id.",
    "Gateway.routes": "The next router's address for each VLAN that another one leads to.",
    "Gateway.rp_filter": "net.ipv4.conf.all.rp_filter: 0 off, 1 strict, 2 loose (RFC 3704).",
    "Gateway.masquerade": "VLANs into which packets leave with the gateway's address as source.",
    "Gateway.forward": "The FORWARD chain of its filter table.",
    "Gateway.engine": "A Docker engine that the host runs in every stage, with its handling of "
    "iptables on; it sets the policy of FORWARD.",
    "Engine.starts": "`before-forwarding`: it switches net.ipv4.ip_forward on, and sets FORWARD's "
    "policy to DROP. `after-forwarding`: that was on, and the policy stays ACCEPT.",
    "Forward.policy": "What happens to a packet that no rule takes.",
    "Forward.between": "[from, to] pairs of VLANs: a rule that accepts, and one for the replies.",
}
"""What an editor shows of a key, by section and key."""


def schema() -> dict[str, Any]:
    """Make the JSON Schema (draft 2020-12) of a topology file."""
    made = _renamed(File.model_json_schema())
    sections = made.pop("$defs")
    top = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": ID, "title": TITLE}
    top |= {key: value for key, value in made.items() if key != "title"}
    for name, section in ({"File": top} | sections).items():
        _describe(name, section)
    return top | {"$defs": sections}


def text() -> str:
    """The schema as the file that editors read, topologies/schema.json."""
    return json.dumps(schema(), indent=2) + "\n"


def _renamed(node: Any) -> Any:
    """The models' schema without the marks of private names and titles that say nothing."""
    if isinstance(node, list):
        return [_renamed(item) for item in node]
    if isinstance(node, dict):
        made = {
            key.removeprefix("_"): value.replace("/_", "/") if key == "$ref" else _renamed(value)
            for key, value in node.items()
            if key != "title" or not isinstance(value, str)
        }
        # Else a name that is not of the pattern would be a key of any kind.
        return made | {"additionalProperties": False} if "patternProperties" in made else made
    return node


def _describe(name: str, section: dict[str, Any]) -> None:
    """Say what a section and its keys mean, and which keys a section by VLAN id takes."""
    section.pop("description", None)
    if name in DESCRIPTIONS:
        section["description"] = DESCRIPTIONS[name]
    for key, value in section["properties"].items():
        said = DESCRIPTIONS.get(f"{name}.{key}")
        value.update({"description": said} if said else {})
        if key in BY_VLAN:
            value["propertyNames"] = {"pattern": VLAN_KEY}
