"""Where frames of a cell first had another 802.1Q tag than that of their VLAN."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from harness.causes import Code
from harness.diagnosis import links
from harness.diagnosis.scene import Finding, Lab
from harness.diagnosis.wire_filters import filter_fix
from harness.flow import Point
from harness.frame import Packet
from harness.topology import Topology


class Retag(NamedTuple):
    """A point where a frame was seen with another tag than its VLAN's."""

    point: Point
    vlan: int
    """The VLAN that it is of."""
    tag: int | None
    """The tag that it had; None for none."""


FROM_HOST, INTO_SWITCH, OUT_OF_SWITCH, INTO_HOST = range(4)


class Tags:
    """Tells of a frame which tag it must have on the wire."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        hosts = {topology.trunk_mac(host.name) for host in topology.hosts}
        # In mode passthru an endpoint has its host's MAC address, which tells no VLAN.
        self._by_mac = {end.mac: end.vlan for end in topology.endpoints if end.mac not in hosts}

    def first(self, seen: Iterable[tuple[Point, Packet]]) -> Retag | None:
        """The first point on the way of these frames where one has a wrong tag."""
        every = list(seen)
        frames = [one for one in every if self._is_on_wire(one[0])]
        sent = {
            (packet.src_mac, packet.dst_mac): _tag(packet)
            for point, packet in frames
            if self._rank(point) == FROM_HOST
        }
        for point, packet in every:
            leg = self._leg(point)
            if leg is not None:
                sent[packet.src_mac, packet.dst_mac] = leg
        wrong = []
        for point, packet in frames:
            own = self._by_mac.get(packet.src_mac or "")
            # A host sends into several VLANs: the sub-interface that a frame left by says which, or
            # else the tag that it left with.
            vlan = sent.get((packet.src_mac, packet.dst_mac)) if own is None else own
            if vlan is not None and vlan != _tag(packet):
                wrong.append(Retag(point, vlan, _tag(packet)))
        return min(wrong, key=lambda one: self._rank(one.point), default=None)

    def _leg(self, point: Point) -> int | None:
        """The VLAN of the sub-interface that a frame leaves by."""
        trunk, _, vlan = point.interface.partition(".")
        leaves = point.direction == "out" and trunk == self._topology.trunk
        return int(vlan) if leaves and vlan else None

    def _is_on_wire(self, point: Point) -> bool:
        return point.node == "switch" or point.interface == self._topology.trunk

    def _rank(self, point: Point) -> int:
        at_switch = point.node == "switch"
        if point.direction == "out":
            return OUT_OF_SWITCH if at_switch else FROM_HOST
        return INTO_SWITCH if at_switch else INTO_HOST


def _tag(packet: Packet) -> int | None:
    return packet.vlans[0] if packet.vlans else None


def settled(found: dict[str, Retag]) -> dict[str, Retag]:
    """Retags by cell; a port that takes tags off bares what is below them of frames with two."""
    bare = {(one.point, one.vlan) for one in found.values() if one.tag is None}
    return {
        name: one._replace(tag=None) if (one.point, one.vlan) in bare else one
        for name, one in found.items()
    }


def of_retag(lab: Lab, found: Retag) -> Finding:
    """What changed a frame's tag, or put a wrong one on."""
    point, had = found.point, "no tag" if found.tag is None else f"the tag {found.tag}"
    node, interface = point.node, point.interface
    shown = (*lab.state.cite(node, "tc"), *lab.state.cite(node, "links"))
    direction = "egress" if point.direction == "out" else "ingress"
    if node != "switch" and point.direction == "out":
        name = lab.topology.subinterface(found.vlan)
        code = Code.UNTAGGED_LEAK if found.tag is None else Code.VLAN_ID_MISMATCH
        message = f"{node} sends frames of VLAN {found.vlan} with {had}"
        fix = filter_fix(lab, node, (interface, name), direction) or (
            f"ip link delete {name} && {links.subinterface_made(lab, node, found.vlan)}"
        )
        return Finding(code, node, name, message, fix, shown)
    native = found.tag is None
    code = Code.NATIVE_VLAN_MISMATCH if native else Code.VLAN_LEAK
    where = f"the switch port {interface}" if node == "switch" else f"{node}'s {interface}"
    way = "leave" if point.direction == "out" else "come in at"
    message = f"frames of VLAN {found.vlan} {way} {where} with {had}"
    fix = filter_fix(lab, node, (interface,), direction) or (
        f"bridge vlan add dev {interface} vid {found.vlan}"
    )
    return Finding(code, node, interface, message, fix, shown)
