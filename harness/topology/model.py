"""The resolved topology: a whole lab, and what follows from the names and addresses in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv4Address

from harness.flow import Probe, Stage
from harness.topology.parts import Address, Endpoint, Engine, Gateway, Host, Vlan, trunk_mac

MAX_PORT_NAME = 12
"""Linux gives an interface name 15 octets (IFNAMSIZ); management ports add a suffix of two."""


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
    def legs(self) -> dict[str, tuple[Endpoint, ...]]:
        """The legs of each container, by the name of every one of them."""
        found: dict[str, list[Endpoint]] = {}
        for end in self.endpoints:
            found.setdefault(end.container, []).append(end)
        return {end.name: tuple(found[end.container]) for end in self.endpoints}

    @property
    def containers(self) -> tuple[Endpoint, ...]:
        """Every container, by its first leg."""
        return tuple(end for end in self.endpoints if end.leg_of is None)

    def same_container(self, one: str, other: str) -> bool:
        """Whether two endpoints are legs of one container."""
        return other in [leg.name for leg in self.legs.get(one, ())]

    def interface(self, node: str) -> str | None:
        """The interface of an endpoint; None for any other node."""
        ends = self._endpoints_by_name
        return ends[node].interface if node in ends else None

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
        """Whether a node has an IPv6 address in any stage; a container, on any of its legs."""
        routers = {router.host for router in self.ipv6.gateways}
        return any(leg.address6 for leg in self.legs.get(node, ())) or node in routers

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
        """Every node that can be looked into: hosts that are not external, switch, endpoints.

        A further leg of a container is another name of the container's namespace.
        """
        further = tuple(end.name for end in self.endpoints if end.leg_of)
        return (*self.namespaces, *further)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The nodes that are a namespace each."""
        hosts = tuple(host.name for host in self.hosts if not host.external)
        switch = ("switch",) if self.switched else ()
        return (*hosts, *switch, *(endpoint.name for endpoint in self.containers))

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
        """Where an endpoint sends what is for another: to it, if it seems to be in its subnet.

        Of several legs one has the container's default route. Out of another, Linux takes for a
        neighbour whom no route leads to (ip_route_output_key_hash_rcu()); of IPv6 it does not.
        """
        vlan = self.vlan(src.vlan)
        if dst.address in vlan.subnet:
            return dst.address
        if not self.is_multihomed(src) or self.default_leg(src) == src:
            return vlan.way_out
        return dst.address if isinstance(dst.address, IPv4Address) else None

    def is_multihomed(self, end: Endpoint) -> bool:
        """Whether an endpoint's container has further legs."""
        return len(self.legs[end.name]) > 1

    def default_leg(self, end: Endpoint) -> Endpoint | None:
        """The leg of an endpoint's container that its default route is by; None if it has none.

        Docker takes the first by name of the networks that have a gateway, those of both IP
        versions before others (endpoint.Less() of moby's libnetwork).
        """
        ways_out = [leg for leg in self.legs[end.name] if self.vlan(leg.vlan).way_out]
        return min(ways_out, key=self._rank, default=None)

    def ways_out(self, end: Endpoint) -> tuple[Address, ...]:
        """The default routes that an endpoint's container has by it, one an IP version."""
        labs = [lab for lab in (self, self.ipv6) if end.name in lab.legs]
        legs = [(lab, lab.endpoint(end.name)) for lab in labs]
        ways = [lab.vlan(leg.vlan).way_out for lab, leg in legs if lab.default_leg(leg) == leg]
        return tuple(way for way in ways if way)

    def _rank(self, leg: Endpoint) -> tuple[bool, str]:
        vlan = self.vlan(leg.vlan)
        return not (vlan.way_out and vlan.gateway6), vlan.network

    def leg_towards(self, end: Endpoint, dst: Endpoint) -> Endpoint | None:
        """The leg by which an endpoint's container answers another, whatever address it has."""
        legs = self.legs[end.name]
        near = (leg for leg in legs if dst.address in self.vlan(leg.vlan).subnet)
        return next(near, self.default_leg(end))

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
