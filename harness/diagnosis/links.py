"""Interfaces that are down, gone, in another VLAN or without their address."""

from __future__ import annotations

from typing import Any

from harness import walk
from harness.causes import Code
from harness.diagnosis.scene import Finding, Lab, ip_of
from harness.flow import Cell
from harness.topology import Address, Endpoint

FORWARDING = 3
"""BR_STATE_FORWARDING of <linux/if_bridge.h>."""


def attached(lab: Lab, node: str, vlan: int) -> Finding | None:
    """What is wrong between a node and the switch, from the node outwards.

    `vlan` is that of a host: an endpoint has its own.
    """
    host = walk.carrier(lab.topology, node)
    if lab.topology.host(host).external:
        return _port(lab, host)
    vlan = lab.topology.endpoint_vlans.get(node, vlan)
    found = _own_interface(lab, node) if node != host else None
    return (
        found
        or _subinterface(lab, host, vlan)
        or _parent(lab, node, host, vlan)
        or _trunk(lab, host)
        or _port(lab, host)
    )


def _own_interface(lab: Lab, node: str) -> Finding | None:
    """An endpoint's interface; the parent below it is told apart from it."""
    if not lab.state.knows(node, "links"):
        return None
    own = lab.topology.endpoint(node)
    name = own.interface
    link = lab.state.link(node, name)
    shown = lab.state.cite(node, "links")
    if link is None:
        below = _subinterface(lab, own.host, own.vlan)
        if below:
            return below  # what is on it goes with it
        message = f"{node} has no interface {name}"
        return Finding(Code.ENDPOINT_DOWN, node, name, message, _made_again(lab, node), shown)
    if link["up"]:
        return None
    gateway = _default_by(lab, own)
    # The routes of an interface go when it goes down, and only what is on the link comes back.
    route = f" && ip route add default via {gateway}" if gateway else ""
    fix = f"ip link set {name} up{route}"
    return Finding(Code.ENDPOINT_DOWN, node, name, f"{node}'s {name} is down", fix, shown)


def _default_by(lab: Lab, end: Endpoint) -> Address | None:
    """The IPv4 default route of an endpoint's container, where that is by this leg."""
    is_default = end == (lab.topology.default_leg(end) or end)
    return lab.topology.vlan(end.vlan).gateway if is_default else None


def _made_again(lab: Lab, node: str) -> str:
    """The commands that make an endpoint's macvlan interface anew, on its host."""
    end = lab.topology.endpoint(node)
    vlan = lab.topology.vlan(end.vlan)
    parent = lab.topology.subinterface(end.vlan)
    name, where = end.interface, end.container
    made = (
        f"ip link add link {parent} name {name} netns {where} address {end.mac} "
        f"type macvlan mode {vlan.mode}"
    )
    steps = [
        made,
        f"ip -n {where} address add {end.address}/{vlan.subnet.prefixlen} dev {name}",
        f"ip -n {where} link set {name} up",
    ]
    gateway = _default_by(lab, end)
    if gateway:
        steps.append(f"ip -n {where} route add default via {gateway}")
    return " && ".join(steps)


def _subinterface(lab: Lab, host: str, vlan: int) -> Finding | None:
    """A host's leg in a VLAN."""
    if not lab.state.knows(host, "links"):
        return None
    name = lab.topology.subinterface(vlan)
    link = lab.state.link(host, name)
    shown = lab.state.cite(host, "links")
    if link is None:
        message = f"{host} has no interface {name}"
        fix = subinterface_made(lab, host, vlan)
        return Finding(Code.SUBINTERFACE_MISSING, host, name, message, fix, shown)
    if not link["up"]:
        carries = vlan in lab.topology.vlans_of_host(host)
        code = Code.PARENT_DOWN if carries else Code.GATEWAY_DOWN
        fix = f"ip link set {name} up{_routes_again(lab, host, vlan)}"
        return Finding(code, host, name, f"{host}'s {name} is down", fix, shown)
    found = link.get("vlan_id")
    if found is not None and found != vlan:
        message = f"{host}'s {name} is in VLAN {found}, not {vlan}"
        fix = f"ip link delete {name} && {subinterface_made(lab, host, vlan)}"
        return Finding(Code.VLAN_ID_MISMATCH, host, name, message, fix, shown)
    return None


def subinterface_made(lab: Lab, host: str, vlan: int) -> str:
    """The commands that make a leg, with its address, and what was on it."""
    name = lab.topology.subinterface(vlan)
    steps = [_tagging_link(lab, host, vlan), f"ip link set {name} up"]
    cidr = lab.expected(host, vlan)
    if cidr:
        steps.append(f"ip address add {cidr} dev {name}")
    steps += [
        _made_again(lab, end.name)
        for end in lab.topology.endpoints
        if (end.host, end.vlan) == (host, vlan)
    ]
    return " && ".join(steps)


def _tagging_link(lab: Lab, host: str, vlan: int) -> str:
    """The command that makes a leg's interface out of what the lab's others are made of.

    Where a kernel has no 802.1Q links ip(8) cannot: there it is a veth pair with programs of tc.
    """
    name, trunk = lab.topology.subinterface(vlan), lab.topology.trunk
    if _has_8021q(lab, host):
        return f"ip link add link {trunk} name {name} type vlan id {vlan}"
    mtu = lab.topology.mtu_at(host, vlan)
    return f"python3 -m harness.worker.subinterface add {trunk} {name} {vlan} {mtu}"


def _has_8021q(lab: Lab, host: str) -> bool:
    """Whether legs are 802.1Q links: by those of the host, or else by those of the others."""
    for node in (host, *lab.state.nodes("links")):
        links = lab.state.links(node).values()
        kinds = [link["kind"] for link in links if link.get("vlan_id") is not None]
        if kinds:
            return "vlan" in kinds
    return True


def _routes_again(lab: Lab, host: str, vlan: int) -> str:
    """The routes by way of a leg: they went when it went down."""
    router = lab.router(host)
    subnet = lab.topology.vlan(vlan).subnet
    found = [
        f" && ip route add {lab.topology.vlan(there).subnet} via {via}"
        for there, via in (router.routes if router else ())
        if via in subnet
    ]
    return "".join(found)


def _parent(lab: Lab, node: str, host: str, vlan: int) -> Finding | None:
    """Which interface of its host an endpoint's macvlan is on."""
    own = lab.interface(node, vlan)
    link = lab.state.link(node, own) if node != host else None
    index = (link or {}).get("parent_index")
    legs = lab.state.links(host)
    name = lab.topology.subinterface(vlan)
    on = next((one["name"] for one in legs.values() if one.get("index") == index), None)
    if index is None or on is None or on == name:
        return None
    where = legs[on].get("vlan_id")
    what = f"VLAN {where}" if where is not None else "no VLAN"
    message = f"{node} is on {host}'s {on}, in {what}, not on {name}"
    fix = f"ip -n {node} link delete {own} && {_made_again(lab, node)}"
    shown = (*lab.state.cite(node, "links"), *lab.state.cite(host, "links"))
    return Finding(Code.VLAN_ID_MISMATCH, host, f"{node}:{own}", message, fix, shown)


def _trunk(lab: Lab, host: str) -> Finding | None:
    link = lab.state.link(host, lab.topology.trunk)
    if not lab.state.knows(host, "links") or (link and link["up"]):
        return None
    trunk = lab.topology.trunk
    shown = lab.state.cite(host, "links")
    if link is None:
        message = f"{host} has no interface {trunk}"
        fix = "plug the trunk in"
        return Finding(Code.TRUNK_DISCONNECTED, host, trunk, message, fix, shown)
    again = "".join(_routes_again(lab, host, vlan.id) for vlan in lab.topology.vlans)
    message, fix = f"{host}'s {trunk} is down", f"ip link set {trunk} up{again}"
    return Finding(Code.TRUNK_DISCONNECTED, host, trunk, message, fix, shown)


def _port(lab: Lab, host: str) -> Finding | None:
    """The switch port of a host."""
    if not lab.state.knows("switch", "links"):
        return None
    name = lab.topology.port(host)
    link = lab.state.link("switch", name)
    problem, fix = _wrong_port(name, link)
    if not problem:
        return None
    shown = lab.state.cite("switch", "links")
    message = f"the switch port {name} of {host} {problem}"
    return Finding(Code.TRUNK_DISCONNECTED, "switch", name, message, fix, shown)


def _wrong_port(name: str, link: dict[str, Any] | None) -> tuple[str, str]:
    if link is None:
        return "is not there", f"plug {name} in"
    if not link["up"]:
        return "is down", f"ip link set {name} up"
    if link["master"] != "trunk":
        return "is not in the bridge trunk", f"ip link set {name} master trunk"
    state = link.get("port_state", FORWARDING)
    if state not in (FORWARDING, None):
        fix = f"ip link set {name} type bridge_slave state {FORWARDING}"
        return f"does not forward (state {state})", fix
    if link.get("port_isolated"):
        return "is isolated", f"ip link set {name} type bridge_slave isolated off"
    return "", ""


def addressed(lab: Lab, node: str, vlan: int, *, ipv6: bool) -> Finding | None:
    """Whether a node has its address in a VLAN."""
    cidr = lab.expected(node, vlan, ipv6=ipv6)
    if cidr is None or not lab.state.knows(node, "addresses"):
        return None
    name = lab.interface(node, vlan)
    version = 6 if ipv6 else 4
    found = [one for one in lab.state.addresses(node, name) if (":" in one) is (version == 6)]  # noqa: PLR2004 - IP versions
    if cidr in found:
        return None
    shown = lab.state.cite(node, "addresses")
    end = lab.endpoint(node)
    near = [one for one in found if ip_of(one) == ip_of(cidr)]
    route = _default_again(lab, node)
    if near:
        fix = f"ip address delete {near[0]} dev {name} && ip address add {cidr} dev {name}{route}"
        message = f"{node} has {near[0]} on {name}, not {cidr}"
        return Finding(Code.PREFIX_LENGTH_WRONG, node, near[0], message, fix, shown)
    if found:
        code = Code.ENDPOINT_ADDRESS_WRONG if end else Code.GATEWAY_ADDRESS_WRONG
        message = f"{node} has {', '.join(found)} on {name}, not {cidr}"
        # The first of a subnet takes the others along when it goes.
        others = "".join(f"ip address delete {one} dev {name} && " for one in found)
        fix = f"{others}ip address add {cidr} dev {name}{route}"
        return Finding(code, node, found[0], message, fix, shown)
    code = Code.ENDPOINT_ADDRESS_MISSING if end else Code.GATEWAY_ADDRESS_MISSING
    fix = f"ip address add {cidr} dev {name}{route}"
    return Finding(code, node, cidr, f"{node} has no address {cidr} on {name}", fix, shown)


def in_mode(lab: Lab, cell: Cell) -> Finding | None:
    """Whether the macvlan interfaces of a cell's ends are in the mode that they must be in."""
    for node in (cell.src, cell.dst):
        end = lab.endpoint(node)
        link = lab.state.link(node, end.interface) if end else None
        found = (link or {}).get("macvlan_mode")
        expected = lab.topology.vlan(end.vlan).mode if end else ""
        if end and found and found != expected:
            name = end.interface
            message = f"{node}'s {name} is in mode {found}, not {expected}"
            fix = f"ip link set {name} type macvlan mode {expected}"
            shown = lab.state.cite(node, "links")
            return Finding(
                Code.MACVLAN_MODE_ISOLATES, node, f"{name} mode {found}", message, fix, shown
            )
    return None


def _default_again(lab: Lab, node: str) -> str:
    """An endpoint's default route, which may have gone with its address."""
    end = lab.endpoint(node)
    gateway = _default_by(lab, end) if end else None
    return f" && ip route replace default via {gateway}" if gateway else ""
