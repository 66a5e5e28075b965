"""A lab on which faults are tried one after another: inject, sweep, compare, undo, green again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

from harness import labs
from harness.backends import Backend
from harness.errors import MachineError
from harness.faults.change import PYTHON, Command
from harness.faults.fault import Fault, Prediction
from harness.faults.predict import cells, path_of, predict
from harness.flow import Cell, Ruling, Stage, Verdict
from harness.lab import Lab
from harness.normal import RULES
from harness.report.model import Evidence
from harness.verdict import judge_record

State = dict[str, object]
"""What was read of the nodes, by the reading's name, without what changes by itself."""


@dataclass(frozen=True)
class Tried:
    """What was found of one fault."""

    fault: Fault
    prediction: Prediction
    rulings: dict[str, Ruling]
    """Of each cell while the fault was there."""
    unhealed: tuple[str, ...]
    """What is not as before after the undo: cells, and readings of nodes."""
    ms: int

    @property
    def wrong(self) -> tuple[str, ...]:
        """The cells that are not as predicted."""
        if not self.fault.steady:
            return () if self.red else ("nothing turned red",)
        return tuple(
            f"{name}: predicted {ruling}, found {self.rulings.get(name)}"
            for name, ruling in self.prediction.rulings.items()
            if self.rulings.get(name) is not ruling
        )

    @property
    def red(self) -> int:
        """How many cells were not green."""
        return sum(ruling is not Ruling.PASS for ruling in self.rulings.values())

    @property
    def right(self) -> bool:
        """Everything is as predicted, and green again."""
        return not self.wrong and not self.unhealed


class Bench:
    """A private lab of a topology, in one stage, on which faults are tried."""

    def __init__(self, topology: str, stage: Stage, backend: str = "netns") -> None:
        self._cells = cells(topology, stage)
        self.lab = labs.private(path_of(topology), Backend(backend)).open()
        try:
            self.lab.enter(stage)
            verdicts, self._before = self._swept(self._cells)
            found = [verdict.explain() for verdict in verdicts if not verdict.ok]
            if found:
                raise MachineError(f"the lab is not green before any fault: {found[0]}")
        except BaseException:
            self.lab.close()
            raise

    def close(self) -> None:
        """End the lab."""
        self.lab.close()

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
        unhealed = self._unhealed(rulings, prediction)
        ms = round(1000 * (time.monotonic() - began))
        return Tried(fault, prediction, rulings, unhealed, ms)

    def _unhealed(self, rulings: dict[str, Ruling], prediction: Prediction) -> tuple[str, ...]:
        """What is still wrong: of the cells that were or should have been red, and of the nodes."""
        red = {name for name, ruling in rulings.items() if ruling is not Ruling.PASS}
        again = [cell for cell in self._cells if cell.id in red.union(prediction.red)]
        verdicts, after = self._swept(again or self._cells[:1])
        cells_left = [verdict.explain() for verdict in verdicts if not verdict.ok]
        return (*cells_left, *(name for name, was in self._before.items() if after[name] != was))

    def _swept(self, chosen: Iterable[Cell]) -> tuple[tuple[Verdict, ...], State]:
        swept = self.lab.sweep(chosen)
        record = swept.record()
        verdicts = judge_record(self.lab.topology, record, self._cells)
        return verdicts, _state(swept.evidence(record))


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
