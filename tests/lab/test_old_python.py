"""The worker on an old Python that has nothing installed: what it needs comes over the channel."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness import topology
from harness.flow import Ruling, Stage
from harness.lab import Lab
from harness.machines import local
from harness.machines.worker import Worker
from harness.matrix import matrix
from harness.sightings import find
from harness.verdict import judge

TUTORIAL = Path(__file__).parents[2] / "topologies" / "macvlan-two-host.yaml"
WHERE = "import sys; assert sys.version_info[:2] == (3, 9); print(sys.executable)"


class OldPython:
    """A private machine whose worker runs on another interpreter."""

    def __init__(self, python: str) -> None:
        self._python = python

    def start(self) -> Worker:
        """See Machine."""
        return local._start((*local.PRIVATE, self._python))


@pytest.fixture
def python39() -> str:
    """The path of a Python 3.9."""
    for candidate in ("python3.9", "python3"):
        found = shutil.which(candidate)
        if found:
            done = subprocess.run([found, "-c", WHERE], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return done.stdout.strip()
    pytest.skip("no Python 3.9 on this machine; vermin checks the worker's syntax all the same")


def test_worker_runs_on_python_3_9(python39: str) -> None:
    """A lab is built, swept and read by it, and every cell of a stage is proved."""
    model = topology.read(TUTORIAL)
    lab = Lab(model, OldPython(python39))
    try:
        lab.build()
        lab.enter(Stage.ROUTED)
        cells = matrix(model, (Stage.ROUTED,)).cells
        swept = lab.sweep(cells)
        record = swept.record()
        verdicts = judge(model, record, find(record.frames, record.tokens), cells)
        readings = swept.evidence(record)
    finally:
        lab.close()
    assert lab.facts["versions"]["python"].startswith("3.9.")
    assert {one.ruling for one in verdicts} == {Ruling.PASS}
    assert len(verdicts) == len(cells)
    assert readings
