"""What the page says of each cell: pair by pair, cells that fared alike told together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.causes import Cause
from harness.flow import Hop, Ruling, Verdict
from harness.report.explanation import STEPS, Explanation, proof_points
from harness.report.html.overview import PairKey, wrong
from harness.report.model import Evidence
from harness.report.summary import ARRIVED, observed, word
from harness.topology import Topology

MAX_CELLS = 2000
"""Cells that a page tells of one by one; of a larger lab only those that did not pass."""
ASKED_BY_STEPS = ("route-get", "neighbours")
"""The kinds of reading that the four steps are taken from."""
HOP_HEADER = ("#", "where", "tag", "from MAC", "to MAC", "from", "to", "TTL", "µs")

Point = tuple[str, bool | None, str]
"""A point of a proof: its name, whether it holds (None: nothing to hold), and what was seen."""


@dataclass(frozen=True)
class Row:
    """One sighting: `HOP_HEADER` but its first and last value, and which differ from before."""

    values: tuple[tuple[str, bool], ...]
    elapsed: str
    """Microseconds since the first."""


@dataclass(frozen=True)
class Asked:
    """What each cell of a block has for itself."""

    id: str
    probe: str
    why: str
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
    lost_at: str
    strays: tuple[str, ...]
    cause: Cause | None
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
    return verdicts if len(verdicts) <= MAX_CELLS else wrong(verdicts)[:MAX_CELLS]


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


def pairs(
    found: dict[PairKey, list[Verdict]], topology: Topology, evidence: tuple[Evidence, ...]
) -> Iterator[Pair]:
    """Each pair opened, one at a time: together they are the largest part of a run."""
    places = ids(found)
    tables: dict[str, list[Evidence]] = {}
    for entry in evidence:
        if entry.kind in ASKED_BY_STEPS:
            tables.setdefault(entry.stage, []).append(entry)
    for key, verdicts in found.items():
        alike: dict[object, list[Verdict]] = {}
        for one in verdicts:
            alike.setdefault(_likeness(one), []).append(one)
        ended = wrong(tuple(verdicts))
        order = sorted(alike.values(), key=lambda group: group[0].ok)
        ruling = str(ended[0].ruling if ended else Ruling.PASS)
        read = tuple(tables.get(key[0], ()))
        blocks = tuple(_block(group, topology, read) for group in order)
        said = word(observed(verdicts))
        yield Pair(key, places[key], said, len(verdicts), ruling, blocks)


def _likeness(one: Verdict) -> object:
    """What cells must have in common to be told together."""
    expected, seen, proof = one.cell.expectation, one.observation, one.proof
    way = tuple((hop.point, *_fields(hop)) for hop in seen.path)
    said = (expected.outcome, expected.why, seen.outcome, seen.detail, one.ruling, one.cause)
    points = (proof.left, proof.absent, proof.control is None, proof.taps_lossless, proof.outcome)
    ended = (seen.left, seen.arrived, seen.answered, seen.seen_source, seen.seen_ttl)
    return (said, way, points, ended, seen.lost_at, _strays(seen.strays))


def _block(group: list[Verdict], topology: Topology, evidence: tuple[Evidence, ...]) -> Block:
    one = group[0]
    expected, seen = one.cell.expectation, one.observation
    return Block(
        asked=tuple(map(_asked, group)),
        ruling=str(one.ruling),
        expected=str(expected.outcome),
        expected_why=expected.why,
        observed=str(seen.outcome),
        detail=seen.detail,
        proof=_shared(proof_of(one), len(group)),
        steps=_steps(one, topology, evidence),
        path=tuple(rows(seen.path)),
        lost_at=str(seen.lost_at) if seen.lost_at else "",
        strays=_strays(seen.strays),
        cause=one.cause,
        evidence=tuple(dict.fromkeys(name for each in group for name in each.evidence)),
    )


def _asked(one: Verdict) -> Asked:
    rtt = one.observation.rtt_ms
    token = ":".join(one.token[at : at + 2] for at in range(0, len(one.token), 2))
    return Asked(
        id=one.cell.id,
        probe=str(one.cell.probe),
        why=one.why,
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


def rows(path: tuple[Hop, ...]) -> Iterator[Row]:
    """The sightings in order, what changed since the one before marked."""
    for before, hop in zip(path[:1] + path, path, strict=False):
        fields = zip(_fields(hop), _fields(before), strict=True)
        values = (("-" if value is None else str(value), value != old) for value, old in fields)
        elapsed = f"{(hop.t_ns - path[0].t_ns) / 1000:.0f}"
        yield Row(((str(hop.point), False), *values), elapsed)


def _fields(hop: Hop) -> tuple[int | str | None, ...]:
    return (hop.vlan, hop.src_mac, hop.dst_mac, hop.src_ip, hop.dst_ip, hop.ttl)


def _strays(hops: Iterable[Hop]) -> tuple[str, ...]:
    tagged = ((hop.point, "untagged" if hop.vlan is None else f"VLAN {hop.vlan}") for hop in hops)
    return tuple(dict.fromkeys(f"{point}, {tag}" for point, tag in tagged))
