"""The modelled path of a probe, point by point, written by hand."""

from __future__ import annotations

import pytest

from harness import walk
from harness.flow import Stage
from harness.topology import Topology
from tests.unit.labs import NO_MASQUERADE, ONE_VLAN, ONE_WAY, TUTORIAL, cells_of, variant

PATHS = {
    "isolated-bbox1-to-bbox3-icmp": (
        "bbox1:eth0 (out) 10, host1:eth2.10 (out) 10, host1:eth2 (out) 10, switch:host1 (in) 10, "
        "switch:host2 (out) 10, host2:eth2 (in) 10, host2:eth2.10 (in) 10, bbox3:eth0 (in) 10"
    ),
    "isolated-bbox1-to-bbox4-arp": (
        "bbox1:eth0 (out) 10, host1:eth2.10 (out) 10, host1:eth2 (out) 10, switch:host1 (in) 10, "
        "switch:host2 (out) 10, host2:eth2 (in) 10, host2:eth2.20 (in) 20, bbox4:eth0 (in) 20"
    ),
    "isolated-bbox1-to-bbox2-l2-unicast": (
        "bbox1:eth0 (out) 10, host1:eth2.10 (out) 10, host1:eth2 (out) 10, switch:host1 (in) 10, "
        "switch:host1 (out) 10, host1:eth2 (in) 10, host1:eth2.20 (in) 20, bbox2:eth0 (in) 20"
    ),
    "isolated-host1-to-bbox4-l2-broadcast": (
        "host1:eth2.20 (out) 20, host1:eth2 (out) 20, switch:host1 (in) 20, "
        "switch:host2 (out) 20, host2:eth2 (in) 20, host2:eth2.20 (in) 20, bbox4:eth0 (in) 20"
    ),
    "isolated-host1-to-bbox1-l2-unicast": (
        "host1:eth2.10 (out) 10, host1:eth2 (out) 10, switch:host1 (in) 10, "
        "switch:host1 (out) 10, host1:eth2 (in) 10, host1:eth2.10 (in) 10, bbox1:eth0 (in) 10"
    ),
    "routed-bbox1-to-bbox4-tcp": (
        "bbox1:eth0 (out) 10, host1:eth2.10 (out) 10, host1:eth2 (out) 10, switch:host1 (in) 10, "
        "switch:gateway (out) 10, gateway:eth2 (in) 10, gateway:eth2.10 (in) 10, "
        "gateway:eth2.20 (out) 20, gateway:eth2 (out) 20, switch:gateway (in) 20, "
        "switch:host2 (out) 20, host2:eth2 (in) 20, host2:eth2.20 (in) 20, bbox4:eth0 (in) 20"
    ),
    "routed-bbox3-to-gateway-icmp": (
        "bbox3:eth0 (out) 10, host2:eth2.10 (out) 10, host2:eth2 (out) 10, switch:host2 (in) 10, "
        "switch:gateway (out) 10, gateway:eth2 (in) 10, gateway:eth2.10 (in) 10"
    ),
    "routed-gateway-to-bbox2-icmp": (
        "gateway:eth2.20 (out) 20, gateway:eth2 (out) 20, switch:gateway (in) 20, "
        "switch:host1 (out) 20, host1:eth2 (in) 20, host1:eth2.20 (in) 20, bbox2:eth0 (in) 20"
    ),
}


def points(lab: Topology, cell_id: str) -> str:
    """The path of a cell: its points, each with its VLAN."""
    cell = cells_of(lab, Stage(cell_id.partition("-")[0]))[cell_id]
    return ", ".join(f"{way.point} {way.vlan}" for way in walk.path(lab, cell))


@pytest.mark.parametrize("cell_id", PATHS)
def test_a_path(cell_id: str) -> None:
    """Every point, in order, with the VLAN in which the frame must be there."""
    assert points(TUTORIAL, cell_id) == PATHS[cell_id]


def test_siblings_on_one_parent_talk_without_it() -> None:
    """Macvlan's bridge mode: neither the parent nor the trunk sees a unicast."""
    assert (
        points(ONE_VLAN, "isolated-bbox1-to-bbox2-icmp")
        == "bbox1:eth0 (out) 10, bbox2:eth0 (in) 10"
    )


def test_the_path_has_the_names_of_the_topology() -> None:
    """Another trunk, and a host whose name no switch port can have."""
    lab = variant(("interface: eth2", "interface: bond0"), ("host2", "a-long-host-name"))
    assert points(lab, "isolated-bbox1-to-bbox3-udp") == (
        "bbox1:eth0 (out) 10, host1:bond0.10 (out) 10, host1:bond0 (out) 10, switch:host1 (in) 10, "
        "switch:port2 (out) 10, a-long-host-name:bond0 (in) 10, a-long-host-name:bond0.10 (in) 10, "
        "bbox3:eth0 (in) 10"
    )


@pytest.mark.parametrize(
    ("lab", "cell_id", "vlans"),
    [
        (TUTORIAL, "isolated-bbox1-to-bbox3-icmp", {10}),
        (TUTORIAL, "isolated-bbox1-to-bbox4-icmp", {10}),
        (TUTORIAL, "isolated-bbox4-to-bbox1-l2-unicast:10", {20}),
        (TUTORIAL, "routed-bbox1-to-bbox4-icmp", {10, 20}),
        (TUTORIAL, "routed-bbox1-to-bbox4-arp", {10}),
        (NO_MASQUERADE, "routed-bbox4-to-bbox1-tcp", {10, 20}),
        (ONE_WAY, "routed-bbox1-to-bbox4-udp", {10, 20}),
        (ONE_WAY, "routed-bbox4-to-bbox1-udp", {20}),
        (TUTORIAL, "isolated-host1-to-bbox4-l2-unicast", {20}),
        (TUTORIAL, "routed-gateway-to-bbox1-icmp", {10}),
        (TUTORIAL, "routed-bbox4-to-gateway-arp", {20}),
    ],
)
def test_where_a_probe_may_be_seen_at_all(lab: Topology, cell_id: str, vlans: set[int]) -> None:
    """In the source's VLAN, and behind a router that forwards it in the destination's."""
    cell = cells_of(lab, Stage(cell_id.partition("-")[0]))[cell_id]
    assert walk.allowed_vlans(lab, cell) == vlans


def test_a_source_has_an_interface() -> None:
    """An endpoint's own, or the host's leg in the destination's VLAN."""
    cells = cells_of(TUTORIAL, Stage.ROUTED)
    assert walk.source_interface(TUTORIAL, cells["routed-bbox1-to-bbox4-tcp"]) == "eth0"
    assert walk.source_interface(TUTORIAL, cells["routed-gateway-to-bbox4-icmp"]) == "eth2.20"


@pytest.mark.parametrize(
    ("node", "interface", "tag", "vlan"),
    [
        ("bbox1", "eth0", None, 10),
        ("bbox4", "eth0", 10, 20),
        ("host1", "eth2.20", None, 20),
        ("host1", "eth2.20", 10, 20),
        ("gateway", "eth2.10", 20, 10),
        ("host1", "eth2", 20, 20),
        ("host1", "eth2", None, None),
        ("switch", "host1", 10, 10),
        ("switch", "host1", None, None),
        ("host1", "eth1", 10, None),
        ("host1", "eth1", None, None),
    ],
)
def test_the_vlan_of_a_frame(node: str, interface: str, tag: int | None, vlan: int | None) -> None:
    """The outer tag says it on the trunk; behind it the interface does, whatever the frame says."""
    assert walk.domain(TUTORIAL, node, interface, tag) == vlan


def test_who_carries_a_node() -> None:
    """An endpoint's host; a host carries itself."""
    assert walk.carrier(TUTORIAL, "bbox4") == "host2"
    assert walk.carrier(TUTORIAL, "gateway") == "gateway"
