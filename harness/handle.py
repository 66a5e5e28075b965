"""A lab in the hands of a test: commands, processes that stay, single probes, captures.

These names are for suites outside this project, and stay: `LiveLab`, `Result`, `Process`,
`Captured`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from harness.errors import InputError, MachineError, UnknownNode
from harness.flow import Cell, Stage, Verdict
from harness.frame import Frame, Packet, dissect
from harness.lab import Lab
from harness.matrix import matrix
from harness.topology import Topology
from harness.verdict import judge_record
from harness.worker import calls

PATIENCE_S = 5.0
"""How long a process may take to say that it is ready."""


@dataclass(frozen=True)
class Result:
    """How a command ended: its exit code and what it wrote, as text.

    127 is a command that could not be started, 124 one that did not end within 30 s.
    """

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """Whether the exit code is 0."""
        return self.code == 0


class Process:
    """A process on a node. It ends with `stop`, at the end of a `with` block, or with the lab."""

    def __init__(self, lab: Lab, node: str, argv: tuple[str, ...], pid: int) -> None:
        self.node, self.argv, self.pid = node, argv, pid
        """`pid` is the lab's own, not the machine's."""
        self._lab: Lab | None = lab
        self._output = ""

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return bool(self._look("", 0)["running"])

    @property
    def output(self) -> str:
        """What it has written until now, on stdout and stderr."""
        return str(self._look("", 0)["output"])

    def wait_for(self, text: str, within: float = PATIENCE_S) -> None:
        """Wait until it has written `text`; MachineError if it ends or `within` seconds pass."""
        found = self._look(text, within)
        if text not in found["output"]:
            how = f"did not say {text!r} within {within:g} s" if found["running"] else "ended"
            said = found["output"].strip()[-200:] or "nothing"
            raise MachineError(f"{' '.join(self.argv)} on {self.node} {how}; it said: {said}")

    def stop(self) -> None:
        """End it, and all that it has started in its process group. Twice is once."""
        if self._lab:
            self._output = self.output
            lab, self._lab = self._lab, None
            lab.call(calls.stop, self.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _look(self, text: str, within: float) -> dict[str, Any]:
        if self._lab is None:
            return {"running": False, "output": self._output}
        found: dict[str, Any] = self._lab.call(calls.said, self.pid, text, within)
        return found


class Captured:
    """What an interface has seen; empty until the capture ends."""

    def __init__(self) -> None:
        self.frames: tuple[Frame, ...] = ()

    @property
    def packets(self) -> tuple[Packet, ...]:
        """What the headers of the frames say."""
        return tuple(dissect(frame.raw) for frame in self.frames)


class LiveLab:
    """A lab in one stage."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        """What the harness itself works with; its interface may change."""

    @property
    def topology(self) -> Topology:
        """What the topology file says."""
        return self.lab.topology

    @property
    def stage(self) -> Stage:
        """The stage that the lab is in."""
        return self.lab.stage or Stage.ISOLATED

    def run(self, node: str, argv: Sequence[str], stdin: str = "") -> Result:
        """Run a command on a node and wait for its end. No exit code raises."""
        self._check(node)
        done = self.lab.call(calls.run, node, list(argv), stdin)
        return Result(done["code"], done["out"], done["err"])

    def start(self, node: str, argv: Sequence[str]) -> Process:
        """Start a process on a node; MachineError if there is no such command."""
        self._check(node)
        started = self.lab.call(calls.start, node, list(argv))
        if "failed" in started:
            raise MachineError(f"{node}: {started['failed']}")
        return Process(self.lab, node, tuple(argv), started["pid"])

    def probe(self, src: str, dst: str, kind: str) -> Verdict:
        """Send one probe, with the controls that prove it; its verdict, which may be `unproved`.

        `kind` is written as in test ids: `icmp`, `tcp`, `arp`, `l2-broadcast`, `icmp:1472`.
        """
        stage_cells = matrix(self.topology, (self.stage,)).cells
        cell = self._cell(stage_cells, src, dst, kind)
        record = self.lab.sweep([cell]).record()
        found = judge_record(self.topology, record, stage_cells)
        return next(one for one in found if one.cell.id == cell.id)

    @contextmanager
    def capture(self, node: str, interface: str) -> Iterator[Captured]:
        """Capture on an interface during the block, not promiscuous.

        MachineError if there is no such interface, or if the tap lost something.
        """
        self._check(node)
        opened = self.lab.call(calls.watch, node, interface)
        if "failed" in opened:
            raise MachineError(f"{node}:{interface}: {opened['failed']}")
        captured = Captured()
        try:
            yield captured
        finally:
            found = self.lab.call(calls.seen, opened["tap"])
            captured.frames = tuple(
                Frame(node, interface, "out" if outgoing else "in", t_ns, raw)
                for _, t_ns, outgoing, raw in found["frames"]
            )
        if found["drops"] or found["down"]:
            raise MachineError(f"the tap on {node}:{interface} lost frames or went down")

    def _cell(self, cells: tuple[Cell, ...], src: str, dst: str, kind: str) -> Cell:
        self._know(src)
        self._know(dst)
        between = {str(cell.probe): cell for cell in cells if (cell.src, cell.dst) == (src, dst)}
        if kind not in between:
            known = ", ".join(between) or "none"
            there = f"{src} to {dst} in the stage {self.stage}"
            raise InputError(f"no probe {kind!r} from {there}; there are: {known}")
        return between[kind]

    def _check(self, node: str) -> None:
        self._know(node)
        if self.lab.missing(node):
            raise MachineError(self.lab.missing(node))

    def _know(self, node: str) -> None:
        if node not in self.topology.nodes:
            raise UnknownNode("the lab", node, self.topology.nodes)
