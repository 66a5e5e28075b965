"""What happened to each probe of a record: the outcome, from captures, errnos and neighbours."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from harness import walk
from harness.flow import SOCKET, Absent, Cell, Observation, Outcome, Point
from harness.path import Trace, reply_lost_at, trace, way_back
from harness.record import BEACON, Record, Sent, Wave
from harness.sightings import ICMP, ICMPV6, Leg, Sighting, Sightings
from harness.topology import Topology
from harness.unrouted import FORWARDS, Routers

NO_ROUTE_ERRNOS = (errno.ENETUNREACH, errno.EHOSTUNREACH)
"""What Linux answers a send with when no route leads there, or only one of type unreachable."""

Kind = tuple[int | None, int | None, int | None]
"""(IP protocol, type, code) of an ICMP or ICMPv6 error."""
PORT_UNREACHABLE = ((ICMP, 3, 3), (ICMPV6, 1, 4))
ICMP_OUTCOMES: dict[Kind, Outcome] = {
    (ICMP, 3, 0): Outcome.NO_ROUTE,
    (ICMP, 3, 1): Outcome.NO_NEIGHBOUR,
    (ICMP, 3, 4): Outcome.TOO_BIG,
    (ICMPV6, 1, 0): Outcome.NO_ROUTE,
    (ICMPV6, 1, 3): Outcome.NO_NEIGHBOUR,
    (ICMPV6, 2, 0): Outcome.TOO_BIG,
}
"""Errors and what they say of the way (RFC 792, RFC 4443, section
3); all others are a rejection."""

UNRESOLVED = ("INCOMPLETE", "FAILED")


@dataclass(frozen=True)
class Observed:
    """A probe of a record with everything that is known of it."""

    cell: Cell
    sent: Sent
    wave: str
    observation: Observation
    is_cell: bool
    """Whether it is a cell of the report; else it was sent to vouch for cells, no more."""
    path: tuple[walk.Waypoint, ...]
    """The modelled one."""


def observe(
    topology: Topology, record: Record, sightings: Sightings, cells: dict[str, Cell]
) -> tuple[Observed, ...]:
    """Observe every probe of a record; `cells` has the cell of each probe's id."""
    found = []
    absent = {one.node: one for one in record.absent}
    for wave in record.waves:
        routers = Routers.of(topology, wave, record.frames)
        for sent in wave.sent:
            cell = cells[sent.cell]
            gone = tuple(absent[end] for end in (cell.src, cell.dst) if end in absent)
            looker = _Looker(topology, cell, sent, wave, sightings, routers, gone)
            is_beacon = sent.id.startswith(BEACON)
            seen = looker.beacon() if is_beacon else looker.observation()
            is_cell = sent.id == cell.id
            found.append(Observed(cell, sent, wave.name, seen, is_cell, looker.path))
    return tuple(found)


class _Looker:
    """Looks at one probe."""

    def __init__(  # noqa: PLR0913, PLR0917 - a probe, and all that is known of it
        self,
        topology: Topology,
        cell: Cell,
        sent: Sent,
        wave: Wave,
        sightings: Sightings,
        routers: Routers,
        gone: tuple[Absent, ...],
    ) -> None:
        self._routers, self._gone = routers, gone
        self._topology, self._cell, self._sent = topology, cell, sent
        self._addressed = topology.over(cell.probe)
        self._question = "NDP" if cell.probe.is_ipv6 else "ARP"
        self._wave, self._sightings = wave, sightings
        everything = sightings.by_token.get(sent.token, [])
        self._mine = [seen for seen in everything if seen.t_ns <= wave.closed_ns]
        self._late = len(everything) - len(self._mine)
        self.path = walk.path(topology, cell)
        self._source, self._target = self.path[0].point, self.path[-1].point

    def observation(self) -> Observation:
        """What happened, all together."""
        found = trace(self._topology, self._cell, self.path, self._mine)
        arrival = next((hop for hop in found.hops if hop.point == self._target), None)
        outcome, detail = self._outcome(found, arrived=arrival is not None)
        left = self._left(found) or (outcome is Outcome.NO_NEIGHBOUR and self._asked())
        return Observation(
            outcome=outcome,
            detail=detail,
            left=left,
            arrived=arrival is not None,
            answered=self._answered(),
            path=found.hops,
            strays=found.strays,
            missing=found.missing,
            lost_at=self._lost_at(found, outcome, arrived=arrival is not None),
            seen_source=arrival.src_ip if arrival and not self._cell.probe.is_layer2 else None,
            seen_ttl=arrival.ttl if arrival else None,
            rtt_ms=self._rtt(found),
            gone=self._gone,
        )

    def _lost_at(self, found: Trace, outcome: Outcome, *, arrived: bool) -> Point | None:
        """Where the probe was not seen any more; if it arrived in silence, where its reply was."""
        if not arrived:
            return found.lost_at
        if outcome is not Outcome.SILENT:
            return None
        if self._at_source(Leg.REPLY) and self._sent.id in self._wave.unheard:
            return Point(self._cell.src, SOCKET, "in")
        return reply_lost_at(way_back(self._topology, self._cell, self.path), self._mine)

    def beacon(self) -> Observation:
        """Of a beacon it matters only whether it arrived."""
        arrived = any(seen.leg is Leg.REQUEST and seen.point == self._target for seen in self._mine)
        outcome = Outcome.REACHED if arrived else Outcome.SILENT
        detail = "put on the wire at the switch port"
        return Observation(outcome, detail, left=True, arrived=arrived)

    def _answered(self) -> bool:
        target, legs = self._target, self._topology.legs.get(self._target.node, ())
        ways_out = {target._replace(direction="out")}
        ways_out |= {Point(leg.name, leg.interface, "out") for leg in legs}
        return any(seen.leg is Leg.REPLY and seen.point in ways_out for seen in self._mine)

    def _left(self, found: Trace) -> bool:
        return bool(found.hops) and found.hops[0].point == self._source

    def _outcome(self, found: Trace, *, arrived: bool) -> tuple[Outcome, str]:
        if self._sent.errno is not None:
            nobody = [one.why for one in self._gone if one.node == self._cell.src]
            return (Outcome.NOT_SENT, nobody[0]) if nobody else _refused_locally(self._sent.errno)
        reply = self._at_source(Leg.REPLY)
        if arrived and reply and self._sent.id in self._wave.unheard:
            came = f"the token arrived and its reply came back to {self._cell.src}"
            return Outcome.SILENT, f"{came}, but not to the socket that waits for it"
        if arrived and reply:
            return Outcome.REACHED, "the token arrived and its reply came back"
        leg = self._other_leg()
        if leg and reply:
            return Outcome.REACHED, f"the token arrived at {leg}, and its reply came back"
        if self._late:
            return Outcome.INCONCLUSIVE, f"{self._late} sightings came after the wave's end"
        if reply:
            detail = f"a reply came back from {reply.packet.src_mac}, but no tap saw it arrive"
            return Outcome.INCONCLUSIVE, detail
        return self._denied(arrived=arrived) or self._silent(found, arrived=arrived)

    def _other_leg(self) -> str | None:
        """The leg of the destination's container where the token arrived, if not at its own."""
        legs = self._topology.legs.get(self._target.node, ())
        places = {Point(leg.name, leg.interface, "in") for leg in legs} - {self._target}
        came = (seen.point for seen in self._mine if seen.leg is Leg.REQUEST)
        return next((point.node for point in came if point in places), None)

    def _denied(self, *, arrived: bool) -> tuple[Outcome, str] | None:
        """What said no, if anything did."""
        if self._at_source(Leg.RESET):
            if arrived:
                return Outcome.REFUSED, "the destination answered with a TCP RST"
            return Outcome.REJECTED, "a TCP RST came back though the probe never arrived"
        error = self._at_source(Leg.ERROR)
        return self._icmp(error, arrived=arrived) if error else None

    def _silent(self, found: Trace, *, arrived: bool) -> tuple[Outcome, str]:
        if not self._left(found):
            return self._never_left()
        if arrived:
            return Outcome.SILENT, "the token arrived, but no reply came back"
        told = self._unresolved(found) or self._unsaid(found)
        return told or (Outcome.SILENT, "it left, and nothing came back")

    def _unresolved(self, found: Trace) -> tuple[Outcome, str] | None:
        """No neighbour, if the router that took it has a way for it, and asked along it in vain."""
        hop = found.hops[-1]
        node, next_hop = hop.point.node, self._next_hop_of(hop.point.node)
        if next_hop is None or hop.point.direction == "out":
            return None
        flow = (node, hop.point.interface, hop.src_ip, hop.dst_ip)
        if self._routers.answers.get(flow, FORWARDS) != FORWARDS:  # it asked on its own account
            return None
        state = self._entry(node, next_hop)
        if self._has_asked(node, next_hop) and self._in_vain(node, next_hop, state):
            asked = f"{node}'s {self._question} for {next_hop}"
            return Outcome.NO_NEIGHBOUR, f"no answer to {asked}, entry {state}"
        return None

    def _next_hop_of(self, router: str) -> str | None:
        """Whom a router on the way hands the packet to: the next one, or the destination."""
        expected, topology = self._cell.expectation, self._addressed
        if router not in expected.via:
            return None
        place = expected.via.index(router) + 1
        if place == len(expected.via):
            return address_of(topology, self._cell.dst, self._cell.src)
        following = next(one for one in topology.gateways if one.host == expected.via[place])
        return str(following.address_in(expected.vlans[place]))

    def _unsaid(self, found: Trace) -> tuple[Outcome, str] | None:
        """No route, if the router that took it had none and counted it as such.

        Of IPv6 a router says so each time: net.ipv6.icmp.ratelimit is a namespace's own, and off.
        """
        hop = found.hops[-1]
        node, interface = hop.point.node, hop.point.interface
        taken = node in self._cell.expectation.via and hop.point.direction == "in"
        if self._cell.probe.is_ipv6 or not taken or interface == self._topology.trunk:
            return None
        ended = self._routers.ended(node, (node, interface, hop.src_ip, hop.dst_ip))
        expected = self._cell.expectation.outcome is Outcome.NO_ROUTE
        return ended if expected or ended[0] is Outcome.NO_ROUTE else None

    def _icmp(self, error: Sighting, *, arrived: bool) -> tuple[Outcome, str]:
        packet = error.packet
        kind = _error(error)
        name = "ICMPv6" if packet.ip_proto == ICMPV6 else "ICMP"
        detail = f"{name} type {packet.icmp_type} code {packet.icmp_code} from {packet.src_ip}"
        target = error.packet.quoted.dst_ip if error.packet.quoted else None
        if kind in PORT_UNREACHABLE and packet.src_ip == target and arrived:
            return Outcome.REFUSED, detail
        return ICMP_OUTCOMES.get(kind, Outcome.REJECTED), detail

    def _never_left(self) -> tuple[Outcome, str]:
        """Either its next hop answers no ARP, or nobody knows."""
        next_hop = self._next_hop()
        if self._takes_for_neighbour():
            next_hop = address_of(self._addressed, self._cell.dst, self._cell.src)
        elif not self._asked():
            next_hop = None
        if next_hop is None:
            return Outcome.INCONCLUSIVE, "the probe was not seen leaving its source"
        state = self._entry(self._cell.src, next_hop)
        if self._in_vain(self._cell.src, next_hop, state):
            asked = f"{self._question} for {next_hop}"
            return Outcome.NO_NEIGHBOUR, f"no answer to {asked}, entry {state}"
        return Outcome.INCONCLUSIVE, f"not seen leaving, though {next_hop} is {state}"

    def _takes_for_neighbour(self) -> bool:
        """Whether a source of several legs asked for the destination, in want of a route by it."""
        if self._cell.probe.is_layer2 or not walk.leaving_by(self._topology, self._cell.src):
            return False
        address = address_of(self._addressed, self._cell.dst, self._cell.src)
        return bool(address) and self._has_asked(self._cell.src, str(address))

    def _asked(self) -> bool:
        """Whether the source's kernel asked for the next hop in this wave."""
        return self._has_asked(self._cell.src, self._next_hop() or "")

    def _has_asked(self, node: str, address: str) -> bool:
        asked = self._sightings.asked.get((node, address), [])
        return any(self._wave.opened_ns <= t_ns <= self._wave.closed_ns for t_ns in asked)

    def _entry(self, node: str, address: str) -> str:
        """The state of a node's neighbour entry at the wave's end."""
        return self._wave.states.get((node, address), "absent")

    def _in_vain(self, node: str, address: str, state: str) -> bool:
        """Whether nobody answered a node's question for an address since the probe was sent."""
        answers = self._sightings.answered.get((node, address), [])
        answered = any(self._sent.t_ns <= t_ns <= self._wave.closed_ns for t_ns in answers)
        return state in UNRESOLVED and not answered

    def _next_hop(self) -> str | None:
        if self._cell.probe.is_layer2:
            return None
        topology = self._addressed
        src, dst = self._cell.src, self._cell.dst
        if {src, dst} <= topology.endpoint_vlans.keys():
            next_hop = topology.next_hop(topology.endpoint(src), topology.endpoint(dst))
            return str(next_hop) if next_hop else None
        return address_of(topology, dst, src)

    def _at_source(self, leg: Leg) -> Sighting | None:
        """The first frame of a kind that came in at the source."""
        point = Point(self._source.node, self._source.interface, "in")
        return next((seen for seen in self._mine if seen.leg is leg and seen.point == point), None)

    def _rtt(self, found: Trace) -> float | None:
        reply = self._at_source(Leg.REPLY)
        if reply is None or not self._left(found):
            return None
        return round((reply.t_ns - found.hops[0].t_ns) / 1e6, 3)


def address_of(topology: Topology, node: str, other: str) -> str | None:
    """The address that `other` reaches a node by: an endpoint's, or the gateway's in its VLAN."""
    if node in topology.endpoint_vlans:
        return str(topology.endpoint(node).address)
    vlan = topology.endpoint_vlans.get(other)
    routers = [one for one in topology.gateways if one.host == node]
    address = routers[0].address_in(vlan) if routers and vlan is not None else None
    return str(address) if address else None


def _error(seen: Sighting) -> Kind:
    return seen.packet.ip_proto, seen.packet.icmp_type, seen.packet.icmp_code


def _refused_locally(number: int) -> tuple[Outcome, str]:
    detail = f"the source's kernel refused: {errno.errorcode.get(number)} ({os.strerror(number)})"
    if number in NO_ROUTE_ERRNOS:
        return Outcome.NO_ROUTE, detail
    if number == errno.EMSGSIZE:
        return Outcome.TOO_BIG, detail
    return Outcome.NOT_SENT, detail
