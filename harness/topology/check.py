"""Whether the names and addresses of a topology file fit together: VLANs, hosts, endpoints."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from harness.topology.parts import trunk_mac
from harness.topology.shape import Endpoint, File, Host, Station, Vlan, network, stations
from harness.topology.source import Source

SWITCH_IS_TAKEN = "`switch` is the name of what joins the trunks; take another"
OF_MACHINES = ("become", "python", "docker", "may", "endpoints")
ONLY_EXTERNAL = "only a host with `role: external` has none"
MIN_MTU6 = 1280
"""The least MTU that IPv6 runs over, in octets of an IP packet (RFC 8200, section 5)."""

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network


def check(shape: File, source: Source) -> None:
    """Note every mistake in `source`, but for those of gateways."""
    if shape.management.interface == shape.trunk.interface:
        found = f"{shape.management.interface} is the trunk's interface already"
        source.mistake(("management", "interface"), found)
    _check_vlans(shape, source)
    _check_hosts(shape, source)
    _check_endpoints(shape, source)


def unknown(kind: str, found: object, known: Any) -> str:
    """What to say of a name that nothing has."""
    return f"unknown {kind} {found!r:.60}; known: {', '.join(str(name) for name in known)}"


def check_node(
    address: Address, subnet: Subnet, whose: str, path: tuple[object, ...], source: Source
) -> None:
    """Check that an address can be a node's in a subnet."""
    names = {subnet.network_address}
    if isinstance(subnet, IPv4Network):
        names.add(subnet.broadcast_address)
    if address not in subnet:
        source.mistake(path, f"{address} is outside {whose}")
    elif address in names:
        source.mistake(path, f"{address} names the subnet itself, not a node in it")


def mac_of(shape: File, endpoint: Endpoint) -> str:
    """The MAC address that was given, or Docker's way to make one: 02:42 and the IPv4 address.

    A passthru endpoint has its parent's own (macvlan_common_newlink() of drivers/net/macvlan.c).
    """
    if endpoint.mac:
        return endpoint.mac
    if _mode(shape, endpoint) == "passthru" and endpoint.host in shape.hosts:
        return trunk_mac(list(shape.hosts).index(endpoint.host))
    return ":".join(["02", "42", *(f"{octet:02x}" for octet in endpoint.address.packed)])


def _mode(shape: File, endpoint: Endpoint) -> str:
    return shape.vlans[endpoint.vlan].mode if endpoint.vlan in shape.vlans else "bridge"


def _check_vlans(shape: File, source: Source) -> None:
    networks: dict[str, int] = {}
    for vlan_id, vlan in shape.vlans.items():
        path = ("vlans", vlan_id)
        if vlan.gateway:
            check_node(vlan.gateway, vlan.subnet, f"{vlan.subnet}", (*path, "gateway"), source)
        _check_vlan6(shape, vlan_id, source)
        _check_mtu(shape, vlan, path, source)
        _check_overlap(shape, vlan_id, source)
        named = network(vlan_id, vlan)
        if named in networks:
            found = f"{named!r} is the network of VLAN {networks[named]} already"
            source.mistake((*path, "network"), found)
        networks[named] = vlan_id


def _check_vlan6(shape: File, vlan_id: int, source: Source) -> None:
    path, vlan = ("vlans", vlan_id), shape.vlans[vlan_id]
    if vlan.gateway6 and vlan.subnet6:
        check_node(vlan.gateway6, vlan.subnet6, f"{vlan.subnet6}", (*path, "gateway6"), source)
    elif vlan.gateway6:
        source.mistake((*path, "gateway6"), "the VLAN has no IPv6 subnet; give it `subnet6`")
    if vlan.subnet6:
        _check_mtu6(shape, vlan_id, source)


def _check_mtu6(shape: File, vlan_id: int, source: Source) -> None:
    """No MTU that the VLAN has, or gets, is too small for IPv6."""
    carriers = {one.spec.host for one in stations(shape).values() if one.spec.vlan == vlan_id}
    places: list[tuple[tuple[object, ...], int | None]] = [
        (("trunk", "mtu"), shape.trunk.mtu),
        (("vlans", vlan_id, "mtu"), shape.vlans[vlan_id].mtu),
    ]
    places += [(("hosts", name, "mtu"), host.mtu)
               for name, host in shape.hosts.items() if name in carriers]  # fmt: skip
    for path, mtu in places:
        if mtu and mtu < MIN_MTU6:
            found = f"{mtu} is less than the {MIN_MTU6} octets that IPv6 needs in VLAN {vlan_id}"
            source.mistake(path, found)


def _check_mtu(shape: File, of: Vlan | Host, path: tuple[object, ...], source: Source) -> None:
    if of.mtu and of.mtu > shape.trunk.mtu:
        found = f"{of.mtu} is more than the trunk's {shape.trunk.mtu}; at most that"
        source.mistake((*path, "mtu"), found)


def _overlapped(shape: File, vlan_id: int) -> dict[int, tuple[str, Subnet, Subnet]]:
    """The VLANs before one whose subnets overlap its own, and in what."""
    ids = list(shape.vlans)
    before = ids[: ids.index(vlan_id)]
    found = {other: _common(shape.vlans[vlan_id], shape.vlans[other]) for other in before}
    return {other: common for other, common in found.items() if common}


def _common(own: Vlan, other: Vlan) -> tuple[str, Subnet, Subnet] | None:
    """The key whose subnets overlap, and both of them."""
    if own.subnet.overlaps(other.subnet):
        return "subnet", own.subnet, other.subnet
    if own.subnet6 and other.subnet6 and own.subnet6.overlaps(other.subnet6):
        return "subnet6", own.subnet6, other.subnet6
    return None


def _check_overlap(shape: File, vlan_id: int, source: Source) -> None:
    """Subnets of two VLANs may overlap if the second says so; the gateway would know no way."""
    path, vlan, management = ("vlans", vlan_id), shape.vlans[vlan_id], shape.management.subnet
    if management.overlaps(vlan.subnet):
        found = f"{vlan.subnet} overlaps {management} of management; give each its own"
        source.mistake((*path, "subnet"), found)
    overlapped = _overlapped(shape, vlan_id)
    for other, (key, own, its) in overlapped.items() if not vlan.overlap else ():
        found = f"{own} overlaps {its} of VLAN {other}"
        found += "; give each its own, or say `overlap: intended` here"
        source.mistake((*path, key), found)
    if vlan.overlap and not overlapped:
        found = f"{vlan.subnet} overlaps the subnet of no VLAN above; leave `overlap` out"
        source.mistake((*path, "overlap"), found)
    if vlan.overlap and overlapped and shape.gateway:
        first = next(iter(overlapped))
        found = f"VLAN {vlan_id} overlaps VLAN {first}, so no host can route between them"
        source.mistake(("gateway",), f"{found}; leave the gateway host out")


def _check_hosts(shape: File, source: Source) -> None:
    holders: dict[IPv4Address, str] = {}
    for name, host in shape.hosts.items():
        path = ("hosts", name)
        if name == "switch":
            source.mistake(path, SWITCH_IS_TAKEN)
        _check_mtu(shape, host, path, source)
        _check_reach(shape, name, source)
        if host.role == "external":
            _check_external(shape, name, source)
        elif host.management is None:
            source.mistake((*path, "management"), f"is missing; {ONLY_EXTERNAL}")
        else:
            _check_management(shape, name, host.management, holders, source)


def _check_management(
    shape: File,
    name: str,
    address: IPv4Address,
    holders: dict[IPv4Address, str],
    source: Source,
) -> None:
    path, subnet = ("hosts", name, "management"), shape.management.subnet
    check_node(address, subnet, str(subnet), path, source)
    if address in holders:
        source.mistake(path, f"{address} is {holders[address]}'s already")
    holders[address] = name


def _check_external(shape: File, name: str, source: Source) -> None:
    """Somebody else's router is known by its addresses only."""
    path = ("hosts", name)
    if shape.hosts[name].management:
        found = "an external router is not managed; leave `management` out"
        source.mistake((*path, "management"), found)
    if not any(gateway.host == name for gateway in shape.gateway or ()):
        found = f"no `gateway` says what {name} routes; add it there, or leave `role` out"
        source.mistake((*path, "role"), found)


def _check_reach(shape: File, name: str, source: Source) -> None:
    """What is said of a machine of its own is said of one that is reached, and fits the others."""
    path, host = ("hosts", name), shape.hosts[name]
    if host.ssh and host.role == "external":
        source.mistake((*path, "ssh"), "an external router is not reached; leave `ssh` out")
    for key in OF_MACHINES:
        if getattr(host, key) and not host.ssh:
            source.mistake((*path, key), "is for a host that is reached by `ssh`; say where")
    ours = {other.may or "build": at for at, other in shape.hosts.items() if other.ssh}
    if host.ssh and len(ours) > 1 and (host.may or "build") == "observe":
        found = f"{ours['build']} may be built on; a lab is built on all its hosts, or on none"
        source.mistake((*path, "may"), found)


def _check_endpoints(shape: File, source: Source) -> None:
    addresses: dict[tuple[int, Address], str] = {}
    macs = {trunk_mac(position): name for position, name in enumerate(shape.hosts)}
    through: dict[tuple[str, int], str] = {}
    for name, station in stations(shape).items():
        path, endpoint = station.path, station.spec
        if station.of == name:
            _check_name(shape, name, source)
            _check_carrier(shape, path, endpoint, source)
        _check_addresses(shape, name, station, addresses, source)
        if _mode(shape, endpoint) == "passthru":
            _check_passthru(name, endpoint, through, source)
            continue
        mac = mac_of(shape, endpoint)
        if mac in macs:
            source.mistake((*path, "mac"), _taken(shape, endpoint, macs[mac]))
        macs[mac] = name


def _check_name(shape: File, name: str, source: Source) -> None:
    if name == "switch":
        source.mistake(("endpoints", name), SWITCH_IS_TAKEN)
    if name in shape.hosts:
        source.mistake(("endpoints", name), f"{name!r} is a host's name already; take another")


def _check_carrier(
    shape: File, path: tuple[object, ...], endpoint: Endpoint, source: Source
) -> None:
    if endpoint.host not in shape.hosts:
        source.mistake((*path, "host"), unknown("host", endpoint.host, shape.hosts))
    elif shape.hosts[endpoint.host].role == "external":
        found = f"{endpoint.host} is external and carries no endpoints; take another host"
        source.mistake((*path, "host"), found)


def _check_passthru(
    name: str, endpoint: Endpoint, through: dict[tuple[str, int], str], source: Source
) -> None:
    """A passthru endpoint has its parent for itself, and the parent's MAC address."""
    path, parent = ("endpoints", name), (endpoint.host, endpoint.vlan)
    if endpoint.mac:
        found = "a passthru endpoint has the MAC address of its parent; leave `mac` out"
        source.mistake((*path, "mac"), found)
    if parent in through:
        found = f"{through[parent]} has VLAN {endpoint.vlan} of {endpoint.host} for itself"
        source.mistake((*path, "vlan"), f"{found}, by mode passthru; take another host")
    through[parent] = name


def _taken(shape: File, endpoint: Endpoint, holder: str) -> str:
    """What to say of a MAC address that another has, and what to do where subnets overlap."""
    other = stations(shape).get(holder)
    mac = mac_of(shape, endpoint)
    if endpoint.mac or other is None or other.spec.vlan == endpoint.vlan:
        return f"{mac} is {holder}'s already"
    return f"{mac}, made of its address, is {holder}'s already; give it a `mac` of its own"


def _check_addresses(
    shape: File,
    name: str,
    station: Station,
    addresses: dict[tuple[int, Address], str],
    source: Source,
) -> None:
    path, endpoint = station.path, station.spec
    if endpoint.vlan not in shape.vlans:
        where = (*path, "vlan") if station.of == name else path
        source.mistake(where, unknown("VLAN", endpoint.vlan, shape.vlans))
        return
    vlan = shape.vlans[endpoint.vlan]
    where = (*path, "address")
    asked = (endpoint.address, vlan.subnet, vlan.gateway)
    _check_address(endpoint, *asked, name, where, addresses, source)
    if vlan.subnet6 and endpoint.address6:
        where = (*path, "address6")
        asked6 = (endpoint.address6, vlan.subnet6, vlan.gateway6)
        _check_address(endpoint, *asked6, name, where, addresses, source)
    elif vlan.subnet6:
        found = f"is missing; VLAN {endpoint.vlan} has the IPv6 subnet {vlan.subnet6}"
        source.mistake((*path, "address6"), found)
    elif endpoint.address6:
        found = f"VLAN {endpoint.vlan} has no IPv6 subnet; give it `subnet6`"
        source.mistake((*path, "address6"), found)


def _check_address(  # noqa: PLR0913, PLR0917 - an address, and all that it must fit
    endpoint: Endpoint,
    address: Address,
    subnet: Subnet,
    gateway: Address | None,
    name: str,
    where: tuple[object, ...],
    addresses: dict[tuple[int, Address], str],
    source: Source,
) -> None:
    whose = f"{subnet} of VLAN {endpoint.vlan}"
    check_node(address, subnet, whose, where, source)
    if address == gateway:
        source.mistake(where, f"{address} is the gateway's address")
    key = (endpoint.vlan, address)
    if key in addresses:
        source.mistake(where, f"{address} is {addresses[key]}'s already")
    addresses[key] = name
