"""Where frames of a cell first had another 802.1Q tag than that of their VLAN."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from harness.causes import Code
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
        self._by_mac = {end.mac: end.vlan for end in topology.endpoints}
        self._by_address = {str(end.address): end.vlan for end in topology.endpoints}

    def first(self, seen: Iterable[tuple[Point, Packet]]) -> Retag | None:
        """The first point on the way of these frames where one has a wrong tag."""
        wrong = [found for point, packet in seen if (found := self._wrong(point, packet))]
        return min(wrong, key=lambda one: self._rank(one.point), default=None)

    def _wrong(self, point: Point, packet: Packet) -> Retag | None:
        if point.node != "switch" and point.interface != self._topology.trunk:
            return None
        vlan = self._vlan(packet)
        tag = packet.vlans[0] if packet.vlans else None
        return Retag(point, vlan, tag) if vlan is not None and vlan != tag else None

    def _vlan(self, packet: Packet) -> int | None:
        """The VLAN of who sent it; of a host's frame that of who is to have it."""
        for mac in (packet.src_mac, packet.dst_mac):
            if mac in self._by_mac:
                return self._by_mac[mac]
        return self._by_address.get(packet.arp_tpa or "")

    def _rank(self, point: Point) -> int:
        at_switch = point.node == "switch"
        if point.direction == "out":
            return OUT_OF_SWITCH if at_switch else FROM_HOST
        return INTO_SWITCH if at_switch else INTO_HOST


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
            f"ip link add link {interface} name {name} type vlan id {found.vlan}"
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
