"""The topology as a drawing: a box for each host, its endpoints in it, and the trunk below.

All numbers are user units of an SVG, which are pixels at its natural size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from harness.report.html.states import Note, State, together
from harness.report.summary import clean, many
from harness.topology import Gateway, Host, Topology

WIDTH, GAP, LINE, PAD = 276, 24, 20, 12
PER_ROW = 4
STRANDS = 30
"""How far a host's box is from the trunk below."""
STRAND = 10
MAX_STRANDS = 20
MAX_NAME, MAX_TEXT = 24, 38
"""Characters that fit: beside a count, and alone in a line."""
MAX_ENDPOINTS = 8
"""Endpoints of a host that are drawn one by one; more are counted by VLAN."""
MAX_NOTES = 3
LOOKS = 8
"""Colours, each with a pattern of its own; labels tell VLANs apart where there are more."""


@dataclass(frozen=True)
class Line:
    """A line of text in a box."""

    kind: str
    """`plain`, `node`, `vlan`, or that of a note: `fault`, `seen`."""
    text: str
    x: int = 0
    y: int = 0
    look: int | None = None
    """The look of the VLAN that it is about."""
    state: State | None = None
    pick: str = ""
    """What it stands for: `node bbox1`, `vlan 10`."""


@dataclass(frozen=True)
class Box:
    """A host, or the trunk."""

    name: str
    x: int
    y: int
    width: int
    height: int
    lines: tuple[Line, ...]
    state: State = field(default_factory=State)
    dashed: bool = False
    """Whether it is somebody else's, which nobody looks into."""
    noted: bool = False
    """Whether a fault was found there."""
    strands: tuple[tuple[int, int, int], ...] = ()
    """(x, y, look) of each VLAN that goes down to the trunk."""


@dataclass(frozen=True)
class Drawing:
    """All of it, and the same in words."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    trunks: tuple[Box, ...]
    looks: tuple[int, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class _Painter:
    topology: Topology
    states: dict[str, State]
    notes: dict[str, tuple[Note, ...]]

    def look(self, vlan: int) -> int:
        return [one.id for one in self.topology.vlans].index(vlan) % LOOKS

    def state(self, node: str) -> State:
        return self.states.get(node, State())

    def box(self, host: Host, x: int, y: int) -> Box:
        lines = _placed(self._lines(host), x, y + PAD + LINE)
        noted = _has_fault(lines)
        return Box(host.name, x, y, WIDTH, 0, lines, self.state(host.name), host.external, noted)

    def _lines(self, host: Host) -> Iterator[Line]:
        address = host.management and f"{self.topology.management} {host.management.ip}"
        yield Line("plain", address or "somebody else's: not looked into")
        yield from self._notes(host.name)
        for gateway in self.topology.gateways:
            if gateway.host == host.name:
                yield from self._gateway(gateway)
        yield from self._endpoints(host)

    def _notes(self, node: str) -> Iterator[Line]:
        every = self.notes.get(node, ())
        yield from (Line(note.kind, short(note.text, MAX_TEXT)) for note in every[:MAX_NOTES])
        if len(every) > MAX_NOTES:
            yield Line("seen", f"and {len(every) - MAX_NOTES} more")

    def _gateway(self, gateway: Gateway) -> Iterator[Line]:
        for vlan, address in gateway.addresses:
            text = f"{self.topology.subinterface(vlan)} {address}"
            yield _vlan_line(text, self.look(vlan), vlan)
        if gateway.masquerade:
            out = ", ".join(map(str, gateway.masquerade))
            yield Line("plain", short(f"MASQUERADE out of VLAN {out}", MAX_TEXT))
        if not self.topology.host(gateway.host).external:
            yield Line("plain", f"FORWARD policy to be {gateway.forward_policy}")

    def _endpoints(self, host: Host) -> Iterator[Line]:
        own = [end for end in self.topology.endpoints if end.host == host.name]
        for vlan in self.topology.vlans_of_host(host.name):
            look, ends = self.look(vlan), [end for end in own if end.vlan == vlan]
            on = f"{self.topology.subinterface(vlan)}, {self.topology.vlan(vlan).network}"
            yield _vlan_line(on, look, vlan)
            single = len(own) <= MAX_ENDPOINTS or len(ends) == 1
            if not single:
                state = together(self.state(end.name) for end in ends)
                told = many(len(ends), "endpoint")
                yield Line("node", told, look=look, state=state, pick=f"group {vlan} {host.name}")
            for end in ends:
                if single:
                    name, state = short(end.name, MAX_NAME), self.state(end.name)
                    yield Line("node", name, look=look, state=state, pick=f"node {end.name}")
                    yield Line("plain", f"{end.address}")
                yield from self._notes(end.name)

    def trunk(self, y: int, width: int, *, last: bool) -> Box:
        made = []
        if last:
            columns = max(1, width // (WIDTH + GAP))
            for place, vlan in enumerate(self.topology.vlans):
                text = short(f"VLAN {vlan.id}  {vlan.subnet}", MAX_TEXT - 4)
                row, column = divmod(place, columns)
                x, at = column * (WIDTH + GAP), y + PAD + LINE * (row + 2)
                look, pick = self.look(vlan.id), f"vlan {vlan.id}"
                made.append(Line("vlan", text, x + PAD, at, look, pick=pick))
        bottom = max([line.y for line in made], default=y + PAD + LINE)
        told = _placed(self._notes("switch"), 0, bottom) if last else ()
        lines = (*made, *told)
        height = max([line.y for line in lines], default=y + PAD + LINE // 2) + PAD - y
        state = self.state("switch")
        return Box(self._switch, 0, y, width, height, lines, state, noted=_has_fault(told))

    @property
    def _switch(self) -> str:
        where = "switch" if self.topology.switched else "your switch"
        return f"{where}: 802.1Q trunk, {self.topology.trunk} of each host"

    def strands(self, box: Box, down_to: int) -> tuple[tuple[int, int, int], ...]:
        own = {vlan for one in self.topology.gateways if one.host == box.name
               for vlan, _ in one.addresses}  # fmt: skip
        carried = own | set(self.topology.vlans_of_host(box.name))
        drawn = [vlan.id for vlan in self.topology.vlans if vlan.id in carried][:MAX_STRANDS]
        first = box.x + (box.width - len(drawn) * (STRAND + 3)) // 2
        looks = enumerate(map(self.look, drawn))
        return tuple((first + place * (STRAND + 3), down_to, look) for place, look in looks)

    def words(self) -> Iterator[str]:
        for host in self.topology.hosts:
            yield self._said(host.name, "external router" if host.external else "host")
            for end in self.topology.endpoints:
                if end.host == host.name:
                    yield self._said(end.name, f"on {host.name}, VLAN {end.vlan}, {end.address}")

    def _said(self, node: str, what: str) -> str:
        noted = "".join(f"; {note.text}" for note in self.notes.get(node, ()))
        return f"{node} ({what}): {self.state(node).words}{noted}"


def draw(
    topology: Topology, states: dict[str, State], notes: dict[str, tuple[Note, ...]]
) -> Drawing:
    """Place every host, `PER_ROW` beside each other, above a trunk that joins them."""
    painter = _Painter(topology, states, notes)
    columns = min(PER_ROW, len(topology.hosts))
    width = columns * (WIDTH + GAP) - GAP
    y, boxes, trunks = 0, [], []
    for start in range(0, len(topology.hosts), columns):
        row = [
            painter.box(host, place * (WIDTH + GAP), y)
            for place, host in enumerate(topology.hosts[start : start + columns])
        ]
        bottom = max([line.y for box in row for line in box.lines], default=y) + PAD
        for box in row:
            strands = painter.strands(box, bottom)
            boxes.append(Box(**{**vars(box), "height": bottom - y, "strands": strands}))
        y = bottom + STRANDS
        last = start + columns >= len(topology.hosts)
        trunks.append(painter.trunk(y, width, last=last))
        y += trunks[-1].height + (0 if last else GAP)
    looks = tuple(range(min(LOOKS, len(topology.vlans))))
    return Drawing(width, y, tuple(boxes), tuple(trunks), looks, tuple(painter.words()))


def _placed(lines: Iterator[Line], x: int, y: int) -> tuple[Line, ...]:
    """Lines below each other; what belongs to a VLAN or an endpoint is set in."""
    return tuple(
        replace(line, x=x + PAD, y=y + LINE * number) for number, line in enumerate(lines, 1)
    )


def _vlan_line(text: str, look: int, vlan: int) -> Line:
    return Line("vlan", short(text, MAX_TEXT - 4), look=look, pick=f"vlan {vlan}")


def _has_fault(lines: tuple[Line, ...]) -> bool:
    return any(line.kind == "fault" for line in lines)


def short(text: str, limit: int) -> str:
    """As much of an outside string as fits."""
    return clean(text, max(limit, 4))
