"""The shape of a topology file: its sections, their keys, and what each value may look like."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

_USER = r"(?:[A-Za-z_][\w.-]*\$?@)?"
LOGIN = re.compile(
    rf"{_USER}\w[\w.:-]*|ssh://{_USER}(?:\w[\w.-]*|\[[\da-f:]+\])(?::\d+)?", re.ASCII
)


def _written(given: object) -> object:
    """An address as text: ipaddress would take a bare number for one too."""
    if not isinstance(given, str):
        raise PydanticCustomError("not_text", "an address is text, as 10.0.0.1 or fd00::1")
    return given


def _login(given: str) -> str:
    """What ssh(1) takes for a destination, and no option of it, nor a password."""
    user, at, _ = given.removeprefix("ssh://").rpartition("@")
    if at and ":" in user:
        raise PydanticCustomError("secret", "no password is ever here; ssh finds keys by itself")
    if not LOGIN.fullmatch(given):
        raise PydanticCustomError("login", "ssh is told HOST, USER@HOST or ssh://USER@HOST:PORT")
    return given


def _several(given: object) -> object:
    """One section where there may be several."""
    return [given] if isinstance(given, dict) else given


def _some(given: tuple[Gateway, ...]) -> tuple[Gateway, ...]:
    """At least one."""
    if not given:
        raise PydanticCustomError("empty", "there is none in this list; leave the key out")
    return given


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
InterfaceName = Annotated[str, Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]{0,9}$")]
"""An interface name that leaves room for `.4094` in the 15 octets that Linux gives (IFNAMSIZ)."""
Number = Annotated[int, Field(strict=True)]
VlanId = Annotated[int, Field(strict=True, ge=1, le=4094)]
"""IEEE 802.1Q reserves 0 and 4095."""
Mtu = Annotated[int, Field(strict=True, ge=576, le=9000)]
"""Octets of an IP packet: from what every IPv4 host takes (RFC 791) to what jumbo frames carry."""
Address = Annotated[IPv4Address, BeforeValidator(_written)]
Subnet = Annotated[IPv4Network, BeforeValidator(_written)]
Address6 = Annotated[IPv6Address, BeforeValidator(_written)]
Subnet6 = Annotated[IPv6Network, BeforeValidator(_written)]
Login = Annotated[str, AfterValidator(_login)]
"""Where the system's ssh goes: an alias of ssh_config(5), HOST, USER@HOST, or ssh://USER@HOST:PORT."""
Path = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._+/-]+$")]
Mac = Annotated[str, Field(pattern=r"^([0-9a-f][02468ace])(:[0-9a-f]{2}){5}$")]
"""A unicast MAC address in lower case."""
NetworkName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]
"""What Docker takes for a network's name (daemon/names.RestrictedNameChars), of a usable length."""

AuxName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,30}$")]
"""Docker takes any text before the `=`; this is what it can be without quotes."""


class Shape(BaseModel):
    """A section: its keys are known, and no others are taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Trunk(Shape):
    """See topologies/README.md."""

    interface: InterfaceName = "eth2"
    mtu: Mtu = 1500
    floor_ms: Annotated[int, Field(strict=True, ge=1, le=60000)] = 1000


class Management(Shape):
    """See topologies/README.md."""

    interface: InterfaceName = "eth1"
    subnet: Subnet


class Vlan(Shape):
    """See topologies/README.md."""

    subnet: Subnet
    gateway: Address | None = None
    subnet6: Subnet6 | None = None
    gateway6: Address6 | None = None
    network: NetworkName | None = None
    mode: Literal["bridge", "private", "vepa", "passthru"] = "bridge"
    mtu: Mtu | None = None
    overlap: Literal["intended"] | None = None
    access: Literal["internal"] | None = None
    parent: Literal["engine"] | None = None
    ip_ranges: dict[str, Subnet] = {}
    aux_addresses: dict[AuxName, Address] = {}


class Host(Shape):
    """See topologies/README.md."""

    management: Address | None = None
    mtu: Mtu | None = None
    port: Literal["hairpin"] | None = None
    role: Literal["external"] | None = None
    ssh: Login | None = None
    become: Literal["sudo"] | None = None
    python: Path | None = None
    docker: Path | None = None
    may: Literal["build", "observe"] | None = None
    endpoints: Literal["container", "namespace"] | None = None


class Leg(Shape):
    """See topologies/README.md."""

    address: Address
    address6: Address6 | None = None
    mac: Mac | None = None


class Endpoint(Shape):
    """See topologies/README.md."""

    host: str
    vlan: Number
    address: Address
    address6: Address6 | None = None
    mac: Mac | None = None
    also: dict[Number, Leg] = {}


class Forward(Shape):
    """See topologies/README.md."""

    policy: Literal["ACCEPT", "DROP"] = "ACCEPT"
    between: tuple[tuple[Number, Number], ...] = ()


class Engine(Shape):
    """See topologies/README.md."""

    starts: Literal["before-forwarding", "after-forwarding"]


class Gateway(Shape):
    """See topologies/README.md."""

    host: str
    addresses: Annotated[dict[Number, Address], Field(min_length=1)]
    addresses6: dict[Number, Address6] = {}
    masquerade: tuple[Number, ...] = ()
    forward: Forward = Forward()
    routes: dict[Number, Address] = {}
    rp_filter: Annotated[int, Field(strict=True, ge=0, le=2)] = 0
    engine: Engine | None = None


Gateways = Annotated[
    tuple[Gateway, ...],
    BeforeValidator(_several, json_schema_input_type=Gateway | list[Gateway]),
    AfterValidator(_some),
]


class File(Shape):
    """A whole topology file."""

    name: Name
    purpose: str
    trunk: Trunk = Trunk()
    management: Management
    vlans: Annotated[dict[VlanId, Vlan], Field(min_length=1)]
    hosts: Annotated[dict[Name, Host], Field(min_length=1, max_length=200)]
    endpoints: Annotated[dict[Name, Endpoint], Field(min_length=1)]
    gateway: Gateways | None = None


def network(vlan_id: int, vlan: Vlan) -> str:
    """The name of a VLAN's Docker network."""
    return vlan.network or f"mac_net{vlan_id}"


def leg(name: str, vlan_id: int) -> str:
    """What a further leg of an endpoint is called: no endpoint's own name has a dot."""
    return f"{name}.{vlan_id}"


class Station(NamedTuple):
    """A leg of an endpoint: what has one address, in one VLAN."""

    path: tuple[object, ...]
    """Where it stands in the file."""
    of: str
    """The endpoint whose leg it is."""
    spec: Endpoint
    """As an endpoint of its own would be written."""


def stations(file: File) -> dict[str, Station]:
    """Every leg of every endpoint by its name, in the order of the file."""
    found = {}
    for name, end in file.endpoints.items():
        path = ("endpoints", name)
        found[name] = Station(path, name, end)
        for vlan_id, own in end.also.items():
            spec = Endpoint.model_construct(
                host=end.host, vlan=vlan_id, address=own.address, address6=own.address6, mac=own.mac
            )
            found[leg(name, vlan_id)] = Station((*path, "also", vlan_id), name, spec)
    return found


def message(detail: Any) -> str:
    """One mistake of pydantic's in words; its own for what has none here."""
    kind, given = detail["type"], detail.get("input")
    if kind == "extra_forbidden":
        return "unknown key; `topologies/README.md` lists the keys"
    if kind == "missing":
        return "is missing"
    if kind == "secret":
        return str(detail["msg"])
    if kind == "string_pattern_mismatch":
        return f"{given!r:.60} is not of the form {detail['ctx']['pattern']}"
    if kind == "model_type":
        return f"a section with keys of its own is needed here; found {given!r:.60}"
    text = str(detail["msg"])
    return f"{text[0].lower()}{text[1:]}; found {given!r:.60}"
