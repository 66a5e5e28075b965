"""A lab that is up, broken by hand and tested as it is: what tests of mutants share."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


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


@dataclass(frozen=True)
class Mutant:
    """A break: commands on nodes, the cells that must fail, those that cannot be told any more."""

    name: str
    change: tuple[tuple[str, ...], ...]
    undo: tuple[tuple[str, ...], ...]
    fails: Callable[[Cell], bool]
    unproved: Callable[[Cell], bool] = lambda _cell: False
    lost_at: Callable[[Cell], str | None] = lambda _cell: None


@dataclass(frozen=True)
class Up:
    """A lab that is up."""

    name: str
    reports: Path

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
        """Run commands on its nodes."""
        for node, *argv in commands:
            harness("exec", "--name", self.name, node, "--", *argv)

    def run(self) -> dict[Cell, dict[str, Any]]:
        """Test it as it is; the cells of the report."""
        argv = ["-m", "pytest", "suites", "-q", "--lab-attach", self.name, "-p", "no:cacheprovider"]
        subprocess.run(
            [sys.executable, *argv, "--lab-reports", str(self.reports)],
            cwd=ROOT, capture_output=True, check=False,
        )  # fmt: skip
        document = json.loads((self.reports / "latest" / "report.json").read_text())
        (self.reports / "latest").unlink()
        return {Cell(one["src"], one["dst"], one["probe"]): one for one in document["cells"]}


def harness(*argv: str) -> None:
    """Run a harness command that must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", *argv],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def told(cells: dict[Cell, dict[str, Any]], verdict: str) -> set[Cell]:
    """The cells of a verdict."""
    return {cell for cell, found in cells.items() if found["verdict"] == verdict}
