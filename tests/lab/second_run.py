"""A pytest plugin that breaks every lab but the first of a test: what another kernel would do.

`SECOND_RUN="FILE NODE COMMAND..." pytest -p tests.lab.second_run`: who finds FILE there has each
stage of its lab broken by the command, who does not makes it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.flow import Stage
from harness.lab import Lab
from harness.worker import calls


def pytest_configure() -> None:
    """Count this run."""
    file, node, *command = os.environ["SECOND_RUN"].split()
    if not Path(file).exists():
        Path(file).touch()
        return
    patch, enter = pytest.MonkeyPatch(), Lab.enter

    def broken(lab: Lab, stage: Stage) -> None:
        enter(lab, stage)
        lab.call(calls.run, node, command, "")

    patch.setattr(Lab, "enter", broken)
