"""A random fault on a lab: its verdicts against an oracle, its causes against their own fixes."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from harness.causes import Code, Diagnosis
from harness.faults import oracle
from harness.faults.bench import Bench, inject
from harness.faults.fault import Fault
from harness.faults.opinion import Answers, compared, read
from harness.handle import LiveLab, Process
from harness.lab import Lab

PATIENCE_S = 2.5
"""How long the oracle waits: two of the kernel's ARP retries, 1 s each."""
ROUNDS = 3
"""How often what diagnoses say is done: one fault may hide another, and no more than two."""


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
        tuple(
            said for one in first.verdicts for said in compared(bench.lab.topology, one, answers)
        ),
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
    return read(addresses, answered, came)


def _others(addresses: dict[str, str], own: str) -> list[str]:
    return [address for address in addresses.values() if address != own]


def _said(process: Process) -> str:
    process.wait_for("done", 10 * PATIENCE_S)
    said = process.output
    process.stop()
    return said
