"""One packet followed: its steps, its hops and its proof, for a terminal and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.causes import Diagnosis
from harness.flow import Hop, Outcome, Verdict
from harness.report.document import cell
from harness.report.model import Evidence
from harness.report.summary import remedy
from harness.report.text import coloured, drawn, plain
from harness.steps import FourSteps, four_steps
from harness.topology import Topology
from harness.verdict import SAID_BY_ERRNO

HEADER = ("where", "VLAN", "from MAC", "to MAC", "from", "to", "TTL", "us")
STEPS = (
    ("source_route", "route"),
    ("router_route", "router"),
    ("router_neighbour", "ARP"),
    ("delivery", "delivery"),
)
"""The four steps of the tutorial, by field and in a word."""


@dataclass(frozen=True)
class Explanation:
    """One judged probe of a lab that is up, and what was read around it."""

    topology: Topology
    verdict: Verdict
    evidence: tuple[Evidence, ...]
    diagnoses: tuple[Diagnosis, ...] = ()

    @cached_property
    def steps(self) -> FourSteps | None:
        """The four steps of a probe that must arrive through a router; None for any other."""
        expected = self.verdict.cell.expectation
        if not expected.via or expected.outcome is not Outcome.REACHED:
            return None
        return four_steps(self.topology, self.verdict, self.evidence)


def document(found: Explanation) -> dict[str, Any]:
    """The cell as report.json has it, with why it is expected, and the steps."""
    steps = {
        word: {"agree": agree, "measured": said} for word, agree, said in _steps(found.steps)
    } or None
    reason = found.verdict.cell.expectation.why
    fix = next((one.fix for one in found.diagnoses), None)
    return {**cell(found.verdict), "expected_why": reason, "steps": steps, "fix": fix}


def terminal(found: Explanation, colour: bool) -> str:  # noqa: FBT001 - as `text.terminal`
    """The whole explanation; colours only where `colour` is set."""
    verdict = found.verdict
    asked, seen = verdict.cell, verdict.observation
    parts = [
        (
            f"{asked.src} to {asked.dst}, {asked.probe}, in the stage {asked.stage}\n"
            f"expected {asked.expectation.outcome}: {asked.expectation.why}\n"
            f"observed {seen.outcome}: {seen.detail}"
        ),
        "\n".join(_middle(found)),
        "\n".join(drawn((HEADER, *_hops(seen.path)))) if seen.path else "no tap saw the packet",
        "\n".join([*_places(verdict), _ended(verdict), *_cause(found)]),
    ]
    text = "\n\n".join(parts) + "\n"
    return text if colour else plain(text)


def _middle(found: Explanation) -> list[str]:
    """What the tutorial asks of such a pair: four steps, a direct path, or a proof."""
    if found.steps:
        return [
            f"{number} {word:9} {_tick(good=agree)} {said}"
            for number, (word, agree, said) in enumerate(_steps(found.steps), 1)
        ]
    if found.verdict.cell.expectation.outcome is Outcome.REACHED:
        return [_direct(found.verdict)]
    return [
        f"{word:14} {_tick(good=good)} {said}" for word, good, said in proof_points(found.verdict)
    ]


def _steps(steps: FourSteps | None) -> Iterator[tuple[str, bool | None, str]]:
    if steps:
        for field, word in STEPS:
            yield (word, *getattr(steps, field))


def _direct(verdict: Verdict) -> str:
    seen = verdict.observation
    nodes = dict.fromkeys(hop.point.node for hop in seen.path)
    arrived = f"; arrived with TTL {seen.seen_ttl}" if seen.arrived else ""
    return f"direct, no router: {', '.join(nodes) or 'seen nowhere'}{arrived}"


def proof_points(verdict: Verdict) -> tuple[tuple[str, bool | None, str], ...]:
    """The points of the proof that a probe did not reach."""
    proof, cell_ = verdict.proof, verdict.cell
    control = f"{proof.control}, sent after it, arrived" if proof.control else "none arrived"
    return (
        ("left", *_departure(verdict)),
        ("absent", proof.absent, "no tap saw its token where it must not be"),
        ("control", proof.control is not None, control),
        ("taps lossless", proof.taps_lossless, "no tap on the way lost a frame or went down"),
        ("outcome", proof.outcome, f"{cell_.expectation.outcome}, and nothing else"),
    )


def _departure(verdict: Verdict) -> tuple[bool | None, str]:
    """Nothing has to leave where the source's own kernel says why it sends nothing."""
    seen, src = verdict.observation, verdict.cell.src
    if seen.outcome in SAID_BY_ERRNO and not seen.path:
        return None, f"{src}'s own kernel refused, so nothing had to leave"
    return verdict.proof.left, f"the probe, or the question for its next hop, left {src}"


def _hops(path: tuple[Hop, ...]) -> Iterator[tuple[str, ...]]:
    for hop in path:
        known = (hop.vlan, hop.src_mac, hop.dst_mac, hop.src_ip, hop.dst_ip, hop.ttl)
        values = ("-" if value is None else str(value) for value in known)
        yield (str(hop.point), *values, f"{(hop.t_ns - path[0].t_ns) / 1000:.0f}")


def _places(verdict: Verdict) -> list[str]:
    """Where it was lost, and where else it was seen."""
    seen = verdict.observation
    lost = [f"lost before {seen.lost_at}"] if seen.lost_at and seen.path else []
    return lost + [f"also seen at {hop.point}, VLAN {hop.vlan}" for hop in seen.strays]


def _ended(verdict: Verdict) -> str:
    rtt = verdict.observation.rtt_ms
    took = "" if rtt is None else f" ({rtt} ms)"
    return f"{coloured(verdict.ruling.upper())} {verdict.why}{took}"


def _cause(found: Explanation) -> Iterator[str]:
    """Why it is no pass, and what mends it."""
    cause = found.verdict.cause
    if cause:
        yield f"cause {cause.code}: {cause.detail}"
    yield from filter(None, map(remedy, found.diagnoses))


def _tick(*, good: bool | None) -> str:
    """In three columns; a dash where there is nothing to agree with."""
    if good is None:
        return "-  "
    return coloured("PASS" if good else "FAIL").replace("PASS", "yes").replace("FAIL", "NO ")
