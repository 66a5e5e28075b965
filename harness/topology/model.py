"""The resolved topology: frozen values, every name looked up, every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network

from harness.flow import Probe, Stage

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network
"""IPv4, but for `Topology.ipv6`."""

MODES = ("bridge", "private", "vepa", "passthru")
"""macvlan's modes, as ip-link(8) names them; `source` is for no network of containers."""

DOCKER0 = "docker0"
"""The bridge that a Docker engine makes for its own containers."""

MAX_PORT_NAME = 12
"""Linux gives an interface name 15 octets (IFNAMSIZ); management ports add a suffix of two."""


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
    """A container (or a bare namespace) with one macvlan interface, `eth0`."""

    name: str
    host: str
    vlan: int
    address: Address
    mac: str
    address6: IPv6Address | None = None

    interface = "eth0"


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


@dataclass(frozen=True)
class Topology:
    """A whole lab. Collections are in the order of the file."""

    name: str
    purpose: str
    trunk: str
    """The trunk interface of every host, `eth2`."""
    mtu: int
    """Octets of an IP packet that the switch passes, the 802.1Q tag not counted (as `ip link` has
    it); the most that a host's end of the trunk can have."""
    management: str
    """The management interface of every host, `eth1`."""
    vlans: tuple[Vlan, ...]
    hosts: tuple[Host, ...]
    endpoints: tuple[Endpoint, ...]
    gateways: tuple[Gateway, ...] = ()
    floor_ms: int = 1000
    """How long a probe over real wires is waited for at least, before it counts as lost."""
    switched: bool = True
    """Whether the switch is the harness's own, and can be looked into."""

    def vlan(self, vlan_id: int) -> Vlan:
        """The VLAN of an id; KeyError if there is none."""
        return self._by_id[vlan_id]

    def host(self, name: str) -> Host:
        """The host of a name; KeyError if there is none."""
        return self._hosts_by_name[name]

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of a name; KeyError if there is none."""
        return self._endpoints_by_name[name]

    @cached_property
    def endpoint_vlans(self) -> dict[str, int]:
        """The VLAN id of each endpoint."""
        return {endpoint.name: endpoint.vlan for endpoint in self.endpoints}

    @cached_property
    def endpoint_hosts(self) -> dict[str, str]:
        """The host of each endpoint."""
        return {endpoint.name: endpoint.host for endpoint in self.endpoints}

    @cached_property
    def ipv6(self) -> Topology:
        """The same lab with IPv6 addresses in the place of IPv4 ones, and nothing without one.

        Routers translate no IPv6 address, and Linux has no rp_filter for it.
        """
        vlans = tuple(
            replace(vlan, subnet=vlan.subnet6, gateway=vlan.gateway6)
            for vlan in self.vlans
            if vlan.subnet6
        )
        endpoints = tuple(
            replace(end, address=end.address6) for end in self.endpoints if end.address6
        )
        gateways = tuple(
            replace(one, addresses=one.addresses6, masquerade=(), routes=(), rp_filter=0)
            for one in self.gateways
            if one.addresses6
        )
        return replace(self, vlans=vlans, endpoints=endpoints, gateways=gateways)

    def over(self, probe: Probe) -> Topology:
        """The lab with the addresses that a probe goes to."""
        return self.ipv6 if probe.is_ipv6 else self

    def has_ipv6(self, node: str) -> bool:
        """Whether a node has an IPv6 address in any stage."""
        routers = {router.host for router in self.ipv6.gateways}
        return node in self.ipv6.endpoint_vlans or node in routers

    @property
    def configured(self) -> tuple[Gateway, ...]:
        """The gateways that the harness makes in the stage `routed`, and takes back."""
        return tuple(one for one in self.gateways if not self.host(one.host).external)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that the lab has: only one where the harness configures no gateway host."""
        if self.configured:
            return tuple(Stage)
        return (Stage.ROUTED,) if self.gateways else (Stage.ISOLATED,)

    def routers(self, stage: Stage) -> tuple[Gateway, ...]:
        """Who routes in a stage: an external router always does."""
        if stage is Stage.ROUTED:
            return self.gateways
        return tuple(one for one in self.gateways if self.host(one.host).external)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node that can be looked into: hosts that are not external, switch, endpoints."""
        hosts = tuple(host.name for host in self.hosts if not host.external)
        switch = ("switch",) if self.switched else ()
        return (*hosts, *switch, *(endpoint.name for endpoint in self.endpoints))

    @cached_property
    def engines(self) -> dict[str, Engine]:
        """The engine of each gateway host that runs one, whatever the endpoints are made with."""
        return {one.host: one.engine for one in self.gateways if one.engine}

    def on_machines(self, macs: Mapping[str, str]) -> Topology:
        """The same lab on machines of their own: a real switch, and MAC addresses as found.

        `macs` has those of trunks by host, and of endpoints that the harness did not make.
        """
        hosts = tuple(replace(host, mac=macs.get(host.name)) for host in self.hosts)
        ends = tuple(replace(end, mac=macs.get(end.name, end.mac)) for end in self.endpoints)
        return replace(self, hosts=hosts, endpoints=ends, switched=False)

    @property
    def observed(self) -> bool:
        """Whether its hosts are machines on which nothing may be changed."""
        return any(host.reach is not None and host.reach.may == "observe" for host in self.hosts)

    @property
    def macs(self) -> dict[str, str] | None:
        """What `on_machines` was given; None for a lab on one machine."""
        if self.switched:
            return None
        hosts = {host.name: host.mac for host in self.hosts if host.mac}
        return hosts | {end.name: end.mac for end in self.endpoints}

    def next_hop(self, src: Endpoint, dst: Endpoint) -> Address | None:
        """Where an endpoint sends what is for another: to it, if it seems to be in its subnet."""
        vlan = self.vlan(src.vlan)
        return dst.address if dst.address in vlan.subnet else vlan.way_out

    def subinterface(self, vlan_id: int) -> str:
        """The name of the trunk's sub-interface for a VLAN, as vconfig and ip(8) name it."""
        return f"{self.trunk}.{vlan_id}"

    def port(self, host: str) -> str:
        """The switch port that a host's trunk is plugged into: the host's name where it fits."""
        return host if len(host) <= MAX_PORT_NAME else f"port{self._position(host)}"

    def mtu_at(self, node: str, vlan_id: int) -> int:
        """The MTU of a node's interface in a VLAN: an endpoint's is its parent's."""
        host = self.host(self.endpoint_hosts.get(node, node))
        return min(host.mtu, self.vlan(vlan_id).mtu)

    def vlans_of_host(self, name: str) -> tuple[int, ...]:
        """The VLANs that a host carries for its endpoints, in the order of `vlans`."""
        used = {endpoint.vlan for endpoint in self.endpoints if endpoint.host == name}
        return tuple(vlan.id for vlan in self.vlans if vlan.id in used)

    def trunk_mac(self, host: str) -> str:
        """The MAC address of a host's trunk interface."""
        return self.host(host).mac or trunk_mac(self._position(host) - 1)

    @cached_property
    def _by_id(self) -> dict[int, Vlan]:
        return {vlan.id: vlan for vlan in self.vlans}

    @cached_property
    def _hosts_by_name(self) -> dict[str, Host]:
        return {host.name: host for host in self.hosts}

    @cached_property
    def _endpoints_by_name(self) -> dict[str, Endpoint]:
        return {endpoint.name: endpoint for endpoint in self.endpoints}

    def _position(self, host: str) -> int:
        return [known.name for known in self.hosts].index(host) + 1
