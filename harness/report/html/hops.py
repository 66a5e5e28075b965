"""The way of a probe as a table: where it was seen, as what, what changed, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from string import ascii_lowercase

from harness.flow import Cell, Hop

HEADER = ("at", "where", "tag", "from MAC", "to MAC", "from", "to", "TTL", "changed", "µs",
          "timeline")  # fmt: skip
PARTS = 20
"""Of the time that a probe took: so fine is the timeline beside its table."""


@dataclass(frozen=True)
class Row:
    """One sighting."""

    label: str
    """Its letter, by which the drawing has it too."""
    step: int | None
    """Which of the tutorial's four steps it shows."""
    values: tuple[tuple[str, bool], ...]
    """Where, and the fields of the frame there; whether each differs from the sighting before."""
    change: str
    elapsed: str
    """Microseconds since the first."""
    part: int
    """The same in parts of the time from the first sighting to the last, or to the reply."""


def rows(path: tuple[Hop, ...], steps: dict[int, int], rtt_ms: float | None) -> Iterator[Row]:
    """The sightings in order, what changed since the one before marked."""
    took = max([(path[-1].t_ns - path[0].t_ns) / 1000, (rtt_ms or 0) * 1000, 1]) if path else 1
    for number, (before, hop) in enumerate(zip(path[:1] + path, path, strict=False)):
        was, now = fields(before), fields(hop)
        values = (("-" if new is None else str(new), new != old)
                  for new, old in zip(now, was, strict=True))  # fmt: skip
        elapsed = (hop.t_ns - path[0].t_ns) / 1000
        part = min(PARTS, max(0, round(elapsed / took * PARTS)))
        change = ", ".join(_changes(before, hop))
        at = ((str(hop.point), False), *values)
        yield Row(label(number), steps.get(number), at, change, f"{elapsed:.0f}", part)


def label(number: int) -> str:
    """`a` to `z`, then `a2` and so on."""
    turn, place = divmod(number, len(ascii_lowercase))
    return ascii_lowercase[place] + (str(turn + 1) if turn else "")


def steps(cell: Cell, path: tuple[Hop, ...]) -> dict[int, int]:
    """The tutorial's steps by the number of the sighting that shows each: of a routed packet.

    It leaves its source for a router (1), a router takes it (2) and hands it on (3), and it is
    delivered (4).
    """
    via, found = set(cell.expectation.via), {}
    for number, hop in enumerate(path):
        point = hop.point
        if point.node == cell.src and point.direction == "out":
            found[number] = 1
        elif point.node in via and hop.vlan is None:
            found[number] = 2 if point.direction == "in" else 3
        elif point.node == cell.arrival:
            found[number] = 4
    return found


def fields(hop: Hop) -> tuple[int | str | None, ...]:
    """What can change on the way."""
    return (hop.vlan, hop.src_mac, hop.dst_mac, hop.src_ip, hop.dst_ip, hop.ttl)


def translated(before: Hop, hop: Hop) -> bool:
    """Whether an address was put in the place of another between two sightings."""
    return (before.src_ip, before.dst_ip) != (hop.src_ip, hop.dst_ip)


def _changes(before: Hop, hop: Hop) -> Iterable[str]:
    if before.vlan != hop.vlan:
        if before.vlan is None:
            yield f"tag {hop.vlan} on"
        else:
            yield f"tag {before.vlan} " + ("off" if hop.vlan is None else f"→ {hop.vlan}")
    if before.ttl != hop.ttl:
        yield f"TTL {before.ttl} → {hop.ttl}"
    if before.src_ip != hop.src_ip:
        yield "source NAT"
    if before.dst_ip != hop.dst_ip:
        yield "destination NAT"
    if (before.src_mac, before.dst_mac) != (hop.src_mac, hop.dst_mac):
        yield "new MACs"
