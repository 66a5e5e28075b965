"""How each node fared, for the drawing: its cells, what is at fault there, what was lost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from harness.flow import Ruling
from harness.report.model import RunReport
from harness.topology import Topology

MARKS = {"pass": "✓", "fail": "✗", "unproved": "?", "none": "-"}
"""A state in a sign, so that nobody has to tell colours apart."""


class Note(NamedTuple):
    """What is to be said at a node."""

    kind: str
    """`fault`, or `seen` where packets were seen last."""
    text: str


@dataclass(frozen=True)
class State:
    """How the cells of a node fared, whether it sends or receives."""

    proved: int = 0
    failed: int = 0
    unproved: int = 0

    @property
    def asked(self) -> int:
        """All of its cells."""
        return self.proved + self.failed + self.unproved

    @property
    def kind(self) -> str:
        """A key of `MARKS`: the worst of its cells."""
        if not self.asked:
            return "none"
        return "fail" if self.failed else "unproved" if self.unproved else "pass"

    def __str__(self) -> str:
        return f"{MARKS[self.kind]} {self.proved}/{self.asked}" if self.asked else MARKS["none"]

    @property
    def words(self) -> str:
        """The same for who sees no drawing."""
        if not self.asked:
            return "no cell"
        parts = [f"{self.proved} of {self.asked} cells proved"]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.unproved} unproved"] if self.unproved else []
        return ", ".join(parts)


def together(states: Iterable[State]) -> State:
    """Several nodes as one."""
    every = list(states)
    return State(*(sum(getattr(one, name) for one in every) for name in COUNTED))


COUNTED = ("proved", "failed", "unproved")


def states(report: RunReport) -> dict[str, State]:
    """The state of each node that has cells."""
    found: dict[str, Counter[Ruling]] = defaultdict(Counter)
    for one in report.verdicts:
        for node in {one.cell.src, one.cell.dst}:
            found[node][one.ruling] += 1
    return {node: State(*(rulings[one] for one in Ruling)) for node, rulings in found.items()}


@dataclass(frozen=True)
class Place:
    """Where a node is, and how it fared."""

    name: str
    vlan: int | None
    """None for a host, which is in several."""
    host: str
    address: str
    state: State


def places(topology: Topology, found: dict[str, State]) -> tuple[Place, ...]:
    """Every host and endpoint of a lab."""
    ends = (
        Place(end.name, end.vlan, end.host, str(end.address), found.get(end.name, State()))
        for end in topology.endpoints
    )
    hosts = (
        Place(host.name, None, host.name, str(host.management.ip) if host.management else "",
              found.get(host.name, State()))
        for host in topology.hosts
    )  # fmt: skip
    return (*ends, *hosts)


def notes(report: RunReport) -> dict[str, tuple[Note, ...]]:
    """The faults that were found at a node, and what failing cells were last seen there."""
    found: dict[str, list[Note]] = {}
    for fault in report.diagnoses:
        if fault.node:
            found.setdefault(fault.node, []).append(Note("fault", f"{MARKS['fail']} {fault.code}"))
    seen: Counter[tuple[str, str]] = Counter()
    for one in report.verdicts:
        path = one.observation.path
        if one.ruling is Ruling.FAIL and path:
            point = path[-1].point
            seen[point.node, f"{point.interface} ({point.direction})"] += 1
    for (node, place), count in seen.most_common():
        found.setdefault(node, []).append(Note("seen", f"◎ {count} last seen at {place}"))
    return {node: tuple(dict.fromkeys(texts)) for node, texts in found.items()}
