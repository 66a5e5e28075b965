"""Takes a lab through its stages in the background, sweeping and judging each.

Whoever asks for a verdict waits for its stage. The lab stays in a stage until `release` says that
nobody needs it there any more.
"""

from __future__ import annotations

import json
import os
import platform
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from queue import Queue
from typing import TYPE_CHECKING

from harness import pcapng
from harness.causes import Diagnosis, merged
from harness.errors import HarnessError, WorkerLost
from harness.flow import Cell, Stage, Verdict
from harness.inquiry import Inquiry, inquire
from harness.lab import Lab
from harness.record import Record
from harness.report.model import Evidence, joined
from harness.sightings import find
from harness.spool import Spool
from harness.swept import Swept
from harness.topology import Topology
from harness.verdict import judge
from harness.worker import heap

if TYPE_CHECKING:
    from harness.diagnosis import Lost

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


AHEAD = 1
"""Sweeps that wait to be judged while another is: their frames are what takes memory."""


@dataclass(frozen=True)
class StageResult:
    """A judged stage."""

    stage: Stage
    verdicts: dict[str, Verdict]
    evidence: tuple[Evidence, ...]
    topology: Topology
    """As it was found on machines of its own."""
    diagnoses: tuple[Diagnosis, ...] = ()
    broken: WorkerLost | None = None
    """Why it could not be brought to its end: nothing but its verdicts may be asked for then."""


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
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """`meanwhile` is carried out while the lab is built, whatever comes of it.

        The judge's thread does it, which no signal interrupts: an import that Ctrl-C ends half-way
        can leave Python's import lock held, and a worker waits for modules behind it.
        """
        self.stages = tuple(stages)
        self._topology = topology
        self._cells = tuple(cells)
        self._thread = ThreadPoolExecutor(1, "lab")
        self._judge = ThreadPoolExecutor(1, "judge")
        self._lab = self._thread.submit(open_lab)
        self._swept: dict[Stage, Future[Inquiry]] = {}
        self._judged: dict[Stage, Future[tuple[Verdict, ...]]] = {}
        """What did not pass: the lab waits for it where something may be wrong."""
        self._to_judge: dict[Stage, Queue[Swept | None]] = {}
        self.captures, self.records = Spool(), Spool()
        """What the run folder has of each sweep by its name: `routed`; `routed-2` for the second of
        a stage. The record is JSON, and without its frames, which the capture holds."""
        self._results: dict[Stage, Future[StageResult]] = {}
        self._judge.submit(meanwhile)
        self.release(None)

    def release(self, stage: Stage | None) -> None:
        """Let the lab go on from a stage (None: from being built) to the next that is wanted."""
        following = self.stages[0 if stage is None else self.stages.index(stage) + 1 :][:1]
        for wanted in following:
            if wanted not in self._swept:
                self._to_judge[wanted] = Queue(AHEAD)
                self._judged[wanted] = Future()
                self._swept[wanted] = self._thread.submit(self._sweep, wanted)
                self._results[wanted] = self._judge.submit(self._result, wanted)

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
        for stage, waiting in self._swept.items():
            if waiting.cancel():
                self._to_judge[stage].put(None)
        self._judge.shutdown()
        lab = self._thread.submit(self._end).result()
        self._thread.shutdown()
        done = [future for future in self._results.values() if not future.cancelled()]
        return lab, tuple(future.result() for future in done if not future.exception())

    @property
    def left_by_build(self) -> tuple[str, ...]:
        """What is left of a lab that could not be built, and could not be taken back either."""
        error = self._lab.exception()
        return error.leftovers if isinstance(error, HarnessError) else ()

    def _end(self) -> Lab | None:
        if self._lab.exception():
            return None
        lab = self._lab.result()
        lab.close()
        return lab

    def _go_to(self, stage: Stage) -> None:
        for known in self.stages[: self.stages.index(stage)]:
            self.release(known)

    def _sweep(self, stage: Stage) -> Inquiry:
        """Sweep a stage, part by part; the judge is handed None when no more come.

        Where a reply is missing the lab stays until it is judged, to be asked about what failed;
        after its last stage it does so anyway.
        """
        try:
            for earlier in self.stages[: self.stages.index(stage)]:
                self._swept[earlier].result()  # a stage that broke leaves a lab to build nothing on
            lab = self._lab.result()
            lab.enter(stage)
            for swept in lab.sweeps(cell for cell in self._cells if cell.stage is stage):
                self._to_judge[stage].put(swept)
            in_doubt = lab.unanswered() > 0 or stage is self.stages[-1]
        finally:
            self._to_judge[stage].put(None)
        wrong = self._judged[stage].result() if in_doubt else ()
        return inquire(lab, wrong)

    def _result(self, stage: Stage) -> StageResult:
        found = _Found(self._topology, stage)
        try:
            self._take(found, stage)
            inquiry = self._swept[stage].result()
        except WorkerLost as error:
            return found.broken(self._cells, error)
        heap.give_back()
        return found.result(inquiry)

    def _take(self, found: _Found, stage: Stage) -> None:
        """Judge the sweeps of a stage as they are handed over."""
        handed = iter(self._to_judge[stage].get, None)
        try:
            for swept in handed:
                found.take(swept, self.captures, self.records)
        except BaseException:
            self._judged[stage].set_result(())
            deque(handed, maxlen=0)  # or the lab's thread would wait for ever
            raise
        self._judged[stage].set_result(found.wrong)


class _Found:
    """A stage's parts as they are judged."""

    def __init__(self, topology: Topology, stage: Stage) -> None:
        self._topology, self._stage = topology, stage
        self._verdicts: list[Verdict] = []
        self._evidence: dict[str, Evidence] = {}
        self._lost: list[Lost] = []

    def take(self, swept: Swept, captures: Spool, records: Spool) -> None:
        """Judge one sweep, and keep what is to be told of it."""
        self._topology = swept.topology
        record = swept.record()
        sightings = find(record.frames, record.tokens)
        verdicts = judge(swept.topology, record, sightings, swept.cells)
        readings = swept.evidence(record)
        self._verdicts += verdicts
        if not all(one.ok for one in verdicts):
            from harness.diagnosis import look

            self._lost.append(look(swept.topology, record, sightings, verdicts))
        self._keep(readings)
        captures.keep(swept.name, capture(record, sightings.comments(_ids(record))))
        records.keep(swept.name, json.dumps(record.as_json()).encode())

    @property
    def wrong(self) -> tuple[Verdict, ...]:
        """What did not pass."""
        return tuple(one for one in self._verdicts if not one.ok)

    def result(self, inquiry: Inquiry) -> StageResult:
        """Everything, the verdicts with the readings that they rest on, and with their causes."""
        self._keep(inquiry.evidence)
        linked = self._linked()
        verdicts = [
            replace(one, evidence=linked(one.cell.src, one.cell.dst, one.cell.expectation.via))
            for one in self._verdicts
        ]
        evidence = tuple(self._evidence.values())
        diagnoses: tuple[Diagnosis, ...] = ()
        if self._lost:
            from harness.diagnosis import diagnose, together

            about = (self._topology, self._stage, verdicts, together(self._lost), evidence)
            found = diagnose(*about, alone=inquiry.alone)
            verdicts, diagnoses = list(found.verdicts), found.diagnoses
        return StageResult(
            self._stage,
            {one.cell.id: one for one in verdicts},
            evidence,
            self._topology,
            diagnoses,
        )

    def broken(self, cells: Iterable[Cell], error: WorkerLost) -> StageResult:
        """What was judged before the worker was lost; nothing can be told of the other cells."""
        from harness.diagnosis import unreached

        known = self.result(Inquiry())
        left = [one for one in cells if one.stage is self._stage and one.id not in known.verdicts]
        found = unreached(left, error.machines or (platform.node(),), str(error))
        return replace(
            known,
            verdicts=known.verdicts | {one.cell.id: one for one in found.verdicts},
            diagnoses=merged((*known.diagnoses, *found.diagnoses)),
            broken=error,
        )

    def _keep(self, readings: Iterable[Evidence]) -> None:
        for entry in readings:
            known = self._evidence.get(entry.name)
            self._evidence[entry.name] = joined(known, entry) if known else entry

    def _linked(self) -> Callable[[str, str, tuple[str, ...]], tuple[str, ...]]:
        """The readings that cells of a pair by way of routers rest on, those that there are."""

        @cache
        def linked(src: str, dst: str, via: tuple[str, ...]) -> tuple[str, ...]:
            wanted = [f"{self._stage}/{src}/{kind}" for kind in OF_SOURCE]
            wanted += [f"{self._stage}/{end}/container/before" for end in (src, dst)]
            for router in via:
                wanted += [f"{self._stage}/{router}/{kind}" for kind in OF_ROUTER]
            return tuple(name for name in wanted if name in self._evidence)

        return linked


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
