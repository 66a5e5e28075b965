"""Endpoints on lab hosts: containers of the engine that a host has, or bare namespaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.endpoints.containers import calls
from harness.endpoints.docker import DockerEndpoints
from harness.endpoints.images import Image
from harness.endpoints.namespace import NamespaceEndpoints
from harness.endpoints.refusals import refuse
from harness.errors import InputError
from harness.plan import Step
from harness.sysctls import sysctls
from harness.topology import Endpoint, Topology, Vlan

READINGS = tuple(kind for kind in calls.READINGS if kind not in ("docker-log", "docker-images"))
"""What is read of an engine that has more to do than the lab."""


class LabHostEndpoints:
    """What each host's `endpoints` says."""

    name = "ssh"
    bare = False

    def __init__(self, image: Image | None = None) -> None:
        self._docker, self._bare = DockerEndpoints(image=image), NamespaceEndpoints()

    @property
    def image(self) -> str:
        """What containers are made from, by name."""
        return self._docker.image

    @property
    def apply(self) -> Callable[..., Any]:
        """See EndpointKind."""
        return calls.apply

    @property
    def evidence(self) -> Callable[..., Any]:
        """See EndpointKind."""
        return calls.evidence

    def refuse(self, topology: Topology) -> None:
        """See EndpointKind."""
        several = [end.name for end in topology.containers if topology.is_multihomed(end)]
        if several:
            raise InputError(
                f"--backend ssh: {several[0]} has several legs, which cannot be made on lab hosts "
                "yet; use --backend docker or netns, or leave `also` out"
            )
        refuse(topology, self.engines(topology))

    def engines(self, topology: Topology) -> tuple[str, ...]:
        """See EndpointKind: hosts whose endpoints are containers."""
        used = self._docker.engines(topology)
        return tuple(host for host in used if _has_containers(topology, host))

    def ahead(self, topology: Topology) -> tuple[Step, ...]:
        """See EndpointKind: engines run already."""
        del topology
        return ()

    def makes_parent(self, vlan: Vlan) -> bool:
        """See EndpointKind."""
        del vlan
        return False

    def together(self, topology: Topology) -> tuple[Step, ...]:
        """See EndpointKind: each engine's image, networks and containers."""
        return tuple(
            step for host in self.engines(topology) for step in self._docker.on(topology, host)
        )

    def readings(self, topology: Topology) -> tuple[tuple[str, str], ...]:
        """See EndpointKind."""
        return tuple((host, kind) for host in self.engines(topology) for kind in READINGS)

    def steps(self, topology: Topology, endpoint: Endpoint) -> tuple[Step, ...]:
        """See EndpointKind."""
        if _has_containers(topology, endpoint.host):
            return self._docker.steps(topology, endpoint)
        made: Step = {"do": "namespace", "node": endpoint.name, "name": endpoint.interface}
        own = sysctls(endpoint.name, ipv6=bool(endpoint.address6))
        return (made, own, *self._bare.steps(topology, endpoint))


def _has_containers(topology: Topology, host: str) -> bool:
    reach = topology.host(host).reach
    return reach is not None and reach.endpoints == "container"
