"""An endpoint as a bare network namespace with a macvlan interface in it, or several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.plan import Step
from harness.topology import Endpoint, Topology, Vlan
from harness.worker import calls


class NamespaceEndpoints:
    """What a container is for the network, and no more."""

    name = "netns"
    bare = True

    @property
    def apply(self) -> Callable[..., Any]:
        """See EndpointKind."""
        return calls.apply

    @property
    def evidence(self) -> Callable[..., Any]:
        """See EndpointKind."""
        return calls.evidence

    def refuse(self, topology: Topology) -> None:
        """See EndpointKind: it can make every topology."""

    def ahead(self, topology: Topology) -> tuple[Step, ...]:
        """See EndpointKind."""
        del topology
        return ()

    def makes_parent(self, vlan: Vlan) -> bool:
        """See EndpointKind: without engines, nobody else does."""
        del vlan
        return False

    def together(self, topology: Topology) -> tuple[Step, ...]:
        """See EndpointKind."""
        del topology
        return ()

    def readings(self, topology: Topology) -> tuple[tuple[str, str], ...]:
        """See EndpointKind."""
        del topology
        return ()

    def engines(self, topology: Topology) -> tuple[str, ...]:
        """See EndpointKind."""
        del topology
        return ()

    def steps(self, topology: Topology, endpoint: Endpoint) -> tuple[Step, ...]:
        """A macvlan child of the host's sub-interface, its address, its default route.

        A further leg gets its own name for the namespace that its container has already.
        """
        vlan = topology.vlan(endpoint.vlan)
        steps: tuple[Step, ...] = (
            *(
                {"do": "leg", "node": endpoint.name, "of": of}
                for of in filter(None, (endpoint.leg_of,))
            ),
            {
                "do": "macvlan",
                "node": endpoint.name,
                "name": endpoint.interface,
                "mode": vlan.mode,
                "parent_node": endpoint.host,
                "parent": topology.subinterface(vlan.id),
                "mac": endpoint.mac,
            },
            {
                "do": "address",
                "node": endpoint.name,
                "link": endpoint.interface,
                "cidr": f"{endpoint.address}/{vlan.subnet.prefixlen}",
                "stays": False,
            },
        )
        if endpoint.address6 and vlan.subnet6:
            cidr = f"{endpoint.address6}/{vlan.subnet6.prefixlen}"
            steps += ({**steps[-1], "cidr": cidr},)
        ways_out = topology.ways_out(endpoint)
        return steps + tuple(
            {"do": "route", "node": endpoint.name, "dst": "default", "via": via, "stays": False}
            for via in map(str, filter(None, ways_out))
        )
