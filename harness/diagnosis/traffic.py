"""What is lost on a wire, told by what passes there all the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from harness import walk
from harness.causes import Code
from harness.diagnosis.place import Kind, Place
from harness.diagnosis.scene import Finding, Scene
from harness.diagnosis.wire_filters import foreign, removal, text
from harness.flow import Point, Verdict
from harness.topology import Topology

Feature = tuple[str, ...]
"""(VLAN, whose MAC it comes from: `host` or `endpoint`, what it is, `large` or `small`)."""
OF_KIND: tuple[tuple[Code, str, set[str]], ...] = (
    (Code.ARP_FILTERED, "ARP", {"arp"}),
    (Code.NDP_FILTERED, "neighbour discovery", {"ndp"}),
    (Code.BROADCAST_LOST_TO_MACVLAN, "broadcasts", {"arp", "broadcast"}),
    (Code.MULTICAST_LOST_TO_MACVLAN, "multicast", {"ndp", "multicast"}),
)
"""What is lost where nothing else is."""
LAYER4 = {"icmp", "tcp", "udp"}
OF_PROBE = {"l2-unicast": "unicast", "l2-broadcast": "broadcast", "l2-multicast": "multicast"}


def passed(
    topology: Topology, verdicts: Iterable[Verdict]
) -> dict[tuple[Point, Point], set[Feature]]:
    """What was seen at both of two points that follow each other."""
    found: dict[tuple[Point, Point], set[Feature]] = {}
    for verdict in verdicts:
        hops = verdict.observation.path
        for near, far in pairwise(hops):
            vlan = near.vlan or walk.domain(topology, near.point.node, near.point.interface, None)
            is_host = any(near.src_mac == topology.trunk_mac(host.name) for host in topology.hosts)
            feature = _feature(verdict, str(vlan), is_host=is_host)
            found.setdefault((near.point, far.point), set()).add(feature)
    return found


def _feature(verdict: Verdict, vlan: str, *, is_host: bool) -> Feature:
    probe = verdict.cell.probe
    kind = OF_PROBE.get(probe.kind, probe.kind.removesuffix("6"))
    large = "large" if probe.kind.startswith("icmp") and probe.argument else "small"
    return vlan, "host" if is_host else "endpoint", kind, large


def lost(
    topology: Topology, verdicts: Iterable[Verdict], places: Mapping[str, Place]
) -> dict[tuple[Point, Point], set[Feature]]:
    """What was seen at the first of two points that follow each other, and not at the second."""
    found: dict[tuple[Point, Point], set[Feature]] = {}
    hosts = {topology.trunk_mac(host.name) for host in topology.hosts}
    for verdict in verdicts:
        place = places.get(verdict.cell.id)
        if place and place.kind is Kind.WIRE and place.near and place.far:
            feature = _feature(verdict, str(place.vlan), is_host=place.flow.src_mac in hosts)
            if place.asker:
                kind = "arp" if place.flow.family == "arp" else "ndp"
                feature = (feature[0], feature[1], kind, "small")
            found.setdefault((place.near, place.far), set()).add(feature)
    return found


def selective(scene: Scene) -> Finding | None:
    """What a wire drops, if it is not everything; what blind taps did not see tells nothing."""
    place = scene.place
    if not place.near or not place.far or not scene.verdict.proof.taps_lossless:
        return None
    filters = foreign(scene.lab, place.near.node, (place.near.interface,))
    filters += foreign(scene.lab, place.far.node, (place.far.interface,))
    node = place.far.node if place.far.node == "switch" else place.near.node
    at = place.far if node == place.far.node else place.near
    code, what = _told(scene)
    if filters:
        one = filters[0]
        node = _node_of(scene, one["interface"])
        shown = scene.state.cite(node, "tc")
        code = code or Code.TRUNK_DROPS_VLAN
        message = f"a filter on {node} drops {what}: {text(one)}"
        return Finding(code, node, text(one), message, removal(one), shown)
    if code is None:
        return None
    message = f"between {place.near} and {place.far}, {what} is lost, and the rest passes"
    shown = scene.state.cite(node, "links", "tc")
    return Finding(code, node, at.interface, message, "", shown)


def _node_of(scene: Scene, interface: str) -> str:
    near, far = scene.place.near, scene.place.far
    names = [point.node for point in (far, near) if point]
    return next(
        (
            node
            for node in names
            if any(one["interface"] == interface for one in scene.state.filters(node))
        ),
        names[0],
    )


def _told(scene: Scene) -> tuple[Code | None, str]:
    """The code, and what is lost, by the difference of what is lost and what passes."""
    gone, went = scene.lost, scene.passed
    vlans, through = {one[0] for one in gone}, {one[0] for one in went}
    if through and not vlans & through:
        return Code.TRUNK_DROPS_VLAN, f"VLAN {', '.join(sorted(vlans))}"
    if went and {one[1] for one in went} == {"host"} and {one[1] for one in gone} == {"endpoint"}:
        return Code.PORT_SECURITY, "what does not come from the host's own MAC address"
    kinds, passing = {one[2] for one in gone}, {one[2] for one in went}
    for code, what, of_code in OF_KIND:
        if kinds and kinds <= of_code and passing - of_code:
            return code, what
    if {one[3] for one in gone} == {"large"} and went:
        return Code.MTU_MISMATCH, "large packets"
    if kinds <= LAYER4 and passing and not kinds & passing:
        return Code.L4_FILTERED, ", ".join(sorted(kinds))
    return None, f"frames of VLAN {', '.join(sorted(vlans))}"
