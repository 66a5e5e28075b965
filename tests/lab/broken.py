"""A lab that is up, broken by hand and tested as it is: what tests of mutants share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import asking, labs
from harness.flow import L3_KINDS, Family, Stage
from harness.machines import enter, registry
from harness.report.folder import read_document
from harness.session import Session
from harness.topology import read
from harness.worker.search import found

ROOT = Path(__file__).parents[2]
REWRITE = (sys.executable, "-m", "harness.worker.retag")
"""A command for the node `switch`: a port that changes the tags of what leaves it."""


@dataclass(frozen=True)
class Cell:
    """A cell of report.json, as far as the rules need it."""

    src: str
    dst: str
    probe: str

    @property
    def kind(self) -> str:
        """The probe without size or tag."""
        return self.probe.partition(":")[0]


def is_small(cell: Cell) -> bool:
    """Whether it is an IP packet that is no larger than 1500 octets, the MTU."""
    return cell.kind in L3_KINDS and cell.probe != "icmp:1473"


@dataclass(frozen=True)
class Mutant:
    """A break: commands on nodes, the cells that must fail, those that cannot be told any more."""

    name: str
    change: tuple[tuple[str, ...], ...]
    undo: tuple[tuple[str, ...], ...]
    fails: Callable[[Cell], bool]
    unproved: Callable[[Cell], bool] = lambda _cell: False
    lost_at: Callable[[Cell], str | None] = lambda _cell: None
    """Where a cell that fails is lost; None where that is not said here."""
    observed: Callable[[Cell], str | None] = lambda _cell: None
    """The outcome of a cell that fails; None likewise."""
    either: Callable[[Cell], bool] = lambda _cell: False
    """Cells that two stations of one address race for: red or not, as frames happen to come."""


@dataclass(frozen=True)
class Up:
    """A lab that is up."""

    name: str
    reports: Path

    def turns_red(self, mutant: Mutant) -> None:
        """Assert that just its cells fail, with their place and outcome, and that they heal."""
        broken = self.broken(mutant.change, mutant.undo)
        certain = {cell for cell in broken if not mutant.either(cell)}
        assert told(broken, "fail") & certain == {c for c in certain if mutant.fails(c)}
        assert told(broken, "unproved") & certain == {c for c in certain if mutant.unproved(c)}
        for cell in told(broken, "fail"):
            assert mutant.lost_at(cell) in (None, broken[cell]["lost_at"]), cell
            assert mutant.observed(cell) in (None, broken[cell]["observed"]), cell
        red = told(broken, "fail") | told(broken, "unproved")
        healed = self.run(red)
        assert told(healed, "pass") == set(healed) >= red

    def broken(
        self, change: tuple[tuple[str, ...], ...], undo: tuple[tuple[str, ...], ...]
    ) -> dict[Cell, dict[str, Any]]:
        """Break it, test it, mend it; the cells of the broken lab."""
        self.do(change)
        try:
            return self.run()
        finally:
            self.do(undo)

    def do(self, commands: tuple[tuple[str, ...], ...]) -> None:
        """Run commands on its nodes, as `harness exec` does."""
        init_pid = registry.find(self.name).init_pid
        for node, *argv in commands:
            succeed(enter.command(init_pid, node, argv, str(ROOT)))

    def run(self, chosen: Collection[Cell] = ()) -> dict[Cell, dict[str, Any]]:
        """Test it as it is, all of it or the pairs of the chosen cells; the cells of the report.

        As `pytest suites --lab-attach` does it, without a pytest that asserts each verdict.
        """
        source = labs.attached(self.name)
        session = Session(source, (source.stage or Stage.ISOLATED,), ("mutants",))
        pairs = {(cell.src, cell.dst) for cell in chosen}
        asks = [
            ask
            for ask in asking.cells(session.matrix, Family, (), ())
            if not pairs or (ask.cells[0].src, ask.cells[0].dst) in pairs
        ]
        session.start(asks)
        session.outcomes(asks[0])  # waits for the stage, which `finish` would not
        finished = session.finish(self.reports, (0, 0))
        assert finished
        document = read_document(finished.folder)
        return {Cell(one["src"], one["dst"], one["probe"]): one for one in document["cells"]}


@contextmanager
def lab_of(topology: str | Path, name: str, reports: Path, *options: str) -> Iterator[Up]:
    """A shipped topology, or a file, up where `harness up` takes it to; down afterwards."""
    if os.geteuid() != 0:
        pytest.skip("making namespaces needs root")
    path = topology if isinstance(topology, Path) else ROOT / f"topologies/{topology}.yaml"
    needs_engine(path)
    up = Up(f"{name}-{os.getpid()}", reports)
    harness("up", str(path), "--name", up.name, *options)
    try:
        yield up
    finally:
        harness("down", up.name)


def needs_engine(path: Path) -> None:
    """Skip, with the reason, where a gateway host of a topology runs an engine that is not here."""
    wanted = any(router.engine for router in read(path).gateways)
    if wanted and not found("dockerd"):
        pytest.skip("no dockerd (Debian: apt-get install docker.io)")


def harness(*argv: str) -> None:
    """Run a harness command that must succeed."""
    succeed([sys.executable, "-m", "harness", *argv])


def succeed(argv: list[str]) -> None:
    """Run a command in the checkout that must succeed."""
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def told(cells: dict[Cell, dict[str, Any]], verdict: str) -> set[Cell]:
    """The cells of a verdict."""
    return {cell for cell, found in cells.items() if found["verdict"] == verdict}
