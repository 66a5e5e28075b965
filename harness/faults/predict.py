"""What a fault does to each cell: the model of the network altered, played and judged.

The network that is altered is the fake one of `harness.testing`, written apart from what is
expected; its sweep is judged by the proof rule against the expectations of the lab as it should be.
So a cell is predicted red if what happens, the way, the TTL or the source is another.
"""

from __future__ import annotations

from functools import lru_cache

from harness import topology as topologies
from harness.defaults import default_topology
from harness.faults.change import Change
from harness.faults.fault import Fault, Prediction
from harness.flow import Cell, Outcome, Ruling, Stage, Verdict
from harness.lab import Lab
from harness.matrix import matrix
from harness.testing import FakeMachine
from harness.topology import Topology
from harness.verdict import judge_record


def predict(fault: Fault) -> Prediction:
    """Play a fault's stage, altered, and judge it."""
    rulings = _played(fault.topology, fault.stage, fault.change)
    by_part = {
        part.name: _red(_played(part.topology, part.stage, part.change)) for part in fault.parts
    }
    causes = {}
    for name in _red(rulings):
        blamed = [part.causes for part in fault.parts if name in by_part[part.name]]
        causes[name] = tuple(code for codes in blamed for code in codes) or fault.causes
    return Prediction(rulings, causes)


def path_of(name: str) -> str:
    """The file of a shipped topology."""
    return str(default_topology().with_name(f"{name}.yaml"))


@lru_cache
def shipped(name: str) -> Topology:
    """A shipped topology."""
    path = path_of(name)
    return topologies.parse(topologies.text(path), path)


@lru_cache
def cells(name: str, stage: Stage) -> tuple[Cell, ...]:
    """The cells of a stage of a shipped topology."""
    return matrix(shipped(name), (stage,)).cells


def _red(rulings: dict[str, Ruling]) -> list[str]:
    return [name for name, ruling in rulings.items() if ruling is not Ruling.PASS]


@lru_cache(maxsize=512)
def _played(name: str, stage: Stage, change: Change) -> dict[str, Ruling]:
    lab, machine = built(name)
    lab.enter(stage)
    change.alter(machine.workers[0].state)
    record = lab.sweep(cells(name, stage)).record()
    judged = judge_record(shipped(name), record, cells(name, stage))
    return {verdict.cell.id: _ruling(verdict, change) for verdict in judged}


def _ruling(verdict: Verdict, change: Change) -> Ruling:
    """What is made of a cell; of one with an end that is not there, by what is expected of it."""
    cell = verdict.cell
    if not change.gone & {cell.src, cell.dst}:
        return verdict.ruling
    reaches = cell.expectation.outcome is Outcome.REACHED or cell.expectation.arrives
    return Ruling.FAIL if reaches else Ruling.UNPROVED


def built(name: str) -> tuple[Lab, FakeMachine]:
    """The fake lab of a shipped topology, and its machine."""
    machine = FakeMachine()
    lab = Lab(shipped(name), machine)
    lab.build()
    return lab, machine
