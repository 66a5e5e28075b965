"""Many runs, in a row and side by side: every one green, nothing sent twice, nothing left behind.

How many, the environment says; the defaults are for CI, the sizes in brackets for a release:

- `HARNESS_STRESS_ROW`: runs one after the other, 5 (200)
- `HARNESS_STRESS_SIDE`: runs at the same time, 4 (8)
- `HARNESS_STRESS_ROUNDS`: how often so many at the same time, 1 (5)

A run that was not green keeps its run folder, and the failure names it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab import independent

ROOT = Path(__file__).parents[2]
IN_A_ROW = int(os.environ.get("HARNESS_STRESS_ROW", "5"))
SIDE_BY_SIDE = int(os.environ.get("HARNESS_STRESS_SIDE", "4"))
ROUNDS = int(os.environ.get("HARNESS_STRESS_ROUNDS", "1"))
DEADLINE_S = 60
"""A run takes 2 s alone; so many on few CPUs take longer, and never this long."""


class Started:
    """A run of the suites under way, with a folder of its own for reports."""

    def __init__(self, reports: Path) -> None:
        argv = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider"]
        self._reports = reports
        self._process = subprocess.Popen(
            [*argv, "--lab-reports", str(reports)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def trouble(self) -> list[str]:
        """Wait for the end; what was not as it must be. A run without trouble leaves no folder."""
        try:
            output, _ = self._process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
            return [f"no end within {DEADLINE_S} s:\n{output[-4000:]}"]
        folder = (self._reports / "latest").resolve()
        if not (folder / "report.json").is_file():
            return [f"exit code {self._process.returncode}, no report:\n{output[-4000:]}"]
        found = _amiss(folder)
        if self._process.returncode and not found:
            found = [f"exit code {self._process.returncode}:\n{output[-4000:]}"]
        if found:
            return [f"see {folder}", *found]
        shutil.rmtree(self._reports)
        return []


def _amiss(folder: Path) -> list[str]:
    """What is not proved in a run folder, what was sent twice, and what was left behind."""
    document: dict[str, Any] = json.loads((folder / "report.json").read_text())
    found = [
        f"{cell['id']}: {cell['verdict']}: {cell['why']}; observed {cell['observed']}, "
        f"proof {cell['proof']}, lost at {cell['lost_at']}"
        for cell in document["cells"]
        if cell["verdict"] != "pass"
    ]
    found += [f"{cell['id']}: sent again" for cell in document["cells"] if cell["attempts"] != 1]
    found += [f"left behind: {thing}" for thing in document["leftovers"]]
    if not document["cells"]:
        found.append("no cells")
    topology = (folder / "evidence" / "topology.yaml").read_text()
    return found or independent.disagreements(folder, topology)


@pytest.mark.parametrize("number", range(1, IN_A_ROW + 1))
def test_in_a_row(number: int, tmp_path: Path) -> None:
    """A run is green, like the one before it and the one after."""
    assert Started(tmp_path / f"{number}").trouble() == []


@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_side_by_side(number: int, tmp_path: Path) -> None:
    """Runs at the same time on one machine are green, and know nothing of each other."""
    runs = [Started(tmp_path / f"{number}-{one}") for one in range(SIDE_BY_SIDE)]
    assert [trouble for run in runs if (trouble := run.trouble())] == []
