"""A lab on which faults are tried one after another: inject, sweep, compare, undo, green again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Self

from harness import labs
from harness.backends import Backend
from harness.errors import MachineError
from harness.faults.change import PYTHON, Command
from harness.faults.fault import Fault
from harness.faults.predict import cells, path_of, predict
from harness.faults.tried import Tried
from harness.flow import Cell, Ruling, Stage, Verdict
from harness.lab import Lab
from harness.normal import RULES
from harness.report.model import Evidence
from harness.verdict import judge_record
from harness.worker import calls

State = dict[str, object]
"""What was read of the nodes, by the reading's name, without what changes by itself."""
Place = tuple[str, Stage, str]
"""A topology, a stage, a backend."""


class Bench:
    """A private lab of a topology, in one stage, on which faults are tried."""

    def __init__(self, topology: str, stage: Stage, backend: str = "netns") -> None:
        self._cells = cells(topology, stage)
        self.lab = labs.private(path_of(topology), Backend(backend)).open()
        try:
            self.lab.enter(stage)
            self._before = self._green()
        except BaseException:
            self.lab.close()
            raise

    def close(self) -> None:
        """End the lab."""
        self.lab.close()

    def _green(self) -> State:
        """How the nodes are before any fault; MachineError if a cell is not green."""
        verdicts, state = self._swept(self._cells)
        found = [verdict.explain() for verdict in verdicts if not verdict.ok]
        if found:
            raise MachineError(f"the lab is not green before any fault: {found[0]}")
        return state

    def tried(self, fault: Fault) -> Tried:
        """Inject a fault, sweep, undo it, sweep again."""
        prediction = predict(fault)
        began = time.monotonic()
        try:
            carry_out(self.lab, fault.change.do)
            verdicts, _ = self._swept(self._cells)
        finally:
            carry_out(self.lab, fault.change.undo)
        rulings = {verdict.cell.id: verdict.ruling for verdict in verdicts}
        red = {name for name, ruling in rulings.items() if ruling is not Ruling.PASS}
        unhealed = self._unhealed(red.union(prediction.red))
        ms = round(1000 * (time.monotonic() - began))
        return Tried(fault, prediction, rulings, unhealed, ms)

    def _unhealed(self, red: set[str]) -> tuple[str, ...]:
        """What is still wrong: of the cells that were or should have been red, and of the nodes."""
        again = [cell for cell in self._cells if cell.id in red]
        self.lab.call(calls.forget, list(self.lab.topology.nodes))
        verdicts, after = self._swept(again or self._cells[:1])
        left = [verdict.explain() for verdict in verdicts if not verdict.ok]
        return (*left, *(name for name, was in self._before.items() if after[name] != was))

    def _swept(self, chosen: Iterable[Cell]) -> tuple[tuple[Verdict, ...], State]:
        swept = self.lab.sweep(chosen)
        record = swept.record()
        verdicts = judge_record(self.lab.topology, record, self._cells)
        return verdicts, _state(swept.evidence(record))


class Benches:
    """A bench for each place where faults are, one at a time; anew after a fault that stayed."""

    def __init__(self) -> None:
        self._place: Place | None = None
        self._bench: Bench | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def tried(self, fault: Fault) -> Tried:
        """Try a fault where it belongs."""
        place = fault.topology, fault.stage, fault.backend
        if self._bench is None or place != self._place:
            self._end()
            self._place, self._bench = place, Bench(*place)
        try:
            found = self._bench.tried(fault)
        except BaseException:
            self._end()
            raise
        if found.unhealed:
            self._end()
        return found

    def _end(self) -> None:
        if self._bench:
            self._bench.close()
            self._bench = None


def carry_out(lab: Lab, commands: Iterable[Command]) -> None:
    """Run commands on nodes; MachineError for the first that fails, once all were run."""
    failed = []
    for node, *argv in commands:
        words = [sys.executable if word == PYTHON else word for word in argv]
        done = lab.run(node, words)
        if done["code"]:
            failed.append(f"{node}# {' '.join(argv)}: {done['err'].strip()}")
    if failed:
        raise MachineError(failed[0])


def _state(evidence: Iterable[Evidence]) -> State:
    return {
        one.name: RULES[one.kind](one.parsed)
        for one in evidence
        if one.kind in RULES and one.name.endswith("/before")
    }
