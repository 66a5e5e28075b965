"""Takes a lab through its stages in the background, sweeping and judging each.

Whoever asks for a verdict waits for its stage. The lab stays in a stage until `release` says that
nobody needs it there any more.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from harness import pcapng
from harness.flow import Cell, Stage, Verdict
from harness.lab import Lab, Swept
from harness.matrix import matrix
from harness.record import Record
from harness.report.model import Evidence
from harness.sightings import find
from harness.topology import Topology
from harness.verdict import judge

OF_SOURCE = ("routes/before", "neighbours/cold", "neighbours/main")
OF_ROUTER = (
    *OF_SOURCE,
    "firewall/before",
    "firewall/after",
    "conntrack/after",
    "sysctls/before",
    "no-routes/main",
)
"""The readings that a cell's verdict links to, of its source and of each router on its way."""


@dataclass(frozen=True)
class StageResult:
    """A judged stage; `capture` is its pcapng file."""

    record: Record
    verdicts: dict[str, Verdict]
    evidence: tuple[Evidence, ...]
    capture: bytes


class Conductor:
    """Runs a lab on a thread of its own.

    The thread that starts a worker must outlive it, because the parent-death signal is that
    thread's (prctl(2)); so `close` ends the lab before the thread.
    """

    def __init__(
        self,
        topology: Topology,
        open_lab: Callable[[], Lab],
        cells: Iterable[Cell],
        stages: Sequence[Stage],
    ) -> None:
        self.stages = tuple(stages)
        self._topology = topology
        self._cells = tuple(cells)
        self._thread = ThreadPoolExecutor(1, "lab")
        self._judge = ThreadPoolExecutor(1, "judge")
        self._lab = self._thread.submit(open_lab)
        self._swept: dict[Stage, Future[Swept]] = {}
        self._results: dict[Stage, Future[StageResult]] = {}
        self.release(None)

    def release(self, stage: Stage | None) -> None:
        """Let the lab go on from a stage (None: from being built) to the next that is wanted."""
        following = self.stages[0 if stage is None else self.stages.index(stage) + 1 :][:1]
        for wanted in following:
            if wanted not in self._swept:
                self._swept[wanted] = self._thread.submit(self._sweep, wanted)
                self._results[wanted] = self._judge.submit(self._result, self._swept[wanted])

    def at(self, stage: Stage) -> Lab:
        """The lab in a stage, all of it that is not asked to do more."""
        self._go_to(stage)
        self._swept[stage].result()
        return self._lab.result()

    def result(self, stage: Stage) -> StageResult:
        """The judged stage, or the error that ended it; goes on to it if nobody has yet."""
        self._go_to(stage)
        return self._results[stage].result()

    def close(self) -> tuple[Lab | None, tuple[StageResult, ...]]:
        """End the lab; what it was (None if it could not be built) and every stage that ended."""
        for waiting in self._swept.values():
            waiting.cancel()
        self._judge.shutdown()
        lab = self._thread.submit(self._end).result()
        self._thread.shutdown()
        done = [future for future in self._results.values() if not future.cancelled()]
        return lab, tuple(future.result() for future in done if not future.exception())

    def _end(self) -> Lab | None:
        if self._lab.exception():
            return None
        lab = self._lab.result()
        lab.close()
        return lab

    def _go_to(self, stage: Stage) -> None:
        for known in self.stages[: self.stages.index(stage)]:
            self.release(known)

    def _sweep(self, stage: Stage) -> Swept:
        for earlier in self.stages[: self.stages.index(stage)]:
            self._swept[earlier].result()  # a stage that broke leaves a lab to build nothing on
        lab = self._lab.result()
        lab.enter(stage)
        return lab.sweep(cell for cell in self._cells if cell.stage is stage)

    def _result(self, sweep: Future[Swept]) -> StageResult:
        swept = sweep.result()
        record = swept.record()
        sightings = find(record.frames, record.tokens)
        stage_cells = matrix(self._topology, (record.stage,)).cells
        verdicts = judge(self._topology, record, sightings, stage_cells)
        evidence = swept.evidence(record)
        names = {entry.name for entry in evidence}
        return StageResult(
            record,
            {one.cell.id: replace(one, evidence=_linked(one.cell, names)) for one in verdicts},
            evidence,
            capture(record, sightings.comments(_ids(record))),
        )


def capture(record: Record, comments: dict[int, str]) -> bytes:
    """A stage's frames as a pcapng file that names its interfaces and each frame's cell."""
    return pcapng.dump(
        record.frames,
        comments,
        hardware=platform.machine(),
        os=f"{os.uname().sysname} {os.uname().release}",
        application="harness",
    )


def _ids(record: Record) -> dict[str, str]:
    return {sent.token: sent.id for wave in record.waves for sent in wave.sent}


def _linked(cell: Cell, names: set[str]) -> tuple[str, ...]:
    """The readings that a cell rests on, those that there are."""
    wanted = [f"{cell.stage}/{cell.src}/{kind}" for kind in OF_SOURCE]
    for router in cell.expectation.via:
        wanted += [f"{cell.stage}/{router}/{kind}" for kind in OF_ROUTER]
    return tuple(name for name in wanted if name in names)
