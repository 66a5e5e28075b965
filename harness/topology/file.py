"""Read a topology file: YAML, then its shape (pydantic), then its cross-references.

Every mistake is one line, `FILE:LINE: where: what was found; what would be right`, and all that
can be told in one reading are told together.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from harness.topology.model import Endpoint, Gateway, Host, Topology, Vlan, trunk_mac
from harness.topology.source import Source, load, text


def _written(given: object) -> object:
    """An address as text: ipaddress would take a bare number for one too."""
    if not isinstance(given, str):
        raise PydanticCustomError("not_text", "an address is text, in dotted form")
    return given


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
InterfaceName = Annotated[str, Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]{0,9}$")]
"""An interface name that leaves room for `.4094` in the 15 octets that Linux gives (IFNAMSIZ)."""
Number = Annotated[int, Field(strict=True)]
VlanId = Annotated[int, Field(strict=True, ge=1, le=4094)]
"""IEEE 802.1Q reserves 0 and 4095."""
Address = Annotated[IPv4Address, BeforeValidator(_written)]
Subnet = Annotated[IPv4Network, BeforeValidator(_written)]
Mac = Annotated[str, Field(pattern=r"^([0-9a-f][02468ace])(:[0-9a-f]{2}){5}$")]
"""A unicast MAC address in lower case."""
NetworkName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]
"""What Docker takes for a network's name (daemon/names.RestrictedNameChars), of a usable length."""

SWITCH_IS_TAKEN = "`switch` is the name of what joins the trunks; take another"


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Trunk(_Shape):
    interface: InterfaceName = "eth2"
    mtu: Annotated[int, Field(strict=True, ge=576, le=9000)] = 1500


class _Management(_Shape):
    interface: InterfaceName = "eth1"
    subnet: Subnet


class _Vlan(_Shape):
    subnet: Subnet
    gateway: Address | None = None
    network: NetworkName | None = None
    overlap: Literal["intended"] | None = None


class _Host(_Shape):
    management: Address


class _Endpoint(_Shape):
    host: str
    vlan: Number
    address: Address
    mac: Mac | None = None


class _Forward(_Shape):
    policy: Literal["ACCEPT", "DROP"] = "ACCEPT"
    between: tuple[tuple[Number, Number], ...] = ()


class _Gateway(_Shape):
    host: str
    addresses: Annotated[dict[Number, Address], Field(min_length=1)]
    masquerade: tuple[Number, ...] = ()
    forward: _Forward = _Forward()


class _File(_Shape):
    name: Name
    purpose: str
    trunk: _Trunk = _Trunk()
    management: _Management
    vlans: Annotated[dict[VlanId, _Vlan], Field(min_length=1)]
    hosts: Annotated[dict[Name, _Host], Field(min_length=1, max_length=200)]
    endpoints: Annotated[dict[Name, _Endpoint], Field(min_length=1)]
    gateway: _Gateway | None = None


def read(path: str | Path) -> Topology:
    """Read and check a topology file.

    Raises TopologyError, with a message for each mistake.
    """
    return parse(text(path), str(path))


def parse(content: str, name: str) -> Topology:
    """Check a topology's text; `name` stands before the line in each message."""
    source = Source(name)
    data = load(content, source)
    try:
        shape = _File.model_validate(data)
    except ValidationError as error:
        for detail in error.errors():
            source.mistake(_location(detail["loc"]), _message(detail))
        raise source.error() from error
    _check(shape, source)
    source.raise_mistakes()
    return _resolve(shape)


def _location(loc: tuple[int | str, ...]) -> tuple[object, ...]:
    return tuple(part for part in loc if part != "[key]")


def _message(detail: Any) -> str:
    """One mistake in words; pydantic's own for what has none here."""
    kind, given = detail["type"], detail.get("input")
    if kind == "extra_forbidden":
        return "unknown key; `topologies/README.md` lists the keys"
    if kind == "missing":
        return "is missing"
    if kind == "string_pattern_mismatch":
        return f"{given!r:.60} is not of the form {detail['ctx']['pattern']}"
    if kind == "model_type":
        return f"a section with keys of its own is needed here; found {given!r:.60}"
    text = str(detail["msg"])
    return f"{text[0].lower()}{text[1:]}; found {given!r:.60}"


def _check(shape: _File, source: Source) -> None:
    if shape.management.interface == shape.trunk.interface:
        found = f"{shape.management.interface} is the trunk's interface already"
        source.mistake(("management", "interface"), found)
    _check_vlans(shape, source)
    _check_hosts(shape, source)
    _check_endpoints(shape, source)
    if shape.gateway:
        _check_gateway(shape, shape.gateway, source)


def _check_vlans(shape: _File, source: Source) -> None:
    networks: dict[str, int] = {}
    for vlan_id, vlan in shape.vlans.items():
        path = ("vlans", vlan_id)
        if vlan.gateway:
            _check_node(vlan.gateway, vlan.subnet, f"{vlan.subnet}", (*path, "gateway"), source)
        _check_overlap(shape, vlan_id, source)
        network = _network(vlan_id, vlan)
        if network in networks:
            found = f"{network!r} is the network of VLAN {networks[network]} already"
            source.mistake((*path, "network"), found)
        networks[network] = vlan_id


def _overlapped(shape: _File, vlan_id: int) -> list[int]:
    """The VLANs before one whose subnets overlap its own."""
    ids = list(shape.vlans)
    subnet = shape.vlans[vlan_id].subnet
    return [other for other in ids[: ids.index(vlan_id)]
            if shape.vlans[other].subnet.overlaps(subnet)]  # fmt: skip


def _check_overlap(shape: _File, vlan_id: int, source: Source) -> None:
    """Subnets of two VLANs may overlap if the second says so; the gateway would know no way."""
    path, vlan, management = ("vlans", vlan_id), shape.vlans[vlan_id], shape.management.subnet
    if management.overlaps(vlan.subnet):
        found = f"{vlan.subnet} overlaps {management} of management; give each its own"
        source.mistake((*path, "subnet"), found)
    overlapped = _overlapped(shape, vlan_id)
    for other in overlapped if not vlan.overlap else ():
        found = f"{vlan.subnet} overlaps {shape.vlans[other].subnet} of VLAN {other}"
        found += "; give each its own, or say `overlap: intended` here"
        source.mistake((*path, "subnet"), found)
    if vlan.overlap and not overlapped:
        found = f"{vlan.subnet} overlaps the subnet of no VLAN above; leave `overlap` out"
        source.mistake((*path, "overlap"), found)
    if vlan.overlap and overlapped and shape.gateway:
        found = f"VLAN {vlan_id} overlaps VLAN {overlapped[0]}, so no host can route between them"
        source.mistake(("gateway",), f"{found}; leave the gateway host out")


def _check_node(
    address: IPv4Address,
    subnet: IPv4Network,
    whose: str,
    path: tuple[object, ...],
    source: Source,
) -> None:
    """Check that an address can be a node's in a subnet."""
    if address not in subnet:
        source.mistake(path, f"{address} is outside {whose}")
    elif address in (subnet.network_address, subnet.broadcast_address):
        source.mistake(path, f"{address} names the subnet itself, not a node in it")


def _check_hosts(shape: _File, source: Source) -> None:
    holders: dict[IPv4Address, str] = {}
    for name, host in shape.hosts.items():
        path = ("hosts", name, "management")
        if name == "switch":
            source.mistake(("hosts", name), SWITCH_IS_TAKEN)
        subnet = shape.management.subnet
        _check_node(host.management, subnet, str(subnet), path, source)
        if host.management in holders:
            source.mistake(path, f"{host.management} is {holders[host.management]}'s already")
        holders[host.management] = name


def _check_endpoints(shape: _File, source: Source) -> None:
    addresses: dict[tuple[int, IPv4Address], str] = {}
    macs = {trunk_mac(position): name for position, name in enumerate(shape.hosts)}
    for name, endpoint in shape.endpoints.items():
        path = ("endpoints", name)
        if name == "switch":
            source.mistake(path, SWITCH_IS_TAKEN)
        if name in shape.hosts:
            source.mistake(path, f"{name!r} is a host's name already; take another")
        if endpoint.host not in shape.hosts:
            source.mistake((*path, "host"), _unknown("host", endpoint.host, shape.hosts))
        _check_endpoint_address(shape, path, endpoint, addresses, source)
        mac = _mac(endpoint)
        if mac in macs:
            source.mistake((*path, "mac"), _taken(shape, endpoint, macs[mac]))
        macs[mac] = name


def _taken(shape: _File, endpoint: _Endpoint, holder: str) -> str:
    """What to say of a MAC address that another has, and what to do where subnets overlap."""
    other = shape.endpoints.get(holder)
    if endpoint.mac or other is None or other.vlan == endpoint.vlan:
        return f"{_mac(endpoint)} is {holder}'s already"
    made = f"{_mac(endpoint)}, made of its address, is {holder}'s already"
    return f"{made}; give it a `mac` of its own"


def _check_endpoint_address(
    shape: _File,
    path: tuple[str, str],
    endpoint: _Endpoint,
    addresses: dict[tuple[int, IPv4Address], str],
    source: Source,
) -> None:
    where = (*path, "address")
    if endpoint.vlan not in shape.vlans:
        source.mistake((*path, "vlan"), _unknown("VLAN", endpoint.vlan, shape.vlans))
        return
    vlan = shape.vlans[endpoint.vlan]
    whose = f"{vlan.subnet} of VLAN {endpoint.vlan}"
    _check_node(endpoint.address, vlan.subnet, whose, where, source)
    if endpoint.address == vlan.gateway:
        source.mistake(where, f"{endpoint.address} is the gateway's address")
    key = (endpoint.vlan, endpoint.address)
    if key in addresses:
        source.mistake(where, f"{endpoint.address} is {addresses[key]}'s already")
    addresses[key] = path[1]


def _check_gateway(shape: _File, gateway: _Gateway, source: Source) -> None:
    _check_gateway_addresses(shape, gateway, source)
    if gateway.host not in shape.hosts:
        source.mistake(("gateway", "host"), _unknown("host", gateway.host, shape.hosts))
    if any(endpoint.host == gateway.host for endpoint in shape.endpoints.values()):
        source.mistake(("gateway", "host"), f"{gateway.host} carries endpoints; take another host")
    named: list[tuple[tuple[str, ...], int]]
    named = [(("gateway", "masquerade"), vlan_id) for vlan_id in gateway.masquerade]
    for number, pair in enumerate(gateway.forward.between):
        named += [(("gateway", "forward", "between", str(number)), vlan_id) for vlan_id in pair]
    for where, vlan_id in named:
        if vlan_id not in gateway.addresses:
            source.mistake(where, _unknown("VLAN", vlan_id, gateway.addresses))


def _check_gateway_addresses(shape: _File, gateway: _Gateway, source: Source) -> None:
    for vlan_id, address in gateway.addresses.items():
        path = ("gateway", "addresses", vlan_id)
        if vlan_id not in shape.vlans:
            source.mistake(path, _unknown("VLAN", vlan_id, shape.vlans))
            continue
        of_vlan = shape.vlans[vlan_id].gateway
        if of_vlan is None:
            source.mistake(path, f"VLAN {vlan_id} names no gateway; give it `gateway: {address}`")
        elif address != of_vlan:
            source.mistake(path, f"{address} is not the VLAN's gateway {of_vlan}")


def _unknown(kind: str, found: object, known: Any) -> str:
    return f"unknown {kind} {found!r:.60}; known: {', '.join(str(name) for name in known)}"


def _network(vlan_id: int, vlan: _Vlan) -> str:
    return vlan.network or f"mac_net{vlan_id}"


def _mac(endpoint: _Endpoint) -> str:
    """The MAC that was given, or Docker's way to make one: 02:42 and the IPv4 address."""
    if endpoint.mac:
        return endpoint.mac
    return ":".join(["02", "42", *(f"{octet:02x}" for octet in endpoint.address.packed)])


def _resolve(shape: _File) -> Topology:
    prefix = shape.management.subnet.prefixlen
    return Topology(
        name=shape.name,
        purpose=shape.purpose,
        trunk=shape.trunk.interface,
        mtu=shape.trunk.mtu,
        management=shape.management.interface,
        vlans=tuple(
            Vlan(vlan_id, vlan.subnet, vlan.gateway, _network(vlan_id, vlan))
            for vlan_id, vlan in shape.vlans.items()
        ),
        hosts=tuple(
            Host(name, IPv4Interface(f"{host.management}/{prefix}"))
            for name, host in shape.hosts.items()
        ),
        endpoints=tuple(
            Endpoint(name, end.host, end.vlan, end.address, _mac(end))
            for name, end in shape.endpoints.items()
        ),
        gateway=_resolve_gateway(shape.gateway) if shape.gateway else None,
    )


def _resolve_gateway(gateway: _Gateway) -> Gateway:
    return Gateway(
        host=gateway.host,
        addresses=tuple(gateway.addresses.items()),
        masquerade=gateway.masquerade,
        forward_policy=gateway.forward.policy,
        forward=gateway.forward.between,
    )
