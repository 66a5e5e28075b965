"""What is asked of a lab in which something failed, while it is still as it was.

A verdict never rests on it. All nodes are read once more, with what only a diagnosis needs; then
one cell of each class of failures is sent again, alone, between two readings of what nodes count:
a rule that counts it is one that it meets. Where the kernel says why it drops packets, it is asked.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.flow import Cell, Outcome, Ruling, Verdict
from harness.lab import Lab
from harness.report.model import Evidence
from harness.topology import Topology
from harness.worker import calls

KINDS = (
    "links", "macvlan", "addresses", "neighbours", "tables", "rules", "conf", "tc", "xfrm",
    "firewall", "nftables", "counters",
)  # fmt: skip
"""What is read of every node that has a part in what failed."""
COUNTING = ("firewall", "nftables", "counters")
"""What is read again after each cell that is sent alone."""
DROPS = "drops"
"""What the kernel says that it dropped of a cell that is sent alone, and why."""
MAX_NODES = 40
"""Nodes that are read, of large labs: hosts and switch first."""
MAX_ALONE = 4
"""Cells that are sent again."""
PATIENCE_S = 0.3
"""How long cells may be sent again, all together."""
NOW = "asked"


@dataclass(frozen=True)
class Inquiry:
    """Readings of the lab as it was when something had failed."""

    evidence: tuple[Evidence, ...] = ()
    alone: tuple[str, ...] = ()
    """The ids of the cells that were sent again, in order: their readings are named after them."""


def inquire(lab: Lab, verdicts: Iterable[Verdict]) -> Inquiry:
    """Ask about what did not pass; empty if all did, or the lab cannot be asked any more."""
    wrong = [verdict for verdict in verdicts if not verdict.ok]
    if not wrong:
        return Inquiry()
    try:
        return _inquire(lab, wrong)
    except HarnessError:
        return Inquiry()


def _inquire(lab: Lab, wrong: list[Verdict]) -> Inquiry:
    stage = str(lab.stage)
    nodes = [node for node in _concerned(lab.topology, wrong) if not lab.missing(node)]
    asked = [(node, kind) for node in nodes for kind in KINDS]
    found = list(named(stage, NOW, lab.read([*asked, *lab.own_readings()])))
    cells = _representatives(wrong)
    counting = _counting(found) if cells else []
    telling = [(node, DROPS) for node in nodes] if cells and lab.call(calls.watch_drops) else []
    alone: list[str] = []
    deadline = time.monotonic() + PATIENCE_S
    try:
        for cell in cells if counting or telling else ():
            if time.monotonic() > deadline:
                break
            lab.ask(cell)
            found += named(stage, after(cell.id), lab.read([*counting, *telling]))
            alone.append(cell.id)
    finally:
        if telling:
            lab.call(calls.unwatch_drops)
    return Inquiry(tuple(found), tuple(alone))


def after(cell_id: str) -> str:
    """What the readings are called that were taken after a cell was sent alone."""
    return f"after-{cell_id}"


def named(stage: str, when: str, readings: Iterable[dict[str, Any]]) -> Iterator[Evidence]:
    """Readings as evidence."""
    for reading in readings:
        yield Evidence(
            name=f"{stage}/{reading['node']}/{reading['kind']}/{when}",
            node=reading["node"],
            stage=stage,
            kind=reading["kind"],
            command=reading["command"],
            parsed=reading["parsed"],
            raw=reading["raw"],
        )


def _concerned(topology: Topology, wrong: list[Verdict]) -> list[str]:
    ends = {name for verdict in wrong for name in (verdict.cell.src, verdict.cell.dst)}
    hosts = [host.name for host in topology.hosts if not host.external]
    ends = {topology.endpoint(name).container if name in topology.legs else name for name in ends}
    endpoints = [end.name for end in topology.containers if end.name in ends]
    others = [end.name for end in topology.containers if end.name not in ends]
    return [*hosts, "switch", *endpoints, *others][:MAX_NODES]


def _counting(found: list[Evidence]) -> list[tuple[str, str]]:
    """What counts: the kinds that say anything, of the nodes that have rules."""
    with_rules = dict.fromkeys(
        entry.node for entry in found if entry.kind in ("firewall", "nftables") and entry.parsed
    )
    return [(node, kind) for node in with_rules for kind in COUNTING]


def _representatives(wrong: list[Verdict]) -> list[Cell]:
    """One cell of each class of what must arrive and was lost: by place and probe."""
    classes: dict[tuple[Any, ...], Cell] = {}
    for verdict in wrong:
        cell, seen = verdict.cell, verdict.observation
        must = cell.expectation.outcome is Outcome.REACHED or cell.expectation.arrives
        if not must or verdict.ruling is not Ruling.FAIL or cell.probe.argument is not None:
            continue
        key = (seen.lost_at, seen.outcome, cell.probe.is_layer2 or cell.probe.kind)
        classes.setdefault(key, cell)
    return list(classes.values())[:MAX_ALONE]
