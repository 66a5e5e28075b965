"""A lab made of nothing but the model: `play` brings the record that a worker would bring.

It sends the probes of some cells through a network that does what the matrix says, and returns what
taps, send log and neighbour tables would hold. A fault changes that before it is written down: each
is a function of the `Draft` (see `faults`). Only pure modules are used, so whatever judges records
can be tried without a lab.
"""

from __future__ import annotations

import errno
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from harness import walk
from harness.flow import Absent, Cell, Family, Outcome, Point, Probe, Stage, Verdict
from harness.forwarding import holder
from harness.frame import Frame
from harness.matrix import matrix
from harness.observe import address_of
from harness.plan import subinterfaces
from harness.record import (
    BEACON,
    CONTROL,
    Neighbour,
    Record,
    Route,
    Sent,
    TapCount,
    Unrouted,
    Wave,
)
from harness.schedule import BROADCAST, GROUP, schedule, taps
from harness.sightings import find
from harness.topology import Gateway, Topology
from harness.verdict import judge
from tests.unit.wire import ECHO, ECHO6, NOBODY, Wire, mac, mirror, solicited_node

OPENED_NS = 1_795_000_000 * 10**9
WAVE_NS = 10**10
"""A wave lasts ten seconds, the probes in it are a millisecond apart, their hops a microsecond."""
PROBE_NS, HOP_NS = 10**6, 10**3
SAID_BY_A_ROUTER = {Outcome.NO_ROUTE: (3, 0), Outcome.TOO_BIG: (3, 4)}
SAID_IN_IPV6 = {Outcome.NO_ROUTE: (1, 0), Outcome.TOO_BIG: (2, 0)}
"""ICMP types and codes (RFC 792), and those of ICMPv6 (RFC 4443)."""


@dataclass(frozen=True)
class Seen:
    """A frame at a tap; `probe` is whose it is, `leg` is request, reply, reset, error or kernel."""

    probe: str
    leg: str
    point: Point
    t_ns: int
    wire: Wire


@dataclass(frozen=True)
class Shot:
    """A probe of the schedule: its id, its cell, its token, and when it leaves."""

    id: str
    cell: Cell
    wave: str
    token: bytes
    t_ns: int
    frame: bytes | None = None
    """A beacon's whole frame."""


@dataclass
class Draft:
    """A stage before it is written down; faults change it."""

    topology: Topology
    stage: Stage
    shots: dict[str, Shot]
    opened_ns: dict[str, int]
    """When each wave began."""
    seen: list[Seen] = field(default_factory=list)
    errnos: dict[str, int] = field(default_factory=dict)
    neighbours: dict[tuple[str, str, str], Neighbour] = field(default_factory=dict)
    """(wave, node, address): the entry at the wave's end."""
    taps: dict[tuple[str, str], TapCount] = field(default_factory=dict)
    routes: dict[tuple[str, Route], int] = field(default_factory=dict)
    """(wave, what a router without a route says): how many packets it ended for that."""
    absent: tuple[Absent, ...] = ()
    unheard: set[str] = field(default_factory=set)
    """Ids of probes whose reply did not get to the socket that asked."""

    def of(self, probe: str, leg: str = "request") -> list[Seen]:
        """A probe's frames of one leg, in the order of the path."""
        return [seen for seen in self.seen if (seen.probe, seen.leg) == (probe, leg)]

    def record(self) -> Record:
        """Write it down."""
        frames = [
            Frame(*_place(seen.point), seen.t_ns, seen.wire.octets())
            for seen in sorted(self.seen, key=lambda seen: seen.t_ns)
        ]
        waves = tuple(self._wave(name, opened) for name, opened in self.opened_ns.items())
        return Record(self.stage, waves, tuple(self.taps.values()), tuple(frames), self.absent)

    def _wave(self, name: str, opened: int) -> Wave:
        sent = tuple(
            Sent(shot.id, shot.token.hex(), shot.t_ns, self.errnos.get(shot.id))
            for shot in sorted(self.shots.values(), key=lambda shot: shot.t_ns)
            if shot.wave == name
        )
        entries = tuple(entry for key, entry in self.neighbours.items() if key[0] == name)
        routes = {route: count for (wave, route), count in self.routes.items() if wave == name}
        counted: Counter[str] = Counter()
        for route, count in routes.items():
            counted[route.node] += count
        unrouted = tuple(Unrouted(*one) for one in counted.items())
        unheard = tuple(one.id for one in sent if one.id in self.unheard)
        times = (opened, opened + WAVE_NS)
        return Wave(name, *times, sent, entries, tuple(routes), unrouted, unheard)


Fault = Callable[[Draft], None]


def play(
    topology: Topology, cells: Iterable[Cell], *faults: Fault, absent: tuple[Absent, ...] = ()
) -> Record:
    """Play the probes of some cells of one stage, controls among them as the schedule has them."""
    chosen = list(cells)
    stage = chosen[0].stage
    known = {cell.id: cell for cell in matrix(topology, (stage,)).cells}
    known |= {cell.id: cell for cell in chosen}
    nobody = frozenset(one.node for one in absent)
    plan = schedule(topology, chosen, list(known.values()), nobody)
    draft = _draft(topology, stage, known, plan, nobody)
    for shot in draft.shots.values():
        _shoot(draft, shot)
    for one in absent:
        _leave_out(draft, one)
    for fault in faults:
        fault(draft)
    return draft.record()


def judged(
    topology: Topology, cells: Iterable[Cell], *faults: Fault, absent: tuple[Absent, ...] = ()
) -> dict[str, Verdict]:
    """Play and judge: the verdicts by their cells' ids."""
    chosen = list(cells)
    record = play(topology, chosen, *faults, absent=absent)
    known = {cell.id: cell for cell in matrix(topology, (record.stage,)).cells}
    known |= {cell.id: cell for cell in chosen}
    sightings = find(record.frames, record.tokens)
    return {one.cell.id: one for one in judge(topology, record, sightings, known.values())}


def _draft(
    topology: Topology,
    stage: Stage,
    known: dict[str, Cell],
    plan: dict[str, Any],
    absent: frozenset[str],
) -> Draft:
    opened = {wave["name"]: OPENED_NS + 2 * n * WAVE_NS for n, wave in enumerate(plan["waves"])}
    shots = {
        probe["id"]: Shot(
            probe["id"],
            known[probe["id"].removeprefix(CONTROL).removeprefix(BEACON)],
            wave["name"],
            probe["token"],
            opened[wave["name"]] + (number + 1) * PROBE_NS,
            probe.get("frame"),
        )
        for wave in plan["waves"]
        for number, probe in enumerate(wave["probes"])
    }
    draft = Draft(topology, stage, shots, opened)
    links = subinterfaces(topology, routed=stage is Stage.ROUTED)
    places = taps(topology, links, absent)
    draft.taps = {where: TapCount(*where, 100, 0, down=False) for where in places}
    return draft


def _leave_out(draft: Draft, absent: Absent) -> None:
    """It sends nothing, nothing comes in at it, and it answers nobody."""
    draft.absent += (absent,)
    own = {shot.id for shot in draft.shots.values() if shot.cell.src == absent.node}
    draft.errnos |= dict.fromkeys(own, errno.ENODEV)
    to_it = {shot.id for shot in draft.shots.values() if shot.cell.dst == absent.node}
    draft.seen = [
        seen
        for seen in draft.seen
        if seen.probe not in own
        and seen.point.node != absent.node
        and (seen.probe not in to_it or seen.leg == "request")
    ]


def _shoot(draft: Draft, shot: Shot) -> None:
    if shot.frame is not None and shot.id.startswith(BEACON):
        _beacon(draft, shot, shot.frame)
        return
    expectation = shot.cell.expectation
    said_here = {
        Outcome.TOO_BIG: errno.EMSGSIZE,
        Outcome.NO_ROUTE: errno.ENETUNREACH,
    }.get(expectation.outcome)
    if said_here and not expectation.via:
        draft.errnos[shot.id] = said_here
        return
    if not shot.cell.probe.is_layer2:
        found = bool(expectation.via) or expectation.outcome is not Outcome.NO_NEIGHBOUR
        _resolve(draft, shot, found=found)
    if expectation.outcome is Outcome.NO_NEIGHBOUR and not expectation.via:
        return
    _send(draft, shot)


def _send(draft: Draft, shot: Shot) -> None:
    """The probe's own frames, and what comes back."""
    cell, expectation = shot.cell, shot.cell.expectation
    way = walk.path(draft.topology, cell)
    arrives = expectation.outcome is Outcome.REACHED or expectation.arrives
    way = way if arrives else _as_far_as(draft.topology, cell, way)
    wires = _wires(draft, shot, way)
    for number, (waypoint, wire) in enumerate(zip(way, wires, strict=True)):
        t_ns = shot.t_ns + number * HOP_NS
        draft.seen.append(Seen(shot.id, "request", waypoint.point, t_ns, wire))
    if expectation.unanswered:
        return
    if arrives:
        _reply(draft, shot, way, wires)
    elif expectation.outcome in SAID_BY_A_ROUTER:
        router = _router(draft.topology.over(cell.probe), expectation.via[-1])
        address = str(router.address_in(expectation.vlans[len(expectation.via) - 1]))
        said = (SAID_IN_IPV6 if cell.probe.is_ipv6 else SAID_BY_A_ROUTER)[expectation.outcome]
        draft.seen.append(error_at(draft.of(shot.id)[0], said, address, len(way)))
        if expectation.outcome is Outcome.NO_ROUTE:
            _count(draft, shot)
    elif expectation.outcome is Outcome.NO_NEIGHBOUR:
        _ask_in_vain(draft, shot)


def _count(draft: Draft, shot: Shot) -> None:
    """The router that took it says that it has no route, and counts it."""
    last = draft.of(shot.id)[-1]
    ends = (last.wire.src_ip, last.wire.dst_ip)
    key = (shot.wave, Route(last.point.node, last.point.interface, *ends, "ENETUNREACH"))
    draft.routes[key] = draft.routes.get(key, 0) + 1


def _ask_in_vain(draft: Draft, shot: Shot) -> None:
    """The router that took it asks for the next hop, and nobody answers."""
    expected = shot.cell.expectation
    router, address = expected.via[-1], expected.next_hop or NOBODY
    interface = draft.topology.subinterface(expected.vlans[-1])
    key = (shot.wave, router, address)
    draft.neighbours[key] = Neighbour(router, address, None, "INCOMPLETE")
    ask = question(mac_of(draft.topology, router), NOBODY, address)
    point = Point(router, interface, "out")
    draft.seen.append(Seen("", "kernel", point, shot.t_ns + PROBE_NS // 2, ask))


def _as_far_as(
    topology: Topology, cell: Cell, way: tuple[walk.Waypoint, ...]
) -> tuple[walk.Waypoint, ...]:
    """How far a probe goes that must not reach: to its router, or over the trunk of its VLAN."""
    expected = cell.expectation
    if cell.family is Family.MTU and expected.outcome is Outcome.SILENT:
        places = [(waypoint.point.node, waypoint.point.direction) for waypoint in way]
        return way[: len(places) - places[::-1].index(("switch", "out"))]
    if expected.via:
        passed = _passed(topology, cell, way)
        return way[: passed.index(len(expected.via))]
    end = [waypoint.point.node for waypoint in way].index("switch") + 1
    own = walk.carrier(topology, cell.src)
    vlan = way[0].vlan
    flooded = [
        walk.Waypoint(point, vlan)
        for host in topology.hosts
        if host.name != own
        for point in (
            Point("switch", topology.port(host.name), "out"),
            Point(host.name, topology.trunk, "in"),
        )
    ]
    return (*way[:end], *flooded)


def _passed(topology: Topology, cell: Cell, way: tuple[walk.Waypoint, ...]) -> list[int]:
    """How many routers a packet has passed at each point of its way."""
    count, found = 0, []
    via = cell.expectation.via
    for waypoint in way:
        if via[count:]:
            external = topology.host(via[count]).external
            port = Point("switch", topology.port(via[count]), "in")
            leaving = (waypoint.point.node, waypoint.point.direction) == (via[count], "out")
            count += waypoint.point == port if external else leaving
        found.append(count)
    return found


def _wires(draft: Draft, shot: Shot, way: tuple[walk.Waypoint, ...]) -> list[Wire]:
    """The probe's frame at each point of its way."""
    cell = shot.cell
    topology = draft.topology
    wire = of_shot(draft, shot)
    found: list[Wire] = []
    for waypoint, passed in zip(way, _passed(topology, cell, way), strict=True):
        point = waypoint.point
        if passed > 64 - wire.ttl:
            wire = _forwarded(topology, cell, wire, passed - 1)
        own = _own_tag(cell.probe)
        on_trunk = point.node == "switch" or point.interface == topology.trunk
        found.append(replace(wire, tags=(waypoint.vlan, *own) if on_trunk else own))
    return found


def of_shot(draft: Draft, shot: Shot) -> Wire:
    """The frame as its source makes it."""
    topology, cell = draft.topology, shot.cell
    kind = cell.probe.kind
    to = cell.expectation.via[0] if cell.expectation.via else cell.arrival
    addressed = topology.over(cell.probe)
    source = address_of(addressed, cell.src, cell.dst)
    target = address_of(addressed, cell.dst, cell.src) or NOBODY
    targets = {"arp": BROADCAST, "l2-broadcast": BROADCAST, "l2-multicast": GROUP}
    if kind == "ndp":
        targets["ndp"] = group_mac(target)
        source = f"fe80::{shot.token[:8].hex(':', 2)}"
    return Wire(
        kind="l2" if kind.startswith("l2-") else cell.probe.like.removesuffix("6"),
        src_mac=mac_of(topology, cell.src),
        dst_mac=targets.get(kind, mac_of(topology, to)),
        token=shot.token,
        src_ip=NOBODY if kind == "arp" or source is None else source,
        dst_ip=target,
        src_port=40_000 + shot.t_ns // PROBE_NS % 1000,
        icmp=(ECHO6 if cell.probe.is_ipv6 else ECHO, 0),
        size=cell.probe.argument or 0 if kind in ("icmp", "icmp6") else 0,
    )


def _forwarded(topology: Topology, cell: Cell, wire: Wire, number: int) -> Wire:
    """What a router makes of a packet: TTL, MAC addresses, and a source of its own (NAT)."""
    expected = cell.expectation
    router = _router(topology.over(cell.probe), expected.via[number])
    following = [*expected.via, cell.dst][number + 1]
    own, target = mac_of(topology, router.host), mac_of(topology, following)
    wire = replace(wire, ttl=wire.ttl - 1, src_mac=own, dst_mac=target)
    vlan = expected.vlans[number + 1]
    if vlan in router.masquerade:
        source = str(router.address_in(vlan))
        wire = replace(wire, src_ip=source, src_port=wire.src_port + 10_000)
    return wire


def _router(topology: Topology, host: str) -> Gateway:
    return next(router for router in topology.gateways if router.host == host)


def _reply(draft: Draft, shot: Shot, way: tuple[walk.Waypoint, ...], wires: list[Wire]) -> None:
    """The reply over the same points the other way, each frame the mirror of the probe's there."""
    arrived = wires[-1]
    back = list(zip(way, wires, strict=True))[::-1]
    if shot.cell.expectation.arrives:
        back = back[:1]
    for number, (waypoint, wire) in enumerate(back):
        point = waypoint.point
        point = point._replace(direction="out" if point.direction == "in" else "in")
        of_dst = mac_of(draft.topology, shot.cell.arrival)
        sender = of_dst if mac(wire.dst_mac)[0] & 1 else wire.dst_mac
        ttl = 64 - (wire.ttl - arrived.ttl)
        own = len(_own_tag(shot.cell.probe))  # a responder answers without it
        reply = replace(mirror(wire, sender), ttl=ttl, tags=wire.tags[: len(wire.tags) - own])
        t_ns = shot.t_ns + (len(way) + number) * HOP_NS
        draft.seen.append(Seen(shot.id, "reply", point, t_ns, reply))


def error_at(first: Seen, icmp: tuple[int, int], sender: str, hops: int, **changes: Any) -> Seen:
    """An ICMP error about a probe, in at its source, so many hops after it left."""
    wire = Wire(
        kind="icmp",
        src_mac=first.wire.dst_mac,
        dst_mac=first.wire.src_mac,
        src_ip=sender,
        dst_ip=first.wire.src_ip,
        icmp=icmp,
        quoted=first.wire,
    )
    point = first.point._replace(direction="in")
    return Seen(first.probe, "error", point, first.t_ns + hops * HOP_NS, replace(wire, **changes))


def _beacon(draft: Draft, shot: Shot, octets: bytes) -> None:
    """A frame out of the switch port of the destination's host, and in at the destination."""
    topology, dst = draft.topology, shot.cell.dst
    host = walk.carrier(topology, dst)
    (vlan,) = struct.unpack_from("!H", octets, 14)
    wire = Wire("raw", octets[6:12].hex(":"), octets[:6].hex(":"), body=octets[16:])
    points = (
        Point("switch", topology.port(host), "out"),
        Point(host, topology.trunk, "in"),
        Point(host, topology.subinterface(vlan), "in"),
        Point(dst, topology.interface(dst) or "", "in"),
    )
    for number, point in enumerate(points):
        tags = (vlan,) if number < 2 else ()
        t_ns = shot.t_ns + number * HOP_NS
        draft.seen.append(Seen(shot.id, "request", point, t_ns, replace(wire, tags=tags)))


def _resolve(draft: Draft, shot: Shot, *, found: bool) -> None:
    """The source's kernel asks for its next hop, once a wave, and may get an answer."""
    topology, cell = draft.topology.over(shot.cell.probe), shot.cell
    next_hop, at = _next_hop(topology, cell)
    key = (shot.wave, cell.src, next_hop)
    if key in draft.neighbours:
        return
    mac = mac_of(topology, at) if found else None
    entry = Neighbour(cell.src, next_hop, mac, "REACHABLE" if found else "INCOMPLETE")
    draft.neighbours[key] = entry
    own = mac_of(topology, cell.src)
    point = Point(cell.src, walk.source_interface(draft.topology, cell), "out")
    source = address_of(topology, cell.src, cell.dst) or NOBODY
    ask = question(own, source, next_hop)
    t_ns = shot.t_ns - HOP_NS
    draft.seen.append(Seen("", "kernel", point, t_ns, ask))
    if mac:
        inbound = point._replace(direction="in")
        draft.seen.append(kernel_reply(inbound, next_hop, mac, own, t_ns + 1))


def question(own: str, source: str, address: str) -> Wire:
    """What a kernel asks for a neighbour with: ARP, or NDP where it has an IPv6 address."""
    if ":" in address:
        asker = source if ":" in source else "fe80::1:2:3:4"
        return Wire("ndp", own, group_mac(address), src_ip=asker, dst_ip=address)
    return Wire("arp", own, BROADCAST, src_ip=source, dst_ip=address)


def group_mac(target: str) -> str:
    """The MAC address of the group that an IPv6 address listens to (RFC 2464, section 7)."""
    return f"33:33:{solicited_node(target)[-4:].hex(':')}"


def kernel_reply(point: Point, of: str, mac: str, asker: str, t_ns: int) -> Seen:
    """An ARP reply, or a neighbour advertisement, for an address to the kernel of a node."""
    if ":" in of:
        wire = Wire("ndp", mac, asker, operation=2, src_ip=of, dst_ip="fe80::1:2:3:4")
        return Seen("", "kernel", point, t_ns, wire)
    wire = Wire("arp", mac, asker, operation=2, src_ip=of, dst_ip="1.2.3.4", target_mac=asker)
    return Seen("", "kernel", point, t_ns, wire)


def _next_hop(topology: Topology, cell: Cell) -> tuple[str, str]:
    """The address that a source sends an IP probe to, and whose it is."""
    vlans = topology.endpoint_vlans
    src, dst = vlans.get(cell.src), vlans.get(cell.dst)
    if src is None or dst is None or src == dst:
        return address_of(topology, cell.dst, cell.src) or NOBODY, cell.dst
    next_hop = str(topology.next_hop(topology.endpoint(cell.src), topology.endpoint(cell.dst)))
    if cell.expectation.lands:
        return next_hop, cell.arrival
    router = holder(topology, Stage.ROUTED, src, next_hop)
    return next_hop, router.host if router else ""


def mac_of(topology: Topology, node: str) -> str:
    """The MAC address of an endpoint, or of a host's trunk."""
    endpoints = {endpoint.name: endpoint.mac for endpoint in topology.endpoints}
    return endpoints.get(node) or topology.trunk_mac(node)


def _own_tag(probe: Probe) -> tuple[int, ...]:
    return (probe.argument,) if probe.is_layer2 and probe.argument is not None else ()


def _place(point: Point) -> tuple[str, str, str]:
    return point.node, point.interface, point.direction
