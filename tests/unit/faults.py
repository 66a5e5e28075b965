"""What may go wrong in a stage, as functions that change its `Draft` before it is written down.

A point is named as a report has it: "bbox1:eth0 (out)".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.flow import Outcome, Point
from harness.record import Neighbour
from tests.unit.play import (
    HOP_NS,
    PROBE_NS,
    WAVE_NS,
    Draft,
    Fault,
    Seen,
    Shot,
    error_at,
    kernel_reply,
    of_shot,
)
from tests.unit.wire import ACK, RST, Wire, mirror


def lost(probe: str, at: str) -> Fault:
    """The probe is seen up to a point ("node:interface (in)"), not there, and not after it."""

    def fault(draft: Draft) -> None:
        points = [str(seen.point) for seen in draft.of(probe)]
        kept = draft.of(probe)[: points.index(at)]
        draft.seen = [seen for seen in draft.seen if seen.probe != probe or seen in kept]

    return fault


def hidden(probe: str, at: str) -> Fault:
    """The probe is not seen at one point, but before it and after it."""
    return _without(lambda seen: (seen.probe, seen.leg, str(seen.point)) == (probe, "request", at))


def reply_lost(probe: str, leg: str = "reply") -> Fault:
    """Nothing of the reply is seen."""
    return _without(lambda seen: (seen.probe, seen.leg) == (probe, leg))


def unheard(probe: str) -> Fault:
    """The reply comes in at its source, and does not get to the socket there."""
    return lambda draft: draft.unheard.add(probe)


def leaked(probe: str, at: Point, *tags: int, **changes: Any) -> Fault:
    """The probe is also seen at a point, with these tags."""

    def fault(draft: Draft) -> None:
        first = draft.of(probe)[0]
        wire = replace(first.wire, tags=tags, **changes)
        draft.seen.append(replace(first, point=at, wire=wire))

    return fault


def altered(probe: str, at: str, leg: str = "request", **changes: Any) -> Fault:
    """The probe's frame has other fields at one point."""

    def fault(draft: Draft) -> None:
        for index, seen in enumerate(draft.seen):
            if (seen.probe, seen.leg, str(seen.point)) == (probe, leg, at):
                draft.seen[index] = replace(seen, wire=replace(seen.wire, **changes))

    return fault


def tap(node: str, interface: str, *, drops: int = 0, down: bool = False) -> Fault:
    """A tap lost frames, or its interface went down."""

    def fault(draft: Draft) -> None:
        count = draft.taps[node, interface]
        draft.taps[node, interface] = replace(count, drops=drops, down=down)

    return fault


def no_tap(node: str, interface: str) -> Fault:
    """A tap was never opened: no count, no frame."""

    def fault(draft: Draft) -> None:
        del draft.taps[node, interface]
        blind(node, interface)(draft)

    return fault


def blind(node: str, interface: str) -> Fault:
    """A tap is open and gets nothing."""
    return _without(lambda seen: (seen.point.node, seen.point.interface) == (node, interface))


def refused(probe: str, number: int) -> Fault:
    """The source's kernel refuses to send."""

    def fault(draft: Draft) -> None:
        draft.errnos[probe] = number
        _without(lambda seen: seen.probe == probe)(draft)

    return fault


def accepted(probe: str) -> Fault:
    """The source's kernel takes what it should refuse; nothing is seen of it all the same."""
    return lambda draft: draft.errnos.__delitem__(probe)


def unsent(probe: str) -> Fault:
    """Nothing is seen of a probe that the kernel took."""
    return _without(lambda seen: seen.probe == probe)


def unplayed(probe: str) -> Fault:
    """The probe is not in the record at all."""

    def fault(draft: Draft) -> None:
        del draft.shots[probe]
        _without(lambda seen: seen.probe == probe)(draft)

    return fault


def moved(probe: str, by_ns: int, leg: str = "") -> Fault:
    """The probe (one leg of it) happens earlier or later."""

    def fault(draft: Draft) -> None:
        if not leg:
            shot = draft.shots[probe]
            draft.shots[probe] = replace(shot, t_ns=shot.t_ns + by_ns)
        draft.seen = [
            replace(seen, t_ns=seen.t_ns + by_ns)
            if seen.probe == probe and leg in ("", seen.leg)
            else seen
            for seen in draft.seen
        ]

    return fault


def moved_at(probe: str, at: str, by_ns: int) -> Fault:
    """The probe is seen earlier or later at one point."""

    def fault(draft: Draft) -> None:
        for index, seen in enumerate(draft.seen):
            if (seen.probe, seen.leg, str(seen.point)) == (probe, "request", at):
                draft.seen[index] = replace(seen, t_ns=seen.t_ns + by_ns)

    return fault


def neighbour(node: str, of: str, state: str | None, mac: str | None = None) -> Fault:
    """The entry for an address at the end of each wave has a state, or is absent (None)."""

    def fault(draft: Draft) -> None:
        for key in [key for key in draft.neighbours if key[1:] == (node, of)]:
            del draft.neighbours[key]
            if state is not None:
                draft.neighbours[key] = Neighbour(node, of, mac, state)

    return fault


def routed(dst: str, answer: str | None) -> Fault:
    """The router has another answer for packets to an address, or none, and counts none of them."""

    def fault(draft: Draft) -> None:
        for wave, route in [key for key in draft.routes if key[1].dst == dst]:
            del draft.routes[wave, route]
            if answer is not None:
                draft.routes[wave, replace(route, answer=answer)] = 0

    return fault


def unasked(node: str) -> Fault:
    """The kernel of a node asks for nobody."""
    return _without(lambda seen: seen.leg == "kernel" and seen.point.node == node)


def unanswered(node: str) -> Fault:
    """No ARP reply comes in at a node."""
    return _without(
        lambda seen: (seen.leg, seen.point.node, seen.wire.operation) == ("kernel", node, 2)
    )


def answered(node: str, of: str, mac: str, after_ns: int = WAVE_NS - 1) -> Fault:
    """An ARP reply for an address comes in at a node, so long after the first wave began."""

    def fault(draft: Draft) -> None:
        end = draft.topology.endpoint(node)
        t_ns = next(iter(draft.opened_ns.values())) + after_ns
        draft.seen.append(kernel_reply(Point(node, end.interface, "in"), of, mac, end.mac, t_ns))

    return fault


def error(probe: str, kind: int, code: int, sender: str, **changes: Any) -> Fault:
    """An ICMP error about the probe comes in at its source."""

    def fault(draft: Draft) -> None:
        first = draft.of(probe)[0]
        draft.seen.append(error_at(first, (kind, code), sender, 10, **changes))

    return fault


def reset(probe: str, **changes: Any) -> Fault:
    """A RST that answers the SYN comes in at its source."""

    def fault(draft: Draft) -> None:
        first = draft.of(probe)[0]
        wire = mirror(first.wire, first.wire.dst_mac)
        wire = replace(wire, **{"flags": RST | ACK, **changes})
        point = first.point._replace(direction="in")
        draft.seen.append(Seen(probe, "reset", point, first.t_ns + 10 * HOP_NS, wire))

    return fault


def stranger(at: Point, wire: Wire, after_ns: int = PROBE_NS) -> Fault:
    """A frame that is no probe's of this record."""

    def fault(draft: Draft) -> None:
        t_ns = next(iter(draft.opened_ns.values())) + after_ns
        draft.seen.append(Seen("", "kernel", at, t_ns, wire))

    return fault


def stray_out(probe: str, source: str) -> Fault:
    """The probe is seen leaving its source, where it must have ended."""

    def fault(draft: Draft) -> None:
        shot, end = draft.shots[probe], draft.topology.endpoint(source)
        draft.seen.append(
            Seen(
                probe,
                "request",
                Point(source, end.interface, "out"),
                shot.t_ns,
                of_shot(draft, shot),
            )
        )

    return fault


def late_arrival(probe: str, by_ns: int) -> Fault:
    """The probe arrives at its destination so long after it was sent."""

    def fault(draft: Draft) -> None:
        shot = draft.shots[probe]
        end = draft.topology.endpoint(shot.cell.dst)
        point = Point(end.name, end.interface, "in")
        draft.seen.append(Seen(probe, "request", point, shot.t_ns + by_ns, of_shot(draft, shot)))

    return fault


def answer_to(probe: str, mac: str) -> Fault:
    """An answer to the probe comes in at its source, from a MAC address."""

    def fault(draft: Draft) -> None:
        first = draft.of(probe)[0]
        point = first.point._replace(direction="in")
        wire = mirror(first.wire, mac)
        draft.seen.append(Seen(probe, "reply", point, first.t_ns + 10 * HOP_NS, wire))

    return fault


def no_answer_at(probe: str, node: str) -> Fault:
    """The answer is not seen at a node."""
    return _without(lambda seen: (seen.probe, seen.leg, seen.point.node) == (probe, "reply", node))


def no_control(dst: str, frame_class: str) -> Fault:
    """Nothing of a class that should arrive at a destination does, beacons included."""

    def fault(draft: Draft) -> None:
        gone = {shot.id for shot in _controls(draft, dst, frame_class)}
        _without(lambda seen: seen.probe in gone and seen.point.node == dst)(draft)

    return fault


def leaky_controls(dst: str, frame_class: str) -> Fault:
    """Every control of a class also leaves on the management network."""

    def fault(draft: Draft) -> None:
        for shot in _controls(draft, dst, frame_class):
            leaked(shot.id, Point("host1", draft.topology.management, "out"))(draft)

    return fault


def no_beacon(dst: str, frame_class: str) -> Fault:
    """No beacon of a class arrives at a destination."""

    def fault(draft: Draft) -> None:
        gone = {shot.id for shot in _controls(draft, dst, frame_class) if shot.frame is not None}
        _without(lambda seen: seen.probe in gone and seen.point.node == dst)(draft)

    return fault


def asked_later(node: str, by_ns: int) -> Fault:
    """The kernel of a node asks earlier or later."""

    def fault(draft: Draft) -> None:
        for index, seen in enumerate(draft.seen):
            if seen.leg == "kernel" and seen.point.node == node:
                draft.seen[index] = replace(seen, t_ns=seen.t_ns + by_ns)

    return fault


def later_wave(dst: str, frame_class: str) -> Fault:
    """Every control of a class is sent in a wave of its own, after the others."""

    def fault(draft: Draft) -> None:
        draft.opened_ns["later"] = max(draft.opened_ns.values()) + 2 * WAVE_NS
        for shot in _controls(draft, dst, frame_class):
            moved(shot.id, draft.opened_ns["later"] - draft.opened_ns[shot.wave])(draft)
            draft.shots[shot.id] = replace(draft.shots[shot.id], wave="later")

    return fault


def together(probe: str) -> Fault:
    """The probe and all that could vouch for it leave at the same moment."""

    def fault(draft: Draft) -> None:
        cell = draft.shots[probe].cell
        for shot in _controls(draft, cell.dst, cell.probe.frame_class):
            moved(shot.id, draft.shots[probe].t_ns - shot.t_ns)(draft)

    return fault


def _controls(draft: Draft, dst: str, frame_class: str) -> list[Shot]:
    return [
        shot
        for shot in draft.shots.values()
        if (shot.cell.dst, shot.cell.probe.frame_class) == (dst, frame_class)
        and (shot.frame is not None or shot.cell.expectation.outcome is Outcome.REACHED)
    ]


def _without(gone: Callable[[Seen], bool]) -> Fault:
    def fault(draft: Draft) -> None:
        draft.seen = [seen for seen in draft.seen if not gone(seen)]

    return fault
