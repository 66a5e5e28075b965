"""The resolved topology: frozen values, every name looked up, every default filled in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from harness.flow import Stage

MAX_PORT_NAME = 12
"""Linux gives an interface name 15 octets (IFNAMSIZ); management ports add a suffix of two."""


@dataclass(frozen=True)
class Vlan:
    """An IEEE 802.1Q VLAN, the subnet on it and the Docker network that people reach it by."""

    id: int
    subnet: IPv4Network
    gateway: IPv4Address | None
    """The default route of its endpoints, whether or not a host holds that address."""
    network: str


@dataclass(frozen=True)
class Host:
    """A Docker host or a gateway host: a management interface and an end of the trunk."""

    name: str
    management: IPv4Interface


@dataclass(frozen=True)
class Endpoint:
    """A container (or a bare namespace) with one macvlan interface, `eth0`."""

    name: str
    host: str
    vlan: int
    address: IPv4Address
    mac: str

    interface = "eth0"


@dataclass(frozen=True)
class Gateway:
    """What the gateway host is given in the stage `routed`."""

    host: str
    addresses: tuple[tuple[int, IPv4Address], ...]
    """(VLAN id, address) for each sub-interface that it has."""
    masquerade: tuple[int, ...]
    """VLANs on whose sub-interface packets leave with the gateway's own address."""
    forward_policy: str
    """`ACCEPT` or `DROP`, the policy of the filter table's FORWARD chain."""
    forward: tuple[tuple[int, int], ...]
    """(from VLAN, to VLAN) pairs that have rules of their own in FORWARD."""

    def address_in(self, vlan: int) -> IPv4Address | None:
        """The gateway's own address in a VLAN, or None."""
        return dict(self.addresses).get(vlan)


def trunk_mac(position: int) -> str:
    """The MAC address of a trunk interface: locally administered, by its host's place (from 0)."""
    return f"02:6e:73:00:00:{position + 1:02x}"


@dataclass(frozen=True)
class Topology:
    """A whole lab. Collections are in the order of the file."""

    name: str
    purpose: str
    trunk: str
    """The trunk interface of every host, `eth2`."""
    mtu: int
    """Octets of an IP packet on the trunk, the 802.1Q tag not counted (as `ip link` has it)."""
    management: str
    """The management interface of every host, `eth1`."""
    vlans: tuple[Vlan, ...]
    hosts: tuple[Host, ...]
    endpoints: tuple[Endpoint, ...]
    gateway: Gateway | None

    def vlan(self, vlan_id: int) -> Vlan:
        """The VLAN of an id; KeyError if there is none."""
        return {vlan.id: vlan for vlan in self.vlans}[vlan_id]

    def host(self, name: str) -> Host:
        """The host of a name; KeyError if there is none."""
        return {host.name: host for host in self.hosts}[name]

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of a name; KeyError if there is none."""
        return {endpoint.name: endpoint for endpoint in self.endpoints}[name]

    @cached_property
    def endpoint_vlans(self) -> dict[str, int]:
        """The VLAN id of each endpoint."""
        return {endpoint.name: endpoint.vlan for endpoint in self.endpoints}

    @cached_property
    def endpoint_hosts(self) -> dict[str, str]:
        """The host of each endpoint."""
        return {endpoint.name: endpoint.host for endpoint in self.endpoints}

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that the lab has: without a gateway host there is only one."""
        return tuple(Stage) if self.gateway else (Stage.ISOLATED,)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node: the hosts, the switch, the endpoints."""
        hosts = tuple(host.name for host in self.hosts)
        return (*hosts, "switch", *(endpoint.name for endpoint in self.endpoints))

    def next_hop(self, src: Endpoint, dst: Endpoint) -> IPv4Address | None:
        """Where an endpoint sends what is for another: to it, if it seems to be in its subnet."""
        vlan = self.vlan(src.vlan)
        return dst.address if dst.address in vlan.subnet else vlan.gateway

    def subinterface(self, vlan_id: int) -> str:
        """The name of the trunk's sub-interface for a VLAN, as vconfig and ip(8) name it."""
        return f"{self.trunk}.{vlan_id}"

    def port(self, host: str) -> str:
        """The switch port that a host's trunk is plugged into: the host's name where it fits."""
        return host if len(host) <= MAX_PORT_NAME else f"port{self._position(host)}"

    def vlans_of_host(self, name: str) -> tuple[int, ...]:
        """The VLANs that a host carries for its endpoints, in the order of `vlans`."""
        used = {endpoint.vlan for endpoint in self.endpoints if endpoint.host == name}
        return tuple(vlan.id for vlan in self.vlans if vlan.id in used)

    def trunk_mac(self, host: str) -> str:
        """The MAC address of a host's trunk interface."""
        return trunk_mac(self._position(host) - 1)

    def _position(self, host: str) -> int:
        return [known.name for known in self.hosts].index(host) + 1
