"""The contract of every kind of endpoint, on every kind of machine that can carry it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness import topology
from harness.endpoints.docker import DockerEndpoints
from harness.endpoints.namespace import NamespaceEndpoints
from harness.flow import Cell, Family, Stage, Verdict
from harness.lab import Lab
from harness.matrix import matrix
from harness.sightings import find
from harness.topology import Topology
from harness.verdict import judge
from tests.contract import conftest

FILE = Path(__file__).parents[2] / "topologies" / "macvlan-two-host.yaml"
CARRIERS = [
    (conftest.fake, NamespaceEndpoints),
    (conftest.private, NamespaceEndpoints),
    (conftest.private, DockerEndpoints),
]
"""The fake has no engines."""
NAMES = ("bbox1", "bbox2", "bbox3", "bbox4")


class Built:
    """A built lab that was swept once: what was read of its nodes, and its verdicts."""

    def __init__(self, lab: Lab) -> None:
        self.topology: Topology = lab.topology
        cells = matrix(lab.topology, (Stage.ISOLATED,)).cells
        chosen = [cell for cell in cells if cell.family is Family.SAME_VLAN]
        swept = lab.sweep(chosen)
        record = swept.record()
        verdicts = judge(lab.topology, record, find(record.frames, record.tokens), cells)
        self.verdicts: dict[Cell, Verdict] = {verdict.cell: verdict for verdict in verdicts}
        self._read = {reading.name: reading.parsed for reading in swept.evidence(record)}

    def of(self, node: str, kind: str, interface: str) -> list[dict[str, Any]]:
        """The entries of a node's reading that are about an interface."""
        entries = self._read[f"isolated/{node}/{kind}/before"]
        return [one for one in entries if one.get("interface", one.get("name")) == interface]


@pytest.fixture(
    scope="module",
    params=CARRIERS,
    ids=lambda pair: f"{pair[0].__name__}-{pair[1].name}",
)
def built(request: pytest.FixtureRequest) -> Iterator[Built]:
    """The tutorial lab with endpoints of a kind, on a machine of a kind."""
    kind_of_machine, kind = request.param
    if kind is DockerEndpoints:
        conftest.needs_docker()
    read = topology.parse(topology.text(str(FILE)), FILE.name)
    for machine in kind_of_machine(request):
        with closing(Lab(read, machine, endpoints=kind())) as lab:
            lab.build()
            result = Built(lab)
        yield result


@pytest.mark.parametrize("name", NAMES)
def test_mac_is_the_topologys(built: Built, name: str) -> None:
    """Each endpoint has one macvlan interface with the MAC address asked for, and it is up."""
    endpoint = built.topology.endpoint(name)
    (link,) = built.of(name, "links", endpoint.interface)
    assert (link["kind"], link["mac"], link["up"]) == ("macvlan", endpoint.mac, True)


@pytest.mark.parametrize("name", NAMES)
def test_address_is_the_topologys(built: Built, name: str) -> None:
    """Each endpoint has its address, with the prefix length of its VLAN's subnet, and no other."""
    endpoint = built.topology.endpoint(name)
    prefix = built.topology.vlan(endpoint.vlan).subnet.prefixlen
    found = built.of(name, "addresses", endpoint.interface)
    assert [entry["address"] for entry in found] == [f"{endpoint.address}/{prefix}"]


@pytest.mark.parametrize("name", NAMES)
def test_default_route_is_the_vlans_gateway(built: Built, name: str) -> None:
    """Each endpoint's default route leads to its VLAN's gateway address."""
    endpoint = built.topology.endpoint(name)
    routes = built.of(name, "routes", endpoint.interface)
    default = [route["via"] for route in routes if route["dst"] == "default"]
    assert default == [str(built.topology.vlan(endpoint.vlan).gateway)]


@pytest.mark.parametrize("name", NAMES)
def test_it_reaches_its_vlan_peer(built: Built, name: str) -> None:
    """Each endpoint reaches the other one of its VLAN with every probe, and that is proved."""
    own = [verdict for cell, verdict in built.verdicts.items() if cell.src == name]
    assert own
    assert not [verdict.explain() for verdict in own if not verdict.ok]
