"""Where a cell's packet was lost: at its sender, between two points, in a router, at its receiver.

What was lost may be the probe, its reply, or a kernel's question for the next hop of either (ARP or
NDP): without an answer to that nothing else leaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise

from harness import walk
from harness.diagnosis.filtering import Flow, family_of, length_of, protocol_of
from harness.flow import Cell, Outcome, Point, Verdict
from harness.frame import Packet
from harness.observe import UNRESOLVED, address_of
from harness.path import ANSWERS, answering, turned, way_back
from harness.record import Record, Wave
from harness.sightings import ADVERTISEMENT, NOBODY, Leg, Sighting, Sightings
from harness.topology import Topology

ARP_REPLY = 2
"""RFC 826."""


class Kind(StrEnum):
    """What kind of place it is."""

    SENDER = "sender"
    """A node that was to send it, and was not seen sending it."""
    WIRE = "wire"
    """Between two points."""
    ROUTER = "router"
    """A node that took it in, and was not seen sending it on."""
    RECEIVER = "receiver"
    """The node that it was for: it came in there, and nothing came of it."""


@dataclass(frozen=True)
class Place:
    """Where something was lost, and what it was."""

    kind: Kind
    node: str
    """The sender, router or receiver; on a wire the node that it was seen at last."""
    peer: str
    """Who was to get it: the next node that looks into it."""
    vlan: int
    """The VLAN in which it was to be: of a router the one that it was to go on in."""
    flow: Flow
    near: Point | None = None
    """Where it was seen last."""
    far: Point | None = None
    """Where it was not seen."""
    next_hop: str | None = None
    """The address that the peer has on this segment."""
    asker: str = ""
    """Of a question for a next hop: who asked."""
    asked: str = ""
    """Likewise: who was asked."""

    def __str__(self) -> str:
        what = "the probe"
        if self.asker:
            word = "answer to the question" if self.flow.is_reply else "question"
            what = f"the {word} of {self.asker} for {self.next_hop}"
        elif self.flow.is_reply:
            what = "the reply"
        if self.kind is Kind.SENDER:
            return f"{what} was not seen leaving {self.node}"
        if self.kind is Kind.RECEIVER:
            return f"{what} came in at {self.near}, and nothing came of it"
        if self.kind is Kind.ROUTER:
            return f"{what} came in at {self.near}, and was not seen at {self.far}"
        return f"{what} was lost between {self.near} and {self.far}"


@dataclass
class _Questions:
    """The kernels' own questions for neighbours, and the answers."""

    asked: dict[tuple[str, str], list[tuple[Point, Packet, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By the asker's MAC and the address asked for."""
    answered: dict[tuple[str, str], list[tuple[Point, Packet, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, point: Point, t_ns: int, packet: Packet) -> None:
        """Remember a frame in which a kernel asks, or somebody answers."""
        seen = (point, packet, t_ns)
        if packet.arp_op == ARP_REPLY:
            self.answered[packet.dst_mac or "", packet.arp_spa or ""].append(seen)
        elif packet.arp_op and packet.arp_spa != NOBODY:
            self.asked[packet.src_mac or "", packet.arp_tpa or ""].append(seen)
        elif packet.icmp_type == ADVERTISEMENT:
            self.answered[packet.dst_mac or "", packet.nd_target or ""].append(seen)
        else:
            self.asked[packet.src_mac or "", packet.nd_target or ""].append(seen)


class Places:
    """Finds the places of one sweep."""

    def __init__(self, topology: Topology, record: Record, sightings: Sightings) -> None:
        self._topology, self._sightings = topology, sightings
        self._questions = _Questions()
        for point, t_ns, packet in sightings.questions:
            self._questions.add(point, t_ns, packet)
        self._waves = {sent.token: wave for wave in record.waves for sent in wave.sent}

    def of(self, verdicts: Iterable[Verdict]) -> dict[str, Place]:
        """The place of each cell that must arrive, or get an answer, and did not."""
        found = {one.cell.id: self._of(one) for one in verdicts if not one.ok}
        return {name: place for name, place in found.items() if place}

    def questions(self, place: Place) -> list[tuple[Point, Packet]]:
        """Every question for the next hop of a place, and every answer."""
        both = (*self._questions.asked.items(), *self._questions.answered.items())
        return [
            (point, packet)
            for key, seen in both
            if key[1] == place.next_hop
            for point, packet, _ in seen
        ]

    def _of(self, verdict: Verdict) -> Place | None:
        cell, seen = verdict.cell, verdict.observation
        must = cell.expectation.outcome is Outcome.REACHED or cell.expectation.arrives
        if not must or seen.outcome is Outcome.REACHED:
            return None
        every = self._sightings.by_token.get(verdict.token, [])
        looker = _Way(self._topology, cell, self._waves[verdict.token], every, self._questions)
        lost = looker.lost(is_reply=False) or looker.lost(is_reply=True)
        return lost or (looker.kept_back() if seen.outcome is Outcome.SILENT else None)


class _Way:
    """One cell's way, there and back."""

    def __init__(
        self,
        topology: Topology,
        cell: Cell,
        wave: Wave,
        sightings: list[Sighting],
        questions: _Questions,
    ) -> None:
        self._topology, self._cell, self._wave = topology, cell, wave
        self._addressed = topology.over(cell.probe)
        self._sightings, self._questions = sightings, questions
        self._path = walk.path(topology, cell)

    def lost(self, *, is_reply: bool) -> Place | None:
        """Where the probe, or its reply, was lost; None if it was seen all the way."""
        ways = self._path
        if is_reply:
            ways = way_back(self._topology, self._cell, ways)
        legs = ANSWERS if is_reply else (Leg.REQUEST,)
        mine = [one for one in self._sightings if one.leg in legs]
        points = {one.point: one for one in mine if self._in_place(one.point, one.packet, ways)}
        number = next((no for no, way in enumerate(ways) if way.point not in points), None)
        if number is None:
            return None
        near = ways[number - 1].point if number else None
        far, vlan = ways[number].point, ways[number].vlan
        node, peer = self._ends(is_reply=is_reply, number=number)
        flow = self._flow(points.get(near) if near else None, is_reply=is_reply)
        place = Place(
            kind=_kind(near, far),
            node=node if near is None else near.node,
            peer=peer,
            vlan=vlan,
            flow=flow,
            near=near,
            far=far,
            next_hop=self._address(peer, vlan),
        )
        question = self._question(place) if place.kind is not Kind.WIRE else None
        if question or near or not is_reply:
            return question or place
        # Nothing left the destination: it did not take the probe, or could not send the reply.
        arrival = self._path[-1].point
        came = next((one for one in self._sightings if one.point == arrival), None)
        probe = self._flow(came, is_reply=False)
        return replace(place, kind=Kind.RECEIVER, near=arrival, flow=probe)

    def kept_back(self) -> Place:
        """At its source, where its reply came in, and which kept it from the socket that asked."""
        arrival = way_back(self._topology, self._cell, self._path)[-1]
        mine = [one for one in self._sightings if one.leg in ANSWERS]
        came = next((one for one in mine if one.point == arrival.point), None)
        node = self._cell.src
        flow = self._flow(came, is_reply=True)
        return Place(Kind.RECEIVER, node, node, arrival.vlan, flow, near=arrival.point)

    def _in_place(self, point: Point, packet: Packet, ways: tuple[walk.Waypoint, ...]) -> bool:
        """Whether a frame is where it must be, in the VLAN in which it must be there."""
        outer = packet.vlans[0] if packet.vlans else None
        vlan = walk.domain(self._topology, point.node, point.interface, outer)
        return vlan is not None and walk.Waypoint(point, vlan) in ways

    def _ends(self, *, is_reply: bool, number: int) -> tuple[str, str]:
        """Who sends on the segment of a waypoint, and to whom."""
        cell = self._cell
        via, vlans = cell.expectation.via, cell.expectation.vlans
        nodes = [cell.src, *via, cell.arrival]
        if is_reply:
            turned = (cell.arrival, via[::-1], vlans[::-1])
            first, via, vlans = answering(self._topology, cell) or turned
            nodes = [first, *via, cell.src]
        passed = 0
        for (node, peer), vlan in zip(pairwise(nodes), vlans, strict=False):
            passed += len(walk.segment(self._topology, node, peer, vlan, vlan))
            if number < passed:
                return node, peer
        return nodes[0], nodes[1]

    def _address(self, peer: str, vlan: int) -> str | None:
        """A node's address in a VLAN."""
        topology = self._addressed
        if peer in topology.endpoint_vlans:
            return str(topology.endpoint(peer).address)
        routers = [one for one in topology.gateways if one.host == peer]
        address = routers[0].address_in(vlan) if routers else None
        return str(address) if address else None

    def _flow(self, seen: Sighting | None, *, is_reply: bool) -> Flow:
        """The packet as it was seen last, or as it was to be."""
        cell, kind = self._cell, self._cell.probe.kind
        own = address_of(self._addressed, cell.src, cell.dst)
        to = address_of(self._addressed, cell.dst, cell.src)
        src, dst = (to, own) if is_reply else (own, to)
        if seen:
            src, dst = seen.packet.src_ip or src, seen.packet.dst_ip or dst
        layer2 = "ip6" if kind == "ndp" else "arp" if kind == "arp" else ""
        return Flow(
            family=layer2 if cell.probe.is_layer2 else family_of(to),
            src=src,
            dst=dst,
            protocol=protocol_of(kind),
            is_reply=is_reply,
            length=0 if cell.probe.is_layer2 else length_of(kind, cell.probe.argument),
            src_mac=(seen.packet.src_mac or "") if seen else "",
            dst_mac=(seen.packet.dst_mac or "") if seen else "",
            vlan=seen.packet.vlans[0] if seen and seen.packet.vlans else None,
        )  # fmt: skip

    def _question(self, place: Place) -> Place | None:
        """Where the question for the next hop was lost that had to come first, or its answer."""
        if self._cell.probe.is_layer2 or place.next_hop is None:
            return None
        asker, address = place.node, place.next_hop
        inside = self._wave.opened_ns, self._wave.closed_ns
        asked = [
            (key, seen)
            for key, every in self._questions.asked.items()
            if key[1] == address
            for seen in every
            if seen[0].node == asker and seen[0].direction == "out" and _within(seen[2], inside)
        ]
        if not asked:
            return None
        key = asked[0][0]
        answers = [one for one in self._questions.answered[key] if _within(one[2], inside)]
        came = [one for one in answers if one[0].node == asker and one[0].direction == "in"]
        if came and self._wave.states.get((asker, address)) not in UNRESOLVED:
            return None
        if came:
            return self._unheard(place, came[0])
        requests = [one for one in self._questions.asked[key] if _within(one[2], inside)]
        way = walk.segment(self._topology, asker, place.peer, place.vlan, place.vlan)
        found = self._on_segment(place, way, requests, is_reply=False)
        return found or self._on_segment(place, turned(way), answers, is_reply=True)

    def _unheard(self, place: Place, came: tuple[Point, Packet, int]) -> Place:
        """An answer came in at who asked, and its entry does not have it."""
        point, packet, _ = came
        flow = Flow(
            family="ip6" if self._cell.probe.is_ipv6 else "arp",
            src=place.next_hop,
            dst=self._address(place.node, place.vlan),
            protocol="ndp" if self._cell.probe.is_ipv6 else "",
            is_reply=True,
            src_mac=packet.src_mac or "",
            dst_mac=packet.dst_mac or "",
        )
        return replace(
            place, kind=Kind.RECEIVER, flow=flow, near=point, asker=place.node, asked=place.peer
        )

    def _on_segment(
        self,
        place: Place,
        way: tuple[walk.Waypoint, ...],
        frames: list[tuple[Point, Packet, int]],
        *,
        is_reply: bool,
    ) -> Place | None:
        points = {
            point: packet for point, packet, _ in frames if self._in_place(point, packet, way)
        }
        lost = next((no for no, one in enumerate(way) if one.point not in points), None)
        if lost is None:
            return None
        near = way[lost - 1].point if lost else None
        packet = points.get(near) if near else None
        sender, receiver = (place.peer, place.node) if is_reply else (place.node, place.peer)
        is_ipv6 = self._cell.probe.is_ipv6
        own = self._address(place.node, place.vlan)
        flow = Flow(
            family="ip6" if is_ipv6 else "arp",
            src=place.next_hop if is_reply else own,
            dst=own if is_reply else place.next_hop,
            protocol="ndp" if is_ipv6 else "",
            is_reply=is_reply,
            src_mac=(packet.src_mac or "") if packet else "",
            dst_mac=(packet.dst_mac or "") if packet else "",
        )
        # A question that came in and was not answered was lost at who was asked.
        kind = Kind.WIRE if near else Kind.RECEIVER if is_reply else Kind.SENDER
        return replace(
            place,
            kind=kind,
            node=near.node if near else sender,
            peer=receiver,
            flow=replace(flow, is_reply=False) if kind is Kind.RECEIVER else flow,
            near=near or (turned(way)[-1].point if kind is Kind.RECEIVER else None),
            far=way[lost].point,
            asker=place.node,
            asked=place.peer,
        )


def _kind(near: Point | None, far: Point) -> Kind:
    if near is None:
        return Kind.SENDER
    same = near.node == far.node and near.direction == "in" and far.direction == "out"
    return Kind.ROUTER if same and near.node != "switch" else Kind.WIRE


def _within(t_ns: int, inside: tuple[int, int]) -> bool:
    return inside[0] <= t_ns <= inside[1]
