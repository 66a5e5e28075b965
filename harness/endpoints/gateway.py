"""Engines of gateway hosts, beside whatever makes the endpoints.

A gateway host that runs a Docker engine runs it in every stage and with every `--backend`: it is
the host that is special, not its endpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import plan
from harness.endpoints.containers import calls
from harness.plan import EndpointKind, Step
from harness.topology import Endpoint, Topology, Vlan

READ = ("docker-engine", "docker-log")
"""What is read of an engine that carries no endpoints."""


def with_engines(
    kind: EndpointKind, topology: Topology, programs: tuple[str, ...] = ("dockerd",)
) -> EndpointKind:
    """A kind of endpoint, and the engines of a topology's gateway hosts if there are any.

    `programs` are those of the kind's engines in turn, then those of gateway hosts; the last is for
    the rest.
    """
    return GatewayEngines(kind, programs) if topology.engines else kind


class GatewayEngines:
    """Another kind of endpoint, and engines on gateway hosts."""

    def __init__(self, kind: EndpointKind, programs: tuple[str, ...]) -> None:
        self._kind, self._programs = kind, programs
        self.name, self.bare = kind.name, kind.bare

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
        self._kind.refuse(topology)

    def engines(self, topology: Topology) -> tuple[str, ...]:
        """See EndpointKind: those of gateway hosts carry none."""
        return self._kind.engines(topology)

    def ahead(self, topology: Topology) -> tuple[Step, ...]:
        """See EndpointKind: one engine a host, which carries endpoints or routes, or both."""
        steps = [*self._kind.ahead(topology)]
        for host, engine in topology.engines.items():
            known = [step for step in steps if step["do"] == "engine"]
            both = next((step for step in known if step["node"] == host), None)
            if both:
                steps.remove(both)
            rest = self._programs[len(known) :] or self._programs[-1:]
            steps += plan.engine(host, engine, both["program"] if both else rest[0])
        return tuple(steps)

    def makes_parent(self, vlan: Vlan) -> bool:
        """See EndpointKind."""
        return self._kind.makes_parent(vlan)

    def together(self, topology: Topology) -> tuple[Step, ...]:
        """See EndpointKind: engines have made their rules before anything is tested."""
        ready = ({"do": "engine-ready", "node": host} for host in topology.engines)
        return (*self._kind.together(topology), *ready)

    def readings(self, topology: Topology) -> tuple[tuple[str, str], ...]:
        """See EndpointKind."""
        known = self._kind.engines(topology)
        own = [host for host in topology.engines if host not in known]
        return (*self._kind.readings(topology), *((host, kind) for host in own for kind in READ))

    def steps(self, topology: Topology, endpoint: Endpoint) -> tuple[Step, ...]:
        """See EndpointKind."""
        return self._kind.steps(topology, endpoint)
