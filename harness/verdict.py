"""The proof rule: an expectation and an observation -> pass, fail or unproved.

*Reached* passes when the token arrived, a tied reply came back, and the path is the expected one. A
reply to an echo, TCP or UDP probe has come back when the socket that asked has it.
*Not reached* passes only when the probe left, its token is nowhere it must not be, a control of its
own class sent after it did arrive, no tap lost anything, and the outcome is the expected one.
Of an endpoint that is not there nothing can be proved: what must reach it, or come from it, fails
for want of it; that nothing else reaches it is no proof of what would have kept it away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.flow import SOCKET, Cell, Observation, Outcome, Point, Proof, Ruling, Verdict
from harness.observe import Observed, observe
from harness.record import Record
from harness.sightings import Sightings, find
from harness.topology import Topology

UNTOLD = (Outcome.INCONCLUSIVE, Outcome.NOT_SENT)
"""Outcomes that say nothing of the network."""

SAID_BY_ERRNO = (Outcome.TOO_BIG, Outcome.NO_ROUTE)
"""Outcomes in which the source's own kernel says why nothing left, where no router says it."""
AT_THE_SOURCE = (*SAID_BY_ERRNO, Outcome.NO_NEIGHBOUR)
"""Outcomes in which nothing but a question for the next hop leaves, where no router is expected."""

TAIL = 3
"""Waypoints that a probe and its control must share: the last hop, from the trunk inwards."""


Class = tuple[str, str, str]
"""What a probe and its control share: an end (destination, or source), frame class and wave; or
the destination, the kind of probe and wave, where the destination is to answer."""
Arrived = dict[Class, list[Observed]]
"""Probes that can vouch for others, by class, in the order in which they were sent."""


def judge_record(topology: Topology, record: Record, cells: Iterable[Cell]) -> tuple[Verdict, ...]:
    """Judge every cell of a record from nothing but its frames; `cells` as `judge` has it."""
    return judge(topology, record, find(record.frames, record.tokens), cells)


def judge(
    topology: Topology, record: Record, sightings: Sightings, cells: Iterable[Cell]
) -> tuple[Verdict, ...]:
    """Judge every cell of a record. `cells` are all cells of its stage, sent or not."""
    observed = observe(topology, record, sightings, {cell.id: cell for cell in cells})
    lost = _blind(topology, record, observed)
    arrived: Arrived = {}
    answered: Arrived = {}
    answering: Arrived = {}
    for one in observed:
        if one.observation.arrived and not one.observation.strays:
            arrived.setdefault(_class(one, one.cell.arrival), []).append(one)
        if one.observation.outcome is Outcome.REACHED:
            answered.setdefault(_class(one, one.cell.src), []).append(one)
            answering.setdefault(_answer(one), []).append(one)
    controls = _Controls(arrived, answered, answering)
    return tuple(_verdict(one, controls, lost) for one in observed if one.is_cell)


def _blind(topology: Topology, record: Record, observed: tuple[Observed, ...]) -> list[str]:
    """The taps on modelled paths that were not open, and those that lost something.

    One that went with its endpoint has missed nothing: nothing could come in there any more.
    """
    paths = (way.point for one in observed for way in one.path)
    needed = {(point.node, point.interface) for point in paths} - _legs_not_there(topology)
    absent = {one.node for one in record.absent}
    needed = {place for place in needed if place[0] not in absent}
    lossless = {(tap.node, tap.interface) for tap in record.taps if tap.lossless}
    lossy = {
        (tap.node, tap.interface)
        for tap in record.taps
        if tap.drops or not (tap.lossless or tap.node in absent)
    }
    return [f"{node}:{interface}" for node, interface in sorted(lossy | (needed - lossless))]


def _legs_not_there(topology: Topology) -> set[tuple[str, str]]:
    """The sub-interfaces on modelled paths that the gateway host does not have."""
    return {
        (router.host, topology.subinterface(vlan.id))
        for router in topology.gateways
        for vlan in topology.vlans
        if router.address_in(vlan.id) is None and vlan.id not in topology.vlans_of_host(router.host)
    }


def _verdict(one: Observed, controls: _Controls, lost: list[str]) -> Verdict:
    expected_outcome = one.cell.expectation.outcome
    seen = one.observation
    one_way, no_answer = one.cell.expectation.arrives, one.cell.expectation.unanswered
    control = None
    if one_way:
        control = controls.of_answer(one) if no_answer else controls.of_reply(one)
        ruling, why = _judge_one_way(one.cell, seen, control, lost)
    elif expected_outcome is Outcome.REACHED:
        ruling, why = _judge_reached(one.cell, seen, lost)
    else:
        control = controls.of_probe(one)
        ruling, why = _judge_not_reached(one.cell, seen, control, lost)
    ruling, why = _judge_absent(one.cell, seen) or (ruling, why)
    came_back = seen.outcome is Outcome.REACHED or _was_unheard(seen)
    proof = Proof(
        left=seen.left,
        absent=not came_back if one_way else not seen.arrived and not seen.strays,
        control=control.sent.id if control else None,
        taps_lossless=not lost,
        outcome=seen.outcome is expected_outcome,
    )
    return Verdict(one.cell, seen, ruling, why, proof, one.sent.token)


def _judge_absent(cell: Cell, seen: Observation) -> tuple[Ruling, str] | None:
    """What is to be said where an end was not there; None where that changes nothing."""
    if not seen.gone:
        return None
    why, expected = "; ".join(one.why for one in seen.gone), cell.expectation
    must_arrive = expected.outcome is Outcome.REACHED or expected.arrives
    if must_arrive and seen.arrived and seen.outcome is expected.outcome:
        return Ruling.UNPROVED, f"it arrived, but its ends did not stay: {why}"
    if must_arrive:
        return Ruling.FAIL, f"it must {'arrive' if expected.arrives else 'reach'}, but: {why}"
    if seen.arrived or seen.strays:
        return None
    return Ruling.UNPROVED, f"that it did not reach proves nothing: {why}"


def _judge_reached(cell: Cell, seen: Observation, lost: list[str]) -> tuple[Ruling, str]:
    blind = _judge_sight(seen, lost)
    if blind:
        return blind
    if seen.outcome is not Outcome.REACHED:
        return Ruling.FAIL, f"it must reach, but: {seen.detail}"
    if seen.missing:
        return Ruling.FAIL, f"it arrived, but not by way of {seen.missing[0]}"
    expected = cell.expectation
    if expected.ttl is not None and seen.seen_ttl != expected.ttl:
        return Ruling.FAIL, f"it arrived with TTL {seen.seen_ttl}, not {expected.ttl}"
    if expected.seen_source is not None and seen.seen_source != expected.seen_source:
        found = f"it arrived from {seen.seen_source}, not {expected.seen_source}"
        return Ruling.FAIL, found
    return Ruling.PASS, "it arrived by the expected path, and its reply came back"


def _judge_not_reached(
    cell: Cell, seen: Observation, control: Observed | None, lost: list[str]
) -> tuple[Ruling, str]:
    if seen.arrived:
        return Ruling.FAIL, "it must not reach, but its token arrived"
    if seen.strays:
        return Ruling.FAIL, f"its token was seen where it must not be: {seen.strays[0].point}"
    if seen.outcome in UNTOLD:
        return Ruling.UNPROVED, f"it could not be told: {seen.detail}"
    if lost:
        return Ruling.UNPROVED, f"taps lost frames, went down or were not open: {', '.join(lost)}"
    if seen.outcome is not cell.expectation.outcome:
        return Ruling.FAIL, f"it did not reach, but for another reason: {seen.detail}"
    departure = _judge_departure(cell, seen)
    if departure:
        return departure
    if control is None:
        found = f"no control of class {cell.probe.frame_class} arrived at {cell.dst} after it"
        return Ruling.UNPROVED, found
    return Ruling.PASS, f"it did not arrive, and {control.sent.id}, sent after it, did"


def _judge_one_way(
    cell: Cell, seen: Observation, control: Observed | None, lost: list[str]
) -> tuple[Ruling, str]:
    """It must arrive by its path, and its reply must leave the destination and not come back.

    Or not leave it, if the destination has no route for it.
    """
    blind = _judge_sight(seen, lost)
    if blind:
        return blind
    if not seen.arrived or seen.missing:
        where = f" by way of {seen.missing[0]}" if seen.arrived else ""
        return Ruling.FAIL, f"it must arrive{where}, but: {seen.detail}"
    if seen.outcome is not cell.expectation.outcome or _was_unheard(seen):
        return Ruling.FAIL, f"its reply must get lost, but: {seen.detail}"
    if cell.expectation.unanswered:
        return _judge_unanswered(cell, seen, control)
    if not seen.answered:
        return Ruling.UNPROVED, "it arrived, but no reply was seen leaving its destination"
    if control is None:
        found = f"no reply of class {cell.probe.frame_class} came back to {cell.src} after it"
        return Ruling.UNPROVED, found
    return Ruling.PASS, f"its reply did not come back, and that of {control.sent.id} did"


def _judge_unanswered(
    cell: Cell, seen: Observation, control: Observed | None
) -> tuple[Ruling, str]:
    if seen.answered:
        return Ruling.FAIL, f"no reply must leave {cell.dst}, but one did"
    if control is None:
        found = f"nor did {cell.dst} answer any {cell.probe.like} that was sent after it"
        return Ruling.UNPROVED, f"it arrived, and no reply left {cell.dst}; {found}"
    return Ruling.PASS, f"no reply left {cell.dst}, which answered {control.sent.id} after it"


def _judge_sight(seen: Observation, lost: list[str]) -> tuple[Ruling, str] | None:
    """What keeps anything from being said of a probe: its outcome, where it strayed, the taps."""
    if seen.outcome in UNTOLD:
        return Ruling.UNPROVED, f"it could not be told: {seen.detail}"
    if seen.strays:
        return Ruling.FAIL, f"it was also seen where it must not be: {seen.strays[0].point}"
    if lost:
        return Ruling.UNPROVED, f"taps lost frames, went down or were not open: {', '.join(lost)}"
    return None


def _was_unheard(seen: Observation) -> bool:
    """Whether its reply came back, and its source's own rules kept it from the socket."""
    return seen.lost_at is not None and seen.lost_at.interface == SOCKET


def _judge_departure(cell: Cell, seen: Observation) -> tuple[Ruling, str] | None:
    """What is wrong with where the probe ended: at its source, or beyond it."""
    here = not cell.expectation.via and seen.outcome in AT_THE_SOURCE
    if here and seen.path:
        return Ruling.FAIL, f"it must end at its source, but left it: {seen.detail}"
    if not seen.left and not (here and seen.outcome in SAID_BY_ERRNO):
        return Ruling.UNPROVED, "the probe was not seen leaving its source"
    return None


def _class(one: Observed, end: str) -> Class:
    return end, one.cell.probe.frame_class, one.wave


def _answer(one: Observed) -> Class:
    return one.cell.dst, one.cell.probe.like, one.wave


@dataclass(frozen=True)
class _Controls:
    """What may vouch for a probe, or for its reply."""

    arrived: Arrived
    """By destination."""
    answered: Arrived
    """Those that reached, by source."""
    answering: Arrived
    """Those that reached, by destination and kind."""

    def of_probe(self, one: Observed) -> Observed | None:
        """The first of its class that arrived, over its last hop, and was sent later."""
        arrived = self.arrived.get(_class(one, one.cell.dst), [])
        tail = _tail(one)
        later = (other for other in arrived if other.sent.t_ns > one.sent.t_ns)
        return next((other for other in later if _tail(other) == tail), None)

    def of_reply(self, one: Observed) -> Observed | None:
        """The first of its class whose reply came back to its source, and was sent later."""
        answered = self.answered.get(_class(one, one.cell.src), [])
        return next((other for other in answered if other.sent.t_ns > one.sent.t_ns), None)

    def of_answer(self, one: Observed) -> Observed | None:
        """The first of its kind that its destination answered, and that was sent later."""
        answering = self.answering.get(_answer(one), [])
        return next((other for other in answering if other.sent.t_ns > one.sent.t_ns), None)


def _tail(one: Observed) -> list[Point]:
    return [way.point for way in one.path[-TAIL:]]
