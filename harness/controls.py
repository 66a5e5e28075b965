"""Which cells vouch for others: the first of each class that reaches, and those that lend it."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from harness import walk
from harness.flow import Cell, Family, Outcome
from harness.topology import Topology

NOBODY: frozenset[str] = frozenset()
"""Every endpoint is there."""

ARRIVAL, SIBLING, REPLY, ANSWER = "arrival", "sibling", "reply", "answer"
Class = tuple[str, str, str, str]
"""What a probe and its control share: what the control is to show, at which node, the frame class
(the kind, where the node is to answer), and the last hop."""


def lenders(
    topology: Topology, stage_cells: Iterable[Cell], absent: AbstractSet[str] = NOBODY
) -> tuple[Cell, ...]:
    """The cells of a stage that controls are lent from: for each class the first that reaches.

    Where an endpoint is `absent`, nothing can vouch for anything.
    """
    return tuple(dict.fromkeys(_controls(topology, there(stage_cells, absent)).values()))


def there(cells: Iterable[Cell], absent: AbstractSet[str]) -> list[Cell]:
    """The cells whose ends are both there."""
    return [cell for cell in cells if absent.isdisjoint((cell.src, cell.dst))]


def missing(
    topology: Topology, cells: list[Cell], stage_cells: Iterable[Cell]
) -> tuple[list[Cell], list[Cell]]:
    """What the chosen cells need beside them, one for each destination and class.

    First the cells of the matrix that lend a control, then blocked cells to whose destination no
    endpoint can send one.
    """
    own = _controls(topology, cells)
    wanting: dict[Class, Cell] = {}
    for cell in cells:
        if cell.expectation.outcome is not Outcome.REACHED and cell.family is not Family.COLD:
            wanting.setdefault(_wanted(topology, cell), cell)
    short = [name for name in wanting if name not in own or own[name].expectation.via]
    every = _controls(topology, stage_cells) if short else {}
    lent = [
        every[name]
        for name in short
        if name in every and (name not in own or not every[name].expectation.via)
    ]
    beacons = [wanting[name] for name in short if name not in every and name[0] == ARRIVAL]
    return list(dict.fromkeys(lent)), beacons


def _controls(topology: Topology, cells: Iterable[Cell]) -> dict[Class, Cell]:
    """The first cell of each class that reaches, and so can vouch.

    One that no router has a part in where there is one: what breaks a router leaves it.
    """
    found: dict[Class, Cell] = {}
    for cell in cells:
        if reaches(cell):
            replied = (REPLY, cell.src, cell.probe.frame_class, "")
            for name in (replied, _answering(cell), _arriving(topology, cell)):
                known = found.setdefault(name, cell)
                if known.expectation.via and not cell.expectation.via:
                    found[name] = cell
    return found


def _wanted(topology: Topology, cell: Cell) -> Class:
    """The class of the control that a blocked cell needs, or its blocked reply."""
    if cell.expectation.unanswered:
        return _answering(cell)
    if cell.expectation.arrives:
        return REPLY, cell.src, cell.probe.frame_class, ""
    return _arriving(topology, cell)


def _answering(cell: Cell) -> Class:
    """That the destination answers probes of this kind."""
    return ANSWER, cell.dst, cell.probe.like, ""


def _arriving(topology: Topology, cell: Cell) -> Class:
    """How a probe arrives: over the wire into a VLAN, or from another interface of the host."""
    src, dst = cell.src, cell.arrival
    if walk.siblings(topology, src, dst):
        return SIBLING, dst, cell.probe.frame_class, src
    hop = f"{walk.vlan_of(topology, dst, src)}"
    if reaches(cell) and walk.carrier(topology, src) == walk.carrier(topology, dst):
        hop += " by way of its own host"
    return ARRIVAL, dst, cell.probe.frame_class, hop


def reaches(cell: Cell) -> bool:
    """Whether a cell can vouch: it must reach, and be of the wave that the others are of."""
    return cell.expectation.outcome is Outcome.REACHED and cell.family is not Family.COLD
