"""A run from its first ask to its folder, without a word of pytest in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from harness import pings, reporting
from harness.asking import Ask
from harness.conductor import Conductor, StageResult
from harness.errors import HarnessError, InputError, MachineError
from harness.flow import Ruling, Stage, Verdict
from harness.kernel_log import CONSOLE
from harness.lab import KINDS, Lab
from harness.labs import Source
from harness.leftovers import Snapshot
from harness.machines import enter
from harness.matrix import ALL_KINDS, Matrix, matrix
from harness.normal import RULES
from harness.report import folder
from harness.report.model import RunReport
from harness.report.repeats import Found
from harness.steps import FourSteps, four_steps
from harness.topology import Topology
from harness.worker import calls

T = TypeVar("T")


class Unproved(MachineError):
    """A cell of which it could not be told what happened."""


class Broken(MachineError):
    """What a test needs could not be had, for a reason that was told before."""


@dataclass(frozen=True)
class Finished:
    """The report of a run, and the folder that it was written to."""

    report: RunReport
    folder: Path
    kept: str = ""
    """The name of the lab, if it is still up."""
    compared: str = ""
    """What changed since the baseline, for a person; empty if there is none."""
    pageless: str = ""
    """Why the folder has no page, if it has none."""


class Session:
    """One run. Nothing is started before `start`."""

    def __init__(
        self,
        source: Source,
        stages: tuple[Stage, ...],
        argv: tuple[str, ...],
        worker: str = "",
        kinds: frozenset[str] = ALL_KINDS,
    ) -> None:
        self.stages = stages
        self.matrix: Matrix = matrix(source.topology, stages, kinds)
        self.head = reporting.Head(
            topology=source.topology,
            topology_text=source.topology_text,
            backend=source.backend,
            not_applicable=self.matrix.not_applicable,
            argv=argv,
            id=source.run,
        )
        if worker:
            self.head = replace(self.head, id=f"{self.head.id}-{worker}")
        self.asks_cells = False
        """Whether any test asks for a cell: then a run without a verdict is no pass."""
        self.baseline: Found | None = None
        """The run that this one is compared with."""
        self._source = source
        self._conductor: Conductor | None = None
        self._broken: set[str] = set()
        self._before = Snapshot.take()

    @property
    def topology(self) -> Topology:
        """The topology under test."""
        return self.head.topology

    @property
    def engines(self) -> tuple[str, ...]:
        """The hosts that run a container engine."""
        return KINDS[self.head.backend]().engines(self.topology)

    def start(self, asks: Iterable[Ask]) -> None:
        """Build the lab and sweep its first stage, in the background."""
        asks = list(asks)
        cells = {cell.id: cell for ask in asks for cell in ask.cells}
        self.asks_cells = bool(cells)
        stages = {stage for ask in asks for stage in (ask.stage, *ask.also)}
        if stages:
            ordered = [stage for stage in Stage if stage in stages]
            self._before = Snapshot.take()
            self._conductor = Conductor(
                self.topology, self._source.open, cells.values(), ordered, reporting.prepare
            )

    def release(self, ask: Ask) -> None:
        """Say that a test runs which does not need the lab itself: it may go on."""
        if self._conductor and not ask.live:
            self._conductor.release(ask.stage)

    def lab(self, stage: Stage) -> Lab:
        """The lab in a stage; MachineError if tests ran in another order and it is past that."""
        lab = self._told_once(lambda: self._running().at(stage))
        if lab.stage is not stage:
            raise MachineError(
                f"the lab is in the stage {lab.stage} and past {stage}: "
                "tests must run in the order of their collection (pytest-xdist: --dist load)"
            )
        return lab

    def suspect(self, ask: Ask) -> str:
        """The node to look at for what an ask got: the cause's, or else where it was lost."""
        verdict = self.judged(ask)
        lost_at = verdict.observation.lost_at if verdict else None
        wanted = (
            verdict.cause.node if verdict and verdict.cause else None,
            lost_at.node if lost_at else None,
            ask.node or (ask.cells[-1].src if ask.cells else None),
        )
        return next((node for node in wanted if node in self.topology.nodes), "switch")

    def open_shell(self, ask: Ask, node: str) -> bool:
        """Open a shell in a node of the lab in an ask's stage; False if the lab is gone."""
        namespace = self.lab(ask.stage).call(calls.namespace)
        return enter.open_shell(namespace, node, self.topology.name)

    def verdict(self, ask: Ask) -> Verdict:
        """The verdict of an ask's cell; Unproved if there is none."""
        wanted = ask.cells[-1].id
        verdict = self._result(ask.stage).verdicts.get(wanted)
        if verdict is None:
            raise Unproved(f"{wanted}: nothing was sent for it")
        if verdict.ruling is Ruling.UNPROVED:
            raise Unproved(verdict.explain())
        return verdict

    @property
    def folder_name(self) -> str:
        """What the run folder will be called."""
        return folder.called(self.head.started.isoformat(), self.head.id)

    def judged(self, ask: Ask) -> Verdict | None:
        """What was found of an ask's last cell, whatever it is; None if nothing was."""
        return self._result(ask.stage).verdicts.get(ask.cells[-1].id) if ask.cells else None

    def outcomes(self, ask: Ask) -> tuple[str, ...]:
        """The outcome of each cell of an ask."""
        found = [self._result(cell.stage).verdicts[cell.id] for cell in ask.cells]
        return tuple(str(verdict.observation.outcome) for verdict in found)

    def readings(self, ask: Ask) -> tuple[object, ...]:
        """An ask's reading in each of its stages, normalised, as it was before the sweep."""
        return tuple(self._reading(stage, ask) for stage in (*ask.also, ask.stage))

    def steps(self, ask: Ask) -> FourSteps:
        """The four steps of a routed cell."""
        result = self._result(ask.stage)
        return four_steps(result.topology, self.verdict(ask), result.evidence)

    def pinged(self, ask: Ask) -> tuple[bool, str]:
        """Whether a container's own ping agrees with a cell; Unproved if that cannot be told."""
        cell = ask.cells[0]
        verdict, address = self.verdict(ask), pings.target(self.topology, cell)
        parsed = self._parsed(cell.stage, f"{cell.stage}/{cell.src}/{ask.kind}/after") or {}
        agree, words = pings.compared(verdict, parsed.get(address, {"unknown": "it was not asked"}))
        if agree is None:
            raise Unproved(f"{cell.id}: {words}")
        return agree, words

    def engine(self, ask: Ask) -> tuple[bool, str]:
        """Whether a host's container engine answers, and what it said."""
        said = self._parsed(ask.stage, f"{ask.stage}/{ask.node}/{ask.kind}/before")
        if said is None:
            raise Unproved(f"{ask.id}: nobody asked its engine")
        return said["answers"], said["said"]

    def finish(self, reports: Path, failures: tuple[int, int]) -> Finished | None:
        """Close the lab and write the run folder; None if nothing was ever started.

        `failures` counts tests as `reporting.report` has them.
        """
        if self._conductor is None:
            return None
        lab, results = self._conductor.close()
        facts = lab.facts if lab else {}
        events, console = self._source.told()
        if self._source.kernel:
            facts = {"kernel": self._source.kernel, **facts, "kernel_events": events}
        kept_back = lab.leftovers if lab else self._conductor.left_by_build
        left = (*self._before.leftovers(), *kept_back)
        # The next run would not find the hosts as this one did.
        failures = (failures[0], failures[1] + len(kept_back))
        report = reporting.report(self.head, facts, results, left, failures)
        compared = reporting.compared(self.baseline, report)
        texts = reporting.recorded(self._conductor.records) | compared.texts
        if console:
            texts[CONSOLE] = console
        written = reporting.write(self.head, report, self._conductor.captures, texts, reports)
        pageless = reporting.add_page(self.head, report, written, compared.page)
        said = compared.texts.get(reporting.TEXT, "")
        return Finished(report, written, self._source.kept(), said, pageless)

    def _reading(self, stage: Stage, ask: Ask) -> object:
        found = self._parsed(stage, f"{stage}/{ask.node}/{ask.kind}/before")
        return None if found is None else RULES[ask.kind](found)

    def _parsed(self, stage: Stage, name: str) -> Any:
        """A reading; None if there is none of the name."""
        found = [entry for entry in self._result(stage).evidence if entry.name == name]
        return found[0].parsed if found else None

    def _result(self, stage: Stage) -> StageResult:
        """A stage that came to its end; of one that did not there are no readings to compare."""
        return self._told_once(lambda: _whole(self._running().result(stage)))

    def _told_once(self, ask: Callable[[], T]) -> T:
        """The first breakage is told in full; what depends on it cites it."""
        try:
            return ask()
        except HarnessError as error:
            reason = str(error)
            if reason in self._broken:
                raise Broken(f"no lab for it; the first error says why: {reason:.80}") from None
            self._broken.add(reason)
            raise error.with_traceback(None) from None

    def _running(self) -> Conductor:
        if self._conductor is None:
            raise InputError("the lab's fixtures work in a test run only")
        return self._conductor


def _whole(found: StageResult) -> StageResult:
    if found.broken:
        raise found.broken
    return found
