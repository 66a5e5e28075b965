"""An endpoint as a container of a Docker engine, on a macvlan network, as people make them.

Each host that carries endpoints runs an engine of its own. What is asked of it is asked through the
Docker SDK, where the engine's socket is (`containers`); the steps here are its plan, and have
the same in docker(1)'s words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from typing import Any

from harness.endpoints.containers import inspection, operations
from harness.errors import InputError
from harness.plan import Step, sysctls
from harness.topology import Endpoint, Topology, Vlan

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
"""What Docker takes for a container's name (daemon/names.RestrictedNamePattern)."""
IMAGE, LOADED = "busybox:latest", "endpoint:latest"
"""What the image is called that is made here, and one that is loaded from a file."""


class DockerEndpoints:
    """Containers of engines.

    `programs` are the dockerd of each host in turn, the last for the rest. `archive` is a file that
    `docker load` takes; without one the image is made of the machine's static busybox.
    """

    name = "docker"
    bare = False

    def __init__(
        self, programs: tuple[str, ...] = ("dockerd",), archive: str | None = None
    ) -> None:
        self._programs, self._archive = programs, archive
        self._image = LOADED if archive else IMAGE

    @property
    def apply(self) -> Callable[..., Any]:
        """See EndpointKind."""
        return operations.apply

    @property
    def evidence(self) -> Callable[..., Any]:
        """See EndpointKind."""
        return inspection.evidence

    def refuse(self, topology: Topology) -> None:
        """See EndpointKind: what an engine refuses is refused before anything is built."""
        for endpoint in topology.endpoints:
            if not NAME.fullmatch(endpoint.name):
                raise InputError(
                    f"--backend docker: {endpoint.name!r} cannot be a container's name: "
                    "Docker wants at least two characters"
                )
            if endpoint.address6:
                raise InputError(
                    f"--backend docker: {endpoint.name} has an IPv6 address, which this backend "
                    "does not make yet; --backend netns does"
                )
        for host in self.engines(topology):
            _refuse_overlap(topology, host)

    def engines(self, topology: Topology) -> tuple[str, ...]:
        """See EndpointKind: hosts without endpoints run none."""
        used = set(topology.endpoint_hosts.values())
        return tuple(host.name for host in topology.hosts if host.name in used)

    def ahead(self, topology: Topology) -> tuple[Step, ...]:
        """See EndpointKind: the engines, which start up while the links are made."""
        hosts = self.engines(topology)
        programs = [*self._programs, *[self._programs[-1]] * len(hosts)]
        return tuple(
            {"do": "engine", "node": host, "program": program}
            for host, program in zip(hosts, programs, strict=False)
        )

    def together(self, topology: Topology) -> tuple[Step, ...]:
        """See EndpointKind: each engine's image, networks and containers, engines side by side."""
        groups = [self._of_engine(topology, host) for host in self.engines(topology)]
        return ({"do": "side-by-side", "groups": groups},)

    def steps(self, topology: Topology, endpoint: Endpoint) -> tuple[Step, ...]:
        """See EndpointKind: the container's namespace is entered, and given its sysctls."""
        del topology
        return (
            {"do": "adopt", "node": endpoint.name, "host": endpoint.host},
            sysctls(endpoint.name, endpoint.interface, ipv6=False),
        )

    def readings(self, topology: Topology) -> tuple[tuple[str, str], ...]:
        """See EndpointKind: what `docker inspect` and `docker info` say on each host."""
        hosts = self.engines(topology)
        return tuple((host, kind) for host in hosts for kind in inspection.READERS)

    def _of_engine(self, topology: Topology, host: str) -> list[Step]:
        vlans = [topology.vlan(vlan_id) for vlan_id in topology.vlans_of_host(host)]
        carried = [endpoint for endpoint in topology.endpoints if endpoint.host == host]
        return [
            {"do": "engine-ready", "node": host},
            {"do": "image", "node": host, "image": self._image, "archive": self._archive},
            *(_network(topology, host, vlan) for vlan in vlans),
            *(self._container(topology, endpoint) for endpoint in carried),
        ]

    def _container(self, topology: Topology, endpoint: Endpoint) -> Step:
        network = topology.vlan(endpoint.vlan).network
        address = str(endpoint.address)
        argv = [
            "docker", "run", "--detach", "--name", endpoint.name, "--network", network,
            "--ip", address, "--mac-address", endpoint.mac, self._image, *operations.WAITING,
        ]  # fmt: skip
        return {
            "do": "container", "node": endpoint.host, "name": endpoint.name, "network": network,
            "address": address, "mac": endpoint.mac, "image": self._image, "argv": argv,
        }  # fmt: skip


def _network(topology: Topology, host: str, vlan: Vlan) -> Step:
    """A macvlan network. Without a gateway it is internal: Docker would choose one otherwise."""
    parent = topology.subinterface(vlan.id)
    way_out = ["--gateway", str(vlan.gateway)] if vlan.gateway else ["--internal"]
    options = {"parent": parent, "macvlan_mode": vlan.mode}
    argv = [
        "docker", "network", "create", "--driver", "macvlan", "--subnet", str(vlan.subnet),
        *way_out, *(word for key, value in options.items() for word in ("-o", f"{key}={value}")),
        vlan.network,
    ]  # fmt: skip
    return {
        "do": "network", "node": host, "name": vlan.network, "subnet": str(vlan.subnet),
        "gateway": str(vlan.gateway) if vlan.gateway else None, "options": options, "argv": argv,
    }  # fmt: skip


def _refuse_overlap(topology: Topology, host: str) -> None:
    vlans = [topology.vlan(vlan_id) for vlan_id in topology.vlans_of_host(host)]
    for one, other in combinations(vlans, 2):
        if one.subnet.overlaps(other.subnet):
            raise InputError(
                f"--backend docker: the engine of {host} would refuse {other.network}: its subnet "
                f"{other.subnet} overlaps with {one.subnet} of {one.network}; put endpoints of "
                f"VLAN {one.id} and {other.id} on different hosts, or use --backend netns"
            )
