"""Every shipped topology, end to end: `pytest suites/` is green, and the run folder says why."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from harness import topology
from tests.lab.broken import ROOT, needs_engine

TOPOLOGIES = sorted((ROOT / "topologies").glob("*.yaml"))
DEADLINE_S = 120
"""The largest takes some ten seconds on two cores."""


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_it_is_green_and_proved(path: Path, tmp_path: Path) -> None:
    """Every ordered pair of endpoints in every stage, every cell proved, and judged again alike."""
    needs_engine(path)
    command = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider"]
    options = [f"--lab-topology={path}", f"--lab-reports={tmp_path}"]
    done = run([*command, *options])
    assert done.returncode == 0, done.stdout[-3000:]
    document: dict[str, Any] = json.loads((tmp_path / "latest" / "report.json").read_text())
    assert {cell["verdict"] for cell in document["cells"]} == {"pass"}
    lab = topology.read(path)
    asked = {(cell["stage"], cell["src"], cell["dst"]) for cell in document["cells"]}
    pairs = permutations([end.name for end in lab.endpoints], 2)
    assert {(stage, *pair) for pair in pairs for stage in lab.stages} <= asked
    again = run([sys.executable, "-m", "harness", "judge", str(tmp_path / "latest")])
    assert again.returncode == 0, again.stdout + again.stderr


def run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of the checkout to its end."""
    return subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
