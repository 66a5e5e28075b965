"""What a topology is made of: frozen values, every name looked up, every default filled in."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network
"""IPv4, but for `Topology.ipv6`."""

MODES = ("bridge", "private", "vepa", "passthru")
"""macvlan's modes, as ip-link(8) names them; `source` is for no network of containers."""

DOCKER0 = "docker0"
"""The bridge that a Docker engine makes for its own containers."""


@dataclass(frozen=True)
class Vlan:
    """An IEEE 802.1Q VLAN, the subnet on it and the Docker network that people reach it by."""

    id: int
    subnet: Subnet
    gateway: Address | None
    """The router's address that its network is made with, whether or not a host holds it."""
    network: str
    mtu: int
    """Octets of an IP packet on its sub-interfaces and at its endpoints; less where a host's trunk
    has less."""
    mode: str = "bridge"
    """The macvlan mode of its endpoints: one of `MODES`."""
    subnet6: IPv6Network | None = None
    gateway6: IPv6Address | None = None
    """As `gateway`, in `subnet6`."""
    internal: bool = False
    """Whether its endpoints have no default route, though there may be a `gateway`."""
    parent: str | None = None
    """`engine` where each engine makes the sub-interface that its network is on."""
    ip_ranges: tuple[tuple[str, IPv4Network], ...] = ()
    """(host, the part of the subnet from which its engine gives addresses to whom it likes)."""
    aux_addresses: tuple[tuple[str, IPv4Address], ...] = ()
    """(name, address) of what is in the VLAN beside the lab; no engine gives these away."""

    @property
    def way_out(self) -> Address | None:
        """The default route of its endpoints."""
        return None if self.internal else self.gateway


@dataclass(frozen=True)
class Reach:
    """How a host that is a machine of its own is reached, and what may be done there."""

    ssh: str
    """What ssh(1) is given as destination."""
    sudo: bool = False
    """Whether the login becomes root by sudo(8)."""
    python: str = "python3"
    docker: str = "/var/run/docker.sock"
    """The socket of its engine."""
    may: str = "build"
    """`build`, or `observe`: nothing is changed there."""
    endpoints: str = "container"
    """What its endpoints are: `container` or `namespace`."""


@dataclass(frozen=True)
class Host:
    """A Docker host or a gateway host: a management interface and an end of the trunk."""

    name: str
    management: IPv4Interface | None
    """None for an external one: the harness does not manage it."""
    mtu: int
    """Octets of an IP packet on its end of the trunk."""
    hairpin: bool = False
    """Whether its switch port sends a frame back out of where it came from."""
    external: bool = False
    """Somebody else's router, which the harness neither configures nor looks into."""
    reach: Reach | None = None
    """For `--backend ssh`; with every other the lab is made on one machine."""
    mac: str | None = None
    """The MAC address of its trunk as it was found; None for one that the harness made."""


@dataclass(frozen=True)
class Endpoint:
    """A leg of a container (or of a bare namespace): a macvlan interface in one VLAN.

    Most containers have one, `eth0`. A further one is a station of its own in every respect but
    that it shares its container's routes: a node of the container's namespace, by another name.
    """

    name: str
    """The container's own, for its first leg; `bbox1.20` for a further one in VLAN 20."""
    host: str
    vlan: int
    address: Address
    mac: str
    address6: IPv6Address | None = None

    interface: str = "eth0"
    leg_of: str | None = None
    """The container whose further leg it is; None for its first."""

    @property
    def container(self) -> str:
        """The container that has the leg."""
        return self.leg_of or self.name


@dataclass(frozen=True)
class Engine:
    """A Docker engine that a gateway host runs in every stage, with its handling of iptables on.

    One that finds forwarding off switches it on, and only then sets FORWARD's policy to DROP
    (setupIPForwarding() of moby's bridge driver).
    """

    starts: str
    """`before-forwarding` or `after-forwarding`: whether net.ipv4.ip_forward was on already."""
    bridge: IPv4Interface
    """The address of `DOCKER0`."""

    @property
    def forward_policy(self) -> str:
        """The policy of FORWARD that it leaves."""
        return "DROP" if self.starts == "before-forwarding" else "ACCEPT"


@dataclass(frozen=True)
class Gateway:
    """What the gateway host is given in the stage `routed`."""

    host: str
    addresses: tuple[tuple[int, Address], ...]
    """(VLAN id, address) for each sub-interface that it has."""
    masquerade: tuple[int, ...]
    """VLANs on whose sub-interface packets leave with the gateway's own address."""
    forward_policy: str
    """`ACCEPT` or `DROP`, the policy of the filter table's FORWARD chain; an engine's where it
    runs one."""
    forward: tuple[tuple[int, int], ...]
    """(from VLAN, to VLAN) pairs that have rules of their own in FORWARD."""
    routes: tuple[tuple[int, Address], ...] = ()
    """(VLAN id, next hop) for each VLAN that another router leads to."""
    rp_filter: int = 0
    """net.ipv4.conf.*.rp_filter: 0 off, 1 strict, 2 loose (RFC 3704)."""
    addresses6: tuple[tuple[int, IPv6Address], ...] = ()
    engine: Engine | None = None

    def address_in(self, vlan: int) -> Address | None:
        """The gateway's own address in a VLAN, or None."""
        return dict(self.addresses).get(vlan)


def trunk_mac(position: int) -> str:
    """The MAC address of a trunk interface: locally administered, by its host's place (from 0)."""
    return f"02:6e:73:00:00:{position + 1:02x}"
