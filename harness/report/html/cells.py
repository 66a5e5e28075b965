"""What the page says of each cell: pair by pair, cells that fared alike told together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from harness.causes import Cause, Diagnosis
from harness.flow import Cell, Hop, Ruling, Verdict
from harness.report.explanation import STEPS, Explanation, proof_points
from harness.report.html import hops, used
from harness.report.html.cited import Citations, Excerpt
from harness.report.html.hops import Row, fields
from harness.report.html.overview import PairKey, wrong
from harness.report.html.used import Tables, Used
from harness.report.html.way import Way, Ways
from harness.report.model import Evidence
from harness.report.summary import ARRIVED, observed, word
from harness.topology import Topology

MAX_CELLS = 2000
"""Cells that a page tells of one by one; of a larger lab only those that did not pass."""
MAX_WRONG = 500
"""So many of those: nobody reads more, and the page must open as fast as one does."""
ASKED_BY_STEPS = ("route-get", "neighbours")
"""The kinds of reading that the four steps are taken from."""

Point = tuple[str, bool | None, str]
"""A point of a proof: its name, whether it holds (None: nothing to hold), and what was seen."""


@dataclass(frozen=True)
class Asked:
    """What each cell of a block has for itself."""

    id: str
    probe: str
    why: str
    word: str
    """What a matrix of this probe alone says of the pair."""
    rtt: str
    filter: str
    """What shows its frames in Wireshark."""


@dataclass(frozen=True)
class Block:
    """Cells of one pair that fared alike: all that is said of one is said of each."""

    asked: tuple[Asked, ...]
    ruling: str
    expected: str
    expected_why: str
    observed: str
    detail: str
    proof: tuple[Point, ...]
    steps: tuple[Point, ...]
    path: tuple[Row, ...]
    reply: str
    """When the reply to the first was back, in microseconds."""
    way: Way | None
    used: tuple[Used, ...]
    last: str
    lost_at: str
    strays: tuple[str, ...]
    cause: Cause | None
    excerpt: Excerpt | None
    """Where a reading says so."""
    fix: Diagnosis | None
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """A field of a matrix, opened."""

    key: PairKey
    id: str
    word: str
    cells: int
    ruling: str
    blocks: tuple[Block, ...]

    @property
    def ok(self) -> bool:
        """Whether all of its cells passed."""
        return self.ruling == Ruling.PASS


def told(verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """The cells that a page has room for."""
    return verdicts if len(verdicts) <= MAX_CELLS else wrong(verdicts)[:MAX_WRONG]


def by_pair(verdicts: Iterable[Verdict]) -> dict[PairKey, list[Verdict]]:
    """The cells of each pair, stage and layer: of each stage first what did not pass."""
    found: dict[PairKey, list[Verdict]] = {}
    for one in verdicts:
        cell = one.cell
        layer = 2 if cell.probe.is_layer2 else 3
        found.setdefault((str(cell.stage), cell.src, cell.dst, layer), []).append(one)
    stages = list(dict.fromkeys(stage for stage, *_ in found))
    order = sorted(found, key=lambda key: (stages.index(key[0]), all(one.ok for one in found[key])))
    return {key: found[key] for key in order}


def ids(found: Iterable[PairKey]) -> dict[PairKey, str]:
    """Where each pair stands on the page."""
    return {key: f"pair-{number}" for number, key in enumerate(found)}


@dataclass(frozen=True)
class Opening:
    """What cells are told with: the lab, its drawing, what was read, and what was found."""

    topology: Topology
    ways: Ways
    citations: Citations
    diagnoses: tuple[Diagnosis, ...]
    evidence: tuple[Evidence, ...]

    @cached_property
    def fixes(self) -> dict[str, Diagnosis]:
        """The fault that each cell fails for, where there is something that mends it."""
        return {cell: one for one in reversed(self.diagnoses) if one.fix for cell in one.cells}

    @cached_property
    def tables(self) -> dict[str, Tables]:
        """What was read in each stage, to be asked what a probe used."""
        return used.tables(self.topology, self.evidence)

    @cached_property
    def _asked_by_steps(self) -> dict[tuple[str, str], list[Evidence]]:
        found: dict[tuple[str, str], list[Evidence]] = {}
        for entry in self.evidence:
            if entry.kind in ASKED_BY_STEPS:
                found.setdefault((entry.stage, entry.node), []).append(entry)
        return found

    def asked_by_steps(self, cell: Cell) -> tuple[Evidence, ...]:
        """What the four steps are taken from: readings of its source and of its routers."""
        nodes, stage = (cell.src, *cell.expectation.via), str(cell.stage)
        return tuple(chain.from_iterable(self._asked_by_steps.get((stage, n), ()) for n in nodes))


def pairs(found: dict[PairKey, list[Verdict]], opening: Opening) -> Iterator[Pair]:
    """Each pair opened, one at a time: together they are the largest part of a run."""
    places = ids(found)
    for key, verdicts in found.items():
        alike: dict[object, list[Verdict]] = {}
        for one in verdicts:
            alike.setdefault(_likeness(one), []).append(one)
        ended = wrong(tuple(verdicts))
        order = sorted(alike.values(), key=lambda group: (group[0].ok, all(map(_special, group))))
        ruling = str(ended[0].ruling if ended else Ruling.PASS)
        blocks = tuple(_block(group, opening) for group in order)
        said = word(observed(verdicts))
        yield Pair(key, places[key], said, len(verdicts), ruling, blocks)


def _special(one: Verdict) -> bool:
    """Whether a probe is one of another size, or with a tag of its own."""
    return one.cell.probe.argument is not None


def _likeness(one: Verdict) -> object:
    """What cells must have in common to be told together."""
    expected, seen, proof = one.cell.expectation, one.observation, one.proof
    way = tuple((hop.point, *fields(hop)) for hop in seen.path)
    said = (expected.outcome, expected.why, seen.outcome, seen.detail, one.ruling, one.cause)
    points = (proof.left, proof.absent, proof.control is None, proof.taps_lossless, proof.outcome)
    ended = (seen.left, seen.arrived, seen.answered, seen.seen_source, seen.seen_ttl)
    return (said, way, points, ended, seen.lost_at, _strays(seen.strays))


def _block(group: list[Verdict], opening: Opening) -> Block:
    one = group[0]
    expected, seen, stage = one.cell.expectation, one.observation, str(one.cell.stage)
    told = _steps(one, opening.topology, opening.asked_by_steps(one.cell))
    steps = hops.steps(one.cell, seen.path) if told else {}
    tables = opening.tables.get(stage)
    return Block(
        asked=tuple(map(_asked, group)),
        ruling=str(one.ruling),
        expected=str(expected.outcome),
        expected_why=expected.why,
        observed=str(seen.outcome),
        detail=seen.detail,
        proof=_shared(proof_of(one), len(group)),
        steps=told,
        path=tuple(hops.rows(seen.path, steps, seen.rtt_ms)),
        reply="" if seen.rtt_ms is None else f"{seen.rtt_ms * 1000:.0f}",
        way=opening.ways.of(one, steps),
        used=tables.of(one) if tables else (),
        last=str(seen.path[-1].point) if seen.path else "",
        lost_at=str(seen.lost_at) if seen.lost_at else "",
        strays=_strays(seen.strays),
        cause=one.cause,
        excerpt=opening.citations.of(one),
        fix=opening.fixes.get(one.cell.id),
        evidence=tuple(dict.fromkeys(name for each in group for name in each.evidence)),
    )


def _asked(one: Verdict) -> Asked:
    rtt = one.observation.rtt_ms
    token = ":".join(one.token[at : at + 2] for at in range(0, len(one.token), 2))
    return Asked(
        id=one.cell.id,
        probe=str(one.cell.probe),
        why=one.why,
        word=word(observed([one])),
        rtt="" if rtt is None else f"{rtt} ms",
        filter=f"frame contains {token}" if token else "",
    )


def proof_of(one: Verdict) -> tuple[Point, ...]:
    """The points that a verdict rests on: of what must arrive, and of what must not."""
    if one.cell.expectation.outcome not in ARRIVED:
        return proof_points(one)
    seen, dst = one.observation, one.cell.dst
    ttl = "" if seen.seen_ttl is None else f", with TTL {seen.seen_ttl}"
    source = f", from {seen.seen_source}" if seen.seen_source else ""
    return (
        ("left", seen.left, f"{_seen(seen.left)} leaving {one.cell.src}"),
        ("arrived", seen.arrived, f"{_seen(seen.arrived)} arriving at {dst}{source}{ttl}"),
        ("answered", seen.answered, f"{_seen(seen.answered)} answered by {dst}"),
        ("taps lossless", one.proof.taps_lossless, "no tap on the way lost a frame or went down"),
        ("outcome", one.proof.outcome, f"{one.cell.expectation.outcome}, and nothing else"),
    )


def _shared(points: tuple[Point, ...], cells: int) -> tuple[Point, ...]:
    """Points of several cells, each of which has a control of its own."""
    if cells == 1:
        return points
    each = "sent after each, arrived: named with the verdict"
    return tuple((name, holds, each if name == "control" and holds else said)
                 for name, holds, said in points)  # fmt: skip


def _seen(was: bool) -> str:  # noqa: FBT001 - what an observation says
    return "seen" if was else "not seen"


def _steps(one: Verdict, topology: Topology, evidence: tuple[Evidence, ...]) -> tuple[Point, ...]:
    """The tutorial's four steps; of a routed packet between two endpoints only."""
    ends = topology.endpoint_vlans
    if one.cell.src not in ends or one.cell.dst not in ends or one.cell.probe.is_layer2:
        return ()
    steps = Explanation(topology, one, evidence).steps
    return tuple((name, *getattr(steps, field)) for field, name in STEPS) if steps else ()


def _strays(hops: Iterable[Hop]) -> tuple[str, ...]:
    tagged = ((hop.point, "untagged" if hop.vlan is None else f"VLAN {hop.vlan}") for hop in hops)
    return tuple(dict.fromkeys(f"{point}, {tag}" for point, tag in tagged))
