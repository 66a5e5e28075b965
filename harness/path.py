"""Sightings of one probe -> its path, where it was lost, where it should not have been."""

from __future__ import annotations

from dataclasses import dataclass

from harness import forwarding, walk
from harness.expectations import TTL
from harness.flow import Cell, Hop, Outcome, Point
from harness.sightings import Leg, Sighting
from harness.topology import Topology

ANSWERS = (Leg.REPLY, Leg.RESET)
"""What a destination says itself; an error may be about the probe or about its reply."""


@dataclass(frozen=True)
class Trace:
    """A probe's way through the lab, in the order of the topology."""

    hops: tuple[Hop, ...]
    strays: tuple[Hop, ...]
    missing: tuple[Point, ...]
    """Modelled points without a sighting."""

    @property
    def lost_at(self) -> Point | None:
        """The first modelled point where the probe was not seen; None if seen at all."""
        return self.missing[0] if self.missing else None


def trace(
    topology: Topology, cell: Cell, path: tuple[walk.Waypoint, ...], sightings: list[Sighting]
) -> Trace:
    """Order a probe's own frames (not its replies) along the modelled path, `walk.path`.

    Parent and child interfaces carry the same time stamp, so order is the topology's, not time's.
    A frame in a VLAN where it must not be is a stray, also on the way that a leak would take.
    """
    requests = [seen for seen in sightings if seen.leg is Leg.REQUEST]
    allowed = walk.allowed_vlans(topology, cell)
    on_path: dict[walk.Waypoint, Sighting] = {}
    modelled = set(path)
    strays = []
    for seen in requests:
        outer = seen.packet.vlans[0] if seen.packet.vlans else None
        vlan = walk.domain(topology, seen.point.node, seen.point.interface, outer)
        place = walk.Waypoint(seen.point, vlan) if vlan is not None else None
        if place in modelled and place:
            on_path.setdefault(place, seen)
        in_place = place in modelled or _takes_part(topology, cell, seen)
        if not in_place or _has_leaked(topology, cell, seen, vlan, allowed):
            strays.append(seen)
    return Trace(
        hops=tuple(hop(on_path[way]) for way in path if way in on_path),
        strays=tuple(hop(seen) for seen in strays),
        missing=tuple(way.point for way in path if way not in on_path),
    )


def answering(
    topology: Topology, cell: Cell
) -> tuple[str, tuple[str, ...], tuple[int, ...]] | None:
    """(leg, routers, VLANs) of a reply's way where it is not the probe's, the other way round.

    That is where several routers lead to each other's VLANs, or the destination's container has
    several legs, and none stands in for the source.
    """
    expected, lab = cell.expectation, topology.over(cell.probe)
    ends = {cell.src, cell.dst} <= lab.endpoint_vlans.keys()
    if not ends or not expected.via or cell.probe.is_layer2:
        return None
    src, dst = lab.endpoint(cell.src), lab.endpoint(cell.dst)
    went = forwarding.way(lab, cell.stage, src, dst)
    back = forwarding.answer(lab, cell.stage, src, dst, went)
    if went.translated or back.outcome is not Outcome.REACHED:
        return None
    leg = lab.leg_towards(dst, src) or dst
    same = back.via == expected.via[::-1] and leg == dst
    return None if same else (leg.name, back.via, back.vlans or (leg.vlan,))


def way_back(
    topology: Topology, cell: Cell, path: tuple[walk.Waypoint, ...]
) -> tuple[walk.Waypoint, ...]:
    """The points that a reply passes: mostly those of the request, the other way round."""
    another = answering(topology, cell)
    if another is None:
        return turned(path)
    leg, via, vlans = another
    ways: tuple[walk.Waypoint, ...] = ()
    for near, far, vlan in zip((leg, *via), (*via, cell.src), vlans, strict=True):
        ways += walk.segment(topology, near, far, vlan, vlan)
    return ways


def turned(path: tuple[walk.Waypoint, ...]) -> tuple[walk.Waypoint, ...]:
    """The same points, passed the other way round."""
    turn = {"in": "out", "out": "in"}
    return tuple(
        walk.Waypoint(way.point._replace(direction=turn[way.point.direction]), way.vlan)
        for way in reversed(path)
    )


def reply_lost_at(ways: tuple[walk.Waypoint, ...], sightings: list[Sighting]) -> Point | None:
    """The first point of its way back where a reply was not seen; None if it was seen all along."""
    seen = {one.point for one in sightings if one.leg in ANSWERS}
    return next((way.point for way in ways if way.point not in seen), None)


def hop(seen: Sighting) -> Hop:
    """A sighting in the words of a report."""
    packet = seen.packet
    return Hop(
        point=seen.point,
        vlan=packet.vlans[0] if packet.vlans else None,
        src_mac=packet.src_mac or "",
        dst_mac=packet.dst_mac or "",
        src_ip=packet.arp_spa or packet.src_ip,
        dst_ip=packet.arp_tpa or packet.nd_target or packet.dst_ip,
        ttl=packet.ttl,
        t_ns=seen.t_ns,
    )


def _has_leaked(
    topology: Topology, cell: Cell, seen: Sighting, vlan: int | None, allowed: frozenset[int]
) -> bool:
    """Whether a frame is in a VLAN where the probe must not be, or is there without a router.

    A bridge floods what it does not know, and a broadcast goes everywhere in its VLAN: neither is a
    leak by itself.
    """
    if vlan not in allowed:
        return True
    own = walk.vlan_of(topology, cell.src, cell.dst)
    return vlan != own and (seen.packet.ttl is None or seen.packet.ttl >= TTL)


def _takes_part(topology: Topology, cell: Cell, seen: Sighting) -> bool:
    """Whether a frame off the modelled path may be seen there: flooded, or sent by a node of it."""
    carriers = (cell.src, "switch", walk.carrier(topology, cell.src), *cell.expectation.via)
    return seen.point.direction == "in" or seen.point.node in carriers
