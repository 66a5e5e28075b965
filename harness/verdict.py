"""The proof rule: an expectation and an observation -> pass, fail or unproved.

*Reached* passes when the token arrived, a tied reply came back, and the path is the expected one.
*Not reached* passes only when the probe left, its token is nowhere it must not be, a control of its
own class sent after it did arrive, no tap lost anything, and the outcome is the expected one.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness import walk
from harness.flow import Cell, Observation, Outcome, Proof, Ruling, Verdict
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
"""What a probe and its control share: destination, frame class and wave."""
Arrived = dict[Class, list[Observed]]
"""The probes that arrived and strayed nowhere, by class, in the order in which they were sent."""


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
    for one in observed:
        if one.observation.arrived and not one.observation.strays:
            arrived.setdefault(_class(one), []).append(one)
    return tuple(_verdict(topology, one, arrived, lost) for one in observed if one.is_cell)


def _blind(topology: Topology, record: Record, observed: tuple[Observed, ...]) -> list[str]:
    """The taps on modelled paths that were not open, and those that lost something."""
    paths = (way.point for one in observed for way in walk.path(topology, one.cell))
    needed = {(point.node, point.interface) for point in paths} - _legs_not_there(topology)
    lossless = {(tap.node, tap.interface) for tap in record.taps if tap.lossless}
    lossy = {(tap.node, tap.interface) for tap in record.taps if not tap.lossless}
    return [f"{node}:{interface}" for node, interface in sorted(lossy | (needed - lossless))]


def _legs_not_there(topology: Topology) -> set[tuple[str, str]]:
    """The sub-interfaces on modelled paths that the gateway host does not have."""
    spec = topology.gateway
    if spec is None:
        return set()
    without = [vlan.id for vlan in topology.vlans if spec.address_in(vlan.id) is None]
    return {(spec.host, topology.subinterface(vlan_id)) for vlan_id in without}


def _verdict(topology: Topology, one: Observed, arrived: Arrived, lost: list[str]) -> Verdict:
    expected_outcome = one.cell.expectation.outcome
    seen = one.observation
    control = None
    if expected_outcome is not Outcome.REACHED:
        control = _control(topology, one, arrived.get(_class(one), []))
    if expected_outcome is Outcome.REACHED:
        ruling, why = _judge_reached(one.cell, seen, lost)
    else:
        ruling, why = _judge_not_reached(one.cell, seen, control, lost)
    proof = Proof(
        left=seen.left,
        absent=not seen.arrived and not seen.strays,
        control=control.sent.id if control else None,
        taps_lossless=not lost,
        outcome=seen.outcome is expected_outcome,
    )
    return Verdict(one.cell, seen, ruling, why, proof, one.sent.token)


def _judge_reached(cell: Cell, seen: Observation, lost: list[str]) -> tuple[Ruling, str]:
    if seen.outcome in UNTOLD:
        return Ruling.UNPROVED, f"it could not be told: {seen.detail}"
    if seen.strays:
        return Ruling.FAIL, f"it was also seen where it must not be: {seen.strays[0].point}"
    if lost:
        return Ruling.UNPROVED, f"taps lost frames, went down or were not open: {', '.join(lost)}"
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


def _judge_departure(cell: Cell, seen: Observation) -> tuple[Ruling, str] | None:
    """What is wrong with where the probe ended: at its source, or beyond it."""
    here = not cell.expectation.via and seen.outcome in AT_THE_SOURCE
    if here and seen.path:
        return Ruling.FAIL, f"it must end at its source, but left it: {seen.detail}"
    if not seen.left and not (here and seen.outcome in SAID_BY_ERRNO):
        return Ruling.UNPROVED, "the probe was not seen leaving its source"
    return None


def _class(one: Observed) -> Class:
    return one.cell.dst, one.cell.probe.frame_class, one.wave


def _control(topology: Topology, one: Observed, arrived: list[Observed]) -> Observed | None:
    """The first that vouches for this one: of its class and arrived, over its last hop, later."""
    tail = walk.path(topology, one.cell)[-TAIL:]
    return next((other for other in arrived if _vouches(topology, one, other, tail)), None)


def _vouches(
    topology: Topology, one: Observed, other: Observed, tail: tuple[walk.Waypoint, ...]
) -> bool:
    return other.sent.t_ns > one.sent.t_ns and [
        way.point for way in walk.path(topology, other.cell)[-TAIL:]
    ] == [way.point for way in tail]
