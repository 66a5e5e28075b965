"""The plugin in every pytest of an environment: known once, and at little cost."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.plugin.conftest import ROOT, Project

pytest_plugins = ["pytester"]

HEAVY = ("click", "mitogen", "pydantic", "pyroute2", "testinfra", "yaml", "harness.lab")
LOADED = "import harness.plugin, harness.fixtures, harness.own_fixtures, sys; print(*sys.modules)"


def test_loading_imports_nothing_heavy() -> None:
    """Who has the harness installed and asks nothing of a lab pays for a few small modules."""
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stdout.split())


def test_registered_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by an entry point, by conftest.py and on the command line, it is one plugin."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    result = project.pytester.runpytest_subprocess(
        "-p", "harness.plugin", "--trace-config", "--collect-only", "suites/test_parent.py"
    )
    assert result.ret == pytest.ExitCode.OK
    listed = [line for line in result.outlines if line.strip().startswith("harness.plugin ")]
    assert len(listed) == 1
