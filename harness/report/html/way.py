"""The way of a probe over the drawing of the lab: each sighting at its place, and what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.flow import Observation, Point, Verdict
from harness.report.html.drawing import Box, Drawing
from harness.report.html.hops import label, translated
from harness.topology import Topology

COLUMN = 44
"""How far from a box's middle frames go down to the trunk (right) and come up from it (left)."""
BESIDE = 20
"""How far a second mark is from one that has its place already."""
UP = 4
"""From a text's base line to its middle."""

SEEN = ("hop", "last")
"""The marks that a line joins."""


@dataclass(frozen=True)
class Mark:
    """A sighting on the drawing, or where the next one should have been."""

    x: int
    y: int
    kind: str
    """`hop`, `last` where it was seen last before it was lost, `lost`; or `stop`, where it is not
    to be seen any more."""
    label: str
    step: int | None = None
    nat: bool = False
    inward: bool = False
    """Whether it goes into the node: its mark is on the left then."""


@dataclass(frozen=True)
class Way:
    """What is drawn over the lab."""

    number: int
    first: bool
    """Whether it is drawn here; else it is the one drawn before."""
    line: str
    """The points of a polyline."""
    marks: tuple[Mark, ...]


@dataclass
class Ways:
    """The ways of a page, each drawn once."""

    topology: Topology
    drawing: Drawing
    _numbers: dict[tuple[Mark, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._boxes = {box.name: box for box in self.drawing.boxes}
        self._ports = {self.topology.port(host.name): host.name for host in self.topology.hosts}

    def of(self, one: Verdict, steps: dict[int, int]) -> Way | None:
        """The way of one probe; None where no tap saw it."""
        marks = tuple(self._marks(one.observation, steps, one.ok))
        if not marks:
            return None
        first = marks not in self._numbers
        number = self._numbers.setdefault(marks, len(self._numbers))
        line = " ".join(f"{mark.x},{mark.y}" for mark in marks if mark.kind in SEEN)
        return Way(number, first, line, marks)

    def _marks(self, seen: Observation, steps: dict[int, int], ok: bool) -> Iterator[Mark]:  # noqa: FBT001 - a verdict
        taken: set[tuple[int, int]] = set()
        before = seen.path[0] if seen.path else None
        for number, hop in enumerate(seen.path):
            last = not ok and seen.lost_at and number == len(seen.path) - 1
            place = self._free(hop.point, taken)
            if place and before:
                nat = translated(before, hop)
                yield Mark(*place, "last" if last else "hop", label(number), steps.get(number), nat,
                           _inward(hop.point))  # fmt: skip
            before = hop
        place = self._free(seen.lost_at, taken) if seen.lost_at and seen.path else None
        if place and seen.lost_at:
            kind, text = ("stop", "∅") if ok else ("lost", "✗")
            yield Mark(*place, kind, text, inward=_inward(seen.lost_at))

    def _free(self, point: Point, taken: set[tuple[int, int]]) -> tuple[int, int] | None:
        """A point's place, beside what has that already."""
        place = self.place(point)
        while place in taken:
            x, y = place
            place = (x + (BESIDE if _inward(point) else -BESIDE), y)
        if place:
            taken.add(place)
        return place

    def place(self, point: Point) -> tuple[int, int] | None:
        """Where an interface is on the drawing; None for one of a node that is not drawn."""
        ends = self.topology.endpoint_hosts
        at_switch = point.node == "switch"
        host = self._ports.get(point.interface) if at_switch else ends.get(point.node, point.node)
        box = self._boxes.get(host or "")
        if box is None:
            return None
        middle = box.x + box.width // 2 + (-COLUMN if _inward(point) else COLUMN)
        if at_switch:
            return middle, min(trunk.y for trunk in self.drawing.trunks if trunk.y > box.y)
        if point.interface == self.topology.trunk and point.node not in ends:
            return middle, box.y + box.height
        return box.x + (0 if _inward(point) else box.width), self._height(box, point)

    def _height(self, box: Box, point: Point) -> int:
        vlans = {self.topology.subinterface(vlan.id): vlan.id for vlan in self.topology.vlans}
        vlan = self.topology.endpoint_vlans.get(point.node, vlans.get(point.interface))
        for pick in (f"node {point.node}", f"vlan {vlan}"):
            for line in box.lines:
                if line.pick == pick:
                    return line.y - UP
        return box.y + BESIDE


def _inward(point: Point) -> bool:
    """Whether a frame comes up to a node's stack there, or out of the switch to a node."""
    return (point.direction == "in") is (point.node != "switch")
