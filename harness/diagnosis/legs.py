"""Routes of a container that has several legs: which of them its packets can leave by."""

from __future__ import annotations

from typing import Any

from harness.diagnosis.scene import Scene
from harness.diagnosis.state import within
from harness.topology import Endpoint, Topology

Way = tuple[str | None, str]
"""(next hop or None for a direct one, interface)."""


def routes(scene: Scene, node: str, dst: str) -> list[dict[str, Any]] | None:
    """The routes that a node's packet to an address can take, the best one first.

    A probe is kept to the leg that it leaves by, so routes by others are none of its; a default
    route is, if it must be by that leg. None where there need be no route: out of the other legs
    an address that is nobody's there is asked for all the same.
    """
    found, own = scene.state.routes(node, dst), bound(scene, node)
    if own is None:
        return found
    default = scene.topology.default_leg(own) == own
    found = [
        one
        for one in found
        if one["interface"] == own.interface or (default and one["dst"] == "default")
    ]
    near = within(dst, str(scene.topology.vlan(own.vlan).subnet))
    return found if found or default or near else None


def bound(scene: Scene, node: str) -> Endpoint | None:
    """The leg that a node's packet is kept to: a probe's own, where there are several."""
    own = scene.lab.endpoint(node)
    sends = own is not None and node == scene.cell.src and not scene.place.flow.is_reply
    return own if own and sends and scene.topology.is_multihomed(own) else None


def expected_way(topology: Topology, node: str, dst: str, kept_to: Endpoint | None) -> Way:
    """How an endpoint must send to an address: by the leg that it is kept to, or by its routes."""
    end = topology.endpoint(node)
    near = [leg for leg in topology.legs[node] if within(dst, str(topology.vlan(leg.vlan).subnet))]
    leg = kept_to or next(iter(near), topology.default_leg(end) or end)
    vlan = topology.vlan(leg.vlan)
    by_gateway = leg not in near and leg == (topology.default_leg(end) or end)
    return (str(vlan.gateway) if vlan.gateway and by_gateway else None), leg.interface
