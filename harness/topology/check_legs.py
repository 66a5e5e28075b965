"""Whether the further legs of an endpoint fit to its own, and to each other."""

from __future__ import annotations

from harness.topology.shape import File, Vlan, stations
from harness.topology.source import Source


def check_legs(shape: File, source: Source) -> None:
    """Note every mistake in `source` that no endpoint with a single leg could make."""
    for name, station in stations(shape).items():
        vlan_id, own = station.spec.vlan, shape.endpoints[station.of]
        if name == station.of or vlan_id not in shape.vlans:
            continue
        if vlan_id == own.vlan:
            found = f"{station.of} is in VLAN {vlan_id} already; name another VLAN here"
            source.mistake(station.path, found)
        elif shape.vlans[vlan_id].mode == "passthru":
            found = f"VLAN {vlan_id} is of mode passthru, and a further leg cannot be"
            source.mistake(station.path, f"{found}; give the VLAN another mode, or leave this out")
        else:
            _check_overlap(shape, station.of, vlan_id, source)


def _check_overlap(shape: File, of: str, vlan_id: int, source: Source) -> None:
    """A kernel has one way to an address, so no two legs lead to the same subnet."""
    own = shape.endpoints[of]
    also = list(own.also)
    for other in (own.vlan, *also[: also.index(vlan_id)]):
        near = shape.vlans.get(other)
        if near and other != vlan_id and _overlap(near, shape.vlans[vlan_id]):
            found = f"its subnet overlaps that of VLAN {other}, in which {of} is"
            advice = "a container knows one way to an address; leave this leg out"
            source.mistake(("endpoints", of, "also", vlan_id), f"{found}: {advice}")


def _overlap(one: Vlan, other: Vlan) -> bool:
    six = one.subnet6 and other.subnet6 and one.subnet6.overlaps(other.subnet6)
    return bool(six) or one.subnet.overlaps(other.subnet)
