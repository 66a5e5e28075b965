"""`pytest` on copies of the suites, with a fake machine under the lab: no privilege needed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness import labs
from harness.testing import FakeMachine, FakeWorker, Faults

ROOT = Path(__file__).parents[2]
COPIED = ("conftest.py", "pyproject.toml", "suites", "topologies")


class Project:
    """A copy of what a user runs, in a directory of its own."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self.machines: list[FakeMachine] = []
        self._monkeypatch = monkeypatch
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, pytester.path / name)

    def run(
        self, *arguments: str, faults: Faults | None = None, **options: Any
    ) -> pytest.RunResult:
        """Run pytest here, its lab on a fake machine with these faults."""

        def machine() -> FakeMachine:
            self.machines.append(FakeMachine(faults))
            return self.machines[-1]

        self._monkeypatch.setattr(labs, "PrivateMachine", machine)
        return self.pytester.runpytest_inprocess(*arguments, "-p", "no:cacheprovider", **options)

    @property
    def worker(self) -> FakeWorker:
        """The only worker that was started."""
        (machine,) = self.machines
        (worker,) = machine.workers
        return worker

    @property
    def probed(self) -> list[str]:
        """The ids of all probes that the lab was asked to send, in order."""
        waves = [wave for sweep in self.worker.sweeps for wave in sweep["waves"]]
        return [probe["id"] for wave in waves for probe in wave["probes"]]

    @property
    def folders(self) -> list[Path]:
        """The run folders that were written."""
        return [path for path in self.pytester.path.glob("reports/*Z-*") if path.is_dir()]

    @property
    def report(self) -> dict[str, Any]:
        """The newest report.json."""
        text = (self.pytester.path / "reports/latest/report.json").read_text(encoding="utf-8")
        document: dict[str, Any] = json.loads(text)
        return document


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in a directory of its own."""
    return Project(pytester, monkeypatch)
