"""What the oracle says, read and held against verdicts."""

from __future__ import annotations

from harness.flow import L3_KINDS, Cell, Verdict
from harness.topology import Topology

WITH_PATH = ("where it must not be", "not by way of")
"""What a verdict knows of a way, and no socket can."""

Answers = dict[tuple[str, str, str], tuple[str, int] | None]
"""By (protocol, source, destination) of what was answered: (source address, TTL) as it came in; of
TCP None."""


def read(addresses: dict[str, str], answered: dict[str, str], came: dict[str, str]) -> Answers:
    """What askers and listeners printed, put together."""
    names = {address: name for name, address in addresses.items()}
    seen = {}
    for name, said in came.items():
        for line in said.splitlines()[1:]:
            protocol, source, ttl, mark = line.split(maxsplit=3)
            asker = mark.partition(">")[0]
            seen[protocol, names.get(asker), name] = (source, int(ttl))
    found: Answers = {}
    for name, said in answered.items():
        for line in said.splitlines()[:-1]:
            protocol, address = line.split()
            key = protocol, name, names[address]
            found[key] = seen.get(key)
    return found


def compared(topology: Topology, verdict: Verdict, answers: Answers) -> list[str]:
    """What the oracle says otherwise of a cell that it can say something of."""
    cell = verdict.cell
    ends = topology.endpoint_vlans
    if (
        cell.probe.kind not in L3_KINDS
        or cell.probe.argument
        or not {cell.src, cell.dst} <= ends.keys()
    ):
        return []
    key = cell.probe.kind, cell.src, cell.dst
    reached = key in answers and _as_expected(cell, answers[key])
    if verdict.ok and not reached:
        return [f"{cell.id}: false pass; the oracle has {answers.get(key, 'no answer')}"]
    of_the_way = verdict.reached and (
        cell.probe.kind == "tcp" or any(word in verdict.why for word in WITH_PATH)
    )
    if not verdict.ok and reached and not of_the_way:
        return [f"{cell.id}: {verdict.ruling} ({verdict.why}), but plain sockets reach"]
    return []


def _as_expected(cell: Cell, seen: tuple[str, int] | None) -> bool:
    expected = cell.expectation
    return seen is None or seen == (expected.seen_source, expected.ttl)
