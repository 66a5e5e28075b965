"""A random fault on a lab: its verdicts against an oracle, its causes against their own fixes."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from harness.causes import Code, Diagnosis
from harness.faults import oracle
from harness.faults.bench import Bench, inject
from harness.faults.fault import Fault
from harness.flow import L3_KINDS, Cell, Verdict
from harness.handle import LiveLab, Process
from harness.lab import Lab

PATIENCE_S = 2.5
"""How long the oracle waits: two of the kernel's ARP retries, 1 s each."""
ROUNDS = 3
"""How often what diagnoses say is done: one fault may hide another, and no more than two."""
WITH_PATH = ("where it must not be", "not by way of")
"""What a verdict knows of a way, and no socket can."""

Answers = dict[tuple[str, str, str], tuple[str, int] | None]
"""By (protocol, source, destination) of what was answered: (source address, TTL) as it came in; of
TCP None."""


@dataclass(frozen=True)
class Trial:
    """What was found of a random fault."""

    fault: Fault
    disagreements: tuple[str, ...]
    """Cells of which the oracle says otherwise."""
    wrong_causes: tuple[str, ...]
    """Causes whose own fix did not mend what they were to explain."""
    named: int
    """How many diagnoses there were, at first."""
    unknown: int
    """How many of them were unknown."""
    unhealed: tuple[str, ...]

    @property
    def right(self) -> bool:
        """No verdict against the oracle, no wrong cause, and all green again."""
        return not (self.disagreements or self.wrong_causes or self.unhealed)

    def explain(self) -> str:
        """What is not as it must be."""
        lines = [f"{self.fault.name}: {self.fault.sentence}", *self.disagreements]
        return "\n  ".join([*lines, *self.wrong_causes, *self.unhealed])


def trial(bench: Bench, fault: Fault) -> Trial:
    """Inject, sweep, ask the oracle, do what the diagnoses say until all is green, undo."""
    saved = bench.saved(fault)
    try:
        inject(bench.lab, fault.change.do)
        first = bench.diagnosed()
        answers = asked(bench.lab)
        wrong = _wrong_causes(bench, first.diagnoses)
    finally:
        bench.undone(fault, saved, mended=True)
    red = {one.cell.id for one in first.verdicts if not one.ok}
    return Trial(
        fault,
        tuple(said for one in first.verdicts for said in _compared(bench.lab, one, answers)),
        tuple(wrong),
        len(first.diagnoses),
        sum(one.code is Code.UNKNOWN for one in first.diagnoses),
        bench.unhealed(red),
    )


def _wrong_causes(bench: Bench, diagnoses: tuple[Diagnosis, ...]) -> list[str]:
    """Do what is said, look again, and so on; what is said twice was no cause."""
    done: set[tuple[Code, str | None, str | None]] = set()
    for _ in range(ROUNDS):
        known = [one for one in diagnoses if one.code is not Code.UNKNOWN]
        again = [one for one in known if (one.code, one.node, one.subject) in done]
        if again:
            return [f"{one.code} at {one.node} ({one.subject}): {one.fix}" for one in again]
        if not known:
            return []
        failed = bench.carry_out(known)
        if failed:
            return failed
        done |= {(one.code, one.node, one.subject) for one in known}
        diagnoses = bench.diagnosed().diagnoses
    known = [one for one in diagnoses if one.code is not Code.UNKNOWN]
    return [f"after {ROUNDS} rounds: {one.code} at {one.node} ({one.subject})" for one in known]


def asked(lab: Lab) -> Answers:
    """Have every endpoint ask every other one with plain sockets."""
    live, addresses = LiveLab(lab), {end.name: str(end.address) for end in lab.topology.endpoints}
    script = (sys.executable, "-m", oracle.__name__)
    wait = str(PATIENCE_S)
    listening = {
        name: live.start(name, (*script, "listen", str(10 * PATIENCE_S))) for name in addresses
    }
    try:
        for process in listening.values():
            process.wait_for("listening", 10 * PATIENCE_S)
        asking = {
            name: live.start(name, (*script, "ask", wait, own, *_others(addresses, own)))
            for name, own in addresses.items()
        }
        answered = {name: _said(process) for name, process in asking.items()}
    finally:
        came = {name: process.output for name, process in listening.items()}
        for process in listening.values():
            process.stop()
    return _answers(addresses, answered, came)


def _others(addresses: dict[str, str], own: str) -> list[str]:
    return [address for address in addresses.values() if address != own]


def _said(process: Process) -> str:
    process.wait_for("done", 10 * PATIENCE_S)
    said = process.output
    process.stop()
    return said


def _answers(addresses: dict[str, str], answered: dict[str, str], came: dict[str, str]) -> Answers:
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


def _compared(lab: Lab, verdict: Verdict, answers: Answers) -> list[str]:
    """What the oracle says otherwise of a cell that it can say something of."""
    cell = verdict.cell
    ends = lab.topology.endpoint_vlans
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
