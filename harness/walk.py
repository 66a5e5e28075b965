"""Walk a probe through the modelled network: the points that it passes, in order.

The model knows VLAN membership, macvlan's modes, the trunk and the routers. It never looks at a
lab.
"""

from __future__ import annotations

from typing import NamedTuple

from harness.flow import Cell, Family, Outcome, Point
from harness.topology import Endpoint, Topology


class Waypoint(NamedTuple):
    """A point of a modelled path, and the VLAN in which the frame must be there."""

    point: Point
    vlan: int


def path(topology: Topology, cell: Cell) -> tuple[Waypoint, ...]:
    """The points from the source's interface to the destination's.

    For a cell that must not reach these are the points on the way that a leak would take: out in
    the source's VLAN and in at the destination, so that "lost before" can be said of it too.
    """
    src, dst = cell.src, cell.arrival
    expected = cell.expectation
    if not expected.via:
        vlan = vlan_of(topology, src, dst)
        return segment(topology, src, dst, vlan, vlan_of(topology, dst, src))
    points: tuple[Waypoint, ...] = ()
    ends = zip((src, *expected.via), (*expected.via, dst), expected.vlans, strict=True)
    for near, far, vlan in ends:
        points += segment(topology, near, far, vlan, vlan)
    return points


def allowed_vlans(topology: Topology, cell: Cell) -> frozenset[int]:
    """The VLANs in which the probe's frames may be seen at all."""
    expected = cell.expectation
    own = vlan_of(topology, cell.src, cell.dst)
    too_large = cell.family is Family.MTU and expected.outcome is Outcome.SILENT
    arrives = expected.outcome is Outcome.REACHED or expected.arrives or too_large
    return frozenset((own, *(expected.vlans if arrives else expected.vlans[:-1])))


def vlan_of(topology: Topology, node: str, other: str) -> int:
    """The VLAN of a node; a host stands in the VLAN of the node that it talks to."""
    vlan = topology.endpoint_vlans.get(node)
    return topology.endpoint_vlans[other] if vlan is None else vlan


def carrier(topology: Topology, node: str) -> str:
    """The host that a node's frames leave through: an endpoint's host, or the host itself."""
    return topology.endpoint_hosts.get(node, node)


def siblings(topology: Topology, src: str, dst: str) -> bool:
    """Whether two endpoints are of one VLAN and parent in bridge mode, and talk past the parent."""
    hosts, vlans = topology.endpoint_hosts, topology.endpoint_vlans
    if src not in hosts or (hosts[src], vlans[src]) != (hosts.get(dst), vlans.get(dst)):
        return False
    return topology.vlan(vlans[src]).mode == "bridge"


def source_interface(topology: Topology, cell: Cell) -> str:
    """The interface of the source that a probe leaves through."""
    own = topology.interface(cell.src)
    return own or topology.subinterface(vlan_of(topology, cell.src, cell.dst))


def stranger(topology: Topology, leg: Endpoint) -> Endpoint | None:
    """Somebody else in a leg's VLAN: of one leg, and on another host, as far as there is any."""
    others = [
        end for end in topology.endpoints if end.vlan == leg.vlan and end.container != leg.container
    ]

    def far(end: Endpoint) -> tuple[bool, bool]:
        return topology.is_multihomed(end), end.host == leg.host

    return min(others, key=far, default=None)


def leaving_by(topology: Topology, node: str) -> str:
    """The interface that a node's packets must be told to leave by: that of one of several legs."""
    legs = topology.legs.get(node, ())
    return topology.endpoint(node).interface if len(legs) > 1 else ""


def domain(topology: Topology, node: str, interface: str, outer_tag: int | None) -> int | None:
    """The VLAN in which a frame is, when seen at an interface; None where there is none.

    On the trunk the outer tag says it; behind it the interface does, whatever tag of its own a
    frame carries there.
    """
    endpoint_vlan = topology.endpoint_vlans.get(node)
    if endpoint_vlan is not None:
        return endpoint_vlan
    prefix = f"{topology.trunk}."
    if interface.startswith(prefix):
        return int(interface[len(prefix) :])
    return None if interface == topology.management else outer_tag


def segment(topology: Topology, src: str, dst: str, out: int, into: int) -> tuple[Waypoint, ...]:
    """One layer-2 segment; siblings in bridge mode talk without their parent seeing unicast."""
    if out == into and siblings(topology, src, dst):
        return (
            Waypoint(_own(topology, src, "out"), out),
            Waypoint(_own(topology, dst, "in"), into),
        )
    ways = (*_leaving(topology, src, out), *_entering(topology, dst, out, into))
    return tuple(way for way in ways if topology.switched or way.point.node != "switch")


def _own(topology: Topology, node: str, direction: str) -> Point:
    """A point at the interface of an endpoint."""
    return Point(node, topology.endpoint(node).interface, direction)


def _leaving(topology: Topology, node: str, vlan: int) -> tuple[Waypoint, ...]:
    host = carrier(topology, node)
    at_switch = Point("switch", topology.port(host), "in")
    if topology.host(host).external:
        return (Waypoint(at_switch, vlan),)
    points = (
        Point(host, topology.subinterface(vlan), "out"),
        Point(host, topology.trunk, "out"),
        at_switch,
    )
    own = (_own(topology, node, "out"),) if host != node else ()
    return tuple(Waypoint(point, vlan) for point in own + points)


def _entering(topology: Topology, node: str, wire: int, vlan: int) -> tuple[Waypoint, ...]:
    """In at a node: on the trunk still in VLAN `wire`, behind it in `vlan`."""
    host = carrier(topology, node)
    at_switch = Waypoint(Point("switch", topology.port(host), "out"), wire)
    if topology.host(host).external:
        return (at_switch,)
    own = (Waypoint(_own(topology, node, "in"), vlan),) if host != node else ()
    return (
        at_switch,
        Waypoint(Point(host, topology.trunk, "in"), wire),
        Waypoint(Point(host, topology.subinterface(vlan), "in"), vlan),
        *own,
    )
