"""Cells of which nothing could be told, or that a fault elsewhere explains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from harness import walk
from harness.causes import Code
from harness.diagnosis import containers, links, routing
from harness.diagnosis.scene import Finding, Lab
from harness.flow import Outcome, Verdict
from harness.observe import address_of

LOST_TAPS = re.compile(r"^taps lost frames, went down or were not open: (.*)$")
CONTROL = "no control of class"


def elsewhere(lab: Lab, verdict: Verdict) -> Finding | None:
    """A fault at one of the ends of a cell that has no place of its own: it must not reach."""
    cell = verdict.cell
    gone = containers.gone(lab, verdict)
    if gone:
        return gone
    for node, other in ((cell.src, cell.dst), (cell.dst, cell.src)):
        vlan = walk.vlan_of(lab.topology, node, other)
        found = links.attached(lab, node, vlan) or links.addressed(
            lab, node, vlan, ipv6=cell.probe.is_ipv6
        )
        address = address_of(lab.topology.over(cell.probe), node, other)
        found = found or (routing.twice(lab, address, node) if address else None)
        if found:
            return found
    return None


def shared(
    verdict: Verdict, found: Mapping[str, Finding], verdicts: Iterable[Verdict]
) -> Finding | None:
    """The fault of those cells that would have vouched for this one: of its class, to its end."""
    if CONTROL not in verdict.why:
        return None
    cell = verdict.cell
    for other in verdicts:
        same = other.cell.probe.frame_class == cell.probe.frame_class
        if same and other.cell.dst == cell.dst and other.cell.id in found:
            finding = found[other.cell.id]
            if finding.code is not Code.UNKNOWN:
                return finding
    return None


def _is_open(finding: Finding) -> bool:
    """Whether another cell's fault may explain it: no reading holds why."""
    return finding.code is Code.UNKNOWN or (
        finding.code is Code.PROBE_NOT_SENT and not finding.shown
    )


def explained(
    lab: Lab, wrong: Iterable[Verdict], found: Mapping[str, Finding]
) -> dict[str, Finding]:
    """What nothing that was read explains, by the only fault that touches a node of its way."""
    known = list(dict.fromkeys(one for one in found.values() if not _is_open(one)))
    by_key = {(one.code, one.node, one.subject): one for one in reversed(known)}
    made = dict(found)
    for verdict in wrong:
        if not _is_open(found[verdict.cell.id]):
            continue
        touched = _touched(lab, verdict)
        near = [one for one in by_key.values() if one.node in touched]
        if len(near) == 1:
            made[verdict.cell.id] = near[0]
    return made


def _touched(lab: Lab, verdict: Verdict) -> set[str]:
    """The nodes that a cell's frames pass, and those where they strayed to."""
    cell, seen = verdict.cell, verdict.observation
    ends = (cell.src, cell.dst, *cell.expectation.via)
    carriers = {walk.carrier(lab.topology, node) for node in ends}
    strays = {hop.point.node for hop in seen.strays}
    return {*ends, *carriers, *strays, "switch"}


def untold(verdict: Verdict) -> Finding:
    """Nothing is known of the network."""
    taps = LOST_TAPS.match(verdict.why)
    detail = verdict.observation.detail
    if taps:
        point = taps[1].partition(",")[0]
        node, _, interface = point.partition(":")
        message = f"the taps at {taps[1]} lost frames, went down or were not open"
        return Finding(Code.TAP_DEAD, node, interface, message, "", ())
    if verdict.observation.outcome is Outcome.NOT_SENT or "not seen leaving" in verdict.why:
        message = f"{verdict.cell.src} did not send it: {detail}"
        return Finding(
            Code.PROBE_NOT_SENT, verdict.cell.src, None, message, "", (),
        )  # fmt: skip
    message = f"nothing that was read says why: {verdict.why}"
    return Finding(Code.UNKNOWN, None, None, message, "", ())
