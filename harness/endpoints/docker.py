"""An endpoint as a container of a Docker engine, on a macvlan network, as people make them.

Each host that carries endpoints runs an engine of its own. What is asked of it is asked through the
Docker SDK, where the engine's socket is (`containers`); the steps here are its plan, and have
the same in docker(1)'s words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import networks
from harness.endpoints.containers import calls
from harness.endpoints.images import Image
from harness.endpoints.refusals import refuse
from harness.plan import Step
from harness.sysctls import sysctls
from harness.topology import Endpoint, Topology, Vlan


class DockerEndpoints:
    """Containers of engines.

    `programs` are the dockerd of each host in turn, the last for the rest.
    """

    name = "docker"
    bare = False

    def __init__(
        self, programs: tuple[str, ...] = ("dockerd",), image: Image | None = None
    ) -> None:
        self._programs, self._image = programs, image or Image()

    @property
    def apply(self) -> Callable[..., Any]:
        """See EndpointKind."""
        return calls.apply

    @property
    def evidence(self) -> Callable[..., Any]:
        """See EndpointKind."""
        return calls.evidence

    def refuse(self, topology: Topology) -> None:
        """See EndpointKind: what an engine refuses is refused before anything is built."""
        refuse(topology, self.engines(topology))

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

    def makes_parent(self, vlan: Vlan) -> bool:
        """See EndpointKind: Docker makes `eth2.10` if there is none when its network is made."""
        return vlan.parent == "engine"

    def together(self, topology: Topology) -> tuple[Step, ...]:
        """See EndpointKind: each engine's image, networks and containers, engines side by side."""
        groups = [
            [{"do": "engine-ready", "node": host}, *self.on(topology, host)]
            for host in self.engines(topology)
        ]
        return ({"do": "side-by-side", "groups": groups},)

    def steps(self, topology: Topology, endpoint: Endpoint) -> tuple[Step, ...]:
        """See EndpointKind: the container's namespace is entered, and given its sysctls."""
        adopt = {"do": "adopt", "node": endpoint.name, "host": endpoint.host}
        ipv6 = topology.has_ipv6(endpoint.name)
        return (
            {**adopt, **({"container": endpoint.leg_of} if endpoint.leg_of else {})},
            sysctls(endpoint.name, endpoint.interface, ipv6=ipv6),
        )

    def readings(self, topology: Topology) -> tuple[tuple[str, str], ...]:
        """See EndpointKind: what `docker inspect` and `docker info` say on each host."""
        hosts = self.engines(topology)
        return tuple((host, kind) for host in hosts for kind in calls.READINGS)

    @property
    def image(self) -> str:
        """What containers are made from, by the name that engines call it."""
        return self._image.name

    def on(self, topology: Topology, host: str) -> list[Step]:
        """The image, networks and containers of one engine, which answers."""
        vlans = [topology.vlan(vlan_id) for vlan_id in topology.vlans_of_host(host)]
        carried = [endpoint for endpoint in topology.endpoints if endpoint.host == host]
        first = [endpoint for endpoint in carried if endpoint.leg_of is None]
        further = [endpoint for endpoint in carried if endpoint.leg_of]
        return [
            _image(host, self._image),
            *(_network(topology, host, vlan) for vlan in vlans),
            *(self._container(topology, endpoint) for endpoint in first),
            *(_connect(topology, endpoint) for endpoint in further),
        ]

    def _container(self, topology: Topology, endpoint: Endpoint) -> Step:
        network = topology.vlan(endpoint.vlan).network
        address, address6 = str(endpoint.address), _text(endpoint.address6)
        legs = [_connect(topology, leg) for leg in topology.legs[endpoint.name][1:]]
        argv = [
            "docker", "run", "--detach", "--name", endpoint.name, "--network", network,
            "--ip", address, *networks.option("--ip6", address6), "--mac-address", endpoint.mac,
            self._image.name, *calls.WAITING,
        ]  # fmt: skip
        return {
            "do": "container", "node": endpoint.host, "name": endpoint.name, "network": network,
            "address": address, "address6": address6, "mac": endpoint.mac,
            "image": self._image.name, "command": list(calls.WAITING), "argv": argv,
            **({"legs": legs} if legs else {}),
        }  # fmt: skip


def _image(host: str, image: Image) -> Step:
    made = ["docker", "import", "-", image.name]
    argv = ["docker", "load", "--input", image.archive] if image.archive else made
    return {
        "do": "image",
        "node": host,
        "image": image.name,
        "archive": image.archive,
        "argv": argv,
    }


def _network(topology: Topology, host: str, vlan: Vlan) -> Step:
    return {
        "do": "network", "node": host, "name": vlan.network, "pools": networks.pools(host, vlan),
        "internal": networks.is_internal(vlan), "ipv6": vlan.subnet6 is not None,
        "options": networks.options(topology, vlan),
        "argv": networks.create(topology, host, vlan),
    }  # fmt: skip


def _connect(topology: Topology, leg: Endpoint) -> Step:
    """The step that gives a container that runs a further leg."""
    network = topology.vlan(leg.vlan).network
    address, address6 = str(leg.address), _text(leg.address6)
    options = ["--ip", address, *networks.option("--ip6", address6)]
    return {
        "do": "connect", "node": leg.host, "name": leg.container, "network": network,
        "address": address, "address6": address6, "mac": leg.mac, "interface": leg.interface,
        "argv": ["docker", "network", "connect", *options, network, leg.container],
    }  # fmt: skip


def _text(value: object) -> str | None:
    return str(value) if value else None
